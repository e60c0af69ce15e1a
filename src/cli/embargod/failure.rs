//! Why a command did not do what it was asked to, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::app::Refusal;
use crate::cli::assembly::AssemblyError;
use crate::config::ConfigError;
use crate::domain::address::Address;
use crate::store::StoreError;

/// A command that was refused or failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// See [`ConfigError`].
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// See [`Refusal`].
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// See [`AssemblyError`].
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// A file or folder.
    #[error("{} cannot be {done}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was to be done to it.
        done: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A value in a file or on the command line that is well formed and yet of no use.
    #[error("{what}; cure: {cure}")]
    Unfit {
        /// What is wrong.
        what: String,
        /// What to do about it.
        cure: String,
    },
    /// The operating system refused something that has no path.
    #[error("the operating system refused {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Failure {
    /// Something that is of no use, and what to do about it.
    pub(super) fn unfit(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::Unfit { what: what.into(), cure: cure.into() }
    }

    /// A file that could not be read, written or made.
    pub(super) fn file(path: impl Into<PathBuf>, done: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, done, source }
    }

    /// Something the operating system would not do.
    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// What was wrong and, where it is known, the cure.
    pub(super) fn parts(&self) -> (String, Option<String>) {
        let text = self.to_string();
        match text.split_once("; cure: ") {
            Some((what, cure)) => (what.to_owned(), Some(cure.to_owned())),
            None => (text, None),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Assembly(error.into())
    }
}

/// Reads the server's own address.
pub(super) fn sender(text: &str) -> Result<Address, Failure> {
    text.parse().map_err(|error| {
        Failure::unfit(
            format!("mail.from cannot be used: {error}"),
            "write an address that this server may send from, such as embargo@host.example",
        )
    })
}
