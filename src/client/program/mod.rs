//! The user's own OpenPGP program, which holds the user's key: `gpg`, or `sq` where there is no gpg.
//!
//! Every operation is one run of the program. Passphrases are between the program and the user.

mod child;
mod gpg;
mod sq;
mod status;

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::entropy::Entropy;
use gpg::Gpg;
use sq::Sq;

/// A program that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgramKind {
    /// `GnuPG`, 2.2 or newer.
    Gpg,
    /// Sequoia's command line, 0.27.
    Sq,
}

/// Which program the user wants, and where it finds its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The program; if none is named, gpg, and sq where there is no gpg.
    pub program: Option<ProgramKind>,
    /// gpg's home directory, if it is not the usual one.
    pub gnupg_home: Option<PathBuf>,
    /// The file with the secret key, which only sq needs.
    pub key_file: Option<PathBuf>,
}

/// Which of the user's certificates is meant.
#[derive(Clone, Copy, Debug, Default)]
pub enum Own<'a> {
    /// The only one there is.
    #[default]
    Only,
    /// The one with this fingerprint, key id or address.
    Named(&'a str),
    /// The one in these bytes.
    Given(&'a [u8]),
}

/// A certificate and its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCertificate {
    /// Upper-case hex, 40 or 64 digits.
    pub fingerprint: String,
    /// The bytes, armored or not.
    pub bytes: Vec<u8>,
}

/// The server's certificate, as it was pinned.
#[derive(Clone, Copy, Debug)]
pub struct ServerKey<'a> {
    /// Upper-case hex.
    pub fingerprint: &'a str,
    /// Armored.
    pub certificate: &'a str,
}

/// What can be done with a program.
pub trait OpenPgp {
    /// Which program it is.
    fn kind(&self) -> ProgramKind;
    /// The user's certificate; its secret key is at hand.
    fn own_certificate(&self, own: Own<'_>) -> Result<OwnCertificate, ProgramError>;
    /// The fingerprint of the only certificate in `bytes`.
    fn fingerprint(&self, bytes: &[u8]) -> Result<String, ProgramError>;
    /// Puts the server's certificate where the program finds it.
    fn keep(&self, certificate: &[u8]) -> Result<(), ProgramError>;
    /// Decrypts a message of which nobody says who signed it: a login challenge.
    fn decrypt(&self, message: &[u8]) -> Result<Vec<u8>, ProgramError>;
    /// Decrypts a message that must be encrypted, and signed by the server.
    fn open(&self, message: &[u8], server: &ServerKey<'_>) -> Result<Vec<u8>, ProgramError>;
    /// Signs as `own`, then encrypts to the server and to nobody else. Armored.
    fn seal(&self, text: &[u8], own: &str, server: &ServerKey<'_>) -> Result<Vec<u8>, ProgramError>;
    /// A detached signature as `own`, armored.
    fn sign_detached(&self, bytes: &[u8], own: &str) -> Result<String, ProgramError>;
}

/// Trouble with gpg or sq. The program's own words are for the user's screen only.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// Not installed.
    #[error(
        "{program} is not installed or not on the PATH; install GnuPG, or name the other program: --program gpg, --program sq"
    )]
    Absent {
        /// Its name.
        program: &'static str,
    },
    /// A version whose options are not known.
    #[error(
        "this is {found}; expected sq 0.27, whose options are known here; use gpg instead: --program gpg"
    )]
    Version {
        /// What it says it is.
        found: String,
    },
    /// It ended with an error.
    #[error("{program} could not {doing}{}", if words.is_empty() { String::new() } else { format!("; it says:\n{words}") })]
    Failed {
        /// Its name.
        program: &'static str,
        /// What it was to do.
        doing: &'static str,
        /// What it said.
        words: String,
    },
    /// There is no secret key.
    #[error("{program} has no secret key{}; name one that it has with --key FINGERPRINT, or another home with --gnupg-home", wanted.as_ref().map_or(String::new(), |wanted| format!(" for {wanted:?}")))]
    NoSecretKey {
        /// Its name.
        program: &'static str,
        /// What was asked for.
        wanted: Option<String>,
    },
    /// There are several.
    #[error("there is more than one secret key; choose with --key FINGERPRINT:\n{}", candidates.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))]
    SeveralSecretKeys {
        /// Fingerprints and user ids.
        candidates: Vec<String>,
    },
    /// sq keeps no keys by itself.
    #[error("sq needs the file with your secret key: --key-file FILE")]
    NoKeyFile,
    /// Not exactly one certificate.
    #[error("expected exactly one OpenPGP certificate, found {count}")]
    NotOneCertificate {
        /// How many there are.
        count: usize,
    },
    /// What came is not sealed as it must be.
    #[error("the server's message was not accepted: {trouble}")]
    NotTheServer {
        /// Why.
        trouble: SealTrouble,
    },
    /// The system refused.
    #[error("{program} could not be run: {source}")]
    Io {
        /// Its name.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Why a message does not count as the server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealTrouble {
    /// Anybody on the way could have read it.
    #[error("it is not encrypted")]
    NotEncrypted,
    /// No signature.
    #[error("it is not signed")]
    NotSigned,
    /// A signature that does not fit.
    #[error("its signature is bad; somebody changed it on the way")]
    Bad,
    /// A good signature of a key that has ended.
    #[error("the server's key has expired or is revoked; log in again to fetch it, and tell the operator")]
    KeyEnded,
    /// Signed by somebody else.
    #[error("it is signed by {found}, expected the pinned server key {pinned}")]
    Other {
        /// The primary fingerprint of the signer.
        found: String,
        /// The pinned one.
        pinned: String,
    },
    /// Signed by a key that is not at hand.
    #[error("it is signed by a key that is not known here, expected the pinned server key {pinned}")]
    Unknown {
        /// The pinned one.
        pinned: String,
    },
}

/// Where programs come from.
#[derive(Clone, Debug)]
pub struct Programs {
    entropy: Entropy,
}

impl Programs {
    /// Programs on the PATH; `entropy` names the files that they need for a moment.
    pub fn new(entropy: Entropy) -> Self {
        Self { entropy }
    }

    /// The program that the user wants, found and asked for its version.
    pub fn open(&self, choice: &Choice) -> Result<Box<dyn OpenPgp>, ProgramError> {
        let gpg = || Gpg::find(choice.gnupg_home.clone(), self.entropy.clone());
        let sq = || Sq::find(choice.key_file.clone(), self.entropy.clone());
        match choice.program {
            Some(ProgramKind::Gpg) => Ok(Box::new(gpg()?)),
            Some(ProgramKind::Sq) => Ok(Box::new(sq()?)),
            None => match gpg() {
                Ok(gpg) => Ok(Box::new(gpg)),
                Err(error @ ProgramError::Absent { .. }) => match sq() {
                    Ok(sq) => Ok(Box::new(sq)),
                    Err(ProgramError::Absent { .. }) => Err(error),
                    Err(other) => Err(other),
                },
                Err(error) => Err(error),
            },
        }
    }
}
