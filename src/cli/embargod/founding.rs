//! Fills an empty database: the installation, its first project, who decides for it.

use crate::app::Refusal;
use crate::app::installation::{found, recovery_file};
use crate::app::roster::Operator;
use crate::clock::Clock;
use crate::domain::address::Address;
use crate::domain::policy::Policy;
use crate::entropy::Entropy;
use crate::openpgp::{Certificate, ServerKey};
use crate::store::Store;

/// Facts that fill a new database.
pub(super) struct Founding<'a> {
    pub from: &'a Address,
    pub practice: bool,
    pub slug: &'a str,
    pub name: &'a str,
    pub policy: &'a Policy,
    /// The maintainers' certificates, as read from their files.
    pub maintainers: &'a [Vec<u8>],
    /// The key-encryption key as text.
    pub kek_text: &'a str,
}

/// What came of it.
pub(super) struct Founded {
    /// The server's fingerprint.
    pub server: String,
    /// Each maintainer's fingerprint and recovery file.
    pub recovery: Vec<(String, Vec<u8>)>,
}

impl Founding<'_> {
    /// Founds the installation in `store`, which is empty and migrated.
    pub(super) fn run(&self, store: &Store, clock: &Clock, entropy: &Entropy) -> Result<Founded, Refusal> {
        let server = found(store, clock, self.from.as_str(), self.practice)?;
        let operator = Operator { store, clock, entropy };
        operator.add_project(self.slug, self.name, self.policy.clone())?;
        let mut recovery = Vec::new();
        for certificate in self.maintainers {
            let fingerprint = operator.add_maintainer(self.slug, certificate)?;
            let file = recovery_for(certificate, self.kek_text, &server, clock, entropy)?;
            recovery.push((fingerprint, file));
        }
        Ok(Founded { server: server.fingerprint(), recovery })
    }
}

/// The recovery file for the owner of `certificate`.
pub(super) fn recovery_for(
    certificate: &[u8],
    kek_text: &str,
    server: &ServerKey,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<Vec<u8>, Refusal> {
    let person = Certificate::parse(certificate).map_err(|error| Refusal::invalid(error.code(), error))?;
    recovery_file(kek_text, &person, server, clock, entropy)
}
