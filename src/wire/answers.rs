//! Bodies of answers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A refusal (RFC 9457): what was wrong, what was expected, what to do next.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A stable address for this kind of refusal, `urn:embargod:problem:CODE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A short title, the same for every refusal of this kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong and what to do. Never holds anything embargoed.
    pub detail: String,
    /// What is wrong with each component of a certificate that was sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<CertificateFinding>,
}

/// An application was received.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// What happens next.
    pub next: String,
}

/// One thing that is to be said about a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateFinding {
    /// `refused`, `warning` or `note`.
    pub weight: String,
    /// A stable name for programs.
    pub code: String,
    /// A key's fingerprint, or which user id; absent if it is about all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What the owner can type against it with gpg.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpg: Vec<String>,
    /// The same with sq.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sq: Vec<String>,
}

/// An embargo as any of its readers may see it in clear.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NeutralEmbargo {
    /// Its opaque id.
    pub id: String,
    /// `draft`, `scheduled`, `announced`, `lifted` or `cancelled`.
    pub stage: String,
    /// Counts changes; send it as `If-Match`.
    pub version: i64,
    /// The coordinated release date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifts_at: Option<DateTime<Utc>>,
    /// When revision 1 is due to go out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice_at: Option<DateTime<Utc>>,
    /// When packagers were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced_at: Option<DateTime<Utc>>,
    /// When it was lifted or cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    /// The newest sent revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// The fixes of the newest sent revision.
    #[serde(default)]
    pub fixes: Vec<NeutralFix>,
    /// The public advisory, after the lift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisory: Option<String>,
    /// What the caller said, if the caller is a packager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnState>,
}

/// A fix as it may be named in clear.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NeutralFix {
    /// Its opaque id.
    pub id: String,
    /// Its size in bytes.
    pub size: u64,
}

/// What a packager said about an embargo.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct OwnState {
    /// The newest revision it says it has read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_revision: Option<u32>,
    /// When it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_at: Option<DateTime<Utc>>,
    /// Whether it is affected.
    pub impact: String,
    /// How far it is.
    pub progress: String,
}

/// The embargoes a caller may know of.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NeutralList {
    /// The newest first.
    pub embargoes: Vec<NeutralEmbargo>,
}

/// A case as its maintainers see it: `GET …/embargoes/{id}` with `Accept: application/pgp-encrypted`, and
/// the answer to every signed command. Always inside an OpenPGP message.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CaseView {
    /// What may be seen in clear.
    #[serde(flatten)]
    pub neutral: NeutralEmbargo,
    /// The project's short name.
    pub project: String,
    /// The project's time zone.
    pub zone: String,
    /// The title.
    pub title: String,
    /// The text, a TOML document.
    pub text: String,
    /// The working set.
    pub working_set: Vec<FixView>,
    /// Branches excused from having a fix.
    pub waivers: Vec<WaiverView>,
    /// Who is thanked.
    pub credits: Vec<CreditView>,
    /// Short names of the packagers who are told, or would be.
    pub audience: Vec<String>,
    /// What it cannot be sent without, as sentences.
    pub missing: Vec<String>,
    /// The date in UTC and in the project's zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifts_at_text: Option<String>,
    /// Remarks that the last command caused, as sentences.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// What its lift published without, because it could not be made, such as `the changelog entry`.
    #[serde(default)]
    pub left_out: Vec<String>,
}

/// A fix in the working set.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FixView {
    /// Its opaque id.
    pub id: String,
    /// Its branch.
    pub branch: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Subjects of its patches.
    pub subjects: Vec<String>,
    /// Stable patch-ids of its patches.
    pub patch_ids: Vec<String>,
    /// How many files it changes.
    pub files: usize,
    /// What could leak or confuse, as sentences.
    pub remarks: Vec<String>,
    /// The fingerprint of the maintainer who signed it.
    pub signer: String,
}

/// A branch without a fix.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WaiverView {
    /// The branch.
    pub branch: String,
    /// Why.
    pub reason: String,
}

/// Somebody who helped, and what may be shown of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreditView {
    /// Who it is; never published.
    pub person: String,
    /// What the person did.
    pub role: String,
    /// `none`, `alias` or `name`.
    pub consent: String,
    /// The name that will be published, if any.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "as")]
    pub shown_as: Option<String>,
}

/// Legal dates, and why others are not: `GET …/dates`. Always inside an OpenPGP message.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DatesView {
    /// The judgement of the instant that was asked about with `?at=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<DateView>,
    /// The next legal instants.
    pub offers: Vec<DateView>,
}

/// An instant, judged.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DateView {
    /// The instant.
    pub lifts_at: DateTime<Utc>,
    /// The instant in UTC and in the project's zone.
    pub text: String,
    /// Whether the policy allows it.
    pub legal: bool,
    /// When the notice would be due.
    pub notice_at: DateTime<Utc>,
    /// Whether the notice would be due at once.
    pub notice_due_now: bool,
    /// How long packagers would have, such as `8 d 0 h`.
    pub packagers_have: String,
    /// One sentence per rule that it breaks.
    pub broken_rules: Vec<String>,
}

/// Who was told what, and when: `GET …/deliveries`. Always inside an OpenPGP message.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeliveriesView {
    /// One entry per packager of the audience.
    pub packagers: Vec<PackagerState>,
    /// Every copy of every notice.
    pub deliveries: Vec<DeliveryView>,
}

/// Where a packager stands.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PackagerState {
    /// Its short name.
    pub packager: String,
    /// Its name.
    pub name: String,
    /// When the relay first accepted a notice with content for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<DateTime<Utc>>,
    /// The revision it was told of last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_revision: Option<u32>,
    /// What it said.
    pub said: OwnState,
    /// `waiting`, `told`, `answered`, `silent`, `blocked`, `uncertain` or `failed`.
    pub state: String,
    /// What is wrong, as a sentence; empty if nothing is.
    #[serde(default)]
    pub trouble: String,
}

/// One copy of one notice.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeliveryView {
    /// The kind of notice.
    pub kind: String,
    /// The revision it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// The recipient: a packager's short name, or `maintainer`.
    pub recipient: String,
    /// The address.
    pub address: String,
    /// Where it stands.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// How many answers to its bytes were lost, so that it may have arrived more than once.
    #[serde(default)]
    pub uncertain: u32,
    /// The relay's last answer, or the reason.
    pub reply: String,
    /// When it is tried next, if it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When the relay took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<DateTime<Utc>>,
}

/// What was done, by whom: `GET …/audit`. Always inside an OpenPGP message.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditView {
    /// The newest first.
    pub entries: Vec<AuditEntryView>,
}

/// One entry of the audit log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditEntryView {
    /// Its place in the chain.
    pub sequence: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who: a maintainer's name, a packager's name and a contact's address, `operator` or `server`.
    pub actor: String,
    /// What.
    pub action: String,
    /// The thing it was done to: a packager's name, or an opaque id.
    pub object: String,
}

/// `GET /readyz`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Whether everything works.
    pub ready: bool,
    /// What does not, in words.
    pub reasons: Vec<String>,
}
