//! Backups, restores and copies: nothing is lost, nothing leaves by itself, and what was revoked stays revoked.

use std::sync::Arc;

use embargod::app::backup::{self, CopyError};
use embargod::app::recovery::{Account, go_on};
use embargod::domain::hold::HoldKind;
use embargod::store::{Location, Store, TableShape};
use embargod::vault::Vault;

use crate::harness::{Change, Database, Packager, TestServer, days, tamper};

/// An empty, migrated database beside the server's own.
async fn empty(server: &TestServer, database: &Database, name: &str) -> (Location, Store) {
    let folder = server.folder().join(name);
    std::fs::create_dir(&folder).unwrap();
    let location = database.create(&folder).await;
    let (at, kek) = (location.clone(), server.kek().unwrap());
    let entropy = embargod::entropy::Entropy::System;
    let open = move || {
        let vault = Vault::open(kek, entropy);
        let store = Store::open(at, Arc::new(vault)).unwrap();
        store.migrate().unwrap();
        store
    };
    (location, tokio::task::spawn_blocking(open).await.unwrap())
}

async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn backed_up(server: &TestServer) -> Vec<u8> {
    let (store, now) = (server.app().store.clone(), server.time.now());
    on_a_thread(move || {
        let mut file = Vec::new();
        backup::write(&store, now, &mut file, &mut |_, _| {}).unwrap();
        file
    })
    .await
}

async fn restored(store: &Store, file: Vec<u8>, server: &TestServer) -> Result<backup::Copied, CopyError> {
    let (store, now) = (store.clone(), server.time.now());
    on_a_thread(move || backup::restore(&store, &file[..], now, &mut |_, _| {})).await
}

async fn copied(from: &Store, into: &Store, server: &TestServer) -> Result<backup::Copied, CopyError> {
    let (from, into, now) = (from.clone(), into.clone(), server.time.now());
    on_a_thread(move || backup::copy(&from, &into, now, &mut |_, _| {})).await
}

/// Every row of every table, in an order of its own; what tells the databases apart is made equal.
async fn contents(store: &Store) -> Vec<(TableShape, Vec<serde_json::Value>)> {
    let store = store.clone();
    on_a_thread(move || {
        store
            .read_now(|tx| {
                tx.freeze()?;
                let mut all = Vec::new();
                for shape in tx.tables()? {
                    let mut rows = Vec::new();
                    tx.each_row(&shape, |row| {
                        let mut row: serde_json::Value = serde_json::from_str(row).unwrap();
                        for value in row.as_object_mut().unwrap().values_mut() {
                            if let Some(truth) = value.as_bool() {
                                *value = u8::from(truth).into();
                            }
                        }
                        rows.push(row);
                        Ok::<_, embargod::store::StoreError>(())
                    })?;
                    rows.sort_by_key(ToString::to_string);
                    all.push((shape, rows));
                }
                all.sort_by(|one, other| one.0.table.cmp(&other.0.table));
                Ok::<_, embargod::store::StoreError>(all)
            })
            .unwrap()
    })
    .await
}

async fn held(server: &TestServer) -> Vec<HoldKind> {
    server.database(|tx| Ok(tx.open_hold_kinds()?)).await
}

/// The word that is shown beside what would happen now.
async fn word(server: &TestServer) -> String {
    let (app, now) = (server.app().clone(), server.time.now());
    let published = app.witness().unwrap().published().unwrap();
    server.database(move |tx| Ok(Account::of(tx, &published, now)?.word(tx)?)).await
}

async fn goes_on(server: &TestServer, word: String) -> bool {
    let (app, now) = (server.app().clone(), server.time.now());
    on_a_thread(move || go_on(&app.store, app.witness().unwrap(), &word, now).is_ok()).await
}

async fn confirm(server: &TestServer) {
    assert!(!goes_on(server, "00000000".to_owned()).await, "any other word is no word");
    server
        .as_operator(|operator| {
            let hold = operator.open_holds().unwrap().remove(0);
            let refused = operator.release_hold(hold.id.as_str()).unwrap_err().to_string();
            assert!(refused.contains("embargod restore --account"), "{refused}");
        })
        .await;
    assert!(goes_on(server, word(server).await).await);
}

async fn account(server: &TestServer) -> Account {
    let (store, now) = (server.app().store.clone(), server.time.now());
    let published = server.app().witness().unwrap().published().unwrap();
    on_a_thread(move || store.read_now(|tx| Account::of(tx, &published, now)).unwrap()).await
}

async fn status(server: &TestServer, token: &str) -> u16 {
    server.client.get_as(token, "/api/v1/embargoes").await.status
}

/// A server, one who was told, and two announced embargoes that lift on the same day.
async fn story() -> (TestServer, Packager, [String; 2]) {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let ids = [mara.announces().await, mara.announces().await];
    server.run_worker_until_idle().await;
    (server, debian, ids)
}

#[tokio::test]
async fn an_older_copy_sends_nothing_lifts_nothing_and_keeps_what_was_revoked_until_the_operator_says_so() {
    let (mut server, debian, ids) = story().await;
    let token = debian.token().await;
    let other = debian.token().await;
    let (older, store) = empty(&server, &Database::of_this_run(), "older").await;
    copied(&server.app().store, &store, &server).await.unwrap();
    drop(store);

    server.maintainer().does(&Change::lift_early(&ids[0], "exploited")).await.accepted();
    server.run_worker_until_idle().await;
    server
        .client
        .call("DELETE", "/api/v1/tokens", &[("authorization", &format!("Bearer {token}"))], None)
        .await;
    assert_eq!((status(&server, &token).await, status(&server, &other).await), (401, 200));
    let mails = server.sink.messages().len();

    server.continue_on(older).await;
    assert_eq!(held(&server).await, [HoldKind::Recovery]);
    assert_eq!((status(&server, &token).await, status(&server, &other).await), (401, 200));
    let ready = server.client.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("EMB-2026-1") && !ready.text().contains(&ids[1]), "{}", ready.text());

    let before = word(&server).await;
    server.clock.advance_to("2026-06-10T12:00:00Z".parse().unwrap());
    assert_eq!(server.run_worker_until_idle().await.lifted, [""; 0]);
    assert_eq!(server.client.get("/advisories/EMB-2026-1").await.status, 404);
    assert!(!goes_on(&server, before).await, "nothing was overdue when that word was shown");
    assert_eq!(server.sink.messages().len(), mails);
    let would = account(&server).await;
    assert_eq!(would.vanished, ["EMB-2026-1"]);
    let mut overdue = ids.to_vec();
    overdue.sort();
    let mut named = would.overdue.clone();
    named.sort();
    assert_eq!(named, overdue);

    server.restart().await;
    assert_eq!(held(&server).await, [HoldKind::Recovery], "a restart is no word, and places no second hold");
    confirm(&server).await;
    assert_eq!(server.run_worker_until_idle().await.lifted.len(), 2);
    server.app().keep_record_now().await;
    server.restart().await;
    assert_eq!(held(&server).await, [], "the older memory was given up on purpose");
    assert_eq!(status(&server, &token).await, 401);
    server.finish().await;
}

#[tokio::test]
async fn a_log_that_went_another_way_and_an_anchor_that_cannot_be_believed_hold_too() {
    let mut server = TestServer::start().await;
    server.app().keep_record_now().await;
    let anchor = std::fs::read_to_string(server.folder().join("anchor")).unwrap();
    server.restart().await;
    assert_eq!(held(&server).await, []);

    std::fs::write(server.folder().join("anchor"), anchor.replacen("sequence\":", "sequence\":1", 1))
        .unwrap();
    server.restart().await;
    assert_eq!(held(&server).await, [HoldKind::Recovery], "a damaged anchor");
    confirm(&server).await;
    server.restart().await;
    assert_eq!(held(&server).await, [], "a damaged anchor is set aside");
    std::fs::write(server.folder().join("anchor"), &anchor).unwrap();
    server.restart().await;
    assert_eq!(held(&server).await, [], "an anchor of an earlier life");

    server.app().keep_record_now().await;
    tamper(server.location(), "UPDATE incarnations SET id = 'z' || id").await;
    server.restart().await;
    assert_eq!(held(&server).await, [HoldKind::Recovery], "an anchor of a life that it does not know");
    confirm(&server).await;

    // While it runs: as after a failover to a standby that lagged behind.
    server.app().keep_record_now().await;
    tamper(
        server.location(),
        "DELETE FROM audit WHERE sequence = (SELECT max(sequence) FROM audit); \
         UPDATE audit_head SET sequence = sequence - 1, hash = (SELECT hash FROM audit ORDER BY sequence DESC LIMIT 1)",
    )
    .await;
    assert_eq!(held(&server).await, []);
    server.app().keep_record_now().await;
    assert_eq!(held(&server).await, [HoldKind::Recovery], "a log that became shorter");
    server.finish().await;
}

#[tokio::test]
async fn a_server_that_cannot_remember_is_not_ready_and_goes_on() {
    let mut server = TestServer::start().await;
    server.app().keep_record_now().await;
    assert_eq!(server.client.get("/readyz").await.status, 200);
    let (anchor, kept) = (server.folder().join("anchor"), server.folder().join("kept"));
    std::fs::rename(&anchor, &kept).unwrap();
    std::fs::create_dir(&anchor).unwrap();
    server.app().keep_record_now().await;
    let ready = server.client.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("cannot be remembered"), "{}", ready.text());
    std::fs::remove_dir(&anchor).unwrap();
    std::fs::rename(&kept, &anchor).unwrap();
    server.app().keep_record_now().await;
    assert_eq!(server.client.get("/readyz").await.status, 200);
    server.restart().await;
    server.finish().await;
}

/// What somebody removed after the copy was made does not come back with it, and can be enrolled anew.
#[tokio::test]
async fn people_who_were_removed_since_stay_removed_in_an_older_copy_and_can_be_enrolled_again() {
    let (mut server, debian, _) = story().await;
    let token = debian.token().await;
    let (older, store) = empty(&server, &Database::of_this_run(), "older").await;
    copied(&server.app().store, &store, &server).await.unwrap();
    drop(store);
    let now = server.time.now();
    server
        .change(move |tx| {
            for contact in tx.contacts()? {
                tx.remove_contact(&contact.id, now)?;
            }
            Ok(())
        })
        .await;
    assert_eq!(status(&server, &token).await, 401);
    assert!(std::fs::read_to_string(server.folder().join("revocations")).unwrap().contains("contact "));
    server.continue_on(older).await;
    assert_eq!(status(&server, &token).await, 401);
    assert_eq!(server.database(|tx| Ok(tx.contacts()?.len())).await, 0);
    let certificate = debian.person.certificate().clone();
    let known = server.database(move |tx| {
        let stored = tx.certificate_by_fingerprint(&certificate.fingerprint())?;
        Ok(stored.map(|stored| tx.contact_by_certificate(&stored.id)).transpose()?.flatten().is_some())
    });
    assert!(!known.await, "its certificate is free again");
    server.finish().await;
}

#[tokio::test]
async fn a_restored_backup_is_the_same_installation_in_a_new_life_and_waits() {
    let (mut server, debian, ids) = story().await;
    let file = backed_up(&server).await;
    let before = contents(&server.app().store).await;
    server.run_worker_until_idle().await;
    let mails = server.sink.messages().len();

    let (location, store) = empty(&server, &Database::of_this_run(), "restored").await;
    for (end, error) in [(file.len() / 2, "cut"), (0, "no backup")] {
        let cut = restored(&store, file[..end].to_vec(), &server).await;
        assert!(cut.is_err(), "{error}");
    }
    let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
    let entry = lines.iter().position(|line| line.starts_with(b"={\"sequence\":3,")).unwrap();
    let without = [&lines[..entry], &lines[entry + 1..]].concat().concat();
    let error = restored(&store, without.clone(), &server).await.unwrap_err();
    assert!(matches!(error, CopyError::Changed), "{error}");
    // The first versions wrote no digest, and counts are looked at all the same.
    let text = String::from_utf8(without).unwrap();
    let (rows, _) = text.split_once(",\"sha256\":").unwrap();
    let error = restored(&store, format!("{rows}}}\n").into_bytes(), &server).await.unwrap_err();
    assert!(matches!(error, CopyError::Count { .. }), "{error}");
    let error = restored(&store, b"\x85\x02\x0c\x03".to_vec(), &server).await.unwrap_err();
    assert!(error.to_string().contains("gpg --decrypt"), "{error}");
    let twice = [&lines[..=entry], &lines[entry..]].concat().concat();
    let error = restored(&store, twice, &server).await.unwrap_err();
    assert!(matches!(error, CopyError::Changed), "{error}");
    let two = [&file[..], &file[..]].concat();
    let error = restored(&store, two, &server).await.unwrap_err();
    assert!(matches!(error, CopyError::Damaged(line) if line == lines.len() + 1), "{error}");

    restored(&store, file.clone(), &server).await.unwrap();
    let again = restored(&store, file, &server).await.unwrap_err();
    assert!(matches!(again, CopyError::NotEmpty), "{again}");
    for ((shape, old), (_, new)) in before.iter().zip(&contents(&store).await) {
        let grown = ["audit", "audit_head", "incarnations", "holds"].contains(&shape.table.as_str());
        assert!(grown || old == new, "{}", shape.table);
    }
    drop(store);

    server.continue_on(location).await;
    assert_eq!(held(&server).await, [HoldKind::Recovery]);
    server.clock.advance_to("2026-06-10T12:00:00Z".parse().unwrap());
    assert_eq!(server.run_worker_until_idle().await.lifted, [""; 0]);
    assert_eq!(server.sink.messages().len(), mails);
    confirm(&server).await;
    assert_eq!(server.run_worker_until_idle().await.lifted.len(), ids.len());
    let token = debian.token().await;
    assert_eq!(debian.embargoes(&token).await.len(), ids.len());
    server.finish().await;
}

#[tokio::test]
async fn a_copied_installation_goes_on_in_either_database_where_the_old_one_stopped() {
    let (mut server, debian, ids) = story().await;
    let mara = server.maintainer();
    mara.does(&Change::lift_early(&ids[0], "exploited")).await.accepted();
    server.run_worker_until_idle().await;
    let token = debian.token().await;
    server.app().keep_record_now().await;
    let original = contents(&server.app().store).await;
    for (shape, rows) in &original {
        let never = ["holds", "answers"].contains(&shape.table.as_str());
        assert!(
            never || !rows.is_empty() || is_new(&shape.table),
            "{} is empty: it proves nothing",
            shape.table
        );
    }

    // Into a file, and from there into what this run is about, so that both ways are gone.
    let (_, file) = empty(&server, &Database::Sqlite, "file").await;
    let (back, again) = empty(&server, &Database::of_this_run(), "back").await;
    let said = copied(&server.app().store, &file, &server).await.unwrap();
    assert_eq!(said, copied(&file, &again, &server).await.unwrap());
    assert_eq!(original, contents(&again).await);
    let refused = copied(&file, &again, &server).await.unwrap_err();
    assert!(matches!(refused, CopyError::NotEmpty), "{refused}");
    drop((file, again));

    server.continue_on(back).await;
    assert_eq!(held(&server).await, [], "it is the same life");
    assert_eq!(server.run_worker_until_idle().await.sent, 0, "nothing is sent twice");
    let fetched = debian.fetches(&token, &format!("/api/v1/embargoes/{}/revisions/1/notice", ids[1])).await;
    assert!(!fetched.is_empty());
    server.clock.advance(days(30).to_std().unwrap());
    assert_eq!(server.run_worker_until_idle().await.lifted, ["EMB-2026-2"]);
    server.finish().await;
}

/// Tables that other parts of the house fill.
fn is_new(table: &str) -> bool {
    !["settings", "data_keys", "projects", "embargoes", "deliveries", "audit", "checkpoints", "incarnations"]
        .contains(&table)
        && !["advisories", "published_files", "bodies", "heads", "tokens", "commands", "fixes"]
            .contains(&table)
}
