//! What was found out about a date: every rule with its sentence.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A rule that a lift must keep. Its name is the same in answers, logs and waivers for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The lift lies in the future.
    InTheFuture,
    /// Its weekday is allowed in the project's zone.
    Weekday,
    /// Its date is not forbidden in the project's zone.
    ForbiddenDate,
    /// Packagers know for the promised time before it.
    NoticeLead,
    /// Packagers who were told keep what they were promised: the date moves later only.
    PromisedDate,
    /// It does not lie unreasonably far ahead.
    TooFar,
}

impl Rule {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InTheFuture => "in-the-future",
            Self::Weekday => "weekday",
            Self::ForbiddenDate => "forbidden-date",
            Self::NoticeLead => "notice-lead",
            Self::PromisedDate => "promised-date",
            Self::TooFar => "too-far",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What one rule says of a date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleVerdict {
    /// The rule.
    pub rule: Rule,
    /// Whether the date keeps it.
    pub passed: bool,
    /// What was found and what was expected, for people.
    pub sentence: String,
}

/// What the policy says of a date, seen from one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The instant of the lift.
    pub lifts_at: DateTime<Utc>,
    /// The same on the clocks of the project's zone: `Wed 10 Jun 2026 16:00 CEST (Europe/Berlin)`.
    pub local: String,
    /// Whether the date keeps every rule.
    pub legal: bool,
    /// When the notices are due; at once, if that has passed.
    pub notice_at: DateTime<Utc>,
    /// Whether the moment for the notices has passed already, so that some or all of the margin is gone.
    pub margin_used_up: bool,
    /// How long packagers would have, if the notice leaves when it is due; never negative.
    pub lead_seconds: i64,
    /// Every rule, kept or not, always in the same order.
    pub rules: Vec<RuleVerdict>,
}

impl Verdict {
    /// The rules that the date breaks.
    pub fn failed(&self) -> impl Iterator<Item = &RuleVerdict> {
        self.rules.iter().filter(|rule| !rule.passed)
    }

    /// The sentences of the broken rules in one line; none if the date is legal.
    pub fn refusal(&self) -> Option<String> {
        let sentences: Vec<&str> = self.failed().map(|rule| rule.sentence.as_str()).collect();
        (!sentences.is_empty()).then(|| sentences.join(" · "))
    }

    /// How long packagers would have.
    pub fn lead(&self) -> TimeDelta {
        TimeDelta::try_seconds(self.lead_seconds).unwrap_or(TimeDelta::MAX)
    }
}
