//! Fifty recipients, one bulk encryption: what they share, what is each one's own, and who opens what.

use std::collections::BTreeSet;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use embargod::domain::container::Container;
use embargod::domain::id::EmbargoId;
use embargod::entropy::Entropy;
use embargod::openpgp::{Person, Suite, packets};
use embargod::store::{Body, BodySubject};
use sequoia_openpgp::armor::{Kind, Reader, ReaderMode};
use sequoia_openpgp::cert::Cert;
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::SerializeInto as _;

use crate::harness::{Packager, TestServer, classic_key, days, encrypting, person, start};

const RECIPIENTS: usize = 50;
const WRONG_PAIRS: usize = 1_000;

fn dearmored(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = Reader::from_bytes(text, ReaderMode::Tolerant(Some(Kind::Message)));
    std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
    bytes
}

/// Where the head ends: every packet with a session key is one, and comes before the container.
fn length_of_head(message: &[u8]) -> usize {
    let mut at = 0;
    // A packet of the new format with tag 1.
    while message[at] == 0xc1 {
        at += match message[at + 1] {
            short @ 0..=191 => 2 + usize::from(short),
            first @ 192..=223 => 3 + ((usize::from(first) - 192) << 8) + usize::from(message[at + 2]) + 192,
            other => panic!("a session key packet has no length of the kind {other}"),
        };
    }
    at
}

/// A person with two subkeys to encrypt to, and a third one that has expired.
fn with_two_live_subkeys(user_id: &str) -> Person {
    let day = std::time::Duration::from_hours(24);
    let (cert, _) = classic_key()
        .add_userid(user_id)
        .add_subkey(encrypting(), None, None)
        .add_subkey(encrypting(), None, None)
        .add_subkey(encrypting(), day, None)
        .generate()
        .unwrap();
    assert_eq!(cert.keys().subkeys().count(), 3);
    Person::from_secret(&cert.as_tsk().to_vec().unwrap()).unwrap()
}

/// The ids of the keys that mail to a person is encrypted to, as the library judges them.
fn live_encryption_keys(person: &Person, now: DateTime<Utc>) -> Vec<String> {
    let policy = StandardPolicy::new();
    let cert = Cert::from_bytes(&person.certificate().to_bytes()).unwrap();
    let keys = cert.keys().with_policy(&policy, SystemTime::from(now)).alive().revoked(false);
    let keys = keys.for_transport_encryption().for_storage_encryption();
    let mut ids: Vec<_> = keys.map(|key| format!("{:X}", key.key().keyid())).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn fifty_messages_are_the_same_after_their_heads_and_each_opens_with_its_own_key_alone() {
    let server = TestServer::start().await;
    let mut packagers: Vec<Packager> = Vec::new();
    for number in 0..RECIPIENTS {
        let slug = format!("packager-{number}");
        let address = format!("security@{slug}.example");
        let user_id = format!("{slug} <{address}>");
        let made = |suite| Person::generate(&user_id, suite, start() - days(30)).unwrap();
        let person = match number % 25 {
            0 => made(Suite::Rsa3072),
            1..5 => made(Suite::P256),
            5..9 => with_two_live_subkeys(&user_id),
            _ => person(&slug, &address),
        };
        packagers.push(server.packager_who_is(&slug, &slug, &address, person).await);
    }
    server.maintainer().announces().await;
    assert_eq!(server.run_worker_until_idle().await.sent, RECIPIENTS);

    let mut messages = Vec::new();
    let mut shared = BTreeSet::new();
    let mut keys = Vec::new();
    for packager in &packagers {
        let [mail] = <[_; 1]>::try_from(packager.mailbox(&server.sink)).unwrap();
        let message = dearmored(&mail.armored);
        let head = length_of_head(&message);
        assert!(head > 0);
        shared.insert(message[head..].to_vec());
        let summary = packets(&message);
        assert_eq!((summary.containers.as_slice(), summary.others.len()), (&[1][..], 0));
        assert!(summary.session_keys.iter().all(|packet| packet.version == 3));
        let mut named: Vec<_> =
            summary.session_keys.iter().map(|packet| packet.recipient.clone().unwrap()).collect();
        named.sort();
        let live = live_encryption_keys(&packager.person, server.time.now());
        assert_eq!(
            named, live,
            "one packet for each key that {} can open mail with, and no other",
            packager.slug
        );
        keys.push(live.len());
        messages.push(message);
    }
    assert_eq!(shared.len(), 1, "one body for all");
    assert_eq!(keys.iter().filter(|count| **count == 2).count(), 8, "some have two keys");

    let dice = Entropy::seeded(1);
    let throw = |sides: usize| usize::from(u16::from_le_bytes(dice.bytes())) % sides;
    for _ in 0..WRONG_PAIRS {
        let reader = throw(RECIPIENTS);
        let step = 1 + throw(RECIPIENTS - 1);
        let owner = (reader + step) % RECIPIENTS;
        let opened = packagers[reader].person.decrypt(&messages[owner], None, server.time.now());
        assert!(opened.is_err(), "{reader} opens the message of {owner}");
    }
    server.finish().await;
}

/// The versions of the containers and of the session key packets of a message.
type Versions = (Vec<u8>, BTreeSet<u8>);

fn versions(message: &[u8]) -> Versions {
    let summary = packets(message);
    assert!(summary.others.is_empty(), "{summary:?}");
    (summary.containers, summary.session_keys.iter().map(|packet| packet.version).collect())
}

#[tokio::test]
async fn version_6_recipients_share_a_body_of_their_own_and_who_reads_less_gets_the_one_of_all_others() {
    let server = TestServer::start().await;
    let mut packagers: Vec<(Packager, Versions)> = Vec::new();
    for number in 0..12 {
        let slug = format!("packager-{number}");
        let address = format!("security@{slug}.example");
        let user_id = format!("{slug} <{address}>");
        let suite = if number < 4 { Suite::Cv25519 } else { Suite::V6 };
        let person = Person::generate(&user_id, suite, start() - days(30)).unwrap();
        let packager = server.packager_who_is(&slug, &slug, &address, person).await;
        let older_only = number >= 8;
        if older_only {
            server
                .as_operator(move |operator| {
                    let set = operator.set_seipdv1_only(&address, true).unwrap();
                    assert!(matches!(&set[..], [(_, _, Container::Seipdv1)]), "{set:?}");
                })
                .await;
        }
        let newer = suite == Suite::V6 && !older_only;
        packagers.push((packager, if newer { (vec![2], [6].into()) } else { (vec![1], [3].into()) }));
    }
    let id = server.maintainer().announces().await;
    assert_eq!(server.run_worker_until_idle().await.sent, packagers.len());

    let mut shared = BTreeSet::new();
    for (packager, expected) in &packagers {
        let [mail] = <[_; 1]>::try_from(packager.mailbox(&server.sink)).unwrap();
        assert!(mail.signature_good);
        let message = dearmored(&mail.armored);
        assert_eq!(versions(&message), *expected, "{}", packager.slug);
        shared.insert((expected.clone(), message[length_of_head(&message)..].to_vec()));
    }
    assert_eq!(shared.len(), 2, "one body for each container");

    // Over HTTP it is the same, and a change of mind counts at once.
    let (packager, expected) = &packagers[11];
    let certificate = packager.person.certificate().to_bytes();
    let challenge = server.client.call("POST", "/api/v1/challenges", &[], Some(certificate)).await;
    assert_eq!(
        versions(&challenge.body),
        (vec![1], [3].into()),
        "a challenge can be read by all, registered or not"
    );
    let token = packager.token().await;
    let path = format!("/api/v1/embargoes/{id}/revisions/1/notice");
    let before = server.client.get_as(&token, &path).await;
    assert_eq!(versions(&dearmored(&before.body)), *expected);
    let address = packager.address.clone();
    server
        .as_operator(move |operator| {
            let set = operator.set_seipdv1_only(&address, false).unwrap();
            assert!(matches!(&set[..], [(_, _, Container::Seipdv2)]), "{set:?}");
        })
        .await;
    let after = server.client.get_as(&token, &path).await;
    assert_eq!(versions(&dearmored(&after.body)), (vec![2], [6].into()));
    assert!(!packager.fetches(&token, &path).await.is_empty());
    server.finish().await;
}

#[tokio::test]
async fn of_two_replicas_that_make_the_same_body_and_head_at_once_the_first_ones_are_kept_by_both() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    let id: EmbargoId = server.maintainer().announces().await.parse().unwrap();
    server.run_worker_until_idle().await;
    let now = server.time.now();
    server
        .change(move |tx| {
            let [notice] = <[_; 1]>::try_from(tx.current_notices(&id, now)?).unwrap();
            let subject = BodySubject::Notice(notice.id);
            let first = tx.body(&id, &subject, Container::Seipdv1)?.unwrap();
            let slower = Body {
                id: "slower".to_owned(),
                container: Container::Seipdv1,
                content: vec![1],
                session_key: vec![2; 32].into(),
            };
            let kept = tx.keep_body(&id, &subject, &slower, now)?;
            assert_eq!((&kept.id, &kept.content), (&first.id, &first.content));
            let contact = tx.contacts()?.remove(0);
            let head = tx.head(&first.id, &contact.certificate, 1)?.unwrap();
            assert_eq!(tx.keep_head(&first.id, &contact.certificate, 1, &[3], now)?, head);
            Ok(())
        })
        .await;
    server.finish().await;
}
