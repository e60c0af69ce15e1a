//! Notices: frozen, announced when due, and turned into deliveries by comparing what should be with what is.
//!
//! Reconciliation takes no input. Deliveries are (audience x what is currently to be known) minus what
//! exists; that one rule covers the announcement, somebody who joins later, and a restart.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::commands::{Context, Done};
use super::embargoes::needed;
use super::{Actor, App, Refusal, entry};
use crate::domain::dates::{judge, offers};
use crate::domain::embargo::Stage;
use crate::domain::fix::{Fix, compare};
use crate::domain::hold::Passage;
use crate::domain::id::{DeliveryId, EmbargoId, PackagerId, ReceiptCode};
use crate::domain::instant::display_instant;
use crate::domain::notice::{DeliveryState, NoticeKind};
use crate::metrics::labels::Alarm;
use crate::store::{
    NewDelivery, Notice, NoticeFacts, Recipient, RevisionContent, RevisionFix, StoredEmbargo, StoredRevision,
    Tx,
};

impl Context<'_> {
    pub(super) fn send(
        &self,
        tx: &mut Tx<'_>,
        id: EmbargoId,
        reason: String,
        at_once: bool,
    ) -> Result<Done, Refusal> {
        let mut case = self.live(tx, &id)?;
        settle_audience(tx, &case, self.now)?;
        let project = tx.project(&case.embargo.project)?;
        let missing = super::reports::missing(tx, &case)?;
        if !missing.is_empty() {
            let cures = missing.iter().map(crate::domain::case::Missing::cure).collect::<Vec<_>>().join("; ");
            return Err(Refusal::rule("incomplete", format!("this cannot be sent yet; it lacks: {cures}")));
        }
        let announced = case.embargo.stage.is_announced();
        let reason = if announced { needed(reason, "a new revision")? } else { reason };
        if let Stage::Scheduled { schedule, .. } = &case.embargo.stage {
            let verdict = judge(&project.policy, self.now, schedule.lifts_at);
            if !verdict.legal {
                let next = offers(&project.policy, self.now, 1)
                    .first()
                    .map(|offer| display_instant(offer.lifts_at, project.policy.zone))
                    .unwrap_or_default();
                let why = verdict.refusal().unwrap_or_default();
                return Err(Refusal::rule("date", format!("{why}; the next legal date is {next}")));
            }
        }
        let number = self.freeze(tx, &case, reason)?;
        let before = case.embargo.stage.clone();
        case.embargo.stage = case.embargo.stage.freeze(number, at_once, self.now)?;
        if case.embargo.stage.is_announced() && !before.is_announced() {
            self.app.refuse_while_held(tx)?;
        }
        tx.save_embargo(&mut case.embargo, &case.content)?;
        let mut remarks = Vec::new();
        match (&before, &case.embargo.stage) {
            (Stage::Scheduled { .. }, Stage::Announced { .. }) => {
                self.app.insert_notice(
                    tx,
                    &id,
                    NoticeKind::Announcement,
                    Some(number),
                    &NoticeFacts::default(),
                    self.now,
                )?;
            }
            (_, Stage::Announced { .. }) => {
                tx.supersede_notices(
                    std::slice::from_ref(&id),
                    &[NoticeKind::Announcement, NoticeKind::Revision, NoticeKind::NewDate],
                    self.now,
                )?;
                self.app.insert_notice(
                    tx,
                    &id,
                    NoticeKind::Revision,
                    Some(number),
                    &NoticeFacts::default(),
                    self.now,
                )?;
            }
            (_, Stage::Scheduled { schedule, .. }) => {
                let due = display_instant(schedule.notice_at, project.policy.zone);
                remarks.push(format!("revision {number} is frozen and leaves by itself at {due}"));
            }
            _ => {}
        }
        reconcile(self.app, tx, Some(&id), self.now)?;
        Ok(Done { remarks, ..id.into() })
    }

    /// Freezes the working set as the next revision.
    pub(super) fn freeze(
        &self,
        tx: &mut Tx<'_>,
        case: &StoredEmbargo,
        reason: String,
    ) -> Result<u32, Refusal> {
        let id = &case.embargo.id;
        let number = tx.next_revision(id)?;
        let fixes = tx.working_set(id)?;
        // What was frozen and never sent is known to nobody: only the revision that packagers have counts.
        let differences = match &case.embargo.stage {
            Stage::Announced { revision: sent, .. } => differences(tx, id, *sent)?,
            _ => String::new(),
        };
        let code = ReceiptCode::from_random(self.app.entropy.bytes());
        let revision = StoredRevision {
            number,
            content: RevisionContent {
                case: case.content.clone(),
                reason,
                differences,
                receipt_code: code.to_string(),
                fixes: fixes
                    .iter()
                    .map(|fix| RevisionFix { id: fix.id.to_string(), branch: fix.content.branch.clone() })
                    .collect(),
            },
            frozen_at: self.now,
        };
        tx.insert_revision(id, &revision)?;
        Ok(number)
    }
}

/// How the working set differs from the sent revision `number`, branch by branch.
fn differences(tx: &mut Tx<'_>, embargo: &EmbargoId, number: u32) -> Result<String, Refusal> {
    let before = tx.fixes_of(embargo, number)?;
    let after = tx.working_set(embargo)?;
    let mut text = String::new();
    let parse = |tx: &mut Tx<'_>, id: &crate::domain::id::FixId| -> Result<Fix, Refusal> {
        Fix::parse(tx.fix_bytes(embargo, id)?.to_vec()).map_err(|error| Refusal::invalid(error.code(), error))
    };
    for fix in &after {
        let branch = &fix.content.branch;
        let section = match before.iter().find(|old| old.content.branch == *branch) {
            None => "new\n".to_owned(),
            Some(old) if old.id == fix.id || old.content.sha256 == fix.content.sha256 => {
                "unchanged\n".to_owned()
            }
            Some(old) => compare(&parse(tx, &old.id)?, &parse(tx, &fix.id)?).to_string(),
        };
        let _ = writeln!(text, "branch {branch}: {section}");
    }
    for old in &before {
        if !after.iter().any(|fix| fix.content.branch == old.content.branch) {
            let _ = writeln!(text, "branch {}: withdrawn", old.content.branch);
        }
    }
    Ok(text)
}

impl App {
    /// Announces what is frozen and due, raises an alarm for what is due and not frozen, and inserts the
    /// deliveries that are missing. Says whether anything changed.
    pub async fn reconcile_notices(&self) -> Result<bool, Refusal> {
        self.after_lifts().await;
        let app = self.clone();
        let now = self.clock.now();
        // What is compared with everything holds up no writer.
        let lacking = self.store.read(move |tx| {
            let passage = app.passage(tx)?;
            let work = due(tx, None, passage, now)?;
            Ok::<_, Refusal>(work.iter().map(|item| item.embargo().clone()).collect::<BTreeSet<_>>())
        });
        let lacking: Vec<_> = lacking.await?.into_iter().collect();
        let mut changed = false;
        for some in lacking.chunks(TOGETHER) {
            let (app, some) = (self.clone(), some.to_vec());
            let mended = self.store.write(move |tx| {
                let mut changed = false;
                for id in &some {
                    match reconcile(&app, tx, Some(id), app.clock.now()) {
                        Ok(did) => changed |= did,
                        // A damaged one delays no other.
                        Err(Refusal::Store(error)) if error.is_about_one_thing() => error.say_once(),
                        Err(refusal) => return Err(refusal),
                    }
                }
                Ok::<_, Refusal>(changed)
            });
            changed |= mended.await?;
        }
        Ok(changed)
    }
}

/// How many embargoes are put right in one transaction.
const TOGETHER: usize = 16;

/// What is missing, if anything: announcements, unless they are held, alarms, deliveries, copies to be put back
/// in line.
fn due(
    tx: &mut Tx<'_>,
    only: Option<&EmbargoId>,
    passage: Passage,
    now: DateTime<Utc>,
) -> Result<Vec<Work>, Refusal> {
    let mut work = Vec::new();
    let due = match only {
        None => tx.due_notices(now)?,
        Some(id) => tx.embargo(id)?.filter(|embargo| embargo.stage.notice_is_due(now)).into_iter().collect(),
    };
    for embargo in due {
        let lead = match tx.project(&embargo.project) {
            Ok(project) => project.policy.notice_lead,
            Err(error) if error.is_about_one_thing() => {
                error.say_once();
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let current = tx.current_notices(&embargo.id, now)?;
        let raised = current.iter().any(|notice| notice.facts.overdue);
        match &embargo.stage {
            // A week that is not left any more is nothing to announce in silence.
            Stage::Scheduled { frozen: Some(_), schedule } if now + lead <= schedule.lifts_at => {
                if passage == Passage::Open {
                    work.push(Work::Announce(embargo.id));
                }
            }
            _ if raised => {}
            Stage::Scheduled { frozen: Some(_), .. } => work.push(Work::Overdue(embargo.id, TOO_LATE)),
            _ => work.push(Work::Overdue(embargo.id, NOTHING_FROZEN)),
        }
    }
    let lacking = match only {
        None => tx.notices_lacking_copies(now)?,
        Some(id) => tx.current_notices(id, now)?,
    };
    let contacts = if lacking.is_empty() { Vec::new() } else { tx.contacts()? };
    for notice in &lacking {
        match copies_due(tx, notice, &contacts) {
            Ok(copies) => work.extend(copies),
            // A damaged one delays no other.
            Err(Refusal::Store(error)) if error.is_about_one_thing() => error.say_once(),
            Err(refusal) => return Err(refusal),
        }
    }
    for (embargo, delivery) in tx.blocked_deliveries()? {
        if only.is_some_and(|only| *only != embargo) {
            continue;
        }
        match usable(tx, &delivery.recipient, now) {
            Ok(true) if delivery.current => work.push(Work::PutBack(embargo, delivery.id)),
            Err(Refusal::Store(error)) if !error.is_about_one_thing() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(work)
}

/// The copies of a notice that should be there and are not.
fn copies_due(
    tx: &mut Tx<'_>,
    notice: &Notice,
    contacts: &[crate::store::Contact],
) -> Result<Vec<Work>, Refusal> {
    let mut work = Vec::new();
    {
        let Some(embargo) = tx.embargo(&notice.embargo)? else { return Ok(work) };
        let existing = tx.recipients_of(&notice.id)?;
        // Who may be told again after all: a copy was given up while the recipient was out of the audience.
        let given_up = tx.superseded_copies(&notice.id)?;
        let mut add = |recipient: Recipient, packager: Option<PackagerId>| {
            if !existing.contains(&recipient) {
                work.push(Work::Deliver(Box::new(notice.clone()), recipient, packager));
            } else if let Some((id, _)) = given_up.iter().find(|(_, known)| *known == recipient) {
                work.push(Work::PutBack(notice.embargo.clone(), id.clone()));
            }
        };
        if notice.kind == NoticeKind::Alarm {
            for person in tx.maintainers_of(&embargo.project)? {
                add(Recipient::Maintainer(person.id), None);
            }
            return Ok(work);
        }
        let members = tx.members(&embargo.project)?;
        let mut audience = tx.audience(&notice.embargo)?;
        audience.retain(|packager| members.iter().any(|member| member.id == *packager));
        if notice.kind == NoticeKind::Cancelled {
            let told = told(tx, &notice.embargo)?;
            audience.retain(|packager| told.contains(packager));
        }
        for contact in contacts {
            let meant = notice.facts.only.as_ref().is_none_or(|only| only == contact.id.as_str());
            if meant && audience.contains(&contact.packager) {
                add(Recipient::Contact(contact.id.clone()), Some(contact.packager.clone()));
            }
        }
    }
    Ok(work)
}

const NOTHING_FROZEN: &str = "The notice to packagers is due, and nothing is frozen to be sent. Send it now \
                              (embargoctl send), or choose a later date (embargoctl schedule).";
const TOO_LATE: &str = "The notice to packagers could not leave when it was due, and what is left is less than the \
                        policy promises them. Nothing was sent and nothing lifts: choose a later date \
                        (embargoctl schedule), then send again.";

/// One thing that is missing.
enum Work {
    Announce(EmbargoId),
    Overdue(EmbargoId, &'static str),
    Deliver(Box<Notice>, Recipient, Option<PackagerId>),
    PutBack(EmbargoId, DeliveryId),
}

/// How often one reconciliation looks again: an announcement leads to deliveries, and they to nothing.
const ROUNDS: usize = 4;

/// Inserts what is missing, for one embargo or for all; running it twice does what running it once did.
/// What cannot be done for one embargo does not hold the others.
pub(super) fn reconcile(
    app: &App,
    tx: &mut Tx<'_>,
    only: Option<&EmbargoId>,
    now: DateTime<Utc>,
) -> Result<bool, Refusal> {
    let mut changed = false;
    let passage = app.passage_until_commit(tx)?;
    for _ in 0..ROUNDS {
        let work = due(tx, only, passage, now)?;
        if work.is_empty() {
            break;
        }
        for item in work {
            match tx.attempt(|tx| item.carry_out(app, tx, now)) {
                Ok(()) => changed = true,
                Err(Refusal::Store(error)) if error.is_about_one_thing() => error.say_once(),
                Err(Refusal::Store(error)) if !matches!(error, crate::store::StoreError::Conflict) => {
                    return Err(Refusal::Store(error));
                }
                Err(_) => tracing::warn!("something that was due could not be done and is tried again"),
            }
        }
    }
    Ok(changed)
}

impl Work {
    fn embargo(&self) -> &EmbargoId {
        match self {
            Self::Announce(id) | Self::Overdue(id, _) | Self::PutBack(id, _) => id,
            Self::Deliver(notice, ..) => &notice.embargo,
        }
    }

    fn carry_out(self, app: &App, tx: &mut Tx<'_>, now: DateTime<Utc>) -> Result<(), Refusal> {
        match self {
            Work::Announce(id) => {
                let Some(mut case) = tx.embargo_with_content(&id)? else { return Ok(()) };
                settle_audience(tx, &case, now)?;
                case.embargo.stage = case.embargo.stage.announce(now)?;
                tx.save_embargo(&mut case.embargo, &case.content)?;
                // Not what was frozen when it was found due: another revision may have been answered since.
                let Stage::Announced { revision, .. } = case.embargo.stage else { return Ok(()) };
                app.insert_notice(
                    tx,
                    &id,
                    NoticeKind::Announcement,
                    Some(revision),
                    &NoticeFacts::default(),
                    now,
                )?;
                tx.audit(entry(now, &Actor::Server, "announced", &id, &id, Vec::new()));
            }
            Work::Overdue(id, why) => {
                let facts = NoticeFacts { reason: why.to_owned(), overdue: true, ..NoticeFacts::default() };
                app.raise(tx, &id, Alarm::NoticeMissed, &facts, now)?;
            }
            Work::Deliver(notice, recipient, packager) => {
                let new = NewDelivery {
                    id: DeliveryId::from_random(app.entropy.bytes()),
                    notice: notice.id.clone(),
                    embargo: notice.embargo.clone(),
                    recipient,
                    packager,
                };
                tx.insert_delivery(&new, now)?;
            }
            Work::PutBack(_, id) => tx.put_back_delivery(&id, now)?,
        }
        Ok(())
    }
}

/// Who is told when nobody chose: every packager that is approved when the first notice leaves.
fn settle_audience(tx: &mut Tx<'_>, case: &StoredEmbargo, now: DateTime<Utc>) -> Result<(), Refusal> {
    if !case.content.audience_chosen && !case.embargo.stage.is_announced() {
        let members: Vec<PackagerId> =
            tx.members(&case.embargo.project)?.into_iter().map(|packager| packager.id).collect();
        tx.put_audience(&case.embargo.id, &members, now)?;
    }
    Ok(())
}

/// The packagers who were told something with content, or may have been.
fn told(tx: &mut Tx<'_>, embargo: &EmbargoId) -> Result<Vec<PackagerId>, Refusal> {
    Ok(tx
        .deliveries_of(embargo)?
        .into_iter()
        .filter(|copy| copy.kind.carries_revision())
        .filter(|copy| {
            matches!(copy.state, DeliveryState::Accepted | DeliveryState::Uncertain | DeliveryState::Leased)
                || copy.attempts > 0
        })
        .filter_map(|copy| copy.packager)
        .collect())
}

/// Whether something can be encrypted to a recipient now.
fn usable(tx: &mut Tx<'_>, recipient: &Recipient, now: DateTime<Utc>) -> Result<bool, Refusal> {
    let certificate = match recipient {
        Recipient::Contact(id) => tx.contact(id)?.map(|contact| contact.certificate),
        Recipient::Maintainer(id) => tx.maintainer(id)?.map(|person| person.certificate),
    };
    let Some(certificate) = certificate else { return Ok(false) };
    let stored = tx.certificate(&certificate)?;
    let (certificate, acceptance) = super::certificate_of(&stored)?;
    Ok(stored.revoked_at.is_none() && certificate.check(&acceptance, now).is_ok())
}

/// Ends everything that was to be told about an embargo.
pub(super) fn supersede_all(
    tx: &mut Tx<'_>,
    embargoes: &[EmbargoId],
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let kinds: Vec<NoticeKind> =
        NoticeKind::ALL.iter().copied().filter(|kind| *kind != NoticeKind::Alarm).collect();
    Ok(tx.supersede_notices(embargoes, &kinds, now)?)
}
