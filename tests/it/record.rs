//! The record of what was done: signed, remembered outside the database, and no secret without it.

use std::path::Path;

use embargod::app::audit;
use embargod::app::checkpoints::SignedCheckpoint;
use embargod::store::{ChainFault, Location};

use crate::harness::{Change, TestServer, tamper};

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_default()
}

fn anchor(server: &TestServer) -> embargod::app::checkpoints::Checkpoint {
    let signed = SignedCheckpoint::from_text(&read(server.folder(), "anchor")).unwrap();
    signed.verified(&server.certificate).unwrap()
}

async fn head(server: &TestServer) -> (i64, String) {
    let head = server.database(|tx| Ok(tx.audit_head()?)).await;
    (head.sequence, head.hash)
}

async fn verified(server: &TestServer) -> Result<audit::Whole, ChainFault> {
    let (store, state) = (server.app().store.clone(), server.folder().to_owned());
    tokio::task::spawn_blocking(move || audit::verify(&store, Some(&state))).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_revocation_and_a_lift_are_outside_the_database_before_anybody_is_told_and_the_rest_follows() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    let token = debian.token().await;
    let before = anchor(&server);
    assert!(before.sequence < head(&server).await.0, "what is no revocation may lag behind");

    server
        .client
        .call("DELETE", "/api/v1/tokens", &[("authorization", &format!("Bearer {token}"))], None)
        .await;
    let (sequence, hash) = head(&server).await;
    let after = anchor(&server);
    assert_eq!((after.sequence, after.hash), (sequence, hash));
    assert_eq!(after.replica, before.replica);
    let ended = read(server.folder(), "revocations");
    assert_eq!(ended.lines().count(), 1, "{ended}");
    assert!(ended.starts_with("token ") && !ended.contains(&token), "{ended}");

    mara.does(&Change::lift_early(&id, "exploited")).await.accepted();
    server.run_worker_until_idle().await;
    assert!(read(server.folder(), "published").starts_with("EMB-2026-1 2026-"));
    let lifted = anchor(&server).sequence;
    assert!(lifted > sequence);

    mara.opens(&crate::harness::ordinary_text()).await;
    server.look().await;
    assert_eq!(anchor(&server).sequence, lifted);
    server.clock.advance(std::time::Duration::from_secs(5));
    server.look().await;
    assert_eq!((anchor(&server).sequence, anchor(&server).hash), head(&server).await);
    server.finish().await;
}

#[tokio::test]
async fn a_checkpoint_is_signed_every_thousand_entries_or_ten_minutes_and_never_of_nothing_new() {
    let server = TestServer::start().await;
    let checkpoints = async || server.database(|tx| Ok(tx.checkpoints()?)).await;
    server.look().await;
    let first = checkpoints().await;
    assert_eq!(first.len(), 1);
    let signed = SignedCheckpoint::from(first[0].clone()).verified(&server.certificate).unwrap();
    assert_eq!((signed.sequence, signed.hash), head(&server).await);

    server.clock.advance(std::time::Duration::from_mins(20));
    server.look().await;
    assert_eq!(checkpoints().await.len(), 1, "nothing was done since");
    let packager = server.packager("debian").await;
    server.clock.advance(std::time::Duration::from_secs(5));
    server.look().await;
    assert_eq!(checkpoints().await.len(), 2);
    packager.token().await;
    server.clock.advance(std::time::Duration::from_mins(9));
    server.look().await;
    assert_eq!(checkpoints().await.len(), 2, "nine minutes are not ten");

    let now = server.time.now();
    server
        .change(move |tx| {
            for number in 0..1_000 {
                tx.audit(embargod::store::AuditEntry {
                    at: now,
                    actor: "operator".to_owned(),
                    action: "counted",
                    embargo: None,
                    object: number.to_string(),
                    detail: Vec::new(),
                });
            }
            Ok(())
        })
        .await;
    server.clock.advance(std::time::Duration::from_secs(5));
    server.look().await;
    assert_eq!(checkpoints().await.len(), 3);
    assert!(verified(&server).await.unwrap().confirmed > 1_000);
    server.finish().await;
}

/// The whole log in a file, as its owner takes it away.
async fn exported(server: &TestServer) -> Vec<u8> {
    let (app, now) = (server.app().clone(), server.time.now());
    let export = move || {
        let mut file = Vec::new();
        audit::export(&app.store, &app.server_key().unwrap(), now, &mut file).unwrap();
        file
    };
    tokio::task::spawn_blocking(export).await.unwrap()
}

#[tokio::test]
async fn an_exported_log_is_checked_with_the_certificate_alone_and_every_line_of_it_counts() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    server.maintainer().announces().await;
    server.run_worker_until_idle().await;
    let file = exported(&server).await;
    let check = |file: &[u8]| audit::verify_file(file, &server.certificate);
    let entries = head(&server).await.0;
    let whole = check(&file).unwrap().unwrap();
    assert_eq!((whole.entries, whole.confirmed), (entries, entries));

    let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
    for number in 0..lines.len() {
        let mut shorter = lines.clone();
        shorter.remove(number);
        let verdict = check(&shorter.concat());
        let is_older_checkpoint = lines[number].starts_with(b"{\"line\"") && number == 1;
        assert_eq!(
            verdict.is_ok_and(|verdict| verdict.is_ok()),
            is_older_checkpoint,
            "without line {number}"
        );
    }
    let other = embargod::openpgp::ServerKey::generate("<a@b.example>", server.time.now()).unwrap();
    let foreign = audit::verify_file(&file[..], other.certificate()).unwrap();
    assert!(matches!(foreign, Err(ChainFault::Forged(_))), "{foreign:?}");
    server.finish().await;
}

#[tokio::test]
async fn who_writes_the_whole_log_anew_is_found_out_by_the_anchor_even_without_a_checkpoint() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    server.maintainer().announces().await;
    server.app().keep_record_now().await;
    let (length, _) = head(&server).await;
    assert_eq!(verified(&server).await.unwrap().confirmed, length);
    tamper(server.location(), "DELETE FROM checkpoints").await;
    assert_eq!(verified(&server).await.unwrap().confirmed, length, "the anchor is left");

    // The last entry is taken away, and the head set back to the one before.
    let before = server.database(move |tx| Ok(tx.audit_hash(length - 1)?)).await.unwrap();
    let bytes = match server.location() {
        Location::Sqlite(_) => format!("x'{before}'"),
        Location::Postgres(_) => format!("'\\x{before}'::bytea"),
    };
    tamper(
        server.location(),
        &format!(
            "DELETE FROM audit WHERE sequence = {length}; \
             UPDATE audit_head SET sequence = {length} - 1, hash = {bytes}"
        ),
    )
    .await;
    let itself = server.database(|tx| Ok(tx.verify_audit()?)).await;
    assert_eq!(itself, Ok(length - 1), "the chain fits itself");
    let fault = verified(&server).await;
    assert_eq!(fault, Err(ChainFault::Truncated { found: length - 1, expected: length }));
    server.finish().await;
}

#[tokio::test]
async fn a_checkpoint_that_somebody_else_put_there_is_named() {
    let server = TestServer::start().await;
    server.app().keep_record_now().await;
    let (length, _) = head(&server).await;
    tamper(server.location(), "UPDATE checkpoints SET line = replace(line, 'checkpoint 1', 'checkpoint  1')")
        .await;
    assert_eq!(verified(&server).await, Err(ChainFault::Forged(length)));
    server.finish().await;
}

#[tokio::test]
async fn a_log_of_which_the_head_or_everything_is_gone_is_named_and_a_missing_anchor_is_said() {
    let server = TestServer::start().await;
    server.maintainer().opens(&crate::harness::ordinary_text()).await;
    server.look().await;
    server.clock.advance(std::time::Duration::from_secs(5));
    server.look().await;
    let written = head(&server).await.0;
    assert!(verified(&server).await.unwrap().anchored);
    let anchor = server.folder().join("anchor");
    std::fs::rename(&anchor, server.folder().join("elsewhere")).unwrap();
    assert!(!verified(&server).await.unwrap().anchored);
    std::fs::rename(server.folder().join("elsewhere"), &anchor).unwrap();

    let both = async |line: &str| server.meddle(line, line).await;
    both("CREATE TABLE kept_head AS SELECT * FROM audit_head").await;
    both("DELETE FROM audit_head").await;
    let fault = verified(&server).await.unwrap_err();
    assert_eq!(fault, ChainFault::Headless(written));
    both("CREATE TABLE kept_audit AS SELECT * FROM audit").await;
    both("DELETE FROM audit").await;
    let fault = verified(&server).await.unwrap_err();
    assert!(matches!(fault, ChainFault::Truncated { found: 0, expected: 1.. }), "{fault}");
    // Whoever removes everything that speaks of it leaves a log that never began.
    both("CREATE TABLE kept_checkpoints AS SELECT * FROM checkpoints").await;
    both("DELETE FROM checkpoints").await;
    std::fs::rename(&anchor, server.folder().join("elsewhere")).unwrap();
    assert_eq!(verified(&server).await.unwrap_err(), ChainFault::Headless(0));
    for garbled in ["", "hello\n"] {
        std::fs::write(&anchor, garbled).unwrap();
        assert_eq!(verified(&server).await.unwrap_err(), ChainFault::Anchor, "{garbled:?}");
    }
    std::fs::rename(server.folder().join("elsewhere"), &anchor).unwrap();
    both("INSERT INTO checkpoints SELECT * FROM kept_checkpoints").await;
    both("DROP TABLE kept_checkpoints").await;
    both("INSERT INTO audit SELECT * FROM kept_audit").await;
    both("INSERT INTO audit_head SELECT * FROM kept_head").await;
    both("DROP TABLE kept_head").await;
    both("DROP TABLE kept_audit").await;
    server.finish().await;
}
