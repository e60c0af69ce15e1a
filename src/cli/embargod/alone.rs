//! One server at a time on a SQLite file: a second one would send what the first is sending, and what is copied under
//! a server lacks what it does next.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::failure::Failure;
use crate::entropy::Entropy;
use crate::store::{Location, Store};
use crate::vault::Vault;

/// Keeps every other from being alone on the same file until it is dropped, however the process ends. Replicas share
/// PostgreSQL, and are not kept apart.
#[derive(Debug)]
pub(super) struct Alone {
    _lock: Option<File>,
}

impl Alone {
    /// Whoever is alone on this database from now on; `cure` is what to do if somebody else is.
    pub(super) fn on(location: &Location, cure: &str) -> Result<Self, Failure> {
        let Location::Sqlite(database) = location else { return Ok(Self { _lock: None }) };
        // By whatever name it is called. One that is missing has one name only.
        let mut path = database.canonicalize().unwrap_or_else(|_| database.clone()).into_os_string();
        path.push(".lock");
        let path = PathBuf::from(path);
        // Beside the database, since SQLite locks parts of its own files.
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(Failure::file(&path, "opened"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _lock: Some(file) }),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::unfit(format!("a server works on {}", database.display()), cure))
            }
            Err(TryLockError::Error(error)) => Err(Failure::file(path, "locked")(error)),
        }
    }

    /// Whoever is alone on a database that lacks migrations, to bring it up to date: a server of an older version, which
    /// works on it, does not know what they change. Nobody has to be on one that lacks none.
    pub(super) fn to_migrate(location: &Location) -> Result<Option<Self>, Failure> {
        if let Location::Postgres(_) = location {
            return Ok(None);
        }
        let vault = Vault::locked("it is not needed to look at the schema", Entropy::System);
        let store = Store::open(location.clone(), Arc::new(vault))?;
        let older = store.pending_migrations()? > 0;
        let cure = "it is of an older version than this program: stop it, and start the new one";
        older.then(|| Self::on(location, cure)).transpose()
    }
}
