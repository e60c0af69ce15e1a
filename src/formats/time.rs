//! Instants and durations as pages print them: UTC first, then the project's zone.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use chrono_tz::Tz;

/// One instant, ready to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// For machines: `2026-06-10T14:00:00Z`.
    pub iso: String,
    /// For people: `Wed 10 Jun 2026 14:00 UTC`.
    pub utc: String,
    /// The date alone: `10 Jun 2026`.
    pub date: String,
    /// In the zone: `16:00 Berlin`, with the date where it differs; nothing where the zone is UTC or unknown.
    pub local: Option<String>,
}

impl Moment {
    /// Prepares `instant` for readers in `zone`.
    pub fn new(instant: DateTime<Utc>, zone: Option<Tz>) -> Self {
        Self {
            iso: rfc3339(instant),
            utc: instant.format("%a %d %b %Y %H:%M UTC").to_string(),
            date: instant.format("%-d %b %Y").to_string(),
            local: zone.filter(|zone| !is_utc(*zone)).map(|zone| local(instant, zone)),
        }
    }

    /// As [`Moment::new`], with the zone by its name; an unknown name shows UTC alone.
    pub fn named(instant: DateTime<Utc>, zone: &str) -> Self {
        Self::new(instant, zone.parse().ok())
    }

    /// To the second, in UTC alone: for records.
    pub fn exact(instant: DateTime<Utc>) -> Self {
        Self { utc: instant.format("%Y-%m-%d %H:%M:%S UTC").to_string(), ..Self::new(instant, None) }
    }
}

/// `2026-06-10T14:00:00Z`, to the second.
pub(super) fn rfc3339(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A duration at a glance, rounded down: `9 d 5 h`, `5 h 20 min`, `40 min`, `30 s`.
pub(super) fn spell(duration: TimeDelta) -> String {
    let seconds = duration.num_seconds().unsigned_abs();
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// How far away a date is: `in 7 d 22 h`, `overdue by 3 min`.
pub(super) fn countdown(lifts_at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let distance = lifts_at - now;
    if distance >= TimeDelta::zero() {
        format!("in {}", spell(distance))
    } else {
        format!("overdue by {}", spell(distance))
    }
}

fn is_utc(zone: Tz) -> bool {
    matches!(zone.name().trim_start_matches("Etc/"), "UTC" | "UCT" | "Universal" | "Zulu" | "GMT")
}

fn local(instant: DateTime<Utc>, zone: Tz) -> String {
    let there = instant.with_timezone(&zone);
    let date = if there.date_naive() == instant.date_naive() {
        ""
    } else if there.year() == instant.year() {
        "%a %d %b "
    } else {
        "%a %d %b %Y "
    };
    // Names under Etc carry reversed offsets; half of such a name would mislead.
    let name = zone.name();
    let place = if name.starts_with("Etc/") { name } else { name.rsplit('/').next().unwrap_or(name) };
    format!("{} {}", there.format(&format!("{date}%H:%M")), place.replace('_', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_friday_evening_in_utc_shows_that_it_is_saturday_in_auckland() {
        let moment = Moment::named(utc("2026-03-13T20:00:00.9Z"), "Pacific/Auckland");
        assert_eq!(moment.iso, "2026-03-13T20:00:00Z");
        assert_eq!(moment.utc, "Fri 13 Mar 2026 20:00 UTC");
        assert_eq!(moment.local.as_deref(), Some("Sat 14 Mar 09:00 Auckland"));
        let new_year = Moment::named(utc("2026-12-31T15:00:00Z"), "Asia/Tokyo");
        assert_eq!(new_year.local.as_deref(), Some("Fri 01 Jan 2027 00:00 Tokyo"));
    }

    #[test]
    fn a_zone_that_is_utc_or_does_not_exist_is_not_shown() {
        for zone in ["UTC", "Etc/UTC", "Mars/<script>", ""] {
            assert_eq!(Moment::named(utc("2026-03-13T20:00:00Z"), zone).local, None, "{zone}");
        }
    }

    #[test]
    fn a_date_that_has_passed_is_overdue_and_never_in_minus_something() {
        let now = utc("2026-06-10T14:00:00Z");
        assert_eq!(countdown(utc("2026-06-18T12:00:01Z"), now), "in 7 d 22 h");
        assert_eq!(countdown(now, now), "in 0 s");
        assert_eq!(countdown(utc("2026-06-10T13:56:00Z"), now), "overdue by 4 min");
        assert_eq!(spell(TimeDelta::minutes(320)), "5 h 20 min");
    }
}
