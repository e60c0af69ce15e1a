//! Data keys and the key-encryption keys that wrap them: met, drawn, wrapped anew, destroyed.
//!
//! Promises: at every moment each data key is wrapped by exactly one key-encryption key, which its row names; a row
//! that names a retired one, or another data key than this server met before, is refused by name; a destroyed key is
//! said to be destroyed, and not to be damaged. The key-encryption keys themselves are never here.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::schema::{data_keys, key_encryption_keys};
use super::{StoreError, Tx, corrupt, dialect, instant, optional_instant};
use crate::domain::id::EmbargoId;
use crate::vault::{DataKey, ROSTER, VaultError};

/// A key-encryption key, as far as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KekState {
    /// Its name, which tells nothing about it.
    pub id: String,
    /// When it was made known.
    pub prepared_at: DateTime<Utc>,
    /// Since when new data keys are wrapped by it.
    pub current_at: Option<DateTime<Utc>>,
    /// Since when it wraps nothing any more.
    pub retired_at: Option<DateTime<Utc>>,
    /// When its copy was deleted here.
    pub forgotten_at: Option<DateTime<Utc>>,
    /// How many data keys it wraps.
    pub wraps: u64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = key_encryption_keys)]
struct KekRow {
    id: String,
    prepared_at: i64,
    current_at: Option<i64>,
    retired_at: Option<i64>,
    forgotten_at: Option<i64>,
}

const TABLE: &str = "key_encryption_keys";

/// Of a data key: whose it is, the key it is wrapped by, the wrapped key, when it was destroyed, and when the one it is
/// wrapped by was retired.
type DataKeyRow = (String, String, Vec<u8>, Option<i64>, Option<i64>);

/// Under what a server that misses a key-encryption key says so.
fn missed(id: &str) -> String {
    format!("missed {id}")
}

impl Tx<'_> {
    /// The data key of `owner`. Its row is looked at once in each transaction, so that a destroyed key opens nothing
    /// any more on any replica; the roster's is looked at when it is first met.
    pub(super) fn key(&mut self, owner: &str) -> Result<Arc<DataKey>, StoreError> {
        if let Some(key) = self.keys.get(owner) {
            return Ok(Arc::clone(key));
        }
        if owner == ROSTER
            && let Some(key) = self.vault.known(owner)
        {
            return Ok(key);
        }
        let rows = self.data_keys_of(&[owner]).map_err(|error| match error {
            diesel::result::Error::DeserializationError(_) => corrupt("data_keys", owner),
            other => other.into(),
        })?;
        let row = rows.into_iter().next().ok_or_else(|| corrupt("data_keys", owner))?;
        self.take_data_key(row)
    }

    /// Looks at the data keys of these embargoes in one query. What is wrong with one is said when it is used.
    pub fn look_at_keys(&mut self, embargoes: &[EmbargoId]) -> Result<(), StoreError> {
        let owners: Vec<&str> = embargoes.iter().map(EmbargoId::as_str).collect();
        let rows = match self.data_keys_of(&owners) {
            Err(diesel::result::Error::DeserializationError(_)) => return Ok(()),
            rows => rows?,
        };
        for row in rows {
            let _ = self.take_data_key(row);
        }
        Ok(())
    }

    fn data_keys_of(&mut self, owners: &[&str]) -> QueryResult<Vec<DataKeyRow>> {
        data_keys::table
            .left_join(key_encryption_keys::table.on(key_encryption_keys::id.eq(data_keys::kek_id)))
            .filter(data_keys::owner.eq_any(owners))
            .select((
                data_keys::owner,
                data_keys::kek_id,
                data_keys::wrapped,
                data_keys::destroyed_at,
                key_encryption_keys::retired_at.nullable(),
            ))
            .load(self.db)
    }

    fn take_data_key(&mut self, row: DataKeyRow) -> Result<Arc<DataKey>, StoreError> {
        let (owner, kek_id, wrapped, destroyed, retired) = row;
        if let Some(at) = optional_instant(destroyed, "data_keys", &owner)? {
            self.vault.forget(&owner);
            return Err(StoreError::Destroyed { owner, on: at.date_naive().to_string() });
        }
        if let Some(at) = optional_instant(retired, TABLE, &kek_id)? {
            self.vault.drop_kek(&kek_id);
            let retired = at.date_naive().to_string();
            return Err(VaultError::Retired { owner, kek: kek_id, retired }.into());
        }
        let key = self.vault.unwrap(&owner, &kek_id, &wrapped)?;
        self.keys.insert(owner, Arc::clone(&key));
        Ok(key)
    }

    /// Draws and stores a data key for `owner`, wrapped by the key-encryption key that is current now.
    pub(super) fn create_key(&mut self, owner: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        // Held until the end, so that no rotation passes by a key that is about to be stored.
        let states = dialect::keks_held(self.db)?;
        let current = newest(
            states.into_iter().map(|(id, current, retired)| (id, current.filter(|_| retired.is_none()))),
        );
        let kek_id = match current {
            Some(id) => id,
            None => self.first_kek(now)?,
        };
        let wrapped = self.vault.create(owner, &kek_id)?;
        diesel::insert_into(data_keys::table)
            .values((
                data_keys::owner.eq(owner),
                data_keys::kek_id.eq(kek_id),
                data_keys::wrapped.eq(wrapped),
                data_keys::created_at.eq(now.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(())
    }

    /// The key that a new installation begins with.
    fn first_kek(&mut self, now: DateTime<Utc>) -> Result<String, StoreError> {
        if let Some(reason) = self.vault.locked_reason() {
            return Err(VaultError::Locked(reason.to_owned()).into());
        }
        let id = self.vault.kek_ids().into_iter().next().ok_or_else(|| corrupt(TABLE, "current"))?;
        self.prepare_kek(&id, now)?;
        self.make_kek_current(&id, now)?;
        Ok(id)
    }

    /// Every key-encryption key there was, the oldest first.
    pub fn keks(&mut self) -> Result<Vec<KekState>, StoreError> {
        let rows = key_encryption_keys::table
            .order((key_encryption_keys::prepared_at, key_encryption_keys::id))
            .select(KekRow::as_select())
            .load(self.db)?;
        rows.into_iter()
            .map(|row| {
                let wraps = data_keys::table
                    .filter(data_keys::kek_id.eq(&row.id))
                    .filter(data_keys::destroyed_at.is_null())
                    .count()
                    .get_result::<i64>(self.db)?;
                Ok(KekState {
                    prepared_at: instant(row.prepared_at, TABLE, &row.id)?,
                    current_at: optional_instant(row.current_at, TABLE, &row.id)?,
                    retired_at: optional_instant(row.retired_at, TABLE, &row.id)?,
                    forgotten_at: optional_instant(row.forgotten_at, TABLE, &row.id)?,
                    wraps: u64::try_from(wraps).unwrap_or_default(),
                    id: row.id,
                })
            })
            .collect()
    }

    /// The key-encryption keys that this process needs, or will need once a rotation goes on, and does not hold. None
    /// while the vault is shut.
    pub fn missing_keks(&mut self) -> Result<Vec<KekState>, StoreError> {
        if self.vault.locked_reason().is_some() {
            return Ok(Vec::new());
        }
        let mut missing = self.keks()?;
        missing.retain(|state| {
            let wraps = state.wraps > 0 || state.current_at.is_none();
            state.retired_at.is_none() && wraps && !self.vault.has(&state.id)
        });
        Ok(missing)
    }

    /// Notes that a server misses a prepared key-encryption key, for whoever is about to make it current.
    pub fn note_missed_kek(&mut self, id: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.take_tick(&missed(id), now)?;
        Ok(())
    }

    /// When a server missed this key-encryption key last.
    pub fn missed_kek(&mut self, id: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.last_tick(&missed(id))
    }

    /// The key-encryption key by which new data keys are wrapped.
    pub fn current_kek(&mut self) -> Result<Option<String>, StoreError> {
        let live = self.keks()?.into_iter().filter(|kek| kek.retired_at.is_none());
        Ok(newest(live.map(|kek| (kek.id, kek.current_at.map(|at| at.timestamp_micros())))))
    }

    /// Makes a key-encryption key known that wraps nothing yet.
    pub fn prepare_kek(&mut self, id: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        diesel::insert_into(key_encryption_keys::table)
            .values((
                key_encryption_keys::id.eq(id),
                key_encryption_keys::prepared_at.eq(now.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(())
    }

    /// From now on new data keys are wrapped by `id`, later than by any other.
    pub fn make_kek_current(&mut self, id: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        // Every row is written, so that whoever holds one while a data key is stored is waited for.
        diesel::update(key_encryption_keys::table)
            .set(key_encryption_keys::prepared_at.eq(key_encryption_keys::prepared_at))
            .execute(self.db)?;
        let last = key_encryption_keys::table
            .select(diesel::dsl::max(key_encryption_keys::current_at))
            .first::<Option<i64>>(self.db)?;
        let since = last.map_or(0, |last| last + 1).max(now.timestamp_micros());
        let changed = diesel::update(key_encryption_keys::table.find(id))
            .filter(key_encryption_keys::retired_at.is_null())
            .set(key_encryption_keys::current_at.eq(Some(since)))
            .execute(self.db)?;
        if changed == 1 { Ok(()) } else { Err(corrupt(TABLE, id)) }
    }

    /// Whose data keys are not wrapped by `id`.
    pub fn owners_not_wrapped_by(&mut self, id: &str) -> Result<Vec<String>, StoreError> {
        Ok(data_keys::table
            .filter(data_keys::kek_id.ne(id))
            .filter(data_keys::destroyed_at.is_null())
            .order(data_keys::owner)
            .select(data_keys::owner)
            .load(self.db)?)
    }

    /// Wraps the data key of `owner` by `to`. Doing it again changes nothing.
    pub fn rewrap(&mut self, owner: &str, to: &str) -> Result<(), StoreError> {
        let row = data_keys::table
            .find(owner)
            .filter(data_keys::kek_id.ne(to))
            .filter(data_keys::destroyed_at.is_null())
            .select((data_keys::kek_id, data_keys::wrapped))
            .first::<(String, Vec<u8>)>(self.db)
            .optional()?;
        let Some((from, wrapped)) = row else { return Ok(()) };
        let anew = self.vault.rewrap(owner, &from, &wrapped, to)?;
        // Only in place of what was read: another run of the same may have been faster.
        diesel::update(data_keys::table.find(owner))
            .filter(data_keys::kek_id.eq(from))
            .filter(data_keys::wrapped.eq(wrapped))
            .set((data_keys::kek_id.eq(to), data_keys::wrapped.eq(anew)))
            .execute(self.db)?;
        Ok(())
    }

    /// Whether the data key of `owner`, as stored, comes out of its wrapping by `id`.
    pub fn opens(&mut self, owner: &str, id: &str) -> Result<bool, StoreError> {
        let row =
            data_keys::table
                .find(owner)
                .select((data_keys::kek_id, data_keys::wrapped))
                .first::<(String, Vec<u8>)>(self.db)?;
        Ok(row.0 == id && self.vault.rewrap(owner, id, &row.1, id).is_ok())
    }

    /// Whose data keys are wrapped by `id`.
    pub fn owners_wrapped_by(&mut self, id: &str) -> Result<Vec<String>, StoreError> {
        Ok(data_keys::table
            .filter(data_keys::kek_id.eq(id))
            .filter(data_keys::destroyed_at.is_null())
            .order(data_keys::owner)
            .select(data_keys::owner)
            .load(self.db)?)
    }

    /// Retires every key-encryption key but `current`, unless one of them wraps something: then it says whose data
    /// keys they are, and retires none. Returns the ids of those that were retired now.
    pub fn retire_keks_but(
        &mut self,
        current: &str,
        now: DateTime<Utc>,
    ) -> Result<Result<Vec<String>, Vec<String>>, StoreError> {
        // Whoever stores a data key at this moment is waited for, as in `make_kek_current`.
        diesel::update(key_encryption_keys::table)
            .set(key_encryption_keys::prepared_at.eq(key_encryption_keys::prepared_at))
            .execute(self.db)?;
        let needing = self.owners_not_wrapped_by(current)?;
        if !needing.is_empty() {
            return Ok(Err(needing));
        }
        let old = key_encryption_keys::id.ne(current).and(key_encryption_keys::retired_at.is_null());
        let ids = key_encryption_keys::table
            .filter(old)
            .order(key_encryption_keys::id)
            .select(key_encryption_keys::id)
            .load::<String>(self.db)?;
        diesel::update(key_encryption_keys::table.filter(old))
            .set(key_encryption_keys::retired_at.eq(Some(now.timestamp_micros())))
            .execute(self.db)?;
        Ok(Ok(ids))
    }

    /// Notes that a retired key's copy was deleted here. Changes nothing if a data key still needs it, or it is not
    /// retired; says whether it was noted.
    pub fn forget_kek(&mut self, id: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        if !self.owners_wrapped_by(id)?.is_empty() {
            return Ok(false);
        }
        let changed = diesel::update(key_encryption_keys::table.find(id))
            .filter(key_encryption_keys::retired_at.is_not_null())
            .set(key_encryption_keys::forgotten_at.eq(Some(now.timestamp_micros())))
            .execute(self.db)?;
        Ok(changed == 1)
    }

    /// Destroys the data key of an embargo; says whether it was there.
    pub fn destroy_key(&mut self, embargo: &EmbargoId, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let destroyed = diesel::update(data_keys::table.find(embargo.as_str()))
            .filter(data_keys::destroyed_at.is_null())
            .set((
                data_keys::wrapped.eq(Vec::new()),
                data_keys::destroyed_at.eq(Some(now.timestamp_micros())),
            ))
            .execute(self.db)?;
        self.keys.remove(embargo.as_str());
        self.vault.forget(embargo.as_str());
        Ok(destroyed == 1)
    }

    /// When the data key of an embargo was destroyed, if it was.
    pub fn destroyed_at(&mut self, embargo: &EmbargoId) -> Result<Option<DateTime<Utc>>, StoreError> {
        let at = data_keys::table
            .find(embargo.as_str())
            .select(data_keys::destroyed_at)
            .first::<Option<i64>>(self.db)
            .optional()?;
        optional_instant(at.flatten(), "data_keys", embargo.as_str())
    }
}

/// The one that became current last.
fn newest(keks: impl Iterator<Item = (String, Option<i64>)>) -> Option<String> {
    keks.filter_map(|(id, current)| Some((current?, id))).max().map(|(_, id)| id)
}
