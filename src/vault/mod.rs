//! Keys for what lies at rest: data keys, the key-encryption key that wraps them, sealing and opening.
//!
//! One data key per embargo and one for the roster (owner [`ROSTER`]). A sealed value is bound to its
//! table, column and row, so that a value moved elsewhere does not open. Nothing here meets a database.
//! Without the key-encryption key the vault is locked: it says why, and opens nothing.

mod seal;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::entropy::Entropy;
pub use seal::{DataKey, KeyEncryptionKey, Place};

/// The owner under which the roster's data key is stored.
pub const ROSTER: &str = "roster";

/// Why something could not be sealed or opened. Never says what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// There is no usable key-encryption key.
    #[error("the vault is locked: {0}; only what is public is served")]
    Locked(String),
    /// The text is no key-encryption key.
    #[error("a key-encryption key is 64 hexadecimal digits on one line; this is not")]
    MalformedKey,
    /// A wrapped data key does not open with this key-encryption key.
    #[error(
        "the data key of {owner} does not open with key-encryption key {kek}; it belongs to {wrapped_by}"
    )]
    WrongKey {
        /// Whose data key.
        owner: String,
        /// The key that was tried.
        kek: String,
        /// The key that wrapped it.
        wrapped_by: String,
    },
    /// A sealed value was changed, moved to another place, or sealed with another key.
    #[error("{table}.{column} of row {row} does not open: it was damaged or moved")]
    Damaged {
        /// Its table.
        table: &'static str,
        /// Its column.
        column: &'static str,
        /// Its row.
        row: String,
    },
}

/// The open or locked vault of a running server. Data keys it has met stay in memory, erased on drop.
pub struct Vault {
    kek: Result<KeyEncryptionKey, String>,
    keys: Mutex<HashMap<String, Arc<DataKey>>>,
    entropy: Entropy,
}

impl Vault {
    /// A vault that opens what `kek` wrapped.
    pub fn open(kek: KeyEncryptionKey, entropy: Entropy) -> Self {
        Self { kek: Ok(kek), keys: Mutex::default(), entropy }
    }

    /// A vault that stays shut, for the given reason.
    pub fn locked(reason: impl Into<String>, entropy: Entropy) -> Self {
        Self { kek: Err(reason.into()), keys: Mutex::default(), entropy }
    }

    /// Why it is shut, if it is.
    pub fn locked_reason(&self) -> Option<&str> {
        self.kek.as_ref().err().map(String::as_str)
    }

    /// The key-encryption key.
    pub fn kek(&self) -> Result<&KeyEncryptionKey, VaultError> {
        self.kek.as_ref().map_err(|reason| VaultError::Locked(reason.clone()))
    }

    /// A fresh data key for `owner`, wrapped for storage.
    pub fn create(&self, owner: &str) -> Result<Vec<u8>, VaultError> {
        let key = DataKey::from_random(Zeroizing::new(self.entropy.bytes()));
        let wrapped = self.kek()?.wrap(owner, &key, self.entropy.bytes());
        self.lock().insert(owner.to_owned(), Arc::new(key));
        Ok(wrapped)
    }

    /// A data key met before.
    pub fn known(&self, owner: &str) -> Option<Arc<DataKey>> {
        self.lock().get(owner).cloned()
    }

    /// Unwraps a stored data key and remembers it.
    pub fn unwrap(&self, owner: &str, kek_id: &str, wrapped: &[u8]) -> Result<Arc<DataKey>, VaultError> {
        let key = Arc::new(self.kek()?.unwrap(owner, kek_id, wrapped)?);
        self.lock().insert(owner.to_owned(), Arc::clone(&key));
        Ok(key)
    }

    /// Fresh random bytes for nonces and ids.
    pub fn entropy(&self) -> &Entropy {
        &self.entropy
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<DataKey>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
