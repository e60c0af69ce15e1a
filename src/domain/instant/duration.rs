//! Durations as people write them: `7 d`, `24 h`, `1 d 12 h`, `40 min`, `30 s`.
//!
//! A day is 24 hours here, whatever the clocks of a zone do meanwhile: a promise of days is counted, not read
//! off a calendar.

use chrono::TimeDelta;

const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];

/// A duration as a glance needs it, rounded down, so that nobody is promised more than there is:
/// `9 d 5 h`, `8 d 0 h`, `5 h 20 min`, `40 min`, `30 s`. What is negative begins with `-`.
pub fn display_duration(duration: TimeDelta) -> String {
    let seconds = duration.num_seconds().unsigned_abs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let text = match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    };
    if duration.num_seconds() < 0 { format!("-{text}") } else { text }
}

/// A duration to the second, without units that are zero: `7 d`, `1 d 12 h`. Read back by [`parse_duration`].
pub fn display_exact_duration(duration: TimeDelta) -> String {
    let mut rest = duration.num_seconds();
    if rest <= 0 {
        return format!("{rest} s");
    }
    let mut parts = Vec::new();
    for (size, unit) in UNITS {
        if rest >= size {
            parts.push(format!("{} {unit}", rest / size));
            rest %= size;
        }
    }
    parts.join(" ")
}

/// A text that is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no duration; write it in d, h, min and s, the largest first, like \"7 d\" or \"1 d 12 h\"")]
pub struct InvalidDuration;

/// Reads `7 d`, `7d`, `36 h`, `1 d 12 h`, `90 min`, `30 s`: each unit at most once, the largest first.
pub fn parse_duration(text: &str) -> Result<TimeDelta, InvalidDuration> {
    let mut rest = text.trim();
    let mut units = UNITS.iter();
    let mut seconds: i64 = 0;
    if rest.is_empty() {
        return Err(InvalidDuration);
    }
    while !rest.is_empty() {
        let end = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = rest[..end].parse().map_err(|_| InvalidDuration)?;
        rest = rest[end..].trim_start();
        let end = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (size, _) = units.find(|(_, unit)| *unit == &rest[..end]).ok_or(InvalidDuration)?;
        rest = rest[end..].trim_start();
        seconds =
            count.checked_mul(*size).and_then(|more| seconds.checked_add(more)).ok_or(InvalidDuration)?;
    }
    TimeDelta::try_seconds(seconds).ok_or(InvalidDuration)
}

/// Durations as text in stored and sent policies: `#[serde(with = "duration::text")]`.
pub mod text {
    use super::{TimeDelta, display_exact_duration, parse_duration};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the exact form.
    pub fn serialize<S: Serializer>(duration: &TimeDelta, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&display_exact_duration(*duration))
    }

    /// Reads what [`parse_duration`] reads.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeDelta, D::Error> {
        parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_duration_is_rounded_down_to_what_a_glance_needs() {
        for (seconds, text) in [
            (9 * 86_400 + 5 * 3_600 + 3_599, "9 d 5 h"),
            (8 * 86_400, "8 d 0 h"),
            (7 * 86_400 - 1, "6 d 23 h"),
            (5 * 3_600 + 20 * 60, "5 h 20 min"),
            (3_600, "1 h 0 min"),
            (40 * 60 + 59, "40 min"),
            (59, "59 s"),
            (0, "0 s"),
            (-(3 * 86_400 + 5 * 3_600), "-3 d 5 h"),
        ] {
            assert_eq!(display_duration(TimeDelta::seconds(seconds)), text);
        }
        assert_eq!(display_duration(TimeDelta::milliseconds(-200)), "0 s");
        assert!(display_duration(TimeDelta::MIN).starts_with('-'));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "7",
            "d",
            "7 days",
            "1 h 1 d",
            "1 d 1 d",
            "-1 d",
            "1.5 d",
            "7 ä",
            "99999999999999999 d",
            "7 d,",
        ] {
            assert_eq!(parse_duration(text), Err(InvalidDuration), "{text}");
        }
        assert_eq!(parse_duration(" 7d "), Ok(TimeDelta::days(7)));
        assert_eq!(parse_duration("36 h"), Ok(TimeDelta::hours(36)));
        assert_eq!(display_exact_duration(TimeDelta::hours(36)), "1 d 12 h");
    }

    proptest! {
        #[test]
        fn the_exact_form_reads_back_as_the_same_duration(seconds in 0..i64::from(u32::MAX)) {
            let duration = TimeDelta::seconds(seconds);
            prop_assert_eq!(parse_duration(&display_exact_duration(duration)), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in "\\PC{0,20}") {
            let _ = parse_duration(&text);
        }
    }
}
