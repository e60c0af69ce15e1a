//! Opens signed commands: messages encrypted to the server and signed by one registered person.
//!
//! It says who signed what; whether that person may do it, and whether the text is a request, is decided elsewhere.

use chrono::{DateTime, Utc};

use super::acceptance::Acceptance;
use super::certificate::Certificate;
use super::opening::{self, OpeningError};
use super::server_key::ServerKey;
use super::signature::{self, SignatureError};

/// The most bytes a command may have once opened; its sealed form may have half as much again, for the armor.
pub const MAX_COMMAND_BYTES: usize = 16 << 20;

/// What was inside a command, and who signed it.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedMessage {
    /// The signed bytes.
    pub text: Vec<u8>,
    /// The signer's place among the candidates.
    pub signer: usize,
    /// The primary fingerprint of the signer's certificate.
    pub fingerprint: String,
}

impl std::fmt::Debug for OpenedMessage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "OpenedMessage({} bytes by {})", self.text.len(), self.fingerprint)
    }
}

/// Why a command was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Too many bytes, sealed or opened.
    #[error("a command has at most {limit} bytes")]
    TooLarge {
        /// How many are taken.
        limit: usize,
    },
    /// Not an OpenPGP message.
    #[error(
        "this is not an OpenPGP message; expected what is printed by: gpg --sign --encrypt --recipient {server}"
    )]
    NotOpenPgp {
        /// The server's fingerprint.
        server: String,
    },
    /// Signed, perhaps, but not encrypted.
    #[error("the command is not encrypted; sign and encrypt it: gpg --sign --encrypt --recipient {server}")]
    NotEncrypted {
        /// The server's fingerprint.
        server: String,
    },
    /// Encrypted to somebody else.
    #[error(
        "the command is not encrypted to this server's key; use: gpg --sign --encrypt --recipient {server}"
    )]
    NotForThisServer {
        /// The server's fingerprint.
        server: String,
    },
    /// More layers or packets than a command has.
    #[error(
        "the command has unexpected layers; expected one signed text in one encrypted message: gpg --sign --encrypt"
    )]
    UnexpectedLayers,
    /// Changed or cut short on the way.
    #[error(
        "the command is damaged: it was changed or cut short; send the file unchanged (curl --data-binary)"
    )]
    Damaged,
    /// The signature does not count.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl CommandError {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::NotOpenPgp { .. } => "not-openpgp",
            Self::NotEncrypted { .. } => "not-encrypted",
            Self::NotForThisServer { .. } => "not-for-this-server",
            Self::UnexpectedLayers => "unexpected-layers",
            Self::Damaged => "damaged",
            Self::Signature(error) => error.code(),
        }
    }
}

/// Opens a command, armored or binary, and requires exactly one signature, good at `now`, by a signing key of one of
/// `candidates`.
pub fn open_command(
    message: &[u8],
    server: &ServerKey,
    candidates: &[(Certificate, Acceptance)],
    now: DateTime<Utc>,
) -> Result<OpenedMessage, CommandError> {
    if message.len() > MAX_COMMAND_BYTES / 2 * 3 {
        return Err(CommandError::TooLarge { limit: MAX_COMMAND_BYTES });
    }
    let mut failure = None;
    let opened = signature::by_acceptance(candidates, now, |jury| {
        let keys = server.decryption_keys();
        match opening::open(message, keys, server.certificate().cert(), jury, MAX_COMMAND_BYTES) {
            Ok(opening) => opening.signature.map(|verified| Some((opening.plaintext, verified))),
            Err(error) => {
                failure = Some(error);
                Ok(None)
            }
        }
    })?;
    match (opened, failure) {
        (Some((text, verified)), _) => {
            Ok(OpenedMessage { text, signer: verified.index, fingerprint: verified.fingerprint })
        }
        (None, failure) => Err(refusal(failure.unwrap_or(OpeningError::Damaged), server)),
    }
}

fn refusal(error: OpeningError, server: &ServerKey) -> CommandError {
    let server = server.fingerprint();
    match error {
        OpeningError::NotOpenPgp => CommandError::NotOpenPgp { server },
        OpeningError::NotEncrypted => CommandError::NotEncrypted { server },
        OpeningError::NotForUs => CommandError::NotForThisServer { server },
        OpeningError::TooLarge => CommandError::TooLarge { limit: MAX_COMMAND_BYTES },
        OpeningError::UnexpectedLayers => CommandError::UnexpectedLayers,
        OpeningError::Damaged => CommandError::Damaged,
    }
}
