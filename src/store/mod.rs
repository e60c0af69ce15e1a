//! The only place that knows SQL.
//!
//! [`Store::write`] and [`Store::read`] run a closure in one transaction; nothing in such a closure can
//! wait or reach the network. Sealed columns are sealed and opened here, so nobody else meets them. The
//! audit rows of a transaction are written last, together with the chain's head, in that transaction.
//! The public side gets a [`Published`] and nothing else.

mod access;
mod application;
mod audit;
mod checkpoint;
mod commit;
mod delivery;
mod dialect;
mod dump;
mod embargo;
mod fix;
mod hold;
mod housekeeping;
mod keys;
mod lease;
mod lift;
mod migrations;
mod notice;
mod numbers;
mod people;
mod pg;
mod published;
mod removal;
mod roster;
mod schema;
mod server;
#[cfg(test)]
pub mod testing;
mod tries;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use chrono::{DateTime, Utc};
use diesel::connection::TransactionManager as _;
use diesel::prelude::*;
use diesel::r2d2::{Pool, PooledConnection};
use zeroize::Zeroizing;

pub use access::{
    Answers, ChallengeCertificate, ListedToken, NewToken, StoredAnswer, Token, TokenKind, TokenOwner,
};
pub use application::{ApplicationContent, StoredApplication};
pub use audit::{AuditEntry, AuditRecord, ChainFault, ChainWalk, Chained};
pub use checkpoint::{AuditHead, Incarnation, Revocation, StoredCheckpoint};
pub use delivery::{Claimed, Delivery, Frozen, FrozenHead, NewDelivery, Outcome, Recipient};
pub use dialect::Location;
use dialect::{Db, Manager};
pub use dump::TableShape;
pub use embargo::{CaseContent, StoredEmbargo};
pub use fix::{FixContent, RevisionContent, RevisionFix, StoredFix, StoredRevision};
pub use hold::Hold;
pub use keys::KekState;
pub use lease::Claim;
pub use lift::{NewAdvisory, Publication};
pub use notice::{Body, BodySubject, NewNotice, Notice, NoticeFacts};
pub use numbers::{Due, Numbers};
pub use people::{Contact, Maintainer, Packager, Project, StoredCertificate};
pub use published::{Published, PublishedFile};

use crate::vault::{DataKey, Place, ROSTER, Vault, VaultError};

/// Why the store could not do it. Holds no content.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or broke.
    #[error("the database failed: {0}")]
    Query(diesel::result::Error),
    /// The database cannot be reached.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The database broke off in the middle of a change, and it is known that nothing of it was stored.
    #[error("the database broke off, and the change was not stored: repeat it")]
    NotStored,
    /// The database broke off while a change was stored, and cannot be asked what became of it.
    #[error(
        "it is not known whether the change was stored: the database broke off at that moment and does not answer. \
         Send the same bytes with the same Idempotency-Key again, and the answer says it"
    )]
    Undecided,
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Migration(String),
    /// The database was made by a newer version.
    #[error("this database holds migration {0}, which this version does not know: run the newer embargod")]
    NewerSchema(String),
    /// What it sealed is gone for good, as it should be.
    #[error("the content of {owner} was destroyed on {on}, because its time of retention was over")]
    Destroyed {
        /// The embargo.
        owner: String,
        /// The day.
        on: String,
    },
    /// Sealing or opening failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A row breaks a rule of the domain.
    #[error("row {id} of {table} is damaged")]
    Corrupt {
        /// Its table.
        table: &'static str,
        /// Its key.
        id: String,
    },
    /// The audit log cannot be written, so nothing was done and nothing may be shown.
    #[error("the audit log cannot be written: {0}")]
    Unrecorded(Box<StoreError>),
    /// Somebody else changed it meanwhile.
    #[error("it was changed meanwhile: look at it again and repeat the change")]
    Conflict,
}

impl From<diesel::result::Error> for StoreError {
    /// Before a commit nothing is stored, so a connection that is lost in between is a database that is away.
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::DatabaseErrorKind::{
            ClosedConnection, SerializationFailure, UnableToSendCommand, UniqueViolation,
        };
        use diesel::result::Error;
        match &error {
            Error::DatabaseError(UnableToSendCommand | ClosedConnection, what) => {
                Self::Unavailable(what.message().to_owned())
            }
            Error::BrokenTransactionManager => Self::Unavailable(error.to_string()),
            Error::DatabaseError(SerializationFailure, _) => Self::NotStored,
            // What is to be new is looked for first, so somebody else made it since.
            Error::DatabaseError(UniqueViolation, _) => Self::Conflict,
            Error::DatabaseError(_, what) if dialect::is_going_away(what.message()) => {
                Self::Unavailable(what.message().to_owned())
            }
            Error::DatabaseError(_, what) if dialect::gave_way(what.message()) => Self::NotStored,
            _ => Self::Query(error),
        }
    }
}

impl StoreError {
    /// Whether it is about one thing that is damaged or destroyed, so that others need not suffer from it.
    pub fn is_about_one_thing(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::Destroyed { .. } => true,
            // Without the roster's key nothing works.
            Self::Vault(VaultError::WrongKey { owner, .. } | VaultError::Retired { owner, .. }) => {
                owner != ROSTER
            }
            Self::Vault(VaultError::Damaged { table, row, .. }) => *table != "data_keys" || row != ROSTER,
            _ => false,
        }
    }

    /// Names the thing in the log, once in the life of this process.
    pub fn say_once(&self) {
        static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        let what = self.to_string();
        if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(what.clone()) {
            tracing::error!("left out: {what}");
        }
    }

    /// Whether the vault is shut, so that only what is public can be served.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Vault(VaultError::Locked(_)))
    }

    /// Whether the database itself failed or was away, and not what one row holds.
    pub fn is_about_the_database(&self) -> bool {
        match self {
            Self::Query(_) | Self::Unavailable(_) | Self::NotStored | Self::Undecided => true,
            Self::Unrecorded(error) => error.is_about_the_database(),
            _ => false,
        }
    }

    /// Whether this replica lacks a key-encryption key that another has.
    pub fn is_for_want_of_a_key(&self) -> bool {
        matches!(self, Self::Vault(VaultError::WrongKey { .. }))
    }

    /// Whether there was no space for what was to be written.
    pub fn is_for_want_of_space(&self) -> bool {
        match self {
            Self::Query(diesel::result::Error::DatabaseError(_, what)) => {
                dialect::has_no_space(what.message())
            }
            Self::Unrecorded(error) => error.is_for_want_of_space(),
            _ => false,
        }
    }
}

/// The database, with the vault that opens what is sealed in it.
#[derive(Clone)]
pub struct Store {
    location: Location,
    writers: Pool<Manager>,
    readers: Pool<Manager>,
    vault: Arc<Vault>,
    witness: Arc<OnceLock<WitnessHook>>,
    failures: Arc<AtomicU64>,
}

/// What is called after a commit that must be remembered outside the database too.
type WitnessHook = Box<dyn Fn(&Store) + Send + Sync>;

/// One transaction. Methods by noun stand in this module's files.
pub struct Tx<'a> {
    db: &'a mut Db,
    vault: &'a Vault,
    trail: Vec<AuditEntry>,
    weighty: bool,
    /// The data keys whose rows this transaction has looked at.
    keys: HashMap<String, Arc<DataKey>>,
}

impl Store {
    /// Connects to the database at `location`.
    pub fn open(location: Location, vault: Arc<Vault>) -> Result<Self, StoreError> {
        let (writers, readers) = dialect::pools(&location)?;
        Ok(Self { location, writers, readers, vault, witness: Arc::default(), failures: Arc::default() })
    }

    /// Has `witness` called after every commit of a revocation or a publication, before anybody is told of it.
    /// The first one stays.
    pub fn call_after_weighty_commits(&self, witness: impl Fn(&Self) + Send + Sync + 'static) {
        // A second one would be for the same folder.
        let _ = self.witness.set(Box::new(witness));
    }

    /// The same database with another vault.
    #[must_use]
    pub fn with_vault(&self, vault: Vault) -> Self {
        Self { vault: Arc::new(vault), ..self.clone() }
    }

    /// Brings the schema up to date; returns how many migrations ran.
    pub fn migrate(&self) -> Result<usize, StoreError> {
        migrations::migrate(&mut *connection(&self.writers)?)
    }

    /// How many migrations are missing; [`StoreError::NewerSchema`] if this program is too old for the database.
    pub fn pending_migrations(&self) -> Result<usize, StoreError> {
        migrations::pending(&mut *connection(&self.writers)?)
    }

    /// Where the data lives.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The vault.
    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// The public side's only handle.
    pub fn published(&self) -> Published {
        Published::new(self.readers.clone())
    }

    /// Runs `work` in a transaction that may write. Everything is stored, or nothing.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let store = self.clone();
        on_blocking_thread(move || store.write_now(work)).await
    }

    /// Runs `work` in a transaction that only reads what nobody need know was read.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let store = self.clone();
        on_blocking_thread(move || store.read_now(work)).await
    }

    /// [`Store::write`] on the present thread, for commands that have nothing else to do.
    pub fn write_now<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut pooled = self.noted(connection(&self.writers))?;
        let db = &mut *pooled;
        self.noted(dialect::begin_write(db).map_err(StoreError::from))?;
        let mut tx = Tx::new(db, &self.vault);
        let outcome = work(&mut tx).and_then(|value| {
            tx.write_trail().map_err(unrecorded)?;
            Ok(value)
        });
        let weighty = tx.weighty;
        let value = outcome.inspect_err(|_| self.roll_back(tx.db))?;
        let committed = commit::commit(tx.db);
        self.failures.fetch_add(u64::from(committed.is_err()), Ordering::Relaxed);
        // What comes next takes a connection of its own, and SQLite has one writer.
        drop(pooled);
        match committed {
            Ok(()) => {}
            Err(commit::Failed::NotStored(error)) => return Err(error.into()),
            Err(commit::Failed::Unknown { number, error }) => {
                commit::resolve(&self.writers, number, &error)?;
            }
        }
        if let (true, Some(witness)) = (weighty, self.witness.get()) {
            witness(self);
        }
        Ok(value)
    }

    /// [`Store::read`] on the present thread.
    pub fn read_now<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut pooled = self.noted(connection(&self.readers))?;
        let db = &mut *pooled;
        self.noted(Transactions::begin_transaction(db).map_err(StoreError::from))?;
        let mut tx = Tx::new(db, &self.vault);
        let outcome = work(&mut tx);
        debug_assert!(tx.trail.is_empty(), "what is audited goes through write");
        match outcome {
            Ok(value) => {
                self.noted(Transactions::commit_transaction(tx.db).map_err(StoreError::from))?;
                Ok(value)
            }
            Err(error) => {
                self.roll_back(tx.db);
                Err(error)
            }
        }
    }

    /// How often a connection, or the begin or end of a transaction, failed since this was opened.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn noted<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        outcome.inspect_err(|_| {
            self.failures.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn roll_back(&self, db: &mut Db) {
        // A rollback that fails breaks the connection, which the pool then replaces.
        if Transactions::rollback_transaction(db).is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A log that cannot be written is said by its own name; a vault that is shut keeps its own.
fn unrecorded(error: StoreError) -> StoreError {
    if error.is_locked() { error } else { StoreError::Unrecorded(Box::new(error)) }
}

type Transactions = <Db as Connection>::TransactionManager;

fn finish<T, E: From<StoreError>>(db: &mut Db, outcome: Result<T, E>) -> Result<T, E> {
    match outcome {
        Ok(value) => {
            Transactions::commit_transaction(db).map_err(StoreError::from)?;
            Ok(value)
        }
        Err(error) => {
            roll_back(db);
            Err(error)
        }
    }
}

fn roll_back(db: &mut Db) {
    // A rollback that fails breaks the connection, which the pool then replaces.
    let _ = Transactions::rollback_transaction(db);
}

fn connection(pool: &Pool<Manager>) -> Result<PooledConnection<Manager>, StoreError> {
    pool.get().map_err(|error| StoreError::Unavailable(error.to_string()))
}

async fn on_blocking_thread<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable("the work was interrupted".to_owned()).into()))
}

impl<'a> Tx<'a> {
    fn new(db: &'a mut Db, vault: &'a Vault) -> Self {
        Self { db, vault, trail: Vec::new(), weighty: false, keys: HashMap::new() }
    }
}

impl Tx<'_> {
    /// The database's own clock, where replicas share one.
    pub fn shared_clock(&mut self) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(dialect::shared_clock(self.db)?)
    }

    /// From here on this transaction sees one state of the database. To be called first.
    pub fn freeze(&mut self) -> Result<(), StoreError> {
        Ok(dialect::snapshot(self.db)?)
    }

    /// Fresh random bytes, for ids.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        self.vault.entropy().bytes()
    }

    /// Notes that what this transaction does must be remembered outside the database as well.
    fn weighs(&mut self) {
        self.weighty = true;
    }

    /// The settings on which it depends whether a change that was answered survives a crash, with their values.
    pub fn durability(&mut self) -> Result<Vec<(&'static str, String)>, StoreError> {
        Ok(dialect::durability(self.db)?)
    }

    /// Runs `work` so that its failure undoes only itself.
    pub fn attempt<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        Transactions::begin_transaction(self.db).map_err(StoreError::from)?;
        let trail = self.trail.len();
        let outcome = work(self);
        if outcome.is_err() {
            self.trail.truncate(trail);
        }
        finish(self.db, outcome)
    }

    fn seal(&mut self, owner: &str, place: Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce = self.vault.entropy().bytes();
        Ok(self.key(owner)?.seal(place, plaintext, nonce))
    }

    fn open(
        &mut self,
        owner: &str,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        Ok(Zeroizing::new(self.key(owner)?.open(place, sealed)?))
    }

    fn seal_json<T: serde::Serialize>(
        &mut self,
        owner: &str,
        place: Place<'_>,
        value: &T,
    ) -> Result<Vec<u8>, StoreError> {
        let json = serde_json::to_vec(value)
            .map(Zeroizing::new)
            .map_err(|_| StoreError::Corrupt { table: place.table, id: place.row.to_owned() })?;
        self.seal(owner, place, &json)
    }

    fn open_json<T: serde::de::DeserializeOwned>(
        &mut self,
        owner: &str,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<T, StoreError> {
        let json = self.open(owner, place, sealed)?;
        serde_json::from_slice(&json)
            .map_err(|_| StoreError::Corrupt { table: place.table, id: place.row.to_owned() })
    }

    /// A keyed fingerprint of `value` for a `*_lookup` column.
    fn lookup(&mut self, kind: &str, value: &str) -> Result<Vec<u8>, StoreError> {
        Ok(self.key(ROSTER)?.lookup(kind, value))
    }
}

/// Reads a stored instant.
fn instant(micros: i64, table: &'static str, id: &str) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| corrupt(table, id))
}

fn optional_instant(
    micros: Option<i64>,
    table: &'static str,
    id: &str,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    micros.map(|micros| instant(micros, table, id)).transpose()
}

/// What is sound of many things. What is damaged is named in the log and left out, so that it holds up nothing else.
fn sound<T>(found: impl Iterator<Item = Result<T, StoreError>>) -> Result<Vec<T>, StoreError> {
    let mut kept = Vec::new();
    for one in found {
        match one {
            Ok(one) => kept.push(one),
            Err(error) if error.is_about_one_thing() => error.say_once(),
            Err(error) => return Err(error),
        }
    }
    Ok(kept)
}

fn corrupt(table: &'static str, id: &str) -> StoreError {
    StoreError::Corrupt { table, id: id.to_owned() }
}

/// Parses a stored word or id.
fn parsed<T: std::str::FromStr>(text: &str, table: &'static str, id: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| corrupt(table, id))
}

#[cfg(test)]
mod tests {
    use diesel::result::{DatabaseErrorKind, Error};

    use super::*;

    #[test]
    fn a_database_that_goes_away_is_no_failure_of_what_was_asked() {
        let said = |kind, text: &str| StoreError::from(Error::DatabaseError(kind, Box::new(text.to_owned())));
        let stopping = "terminating connection due to administrator command";
        for (kind, text) in [
            (DatabaseErrorKind::UnableToSendCommand, "connection closed"),
            (DatabaseErrorKind::ClosedConnection, "closed"),
            (DatabaseErrorKind::Unknown, stopping),
            (DatabaseErrorKind::Unknown, "the database system is shutting down"),
        ] {
            assert!(matches!(said(kind, text), StoreError::Unavailable(_)), "{text}");
        }
        assert!(matches!(said(DatabaseErrorKind::Unknown, "deadlock detected"), StoreError::NotStored));
        assert!(matches!(said(DatabaseErrorKind::SerializationFailure, "x"), StoreError::NotStored));
        assert!(matches!(said(DatabaseErrorKind::UniqueViolation, "x"), StoreError::Conflict));
        assert!(matches!(said(DatabaseErrorKind::Unknown, "syntax error"), StoreError::Query(_)));
        assert!(!said(DatabaseErrorKind::Unknown, "syntax error").is_for_want_of_space());
        for text in ["database or disk is full", "could not extend file \"x\": No space left on device"] {
            assert!(said(DatabaseErrorKind::Unknown, text).is_for_want_of_space(), "{text}");
        }
    }
}
