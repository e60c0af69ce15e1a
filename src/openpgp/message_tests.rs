//! One body, many heads: each message opens for its own recipient and for nobody else.

use std::io::Write as _;

use openpgp::crypto::Password;
use openpgp::packet::PKESK;
use openpgp::packet::pkesk::PKESK3;
use openpgp::serialize::MarshalInto as _;
use openpgp::serialize::stream::{Encryptor, LiteralWriter, Message};
use openpgp::types::{Features, SymmetricAlgorithm};
use openpgp::{Packet, Profile};
use sequoia_openpgp as openpgp;

use super::testing::*;
use super::{
    Acceptance, ArmoredBody, Certificate, Person, PersonError, ServerKey, Suite, armor, encrypt_to,
    make_head, open_command, packets, seal_body, sign_detached, verify_detached,
};
use crate::domain::container::Container;

const PLAINTEXT: &[u8] = b"to the approved packagers of requests\r\nwith a line that ends in blanks  \r\n";

fn server() -> ServerKey {
    ServerKey::generate("Security of requests <embargo@requests.example>", now() - DAY).unwrap()
}

#[test]
fn fifty_mixed_recipients_share_every_byte_after_their_heads_and_nobody_opens_another_ones_message() {
    let server = server();
    let suite = |index| match index {
        0 => Suite::Rsa3072,
        1..4 => Suite::P256,
        _ => Suite::Cv25519,
    };
    let people: Vec<_> =
        (0..50).map(|index| Person::generate(ADDRESS, suite(index), now() - DAY).unwrap()).collect();
    let key = session_key(7);
    let body = seal_body(PLAINTEXT, &server, &key, Container::Seipdv1, now()).unwrap();
    let shared = ArmoredBody::new(body.clone(), Container::Seipdv1);
    let mut messages = Vec::new();
    for person in &people {
        let head = make_head(&key, person.certificate(), &Acceptance::Strict, now()).unwrap();
        let binary = [&head[..], &body].concat();
        let opened = person.decrypt(&binary, Some(server.certificate()), now()).unwrap();
        assert_eq!(opened.plaintext, PLAINTEXT);
        assert!(opened.signature_good);
        let text = shared.message(&head).to_vec();
        assert_eq!(text, armor(&head, &body, Container::Seipdv1));
        assert_eq!(person.decrypt(&text, Some(server.certificate()), now()), Ok(opened));

        let summary = packets(&text);
        assert_eq!(summary.containers, [1]);
        assert!(summary.others.is_empty());
        let recipients: Vec<_> =
            summary.session_keys.iter().map(|packet| packet.recipient.clone().unwrap()).collect();
        let subkey = person.certificate().key_fingerprints()[1].clone();
        assert_eq!(recipients, [&subkey[24..]]);
        assert!(summary.session_keys.iter().all(|packet| packet.version == 3));
        messages.push(binary);
    }
    for (index, message) in messages.iter().enumerate() {
        for step in 1..5 {
            let other = &people[(index + step * 7) % people.len()];
            assert_eq!(other.decrypt(message, None, now()), Err(PersonError::DoesNotOpen));
        }
    }
}

#[test]
fn a_hidden_recipient_is_tried_but_only_the_right_key_opens() {
    let (right, wrong) = (person(), person());
    let key = session_key(9);
    let body = seal_body(PLAINTEXT, &server(), &key, Container::Seipdv1, now()).unwrap();
    let subkey = right.certificate().cert().keys().subkeys().next().unwrap().key().clone();
    let mut packet = PKESK3::for_recipient(SymmetricAlgorithm::AES256, &key.to_library(), &subkey).unwrap();
    packet.set_recipient(None);
    let message = [Packet::from(PKESK::from(packet)).to_vec().unwrap(), body].concat();
    assert_eq!(packets(&message).session_keys[0].recipient, None);
    assert_eq!(right.decrypt(&message, None, now()).unwrap().plaintext, PLAINTEXT);
    assert_eq!(wrong.decrypt(&message, None, now()), Err(PersonError::DoesNotOpen));
}

#[test]
fn a_head_opens_no_other_body() {
    let (server, person) = (server(), person());
    let body = seal_body(PLAINTEXT, &server, &session_key(1), Container::Seipdv1, now()).unwrap();
    let head = make_head(&session_key(2), person.certificate(), &Acceptance::Strict, now()).unwrap();
    assert_eq!(person.decrypt(&[head, body].concat(), None, now()), Err(PersonError::DoesNotOpen));
}

#[test]
fn who_advertises_the_newer_container_still_gets_the_one_that_gpg_2_2_reads() {
    let modern = builder().set_features(Features::sequoia()).unwrap().add_subkey(encrypting(), None, None);
    let modern = Person::from_cert(generate(modern)).unwrap();
    let message =
        encrypt_to(PLAINTEXT, modern.certificate(), &Acceptance::Strict, None, &session_key(3), now())
            .unwrap();
    let summary = packets(&message);
    assert_eq!((summary.containers, summary.session_keys[0].version), (vec![1], 3));
    let opened = modern.decrypt(&message, None, now()).unwrap();
    assert_eq!((opened.plaintext.as_slice(), opened.signature_good), (PLAINTEXT, false));
}

#[test]
fn a_version_6_certificate_gets_the_newer_container_unless_its_holder_reads_the_older_one_only() {
    let server = server();
    let modern = Person::generate(ADDRESS, Suite::V6, now() - DAY).unwrap();
    assert_eq!(modern.certificate().fingerprint().len(), 64);
    let text = modern.certificate().to_armored();
    assert!(!text.contains("\n="), "no checksum line");
    assert_eq!(Certificate::parse(text.as_bytes()).as_ref(), Ok(modern.certificate()));
    let silent = builder().set_profile(Profile::RFC9580).unwrap().add_subkey(encrypting(), None, None);
    let silent = Person::from_cert(generate(silent)).unwrap();
    let limited = modern.certificate().clone().seipdv1_only();
    let merged = limited.clone().merge(modern.certificate().clone()).unwrap();
    for (to, person, versions) in [
        (modern.certificate(), &modern, (2, 6)),
        (&limited, &modern, (1, 3)),
        (&merged, &modern, (1, 3)),
        // Its features name the older container alone.
        (silent.certificate(), &silent, (1, 3)),
    ] {
        let key = session_key(3);
        let message = encrypt_to(PLAINTEXT, to, &Acceptance::Strict, Some(&server), &key, now()).unwrap();
        let summary = packets(&message);
        let [packet] = &summary.session_keys[..] else { panic!("{summary:?}") };
        assert_eq!((summary.containers.as_slice(), packet.version), (&[versions.0][..], versions.1));
        let opened = person.decrypt(&message, Some(server.certificate()), now()).unwrap();
        assert_eq!((opened.plaintext.as_slice(), opened.signature_good), (PLAINTEXT, true));
        let mut changed = message.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(person.decrypt(&changed, None, now()), Err(PersonError::DoesNotOpen));
    }
}

#[test]
fn who_holds_a_version_6_key_can_give_commands_too() {
    let (server, modern) = (server(), Person::generate(ADDRESS, Suite::V6, now() - DAY).unwrap());
    let message = modern.sign_and_encrypt(PLAINTEXT, server.certificate(), &session_key(1), now()).unwrap();
    assert_eq!(packets(&message).containers, [1], "the server's own key is of version 4");
    let candidates = [(modern.certificate().clone(), Acceptance::Strict)];
    assert_eq!(open_command(&message, &server, &candidates, now()).unwrap().text, PLAINTEXT);
}

#[test]
fn a_body_is_compressed_and_shows_nothing_of_what_is_inside() {
    let patch = b"+    canary_in_every_line()\n".repeat(4000);
    let body = seal_body(&patch, &server(), &session_key(1), Container::Seipdv1, now()).unwrap();
    assert!(body.len() < patch.len() / 20);
    assert!(!body.windows(6).any(|window| window == b"canary"));
}

#[test]
fn a_changed_bit_anywhere_in_a_body_is_noticed() {
    let (server, person) = (server(), person());
    let key = session_key(1);
    let message =
        encrypt_to(PLAINTEXT, person.certificate(), &Acceptance::Strict, Some(&server), &key, now()).unwrap();
    for position in (0..message.len()).step_by(7) {
        let mut changed = message.clone();
        changed[position] ^= 0x10;
        let opened = person.decrypt(&changed, Some(server.certificate()), now());
        // The id of the recipient in the head is a hint for programs and says nothing about the content.
        assert!(opened.is_err() || opened.unwrap().plaintext == PLAINTEXT);
    }
}

#[test]
fn the_server_key_promises_only_what_old_programs_can_write() {
    let server = server();
    let again = ServerKey::from_bytes(&server.to_secret_bytes().unwrap()).unwrap();
    assert_eq!(again.fingerprint(), server.fingerprint());
    assert_eq!(again.expires_at(), Some(now() - DAY + 3 * 365 * DAY));
    let renewed = again.renewed(now()).unwrap();
    assert_eq!(renewed.expires_at(), Some(now() + 3 * 365 * DAY));
    assert_eq!(renewed.certificate().expires_at(&Acceptance::Strict, now()), renewed.expires_at());
    assert_eq!(server.certificate().algorithm(), "Cv25519");
    assert_eq!(server.certificate().check(&Acceptance::Strict, now()), Ok(()));
    let policy = Acceptance::Strict.policy(now());
    let valid = server.certificate().cert().with_policy(&policy, std::time::SystemTime::from(now())).unwrap();
    let features = valid.primary_userid().unwrap().binding_signature().features().unwrap();
    assert!(features.supports_seipdv1() && !features.supports_seipdv2());
}

#[test]
fn a_server_key_of_another_kind_locked_or_public_is_refused() {
    let refusal = |bytes: &[u8]| ServerKey::from_bytes(bytes).unwrap_err().to_string();
    let secret = |cert: openpgp::Cert| cert.as_tsk().to_vec().unwrap();
    let nist = person_secret(Suite::P256);
    assert!(refusal(nist.as_bytes()).contains("P-256, version 4"));
    let v6 = builder().set_profile(Profile::RFC9580).unwrap().add_subkey(encrypting(), None, None);
    assert!(refusal(&secret(generate(v6))).contains("Ed25519"));
    let locked = builder().set_password(Some(Password::from("x"))).add_subkey(encrypting(), None, None);
    assert!(refusal(&secret(generate(locked))).contains("passphrase"));
    assert!(refusal(&secret(generate(builder()))).contains("no live secret encryption key"));
    assert!(refusal(server().certificate().to_armored().as_bytes()).contains("no live secret signing key"));
    assert!(ServerKey::from_bytes(person_secret(Suite::Cv25519).as_bytes()).is_ok());
}

fn person_secret(suite: Suite) -> String {
    Person::generate(ADDRESS, suite, now()).unwrap().secret_armored().unwrap()
}

#[test]
fn a_detached_signature_counts_for_its_data_its_signer_and_its_time() {
    let (server, author) = (server(), person());
    let strict = |certificate: &super::Certificate| (certificate.clone(), Acceptance::Strict);
    let candidates = [strict(server.certificate()), strict(author.certificate())];
    let signature = author.sign_detached(PLAINTEXT, now()).unwrap();
    let verified = verify_detached(signature.as_bytes(), PLAINTEXT, &candidates, now()).unwrap();
    assert_eq!((verified.index, verified.fingerprint), (1, author.certificate().fingerprint()));
    let by_server = sign_detached(&server, PLAINTEXT, now()).unwrap();
    assert_eq!(verify_detached(by_server.as_bytes(), PLAINTEXT, &candidates, now()).unwrap().index, 0);

    let code = |signature: &[u8], data: &[u8], count: usize, now| {
        verify_detached(signature, data, &candidates[..count], now).unwrap_err().code()
    };
    assert_eq!(code(signature.as_bytes(), b"other", 2, now()), "bad-signature");
    assert_eq!(code(signature.as_bytes(), PLAINTEXT, 1, now()), "unknown-signer");
    assert_eq!(code(signature.as_bytes(), PLAINTEXT, 2, now() - DAY / 2), "signature-not-live");
    assert_eq!(code(b"nonsense", PLAINTEXT, 2, now()), "not-a-signature");
    assert_eq!(code(author.certificate().to_armored().as_bytes(), PLAINTEXT, 2, now()), "not-a-signature");
    assert_eq!(code(by_server.as_bytes(), PLAINTEXT, 1, now() + 4 * 365 * DAY), "signer-expired");
}

#[test]
fn a_container_of_the_newer_kind_is_recognised_from_outside() {
    let mut message = Vec::new();
    let builder = Encryptor::with_passwords(Message::new(&mut message), Some(Password::from("x")));
    let mut writer =
        LiteralWriter::new(builder.aead_algo(openpgp::types::AEADAlgorithm::OCB).build().unwrap())
            .build()
            .unwrap();
    writer.write_all(b"x").unwrap();
    writer.finalize().unwrap();
    assert_eq!(packets(&message).containers, [2]);
    assert_eq!(packets(b"nonsense").others, ["damaged"]);
}
