//! Holds: what they stop, what goes on, and that one which comes in the middle of the work comes in time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use embargod::app::Refusal;
use embargod::domain::hold::HoldKind;
use embargod::domain::id::HoldId;
use embargod::domain::notice::DeliveryState;
use embargod::store::{Hold, Location, Tx};

use crate::harness::{Change, TestServer, ordinary_text, start, utc};

const MARA: &str = "mara@requests.example";
const REASON: &str = "the relay may have been broken into";

async fn holds(server: &TestServer) {
    server.as_operator(|operator| drop(operator.place_hold(REASON).unwrap())).await;
}

async fn releases(server: &TestServer) {
    server
        .as_operator(|operator| {
            for hold in operator.open_holds().unwrap() {
                operator.release_hold(hold.id.as_str()).unwrap();
            }
        })
        .await;
}

async fn ready(server: &TestServer) -> String {
    server.client.get("/readyz").await.text()
}

#[tokio::test]
async fn a_hold_stops_the_lift_and_the_mail_and_nothing_else_and_what_waited_happens_when_it_ends() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.announces().await;
    holds(&server).await;
    assert_eq!(server.run_worker_until_idle().await.sent, 0, "what was on its way stays");

    let readiness = ready(&server).await;
    assert!(readiness.contains("an operator holds lifts and mail"), "{readiness}");
    assert!(!readiness.contains("relay"), "the reason is not for strangers: {readiness}");
    let mut text = ordinary_text();
    text.insert("severity".to_owned(), "high".into());
    mara.does(&Change::text(&id, &text)).await.accepted();
    let other = mara.prepares("2026-06-10 15:00").await;
    let (status, _, detail) = mara.does(&Change::send(&other, None, true)).await.refused();
    assert!(status == 503 && detail.contains("embargod hold list"), "{status} {detail}");
    let (status, ..) = mara.does(&Change::lift_early(&other, "it leaked")).await.refused();
    assert_eq!(status, 503);
    mara.does(&Change::send(&other, None, false)).await.accepted();

    server.clock.advance_to(utc("2026-06-03T14:00:00Z"));
    server.run_worker_until_idle().await;
    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    server.run_worker_until_idle().await;
    assert_eq!(server.client.get("/advisories/EMB-2026-1").await.status, 404);
    assert!(debian.subjects(&server.sink).is_empty());

    releases(&server).await;
    let done = server.run_worker_until_idle().await;
    assert_eq!(done.lifted, ["EMB-2026-1"]);
    assert_eq!(
        debian.subjects(&server.sink).len(),
        1,
        "one is public, and the other is too late to announce"
    );
    assert_eq!(server.sink.for_recipient(MARA).len(), 1);
    server.finish().await;
}

#[tokio::test]
async fn an_announcement_that_is_due_waits_for_the_end_of_the_hold() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-17 14:00").await;
    mara.does(&Change::send(&id, None, false)).await.accepted();
    holds(&server).await;
    server.clock.advance_to(utc("2026-06-10T11:00:00Z"));
    server.run_worker_until_idle().await;
    assert!(server.deliveries(&id).await.is_empty());
    releases(&server).await;
    server.run_worker_until_idle().await;
    assert_eq!(debian.subjects(&server.sink), ["EMBARGO Requests"]);
    server.finish().await;
}

#[tokio::test]
async fn alarms_pass_an_operators_hold_and_not_one_after_a_restore() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    server
        .change(|tx| {
            let hold = Hold {
                id: HoldId::from_random([9; 26]),
                kind: HoldKind::Recovery,
                reason: None,
                placed_at: start(),
                placed_by: "operator".to_owned(),
            };
            Ok::<_, Refusal>(tx.place_hold(&hold)?)
        })
        .await;
    // Moving an announced lift forward tells packagers, and alarms the maintainers.
    mara.does(&Change::lift_early(&id, "it leaked")).await.accepted();
    server.run_worker_until_idle().await;
    assert!(server.sink.for_recipient(MARA).is_empty());
    assert!(ready(&server).await.contains("the database was restored"));
    holds(&server).await;
    server
        .change(|tx| Ok::<_, Refusal>(tx.release_hold(&HoldId::from_random([9; 26]), "operator", start())?))
        .await;
    server.run_worker_until_idle().await;
    assert_eq!(server.sink.for_recipient(MARA).len(), 1);
    assert_eq!(server.sink.messages().len(), 2, "the announcement, before any hold, and the alarm");
    releases(&server).await;
    server.run_worker_until_idle().await;
    server.finish().await;
}

/// Polls `work` this many times, each time it can go on, and leaves it where it then stands.
async fn advances<F: Future + Unpin>(work: &mut F, mut polls: usize) -> Option<F::Output> {
    let mut work = pin!(work);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if polls == 0 => Poll::Ready(None),
        Poll::Pending => {
            polls -= 1;
            Poll::Pending
        }
    })
    .await
}

/// More steps than a lift, an announcement or a claim has.
const STEPS: usize = 7;
/// Legal instants a working day apart.
const DAYS: [&str; STEPS] =
    ["2026-06-17", "2026-06-18", "2026-06-22", "2026-06-23", "2026-06-24", "2026-06-25", "2026-06-29"];

#[tokio::test]
async fn a_hold_that_comes_in_the_middle_of_a_lift_stops_it_unless_it_is_done() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    let mara = server.maintainer();
    for day in DAYS {
        let id = mara.prepares(&format!("{day} 14:00")).await;
        mara.does(&Change::send(&id, None, true)).await.accepted();
    }
    server.run_worker_until_idle().await;
    let mut stopped = 0;
    for (step, day) in DAYS.iter().enumerate() {
        server.clock.advance_to(utc(&format!("{day}T12:00:00Z")));
        let public = || async { server.database(|tx| Ok(tx.last_advisory_number(2026)?)).await };
        let mut lift = Box::pin(server.app().lift_due());
        let done = advances(&mut lift, step).await;
        holds(&server).await;
        let then = public().await;
        if done.is_none() {
            lift.await.ok();
        }
        assert_eq!(public().await, then, "step {step}: it was lifted although the hold stood");
        stopped += usize::from(usize::try_from(then).unwrap() == step);
        releases(&server).await;
        server.run_worker_until_idle().await;
        assert_eq!(usize::try_from(public().await).unwrap(), step + 1);
    }
    assert!(stopped < STEPS, "a lift has fewer steps");
    server.finish().await;
}

#[tokio::test]
async fn a_clock_that_jumps_in_the_middle_of_a_lift_stops_it_unless_it_is_done() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    let mara = server.maintainer();
    for day in DAYS {
        let id = mara.prepares(&format!("{day} 14:00")).await;
        mara.does(&Change::send(&id, None, true)).await.accepted();
    }
    server.run_worker_until_idle().await;
    let mut stopped = 0;
    for (step, day) in DAYS.iter().enumerate() {
        server.clock.advance_to(utc(&format!("{day}T12:00:00Z")));
        let public = || async { server.database(|tx| Ok(tx.last_advisory_number(2026)?)).await };
        let mut lift = Box::pin(server.app().lift_due());
        let done = advances(&mut lift, step).await;
        // While nobody else writes to SQLite, so that no transaction looked before the jump and ends after it.
        let hand = std::sync::Arc::clone(&server.clock);
        let jump = move |_: &mut Tx<'_>| {
            hand.set_apart(chrono::Duration::hours(1));
            Ok::<_, Refusal>(())
        };
        server.change(jump).await;
        let alone = matches!(server.location(), Location::Sqlite(_));
        let then = public().await;
        if done.is_none() {
            lift.await.ok();
        }
        let after = public().await;
        stopped += usize::from(usize::try_from(after).unwrap() == step);
        assert!(after == then || !alone, "step {step}: it was lifted by a clock in doubt");
        server.clock.set_apart(chrono::Duration::hours(-1));
        for _ in 0..=4 {
            server.clock.advance(std::time::Duration::from_secs(8));
            server.run_worker_until_idle().await;
        }
        assert_eq!(usize::try_from(public().await).unwrap(), step + 1);
    }
    assert!(stopped < STEPS, "a lift has fewer steps");
    server.finish().await;
}

#[tokio::test]
async fn a_hold_that_comes_in_the_middle_of_an_announcement_stops_it_unless_it_is_done() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    server.packager("debian").await;
    let mut stopped = 0;
    for (step, day) in DAYS.iter().enumerate() {
        let id = mara.prepares(&format!("{day} 14:00")).await;
        mara.does(&Change::send(&id, None, false)).await.accepted();
        let lifts_at = utc(&format!("{day}T12:00:00Z"));
        server.clock.advance_to(lifts_at - chrono::Duration::days(7) - chrono::Duration::hours(2));
        let mut announcing = Box::pin(server.app().reconcile_notices());
        let done = advances(&mut announcing, step).await;
        holds(&server).await;
        let then = server.deliveries(&id).await.len();
        if done.is_none() {
            announcing.await.ok();
        }
        assert_eq!(server.deliveries(&id).await.len(), then, "step {step}");
        stopped += usize::from(then == 0);
        releases(&server).await;
        server.run_worker_until_idle().await;
    }
    assert!(stopped < STEPS, "an announcement has fewer steps");
    server.finish().await;
}

#[tokio::test]
async fn a_hold_that_comes_in_the_middle_of_a_claim_or_after_it_keeps_the_message_here() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    server.packager("debian").await;
    let mut claims = Vec::new();
    for (step, day) in DAYS.iter().enumerate() {
        let id = mara.prepares(&format!("{day} 14:00")).await;
        mara.does(&Change::send(&id, None, true)).await.accepted();
        let mut claim = Box::pin(server.app().claim("test", 64, true));
        let done = advances(&mut claim, step).await;
        holds(&server).await;
        let leased = |copies: Vec<embargod::store::Delivery>| {
            copies.iter().filter(|copy| copy.state == DeliveryState::Leased).count()
        };
        let then = leased(server.deliveries(&id).await);
        let claimed = match done {
            Some(done) => done,
            None => claim.await,
        };
        assert_eq!(leased(server.deliveries(&id).await), then, "step {step}");
        for outgoing in claimed.unwrap() {
            assert!(
                !server.app().may_send(&outgoing.held.claimed).await.unwrap(),
                "the last look saw no hold"
            );
            server.app().record(vec![(outgoing.held.claimed.clone(), None)]).await.unwrap();
        }
        claims.push(then);
        assert!(server.sink.messages().len() == step, "nothing left");
        releases(&server).await;
        server.run_worker_until_idle().await;
    }
    assert!(claims.contains(&1), "a claim has fewer steps");
    server.finish().await;
}
