//! What can be wrong with a policy, each with its place and its cure.

use crate::domain::branch::InvalidBranch;
use crate::domain::instant::display_exact_duration;
use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;

/// Why a policy cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No weekday is allowed.
    #[error("the policy allows no weekday, so nothing could ever lift; name at least one in lift_days")]
    NoLiftDay,
    /// There is no window, so no date could be offered.
    #[error(
        "the policy has no lift window, so no date could be offered; add one like \"0 0 14 * * Tue-Thu\""
    )]
    NoLiftWindow,
    /// There are more windows than a search should try.
    #[error("the policy has {count} lift windows; {most} are the most")]
    TooManyLiftWindows {
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A window never fires on an allowed weekday at a time that exists in the zone.
    #[error(
        "lift window {position} (\"{window}\") never comes in {zone}: on {days} there is no such date and \
         time; correct the window or lift_days"
    )]
    WindowNeverFires {
        /// Its position from 1.
        position: usize,
        /// The expression.
        window: String,
        /// The policy's zone.
        zone: Tz,
        /// The allowed weekdays.
        days: String,
    },
    /// The lead is none or too long.
    #[error(
        "notice_lead is {}; it must be whole seconds, more than nothing and at most 90 d",
        display_exact_duration(*.0)
    )]
    NoticeLead(TimeDelta),
    /// The margin is negative or too long.
    #[error(
        "notice_margin is {}; it must be whole seconds, not negative and at most 30 d",
        display_exact_duration(*.0)
    )]
    NoticeMargin(TimeDelta),
    /// A forbidden range ends before it begins.
    #[error("forbidden dates {position}: {last} lies before {first}; write the earlier date as first")]
    ForbiddenDatesReversed {
        /// Its position from 1.
        position: usize,
        /// The date given as first.
        first: NaiveDate,
        /// The date given as last.
        last: NaiveDate,
    },
    /// A forbidden range has no name that could be shown in a sentence.
    #[error("forbidden dates {position} need a name of one line, like \"Thanksgiving\"")]
    ForbiddenDatesName {
        /// Its position from 1.
        position: usize,
    },
    /// A branch has a name for which no fix could be put.
    #[error("supported branch {position} cannot be used: {source}")]
    Branch {
        /// Its position from 1.
        position: usize,
        /// What a name looks like.
        source: InvalidBranch,
    },
    /// A branch appears twice.
    #[error("supported branch {position} was named before; write each branch once")]
    BranchTwice {
        /// Its position from 1.
        position: usize,
    },
}
