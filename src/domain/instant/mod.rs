//! Instants as people write and read them.
//!
//! Promises: an instant is read only if it can mean nothing else; a civil time that the clocks skip or show
//! twice is refused with the readings to choose from. Printed instants always show UTC first. Knows nothing
//! of policies, and error texts repeat nothing of what was typed but digits.

mod duration;
mod error;
mod parse;

pub use duration::text as duration_text;
pub use duration::{InvalidDuration, display_duration, display_exact_duration, parse_duration};
pub use error::InstantError;
pub use parse::parse_instant;

use super::calendar::{civil_time, offset};
use chrono::{DateTime, Datelike, NaiveDateTime, Timelike, Utc};
use chrono_tz::Tz;

/// `Wed 10 Jun 2026 14:00 UTC (16:00 Berlin)`; where the zone's date differs, it is shown too:
/// `Fri 13 Mar 2026 20:00 UTC (Sat 14 Mar 09:00 Auckland)`. Seconds are shown unless they are zero.
pub fn display_instant(instant: DateTime<Utc>, zone: Tz) -> String {
    let utc = instant.naive_utc();
    let local = civil_time(instant, zone);
    let shown = format!("{} {} UTC", utc.format("%a %d %b %Y"), time_of_day(utc));
    if is_utc(zone) {
        return shown;
    }
    let date = if local.date() == utc.date() {
        String::new()
    } else if local.year() == utc.year() {
        local.format("%a %d %b ").to_string()
    } else {
        local.format("%a %d %b %Y ").to_string()
    };
    format!("{shown} ({date}{} {})", time_of_day(local), place(zone))
}

/// `Wed 10 Jun 2026 16:00 CEST (Europe/Berlin)`: what is kept beside an instant, so that a later change of
/// the zone's rules can be noticed.
pub fn display_local(instant: DateTime<Utc>, zone: Tz) -> String {
    let local = civil_time(instant, zone);
    let abbreviation = offset(instant, zone);
    format!("{} {} {abbreviation} ({zone})", local.format("%a %d %b %Y"), time_of_day(local))
}

/// `Sat 13 Jun 14:00`: weekday, date and time without year and zone, for sentences that name both elsewhere.
pub(super) fn short_civil(civil: NaiveDateTime) -> String {
    format!("{} {}", civil.format("%a %d %b"), time_of_day(civil))
}

fn time_of_day(civil: NaiveDateTime) -> String {
    let seconds = if civil.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    civil.format(seconds).to_string()
}

fn is_utc(zone: Tz) -> bool {
    matches!(
        zone.name().trim_start_matches("Etc/"),
        "UTC" | "UCT" | "Universal" | "Zulu" | "GMT" | "GMT0" | "GMT+0" | "GMT-0" | "Greenwich"
    )
}

/// The city by which people know the zone.
fn place(zone: Tz) -> String {
    let name = zone.name();
    // The names under Etc carry offsets with the sign reversed; half of such a name would mislead more.
    let place = if name.starts_with("Etc/") { name } else { name.rsplit('/').next().unwrap_or(name) };
    place.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_shown_in_utc_and_where_the_project_lives() {
        for (instant, zone, text) in [
            ("2026-06-10T14:00:00Z", "Europe/Berlin", "Wed 10 Jun 2026 14:00 UTC (16:00 Berlin)"),
            ("2026-11-24T15:00:07Z", "America/New_York", "Tue 24 Nov 2026 15:00:07 UTC (10:00:07 New York)"),
            (
                "2026-03-13T20:00:00Z",
                "Pacific/Auckland",
                "Fri 13 Mar 2026 20:00 UTC (Sat 14 Mar 09:00 Auckland)",
            ),
            ("2026-12-31T14:00:00Z", "Asia/Tokyo", "Thu 31 Dec 2026 14:00 UTC (23:00 Tokyo)"),
            ("2026-12-31T15:00:00Z", "Asia/Tokyo", "Thu 31 Dec 2026 15:00 UTC (Fri 01 Jan 2027 00:00 Tokyo)"),
            (
                "2026-06-01T02:00:00Z",
                "America/Argentina/Buenos_Aires",
                "Mon 01 Jun 2026 02:00 UTC (Sun 31 May 23:00 Buenos Aires)",
            ),
            ("2026-06-10T14:00:00Z", "Etc/UTC", "Wed 10 Jun 2026 14:00 UTC"),
            ("2026-06-10T14:00:00Z", "Etc/GMT+5", "Wed 10 Jun 2026 14:00 UTC (09:00 Etc/GMT+5)"),
        ] {
            assert_eq!(display_instant(instant.parse().unwrap(), zone.parse().unwrap()), text);
        }
    }

    #[test]
    fn the_local_text_names_offset_and_zone_even_where_the_offset_has_no_letters() {
        for (instant, zone, text) in [
            ("2026-06-10T14:00:00Z", "Europe/Berlin", "Wed 10 Jun 2026 16:00 CEST (Europe/Berlin)"),
            ("2026-06-10T14:00:00Z", "Asia/Kathmandu", "Wed 10 Jun 2026 19:45 +0545 (Asia/Kathmandu)"),
            ("2026-03-13T20:00:00Z", "Pacific/Auckland", "Sat 14 Mar 2026 09:00 NZDT (Pacific/Auckland)"),
        ] {
            assert_eq!(display_local(instant.parse().unwrap(), zone.parse().unwrap()), text);
        }
    }
}
