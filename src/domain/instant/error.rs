//! Why a text is no instant, and what to write instead.

use crate::domain::calendar::{civil_time, offset};
use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset, Utc};
use chrono_tz::Tz;

/// Why a text was not taken for an instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstantError {
    /// The text has another form.
    #[error(
        "this is no instant; write it with an offset from UTC, like 2026-11-24T15:00Z or \
         2026-11-24T16:00+01:00, or as civil time in {zone}, like 2026-11-24T16:00"
    )]
    Form {
        /// The zone in which civil times are read.
        zone: Tz,
    },
    /// The form is right, the date or the time of day is on no calendar.
    #[error(
        "there is no {date} {time}; look up the days of that month, and write hours up to 23, the \
         rest up to 59"
    )]
    NoSuchTime {
        /// The date as it was written.
        date: String,
        /// The time of day as it was written.
        time: String,
    },
    /// A part of a second.
    #[error("instants are whole seconds here; leave the part behind the point out")]
    FractionOfSecond,
    /// The name in brackets is no zone.
    #[error("the name in brackets is no time zone; write one from the IANA list, like [Europe/Berlin]")]
    UnknownZone,
    /// The offset and the zone in brackets contradict each other.
    #[error("{zone} is at {expected} then, not at {given}; write only one of the two")]
    OffsetOfAnotherZone {
        /// The zone in brackets.
        zone: Tz,
        /// The offset as it was written.
        given: FixedOffset,
        /// The offset that the zone has at the instant.
        expected: FixedOffset,
    },
    /// The clocks are put forward over this time.
    #[error("{}; write {} or {}", self.problem(), with_offset(*earlier, *zone), with_offset(*later, *zone))]
    Skipped {
        /// The civil time as it was written.
        civil: NaiveDateTime,
        /// Its zone.
        zone: Tz,
        /// What the clocks would have shown when they are put forward.
        from: NaiveDateTime,
        /// What they show instead.
        to: NaiveDateTime,
        /// As far before the change as the time written lies behind it.
        earlier: DateTime<Utc>,
        /// As far behind the change as if the clocks had not been touched.
        later: DateTime<Utc>,
    },
    /// The clocks are put back over this time.
    #[error(
        "{}; write {} (at {}, {}) or {} (at {}, {})",
        self.problem(),
        zulu(*earlier), with_offset(*earlier, *zone), offset(*earlier, *zone),
        zulu(*later), with_offset(*later, *zone), offset(*later, *zone)
    )]
    Twice {
        /// The civil time as it was written.
        civil: NaiveDateTime,
        /// Its zone.
        zone: Tz,
        /// The first time it is shown.
        earlier: DateTime<Utc>,
        /// The second time it is shown.
        later: DateTime<Utc>,
    },
}

impl InstantError {
    /// What is wrong, without what to write instead.
    pub fn problem(&self) -> String {
        match self {
            Self::Skipped { civil, zone, from, to, .. } => format!(
                "{} does not exist in {zone} on {}: the clocks go from {} to {}",
                civil.format("%H:%M"),
                civil.date(),
                moment(*from, *civil),
                moment(*to, *civil)
            ),
            Self::Twice { civil, zone, .. } => {
                format!("{} happens twice in {zone} on {}", civil.format("%H:%M"), civil.date())
            }
            other => other.to_string(),
        }
    }

    /// The instants that may have been meant, each as it would be written; none where nobody can tell.
    pub fn readings(&self) -> Vec<(DateTime<Utc>, String)> {
        match self {
            Self::Skipped { zone, earlier, later, .. } | Self::Twice { zone, earlier, later, .. } => {
                [earlier, later].map(|reading| (*reading, with_offset(*reading, *zone))).to_vec()
            }
            _ => Vec::new(),
        }
    }
}

/// The time of day, with its date where that is not the date of `civil`.
fn moment(moment: NaiveDateTime, civil: NaiveDateTime) -> String {
    let form = if moment.date() == civil.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    moment.format(form).to_string()
}

fn with_offset(instant: DateTime<Utc>, zone: Tz) -> String {
    format!("{}{}", civil_time(instant, zone).format("%Y-%m-%dT%H:%M:%S"), offset(instant, zone).fix())
        .replacen(":00+", "+", 1)
        .replacen(":00-", "-", 1)
}

fn zulu(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%dT%H:%M:%SZ").to_string().replacen(":00Z", "Z", 1)
}
