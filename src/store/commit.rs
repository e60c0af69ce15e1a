//! What a commit came to, also when its answer was lost.
//!
//! A commit that fails is never repeated blindly. On PostgreSQL the transaction's number was taken before, and a
//! fresh connection is asked what became of it until the database has decided, for a bounded time: then either
//! the change counts, or it is known that nothing was stored, or the caller is told that nobody knows. On SQLite
//! a commit that the disk failed ends the process: after a failed fsync nothing that is read back can be
//! believed, and a restart recovers from what did reach the disk. A full disk is an ordinary refusal.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::r2d2::Pool;
use diesel::result::Error;

use super::dialect::{self, Db, Manager};
use super::{StoreError, Transactions, connection};
use diesel::connection::TransactionManager as _;

/// How often the database is asked what became of a transaction, and how long apart: long enough for a server that
/// restarts.
const QUESTIONS: u32 = 20;
const APART: Duration = Duration::from_millis(500);
/// What this process ends with when the disk fails: `EX_IOERR` of sysexits.h.
const DISK_FAILED: i32 = 74;

/// A commit that did not say it was done.
pub(super) enum Failed {
    /// Nothing was stored.
    NotStored(StoreError),
    /// The transaction with this number may have been stored.
    Unknown { number: i64, error: Error },
}

/// Commits the transaction on `db`.
pub(super) fn commit(db: &mut Db) -> Result<(), Failed> {
    let number = dialect::transaction_number(db).map_err(|error| Failed::NotStored(error.into()))?;
    let Err(error) = Transactions::commit_transaction(db) else { return Ok(()) };
    if let Db::Sqlite(connection) = db {
        if disk_failed(&error) {
            let sentence = "the disk failed while a change was being stored; the server ends here, since what it \
                            would read back from now on may be wrong. Look at the disk, then start it again";
            tracing::error!("{sentence}");
            std::process::exit(DISK_FAILED);
        }
        // A commit that fails may leave its transaction open, and then no other could begin.
        let _ = connection.batch_execute("ROLLBACK");
    }
    Err(match number {
        Some(number) => Failed::Unknown { number, error },
        None => Failed::NotStored(error.into()),
    })
}

/// Asks what became of the transaction `number`.
pub(super) fn resolve(pool: &Pool<Manager>, number: i64, error: &Error) -> Result<(), StoreError> {
    tracing::warn!("a commit was not answered, and the database is asked what became of it: {error}");
    for question in 0..QUESTIONS {
        if question > 0 {
            std::thread::sleep(APART);
        }
        // A pool that cannot connect has waited long enough by itself.
        let Ok(mut fresh) = connection(pool) else { break };
        match dialect::transaction_status(&mut fresh, number).as_deref() {
            Ok("committed") => return Ok(()),
            Ok("aborted") => return Err(StoreError::NotStored),
            // It is still being decided, or the connection broke as well.
            Ok(_) | Err(_) => {}
        }
    }
    Err(StoreError::Undecided)
}

/// Whether SQLite says that writing or flushing failed, as opposed to a disk that is full.
fn disk_failed(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(_, what) if what.message().contains("disk I/O error"))
}
