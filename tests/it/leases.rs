//! Who holds a copy, for how long, and what becomes of it when its worker vanishes, pauses, stops, or cannot record.

use std::sync::Arc;
use std::time::Duration;

use embargod::app::Refusal;
use embargod::app::deliveries::{Fate, Outgoing};
use embargod::app::pulse::Loop;
use embargod::demo::sink::{Fault, Stage};
use embargod::domain::notice::DeliveryState;
use embargod::wire::DeliveriesView;

use crate::harness::{Change, TestServer};

/// A lease and a moment.
const LAPSE: Duration = Duration::from_secs(31);

/// The state of every announcement, with the attempts.
async fn states(server: &TestServer, id: &str) -> Vec<(DeliveryState, u32)> {
    let mut copies = server.deliveries(id).await;
    copies.retain(|copy| copy.kind.carries_revision());
    copies.iter().map(|copy| (copy.state, copy.attempts)).collect()
}

/// Another worker takes what is due, and does nothing with it.
async fn another_claims(server: &TestServer) -> Vec<Outgoing> {
    server.app().reconcile_notices().await.unwrap();
    server.app().claim("another", 64, true).await.unwrap()
}

#[tokio::test]
async fn a_worker_that_vanished_is_taken_over_within_a_minute_and_what_it_says_later_counts_for_nothing() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let id = server.maintainer().announces().await;
    let [lost] = <[_; 1]>::try_from(another_claims(&server).await).ok().unwrap();
    let lost = lost.held;
    server.clock.advance(Duration::from_secs(24));
    assert!(lost.is_trusted(&server.time));
    server.clock.advance(Duration::from_secs(2));
    assert!(!lost.is_trusted(&server.time), "it stops believing before another may begin");
    assert_eq!(server.run_worker_until_idle().await.sent, 0, "the lease has four seconds left");
    server.clock.advance(Duration::from_secs(5));
    assert_eq!(server.run_worker_until_idle().await.sent, 1);

    assert!(!server.app().may_send(&lost.claimed).await.unwrap());
    server.app().renew(vec![Arc::clone(&lost)]).await.unwrap();
    assert!(!lost.is_trusted(&server.time), "a lease that another took is not renewed");
    let late = vec![(lost.claimed.clone(), Some(Fate::Refused("550 too late".to_owned())))];
    server.app().record(late).await.unwrap();
    server.app().record(vec![(lost.claimed.clone(), None)]).await.unwrap();
    assert_eq!(states(&server, &id).await, [(DeliveryState::Accepted, 1)]);
    assert_eq!(debian.subjects(&server.sink), ["EMBARGO Requests"]);
    server.finish().await;
}

#[tokio::test]
async fn what_a_worker_says_of_a_copy_that_another_holds_meanwhile_counts_for_nothing() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    let id = server.maintainer().announces().await;
    let [lost] = <[_; 1]>::try_from(another_claims(&server).await).ok().unwrap();
    server.clock.advance(LAPSE);
    let [held] = <[_; 1]>::try_from(another_claims(&server).await).ok().unwrap();
    for late in
        [Some(Fate::Refused("550 too late".to_owned())), Some(Fate::Accepted("250 ok".to_owned())), None]
    {
        server.app().record(vec![(lost.held.claimed.clone(), late)]).await.unwrap();
        assert_eq!(states(&server, &id).await, [(DeliveryState::Leased, 0)]);
    }
    let said = Some(Fate::Accepted("250 ok".to_owned()));
    server.app().record(vec![(held.held.claimed.clone(), said)]).await.unwrap();
    assert_eq!(states(&server, &id).await, [(DeliveryState::Accepted, 1)]);
    server.finish().await;
}

#[tokio::test]
async fn a_lease_that_is_renewed_outlives_its_first_term_and_nobody_takes_it() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    server.maintainer().announces().await;
    let [copy] = <[_; 1]>::try_from(another_claims(&server).await).ok().unwrap();
    for _ in 0..6 {
        server.clock.advance(Duration::from_secs(20));
        server.app().renew(vec![Arc::clone(&copy.held)]).await.unwrap();
        assert!(copy.held.is_trusted(&server.time));
        assert_eq!(server.run_worker_until_idle().await.sent, 0);
    }
    server.app().record(vec![(copy.held.claimed.clone(), None)]).await.unwrap();
    assert_eq!(server.run_worker_until_idle().await.sent, 1, "what is given back is taken at once");
    server.finish().await;
}

#[tokio::test]
async fn a_worker_whose_relay_takes_minutes_renews_its_leases_so_that_nobody_sends_the_same_mail() {
    let mut server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let id = server.maintainer().announces().await;
    server.sink.plan_for(&debian.address, Fault::PauseAt(Stage::Dot));
    server.leave_alone().await;
    server.sink.wait_for_stall().await;
    for _ in 0..12 {
        server.clock.advance(Duration::from_secs(10));
        // What is held is next due when its lease ends.
        let renewed = |tx: &mut embargod::store::Tx<'_>, now| {
            Ok::<_, Refusal>(tx.next_delivery()? == Some(now + chrono::Duration::seconds(30)))
        };
        server.until("the lease is renewed", renewed).await;
        assert!(server.app().claim("another", 64, true).await.unwrap().is_empty());
    }
    server.sink.heal();
    server.mails(1).await;
    server.stop().await;
    assert_eq!(states(&server, &id).await, [(DeliveryState::Accepted, 1)]);
    assert_eq!(server.sink.for_recipient(&debian.address).len(), 1);
    server.finish().await;
}

#[tokio::test]
async fn a_mail_whose_worker_was_paused_past_its_lease_is_broken_off_before_its_first_byte() {
    let mut server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let id = server.maintainer().announces().await;
    server.sink.plan_for(&debian.address, Fault::PauseAt(Stage::Rcpt));
    server.leave_alone().await;
    server.sink.wait_for_stall().await;
    // As after SIGSTOP: the clocks went on, and another worker took the copy.
    server.meddle(STOLEN, STOLEN).await;
    server.sink.heal();
    server.stop().await;
    assert_eq!(server.sink.messages().len(), 0);
    assert!(!contains(&server.sink.transcript(), b"BEGIN PGP MESSAGE"));
    assert_eq!(states(&server, &id).await, [(DeliveryState::Leased, 0)], "the other worker's");
    server.meddle(GIVEN_BACK, GIVEN_BACK).await;
    server.restart().await;
    server.run_worker_until_idle().await;
    assert_eq!(debian.subjects(&server.sink), ["EMBARGO Requests"]);
    server.finish().await;
}

const STOLEN: &str = "UPDATE deliveries SET fence = fence + 1 WHERE state = 'leased'";
const GIVEN_BACK: &str = "UPDATE deliveries SET state = 'pending' WHERE state = 'leased'";

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[tokio::test]
async fn who_is_taken_off_the_list_while_the_relay_hesitates_gets_nothing() {
    let mut server = TestServer::start().await;
    let debian = server.packager("debian").await;
    server.packager("fedora").await;
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.sink.plan_for(&debian.address, Fault::PauseAt(Stage::Rcpt));
    server.leave_alone().await;
    server.sink.wait_for_stall().await;
    mara.does(&Change::audience(&id, &["fedora"])).await.accepted();
    server.sink.heal();
    server.mails(1).await;
    server.stop().await;
    assert_eq!(server.sink.for_recipient(&debian.address).len(), 0);
    server.restart().await;
    server.run_worker_until_idle().await;
    assert_eq!(server.sink.for_recipient(&debian.address).len(), 0);
    let mut ends: Vec<_> = states(&server, &id).await.into_iter().map(|(state, _)| state.as_str()).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["accepted", "superseded"]);
    server.finish().await;
}

#[tokio::test]
async fn a_relay_that_never_answers_for_one_recipient_delays_no_other_and_no_later_notice() {
    let mut server = TestServer::start().await;
    let debian = server.packager("debian").await;
    for number in 0..20 {
        server.packager(&format!("packager-{number}")).await;
    }
    let mara = server.maintainer();
    mara.announces().await;
    server.sink.plan_for(&debian.address, Fault::PauseAt(Stage::Dot));
    server.leave_alone().await;
    server.sink.wait_for_stall().await;
    server.mails(20).await;
    mara.announces().await;
    // The second mail for debian stalls the second connection, at the end of its line or in the middle.
    server.sink.heal();
    server.mails(42).await;
    server.finish().await;
}

#[tokio::test]
async fn a_notice_that_becomes_due_while_a_connection_hangs_leaves_by_another() {
    let mut server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    mara.announces().await;
    server.sink.plan(Fault::PauseAt(Stage::Dot));
    server.leave_alone().await;
    server.sink.wait_for_stall().await;
    server.packager("fedora").await;
    mara.announces().await;
    server.mails(2).await;
    assert_eq!(server.sink.for_recipient(&debian.address).len(), 1, "the one of the second embargo");
    server.sink.heal();
    server.mails(3).await;
    server.finish().await;
}

#[tokio::test]
async fn who_is_told_to_stop_finishes_the_mail_in_hand_and_gives_the_others_back_untried() {
    let mut server = TestServer::start().await;
    for number in 0..10 {
        server.packager(&format!("packager-{number}")).await;
    }
    let id = server.maintainer().announces().await;
    // One connection hangs before the mail, the other after it.
    server.sink.plan(Fault::PauseAt(Stage::Rcpt));
    server.sink.plan(Fault::PauseAt(Stage::Dot));
    server.leave_alone().await;
    server.sink.wait_for_stalls(2).await;
    let (store, sink) = (server.app().store.clone(), Arc::clone(&server.sink));
    let heal = async move {
        // The mail that is broken off is given back while the other one is still waited for.
        while store.read(|tx| tx.leases()).await.unwrap() > 1 {
            tokio::task::yield_now().await;
        }
        sink.heal();
    };
    tokio::join!(server.stop(), heal);
    let mut ends = states(&server, &id).await;
    ends.sort_unstable_by_key(|(state, _)| state.as_str());
    assert_eq!(ends[0], (DeliveryState::Accepted, 1));
    assert_eq!(ends[1..], [(DeliveryState::Pending, 0); 9], "nothing is held, and nothing was tried");
    server.restart().await;
    assert_eq!(server.run_worker_until_idle().await.sent, 9);
    assert_eq!(server.sink.messages().len(), 10);
    server.finish().await;
}

/// The database takes no change of what is held.
const NO_UPDATES: [&str; 2] = [
    "CREATE TRIGGER away BEFORE UPDATE ON deliveries WHEN old.state = 'leased' \
     BEGIN SELECT RAISE(ABORT, 'away'); END",
    "CREATE FUNCTION away() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'away'; END $$ LANGUAGE plpgsql; \
     CREATE TRIGGER away BEFORE UPDATE ON deliveries FOR EACH ROW WHEN (old.state = 'leased') \
     EXECUTE FUNCTION away()",
];
/// The same once a mail has left.
const NO_OUTCOMES: [&str; 2] = [
    "CREATE TRIGGER away BEFORE UPDATE ON deliveries WHEN old.state = 'leased' AND new.state <> 'leased' \
     BEGIN SELECT RAISE(ABORT, 'away'); END",
    "CREATE FUNCTION away() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'away'; END $$ LANGUAGE plpgsql; \
     CREATE TRIGGER away BEFORE UPDATE ON deliveries FOR EACH ROW \
     WHEN (old.state = 'leased' AND new.state <> 'leased') EXECUTE FUNCTION away()",
];
const UPDATES: [&str; 2] = ["DROP TRIGGER away", "DROP TRIGGER away ON deliveries; DROP FUNCTION away"];

#[tokio::test]
async fn what_the_relay_took_while_the_database_was_away_is_recorded_when_it_is_back_and_not_sent_again() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let id = server.maintainer().announces().await;
    server.meddle(NO_OUTCOMES[0], NO_OUTCOMES[1]).await;
    assert!(server.tries_to_look().await.is_err());
    assert_eq!(server.sink.for_recipient(&debian.address).len(), 1);
    server.meddle(UPDATES[0], UPDATES[1]).await;
    server.meddle(NO_UPDATES[0], NO_UPDATES[1]).await;
    for _ in 0..5 {
        // Its lease runs out over and over.
        server.clock.advance(LAPSE);
        assert!(server.tries_to_look().await.is_err());
    }
    assert_eq!(states(&server, &id).await, [(DeliveryState::Leased, 0)]);
    server.meddle(UPDATES[0], UPDATES[1]).await;
    server.run_worker_until_idle().await;
    assert_eq!(states(&server, &id).await, [(DeliveryState::Accepted, 1)]);
    assert_eq!(server.sink.for_recipient(&debian.address).len(), 1);
    server.finish().await;
}

#[tokio::test]
async fn where_the_database_was_away_for_all_the_others_get_time_to_say_what_they_sent() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let id = server.maintainer().announces().await;
    let [sent] = <[_; 1]>::try_from(another_claims(&server).await).ok().unwrap();
    server.meddle(NO_UPDATES[0], NO_UPDATES[1]).await;
    server.clock.advance(LAPSE);
    assert!(server.tries_to_look().await.is_err());
    server.meddle(UPDATES[0], UPDATES[1]).await;
    assert_eq!(
        server.run_worker_until_idle().await.sent,
        0,
        "its lease ran out because nobody could renew it"
    );
    server.clock.advance(Duration::from_secs(14));
    assert_eq!(server.run_worker_until_idle().await.sent, 0);
    server
        .app()
        .record(vec![(sent.held.claimed.clone(), Some(Fate::Accepted("250 ok".to_owned())))])
        .await
        .unwrap();
    server.clock.advance(Duration::from_mins(1));
    assert_eq!(server.run_worker_until_idle().await.sent, 0);
    assert_eq!(states(&server, &id).await, [(DeliveryState::Accepted, 1)]);
    assert_eq!(server.sink.for_recipient(&debian.address).len(), 0);
    server.finish().await;
}

#[tokio::test]
async fn a_worker_that_vanished_after_the_database_was_away_is_taken_over_all_the_same() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    server.maintainer().announces().await;
    another_claims(&server).await;
    server.meddle(NO_UPDATES[0], NO_UPDATES[1]).await;
    server.clock.advance(LAPSE);
    assert!(server.tries_to_look().await.is_err());
    server.meddle(UPDATES[0], UPDATES[1]).await;
    server.run_worker_until_idle().await;
    server.clock.advance(Duration::from_secs(16));
    assert_eq!(server.run_worker_until_idle().await.sent, 1);
    server.finish().await;
}

#[tokio::test]
async fn a_worker_that_breaks_off_again_and_again_makes_the_server_not_ready() {
    let server = TestServer::start().await;
    assert_eq!(server.client.get("/readyz").await.status, 200);
    for _ in 0..3 {
        server.app().pulse.skip(Loop::Deliver);
    }
    let ready = server.client.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("the worker fails again and again"), "{}", ready.text());
    server.app().pulse.beat(Loop::Deliver);
    assert_eq!(server.client.get("/readyz").await.status, 200);
    server.finish().await;
}

#[tokio::test]
async fn maintainers_see_how_often_a_copy_was_tried_what_was_said_and_when_it_is_tried_next() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    server.sink.plan_for(&debian.address, Fault::LoseAnswerAfterDot);
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    let token = mara.token().await;
    let view: DeliveriesView = mara.reads(&token, &format!("/api/v1/embargoes/{id}/deliveries")).await;
    let copy = &view.deliveries[0];
    assert_eq!((copy.state.as_str(), copy.attempts, copy.uncertain), ("uncertain", 1, 1));
    assert!(!copy.reply.is_empty());
    assert!(copy.next_attempt_at.unwrap() > server.time.now());
    server.sink.heal();
    server.clock.advance(Duration::from_mins(2));
    server.run_worker_until_idle().await;
    let view: DeliveriesView = mara.reads(&token, &format!("/api/v1/embargoes/{id}/deliveries")).await;
    let copy = &view.deliveries[0];
    assert_eq!((copy.state.as_str(), copy.attempts, copy.uncertain), ("accepted", 2, 1));
    assert_eq!(copy.next_attempt_at, None);
    server.finish().await;
}
