//! What can go wrong on this side of the wire.

use std::io;
use std::path::PathBuf;

use crate::client::{ClientError, InvalidAddress, ProfileError, ProgramError};
use crate::wire::NeutralEmbargo;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// See [`ClientError`].
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file could not be read.
    #[error("{} could not be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file could not be written.
    #[error("{} could not be written: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// Something else is in the way.
    #[error("{} is already there with other content; nothing was overwritten, name another place: --output DIR", path.display())]
    InTheWay { path: PathBuf },
    /// A file that is no advisory of GitHub.
    #[error("{} is no advisory; expected the JSON object that this prints: gh api repos/OWNER/REPO/security-advisories/GHSA-...", path.display())]
    NoAdvisory { path: PathBuf },
    /// A file that is no list of credits.
    #[error("{} is no list of credits; expected [[credits]] with person, role, consent, and \"as\" for an alias or name; see embargoctl credit --help", path.display())]
    NoCredits { path: PathBuf },
    /// A text that is no case.
    #[error("line {line} of the text cannot be taken; expected TOML with no other keys than: {keys}")]
    NoText { line: usize, keys: &'static str },
    /// The text did not reach the server.
    #[error("{source}\nyour text is kept in {}; send it with: embargoctl edit {id} --file {}", path.display(), path.display())]
    TextKept { path: PathBuf, id: String, source: Box<CliError> },
    /// The editor did not end well.
    #[error("the editor ended with an error; set VISUAL or EDITOR to one that works")]
    Editor,
    /// The user said no, or could not be asked.
    #[error("not confirmed, nothing was sent; add --yes to send it without being asked")]
    NotConfirmed,
    /// Nothing to fetch.
    #[error("no revision of {id} has been sent yet; embargoctl show {id} says when it is due")]
    NoRevision { id: String },
    /// Nothing more to fetch: it ended without a fix.
    #[error("{id} was cancelled: there is nothing to fetch any more, and no more work on it")]
    Cancelled { id: String },
    /// Nothing more to fetch: it is public.
    #[error("{id} was lifted: it is public, as {advisory} on the server's pages")]
    Lifted { id: String, advisory: String },
    /// A notice of a form that is not known.
    #[error(
        "the notice is signed by the server, but not of the expected form; embargoctl may be older than the server"
    )]
    NoNotice,
    /// A fix of another size than was said.
    #[error("fix {fix} has {found} bytes, expected {expected}; nothing was written, fetch again")]
    Size { fix: String, found: usize, expected: u64 },
    /// An older revision whose fixes did not fit into the mail.
    #[error(
        "the fixes of revision {revision} are not inside its notice, and only those of the newest revision can be fetched"
    )]
    OldFixes { revision: u32 },
    /// No or several fixes where one is needed.
    #[error("choose one fix with --branch; this revision has: {}", names.join(", "))]
    Branch { names: Vec<String> },
    /// Not in a source package.
    #[error(
        "there is no directory debian here; run this in the unpacked source package, or name the place: --output DIR"
    )]
    NoDebian,
    /// A notice without a code.
    #[error("no receipt code was found in the notice; read it and give it by hand: --code CODE")]
    NoCode,
}

impl CliError {
    /// Why an embargo has no revision that could be fetched.
    pub(super) fn no_revision(embargo: &NeutralEmbargo) -> Self {
        let id = embargo.id.clone();
        match (embargo.stage.as_str(), &embargo.advisory) {
            ("cancelled", _) => Self::Cancelled { id },
            ("lifted", advisory) => {
                Self::Lifted { id, advisory: advisory.clone().unwrap_or_else(|| "an advisory".to_owned()) }
            }
            _ => Self::NoRevision { id },
        }
    }

    /// The exit code, as `--help` says.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Client(error) => error.exit_code(),
            Self::TextKept { source, .. } => source.exit_code(),
            Self::NotConfirmed
            | Self::NoRevision { .. }
            | Self::Cancelled { .. }
            | Self::Lifted { .. }
            | Self::OldFixes { .. }
            | Self::NoCode => 1,
            Self::NoNotice | Self::Size { .. } => 4,
            _ => 2,
        }
    }
}

impl From<ProfileError> for CliError {
    fn from(error: ProfileError) -> Self {
        Self::Client(error.into())
    }
}

impl From<ProgramError> for CliError {
    fn from(error: ProgramError) -> Self {
        Self::Client(error.into())
    }
}

impl From<InvalidAddress> for CliError {
    fn from(error: InvalidAddress) -> Self {
        Self::Client(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_not_said_to_be_due_still() {
        let embargo = |stage: &str, advisory: Option<&str>| NeutralEmbargo {
            id: "b7k2-9fq1".to_owned(),
            stage: stage.to_owned(),
            version: 3,
            lifts_at: None,
            notice_at: None,
            announced_at: None,
            ended_at: None,
            revision: None,
            fixes: Vec::new(),
            advisory: advisory.map(str::to_owned),
            own: None,
        };
        let said = |stage, advisory| CliError::no_revision(&embargo(stage, advisory)).to_string();
        assert!(said("cancelled", None).starts_with("b7k2-9fq1 was cancelled"));
        assert!(said("lifted", Some("EMB-2026-1")).contains("lifted: it is public, as EMB-2026-1"));
        assert!(said("scheduled", None).contains("says when it is due"));
    }
}
