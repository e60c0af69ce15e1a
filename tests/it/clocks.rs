//! A machine's clock that is set while the server runs: nothing early, nothing sent, people told, and everything
//! late by no more than it has to be.

use chrono::Duration;

use crate::harness::{Change, TestServer, utc};

const MARA: &str = "mara@requests.example";

async fn ready(server: &TestServer) -> String {
    server.client.get("/readyz").await.text()
}

/// More than half a minute, with a look every now and then.
async fn calm(server: &TestServer) {
    for _ in 0..=4 {
        server.clock.advance(std::time::Duration::from_secs(8));
        server.run_worker_until_idle().await;
    }
}

async fn is_public(server: &TestServer) -> bool {
    server.client.get("/advisories/EMB-2026-1").await.status == 200
}

/// A server with one announced embargo, which lifts on 2026-06-10 at 12:00 UTC, half an hour before that.
async fn half_an_hour_before() -> TestServer {
    let server = TestServer::start().await;
    server.packager("debian").await;
    server.maintainer().announces().await;
    server.run_worker_until_idle().await;
    server.clock.advance_to(utc("2026-06-10T11:30:00Z"));
    server.run_worker_until_idle().await;
    server
}

#[tokio::test]
async fn a_clock_that_jumps_over_the_lift_lifts_nothing_until_the_time_since_start_has_come_there_too() {
    let server = half_an_hour_before().await;
    server.clock.set_apart(Duration::hours(1));
    server.run_worker_until_idle().await;
    assert!(ready(&server).await.contains("jumped forward by 1 h"), "{}", ready(&server).await);
    assert_eq!(server.sink.for_recipient(MARA).len(), 1, "an alarm leaves in spite of the doubt");
    calm(&server).await;
    assert!(!is_public(&server).await);
    assert!(ready(&server).await.contains("embargod hold release clock"), "{}", ready(&server).await);
    server.clock.advance(std::time::Duration::from_mins(30));
    server.run_worker_until_idle().await;
    assert!(is_public(&server).await);
    assert_eq!(server.sink.for_recipient(MARA).len(), 1, "one doubt, one alarm");
    server.finish().await;
}

#[tokio::test]
async fn a_clock_that_jumps_by_years_destroys_no_content_and_removes_no_token() {
    let server = half_an_hour_before().await;
    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    server.run_worker_until_idle().await;
    let token = server.maintainer().token().await;
    server.clock.set_apart(Duration::days(3_650));
    for _ in 0..2 {
        assert!(server.app().keep_house(Duration::days(90)).await.unwrap().is_empty());
        calm(&server).await;
    }
    server.clock.set_apart(Duration::days(-3_650));
    calm(&server).await;
    assert_eq!(server.client.get_as(&token, "/api/v1/embargoes").await.status, 200);
    server.finish().await;
}

#[tokio::test]
async fn a_clock_that_comes_back_is_believed_again_by_itself_and_costs_the_lift_nothing() {
    let server = half_an_hour_before().await;
    server.clock.set_apart(Duration::days(30));
    calm(&server).await;
    server.clock.set_apart(Duration::days(-30));
    server.run_worker_until_idle().await;
    assert!(ready(&server).await.contains("jumped back"));
    calm(&server).await;
    assert!(ready(&server).await.contains("\"ready\":true"), "{}", ready(&server).await);
    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    server.run_worker_until_idle().await;
    assert!(is_public(&server).await);
    server.finish().await;
}

#[tokio::test]
async fn a_jump_that_was_right_is_believed_on_the_operators_word() {
    let server = half_an_hour_before().await;
    server.clock.set_apart(Duration::hours(1));
    calm(&server).await;
    assert!(!is_public(&server).await);
    server
        .as_operator(|operator| {
            operator.confirm_clock().unwrap();
        })
        .await;
    server.run_worker_until_idle().await;
    assert!(is_public(&server).await);
    assert!(ready(&server).await.contains("\"ready\":true"));
    server.finish().await;
}

#[tokio::test]
async fn a_server_that_starts_before_what_its_database_has_seen_holds_until_it_is_told_that_its_clock_is_right()
 {
    let mut server = half_an_hour_before().await;
    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    server.run_worker_until_idle().await;
    assert!(is_public(&server).await);
    let other = server.maintainer().prepares("2026-06-24 14:00").await;
    server.maintainer().does(&crate::harness::Change::send(&other, None, true)).await.accepted();
    server.clock.set_apart(Duration::hours(-2));
    server.restart().await;
    assert_eq!(server.run_worker_until_idle().await.sent, 1, "the alarm, and not the announcement");
    assert!(ready(&server).await.contains("2 h 0 min behind what the database has seen"));
    server
        .as_operator(|operator| {
            operator.confirm_clock().unwrap();
        })
        .await;
    calm(&server).await;
    assert!(ready(&server).await.contains("\"ready\":true"), "{}", ready(&server).await);
    // What became due by the clock as it was waits for it, and is not lost.
    server.clock.advance(std::time::Duration::from_hours(2));
    server.run_worker_until_idle().await;
    assert!(server.deliveries(&other).await.iter().all(|copy| copy.accepted_at.is_some()));
    server.finish().await;
}

#[tokio::test]
async fn head_says_of_what_is_public_what_get_would_and_of_nothing_else_anything() {
    let server = half_an_hour_before().await;
    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    server.run_worker_until_idle().await;
    for path in ["/", "/livez", "/readyz", "/feed.atom", "/key.asc", "/advisories/EMB-2026-1", "/nothing"] {
        let (get, head) = (server.client.get(path).await, server.client.call("HEAD", path, &[], None).await);
        let without_date = |headers: &[(String, String)]| {
            headers.iter().filter(|(name, _)| name != "date").cloned().collect::<Vec<_>>()
        };
        assert_eq!(
            (head.status, without_date(&head.headers)),
            (get.status, without_date(&get.headers)),
            "{path}"
        );
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
    }
    assert_eq!(server.client.call("HEAD", "/board", &[], None).await.status, 405);
    server.finish().await;
}

#[tokio::test]
async fn what_was_promised_in_summer_time_is_lifted_at_that_hour_of_winter_time() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    server.clock.advance_to(utc("2026-10-14T12:00:00Z"));
    let id = mara.prepares("2026-10-26 14:00").await;
    mara.does(&Change::send(&id, None, true)).await.accepted();
    server.run_worker_until_idle().await;
    let text = debian.mailbox(&server.sink).remove(0).text;
    assert!(text.contains("13:00 UTC") || text.contains("13:00Z"), "both clocks are told: {text}");
    assert!(text.contains("14:00"), "{text}");
    // As the night passes in which the clocks go back, and up to the last second.
    for (instant, lifted) in
        [("2026-10-25T01:30:00Z", 0), ("2026-10-26T12:59:59Z", 0), ("2026-10-26T13:00:00Z", 1)]
    {
        server.clock.advance_to(utc(instant));
        assert_eq!(server.run_worker_until_idle().await.lifted.len(), lifted, "{instant}");
    }
    assert!(is_public(&server).await);
    server.finish().await;
}
