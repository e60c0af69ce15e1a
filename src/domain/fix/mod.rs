//! A fix: one patch series for one branch, as a maintainer uploaded it.
//!
//! Promises: the bytes stay as they came, byte for byte; what `git am` would read wrongly or not at all is
//! refused with a sentence that says where and what to do; facts, patch-ids and remarks are functions of the
//! bytes alone. Every scan is linear in the size of the upload. No error and no remark repeats a word of the
//! fix: they give positions and counts, so that they may be shown and logged.
//!
//! Refuses to know: whose fix it is, whether it applies to any tree, and what a commit is.

mod binary;
mod diff;
mod error;
mod facts;
#[cfg(test)]
mod golden;
mod header;
mod hunk;
#[cfg(test)]
mod laws;
mod lint;
mod mbox;
mod patch_id;
mod path;
mod range;
#[cfg(test)]
mod tests;
mod text;
mod upload;

use std::fmt;

pub use error::{ArchiveKind, FixError, Place};
pub use facts::{ChangeKind, FileChange, FixFacts, Form, PatchFacts};
pub use lint::{Remark, RemarkCode};
pub use patch_id::{InvalidPatchId, PatchId};
pub use range::{Comparison, Pair, compare};

/// The largest fix that is taken: 10 MiB.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;

/// How many changed files one fix may hold over all its patches, and how many mails.
pub const MAX_FILES: usize = 1000;

/// A fix that was read and found well formed. It owns the uploaded bytes.
pub struct Fix {
    bytes: Vec<u8>,
    mails: Vec<mbox::Mail>,
    facts: FixFacts,
}

impl Fix {
    /// Reads the bytes of a fix: an mbox of `git format-patch`, a single mail, or a plain diff.
    ///
    /// # Errors
    ///
    /// See [`FixError`]. The same bytes always give the same answer.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, FixError> {
        upload::refuse(&bytes)?;
        let mails = mbox::read(&bytes)?;
        let facts = facts::state(&bytes, &mails)?;
        Ok(Self { bytes, mails, facts })
    }

    /// The fix as it was uploaded.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was read in it.
    pub fn facts(&self) -> &FixFacts {
        &self.facts
    }

    /// The fix put together again from the parts that were read; always equal to [`Fix::bytes`].
    ///
    /// A part that the reader overlooked would be missing here, which is what the tests look for.
    pub fn print(&self) -> Vec<u8> {
        let mut printed = Vec::with_capacity(self.bytes.len());
        for span in self.mails.iter().flat_map(mbox::Mail::spans) {
            printed.extend_from_slice(&self.bytes[span]);
        }
        printed
    }

    /// The mails that hold a diff, in the order of [`FixFacts::patches`].
    fn patches(&self) -> impl Iterator<Item = &mbox::Mail> {
        self.mails.iter().filter(|mail| mail.body.has_diff())
    }
}

impl fmt::Debug for Fix {
    /// Says the size only: a fix is secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fix({} bytes)", self.bytes.len())
    }
}
