//! One server at a time on a SQLite file: a second one would send what the first is sending, and what is copied under
//! a server lacks what it does next.

use std::fs::{File, TryLockError};
use std::mem::ManuallyDrop;
use std::sync::Arc;

use super::failure::Failure;
use crate::entropy::Entropy;
use crate::store::{Location, Store};
use crate::vault::Vault;

/// Keeps every other from being alone on the same file until it is dropped, however the process ends. Replicas share
/// PostgreSQL, and are not kept apart.
#[derive(Debug)]
pub(super) struct Alone {
    lock: Option<ManuallyDrop<File>>,
}

impl Alone {
    /// Whoever is alone on this database from now on; `cure` is what to do if somebody else is.
    pub(super) fn on(location: &Location, cure: &str) -> Result<Self, Failure> {
        let Location::Sqlite(database) = location else { return Ok(Self { lock: None }) };
        // The database itself, so that neither another name of it nor a lock file that was tidied away lets a second
        // one in. It is another kind of lock than SQLite's own. Those, however, are lost with the first descriptor of
        // the file that this process closes (<https://sqlite.org/howtocorrupt.html>, 2.2): it never closes this one.
        let file = ManuallyDrop::new(File::open(database).map_err(Failure::file(database, "opened"))?);
        match file.try_lock() {
            Ok(()) => Ok(Self { lock: Some(file) }),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::unfit(format!("a server works on {}", database.display()), cure))
            }
            Err(TryLockError::Error(error)) => Err(Failure::file(database, "locked")(error)),
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

impl Drop for Alone {
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            // Nothing is to be done about a failure: the lock ends with the process.
            let _ = lock.unlock();
        }
    }
}
