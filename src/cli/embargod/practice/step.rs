//! How far a practice clock is to go: a duration, or an instant.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::domain::instant::{display_exact_duration, parse_duration, parse_instant};

/// Longer than any embargo, and short enough for every calendar.
const MOST: TimeDelta = TimeDelta::days(3_660);

/// What to write instead.
pub(in crate::cli::embargod) const CURE: &str =
    "write a duration such as 8d or \"1 d 12 h\", or an instant such as 2026-06-10T14:00:00Z";

/// How far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli::embargod) enum Step {
    /// By so much.
    By(TimeDelta),
    /// To this instant.
    To(DateTime<Utc>),
}

/// Why a clock is not moved so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli::embargod) enum StepError {
    /// Neither duration nor instant.
    #[error("this is neither a duration nor an instant; {CURE}")]
    Form,
    /// Backwards.
    #[error("a practice clock never goes back; it shows {}", .0.to_rfc3339_opts(SecondsFormat::Secs, true))]
    Back(DateTime<Utc>),
    /// Absurdly far.
    #[error("that is more than ten years at once")]
    TooFar,
}

impl Step {
    /// Where a clock that shows `now` ends.
    pub(super) fn from(self, now: DateTime<Utc>) -> Result<DateTime<Utc>, StepError> {
        let step = match self {
            Self::By(step) => step,
            Self::To(instant) => instant - now,
        };
        if step < TimeDelta::zero() {
            Err(StepError::Back(now))
        } else if step > MOST {
            Err(StepError::TooFar)
        } else {
            Ok(now + step)
        }
    }
}

impl FromStr for Step {
    type Err = StepError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match parse_duration(text) {
            Ok(step) => Ok(Self::By(step)),
            Err(_) => parse_instant(text, Tz::UTC).map(Self::To).map_err(|_| StepError::Form),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By(step) => formatter.write_str(&display_exact_duration(*step)),
            Self::To(instant) => formatter.write_str(&instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_duration_or_an_instant_and_reads_back_as_it_was_written() {
        for text in ["8 d", "1 d 12 h", "2026-06-10T14:00:00Z"] {
            assert_eq!(text.parse::<Step>().unwrap().to_string(), text);
        }
        assert_eq!("8d".parse(), Ok(Step::By(TimeDelta::days(8))));
        assert_eq!("soon".parse::<Step>(), Err(StepError::Form));
    }

    #[test]
    fn a_clock_goes_neither_back_nor_into_the_next_century() {
        let now: DateTime<Utc> = "2026-06-01T09:00:00Z".parse().unwrap();
        let from = |text: &str| text.parse::<Step>().unwrap().from(now);
        assert_eq!(from("8d"), Ok(now + TimeDelta::days(8)));
        assert_eq!(from("2026-06-01T09:00:00Z"), Ok(now));
        assert_eq!(from("2026-06-01T08:59:59Z"), Err(StepError::Back(now)));
        assert_eq!(from("4000 d"), Err(StepError::TooFar));
        assert_eq!(from("9999-06-01T08:59:59Z"), Err(StepError::TooFar));
    }
}
