//! The append-only log: one row per change and per embargoed read, chained by hash.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::schema::{audit, audit_head};
use super::{StoreError, Tx, dialect, instant};
use crate::domain::hex;
use crate::domain::id::EmbargoId;
use crate::vault::{Place, ROSTER};

/// How many entries are in memory at once while all are looked at.
const AT_ONCE: i64 = 1_000;

/// What is to be written down about one change or read.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// Who: `maintainer:ID`, `contact:ID`, `operator` or `server`.
    pub actor: String,
    /// What was done, in a few words without content.
    pub action: &'static str,
    /// The embargo it concerns, if one.
    pub embargo: Option<EmbargoId>,
    /// The opaque id of the thing it was done to.
    pub object: String,
    /// Proof or detail, sealed: the signed command, a reason.
    pub detail: Vec<u8>,
}

/// One row of the log, opened.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    /// Its place in the chain, from 1.
    pub sequence: i64,
    /// What happened.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// The opaque id of the thing it was done to.
    pub object: String,
}

/// One row as the chain sees it.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = audit)]
#[serde(deny_unknown_fields)]
pub struct Chained {
    sequence: i64,
    at: i64,
    actor: String,
    action: String,
    embargo_id: String,
    object: String,
    #[serde(with = "in_hex")]
    detail_sealed: Vec<u8>,
    #[serde(with = "in_hex")]
    previous_hash: Vec<u8>,
    #[serde(with = "in_hex")]
    hash: Vec<u8>,
}

/// Bytes as lower-case hex, in exported entries.
mod in_hex {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::domain::{hex, unhex};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        unhex(&text).ok_or_else(|| serde::de::Error::custom("expected hexadecimal digits"))
    }
}

/// The first entry at which the log is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// A row is missing.
    #[error("the audit log breaks at entry {0}: it, or an entry in its place, was removed or moved")]
    Gap(i64),
    /// A row was changed.
    #[error("the audit log breaks at entry {0}: it was changed after it was written")]
    Changed(i64),
    /// The end is missing.
    #[error("the audit log ends at entry {found}, but {expected} entries were written: its end was removed")]
    Truncated {
        /// Entries found.
        found: i64,
        /// Entries written.
        expected: i64,
    },
    /// The head names an older entry than the last, or another hash.
    #[error("the audit log has {found} entries, and its head names entry {named}: the head was set back")]
    Head {
        /// Entries found.
        found: i64,
        /// The entry that the head names.
        named: i64,
    },
    /// The hashes fit each other, and are not those that were signed.
    #[error(
        "the audit log was written anew from entry {first} on, or from one after it up to {signed}: what was \
         signed of entry {signed} does not fit"
    )]
    Rewritten {
        /// The first entry that no signature confirms any more.
        first: i64,
        /// The entry whose signed hash is another one.
        signed: i64,
    },
    /// There is no head: how many entries there are was removed.
    #[error("the audit log has {0} entries and no head: it was removed, and entries perhaps with it")]
    Headless(i64),
    /// What is remembered of the log outside the database cannot be used.
    #[error(
        "what this machine remembers of the audit log is damaged or cannot be read: the file anchor in the state \
         directory"
    )]
    Anchor,
    /// What stands as signed was not signed by this server.
    #[error("the checkpoint at entry {0} was not signed by this server: it was put there or changed")]
    Forged(i64),
}

impl ChainFault {
    /// The first entry that is not what was written, as far as it can be told.
    pub fn entry(&self) -> i64 {
        match self {
            Self::Gap(entry) | Self::Changed(entry) | Self::Forged(entry) => *entry,
            Self::Truncated { found, .. } | Self::Headless(found) => found + 1,
            Self::Anchor => 0,
            Self::Head { named, .. } => named + 1,
            Self::Rewritten { first, .. } => *first,
        }
    }
}

impl Chained {
    fn digest(&self) -> Vec<u8> {
        let mut digest = Sha256::new();
        digest.update(b"embargod audit 1\0");
        digest.update(self.sequence.to_be_bytes());
        digest.update(self.at.to_be_bytes());
        let texts = [&self.actor, &self.action, &self.embargo_id, &self.object].map(|text| text.as_bytes());
        for part in texts.into_iter().chain([&self.detail_sealed[..], &self.previous_hash[..]]) {
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().to_vec()
    }
}

/// Follows the chain from its first entry to its last, one at a time.
#[derive(Debug)]
pub struct ChainWalk {
    /// What was signed of some entries: their numbers and hashes, in lower-case hex.
    signed: BTreeMap<i64, String>,
    length: i64,
    last: Vec<u8>,
    confirmed: i64,
}

impl ChainWalk {
    /// A walk that compares what it meets with what was `signed`, by entry.
    pub fn new(signed: BTreeMap<i64, String>) -> Self {
        Self { signed, length: 0, last: Vec::new(), confirmed: 0 }
    }

    /// Takes the next entry.
    pub fn step(&mut self, row: &Chained) -> Result<(), ChainFault> {
        let expected = self.length + 1;
        if row.sequence != expected {
            return Err(ChainFault::Gap(expected));
        }
        if row.digest() != row.hash {
            return Err(ChainFault::Changed(expected));
        }
        if row.previous_hash != self.last {
            // This entry is as it was written, so the one before it is not.
            return Err(if self.length == 0 { ChainFault::Gap(1) } else { ChainFault::Changed(self.length) });
        }
        if let Some(hash) = self.signed.get(&expected) {
            if *hash != hex(&row.hash) {
                return Err(ChainFault::Rewritten { first: self.confirmed + 1, signed: expected });
            }
            self.confirmed = expected;
        }
        self.length = expected;
        self.last.clone_from(&row.hash);
        Ok(())
    }

    /// Ends the walk at the head that the database names; says how many entries there are and how many of them
    /// a signature confirms.
    pub fn end(self, head: Option<(i64, &[u8])>) -> Result<(i64, i64), ChainFault> {
        let found = self.length;
        let named = head.map_or(0, |head| head.0);
        let written = self.signed.last_key_value().map_or(0, |(sequence, _)| *sequence).max(named);
        if written > found {
            return Err(ChainFault::Truncated { found, expected: written });
        }
        let Some((_, hash)) = head else { return Err(ChainFault::Headless(found)) };
        if named < found {
            return Err(ChainFault::Head { found, named });
        }
        if hash != self.last {
            return Err(ChainFault::Changed(found));
        }
        Ok((found, self.confirmed))
    }
}

impl Tx<'_> {
    /// Notes what this transaction does; written when it commits.
    pub fn audit(&mut self, entry: AuditEntry) {
        self.trail.push(entry);
    }

    /// Writes the noted entries. The head's row is locked here, as the last lock of the transaction.
    pub(super) fn write_trail(&mut self) -> Result<(), StoreError> {
        let trail = std::mem::take(&mut self.trail);
        let Ok(count @ 1..) = i64::try_from(trail.len()) else { return Ok(()) };
        let mut sealed = Vec::with_capacity(trail.len());
        for entry in trail {
            let owner = entry.embargo.as_ref().map_or(ROSTER, EmbargoId::as_str).to_owned();
            let place = Place { table: "audit", column: "detail", row: &entry.object };
            let detail = match self.seal(&owner, place, &entry.detail) {
                // What is done after a case's content was destroyed is written down all the same.
                Err(StoreError::Destroyed { .. }) => self.seal(ROSTER, place, &entry.detail)?,
                sealed => sealed?,
            };
            sealed.push((entry, detail));
        }
        diesel::update(audit_head::table)
            .set(audit_head::sequence.eq(audit_head::sequence + count))
            .execute(self.db)?;
        let (last, mut hash) =
            audit_head::table
                .select((audit_head::sequence, audit_head::hash))
                .first::<(i64, Vec<u8>)>(self.db)?;
        let mut rows = Vec::with_capacity(sealed.len());
        for (sequence, (entry, detail_sealed)) in (last - count + 1..).zip(sealed) {
            let mut row = Chained {
                sequence,
                at: entry.at.timestamp_micros(),
                actor: entry.actor,
                action: entry.action.to_owned(),
                embargo_id: entry.embargo.map(|id| id.to_string()).unwrap_or_default(),
                object: entry.object,
                detail_sealed,
                previous_hash: std::mem::take(&mut hash),
                hash: Vec::new(),
            };
            row.hash = row.digest();
            hash.clone_from(&row.hash);
            rows.push(row);
        }
        dialect::on_backend!(&mut *self.db, |connection| {
            diesel::insert_into(audit::table).values(&rows).execute(connection)
        })?;
        diesel::update(audit_head::table).set(audit_head::hash.eq(hash)).execute(self.db)?;
        Ok(())
    }

    /// The newest entries about an embargo, newest first.
    pub fn audit_of(&mut self, embargo: &EmbargoId, count: i64) -> Result<Vec<AuditRecord>, StoreError> {
        let rows = audit::table
            .filter(audit::embargo_id.eq(embargo.as_str()))
            .order(audit::sequence.desc())
            .limit(count)
            .select((audit::sequence, audit::at, audit::actor, audit::action, audit::object))
            .load::<(i64, i64, String, String, String)>(self.db)?;
        rows.into_iter()
            .map(|(sequence, at, actor, action, object)| {
                let at = instant(at, "audit", &sequence.to_string())?;
                Ok(AuditRecord { sequence, at, actor, action, object })
            })
            .collect()
    }

    /// Shows every entry to `look`, in order, a batch in memory at a time; ends with the head, if there is one.
    /// While a server writes, the transaction has to begin with [`Tx::freeze`].
    pub fn walk_audit<E: From<StoreError>>(
        &mut self,
        mut look: impl FnMut(&Chained) -> Result<(), E>,
    ) -> Result<Option<(i64, Vec<u8>)>, E> {
        let mut last = i64::MIN;
        loop {
            let rows = audit::table
                .filter(audit::sequence.gt(last))
                .order(audit::sequence)
                .limit(AT_ONCE)
                .select(Chained::as_select())
                .load(self.db)
                .map_err(StoreError::from)?;
            let Some(end) = rows.last() else { break };
            last = end.sequence;
            rows.iter().try_for_each(&mut look)?;
        }
        let head = audit_head::table.select((audit_head::sequence, audit_head::hash)).first(self.db);
        Ok(head.optional().map_err(StoreError::from)?)
    }

    /// The whole log, checked against itself. Returns how many entries there are.
    pub fn verify_audit(&mut self) -> Result<Result<i64, ChainFault>, StoreError> {
        let verdict = self.verify_audit_against(BTreeMap::new())?;
        Ok(verdict.map(|(entries, _)| entries))
    }

    /// The whole log, checked against itself and what was signed of it: how many entries there are, and how
    /// many a signature confirms.
    pub fn verify_audit_against(
        &mut self,
        signed: BTreeMap<i64, String>,
    ) -> Result<Result<(i64, i64), ChainFault>, StoreError> {
        let mut walk = ChainWalk::new(signed);
        let mut fault = None;
        let head = self.walk_audit(|row| {
            if fault.is_none() {
                fault = walk.step(row).err();
            }
            Ok::<_, StoreError>(())
        })?;
        Ok(match fault {
            Some(fault) => Err(fault),
            None => walk.end(head.as_ref().map(|(sequence, hash)| (*sequence, &hash[..]))),
        })
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
