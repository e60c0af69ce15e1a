//! Why nothing can be encrypted to a certificate now, and what its owner can do about it.

use chrono::{DateTime, SecondsFormat, Utc};

/// Why a certificate cannot receive mail now. Displayed as what is wrong, then the cure where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", self.problem(), self.cure().map(|command| format!("; cure: {command}")).unwrap_or_default())]
#[non_exhaustive]
pub enum Trouble {
    /// Revoked by its owner. Final: a revocation always counts.
    Revoked {
        /// The certificate.
        fingerprint: String,
        /// When the revocation was made, if it says so.
        since: Option<DateTime<Utc>>,
    },
    /// The whole certificate has expired.
    Expired {
        /// The certificate.
        fingerprint: String,
        /// When.
        at: DateTime<Utc>,
        /// Its subkeys, which have to be extended too.
        subkeys: Vec<String>,
    },
    /// Made in the future, as seen from here.
    NotYetValid {
        /// The certificate.
        fingerprint: String,
        /// From when it is valid.
        from: DateTime<Utc>,
    },
    /// It cannot encrypt: no subkey is meant for it.
    NoEncryptionKey {
        /// The certificate.
        fingerprint: String,
    },
    /// The newest encryption subkey has expired.
    EncryptionKeyExpired {
        /// The certificate.
        fingerprint: String,
        /// The subkey.
        subkey: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// The encryption subkey was revoked and there is no other.
    EncryptionKeyRevoked {
        /// The certificate.
        fingerprint: String,
        /// The subkey.
        subkey: String,
    },
    /// Usable if only its self-signatures were not made with SHA-1.
    Sha1Only {
        /// The certificate.
        fingerprint: String,
    },
    /// No valid self-signature holds it together, for another reason than SHA-1.
    NoValidSelfSignature {
        /// The certificate.
        fingerprint: String,
    },
    /// An algorithm or key size that is not considered secure.
    WeakAlgorithm {
        /// The certificate.
        fingerprint: String,
        /// Its name, such as `RSA 1024`.
        algorithm: String,
    },
    /// An algorithm that this build cannot calculate with.
    UnsupportedAlgorithm {
        /// The certificate.
        fingerprint: String,
        /// Its name, such as `brainpoolP256r1`.
        algorithm: String,
    },
    /// Encrypting to it fails: the key's numbers are malformed.
    UnusableKey {
        /// The certificate.
        fingerprint: String,
    },
    /// The server could not seal the body; nothing is wrong with the certificate.
    NotSealed {
        /// The certificate.
        fingerprint: String,
    },
}

fn day(instant: &DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl Trouble {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Revoked { .. } => "revoked",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::NoEncryptionKey { .. } => "no-encryption-key",
            Self::EncryptionKeyExpired { .. } => "encryption-key-expired",
            Self::EncryptionKeyRevoked { .. } => "encryption-key-revoked",
            Self::Sha1Only { .. } => "sha1-only",
            Self::NoValidSelfSignature { .. } => "no-valid-self-signature",
            Self::WeakAlgorithm { .. } => "weak-algorithm",
            Self::UnsupportedAlgorithm { .. } => "unsupported-algorithm",
            Self::UnusableKey { .. } => "unusable-key",
            Self::NotSealed { .. } => "not-sealed",
        }
    }

    /// The certificate's fingerprint.
    pub fn fingerprint(&self) -> &str {
        match self {
            Self::Revoked { fingerprint, .. }
            | Self::Expired { fingerprint, .. }
            | Self::NotYetValid { fingerprint, .. }
            | Self::NoEncryptionKey { fingerprint }
            | Self::EncryptionKeyExpired { fingerprint, .. }
            | Self::EncryptionKeyRevoked { fingerprint, .. }
            | Self::Sha1Only { fingerprint }
            | Self::NoValidSelfSignature { fingerprint }
            | Self::WeakAlgorithm { fingerprint, .. }
            | Self::UnsupportedAlgorithm { fingerprint, .. }
            | Self::UnusableKey { fingerprint }
            | Self::NotSealed { fingerprint } => fingerprint,
        }
    }

    /// What is wrong, in one sentence without the cure.
    pub fn problem(&self) -> String {
        let fingerprint = self.fingerprint();
        match self {
            Self::Revoked { since: Some(since), .. } => {
                format!("certificate {fingerprint} was revoked on {}", day(since))
            }
            Self::Revoked { since: None, .. } => format!("certificate {fingerprint} was revoked"),
            Self::Expired { at, .. } => format!("certificate {fingerprint} expired on {}", day(at)),
            Self::NotYetValid { from, .. } => {
                format!("certificate {fingerprint} is valid from {} only; is a clock wrong?", day(from))
            }
            Self::NoEncryptionKey { .. } => format!("certificate {fingerprint} has no key for encryption"),
            Self::EncryptionKeyExpired { subkey, at, .. } => {
                format!("encryption subkey {subkey} of certificate {fingerprint} expired on {}", day(at))
            }
            Self::EncryptionKeyRevoked { subkey, .. } => {
                format!(
                    "encryption subkey {subkey} of certificate {fingerprint} was revoked and there is no other"
                )
            }
            Self::Sha1Only { .. } => {
                format!(
                    "certificate {fingerprint} is held together by SHA-1 signatures only, which can be forged"
                )
            }
            Self::NoValidSelfSignature { .. } => {
                format!("certificate {fingerprint} has no valid signature by its own key")
            }
            Self::WeakAlgorithm { algorithm, .. } => {
                format!("certificate {fingerprint} uses {algorithm}, which is not considered secure")
            }
            Self::UnsupportedAlgorithm { algorithm, .. } => {
                format!("certificate {fingerprint} uses {algorithm}, which this server cannot encrypt to")
            }
            Self::UnusableKey { .. } => {
                format!(
                    "the encryption key of certificate {fingerprint} is malformed: encrypting to it fails"
                )
            }
            Self::NotSealed { .. } => {
                format!(
                    "the server could not seal a message to certificate {fingerprint}; see its log, then try again"
                )
            }
        }
    }

    /// What the owner can type, after which the certificate must be exported and sent again.
    pub fn cure(&self) -> Option<String> {
        match self {
            // The short form '*' stands for the subkeys that have not expired yet, so these are named.
            Self::Expired { fingerprint, subkeys, .. } => {
                let primary = format!("gpg --quick-set-expire {fingerprint} 2y");
                let subkeys = subkeys.join(" ");
                Some(if subkeys.is_empty() { primary } else { format!("{primary} && {primary} {subkeys}") })
            }
            Self::EncryptionKeyExpired { fingerprint, subkey, .. } => {
                Some(format!("gpg --quick-set-expire {fingerprint} 2y {subkey}"))
            }
            Self::Sha1Only { fingerprint } => Some(format!(
                "gpg --cert-digest-algo SHA512 --quick-set-expire {fingerprint} 2y && \
                 gpg --cert-digest-algo SHA512 --quick-set-expire {fingerprint} 2y '*'"
            )),
            Self::NoEncryptionKey { fingerprint }
            | Self::EncryptionKeyRevoked { fingerprint, .. }
            | Self::UnsupportedAlgorithm { fingerprint, .. }
            | Self::UnusableKey { fingerprint } => {
                Some(format!("gpg --quick-add-key {fingerprint} cv25519 encr 2y"))
            }
            Self::Revoked { .. } | Self::WeakAlgorithm { .. } => Some(
                "gpg --quick-gen-key ADDRESS future-default default 2y, then enrol the new certificate"
                    .to_owned(),
            ),
            Self::NotYetValid { .. } | Self::NoValidSelfSignature { .. } | Self::NotSealed { .. } => None,
        }
    }
}
