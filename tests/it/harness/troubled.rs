//! Certificates as they arrive in real life: each with one trouble, the code it must be refused or warned with, and
//! whether its owner can type it away.
//!
//! Everything is made anew: no key of anybody lies in the repository.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use openpgp::armor::{Kind, Writer};
use openpgp::cert::{Cert, CertBuilder, CertRevocationBuilder, CipherSuite, SubkeyRevocationBuilder};
use openpgp::crypto::KeyPair;
use openpgp::crypto::mpi::{MPI, PublicKey};
use openpgp::packet::key::{Key4, PublicParts, SubordinateRole};
use openpgp::packet::signature::SignatureBuilder;
use openpgp::packet::{Key, Signature, UserID};
use openpgp::serialize::SerializeInto as _;
use openpgp::types::{
    Curve, Features, HashAlgorithm, KeyFlags, PublicKeyAlgorithm, ReasonForRevocation, SignatureType,
    SymmetricAlgorithm,
};
use openpgp::{Packet, Profile};
use sequoia_openpgp as openpgp;

pub const ADDRESS: &str = "security@distro.example";
const USER_ID: &str = "Distro Security <security@distro.example>";
const DAY: Duration = Duration::from_hours(24);

/// What somebody sends.
pub struct Sent {
    pub name: String,
    pub bytes: Vec<u8>,
    /// The code of the finding that matters most.
    pub code: &'static str,
    pub verdict: Verdict,
    /// The owner's secret key, if gpg can mend it by what is printed.
    pub curable: Option<Vec<u8>>,
}

/// What must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Usable,
    Unusable,
    NoCertificate,
}

/// A maker of certificates at one instant, with one kind of keys.
struct Maker {
    now: DateTime<Utc>,
    suite: CipherSuite,
    suite_name: &'static str,
}

fn encrypting() -> KeyFlags {
    KeyFlags::empty().set_transport_encryption().set_storage_encryption()
}

fn pair(cert: &Cert) -> KeyPair {
    cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap()
}

fn with(cert: &Cert, packets: impl IntoIterator<Item = Packet>) -> Cert {
    cert.clone().insert_packets(packets.into_iter().collect::<Vec<_>>()).unwrap().0
}

fn public(cert: &Cert) -> Vec<u8> {
    cert.clone().strip_secret_key_material().to_vec().unwrap()
}

fn armored(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), kind).unwrap();
    std::io::Write::write_all(&mut writer, bytes).unwrap();
    writer.finalize().unwrap()
}

impl Maker {
    fn ago(&self, days: u32) -> SystemTime {
        SystemTime::from(self.now - DAY * days)
    }

    /// A certifying and signing primary key, thirty days old.
    fn builder(&self) -> CertBuilder<'static> {
        CertBuilder::new()
            .set_profile(Profile::RFC4880)
            .unwrap()
            .set_cipher_suite(self.suite)
            .set_features(Features::empty().set_seipdv1())
            .unwrap()
            .set_creation_time(self.ago(30))
            .set_primary_key_flags(KeyFlags::empty().set_certification().set_signing())
            .add_userid(USER_ID)
    }

    fn ordinary(&self) -> Cert {
        self.builder().add_subkey(encrypting(), None, None).generate().unwrap().0
    }

    fn revoked(&self, cert: &Cert, reason: ReasonForRevocation) -> Cert {
        let revocation = CertRevocationBuilder::new()
            .set_signature_creation_time(self.ago(1))
            .unwrap()
            .set_reason_for_revocation(reason, b"")
            .unwrap()
            .build(&mut pair(cert), cert, None)
            .unwrap();
        with(cert, [revocation.into()])
    }

    /// The certificate with its `number`th subkey revoked.
    fn subkey_revoked(&self, cert: &Cert, number: usize, reason: ReasonForRevocation) -> Cert {
        let subkey = cert.keys().subkeys().nth(number).unwrap().key().clone();
        let revocation = SubkeyRevocationBuilder::new()
            .set_signature_creation_time(self.ago(1))
            .unwrap()
            .set_reason_for_revocation(reason, b"")
            .unwrap()
            .build(&mut pair(cert), cert, &subkey, None)
            .unwrap();
        with(cert, [revocation.into()])
    }

    /// The same keys, bound anew with these hashes: the user id and the subkey.
    fn bound_with(
        &self,
        user_id_hash: HashAlgorithm,
        subkey_hash: HashAlgorithm,
        life: Option<Duration>,
    ) -> Cert {
        let template = self.ordinary();
        let mut signer = pair(&template);
        let made = self.ago(7);
        let signature = |kind, hash, flags: KeyFlags| {
            SignatureBuilder::new(kind)
                .set_hash_algo(hash)
                .set_signature_creation_time(made)
                .and_then(|builder| builder.set_key_flags(flags))
                .unwrap()
        };
        let primary = template.primary_key().key().clone().parts_into_secret().unwrap();
        let bare = Cert::from_packets(std::iter::once(Packet::from(primary))).unwrap();
        let user_id = UserID::from(USER_ID);
        let flags = KeyFlags::empty().set_certification().set_signing();
        let bound = signature(SignatureType::PositiveCertification, user_id_hash, flags);
        let bound = user_id.bind(&mut signer, &bare, bound).unwrap();
        let subkey = template.keys().subkeys().next().unwrap().key().clone().parts_into_secret().unwrap();
        let binding = signature(SignatureType::SubkeyBinding, subkey_hash, encrypting());
        let binding = binding.set_key_validity_period(life.map(|life| DAY * 23 + life)).unwrap();
        let binding = subkey.bind(&mut signer, &bare, binding).unwrap();
        with(&bare, [user_id.into(), bound.into(), subkey.into(), binding.into()])
    }

    /// A certificate whose only encryption subkey has these numbers; nobody holds its secret.
    fn with_subkey(&self, algorithm: PublicKeyAlgorithm, numbers: PublicKey) -> Cert {
        let cert = self.builder().generate().unwrap().0;
        let key = Key4::<PublicParts, SubordinateRole>::new(self.ago(20), algorithm, numbers).unwrap();
        let subkey: Key<PublicParts, SubordinateRole> = key.into();
        let binding = SignatureBuilder::new(SignatureType::SubkeyBinding)
            .set_hash_algo(HashAlgorithm::SHA512)
            .set_signature_creation_time(self.ago(20))
            .and_then(|builder| builder.set_key_flags(encrypting()))
            .unwrap();
        let binding = subkey.bind(&mut pair(&cert), &cert, binding).unwrap();
        with(&cert, [subkey.into(), binding.into()])
    }

    fn sent(&self, name: &str, cert: &Cert, code: &'static str, verdict: Verdict, curable: bool) -> Sent {
        Sent {
            name: format!("{name}, {}", self.suite_name),
            bytes: armored(Kind::PublicKey, &public(cert)),
            code,
            verdict,
            curable: curable.then(|| cert.as_tsk().to_vec().unwrap()),
        }
    }

    /// Troubles of keys and signatures.
    fn of_components(&self) -> Vec<Sent> {
        use ReasonForRevocation::{KeyCompromised, KeyRetired, KeySuperseded};
        let mut all = Vec::new();
        let mut mendable =
            |name: &str, cert: Cert, code| all.push(self.sent(name, &cert, code, Verdict::Unusable, true));
        let life = |days: u32| Some(DAY * days);
        let generate = |builder: CertBuilder| builder.generate().unwrap().0;

        let expired = self.builder().set_validity_period(life(10));
        mendable("an expired certificate", generate(expired.add_subkey(encrypting(), None, None)), "expired");
        let expired = self.builder().set_validity_period(life(20));
        mendable(
            "an expired certificate with a subkey that expired before it",
            generate(expired.add_subkey(encrypting(), life(10), None)),
            "expired",
        );
        mendable(
            "an expired certificate without encryption",
            generate(self.builder().set_validity_period(life(5))),
            "expired",
        );
        mendable(
            "an expired encryption subkey",
            generate(self.builder().add_subkey(encrypting(), life(10), None)),
            "encryption-key-expired",
        );
        let three =
            (5..8).fold(self.builder(), |builder, days| builder.add_subkey(encrypting(), life(days), None));
        mendable("three expired encryption subkeys", generate(three), "encryption-key-expired");
        mendable("no subkey at all", generate(self.builder()), "no-encryption-key");
        mendable(
            "a signing subkey alone",
            generate(self.builder().add_signing_subkey()),
            "no-encryption-key",
        );
        mendable(
            "an authentication subkey alone",
            generate(self.builder().add_authentication_subkey()),
            "no-encryption-key",
        );
        mendable(
            "a retired encryption subkey",
            self.subkey_revoked(&self.ordinary(), 0, KeyRetired),
            "encryption-key-revoked",
        );
        mendable(
            "a stolen encryption subkey",
            self.subkey_revoked(&self.ordinary(), 0, KeyCompromised),
            "encryption-key-revoked",
        );
        // Both expire, so that it does not matter which of the two is revoked.
        let two = generate(self.builder().add_subkey(encrypting(), life(12), None).add_subkey(
            encrypting(),
            life(10),
            None,
        ));
        mendable(
            "one subkey revoked, the other expired",
            self.subkey_revoked(&two, 0, KeySuperseded),
            "encryption-key-expired",
        );
        mendable("a retired certificate", self.revoked(&self.ordinary(), KeyRetired), "revoked");
        mendable("a stolen certificate", self.revoked(&self.ordinary(), KeyCompromised), "revoked");
        let expired = self.builder().set_validity_period(life(10)).add_subkey(encrypting(), None, None);
        mendable(
            "a retired certificate that expired too",
            self.revoked(&generate(expired), KeyRetired),
            "revoked",
        );

        let mut hopeless =
            |name: &str, cert: Cert, code| all.push(self.sent(name, &cert, code, Verdict::Unusable, false));
        let tomorrow = SystemTime::from(self.now + DAY);
        let early = self.builder().set_creation_time(tomorrow).add_subkey(encrypting(), None, None);
        hopeless("a certificate from tomorrow", generate(early), "not-yet-valid");
        let cert = generate(self.builder());
        let early = generate(self.builder().set_creation_time(tomorrow).add_subkey(encrypting(), None, None));
        let subkey = early.keys().subkeys().next().unwrap().key().clone();
        let binding = SignatureBuilder::new(SignatureType::SubkeyBinding)
            .set_hash_algo(HashAlgorithm::SHA512)
            .set_signature_creation_time(tomorrow)
            .and_then(|builder| builder.set_key_flags(encrypting()))
            .unwrap();
        let binding = subkey.bind(&mut pair(&cert), &cert, binding).unwrap();
        hopeless(
            "an encryption subkey from tomorrow",
            with(&cert, [subkey.into(), binding.into()]),
            "not-yet-valid",
        );
        all
    }

    /// Encryption subkeys that should not be used, or cannot be.
    fn of_algorithms(&self) -> Vec<Sent> {
        let mut all = Vec::new();
        let mut mendable = |name: &str, cert: Cert, code| {
            all.push(self.sent(name, &cert, code, Verdict::Unusable, true));
        };
        let mut modulus = vec![0xc5; 128];
        modulus[127] = 0x3d;
        let rsa_1024 = PublicKey::RSA { e: MPI::new(&[1, 0, 1]), n: MPI::new(&modulus) };
        mendable(
            "an encryption subkey of RSA 1024",
            self.with_subkey(PublicKeyAlgorithm::RSAEncryptSign, rsa_1024),
            "weak-algorithm",
        );
        let big = MPI::new(&[0xc5; 256]);
        let elgamal = PublicKey::ElGamal { p: big.clone(), g: MPI::new(&[5]), y: big };
        #[expect(deprecated, reason = "old keys are what is tried here")]
        let of_elgamal = PublicKeyAlgorithm::ElGamalEncrypt;
        mendable("an encryption subkey of ElGamal", self.with_subkey(of_elgamal, elgamal), "weak-algorithm");
        let brainpool = PublicKey::ECDH {
            curve: Curve::BrainpoolP256,
            q: MPI::new_point(&[0x11; 32], &[0x22; 32], 256),
            hash: HashAlgorithm::SHA256,
            sym: SymmetricAlgorithm::AES256,
        };
        mendable(
            "an encryption subkey on a brainpool curve",
            self.with_subkey(PublicKeyAlgorithm::ECDH, brainpool),
            "unsupported-algorithm",
        );
        all
    }

    /// Self-signatures made with SHA-1, as many keys from before 2014 have them. Programs never made them with ECDSA.
    fn of_sha1(&self) -> Vec<Sent> {
        let (sha1, sha512) = (HashAlgorithm::SHA1, HashAlgorithm::SHA512);
        [
            ("SHA-1 everywhere", self.bound_with(sha1, sha1, None)),
            ("SHA-1 on the user id", self.bound_with(sha1, sha512, None)),
            ("SHA-1 on the subkey", self.bound_with(sha512, sha1, None)),
            ("SHA-1 everywhere and the subkey expired", self.bound_with(sha1, sha1, Some(DAY * 2))),
        ]
        .map(|(name, cert)| self.sent(name, &cert, "sha1-only", Verdict::Unusable, true))
        .into()
    }

    /// What is usable and yet has something to be said about it.
    fn worth_a_word(&self) -> Vec<Sent> {
        let mut all = Vec::new();
        let mut warned =
            |name: &str, cert: Cert, code| all.push(self.sent(name, &cert, code, Verdict::Usable, false));
        let generate = |builder: CertBuilder| builder.generate().unwrap().0;
        let ordinary = || self.builder().add_subkey(encrypting(), None, None);
        warned(
            "it expires in a week",
            generate(ordinary().set_validity_period(DAY * 37)),
            "expires-too-soon",
        );
        warned(
            "its subkey expires in a week",
            generate(self.builder().add_subkey(encrypting(), DAY * 37, None)),
            "expires-too-soon",
        );
        for (name, user_id) in [
            ("control characters in a user id", "Distro\u{7}\u{1b}[31m <security@distro.example>"),
            ("a newline in a user id", "Distro\nSubject: x <security@distro.example>"),
            ("a user id that turns around", "Distro \u{202e}elpmaxe.live@ <security@distro.example>"),
            ("an invisible character in a user id", "Dis\u{200b}tro <security@distro.example>"),
            ("markup in a user id", "<script>alert(1)</script> <security@distro.example>"),
        ] {
            warned(name, generate(ordinary().add_userid(user_id)), "unsafe-user-id");
        }
        let latin1 = ordinary().add_userid(UserID::from(&b"M\xfcller <security@distro.example>"[..]));
        warned("a user id in Latin-1", generate(latin1), "unsafe-user-id");
        let many = (0..6).fold(self.builder(), |builder, _| builder.add_subkey(encrypting(), None, None));
        warned("six encryption subkeys", generate(many), "many-encryption-keys");
        let stranger = self.ordinary();
        let cert = self.ordinary();
        let user_id = cert.userids().next().unwrap().userid().clone();
        let certified: Vec<Packet> = (0..20)
            .map(|number| {
                let made = Some(self.ago(20) + Duration::from_secs(number));
                let signed: Signature = user_id
                    .certify(&mut pair(&stranger), &cert, SignatureType::GenericCertification, None, made)
                    .unwrap();
                signed.into()
            })
            .collect();
        warned("signatures by others", with(&cert, certified), "left-out");
        let rotated = generate(self.builder().add_subkey(encrypting(), DAY * 10, None).add_subkey(
            encrypting(),
            None,
            None,
        ));
        warned("an expired subkey beside a live one", rotated, "encryption-key-expired");
        all
    }

    /// What is no certificate, or not one.
    fn other_things(&self) -> Vec<Sent> {
        let cert = self.ordinary();
        let secret = cert.as_tsk().to_vec().unwrap();
        let (one, other) = (public(&cert), public(&self.ordinary()));
        let text = armored(Kind::PublicKey, &one);
        let mut all = Vec::new();
        let mut add = |name: &str, bytes: Vec<u8>, code, verdict, curable: bool| {
            let curable = curable.then(|| secret.clone());
            all.push(Sent { name: name.to_owned(), bytes, code, verdict, curable });
        };
        let holds = Verdict::Unusable;
        add("a secret key", armored(Kind::SecretKey, &secret), "secret-key-material", holds, true);
        add("a secret key, binary", secret.clone(), "secret-key-material", holds, true);
        add(
            "a secret key under a harmless title",
            armored(Kind::PublicKey, &secret),
            "secret-key-material",
            holds,
            true,
        );
        add(
            "two certificates in one armor",
            armored(Kind::PublicKey, &[&one[..], &other].concat()),
            "several-certificates",
            holds,
            true,
        );
        add(
            "two armored certificates",
            [&text[..], &armored(Kind::PublicKey, &other)].concat(),
            "several-certificates",
            holds,
            true,
        );
        add("a binary key ring", [&one[..], &other].concat(), "several-certificates", holds, true);
        let revoked = public(&self.revoked(&self.ordinary(), ReasonForRevocation::KeyRetired));
        add(
            "a revoked certificate before a live one",
            [&revoked[..], &one].concat(),
            "several-certificates",
            holds,
            true,
        );

        let none = Verdict::NoCertificate;
        let half = text.len() / 2;
        add("armor cut in the middle", text[..half].to_vec(), "damaged-armor", none, true);
        add("armor without its last line", text[..text.len() - 40].to_vec(), "damaged-armor", none, true);
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let lost = [lines[..4].concat(), lines[6..].concat()].concat();
        add("armor with two lines lost", lost, "damaged-armor", none, true);
        let quoted = String::from_utf8(text.clone()).unwrap().replace('=', "=3D");
        add("armor after quoted-printable", quoted.into_bytes(), "damaged-armor", none, true);
        add("binary cut short", one[..one.len() - 30].to_vec(), "damaged", none, true);
        let binary = |prefix: &[u8]| [prefix, &[7; 300]].concat();
        let mut tar = vec![b'k'; 600];
        tar[257..262].copy_from_slice(b"ustar");
        let mut keybox = vec![0, 0, 0, 32, 1, 1, 0, 2];
        keybox.extend_from_slice(b"KBXf0000000000000000");
        for (name, bytes) in [
            ("nothing", Vec::new()),
            ("prose", b"Hello, our key is on the website.\n".to_vec()),
            ("an HTML page", b"<!DOCTYPE html>\n<html><title>Key</title></html>".to_vec()),
            ("a gzip archive", binary(b"\x1f\x8b\x08")),
            ("a zip archive", binary(b"PK\x03\x04")),
            ("an xz archive", binary(b"\xfd7zXZ\0")),
            ("a bzip2 archive", binary(b"BZh9")),
            ("a tar archive", tar),
            ("a PDF document", binary(b"%PDF-1.7\n")),
            ("an SSH key", b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI key@host.example\n".to_vec()),
            (
                "an X.509 certificate",
                b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_vec(),
            ),
            ("text in UTF-16", binary(b"\xff\xfe-\0-\0-\0")),
            ("a keybox file", keybox),
            ("random bytes", binary(&[0xff; 40])),
        ] {
            add(name, bytes, "not-openpgp", none, false);
        }
        let title = |word: &str| {
            format!("-----BEGIN PGP {word}-----\n\niQ==\n-----END PGP {word}-----\n").into_bytes()
        };
        add("a signature", title("SIGNATURE"), "not-a-certificate", none, false);
        add("an encrypted message", title("MESSAGE"), "not-a-certificate", none, false);
        add("a signed message", title("SIGNED MESSAGE"), "not-a-certificate", none, false);
        let subkey = cert.keys().subkeys().next().unwrap().key().clone().role_into_subordinate();
        add(
            "a subkey without its certificate",
            Packet::from(subkey).to_vec().unwrap(),
            "not-a-certificate",
            none,
            false,
        );
        add("over a mebibyte", vec![b'x'; (1 << 20) + 1], "too-large", none, false);
        all
    }

    /// Certificates that were built to be too much, or whose parts do not belong together.
    fn odd_ones(&self) -> Vec<Sent> {
        let cert = self.ordinary();
        let packet = |packet: Packet| packet.to_vec().unwrap();
        let key = packet(cert.primary_key().key().clone().into());
        let user_id = cert.userids().next().unwrap();
        let name = packet(user_id.userid().clone().into());
        let binding = packet(user_id.self_signatures().next().unwrap().clone().into());
        let subkey = cert.keys().subkeys().next().unwrap();
        let bound = [
            packet(subkey.key().clone().role_into_subordinate().into()),
            packet(subkey.self_signatures().next().unwrap().clone().into()),
        ]
        .concat();
        let beginning = [&key[..], &name].concat();
        let mut another_version = public(&cert);
        // Behind the packet's first byte and its length.
        assert_eq!(std::mem::replace(&mut another_version[2], 5), 4);
        let odd = |name: &str, bytes: Vec<u8>, code| Sent {
            name: name.to_owned(),
            bytes,
            code,
            verdict: Verdict::Unusable,
            curable: None,
        };
        vec![
            odd("no user id", [&key[..], &bound].concat(), "no-user-id"),
            odd("a user id that nobody signed", [&beginning[..], &bound].concat(), "no-user-id"),
            odd(
                "65 user ids",
                [&key[..], &[&name[..], &binding].concat().repeat(65)].concat(),
                "too-many-parts",
            ),
            odd("51 subkeys", [&beginning[..], &binding, &bound.repeat(51)].concat(), "too-many-parts"),
            odd("129 self-signatures", [&beginning[..], &binding.repeat(129)].concat(), "too-many-parts"),
            odd(
                "thousands of self-signatures",
                [&beginning[..], &binding.repeat(4_000)].concat(),
                "too-many-parts",
            ),
            odd("version 5", another_version, "unsupported-version"),
        ]
    }

    /// Certificates of version 6, which gpg cannot mend.
    fn of_version_6(&self) -> Vec<Sent> {
        let builder = || self.builder().set_profile(Profile::RFC9580).unwrap();
        let life = |days: u32| Some(DAY * days);
        let sent = |name: &str, builder: CertBuilder, code| {
            self.sent(name, &builder.generate().unwrap().0, code, Verdict::Unusable, false)
        };
        let whole = builder().add_subkey(encrypting(), None, None).generate().unwrap().0;
        let retired = ReasonForRevocation::KeyRetired;
        vec![
            sent("no subkey in version 6", builder(), "no-encryption-key"),
            sent(
                "an expired subkey in version 6",
                builder().add_subkey(encrypting(), life(10), None),
                "encryption-key-expired",
            ),
            sent(
                "expired in version 6",
                builder().set_validity_period(life(10)).add_subkey(encrypting(), None, None),
                "expired",
            ),
            self.sent(
                "revoked in version 6",
                &self.revoked(&whole, retired),
                "revoked",
                Verdict::Unusable,
                false,
            ),
        ]
    }
}

/// Everything that is tried, seen from `now`.
pub fn everything(now: DateTime<Utc>) -> Vec<Sent> {
    let maker = |suite, suite_name| Maker { now, suite, suite_name };
    let makers = [
        maker(CipherSuite::Cv25519, "Cv25519"),
        maker(CipherSuite::P256, "P-256"),
        maker(CipherSuite::P384, "P-384"),
    ];
    let mut all = Vec::new();
    for maker in &makers {
        all.extend(maker.of_components());
        all.extend(maker.of_algorithms());
    }
    for maker in [&makers[0], &maker(CipherSuite::RSA2k, "RSA 2048")] {
        all.extend(maker.of_sha1());
    }
    all.extend(makers[0].worth_a_word());
    all.extend(makers[0].other_things());
    all.extend(makers[0].odd_ones());
    all.extend(makers[0].of_version_6());
    all
}
