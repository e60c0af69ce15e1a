//! Whether a change that was answered survives a crash: what the database says of its own settings.

use super::super::failure::Failure;
use super::Finding;
use crate::app::Refusal;
use crate::store::{Location, Store};

/// A setting, the values that are good, and what to do about any other.
type Rule = (&'static str, &'static [&'static str], &'static str);

const SQLITE: [Rule; 3] = [
    (
        "journal_mode",
        &["wal"],
        "start `embargod serve` once; on a network file system move the database to a local disk",
    ),
    ("synchronous", &["2", "3"], "use the SQLite that embargod is built with: another one was linked"),
    ("foreign_keys", &["1"], "use the SQLite that embargod is built with: another one was linked"),
];

const POSTGRES: [Rule; 3] = [
    ("fsync", &["on"], "write fsync = on into postgresql.conf and restart it: a crash could undo a lift"),
    (
        "full_page_writes",
        &["on"],
        "write full_page_writes = on into postgresql.conf and reload it: a crash could tear a page",
    ),
    (
        "synchronous_commit",
        &["on", "remote_apply", "remote_write", "local"],
        "ALTER ROLE … SET synchronous_commit = on, or correct postgresql.conf: a crash could undo a change",
    ),
];

/// Asks the database.
pub(super) fn check(store: &Store) -> Result<Vec<Finding>, Failure> {
    let settings = store.read_now(|tx| Ok::<_, Refusal>(tx.durability()?))?;
    Ok(judged(store.location(), &settings))
}

fn judged(location: &Location, settings: &[(&'static str, String)]) -> Vec<Finding> {
    let (rules, sound) = match location {
        Location::Sqlite(_) => {
            (&SQLITE, "database sqlite, write-ahead log, every change on disk before it counts")
        }
        Location::Postgres(_) => (&POSTGRES, "database postgres, every change on disk before it counts"),
    };
    let bad = |(name, good, cure): &Rule| {
        let value =
            settings.iter().find(|(found, _)| found == name).map_or("unknown", |(_, value)| value.as_str());
        let text = || format!("the database has {name} = {value}; expected {}", good[0]);
        (!good.contains(&value)).then(|| Finding::fail(text(), *cure))
    };
    let findings: Vec<_> = rules.iter().filter_map(bad).collect();
    if findings.is_empty() { vec![Finding::ok(sound)] } else { findings }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(location: &Location, settings: &[(&'static str, &str)]) -> Vec<String> {
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        judged(location, &settings).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn a_database_that_may_forget_is_found_out_setting_by_setting() {
        let sqlite = Location::Sqlite("x".into());
        let good = [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")];
        assert!(texts(&sqlite, &good)[0].starts_with("database sqlite"));
        let bad = [("journal_mode", "delete"), ("synchronous", "1"), ("foreign_keys", "0")];
        assert_eq!(
            texts(&sqlite, &bad),
            [
                "the database has journal_mode = delete; expected wal",
                "the database has synchronous = 1; expected 2",
                "the database has foreign_keys = 0; expected 1",
            ]
        );
        let postgres = Location::Postgres("postgres://x".into());
        let good = [("fsync", "on"), ("full_page_writes", "on"), ("synchronous_commit", "remote_apply")];
        assert_eq!(texts(&postgres, &good).len(), 1);
        let bad = [("fsync", "off"), ("full_page_writes", "on"), ("synchronous_commit", "off")];
        assert_eq!(
            texts(&postgres, &bad),
            [
                "the database has fsync = off; expected on",
                "the database has synchronous_commit = off; expected on"
            ]
        );
        assert_eq!(texts(&postgres, &[]).len(), 3, "what is not known is not sound");
    }
}
