//! The append-only log: one row per change and per embargoed read, chained by hash.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use sha2::{Digest as _, Sha256};

use super::schema::{audit, audit_head};
use super::{StoreError, Tx, instant};
use crate::domain::id::EmbargoId;
use crate::vault::{Place, ROSTER};

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
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit)]
pub struct Chained {
    sequence: i64,
    at: i64,
    actor: String,
    action: String,
    embargo_id: String,
    object: String,
    detail_sealed: Vec<u8>,
    previous_hash: Vec<u8>,
    hash: Vec<u8>,
}

/// Where the chain is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// A row is missing, or two changed places.
    #[error("the audit log breaks at entry {0}: an entry before it was removed or moved")]
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

/// Checks that `rows`, in order, form the chain that ends in `head`.
pub fn verify_chain(rows: &[Chained], head: (i64, &[u8])) -> Result<(), ChainFault> {
    let mut previous: &[u8] = b"";
    for (expected, row) in (1..).zip(rows) {
        if row.sequence != expected || row.previous_hash != previous {
            return Err(ChainFault::Gap(expected));
        }
        if row.digest() != row.hash {
            return Err(ChainFault::Changed(expected));
        }
        previous = &row.hash;
    }
    let found = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    if found != head.0 || previous != head.1 {
        return Err(ChainFault::Truncated { found, expected: head.0 });
    }
    Ok(())
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
            let detail = self.seal(&owner, place, &entry.detail)?;
            sealed.push((entry, detail));
        }
        diesel::update(audit_head::table)
            .set(audit_head::sequence.eq(audit_head::sequence + count))
            .execute(self.db)?;
        let (last, mut hash) =
            audit_head::table
                .select((audit_head::sequence, audit_head::hash))
                .first::<(i64, Vec<u8>)>(self.db)?;
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
            diesel::insert_into(audit::table).values(&row).execute(self.db)?;
        }
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

    /// The whole log, checked. Returns how many entries there are.
    pub fn verify_audit(&mut self) -> Result<Result<i64, ChainFault>, StoreError> {
        let rows = audit::table.order(audit::sequence).select(Chained::as_select()).load(self.db)?;
        let (sequence, hash) =
            audit_head::table
                .select((audit_head::sequence, audit_head::hash))
                .first::<(i64, Vec<u8>)>(self.db)?;
        Ok(verify_chain(&rows, (sequence, &hash)).map(|()| sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(length: i64) -> Vec<Chained> {
        let mut rows: Vec<Chained> = Vec::new();
        for sequence in 1..=length {
            let mut row = Chained {
                sequence,
                at: sequence * 10,
                actor: "operator".to_owned(),
                action: "did".to_owned(),
                embargo_id: String::new(),
                object: format!("thing {sequence}"),
                detail_sealed: vec![1, 2, 3],
                previous_hash: rows.last().map(|row| row.hash.clone()).unwrap_or_default(),
                hash: Vec::new(),
            };
            row.hash = row.digest();
            rows.push(row);
        }
        rows
    }

    #[test]
    fn edits_deletions_swaps_and_a_missing_end_are_found_where_they_begin() {
        let rows = chain(5);
        let last = rows[4].hash.clone();
        let head = (5, last.as_slice());
        assert_eq!(verify_chain(&rows, head), Ok(()));
        let mut edited = rows.clone();
        edited[2].object = "other".to_owned();
        assert_eq!(verify_chain(&edited, head), Err(ChainFault::Changed(3)));
        let mut shorter = rows.clone();
        shorter.remove(1);
        assert_eq!(verify_chain(&shorter, head), Err(ChainFault::Gap(2)));
        let mut swapped = rows.clone();
        swapped.swap(3, 4);
        assert_eq!(verify_chain(&swapped, head), Err(ChainFault::Gap(4)));
        assert_eq!(verify_chain(&rows[..4], head), Err(ChainFault::Truncated { found: 4, expected: 5 }));
    }
}
