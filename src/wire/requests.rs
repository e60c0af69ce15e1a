//! Bodies of requests.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asks to be told ahead: `POST /api/v1/packagers`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// A challenge of this server, as it was decrypted with the certificate's key.
    pub challenge: String,
    /// What your organisation is called, one line.
    pub name: String,
    /// Where your mail is to go: an address of the certificate.
    pub contact: String,
    /// The short names of the projects that you ship.
    pub projects: Vec<String>,
    /// Who you are and what you ship, for the person who decides; one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
}

/// Opens an embargo: `POST /api/v1/embargoes`, inside a signed command.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenEmbargo {
    /// The project's short name.
    pub project: String,
    /// The text of the case, a TOML document as in `PUT …/text`; may come later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Sets the fix of one branch, excuses the branch, or takes its fix back: `PUT …/fixes`, inside a signed
/// command. Exactly one of `mbox`, `waiver` and `remove` is given.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutFix {
    /// The branch.
    pub branch: String,
    /// The mbox or diff, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mbox: Option<String>,
    /// The maintainer's detached OpenPGP signature over the bytes of `mbox`, armored, or base64 of either form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Why this branch gets no fix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<String>,
    /// Takes the branch's fix or waiver back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remove: bool,
}

/// Freezes the working set and sends it when due: `POST …/revisions`, inside a signed command.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendRevision {
    /// Why; packagers read it. Needed from revision 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether revision 1 leaves now instead of at its notice time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
}

/// Sets or moves the date: `PUT …/schedule`, inside a signed command.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutSchedule {
    /// RFC 3339, or a civil time in the project's zone such as `2026-11-24 15:00`.
    pub lifts_at: String,
    /// Why it moves; packagers read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Moves the lift forward: `POST …/lift-early`, inside a signed command.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LiftEarly {
    /// What happened: a leak, exploitation, a publication elsewhere.
    pub reason: String,
    /// When; now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// Ends the embargo without a fix: `POST …/cancel`, inside a signed command.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Why; packagers who were told read it.
    pub reason: String,
}

/// Sets who is told: `PUT …/audience`, inside a signed command.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutAudience {
    /// Short names of packagers approved for the project.
    pub packagers: Vec<String>,
}

/// Sets who is thanked: `PUT …/credits`, inside a signed command.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutCredits {
    /// Everybody who helped; replaces the list.
    pub credits: Vec<CreditEntry>,
}

/// Somebody who helped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreditEntry {
    /// Who it is; never published.
    pub person: String,
    /// `finder`, `reporter`, `remediation-developer`, `remediation-reviewer`, `remediation-verifier`,
    /// `coordinator` or `other`.
    pub role: String,
    /// `none`, `alias` or `name`.
    pub consent: String,
    /// The alias or name that was agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "as")]
    pub shown_as: Option<String>,
}

/// Says that a revision was read: `PUT …/receipt`, with a packager's token.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutReceipt {
    /// The revision.
    pub revision: u32,
    /// The receipt code from its notice, such as `7Q4-K2M`.
    pub code: String,
}

/// Says whether a packager is affected: `PUT …/impact`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutImpact {
    /// A receipt code from a notice of this embargo.
    pub code: String,
    /// `affected`, `not-affected` or `unknown`.
    pub impact: String,
}

/// Says how far a packager is: `PUT …/progress`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutProgress {
    /// A receipt code from a notice of this embargo.
    pub code: String,
    /// `none`, `building`, `ready` or `published`.
    pub progress: String,
}
