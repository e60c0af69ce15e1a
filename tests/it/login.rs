//! Login with keys that no longer count.

use std::time::SystemTime;

use embargod::openpgp::Person;
use embargod::wire;
use sequoia_openpgp::Packet;
use sequoia_openpgp::cert::{Cert, SubkeyRevocationBuilder};
use sequoia_openpgp::packet::UserID;
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::serialize::SerializeInto as _;
use sequoia_openpgp::types::{HashAlgorithm, ReasonForRevocation, SignatureType};

use crate::harness::{TestServer, classic_key, days, encrypting, start};

fn person(cert: &Cert) -> Person {
    Person::from_secret(&cert.as_tsk().to_vec().unwrap()).unwrap()
}

/// A certificate with two encryption subkeys, and the first of them.
fn two_subkeys() -> (Cert, sequoia_openpgp::Fingerprint) {
    let (cert, _) = classic_key()
        .add_userid("Debian <security@debian.example>")
        .add_subkey(encrypting(), None, None)
        .add_subkey(encrypting(), None, None)
        .generate()
        .unwrap();
    let first = cert.keys().subkeys().next().unwrap().key().fingerprint();
    (cert, first)
}

/// The certificate before and after its owner revoked the first subkey, and whoever stole that subkey.
fn robbed() -> (Cert, Cert, Person) {
    let (before, stolen) = two_subkeys();
    let mut primary = before.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let subkey = before.keys().subkeys().next().unwrap();
    let revocation = SubkeyRevocationBuilder::new()
        .set_signature_creation_time(SystemTime::from(start() - days(1)))
        .unwrap()
        .set_reason_for_revocation(ReasonForRevocation::KeyCompromised, b"")
        .unwrap()
        .build(&mut primary, &before, subkey.key(), HashAlgorithm::SHA512)
        .unwrap();
    let after = before.clone().insert_packets(revocation).unwrap().0;
    let thief = person(&before.clone().retain_subkeys(|key| key.key().fingerprint() == stolen));
    (before, after, thief)
}

/// The thief opens the challenge, which tells nothing; the token is refused.
async fn gets_no_token(server: &TestServer, thief: &Person) {
    let certificate = thief.certificate().to_armored().into_bytes();
    let challenge = server.client.call("POST", "/api/v1/challenges", &[], Some(certificate)).await;
    assert_eq!(challenge.status, 200, "nothing tells the thief that the certificate is known");
    let opened = thief.decrypt(&challenge.body, None, server.time.now()).unwrap();
    let token = server.client.call("POST", "/api/v1/tokens", &[], Some(opened.plaintext)).await;
    assert_eq!(token.status, 401, "{}", token.text());
}

#[tokio::test]
async fn an_old_export_that_the_operator_adds_once_more_brings_no_revoked_subkey_back() {
    let (before, after, thief) = robbed();
    let server = TestServer::start().await;
    for cert in [after, before] {
        let armored = person(&cert).certificate().to_armored();
        server
            .as_operator(move |operator| {
                operator.add_maintainer("requests", armored.as_bytes()).unwrap();
            })
            .await;
    }
    gets_no_token(&server, &thief).await;
    server.finish().await;
}

#[tokio::test]
async fn who_stole_a_subkey_that_its_owner_revoked_logs_in_with_no_older_copy_of_the_certificate() {
    let (_, after, thief) = robbed();
    let server = TestServer::start().await;
    let owner = server.packager_who_is("debian", "Debian", "security@debian.example", person(&after)).await;
    assert!(!owner.token().await.is_empty(), "the owner's other subkey opens the challenge");
    gets_no_token(&server, &thief).await;
    server.finish().await;
}

/// A certificate to which its owner added a user id.
fn renamed(cert: &Cert, name: String) -> Cert {
    let mut primary = cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let user = UserID::from(name);
    let builder = SignatureBuilder::new(SignatureType::PositiveCertification)
        .set_signature_creation_time(SystemTime::from(start() - days(1)))
        .unwrap();
    let binding = user.bind(&mut primary, cert, builder).unwrap();
    cert.clone().insert_packets([Packet::from(user), binding.into()]).unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_logins_at_the_same_time_bring_of_a_certificate_is_all_kept() {
    const LOGINS: usize = 5;
    let (cert, _) = two_subkeys();
    let server = TestServer::start().await;
    server.packager_who_is("debian", "Debian", "security@debian.example", person(&cert)).await;
    let mut answers = Vec::new();
    for number in 0..LOGINS {
        let owner = person(&renamed(&cert, format!("Debian <{number}@debian.example>")));
        let certificate = owner.certificate().to_armored().into_bytes();
        let challenge = server.client.call("POST", "/api/v1/challenges", &[], Some(certificate)).await;
        answers.push(owner.decrypt(&challenge.body, None, server.time.now()).unwrap().plaintext);
    }
    let mut logins = tokio::task::JoinSet::new();
    for answer in answers {
        let client = server.client.clone();
        logins.spawn(async move { client.call("POST", "/api/v1/tokens", &[], Some(answer)).await.status });
    }
    assert_eq!(logins.join_all().await, [200; LOGINS]);
    let fingerprint = cert.fingerprint().to_hex();
    let stored =
        server.database(move |tx| Ok(tx.certificate_by_fingerprint(&fingerprint)?.unwrap().bytes)).await;
    let kept = Cert::from_bytes(&stored).unwrap();
    assert_eq!(kept.userids().count(), 1 + LOGINS, "what one login brought is lost by another");
    server.finish().await;
}

#[tokio::test]
async fn a_token_for_patches_alone_gives_no_receipt_and_a_token_that_was_ended_does_nothing() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    let token = debian.token_for("patch:read").await;
    let fix = mara.reads::<wire::CaseView>(&mara.token().await, &format!("/api/v1/embargoes/{id}")).await;
    let fix = fix.neutral.fixes[0].id.clone();
    let status = async |token: &str, path: &str| {
        server.client.get_as(token, &format!("/api/v1/embargoes{path}")).await.status
    };
    let patch = format!("/{id}/revisions/1/fixes/{fix}");
    assert_eq!(status(&token, &patch).await, 200);
    assert_eq!(status(&token, &format!("/{id}/revisions/1/notice")).await, 403);
    assert_eq!(status(&token, "").await, 403);
    // Known or not, it is the token that is too narrow.
    assert_eq!(status(&token, "/0000-0000/revisions/1/notice").await, 403);
    let code = debian.mailbox(&server.sink)[0].receipt_code();
    let said = serde_json::to_vec(&wire::PutReceipt { revision: 1, code }).unwrap();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let receipt = format!("/api/v1/embargoes/{id}/receipt");
    assert_eq!(server.client.call("PUT", &receipt, &headers, Some(said)).await.status, 403);

    let ended = server.client.call("DELETE", "/api/v1/tokens", &headers[..1], None).await;
    assert_eq!(ended.status, 204);
    assert_eq!(status(&token, &patch).await, 401);
    let again = server.client.call("DELETE", "/api/v1/tokens", &headers[..1], None).await;
    assert_eq!(again.status, 401);
    server.finish().await;
}

#[tokio::test]
async fn the_operator_ends_a_token_that_its_holder_cannot_end() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let token = debian.token().await;
    let now = server.time.now();
    let [listed] = <[_; 1]>::try_from(server.database(move |tx| Ok(tx.live_tokens(now)?)).await).unwrap();
    assert!(token.ends_with(&listed.last_four));
    server
        .as_operator(move |operator| {
            assert!(operator.revoke_token("").is_err());
            operator.revoke_token(&listed.id.as_str()[..8]).unwrap();
        })
        .await;
    assert_eq!(server.client.get_as(&token, "/api/v1/embargoes").await.status, 401);
    server.finish().await;
}
