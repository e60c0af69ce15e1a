//! Whether this server holds the key-encryption keys that it needs.
//!
//! A rotation hands the new key out as a file. A service manager gives a running service the file as it was at its start,
//! so a server that does not find a prepared key says so in the database, where whoever finishes the rotation looks.

use super::{App, Refusal};

impl App {
    /// Looks for the keys in use, and says in the log and the database which one is not here.
    pub(super) fn look_for_keys(&self) -> Result<(), Refusal> {
        let missing = self.store.read_now(|tx| tx.missing_keks())?;
        let now = self.clock.now();
        for key in missing {
            if key.current_at.is_some() {
                tracing::error!(
                    "key-encryption key {} is in use and not in this server's key file: restart it with the present one",
                    key.id
                );
            } else {
                self.store.write_now(|tx| Ok::<_, Refusal>(tx.note_missed_kek(&key.id, now)?))?;
            }
        }
        Ok(())
    }
}
