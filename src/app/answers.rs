//! What packagers read and say: neutral metadata in clear, notices and fixes inside OpenPGP, receipts
//! against the code from the notice.

use super::scope::Scope;
use super::sessions::bearer;
use super::{Actor, App, Refusal, entry};
use crate::domain::embargo::{Embargo, Stage};
use crate::domain::id::{EmbargoId, FixId, PackagerId, ReceiptCode};
use crate::domain::notice::{DeliveryState, Impact, Progress};
use crate::openpgp::armor;
use crate::store::{Answers, BodySubject, TokenKind, Tx};

/// An embargo as any of its readers may see it in clear.
pub struct NeutralReport {
    /// Stage, version and instants.
    pub embargo: Embargo,
    /// The newest sent revision.
    pub revision: Option<u32>,
    /// Id and size of its fixes.
    pub fixes: Vec<(FixId, u64)>,
    /// The public advisory, after the lift.
    pub advisory: Option<String>,
    /// What the caller said, if it is a packager.
    pub own: Option<Answers>,
}

/// What a packager says.
#[derive(Clone, Copy, Debug)]
pub enum Saying {
    /// It has read this revision.
    Receipt(u32),
    /// Whether it is affected.
    Impact(Impact),
    /// How far it is.
    Progress(Progress),
}

/// What of a revision is fetched.
#[derive(Clone, Debug)]
pub enum Part {
    /// The notice.
    Notice,
    /// One fix.
    Fix(FixId),
}

impl App {
    /// The embargoes the caller may know of.
    pub async fn list(&self, token: String) -> Result<Vec<NeutralReport>, Refusal> {
        let now = self.clock.now();
        self.store
            .read(move |tx| {
                let bearer = bearer(tx, &token, (TokenKind::Api, Scope::ScheduleRead), now)?;
                let mut list = Vec::new();
                for embargo in tx.embargoes()? {
                    match listed(tx, &bearer.actor, embargo) {
                        Ok(report) => list.extend(report),
                        // A damaged one hides no other.
                        Err(Refusal::Store(error)) if error.is_about_one_thing() => error.say_once(),
                        Err(refusal) => return Err(refusal),
                    }
                }
                Ok(list)
            })
            .await
    }

    /// One embargo the caller may know of.
    pub async fn neutral(&self, token: String, id: EmbargoId) -> Result<NeutralReport, Refusal> {
        let now = self.clock.now();
        self.store
            .read(move |tx| {
                let bearer = bearer(tx, &token, (TokenKind::Api, Scope::ScheduleRead), now)?;
                let embargo = tx.embargo(&id)?.ok_or(Refusal::NotFound)?;
                if !may_know(tx, &bearer.actor, &embargo)? {
                    return Err(Refusal::NotFound);
                }
                neutral(tx, &bearer.actor, embargo)
            })
            .await
    }

    /// A notice or a fix of a sent revision: an OpenPGP message to the caller, the shared bytes behind the
    /// caller's own head. Written down before it leaves.
    pub async fn fetch(
        &self,
        token: String,
        id: EmbargoId,
        number: u32,
        part: Part,
    ) -> Result<Vec<u8>, Refusal> {
        let app = self.clone();
        let scope = if matches!(part, Part::Notice) { Scope::NoticeRead } else { Scope::PatchRead };
        self.store
            .write(move |tx| {
                let now = app.clock.now();
                let bearer = bearer(tx, &token, (TokenKind::Api, scope), now)?;
                let embargo = tx.embargo(&id)?.ok_or(Refusal::NotFound)?;
                if !may_know(tx, &bearer.actor, &embargo)? {
                    return Err(Refusal::NotFound);
                }
                let notice = tx.notice_of_revision(&id, number)?.ok_or(Refusal::NotFound)?;
                let container = bearer.certificate.container();
                let (body, action, object) = match &part {
                    Part::Notice => {
                        let subject = BodySubject::Notice(notice.clone());
                        let body = match tx.body(&id, &subject, container)? {
                            Some(body) => body,
                            None => {
                                let notice = tx.notice(&notice)?;
                                app.notice_body(tx, &notice, false, container, now)?
                            }
                        };
                        (body, "notice fetched", notice.to_string())
                    }
                    Part::Fix(fix) => {
                        let fixes = tx.fixes_of(&id, number)?;
                        let fix = fixes.iter().find(|known| known.id == *fix).ok_or(Refusal::NotFound)?;
                        (app.fix_body(tx, &id, fix, container, now)?, "fix fetched", fix.id.to_string())
                    }
                };
                let stored = (&bearer.certificate_id, bearer.certificate_version);
                let head = Self::head(tx, &body, &bearer.certificate, &bearer.acceptance, stored, now)?;
                tx.audit(entry(now, &bearer.actor, action, &id, &object, Vec::new()));
                Ok(armor(&head, &body.content, body.container))
            })
            .await
    }

    /// Stores what a packager says, if the code is one from a notice of this embargo.
    pub async fn say(
        &self,
        token: String,
        id: EmbargoId,
        code: &str,
        saying: Saying,
    ) -> Result<Answers, Refusal> {
        let code: ReceiptCode = code.parse().map_err(|error| Refusal::invalid("receipt-code", error))?;
        let app = self.clone();
        self.store
            .write(move |tx| {
                let now = app.clock.now();
                let bearer = bearer(tx, &token, (TokenKind::Api, Scope::AckWrite), now)?;
                let embargo = tx.embargo(&id)?.ok_or(Refusal::NotFound)?;
                let Actor::Contact { packager, .. } = &bearer.actor else { return Err(Refusal::NotFound) };
                if !may_know(tx, &bearer.actor, &embargo)? {
                    return Err(Refusal::NotFound);
                }
                let newest = newest_revision(&embargo).ok_or(Refusal::NotFound)?;
                // Counted before the code is looked at, so that tries at the same time are counted too.
                if let Some(until) = tx.count_try(&id, packager, now)? {
                    let seconds = (until - now).num_seconds().max(1).unsigned_abs();
                    return Ok(Err(Refusal::TooMany { seconds }));
                }
                let numbers = match saying {
                    Saying::Receipt(number) => number..=number,
                    _ => 1..=newest,
                };
                let mut right = false;
                for number in numbers.rev().take(100) {
                    right |= number <= newest && tx.receipt_matches(&id, number, &code)?;
                }
                if !right {
                    return Ok(Err(Refusal::invalid(
                        "receipt-code",
                        "this is not the receipt code of that revision; it stands at the end of the notice",
                    )));
                }
                tx.uncount_try(&id, packager)?;
                let mut said = tx.answers(&id, packager)?;
                let action = match saying {
                    Saying::Receipt(number) => {
                        if said.receipt.is_none_or(|(known, _)| known < number) {
                            said.receipt = Some((number, now));
                        }
                        "receipt given"
                    }
                    Saying::Impact(impact) => {
                        said.impact = impact;
                        "impact said"
                    }
                    Saying::Progress(progress) => {
                        said.progress = progress;
                        "progress said"
                    }
                };
                tx.put_answers(&id, packager, &said, now)?;
                tx.audit(entry(now, &bearer.actor, action, &id, packager, Vec::new()));
                Ok::<_, Refusal>(Ok(said))
            })
            .await?
    }
}

/// Whether an embargo exists for the actor: for its project's maintainers, and for packagers who were told
/// of it and still have their place.
fn may_know(tx: &mut Tx<'_>, actor: &Actor, embargo: &Embargo) -> Result<bool, Refusal> {
    match actor {
        Actor::Maintainer(id) => Ok(tx.decides_for(id, &embargo.project)?),
        Actor::Contact { packager, .. } => {
            let announced = embargo.stage.is_announced();
            let member = tx.is_member(&embargo.project, packager)?;
            Ok(announced
                && member
                && tx.is_audience(&embargo.id, packager)?
                && was_told(tx, embargo, packager)?)
        }
        Actor::Operator | Actor::Server => Ok(false),
    }
}

/// Whether a notice with content was made for a packager; a cancelled embargo was told to those it reached.
fn was_told(tx: &mut Tx<'_>, embargo: &Embargo, packager: &PackagerId) -> Result<bool, Refusal> {
    if tx.destroyed_at(&embargo.id)?.is_some() {
        // What was said to whom is gone; what was lifted is public.
        return Ok(embargo.stage.name() == crate::domain::embargo::StageName::Lifted);
    }
    Ok(tx.deliveries_of(&embargo.id)?.iter().any(|copy| {
        copy.packager.as_ref() == Some(packager)
            && copy.kind.carries_revision()
            && (copy.state != DeliveryState::Superseded
                || copy.attempts > 0
                || embargo.stage.name() == crate::domain::embargo::StageName::Lifted)
    }))
}

fn newest_revision(embargo: &Embargo) -> Option<u32> {
    match &embargo.stage {
        Stage::Announced { revision, .. } | Stage::Lifted { revision, .. } => Some(*revision),
        _ => None,
    }
}

fn listed(tx: &mut Tx<'_>, actor: &Actor, embargo: Embargo) -> Result<Option<NeutralReport>, Refusal> {
    if may_know(tx, actor, &embargo)? { neutral(tx, actor, embargo).map(Some) } else { Ok(None) }
}

fn neutral(tx: &mut Tx<'_>, actor: &Actor, embargo: Embargo) -> Result<NeutralReport, Refusal> {
    let revision = newest_revision(&embargo);
    let kept = tx.destroyed_at(&embargo.id)?.is_none();
    let fixes = match revision.filter(|_| kept) {
        Some(number) => tx
            .fixes_of(&embargo.id, number)?
            .into_iter()
            .map(|fix| (fix.id, fix.content.facts.size))
            .collect(),
        None => Vec::new(),
    };
    let own = match actor {
        Actor::Contact { packager, .. } => Some(tx.answers(&embargo.id, packager)?),
        _ => None,
    };
    Ok(NeutralReport { advisory: tx.advisory_of(&embargo.id)?, revision, fixes, own, embargo })
}
