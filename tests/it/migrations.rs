//! The two databases have the same history: every migration exists for both, and can be undone.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Barrier};

use embargod::entropy::Entropy;
use embargod::store::Store;
use embargod::vault::Vault;

use crate::harness::Database;

const DATABASES: [&str; 2] = ["sqlite", "postgres"];

/// The names of the migrations below `directory`.
fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn faults(migrations: &Path) -> Vec<String> {
    let all: BTreeSet<_> = DATABASES.iter().flat_map(|database| names(&migrations.join(database))).collect();
    let mut faults = Vec::new();
    if all.is_empty() {
        faults.push("there are no migrations".to_owned());
    }
    for name in all {
        for database in DATABASES {
            for file in ["up.sql", "down.sql"] {
                let path = migrations.join(database).join(&name).join(file);
                if std::fs::read_to_string(path).is_ok_and(|text| !text.trim().is_empty()) {
                    continue;
                }
                faults.push(format!("migrations/{database}/{name}/{file} is missing or empty"));
            }
        }
    }
    faults
}

#[test]
fn both_databases_have_the_same_migrations_and_each_can_be_undone() {
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    assert_eq!(faults(&migrations), [""; 0]);
}

#[test]
fn a_migration_that_one_database_lacks_is_caught() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(faults(directory.path()), ["there are no migrations"]);
    for (database, name, files) in [
        ("sqlite", "0001_start", &["up.sql", "down.sql"][..]),
        ("postgres", "0001_start", &["up.sql", "down.sql"]),
        ("sqlite", "0002_more", &["up.sql", "down.sql"]),
        ("postgres", "0002_more", &["up.sql"]),
    ] {
        let folder = directory.path().join(database).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for file in files {
            std::fs::write(folder.join(file), "SELECT 1;\n").unwrap();
        }
    }
    assert_eq!(faults(directory.path()), ["migrations/postgres/0002_more/down.sql is missing or empty"]);
    std::fs::write(directory.path().join("postgres/0001_start/down.sql"), " \n").unwrap();
    assert_eq!(faults(directory.path()).len(), 2);
}

#[tokio::test]
async fn of_those_that_migrate_an_empty_database_at_once_one_does_it_and_all_succeed() {
    let (folder, database) = (tempfile::tempdir().unwrap(), Database::of_this_run());
    let location = database.create(folder.path()).await;
    let gate = Arc::new(Barrier::new(4));
    let migrating: Vec<_> = (0..4)
        .map(|_| {
            let (location, gate) = (location.clone(), Arc::clone(&gate));
            std::thread::spawn(move || {
                let vault = Vault::locked("not needed here", Entropy::System);
                let store = Store::open(location, Arc::new(vault)).unwrap();
                gate.wait();
                let done = store.migrate();
                (done, store.pending_migrations())
            })
        })
        .collect();
    let done = migrating.into_iter().map(|one| one.join().unwrap());
    let done: Vec<_> = done.map(|(done, left)| (done.unwrap(), left.unwrap())).collect();
    assert_eq!(done.iter().filter(|(migrations, _)| *migrations > 0).count(), 1, "{done:?}");
    assert!(done.iter().all(|(_, left)| *left == 0), "{done:?}");
    database.remove(&location).await;
}
