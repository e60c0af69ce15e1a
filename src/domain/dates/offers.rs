//! The next legal dates that a policy's lift windows hold.

use super::{FURTHEST_AHEAD, Promise, Verdict, judge_move};
use crate::domain::calendar::{civil_time, later_by};
use crate::domain::policy::Policy;
use chrono::{DateTime, TimeDelta, Utc};

/// More dates than anyone would choose from.
pub const MOST_OFFERS: usize = 100;

/// The next `count` legal dates (at most [`MOST_OFFERS`]) at which the windows of a valid policy fire, in
/// order and each once. Fewer, if there are not that many within [`FURTHEST_AHEAD`].
pub fn offers(policy: &Policy, now: DateTime<Utc>, count: usize) -> Vec<Verdict> {
    offers_to_move(policy, now, None, count)
}

/// The same where packagers may have been promised a date already: dates that it can move to.
pub fn offers_to_move(
    policy: &Policy,
    now: DateTime<Utc>,
    promise: Option<Promise>,
    count: usize,
) -> Vec<Verdict> {
    let count = count.min(MOST_OFFERS);
    let earliest = match promise {
        None => later_by(now, policy.notice_lead),
        // A second later than what was promised, or than now.
        Some(promise) => later_by(promise.lifts_at.max(now), TimeDelta::seconds(1))
            .max(later_by(promise.announced_at, policy.notice_lead)),
    };
    let latest = later_by(now, FURTHEST_AHEAD);
    let first = civil_time(earliest, policy.zone);
    // A day more, since clocks put back at midnight show an earlier date at a later instant.
    let last_date = civil_time(later_by(latest, TimeDelta::days(1)), policy.zone).date();
    let mut instants: Vec<DateTime<Utc>> = Vec::new();
    for window in &policy.lift_windows {
        let firings = window.firings(policy.zone, first, last_date, |date| policy.allows_date(date));
        // While the clocks are put back, civil times behind `first` may be instants before `earliest`.
        let legal =
            firings.skip_while(|instant| *instant < earliest).take_while(|instant| *instant <= latest);
        instants.extend(legal.take(count));
    }
    instants.sort_unstable();
    instants.dedup();
    instants.truncate(count);
    instants.into_iter().map(|lifts_at| judge_move(policy, now, promise, lifts_at)).collect()
}
