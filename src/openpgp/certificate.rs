//! One public certificate, holding nothing but what its owner signed.
//!
//! A value of this type says who could read or sign something; whether that is allowed now is said by
//! [`Certificate::check`] alone. It knows nothing of contacts, projects or storage.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use openpgp::cert::Cert;
use openpgp::packet::Signature;
use openpgp::serialize::SerializeInto as _;
use openpgp::types::{KeyFlags, SignatureType};
use openpgp::{Fingerprint, Packet};
use sequoia_openpgp as openpgp;

use super::acceptance::Acceptance;
use super::certificate_error::CertificateError;
use super::certificate_parse::{self, MAX_CERTIFICATE_BYTES};
use super::head::MAX_HEAD_PACKETS;
use super::trouble::{Trouble, TroubleKind, Unusable};
use super::{algorithm, armor, diagnosis};
use crate::domain::container::Container;

/// Exactly one public certificate of version 4 or 6. Cheap to clone.
#[derive(Clone)]
pub struct Certificate {
    cert: Arc<Cert>,
    bytes: Arc<[u8]>,
    /// Its holder's programs read less than it says.
    seipdv1_only: bool,
}

impl Certificate {
    /// Parses one certificate, armored or binary, of at most [`MAX_CERTIFICATE_BYTES`].
    ///
    /// Signatures by others, user attributes and whatever is not validly bound by the primary key is left out.
    pub fn parse(bytes: &[u8]) -> Result<Self, CertificateError> {
        Self::from_parsed(certificate_parse::parse(bytes)?)
    }

    pub(super) fn from_parsed(parsed: certificate_parse::Parsed) -> Result<Self, CertificateError> {
        Self::from_verified(parsed.cert)
    }

    /// Something that is wrong with the certificate as a whole.
    pub(super) fn trouble(&self, kind: TroubleKind) -> Trouble {
        let address = self.addresses().into_iter().next();
        Trouble { fingerprint: self.fingerprint(), subkey: None, kind, address }
    }

    fn from_verified(cert: Cert) -> Result<Self, CertificateError> {
        let bytes = cert.to_vec().map_err(|_| CertificateError::Damaged)?;
        if bytes.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLarge { bytes: bytes.len(), limit: MAX_CERTIFICATE_BYTES });
        }
        Ok(Self { cert: Arc::new(cert), bytes: bytes.into(), seipdv1_only: false })
    }

    /// The public part of a certificate made here.
    pub(super) fn from_cert(cert: Cert) -> Result<Self, CertificateError> {
        Self::from_verified(certificate_parse::verified(&cert.strip_secret_key_material())?)
    }

    pub(super) fn cert(&self) -> &Cert {
        &self.cert
    }

    /// The same, for a holder whose programs read nothing newer than RFC 4880, whatever the certificate says.
    #[must_use]
    pub fn seipdv1_only(self) -> Self {
        Self { seipdv1_only: true, ..self }
    }

    /// In which container its holder gets messages. Certificates of version 4 get the old one, even where they
    /// advertise the new one: some of the programs that write this advertisement share their keys with gpg 2.2,
    /// which cannot read it.
    pub fn container(&self) -> Container {
        let primary = self.cert.primary_key();
        let features = newest(primary.self_signatures()).and_then(|signature| signature.features());
        let reads_seipdv2 = features.is_none_or(|features| features.supports_seipdv2());
        if primary.key().version() == 6 && reads_seipdv2 && !self.seipdv1_only {
            Container::Seipdv2
        } else {
            Container::Seipdv1
        }
    }

    /// The fingerprint of the primary key: 40 upper-case hex digits, 64 in version 6.
    pub fn fingerprint(&self) -> String {
        self.cert.fingerprint().to_hex()
    }

    /// The fingerprints of all keys in it, the primary key's first.
    pub fn key_fingerprints(&self) -> Vec<String> {
        self.cert.keys().map(|key| key.key().fingerprint().to_hex()).collect()
    }

    /// The user ids that are not revoked, fit to be shown: control characters and characters that
    /// reorder or hide text are replaced by U+FFFD.
    pub fn user_ids(&self) -> Vec<String> {
        self.live_user_ids().map(|value| visible(&String::from_utf8_lossy(value))).collect()
    }

    /// The mail addresses in the user ids that are not revoked, as written there.
    pub fn addresses(&self) -> Vec<String> {
        self.cert
            .userids()
            .filter(|user_id| !is_revoked(user_id.self_signatures(), user_id.self_revocations()))
            .filter_map(|user_id| user_id.userid().email().ok().flatten().map(str::to_owned))
            .filter(|address| visible(address) == *address)
            .collect()
    }

    fn live_user_ids(&self) -> impl Iterator<Item = &[u8]> {
        self.cert
            .userids()
            .filter(|user_id| !is_revoked(user_id.self_signatures(), user_id.self_revocations()))
            .map(|user_id| user_id.userid().value())
    }

    /// The user ids that are not revoked, as they are.
    pub(super) fn user_id_values(&self) -> Vec<Vec<u8>> {
        self.live_user_ids().map(<[u8]>::to_vec).collect()
    }

    /// The binary form.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.to_vec()
    }

    /// The text form, as `gpg --armor --export` prints it.
    pub fn to_armored(&self) -> String {
        match self.cert.primary_key().key().version() {
            6 => armor::armored_unsummed("PUBLIC KEY BLOCK", &self.bytes),
            _ => armor::armored("PUBLIC KEY BLOCK", &self.bytes),
        }
    }

    /// All that is known of the certificate from both copies: extensions and revocations alike.
    pub fn merge(self, other: Self) -> Result<Self, CertificateError> {
        if self.cert.fingerprint() != other.cert.fingerprint() {
            return Err(CertificateError::OtherCertificate {
                expected: self.fingerprint(),
                found: other.fingerprint(),
            });
        }
        let seipdv1_only = self.seipdv1_only || other.seipdv1_only;
        let merged = Arc::unwrap_or_clone(self.cert)
            .merge_public(Arc::unwrap_or_clone(other.cert))
            .map_err(|_| CertificateError::Damaged)?;
        Ok(Self { seipdv1_only, ..Self::from_verified(certificate_parse::verified(&merged)?)? })
    }

    /// The certificate with its owner's revocation applied: the bytes that `gpg --gen-revoke` prints, armored or
    /// binary. Refused unless the certificate's own primary key made it.
    pub fn with_revocation(self, bytes: &[u8]) -> Result<Self, CertificateError> {
        let fingerprint = self.fingerprint();
        let revocations: Vec<_> = certificate_parse::signatures(bytes)?
            .into_iter()
            .filter(|signature| signature.typ() == SignatureType::KeyRevocation)
            .filter(|signature| {
                let primary = self.cert.primary_key();
                signature.verify_primary_key_revocation(primary.key(), primary.key()).is_ok()
            })
            .map(Packet::from)
            .collect();
        if revocations.is_empty() {
            return Err(CertificateError::NoRevocation { fingerprint });
        }
        let seipdv1_only = self.seipdv1_only;
        let (revoked, _) = Arc::unwrap_or_clone(self.cert)
            .insert_packets(revocations)
            .map_err(|_| CertificateError::Damaged)?;
        Ok(Self { seipdv1_only, ..Self::from_verified(certificate_parse::verified(&revoked)?)? })
    }

    /// The algorithm of the newest encryption key, such as `Cv25519`, `RSA 3072` or `P-256`; of the primary
    /// key if there is none for encryption.
    pub fn algorithm(&self) -> String {
        self.cert
            .keys()
            .map(|key| key.key())
            .filter(|key| algorithm::can_encrypt(key))
            .filter(|key| {
                let flags = self.key_flags(&key.fingerprint());
                flags.is_none_or(|flags| flags.for_transport_encryption() || flags.for_storage_encryption())
            })
            .max_by_key(|key| key.creation_time())
            .map_or_else(|| algorithm::name(self.cert.primary_key().key()), algorithm::name)
    }

    /// What the newest self-signature says the key is for; `None` if it does not say.
    pub(super) fn key_flags(&self, fingerprint: &Fingerprint) -> Option<KeyFlags> {
        let key = self.cert.keys().find(|key| key.key().fingerprint() == *fingerprint)?;
        let is_primary = self.cert.fingerprint() == *fingerprint;
        newest(key.self_signatures().chain(self.primary_signatures(is_primary)))?.key_flags()
    }

    /// For the primary key, flags and expiry may stand in the signatures over user ids.
    fn primary_signatures(&self, is_primary: bool) -> impl Iterator<Item = &Signature> {
        self.cert.userids().filter(move |_| is_primary).flat_map(|user_id| user_id.self_signatures())
    }

    /// When the primary key expires, by its newest self-signature; `None` if never.
    pub(super) fn primary_expires_at(&self) -> Option<DateTime<Utc>> {
        let primary = self.cert.primary_key();
        newest(primary.self_signatures().chain(self.primary_signatures(true)))
            .and_then(|signature| signature.key_expiration_time(primary.key()))
            .map(DateTime::from)
    }

    /// The fingerprints of the keys that a head for it would be made for.
    pub fn recipients(&self, acceptance: &Acceptance, now: DateTime<Utc>) -> Result<Vec<String>, Unusable> {
        let keys = diagnosis::encryption_keys(&self.cert, *acceptance, now)?;
        Ok(keys.iter().take(MAX_HEAD_PACKETS).map(|usable| usable.key.fingerprint().to_hex()).collect())
    }

    /// Whether mail can be encrypted to it at `now`.
    pub fn check(&self, acceptance: &Acceptance, now: DateTime<Utc>) -> Result<(), Unusable> {
        diagnosis::encryption_keys(&self.cert, *acceptance, now).map(|_| ())
    }

    /// When it stops being usable for encryption if nobody extends it: the expiry of the primary key or of
    /// the longest-lived encryption key, whichever is first. `None` if never, or if it is not usable now.
    pub fn expires_at(&self, acceptance: &Acceptance, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        diagnosis::usable_until(&self.cert, *acceptance, now)
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Certificate({})", self.fingerprint())
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Certificate {}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| signature.signature_creation_time())
}

/// A user id may be taken back and given again; what was said last counts.
fn is_revoked<'a>(
    signatures: impl Iterator<Item = &'a Signature>,
    revocations: impl Iterator<Item = &'a Signature>,
) -> bool {
    let said = newest(signatures).and_then(|signature| signature.signature_creation_time());
    newest(revocations).is_some_and(|revocation| revocation.signature_creation_time() >= said)
}

/// Text that cannot play tricks on who reads it.
fn visible(text: &str) -> String {
    text.chars().map(|character| if is_trick(character) { '\u{fffd}' } else { character }).collect()
}

/// Whether a character controls, hides or reorders text.
pub(super) fn is_trick(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
