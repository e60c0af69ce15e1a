//! Certificates as they really come: ugly, flooded, cut short, or not certificates at all.

use std::time::SystemTime;

use openpgp::cert::CipherSuite;
use openpgp::packet::UserID;
use openpgp::serialize::SerializeInto as _;
use openpgp::types::{HashAlgorithm, KeyFlags, ReasonForRevocation, SignatureType};
use sequoia_openpgp as openpgp;

use super::server_key::renewed;
use super::testing::*;
use super::{
    Acceptance, Certificate, MAX_CERTIFICATE_BYTES, MAX_HEAD_PACKETS, PacketSummary, Unusable, make_head,
    packets,
};

fn trouble(certificate: &Certificate) -> &'static str {
    certificate.check(&Acceptance::Strict, now()).map_or_else(|trouble| trouble.code(), |()| "none")
}

fn refusal(bytes: &[u8]) -> &'static str {
    Certificate::parse(bytes).map_or_else(|error| error.code(), |_| "none")
}

fn head(certificate: &Certificate, acceptance: Acceptance) -> Result<PacketSummary, Unusable> {
    make_head(&session_key(1), certificate, &acceptance, now()).map(|head| packets(&head))
}

#[test]
fn a_certificate_survives_text_and_binary_and_shows_what_is_in_it() {
    let original = certificate(&ordinary());
    assert_eq!(Certificate::parse(&original.to_bytes()), Ok(original.clone()));
    let text = format!("some words before\n{}and after\n", original.to_armored());
    assert_eq!(Certificate::parse(text.as_bytes()), Ok(original.clone()));
    assert_eq!(Certificate::parse(text.replace('\n', "\r\n").as_bytes()), Ok(original.clone()));
    assert_eq!(original.fingerprint().len(), 40);
    assert_eq!(original.key_fingerprints().len(), 2);
    assert_eq!(original.user_ids(), [ADDRESS]);
    assert_eq!(original.addresses(), ["packager@debian.example"]);
    assert_eq!(original.algorithm(), "Cv25519");
    assert_eq!(trouble(&original), "none");
    assert_eq!(original.expires_at(&Acceptance::Strict, now()), None);
}

#[test]
fn a_secret_key_is_refused_in_text_and_in_binary() {
    let person = person();
    assert_eq!(refusal(person.secret_armored().unwrap().as_bytes()), "secret-key-material");
    assert_eq!(refusal(&ordinary().as_tsk().to_vec().unwrap()), "secret-key-material");
    // Secret packets under a harmless title are what a careless script produces.
    let disguised = person.secret_armored().unwrap().replace("PRIVATE", "PUBLIC");
    assert_eq!(refusal(disguised.as_bytes()), "secret-key-material");
}

#[test]
fn what_is_no_single_certificate_is_refused_by_its_own_name() {
    let one = certificate(&ordinary());
    let other = certificate(&ordinary());
    assert_eq!(refusal(b""), "not-openpgp");
    assert_eq!(refusal(b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"), "not-openpgp");
    assert_eq!(refusal(&[0xff; 40]), "not-openpgp");
    assert_eq!(refusal(&[one.to_bytes(), other.to_bytes()].concat()), "several-certificates");
    assert_eq!(refusal((one.to_armored() + &other.to_armored()).as_bytes()), "several-certificates");
    assert_eq!(refusal(&vec![b'x'; MAX_CERTIFICATE_BYTES + 1]), "too-large");
    let text = one.to_armored();
    assert_eq!(refusal(&text.as_bytes()[..text.len() - 60]), "damaged-armor");
    assert_eq!(refusal(&one.to_bytes()[..60]), "damaged");
    assert_eq!(refusal(person().sign_detached(b"x", now()).unwrap().as_bytes()), "not-a-certificate");
    let message = person().sign_and_encrypt(b"x", &one, &session_key(1), now()).unwrap();
    assert_eq!(refusal(&message), "not-a-certificate");
}

#[test]
fn no_prefix_of_a_certificate_makes_the_parser_panic() {
    let bytes = certificate(&ordinary()).to_bytes();
    for end in 0..bytes.len() {
        let _ = Certificate::parse(&bytes[..end]);
    }
}

#[test]
fn a_version_that_nobody_reads_is_refused_with_its_number() {
    for version in [2, 3, 5, 7] {
        let mut bytes = certificate(&ordinary()).to_bytes();
        // Behind the packet's first byte and its length.
        assert_eq!(std::mem::replace(&mut bytes[2], version), 4);
        let error = Certificate::parse(&bytes).unwrap_err();
        assert_eq!(error.code(), "unsupported-version");
        assert!(error.to_string().contains(&format!("version {version}")), "{error}");
    }
}

#[test]
fn what_others_wrote_on_a_certificate_falls_away_and_so_does_what_its_owner_never_signed() {
    let cert = ordinary();
    let stranger = ordinary();
    let mut pair = primary_pair(&stranger);
    let made = SystemTime::from(now() - DAY);
    let user_id = cert.userids().next().unwrap().userid().clone();
    let certification = user_id
        .certify(&mut pair, &cert, SignatureType::PositiveCertification, HashAlgorithm::SHA512, made)
        .unwrap();
    let claimed = UserID::from("Somebody else <somebody@redhat.example>");
    let forged = claimed
        .certify(&mut pair, &cert, SignatureType::PositiveCertification, HashAlgorithm::SHA512, made)
        .unwrap();
    let clean = certificate(&cert);
    let flooded = insert(cert, vec![certification.into(), claimed.into(), forged.into()]);
    let flooded = flooded.strip_secret_key_material().to_vec().unwrap();
    assert!(flooded.len() > clean.to_bytes().len() + 200);
    assert_eq!(Certificate::parse(&flooded), Ok(clean));
}

#[test]
fn a_flood_of_packets_of_two_bytes_is_refused_before_it_costs_much() {
    let mut flooded = ordinary().strip_secret_key_material().to_vec().unwrap();
    let clean = flooded.len();
    // A tag that nobody knows, and nothing in it.
    flooded.extend([0xfc, 0x00].repeat((MAX_CERTIFICATE_BYTES - clean) / 2));
    assert_eq!(refusal(&flooded), "too-many-parts");
    flooded.truncate(clean + 2 * 1000);
    assert!(Certificate::parse(&flooded).is_ok());
}

#[test]
fn a_flood_of_forged_self_signatures_is_refused_before_they_are_verified() {
    let parts = |cert: &openpgp::Cert| {
        let packet = |packet: openpgp::Packet| packet.to_vec().unwrap();
        let user_id = cert.userids().next().unwrap();
        let key = packet(cert.primary_key().key().clone().into());
        let binding = packet(user_id.self_signatures().next().unwrap().clone().into());
        ([key, packet(user_id.userid().clone().into())].concat(), binding)
    };
    let slow = generate(builder().set_cipher_suite(CipherSuite::P384));
    for (cert, most) in [(&slow, 64), (&ordinary(), 128)] {
        let (beginning, binding) = parts(cert);
        assert_eq!(refusal(&[&beginning[..], &binding.repeat(most)].concat()), "none");
        assert_eq!(refusal(&[&beginning[..], &binding.repeat(most + 1)].concat()), "too-many-parts");
    }
    // A subkey that signs brings a second signature inside the first.
    let signing = generate(builder().add_signing_subkey());
    let subkey = signing.keys().subkeys().next().unwrap();
    let packets: [openpgp::Packet; 2] = [
        subkey.key().clone().role_into_subordinate().into(),
        subkey.self_signatures().next().unwrap().clone().into(),
    ];
    let bound = packets[0].to_vec().unwrap();
    let twice = packets[1].to_vec().unwrap().repeat(64);
    let (beginning, binding) = parts(&signing);
    assert_eq!(refusal(&[&beginning[..], &bound, &twice].concat()), "no-user-id");
    assert_eq!(refusal(&[&beginning[..], &binding, &bound, &twice].concat()), "too-many-parts");
    let (beginning, _) = parts(&ordinary());
    let crowd = [&beginning[..], &beginning[beginning.len() - 36..].repeat(64)].concat();
    assert_eq!(refusal(&crowd), "too-many-parts");
}

#[test]
fn a_primary_key_that_this_build_cannot_verify_is_named_instead_of_seeming_to_have_no_user_id() {
    if openpgp::types::Curve::BrainpoolP256.is_supported() {
        return;
    }
    let numbers = openpgp::crypto::mpi::PublicKey::ECDSA {
        curve: openpgp::types::Curve::BrainpoolP256,
        q: openpgp::crypto::mpi::MPI::new_point(&[0x11; 32], &[0x22; 32], 256),
    };
    let key = openpgp::packet::key::Key4::<_, openpgp::packet::key::PrimaryRole>::new(
        SystemTime::from(now()),
        openpgp::types::PublicKeyAlgorithm::ECDSA,
        numbers,
    );
    let key: openpgp::packet::Key<openpgp::packet::key::PublicParts, _> = key.unwrap().into();
    let bytes = openpgp::Packet::from(key).to_vec().unwrap();
    assert_eq!(refusal(&bytes), "unsupported-algorithm");
}

#[test]
fn a_certificate_whose_only_user_id_is_unsigned_has_none() {
    let cert = ordinary();
    let primary = cert.primary_key().key().clone();
    let bare: Vec<openpgp::Packet> = vec![primary.into(), UserID::from(ADDRESS).into()];
    let bytes: Vec<u8> = bare.iter().flat_map(|packet| packet.to_vec().unwrap()).collect();
    let error = Certificate::parse(&bytes).unwrap_err();
    assert_eq!(error.code(), "no-user-id");
    assert!(error.to_string().contains(&cert.fingerprint().to_hex()));
}

#[test]
fn a_user_id_cannot_turn_the_page_around() {
    let cert = generate(builder().add_userid("evil\u{202e}moc.elpmaxe\u{7}<a@b.example>"));
    let shown = certificate(&cert).user_ids();
    assert!(
        shown.iter().any(|user_id| user_id == "evil\u{fffd}moc.elpmaxe\u{fffd}<a@b.example>"),
        "{shown:?}"
    );
}

#[test]
fn sha_1_bindings_count_only_by_exception_and_only_until_it_ends() {
    let old = certificate(&sha1_only());
    assert_eq!(trouble(&old), "sha1-only");
    let exception = Acceptance::Sha1Bindings { until: now() + DAY };
    assert_eq!(old.check(&exception, now()), Ok(()));
    assert_eq!(head(&old, exception).unwrap().session_keys.len(), 1);
    assert_eq!(old.check(&exception, now() + DAY).unwrap_err().code(), "sha1-only");
    assert_eq!(head(&old, Acceptance::Strict).unwrap_err().code(), "sha1-only");
}

#[test]
fn an_expired_encryption_subkey_is_named_in_the_cure() {
    let cert = generate(builder().add_subkey(encrypting(), DAY, None));
    let subkey = cert.keys().subkeys().next().unwrap().key().fingerprint().to_hex();
    let certificate = certificate(&cert);
    assert_eq!(trouble(&certificate), "encryption-key-expired");
    let text = certificate.check(&Acceptance::Strict, now()).unwrap_err().to_string();
    assert!(
        text.contains(&format!("--quick-set-expire {} 2y {subkey} && gpg", cert.fingerprint().to_hex())),
        "{text}"
    );
    assert!(head(&certificate, Acceptance::Strict).is_err());
}

#[test]
fn an_expired_certificate_says_so_before_its_subkey_does() {
    let cert = generate(builder().set_validity_period(2 * DAY).add_subkey(encrypting(), DAY, None));
    let certificate = certificate(&cert);
    assert_eq!(trouble(&certificate), "expired");
    let early = now() - 10 * DAY + DAY / 2;
    assert_eq!(certificate.expires_at(&Acceptance::Strict, early), Some(now() - 9 * DAY));
    assert_eq!(certificate.check(&Acceptance::Strict, now() - 20 * DAY).unwrap_err().code(), "not-yet-valid");
}

#[test]
fn a_head_holds_a_packet_for_each_live_encryption_subkey_and_for_nothing_else() {
    let two = builder()
        .add_subkey(encrypting(), None, None)
        .add_subkey(KeyFlags::empty().set_transport_encryption(), None, None)
        .add_subkey(encrypting(), DAY, None)
        .add_signing_subkey();
    let cert = generate(two);
    let summary = head(&certificate(&cert), Acceptance::Strict).unwrap();
    assert_eq!(summary.session_keys.len(), 2);
    assert!(summary.session_keys.iter().all(|packet| packet.version == 3));
    assert!(summary.containers.is_empty() && summary.others.is_empty());
    let many = (0..6).fold(builder(), |builder, _| builder.add_subkey(encrypting(), None, None));
    let summary = head(&certificate(&generate(many)), Acceptance::Strict).unwrap();
    assert_eq!(summary.session_keys.len(), MAX_HEAD_PACKETS);
}

#[test]
fn a_certificate_that_only_signs_is_refused_even_if_its_flags_claim_otherwise() {
    assert_eq!(trouble(&certificate(&generate(builder()))), "no-encryption-key");
    let lying = builder().set_primary_key_flags(encrypting().set_certification());
    assert_eq!(trouble(&certificate(&generate(lying))), "no-encryption-key");
}

#[test]
fn a_revocation_counts_whatever_its_reason_and_however_it_arrives() {
    let cert = ordinary();
    for reason in [ReasonForRevocation::KeyCompromised, ReasonForRevocation::KeyRetired] {
        let packet = revocation(&cert, reason);
        let revoked = certificate(&insert(cert.clone(), vec![packet.clone()]));
        assert_eq!(trouble(&revoked), "revoked");
        let exception = Acceptance::Sha1Bindings { until: now() + DAY };
        assert_eq!(revoked.check(&exception, now()).unwrap_err().code(), "revoked");
        assert_eq!(trouble(&certificate(&cert).merge(revoked).unwrap()), "revoked");
        let alone = packet.to_vec().unwrap();
        assert_eq!(trouble(&certificate(&cert).with_revocation(&alone).unwrap()), "revoked");
    }
    let foreign = revocation(&ordinary(), ReasonForRevocation::KeyCompromised).to_vec().unwrap();
    assert_eq!(certificate(&cert).with_revocation(&foreign).unwrap_err().code(), "no-revocation");
    assert_eq!(trouble(&certificate(&subkey_revoked(cert))), "encryption-key-revoked");
}

#[test]
fn rsa_2048_is_served_and_rsa_1024_is_weak() {
    let good = certificate(&rsa(2048));
    assert_eq!(good.algorithm(), "RSA 2048");
    assert_eq!(trouble(&good), "none");
    assert_eq!(head(&good, Acceptance::Strict).unwrap().session_keys.len(), 1);
    let weak = certificate(&rsa(1024));
    assert_eq!(trouble(&weak), "weak-algorithm");
    assert!(weak.check(&Acceptance::Strict, now()).unwrap_err().to_string().contains("RSA 1024"));
}

#[test]
fn a_curve_that_this_build_cannot_do_is_said_at_enrolment_not_at_sending() {
    let certificate = certificate(&brainpool());
    assert_eq!(certificate.algorithm(), "brainpoolP256r1");
    let expected =
        if openpgp::types::Curve::BrainpoolP256.is_supported() { "none" } else { "unsupported-algorithm" };
    assert_eq!(trouble(&certificate), expected);
}

#[test]
fn an_extended_copy_mends_an_expired_certificate_and_a_stranger_is_not_merged() {
    let cert = generate(builder().set_validity_period(2 * DAY).add_subkey(encrypting(), None, None));
    let fresh = certificate(&renewed(&cert, None, now() - DAY).unwrap());
    let known = certificate(&cert);
    assert_eq!(trouble(&known), "expired");
    assert_eq!(trouble(&known.clone().merge(fresh).unwrap()), "none");
    assert_eq!(known.merge(certificate(&ordinary())).unwrap_err().code(), "other-certificate");
}
