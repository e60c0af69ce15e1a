//! What maintainers and pages are shown of a case, and who may read what.

use chrono::{DateTime, Utc};

use super::people::audit_of;
use super::scope::Scope;
use super::sessions::{Bearer, bearer};
use super::{Actor, App, Refusal, entry};
use crate::domain::case::{CaseText, Completeness, Missing};
use crate::domain::dates::{Verdict, offers_to_move};
use crate::domain::embargo::{Embargo, Stage};
use crate::domain::id::{EmbargoId, PackagerId};
use crate::domain::notice::DeliveryState;
use crate::openpgp::{SessionKey, armor, encrypt_to};
use crate::store::{
    Answers, AuditRecord, CaseContent, Delivery, Hold, Packager, Project, Recipient, StoredEmbargo,
    StoredFix, TokenKind, Tx,
};

/// A case as its maintainers see it.
pub struct CaseReport {
    /// The project.
    pub project: Project,
    /// Stage and version.
    pub embargo: Embargo,
    /// The working document.
    pub content: CaseContent,
    /// The working set.
    pub fixes: Vec<StoredFix>,
    /// Who is told, or would be.
    pub audience: Vec<Packager>,
    /// What it lacks.
    pub missing: Vec<Missing>,
    /// The fixes of the newest sent revision.
    pub sent: Vec<StoredFix>,
    /// The public advisory, after the lift.
    pub advisory: Option<String>,
    /// What the last command has to say.
    pub remarks: Vec<String>,
}

/// Where a packager stands.
pub struct PackagerReport {
    /// The packager.
    pub packager: Packager,
    /// When the relay first took a notice with content for it.
    pub told_at: Option<DateTime<Utc>>,
    /// The newest revision it was told of.
    pub told_revision: Option<u32>,
    /// What it said.
    pub said: Answers,
    /// How it stands, as one word.
    pub state: PackagerState,
    /// What is wrong, as a sentence.
    pub trouble: String,
}

/// How a packager stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackagerState {
    /// Nothing was due yet, or it is on its way.
    Waiting,
    /// Told; what it has read is older, or it has said nothing and not for long.
    Told,
    /// Told, and it has read the newest revision it was told of.
    Answered,
    /// Told first more than three days ago, and it has given no receipt for any revision.
    Silent,
    /// Its certificate cannot be used.
    Blocked,
    /// The relay's answer was lost.
    Uncertain,
    /// The relay refused it for good.
    Failed,
}

impl PackagerState {
    /// The word that is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Told => "told",
            Self::Answered => "answered",
            Self::Silent => "silent",
            Self::Blocked => "blocked",
            Self::Uncertain => "uncertain",
            Self::Failed => "failed",
        }
    }
}

/// After how long without a receipt a packager counts as silent.
const SILENT_AFTER: chrono::Duration = chrono::Duration::days(3);

/// Who was told what, and when.
pub struct DeliveryReport {
    /// One entry per packager.
    pub packagers: Vec<PackagerReport>,
    /// Every copy, with its recipient's name and address.
    pub copies: Vec<(Delivery, String, String)>,
}

/// Everything the board of one embargo shows: dates, people, states; never notice text or a fix.
pub struct BoardReport {
    /// The viewer's name.
    pub viewer: String,
    /// The instant it shows.
    pub now: DateTime<Utc>,
    /// The case.
    pub case: CaseReport,
    /// The packagers.
    pub packagers: Vec<PackagerReport>,
    /// The next legal dates.
    pub dates: Vec<Verdict>,
    /// The newest audit entries.
    pub audit: Vec<AuditRecord>,
    /// What holds it, if it is live.
    pub holds: Vec<Hold>,
}

impl CaseReport {
    /// Reads a case as it stands.
    pub(super) fn read(tx: &mut Tx<'_>, id: &EmbargoId, _now: DateTime<Utc>) -> Result<Self, Refusal> {
        let case = tx.embargo_with_content(id)?.ok_or(Refusal::NotFound)?;
        // What is over is sent no more, so it lacks nothing.
        let missing = if case.embargo.stage.is_live() { missing(tx, &case)? } else { Vec::new() };
        let project = tx.project(&case.embargo.project)?;
        let audience = tx.audience(id)?;
        let sent = match &case.embargo.stage {
            Stage::Announced { revision, .. } | Stage::Lifted { revision, .. } => {
                tx.fixes_of(id, *revision)?
            }
            _ => Vec::new(),
        };
        Ok(Self {
            fixes: tx.working_set(id)?,
            audience: tx
                .packagers()?
                .into_iter()
                .filter(|packager| audience.contains(&packager.id))
                .collect(),
            advisory: tx.advisory_of(id)?,
            sent,
            project,
            embargo: case.embargo,
            content: case.content,
            missing,
            remarks: Vec::new(),
        })
    }
}

impl DeliveryReport {
    fn read(tx: &mut Tx<'_>, id: &EmbargoId, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let copies = tx.deliveries_of(id)?;
        let contacts = tx.contacts()?;
        let maintainers = tx.maintainers()?;
        let packagers = tx.packagers()?;
        let audience = tx.audience(id)?;
        let live = tx.embargo(id)?.is_some_and(|embargo| embargo.stage.is_live());
        let mut reports = Vec::new();
        for packager in packagers.iter().filter(|packager| audience.contains(&packager.id)) {
            let said = tx.answers(id, &packager.id)?;
            reports.push(packager_report(packager.clone(), &copies, said, live, now));
        }
        let named = copies
            .into_iter()
            .map(|copy| {
                let (name, address) = match &copy.recipient {
                    Recipient::Maintainer(id) => maintainers
                        .iter()
                        .find(|person| person.id == *id)
                        .map(|person| ("maintainer".to_owned(), person.address.clone())),
                    Recipient::Contact(id) => {
                        contacts.iter().find(|contact| contact.id == *id).map(|contact| {
                            let name = packagers.iter().find(|packager| packager.id == contact.packager);
                            (
                                name.map_or_else(String::new, |packager| packager.slug.clone()),
                                contact.address.clone(),
                            )
                        })
                    }
                }
                .unwrap_or_else(|| ("removed".to_owned(), String::new()));
                (copy, name, address)
            })
            .collect();
        Ok(Self { packagers: reports, copies: named })
    }
}

fn packager_report(
    packager: Packager,
    copies: &[Delivery],
    said: Answers,
    live: bool,
    now: DateTime<Utc>,
) -> PackagerReport {
    let own: Vec<&Delivery> =
        copies.iter().filter(|copy| copy.packager.as_ref() == Some(&packager.id)).collect();
    let content = || own.iter().filter(|copy| copy.kind.carries_revision());
    let told_at = content().filter_map(|copy| copy.accepted_at).min();
    let told_revision =
        content().filter(|copy| copy.accepted_at.is_some()).filter_map(|copy| copy.revision).max();
    let current = || content().filter(|copy| copy.current);
    let reached = current().any(|copy| copy.state == DeliveryState::Accepted);
    let stuck = [
        (DeliveryState::Blocked, PackagerState::Blocked),
        (DeliveryState::Failed, PackagerState::Failed),
        (DeliveryState::Uncertain, PackagerState::Uncertain),
    ]
    .into_iter()
    .filter(|_| !reached)
    .find_map(|(copy, packager)| Some((packager, current().find(|it| it.state == copy)?.reply.clone())));
    let (state, trouble) = match (stuck, told_at) {
        (Some(stuck), _) => stuck,
        (None, None) => {
            // Nobody should have to wait until the last attempt to learn that the relay wants something.
            let tried = current().find(|copy| copy.state == DeliveryState::Pending && copy.attempts > 0);
            (PackagerState::Waiting, tried.map_or_else(String::new, |copy| copy.reply.clone()))
        }
        (None, Some(since)) => match said.receipt {
            Some((number, _)) if Some(number) >= told_revision => (PackagerState::Answered, String::new()),
            // Once it is over, nobody has to be asked for a receipt any more.
            None if live && now - since >= SILENT_AFTER => {
                let days = (now - since).num_days();
                (PackagerState::Silent, format!("no receipt for {days} days"))
            }
            _ => (PackagerState::Told, String::new()),
        },
    };
    PackagerReport { packager, told_at, told_revision, said, state, trouble }
}

/// What a case lacks before it can be sent.
pub(super) fn missing(tx: &mut Tx<'_>, case: &StoredEmbargo) -> Result<Vec<Missing>, Refusal> {
    let project = tx.project(&case.embargo.project)?;
    let branches: Vec<String> =
        tx.working_set(&case.embargo.id)?.into_iter().map(|fix| fix.content.branch).collect();
    let members: Vec<PackagerId> =
        tx.members(&case.embargo.project)?.into_iter().map(|packager| packager.id).collect();
    let audience = tx.audience(&case.embargo.id)?.into_iter().filter(|id| members.contains(id)).count();
    Ok(Completeness {
        text: &case.content.text,
        fixed_branches: &branches,
        waivers: &case.content.waivers,
        supported_branches: &project.policy.supported_branches,
        has_date: case.embargo.stage.schedule().is_some(),
        audience,
    }
    .missing())
}

/// The least that can be published when there is no time for more.
pub(super) fn complete_enough_to_publish(text: &CaseText) -> Result<(), Refusal> {
    if text.title.trim().is_empty() {
        return Err(Refusal::rule("incomplete", "an advisory needs at least a title: embargoctl edit"));
    }
    Ok(())
}

/// Encrypts an answer to who asked.
pub(super) fn to_bearer(
    app: &App,
    bearer: &Bearer,
    plaintext: &[u8],
    now: DateTime<Utc>,
) -> Result<Vec<u8>, Refusal> {
    let session_key = SessionKey::from_random(app.entropy.bytes());
    let server = app.server_key()?;
    let message =
        encrypt_to(plaintext, &bearer.certificate, &bearer.acceptance, Some(&server), &session_key, now)
            .map_err(|trouble| Refusal::invalid(trouble.code(), trouble))?;
    Ok(armor(&[], &message, bearer.certificate.container()))
}

impl App {
    /// Reads something of an embargo for one of its maintainers: judged, audited and encrypted to the
    /// maintainer in one transaction.
    pub(super) async fn read_as_maintainer(
        &self,
        token: String,
        kind: TokenKind,
        id: EmbargoId,
        action: &'static str,
        read: impl FnOnce(&mut Tx<'_>, &Project, &Actor, DateTime<Utc>) -> Result<Vec<u8>, Refusal>
        + Send
        + 'static,
    ) -> Result<Vec<u8>, Refusal> {
        let app = self.clone();
        self.store
            .write(move |tx| {
                let now = app.clock.now();
                let bearer = bearer(tx, &token, (kind, Scope::EmbargoRead), now)?;
                let project = decided_by(tx, &bearer.actor, &id)?;
                let plaintext = read(tx, &project, &bearer.actor, now)?;
                tx.audit(entry(now, &bearer.actor, action, &id, &id, Vec::new()));
                to_bearer(&app, &bearer, &plaintext, now)
            })
            .await
    }

    /// The whole case, for one of its maintainers.
    pub async fn case(
        &self,
        token: String,
        id: EmbargoId,
        render: fn(&CaseReport) -> Vec<u8>,
    ) -> Result<Vec<u8>, Refusal> {
        let asked = id.clone();
        self.read_as_maintainer(token, TokenKind::Api, id, "case read", move |tx, _, _, now| {
            Ok(render(&CaseReport::read(tx, &asked, now)?))
        })
        .await
    }

    /// Who was told what, for one of its maintainers.
    pub async fn deliveries(
        &self,
        token: String,
        id: EmbargoId,
        render: fn(&DeliveryReport) -> Vec<u8>,
    ) -> Result<Vec<u8>, Refusal> {
        let asked = id.clone();
        self.read_as_maintainer(token, TokenKind::Api, id, "deliveries read", move |tx, _, _, now| {
            Ok(render(&DeliveryReport::read(tx, &asked, now)?))
        })
        .await
    }

    /// What was done, for one of its maintainers.
    pub async fn audit(
        &self,
        token: String,
        id: EmbargoId,
        render: fn(&[AuditRecord]) -> Vec<u8>,
    ) -> Result<Vec<u8>, Refusal> {
        let asked = id.clone();
        self.read_as_maintainer(token, TokenKind::Api, id, "audit read", move |tx, _, _, _| {
            Ok(render(&audit_of(tx, &asked, 200)?))
        })
        .await
    }

    /// The embargoes that a page session may list.
    pub async fn boards(&self, session: String) -> Result<Vec<BoardReport>, Refusal> {
        let app = self.clone();
        self.store
            .write(move |tx| {
                let now = app.clock.now();
                let bearer = bearer(tx, &session, (TokenKind::Session, Scope::EmbargoRead), now)?;
                let mut boards = Vec::new();
                for embargo in tx.embargoes()? {
                    if decided_by(tx, &bearer.actor, &embargo.id).is_ok() {
                        match board(tx, &bearer.actor, &embargo.id, now) {
                            Ok(board) => boards.push(board),
                            // One that is damaged or destroyed hides no other.
                            Err(Refusal::Store(error)) if error.is_about_one_thing() => {
                                error.say_once();
                                continue;
                            }
                            Err(Refusal::Rule { code: "destroyed", .. }) => continue,
                            Err(refusal) => return Err(refusal),
                        }
                        tx.audit(entry(
                            now,
                            &bearer.actor,
                            "board read",
                            &embargo.id,
                            &embargo.id,
                            Vec::new(),
                        ));
                    }
                }
                Ok(boards)
            })
            .await
    }

    /// The board of one embargo, for a page session.
    pub async fn board(&self, session: String, id: EmbargoId) -> Result<BoardReport, Refusal> {
        let app = self.clone();
        self.store
            .write(move |tx| {
                let now = app.clock.now();
                let bearer = bearer(tx, &session, (TokenKind::Session, Scope::EmbargoRead), now)?;
                decided_by(tx, &bearer.actor, &id)?;
                tx.audit(entry(now, &bearer.actor, "board read", &id, &id, Vec::new()));
                board(tx, &bearer.actor, &id, now)
            })
            .await
    }
}

fn board(tx: &mut Tx<'_>, actor: &Actor, id: &EmbargoId, now: DateTime<Utc>) -> Result<BoardReport, Refusal> {
    let case = CaseReport::read(tx, id, now)?;
    let viewer = match actor {
        Actor::Maintainer(id) => tx.maintainer(id)?.map(|person| person.name),
        _ => None,
    };
    let live = case.embargo.stage.is_live();
    Ok(BoardReport {
        viewer: viewer.unwrap_or_default(),
        now,
        packagers: DeliveryReport::read(tx, id, now)?.packagers,
        dates: if live {
            let promise = super::schedule::promise(&case.embargo.stage);
            offers_to_move(&case.project.policy, now, promise, 3)
        } else {
            Vec::new()
        },
        audit: audit_of(tx, id, 20)?,
        holds: if live { tx.open_holds()? } else { Vec::new() },
        case,
    })
}

/// The project of an embargo, if the actor is one of its maintainers; otherwise there is no such embargo.
fn decided_by(tx: &mut Tx<'_>, actor: &Actor, id: &EmbargoId) -> Result<Project, Refusal> {
    let Actor::Maintainer(maintainer) = actor else { return Err(Refusal::NotFound) };
    let embargo = tx.embargo(id)?.ok_or(Refusal::NotFound)?;
    if !tx.decides_for(maintainer, &embargo.project)? {
        return Err(Refusal::NotFound);
    }
    Ok(tx.project(&embargo.project)?)
}
