//! Certificates good and bad, made fresh for each test.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use openpgp::cert::{Cert, CertBuilder, CertRevocationBuilder, CipherSuite, SubkeyRevocationBuilder};
use openpgp::crypto::KeyPair;
use openpgp::crypto::mpi::{MPI, PublicKey};
use openpgp::packet::key::{Key4, PublicParts, SubordinateRole};
use openpgp::packet::signature::SignatureBuilder;
use openpgp::packet::{Key, UserID};
use openpgp::types::{
    Curve, Features, HashAlgorithm, KeyFlags, PublicKeyAlgorithm, ReasonForRevocation, SignatureType,
    SymmetricAlgorithm,
};
use openpgp::{Packet, Profile};
use sequoia_openpgp as openpgp;

use super::{Certificate, Person, SessionKey, Suite};

pub(super) const DAY: Duration = Duration::from_hours(24);
pub(super) const ADDRESS: &str = "Packager <packager@debian.example>";

/// Monday, 1 June 2026, 09:00 UTC.
pub(super) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_304_400, 0).unwrap()
}

pub(super) fn person() -> Person {
    Person::generate(ADDRESS, Suite::Cv25519, now() - DAY).unwrap()
}

/// A session key that differs by `seed`.
pub(super) fn session_key(seed: u8) -> SessionKey {
    SessionKey::from_random([seed; 32])
}

pub(super) fn encrypting() -> KeyFlags {
    KeyFlags::empty().set_transport_encryption().set_storage_encryption()
}

/// A builder for a signing primary key with one user id, ten days old, without subkeys.
pub(super) fn builder() -> CertBuilder<'static> {
    CertBuilder::new()
        .set_profile(Profile::RFC4880)
        .unwrap()
        .set_cipher_suite(CipherSuite::Cv25519)
        .set_features(Features::empty().set_seipdv1())
        .unwrap()
        .set_creation_time(SystemTime::from(now() - 10 * DAY))
        .set_primary_key_flags(KeyFlags::empty().set_certification().set_signing())
        .add_userid(ADDRESS)
}

pub(super) fn generate(builder: CertBuilder) -> Cert {
    builder.generate().unwrap().0
}

pub(super) fn ordinary() -> Cert {
    generate(builder().add_subkey(encrypting(), None, None))
}

pub(super) fn certificate(cert: &Cert) -> Certificate {
    Certificate::from_cert(cert.clone()).unwrap()
}

pub(super) fn primary_pair(cert: &Cert) -> KeyPair {
    cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap()
}

pub(super) fn insert(cert: Cert, packets: Vec<Packet>) -> Cert {
    cert.insert_packets(packets).unwrap().0
}

/// The certificate and the revocation of its primary key, made now.
pub(super) fn revocation(cert: &Cert, reason: ReasonForRevocation) -> Packet {
    CertRevocationBuilder::new()
        .set_signature_creation_time(SystemTime::from(now()))
        .unwrap()
        .set_reason_for_revocation(reason, b"")
        .unwrap()
        .build(&mut primary_pair(cert), cert, None)
        .unwrap()
        .into()
}

pub(super) fn subkey_revoked(cert: Cert) -> Cert {
    let subkey = cert.keys().subkeys().next().unwrap().key().clone();
    let revocation = SubkeyRevocationBuilder::new()
        .set_signature_creation_time(SystemTime::from(now()))
        .unwrap()
        .set_reason_for_revocation(ReasonForRevocation::KeyRetired, b"")
        .unwrap()
        .build(&mut primary_pair(&cert), &cert, &subkey, None)
        .unwrap();
    insert(cert, vec![revocation.into()])
}

/// An ordinary key whose self-signatures were all made with SHA-1, last week.
pub(super) fn sha1_only() -> Cert {
    let template = ordinary();
    let mut pair = primary_pair(&template);
    let made = SystemTime::from(now() - 7 * DAY);
    let sha1 = |kind, flags: KeyFlags| {
        SignatureBuilder::new(kind)
            .set_hash_algo(HashAlgorithm::SHA1)
            .set_signature_creation_time(made)
            .and_then(|builder| builder.set_key_flags(flags))
            .unwrap()
    };
    let primary = template.primary_key().key().clone().parts_into_secret().unwrap();
    let bare = Cert::from_packets(std::iter::once(Packet::from(primary))).unwrap();
    let user_id = UserID::from(ADDRESS);
    let flags = KeyFlags::empty().set_certification().set_signing();
    let bound = user_id.bind(&mut pair, &bare, sha1(SignatureType::PositiveCertification, flags)).unwrap();
    let subkey = template.keys().subkeys().next().unwrap().key().clone().parts_into_secret().unwrap();
    let binding = subkey.bind(&mut pair, &bare, sha1(SignatureType::SubkeyBinding, encrypting())).unwrap();
    insert(bare, vec![user_id.into(), bound.into(), subkey.into(), binding.into()])
}

/// A certificate whose only encryption subkey has the given numbers; nobody holds the secret.
pub(super) fn with_foreign_subkey(algorithm: PublicKeyAlgorithm, numbers: PublicKey) -> Cert {
    let cert = generate(builder());
    let made = SystemTime::from(now() - 5 * DAY);
    let key = Key4::<PublicParts, SubordinateRole>::new(made, algorithm, numbers).unwrap();
    let subkey: Key<PublicParts, SubordinateRole> = key.into();
    let template = SignatureBuilder::new(SignatureType::SubkeyBinding)
        .set_hash_algo(HashAlgorithm::SHA512)
        .set_signature_creation_time(made)
        .and_then(|builder| builder.set_key_flags(encrypting()))
        .unwrap();
    let binding = subkey.bind(&mut primary_pair(&cert), &cert, template).unwrap();
    insert(cert, vec![subkey.into(), binding.into()])
}

pub(super) fn rsa(bits: usize) -> Cert {
    let mut modulus = vec![0xc5; bits / 8];
    modulus[bits / 8 - 1] = 0x3d;
    let numbers = PublicKey::RSA { e: MPI::new(&[1, 0, 1]), n: MPI::new(&modulus) };
    with_foreign_subkey(PublicKeyAlgorithm::RSAEncryptSign, numbers)
}

pub(super) fn brainpool() -> Cert {
    let numbers = PublicKey::ECDH {
        curve: Curve::BrainpoolP256,
        q: MPI::new_point(&[0x11; 32], &[0x22; 32], 256),
        hash: HashAlgorithm::SHA256,
        sym: SymmetricAlgorithm::AES256,
    };
    with_foreign_subkey(PublicKeyAlgorithm::ECDH, numbers)
}
