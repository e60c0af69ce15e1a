//! The pages of a maintainer: signing in, the list of embargoes, the board of one, and what went wrong.
//!
//! They show titles, people, states and dates; no view has a field for the text of a notice or a fix. Nothing
//! can be changed here: changes are signed commands. The HTML title stays neutral, because browsers keep it in
//! histories and synchronise it.
//!
//! Addresses on them: `/login` (GET, POST with the field `certificate`), `/login/answer` (POST with the fields
//! `challenge` and `answer`), `/logout` (POST), `/board`, `/board/{id}`, and those of [`crate::formats::page`].

use askama::Template;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::domain::embargo::StageName;
use crate::domain::notice::{Impact, Progress};
use crate::formats::page::grouped;
use crate::formats::time::{Moment, countdown};
use crate::formats::{Site, bytes};

/// Step 1 of signing in: who are you?
#[derive(Clone, Debug, Default)]
pub struct CertificateStep {
    /// What was wrong with the last attempt, in one sentence.
    pub error: Option<String>,
    /// What was found about the certificate that was sent, the most important first.
    pub findings: Vec<KeyFinding>,
}

/// One thing that is to be said about a certificate.
#[derive(Clone, Debug, Default)]
pub struct KeyFinding {
    /// `refused`, `warning` or `note`.
    pub weight: String,
    /// A stable name, as programs get it.
    pub code: String,
    /// A key's fingerprint, or which user id; absent if it is about all of it.
    pub component: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What its owner can type against it with gpg.
    pub gpg: Vec<String>,
    /// The same with sq.
    pub sq: Vec<String>,
}

/// Step 2 of signing in: open this.
#[derive(Clone, Debug)]
pub struct ChallengeStep {
    /// The armored challenge, encrypted to the certificate that was sent.
    pub challenge: String,
    /// Until when it can be answered.
    pub valid_until: DateTime<Utc>,
    /// What was wrong with the last attempt, in one sentence.
    pub error: Option<String>,
}

/// The list of embargoes that a maintainer may see.
#[derive(Clone, Debug)]
pub struct Board {
    /// Who is signed in, as shown to that person.
    pub viewer: String,
    /// When the list was read.
    pub now: DateTime<Utc>,
    /// One row for each embargo, in the order to be shown.
    pub rows: Vec<BoardRow>,
}

/// One embargo in the list.
#[derive(Clone, Debug)]
pub struct BoardRow {
    /// Its opaque id.
    pub id: String,
    /// The project's name.
    pub project: String,
    /// The case's title; may be empty while it is a draft.
    pub title: String,
    /// Where it stands.
    pub stage: StageName,
    /// The coordinated release date, once there is one.
    pub lifts_at: Option<DateTime<Utc>>,
    /// The project's zone.
    pub zone: Tz,
    /// The newest sent revision.
    pub revision: Option<u32>,
    /// How many packagers have been told.
    pub told: u32,
    /// How many are to be told.
    pub audience: u32,
    /// What somebody must look at, a sentence each.
    pub flags: Vec<String>,
}

/// The board of one embargo.
#[derive(Clone, Debug)]
pub struct EmbargoBoard {
    /// Who is signed in, as shown to that person.
    pub viewer: String,
    /// When it was read.
    pub now: DateTime<Utc>,
    /// Its opaque id.
    pub id: String,
    /// The project's name.
    pub project: String,
    /// The case's title; may be empty while it is a draft.
    pub title: String,
    /// Where it stands.
    pub stage: StageName,
    /// The coordinated release date, once there is one.
    pub lifts_at: Option<DateTime<Utc>>,
    /// Zones in which the date is shown beside UTC, the project's first.
    pub zones: Vec<Tz>,
    /// The newest sent revision.
    pub revision: Option<u32>,
    /// What somebody must look at, a sentence each.
    pub flags: Vec<String>,
    /// What a revision cannot be sent without, with the cure (see `Missing::cure`).
    pub missing: Vec<String>,
    /// The audience.
    pub packagers: Vec<PackagerRow>,
    /// The fixes, by what may be said of them here.
    pub fixes: Vec<FixRow>,
    /// Dates that could be chosen next, and refused ones worth explaining.
    pub dates: Vec<DateRow>,
    /// The newest records of the audit log, newest first.
    pub audit: Vec<AuditRow>,
}

/// A packager on the board.
#[derive(Clone, Debug)]
pub struct PackagerRow {
    /// The packager's name.
    pub name: String,
    /// When the relay took a notice for it.
    pub told_at: Option<DateTime<Utc>>,
    /// When it said that it has read the notice.
    pub receipt_at: Option<DateTime<Utc>>,
    /// The newest revision that it says it has read.
    pub receipt_revision: Option<u32>,
    /// What it says of itself.
    pub impact: Impact,
    /// How far it is.
    pub progress: Progress,
    /// Whether something is wrong.
    pub standing: Standing,
}

/// Whether something is wrong with a packager; reasons are sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its notice has not left yet.
    Waiting,
    /// The relay took the notice.
    Told,
    /// It has answered.
    Answered,
    /// It has been silent for too long.
    Silent(String),
    /// No certificate of it can be used.
    Blocked(String),
    /// The mail was refused or came back.
    Failed(String),
}

impl Standing {
    /// The word that is shown.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Told => "told",
            Self::Answered => "answered",
            Self::Silent(_) => "silent",
            Self::Blocked(_) => "blocked",
            Self::Failed(_) => "failed",
        }
    }

    /// Why somebody must look at it.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Silent(reason) | Self::Blocked(reason) | Self::Failed(reason) => Some(reason),
            Self::Waiting | Self::Told | Self::Answered => None,
        }
    }
}

/// A fix on the board: numbers only.
#[derive(Clone, Debug)]
pub struct FixRow {
    /// The branch it is for.
    pub branch: String,
    /// Size in bytes.
    pub size: u64,
    /// How many patches it holds.
    pub patches: usize,
}

/// A date with its verdict.
#[derive(Clone, Debug)]
pub struct DateRow {
    /// The date.
    pub at: DateTime<Utc>,
    /// Whether it may be chosen.
    pub offered: bool,
    /// Why, in a sentence.
    pub reason: String,
}

/// A record of the audit log.
#[derive(Clone, Debug)]
pub struct AuditRow {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub who: String,
    /// What.
    pub what: String,
}

/// What went wrong, on a page of its own.
#[derive(Clone, Debug)]
pub struct ErrorView {
    /// The HTTP status.
    pub status: u16,
    /// A heading of a few words, such as `There is no such page`.
    pub title: String,
    /// What was wrong, in a sentence or two.
    pub what: String,
    /// What to do next.
    pub next: String,
}

/// The page for step 1 of signing in.
pub fn login_certificate(view: &CertificateStep, site: &Site) -> Vec<u8> {
    bytes(&CertificatePage { site, view })
}

/// The page for step 2 of signing in.
pub fn login_challenge(view: &ChallengeStep, site: &Site) -> Vec<u8> {
    bytes(&ChallengePage { site, view, valid_until: Moment::exact(view.valid_until) })
}

/// The page with the list of embargoes.
pub fn board(view: &Board, site: &Site) -> Vec<u8> {
    let rows = view.rows.iter().map(|row| BoardRowView {
        row,
        date: row.lifts_at.map(|at| Moment::new(at, Some(row.zone))),
        countdown: left(row.stage, row.lifts_at, view.now),
    });
    bytes(&BoardPage { site, viewer: &view.viewer, now: Moment::exact(view.now), rows: rows.collect() })
}

/// The page with the board of one embargo.
pub fn embargo(view: &EmbargoBoard, site: &Site) -> Vec<u8> {
    let zone = view.zones.first().copied();
    bytes(&EmbargoPage {
        site,
        viewer: &view.viewer,
        view,
        now: Moment::exact(view.now),
        date: view.lifts_at.map(|at| Moment::new(at, None)),
        locals: view.lifts_at.map_or_else(Vec::new, |at| {
            view.zones.iter().filter_map(|zone| Moment::new(at, Some(*zone)).local).collect()
        }),
        countdown: left(view.stage, view.lifts_at, view.now),
        packagers: view.packagers.iter().map(PackagerView::new).collect(),
        fixes: view.fixes.iter().map(|fix| (fix, grouped(fix.size))).collect(),
        dates: view.dates.iter().map(|date| (date, Moment::new(date.at, zone))).collect(),
        audit: view.audit.iter().map(|row| (row, Moment::exact(row.at))).collect(),
    })
}

/// The page that says what went wrong.
pub fn error(view: &ErrorView, site: &Site) -> Vec<u8> {
    bytes(&ErrorPage { site, view })
}

/// The time that is left; nothing once the embargo is over.
fn left(stage: StageName, lifts_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<String> {
    let live = !matches!(stage, StageName::Lifted | StageName::Cancelled);
    lifts_at.filter(|_| live).map(|at| countdown(at, now))
}

#[derive(Template)]
#[template(path = "login_certificate.html")]
struct CertificatePage<'a> {
    site: &'a Site,
    view: &'a CertificateStep,
}

#[derive(Template)]
#[template(path = "login_challenge.html")]
struct ChallengePage<'a> {
    site: &'a Site,
    view: &'a ChallengeStep,
    valid_until: Moment,
}

#[derive(Template)]
#[template(path = "board.html")]
struct BoardPage<'a> {
    site: &'a Site,
    viewer: &'a str,
    now: Moment,
    rows: Vec<BoardRowView<'a>>,
}

struct BoardRowView<'a> {
    row: &'a BoardRow,
    date: Option<Moment>,
    countdown: Option<String>,
}

#[derive(Template)]
#[template(path = "embargo.html")]
struct EmbargoPage<'a> {
    site: &'a Site,
    viewer: &'a str,
    view: &'a EmbargoBoard,
    now: Moment,
    date: Option<Moment>,
    locals: Vec<String>,
    countdown: Option<String>,
    packagers: Vec<PackagerView<'a>>,
    fixes: Vec<(&'a FixRow, String)>,
    dates: Vec<(&'a DateRow, Moment)>,
    audit: Vec<(&'a AuditRow, Moment)>,
}

struct PackagerView<'a> {
    row: &'a PackagerRow,
    told: Option<Moment>,
    receipt: Option<Moment>,
}

impl<'a> PackagerView<'a> {
    fn new(row: &'a PackagerRow) -> Self {
        let short = |instant: DateTime<Utc>| Moment {
            utc: instant.format("%a %d %b %H:%M").to_string(),
            ..Moment::new(instant, None)
        };
        Self { row, told: row.told_at.map(short), receipt: row.receipt_at.map(short) }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    site: &'a Site,
    view: &'a ErrorView,
}

#[cfg(test)]
#[path = "signed_in_tests.rs"]
mod tests;
