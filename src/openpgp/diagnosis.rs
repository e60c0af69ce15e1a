//! Which keys of a certificate may be encrypted to now, and if none, the one reason that helps its owner most.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use openpgp::cert::Cert;
use openpgp::cert::amalgamation::ValidateAmalgamation as _;
use openpgp::cert::amalgamation::key::ErasedKeyAmalgamation;
use openpgp::packet::Key;
use openpgp::packet::key::{PublicParts, UnspecifiedRole};
use openpgp::policy::{Policy as _, StandardPolicy};
use sequoia_openpgp as openpgp;

use super::acceptance::Acceptance;
use super::algorithm;
use super::trouble::Trouble;

/// A key that may be encrypted to, and when it expires.
pub(super) struct EncryptionKey {
    pub(super) key: Key<PublicParts, UnspecifiedRole>,
    expires_at: Option<SystemTime>,
}

/// The live encryption keys, newest first; never an empty list.
pub(super) fn encryption_keys(
    cert: &Cert,
    acceptance: Acceptance,
    now: DateTime<Utc>,
) -> Result<Vec<EncryptionKey>, Trouble> {
    let strict = match keys_under(cert, &acceptance.policy(now), now) {
        Err(trouble) if !acceptance.is_lenient(now) => trouble,
        decided => return decided,
    };
    let lenient = Acceptance::Sha1Bindings { until: DateTime::<Utc>::MAX_UTC };
    match keys_under(cert, &lenient.policy(now), now) {
        Ok(_) => Err(Trouble::Sha1Only { fingerprint: cert.fingerprint().to_hex() }),
        // With nothing valid to look at, the strict view has no better answer than "nothing is valid".
        Err(trouble)
            if matches!(strict, Trouble::NoValidSelfSignature { .. } | Trouble::NoEncryptionKey { .. }) =>
        {
            Err(trouble)
        }
        Err(_) => Err(strict),
    }
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

fn keys_under(
    cert: &Cert,
    policy: &StandardPolicy,
    now: DateTime<Utc>,
) -> Result<Vec<EncryptionKey>, Trouble> {
    let time = SystemTime::from(now);
    let fingerprint = cert.fingerprint().to_hex();
    let primary = cert.primary_key();
    // No policy is asked here: what the owner took back stays taken back, however it was signed.
    if let Some(revocation) = primary.self_revocations().next() {
        let since = revocation.signature_creation_time().map(DateTime::from);
        return Err(Trouble::Revoked { fingerprint, since });
    }
    if primary.key().creation_time() > time {
        return Err(Trouble::NotYetValid { fingerprint, from: primary.key().creation_time().into() });
    }
    let valid = cert.with_policy(policy, time).map_err(|_| unbound(cert, policy, now))?;
    match valid.alive().map_err(openpgp::anyhow::Error::downcast) {
        Ok(()) => {}
        Err(Ok(openpgp::Error::Expired(at))) => {
            let subkeys = cert.keys().subkeys().map(|key| key.key().fingerprint().to_hex()).collect();
            return Err(Trouble::Expired { fingerprint, at: at.into(), subkeys });
        }
        Err(Ok(openpgp::Error::NotYetLive(from))) => {
            return Err(Trouble::NotYetValid { fingerprint, from: from.into() });
        }
        Err(_) => return Err(Trouble::NoValidSelfSignature { fingerprint }),
    }
    let mut usable = Vec::new();
    let mut troubles = Vec::new();
    for key in cert.keys() {
        match judge(&key, policy, now, &fingerprint) {
            Ok(Some(key)) => usable.push(key),
            Ok(None) => {}
            Err(trouble) => troubles.push(trouble),
        }
    }
    if usable.is_empty() {
        let worst = troubles.into_iter().max_by_key(helpfulness);
        return Err(worst.unwrap_or(Trouble::NoEncryptionKey { fingerprint }));
    }
    usable.sort_by_key(|key| std::cmp::Reverse(key.key.creation_time()));
    Ok(usable)
}

/// Of several troubles, the one that is mended most easily, and then the most recent one.
fn helpfulness(trouble: &Trouble) -> (u8, Option<DateTime<Utc>>) {
    match trouble {
        Trouble::EncryptionKeyExpired { at, .. } => (4, Some(*at)),
        Trouble::NotYetValid { from, .. } => (3, Some(*from)),
        Trouble::UnsupportedAlgorithm { .. } => (2, None),
        Trouble::WeakAlgorithm { .. } => (1, None),
        _ => (0, None),
    }
}

/// Why the primary key is not valid at all.
fn unbound(cert: &Cert, policy: &StandardPolicy, now: DateTime<Utc>) -> Trouble {
    let fingerprint = cert.fingerprint().to_hex();
    let algorithm = algorithm::name(cert.primary_key().key());
    if !algorithm::is_supported(cert.primary_key().key()) {
        return Trouble::UnsupportedAlgorithm { fingerprint, algorithm };
    }
    let anything = Acceptance::permissive(now);
    match cert.primary_key().with_policy(&anything, SystemTime::from(now)) {
        Ok(primary) if policy.key(&primary.clone().into()).is_err() => {
            Trouble::WeakAlgorithm { fingerprint, algorithm }
        }
        _ => Trouble::NoValidSelfSignature { fingerprint },
    }
}

/// A key that may be encrypted to; `None` if it was never meant for that; else why not.
fn judge(
    key: &ErasedKeyAmalgamation<PublicParts>,
    policy: &StandardPolicy,
    now: DateTime<Utc>,
    fingerprint: &str,
) -> Result<Option<EncryptionKey>, Trouble> {
    let time = SystemTime::from(now);
    let fingerprint = fingerprint.to_owned();
    let algorithm = || algorithm::name(key.key());
    let subkey = || key.key().fingerprint().to_hex();
    if !algorithm::can_encrypt(key.key()) {
        return Ok(None);
    }
    let Ok(valid) = key.clone().with_policy(policy, time) else {
        return match key.clone().with_policy(&Acceptance::permissive(now), time) {
            _ if key.key().creation_time() > time => {
                Err(Trouble::NotYetValid { fingerprint, from: key.key().creation_time().into() })
            }
            Ok(valid) if !(valid.for_transport_encryption() || valid.for_storage_encryption()) => Ok(None),
            Ok(valid) if policy.key(&valid).is_err() => {
                Err(Trouble::WeakAlgorithm { fingerprint, algorithm: algorithm() })
            }
            _ => Ok(None),
        };
    };
    if !(valid.for_transport_encryption() || valid.for_storage_encryption()) {
        return Ok(None);
    }
    if key.self_revocations().next().is_some() {
        return Err(Trouble::EncryptionKeyRevoked { fingerprint, subkey: subkey() });
    }
    match valid.alive().map_err(openpgp::anyhow::Error::downcast) {
        Ok(()) => {}
        Err(Ok(openpgp::Error::Expired(at))) => {
            return Err(Trouble::EncryptionKeyExpired { fingerprint, subkey: subkey(), at: at.into() });
        }
        Err(_) => {
            return Err(Trouble::NotYetValid { fingerprint, from: key.key().creation_time().into() });
        }
    }
    if !algorithm::is_supported(key.key()) {
        return Err(Trouble::UnsupportedAlgorithm { fingerprint, algorithm: algorithm() });
    }
    Ok(Some(EncryptionKey { key: key.key().clone(), expires_at: valid.key_expiration_time() }))
}
