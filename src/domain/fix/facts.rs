//! What can be said of a fix without judging it.
//!
//! Promises: facts are for people and for records; whoever applies the fix reads the fix.

use serde::{Deserialize, Serialize};

use super::error::FixError;
use super::lint::{self, Remark};
use super::mbox::{Mail, Part, is_object_name};
use super::patch_id::{self, PatchId};
use super::text::{bare, lines};

/// How a fix was uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Several mails, such as a cover letter and a patch.
    Series,
    /// One mail.
    Mail,
    /// A diff without any mail header.
    PlainDiff,
}

/// What was read in a fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixFacts {
    /// How it was uploaded.
    pub form: Form,
    /// Its size in bytes.
    pub size: u64,
    /// The commit it applies to, from `git format-patch --base`.
    pub base_commit: Option<String>,
    /// The mails that hold a diff, in order; a cover letter is not among them.
    pub patches: Vec<PatchFacts>,
    /// What the maintainer should look at before packagers do.
    pub remarks: Vec<Remark>,
}

/// What was read in one patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchFacts {
    /// The subject, decoded, without `[PATCH 1/2]`.
    pub subject: Option<String>,
    /// The author as `Name <address>`.
    pub author: Option<String>,
    /// The commit it was made from, if the mail says so.
    pub commit: Option<String>,
    /// The files it changes, in order.
    pub files: Vec<FileChange>,
    /// Lines added.
    pub added: u32,
    /// Lines removed.
    pub removed: u32,
    /// What `git patch-id --stable` prints. A `diff -u` without `diff` lines has none.
    pub patch_id: Option<PatchId>,
}

/// One changed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Its name without prefix, after the change. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Its name before, if it was renamed or copied.
    pub previous: Option<String>,
    /// What happens to it.
    pub kind: ChangeKind,
}

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It goes away.
    Deleted,
    /// Its lines change.
    Modified,
    /// It gets another name, and perhaps other lines.
    Renamed,
    /// It is a copy of another, perhaps with other lines.
    Copied,
    /// Only its mode changes.
    ModeChanged,
    /// It is binary and is replaced, added or deleted.
    Binary,
}

pub(super) fn state(upload: &[u8], mails: &[Mail]) -> Result<FixFacts, FixError> {
    let patches: Vec<&Mail> = mails.iter().filter(|mail| mail.body.has_diff()).collect();
    let written = mails.iter().filter(|mail| mail.is_mail() || mail.body.has_diff()).count();
    let form = match patches.first() {
        None => return Err(FixError::NoDiff),
        Some(_) if written > 1 => Form::Series,
        Some(patch) if patch.is_mail() => Form::Mail,
        Some(_) => Form::PlainDiff,
    };
    let base_commit = base_commit(upload, mails);
    let remarks = lint::remarks(upload, mails, form, base_commit.is_some());
    Ok(FixFacts {
        form,
        size: u64::try_from(upload.len()).unwrap_or(u64::MAX),
        base_commit,
        patches: patches.into_iter().map(|mail| patch(upload, mail)).collect(),
        remarks,
    })
}

fn patch(upload: &[u8], mail: &Mail) -> PatchFacts {
    let files: Vec<_> = mail.body.files().collect();
    PatchFacts {
        subject: mail.subject.clone(),
        author: mail.author.clone(),
        commit: mail.commit.clone(),
        added: files.iter().map(|file| file.added).sum(),
        removed: files.iter().map(|file| file.removed).sum(),
        patch_id: patch_id::of_files(mail.body.text(upload), &files),
        files: files.into_iter().map(|file| file.change.clone()).collect(),
    }
}

fn base_commit(upload: &[u8], mails: &[Mail]) -> Option<String> {
    mails.iter().find_map(|mail| {
        let text = mail.body.text(upload);
        mail.body.parts.iter().find_map(|part| {
            let Part::Text(span) = part else { return None };
            let commit = lines(&text[span.clone()])
                .filter_map(|line| bare(line).strip_prefix(b"base-commit: "))
                .find(|commit| is_object_name(commit))?;
            Some(String::from_utf8_lossy(commit).to_ascii_lowercase())
        })
    })
}
