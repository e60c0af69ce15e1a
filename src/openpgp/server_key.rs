//! The server's own key: signs bodies, advisories and challenges' answers; opens signed commands.
//!
//! It is Ed25519 with an X25519 subkey in version 4, because their arithmetic takes the same time whatever the
//! secret and because every program in use can read them. Anything else is refused when loaded.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use openpgp::cert::{Cert, CertBuilder, CipherSuite};
use openpgp::crypto::KeyPair;
use openpgp::packet::key::{SecretParts, UnspecifiedRole};
use openpgp::packet::signature::SignatureBuilder;
use openpgp::packet::{Key, Signature};
use openpgp::parse::Parse as _;
use openpgp::serialize::SerializeInto as _;
use openpgp::types::{Features, HashAlgorithm, KeyFlags, SignatureType};
use openpgp::{Packet, Profile};
use sequoia_openpgp as openpgp;
use zeroize::Zeroizing;

use super::algorithm;
use super::body::SealError;
use super::certificate::Certificate;

const VALIDITY: Duration = Duration::from_hours(3 * 365 * 24);
/// A key of this shape has less than 2 KiB; the rest is room for user ids and extensions.
const MAX_SECRET_BYTES: usize = 256 << 10;

/// The server's OpenPGP key, secret parts included.
#[derive(Clone)]
pub struct ServerKey {
    secret: Cert,
    certificate: Certificate,
    signing: Key<SecretParts, UnspecifiedRole>,
    decryption: Vec<Key<SecretParts, UnspecifiedRole>>,
}

/// Why bytes were not taken as the server's key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerKeyError {
    /// Not one OpenPGP key with secret parts.
    #[error(
        "this is not one OpenPGP secret key; expected what gpg --export-secret-keys prints for an Ed25519 key"
    )]
    NotASecretKey,
    /// Locked by a passphrase.
    #[error(
        "the secret key is protected by a passphrase; the server keeps its key sealed by itself, so remove the passphrase first"
    )]
    Locked,
    /// Another algorithm or version.
    #[error(
        "a server key is Ed25519 with a Cv25519 subkey, version 4; this one holds {found}, version {version}"
    )]
    Unsuitable {
        /// The algorithm that does not fit.
        found: String,
        /// The version of that key.
        version: u8,
    },
    /// Something it must be able to do is missing.
    #[error(
        "the server key has no live secret {0} key; a server key is Ed25519 (sign) with a Cv25519 subkey (encrypt)"
    )]
    Missing(&'static str),
    /// The library could not make a key.
    #[error("could not make a key: the OpenPGP library refused")]
    Library(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ServerKey {
    /// Makes a key for `user_id`, such as `Security of requests <embargo@requests.example>`; valid for three years.
    pub fn generate(user_id: &str, now: DateTime<Utc>) -> Result<Self, ServerKeyError> {
        let (cert, _) = CertBuilder::new()
            .set_profile(Profile::RFC4880)
            .and_then(|builder| {
                builder
                    .set_cipher_suite(CipherSuite::Cv25519)
                    // Whoever answers may use a program that knows only RFC 4880: promise nothing newer.
                    .set_features(Features::empty().set_seipdv1())
            })
            .and_then(|builder| {
                builder
                    .set_creation_time(SystemTime::from(now))
                    .set_validity_period(VALIDITY)
                    .set_primary_key_flags(KeyFlags::empty().set_certification().set_signing())
                    .add_userid(user_id)
                    .add_subkey(
                        KeyFlags::empty().set_transport_encryption().set_storage_encryption(),
                        None,
                        None,
                    )
                    .generate()
            })
            .map_err(|error| ServerKeyError::Library(error.into()))?;
        Self::from_cert(cert)
    }

    /// Loads a key from what [`ServerKey::to_secret_bytes`] gave, or from a key made elsewhere, armored or binary.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ServerKeyError> {
        if bytes.len() > MAX_SECRET_BYTES {
            return Err(ServerKeyError::NotASecretKey);
        }
        Self::from_cert(Cert::from_bytes(bytes).map_err(|_| ServerKeyError::NotASecretKey)?)
    }

    fn from_cert(secret: Cert) -> Result<Self, ServerKeyError> {
        let certificate =
            Certificate::from_cert(secret.clone()).map_err(|_| ServerKeyError::NotASecretKey)?;
        let mut signing = None;
        let mut decryption = Vec::new();
        for key in secret.keys() {
            // The certificate holds only what is validly bound.
            let fingerprint = key.key().fingerprint();
            if !certificate.key_fingerprints().contains(&fingerprint.to_hex())
                || key.self_revocations().next().is_some()
            {
                continue;
            }
            let signs = algorithm::is_classic_ed25519(key.key());
            if key.key().version() != 4 || !(signs || algorithm::is_classic_x25519(key.key())) {
                let (found, version) = (algorithm::name(key.key()), key.key().version());
                return Err(ServerKeyError::Unsuitable { found, version });
            }
            let flags = certificate.key_flags(&fingerprint).unwrap_or_else(KeyFlags::empty);
            let Ok(with_secret) = key.key().clone().parts_into_secret() else { continue };
            if !with_secret.has_unencrypted_secret() {
                return Err(ServerKeyError::Locked);
            }
            if signs && flags.for_signing() {
                let newer = signing.as_ref().is_none_or(|other: &Key<SecretParts, UnspecifiedRole>| {
                    other.creation_time() < with_secret.creation_time()
                });
                if newer {
                    signing = Some(with_secret);
                }
            } else if !signs && (flags.for_transport_encryption() || flags.for_storage_encryption()) {
                decryption.push(with_secret);
            }
        }
        let signing = signing.ok_or(ServerKeyError::Missing("signing"))?;
        if decryption.is_empty() {
            return Err(ServerKeyError::Missing("encryption"));
        }
        Ok(Self { secret, certificate, signing, decryption })
    }

    /// The same key, signed anew to expire three years after `now`.
    pub fn renewed(&self, now: DateTime<Utc>) -> Result<Self, ServerKeyError> {
        let expires = Some(SystemTime::from(now) + VALIDITY);
        let cert =
            renewed(&self.secret, expires, now).map_err(|error| ServerKeyError::Library(error.into()))?;
        Self::from_cert(cert)
    }

    /// The key with all its secrets, binary, unprotected: to be sealed before it is stored.
    pub fn to_secret_bytes(&self) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.secret.as_tsk().to_vec().map(Zeroizing::new).map_err(SealError::library)
    }

    /// What is published.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The primary fingerprint, 40 upper-case hex digits.
    pub fn fingerprint(&self) -> String {
        self.certificate.fingerprint()
    }

    /// When it expires; `None` if never.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.certificate.primary_expires_at()
    }

    /// The instant nearest to `now` within the key's life: what it signs before its beginning or after its end counts
    /// nowhere, and a clock may stand anywhere.
    pub fn within_life(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let last = self.expires_at().map(|expires_at| expires_at - chrono::Duration::seconds(1));
        last.map_or(now, |last| now.min(last)).max(self.signing.creation_time().into())
    }

    pub(super) fn signing_pair(&self) -> Result<KeyPair, SealError> {
        self.signing.clone().into_keypair().map_err(SealError::library)
    }

    pub(super) fn decryption_keys(&self) -> &[Key<SecretParts, UnspecifiedRole>] {
        &self.decryption
    }
}

/// Signs everything in `cert` anew, with another expiry for all its keys.
pub(super) fn renewed(cert: &Cert, expires: Option<SystemTime>, now: DateTime<Utc>) -> openpgp::Result<Cert> {
    let primary = cert.primary_key();
    let public = primary.key();
    let mut pair = public.clone().parts_into_secret()?.into_keypair()?;
    let again = |old: Option<&Signature>, kind| {
        let builder =
            old.map_or_else(|| SignatureBuilder::new(kind), |old| SignatureBuilder::from(old.clone()));
        builder.set_hash_algo(HashAlgorithm::SHA512).set_signature_creation_time(SystemTime::from(now))
    };
    let mut packets: Vec<Packet> = Vec::new();
    if let Some(direct) = primary.self_signatures().next() {
        let builder =
            again(Some(direct), SignatureType::DirectKey)?.set_key_expiration_time(public, expires)?;
        packets.push(builder.sign_direct_key(&mut pair, public)?.into());
    }
    for user_id in cert.userids() {
        let builder = again(user_id.self_signatures().next(), SignatureType::PositiveCertification)?
            .set_key_expiration_time(public, expires)?;
        packets.push(user_id.userid().clone().into());
        packets.push(builder.sign_userid_binding(&mut pair, public, user_id.userid())?.into());
    }
    for subkey in cert.keys().subkeys() {
        let builder = again(subkey.self_signatures().next(), SignatureType::SubkeyBinding)?
            .set_key_expiration_time(subkey.key(), expires)?;
        packets.push(subkey.key().clone().into());
        packets.push(builder.sign_subkey_binding(&mut pair, public, subkey.key())?.into());
    }
    Ok(cert.clone().insert_packets(packets)?.0)
}

impl std::fmt::Debug for ServerKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ServerKey({})", self.fingerprint())
    }
}
