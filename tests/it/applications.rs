//! A packager that nobody knows yet asks to be told ahead.

use embargod::app::applications::Admission;
use embargod::config::limits::LimitsConfig;
use embargod::domain::id::ApplicationId;
use embargod::openpgp::Person;
use embargod::store::{ApplicationContent, StoredApplication};
use embargod::wire;

use crate::harness::{Founding, Response, TestServer, days, person};

/// An opened challenge for a certificate.
async fn challenge(server: &TestServer, person: &Person) -> String {
    let certificate = person.certificate().to_armored().into_bytes();
    let message = server.client.call("POST", "/api/v1/challenges", &[], Some(certificate)).await;
    let opened = person.decrypt(&message.body, None, server.time.now()).unwrap();
    String::from_utf8(opened.plaintext).unwrap()
}

fn application(challenge: &str, contact: &str) -> wire::Apply {
    wire::Apply {
        challenge: challenge.to_owned(),
        name: "Arctic Linux".to_owned(),
        contact: contact.to_owned(),
        projects: vec!["requests".to_owned()],
        about: "we ship it".to_owned(),
    }
}

/// Sends an application as a proxy would say it that saw this address.
async fn sends(server: &TestServer, address: &str, application: &wire::Apply) -> Response {
    let headers = [("content-type", "application/json"), ("x-forwarded-for", address)];
    let body = serde_json::to_vec(application).unwrap();
    server.client.call("POST", "/api/v1/packagers", &headers, Some(body)).await
}

async fn applies(server: &TestServer, person: &Person, contact: &str) -> Response {
    let opened = challenge(server, person).await;
    sends(server, "198.51.100.7", &application(&opened, contact)).await
}

async fn waiting(server: &TestServer) -> Vec<StoredApplication> {
    server.database(|tx| Ok(tx.applications()?)).await
}

#[tokio::test]
async fn who_applied_with_an_own_key_is_admitted_and_told() {
    let server = TestServer::start().await;
    let address = "security@arctic.example";
    let key = person("arctic", address);
    // A mistake costs nothing but its correction.
    let opened = challenge(&server, &key).await;
    let wrong = sends(&server, "198.51.100.7", &application(&opened, "someone@else.example")).await;
    assert_eq!((wrong.status, wrong.problem().as_str()), (400, "contact"));
    assert!(wrong.text().contains(&key.certificate().fingerprint()), "{}", wrong.text());
    let first = sends(&server, "198.51.100.7", &application(&opened, address)).await;
    assert_eq!(first.status, 202, "{}", first.text());
    assert!(first.json::<wire::Applied>().next.contains(address));
    let numbers = server.numbers();
    assert_eq!(numbers.page().await.value("embargod_applications_waiting"), 1);
    numbers.stop().await;
    let again = sends(&server, "198.51.100.7", &application(&opened, address)).await;
    assert_eq!(again.status, 401, "a challenge is used once");
    // The newest application counts.
    let opened = challenge(&server, &key).await;
    let newer = wire::Apply { name: "Arctic".to_owned(), ..application(&opened, address) };
    assert_eq!(sends(&server, "198.51.100.7", &newer).await.status, 202);
    let listed = waiting(&server).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].content.name, "Arctic");
    let opened = challenge(&server, &key).await.into_bytes();
    let nobody = server.client.call("POST", "/api/v1/tokens", &[], Some(opened)).await;
    assert_eq!(nobody.status, 401, "who only applied has no token: {}", nobody.text());
    server
        .as_operator(|operator| {
            let one = operator.applications().unwrap().remove(0);
            let short = &one.id.as_str()[..8];
            assert!(operator.application("").is_err(), "every id begins with nothing");
            let found = operator.application(short).unwrap();
            let admission =
                Admission { slug: "arctic", name: Some("Arctic"), further_contact: false, projects: &[] };
            let unknown = Admission { projects: &["urllib3".to_owned()], ..admission };
            assert!(operator.admit(&found, &unknown).is_err());
            assert_eq!(operator.applications().unwrap().len(), 1, "a refused admission changes nothing");
            operator.admit(&found, &admission).unwrap();
            operator.admit(&found, &admission).expect("once more, as after a crash");
            assert!(operator.applications().unwrap().is_empty());
        })
        .await;
    let arctic = server.packager_who_is("arctic", "Arctic", address, key).await;
    assert!(!arctic.token().await.is_empty());
    server.maintainer().announces().await;
    server.run_worker_until_idle().await;
    assert_eq!(arctic.mailbox(&server.sink).len(), 1, "it is told of the next embargo");
    server.finish().await;
}

#[tokio::test]
async fn a_stranger_comes_under_a_name_that_is_taken_only_if_the_operator_says_so() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    server.maintainer().announces().await;
    server.run_worker_until_idle().await;
    let elsewhere = "security@debian-security.example";
    let stranger = person("Debian", elsewhere);
    assert_eq!(applies(&server, &stranger, elsewhere).await.status, 202);
    let (address, fingerprint) = (debian.address.clone(), stranger.certificate().fingerprint());
    server
        .as_operator(move |operator| {
            let found = operator.applications().unwrap().remove(0);
            let admission = Admission { slug: "debian", name: None, further_contact: false, projects: &[] };
            let refused = operator.admit(&found, &admission).unwrap_err().to_string();
            assert!(refused.contains(&address) && refused.contains(&fingerprint), "{refused}");
            assert_eq!(operator.applications().unwrap().len(), 1);
        })
        .await;
    server.run_worker_until_idle().await;
    assert!(server.sink.for_recipient(elsewhere).is_empty(), "a stranger is told");
    server
        .as_operator(|operator| {
            let found = operator.applications().unwrap().remove(0);
            let admission = Admission { slug: "debian", name: None, further_contact: true, projects: &[] };
            operator.admit(&found, &admission).unwrap();
        })
        .await;
    server.run_worker_until_idle().await;
    assert_eq!(
        server.sink.for_recipient(elsewhere).len(),
        1,
        "one more contact hears what the packager hears"
    );
    server.finish().await;
}

#[tokio::test]
async fn whoever_decides_is_shown_what_is_known_of_an_applicant() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let cases = [
        (
            person("Debian", &debian.address),
            debian.address.clone(),
            "requests",
            "registered for debian, with another",
        ),
        (debian.person.clone(), debian.address.clone(), "requests", "registered already, for debian"),
        (
            mara.person.clone(),
            "mara@requests.example".to_owned(),
            "requests",
            "that of the maintainer <mara@",
        ),
        (
            person("Mara", "mara@requests.example"),
            "mara@requests.example".to_owned(),
            "requests",
            "a maintainer has",
        ),
        (
            person("Alpine", "a@alpine.example"),
            "a@alpine.example".to_owned(),
            "urllib3",
            "there is no project urllib3",
        ),
        (person("Arch", "a@arch.example"), "a@arch.example".to_owned(), "requests", ""),
    ];
    for (key, contact, project, expected) in cases {
        let opened = challenge(&server, &key).await;
        let asked = wire::Apply { projects: vec![project.to_owned()], ..application(&opened, &contact) };
        assert_eq!(sends(&server, "198.51.100.7", &asked).await.status, 202);
        server
            .as_operator(move |operator| {
                let waiting = operator.applications().unwrap();
                let remarks = operator.remarks_on(&waiting[0]).unwrap();
                assert_eq!(remarks.len(), usize::from(!expected.is_empty()), "{remarks:?}");
                assert!(remarks.iter().all(|remark| remark.contains(expected)), "{expected}: {remarks:?}");
                operator.decline(&waiting).unwrap();
                assert!(operator.applications().unwrap().is_empty());
            })
            .await;
    }
    server.finish().await;
}

#[tokio::test]
async fn the_answer_tells_neither_who_is_registered_nor_which_projects_there_are() {
    let server = TestServer::start().await;
    let registered = server.packager("debian").await;
    let mut answers = Vec::new();
    for (key, projects) in [
        (registered.person.clone(), "requests"),
        (registered.person.clone(), "not-here"),
        (person("stranger", &registered.address), "requests"),
        (person("stranger", &registered.address), "not-here"),
    ] {
        let opened = challenge(&server, &key).await;
        let asked = application(&opened, &registered.address);
        let asked = wire::Apply { projects: vec![projects.to_owned()], ..asked };
        answers.push(sends(&server, "198.51.100.7", &asked).await.without_date());
    }
    assert_eq!(answers[0].status, 202);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    server.finish().await;
}

#[tokio::test]
async fn who_applies_too_often_waits_and_what_is_full_takes_no_more() {
    let limits = LimitsConfig { applications_per_hour: 2, ..LimitsConfig::default() };
    let server = TestServer::found(Founding { limits, ..Founding::default() }).await;
    let key = person("arctic", "security@arctic.example");
    for contact in ["security@arctic.example", "nobody@arctic.example"] {
        assert!([202, 400].contains(&applies(&server, &key, contact).await.status));
    }
    let refused = applies(&server, &key, "security@arctic.example").await;
    assert_eq!((refused.status, refused.problem().as_str()), (429, "too-many"));
    let junk = [("content-type", "application/json"), ("x-forwarded-for", "198.51.100.7")];
    let junk = server.client.call("POST", "/api/v1/packagers", &junk, Some(b"{".to_vec())).await;
    assert_eq!(junk.without_date(), refused.without_date(), "charged before it is read");
    let other = challenge(&server, &key).await;
    let other = sends(&server, "198.51.100.8", &application(&other, "security@arctic.example")).await;
    assert_eq!(other.status, 202, "another address");
    let room = |fingerprint: &'static str, most| {
        server.change(move |tx| {
            let content = ApplicationContent {
                name: "n".to_owned(),
                contact: "c".to_owned(),
                projects: Vec::new(),
                about: String::new(),
                certificate: String::new(),
            };
            let id = ApplicationId::from_random([u8::try_from(fingerprint.len()).unwrap(); 26]);
            let received_at = chrono::DateTime::UNIX_EPOCH;
            Ok(tx.put_application(&StoredApplication { id, content, received_at }, fingerprint, most)?)
        })
    };
    assert!(room("A", 2).await);
    assert!(!room("BB", 2).await, "a third");
    assert!(room("A", 2).await, "the same again takes its own place");
    server.finish().await;
}

#[tokio::test]
async fn an_application_that_nobody_answers_is_forgotten_after_a_month() {
    let server = TestServer::start().await;
    applies(&server, &person("arctic", "security@arctic.example"), "security@arctic.example").await;
    for (later, left) in [(29, 1), (2, 0)] {
        server.clock.advance(days(later).to_std().unwrap());
        server.app().keep_house(days(90)).await.unwrap();
        assert_eq!(waiting(&server).await.len(), left, "{later} days later");
    }
    server.finish().await;
}

#[tokio::test]
async fn what_is_missing_from_an_application_is_named() {
    let server = TestServer::start().await;
    let right = application("none", "security@arctic.example");
    let many = vec!["requests".to_owned(); 21];
    for (wrong, code) in [
        (wire::Apply { name: " ".to_owned(), ..right.clone() }, "application"),
        (wire::Apply { projects: Vec::new(), ..right.clone() }, "application"),
        (wire::Apply { projects: many, ..right.clone() }, "application"),
        (wire::Apply { projects: vec!["Mine!".to_owned()], ..right.clone() }, "short-name"),
        (wire::Apply { name: "a\u{202e}b".to_owned(), ..right.clone() }, "name"),
        (wire::Apply { about: "a".repeat(1_001), ..right.clone() }, "about"),
        (wire::Apply { contact: "nowhere".to_owned(), ..right.clone() }, "address"),
        (right, "challenge-answer"),
    ] {
        let refused = sends(&server, "198.51.100.7", &wrong).await;
        assert_eq!((refused.status, refused.problem().as_str()), (400, code), "{}", refused.text());
    }
    assert!(waiting(&server).await.is_empty());
    server.finish().await;
}
