//! What people are given to read: whom to ask, who is silent, what differs, who did what, what is over.

use embargod::demo::sink::Sink;
use embargod::wire::{AuditView, DeliveriesView, PackagerState};

use crate::harness::{Change, Maintainer, Packager, Series, TestServer, days, ordinary_text, start, utc};

async fn states(mara: &Maintainer, id: &str) -> Vec<PackagerState> {
    let token = mara.token().await;
    let view: DeliveriesView = mara.reads(&token, &format!("/api/v1/embargoes/{id}/deliveries")).await;
    view.packagers
}

/// How each packager stands, by short name.
async fn standing(mara: &Maintainer, id: &str) -> Vec<(String, String)> {
    states(mara, id).await.into_iter().map(|packager| (packager.packager, packager.state)).collect()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(packager, state)| (packager.to_owned(), state.to_owned())).to_vec()
}

async fn gives_newest_receipt(packager: &Packager, sink: &Sink, id: &str, revision: u32) {
    let code = packager.mailbox(sink).last().unwrap().receipt_code();
    let answer = packager.gives_receipt(&packager.token().await, id, revision, &code).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_notice_names_the_maintainers_to_ask_and_what_surrounds_it_names_nobody() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let omar = server.another_maintainer("omar").await;
    mara.announces().await;
    server.run_worker_until_idle().await;
    let [mail] = <[_; 1]>::try_from(debian.mailbox(&server.sink)).unwrap();
    for (name, maintainer) in
        [("Mara Keep <mara@requests.example>", &mara), ("omar <omar@requests.example>", &omar)]
    {
        assert!(mail.text.contains(name), "{name} in {}", mail.text);
        let key = maintainer.person.certificate().fingerprint();
        assert!(mail.text.contains(&key), "{name} is asked with a key: {}", mail.text);
    }
    assert!(mail.text.contains("Nobody reads replies to this mail"), "{}", mail.text);
    assert!(!mail.text.contains("Reply to this mail"), "{}", mail.text);
    let [received] = <[_; 1]>::try_from(server.sink.for_recipient(&debian.address)).unwrap();
    let outer = String::from_utf8(received.bytes).unwrap().to_lowercase();
    for name in ["mara", "omar", "keep"] {
        let head = outer.split("-----begin pgp message-----").next().unwrap();
        assert!(!head.contains(name), "{name} in {head}");
    }
    server.finish().await;
}

#[tokio::test]
async fn what_was_frozen_twice_before_anybody_saw_it_differs_from_nothing_and_later_from_what_was_sent() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-10 14:00").await;
    mara.does(&Change::send(&id, None, false)).await.accepted();
    let better = Series::with_line("    return (old.host, old.port) == (new.host, new.port)");
    mara.puts_fix(&id, "main", &better.mbox()).await;
    mara.does(&Change::send(&id, None, false)).await.accepted();
    server.clock.advance_to(utc("2026-06-02T12:00:00Z"));
    server.run_worker_until_idle().await;
    let [first] = <[_; 1]>::try_from(debian.mailbox(&server.sink)).unwrap();
    assert!(first.attachments.contains(&("main.mbox".to_owned(), better.mbox())));
    for heading in ["HOW THE FIXES DIFFER", "WHAT CHANGED"] {
        assert!(!first.text.contains(heading), "{heading} in {}", first.text);
    }

    let (status, kind, _) = mara.does(&Change::send(&id, None, false)).await.refused();
    assert_eq!((status, kind.as_str()), (400, "reason"), "from now on every change has a reason");
    mara.does(&Change::send(&id, Some("The title was wrong."), false)).await.accepted();
    server.run_worker_until_idle().await;
    let second = debian.mailbox(&server.sink).remove(1);
    for piece in ["The title was wrong.", "HOW THE FIXES DIFFER", "branch main: unchanged"] {
        assert!(second.text.contains(piece), "{piece} in {}", second.text);
    }
    server.finish().await;
}

#[tokio::test]
async fn who_never_answered_is_silent_since_the_first_notice_although_revisions_follow() {
    let server = TestServer::start().await;
    let (arch, debian) = (server.packager("arch").await, server.packager("debian").await);
    server.packager("fedora").await;
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    gives_newest_receipt(&arch, &server.sink, &id, 1).await;
    gives_newest_receipt(&debian, &server.sink, &id, 1).await;
    server.clock.advance(days(2).to_std().unwrap());
    mara.does(&Change::send(&id, Some("A typing error."), false)).await.accepted();
    server.run_worker_until_idle().await;
    gives_newest_receipt(&arch, &server.sink, &id, 2).await;
    assert_eq!(
        standing(&mara, &id).await,
        pairs([("arch", "answered"), ("debian", "told"), ("fedora", "told")])
    );
    server.clock.advance(days(4).to_std().unwrap());
    let later = states(&mara, &id).await;
    assert_eq!(
        standing(&mara, &id).await,
        pairs([("arch", "answered"), ("debian", "told"), ("fedora", "silent")]),
        "a receipt for an older revision is no silence"
    );
    assert_eq!(later[1].said.receipt_revision, Some(1), "and says which revision it is for");
    assert_eq!(later[2].trouble, "no receipt for 6 days");

    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    server.run_worker_until_idle().await;
    let over = pairs([("arch", "answered"), ("debian", "told"), ("fedora", "told")]);
    assert_eq!(standing(&mara, &id).await, over, "nobody waits for what is public");
    server.finish().await;
}

#[tokio::test]
async fn a_cancelled_draft_no_longer_lacks_what_it_never_had() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let id = mara.opens(&ordinary_text()).await;
    let case = mara.does(&Change::cancel(&id, "It was no vulnerability.")).await.accepted();
    assert_eq!((case.neutral.stage.as_str(), case.missing), ("cancelled", Vec::new()));
    server.finish().await;
}

#[tokio::test]
async fn the_log_names_people_to_those_who_read_it_also_people_who_left() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    let token = debian.token().await;
    debian.fetches(&token, &format!("/api/v1/embargoes/{id}/revisions/1/notice")).await;
    gives_newest_receipt(&debian, &server.sink, &id, 1).await;
    server
        .change(|tx| {
            let contact = tx.contacts()?.remove(0);
            Ok(tx.remove_contact(&contact.id, start())?)
        })
        .await;
    let token = mara.token().await;
    let log: AuditView = mara.reads(&token, &format!("/api/v1/embargoes/{id}/audit")).await;
    let who = |action: &str| {
        let entry = log.entries.iter().find(|entry| entry.action == action).unwrap();
        (entry.actor.as_str(), entry.object.as_str())
    };
    assert_eq!(who("embargo opened"), ("Mara Keep", id.as_str()));
    assert_eq!(who("notice fetched").0, "debian <security@debian.example>");
    assert_eq!(who("receipt given"), ("debian <security@debian.example>", "debian"));
    let opaque: Vec<_> = log.entries.iter().filter(|entry| entry.actor.contains(':')).collect();
    assert!(opaque.is_empty(), "{opaque:?}");
    server.finish().await;
}
