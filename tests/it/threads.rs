//! Mails about one embargo hang together in a packager's mail program, and mails about two do not.

use embargod::mail;

use crate::harness::{Change, Packager, TestServer, utc};

/// The Message-ID and what it answers, of each mail to a packager, in the order they came.
fn threads(server: &TestServer, packager: &Packager) -> Vec<(String, Option<String>)> {
    let received = server.sink.for_recipient(&packager.address);
    let headers = received.iter().map(|received| {
        let mail = mail::read(&received.bytes).unwrap();
        let header = |name| mail.header(name).map(str::to_owned);
        assert_eq!(header("References"), header("In-Reply-To"));
        (header("Message-ID").unwrap(), header("In-Reply-To"))
    });
    headers.collect()
}

#[tokio::test]
async fn every_later_mail_answers_the_first_one_that_this_recipient_got_about_this_embargo() {
    let server = TestServer::start().await;
    let (debian, fedora) = (server.packager("debian").await, server.packager("fedora").await);
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    mara.does(&Change::schedule(&id, "2026-06-17 14:00", Some("The release is late."))).await.accepted();
    server.run_worker_until_idle().await;
    mara.does(&Change::send(&id, Some("A typo in the text."), true)).await.accepted();
    server.run_worker_until_idle().await;
    server.clock.advance_to(utc("2026-06-17T12:00:00Z"));
    assert_eq!(server.run_worker_until_idle().await.lifted, ["EMB-2026-1"]);
    server.run_worker_until_idle().await;

    let (of_debian, of_fedora) = (threads(&server, &debian), threads(&server, &fedora));
    assert_eq!((of_debian.len(), of_fedora.len()), (4, 4), "{of_debian:?}");
    for thread in [&of_debian, &of_fedora] {
        let first = &thread[0];
        assert_eq!(first.1, None);
        for later in &thread[1..] {
            assert_eq!(later.1.as_ref(), Some(&first.0));
            assert_ne!(later.0, first.0);
        }
    }
    // What is known to two recipients would tell them apart from a third.
    assert_ne!(of_debian[0].0, of_fedora[0].0);

    let another = mara.prepares("2026-06-30 14:00").await;
    mara.does(&Change::send(&another, None, true)).await.accepted();
    server.run_worker_until_idle().await;
    assert_eq!(threads(&server, &debian)[4].1, None, "another embargo is another thread");
    server.finish().await;
}
