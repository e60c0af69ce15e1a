//! The life of an embargo: its stages, the facts each stage owns, and the only ways from one to the next.
//!
//! Every transition is a function that takes the present stage and returns the next one or an error that
//! names the rule. Whether a date is legal is decided in `dates`; here only the order of things is.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::domain::id::{EmbargoId, ProjectId};

/// One case while it is secret, and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embargo {
    /// Its opaque id.
    pub id: EmbargoId,
    /// The project whose policy governs it.
    pub project: ProjectId,
    /// Counts changes; a change made on sight of an older version is refused.
    pub version: i64,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// Where it stands.
    pub stage: Stage,
}

/// When an embargo is to lift, kept as agreed: the instant, and the zone and text it was agreed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The coordinated release date.
    pub lifts_at: DateTime<Utc>,
    /// The zone in which the weekday was judged.
    pub zone: Tz,
    /// The date as it was shown to who agreed to it.
    pub local: String,
    /// When revision 1 is due to go out.
    pub notice_at: DateTime<Utc>,
    /// The date that had been agreed, if a maintainer lifts before it.
    pub agreed_at: Option<DateTime<Utc>>,
}

/// Where an embargo stands, with the facts of that stage and no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Being written; no date.
    Draft,
    /// A date is set; nobody outside has been told.
    Scheduled {
        /// The agreed date.
        schedule: Schedule,
        /// The revision frozen to be sent at `notice_at`, if one is.
        frozen: Option<u32>,
    },
    /// The packagers are being told or have been.
    Announced {
        /// The agreed date.
        schedule: Schedule,
        /// When the first notice became due.
        announced_at: DateTime<Utc>,
        /// The newest sent revision.
        revision: u32,
        /// Whether a maintainer moved the lift forward outside the policy.
        early: bool,
    },
    /// Public.
    Lifted {
        /// The date it was due at.
        schedule: Schedule,
        /// When the first notice became due.
        announced_at: DateTime<Utc>,
        /// When the lift was committed.
        lifted_at: DateTime<Utc>,
        /// The revision that was published.
        revision: u32,
        /// Whether it was lifted early.
        early: bool,
    },
    /// Ended without a fix being published.
    Cancelled {
        /// When.
        cancelled_at: DateTime<Utc>,
        /// Whether packagers had been told.
        announced_at: Option<DateTime<Utc>>,
    },
}

/// The name of a stage, without its facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StageName {
    /// See [`Stage::Draft`].
    Draft,
    /// See [`Stage::Scheduled`].
    Scheduled,
    /// See [`Stage::Announced`].
    Announced,
    /// See [`Stage::Lifted`].
    Lifted,
    /// See [`Stage::Cancelled`].
    Cancelled,
}

impl StageName {
    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Scheduled => "scheduled",
            Self::Announced => "announced",
            Self::Lifted => "lifted",
            Self::Cancelled => "cancelled",
        }
    }
}

impl std::fmt::Display for StageName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why an embargo cannot go the way that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    /// The stage has no such way out.
    #[error("{what} is not possible: the embargo is {stage}; {instead}")]
    WrongStage {
        /// What was asked for.
        what: &'static str,
        /// Where the embargo stands.
        stage: StageName,
        /// What can be done.
        instead: &'static str,
    },
    /// A revision was to be sent before there was a date.
    #[error("a notice needs a date: set one first with `embargoctl schedule`")]
    NoDate,
    /// The lift is not due.
    #[error("the embargo is not due: it lifts at {lifts_at}")]
    NotDue {
        /// When it is.
        lifts_at: DateTime<Utc>,
    },
    /// The earlier instant lies after the agreed one.
    #[error("lifting early means before {lifts_at}; to move the date back use `embargoctl schedule`")]
    NotEarlier {
        /// The agreed instant.
        lifts_at: DateTime<Utc>,
    },
}

impl Stage {
    /// The name of this stage.
    pub fn name(&self) -> StageName {
        match self {
            Self::Draft => StageName::Draft,
            Self::Scheduled { .. } => StageName::Scheduled,
            Self::Announced { .. } => StageName::Announced,
            Self::Lifted { .. } => StageName::Lifted,
            Self::Cancelled { .. } => StageName::Cancelled,
        }
    }

    /// The agreed date, where there is one.
    pub fn schedule(&self) -> Option<&Schedule> {
        match self {
            Self::Scheduled { schedule, .. }
            | Self::Announced { schedule, .. }
            | Self::Lifted { schedule, .. } => Some(schedule),
            Self::Draft | Self::Cancelled { .. } => None,
        }
    }

    /// Whether the case is still secret and alive.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Draft | Self::Scheduled { .. } | Self::Announced { .. })
    }

    /// Whether packagers have been told, or are being told.
    pub fn is_announced(&self) -> bool {
        match self {
            Self::Announced { .. } | Self::Lifted { .. } => true,
            Self::Cancelled { announced_at, .. } => announced_at.is_some(),
            Self::Draft | Self::Scheduled { .. } => false,
        }
    }

    /// Whether packagers should be told by `now` and are not.
    pub fn notice_is_due(&self, now: DateTime<Utc>) -> bool {
        matches!(self, Self::Scheduled { schedule, .. } if schedule.notice_at <= now)
    }

    /// Sets or moves the date. The caller has judged it by the policy.
    pub fn schedule_for(self, schedule: Schedule) -> Result<Self, TransitionError> {
        match self {
            Self::Draft => Ok(Self::Scheduled { schedule, frozen: None }),
            Self::Scheduled { frozen, .. } => Ok(Self::Scheduled { schedule, frozen }),
            Self::Announced { announced_at, revision, .. } => {
                Ok(Self::Announced { schedule, announced_at, revision, early: false })
            }
            Self::Lifted { .. } | Self::Cancelled { .. } => Err(self.over("a new date")),
        }
    }

    /// Records that the working set was frozen as `number`. An announced embargo sends it at once; a
    /// scheduled one at its `notice_at`, or now if `at_once` is set or that has passed.
    pub fn freeze(self, number: u32, at_once: bool, now: DateTime<Utc>) -> Result<Self, TransitionError> {
        match self {
            Self::Draft => Err(TransitionError::NoDate),
            Self::Scheduled { schedule, .. } if at_once || schedule.notice_at <= now => {
                Ok(Self::Announced { schedule, announced_at: now, revision: number, early: false })
            }
            Self::Scheduled { schedule, .. } => Ok(Self::Scheduled { schedule, frozen: Some(number) }),
            Self::Announced { schedule, announced_at, early, .. } => {
                Ok(Self::Announced { schedule, announced_at, revision: number, early })
            }
            Self::Lifted { .. } | Self::Cancelled { .. } => Err(self.over("sending a revision")),
        }
    }

    /// Announces what was frozen, once its notice is due.
    pub fn announce(self, now: DateTime<Utc>) -> Result<Self, TransitionError> {
        match self {
            Self::Scheduled { schedule, frozen: Some(revision) } if schedule.notice_at <= now => {
                Ok(Self::Announced { schedule, announced_at: now, revision, early: false })
            }
            Self::Scheduled { schedule, .. } => Err(TransitionError::NotDue { lifts_at: schedule.lifts_at }),
            other => Err(TransitionError::WrongStage {
                what: "announcing",
                stage: other.name(),
                instead: "only a scheduled embargo is announced",
            }),
        }
    }

    /// Moves the lift forward because of a leak or exploitation. `number` is the revision that will be
    /// published: the newest sent one, or the working set frozen just now.
    pub fn lift_early(
        self,
        mut schedule: Schedule,
        number: u32,
        now: DateTime<Utc>,
    ) -> Result<Self, TransitionError> {
        schedule.agreed_at = self.schedule().map(|agreed| agreed.agreed_at.unwrap_or(agreed.lifts_at));
        match self {
            Self::Draft => Ok(Self::Announced { schedule, announced_at: now, revision: number, early: true }),
            Self::Scheduled { schedule: agreed, .. } | Self::Announced { schedule: agreed, .. }
                if schedule.lifts_at >= agreed.lifts_at =>
            {
                Err(TransitionError::NotEarlier { lifts_at: agreed.lifts_at })
            }
            Self::Scheduled { .. } => {
                Ok(Self::Announced { schedule, announced_at: now, revision: number, early: true })
            }
            Self::Announced { announced_at, .. } => {
                Ok(Self::Announced { schedule, announced_at, revision: number, early: true })
            }
            Self::Lifted { .. } | Self::Cancelled { .. } => Err(self.over("lifting early")),
        }
    }

    /// Ends the secrecy. Only an announced embargo whose instant has come can be lifted.
    pub fn lift(self, now: DateTime<Utc>) -> Result<Self, TransitionError> {
        match self {
            Self::Announced { schedule, announced_at, revision, early } if schedule.lifts_at <= now => {
                Ok(Self::Lifted { schedule, announced_at, lifted_at: now, revision, early })
            }
            Self::Announced { schedule, .. } => Err(TransitionError::NotDue { lifts_at: schedule.lifts_at }),
            other => Err(TransitionError::WrongStage {
                what: "lifting",
                stage: other.name(),
                instead: "only an announced embargo lifts",
            }),
        }
    }

    /// Ends the case without publishing a fix.
    pub fn cancel(self, now: DateTime<Utc>) -> Result<Self, TransitionError> {
        match self {
            Self::Draft | Self::Scheduled { .. } => {
                Ok(Self::Cancelled { cancelled_at: now, announced_at: None })
            }
            Self::Announced { announced_at, .. } => {
                Ok(Self::Cancelled { cancelled_at: now, announced_at: Some(announced_at) })
            }
            Self::Lifted { .. } | Self::Cancelled { .. } => Err(self.over("cancelling")),
        }
    }

    fn over(&self, what: &'static str) -> TransitionError {
        TransitionError::WrongStage {
            what,
            stage: self.name(),
            instead: "what is over stays as it is; after a lift the public record can be amended",
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;
    use proptest::prelude::*;

    use super::*;

    fn instant(hours: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_780_000_000, 0).unwrap() + Duration::hours(hours)
    }

    fn schedule(hours: i64) -> Schedule {
        Schedule {
            lifts_at: instant(hours),
            zone: Tz::UTC,
            local: String::new(),
            notice_at: instant(hours - 192),
            agreed_at: None,
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Schedule(i64),
        Freeze(bool),
        Announce,
        LiftEarly(i64),
        Lift,
        Cancel,
    }

    fn step() -> impl Strategy<Value = (i64, Step)> {
        (
            0_i64..400,
            prop_oneof![
                (0_i64..800).prop_map(Step::Schedule),
                any::<bool>().prop_map(Step::Freeze),
                Just(Step::Announce),
                (0_i64..800).prop_map(Step::LiftEarly),
                Just(Step::Lift),
                Just(Step::Cancel),
            ],
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]
        #[test]
        fn nothing_becomes_lifted_without_being_due(steps in proptest::collection::vec(step(), 1..12)) {
            let mut stage = Stage::Draft;
            let mut now = instant(0);
            let mut number = 0;
            for (wait, step) in steps {
                now += Duration::hours(wait);
                let hours = (now - instant(0)).num_hours();
                let before = stage.clone();
                let next = match step {
                    Step::Schedule(ahead) => stage.clone().schedule_for(schedule(hours + ahead)),
                    Step::Freeze(at_once) => { number += 1; stage.clone().freeze(number, at_once, now) }
                    Step::Announce => stage.clone().announce(now),
                    Step::LiftEarly(ahead) => { number += 1; stage.clone().lift_early(schedule(hours + ahead), number, now) }
                    Step::Lift => stage.clone().lift(now),
                    Step::Cancel => stage.clone().cancel(now),
                };
                let Ok(next) = next else { continue };
                if let Stage::Lifted { schedule, lifted_at, announced_at, .. } = &next {
                    prop_assert_eq!(before.name(), StageName::Announced, "only an announced embargo lifts");
                    prop_assert!(schedule.lifts_at <= *lifted_at, "it was due");
                    prop_assert!(announced_at <= lifted_at);
                }
                prop_assert!(before.is_live(), "what is over stays over");
                stage = next;
            }
        }
    }

    #[test]
    fn a_cancelled_embargo_never_lifts_although_its_hour_comes() {
        let announced =
            Stage::Draft.schedule_for(schedule(200)).unwrap().freeze(1, true, instant(0)).unwrap();
        let cancelled = announced.cancel(instant(100)).unwrap();
        assert!(cancelled.clone().lift(instant(300)).is_err());
        assert_eq!(
            cancelled.schedule_for(schedule(400)).unwrap_err().to_string(),
            "a new date is not possible: the embargo is cancelled; what is over stays as it is; \
             after a lift the public record can be amended"
        );
    }

    #[test]
    fn what_was_agreed_is_remembered_however_often_the_lift_moves_forward() {
        let announced =
            Stage::Draft.schedule_for(schedule(200)).unwrap().freeze(1, true, instant(0)).unwrap();
        let once = announced.lift_early(schedule(150), 1, instant(10)).unwrap();
        let twice = once.lift_early(schedule(20), 1, instant(15)).unwrap();
        assert_eq!(twice.schedule().unwrap().agreed_at, Some(instant(200)));
        let never = Stage::Draft.lift_early(schedule(5), 1, instant(5)).unwrap();
        assert_eq!(never.schedule().unwrap().agreed_at, None);
    }

    #[test]
    fn lifting_early_never_means_later() {
        let announced =
            Stage::Draft.schedule_for(schedule(200)).unwrap().freeze(1, true, instant(0)).unwrap();
        assert_eq!(
            announced.lift_early(schedule(201), 1, instant(10)),
            Err(TransitionError::NotEarlier { lifts_at: instant(200) })
        );
    }
}
