//! Whether a recovery file works: the key in it opens what this database holds. Shows no key.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::super::console::{Global, location};
use super::super::failure::Failure;
use super::super::files;
use super::super::screen::item;
use crate::app::Refusal;
use crate::entropy::Entropy;
use crate::store::{Store, Tx};
use crate::vault::{KeyEncryptionKey, Vault};

/// What of a database a key opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    pub id: String,
    pub opened: usize,
    pub all: usize,
    /// Since when it is retired, if it is.
    pub retired: Option<String>,
}

impl Proof {
    pub(super) fn holds(&self) -> bool {
        self.opened == self.all && self.all > 0
    }

    fn text(&self) -> String {
        let Self { id, opened, all, retired } = self;
        match retired {
            _ if self.holds() => {
                format!("key-encryption key {id} opens all {all} data keys of this database")
            }
            Some(day) => format!(
                "key-encryption key {id} was retired on {day}: it opens backups from before, and nothing here"
            ),
            None if *opened == 0 => {
                format!("key-encryption key {id} opens nothing of this database: it belongs to another one")
            }
            None => format!("key-encryption key {id} opens {opened} of {all} data keys"),
        }
    }
}

/// Reads a decrypted recovery file and tries what is in it.
pub(super) fn run(global: &Global, file: &Path) -> Result<ExitCode, Failure> {
    let config = global.load()?;
    let text = Zeroizing::new(files::read(file)?);
    let vault = Vault::locked("only the key that is checked is used", Entropy::System);
    let store = Store::open(location(&config)?, Arc::new(vault))?;
    store.pending_migrations()?;
    let proofs = prove(&store, &text)?;
    let whole = proofs.iter().any(Proof::holds)
        || proofs.iter().map(|proof| proof.opened).sum::<usize>()
            == proofs.first().map_or(0, |proof| proof.all);
    for proof in &proofs {
        item(if whole || proof.holds() { "ok" } else { "FAIL" }, &proof.text());
    }
    if !whole {
        item(
            "cure",
            "write new recovery files: embargod key rotate, or embargod project member add for one of them",
        );
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What every key in `text` opens of the database behind `store`.
pub(super) fn prove(store: &Store, text: &[u8]) -> Result<Vec<Proof>, Failure> {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let found: Vec<KeyEncryptionKey> =
        text.lines().filter_map(|line| KeyEncryptionKey::from_text(line).ok()).collect();
    if found.is_empty() {
        return Err(Failure::unfit(
            "there is no key-encryption key in it",
            "hand in what the recovery file decrypts to: gpg -d recovery-….asc | embargod key check -",
        ));
    }
    found.into_iter().map(|kek| prove_one(store, kek)).collect()
}

fn prove_one(store: &Store, kek: KeyEncryptionKey) -> Result<Proof, Failure> {
    let id = kek.id();
    let store = store.with_vault(Vault::open(kek, Entropy::System));
    let proof = |tx: &mut Tx<'_>| {
        let states = tx.keks()?;
        let state = states.iter().find(|state| state.id == id);
        let retired = state.and_then(|state| state.retired_at).map(|at| at.date_naive().to_string());
        let mut opened = 0;
        for owner in tx.owners_wrapped_by(&id)? {
            opened += usize::from(tx.opens(&owner, &id)?);
        }
        let all = opened_or_not(tx)?;
        Ok::<_, Refusal>(Proof { id: id.clone(), opened, all, retired })
    };
    Ok(store.read_now(proof)?)
}

/// How many data keys there are that something could open.
fn opened_or_not(tx: &mut Tx<'_>) -> Result<usize, Refusal> {
    Ok(tx.owners_not_wrapped_by("")?.len())
}
