//! What the rehearsed case is made of: a text and patches full of canary words.
//!
//! Every embargoed field carries a random word of its own, so that a scan can tell whether any of it was
//! readable too early, and whether all of what is public is readable afterwards.

use crate::demo::canary::Canary;
use crate::entropy::Entropy;
use crate::wire;

const MAIN: &str = include_str!("patches/main.mbox");
const OLD: &str = include_str!("patches/2.x.mbox");
const OLD_AGAIN: &str = include_str!("patches/2.x-second.mbox");

/// Words that become public with the lift.
const PUBLIC: &[&str] = &[
    "title",
    "summary",
    "mitigation",
    "changelog",
    "fixed",
    "alias",
    "author",
    "main_subject",
    "main_reason",
    "main_comment",
    "main_message",
    "main_second",
    "main_file",
    "main_test",
    "old_subject",
    "old_reason",
    "old_comment",
    "old_message",
];

/// Words that stay secret for ever.
const SECRET: &[&str] =
    &["notice", "revision_reason", "person", "silent_person", "date_reason", "receipt_person"];

/// The words, and what is written with them.
pub(super) struct Material {
    public: Vec<Canary>,
    secret: Vec<Canary>,
    own_fix: Option<Vec<u8>>,
}

impl Material {
    /// Draws the words. `own_fix` replaces the fix for the main branch.
    pub(super) fn new(entropy: &Entropy, own_fix: Option<Vec<u8>>) -> Self {
        let draw = |name: &&str| Canary::from_random(*name, entropy.bytes());
        let unused = |name: &str| own_fix.is_some() && name.starts_with("main_");
        Self {
            public: PUBLIC.iter().filter(|name| !unused(name)).map(draw).collect(),
            secret: SECRET.iter().map(draw).collect(),
            own_fix,
        }
    }

    pub(super) fn all(&self) -> Vec<Canary> {
        self.public.iter().chain(&self.secret).cloned().collect()
    }

    pub(super) fn public(&self) -> &[Canary] {
        &self.public
    }

    pub(super) fn secret(&self) -> &[Canary] {
        &self.secret
    }

    fn word(&self, name: &str) -> &str {
        self.public.iter().chain(&self.secret).find(|canary| canary.name() == name).map_or("", Canary::word)
    }

    fn filled(&self, template: &str) -> String {
        let mut text = template.to_owned();
        for canary in self.public.iter().chain(&self.secret) {
            text = text.replace(&format!("{{{}}}", canary.name()), canary.word());
        }
        text
    }

    /// The text of the case.
    pub(super) fn text(&self) -> String {
        self.filled(
            r#"title = "Header injection in Widget.render ({title})"
summary = """
A header value with a line break starts a new header, or ends the headers ({summary}).

Whoever controls a header of a widget controls what follows it."""
notice = """
The second patch for main only adds a test; leave it out if your build runs no tests ({notice})."""
affected = [">= 1.0, < 2.4.1", ">= 3.0, < 3.1.2"]
fixed = ["3.1.2 ({fixed})", "2.4.1"]
severity = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N"
cve = "CVE-2026-99999"
mitigation = "Refuse line breaks in header values before they reach a widget ({mitigation})."
changelog = "`Widget.render` refuses headers that hold a line break ({changelog})."

[[commits]]
branch = "main"
id = "3d8e7038cf919781663e54af70c51d4fd677dbe9"
"#,
        )
    }

    /// Who is thanked: one under an alias, one not at all.
    pub(super) fn credits(&self) -> wire::PutCredits {
        let entry = |person: &str, role: &str, consent: &str, shown_as: Option<String>| wire::CreditEntry {
            person: person.to_owned(),
            role: role.to_owned(),
            consent: consent.to_owned(),
            shown_as,
        };
        wire::PutCredits {
            credits: vec![
                entry(
                    self.word("person"),
                    "reporter",
                    "alias",
                    Some(format!("nightfox {}", self.word("alias"))),
                ),
                entry(self.word("silent_person"), "remediation-reviewer", "none", None),
            ],
        }
    }

    /// The fix for the main branch.
    pub(super) fn main_fix(&self) -> Vec<u8> {
        self.own_fix.clone().unwrap_or_else(|| self.filled(MAIN).into_bytes())
    }

    /// The fix for the older branch, which missed a case.
    pub(super) fn old_fix(&self) -> Vec<u8> {
        self.filled(OLD).into_bytes()
    }

    /// The fix for the older branch as it should have been.
    pub(super) fn old_fix_again(&self) -> Vec<u8> {
        self.filled(OLD_AGAIN).into_bytes()
    }

    /// Why there is a second revision.
    pub(super) fn revision_reason(&self) -> String {
        self.filled("The 2.x patch missed NUL ({revision_reason}).")
    }
}
