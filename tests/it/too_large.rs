//! A mail that the relay finds too large goes again without the patches, and says how to fetch them.

use std::time::Duration;

use embargod::demo::sink::{Fault, Stage};
use embargod::domain::notice::DeliveryState;
use embargod::store::Delivery;

use crate::harness::{Change, Series, TestServer};

/// The only copy with content.
async fn copy(server: &TestServer, id: &str) -> Delivery {
    let mut copies = server.deliveries(id).await;
    copies.retain(|copy| copy.kind.carries_revision());
    <[_; 1]>::try_from(copies).unwrap().into_iter().next().unwrap()
}

#[tokio::test]
async fn a_notice_too_large_for_the_relay_goes_at_once_without_patches_and_its_recipe_fetches_them() {
    for (code, reply) in [(552, "message file too big"), (554, "5.3.4 message too big for system")] {
        let server = TestServer::start().await;
        let debian = server.packager("debian").await;
        server.sink.plan(Fault::reply(Stage::Dot, code, reply));
        let mara = server.maintainer();
        let id = mara.announces().await;
        server.run_worker_until_idle().await;
        let copy = copy(&server, &id).await;
        assert_eq!((copy.state, copy.attempts), (DeliveryState::Accepted, 2));
        assert!(copy.reply.starts_with("250 ") && copy.reply.ends_with("and are fetched"), "{}", copy.reply);

        let [mail] = <[_; 1]>::try_from(debian.mailbox(&server.sink)).unwrap();
        assert!(mail.signature_good && mail.attachments.is_empty());
        assert!(mail.text.contains(&format!("embargoctl pull {id}\n")), "{}", mail.text);
        let path = mail.text.lines().find(|line| line.contains("> main.mbox")).unwrap().trim();
        let path = path.strip_prefix("$S").unwrap().split(' ').next().unwrap();
        let token = debian.token().await;
        assert_eq!(debian.fetches(&token, path).await, Series::default().mbox());
        let code = mail.receipt_code();
        assert_eq!(debian.gives_receipt(&token, &id, 1, &code).await.status, 200);
        server.finish().await;
    }
}

#[tokio::test]
async fn what_is_too_large_even_without_patches_fails_and_is_not_tried_for_ever() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    server.sink.plan_times(Fault::reply(Stage::Mail, 552, "5.3.4 message too big"), 2);
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    let copy = copy(&server, &id).await;
    assert_eq!((copy.state, copy.attempts), (DeliveryState::Failed, 2));
    assert!(copy.reply.contains("5.3.4"), "{}", copy.reply);
    assert_eq!(server.sink.for_recipient("mara@requests.example").len(), 1, "then people have to look");
    server.finish().await;
}

#[tokio::test]
async fn a_mailbox_that_is_full_takes_the_patches_from_nobody() {
    let server = TestServer::start().await;
    let (debian, alpine) = (server.packager("debian").await, server.packager("alpine").await);
    server.sink.plan_for(&alpine.address, Fault::reply(Stage::Rcpt, 552, "5.2.2 mailbox is full"));
    server.sink.plan_for(&debian.address, Fault::reply(Stage::Rcpt, 451, "4.3.0 try later"));
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    server.sink.heal();
    server.clock.advance(Duration::from_hours(1));
    server.run_worker_until_idle().await;
    assert_eq!(debian.mailbox(&server.sink).remove(0).attachments.len(), 1);
    let states: Vec<_> =
        server.deliveries(&id).await.into_iter().filter(|copy| copy.kind.carries_revision()).collect();
    let failed: Vec<_> = states.iter().filter(|copy| copy.state == DeliveryState::Failed).collect();
    assert_eq!((failed.len(), failed[0].attempts), (1, 1));
    server.finish().await;
}

#[tokio::test]
async fn what_may_have_arrived_goes_again_as_it_was_even_when_others_go_without_patches() {
    let server = TestServer::start().await;
    let (debian, alpine) = (server.packager("debian").await, server.packager("alpine").await);
    server.sink.plan_for(&alpine.address, Fault::LoseAnswerAfterDot);
    server.sink.plan_for(&debian.address, Fault::reply(Stage::Dot, 552, "5.3.4 message too big"));
    let mara = server.maintainer();
    mara.announces().await;
    server.run_worker_until_idle().await;
    server.sink.heal();
    server.clock.advance(Duration::from_hours(1));
    server.run_worker_until_idle().await;
    let received = server.sink.for_recipient(&alpine.address);
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].bytes, received[1].bytes);
    server.finish().await;
}

#[tokio::test]
async fn a_recipe_that_is_typed_line_by_line_writes_every_patch_to_a_file_of_its_own() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    server.sink.plan(Fault::reply(Stage::Dot, 552, "5.3.4 message too big"));
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-10 14:00").await;
    for branch in ["release/1.0", "release-1.0"] {
        mara.puts_fix(&id, branch, &Series::default().mbox()).await;
    }
    mara.does(&Change::send(&id, None, true)).await.accepted();
    server.run_worker_until_idle().await;
    let text = debian.mailbox(&server.sink).remove(0).text;
    let files: Vec<_> = text.lines().filter_map(|line| line.split("gpg -dq > ").nth(1)).collect();
    assert_eq!(files, ["main.mbox", "release-1.0.mbox", "release-1.0-2.mbox"], "{text}");
    server.finish().await;
}

#[tokio::test]
async fn whoever_is_told_later_gets_the_smaller_mail_and_a_new_revision_begins_with_its_patches_again() {
    let server = TestServer::start().await;
    let (debian, fedora) = (server.packager("debian").await, server.packager("fedora").await);
    server.sink.plan_for(&fedora.address, Fault::reply(Stage::Rcpt, 451, "4.3.0 try later"));
    server.sink.plan_for(&debian.address, Fault::reply(Stage::Dot, 552, "5.3.4 message too big"));
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    server.sink.heal();
    server.clock.advance(Duration::from_hours(1));
    server.run_worker_until_idle().await;
    let [late] = <[_; 1]>::try_from(fedora.mailbox(&server.sink)).unwrap();
    assert!(late.attachments.is_empty(), "the relay is the same for everybody");

    mara.puts_fix(&id, "main", &Series::with_line("    return old.port == new.port").mbox()).await;
    mara.does(&Change::send(&id, Some("ports count"), false)).await.accepted();
    server.run_worker_until_idle().await;
    assert_eq!(debian.mailbox(&server.sink).last().unwrap().attachments.len(), 1);
    server.finish().await;
}
