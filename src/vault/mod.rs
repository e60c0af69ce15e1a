//! Keys for what lies at rest: data keys, the key-encryption key that wraps them, sealing and opening.
//!
//! One data key per embargo and one for the roster (owner [`ROSTER`]). A sealed value is bound to its
//! table, column and row, so that a value moved elsewhere does not open. Nothing here meets a database.
//! Without the key-encryption key the vault is locked: it says why, and opens nothing. While one key-encryption key
//! takes the place of another, the vault holds both; which of them wraps what is said by whoever stores it.

mod seal;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

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
    /// A data key is wrapped by a key-encryption key that was retired.
    #[error(
        "the data key of {owner} is wrapped by key-encryption key {kek}, which was retired on {retired}: the row was put \
         back from before that rotation"
    )]
    Retired {
        /// Whose data key.
        owner: String,
        /// The retired key.
        kek: String,
        /// The day on which it was retired.
        retired: String,
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

/// Where key-encryption keys are looked for again when a data key is wrapped by one that was not met yet: a rotation
/// hands out the new key while servers run.
pub type KeySource = Arc<dyn Fn() -> Vec<KeyEncryptionKey> + Send + Sync>;

/// The open or locked vault of a running server. Data keys it has met stay in memory, erased on drop.
pub struct Vault {
    locked: Option<String>,
    ring: RwLock<BTreeMap<String, Arc<KeyEncryptionKey>>>,
    source: Option<KeySource>,
    met: Mutex<HashMap<String, Met>>,
    entropy: Entropy,
}

/// A data key, and the wrapping it came out of.
struct Met {
    key: Arc<DataKey>,
    wrapped: Vec<u8>,
}

impl Vault {
    /// A vault that opens what `kek` wrapped.
    pub fn open(kek: KeyEncryptionKey, entropy: Entropy) -> Self {
        let ring = RwLock::new(BTreeMap::from([(kek.id(), Arc::new(kek))]));
        Self { locked: None, ring, source: None, met: Mutex::default(), entropy }
    }

    /// A vault that stays shut, for the given reason.
    pub fn locked(reason: impl Into<String>, entropy: Entropy) -> Self {
        let locked = Some(reason.into());
        Self { locked, ring: RwLock::default(), source: None, met: Mutex::default(), entropy }
    }

    /// The same vault, which looks for keys it does not have in `source`. One that is shut stays shut.
    #[must_use]
    pub fn with_source(self, source: Option<KeySource>) -> Self {
        Self { source, ..self }
    }

    /// Why it is shut, if it is.
    pub fn locked_reason(&self) -> Option<&str> {
        self.locked.as_deref()
    }

    /// The ids of the key-encryption keys it holds now.
    pub fn kek_ids(&self) -> Vec<String> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Whether it holds this key-encryption key, or finds it now. One that is shut holds none.
    pub fn has(&self, id: &str) -> bool {
        matches!(self.kek(id), Ok(Some(_)))
    }

    /// Takes one more key-encryption key.
    pub fn add(&self, kek: KeyEncryptionKey) {
        self.ring.write().unwrap_or_else(PoisonError::into_inner).insert(kek.id(), Arc::new(kek));
    }

    /// Drops a key-encryption key that wraps nothing any more.
    pub fn drop_kek(&self, id: &str) {
        self.ring.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// The key-encryption key of this id, read anew if it was not met yet; nothing if it is nowhere.
    fn kek(&self, id: &str) -> Result<Option<Arc<KeyEncryptionKey>>, VaultError> {
        if let Some(reason) = &self.locked {
            return Err(VaultError::Locked(reason.clone()));
        }
        let find = || self.ring.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some(kek) = find() {
            return Ok(Some(kek));
        }
        if let Some(source) = &self.source {
            // Only the one that is asked for: a retired key that still lies about is not taken up again.
            source().into_iter().filter(|kek| kek.id() == id).for_each(|kek| self.add(kek));
        }
        Ok(find())
    }

    fn needed(&self, owner: &str, id: &str) -> Result<Arc<KeyEncryptionKey>, VaultError> {
        self.kek(id)?.ok_or_else(|| VaultError::WrongKey {
            owner: owner.to_owned(),
            kek: self.kek_ids().join(", "),
            wrapped_by: id.to_owned(),
        })
    }

    /// A fresh data key for `owner`, wrapped for storage by the key-encryption key `kek_id`.
    pub fn create(&self, owner: &str, kek_id: &str) -> Result<Vec<u8>, VaultError> {
        let key = DataKey::from_random(Zeroizing::new(self.entropy.bytes()));
        let wrapped = self.needed(owner, kek_id)?.wrap(owner, &key, self.entropy.bytes());
        self.remember(owner, Arc::new(key), &wrapped);
        Ok(wrapped)
    }

    /// A data key met before.
    pub fn known(&self, owner: &str) -> Option<Arc<DataKey>> {
        self.lock().get(owner).map(|met| Arc::clone(&met.key))
    }

    /// Forgets a data key, because it was destroyed.
    pub fn forget(&self, owner: &str) {
        self.lock().remove(owner);
    }

    /// Unwraps a stored data key and remembers it. A wrapping that changed since the key was met has to hold the
    /// same key; while its key-encryption key is not here yet, the key that was met goes on.
    pub fn unwrap(&self, owner: &str, kek_id: &str, wrapped: &[u8]) -> Result<Arc<DataKey>, VaultError> {
        let met = self.lock().get(owner).map(|met| (Arc::clone(&met.key), met.wrapped == wrapped));
        let kek = match (met, self.kek(kek_id)?) {
            (Some((key, true)), _) | (Some((key, false)), None) => return Ok(key),
            (Some((known, false)), Some(kek)) => {
                let key = kek.unwrap(owner, kek_id, wrapped)?;
                if !known.is(&key) {
                    return Err(seal::damaged_key(owner));
                }
                self.remember(owner, Arc::clone(&known), wrapped);
                return Ok(known);
            }
            (None, Some(kek)) => kek,
            (None, None) => self.needed(owner, kek_id)?,
        };
        let key = Arc::new(kek.unwrap(owner, kek_id, wrapped)?);
        self.remember(owner, Arc::clone(&key), wrapped);
        Ok(key)
    }

    /// Wraps the data key of `owner`, as stored, by another key-encryption key. The data key stays what it is.
    pub fn rewrap(&self, owner: &str, from: &str, wrapped: &[u8], to: &str) -> Result<Vec<u8>, VaultError> {
        let key = self.needed(owner, from)?.unwrap(owner, from, wrapped)?;
        Ok(self.needed(owner, to)?.wrap(owner, &key, self.entropy.bytes()))
    }

    /// Fresh random bytes for nonces and ids.
    pub fn entropy(&self) -> &Entropy {
        &self.entropy
    }

    fn remember(&self, owner: &str, key: Arc<DataKey>, wrapped: &[u8]) {
        self.lock().insert(owner.to_owned(), Met { key, wrapped: wrapped.to_vec() });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Met>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
