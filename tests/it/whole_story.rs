//! The whole story: opened, dates refused, told in time, changed once, lifted at the instant.

use embargod::openpgp::{Acceptance, verify_detached};
use embargod::wire::{CreditEntry, DeliveriesView};

use embargod::demo::sink::{Fault, Stage};

use crate::harness::{
    Change, Founding, Mail, Maintainer, Packager, Series, TestServer, days, hours, ordinary_text,
    requests_policy, utc,
};

const ADVISORY: &str = "/advisories/EMB-2026-1";

async fn two_branches() -> TestServer {
    let policy = requests_policy(&["main", "2.32.x"]);
    TestServer::found(Founding { policy, ..Founding::default() }).await
}

fn credit(person: &str, consent: &str, shown_as: Option<&str>) -> CreditEntry {
    CreditEntry {
        person: person.to_owned(),
        role: "reporter".to_owned(),
        consent: consent.to_owned(),
        shown_as: shown_as.map(str::to_owned),
    }
}

/// Opens a case with fixes for both branches; it lacks a date.
async fn written(mara: &Maintainer) -> String {
    let id = mara.opens(&ordinary_text()).await;
    mara.puts_fix(&id, "main", &Series::default().mbox()).await;
    let case = mara.puts_fix(&id, "2.32.x", &Series::with_line("    return old == new").mbox()).await;
    assert_eq!(case.missing, ["a date: embargoctl dates, then embargoctl schedule"]);
    id
}

/// The one mail in each mailbox.
fn only_mails(server: &TestServer, packagers: &[Packager]) -> Vec<Mail> {
    let mails = packagers.iter().map(|packager| {
        let [mail] = <[Mail; 1]>::try_from(packager.mailbox(&server.sink)).unwrap();
        mail
    });
    mails.collect()
}

#[tokio::test]
async fn a_saturday_and_a_short_notice_are_refused_with_dates_that_are_legal() {
    let server = two_branches().await;
    server.packager("debian").await;
    let mara = server.maintainer();
    let id = written(&mara).await;
    let incomplete = mara.does(&Change::send(&id, None, false)).await.refused();
    assert_eq!((incomplete.0, incomplete.1.as_str()), (409, "incomplete"));
    for (typed, sentence) in [
        ("2026-06-13 14:00", "Sat 13 Jun 12:00 UTC is a Saturday in Europe/Berlin"),
        ("2026-06-05 14:00", "packagers would have 4 d 3 h; the policy promises 7 d"),
    ] {
        let (status, kind, detail) = mara.does(&Change::schedule(&id, typed, None)).await.refused();
        assert_eq!((status, kind.as_str()), (409, "date"));
        assert!(detail.contains(sentence), "{detail}");
        assert!(
            detail.contains("offered: Tue 09 Jun 2026 12:00 UTC"),
            "the next legal date is offered: {detail}"
        );
    }
    let case = mara.does(&Change::schedule(&id, "2026-06-10 14:00", None)).await.accepted();
    assert_eq!(case.neutral.stage, "scheduled");
    assert_eq!(case.neutral.lifts_at, Some(utc("2026-06-10T12:00:00Z")));
    assert_eq!(case.neutral.notice_at, Some(utc("2026-06-02T12:00:00Z")));
    server.finish().await;
}

#[tokio::test]
async fn packagers_are_told_a_week_ahead_and_everything_is_public_at_the_instant() {
    let mut server = two_branches().await;
    let unthanked = server.never_public("a person without consent");
    let packagers =
        [server.packager("debian").await, server.packager("fedora").await, server.packager("arch").await];
    let mara = server.maintainer();
    let id = written(&mara).await;
    let credits = vec![
        credit("Nina Real", "alias", Some("nightfox")),
        credit("Olaf Open", "name", Some("Olaf Open")),
        credit(&unthanked, "none", None),
    ];
    mara.does(&Change::credits(&id, credits)).await.accepted();
    mara.does(&Change::schedule(&id, "2026-06-10 14:00", None)).await.accepted();
    mara.does(&Change::send(&id, None, false)).await.accepted();

    server.clock.advance_to(utc("2026-06-02T11:59:59Z"));
    server.run_worker_until_idle().await;
    assert_eq!(server.sink.messages(), []);
    server.clock.advance_to(utc("2026-06-02T12:00:00Z"));
    assert_eq!(server.run_worker_until_idle().await.sent, 3);
    let mails = only_mails(&server, &packagers);
    for mail in &mails {
        assert!(mail.signature_good);
        assert_eq!(mail.subject, "EMBARGO Requests: Credentials leak on redirect");
        assert!(mail.text.contains("Wed 10 Jun 2026 12:00 UTC (14:00 Berlin)"), "{}", mail.text);
        let main = mail.attachments.iter().find(|(name, _)| name == "main.mbox").unwrap();
        assert_eq!(main.1, Series::default().mbox(), "an attachment comes out as it went in");
        assert_eq!(mail.attachments.len(), 2);
    }
    for (reader, packager) in packagers.iter().enumerate() {
        for (owner, mail) in mails.iter().enumerate() {
            let opened = packager.person.decrypt(&mail.armored, None, server.time.now());
            assert_eq!(opened.is_ok(), reader == owner, "{reader} opens the mail of {owner}");
        }
    }
    let token = mara.token().await;
    let told: DeliveriesView = mara.reads(&token, &format!("/api/v1/embargoes/{id}/deliveries")).await;
    assert_eq!(told.packagers.len(), 3);
    for packager in &told.packagers {
        assert!(packager.told_at.unwrap() + days(7) <= utc("2026-06-10T12:00:00Z"));
    }

    let before = server.client.get(ADVISORY).await;
    assert_eq!(before.status, 404);
    assert_eq!(server.client.get("/advisories/EMB-2026-1.json").await.status, 404);
    server.clock.advance_to(utc("2026-06-10T11:59:59Z"));
    assert_eq!(server.run_worker_until_idle().await.lifted, [""; 0]);
    assert_eq!(server.client.get(ADVISORY).await.status, 404);
    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    let done = server.run_worker_until_idle().await;
    assert_eq!((done.lifted, done.sent), (vec!["EMB-2026-1".to_owned()], 3));
    everything_is_public(&server, &unthanked).await;
    for packager in &packagers {
        assert_eq!(packager.subjects(&server.sink), ["EMBARGO Requests", "PUBLIC Requests"]);
    }
    server.finish().await;
}

/// Page, JSON, changelog entry, mboxes and feed, with the credits that were agreed to and no others.
async fn everything_is_public(server: &TestServer, unthanked: &str) {
    for path in ["", ".json", "/changelog.md"] {
        let file = server.client.get(&format!("{ADVISORY}{path}")).await;
        assert_eq!(file.status, 200, "{path}");
        let text = file.text();
        assert!(text.contains("Credentials leak on redirect"), "{path}: {text}");
        assert!(text.contains("nightfox") && text.contains("Olaf Open"), "{path}: {text}");
        assert!(!text.contains("Nina Real"), "an alias hides the person: {path}");
        assert!(!text.contains(unthanked), "who did not consent is not named: {path}");
    }
    for path in ["/", "/feed.atom"] {
        assert!(server.client.get(path).await.text().contains("EMB-2026-1"), "{path}");
    }
    for (file, bytes) in [
        ("/main.mbox", Series::default().mbox()),
        ("/2.32.x.mbox", Series::with_line("    return old == new").mbox()),
    ] {
        assert_eq!(server.client.get(&format!("{ADVISORY}{file}")).await.body, bytes, "{file}");
        let signature = server.client.get(&format!("{ADVISORY}{file}.asc")).await.body;
        let signer = [(server.certificate.clone(), Acceptance::Strict)];
        assert!(verify_detached(&signature, &bytes, &signer, server.time.now()).is_ok());
        let sum = server.client.get(&format!("{ADVISORY}{file}.sha256")).await.text();
        assert!(sum.ends_with(&format!("  {}\n", &file[1..])), "{sum}");
    }
}

#[tokio::test]
async fn a_packager_fetches_the_same_bytes_over_http_and_answers_with_the_code_of_the_notice() {
    let server = two_branches().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let id = written(&mara).await;
    mara.does(&Change::schedule(&id, "2026-06-10 14:00", None)).await.accepted();
    mara.does(&Change::send(&id, None, true)).await.accepted();
    server.run_worker_until_idle().await;
    let [mail] = <[Mail; 1]>::try_from(debian.mailbox(&server.sink)).unwrap();

    let token = debian.token().await;
    let [embargo] = <[_; 1]>::try_from(debian.embargoes(&token).await).unwrap();
    assert_eq!(
        (embargo.id.as_str(), embargo.revision, embargo.stage.as_str()),
        (id.as_str(), Some(1), "announced")
    );
    let notice = debian.fetches(&token, &format!("/api/v1/embargoes/{id}/revisions/1/notice")).await;
    let notice = embargod::mail::read(&notice).unwrap();
    assert_eq!(notice.text().unwrap(), mail.text);
    let mut fetched = Vec::new();
    for fix in &embargo.fixes {
        let path = format!("/api/v1/embargoes/{id}/revisions/1/fixes/{}", fix.id);
        let bytes = debian.fetches(&token, &path).await;
        assert_eq!(bytes.len() as u64, fix.size);
        let again = server.client.get_as(&token, &path).await;
        assert_eq!(again.body, server.client.get_as(&token, &path).await.body, "the same bytes each time");
        fetched.push(bytes);
    }
    fetched.sort();
    let mut sent: Vec<_> = mail.attachments.iter().map(|(_, bytes)| bytes.clone()).collect();
    sent.sort();
    assert_eq!(fetched, sent);

    let wrong = debian.gives_receipt(&token, &id, 1, "000-000").await;
    assert_eq!((wrong.status, wrong.problem().as_str()), (400, "receipt-code"));
    let right = debian.gives_receipt(&token, &id, 1, &mail.receipt_code()).await;
    assert_eq!(right.status, 200, "{}", right.text());
    let [embargo] = <[_; 1]>::try_from(debian.embargoes(&token).await).unwrap();
    assert_eq!(embargo.own.unwrap().receipt_revision, Some(1));
    server.finish().await;
}

#[tokio::test]
async fn a_changed_patch_goes_out_as_revision_2_with_its_difference_and_replaces_what_still_waits() {
    let server = two_branches().await;
    let debian = server.packager("debian").await;
    let slow = server.packager("slow").await;
    let busy = Fault::reply(Stage::Rcpt, 451, "4.3.0 later");
    server.sink.plan_for(&slow.address, busy);
    let mara = server.maintainer();
    let id = written(&mara).await;
    mara.does(&Change::schedule(&id, "2026-06-10 14:00", None)).await.accepted();
    mara.does(&Change::send(&id, None, true)).await.accepted();
    server.run_worker_until_idle().await;

    let better = Series::with_line("    return (old.host, old.port) == (new.host, new.port)");
    let case = mara.puts_fix(&id, "main", &better.mbox()).await;
    assert!(case.remarks.iter().any(|remark| remark.contains("new revision")), "{:?}", case.remarks);
    let (status, kind, _) = mara.does(&Change::send(&id, None, false)).await.refused();
    assert_eq!((status, kind.as_str()), (400, "reason"));
    mara.does(&Change::send(&id, Some("The port counts as well."), false)).await.accepted();
    server.sink.heal();
    server.clock.advance(hours(1).to_std().unwrap());
    server.run_worker_until_idle().await;

    assert_eq!(debian.subjects(&server.sink), ["EMBARGO Requests", "EMBARGO Requests"]);
    let mails = slow.mailbox(&server.sink);
    assert_eq!(mails.len(), 1, "revision 1 was replaced before it could be delivered");
    let mail = &mails[0];
    assert_eq!(mail.subject, "EMBARGO Requests: revision 2: Credentials leak on redirect");
    for piece in ["The port counts as well.", "branch 2.32.x: unchanged", "old.port"] {
        assert!(mail.text.contains(piece), "{piece} in {}", mail.text);
    }
    assert!(mail.attachments.contains(&("main.mbox".to_owned(), better.mbox())));
    assert_ne!(mail.receipt_code(), debian.mailbox(&server.sink)[0].receipt_code());
    let token = debian.token().await;
    let first = debian.fetches(&token, &format!("/api/v1/embargoes/{id}/revisions/1/notice")).await;
    assert!(!first.is_empty(), "an older revision stays where it was");

    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    server.run_worker_until_idle().await;
    assert_eq!(server.client.get(&format!("{ADVISORY}/main.mbox")).await.body, better.mbox());
    server.finish().await;
}

#[tokio::test]
async fn a_server_that_is_left_alone_announces_and_lifts_by_itself() {
    let mut server = TestServer::start().await;
    server.packager("debian").await;
    server.leave_alone().await;
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-10 14:00").await;
    mara.does(&Change::send(&id, None, false)).await.accepted();
    server.clock.advance((hours(27)).to_std().unwrap());
    server.mails(1).await;
    assert_eq!(server.client.get(ADVISORY).await.status, 404);
    server.clock.advance(days(8).to_std().unwrap());
    server.mails(2).await;
    assert_eq!(server.client.get(ADVISORY).await.status, 200);
    server.finish().await;
}
