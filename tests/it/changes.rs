//! What packagers are told when plans change: a joiner, a new date, an end, a lift brought forward.

use embargod::demo::sink::{Fault, Stage};
use embargod::domain::id::EmbargoId;
use embargod::wire;

use crate::harness::{Change, TestServer, days, ordinary_text, start, utc};

#[tokio::test]
async fn a_new_date_is_told_to_everybody_and_the_old_one_no_longer_lifts() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    let (status, kind, _) = mara.does(&Change::schedule(&id, "2026-06-17 14:00", None)).await.refused();
    assert_eq!((status, kind.as_str()), (400, "reason"), "a promised date is not moved without a word");
    let (status, kind, _) = mara.does(&Change::schedule(&id, "2026-06-20 14:00", Some("x"))).await.refused();
    assert_eq!((status, kind.as_str()), (409, "date"), "a Saturday stays a Saturday");
    let reason = Some("The release is late.");
    mara.does(&Change::schedule(&id, "2026-06-16 14:00", reason)).await.accepted();
    mara.does(&Change::schedule(&id, "2026-06-17 14:00", reason)).await.accepted();
    server.run_worker_until_idle().await;
    assert_eq!(
        debian.subjects(&server.sink),
        ["EMBARGO Requests", "NEW DATE Requests"],
        "only the newest date"
    );
    let mail = debian.mailbox(&server.sink).remove(1);
    assert!(mail.text.contains("Wed 17 Jun 2026 12:00 UTC"), "{}", mail.text);
    assert!(mail.text.contains("The release is late."), "{}", mail.text);
    server.clock.advance_to(utc("2026-06-16T12:00:00Z"));
    assert_eq!(server.run_worker_until_idle().await.lifted, [""; 0]);
    server.clock.advance_to(utc("2026-06-17T12:00:00Z"));
    assert_eq!(server.run_worker_until_idle().await.lifted, ["EMB-2026-1"]);
    server.finish().await;
}

#[tokio::test]
async fn a_clock_that_is_moved_by_hand_lifts_ahead_of_the_databases_own() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.prepares("2027-05-19 14:00").await;
    mara.does(&Change::send(&id, None, true)).await.accepted();
    server.run_worker_until_idle().await;
    server.clock.advance_to(utc("2027-05-19T12:00:00Z"));
    assert_eq!(server.run_worker_until_idle().await.lifted, ["EMB-2027-1"]);
    server.finish().await;
}

#[tokio::test]
async fn a_date_that_has_not_been_told_moves_without_mail() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-10 14:00").await;
    mara.does(&Change::schedule(&id, "2026-06-11 14:00", None)).await.accepted();
    server.run_worker_until_idle().await;
    assert_eq!(debian.subjects(&server.sink), [""; 0]);
    server.finish().await;
}

#[tokio::test]
async fn an_embargo_that_ends_before_anybody_was_told_ends_in_silence() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-10 14:00").await;
    mara.does(&Change::send(&id, None, false)).await.accepted();
    let case = mara.does(&Change::cancel(&id, "It was no vulnerability.")).await.accepted();
    assert_eq!(case.neutral.stage, "cancelled");
    server.clock.advance(days(30).to_std().unwrap());
    assert_eq!(server.run_worker_until_idle().await.lifted, [""; 0]);
    assert_eq!(server.sink.messages(), []);
    server.finish().await;
}

#[tokio::test]
async fn an_announced_embargo_that_ends_tells_those_who_were_told_and_nobody_else() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let outside = server.packager("outside").await;
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-10 14:00").await;
    mara.does(&Change::audience(&id, &["debian"])).await.accepted();
    mara.does(&Change::send(&id, None, true)).await.accepted();
    server.run_worker_until_idle().await;
    mara.does(&Change::cancel(&id, "It was no vulnerability.")).await.accepted();
    server.run_worker_until_idle().await;
    server.clock.advance(days(30).to_std().unwrap());
    assert_eq!(server.run_worker_until_idle().await.lifted, [""; 0], "what is cancelled is not lifted");
    assert_eq!(debian.subjects(&server.sink), ["EMBARGO Requests", "CANCELLED Requests"]);
    assert_eq!(outside.subjects(&server.sink), [""; 0]);
    assert_eq!(server.client.get("/advisories/EMB-2026-1").await.status, 404);
    let (status, kind, _) = mara.does(&Change::lift_early(&id, "It leaked.")).await.refused();
    assert_eq!((status, kind.as_str()), (409, "stage"));
    server.finish().await;
}

#[tokio::test]
async fn a_leak_of_a_draft_makes_it_public_at_once_and_packagers_hear_why() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let omar = server.another_maintainer("omar").await;
    let id = mara.opens(&ordinary_text()).await;
    mara.does(&Change::lift_early(&id, "It is on a mailing list.")).await.accepted();
    let done = server.run_worker_until_idle().await;
    assert_eq!(done.lifted, ["EMB-2026-1"]);
    assert_eq!(server.client.get("/advisories/EMB-2026-1").await.status, 200);
    assert_eq!(
        debian.subjects(&server.sink),
        ["EMBARGO OVER Requests"],
        "an announcement would be out of date"
    );
    assert!(debian.mailbox(&server.sink)[0].text.contains("It is on a mailing list."));
    for address in ["mara@requests.example", "omar@requests.example"] {
        assert_eq!(
            server.sink.for_recipient(address).len(),
            1,
            "every maintainer is told who did it: {address}"
        );
    }
    drop(omar);
    server.finish().await;
}

#[tokio::test]
async fn an_announced_embargo_is_brought_forward_and_never_put_back_that_way() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    let later = embargod::wire::LiftEarly { reason: "x".to_owned(), at: Some("2026-06-11 14:00".to_owned()) };
    let path = format!("/api/v1/embargoes/{id}/lift-early");
    assert_eq!(mara.does(&Change::json("POST", path.clone(), &later)).await.response.status, 409);
    // A year mistyped publishes nothing.
    let passed =
        embargod::wire::LiftEarly { reason: "x".to_owned(), at: Some("2025-06-03 14:00".to_owned()) };
    let refused = mara.does(&Change::json("POST", path.clone(), &passed)).await.response;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let sooner =
        embargod::wire::LiftEarly { reason: "Used.".to_owned(), at: Some("2026-06-03 14:00".to_owned()) };
    mara.does(&Change::json("POST", path, &sooner)).await.accepted();
    assert_eq!(server.run_worker_until_idle().await.lifted, [""; 0]);
    server.clock.advance_to(utc("2026-06-03T12:00:00Z"));
    assert_eq!(server.run_worker_until_idle().await.lifted, ["EMB-2026-1"]);
    let subjects = ["EMBARGO Requests", "NEW DATE Requests", "EMBARGO OVER Requests"];
    assert_eq!(debian.subjects(&server.sink), subjects, "who was promised a date hears that it moved");
    server.finish().await;
}

#[tokio::test]
async fn a_server_that_was_down_over_the_notice_announces_nothing_without_the_week() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-16 14:00").await;
    mara.does(&Change::send(&id, None, false)).await.accepted();
    // The notice was due on the 8th; nobody looked until six days before the date.
    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    server.run_worker_until_idle().await;
    assert_eq!(debian.subjects(&server.sink), [""; 0]);
    assert_eq!(server.sink.for_recipient("mara@requests.example").len(), 1, "the maintainer is told");
    server.clock.advance_to(utc("2026-06-16T12:00:00Z"));
    assert_eq!(server.run_worker_until_idle().await.lifted, [""; 0], "and nothing lifts");
    server.finish().await;
}

#[tokio::test]
async fn who_is_taken_out_of_the_audience_gets_nothing_more_not_even_what_waits() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let slow = server.packager("slow").await;
    let fault = Fault::reply(Stage::Rcpt, 450, "4.2.0 later");
    server.sink.plan_for(&slow.address, fault);
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    mara.does(&Change::audience(&id, &["debian"])).await.accepted();
    server.sink.heal();
    server.clock.advance(days(1).to_std().unwrap());
    server.run_worker_until_idle().await;
    assert_eq!(server.sink.for_recipient(&slow.address), []);
    let token = slow.token().await;
    assert_eq!(slow.embargoes(&token).await.len(), 0);
    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    server.run_worker_until_idle().await;
    assert_eq!(server.sink.for_recipient(&slow.address), []);
    assert_eq!(debian.subjects(&server.sink).len(), 2);
    server.finish().await;
}

#[tokio::test]
async fn who_joins_before_the_notice_is_due_is_told_with_the_others_and_later_only_by_two() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-10 14:00").await;
    let early = server.packager("early").await;
    mara.does(&Change::audience(&id, &["debian", "early"])).await.accepted();
    mara.does(&Change::send(&id, None, true)).await.accepted();
    server.run_worker_until_idle().await;
    assert_eq!(early.subjects(&server.sink), ["EMBARGO Requests"]);

    let joiner = server.packager("joiner").await;
    server.run_worker_until_idle().await;
    assert_eq!(
        joiner.subjects(&server.sink),
        [""; 0],
        "approved for the project is not told of this embargo"
    );
    let all = ["debian", "early", "joiner"];
    let (status, kind, _) = mara.does(&Change::audience(&id, &all)).await.refused();
    assert_eq!((status, kind.as_str()), (409, "second-person"));
    // Once that is recorded, the joiner gets what is current, and nobody gets it twice.
    server.clock.advance(days(4).to_std().unwrap());
    let embargo: EmbargoId = id.parse().unwrap();
    server
        .change(move |tx| {
            let everybody: Vec<_> = tx.packagers()?.into_iter().map(|packager| packager.id).collect();
            Ok(tx.put_audience(&embargo, &everybody, start())?)
        })
        .await;
    assert_eq!(server.run_worker_until_idle().await.sent, 1);
    assert_eq!(joiner.subjects(&server.sink), ["EMBARGO Requests"]);
    assert_eq!(early.subjects(&server.sink), ["EMBARGO Requests"]);
    server.finish().await;
}

#[tokio::test]
async fn a_notice_that_is_due_and_not_frozen_alarms_the_maintainers_each_time_it_happens() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-10 14:00").await;
    server.clock.advance_to(utc("2026-06-02T12:00:00Z"));
    server.run_worker_until_idle().await;
    server.run_worker_until_idle().await;
    let alarms = || server.sink.for_recipient("mara@requests.example").len();
    assert_eq!((alarms(), debian.subjects(&server.sink).len()), (1, 0));
    mara.does(&Change::schedule(&id, "2026-06-17 14:00", None)).await.accepted();
    server.run_worker_until_idle().await;
    assert_eq!(alarms(), 1);
    server.clock.advance_to(utc("2026-06-09T12:00:00Z"));
    server.run_worker_until_idle().await;
    assert_eq!(alarms(), 2, "a second missed notice is a second alarm");
    server.finish().await;
}

#[tokio::test]
async fn an_early_lift_publishes_the_date_that_had_been_promised_and_not_its_own() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    server.clock.advance(days(2).to_std().unwrap());
    mara.does(&Change::lift_early(&id, "It leaked.")).await.accepted();
    server.run_worker_until_idle().await;
    let advisory: serde_json::Value = server.client.get("/advisories/EMB-2026-1.json").await.json();
    assert_eq!(advisory["timeline"]["agreed_at"], "2026-06-10T12:00:00Z", "{advisory}");
    assert_eq!(advisory["timeline"]["early"], true);
    let page = server.client.get("/advisories/EMB-2026-1").await.text();
    assert!(page.contains("the agreed date was <time datetime=\"2026-06-10T12:00:00Z\">"), "{page}");
    server.finish().await;
}

#[tokio::test]
async fn a_promised_date_moves_only_later_and_only_later_dates_are_offered() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.announces().await;
    for (typed, why) in [
        ("2026-06-09 14:00", "a promised date only moves later"),
        ("2026-06-10 14:00", "is the date already"),
        ("2026-06-13 14:00", "a Saturday"),
    ] {
        let (status, _, detail) = mara.does(&Change::schedule(&id, typed, Some("news"))).await.refused();
        assert_eq!(status, 409);
        assert!(detail.contains(why), "{detail}");
        let offered = detail.split("; offered: ").nth(1).unwrap();
        assert!(offered.starts_with("Thu 11 Jun 2026 12:00 UTC"), "{detail}");
    }
    let dates: wire::DatesView =
        mara.reads(&mara.token().await, &format!("/api/v1/embargoes/{id}/dates?at=2026-06-09T12:00Z")).await;
    assert!(dates.offers.iter().all(|offer| offer.lifts_at > utc("2026-06-10T12:00:00Z")));
    assert!(!dates.asked.unwrap().legal);
    mara.does(&Change::schedule(&id, "2026-06-11 14:00", Some("news"))).await.accepted();
    server.run_worker_until_idle().await;
    server.finish().await;
}

#[tokio::test]
async fn a_civil_time_that_no_clock_shows_is_refused_with_dates_that_are_legal() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let id = mara.opens(&ordinary_text()).await;
    for (typed, word) in [("2027-03-28 02:30", "does not exist"), ("2026-10-25 02:30", "happens twice")] {
        let (_, kind, detail) = mara.does(&Change::schedule(&id, typed, None)).await.refused();
        assert_eq!(kind, "instant");
        for piece in [word, "however it is read it is refused", "a Sunday", "; offered: Tue 09 Jun 2026"] {
            assert!(detail.contains(piece), "{piece} in {detail}");
        }
        assert!(!detail.contains("write "), "neither reading is legal: {detail}");
    }
    server.finish().await;
}

#[tokio::test]
async fn an_empty_title_is_refused_when_a_case_is_opened_and_when_it_is_edited() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let mut text = ordinary_text();
    let id = mara.opens(&text).await;
    for empty in ["", " \t"] {
        text.insert("title".to_owned(), empty.into());
        let body =
            wire::OpenEmbargo { project: "requests".to_owned(), text: Some(toml::to_string(&text).unwrap()) };
        for change in [Change::json("POST", "/api/v1/embargoes", &body), Change::text(&id, &text)] {
            let (status, _, detail) = mara.does(&change).await.refused();
            assert_eq!((status, detail.contains("the title is empty")), (400, true), "{detail}");
        }
    }
    let later = wire::OpenEmbargo { project: "requests".to_owned(), text: None };
    mara.does(&Change::json("POST", "/api/v1/embargoes", &later)).await.accepted();
    server.finish().await;
}
