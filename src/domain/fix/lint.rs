//! What is allowed in a fix and yet should be looked at before packagers, and later everybody, see it.
//!
//! Promises: remarks never refuse anything. Their sentences give positions and counts, never a word of the fix.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::diff::FileDiff;
use super::facts::Form;
use super::mbox::{Mail, is_object_name};
use super::text::{bare, lines};

/// A reason to look again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// Which one.
    pub code: RemarkCode,
    /// The patch it is about, counted from 1; none if it is about the whole fix.
    pub patch: Option<u32>,
    /// What was seen, and what to do about it.
    pub sentence: String,
}

/// The kinds of remarks. Their names in JSON do not change between versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemarkCode {
    /// A diff without message and author.
    PlainDiff,
    /// No `base-commit:` line.
    NoBaseCommit,
    /// The subjects count more patches than there are, or others.
    SeriesIncomplete,
    /// A mail without a diff, such as a cover letter.
    CoverLetter,
    /// A patch in a mail without subject.
    NoSubject,
    /// A patch in a mail without author.
    NoAuthor,
    /// The mail names recipients.
    Recipients,
    /// A CVE identifier in the subject.
    CveInSubject,
    /// A CVE identifier in the commit message.
    CveInMessage,
    /// Text between the line `---` and the diff.
    TextBelowSeparator,
    /// Text below the diff, beyond base and version.
    TextBelowDiff,
    /// The diffstat counts other lines than the diff holds.
    DiffstatDiffers,
    /// File names without `a/` and `b/`.
    NoPathPrefix,
    /// No patch-id, because there are no `diff` lines.
    NoPatchId,
    /// Characters that reverse the direction of text.
    DirectionControl,
}

pub(super) fn remarks(upload: &[u8], mails: &[Mail], form: Form, based: bool) -> Vec<Remark> {
    let mut found = Found { remarks: Vec::new(), patch: None };
    if form == Form::PlainDiff {
        found.add(
            RemarkCode::PlainDiff,
            "the fix has no author and no message, and git am does not take it; git format-patch gives both"
                .to_owned(),
        );
    }
    if !based {
        found.add(
            RemarkCode::NoBaseCommit,
            "the fix does not say which commit it applies to; export it with git format-patch --base=COMMIT"
                .to_owned(),
        );
    }
    series(mails, &mut found);
    let mut number = 0;
    for mail in mails {
        if mail.body.has_diff() {
            number += 1;
            found.patch = Some(number);
            patch(upload, mail, &mut found);
        } else if mail.is_mail() {
            found.patch = None;
            found.add(
                RemarkCode::CoverLetter,
                format!(
                    "a mail without a diff stands before patch {}; packagers will read its text",
                    number + 1
                ),
            );
        }
    }
    found.remarks
}

struct Found {
    remarks: Vec<Remark>,
    patch: Option<u32>,
}

impl Found {
    fn add(&mut self, code: RemarkCode, sentence: String) {
        self.remarks.push(Remark { code, patch: self.patch, sentence });
    }

    /// Adds a remark about the current patch, if there is anything to remark.
    fn count(&mut self, code: RemarkCode, count: usize, what: &str, advice: &str) {
        if count > 0 {
            let place = self.patch.map(|number| format!("patch {number}: ")).unwrap_or_default();
            let plural = if count == 1 { "" } else { "s" };
            self.add(code, format!("{place}{count} {what}{plural} {advice}"));
        }
    }
}

/// Whether the patches are the ones that their subjects count.
fn series(mails: &[Mail], found: &mut Found) {
    let Some(total) = mails.iter().filter_map(|mail| mail.position).map(|(_, total)| total).max() else {
        return;
    };
    let mut numbers: Vec<usize> = mails
        .iter()
        .filter_map(|mail| mail.position)
        .map(|(number, _)| number)
        .filter(|number| *number > 0)
        .collect();
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    if count != total || numbers.len() != total {
        found.add(
            RemarkCode::SeriesIncomplete,
            format!("the subjects count a series of {total} patches, {count} are here; upload all mails of one series"),
        );
    }
}

fn patch(upload: &[u8], mail: &Mail, found: &mut Found) {
    if mail.is_mail() {
        let missing = |part: &Option<String>| usize::from(part.is_none());
        let advice = "is missing; git am will ask for it";
        found.count(RemarkCode::NoSubject, missing(&mail.subject), "subject", advice);
        found.count(RemarkCode::NoAuthor, missing(&mail.author), "author", advice);
    }
    found.count(
        RemarkCode::Recipients,
        usize::from(mail.addressed),
        "list",
        "of recipients is in the mail header; packagers will see who they are",
    );
    let (message, below) = mail.body.opening(upload);
    let in_subject = mail.subject.as_deref().is_some_and(|subject| names_cve(subject.as_bytes()));
    let advice = "will be public as soon as the commit is, also if the commit is pushed before the lift";
    found.count(
        RemarkCode::CveInSubject,
        usize::from(in_subject),
        "CVE identifier",
        &format!("in the subject: it {advice}"),
    );
    let in_message = lines(message).filter(|line| names_cve(line)).count();
    found.count(
        RemarkCode::CveInMessage,
        in_message,
        "line",
        &format!("with a CVE identifier in the message: it {advice}"),
    );
    let advice = "not part of the commit, packagers will read it; remove what is not meant for them";
    let remarks =
        lines(below).map(bare).take_while(|line| !is_boundary(line)).filter(|line| is_remark(line)).count();
    found.count(
        RemarkCode::TextBelowSeparator,
        remarks,
        "line",
        &format!("between \"---\" and the diff: {advice}"),
    );
    let trailing = mail.body.remainder(upload).map(trailing_lines).sum();
    found.count(RemarkCode::TextBelowDiff, trailing, "line", &format!("below the diff: {advice}"));
    files(upload, mail, below, found);
}

fn files(upload: &[u8], mail: &Mail, below: &[u8], found: &mut Found) {
    let text = mail.body.text(upload);
    // Git shows a file that becomes a link as deleted and added, and counts it once.
    let paths: HashSet<&str> = mail.body.files().map(|file| file.change.path.as_str()).collect();
    let (mut added, mut removed) = (0, 0);
    let (mut unprefixed, mut nameless, mut reversed) = (0, 0, 0);
    for file in mail.body.files() {
        added += file.added;
        removed += file.removed;
        unprefixed +=
            usize::from(file.without_prefix && text[file.header.clone()].starts_with(b"diff --git "));
        nameless += usize::from(!text[file.header.clone()].starts_with(b"diff "));
        reversed += added_lines(text, file).filter(|line| has_direction_control(line)).count();
    }
    let differs = |(files, plus, minus): (usize, u32, u32)| {
        files != paths.len() || !counts_binary(below) && (plus, minus) != (added, removed)
    };
    if lines(below).find_map(diffstat).is_some_and(differs) {
        let sentence = "the diffstat counts other files or lines than the diff holds; if nobody edited it, a part is lost";
        let place = found.patch.map(|number| format!("patch {number}: ")).unwrap_or_default();
        found.add(RemarkCode::DiffstatDiffers, format!("{place}{sentence}"));
    }
    let advice = "without the prefixes a/ and b/, packagers need git am -p0; export with --default-prefix";
    found.count(RemarkCode::NoPathPrefix, unprefixed, "file", advice);
    let advice =
        "without a \"diff\" line, so the patch has no patch-id to be found by; git format-patch gives one";
    found.count(RemarkCode::NoPatchId, nameless, "file", advice);
    let advice =
        "with characters that reverse the direction of text, readers see another order; look at the bytes";
    found.count(RemarkCode::DirectionControl, reversed, "added line", advice);
}

/// Whether the diffstat holds a binary file. It counts no lines, and yet the diff may show it as text.
fn counts_binary(below: &[u8]) -> bool {
    let count =
        |line: &[u8]| line.rsplit(|byte| *byte == b'|').next().map(<[u8]>::trim_ascii) == Some(b"Bin");
    lines(below).any(|line| count(line) || line.windows(6).any(|part| part == b"| Bin "))
}

fn added_lines<'text>(text: &'text [u8], file: &FileDiff) -> impl Iterator<Item = &'text [u8]> {
    lines(&text[file.content.clone()]).filter(|line| line.starts_with(b"+"))
}

/// U+202A to U+202E and U+2066 to U+2069, in UTF-8.
fn has_direction_control(line: &[u8]) -> bool {
    line.windows(3).any(|bytes| matches!(bytes, [0xe2, 0x80, 0xaa..=0xae] | [0xe2, 0x81, 0xa6..=0xa9]))
}

/// Whether something like CVE-2026-0042 stands in the line.
fn names_cve(line: &[u8]) -> bool {
    let digits = |part: &[u8]| part.len() == 4 && part.iter().all(u8::is_ascii_digit);
    line.windows(13).any(|found| {
        found[..4].eq_ignore_ascii_case(b"CVE-")
            && digits(&found[4..8])
            && found[8] == b'-'
            && digits(&found[9..])
    })
}

/// A line that separates the parts of a MIME mail, or rules off a text.
fn is_boundary(line: &[u8]) -> bool {
    line.starts_with(b"------")
}

/// Whether a line below `---` is somebody's words: not empty, not from the diffstat.
fn is_remark(line: &[u8]) -> bool {
    const SUMMARY: [&[u8]; 6] =
        [b" create mode ", b" delete mode ", b" mode change ", b" rename ", b" copy ", b" rewrite "];
    let counts = |line: &[u8]| {
        line.starts_with(b" ")
            && line.rsplit(|byte| *byte == b'|').next().is_some_and(|count| {
                let count = count.trim_ascii_start();
                count.len() < line.len()
                    && (count.starts_with(b"Bin") || count.first().is_some_and(u8::is_ascii_digit))
            })
            && line.contains(&b'|')
    };
    !line.trim_ascii().is_empty()
        && !counts(line)
        && diffstat(line).is_none()
        && !SUMMARY.iter().any(|start| line.starts_with(start))
        && !is_trailer(line)
}

/// What `git format-patch --base` writes.
fn is_trailer(line: &[u8]) -> bool {
    [b"base-commit: ".as_slice(), b"prerequisite-patch-id: "]
        .iter()
        .any(|name| line.strip_prefix(*name).is_some_and(is_object_name))
}

/// Lines of somebody's words in a text below a diff: all but the base, and the version below `-- `.
fn trailing_lines(text: &[u8]) -> usize {
    let mut signature = false;
    let mut count = 0;
    for line in lines(text).map(bare).take_while(|line| !is_boundary(line)) {
        let version = signature && line.first().is_some_and(u8::is_ascii_digit);
        signature = signature || line == b"-- ";
        count +=
            usize::from(!line.trim_ascii().is_empty() && line != b"-- " && !version && !is_trailer(line));
    }
    count
}

/// Files, added and removed lines of a line like ` 2 files changed, 3 insertions(+), 1 deletion(-)`.
fn diffstat(line: &[u8]) -> Option<(usize, u32, u32)> {
    let text = std::str::from_utf8(line).ok()?.trim_end().strip_prefix(' ')?;
    let mut parts = text.split(", ").map(|part| part.split_once(' '));
    let (files, word) = parts.next()??;
    if !word.starts_with("file") || !word.ends_with(" changed") {
        return None;
    }
    let mut stat = (files.parse().ok()?, 0, 0);
    for part in parts {
        match part? {
            (count, word) if word.ends_with("(+)") => stat.1 = count.parse().ok()?,
            (count, word) if word.ends_with("(-)") => stat.2 = count.parse().ok()?,
            _ => return None,
        }
    }
    Some(stat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diffstat_is_not_taken_for_words() {
        for line in [
            " src/a.c | 12 ++++--",
            " logo.png | Bin 0 -> 12 bytes",
            " 1 file changed, 1 insertion(+)",
            " create mode 100644 a",
            "",
        ] {
            assert!(!is_remark(line.as_bytes()), "{line}");
        }
        for line in ["Please wait with | telling", " v2: done", "1 file changed"] {
            assert!(is_remark(line.as_bytes()), "{line}");
        }
        assert_eq!(diffstat(b" 2 files changed, 3 insertions(+), 1 deletion(-)\n"), Some((2, 3, 1)));
        assert_eq!(diffstat(b" 1 file changed, 1 deletion(-)"), Some((1, 0, 1)));
        assert_eq!(diffstat(b" 0 files changed"), Some((0, 0, 0)));
    }

    #[test]
    fn a_cve_is_found_in_any_case_and_only_when_complete() {
        assert!(names_cve(b"x (cve-2026-10042)"));
        assert!(!names_cve(b"CVE-2026-004"));
        assert!(!names_cve(b"CVE-26-00421111"));
    }
}
