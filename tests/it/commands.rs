//! Signed commands: carried out once, only as signed, only for who may still decide.

use chrono::Duration;
use embargod::openpgp::{Person, SessionKey, SignedRequest, Suite};
use embargod::wire;

use crate::harness::{Change, Series, TestServer, days, ordinary_text, person, start};

fn waiver(id: &str, branch: &str) -> Change {
    let body = wire::PutFix {
        branch: branch.to_owned(),
        waiver: Some("it ends next week".to_owned()),
        ..wire::PutFix::default()
    };
    Change::json("PUT", format!("/api/v1/embargoes/{id}/fixes"), &body)
}

#[tokio::test]
async fn the_same_bytes_again_get_the_first_answer_and_change_nothing() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let id = mara.opens(&ordinary_text()).await;
    let first = mara.does(&waiver(&id, "1.x")).await;
    let again =
        server.client.command("PUT", &format!("/api/v1/embargoes/{id}/fixes"), first.sent.clone()).await;
    assert_eq!(again.clone().without_date(), first.response.clone().without_date());
    // The answer is kept for longer than the command is valid, and other changes do not alter it.
    server.clock.advance_to(start() + Duration::minutes(20));
    mara.does(&waiver(&id, "2.x")).await.accepted();
    let late =
        server.client.command("PUT", &format!("/api/v1/embargoes/{id}/fixes"), first.sent.clone()).await;
    assert_eq!(late.without_date(), again.without_date());
    let case = first.accepted();
    assert_eq!(case.waivers.len(), 1);
    let token = mara.token().await;
    let case: wire::CaseView = mara.reads(&token, &format!("/api/v1/embargoes/{id}")).await;
    assert_eq!((case.neutral.version, case.waivers.len()), (3, 2));
    server.finish().await;
}

#[tokio::test]
async fn the_same_bytes_many_times_at_once_are_carried_out_once_and_all_get_that_answer() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let id = mara.opens(&ordinary_text()).await;
    let body = wire::OpenEmbargo { project: "requests".to_owned(), ..wire::OpenEmbargo::default() };
    let opening = Change::json("POST", "/api/v1/embargoes", &body);
    server.packager("debian").await;
    let prepared = mara.prepares("2026-06-10 14:00").await;
    let fix = mara.fix(&prepared, "main", &Series::with_line("    return old == new").mbox());
    let others = [
        opening,
        Change::send(&prepared, None, true),
        fix,
        Change::send(&prepared, Some("better"), true),
        Change::lift_early(&prepared, "it leaked"),
    ];
    let changes = (0..5).map(|number| waiver(&id, ["1.x", "main"][number % 2])).chain(others);
    for change in changes {
        let message = mara.signed(&change);
        let mut sending = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (client, change, message) = (server.client.clone(), change.clone(), message.clone());
            sending.spawn(async move { client.command(&change.method, &change.path, message).await });
        }
        let answers = sending.join_all().await;
        for answer in &answers {
            assert!(answer.status < 300, "{}: {}", change.path, answer.text());
            assert!(answer.body == answers[0].body, "{}: the same bytes have two answers", change.path);
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn a_key_that_was_used_for_another_request_is_refused() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let id = mara.opens(&ordinary_text()).await;
    let key = Some("the-same-key-twice".to_owned());
    mara.does(&Change { key: key.clone(), ..waiver(&id, "1.x") }).await.accepted();
    let (status, kind, _) = mara.does(&Change { key: key.clone(), ..waiver(&id, "2.x") }).await.refused();
    assert_eq!((status, kind.as_str()), (422, "key-reused"));
    // Keys are each maintainer's own.
    let omar = server.another_maintainer("omar").await;
    omar.does(&Change { key, ..waiver(&id, "2.x") }).await.accepted();
    server.finish().await;
}

#[tokio::test]
async fn a_refused_command_may_be_repeated_with_the_same_key() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let id = mara.opens(&ordinary_text()).await;
    let change =
        Change { key: Some("first-too-early-then-right".to_owned()), ..Change::send(&id, None, true) };
    assert_eq!(mara.does(&change).await.response.status, 409);
    server.packager("debian").await;
    mara.does(&Change::audience(&id, &["debian"])).await.accepted();
    mara.puts_fix(&id, "main", &crate::harness::Series::default().mbox()).await;
    mara.does(&Change::schedule(&id, "2026-06-10 14:00", None)).await.accepted();
    mara.does(&change).await.accepted();
    server.finish().await;
}

#[tokio::test]
async fn a_command_counts_only_for_the_call_that_was_signed_and_only_for_minutes() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let id = mara.opens(&ordinary_text()).await;
    let other = mara.opens(&ordinary_text()).await;
    let here = format!("{}/api/v1/embargoes/{id}/fixes", server.client.base_url());
    let elsewhere = Change { signed_url: Some(here.clone()), ..waiver(&other, "1.x") };
    let foreign = here.replace("127.0.0.1", "embargo.example");
    for (change, kind) in [
        (elsewhere, "command-elsewhere"),
        (Change { signed_url: Some(foreign), ..waiver(&id, "1.x") }, "command-elsewhere"),
        (Change { signed_url: Some(format!("{here}?x=1")), ..waiver(&id, "1.x") }, "command-elsewhere"),
        (Change { expires: Some(start()), ..waiver(&id, "1.x") }, "command-expired"),
        (
            Change { expires: Some(start() + Duration::minutes(16)), ..waiver(&id, "1.x") },
            "command-expires-too-late",
        ),
    ] {
        let (status, found, _) = mara.does(&change).await.refused();
        assert_eq!((status, found.as_str()), (400, kind));
    }
    // Signed as a PUT, sent as a POST to an address that takes one.
    let put = Change { method: "PUT".to_owned(), ..Change::cancel(&id, "no") };
    let response = server.client.command("POST", &put.path, mara.signed(&put)).await;
    assert_eq!((response.status, response.problem().as_str()), (400, "command-elsewhere"));
    let token = mara.token().await;
    let case: wire::CaseView = mara.reads(&token, &format!("/api/v1/embargoes/{id}")).await;
    assert_eq!(case.neutral.version, 1);
    server.finish().await;
}

#[tokio::test]
async fn a_change_made_on_sight_of_an_older_version_is_refused() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let id = mara.opens(&ordinary_text()).await;
    let seen = |etag: &str| Change { if_match: Some(etag.to_owned()), ..waiver(&id, "1.x") };
    let answer = mara.does(&seen("\"1\"")).await;
    assert_eq!(answer.response.header("etag"), Some("\"2\""));
    let (status, kind, detail) = mara.does(&seen("\"1\"")).await.refused();
    assert_eq!((status, kind.as_str()), (412, "changed-meanwhile"));
    assert!(detail.contains("version 2"), "{detail}");
    mara.does(&seen("\"2\"")).await.accepted();
    server.finish().await;
}

#[tokio::test]
async fn whoever_is_no_maintainer_and_whatever_is_not_signed_is_refused() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let debian = server.packager("debian").await;
    let id = mara.opens(&ordinary_text()).await;
    let path = format!("/api/v1/embargoes/{id}/cancel");
    let stranger = Person::generate("Eve <eve@stranger.example>", Suite::Cv25519, start() - days(1)).unwrap();
    let mut refusals = Vec::new();
    for person in [stranger, debian.person.clone()] {
        let answer = server.maintainer_who_is(person).does(&Change::cancel(&id, "mine")).await;
        refusals.push((answer.response.status, answer.refused().1));
    }
    assert_eq!(refusals[0], refusals[1], "a packager's signature is worth no more than a stranger's");
    assert_eq!(refusals[0].0, 400);

    let request = SignedRequest {
        method: "POST".to_owned(),
        url: format!("{}{path}", server.client.base_url()),
        if_match: None,
        idempotency_key: "0123456789abcdef".to_owned(),
        expires: start() + Duration::minutes(5),
        content_type: Some("application/json".to_owned()),
        body: br#"{"reason":"no"}"#.to_vec(),
    };
    let text = request.print().unwrap();
    let key = SessionKey::from_random([9; 32]);
    let accept = embargod::openpgp::Acceptance::Strict;
    let unsigned =
        embargod::openpgp::encrypt_to(&text, &server.certificate, &accept, None, &key, start()).unwrap();
    let to_somebody_else =
        mara.person.sign_and_encrypt(&text, debian.person.certificate(), &key, start()).unwrap();
    let mut damaged = mara.signed(&Change::cancel(&id, "no"));
    let last = damaged.len() - 30;
    damaged[last] ^= 1;
    for message in [unsigned, to_somebody_else, damaged, text.clone(), Vec::new()] {
        assert_eq!(server.client.command("POST", &path, message).await.status, 400);
    }
    let plain = server.client.call("POST", &path, &[("content-type", "application/json")], Some(text)).await;
    assert_eq!(plain.status, 401);
    let token = mara.token().await;
    let case: wire::CaseView = mara.reads(&token, &format!("/api/v1/embargoes/{id}")).await;
    assert_eq!((case.neutral.stage.as_str(), case.neutral.version), ("draft", 1));
    server.finish().await;
}

#[tokio::test]
async fn a_maintainer_whose_certificate_was_withdrawn_can_neither_command_nor_read() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let omar = server.another_maintainer("omar").await;
    let id = mara.opens(&ordinary_text()).await;
    let token = omar.token().await;
    let kept = omar.does(&waiver(&id, "1.x")).await;
    let fingerprint = person("omar", "omar@requests.example").certificate().fingerprint();
    server
        .change(move |tx| {
            let stored = tx.certificate_by_fingerprint(&fingerprint)?.unwrap();
            Ok(tx.revoke_certificate(&stored.id, start())?)
        })
        .await;
    assert_eq!(omar.does(&waiver(&id, "2.x")).await.response.status, 400);
    let replayed = server.client.command("PUT", &format!("/api/v1/embargoes/{id}/fixes"), kept.sent).await;
    assert_eq!(replayed.status, 400, "not even the answer to an older command");
    assert_eq!(server.client.get_as(&token, &format!("/api/v1/embargoes/{id}")).await.status, 401);
    server.finish().await;
}
