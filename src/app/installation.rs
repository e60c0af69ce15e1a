//! Founding an installation, and opening one.

use chrono::{DateTime, Utc};

use super::{App, Refusal};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::openpgp::{Acceptance, Certificate, ServerKey, SessionKey, armor, encrypt_to};
use crate::store::{AuditEntry, Store};

/// Founds an installation in an empty, migrated database: the roster's data key, and the server's own
/// OpenPGP key for `address`.
pub fn found(store: &Store, clock: &Clock, address: &str, practice: bool) -> Result<ServerKey, Refusal> {
    let now = clock.now();
    store.write_now(|tx| {
        if tx.is_founded()? {
            return Err(Refusal::rule("founded", "this database belongs to an installation already"));
        }
        tx.found(practice, now)?;
        let label = if practice { format!("PRACTICE <{address}>") } else { format!("<{address}>") };
        let key = ServerKey::generate(&label, now)
            .map_err(|error| Refusal::Unavailable(format!("no server key could be made: {error}")))?;
        let secret = key
            .to_secret_bytes()
            .map_err(|error| Refusal::Unavailable(format!("the server key could not be stored: {error}")))?;
        tx.put_server_key(&secret, &key.certificate().to_bytes())?;
        tx.audit(as_operator(now, "installation founded", &key.fingerprint()));
        Ok(key)
    })
}

/// What is written down of something the operator does to the installation itself.
pub fn as_operator(now: DateTime<Utc>, action: &'static str, object: &str) -> AuditEntry {
    AuditEntry {
        at: now,
        actor: super::Actor::Operator.to_string(),
        action,
        embargo: None,
        object: object.to_owned(),
        detail: Vec::new(),
    }
}

/// The server's key, if the vault opens. Without it the server is public-only.
pub fn load_server_key(store: &Store) -> Result<Option<ServerKey>, Refusal> {
    let secret = store.read_now(|tx| {
        tx.check_key()?;
        tx.server_key()
    })?;
    secret
        .map(|secret| {
            ServerKey::from_bytes(&secret)
                .map_err(|error| Refusal::Unavailable(format!("the server key is unusable: {error}")))
        })
        .transpose()
}

/// The recovery file: the key-encryption key, encrypted to one person.
pub fn recovery_file(
    kek_text: &str,
    person: &Certificate,
    server: &ServerKey,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<Vec<u8>, Refusal> {
    let now = clock.now();
    let text = format!(
        "The key-encryption key of the embargod server {}.\n\
         Put what follows into the file that [keys] kek_file names, mode 0400.\n{kek_text}",
        server.fingerprint()
    );
    let key = SessionKey::from_random(entropy.bytes());
    let message = encrypt_to(text.as_bytes(), person, &Acceptance::Strict, Some(server), &key, now)
        .map_err(|trouble| Refusal::invalid(trouble.code(), trouble))?;
    Ok(armor(&[], &message, person.container()))
}

impl App {
    /// The server's certificate, armored; public, and readable without any key.
    pub async fn certificate(&self) -> Result<String, Refusal> {
        let bytes = self
            .store
            .read(|tx| Ok::<_, Refusal>(tx.server_certificate()?))
            .await?
            .ok_or(Refusal::NotFound)?;
        let certificate =
            Certificate::parse(&bytes).map_err(|error| Refusal::Unavailable(error.to_string()))?;
        Ok(certificate.to_armored())
    }

    /// The names of the projects that are served here; none while the database cannot be read.
    pub async fn project_names(&self) -> Vec<String> {
        let projects = self.store.read(|tx| tx.projects()).await.unwrap_or_default();
        projects.into_iter().map(|project| project.name).collect()
    }

    /// The next instant after `after` at which something becomes due, if anything will.
    pub async fn next_due(
        &self,
        after: chrono::DateTime<chrono::Utc>,
    ) -> Result<Option<chrono::DateTime<chrono::Utc>>, Refusal> {
        let clock = self.clock.clone();
        let due = move |tx: &mut crate::store::Tx<'_>| {
            let mut instants: Vec<_> =
                tx.next_instant(after)?.into_iter().chain(tx.next_delivery()?).collect();
            // No lift comes before its instant by the database's clock, so one may be due later than by this one.
            let shared = if clock.is_virtual() { None } else { tx.shared_clock()? };
            let late =
                shared.map(|shared| clock.now() - shared).filter(|late| *late > chrono::Duration::zero());
            if let Some(late) = late {
                instants.extend(tx.next_instant(after - late)?.map(|due| due + late));
            }
            Ok(instants.into_iter().filter(|due| *due > after).min())
        };
        self.store.read(due).await
    }
}
