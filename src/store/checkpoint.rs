//! What is remembered of the database outside it, and what that is compared with: the head of the audit log,
//! signed checkpoints, the lives of this database, and what must never be undone by an older copy.
//!
//! Knows lines and signatures as text; who signs and who keeps files is `app`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::dialect::{self, Db};
use super::schema::{advisories, audit, audit_head, checkpoints, incarnations};
use super::{StoreError, Tx, instant, parsed};
use crate::domain::hex;

/// How far the audit log reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// The number of its last entry.
    pub sequence: i64,
    /// That entry's hash, lower-case hex.
    pub hash: String,
}

/// A line about one entry of the log, with the server's signature over it.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = checkpoints)]
pub struct StoredCheckpoint {
    /// The entry.
    pub sequence: i64,
    /// What was signed, with its end of line.
    pub line: String,
    /// The armored detached signature.
    pub signature: String,
    /// When, in microseconds.
    pub made_at: i64,
}

dialect::insertable_once!(StoredCheckpoint, checkpoints);

/// A life of the database: until a restore, or until the operator's word to go on with an older copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incarnation {
    /// Its place, from 1.
    pub number: i32,
    /// Random, 26 letters and digits.
    pub id: String,
}

/// Something that was ended for good: a token, a certificate, a person, a place in a project.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revocation {
    /// One of the words in `KINDS`.
    pub kind: &'static str,
    /// Its id; of a place, two with a slash between.
    pub id: String,
    /// When, in microseconds.
    pub at: i64,
}

struct Kind {
    word: &'static str,
    table: &'static str,
    key: &'static str,
    ended: &'static str,
    /// Since when it counts: what was given again after it had ended stays given.
    given: &'static str,
}

const PLACE_OF_MAINTAINER: &str = "project_id || '/' || maintainer_id";
const PLACE_OF_PACKAGER: &str = "project_id || '/' || packager_id";

const fn kind(
    word: &'static str,
    table: &'static str,
    key: &'static str,
    ended: &'static str,
    given: &'static str,
) -> Kind {
    Kind { word, table, key, ended, given }
}

/// What can be ended, and where that stands.
const KINDS: [Kind; 7] = [
    kind("token", "tokens", "id", "revoked_at", "created_at"),
    kind("certificate", "certificates", "id", "revoked_at", "created_at"),
    kind("maintainer", "maintainers", "id", "removed_at", "created_at"),
    kind("decider", "project_maintainers", PLACE_OF_MAINTAINER, "removed_at", "created_at"),
    kind("packager", "packagers", "id", "removed_at", "created_at"),
    kind("contact", "contacts", "id", "removed_at", "created_at"),
    kind("membership", "memberships", PLACE_OF_PACKAGER, "removed_at", "approved_at"),
];

impl Revocation {
    /// Reads what `Revocation::to_string` gave; nothing if it is not that, as of a line that was cut off.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (word, id, at) = (words.next()?, words.next()?, words.next()?);
        let kind = KINDS.iter().find(|kind| kind.word == word)?;
        let parts = if kind.key == "id" { 1 } else { 2 };
        let is_id = |text: &str| text.len() == 26 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let right = id.split('/').count() == parts && id.split('/').all(is_id) && words.next().is_none();
        let at = DateTime::parse_from_rfc3339(at).ok()?.timestamp_micros();
        right.then(|| Self { kind: kind.word, id: id.to_owned(), at })
    }
}

impl std::fmt::Display for Revocation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = DateTime::from_timestamp_micros(self.at).unwrap_or_default();
        let at = at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        write!(formatter, "{} {} {at}", self.kind, self.id)
    }
}

#[derive(QueryableByName)]
struct EndedRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = BigInt)]
    at: i64,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Tx<'_> {
    /// How far the audit log reaches.
    pub fn audit_head(&mut self) -> Result<AuditHead, StoreError> {
        let (sequence, hash) =
            audit_head::table
                .select((audit_head::sequence, audit_head::hash))
                .first::<(i64, Vec<u8>)>(self.db)?;
        Ok(AuditHead { sequence, hash: hex(&hash) })
    }

    /// The hash of an entry, lower-case hex.
    pub fn audit_hash(&mut self, sequence: i64) -> Result<Option<String>, StoreError> {
        let hash = audit::table.find(sequence).select(audit::hash).first::<Vec<u8>>(self.db).optional()?;
        Ok(hash.map(|hash| hex(&hash)))
    }

    /// Every checkpoint, in order.
    pub fn checkpoints(&mut self) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let all = checkpoints::table.order(checkpoints::sequence);
        Ok(all.select(StoredCheckpoint::as_select()).load(self.db)?)
    }

    /// The entry of the newest checkpoint and when that was made.
    pub fn newest_checkpoint(&mut self) -> Result<Option<(i64, DateTime<Utc>)>, StoreError> {
        let newest = checkpoints::table
            .order(checkpoints::sequence.desc())
            .select((checkpoints::sequence, checkpoints::made_at))
            .first::<(i64, i64)>(self.db)
            .optional()?;
        newest.map(|(sequence, at)| Ok((sequence, instant(at, "checkpoints", "newest")?))).transpose()
    }

    /// Stores a checkpoint, unless another replica signed one of the same entry.
    pub fn insert_checkpoint(&mut self, checkpoint: &StoredCheckpoint) -> Result<bool, StoreError> {
        Ok(dialect::insert_if_absent(self.db, checkpoint)?)
    }

    /// The lives of this database, the present one last; none if it is from before they were counted.
    pub fn incarnations(&mut self) -> Result<Vec<Incarnation>, StoreError> {
        let rows = incarnations::table
            .order(incarnations::number)
            .select((incarnations::number, incarnations::id))
            .load::<(i32, String)>(self.db)?;
        Ok(rows.into_iter().map(|(number, id)| Incarnation { number, id }).collect())
    }

    /// Begins a new life.
    pub fn begin_incarnation(&mut self, now: DateTime<Utc>) -> Result<Incarnation, StoreError> {
        let id = crate::domain::id::TokenId::from_random(self.random()).to_string();
        self.insert_incarnation(id, now)
    }

    /// Takes down a life that this database has not seen and whose memory is given up.
    pub fn give_up_incarnation(&mut self, id: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        if !self.incarnations()?.iter().any(|life| life.id == id) {
            self.insert_incarnation(id.to_owned(), now)?;
        }
        Ok(())
    }

    fn insert_incarnation(&mut self, id: String, now: DateTime<Utc>) -> Result<Incarnation, StoreError> {
        let number = self.incarnations()?.last().map_or(1, |last| last.number + 1);
        diesel::insert_into(incarnations::table)
            .values((
                incarnations::number.eq(number),
                incarnations::id.eq(&id),
                incarnations::began_at.eq(now.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(Incarnation { number, id })
    }

    /// What was ended at `since` or later, in microseconds.
    pub fn revocations_since(&mut self, since: i64) -> Result<Vec<Revocation>, StoreError> {
        let mut all = Vec::new();
        for Kind { word, table, key, ended, .. } in KINDS {
            let query = diesel::sql_query(format!(
                "SELECT {key} AS id, {ended} AS at FROM {table} WHERE {ended} >= {since} ORDER BY {ended}"
            ));
            let rows: Vec<EndedRow> =
                dialect::on_backend!(&mut *self.db, |connection| query.load(connection))?;
            all.extend(rows.into_iter().map(|row| Revocation { kind: word, id: row.id, at: row.at }));
        }
        Ok(all)
    }

    /// Ends what an older copy of the database does not know to have ended; says whether that was so. What was
    /// given again since stays.
    pub fn revoke_again(&mut self, revocation: &Revocation) -> Result<bool, StoreError> {
        let Revocation { kind, id, at } = revocation;
        let Some(Kind { table, key, ended, given, .. }) = KINDS.iter().find(|known| known.word == *kind)
        else {
            return Ok(false);
        };
        // The id holds letters, digits and one slash: it was parsed.
        let lives = format!("{key} = '{id}' AND {ended} IS NULL AND {given} <= {at}");
        let query = diesel::sql_query(format!("SELECT count(*) AS count FROM {table} WHERE {lives}"));
        let live: Count = dialect::on_backend!(&mut *self.db, |connection| query.get_result(connection))?;
        if live.count == 0 {
            return Ok(false);
        }
        let then = instant(*at, "revocations", id)?;
        // Who is removed gives up more than a date says.
        match *kind {
            "contact" => self.remove_contact(&parsed(id, "contacts", id)?, then)?,
            "maintainer" => self.remove_maintainer(&parsed(id, "maintainers", id)?, then)?,
            "packager" => self.remove_packager(&parsed(id, "packagers", id)?, then)?,
            "certificate" => self.revoke_certificate(&parsed(id, "certificates", id)?, then)?,
            _ => {
                let query = diesel::sql_query(format!("UPDATE {table} SET {ended} = {at} WHERE {lives}"));
                dialect::on_backend!(&mut *self.db, |connection| query.execute(connection))?;
            }
        }
        Ok(true)
    }

    /// Public ids and instants of what was published at `since` or later, in microseconds.
    pub fn published_since(&mut self, since: i64) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(advisories::table
            .filter(advisories::published_at.ge(since))
            .order(advisories::published_at)
            .select((advisories::id, advisories::published_at))
            .load(self.db)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_about_something_ended_is_read_back_and_one_that_was_cut_off_is_not() {
        let (one, two) = ["7", "k"].map(|letter| letter.repeat(26)).into();
        for (kind, id) in [("token", one.clone()), ("membership", format!("{one}/{two}"))] {
            let revocation = Revocation { kind, id, at: 1_780_000_000_123_456 };
            let line = revocation.to_string();
            assert_eq!(Revocation::parse(&line), Some(revocation));
            for end in 0..line.len() {
                assert_eq!(Revocation::parse(&line[..end]), None, "{}", &line[..end]);
            }
        }
        for wrong in ["token", "token ' OR 1=1 2026-06-10T00:00:00Z", "person 7 2026-06-10T00:00:00Z"] {
            assert_eq!(Revocation::parse(wrong), None, "{wrong}");
        }
    }
}
