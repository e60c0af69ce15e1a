//! Dates: offered, judged, set, moved, and brought forward.

use chrono::{DateTime, Utc};

use super::commands::{Context, Done};
use super::embargoes::needed;
use super::{App, Refusal, notices, reports};
use crate::domain::dates::{Verdict, judge, offers};
use crate::domain::embargo::{Schedule, Stage};
use crate::domain::id::EmbargoId;
use crate::domain::instant::{display_instant, parse_instant};
use crate::domain::notice::NoticeKind;
use crate::domain::policy::Policy;
use crate::store::{NoticeFacts, TokenKind, Tx};

/// How many dates are offered.
const OFFERS: usize = 3;

/// Legal dates for an embargo, and the judgement of one that was asked about.
pub struct Dates {
    /// The zone of the project.
    pub zone: chrono_tz::Tz,
    /// The judgement.
    pub asked: Option<Verdict>,
    /// The next legal dates.
    pub offers: Vec<Verdict>,
}

impl App {
    /// Legal dates for an embargo, for one of its maintainers; an OpenPGP message to the caller.
    pub async fn dates(
        &self,
        token: String,
        id: EmbargoId,
        at: Option<String>,
        render: fn(&Dates) -> Vec<u8>,
    ) -> Result<Vec<u8>, Refusal> {
        self.read_as_maintainer(token, TokenKind::Api, id, "dates read", move |tx, project, _, now| {
            let policy = &project.policy;
            let _ = tx;
            let asked = at
                .map(|text| {
                    parse_instant(&text, policy.zone).map_err(|error| Refusal::invalid("instant", error))
                })
                .transpose()?
                .map(|instant| judge(policy, now, instant));
            Ok(render(&Dates { zone: policy.zone, asked, offers: offers(policy, now, OFFERS) }))
        })
        .await
    }
}

/// The refusal of a date that the policy forbids, with dates that it allows.
fn refusal(policy: &Policy, verdict: &Verdict, now: DateTime<Utc>) -> Refusal {
    let why = verdict.refusal().unwrap_or_default();
    let offered = offers(policy, now, OFFERS)
        .iter()
        .map(|offer| display_instant(offer.lifts_at, policy.zone))
        .collect::<Vec<_>>()
        .join(" · ");
    Refusal::rule("date", format!("{why}; offered: {offered}"))
}

fn schedule_of(policy: &Policy, lifts_at: DateTime<Utc>, notice_at: DateTime<Utc>) -> Schedule {
    Schedule { lifts_at, zone: policy.zone, local: display_instant(lifts_at, policy.zone), notice_at }
}

impl Context<'_> {
    pub(super) fn schedule(
        &self,
        tx: &mut Tx<'_>,
        id: EmbargoId,
        typed: &str,
        reason: String,
    ) -> Result<Done, Refusal> {
        let mut case = self.live(tx, &id)?;
        let project = tx.project(&case.embargo.project)?;
        let lifts_at =
            parse_instant(typed, project.policy.zone).map_err(|error| Refusal::invalid("instant", error))?;
        let verdict = judge(&project.policy, self.now, lifts_at);
        let announced = case.embargo.stage.is_announced();
        // Whoever was told keeps what was promised: a later date takes nothing of the week away, and the
        // week is judged from when they were told.
        let legal = if announced {
            verdict
                .rules
                .iter()
                .all(|rule| rule.passed || rule.rule == crate::domain::dates::Rule::NoticeLead)
                && moved_late_enough(&case.embargo.stage, &project.policy, lifts_at)
        } else {
            verdict.legal
        };
        if !legal {
            return Err(refusal(&project.policy, &verdict, self.now));
        }
        let old_date = case.embargo.stage.schedule().map(|schedule| schedule.lifts_at);
        if announced && old_date == Some(lifts_at) {
            return Err(Refusal::rule("date", "this is already the date"));
        }
        case.embargo.stage =
            case.embargo.stage.schedule_for(schedule_of(&project.policy, lifts_at, verdict.notice_at))?;
        tx.save_embargo(&mut case.embargo, &case.content)?;
        // The alarm about a missed notice is answered by a new date; missing that one is another alarm.
        for notice in tx.current_notices(self.now)? {
            if notice.embargo == id && notice.facts.overdue {
                tx.supersede_notice(&notice, self.now)?;
            }
        }
        if announced {
            tx.supersede_notices(&id, &[NoticeKind::NewDate], self.now)?;
            let facts = NoticeFacts {
                reason: needed(reason, "moving a promised date")?,
                old_date,
                ..NoticeFacts::default()
            };
            self.app.insert_notice(tx, &id, NoticeKind::NewDate, None, &facts, self.now)?;
        }
        let mut remarks = Vec::new();
        if verdict.margin_used_up && !announced {
            remarks.push("the notice is due now: send it with embargoctl send".to_owned());
        }
        Ok(Done { remarks, ..id.into() })
    }

    pub(super) fn lift_early(
        &self,
        tx: &mut Tx<'_>,
        id: EmbargoId,
        reason: String,
        at: Option<&str>,
    ) -> Result<Done, Refusal> {
        let mut case = self.live(tx, &id)?;
        let reason = needed(reason, "lifting early")?;
        let project = tx.project(&case.embargo.project)?;
        let at = match at {
            None => self.now,
            Some(text) => parse_instant(text, project.policy.zone)
                .map_err(|error| Refusal::invalid("instant", error))?,
        }
        .max(self.now);
        let number = match &case.embargo.stage {
            Stage::Announced { revision, .. } => *revision,
            _ => {
                reports::complete_enough_to_publish(&case.content.text)?;
                self.freeze(tx, &case, reason.clone())?
            }
        };
        let was_announced = case.embargo.stage.is_announced();
        let old_date = case.embargo.stage.schedule().map(|schedule| schedule.lifts_at);
        case.embargo.stage =
            case.embargo.stage.lift_early(schedule_of(&project.policy, at, self.now), number, self.now)?;
        case.content.ending = Some(reason.clone());
        tx.save_embargo(&mut case.embargo, &case.content)?;
        if !was_announced {
            self.app.insert_notice(
                tx,
                &id,
                NoticeKind::Announcement,
                Some(number),
                &NoticeFacts::default(),
                self.now,
            )?;
        }
        if was_announced && at > self.now {
            tx.supersede_notices(&id, &[NoticeKind::NewDate], self.now)?;
            let facts = NoticeFacts { reason: reason.clone(), old_date, ..NoticeFacts::default() };
            self.app.insert_notice(tx, &id, NoticeKind::NewDate, None, &facts, self.now)?;
        }
        let facts = NoticeFacts {
            reason: format!("a maintainer lifts this embargo early: {reason}"),
            ..NoticeFacts::default()
        };
        self.app.insert_notice(tx, &id, NoticeKind::Alarm, None, &facts, self.now)?;
        notices::reconcile(self.app, tx, Some(&id), self.now)?;
        Ok(id.into())
    }
}

/// Whether packagers keep their whole week when an announced embargo moves to `lifts_at`.
fn moved_late_enough(stage: &Stage, policy: &Policy, lifts_at: DateTime<Utc>) -> bool {
    match stage {
        Stage::Announced { announced_at, schedule, .. } => {
            // Moved back they keep more than was promised; forward is `lift_early`, with its reason.
            *announced_at + policy.notice_lead <= lifts_at && schedule.lifts_at <= lifts_at
        }
        _ => false,
    }
}
