//! Why a fix is refused, said so that the maintainer can mend it.
//!
//! Promises: the sentences hold positions and counts, never a word of the fix, and end with what to do next.

use std::fmt;

/// Where in a fix something is. All numbers count from 1; a cover letter is no patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which patch.
    pub patch: usize,
    /// Which file of the patch.
    pub file: Option<usize>,
    /// Which hunk of the file.
    pub hunk: Option<usize>,
}

impl Place {
    pub(super) fn patch(patch: usize) -> Self {
        Self { patch, file: None, hunk: None }
    }

    pub(super) fn file(self, file: usize) -> Self {
        Self { file: Some(file), hunk: None, ..self }
    }

    pub(super) fn hunk(self, hunk: usize) -> Self {
        Self { hunk: Some(hunk), ..self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "patch {}", self.patch)?;
        if let Some(file) = self.file {
            write!(formatter, ", file {file}")?;
        }
        if let Some(hunk) = self.hunk {
            write!(formatter, ", hunk {hunk}")?;
        }
        Ok(())
    }
}

/// Packed forms that are recognised by their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// zip, also jar and whl.
    Zip,
    /// gzip, also tar.gz.
    Gzip,
    /// tar.
    Tar,
    /// xz.
    Xz,
    /// bzip2.
    Bzip2,
    /// Zstandard.
    Zstd,
    /// 7z.
    SevenZip,
}

impl fmt::Display for ArchiveKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Zip => "zip",
            Self::Gzip => "gzip",
            Self::Tar => "tar",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Zstd => "zstd",
            Self::SevenZip => "7z",
        })
    }
}

/// Why bytes are no fix that packagers can apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FixError {
    /// No bytes, or white space only.
    #[error("the fix is empty; upload the output of git format-patch --stdout --base=COMMIT")]
    Empty,
    /// More than [`super::MAX_BYTES`].
    #[error(
        "the fix has {bytes} bytes, at most {} are taken; leave out what is not needed to fix the flaw",
        super::MAX_BYTES
    )]
    TooLarge {
        /// The size of the upload.
        bytes: usize,
    },
    /// More than [`super::MAX_FILES`] changed files.
    #[error(
        "the fix changes more than {} files; leave out what is not needed to fix the flaw",
        super::MAX_FILES
    )]
    TooManyFiles,
    /// More than [`super::MAX_FILES`] mails.
    #[error("the fix has more than {} mails; upload the mails of one series only", super::MAX_FILES)]
    TooManyMails,
    /// A packed file.
    #[error("this is a {kind} archive, not a patch; unpack it and upload the patch itself")]
    Archive {
        /// Which form of packing.
        kind: ArchiveKind,
    },
    /// A web page, as a forge gives when the raw file was not asked for or a login is needed.
    #[error("this is an HTML page, not a patch; download the raw patch, or export it with git format-patch")]
    HtmlPage,
    /// An OpenPGP message inside the upload.
    #[error("this is an encrypted OpenPGP message, not a patch; decrypt it first and upload what was inside")]
    Encrypted,
    /// UTF-16, as some shells write redirected output.
    #[error(
        "the text is UTF-16, git cannot read it; export it with git format-patch --output=FILE, not by redirection"
    )]
    Utf16,
    /// No diff anywhere.
    #[error("there is no diff in it; upload the output of git format-patch, git diff or diff -u")]
    NoDiff,
    /// A mail whose declared transfer encoding cannot be undone.
    #[error(
        "{place}: the mail is not in the base64 or quoted-printable form that it declares; export it again with git format-patch"
    )]
    Encoding {
        /// Which patch.
        place: Place,
    },
    /// A hunk holds another number of lines than its header says.
    #[error(
        "{place}: the header promises {old} old and {new} new lines, {old_found} and {new_found} follow; \
         export it again with git format-patch"
    )]
    HunkCount {
        /// Which hunk.
        place: Place,
        /// Old lines promised.
        old: u32,
        /// New lines promised.
        new: u32,
        /// Old lines found.
        old_found: u32,
        /// New lines found.
        new_found: u32,
    },
    /// After the promised lines of a hunk come more.
    #[error(
        "{place}: more lines follow than the {old} old and {new} new lines that the header promises, and git would \
         drop them silently; export it again with git format-patch"
    )]
    HunkSurplus {
        /// Which hunk.
        place: Place,
        /// Old lines promised.
        old: u32,
        /// New lines promised.
        new: u32,
    },
    /// A line that begins like a hunk header and is none.
    #[error(
        "{place}: the hunk header is damaged, a form like @@ -1,7 +1,8 @@ is expected; export it again with git format-patch"
    )]
    HunkHeader {
        /// Which hunk.
        place: Place,
    },
    /// A hunk that belongs to no file.
    #[error("{place}: a hunk follows that belongs to no file; export it again with git format-patch")]
    HunkWithoutFile {
        /// After which file.
        place: Place,
    },
    /// The header of a file promises a change that does not follow.
    #[error(
        "{place}: the change announced by the header is missing; export it again with git format-patch, without -D"
    )]
    Incomplete {
        /// Which file.
        place: Place,
    },
    /// The lines of a file's header give different names, or a new file an old name.
    #[error("{place}: the lines of the header contradict each other; export it again with git format-patch")]
    HeaderContradicts {
        /// Which file.
        place: Place,
    },
    /// A git binary patch that is cut off or damaged.
    #[error("{place}: the binary patch is cut off or damaged; export it again with git format-patch")]
    BinaryDamaged {
        /// Which file.
        place: Place,
    },
    /// "Binary files differ": the content is not in the fix.
    #[error(
        "{place}: the fix only says that binary files differ, so nobody can apply it; export it again with git \
         format-patch --binary, or leave the file out"
    )]
    BinaryLeftOut {
        /// Which file.
        place: Place,
    },
    /// A symbolic link whose target lies outside the source tree or in a `.git` directory.
    #[error(
        "{place}: a symbolic link leads out of the source tree or into a .git directory; let it point to a file of the \
         tree, or leave it out"
    )]
    SymlinkOutside {
        /// Which file.
        place: Place,
    },
    /// The combined diff of a merge, which cannot be applied.
    #[error(
        "{place}: this is the combined diff of a merge, which nobody can apply; export the commits with git format-patch"
    )]
    CombinedDiff {
        /// Which file.
        place: Place,
    },
    /// A file name that cannot be made out.
    #[error("{place}: the file name cannot be read; export it again with git format-patch")]
    PathUnreadable {
        /// Which file.
        place: Place,
    },
    /// An absolute file name.
    #[error("{place}: the file name is absolute; make the diff inside the repository, with git format-patch")]
    PathAbsolute {
        /// Which file.
        place: Place,
    },
    /// A file name with a `..` component.
    #[error(
        "{place}: the file name leads out of the source tree by a .. component; make the diff at the top of the tree"
    )]
    PathOutside {
        /// Which file.
        place: Place,
    },
    /// A file name inside a `.git` directory, in any spelling that some file system takes for it.
    #[error("{place}: the file lies in a .git directory, git refuses it; leave this file out")]
    PathInGit {
        /// Which file.
        place: Place,
    },
    /// A control character in a file name.
    #[error("{place}: the file name holds a control character; rename the file or leave it out")]
    PathControl {
        /// Which file.
        place: Place,
    },
    /// A control character in a subject.
    #[error(
        "{place}: the subject holds a control character; reword the commit and export it again with git format-patch"
    )]
    SubjectControl {
        /// Which patch.
        place: Place,
    },
    /// A control character in the name of an author.
    #[error(
        "{place}: the author's name holds a control character; correct it and export it again with git format-patch"
    )]
    AuthorControl {
        /// Which patch.
        place: Place,
    },
}

impl FixError {
    /// The reason as a word that does not change between versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too-large",
            Self::TooManyFiles => "too-many-files",
            Self::TooManyMails => "too-many-mails",
            Self::Archive { .. } => "archive",
            Self::HtmlPage => "html-page",
            Self::Encrypted => "encrypted",
            Self::Utf16 => "utf-16",
            Self::NoDiff => "no-diff",
            Self::Encoding { .. } => "encoding",
            Self::HunkCount { .. } => "hunk-count",
            Self::HunkSurplus { .. } => "hunk-surplus",
            Self::HunkHeader { .. } => "hunk-header",
            Self::HunkWithoutFile { .. } => "hunk-without-file",
            Self::Incomplete { .. } => "incomplete",
            Self::HeaderContradicts { .. } => "header-contradicts",
            Self::BinaryDamaged { .. } => "binary-damaged",
            Self::BinaryLeftOut { .. } => "binary-left-out",
            Self::SymlinkOutside { .. } => "symlink-outside",
            Self::CombinedDiff { .. } => "combined-diff",
            Self::PathUnreadable { .. } => "path-unreadable",
            Self::PathAbsolute { .. } => "path-absolute",
            Self::PathOutside { .. } => "path-outside",
            Self::PathInGit { .. } => "path-in-git",
            Self::PathControl { .. } => "path-control",
            Self::SubjectControl { .. } => "subject-control",
            Self::AuthorControl { .. } => "author-control",
        }
    }
}
