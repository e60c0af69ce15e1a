//! One server at a time on a SQLite file: a second one would send what the first is sending, and what is copied under
//! a server lacks what it does next.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::failure::Failure;
use crate::store::Location;

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
        let mut path = database.clone().into_os_string();
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
}
