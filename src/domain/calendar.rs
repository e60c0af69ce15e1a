//! Civil time: what the clocks of a zone show at an instant, and which instant they mean.
//!
//! Promises: every civil time is answered with none, one or two instants, never with a guess, and no
//! instant makes these functions panic. Knows nothing of policies, and never asks which time it is now.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::{Tz, TzOffset};
use serde::{Deserialize, Serialize};

/// The instants that a civil time may mean in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The usual case.
    Once(DateTime<Utc>),
    /// The clocks were put forward over this time, so nobody's clock ever shows it.
    Skipped {
        /// What the clocks would have shown when they were put forward.
        from: NaiveDateTime,
        /// What they show instead from that moment on.
        to: NaiveDateTime,
    },
    /// The clocks were put back, so they show this time twice.
    Twice {
        /// The first time.
        earlier: DateTime<Utc>,
        /// The second time.
        later: DateTime<Utc>,
    },
}

/// What `civil` means in `zone`.
pub fn meaning(civil: NaiveDateTime, zone: Tz) -> Meaning {
    let mut instants = zone.from_local_datetime(&civil).map(|local| local.with_timezone(&Utc));
    if let chrono::LocalResult::Ambiguous(one, other) = instants
        && one == other
    {
        instants = chrono::LocalResult::Single(one);
    }
    match instants {
        chrono::LocalResult::Single(instant) => Meaning::Once(instant),
        chrono::LocalResult::Ambiguous(one, other) => {
            Meaning::Twice { earlier: one.min(other), later: one.max(other) }
        }
        chrono::LocalResult::None => {
            let (from, to) = jump_over(civil, zone);
            Meaning::Skipped { from, to }
        }
    }
}

/// The jump of the clocks over `civil`, which none of them ever shows: what they show before and after.
fn jump_over(civil: NaiveDateTime, zone: Tz) -> (NaiveDateTime, NaiveDateTime) {
    // No zone was ever more than 16 hours away from UTC, so the jump lies between these two.
    let guess = civil.and_utc();
    let shown = |hours_from_guess: TimeDelta| civil_time(later_by(guess, hours_from_guess), zone);
    let (mut before, mut after) = (-36 * 3600, 36 * 3600);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if shown(TimeDelta::seconds(middle)) > civil {
            after = middle;
        } else {
            before = middle;
        }
    }
    let last_second = shown(TimeDelta::seconds(before));
    (
        last_second.checked_add_signed(TimeDelta::seconds(1)).unwrap_or(last_second),
        shown(TimeDelta::seconds(after)),
    )
}

/// What the clocks of `zone` show at `instant`.
///
/// At the outermost edges of the calendar, where the zone's date cannot be written, this is UTC.
pub fn civil_time(instant: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    let utc = instant.naive_utc();
    utc.checked_add_offset(offset(instant, zone).fix()).unwrap_or(utc)
}

/// The offset of `zone` from UTC at `instant`; prints as its abbreviation, such as `CEST` or `+0545`.
pub fn offset(instant: DateTime<Utc>, zone: Tz) -> TzOffset {
    zone.offset_from_utc_datetime(&instant.naive_utc())
}

/// `instant + duration`, or the last instant that can be written.
pub fn later_by(instant: DateTime<Utc>, duration: TimeDelta) -> DateTime<Utc> {
    instant.checked_add_signed(duration).unwrap_or(if duration < TimeDelta::zero() {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}

/// `instant - duration`, or the first instant that can be written.
pub fn earlier_by(instant: DateTime<Utc>, duration: TimeDelta) -> DateTime<Utc> {
    instant.checked_sub_signed(duration).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// Civil dates on which nothing lifts, with the reason people know them by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForbiddenDates {
    /// Such as `Thanksgiving` or `end of quarter`.
    pub name: String,
    /// The first date.
    pub first: NaiveDate,
    /// The last date, itself forbidden.
    pub last: NaiveDate,
}

impl ForbiddenDates {
    /// Whether `date` is one of them.
    pub fn contains(&self, date: NaiveDate) -> bool {
        self.first <= date && date <= self.last
    }
}

/// The whole name of a weekday.
pub fn weekday_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "Monday",
        Weekday::Tue => "Tuesday",
        Weekday::Wed => "Wednesday",
        Weekday::Thu => "Thursday",
        Weekday::Fri => "Friday",
        Weekday::Sat => "Saturday",
        Weekday::Sun => "Sunday",
    }
}

/// A set of weekdays as people write it: `Mon-Fri`, `Tue, Thu`, `any day`.
pub fn weekdays_text(days: &[Weekday]) -> String {
    let mut runs: Vec<(Weekday, Weekday)> = Vec::new();
    for day in WEEK.into_iter().filter(|day| days.contains(day)) {
        match runs.last_mut() {
            Some((_, last)) if last.succ() == day => *last = day,
            _ => runs.push((day, day)),
        }
    }
    match runs[..] {
        [] => "no day".to_owned(),
        [(Weekday::Mon, Weekday::Sun)] => "any day".to_owned(),
        _ => {
            let texts = runs.iter().map(|&(first, last)| match first.days_since(last) {
                0 => first.to_string(),
                6 => format!("{first}, {last}"),
                _ => format!("{first}-{last}"),
            });
            texts.collect::<Vec<_>>().join(", ")
        }
    }
}

const WEEK: [Weekday; 7] =
    [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::TZ_VARIANTS;

    fn civil(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap()
    }

    fn utc(text: &str) -> DateTime<Utc> {
        civil(text).and_utc()
    }

    #[test]
    fn clocks_put_forward_skip_civil_times_even_half_an_hour_or_a_whole_day() {
        for (zone, skipped, from, to) in [
            ("Europe/Berlin", "2026-03-29 02:00:00", "2026-03-29 02:00:00", "2026-03-29 03:00:00"),
            ("Europe/Berlin", "2026-03-29 02:59:59", "2026-03-29 02:00:00", "2026-03-29 03:00:00"),
            ("America/New_York", "2026-03-08 02:30:00", "2026-03-08 02:00:00", "2026-03-08 03:00:00"),
            ("Australia/Lord_Howe", "2026-10-04 02:15:00", "2026-10-04 02:00:00", "2026-10-04 02:30:00"),
            ("Pacific/Auckland", "2026-09-27 02:30:00", "2026-09-27 02:00:00", "2026-09-27 03:00:00"),
            ("America/Santiago", "2026-09-06 00:30:00", "2026-09-06 00:00:00", "2026-09-06 01:00:00"),
            ("Pacific/Apia", "2011-12-30 10:00:00", "2011-12-30 00:00:00", "2011-12-31 00:00:00"),
        ] {
            let zone = zone.parse().unwrap();
            let expected = Meaning::Skipped { from: civil(from), to: civil(to) };
            assert_eq!(meaning(civil(skipped), zone), expected, "{skipped} in {zone}");
        }
    }

    #[test]
    fn clocks_put_back_show_civil_times_twice_and_the_earlier_one_is_named_first() {
        for (zone, shown, earlier, later) in [
            ("Europe/Berlin", "2026-10-25 02:00:00", "2026-10-25 00:00:00", "2026-10-25 01:00:00"),
            ("America/New_York", "2026-11-01 01:30:00", "2026-11-01 05:30:00", "2026-11-01 06:30:00"),
            ("Australia/Lord_Howe", "2026-04-05 01:45:00", "2026-04-04 14:45:00", "2026-04-04 15:15:00"),
            ("Pacific/Auckland", "2026-04-05 02:59:59", "2026-04-04 13:59:59", "2026-04-04 14:59:59"),
        ] {
            let zone = zone.parse().unwrap();
            let expected = Meaning::Twice { earlier: utc(earlier), later: utc(later) };
            assert_eq!(meaning(civil(shown), zone), expected, "{shown} in {zone}");
        }
    }

    #[test]
    fn the_moments_around_a_change_of_clocks_exist_once() {
        for (zone, shown, instant) in [
            ("Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29 00:59:59"),
            ("Europe/Berlin", "2026-03-29 03:00:00", "2026-03-29 01:00:00"),
            ("Europe/Berlin", "2026-10-25 01:59:59", "2026-10-24 23:59:59"),
            ("Europe/Berlin", "2026-10-25 03:00:00", "2026-10-25 02:00:00"),
            ("Australia/Lord_Howe", "2026-10-04 02:30:00", "2026-10-03 15:30:00"),
            ("Asia/Kathmandu", "2026-06-10 14:00:00", "2026-06-10 08:15:00"),
            ("Pacific/Apia", "2011-12-31 00:00:00", "2011-12-30 10:00:00"),
            ("Pacific/Apia", "2011-12-29 23:59:59", "2011-12-30 09:59:59"),
        ] {
            let zone = zone.parse().unwrap();
            assert_eq!(meaning(civil(shown), zone), Meaning::Once(utc(instant)), "{shown} in {zone}");
            assert_eq!(civil_time(utc(instant), zone), civil(shown));
        }
    }

    #[test]
    fn every_change_of_clocks_in_every_zone_until_2037_is_understood() {
        let seconds = |zone: Tz, at: i64| {
            let instant = DateTime::from_timestamp(at, 0).unwrap();
            i64::from(offset(instant, zone).fix().local_minus_utc())
        };
        let shown = |at: i64, offset: i64| DateTime::from_timestamp(at + offset, 0).unwrap().naive_utc();
        let (start, end) = (utc("2024-01-01 00:00:00").timestamp(), utc("2038-01-01 00:00:00").timestamp());
        let week = 7 * 24 * 3600;
        let mut changes = 0;
        for zone in TZ_VARIANTS {
            for at in (start..end).step_by(7 * 24 * 3600) {
                let (before, after) = (seconds(zone, at), seconds(zone, at + week));
                if before == after {
                    continue;
                }
                changes += 1;
                let (mut low, mut high) = (at, at + week);
                while high - low > 1 {
                    let middle = i64::midpoint(low, high);
                    if seconds(zone, middle) == before { low = middle } else { high = middle }
                }
                for into in [0, (after - before).abs() / 2, (after - before).abs() - 1] {
                    let civil = shown(high + into, before.min(after));
                    let expected = if after > before {
                        Meaning::Skipped { from: shown(high, before), to: shown(high, after) }
                    } else {
                        let instant = |offset: i64| {
                            DateTime::from_timestamp(civil.and_utc().timestamp() - offset, 0).unwrap()
                        };
                        Meaning::Twice { earlier: instant(before), later: instant(after) }
                    };
                    assert_eq!(meaning(civil, zone), expected, "{civil} in {zone}");
                }
                for (at, offset) in [(high - 1 - (before - after).max(0), before), (high, after)] {
                    let at = if offset == after { at + (before - after).max(0) } else { at };
                    let instant = DateTime::from_timestamp(at, 0).unwrap();
                    assert_eq!(
                        meaning(shown(at, offset), zone),
                        Meaning::Once(instant),
                        "{instant} in {zone}"
                    );
                }
            }
        }
        assert!(changes > 2000, "only {changes} changes were found");
    }

    #[test]
    fn the_edges_of_the_calendar_do_not_panic() {
        for zone in TZ_VARIANTS {
            civil_time(DateTime::<Utc>::MIN_UTC, zone);
            civil_time(DateTime::<Utc>::MAX_UTC, zone);
        }
        assert_eq!(earlier_by(DateTime::<Utc>::MIN_UTC, TimeDelta::days(7)), DateTime::<Utc>::MIN_UTC);
        assert_eq!(later_by(DateTime::<Utc>::MAX_UTC, TimeDelta::days(7)), DateTime::<Utc>::MAX_UTC);
    }

    #[test]
    fn weekdays_are_written_as_people_write_them() {
        use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
        for (days, text) in [
            (&[Mon, Tue, Wed, Thu, Fri][..], "Mon-Fri"),
            (&[Thu, Wed, Tue], "Tue-Thu"),
            (&[Tue, Wed], "Tue, Wed"),
            (&[Sun, Mon, Fri, Fri], "Mon, Fri, Sun"),
            (&[Mon, Tue, Wed, Sat, Sun], "Mon-Wed, Sat, Sun"),
            (&[Sun], "Sun"),
            (&WEEK, "any day"),
        ] {
            assert_eq!(weekdays_text(days), text);
        }
    }
}
