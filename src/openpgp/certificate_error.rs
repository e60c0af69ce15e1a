//! Why bytes are no certificate that could be kept.
//!
//! The texts name fingerprints, versions and counts; never a user id.

/// Why bytes were not taken as a certificate, or two certificates not merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// More bytes than a certificate may have.
    #[error(
        "the certificate has {bytes} bytes and at most {limit} are taken; export it without the signatures of others: \
         gpg --armor --export-options export-minimal --export FINGERPRINT"
    )]
    TooLarge {
        /// How many there were.
        bytes: usize,
        /// How many are taken.
        limit: usize,
    },
    /// More user ids, subkeys or self-signatures than a certificate may have.
    #[error(
        "the certificate has more than {limit} {kind}; export a cleaned copy: gpg --armor --export-options export-clean --export FINGERPRINT"
    )]
    TooManyParts {
        /// What there is too much of.
        kind: &'static str,
        /// How many are taken.
        limit: usize,
    },
    /// A secret key was sent.
    #[error(
        "this holds a SECRET key, which must never leave its owner; consider it disclosed if it was sent in clear. \
         Send the certificate instead: gpg --armor --export FINGERPRINT"
    )]
    SecretKeyMaterial,
    /// Not OpenPGP data at all.
    #[error(
        "this is not OpenPGP data; expected a certificate as printed by: gpg --armor --export FINGERPRINT"
    )]
    NotOpenPgp,
    /// OpenPGP data of another kind.
    #[error(
        "this is {found}, not a certificate; expected what is printed by: gpg --armor --export FINGERPRINT"
    )]
    NotACertificate {
        /// What it is.
        found: &'static str,
    },
    /// A key ring where one certificate was expected.
    #[error(
        "this holds several certificates and one was expected; export one: gpg --armor --export FINGERPRINT"
    )]
    SeveralCertificates,
    /// The armor (the text form) cannot be decoded.
    #[error(
        "the armor is damaged or cut short; send all lines from -----BEGIN to -----END, unchanged, or the binary form"
    )]
    DamagedArmor,
    /// The packets cannot be parsed.
    #[error(
        "the certificate is damaged: its packets cannot be read; export it again: gpg --armor --export FINGERPRINT"
    )]
    Damaged,
    /// A key version that is not served.
    #[error(
        "the certificate is of OpenPGP version {version}; version 4 is needed for now. \
         A version 4 key is made by: gpg --quick-gen-key ADDRESS future-default default 2y"
    )]
    UnsupportedVersion {
        /// The version of the primary key.
        version: u8,
    },
    /// A primary key whose signatures this build cannot verify.
    #[error(
        "the primary key of certificate {fingerprint} is {algorithm}, which this server cannot verify. \
         A key that every program can use is made by: gpg --quick-gen-key ADDRESS future-default default 2y"
    )]
    UnsupportedAlgorithm {
        /// The certificate.
        fingerprint: String,
        /// Its name, such as `brainpoolP256r1`.
        algorithm: String,
    },
    /// No user id is bound by a valid self-signature.
    #[error(
        "certificate {fingerprint} has no user id signed by its own key; add one: gpg --quick-add-uid {fingerprint} ADDRESS"
    )]
    NoUserId {
        /// The certificate.
        fingerprint: String,
    },
    /// Two different certificates cannot be merged, nor can one be revoked by another's revocation.
    #[error("expected certificate {expected}, found {found}")]
    OtherCertificate {
        /// The fingerprint that was expected.
        expected: String,
        /// The fingerprint that came.
        found: String,
    },
    /// A revocation that is not validly signed by the certificate's own primary key.
    #[error(
        "no valid revocation of certificate {fingerprint} in this; expected what is printed by: gpg --gen-revoke {fingerprint}"
    )]
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
            Self::SecretKeyMaterial => "secret-key-material",
            Self::NotOpenPgp => "not-openpgp",
            Self::NotACertificate { .. } => "not-a-certificate",
            Self::SeveralCertificates => "several-certificates",
            Self::DamagedArmor => "damaged-armor",
            Self::Damaged => "damaged",
            Self::UnsupportedVersion { .. } => "unsupported-version",
            Self::UnsupportedAlgorithm { .. } => "unsupported-algorithm",
            Self::NoUserId { .. } => "no-user-id",
            Self::OtherCertificate { .. } => "other-certificate",
            Self::NoRevocation { .. } => "no-revocation",
        }
    }
}
