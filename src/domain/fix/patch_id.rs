//! The stable patch-id of git: the name of a change, whichever commit carries it.
//!
//! Promises: the same 40 digits as `git patch-id --stable` of git 2.47 prints for the same
//! diff. White space, line numbers, object names and the order of files do not count; for binary files only the
//! object names do, as they are written: who compares with commits that hold binary files must ask git for them
//! in full, with `--full-index` or `--binary`, as `git format-patch` writes them.
//!
//! Two habits of git are kept because they are in every published patch-id: files without content share the
//! hash of the file that follows, and the `diff` line after a binary file is not hashed.
//!
//! One is not: lines that a mailer emptied inside a hunk count as empty lines here, which is how `git apply`
//! takes them, while `git patch-id` loses count at them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use super::diff::{Content, FileDiff};
use super::text::lines;

/// A stable patch-id, 40 lower-case hexadecimal digits when printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PatchId([u8; 20]);

/// A text that is no patch-id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a patch-id; expected 40 hexadecimal digits as git patch-id --stable prints them first")]
pub struct InvalidPatchId;

impl fmt::Display for PatchId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for PatchId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PatchId({self})")
    }
}

impl FromStr for PatchId {
    type Err = InvalidPatchId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 40 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidPatchId);
        }
        let mut bytes = [0; 20];
        for (byte, at) in bytes.iter_mut().zip((0..40).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| InvalidPatchId)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for PatchId {
    type Error = InvalidPatchId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PatchId> for String {
    fn from(id: PatchId) -> Self {
        id.to_string()
    }
}

#[derive(Default)]
struct Sum {
    hash: Sha1,
    total: [u8; 20],
    /// Object names on the last `index` line. Git keeps them from file to file.
    objects: (Vec<u8>, Vec<u8>),
}

impl Sum {
    /// Adds the hash so far as a number of 20 bytes, lowest first, and begins anew.
    fn flush(&mut self) {
        let mut carry = 0_u16;
        for (total, byte) in self.total.iter_mut().zip(self.hash.finalize_reset()) {
            carry += u16::from(*total) + u16::from(byte);
            let [low, high] = carry.to_le_bytes();
            (*total, carry) = (low, u16::from(high));
        }
    }

    /// Hashes a line without white space. Git reads it as a C string: a NUL ends it.
    fn line(&mut self, line: &[u8]) {
        let line = line.split(|byte| *byte == 0).next().unwrap_or(line);
        for word in line.split(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.hash.update(word);
        }
    }

    fn index(&mut self, objects: &[u8]) {
        let line = objects.strip_suffix(b"\n").unwrap_or(objects);
        let names = line.split(|byte| *byte == b' ').next().unwrap_or(line).trim_ascii_end();
        if let Some(dots) = names.windows(2).position(|pair| pair == b"..") {
            self.objects = (names[..dots].to_vec(), names[dots + 2..].to_vec());
        }
    }
}

/// The patch-id of the files of one patch. `None` where git gives none: for `diff -u` without `diff` lines.
pub(super) fn of_files(text: &[u8], files: &[&FileDiff]) -> Option<PatchId> {
    let mut sum = Sum::default();
    let mut before = Content::Nothing;
    for file in files {
        let header = &text[file.header.clone()];
        if !header.starts_with(b"diff ") {
            return None;
        }
        if before == Content::Hunks {
            sum.flush();
        }
        for line in lines(header).skip(usize::from(before == Content::Binary)) {
            match line.strip_prefix(b"index ") {
                Some(objects) => sum.index(objects),
                None => sum.line(line),
            }
        }
        if file.form == Content::Binary {
            let (old, new) = std::mem::take(&mut sum.objects);
            sum.hash.update(&old);
            sum.hash.update(&new);
            sum.objects = (old, new);
            sum.flush();
        } else {
            let content = lines(&text[file.content.clone()]);
            for line in content.filter(|line| !line.starts_with(b"@@") && !is_newline_note(line)) {
                sum.line(line);
            }
        }
        before = file.form;
    }
    if files.is_empty() {
        return None;
    }
    sum.flush();
    Some(PatchId(sum.total))
}

/// The line that says that no newline ends the file, in any language.
fn is_newline_note(line: &[u8]) -> bool {
    line.starts_with(b"\\ ") && line.len() > 12
}
