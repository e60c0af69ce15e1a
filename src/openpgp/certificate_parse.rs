//! From foreign bytes to the packets of one public certificate.
//!
//! Everything is capped before it is looked at, and what others wrote on a certificate (certifications, user
//! attributes, unknown packets) falls away here, so a flooded certificate costs no more than a clean one.

use std::borrow::Cow;
use std::io::Read as _;

use openpgp::Packet;
use openpgp::armor::{Kind, Reader, ReaderMode};
use openpgp::cert::Cert;
use openpgp::packet::{Signature, Tag};
use openpgp::parse::{Dearmor, PacketParserBuilder, PacketParserResult, Parse as _};
use openpgp::{KeyHandle, packet};
use sequoia_openpgp as openpgp;

use super::algorithm;
use super::certificate_error::CertificateError;

/// The most bytes a certificate may have, armored or binary.
pub const MAX_CERTIFICATE_BYTES: usize = 1 << 20;

const MAX_USER_IDS: usize = 64;
const MAX_SUBKEYS: usize = 50;
const MAX_SELF_SIGNATURES: usize = 400;
/// Longer ones are not made by any program; they only serve to hide something.
const MAX_USER_ID_BYTES: usize = 2048;

const BEGIN: &str = "-----BEGIN PGP ";
const BEGIN_CERTIFICATE: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END_CERTIFICATE: &str = "-----END PGP PUBLIC KEY BLOCK-----";
const BEGIN_SECRET: &str = "-----BEGIN PGP PRIVATE KEY BLOCK-----";

/// Parses one certificate and keeps only what its own primary key validly signed.
pub(super) fn parse(bytes: &[u8]) -> Result<Cert, CertificateError> {
    let packets = own_packets(&dearmored(bytes)?)?;
    let cert = Cert::from_packets(packets.into_iter()).map_err(|_| CertificateError::Damaged)?;
    verified(&cert)
}

/// The signature packets in `bytes`, which is what `gpg --gen-revoke` prints.
pub(super) fn signatures(bytes: &[u8]) -> Result<Vec<Signature>, CertificateError> {
    let mut found = Vec::new();
    let binary = dearmored(bytes)?;
    let mut next = start(&binary)?;
    while let PacketParserResult::Some(parser) = next {
        let (packet, rest) = parser.next().map_err(|_| CertificateError::Damaged)?;
        if let Packet::Signature(signature) = packet {
            if found.len() == MAX_SELF_SIGNATURES {
                return Err(CertificateError::TooManyParts {
                    kind: "signatures",
                    limit: MAX_SELF_SIGNATURES,
                });
            }
            found.push(signature);
        }
        next = rest;
    }
    Ok(found)
}

fn contains(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count()
}

fn dearmored(bytes: &[u8]) -> Result<Cow<'_, [u8]>, CertificateError> {
    if bytes.len() > MAX_CERTIFICATE_BYTES {
        return Err(CertificateError::TooLarge { bytes: bytes.len(), limit: MAX_CERTIFICATE_BYTES });
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        return Ok(Cow::Borrowed(bytes));
    }
    if contains(bytes, BEGIN_SECRET) > 0 {
        return Err(CertificateError::SecretKeyMaterial);
    }
    match contains(bytes, BEGIN_CERTIFICATE) {
        0 if contains(bytes, BEGIN) > 0 => {
            return Err(CertificateError::NotACertificate { found: "a message or a signature" });
        }
        0 => return Err(CertificateError::NotOpenPgp),
        1 => {}
        _ => return Err(CertificateError::SeveralCertificates),
    }
    if contains(bytes, END_CERTIFICATE) == 0 {
        return Err(CertificateError::DamagedArmor);
    }
    let mut binary = Vec::new();
    Reader::from_bytes(bytes, ReaderMode::Tolerant(Some(Kind::PublicKey)))
        .read_to_end(&mut binary)
        .map_err(|_| CertificateError::DamagedArmor)?;
    if binary.is_empty() { Err(CertificateError::DamagedArmor) } else { Ok(Cow::Owned(binary)) }
}

fn start(bytes: &[u8]) -> Result<PacketParserResult<'_>, CertificateError> {
    PacketParserBuilder::from_bytes(bytes)
        .and_then(|builder| builder.dearmor(Dearmor::Disabled).build())
        .map_err(|_| CertificateError::NotOpenPgp)
}

/// Collects packets, and refuses what a certificate does not have.
#[derive(Default)]
struct Collector {
    packets: Vec<Packet>,
    primary: Option<KeyHandle>,
    user_ids: usize,
    subkeys: usize,
    signatures: usize,
    /// The component before was left out, so the signatures that belong to it are left out too.
    skipping: bool,
}

fn own_packets(bytes: &[u8]) -> Result<Vec<Packet>, CertificateError> {
    let mut collector = Collector::default();
    let mut next = start(bytes)?;
    while let PacketParserResult::Some(parser) = next {
        let known =
            collector.primary.is_some() || matches!(parser.packet.tag(), Tag::PublicKey | Tag::SecretKey);
        let (packet, rest) = parser
            .next()
            .map_err(|_| if known { CertificateError::Damaged } else { CertificateError::NotOpenPgp })?;
        collector.take(packet)?;
        next = rest;
    }
    if collector.primary.is_none() {
        return Err(CertificateError::NotOpenPgp);
    }
    Ok(collector.packets)
}

impl Collector {
    fn take(&mut self, packet: Packet) -> Result<(), CertificateError> {
        match &packet {
            Packet::SecretKey(_) | Packet::SecretSubkey(_) => {
                return Err(CertificateError::SecretKeyMaterial);
            }
            Packet::PublicKey(key) => {
                if self.primary.is_some() {
                    return Err(CertificateError::SeveralCertificates);
                }
                if key.version() != 4 {
                    return Err(CertificateError::UnsupportedVersion { version: key.version() });
                }
                self.primary = Some(key.fingerprint().into());
            }
            Packet::Unknown(unknown) if unknown.tag() == Tag::PublicKey => {
                return Err(unknown_primary(unknown));
            }
            other if self.primary.is_none() => return Err(not_a_certificate(other.tag())),
            Packet::UserID(user_id) => {
                self.skipping = user_id.value().len() > MAX_USER_ID_BYTES;
                self.user_ids += 1;
            }
            Packet::PublicSubkey(subkey) => {
                self.skipping = subkey.version() != 4;
                self.subkeys += 1;
            }
            Packet::Signature(signature) if self.is_own(signature) => {
                if self.skipping {
                    return Ok(());
                }
                self.signatures += 1;
            }
            Packet::Signature(_) | Packet::Marker(_) | Packet::Trust(_) | Packet::Padding(_) => return Ok(()),
            Packet::Unknown(unknown) if unknown.tag() == Tag::Signature => return Ok(()),
            Packet::UserAttribute(_) | Packet::Unknown(_) => {
                self.skipping = true;
                return Ok(());
            }
            other => return Err(not_a_certificate(other.tag())),
        }
        let limits = [
            (self.user_ids, MAX_USER_IDS, "user ids"),
            (self.subkeys, MAX_SUBKEYS, "subkeys"),
            (self.signatures, MAX_SELF_SIGNATURES, "self-signatures"),
        ];
        for (count, limit, kind) in limits {
            if count > limit {
                return Err(CertificateError::TooManyParts { kind, limit });
            }
        }
        if !self.skipping || matches!(packet, Packet::PublicKey(_)) {
            self.packets.push(packet);
        }
        Ok(())
    }

    /// Whether a signature claims to be by the primary key; whether it is, is verified later.
    fn is_own(&self, signature: &Signature) -> bool {
        let issuers = signature.get_issuers();
        let primary = self.primary.as_ref();
        issuers.is_empty()
            || issuers.iter().any(|issuer| primary.is_some_and(|primary| issuer.aliases(primary)))
    }
}

fn unknown_primary(unknown: &packet::Unknown) -> CertificateError {
    match unknown.body().first() {
        Some(4) | None => CertificateError::Damaged,
        Some(version) => CertificateError::UnsupportedVersion { version: *version },
    }
}

fn not_a_certificate(tag: Tag) -> CertificateError {
    let found = match tag {
        Tag::Signature => "a signature",
        Tag::PKESK | Tag::SKESK | Tag::SEIP | Tag::SED | Tag::AED => "an encrypted message",
        Tag::OnePassSig | Tag::CompressedData | Tag::Literal => "a message",
        Tag::UserID | Tag::PublicSubkey => "a part of a certificate",
        _ => return CertificateError::NotOpenPgp,
    };
    CertificateError::NotACertificate { found }
}

/// The same certificate with nothing in it that its primary key did not validly sign.
pub(super) fn verified(cert: &Cert) -> Result<Cert, CertificateError> {
    let primary = cert.primary_key();
    // Nothing it signed can be verified, so the certificate would seem to have no user id at all.
    if !algorithm::is_supported(primary.key()) {
        let algorithm = algorithm::name(primary.key());
        return Err(CertificateError::UnsupportedAlgorithm {
            fingerprint: cert.fingerprint().to_hex(),
            algorithm,
        });
    }
    let mut packets = vec![Packet::from(primary.key().clone())];
    let mut signatures = 0;
    let mut add = |component: Option<Packet>, own: Vec<Signature>| {
        if component.is_none() || !own.is_empty() {
            signatures += own.len();
            packets.extend(component);
            packets.extend(own.into_iter().map(Packet::from));
        }
    };
    add(None, primary.self_revocations().chain(primary.self_signatures()).cloned().collect());
    let mut user_ids = 0;
    for user_id in cert.userids() {
        user_ids += usize::from(user_id.self_signatures().next().is_some());
        let own = user_id.self_revocations().chain(user_id.self_signatures()).cloned().collect();
        add(Some(user_id.userid().clone().into()), own);
    }
    for subkey in cert.keys().subkeys() {
        let own = subkey.self_revocations().chain(subkey.self_signatures()).cloned().collect();
        add(Some(subkey.key().clone().role_into_subordinate().into()), own);
    }
    if user_ids == 0 {
        return Err(CertificateError::NoUserId { fingerprint: cert.fingerprint().to_hex() });
    }
    if signatures > MAX_SELF_SIGNATURES {
        return Err(CertificateError::TooManyParts { kind: "self-signatures", limit: MAX_SELF_SIGNATURES });
    }
    Cert::from_packets(packets.into_iter()).map_err(|_| CertificateError::Damaged)
}
