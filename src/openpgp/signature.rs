//! Detached signatures, and the judgement whether a signature counts.
//!
//! The OpenPGP library judges a key at the instant a signature claims to have been made, which its maker chooses. Here
//! the key must also be good at `now`, so whoever finds an expired or revoked key cannot date a signature back.

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use openpgp::cert::Cert;
use openpgp::cert::amalgamation::key::ValidErasedKeyAmalgamation;
use openpgp::cert::amalgamation::{ValidAmalgamation as _, ValidateAmalgamation as _};
use openpgp::crypto::KeyPair;
use openpgp::packet::key::PublicParts;
use openpgp::packet::signature::SignatureBuilder;
use openpgp::parse::Parse as _;
use openpgp::parse::stream::{
    DetachedVerifierBuilder, MessageLayer, MessageStructure, VerificationError, VerificationHelper,
    VerificationResult,
};
use openpgp::policy::StandardPolicy;
use openpgp::serialize::stream::{Message, Signer};
use openpgp::types::{HashAlgorithm, SignatureType};
use openpgp::{KeyHandle, cert};
use sequoia_openpgp as openpgp;

use super::acceptance::Acceptance;
use super::armor::armor_signature;
use super::body::SealError;
use super::certificate::Certificate;
use super::server_key::ServerKey;

/// How far a signer's clock may be ahead of ours.
pub(super) const CLOCK_SKEW: Duration = Duration::from_mins(5);
const MAX_SIGNATURE_BYTES: usize = 64 << 10;
const MAX_SIGNATURES: usize = 8;

/// Who made a good signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The primary fingerprint of the signer's certificate.
    pub fingerprint: String,
    /// Its place among the candidates.
    pub index: usize,
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is no signature.
    #[error(
        "this is not signed; sign it with a registered key: gpg --sign, or gpg --sign --encrypt for a command"
    )]
    Unsigned,
    /// There are several where one is expected.
    #[error(
        "this carries {count} signatures and exactly one is expected; sign with one key: gpg --local-user FINGERPRINT"
    )]
    SeveralSignatures {
        /// How many.
        count: usize,
    },
    /// Not a detached signature.
    #[error("this is not a detached signature; expected what is printed by: gpg --armor --detach-sign FILE")]
    NotASignature,
    /// Made by a key that is not among the candidates.
    #[error(
        "signed by key {key}, which is not registered for this; sign with a registered key: gpg --local-user FINGERPRINT"
    )]
    UnknownSigner {
        /// The key the signature names, or `unknown`.
        key: String,
    },
    /// The signer's certificate or signing key has expired.
    #[error(
        "the signing key of certificate {fingerprint} has expired; extend it and log in with the new copy: gpg --quick-set-expire {fingerprint} 2y"
    )]
    SignerExpired {
        /// The signer's certificate.
        fingerprint: String,
    },
    /// The signer's certificate or signing key was revoked.
    #[error("the signing key of certificate {fingerprint} was revoked")]
    SignerRevoked {
        /// The signer's certificate.
        fingerprint: String,
    },
    /// The key is not meant or not fit to sign, or not validly bound to its certificate.
    #[error("the key that signed is not a valid signing key of certificate {fingerprint}")]
    SignerUnfit {
        /// The signer's certificate.
        fingerprint: String,
    },
    /// The signature itself has expired or is dated in the future.
    #[error(
        "the signature by certificate {fingerprint} is dated in the future or has expired; is the signer's clock right?"
    )]
    SignatureNotLive {
        /// The signer's certificate.
        fingerprint: String,
    },
    /// The data was changed, or the signature is damaged or uses a broken hash.
    #[error(
        "the signature by certificate {fingerprint} does not fit the data, or uses a broken hash; sign again, unchanged: gpg --digest-algo SHA512"
    )]
    BadSignature {
        /// The signer's certificate.
        fingerprint: String,
    },
}

impl SignatureError {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::SeveralSignatures { .. } => "several-signatures",
            Self::NotASignature => "not-a-signature",
            Self::UnknownSigner { .. } => "unknown-signer",
            Self::SignerExpired { .. } => "signer-expired",
            Self::SignerRevoked { .. } => "signer-revoked",
            Self::SignerUnfit { .. } => "signer-unfit",
            Self::SignatureNotLive { .. } => "signature-not-live",
            Self::BadSignature { .. } => "bad-signature",
        }
    }
}

/// Signs `data` with the server's key; the signature as text.
pub fn sign_detached(signer: &ServerKey, data: &[u8], now: DateTime<Utc>) -> Result<String, SealError> {
    sign_with(signer.signing_pair()?, data, now)
}

pub(super) fn sign_with(pair: KeyPair, data: &[u8], now: DateTime<Utc>) -> Result<String, SealError> {
    write_signature(pair, data, now).map(|bytes| armor_signature(&bytes)).map_err(SealError::library)
}

fn write_signature(pair: KeyPair, data: &[u8], now: DateTime<Utc>) -> openpgp::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let message = Message::new(&mut bytes);
    let mut message = Signer::with_template(message, pair, SignatureBuilder::new(SignatureType::Binary))?
        .hash_algo(HashAlgorithm::SHA512)?
        .creation_time(SystemTime::from(now))
        .detached()
        .build()?;
    message.write_all(data)?;
    message.finalize()?;
    Ok(bytes)
}

/// Verifies a detached signature, armored or binary, by one of `candidates`, each judged by its own acceptance.
///
/// Of several signatures in one block, one good one suffices.
pub fn verify_detached(
    signature: &[u8],
    data: &[u8],
    candidates: &[(Certificate, Acceptance)],
    now: DateTime<Utc>,
) -> Result<Verified, SignatureError> {
    if signature.len() > MAX_SIGNATURE_BYTES {
        return Err(SignatureError::NotASignature);
    }
    by_acceptance(candidates, now, |jury| {
        let helper = DetachedHelper { jury, verdict: None };
        let mut verifier = DetachedVerifierBuilder::from_bytes(signature)
            .and_then(|builder| builder.with_policy(&jury.policy, jury.library_time(), helper))
            .map_err(|_| SignatureError::NotASignature)?;
        verifier.verify_bytes(data).map_err(|_| SignatureError::NotASignature)?;
        verifier.into_helper().verdict.unwrap_or(Err(SignatureError::Unsigned))
    })
}

/// Asks the strictly judged candidates, then those with an exception, for the library has one policy at a time.
pub(super) fn by_acceptance<T>(
    candidates: &[(Certificate, Acceptance)],
    now: DateTime<Utc>,
    mut ask: impl FnMut(&Jury) -> Result<T, SignatureError>,
) -> Result<T, SignatureError> {
    let (lenient, strict): (Vec<_>, Vec<_>) =
        candidates.iter().enumerate().partition(|(_, (_, acceptance))| acceptance.is_lenient(now));
    let jury = |members: Vec<(usize, &(Certificate, Acceptance))>, acceptance: Acceptance| Jury {
        candidates: members
            .into_iter()
            .map(|(index, (certificate, _))| (index, certificate.clone()))
            .collect(),
        policy: acceptance.policy(now),
        now,
    };
    let exception = lenient.first().map(|(_, (_, acceptance))| *acceptance);
    match (ask(&jury(strict, Acceptance::Strict)), exception) {
        (Err(SignatureError::UnknownSigner { .. }), Some(exception)) => ask(&jury(lenient, exception)),
        (decided, _) => decided,
    }
}

/// The candidates that are judged by one policy.
pub(super) struct Jury {
    candidates: Vec<(usize, Certificate)>,
    pub(super) policy: StandardPolicy<'static>,
    now: DateTime<Utc>,
}

impl Jury {
    /// The instant up to which a signature may be dated.
    pub(super) fn library_time(&self) -> SystemTime {
        SystemTime::from(self.now) + CLOCK_SKEW
    }

    /// The candidates that may have made a signature naming `issuers`.
    pub(super) fn certificates(&self, issuers: &[KeyHandle]) -> Vec<Cert> {
        let named = |cert: &Cert| {
            cert.keys().any(|key| issuers.iter().any(|issuer| issuer.aliases(key.key().key_handle())))
        };
        self.candidates
            .iter()
            .map(|(_, certificate)| certificate.cert())
            .filter(|cert| named(cert))
            .cloned()
            .collect()
    }

    /// Whether one signature counts.
    pub(super) fn judge(&self, result: VerificationResult) -> Result<Verified, SignatureError> {
        let good = result.map_err(|error| explain(&error))?;
        let fingerprint = good.ka.cert().fingerprint().to_hex();
        let made = good.sig.signature_creation_time().unwrap_or(SystemTime::UNIX_EPOCH);
        self.good_now(&good.ka, made)?;
        self.candidates
            .iter()
            .find(|(_, certificate)| certificate.fingerprint() == fingerprint)
            .map(|(index, _)| Verified { fingerprint: fingerprint.clone(), index: *index })
            .ok_or(SignatureError::UnknownSigner { key: fingerprint })
    }

    fn good_now(
        &self,
        key: &ValidErasedKeyAmalgamation<PublicParts>,
        made: SystemTime,
    ) -> Result<(), SignatureError> {
        let fingerprint = key.cert().fingerprint().to_hex();
        // Within the clock skew a signature, and the key that made it, may be younger than our now.
        let time = SystemTime::from(self.now).max(made);
        if is_revoked(key) {
            return Err(SignatureError::SignerRevoked { fingerprint });
        }
        let Ok(key) = key.clone().with_policy(&self.policy, time) else {
            return Err(SignatureError::SignerUnfit { fingerprint });
        };
        if key.valid_cert().alive().is_err() || key.alive().is_err() {
            return Err(SignatureError::SignerExpired { fingerprint });
        }
        if key.for_signing() { Ok(()) } else { Err(SignatureError::SignerUnfit { fingerprint }) }
    }
}

/// A revocation by the owner counts whenever and however it was made.
fn is_revoked(key: &ValidErasedKeyAmalgamation<PublicParts>) -> bool {
    let primary = key.cert().primary_key();
    let subkey = key.cert().keys().find(|other| other.key().fingerprint() == key.key().fingerprint());
    primary.self_revocations().next().is_some()
        || subkey.is_some_and(|subkey| subkey.self_revocations().next().is_some())
}

fn explain(error: &VerificationError) -> SignatureError {
    let of = |cert: &cert::Cert| cert.fingerprint().to_hex();
    match error {
        VerificationError::MissingKey { sig } => SignatureError::UnknownSigner {
            key: sig
                .get_issuers()
                .first()
                .map_or_else(|| "unknown".to_owned(), |issuer| format!("{issuer:X}")),
        },
        VerificationError::UnboundKey { cert, .. } => SignatureError::SignerUnfit { fingerprint: of(cert) },
        VerificationError::BadKey { ka, .. } => {
            let fingerprint = of(ka.cert());
            let expired = |result: openpgp::Result<()>| {
                matches!(
                    result.map_err(openpgp::anyhow::Error::downcast),
                    Err(Ok(openpgp::Error::Expired(_)))
                )
            };
            if is_revoked(ka) {
                SignatureError::SignerRevoked { fingerprint }
            } else if expired(ka.valid_cert().alive()) || expired(ka.alive()) {
                SignatureError::SignerExpired { fingerprint }
            } else {
                SignatureError::SignerUnfit { fingerprint }
            }
        }
        VerificationError::BadSignature { ka, error, .. } => {
            let fingerprint = of(ka.cert());
            match error.downcast_ref() {
                Some(openpgp::Error::Expired(_) | openpgp::Error::NotYetLive(_)) => {
                    SignatureError::SignatureNotLive { fingerprint }
                }
                _ => SignatureError::BadSignature { fingerprint },
            }
        }
        _ => SignatureError::UnknownSigner { key: "unknown".to_owned() },
    }
}

struct DetachedHelper<'a> {
    jury: &'a Jury,
    verdict: Option<Result<Verified, SignatureError>>,
}

impl VerificationHelper for DetachedHelper<'_> {
    fn get_certs(&mut self, issuers: &[KeyHandle]) -> openpgp::Result<Vec<Cert>> {
        Ok(self.jury.certificates(issuers))
    }

    fn check(&mut self, structure: MessageStructure) -> openpgp::Result<()> {
        let mut results = Vec::new();
        for layer in structure {
            if let MessageLayer::SignatureGroup { results: group } = layer {
                results.extend(group);
            }
        }
        let count = results.len();
        if count > MAX_SIGNATURES {
            self.verdict = Some(Err(SignatureError::SeveralSignatures { count }));
            return Ok(());
        }
        for result in results {
            let judged = self.jury.judge(result);
            if judged.is_ok() || self.verdict.is_none() {
                self.verdict = Some(judged);
            }
        }
        Ok(())
    }
}
