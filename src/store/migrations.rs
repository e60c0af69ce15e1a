//! Bringing a database up to this version, and judging one that is of another.
//!
//! Promises: a run of migrations happens whole or not at all, and a kill in its midst leaves the database as it was; a
//! SQLite database is copied first, onto the disk, beside itself; a newer database is used only if it says that a program
//! as old as this one may. For that it names the last migration that a program must know (the setting
//! `oldest-compatible`): a migration that only adds leaves it as it is, one that takes something away sets it to itself.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection as _;
use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::StoreError;
use super::dialect::Db;
use super::schema::settings;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The setting that names the last migration that a program must know.
const OLDEST_COMPATIBLE: &str = "oldest-compatible";
/// How many copies from before migrations are kept.
const COPIES: usize = 3;

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Migration(error.to_string())
}

/// What a program that knows `source` makes of a database: how many migrations the database lacks, and the last one it
/// has. [`StoreError::NewerSchema`] if the program is too old for it.
fn standing<C, B, S>(
    connection: &mut C,
    source: &S,
    oldest: impl FnOnce(&mut C) -> QueryResult<Option<Vec<u8>>>,
) -> Result<(usize, Option<String>), StoreError>
where
    C: MigrationHarness<B>,
    B: diesel::backend::Backend,
    S: MigrationSource<B>,
{
    let known = source.migrations().map_err(failed)?;
    let known: BTreeSet<String> =
        known.iter().map(|migration| migration.name().version().to_string()).collect();
    let applied = connection.applied_migrations().map_err(failed)?;
    let applied: BTreeSet<String> = applied.iter().map(ToString::to_string).collect();
    if let Some(newer) = applied.difference(&known).last() {
        let oldest = oldest(connection)?.and_then(|oldest| String::from_utf8(oldest).ok());
        if !oldest.is_some_and(|oldest| known.contains(&oldest)) {
            return Err(StoreError::NewerSchema(newer.clone()));
        }
    }
    Ok((known.difference(&applied).count(), applied.last().cloned()))
}

macro_rules! oldest {
    () => {
        |connection| {
            settings::table
                .find(OLDEST_COMPATIBLE)
                .select(settings::value)
                .first::<Vec<u8>>(connection)
                .optional()
        }
    };
}

/// How many migrations this database still lacks.
pub(super) fn pending(db: &mut Db) -> Result<usize, StoreError> {
    let (pending, _) = match db {
        Db::Sqlite(connection) => standing(connection, &SQLITE, oldest!())?,
        // In a transaction, since a pooler may stand in between.
        Db::Postgres(connection) => {
            connection.transaction(|connection| standing(connection, &POSTGRES, oldest!()))?
        }
    };
    Ok(pending)
}

/// Runs the migrations that are missing, and says how many they were.
pub(super) fn migrate(db: &mut Db) -> Result<usize, StoreError> {
    match db {
        Db::Sqlite(connection) => migrate_file(connection, SQLITE),
        Db::Postgres(connection) => {
            // Several replicas may start at once: the lock is held by the transaction, so that no pooler
            // in between can leave it behind.
            connection.transaction(|connection| {
                connection
                    .batch_execute("SELECT pg_advisory_xact_lock(736541200)")
                    .map_err(StoreError::Query)?;
                standing(connection, &POSTGRES, oldest!())?;
                Ok(connection.run_pending_migrations(POSTGRES).map_err(failed)?.len())
            })
        }
    }
}

fn migrate_file<S>(connection: &mut SqliteConnection, source: S) -> Result<usize, StoreError>
where
    S: MigrationSource<Sqlite>,
{
    let (pending, version) = standing(connection, &source, oldest!())?;
    if pending == 0 {
        return Ok(0);
    }
    if let Some(version) = version {
        copy_aside(connection, &version)?;
    }
    // Another process may have been faster: what is still missing is asked for again inside.
    connection.immediate_transaction(|connection| {
        Ok::<_, StoreError>(connection.run_pending_migrations(source).map_err(failed)?.len())
    })
}

/// Puts a copy of the database beside it, named by its schema and the present instant. The last few are kept.
fn copy_aside(connection: &mut SqliteConnection, version: &str) -> Result<(), StoreError> {
    let mut text =
        |query: &str| diesel::select(diesel::dsl::sql::<Text>(query)).get_result::<String>(connection);
    let file = PathBuf::from(text("(SELECT file FROM pragma_database_list WHERE name = 'main')")?);
    let instant = text("strftime('%Y%m%dT%H%M%SZ', 'now')")?;
    let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else {
        // It is in memory, and lost with the process in any case.
        return Ok(());
    };
    let beginning = format!("{name}.schema-");
    let copy = folder.join(format!("{beginning}{version}.{instant}"));
    let part = folder.join(format!("{name}.copying"));
    let refused = |error: std::io::Error| {
        StoreError::Migration(format!(
            "no copy could be made before it at {}: {error}; nothing was changed",
            copy.display()
        ))
    };
    if part.exists() {
        fs::remove_file(&part).map_err(refused)?;
    }
    // It has its rights before it has a content.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(refused)?;
    diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(part.to_string_lossy()).execute(connection)?;
    File::open(&part).and_then(|file| file.sync_all()).map_err(refused)?;
    fs::rename(&part, &copy).map_err(refused)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(refused)?;
    // One that cannot be removed is in nobody's way.
    let _ = remove_old_copies(folder, &beginning);
    Ok(())
}

fn remove_old_copies(folder: &Path, beginning: &str) -> std::io::Result<()> {
    let mut copies: Vec<(String, PathBuf)> = fs::read_dir(folder)?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let (_, instant) = name.strip_prefix(beginning)?.split_once('.')?;
            Some((instant.to_owned(), entry.path()))
        })
        .collect();
    copies.sort();
    let old = copies.len().saturating_sub(COPIES);
    copies.into_iter().take(old).try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use diesel_migrations::FileBasedMigrations;

    use super::*;
    use crate::entropy::Entropy;
    use crate::store::{Location, Store, testing};
    use crate::vault::Vault;

    /// What a program knew that was built before the last migration.
    fn before_the_last(folder: &Path) -> FileBasedMigrations {
        let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
        let mut names: Vec<_> = fs::read_dir(&all).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names.pop();
        for name in names {
            fs::create_dir_all(folder.join(&name)).unwrap();
            for file in ["up.sql", "down.sql"] {
                fs::copy(all.join(&name).join(file), folder.join(&name).join(file)).unwrap();
            }
        }
        FileBasedMigrations::from_path(folder).unwrap()
    }

    struct Place {
        folder: tempfile::TempDir,
        older: FileBasedMigrations,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let older = before_the_last(&folder.path().join("known"));
            Self { folder, older }
        }

        fn file(&self) -> PathBuf {
            self.folder.path().join("embargod.sqlite")
        }

        fn connection(&self) -> SqliteConnection {
            SqliteConnection::establish(self.file().to_str().unwrap()).unwrap()
        }

        fn store(&self) -> Store {
            let vault = Vault::locked("not needed here", Entropy::System);
            Store::open(Location::Sqlite(self.file()), Arc::new(vault)).unwrap()
        }

        fn copies(&self) -> Vec<PathBuf> {
            let entries = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
            entries.filter(|path| path.to_string_lossy().contains(".sqlite.schema-")).collect()
        }
    }

    #[test]
    fn a_program_one_migration_older_starts_on_the_newer_database_unless_that_took_something_away() {
        let place = Place::new();
        place.store().migrate().unwrap();
        let mut connection = place.connection();
        assert_eq!(standing(&mut connection, &place.older, oldest!()).unwrap().0, 0);
        assert_eq!(migrate_file(&mut connection, place.older.clone()).unwrap(), 0);
        let last = testing::query(&place.file(), "SELECT max(version) FROM __diesel_schema_migrations");
        testing::query(
            &place.file(),
            &format!("UPDATE settings SET value = CAST('{last}' AS BLOB) WHERE name = 'oldest-compatible'"),
        );
        for refused in [
            standing(&mut connection, &place.older, oldest!()).map(|(pending, _)| pending),
            migrate_file(&mut connection, place.older.clone()),
        ] {
            assert!(
                matches!(&refused, Err(StoreError::NewerSchema(version)) if *version == last),
                "{refused:?}"
            );
        }
        assert_eq!(place.store().pending_migrations().unwrap(), 0);
    }

    #[test]
    fn a_database_is_copied_before_it_is_migrated_and_the_copy_is_private_whole_and_of_the_old_schema() {
        let place = Place::new();
        migrate_file(&mut place.connection(), place.older.clone()).unwrap();
        assert!(place.copies().is_empty(), "an empty database is nothing to copy");
        for instant in ["20200101T000000Z", "20200102T000000Z", "20200103T000000Z"] {
            fs::write(place.folder.path().join(format!("embargod.sqlite.schema-1.{instant}")), "old")
                .unwrap();
        }
        assert_eq!(place.store().migrate().unwrap(), 1);
        assert_eq!(place.copies().len(), COPIES);
        let copies = place.copies();
        let copy = copies.iter().find(|path| !path.to_string_lossy().contains(".2020010")).unwrap();
        assert_eq!(fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(testing::query(copy, "SELECT integrity_check FROM pragma_integrity_check"), "ok");
        let mut old = SqliteConnection::establish(copy.to_str().unwrap()).unwrap();
        assert_eq!(standing(&mut old, &place.older, oldest!()).unwrap().0, 0);
        assert_eq!(standing(&mut old, &SQLITE, oldest!()).unwrap().0, 1);
        assert_eq!(place.store().migrate().unwrap(), 0);
        assert_eq!(place.copies(), copies, "nothing to do is nothing to copy");
    }

    #[test]
    fn migrations_of_which_one_fails_change_nothing() {
        let place = Place::new();
        migrate_file(&mut place.connection(), place.older.clone()).unwrap();
        let more = place.folder.path().join("more");
        before_the_last(&more);
        for (name, up) in
            [("2999-01-01-000000_good", "CREATE TABLE good (id TEXT);"), ("2999-01-02-000000_bad", "NO SQL;")]
        {
            fs::create_dir_all(more.join(name)).unwrap();
            fs::write(more.join(name).join("up.sql"), up).unwrap();
            fs::write(more.join(name).join("down.sql"), "SELECT 1;").unwrap();
        }
        let both = FileBasedMigrations::from_path(&more).unwrap();
        assert!(migrate_file(&mut place.connection(), both).is_err());
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'good'";
        assert_eq!(testing::query(&place.file(), tables), "0");
        assert_eq!(standing(&mut place.connection(), &place.older, oldest!()).unwrap().0, 0);
    }
}
