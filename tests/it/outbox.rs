//! What happens to a copy on its way out: refused for now, refused for good, the answer lost, a key gone bad.

use std::time::{Duration, SystemTime};

use embargod::demo::sink::{Fault, Received, Stage};
use embargod::domain::id::{CertificateId, ContactId};
use embargod::domain::notice::{DeliveryState, MAX_UNCERTAIN};
use embargod::mail;
use embargod::openpgp::Person;
use embargod::store::{Contact, Delivery};
use embargod::wire::DeliveriesView;
use sequoia_openpgp::cert::Cert;
use sequoia_openpgp::packet::Signature;
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::SerializeInto as _;

use crate::harness::{TestServer, classic_key, encrypting, start, utc};

const HOUR: Duration = Duration::from_hours(1);
const MARA: &str = "mara@requests.example";

fn message_id(received: &Received) -> String {
    mail::read(&received.bytes).unwrap().header("Message-ID").unwrap().to_owned()
}

/// The copies of the announcement.
async fn announcements(server: &TestServer, id: &str) -> Vec<Delivery> {
    let mut copies = server.deliveries(id).await;
    copies.retain(|copy| copy.kind.carries_revision());
    copies
}

#[tokio::test]
async fn what_the_relay_takes_only_later_goes_again_with_the_same_bytes() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    // The relay refuses after it has read the mail, so that the transcript holds every attempt.
    server.sink.plan_times(Fault::reply(Stage::Dot, 451, "4.3.0 try later"), 2);
    let id = mara.announces().await;
    assert_eq!(server.run_worker_until_idle().await.sent, 1);
    assert_eq!(server.run_worker_until_idle().await.sent, 0, "it waits before it tries again");
    for _ in 0..2 {
        server.clock.advance(HOUR);
        assert_eq!(server.run_worker_until_idle().await.sent, 1);
    }
    let [copy] = <[_; 1]>::try_from(announcements(&server, &id).await).unwrap();
    assert_eq!((copy.state, copy.attempts), (DeliveryState::Accepted, 3));
    let [received] = <[_; 1]>::try_from(server.sink.for_recipient(&debian.address)).unwrap();
    let transcript = server.sink.transcript();
    let times = transcript.windows(received.bytes.len()).filter(|window| *window == received.bytes).count();
    assert_eq!(times, 3, "three attempts of the same bytes");
    server.finish().await;
}

#[tokio::test]
async fn a_relay_that_is_away_over_a_weekend_costs_no_notice_and_raises_one_alarm() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    server.sink.plan_for(&debian.address, Fault::reply(Stage::Rcpt, 450, "4.7.1 come back on Monday"));
    let id = mara.announces().await;
    for _ in 0..40 {
        server.run_worker_until_idle().await;
        server.clock.advance(HOUR + HOUR / 2);
    }
    let [copy] = <[_; 1]>::try_from(announcements(&server, &id).await).unwrap();
    assert_eq!(copy.state, DeliveryState::Pending, "{}", copy.reply);
    assert_eq!(server.sink.for_recipient(MARA).len(), 1);
    let alarm = server.told().remove(0);
    assert!(alarm.contains("still waits") && alarm.contains("come back on Monday"), "{alarm}");
    server.sink.heal();
    server.run_worker_until_idle().await;
    assert_eq!(debian.subjects(&server.sink), ["EMBARGO Requests"]);
    server.finish().await;
}

#[tokio::test]
async fn what_the_relay_refuses_for_good_fails_alarms_the_maintainers_and_delays_nobody() {
    let server = TestServer::start().await;
    let (debian, gone, fedora) =
        (server.packager("debian").await, server.packager("gone").await, server.packager("fedora").await);
    server.sink.plan_for(&gone.address, Fault::reply(Stage::Rcpt, 550, "5.1.1 no such mailbox"));
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    for packager in [&debian, &fedora] {
        assert_eq!(packager.subjects(&server.sink), ["EMBARGO Requests"]);
    }
    let failed: Vec<_> = announcements(&server, &id)
        .await
        .into_iter()
        .filter(|copy| copy.state == DeliveryState::Failed)
        .collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].reply.contains("5.1.1 no such mailbox"), "{}", failed[0].reply);
    assert_eq!(server.sink.for_recipient(MARA).len(), 1);
    let alarm = server.told().remove(0);
    assert!(alarm.contains(&gone.address) && alarm.contains("5.1.1"), "{alarm}");
    let token = mara.token().await;
    let view: DeliveriesView = mara.reads(&token, &format!("/api/v1/embargoes/{id}/deliveries")).await;
    let gone = view.packagers.iter().find(|packager| packager.packager == "gone").unwrap();
    assert_eq!((gone.state.as_str(), gone.told_at), ("failed", None));
    server.finish().await;
}

#[tokio::test]
async fn a_lost_answer_is_uncertain_and_the_same_bytes_go_again_a_few_times_at_most() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    server.sink.plan_for(&debian.address, Fault::LoseAnswerAfterDot);
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    let [copy] = <[_; 1]>::try_from(announcements(&server, &id).await).unwrap();
    assert_eq!((copy.state, copy.attempts), (DeliveryState::Uncertain, 1));
    for _ in 0..10 {
        server.clock.advance(2 * HOUR);
        server.run_worker_until_idle().await;
    }
    let [copy] = <[_; 1]>::try_from(announcements(&server, &id).await).unwrap();
    assert_eq!((copy.state, copy.attempts), (DeliveryState::Failed, MAX_UNCERTAIN));
    let received = server.sink.for_recipient(&debian.address);
    assert_eq!(received.len(), MAX_UNCERTAIN as usize);
    assert!(
        received.iter().all(|again| again.bytes == received[0].bytes),
        "a mail program can tell them apart"
    );
    assert_eq!(message_id(&received[0]), message_id(&received[2]));
    assert_eq!(server.sink.for_recipient(MARA).len(), 1, "then people have to look");
    server.finish().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_after_many_refusals_for_now_is_the_first_one_lost() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    server.sink.plan_times(Fault::reply(Stage::Dot, 451, "4.3.0 try later"), 5);
    let mara = server.maintainer();
    let id = mara.announces().await;
    for _ in 0..5 {
        server.run_worker_until_idle().await;
        server.clock.advance(2 * HOUR);
    }
    server.sink.plan(Fault::LoseAnswerAfterDot);
    server.run_worker_until_idle().await;
    let [copy] = <[_; 1]>::try_from(announcements(&server, &id).await).unwrap();
    assert_eq!((copy.state, copy.attempts), (DeliveryState::Uncertain, 6), "{}", copy.reply);
    server.clock.advance(2 * HOUR);
    server.run_worker_until_idle().await;
    let [copy] = <[_; 1]>::try_from(announcements(&server, &id).await).unwrap();
    assert_eq!(copy.state, DeliveryState::Accepted);
    let received = server.sink.for_recipient(&debian.address);
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].bytes, received[1].bytes);
    server.finish().await;
}

#[tokio::test]
async fn a_relay_that_was_away_delays_everybody_and_loses_nobody() {
    let server = TestServer::start().await;
    for number in 0..5 {
        server.packager(&format!("packager-{number}")).await;
    }
    server.sink.plan_times(Fault::RefuseConnection, 8);
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    let token = mara.token().await;
    let view: DeliveriesView = mara.reads(&token, &format!("/api/v1/embargoes/{id}/deliveries")).await;
    let waiting = &view.packagers[0];
    assert!(waiting.state == "waiting" && waiting.trouble.contains("relay"), "{waiting:?}");
    server.clock.advance(HOUR);
    server.run_worker_until_idle().await;
    server.clock.advance(HOUR);
    server.run_worker_until_idle().await;
    let copies = announcements(&server, &id).await;
    assert_eq!(copies.len(), 5);
    assert!(copies.iter().all(|copy| copy.state == DeliveryState::Accepted));
    assert_eq!(server.sink.messages().len(), 5);
    server.finish().await;
}

#[tokio::test]
async fn a_copy_that_cannot_be_made_fails_alone_and_the_maintainers_are_told() {
    let server = TestServer::start().await;
    let (debian, fedora) = (server.packager("debian").await, server.packager("fedora").await);
    let broken = server.packager("broken").await;
    server
        .change(|tx| {
            let packager = tx.packagers()?.into_iter().find(|packager| packager.slug == "broken").unwrap().id;
            let key = crate::harness::person("Broken", "team@broken.example");
            let certificate = key.certificate();
            let certificate = tx.put_certificate(
                &CertificateId::from_random([4; 26]),
                &certificate.fingerprint(),
                &certificate.to_bytes(),
                None,
                start(),
            )?;
            let address = "broken, and no address".to_owned();
            let contact = Contact { id: ContactId::from_random([5; 26]), packager, certificate, address };
            Ok(tx.insert_contact(&contact, start())?)
        })
        .await;
    let id = server.maintainer().announces().await;
    server.run_worker_until_idle().await;
    for packager in [&debian, &fedora, &broken] {
        assert_eq!(packager.subjects(&server.sink), ["EMBARGO Requests"]);
    }
    let mut copies = announcements(&server, &id).await;
    copies.retain(|copy| copy.state == DeliveryState::Failed);
    assert_eq!(copies.len(), 1);
    assert!(server.told()[0].contains("broken, and no address"));
    server.finish().await;
}

#[tokio::test]
async fn a_relay_that_says_nothing_delays_no_lift() {
    let mut server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    mara.announces().await;
    server.sink.plan_for(&debian.address, Fault::StallAt(Stage::Rcpt));
    server.leave_alone().await;
    server.sink.wait_for_stall().await;
    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    server.until_public("/advisories/EMB-2026-1").await;
    assert!(server.sink.messages().is_empty());
    server.sink.heal();
    server.mails(1).await;
    server.finish().await;
}

/// A person whose key stops being valid after `life`.
fn expiring(user_id: &str, life: Duration) -> Cert {
    classic_key()
        .set_validity_period(life)
        .add_userid(user_id)
        .add_subkey(encrypting(), None, None)
        .generate()
        .unwrap()
        .0
}

/// The same key, valid for ever since noon of the first day.
fn extended(cert: Cert) -> Cert {
    let policy = StandardPolicy::new();
    let noon = SystemTime::from(start() + chrono::Duration::hours(3));
    let primary = cert.primary_key().key().clone();
    let mut signer = primary.clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let valid = cert.with_policy(&policy, SystemTime::from(start())).unwrap();
    let again = |old: &Signature| {
        let builder = SignatureBuilder::from(old.clone()).set_signature_creation_time(noon).unwrap();
        builder.set_key_validity_period(None).unwrap()
    };
    let mut signatures = Vec::new();
    if let Ok(direct) = valid.direct_key_signature() {
        signatures.push(again(direct).sign_direct_key(&mut signer, primary.parts_as_public()).unwrap());
    }
    for user_id in valid.userids() {
        let binding = again(user_id.binding_signature());
        signatures.push(
            binding.sign_userid_binding(&mut signer, primary.parts_as_public(), user_id.userid()).unwrap(),
        );
    }
    for subkey in valid.keys().subkeys() {
        let binding = again(subkey.binding_signature());
        signatures
            .push(binding.sign_subkey_binding(&mut signer, primary.parts_as_public(), subkey.key()).unwrap());
    }
    cert.insert_packets(signatures).unwrap().0
}

fn person(cert: &Cert) -> Person {
    Person::from_secret(&cert.as_tsk().to_vec().unwrap()).unwrap()
}

#[tokio::test]
async fn a_notice_waits_for_an_expired_key_and_follows_when_its_owner_logs_in_with_the_extended_one() {
    let server = TestServer::start().await;
    let address = "security@sleepy.example";
    let cert = expiring(&format!("Sleepy <{address}>"), Duration::from_hours(31 * 24));
    let sleepy = server.packager_who_is("sleepy", "Sleepy", address, person(&cert)).await;
    let debian = server.packager("debian").await;
    server.clock.advance_to(utc("2026-06-02T12:00:00Z"));
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    server.run_worker_until_idle().await;
    assert_eq!(debian.subjects(&server.sink), ["EMBARGO Requests"], "nobody waits for the sleepy");
    let blocked: Vec<_> = announcements(&server, &id)
        .await
        .into_iter()
        .filter(|copy| copy.state == DeliveryState::Blocked)
        .collect();
    assert_eq!(blocked.len(), 1);
    let [told] = <[_; 1]>::try_from(server.sink.for_recipient(address)).unwrap();
    let told = mail::read(&told.bytes).unwrap();
    assert!(told.encrypted().is_none());
    let text = told.text().unwrap();
    assert!(text.contains("expired") && text.contains("embargoctl login"), "{text}");
    for secret in ["Requests", "requests", "Credentials", "2026-06-10", &id] {
        let plain =
            format!("{} {text}", told.header("Subject").unwrap()).replace("embargo@requests.example", "");
        assert!(!plain.contains(secret), "{secret} in {plain}");
    }
    assert_eq!(server.told().len(), 1);
    assert!(server.told()[0].contains(address));

    let renewed = server.packager_who_is("sleepy", "Sleepy", address, person(&extended(cert))).await;
    let token = renewed.token().await;
    server.run_worker_until_idle().await;
    assert_eq!(renewed.subjects(&server.sink), ["EMBARGO Requests"]);
    assert_eq!(renewed.embargoes(&token).await.len(), 1);
    drop(sleepy);
    server.finish().await;
}
