//! Which keys of a certificate may be encrypted to now, and what is wrong with the others.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use openpgp::cert::Cert;
use openpgp::cert::amalgamation::ValidateAmalgamation as _;
use openpgp::cert::amalgamation::key::ErasedKeyAmalgamation;
use openpgp::packet::Key;
use openpgp::packet::key::{PublicParts, UnspecifiedRole};
use openpgp::policy::{Policy as _, StandardPolicy};
use openpgp::types::HashAlgorithm;
use sequoia_openpgp as openpgp;

use super::acceptance::Acceptance;
use super::algorithm;
use super::trouble::{Trouble, TroubleKind, Unusable};

/// A key that may be encrypted to, and when it expires.
pub(super) struct EncryptionKey {
    pub(super) key: Key<PublicParts, UnspecifiedRole>,
    pub(super) expires_at: Option<SystemTime>,
}

/// All that is known about the use of a certificate at one instant.
pub(super) struct Diagnosis {
    /// The live encryption keys, newest first. Usable only while nothing is wrong with the certificate.
    keys: Vec<EncryptionKey>,
    /// What is wrong with the certificate as a whole.
    of_certificate: Vec<Trouble>,
    /// What is wrong with single encryption keys, the most easily mended first.
    of_keys: Vec<Trouble>,
}

impl Diagnosis {
    /// The live encryption keys, newest first; never an empty list.
    fn into_keys(self) -> Result<Vec<EncryptionKey>, Unusable> {
        match self.unusable() {
            Some(unusable) => Err(unusable),
            None => Ok(self.keys),
        }
    }

    /// What has to be mended before anything can be encrypted.
    pub(super) fn unusable(&self) -> Option<Unusable> {
        // One usable key is enough, and of several that are not, one has to be mended.
        let of_keys = self.of_keys.iter().take(usize::from(self.keys.is_empty()));
        let mut troubles = self.of_certificate.iter().chain(of_keys).cloned();
        let first = troubles.next()?;
        let others = if first.is_final() { Vec::new() } else { troubles.collect() };
        Some(Unusable::new(first, others))
    }

    /// What is wrong with keys that are not needed.
    pub(super) fn beside(&self) -> impl Iterator<Item = &Trouble> {
        self.of_keys.iter().skip(usize::from(self.keys.is_empty()))
    }

    /// How many keys can be encrypted to.
    pub(super) fn key_count(&self) -> usize {
        self.keys.len()
    }
}

/// The live encryption keys, newest first; never an empty list.
pub(super) fn encryption_keys(
    cert: &Cert,
    acceptance: Acceptance,
    now: DateTime<Utc>,
) -> Result<Vec<EncryptionKey>, Unusable> {
    diagnose(cert, acceptance, now).into_keys()
}

/// See [`super::Certificate::expires_at`].
pub(super) fn usable_until(cert: &Cert, acceptance: Acceptance, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let keys = encryption_keys(cert, acceptance, now).ok()?;
    let policy = acceptance.policy(now);
    let primary = cert.with_policy(&policy, SystemTime::from(now)).ok()?.primary_key().key_expiration_time();
    // A key that never expires outlives all others.
    let longest = keys.iter().map(|key| key.expires_at).reduce(|one, other| Some(one?.max(other?))).flatten();
    match (primary, longest) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
    .map(DateTime::from)
}

/// Looks at every component.
pub(super) fn diagnose(cert: &Cert, acceptance: Acceptance, now: DateTime<Utc>) -> Diagnosis {
    let case = Case::new(cert, acceptance, now);
    let of_certificate = case.of_certificate();
    let mut diagnosis = Diagnosis { keys: Vec::new(), of_certificate, of_keys: Vec::new() };
    for key in cert.keys() {
        match case.judge(&key) {
            Ok(Some(key)) => diagnosis.keys.push(key),
            Ok(None) => {}
            Err(trouble) => diagnosis.of_keys.push(trouble),
        }
    }
    diagnosis.keys.sort_by_key(|key| std::cmp::Reverse(key.key.creation_time()));
    diagnosis.of_keys.sort_by_key(|trouble| std::cmp::Reverse(helpfulness(trouble)));
    if diagnosis.keys.is_empty() && diagnosis.of_keys.is_empty() {
        diagnosis.of_certificate.push(case.trouble(None, TroubleKind::NoEncryptionKey));
    }
    diagnosis
}

/// Of several troubles, the one that is mended most easily comes first, and then the most recent one.
fn helpfulness(trouble: &Trouble) -> (u8, Option<DateTime<Utc>>) {
    match &trouble.kind {
        TroubleKind::Sha1Only => (5, None),
        TroubleKind::Expired { at } => (4, Some(*at)),
        TroubleKind::NotYetValid { from } => (3, Some(*from)),
        TroubleKind::UnsupportedAlgorithm { .. } => (2, None),
        TroubleKind::WeakAlgorithm { .. } => (1, None),
        _ => (0, None),
    }
}

/// One certificate under one acceptance level at one instant.
struct Case<'a> {
    cert: &'a Cert,
    /// The rules that count.
    rules: StandardPolicy<'static>,
    /// The same with SHA-1, to see whether that is all that is wrong.
    with_sha1: StandardPolicy<'static>,
    now: DateTime<Utc>,
    address: Option<String>,
}

impl<'a> Case<'a> {
    fn new(cert: &'a Cert, acceptance: Acceptance, now: DateTime<Utc>) -> Self {
        let with_sha1 = Acceptance::Sha1Bindings { until: DateTime::<Utc>::MAX_UTC }.policy(now);
        let address = cert.userids().find_map(|user_id| user_id.userid().email().ok().flatten());
        Self { cert, rules: acceptance.policy(now), with_sha1, now, address: address.map(str::to_owned) }
    }

    fn time(&self) -> SystemTime {
        SystemTime::from(self.now)
    }

    fn trouble(&self, subkey: Option<&Key<PublicParts, UnspecifiedRole>>, kind: TroubleKind) -> Trouble {
        let fingerprint = self.cert.fingerprint();
        Trouble {
            subkey: subkey.map(Key::fingerprint).filter(|key| *key != fingerprint).map(|key| key.to_hex()),
            fingerprint: fingerprint.to_hex(),
            kind,
            address: self.address.clone(),
        }
    }

    /// What is wrong with the certificate as a whole.
    fn of_certificate(&self) -> Vec<Trouble> {
        let primary = self.cert.primary_key();
        // No policy is asked here: what the owner took back stays taken back, however it was signed.
        if let Some(revocation) = primary.self_revocations().next() {
            let since = revocation.signature_creation_time().map(DateTime::from);
            return vec![self.trouble(None, TroubleKind::Revoked { since })];
        }
        if primary.key().creation_time() > self.time() {
            let from = primary.key().creation_time().into();
            return vec![self.trouble(None, TroubleKind::NotYetValid { from })];
        }
        let mut troubles = Vec::new();
        let valid = match self.cert.with_policy(&self.rules, self.time()) {
            Ok(valid) => valid,
            Err(_) => match self.cert.with_policy(&self.with_sha1, self.time()) {
                Ok(valid) => {
                    troubles.push(self.trouble(None, TroubleKind::Sha1Only));
                    valid
                }
                Err(_) => return vec![self.unbound()],
            },
        };
        match valid.alive().map_err(openpgp::anyhow::Error::downcast) {
            Ok(()) => {}
            // Whoever extends it signs it anew, without SHA-1.
            Err(Ok(openpgp::Error::Expired(at))) => {
                troubles = vec![self.trouble(None, TroubleKind::Expired { at: at.into() })];
            }
            Err(Ok(openpgp::Error::NotYetLive(from))) => {
                troubles = vec![self.trouble(None, TroubleKind::NotYetValid { from: from.into() })];
            }
            Err(_) => troubles = vec![self.trouble(None, TroubleKind::NoValidSelfSignature)],
        }
        troubles
    }

    /// Why the primary key is not valid at all.
    fn unbound(&self) -> Trouble {
        let key = self.cert.primary_key().key();
        let algorithm = algorithm::name(key);
        if !algorithm::is_supported(key) {
            return self.trouble(None, TroubleKind::UnsupportedAlgorithm { algorithm });
        }
        let anything = Acceptance::permissive(self.now);
        match self.cert.primary_key().with_policy(&anything, self.time()) {
            Ok(primary) if self.rules.key(&primary.clone().into()).is_err() => {
                self.trouble(None, TroubleKind::WeakAlgorithm { algorithm })
            }
            _ => self.trouble(None, TroubleKind::NoValidSelfSignature),
        }
    }

    /// A key that may be encrypted to; `None` if it was never meant for that; else why not.
    fn judge(&self, key: &ErasedKeyAmalgamation<PublicParts>) -> Result<Option<EncryptionKey>, Trouble> {
        if !algorithm::can_encrypt(key.key()) {
            return Ok(None);
        }
        let trouble = |kind| Err(self.trouble(Some(key.key()), kind));
        let algorithm = || algorithm::name(key.key());
        if key.key().creation_time() > self.time() {
            return trouble(TroubleKind::NotYetValid { from: key.key().creation_time().into() });
        }
        let strictly = key.clone().with_policy(&self.rules, self.time());
        let is_strict = strictly.is_ok();
        let Ok(valid) = strictly.or_else(|_| key.clone().with_policy(&self.with_sha1, self.time())) else {
            return match key.clone().with_policy(&Acceptance::permissive(self.now), self.time()) {
                Ok(valid) if !(valid.for_transport_encryption() || valid.for_storage_encryption()) => {
                    Ok(None)
                }
                Ok(valid) if self.rules.key(&valid).is_err() => {
                    trouble(TroubleKind::WeakAlgorithm { algorithm: algorithm() })
                }
                _ => Ok(None),
            };
        };
        if !(valid.for_transport_encryption() || valid.for_storage_encryption()) {
            return Ok(None);
        }
        if let Some(revocation) = key.self_revocations().next() {
            let since = revocation.signature_creation_time().map(DateTime::from);
            return trouble(TroubleKind::Revoked { since });
        }
        match valid.alive().map_err(openpgp::anyhow::Error::downcast) {
            Ok(()) => {}
            Err(Ok(openpgp::Error::Expired(at))) => return trouble(TroubleKind::Expired { at: at.into() }),
            Err(_) => {
                return trouble(TroubleKind::NotYetValid { from: key.key().creation_time().into() });
            }
        }
        if !algorithm::is_supported(key.key()) {
            return trouble(TroubleKind::UnsupportedAlgorithm { algorithm: algorithm() });
        }
        // Where the certificate itself is bound by SHA-1, its keys fail with it, however they are bound.
        if !is_strict && valid.binding_signature().hash_algo() == HashAlgorithm::SHA1 {
            return trouble(TroubleKind::Sha1Only);
        }
        Ok(Some(EncryptionKey { key: key.key().clone(), expires_at: valid.key_expiration_time() }))
    }
}
