//! The database, the key that opens it, the server's own key, the clock.

use chrono::{DateTime, Duration, Utc};

use super::super::console::Global;
use super::super::failure::Failure;
use super::{Finding, durability};
use crate::app::Refusal;
use crate::app::installation::load_server_key;
use crate::config::Config;
use crate::domain::hold::HoldKind;
use crate::domain::instant::display_duration;
use crate::store::{Hold, Location, Store};

/// From here on the server's key should be renewed.
const SOON: Duration = Duration::days(60);
/// How far clocks may lie apart.
const SKEW: Duration = Duration::seconds(120);

/// Opens the database without changing it.
pub(super) fn open(global: &Global, config: &Config) -> Result<(Store, Vec<Finding>), Failure> {
    let store = global.database(config)?;
    if !is_known(&store)? {
        return Err(Failure::unfit(
            "the database belongs to no installation yet",
            "run `embargod migrate`, or make an installation: embargod init --help",
        ));
    }
    let mut findings = durability::check(&store)?;
    match store.pending_migrations()? {
        0 => {}
        count => findings.push(Finding::warn(
            format!("the database lacks {count} migration(s)"),
            "embargod migrate; on SQLite `embargod serve` does it by itself",
        )),
    }
    Ok((store, findings))
}

/// A database without tables answers no question.
fn is_known(store: &Store) -> Result<bool, Failure> {
    match store.read_now(|tx| Ok::<_, Refusal>(tx.is_founded()?)) {
        Ok(founded) => Ok(founded),
        Err(_) if store.pending_migrations()? > 0 => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The keys and the clock.
pub(super) fn check(store: &Store, now: DateTime<Utc>) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    match store.read_now(|tx| Ok::<_, Refusal>(tx.check_key()?)) {
        Ok(()) => {
            findings.push(Finding::ok("key-encryption key opens the database"));
            findings.push(server_key(store, now));
        }
        Err(error) => findings.push(Finding::fail(
            error.to_string(),
            "put the right key back: from its copy, or open a recovery file with gpg -d",
        )),
    }
    findings.extend(read_only(store));
    findings.push(clock(store, now)?);
    findings.extend(holds(store)?);
    findings.extend(late_lift(store, now)?);
    Ok(findings)
}

/// Asks without changing anything.
fn read_only(store: &Store) -> Option<Finding> {
    let error = store.write_now(|tx| tx.check_writable()).err()?;
    let cure = match store.location() {
        Location::Sqlite(path) => format!(
            "let the server's user write {} and its folder, on a file system that is not read-only",
            path.display()
        ),
        Location::Postgres(_) => {
            "name the primary, not a standby, and look for default_transaction_read_only".to_owned()
        }
    };
    Some(Finding::fail(format!("the database cannot be written: {error}"), cure))
}

fn server_key(store: &Store, now: DateTime<Utc>) -> Finding {
    let renew = "restore the database from a backup, or ask for help before the key is replaced";
    let key = match load_server_key(store) {
        Ok(Some(key)) => key,
        Ok(None) => return Finding::fail("there is no server key", renew),
        Err(refusal) => return Finding::fail(refusal.to_string(), renew),
    };
    let text = format!("server key {} {}", key.fingerprint(), key.certificate().algorithm());
    match key.expires_at() {
        None => Finding::ok(format!("{text}, never expires")),
        Some(at) if at <= now => Finding::fail(format!("{text}, expired on {}", at.date_naive()), "renew it"),
        Some(at) if at - now < SOON => Finding::warn(
            format!("{text}, expires in {}", display_duration(at - now)),
            "renew it, and tell packagers to fetch it again",
        ),
        Some(at) => Finding::ok(format!("{text}, expires {}", at.date_naive())),
    }
}

/// A lift that should have happened.
fn late_lift(store: &Store, now: DateTime<Utc>) -> Result<Option<Finding>, Failure> {
    let late = store.read_now(|tx| Ok::<_, Refusal>(tx.due_lifts(now - Duration::seconds(60))?))?;
    let late = late.first().map(|id| {
        Finding::fail(
            format!("the lift of {id} is overdue by more than a minute"),
            "see whether a server runs and what it says: its log, /readyz, embargod hold list",
        )
    });
    Ok(late)
}

/// What stands in the way of lifts and mail by somebody's will.
fn holds(store: &Store) -> Result<Vec<Finding>, Failure> {
    if store.pending_migrations()? > 0 {
        return Ok(Vec::new());
    }
    let open = store.read_now(|tx| Ok::<_, Refusal>(tx.open_holds()?))?;
    let finding = |hold: Hold| {
        let since = hold.placed_at.format("%Y-%m-%d %H:%M UTC");
        let reason = hold.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        Finding::warn(
            format!("{}, since {since}{reason}", hold.kind.describe()),
            match hold.kind {
                HoldKind::Operator => {
                    format!("when it may go on: embargod hold release {}", &hold.id.as_str()[..8])
                }
                HoldKind::Recovery => {
                    "see what would happen if it went on: embargod restore --account".to_owned()
                }
            },
        )
    };
    Ok(open.into_iter().map(finding).collect())
}

fn clock(store: &Store, now: DateTime<Utc>) -> Result<Finding, Failure> {
    let (highest, shared) = store.read_now(|tx| {
        let highest = tx.highest_instant()?;
        Ok::<_, Refusal>((highest, tx.shared_clock()?))
    })?;
    let synchronise = "synchronise the clock: timedatectl set-ntp true";
    if now + SKEW < highest {
        let text = format!(
            "the clock lies {} behind what the database has seen: lifts are held",
            display_duration(highest - now)
        );
        return Ok(Finding::fail(text, synchronise));
    }
    match shared.map(|shared| (shared - now).abs()) {
        Some(apart) if apart > SKEW => Ok(Finding::warn(
            format!("this clock and the database's lie {} apart", display_duration(apart)),
            synchronise,
        )),
        _ => Ok(Finding::ok(format!("clock {}", now.format("%a %d %b %Y %H:%M:%S UTC")))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::entropy::Entropy;
    use crate::vault::Vault;

    #[test]
    fn a_database_that_can_be_read_and_not_written_is_found_out_without_writing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("embargod.sqlite");
        let open = |path: String| {
            let vault = Vault::locked("not needed here", Entropy::System);
            Store::open(Location::Sqlite(path.into()), Arc::new(vault)).unwrap()
        };
        let writer = open(path.display().to_string());
        writer.migrate().unwrap();
        let log = || std::fs::metadata(directory.path().join("embargod.sqlite-wal")).unwrap().len();
        let before = log();
        assert_eq!(read_only(&writer), None);
        assert_eq!(log(), before);
        let finding = read_only(&open(format!("file:{}?mode=ro", path.display()))).unwrap();
        assert!(finding.text.starts_with("the database cannot be written"), "{}", finding.text);
    }
}
