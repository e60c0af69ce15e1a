//! What a case says: its text, its credits, and what is still missing before it can be sent.

use serde::{Deserialize, Serialize};

/// The text of a case, as a maintainer edits it (one TOML document).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct CaseText {
    /// One line that names the vulnerability.
    pub title: String,
    /// What it is and whom it harms, for the public advisory.
    pub summary: String,
    /// What packagers are told on top of the summary.
    pub notice: String,
    /// Affected versions, such as `< 2.32.4`.
    pub affected: Vec<String>,
    /// Versions that carry the fix.
    pub fixed: Vec<String>,
    /// A CVSS vector, or a word such as `moderate`.
    pub severity: Option<String>,
    /// The CVE identifier, once there is one.
    pub cve: Option<String>,
    /// The GitHub advisory it came from.
    pub ghsa: Option<String>,
    /// What users can do without the fix.
    pub mitigation: Option<String>,
    /// The changelog entry; without it the title stands in.
    pub changelog: Option<String>,
    /// Commits that will carry the fix, published as announced.
    pub commits: Vec<Commit>,
}

/// A commit named before the lift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The branch it is on.
    pub branch: String,
    /// Its full id.
    pub id: String,
}

/// What somebody did for the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Found the vulnerability.
    Finder,
    /// Reported it.
    Reporter,
    /// Wrote the fix.
    RemediationDeveloper,
    /// Reviewed the fix.
    RemediationReviewer,
    /// Confirmed that the fix works.
    RemediationVerifier,
    /// Coordinated the release.
    Coordinator,
    /// Helped in another way.
    Other,
}

impl Role {
    /// The role as a reader expects it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Finder => "finder",
            Self::Reporter => "reporter",
            Self::RemediationDeveloper => "remediation developer",
            Self::RemediationReviewer => "remediation reviewer",
            Self::RemediationVerifier => "remediation verifier",
            Self::Coordinator => "coordinator",
            Self::Other => "other",
        }
    }
}

/// Under which name somebody agreed to be thanked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "consent", content = "as")]
pub enum Consent {
    /// Not at all, or not asked yet.
    None,
    /// Under this alias.
    Alias(String),
    /// Under this name.
    Name(String),
}

/// Somebody who helped. `person` stays secret for ever; only [`Credit::public`] may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credit {
    /// Who it is, for the maintainers alone.
    pub person: String,
    /// What the person did.
    pub role: Role,
    /// What the person agreed to.
    pub consent: Consent,
}

/// A credit that its owner agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicCredit {
    /// The name or alias.
    pub name: String,
    /// What the person did.
    pub role: Role,
}

impl Credit {
    /// The credit as it may be published: nothing without consent, and never more than was agreed to.
    pub fn public(&self) -> Option<PublicCredit> {
        match &self.consent {
            Consent::None => None,
            Consent::Alias(name) | Consent::Name(name) => {
                Some(PublicCredit { name: name.clone(), role: self.role })
            }
        }
    }
}

/// A recorded decision to send without a fix for one supported branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The branch.
    pub branch: String,
    /// Why it gets no fix.
    pub reason: String,
}

/// Something a revision cannot be sent without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The title is empty.
    Title,
    /// The notice text and the summary are both empty.
    NoticeText,
    /// No affected version is named.
    AffectedVersions,
    /// There is no date.
    Date,
    /// Nobody would be told.
    Audience,
    /// There is no fix at all.
    Fix,
    /// A supported branch has neither a fix nor a waiver.
    Branch(String),
}

impl Missing {
    /// What to do about it.
    pub fn cure(&self) -> String {
        match self {
            Self::Title => "a title: embargoctl edit".to_owned(),
            Self::NoticeText => "a summary or a notice text: embargoctl edit".to_owned(),
            Self::AffectedVersions => "affected versions: embargoctl edit".to_owned(),
            Self::Date => "a date: embargoctl dates, then embargoctl schedule".to_owned(),
            Self::Audience => {
                "an audience: no approved packager; embargod packager add, or embargoctl audience".to_owned()
            }
            Self::Fix => "a fix: embargoctl fix put".to_owned(),
            Self::Branch(branch) => {
                format!("a fix for branch {branch}, or a waiver: embargoctl fix put, or embargoctl fix waive")
            }
        }
    }
}

/// What a case consists of, seen from far enough to judge whether it is complete.
#[derive(Clone, Copy, Debug)]
pub struct Completeness<'a> {
    /// The text.
    pub text: &'a CaseText,
    /// Branches that have a fix.
    pub fixed_branches: &'a [String],
    /// Branches excused from having one.
    pub waivers: &'a [Waiver],
    /// Branches the project supports.
    pub supported_branches: &'a [String],
    /// Whether a date is set.
    pub has_date: bool,
    /// How many packagers would be told.
    pub audience: usize,
}

impl Completeness<'_> {
    /// Everything that is still missing, in the order in which people supply it.
    pub fn missing(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        let blank = |text: &str| text.trim().is_empty();
        if blank(&self.text.title) {
            missing.push(Missing::Title);
        }
        if blank(&self.text.notice) && blank(&self.text.summary) {
            missing.push(Missing::NoticeText);
        }
        if self.text.affected.iter().all(|version| blank(version)) {
            missing.push(Missing::AffectedVersions);
        }
        if self.fixed_branches.is_empty() && self.waivers.is_empty() {
            missing.push(Missing::Fix);
        }
        for branch in self.supported_branches {
            let waived = self.waivers.iter().any(|waiver| waiver.branch == *branch);
            if !waived && !self.fixed_branches.contains(branch) {
                missing.push(Missing::Branch(branch.clone()));
            }
        }
        if !self.has_date {
            missing.push(Missing::Date);
        }
        if self.audience == 0 {
            missing.push(Missing::Audience);
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_without_consent_is_never_public() {
        let credit = |consent| Credit { person: "R. Person".to_owned(), role: Role::Reporter, consent };
        assert_eq!(credit(Consent::None).public(), None);
        let alias = credit(Consent::Alias("nightfox".to_owned())).public().unwrap();
        assert_eq!(alias.name, "nightfox");
        assert!(!serde_json::to_string(&alias).unwrap().contains("Person"));
    }

    #[test]
    fn an_empty_case_lists_all_that_it_lacks_and_a_waiver_excuses_a_branch() {
        let branches = ["main".to_owned(), "2.x".to_owned()];
        let empty = Completeness {
            text: &CaseText::default(),
            fixed_branches: &[],
            waivers: &[],
            supported_branches: &branches,
            has_date: false,
            audience: 0,
        };
        assert_eq!(empty.missing().len(), 8);
        let text = CaseText {
            title: "t".to_owned(),
            summary: "s".to_owned(),
            affected: vec!["< 2".to_owned()],
            ..CaseText::default()
        };
        let full = Completeness {
            text: &text,
            fixed_branches: &branches[..1],
            waivers: &[Waiver { branch: "2.x".to_owned(), reason: "ends next week".to_owned() }],
            has_date: true,
            audience: 1,
            ..empty
        };
        assert_eq!(full.missing(), []);
    }
}
