//! The public document. Every public format is a function of this value and of nothing else.
//!
//! It is made in the lift, from the published revision and from consented credits; a value of this type
//! therefore holds nothing that may not be public.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::case::PublicCredit;

/// A public advisory, one revision of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advisory {
    /// The public id, such as `EMB-2026-1`.
    pub id: String,
    /// 1 at the lift, counted up by amendments.
    pub revision: u32,
    /// The project's short name, as in addresses.
    pub project: String,
    /// The project's name.
    pub project_name: String,
    /// The project's time zone (IANA name), in which dates are also shown.
    pub zone: String,
    /// One line that names the vulnerability.
    pub title: String,
    /// What it is and whom it harms; plain text, paragraphs separated by an empty line.
    pub summary: String,
    /// Affected versions.
    pub affected: Vec<String>,
    /// Versions that carry the fix.
    pub fixed: Vec<String>,
    /// A CVSS vector or a word.
    pub severity: Option<String>,
    /// The CVE identifier.
    pub cve: Option<String>,
    /// The GitHub advisory.
    pub ghsa: Option<String>,
    /// What users can do without the fix.
    pub mitigation: Option<String>,
    /// The changelog entry's text.
    pub changelog: String,
    /// The name of the file with the changelog entry below the advisory's address, such as `changelog.md`; nothing if
    /// it could not be made.
    pub changelog_file: Option<String>,
    /// The fixes, one per branch, as packagers received them.
    pub fixes: Vec<PublicFix>,
    /// Branches that get no fix, with the reason.
    pub without_fix: Vec<BranchWithoutFix>,
    /// Commits that carry the fix.
    pub commits: Vec<PublicCommit>,
    /// Who is thanked, with consent.
    pub credits: Vec<PublicCredit>,
    /// What happened when.
    pub timeline: Timeline,
}

/// A fix as published: the same bytes that packagers received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicFix {
    /// The branch it is for.
    pub branch: String,
    /// Its file name below the advisory's address, such as `main.mbox`.
    pub file: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Subjects of the patches, in order; empty for a plain diff.
    pub subjects: Vec<String>,
    /// Stable patch-ids (`git patch-id --stable`), in order.
    pub patch_ids: Vec<String>,
    /// Names of the changed files.
    pub files: Vec<String>,
}

/// A supported branch that got no fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchWithoutFix {
    /// The branch.
    pub branch: String,
    /// Why.
    pub reason: String,
}

/// A commit in the public repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicCommit {
    /// The branch it is on.
    pub branch: String,
    /// Its full id.
    pub id: String,
    /// How sure we are.
    pub verdict: CommitVerdict,
}

/// How sure we are of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommitVerdict {
    /// Named before the lift by a maintainer.
    Announced,
    /// Seen in the public repository and equal to the fix by patch-id.
    Verified,
}

/// What happened when, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The case was opened.
    pub opened_at: DateTime<Utc>,
    /// Packagers were told.
    pub announced_at: DateTime<Utc>,
    /// The date packagers had been promised; none if it was lifted before there was one.
    pub agreed_at: Option<DateTime<Utc>>,
    /// It became public.
    pub lifted_at: DateTime<Utc>,
    /// Whether it was lifted before the agreed date.
    pub early: bool,
    /// How many packagers had been told before the lift.
    pub packagers_told: u32,
}
