//! The only place that knows which SQL it speaks: connecting, beginning, upserts, claims.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use diesel::prelude::*;
use diesel::r2d2::{ManageConnection, Pool};
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::StoreError;
use super::pg::PgConn;
use super::schema;

/// One connection to either database; queries are written once.
#[derive(diesel::MultiConnection)]
#[expect(clippy::large_enum_variant, reason = "there are a handful of connections, and none is moved")]
pub enum Db {
    /// Several replicas share it.
    Postgres(PgConn),
    /// The embedded default.
    Sqlite(SqliteConnection),
}

/// Runs one query text with the full feature set of the database behind `$db`.
macro_rules! on_backend {
    ($db:expr, |$connection:ident| $body:expr) => {
        match $db {
            $crate::store::dialect::Db::Postgres($connection) => $body,
            $crate::store::dialect::Db::Sqlite($connection) => $body,
        }
    };
}
pub(super) use on_backend;

/// Where the data lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file on this machine.
    Sqlite(PathBuf),
    /// A server, by `postgres://` address. With `pooler=transaction` in it a pooler stands in between that hands out
    /// its connections by the transaction.
    Postgres(String),
}

impl Location {
    /// Reads `postgres://…`, `sqlite:PATH`, or a bare path.
    pub fn parse(text: &str) -> Self {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Self::Postgres(text.to_owned())
        } else {
            Self::Sqlite(PathBuf::from(text.strip_prefix("sqlite:").unwrap_or(text)))
        }
    }

    /// `sqlite` or `postgres`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

/// Makes connections for the pool.
#[derive(Debug)]
pub(super) struct Manager(pub(super) Location);

impl ManageConnection for Manager {
    type Connection = Db;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Db, Self::Error> {
        match &self.0 {
            Location::Postgres(url) => {
                PgConn::connect(url).map(Db::Postgres).map_err(diesel::r2d2::Error::ConnectionError)
            }
            Location::Sqlite(path) => {
                let mut connection = SqliteConnection::establish(&path.to_string_lossy())
                    .map_err(diesel::r2d2::Error::ConnectionError)?;
                connection
                    .batch_execute(
                        "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; \
                         PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; \
                         PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY;",
                    )
                    .map_err(diesel::r2d2::Error::QueryError)?;
                Ok(Db::Sqlite(connection))
            }
        }
    }

    fn is_valid(&self, db: &mut Db) -> Result<(), Self::Error> {
        db.batch_execute("SELECT 1").map_err(diesel::r2d2::Error::QueryError)
    }

    fn has_broken(&self, db: &mut Db) -> bool {
        <Db as Connection>::TransactionManager::is_broken_transaction_manager(db)
    }
}

/// The pools for changes and for reads. SQLite has one writer; PostgreSQL shares one pool.
pub(super) fn pools(location: &Location) -> Result<(Pool<Manager>, Pool<Manager>), StoreError> {
    let build = |size: u32| {
        Pool::builder()
            .max_size(size)
            .min_idle(Some(1))
            .idle_timeout(None)
            .max_lifetime(None)
            .connection_timeout(Duration::from_secs(10))
            .test_on_check_out(matches!(location, Location::Postgres(_)))
            .build(Manager(location.clone()))
            .map_err(|error| StoreError::Unavailable(error.to_string()))
    };
    match location {
        Location::Sqlite(_) => Ok((build(1)?, build(4)?)),
        Location::Postgres(_) => {
            let pool = build(8)?;
            Ok((pool.clone(), pool))
        }
    }
}

/// Whether a pooler stands in between that hands out its connections by the transaction.
pub(super) fn is_pooled(db: &Db) -> bool {
    matches!(db, Db::Postgres(connection) if connection.is_pooled())
}

/// Begins a transaction that may write: SQLite takes its write lock at once.
pub(super) fn begin_write(db: &mut Db) -> QueryResult<()> {
    match db {
        Db::Sqlite(connection) => {
            AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")
        }
        Db::Postgres(connection) => <PgConn as Connection>::TransactionManager::begin_transaction(connection),
    }
}

/// Whether PostgreSQL says that it is being stopped or started: diesel knows no kind of error for that.
pub(super) fn is_going_away(message: &str) -> bool {
    ["terminating connection", "the database system is"].iter().any(|words| message.contains(words))
}

/// Whether there is no space for what was to be written, in SQLite's words or PostgreSQL's.
pub(super) fn has_no_space(message: &str) -> bool {
    ["database or disk is full", "No space left on device"].iter().any(|words| message.contains(words))
}

/// Whether PostgreSQL ended a transaction in favour of another that waited for it.
pub(super) fn gave_way(message: &str) -> bool {
    message.contains("deadlock detected")
}

/// Lets the transaction that has just begun see one state of the database; SQLite's always do.
pub(super) fn snapshot(db: &mut Db) -> QueryResult<()> {
    match db {
        Db::Sqlite(_) => Ok(()),
        Db::Postgres(connection) => connection.freeze(),
    }
}

/// The number of the present transaction, if it wrote something and the database can be asked about it later.
pub(super) fn transaction_number(db: &mut Db) -> QueryResult<Option<i64>> {
    match db {
        Db::Sqlite(_) => Ok(None),
        Db::Postgres(connection) => diesel::select(diesel::dsl::sql::<Nullable<BigInt>>(
            "pg_current_xact_id_if_assigned()::text::bigint",
        ))
        .get_result(connection),
    }
}

/// What became of a transaction: `committed`, `aborted` or `in progress`.
pub(super) fn transaction_status(db: &mut Db, number: i64) -> QueryResult<String> {
    match db {
        Db::Sqlite(_) => Err(diesel::result::Error::NotFound),
        // In a transaction of its own, since a pooler may stand in between.
        Db::Postgres(connection) => connection.transaction(|connection| {
            let query = format!("coalesce(pg_xact_status('{number}'::xid8), 'forgotten')");
            diesel::select(diesel::dsl::sql::<Text>(&query)).get_result(connection)
        }),
    }
}

/// The database's own clock, where it has one that other replicas share.
pub(super) fn shared_clock(db: &mut Db) -> QueryResult<Option<DateTime<Utc>>> {
    match db {
        Db::Sqlite(_) => Ok(None),
        Db::Postgres(connection) => {
            let micros: i64 = diesel::select(diesel::dsl::sql::<BigInt>(
                "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint",
            ))
            .get_result(connection)?;
            Ok(DateTime::from_timestamp_micros(micros))
        }
    }
}

/// What the database says of the settings on which durability depends.
pub(super) fn durability(db: &mut Db) -> QueryResult<Vec<(&'static str, String)>> {
    let names: [&str; 3] = match db {
        Db::Sqlite(_) => ["journal_mode", "synchronous", "foreign_keys"],
        Db::Postgres(_) => ["fsync", "full_page_writes", "synchronous_commit"],
    };
    let mut value = |name: &str| match db {
        Db::Sqlite(connection) => {
            let query = format!("(SELECT CAST({name} AS TEXT) FROM pragma_{name})");
            diesel::select(diesel::dsl::sql::<Text>(&query)).get_result::<String>(connection)
        }
        Db::Postgres(connection) => {
            let query = format!("current_setting('{name}')");
            diesel::select(diesel::dsl::sql::<Text>(&query)).get_result::<String>(connection)
        }
    };
    names.into_iter().map(|name| Ok((name, value(name)?))).collect()
}

/// Inserts or replaces a setting.
pub(super) fn put_setting(db: &mut Db, name: &str, value: &[u8]) -> QueryResult<()> {
    use schema::settings;
    on_backend!(db, |connection| diesel::insert_into(settings::table)
        .values((settings::name.eq(name), settings::value.eq(value)))
        .on_conflict(settings::name)
        .do_update()
        .set(settings::value.eq(value))
        .execute(connection))?;
    Ok(())
}

/// Id, `current_at` and `retired_at` of a key-encryption key.
type KekRow = (String, Option<i64>, Option<i64>);

/// Every key-encryption key, held as it is until the transaction ends.
pub(super) fn keks_held(db: &mut Db) -> QueryResult<Vec<KekRow>> {
    use schema::key_encryption_keys::dsl::{current_at, id, key_encryption_keys, retired_at};
    let rows = key_encryption_keys.select((id, current_at, retired_at));
    match db {
        Db::Postgres(connection) => rows.for_share().load(connection),
        // Whoever writes is alone.
        Db::Sqlite(connection) => rows.load(connection),
    }
}

/// Draws the next `count` public numbers of `year`; returns the last of them.
pub(super) fn next_numbers(db: &mut Db, year: i32, count: i32) -> QueryResult<i32> {
    use schema::advisory_numbers::{self, last};
    on_backend!(db, |connection| diesel::insert_into(advisory_numbers::table)
        .values((advisory_numbers::year.eq(year), last.eq(count)))
        .on_conflict(advisory_numbers::year)
        .do_update()
        .set(last.eq(last + count))
        .returning(last)
        .get_result(connection))
}

/// Inserts unless the same key exists; says whether it did.
pub(super) fn insert_if_absent<T>(db: &mut Db, insert: T) -> QueryResult<bool>
where
    T: InsertIfAbsent,
{
    insert.run(db).map(|rows| rows == 1)
}

/// A row that can be inserted once.
pub(super) trait InsertIfAbsent {
    /// Inserts, ignoring a conflict; returns the number of rows written.
    fn run(self, db: &mut Db) -> QueryResult<usize>;
}

macro_rules! insertable_once {
    ($row:ty, $table:ident) => {
        impl crate::store::dialect::InsertIfAbsent for &$row {
            fn run(self, db: &mut Db) -> diesel::QueryResult<usize> {
                match db {
                    Db::Postgres(connection) => diesel::insert_into($table::table)
                        .values(self)
                        .on_conflict_do_nothing()
                        .execute(connection),
                    Db::Sqlite(connection) => diesel::insert_into($table::table)
                        .values(self)
                        .on_conflict_do_nothing()
                        .execute(connection),
                }
            }
        }
    };
}
pub(super) use insertable_once;

/// Lets nobody else write to `holds` until the transaction ends. Whoever writes to SQLite is alone anyway.
pub(super) fn keep_out_of_holds(db: &mut Db) -> QueryResult<()> {
    match db {
        Db::Sqlite(_) => Ok(()),
        Db::Postgres(connection) => connection.batch_execute("LOCK TABLE holds IN SHARE MODE"),
    }
}

/// Lets nobody else who names this number pass until the transaction ends. Whoever writes to SQLite is alone anyway.
pub(super) fn pass_alone(db: &mut Db, number: i64) -> QueryResult<()> {
    match db {
        Db::Sqlite(_) => Ok(()),
        // It ends with the transaction, so it is the same behind a pooler.
        Db::Postgres(connection) => {
            connection.batch_execute(&format!("SELECT pg_advisory_xact_lock({number})"))
        }
    }
}

/// Ids and states of up to `count` deliveries that are due, or whose lease ran out before `lapsed`, locked against
/// other replicas; those of alarms alone, if `alarms_only` is set.
pub(super) fn claimable(
    db: &mut Db,
    now: i64,
    lapsed: Option<i64>,
    count: i64,
    alarms_only: bool,
) -> QueryResult<Vec<(String, String)>> {
    use schema::deliveries::dsl::{deliveries, id, lease_until_at, not_before_at, notice_id, state};
    use schema::notices;
    let alarms = notices::table.filter(notices::kind.eq("alarm")).select(notices::id);
    let due = deliveries
        .filter(
            state
                .eq_any(["pending", "uncertain"])
                .and(not_before_at.le(now))
                // Nothing lapsed before all time.
                .or(state.eq("leased").and(lease_until_at.le(lapsed.unwrap_or(i64::MIN)))),
        )
        .filter((!alarms_only).into_sql::<Bool>().or(notice_id.eq_any(alarms)))
        .order(not_before_at)
        .limit(count)
        .select((id, state));
    match db {
        Db::Postgres(connection) => due.for_update().skip_locked().load(connection),
        Db::Sqlite(connection) => due.load(connection),
    }
}
