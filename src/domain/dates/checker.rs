//! A second opinion for tests: the rules once more, slowly, from seconds and offsets alone.
//!
//! It shares nothing with the judge but the offsets of the zones: weekdays and dates are counted from
//! 1 January 1970, and time is walked through instead of subtracted.

use super::Rule;
use crate::domain::policy::Policy;
use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeZone, Utc};
use chrono_tz::Tz;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// The rules that a lift at `lifts_at` breaks, in the judge's order.
pub fn broken(policy: &Policy, now: DateTime<Utc>, lifts_at: DateTime<Utc>) -> Vec<Rule> {
    let (now, lifts_at) = (now.timestamp(), lifts_at.timestamp());
    let day = shown(policy.zone, lifts_at).div_euclid(DAY);
    let mut broken = Vec::new();
    if lifts_at <= now {
        broken.push(Rule::InTheFuture);
    }
    if !policy
        .lift_days
        .iter()
        .any(|allowed| i64::from(allowed.num_days_from_sunday()) == weekday_from_sunday(day))
    {
        broken.push(Rule::Weekday);
    }
    if policy.forbidden_dates.iter().any(|dates| number(dates.first) <= day && day <= number(dates.last)) {
        broken.push(Rule::ForbiddenDate);
    }
    if walked(now, lifts_at) < policy.notice_lead.num_seconds() {
        broken.push(Rule::NoticeLead);
    }
    if walked(now, lifts_at) > 366 * DAY {
        broken.push(Rule::TooFar);
    }
    broken
}

/// Every instant at full quarters of an hour in the next `days` days at which one of the windows fires and no
/// rule is broken; `fires` says whether they do at a weekday (0 is Sunday), hour and minute of the project's
/// clocks.
pub fn legal_firings(
    policy: &Policy,
    now: DateTime<Utc>,
    days: i64,
    fires: impl Fn(i64, i64, i64) -> bool,
) -> Vec<DateTime<Utc>> {
    let start = now.timestamp().div_euclid(HOUR) * HOUR;
    let quarters = (start..start + days * DAY).step_by(15 * 60);
    let found = quarters.filter(|&quarter| {
        let clock = shown(policy.zone, quarter);
        let shown_before = (1..=12).any(|back| shown(policy.zone, quarter - back * 15 * 60) == clock);
        fires(
            weekday_from_sunday(clock.div_euclid(DAY)),
            clock.rem_euclid(DAY) / HOUR,
            clock.rem_euclid(HOUR) / 60,
        ) && !shown_before
            && broken(policy, now, instant(quarter)).is_empty()
    });
    found.map(instant).collect()
}

/// The seconds from `start` to `end`, walked hour by hour; none, if there is nothing to walk.
fn walked(start: i64, end: i64) -> i64 {
    let (mut at, mut hours) = (start, 0);
    while at + HOUR <= end {
        at += HOUR;
        hours += 1;
    }
    hours * HOUR + (end - at).max(0)
}

/// The seconds since 1 January 1970 on the clocks of the zone.
fn shown(zone: Tz, at: i64) -> i64 {
    let offset = zone.offset_from_utc_datetime(&instant(at).naive_utc()).fix();
    at + i64::from(offset.local_minus_utc())
}

fn instant(at: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(at, 0).unwrap()
}

/// 1 January 1970 was a Thursday.
fn weekday_from_sunday(day: i64) -> i64 {
    (day + 4).rem_euclid(7)
}

/// The days from 1 January 1970 to the date, year by year and month by month.
fn number(date: NaiveDate) -> i64 {
    let leap = |year: i32| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let months = |year: i32| [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: i64 = (1970..date.year()).map(|year| months(year).iter().sum::<i64>()).sum();
    let in_year: i64 = months(date.year()).iter().zip(1..date.month()).map(|(days, _)| days).sum();
    years + in_year + i64::from(date.day()) - 1
}
