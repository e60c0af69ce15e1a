//! Why bytes are no certificate that could be kept.
//!
//! The texts name fingerprints, versions and counts; never a user id.

use super::cure::Cure;

/// Why bytes were not taken as a certificate, or two certificates not merged. Displayed as what is wrong, then the
/// cure where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", self.problem(), self.cure(None).map(|cure| format!("; cure: {cure}")).unwrap_or_default())]
#[non_exhaustive]
pub enum CertificateError {
    /// More bytes than a certificate may have.
    TooLarge {
        /// How many there were.
        bytes: usize,
        /// How many are taken.
        limit: usize,
    },
    /// More user ids, subkeys or self-signatures than a certificate may have.
    TooManyParts {
        /// The certificate, where it is known.
        fingerprint: Option<String>,
        /// What there is too much of.
        kind: &'static str,
        /// How many are taken.
        limit: usize,
    },
    /// A secret key was sent.
    SecretKeyMaterial {
        /// The key's fingerprint, where it could be read.
        fingerprint: Option<String>,
    },
    /// Not OpenPGP data at all.
    NotOpenPgp {
        /// What it is, where that can be told.
        found: Option<&'static str>,
    },
    /// OpenPGP data of another kind.
    NotACertificate {
        /// What it is.
        found: &'static str,
    },
    /// A key ring where one certificate was expected.
    SeveralCertificates {
        /// The first ones in it that mail could be encrypted to, or else all of the first ones.
        fingerprints: Vec<String>,
    },
    /// The armor (the text form) cannot be decoded.
    DamagedArmor,
    /// The packets cannot be parsed.
    Damaged,
    /// A key version that is not served.
    UnsupportedVersion {
        /// The version of the primary key.
        version: u8,
    },
    /// A primary key whose signatures this build cannot verify.
    UnsupportedAlgorithm {
        /// The certificate.
        fingerprint: String,
        /// Its name, such as `brainpoolP256r1`.
        algorithm: String,
    },
    /// No user id is bound by a valid self-signature.
    NoUserId {
        /// The certificate.
        fingerprint: String,
    },
    /// Two different certificates cannot be merged, nor can one be revoked by another's revocation.
    OtherCertificate {
        /// The fingerprint that was expected.
        expected: String,
        /// The fingerprint that came.
        found: String,
    },
    /// A revocation that is not validly signed by the certificate's own primary key.
    NoRevocation {
        /// The certificate.
        fingerprint: String,
    },
}

impl CertificateError {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::TooManyParts { .. } => "too-many-parts",
            Self::SecretKeyMaterial { .. } => "secret-key-material",
            Self::NotOpenPgp { .. } => "not-openpgp",
            Self::NotACertificate { .. } => "not-a-certificate",
            Self::SeveralCertificates { .. } => "several-certificates",
            Self::DamagedArmor => "damaged-armor",
            Self::Damaged => "damaged",
            Self::UnsupportedVersion { .. } => "unsupported-version",
            Self::UnsupportedAlgorithm { .. } => "unsupported-algorithm",
            Self::NoUserId { .. } => "no-user-id",
            Self::OtherCertificate { .. } => "other-certificate",
            Self::NoRevocation { .. } => "no-revocation",
        }
    }

    /// What was wrong and what was expected.
    pub fn problem(&self) -> String {
        match self {
            Self::TooLarge { bytes, limit } => format!(
                "this has {bytes} bytes and at most {limit} are taken; a certificate grows that large by the signatures of \
                 others, which are not needed here"
            ),
            Self::TooManyParts { kind, limit, .. } => {
                format!("the certificate has more than {limit} {kind}; an export of only what is needed has fewer")
            }
            Self::SecretKeyMaterial { .. } => {
                "this holds a SECRET key, which must never leave its owner; consider it disclosed if it was sent in \
                 clear; expected the certificate (the public key) alone"
                    .to_owned()
            }
            Self::NotOpenPgp { found } => {
                let found = found.unwrap_or("not OpenPGP data");
                format!("this is {found}; expected a certificate, which begins with -----BEGIN PGP PUBLIC KEY BLOCK-----")
            }
            Self::NotACertificate { found } => format!("this is {found}; expected a certificate"),
            Self::SeveralCertificates { .. } => {
                "this holds several certificates and one was expected".to_owned()
            }
            Self::DamagedArmor => {
                "the armor is damaged or cut short; send all lines from -----BEGIN to -----END, unchanged, or the file \
                 itself as an attachment"
                    .to_owned()
            }
            Self::Damaged => "the certificate is damaged: its packets cannot be read".to_owned(),
            Self::UnsupportedVersion { version } => {
                format!("the certificate is of OpenPGP version {version}; versions 4 and 6 are read")
            }
            Self::UnsupportedAlgorithm { fingerprint, algorithm } => format!(
                "the primary key of certificate {fingerprint} is {algorithm}, which this server cannot verify"
            ),
            Self::NoUserId { fingerprint } => format!(
                "certificate {fingerprint} has no user id signed by its own key, as copies from some key servers have \
                 none; expected an export from its owner's own keyring, with name and address"
            ),
            Self::OtherCertificate { expected, found } => {
                format!("expected certificate {expected}, found {found}")
            }
            Self::NoRevocation { fingerprint } => {
                format!("no valid revocation of certificate {fingerprint} in this")
            }
        }
    }

    /// What the owner can type against it. `address` is whose certificate was expected, if that is known.
    pub fn cure(&self, address: Option<&str>) -> Option<Cure> {
        match self {
            Self::TooLarge { .. } => Some(Cure::export_minimal(None, address)),
            Self::TooManyParts { fingerprint, .. } => {
                Some(Cure::export_minimal(fingerprint.as_deref(), address))
            }
            Self::SecretKeyMaterial { fingerprint } => Some(Cure::export(fingerprint.as_deref(), address)),
            Self::SeveralCertificates { fingerprints } => {
                Some(Cure::export(fingerprints.first().map(String::as_str), address))
            }
            Self::NotOpenPgp { .. } | Self::NotACertificate { .. } | Self::DamagedArmor | Self::Damaged => {
                Some(Cure::export(None, address))
            }
            Self::UnsupportedVersion { .. } | Self::UnsupportedAlgorithm { .. } => {
                Some(Cure::start_anew(address))
            }
            Self::NoUserId { fingerprint } => Some(Cure::export(Some(fingerprint), None)),
            Self::NoRevocation { fingerprint } => Some(Cure::revocation(fingerprint)),
            Self::OtherCertificate { .. } => None,
        }
    }

    /// Whether there is a certificate in it at all, though not one that could be used.
    pub fn holds_certificate(&self) -> bool {
        !matches!(
            self,
            Self::TooLarge { .. }
                | Self::NotOpenPgp { .. }
                | Self::NotACertificate { .. }
                | Self::DamagedArmor
                | Self::Damaged
        )
    }
}
