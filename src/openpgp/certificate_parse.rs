//! From foreign bytes to the packets of one public certificate.
//!
//! Everything is capped before it is looked at, and what others wrote on a certificate (certifications, user
//! attributes, unknown packets) falls away here, so a flooded certificate costs no more than a clean one.

use std::borrow::Cow;
use std::io::Read as _;

use openpgp::Packet;
use openpgp::armor::{Kind, Reader, ReaderMode};
use openpgp::cert::Cert;
use openpgp::packet::key::{KeyRole, PublicParts};
use openpgp::packet::{Key, Signature, Tag};
use openpgp::parse::{Dearmor, PacketParserBuilder, PacketParserResult, Parse as _};
use openpgp::serialize::MarshalInto as _;
use openpgp::{KeyHandle, packet};
use sequoia_openpgp as openpgp;

use super::algorithm;
use super::certificate_error::CertificateError;
use super::crc24;
use super::foreign;

/// The most bytes a certificate may have, armored or binary.
pub const MAX_CERTIFICATE_BYTES: usize = 1 << 20;

/// Of what versions a certificate may be: RFC 4880's and RFC 9580's.
const VERSIONS: [u8; 2] = [4, 6];
/// Of any kind, with what others wrote on it: a flooded certificate has a few thousand in its megabyte. Each costs its
/// parser a little, and two bytes are enough for one.
const MAX_PACKETS: usize = 16_384;
const MAX_USER_IDS: usize = 64;
const MAX_SUBKEYS: usize = 50;
/// Each is verified. Of the 1,136 certificates in Debian's keyrings of December 2022 the largest has 83, 99 in a
/// hundred have at most 31; and who has more exports without the old ones.
const MAX_SELF_SIGNATURES: usize = 128;
/// Verifying takes several times as long on the larger curves.
const MAX_SLOW_SELF_SIGNATURES: usize = 64;
/// Longer ones are not made by any program; they only serve to hide something.
const MAX_USER_ID_BYTES: usize = 2048;
/// How many certificates of a key ring are looked at, to name one that could be sent alone.
const MAX_LISTED: usize = 16;

const BEGIN_CERTIFICATE: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END_CERTIFICATE: &str = "-----END PGP PUBLIC KEY BLOCK-----";
const BEGIN_SECRET: &str = "-----BEGIN PGP PRIVATE KEY BLOCK-----";

/// A certificate, and what came with it.
pub(super) struct Parsed {
    pub(super) cert: Cert,
    /// How many signatures by others fell away.
    pub(super) foreign_signatures: usize,
    /// How many pictures and the like fell away.
    pub(super) attributes: usize,
}

/// Parses one certificate and keeps only what its own primary key validly signed.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, CertificateError> {
    let Collector { packets, foreign_signatures, attributes, .. } = own_packets(&dearmored(bytes)?)?;
    let cert = Cert::from_packets(packets.into_iter()).map_err(|_| CertificateError::Damaged)?;
    Ok(Parsed { cert: verified(&cert)?, foreign_signatures, attributes })
}

/// The certificates in a key ring, each as bytes of its own: the first ones, unparsed.
pub(super) fn first_of_several(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for block in blocks(bytes) {
        let Ok(mut next) = start(&block) else { break };
        while let PacketParserResult::Some(parser) = next {
            let Ok((packet, rest)) = parser.next() else { break };
            if matches!(packet, Packet::PublicKey(_)) {
                if found.len() == MAX_LISTED {
                    return found;
                }
                found.push(Vec::new());
            }
            if let Some(one) = found.last_mut() {
                one.extend(packet.to_vec().unwrap_or_default());
            }
            next = rest;
        }
    }
    found
}

/// The binary forms of all armored certificates in a text, or the bytes themselves.
fn blocks(bytes: &[u8]) -> Vec<Cow<'_, [u8]>> {
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        return vec![Cow::Borrowed(bytes)];
    }
    let text = String::from_utf8_lossy(bytes);
    text.split(BEGIN_CERTIFICATE)
        .skip(1)
        .take(MAX_LISTED)
        .filter_map(|block| {
            dearmored(format!("{BEGIN_CERTIFICATE}{block}").as_bytes()).ok().map(Cow::into_owned)
        })
        .map(Cow::Owned)
        .collect()
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
                    fingerprint: None,
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
        let fingerprint = decoded(bytes, Kind::SecretKey).ok().and_then(|binary| first_fingerprint(&binary));
        return Err(CertificateError::SecretKeyMaterial { fingerprint });
    }
    match contains(bytes, BEGIN_CERTIFICATE) {
        0 => return Err(foreign::armored(bytes)),
        1 => {}
        _ => return Err(CertificateError::SeveralCertificates { fingerprints: Vec::new() }),
    }
    if contains(bytes, END_CERTIFICATE) == 0 {
        return Err(CertificateError::DamagedArmor);
    }
    let binary = decoded(bytes, Kind::PublicKey)?;
    if binary.is_empty() || checksum(bytes).is_some_and(|sum| sum != crc24::of(&binary)) {
        return Err(CertificateError::DamagedArmor);
    }
    Ok(Cow::Owned(binary))
}

/// The sum that the armor says its content has. Newer programs leave it out; where it stands and is wrong, lines were
/// lost on the way, and what is left may still parse.
fn checksum(armored: &[u8]) -> Option<[u8; 3]> {
    let text = String::from_utf8_lossy(armored);
    let body = text.split(BEGIN_CERTIFICATE).nth(1)?.split(END_CERTIFICATE).next()?;
    let digits = body.trim_end().lines().last()?.trim().strip_prefix('=')?;
    base64_simd::STANDARD.decode_to_vec(digits).ok()?.try_into().ok()
}

fn decoded(bytes: &[u8], kind: Kind) -> Result<Vec<u8>, CertificateError> {
    let mut binary = Vec::new();
    Reader::from_bytes(bytes, ReaderMode::Tolerant(Some(kind)))
        .read_to_end(&mut binary)
        .map_err(|_| CertificateError::DamagedArmor)?;
    Ok(binary)
}

/// The fingerprint of the key that begins these packets.
fn first_fingerprint(binary: &[u8]) -> Option<String> {
    match start(binary).ok()? {
        PacketParserResult::Some(parser) => match &parser.packet {
            Packet::SecretKey(key) => Some(key.fingerprint().to_hex()),
            Packet::PublicKey(key) => Some(key.fingerprint().to_hex()),
            _ => None,
        },
        PacketParserResult::EOF(_) => None,
    }
}

fn start(bytes: &[u8]) -> Result<PacketParserResult<'_>, CertificateError> {
    PacketParserBuilder::from_bytes(bytes)
        .and_then(|builder| builder.dearmor(Dearmor::Disabled).build())
        .map_err(|_| foreign::binary(bytes))
}

/// Collects packets, and refuses what a certificate does not have.
#[derive(Default)]
struct Collector {
    packets: Vec<Packet>,
    seen: usize,
    primary: Option<KeyHandle>,
    version: u8,
    most_signatures: usize,
    user_ids: usize,
    subkeys: usize,
    signatures: usize,
    foreign_signatures: usize,
    attributes: usize,
    /// The component before was left out, so the signatures that belong to it are left out too.
    skipping: bool,
}

fn own_packets(bytes: &[u8]) -> Result<Collector, CertificateError> {
    let mut collector = Collector::default();
    let mut next = start(bytes)?;
    while let PacketParserResult::Some(mut parser) = next {
        if collector.primary.is_none() && matches!(parser.packet, Packet::Unknown(_)) {
            // Its first byte is its version.
            parser.buffer_unread_content().map_err(|_| CertificateError::Damaged)?;
        }
        let known =
            collector.primary.is_some() || matches!(parser.packet.tag(), Tag::PublicKey | Tag::SecretKey);
        let (packet, rest) = parser
            .next()
            .map_err(|_| if known { CertificateError::Damaged } else { foreign::binary(bytes) })?;
        collector.take(packet)?;
        next = rest;
    }
    if collector.primary.is_none() {
        return Err(foreign::binary(bytes));
    }
    Ok(collector)
}

impl Collector {
    fn take(&mut self, packet: Packet) -> Result<(), CertificateError> {
        self.seen += 1;
        if self.seen > MAX_PACKETS {
            let (fingerprint, kind) = (self.fingerprint(), "packets");
            return Err(CertificateError::TooManyParts { fingerprint, kind, limit: MAX_PACKETS });
        }
        match &packet {
            Packet::SecretKey(key) => {
                let fingerprint = self.fingerprint().or_else(|| Some(key.fingerprint().to_hex()));
                return Err(CertificateError::SecretKeyMaterial { fingerprint });
            }
            Packet::SecretSubkey(_) => {
                return Err(CertificateError::SecretKeyMaterial { fingerprint: self.fingerprint() });
            }
            Packet::PublicKey(key) => {
                if self.primary.is_some() {
                    return Err(CertificateError::SeveralCertificates { fingerprints: Vec::new() });
                }
                if !VERSIONS.contains(&key.version()) {
                    return Err(CertificateError::UnsupportedVersion { version: key.version() });
                }
                self.version = key.version();
                self.most_signatures = most_self_signatures(key);
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
                self.skipping = subkey.version() != self.version;
                self.subkeys += 1;
            }
            Packet::Signature(signature) if self.is_own(signature) => {
                if self.skipping {
                    return Ok(());
                }
                // Whoever can sign has signed back, inside.
                self.signatures += 1 + signature.embedded_signatures().count();
            }
            Packet::Signature(_) => {
                self.foreign_signatures += usize::from(!self.skipping);
                return Ok(());
            }
            Packet::Marker(_) | Packet::Trust(_) | Packet::Padding(_) => return Ok(()),
            Packet::Unknown(unknown) if unknown.tag() == Tag::Signature => return Ok(()),
            Packet::UserAttribute(_) | Packet::Unknown(_) => {
                self.skipping = true;
                self.attributes += 1;
                return Ok(());
            }
            other => return Err(not_a_certificate(other.tag())),
        }
        let limits = [
            (self.user_ids, MAX_USER_IDS, "user ids"),
            (self.subkeys, MAX_SUBKEYS, "subkeys"),
            (self.signatures, self.most_signatures, "self-signatures"),
        ];
        for (count, limit, kind) in limits {
            if count > limit {
                return Err(CertificateError::TooManyParts { fingerprint: self.fingerprint(), kind, limit });
            }
        }
        if !self.skipping || matches!(packet, Packet::PublicKey(_)) {
            self.packets.push(packet);
        }
        Ok(())
    }

    fn fingerprint(&self) -> Option<String> {
        match self.packets.first()? {
            Packet::PublicKey(key) => Some(key.fingerprint().to_hex()),
            _ => None,
        }
    }

    /// Whether a signature claims to be by the primary key; whether it is, is verified later.
    fn is_own(&self, signature: &Signature) -> bool {
        let issuers = signature.get_issuers();
        let primary = self.primary.as_ref();
        issuers.is_empty()
            || issuers.iter().any(|issuer| primary.is_some_and(|primary| issuer.aliases(primary)))
    }
}

fn most_self_signatures<R: KeyRole>(primary: &Key<PublicParts, R>) -> usize {
    if algorithm::is_slow(primary) { MAX_SLOW_SELF_SIGNATURES } else { MAX_SELF_SIGNATURES }
}

fn unknown_primary(unknown: &packet::Unknown) -> CertificateError {
    match unknown.body().first() {
        None => CertificateError::Damaged,
        Some(version) if VERSIONS.contains(version) => CertificateError::Damaged,
        Some(version) => CertificateError::UnsupportedVersion { version: *version },
    }
}

fn not_a_certificate(tag: Tag) -> CertificateError {
    let found = match tag {
        Tag::Signature => "a signature",
        Tag::PKESK | Tag::SKESK | Tag::SEIP | Tag::SED | Tag::AED => "an encrypted message",
        Tag::OnePassSig | Tag::CompressedData | Tag::Literal => "a message",
        Tag::UserID | Tag::PublicSubkey => "a part of a certificate",
        _ => return CertificateError::NotOpenPgp { found: None },
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
    let limit = most_self_signatures(primary.key());
    if signatures > limit {
        return Err(CertificateError::TooManyParts {
            fingerprint: Some(cert.fingerprint().to_hex()),
            kind: "self-signatures",
            limit,
        });
    }
    Cert::from_packets(packets.into_iter()).map_err(|_| CertificateError::Damaged)
}
