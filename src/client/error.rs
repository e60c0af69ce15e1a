//! What can go wrong between the user and the server, and the exit code that says so to a script.

use super::address::InvalidAddress;
use super::ids::IdError;
use super::login::LoginError;
use super::profile::ProfileError;
use super::program::ProgramError;
use super::transport::TransportError;
use crate::wire::Problem;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server refused, and said why.
    #[error("{}: {}", problem.title, problem.detail)]
    Refused {
        /// What it said.
        problem: Box<Problem>,
    },
    /// The token is no longer taken.
    #[error("{detail}; log in again: embargoctl login {server}")]
    TokenRefused {
        /// What the server said.
        detail: String,
        /// Its address.
        server: String,
    },
    /// A status that no embargod gives with such a body.
    #[error("the server answered with status {status} and no explanation; is {server} an embargod?")]
    Unexpected {
        /// The HTTP status.
        status: u16,
        /// Its address.
        server: String,
    },
    /// An answer that is not of the agreed form.
    #[error(
        "the server's answer is not of the expected form ({expected}); embargoctl and embargod may be too far apart in version"
    )]
    Form {
        /// What was expected.
        expected: &'static str,
    },
    /// A case that is not the one that was asked for: an answer that was recorded and played again.
    #[error("the server's answer is about another embargo than {asked}; nothing in it was used, ask again")]
    OtherEmbargo {
        /// The id that was asked for.
        asked: String,
    },
    /// Only maintainers may see the case.
    #[error("the server shows {id} to this key only as to a packager; this command is for maintainers")]
    NotAMaintainer {
        /// The id.
        id: String,
    },
    /// The command left, its answer did not arrive, twice.
    #[error(
        "the answer was lost twice ({detail}), so it is uncertain whether the server carried the command out; look before you repeat it: embargoctl list, embargoctl show ID"
    )]
    Uncertain {
        /// What happened the second time.
        detail: String,
    },
    /// See [`TransportError`].
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// See [`ProgramError`].
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// See [`ProfileError`].
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// See [`LoginError`].
    #[error(transparent)]
    Login(#[from] LoginError),
    /// See [`IdError`].
    #[error(transparent)]
    Id(#[from] IdError),
    /// See [`InvalidAddress`].
    #[error(transparent)]
    Address(#[from] InvalidAddress),
}

impl ClientError {
    /// 1 refused, 2 usage, 3 not logged in, 4 server or network, 5 gpg or sq.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { problem } if problem.status == 401 => 3,
            Self::Refused { problem } if problem.status >= 500 => 4,
            Self::Refused { .. } | Self::NotAMaintainer { .. } => 1,
            Self::Id(_) | Self::Address(_) => 2,
            Self::Profile(error) => error.exit_code(),
            Self::TokenRefused { .. } => 3,
            Self::Unexpected { .. }
            | Self::Form { .. }
            | Self::OtherEmbargo { .. }
            | Self::Uncertain { .. }
            | Self::Transport(_) => 4,
            Self::Program(_) => 5,
            Self::Login(error) => error.exit_code(),
        }
    }
}
