//! Why nothing can be encrypted to a certificate now, component by component, and what its owner can do about it.

use chrono::{DateTime, SecondsFormat, Utc};

use super::cure::Cure;

/// What is wrong with a certificate, or with one of its encryption keys. Displayed without the cure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.problem())]
pub struct Trouble {
    /// The certificate's fingerprint.
    pub fingerprint: String,
    /// The subkey that is meant; `None` for the certificate as a whole.
    pub subkey: Option<String>,
    /// What it is.
    pub kind: TroubleKind,
    /// The certificate's first mail address, for commands that need one.
    pub(super) address: Option<String>,
}

/// The kinds of trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TroubleKind {
    /// Revoked by its owner. Final: a revocation always counts.
    Revoked {
        /// When the revocation was made, if it says so.
        since: Option<DateTime<Utc>>,
    },
    /// Its time is over.
    Expired {
        /// Since when.
        at: DateTime<Utc>,
    },
    /// Made in the future, as seen from here.
    NotYetValid {
        /// From when it is valid.
        from: DateTime<Utc>,
    },
    /// No key in it is meant for encryption.
    NoEncryptionKey,
    /// Bound by SHA-1 signatures only.
    Sha1Only,
    /// No valid self-signature holds it together, for another reason than SHA-1.
    NoValidSelfSignature,
    /// An algorithm or key size that is not considered secure.
    WeakAlgorithm {
        /// Its name, such as `RSA 1024`.
        algorithm: String,
    },
    /// An algorithm that this build cannot calculate with.
    UnsupportedAlgorithm {
        /// Its name, such as `brainpoolP256r1`.
        algorithm: String,
    },
    /// Encrypting to it fails: the key's numbers are malformed.
    UnusableKey,
    /// The server could not seal the body; nothing is wrong with the certificate.
    NotSealed,
}

fn second(instant: &DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl Trouble {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match (&self.kind, &self.subkey) {
            (TroubleKind::Revoked { .. }, None) => "revoked",
            (TroubleKind::Revoked { .. }, Some(_)) => "encryption-key-revoked",
            (TroubleKind::Expired { .. }, None) => "expired",
            (TroubleKind::Expired { .. }, Some(_)) => "encryption-key-expired",
            (TroubleKind::NotYetValid { .. }, _) => "not-yet-valid",
            (TroubleKind::NoEncryptionKey, _) => "no-encryption-key",
            (TroubleKind::Sha1Only, _) => "sha1-only",
            (TroubleKind::NoValidSelfSignature, _) => "no-valid-self-signature",
            (TroubleKind::WeakAlgorithm { .. }, _) => "weak-algorithm",
            (TroubleKind::UnsupportedAlgorithm { .. }, _) => "unsupported-algorithm",
            (TroubleKind::UnusableKey, _) => "unusable-key",
            (TroubleKind::NotSealed, _) => "not-sealed",
        }
    }

    /// What is wrong, in one sentence without the cure.
    pub fn problem(&self) -> String {
        let whole = &self.fingerprint;
        let who = match &self.subkey {
            Some(subkey) => format!("encryption subkey {subkey} of certificate {whole}"),
            None => format!("certificate {whole}"),
        };
        match &self.kind {
            TroubleKind::Revoked { since: Some(since) } => format!("{who} was revoked on {}", second(since)),
            TroubleKind::Revoked { since: None } => format!("{who} was revoked"),
            TroubleKind::Expired { at } => format!("{who} expired on {}", second(at)),
            TroubleKind::NotYetValid { from } => {
                format!("{who} is valid from {} only; is a clock wrong?", second(from))
            }
            TroubleKind::NoEncryptionKey => format!("{who} has no key for encryption"),
            TroubleKind::Sha1Only => {
                format!("{who} is held together by SHA-1 signatures only, which can be forged")
            }
            TroubleKind::NoValidSelfSignature => format!("{who} has no valid signature by its own key"),
            TroubleKind::WeakAlgorithm { algorithm } => {
                format!("{who} uses {algorithm}, which is not considered secure")
            }
            TroubleKind::UnsupportedAlgorithm { algorithm } => {
                format!("{who} uses {algorithm}, which this server cannot encrypt to")
            }
            TroubleKind::UnusableKey => format!("{who} is malformed: encrypting to it fails"),
            TroubleKind::NotSealed => {
                format!("the server could not seal a message to {who}; see its log, then try again")
            }
        }
    }

    /// What the owner can type against it; after that the certificate has to be exported and sent again.
    pub fn cure(&self) -> Option<Cure> {
        let whole = &self.fingerprint;
        match (&self.kind, &self.subkey) {
            (TroubleKind::Expired { .. } | TroubleKind::Sha1Only, None) => Some(Cure::extend(whole)),
            (TroubleKind::Expired { .. } | TroubleKind::Sha1Only, Some(subkey)) => {
                Some(Cure::extend_subkey(whole, subkey))
            }
            (TroubleKind::NoEncryptionKey | TroubleKind::UnusableKey, _)
            | (
                TroubleKind::Revoked { .. }
                | TroubleKind::WeakAlgorithm { .. }
                | TroubleKind::UnsupportedAlgorithm { .. }
                | TroubleKind::NoValidSelfSignature,
                Some(_),
            ) => Some(Cure::add_subkey(whole)),
            (
                TroubleKind::Revoked { .. }
                | TroubleKind::WeakAlgorithm { .. }
                | TroubleKind::UnsupportedAlgorithm { .. }
                | TroubleKind::NoValidSelfSignature,
                None,
            ) => Some(Cure::start_anew(self.address.as_deref())),
            (TroubleKind::NotYetValid { .. } | TroubleKind::NotSealed, _) => None,
        }
    }

    /// Whether another certificate is needed, so that nothing else about this one matters.
    pub(super) fn is_final(&self) -> bool {
        self.subkey.is_none()
            && matches!(
                self.kind,
                TroubleKind::Revoked { .. }
                    | TroubleKind::WeakAlgorithm { .. }
                    | TroubleKind::UnsupportedAlgorithm { .. }
                    | TroubleKind::NoValidSelfSignature
                    | TroubleKind::NotYetValid { .. }
            )
    }
}

/// Why a certificate cannot receive mail now: everything that has to be mended, the most important first.
///
/// Displayed as what is wrong, then the cure where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", self.problem(), self.cure().map(|cure| format!("; cure: {cure}")).unwrap_or_default())]
pub struct Unusable {
    /// Never empty; the most important first.
    troubles: Vec<Trouble>,
}

impl Unusable {
    pub(super) fn new(first: Trouble, others: Vec<Trouble>) -> Self {
        Self { troubles: std::iter::once(first).chain(others).collect() }
    }

    /// Everything that has to be mended; never empty.
    pub fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        self.troubles.iter()
    }

    /// A stable name of the most important trouble, for programs.
    pub fn code(&self) -> &'static str {
        self.troubles.first().map_or("unusable", Trouble::code)
    }

    /// What is wrong, without the cure.
    pub fn problem(&self) -> String {
        self.troubles().map(Trouble::problem).collect::<Vec<_>>().join("; ")
    }

    /// What the owner can type, ending with the export of what is to be sent again.
    pub fn cure(&self) -> Option<Cure> {
        let cures = self.troubles().filter_map(Trouble::cure);
        let cure = cures.reduce(Cure::then)?;
        match self.troubles.first() {
            Some(first) if !first.is_final() => Some(cure.then(Cure::export(Some(&first.fingerprint), None))),
            _ => Some(cure),
        }
    }
}

impl From<Trouble> for Unusable {
    fn from(first: Trouble) -> Self {
        Self { troubles: vec![first] }
    }
}
