//! The public pages: the list at `/` and one page for each advisory.
//!
//! Addresses on them: `/style.css`, `/feed.atom`, `/key.asc`, `/advisories/{id}`, `/advisories/{id}.json`,
//! `/advisories/{id}/changelog.md` (or `.rst`), `/advisories/{id}/{file}` for each fix; and `.sha256` and `.asc` beside
//! each of the three last.

use std::fmt::Write as _;

use askama::Template;
use chrono::Datelike as _;

use crate::domain::advisory::{Advisory, CommitVerdict, PublicCommit, PublicFix};
use crate::formats::prose::{Block, blocks};
use crate::formats::time::{Moment, spell};
use crate::formats::visible::one_line;
use crate::formats::{Site, bytes};

/// The page of one advisory, for `/advisories/{id}`.
pub fn advisory(advisory: &Advisory, site: &Site) -> Vec<u8> {
    let timeline = &advisory.timeline;
    let moment = |instant| Moment::named(instant, &advisory.zone);
    let head_start = timeline.lifted_at - timeline.announced_at;
    let delay = timeline.agreed_at.map_or_else(chrono::TimeDelta::zero, |agreed| timeline.lifted_at - agreed);
    bytes(&AdvisoryPage {
        site,
        advisory,
        references: references(advisory),
        severity: filled(advisory.severity.as_deref()),
        affected: lines(&advisory.affected),
        fixed: lines(&advisory.fixed),
        summary: blocks(&advisory.summary),
        mitigation: blocks(advisory.mitigation.as_deref().unwrap_or_default()),
        fixes: advisory.fixes.iter().map(|fix| FixView::new(fix, &advisory.commits)).collect(),
        other_commits: other_commits(advisory),
        opened: moment(timeline.opened_at),
        announced: moment(timeline.announced_at),
        agreed: timeline.agreed_at.map(moment),
        lifted: moment(timeline.lifted_at),
        had: (timeline.packagers_told > 0 && head_start.num_seconds() > 0).then(|| spell(head_start)),
        late: (delay.num_minutes() > 0).then(|| spell(delay)),
        check: Check::new(advisory, site),
    })
}

/// The list of advisories, newest first, for `/`.
pub fn index(advisories: &[Advisory], site: &Site) -> Vec<u8> {
    let mut years: Vec<Year> = Vec::new();
    for advisory in newest_first(advisories) {
        let lifted_at = advisory.timeline.lifted_at;
        if years.last().is_none_or(|year| year.year != lifted_at.year()) {
            years.push(Year { year: lifted_at.year(), rows: Vec::new() });
        }
        if let Some(year) = years.last_mut() {
            year.rows.push(Row {
                advisory,
                published: Moment::named(lifted_at, &advisory.zone),
                severity: advisory.severity.as_deref().and_then(severity_word),
                cve: filled(advisory.cve.as_deref()),
            });
        }
    }
    bytes(&IndexPage { site, years })
}

/// Newest first; what was lifted in the same instant, by id.
pub(super) fn newest_first(advisories: &[Advisory]) -> Vec<&Advisory> {
    let mut sorted: Vec<&Advisory> = advisories.iter().collect();
    sorted.sort_by(|one, other| {
        let newest = other.timeline.lifted_at.cmp(&one.timeline.lifted_at);
        newest.then_with(|| one.id.cmp(&other.id))
    });
    sorted
}

/// A severity that is a word; a vector is none.
pub(super) fn severity_word(severity: &str) -> Option<&str> {
    let severity = severity.trim();
    (!severity.is_empty() && severity.len() <= 16 && !severity.contains('/')).then_some(severity)
}

/// The lines that are not blank.
pub(super) fn lines(values: &[String]) -> Vec<&str> {
    values.iter().map(|value| value.trim()).filter(|value| !value.is_empty()).collect()
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// An identifier given elsewhere, with its page there if it is well formed.
struct Reference<'a> {
    text: &'a str,
    link: Option<String>,
}

fn references(advisory: &Advisory) -> Vec<Reference<'_>> {
    let known = |text: &str, prefix: &str| {
        text.strip_prefix(prefix).is_some_and(|rest| {
            rest.len() >= 9 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
    };
    let cve = filled(advisory.cve.as_deref()).map(|text| Reference {
        text,
        link: known(text, "CVE-").then(|| format!("https://www.cve.org/CVERecord?id={text}")),
    });
    let ghsa = filled(advisory.ghsa.as_deref()).map(|text| Reference {
        text,
        link: known(text, "GHSA-").then(|| format!("https://github.com/advisories/{text}")),
    });
    cve.into_iter().chain(ghsa).collect()
}

/// A fix with what belongs to it.
struct FixView<'a> {
    fix: &'a PublicFix,
    size: String,
    patches: Vec<PatchView<'a>>,
    commits: Vec<&'a PublicCommit>,
}

/// One patch of a series; a plain diff has an id and no subject.
struct PatchView<'a> {
    subject: Option<&'a str>,
    patch_id: Option<&'a str>,
}

impl<'a> FixView<'a> {
    fn new(fix: &'a PublicFix, commits: &'a [PublicCommit]) -> Self {
        let count = fix.subjects.len().max(fix.patch_ids.len());
        let patches = (0..count).map(|n| PatchView {
            subject: fix.subjects.get(n).map(String::as_str),
            patch_id: fix.patch_ids.get(n).map(String::as_str),
        });
        Self {
            fix,
            size: grouped(fix.size),
            patches: patches.collect(),
            commits: commits.iter().filter(|commit| commit.branch == fix.branch).collect(),
        }
    }
}

/// Commits on branches that have no fix of their own.
fn other_commits(advisory: &Advisory) -> Vec<&PublicCommit> {
    let with_fix = |branch: &str| advisory.fixes.iter().any(|fix| fix.branch == branch);
    advisory.commits.iter().filter(|commit| !with_fix(&commit.branch)).collect()
}

/// A number with commas between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.char_indices() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a reader types to check one file.
struct Check {
    key: String,
    file: String,
    address: String,
    apply: bool,
    fingerprint: Vec<String>,
}

impl Check {
    fn new(advisory: &Advisory, site: &Site) -> Self {
        let base = site.base();
        let id = segment(&advisory.id);
        let (file, address) = match advisory.fixes.first() {
            Some(fix) => (fix.file.clone(), format!("{base}/advisories/{id}/{}", segment(&fix.file))),
            None => (format!("{}.json", advisory.id), format!("{base}/advisories/{id}.json")),
        };
        Self {
            key: shell_word(&format!("{base}/key.asc")),
            file: shell_word(&file),
            address: shell_word(&address),
            apply: advisory.fixes.first().is_some_and(|fix| !fix.subjects.is_empty()),
            fingerprint: site.fingerprint_groups(),
        }
    }
}

/// One path segment of an address.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A word that a shell takes as it stands, so that a pasted command does nothing else.
fn shell_word(text: &str) -> String {
    let text = one_line(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:%@+[]".contains(&byte);
    if !text.is_empty() && !text.starts_with('-') && text.bytes().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[derive(Template)]
#[template(path = "advisory.html")]
struct AdvisoryPage<'a> {
    site: &'a Site,
    advisory: &'a Advisory,
    references: Vec<Reference<'a>>,
    severity: Option<&'a str>,
    affected: Vec<&'a str>,
    fixed: Vec<&'a str>,
    summary: Vec<Block>,
    mitigation: Vec<Block>,
    fixes: Vec<FixView<'a>>,
    other_commits: Vec<&'a PublicCommit>,
    opened: Moment,
    announced: Moment,
    agreed: Option<Moment>,
    lifted: Moment,
    had: Option<String>,
    late: Option<String>,
    check: Check,
}

#[derive(Template)]
#[template(path = "index.html")]
struct IndexPage<'a> {
    site: &'a Site,
    years: Vec<Year<'a>>,
}

struct Year<'a> {
    year: i32,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    advisory: &'a Advisory,
    published: Moment,
    severity: Option<&'a str>,
    cve: Option<&'a str>,
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
