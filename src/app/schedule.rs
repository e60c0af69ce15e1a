//! Dates: offered, judged, set, moved, and brought forward.

use std::slice::from_ref;

use chrono::{DateTime, Duration, SecondsFormat, Utc};

use super::commands::{Context, Done};
use super::embargoes::needed;
use super::{App, Refusal, notices, reports};
use crate::domain::dates::{Promise, Verdict, judge_move, offers_to_move};
use crate::domain::embargo::{Schedule, Stage};
use crate::domain::id::EmbargoId;
use crate::domain::instant::{display_instant, parse_instant};
use crate::domain::notice::NoticeKind;
use crate::domain::policy::Policy;
use crate::metrics::labels::Alarm;
use crate::store::{NoticeFacts, TokenKind, Tx};

/// How many dates are offered.
const OFFERS: usize = 3;
/// How long an instant may have passed while it was typed and signed. One that passed before is a mistake, which would
/// publish at once.
const TYPED_IN: Duration = Duration::minutes(5);

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
        let asked_of = id.clone();
        self.read_as_maintainer(token, TokenKind::Api, id, "dates read", move |tx, project, _, now| {
            let policy = &project.policy;
            let promise = tx.embargo(&asked_of)?.and_then(|embargo| promise(&embargo.stage));
            let asked = at
                .map(|text| typed_instant(policy, now, promise, &text))
                .transpose()?
                .map(|instant| judge_move(policy, now, promise, instant));
            let offers = offers_to_move(policy, now, promise, OFFERS);
            Ok(render(&Dates { zone: policy.zone, asked, offers }))
        })
        .await
    }
}

/// What packagers were promised, if they were told a date already.
pub(super) fn promise(stage: &Stage) -> Option<Promise> {
    match stage {
        Stage::Announced { announced_at, schedule, .. } => {
            Some(Promise { announced_at: *announced_at, lifts_at: schedule.lifts_at })
        }
        _ => None,
    }
}

/// The next legal dates, in a line.
fn offered(policy: &Policy, now: DateTime<Utc>, promise: Option<Promise>) -> String {
    let offers = offers_to_move(policy, now, promise, OFFERS);
    let shown: Vec<_> = offers.iter().map(|offer| display_instant(offer.lifts_at, policy.zone)).collect();
    format!("offered: {}", shown.join(" · "))
}

/// The instant that somebody typed. A civil time that does not exist, or exists twice, is refused with those of
/// its readings that are legal.
fn typed_instant(
    policy: &Policy,
    now: DateTime<Utc>,
    promise: Option<Promise>,
    text: &str,
) -> Result<DateTime<Utc>, Refusal> {
    let error = match parse_instant(text, policy.zone) {
        Ok(instant) => return Ok(instant),
        Err(error) => error,
    };
    let readings = error.readings();
    let Some((first, _)) = readings.first() else { return Err(Refusal::invalid("instant", error)) };
    let why = judge_move(policy, now, promise, *first).refusal();
    let legal: Vec<String> = readings
        .into_iter()
        .filter(|(reading, _)| judge_move(policy, now, promise, *reading).legal)
        .map(|(_, written)| written)
        .collect();
    let instead = match (legal.as_slice(), why) {
        ([], Some(why)) => format!("and however it is read it is refused: {why}"),
        _ => format!("write {}", legal.join(" or ")),
    };
    let detail = format!("{}; {instead}; {}", error.problem(), offered(policy, now, promise));
    Err(Refusal::invalid("instant", detail))
}

fn schedule_of(policy: &Policy, lifts_at: DateTime<Utc>, notice_at: DateTime<Utc>) -> Schedule {
    let local = display_instant(lifts_at, policy.zone);
    Schedule { lifts_at, zone: policy.zone, local, notice_at, agreed_at: None }
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
        let promise = promise(&case.embargo.stage);
        let lifts_at = typed_instant(&project.policy, self.now, promise, typed)?;
        let verdict = judge_move(&project.policy, self.now, promise, lifts_at);
        let announced = promise.is_some();
        if let Some(why) = verdict.refusal() {
            let offered = offered(&project.policy, self.now, promise);
            return Err(Refusal::rule("date", format!("{why}; {offered}")));
        }
        let old_date = case.embargo.stage.schedule().map(|schedule| schedule.lifts_at);
        case.embargo.stage =
            case.embargo.stage.schedule_for(schedule_of(&project.policy, lifts_at, verdict.notice_at))?;
        tx.save_embargo(&mut case.embargo, &case.content)?;
        // The alarm about a missed notice is answered by a new date; missing that one is another alarm.
        for notice in tx.current_notices(&id, self.now)? {
            if notice.facts.overdue {
                tx.supersede_notice(&notice, self.now)?;
            }
        }
        if announced {
            tx.supersede_notices(from_ref(&id), &[NoticeKind::NewDate], self.now)?;
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
            Some(text) => {
                let at = parse_instant(text, project.policy.zone)
                    .map_err(|error| Refusal::invalid("instant", error))?;
                if at < self.now - TYPED_IN {
                    return Err(Refusal::invalid(
                        "instant",
                        format!(
                            "{} has passed; name an instant to come, or none, to publish now",
                            at.to_rfc3339_opts(SecondsFormat::Secs, true)
                        ),
                    ));
                }
                at.max(self.now)
            }
        };
        let number = match &case.embargo.stage {
            Stage::Announced { revision, .. } => *revision,
            _ => {
                reports::complete_enough_to_publish(&case.content.text)?;
                self.freeze(tx, &case, reason.clone())?
            }
        };
        let was_announced = case.embargo.stage.is_announced();
        if !was_announced {
            self.app.refuse_while_held(tx)?;
        }
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
            tx.supersede_notices(from_ref(&id), &[NoticeKind::NewDate], self.now)?;
            let facts = NoticeFacts { reason: reason.clone(), old_date, ..NoticeFacts::default() };
            self.app.insert_notice(tx, &id, NoticeKind::NewDate, None, &facts, self.now)?;
        }
        let facts = NoticeFacts {
            reason: format!("a maintainer lifts this embargo early: {reason}"),
            ..NoticeFacts::default()
        };
        self.app.raise(tx, &id, Alarm::LiftEarly, &facts, self.now)?;
        notices::reconcile(self.app, tx, Some(&id), self.now)?;
        Ok(id.into())
    }
}
