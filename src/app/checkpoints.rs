//! Signed checkpoints: what the server says, under its key, of how far the audit log reaches.
//!
//! A checkpoint is one line of JSON and a detached OpenPGP signature over that line, its end of line included. Who
//! holds the server's certificate can check one with any OpenPGP program and without this server.

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::openpgp::{Acceptance, Certificate, ServerKey, sign_detached, verify_detached};
use crate::store::{Store, StoreError, StoredCheckpoint};

/// After how many entries one is made.
const EVERY: i64 = 1_000;
/// After how long one is made, if there is something new.
const AT_LEAST_EVERY: Duration = Duration::minutes(10);
/// What kind of line it is, and in which version.
const KIND: &str = "checkpoint 1";

/// How far the audit log reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    embargod: String,
    /// The number of its last entry.
    pub sequence: i64,
    /// That entry's hash, lower-case hex.
    pub hash: String,
    /// When this was signed.
    pub at: DateTime<Utc>,
    /// The life of the database it was in.
    pub incarnation: String,
    /// The replica that signed.
    pub replica: String,
}

/// A checkpoint as text, with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCheckpoint {
    /// What was signed, with its end of line.
    pub line: String,
    /// The armored detached signature.
    pub signature: String,
}

impl Checkpoint {
    /// What is to be said of an entry.
    pub fn new(sequence: i64, hash: String, at: DateTime<Utc>, incarnation: String, replica: String) -> Self {
        Self { embargod: KIND.to_owned(), sequence, hash, at, incarnation, replica }
    }

    /// Signs it. If the clock stands where the key does not live, the nearest instant at which it does is signed: an
    /// anchor that nobody believes would hold everything as soon as the clock is right again.
    pub fn sign(&self, server: &ServerKey) -> Result<SignedCheckpoint, Refusal> {
        let said = Self { at: server.within_life(self.at), ..self.clone() };
        let mut line = serde_json::to_string(&said)
            .map_err(|_| Refusal::Unavailable("a checkpoint could not be written".to_owned()))?;
        line.push('\n');
        let signature = sign_detached(server, line.as_bytes(), said.at)
            .map_err(|error| Refusal::Unavailable(error.to_string()))?;
        Ok(SignedCheckpoint { line, signature })
    }
}

impl SignedCheckpoint {
    /// What it says, whoever signed it; nothing if it is no checkpoint.
    pub fn read(&self) -> Option<Checkpoint> {
        let checkpoint: Checkpoint = serde_json::from_str(self.line.strip_suffix('\n')?).ok()?;
        (checkpoint.embargod == KIND).then_some(checkpoint)
    }

    /// What it says, if the owner of `server` signed exactly that.
    pub fn verified(&self, server: &Certificate) -> Option<Checkpoint> {
        let checkpoint = self.read()?;
        // The key is judged at the instant of the line, which it signed: an old line outlives its key.
        let candidates = [(server.clone(), Acceptance::Strict)];
        verify_detached(self.signature.as_bytes(), self.line.as_bytes(), &candidates, checkpoint.at).ok()?;
        Some(checkpoint)
    }

    /// As it stands in a file.
    pub fn to_text(&self) -> String {
        format!("{}{}", self.line, self.signature)
    }

    /// Reads what [`SignedCheckpoint::to_text`] gave.
    pub fn from_text(text: &str) -> Option<Self> {
        let (line, signature) = text.split_at(text.find('\n')? + 1);
        Some(Self { line: line.to_owned(), signature: signature.to_owned() })
    }
}

impl From<StoredCheckpoint> for SignedCheckpoint {
    fn from(stored: StoredCheckpoint) -> Self {
        Self { line: stored.line, signature: stored.signature }
    }
}

/// Signs and stores a checkpoint if enough was written, or enough time went by, since the newest one.
pub(super) fn make_if_due(
    store: &Store,
    server: &ServerKey,
    replica: &str,
    now: DateTime<Utc>,
) -> Result<bool, Refusal> {
    let (head, newest, life) = store.read_now(|tx| {
        tx.freeze()?;
        Ok::<_, StoreError>((tx.audit_head()?, tx.newest_checkpoint()?, tx.incarnations()?))
    })?;
    let (sequence, at) = newest.unwrap_or_default();
    let new = head.sequence - sequence;
    if new <= 0 || (new < EVERY && now - at < AT_LEAST_EVERY) {
        return Ok(false);
    }
    let life = life.into_iter().last().map(|life| life.id).unwrap_or_default();
    let signed = Checkpoint::new(head.sequence, head.hash, now, life, replica.to_owned()).sign(server)?;
    let row = StoredCheckpoint {
        sequence: head.sequence,
        line: signed.line,
        signature: signed.signature,
        made_at: now.timestamp_micros(),
    };
    Ok(store.write_now(move |tx| tx.insert_checkpoint(&row))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_stands_before_or_after_the_keys_life_signs_what_counts() {
        let now = DateTime::from_timestamp(1_780_000_000, 0).unwrap();
        let server = ServerKey::generate("<embargo@a.example>", now).unwrap();
        for days in [-20_000, -1, 0, 1, 3 * 365, 10_000] {
            let at = now + Duration::days(days);
            let said = Checkpoint::new(7, "ab".repeat(32), at, "life".to_owned(), "one".to_owned());
            let read = said.sign(&server).unwrap().verified(server.certificate());
            assert_eq!(read.map(|read| (read.sequence, read.hash)), Some((7, said.hash)), "{days} days");
        }
    }

    #[test]
    fn a_checkpoint_counts_as_it_was_signed_and_by_this_server_alone() {
        let now = DateTime::from_timestamp(1_780_000_000, 0).unwrap();
        let key = |name| ServerKey::generate(name, now - Duration::days(1)).unwrap();
        let (server, other) = (key("<embargo@a.example>"), key("<embargo@b.example>"));
        let said = Checkpoint::new(1_000, "ab".repeat(32), now, "life".to_owned(), "one".to_owned());
        let signed = said.sign(&server).unwrap();
        let read = SignedCheckpoint::from_text(&signed.to_text()).unwrap();
        assert_eq!(read, signed);
        assert_eq!(read.verified(server.certificate()), Some(said));
        assert_eq!(read.verified(other.certificate()), None);
        for (from, to) in [("1000", "1001"), ("\n", " \n"), ("one", "two"), ("2026", "2027")] {
            let changed = SignedCheckpoint { line: signed.line.replacen(from, to, 1), ..signed.clone() };
            assert_ne!(changed.line, signed.line, "{from}");
            assert_eq!(changed.verified(server.certificate()), None, "{from}");
        }
    }
}
