//! Which signatures on a certificate count: the one place that builds the OpenPGP library's policy.
//!
//! It knows algorithms and dates, not whose certificate is judged nor who allowed an exception.

use chrono::{DateTime, Utc};
use openpgp::policy::{AsymmetricAlgorithm, HashAlgoSecurity, StandardPolicy};
use openpgp::types::HashAlgorithm;
use sequoia_openpgp as openpgp;

/// Algorithms that no size makes acceptable: nothing new is made with them, and what there is was made with small
/// keys and old hashes.
const RETIRED: [AsymmetricAlgorithm; 5] = [
    AsymmetricAlgorithm::DSA2048,
    AsymmetricAlgorithm::DSA3072,
    AsymmetricAlgorithm::DSA4096,
    AsymmetricAlgorithm::ElGamal3072,
    AsymmetricAlgorithm::ElGamal4096,
];

/// How strictly a certificate's self-signatures are judged. Signatures over messages are always judged strictly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Acceptance {
    /// What is considered secure today.
    Strict,
    /// Self-signatures made with SHA-1 count too, until the given instant: a recorded exception for one
    /// certificate, since old keys are often bound by nothing better.
    Sha1Bindings {
        /// From here on the certificate is judged as [`Acceptance::Strict`].
        until: DateTime<Utc>,
    },
}

impl Acceptance {
    /// Whether this is an exception that still holds at `now`.
    pub(super) fn is_lenient(self, now: DateTime<Utc>) -> bool {
        matches!(self, Self::Sha1Bindings { until } if now < until)
    }

    /// The rules for a certificate at `now`.
    pub(super) fn policy(self, now: DateTime<Utc>) -> StandardPolicy<'static> {
        let mut policy = StandardPolicy::at(std::time::SystemTime::from(now));
        for algorithm in RETIRED {
            policy.reject_asymmetric_algo(algorithm);
        }
        if self.is_lenient(now) {
            // Second pre-image resistance is all a binding needs as long as nobody else can choose what
            // is bound; signatures over documents need more, and are not touched by this.
            policy.accept_hash_property(HashAlgorithm::SHA1, HashAlgoSecurity::SecondPreImageResistance);
        }
        policy
    }

    /// Rules that accept any key algorithm, only used to find words for a refusal.
    pub(super) fn permissive(now: DateTime<Utc>) -> StandardPolicy<'static> {
        let mut policy = Self::Sha1Bindings { until: DateTime::<Utc>::MAX_UTC }.policy(now);
        for algorithm in AsymmetricAlgorithm::variants() {
            policy.accept_asymmetric_algo(algorithm);
        }
        policy
    }
}
