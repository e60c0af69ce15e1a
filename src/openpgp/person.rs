//! What a person's own OpenPGP program does: for the rehearsal and for tests only.
//!
//! Nothing that serves real people may use it; their secret keys never come near this program.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use openpgp::Profile;
use openpgp::cert::{Cert, CertBuilder, CipherSuite};
use openpgp::crypto::KeyPair;
use openpgp::packet::Key;
use openpgp::packet::key::{SecretParts, UnspecifiedRole};
use openpgp::parse::Parse as _;
use openpgp::serialize::SerializeInto as _;
use openpgp::types::{Features, KeyFlags};
use sequoia_openpgp as openpgp;

use super::acceptance::Acceptance;
use super::body::{self, SessionKey};
use super::certificate::Certificate;
use super::head::make_head;
use super::signature::{self, SignatureError};
use super::{algorithm, armor, opening};

const MAX_PLAINTEXT_BYTES: usize = 64 << 20;

/// Kinds of keys that packagers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Ed25519 and X25519, the default of today's programs.
    Cv25519,
    /// RSA with 3072 bits. Slow to make.
    Rsa3072,
    /// NIST P-256, as found on smart cards.
    P256,
    /// Ed25519 and X25519 in a certificate of version 6 (RFC 9580).
    V6,
}

/// A person with a secret key.
#[derive(Clone)]
pub struct Person {
    secret: Cert,
    certificate: Certificate,
}

/// A message that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What was inside.
    pub plaintext: Vec<u8>,
    /// Whether the certificate that was asked for made exactly one good signature.
    pub signature_good: bool,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PersonError {
    /// The library could not make a key or a signature.
    #[error("the OpenPGP library refused to make a key or a signature")]
    Library,
    /// The message is not for this person, or damaged.
    #[error("the message does not open with this key")]
    DoesNotOpen,
    /// The recipient's certificate is unusable.
    #[error("the certificate cannot be encrypted to")]
    Recipient,
}

impl Person {
    /// A person with a new key that never expires: a primary key that signs, and a subkey that encrypts.
    pub fn generate(user_id: &str, suite: Suite, now: DateTime<Utc>) -> Result<Self, PersonError> {
        let classic = (Profile::RFC4880, Features::empty().set_seipdv1());
        let (suite, (profile, features)) = match suite {
            Suite::Cv25519 => (CipherSuite::Cv25519, classic),
            Suite::Rsa3072 => (CipherSuite::RSA3k, classic),
            Suite::P256 => (CipherSuite::P256, classic),
            Suite::V6 => (CipherSuite::Cv25519, (Profile::RFC9580, Features::sequoia())),
        };
        let build = || {
            CertBuilder::new()
                .set_profile(profile)?
                .set_cipher_suite(suite)
                .set_features(features)?
                .set_creation_time(SystemTime::from(now))
                .set_primary_key_flags(KeyFlags::empty().set_certification().set_signing())
                .add_userid(user_id)
                .add_subkey(KeyFlags::empty().set_transport_encryption().set_storage_encryption(), None, None)
                .generate()
        };
        Self::from_cert(build().map_err(|_| PersonError::Library)?.0)
    }

    /// The person who holds this unprotected secret key, armored or binary.
    pub fn from_secret(bytes: &[u8]) -> Result<Self, PersonError> {
        Self::from_cert(Cert::from_bytes(bytes).map_err(|_| PersonError::Library)?)
    }

    pub(super) fn from_cert(secret: Cert) -> Result<Self, PersonError> {
        let certificate = Certificate::from_cert(secret.clone()).map_err(|_| PersonError::Library)?;
        Ok(Self { secret, certificate })
    }

    /// What this person publishes.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The secret key as text, unprotected, to be imported elsewhere.
    pub fn secret_armored(&self) -> Result<String, PersonError> {
        let bytes = self.secret.as_tsk().to_vec().map_err(|_| PersonError::Library)?;
        Ok(armor::armored("PRIVATE KEY BLOCK", &bytes))
    }

    /// Opens a message, and says whether `verify_with` signed it.
    pub fn decrypt(
        &self,
        message: &[u8],
        verify_with: Option<&Certificate>,
        now: DateTime<Utc>,
    ) -> Result<Opened, PersonError> {
        let candidates: Vec<_> =
            verify_with.map(|certificate| (certificate.clone(), Acceptance::Strict)).into_iter().collect();
        let keys = self.keys();
        let opened = signature::by_acceptance(&candidates, now, |jury| {
            opening::open(message, &keys, self.certificate.cert(), jury, MAX_PLAINTEXT_BYTES)
                .map_err(|_| SignatureError::NotASignature)
        })
        .map_err(|_| PersonError::DoesNotOpen)?;
        Ok(Opened { plaintext: opened.plaintext, signature_good: opened.signature.is_ok() })
    }

    /// What `gpg --sign --encrypt --recipient TO` does. Binary. `session_key` must be fresh.
    pub fn sign_and_encrypt(
        &self,
        data: &[u8],
        to: &Certificate,
        session_key: &SessionKey,
        now: DateTime<Utc>,
    ) -> Result<Vec<u8>, PersonError> {
        let mut message =
            make_head(session_key, to, &Acceptance::Strict, now).map_err(|_| PersonError::Recipient)?;
        let body = body::seal(data, Some(self.signing_pair()?), session_key, to.container(), now);
        message.extend(body.map_err(|_| PersonError::Library)?);
        Ok(message)
    }

    /// What `gpg --armor --detach-sign` does.
    pub fn sign_detached(&self, data: &[u8], now: DateTime<Utc>) -> Result<String, PersonError> {
        signature::sign_with(self.signing_pair()?, data, now).map_err(|_| PersonError::Library)
    }

    fn keys(&self) -> Vec<Key<SecretParts, UnspecifiedRole>> {
        let with_secret = self.secret.keys().filter_map(|key| key.key().clone().parts_into_secret().ok());
        with_secret.filter(algorithm::can_encrypt).collect()
    }

    fn signing_pair(&self) -> Result<KeyPair, PersonError> {
        let primary = self.secret.primary_key().key().clone();
        let secret = primary.parts_into_secret().map_err(|_| PersonError::Library)?;
        secret.role_into_unspecified().into_keypair().map_err(|_| PersonError::Library)
    }
}

impl std::fmt::Debug for Person {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Person({})", self.certificate.fingerprint())
    }
}
