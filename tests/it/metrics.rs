//! The page of numbers: that it can be read, that it moves with what happens, and that it comes whatever happens.
//! That it holds no word of a case is `canary`'s business.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

use embargod::app::Refusal;
use embargod::app::pulse::Loop;
use embargod::config::limits::LimitsConfig;
use embargod::demo::sink::{Fault, Stage};
use embargod::wire;

use crate::harness::{Founding, Numbers, Page, TestServer, ordinary_text, utc};

/// How long an answer of the database is told again.
const KEPT: Duration = Duration::from_secs(5);
/// What a test waits for at most.
const A_MINUTE: Duration = Duration::from_mins(1);

const ALERTS: &str = include_str!("../../deploy/alerts.yml");

/// More series at once, to be read beside what is expected.
async fn values<const N: usize>(server: &TestServer, numbers: &Numbers, series: [&str; N]) -> [u64; N] {
    server.clock.advance(KEPT);
    let page = numbers.page().await;
    series.map(|series| page.value(series))
}

#[tokio::test]
async fn the_page_has_a_listener_of_its_own_on_which_there_is_nothing_else() {
    let server = TestServer::start().await;
    let numbers = server.numbers();
    let answer = numbers.client.get("/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for path in ["/", "/metrics/", "/metrics/x", "/livez", "/readyz", "/api/v1/embargoes", "/key.asc"] {
        assert_eq!(numbers.client.get(path).await.status, 404, "{path}");
    }
    assert_eq!(numbers.client.call("POST", "/metrics", &[], None).await.status, 404);
    assert_eq!(server.client.get("/metrics").await.status, 404, "strangers do not get it");
    let page = numbers.page().await;
    let version = format!("embargod_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!((page.value(&version), page.value("embargod_database_up")), (1, 1));
    assert_eq!(page.value("process_start_time_seconds"), 1_780_304_400);
    numbers.stop().await;
    server.finish().await;
}

#[tokio::test]
async fn a_lift_that_is_due_is_overdue_until_it_is_done_and_then_it_was_late() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    server.maintainer().announces().await;
    server.run_worker_until_idle().await;
    let numbers = server.numbers();
    let series = [
        "embargod_lifts_total",
        "embargod_lifts_overdue",
        "embargod_lift_overdue_seconds",
        "embargod_lift_lateness_seconds_sum",
        "embargod_lift_lateness_seconds_bucket{le=\"5\"}",
        "embargod_lift_lateness_seconds_bucket{le=\"10\"}",
    ];
    assert_eq!(values(&server, &numbers, series).await, [0; 6]);
    server.clock.advance_to(utc("2026-06-10T12:00:01Z"));
    assert_eq!(values(&server, &numbers, series).await, [0, 1, 6, 0, 0, 0]);
    server.run_worker_until_idle().await;
    assert_eq!(values(&server, &numbers, series).await, [1, 0, 0, 6, 0, 1]);
    numbers.stop().await;
    server.finish().await;
}

#[tokio::test]
async fn what_the_relay_answers_is_counted_by_class_and_what_it_refuses_for_good_alarms() {
    let server = TestServer::start().await;
    let (debian, fedora) = (server.packager("debian").await, server.packager("fedora").await);
    server.packager("gentoo").await;
    server.sink.plan_for(&debian.address, Fault::reply(Stage::Rcpt, 450, "4.2.0 Greylisted"));
    server.sink.plan_for(&fedora.address, Fault::reply(Stage::Rcpt, 550, "5.1.1 no such mailbox"));
    server.maintainer().announces().await;
    server.run_worker_until_idle().await;
    let numbers = server.numbers();
    let series = [
        "embargod_relay_replies_total{class=\"2xx\"}",
        "embargod_relay_replies_total{class=\"4xx\"}",
        "embargod_relay_replies_total{class=\"5xx\"}",
        "embargod_delivery_attempts_total{outcome=\"deferred\"}",
        "embargod_alarms_total{kind=\"copy_failed\"}",
        "embargod_deliveries{state=\"pending\"}",
        "embargod_deliveries{state=\"failed\"}",
        "embargod_delivery_oldest_due_seconds",
    ];
    // The alarm about fedora's copy is the second mail that was taken.
    assert_eq!(values(&server, &numbers, series).await, [2, 1, 1, 1, 1, 1, 1, 0]);
    server.sink.heal();
    server.sink.plan_for(&debian.address, Fault::LoseAnswerAfterDot);
    server.clock.advance(A_MINUTE);
    let due = values(&server, &numbers, ["embargod_delivery_oldest_due_seconds"]).await;
    assert!(due[0] > 0, "{due:?}");
    server.run_worker_until_idle().await;
    let lost = ["embargod_relay_replies_total{class=\"none\"}", "embargod_deliveries{state=\"uncertain\"}"];
    assert_eq!(values(&server, &numbers, lost).await, [1, 1]);
    numbers.stop().await;
    server.finish().await;
}

#[tokio::test]
async fn a_hold_shows_within_five_seconds_and_readiness_is_that_of_readyz() {
    let server = TestServer::start().await;
    let numbers = server.numbers();
    let series = [
        "embargod_holds{kind=\"operator\"}",
        "embargod_unready_reason{reason=\"hold_operator\"}",
        "embargod_ready",
    ];
    assert_eq!(values(&server, &numbers, series).await, [0, 0, 1]);
    server.as_operator(|operator| drop(operator.place_hold("a look at the relay").unwrap())).await;
    let page = numbers.page().await;
    assert_eq!(page.value(series[0]), 0, "the database is not asked again at once");
    assert_eq!(values(&server, &numbers, series).await, [1, 1, 0]);
    for _ in 0..3 {
        server.app().pulse.skip(Loop::Deliver);
    }
    server.clock.set_apart(chrono::Duration::hours(1));
    server.clock.advance(KEPT);
    let page = numbers.page().await;
    let ready: wire::Readiness = server.client.get("/readyz").await.json();
    let given = |reason: &&str| page.value(&format!("embargod_unready_reason{{reason=\"{reason}\"}}")) > 0;
    let reasons: Vec<_> = page.words("reason").into_iter().filter(given).collect();
    assert_eq!(reasons, ["clock_doubt", "hold_operator", "worker"]);
    assert_eq!((ready.ready, ready.reasons.len()), (false, reasons.len()), "{:?}", ready.reasons);
    assert_eq!(page.value("embargod_clock_doubt_seconds"), 3600);
    assert_eq!(page.value("embargod_worker_panics_total{loop=\"deliver\"}"), 3);
    assert_eq!(page.value("embargod_worker_last_beat_age_seconds{loop=\"deliver\"}"), 15);
    numbers.stop().await;
    server.finish().await;
}

#[tokio::test]
async fn a_notice_that_is_due_with_nothing_frozen_is_late_and_alarms() {
    let server = TestServer::start().await;
    server.maintainer().prepares("2026-06-17 14:00").await;
    let numbers = server.numbers();
    let series = [
        "embargod_notices_late",
        "embargod_notice_late_seconds",
        "embargod_alarms_total{kind=\"notice_missed\"}",
    ];
    assert_eq!(values(&server, &numbers, series).await, [0; 3]);
    server.clock.advance_to(utc("2026-06-10T12:30:00Z"));
    server.run_worker_until_idle().await;
    let [count, seconds, alarms] = values(&server, &numbers, series).await;
    assert_eq!((count, alarms), (1, 1));
    assert!(seconds >= 1805, "{seconds}");
    numbers.stop().await;
    server.finish().await;
}

#[tokio::test]
async fn requests_are_counted_by_whom_they_are_for_and_those_that_come_too_often_apart() {
    let limits = LimitsConfig { logins_per_minute: 1, ..LimitsConfig::default() };
    let server = TestServer::found(Founding { limits, ..Founding::default() }).await;
    let numbers = server.numbers();
    for path in ["/", "/nothing", "/login", "/api/v1/embargoes", "/api/v1/nothing"] {
        server.client.get(path).await;
    }
    for _ in 0..2 {
        server.client.call("POST", "/api/v1/challenges", &[], Some(b"x".to_vec())).await;
    }
    let series = [
        "embargod_http_requests_total{surface=\"public\",status=\"2xx\"}",
        "embargod_http_requests_total{surface=\"public\",status=\"4xx\"}",
        "embargod_http_requests_total{surface=\"pages\",status=\"2xx\"}",
        "embargod_http_requests_total{surface=\"api\",status=\"4xx\"}",
        "embargod_http_rate_refusals_total",
        "embargod_http_request_duration_seconds_count{surface=\"api\"}",
    ];
    assert_eq!(values(&server, &numbers, series).await, [1, 1, 1, 4, 1, 4]);
    numbers.stop().await;
    server.finish().await;
}

#[tokio::test]
async fn the_page_comes_while_the_database_does_not_answer_and_says_so() {
    let server = TestServer::start().await;
    let numbers = server.numbers();
    assert_eq!(values(&server, &numbers, ["embargod_database_up"]).await, [1]);
    // More readers than there are connections, and none of them ends.
    let mut busy = Vec::new();
    for _ in 0..8 {
        let (end, ended) = mpsc::channel::<()>();
        let store = server.app().store.clone();
        let read = tokio::spawn(async move {
            let wait = move |_: &mut embargod::store::Tx<'_>| Ok::<_, Refusal>(ended.recv().is_ok());
            store.read(wait).await
        });
        busy.push((end, read));
    }
    // The database was asked at the present instant already, so the clock is moved for each look.
    let away = async {
        while values(&server, &numbers, ["embargod_database_up"]).await != [0] {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(8), away).await.is_ok(), "it waits for the database");
    let page = numbers.page().await;
    assert_eq!(page.value("embargod_ready"), 0);
    assert_eq!(page.value("embargod_unready_reason{reason=\"database_away\"}"), 1);
    assert!(!page.names().contains("embargod_lifts_overdue"), "what is not known is not said");
    for (end, read) in busy {
        drop(end);
        // Those that got no connection in time fail.
        let _ = read.await.unwrap();
    }
    let back = async {
        while values(&server, &numbers, ["embargod_database_up"]).await != [1] {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(A_MINUTE, back).await.is_ok(), "it never came back");
    numbers.stop().await;
    server.finish().await;
}

/// Names of numbers in a text, and the words of labels as `label="word"`.
fn mentioned(text: &str) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = text.split(|c| !is_part(c)).filter(|word| word.starts_with("embargod_")).collect();
    let words = text
        .split(['{', '}'])
        .filter(|part| part.contains('"') && part.contains('=') && !part.contains('\n'))
        .flat_map(|part| part.split('"').skip(1).step_by(2))
        .flat_map(|words| words.split('|'))
        .collect();
    (names, words)
}

#[tokio::test]
async fn every_number_and_every_word_in_the_alert_rules_is_on_the_page() {
    let server = TestServer::start().await;
    let mut text = ordinary_text();
    text.insert("severity".to_owned(), "high".into());
    server.maintainer().opens(&text).await;
    let numbers = server.numbers();
    let page = numbers.page().await;
    let (names, words) = mentioned(ALERTS);
    assert!(names.len() > 15 && words.contains("4xx") && words.contains("refused"), "{names:?} {words:?}");
    let missing: Vec<_> = names.difference(&page.names()).copied().collect();
    assert_eq!(missing, [""; 0]);
    let unknown: Vec<_> =
        words.into_iter().filter(|word| !page.text.contains(&format!("\"{word}\""))).collect();
    assert_eq!(unknown, [""; 0]);
    numbers.stop().await;
    server.finish().await;
}

#[test]
fn a_page_that_is_wrong_in_one_place_is_not_read() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{b=\"c\"} 1\n# HELP d D.\n# TYPE d histogram\n\
                d_bucket{le=\"1\"} 1\nd_bucket{le=\"+Inf\"} 2\nd_sum 3.5\nd_count 2\n";
    assert_eq!(Page::parse(good.to_owned()).value("a_total{b=\"c\"}"), 1);
    for (from, to) in [
        ("HELP a_total A.", "HELP a_total"),
        ("a_total", "a"),
        ("counter", "summary"),
        ("b=\"c\"", "b=c"),
        ("b=\"c\"", "b=\"c\\\"\""),
        ("} 1\n# HELP d", "} -1\n# HELP d"),
        ("} 1\n# HELP d", "} 1\na_total{b=\"c\"} 1\n# HELP d"),
        ("# HELP d D.\n", ""),
        ("d_count 2", "d_count 3"),
        ("\"} 2", "\"} 0"),
        ("d_count 2\n", "d_count 2"),
        ("d_count 2\n", ""),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        assert!(std::panic::catch_unwind(|| Page::parse(bad.clone())).is_err(), "it was read:\n{bad}");
    }
}
