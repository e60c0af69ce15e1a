//! Lift windows: the times of day and days from which lift dates are offered, as cron expressions.
//!
//! The expression is evaluated on civil time alone and its firings are placed into the zone afterwards. So a
//! time that the clocks skip is not offered, and one that they show twice is offered once, the first time:
//! whoever reads "02:30" in the policy never waits past it.

use crate::domain::calendar::{Meaning, meaning};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use cron::Schedule;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longer than any expression a person wrote, short enough to parse without a thought.
const LONGEST: usize = 200;

/// A cron expression in civil time, `seconds minutes hours days-of-month months weekdays`:
/// `0 0 14 * * Tue-Thu`.
///
/// Where both days of the month and weekdays are given, both must agree: `0 0 14 8-14 * Tue` is the second
/// Tuesday of a month. Weekdays have names, because 1 is Monday to some crons and Sunday to others, and
/// there is no field for years, because a window comes again every year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LiftWindow(Schedule);

/// Why an expression was not taken for a lift window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLiftWindow {
    /// Fields are missing or too many.
    #[error(
        "a lift window has six fields (seconds minutes hours days-of-month months weekdays), not {count}; \
         write it like \"0 0 14 * * Tue-Thu\""
    )]
    Fields {
        /// How many there are.
        count: usize,
    },
    /// A weekday is a number.
    #[error(
        "the weekdays of a lift window have names, since 1 is Monday to some and \
         Sunday to others; write Mon-Fri"
    )]
    NumberedWeekday,
    /// Something else is wrong.
    #[error(
        "field {position} ({name}) of the lift window is not understood; write a number, a range like 8-14, \
         a list like 1,15, a step like */2 or *, and ranges in ascending order (weekdays begin with Sun)"
    )]
    Field {
        /// Its position from 1.
        position: usize,
        /// Its name.
        name: &'static str,
    },
}

const FIELDS: [&str; 6] = ["seconds", "minutes", "hours", "days of month", "months", "weekdays"];

impl FromStr for LiftWindow {
    type Err = InvalidLiftWindow;

    fn from_str(expression: &str) -> Result<Self, Self::Err> {
        let fields: Vec<&str> = expression.split_whitespace().collect();
        if fields.len() != FIELDS.len() || expression.len() > LONGEST {
            return Err(InvalidLiftWindow::Fields { count: fields.len() });
        }
        if fields[5].split('/').next().is_some_and(|days| days.bytes().any(|byte| byte.is_ascii_digit())) {
            return Err(InvalidLiftWindow::NumberedWeekday);
        }
        Schedule::from_str(&fields.join(" ")).map(Self).map_err(|_| {
            let alone_is_wrong = |position: &usize| {
                let mut others = ["0", "0", "0", "1", "1", "*"];
                others[*position] = fields[*position];
                Schedule::from_str(&others.join(" ")).is_err()
            };
            let position = (0..FIELDS.len()).find(alone_is_wrong).unwrap_or(0);
            InvalidLiftWindow::Field { position: position + 1, name: FIELDS[position] }
        })
    }
}

impl TryFrom<String> for LiftWindow {
    type Error = InvalidLiftWindow;

    fn try_from(expression: String) -> Result<Self, Self::Error> {
        expression.parse()
    }
}

impl From<LiftWindow> for String {
    fn from(window: LiftWindow) -> Self {
        window.0.source().to_owned()
    }
}

impl fmt::Display for LiftWindow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.source())
    }
}

impl LiftWindow {
    /// The instants at which this window fires in `zone` on open dates, in order, from the civil time `from`
    /// to the end of the date `last`. There are none behind the year 2100.
    pub fn firings(
        &self,
        zone: Tz,
        from: NaiveDateTime,
        last: NaiveDate,
        is_open: impl Fn(NaiveDate) -> bool,
    ) -> impl Iterator<Item = DateTime<Utc>> {
        let second = TimeDelta::seconds(1);
        let last_of_day = NaiveTime::MIN.overflowing_sub_signed(second).0;
        let mut after = from.checked_sub_signed(second).unwrap_or(from);
        std::iter::from_fn(move || {
            loop {
                // UTC stands for no zone here: it has no gaps and no folds of its own.
                let civil = self.0.after(&after.and_utc()).next()?.naive_utc();
                if civil.date() > last {
                    return None;
                }
                if !is_open(civil.date()) {
                    after = civil.date().and_time(last_of_day);
                    continue;
                }
                after = civil;
                match meaning(civil, zone) {
                    Meaning::Once(instant) | Meaning::Twice { earlier: instant, .. } => return Some(instant),
                    Meaning::Skipped { to, .. } => after = to.checked_sub_signed(second).unwrap_or(to),
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firings(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let window: LiftWindow = expression.parse().unwrap();
        let from = NaiveDateTime::parse_from_str(from, "%Y-%m-%d %H:%M").unwrap();
        let instants = window.firings(zone.parse().unwrap(), from, NaiveDate::MAX, |_| true);
        instants.take(count).map(|instant| instant.format("%Y-%m-%d %H:%M").to_string()).collect()
    }

    #[test]
    fn a_window_keeps_its_civil_time_when_the_clocks_change() {
        assert_eq!(
            firings("0 0 14 * * Sun", "Europe/Berlin", "2026-03-22 14:00", 2),
            ["2026-03-22 13:00", "2026-03-29 12:00"]
        );
    }

    #[test]
    fn a_time_that_the_clocks_skip_is_left_out_and_one_shown_twice_comes_once_the_first_time() {
        assert_eq!(
            firings("0 30 2 * * *", "Europe/Berlin", "2026-03-28 00:00", 3),
            ["2026-03-28 01:30", "2026-03-30 00:30", "2026-03-31 00:30"]
        );
        assert_eq!(
            firings("0 30 2 * * *", "Europe/Berlin", "2026-10-24 00:00", 3),
            ["2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30"]
        );
        assert_eq!(
            firings("0 */15 2 * * *", "Australia/Lord_Howe", "2026-10-04 00:00", 3),
            ["2026-10-03 15:30", "2026-10-03 15:45", "2026-10-04 15:00"]
        );
        assert_eq!(
            firings("0 0 12 * * *", "Pacific/Apia", "2011-12-29 00:00", 2),
            ["2011-12-29 22:00", "2011-12-30 22:00"]
        );
    }

    #[test]
    fn a_closed_date_is_stepped_over_as_a_whole() {
        let window: LiftWindow = "* * * * * *".parse().unwrap();
        let from = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        let open = NaiveDate::from_ymd_opt(2026, 12, 31).unwrap();
        let mut firings = window.firings(Tz::UTC, from.into(), open, |date| date == open);
        assert_eq!(firings.next(), Some(open.and_time(NaiveTime::MIN).and_utc()));
        assert_eq!(firings.count(), 86_399);
    }

    #[test]
    fn days_of_the_month_and_weekdays_must_both_agree() {
        assert_eq!(
            firings("0 0 14 8-14 * Tue", "UTC", "2026-01-01 00:00", 2),
            ["2026-01-13 14:00", "2026-02-10 14:00"]
        );
    }

    #[test]
    fn an_expression_that_is_easily_misread_is_refused_with_its_field() {
        let refusal = |expression: &str| expression.parse::<LiftWindow>().unwrap_err();
        assert_eq!(refusal("0 14 * * Tue"), InvalidLiftWindow::Fields { count: 5 });
        assert_eq!(refusal("@daily"), InvalidLiftWindow::Fields { count: 1 });
        assert_eq!(refusal("0 0 14 * * Tue 2027"), InvalidLiftWindow::Fields { count: 7 });
        assert_eq!(refusal("0 0 14 * * 1-5"), InvalidLiftWindow::NumberedWeekday);
        for (expression, position) in [
            ("x 0 14 * * Tue", 1),
            ("0 60 14 * * Tue", 2),
            ("0 0 24 * * Tue", 3),
            ("0 0 */0 * * Tue", 3),
            ("0 0 14 0 * Tue", 4),
            ("0 0 14 1-4000000000 * Tue", 4),
            ("0 0 14 * 13 Tue", 5),
            ("0 0 14 * * Fri-Mon", 6),
            ("0 0 14 * * Tuseday", 6),
        ] {
            let expected = InvalidLiftWindow::Field { position, name: FIELDS[position - 1] };
            assert_eq!(refusal(expression), expected, "{expression}");
        }
    }
}
