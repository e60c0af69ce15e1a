//! Reads an instant: RFC 3339, or a civil time with or without its zone, as in RFC 9557.

use super::InstantError;
use crate::domain::calendar::{Meaning, meaning, offset};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, Utc};
use chrono_tz::Tz;

/// Reads an instant; `zone` is the project's, in which a civil time without a zone is understood.
///
/// Taken are RFC 3339 (`2026-11-24T15:00:00Z`, also without seconds, with a space, with `+01:00` or ` UTC`)
/// and civil times (`2026-11-24T16:00`, `2026-11-24 16:00`, `2026-11-24T16:00[Europe/Berlin]`).
pub fn parse_instant(text: &str, zone: Tz) -> Result<DateTime<Utc>, InstantError> {
    let written = Written::read(text.trim()).ok_or(InstantError::Form { zone })?;
    if written.fraction.bytes().any(|digit| digit != b'0') {
        return Err(InstantError::FractionOfSecond);
    }
    let civil = written.civil()?;
    let named = match written.zone {
        Some(name) => Some(name.parse::<Tz>().map_err(|_| InstantError::UnknownZone)?),
        None => None,
    };
    match written.offset {
        Some(OffsetText::Zulu) => Ok(civil.and_utc()),
        Some(OffsetText::Seconds(seconds)) => {
            let form = InstantError::Form { zone };
            let given = FixedOffset::east_opt(seconds).ok_or(form)?;
            let instant = civil.and_local_timezone(given).earliest();
            let instant = instant.ok_or(InstantError::Form { zone })?.with_timezone(&Utc);
            match named {
                Some(zone) if offset(instant, zone).fix() != given => {
                    Err(InstantError::OffsetOfAnotherZone {
                        zone,
                        given,
                        expected: offset(instant, zone).fix(),
                    })
                }
                _ => Ok(instant),
            }
        }
        None => only_meaning(civil, named.unwrap_or(zone)),
    }
}

fn only_meaning(civil: NaiveDateTime, zone: Tz) -> Result<DateTime<Utc>, InstantError> {
    match meaning(civil, zone) {
        Meaning::Once(instant) => Ok(instant),
        Meaning::Twice { earlier, later } => Err(InstantError::Twice { civil, zone, earlier, later }),
        Meaning::Skipped { from, to } => {
            // The instant of the change has both names; around it the time written is counted either way.
            let jump = to - from;
            let reading = |civil: NaiveDateTime| match meaning(civil, zone) {
                Meaning::Once(instant) => instant,
                Meaning::Twice { earlier, .. } => earlier,
                Meaning::Skipped { .. } => civil.and_utc(),
            };
            let (earlier, later) = (reading(civil - jump), reading(civil + jump));
            Err(InstantError::Skipped { civil, zone, from, to, earlier, later })
        }
    }
}

/// The parts of the text, right in form only.
struct Written<'a> {
    date: &'a str,
    time: &'a str,
    fraction: &'a str,
    offset: Option<OffsetText>,
    zone: Option<&'a str>,
}

enum OffsetText {
    Zulu,
    Seconds(i32),
}

impl<'a> Written<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (date, rest) = shaped(text, "0000-00-00")?;
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        let (time, rest) = shaped(rest, "00:00:00").or_else(|| shaped(rest, "00:00"))?;
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(rest) if time.len() == 8 => {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                if digits == 0 {
                    return None;
                }
                rest.split_at(digits)
            }
            _ => ("", rest),
        };
        let (offset, rest) = read_offset(rest)?;
        let zone = match rest.trim_start() {
            "" => None,
            bracketed => Some(bracketed.strip_prefix('[')?.strip_suffix(']')?),
        };
        Some(Self { date, time, fraction, offset, zone })
    }

    fn civil(&self) -> Result<NaiveDateTime, InstantError> {
        let date = NaiveDate::parse_from_str(self.date, "%Y-%m-%d").ok();
        // Second 60 parses, as a leap second; no zone's clocks show one in our lifetime's planning.
        let second_fits = self.time.get(6..).is_none_or(|second| second < "60");
        let time = NaiveTime::parse_from_str(self.time, "%H:%M:%S")
            .or_else(|_| NaiveTime::parse_from_str(self.time, "%H:%M"))
            .ok()
            .filter(|_| second_fits);
        match (date, time) {
            (Some(date), Some(time)) => Ok(date.and_time(time)),
            _ => Err(InstantError::NoSuchTime { date: self.date.to_owned(), time: self.time.to_owned() }),
        }
    }
}

fn read_offset(text: &str) -> Option<(Option<OffsetText>, &str)> {
    if let Some(rest) = text.strip_prefix(['Z', 'z']).or_else(|| text.strip_prefix(" UTC")) {
        return Some((Some(OffsetText::Zulu), rest));
    }
    let Some(sign) = text.chars().next().filter(|sign| matches!(sign, '+' | '-')) else {
        return Some((None, text));
    };
    let (offset, rest) = shaped(&text[1..], "00:00")?;
    let (hours, minutes): (i32, i32) = (offset[..2].parse().ok()?, offset[3..].parse().ok()?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = (hours * 60 + minutes) * 60;
    Some((Some(OffsetText::Seconds(if sign == '-' { -seconds } else { seconds })), rest))
}

/// Cuts off the beginning of `text` if it has digits where `shape` has `0` and the same characters elsewhere.
fn shaped<'a>(text: &'a str, shape: &str) -> Option<(&'a str, &'a str)> {
    let (beginning, rest) = text.split_at_checked(shape.len())?;
    let fits =
        |(byte, expected): (u8, u8)| if expected == b'0' { byte.is_ascii_digit() } else { byte == expected };
    beginning.bytes().zip(shape.bytes()).all(fits).then_some((beginning, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BERLIN: Tz = Tz::Europe__Berlin;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn refusal(text: &str, zone: Tz) -> String {
        parse_instant(text, zone).unwrap_err().to_string()
    }

    #[test]
    fn an_instant_may_be_written_with_its_offset_or_as_the_projects_civil_time() {
        for text in [
            "2026-11-24T15:00:00Z",
            "2026-11-24T15:00Z",
            "2026-11-24t15:00z",
            "2026-11-24 15:00Z",
            "2026-11-24 15:00 UTC",
            "2026-11-24T15:00:00.000Z",
            "2026-11-24T16:00:00+01:00",
            "2026-11-24T10:00-05:00",
            "2026-11-24T16:00",
            "  2026-11-24 16:00:00\n",
            "2026-11-24T16:00[Europe/Berlin]",
            "2026-11-24 10:00 [America/New_York]",
            "2026-11-24T20:45[Asia/Kathmandu]",
            "2026-11-24T16:00+01:00[Europe/Berlin]",
            "2026-11-24T15:00Z[America/New_York]",
        ] {
            assert_eq!(parse_instant(text, BERLIN), Ok(utc("2026-11-24T15:00:00Z")), "{text}");
        }
    }

    #[test]
    fn what_could_mean_several_things_or_nothing_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2026-11-24",
            "24.11.2026 15:00",
            "2026-11-24T15",
            "2026-11-24T15:00 CET",
            "2026-11-24T15:00+1",
            "2026-11-24T15:00+0100",
            "2026-11-24T15:00+25:00",
            "2026-11-24T15:00.5Z",
            "2026-11-24T15:00:00.Z",
            "２026-11-24T15:00Z",
            "+12026-11-24T15:00Z",
            "2026-11-24T15:00Z and then",
            "2026-11-24T15:00[Europe/Berlin",
            "2026-11-24\u{a0}15:00",
        ] {
            assert_eq!(parse_instant(text, BERLIN), Err(InstantError::Form { zone: BERLIN }), "{text}");
        }
        assert_eq!(parse_instant("2026-11-24T15:00[Mars]", BERLIN), Err(InstantError::UnknownZone));
        assert_eq!(parse_instant("2026-11-24T15:00:00.5Z", BERLIN), Err(InstantError::FractionOfSecond));
        for text in [
            "2026-02-29T15:00",
            "2026-13-01T15:00Z",
            "2026-11-24T24:00Z",
            "2026-11-24T15:60Z",
            "2026-06-30T23:59:60Z",
        ] {
            assert!(matches!(parse_instant(text, BERLIN), Err(InstantError::NoSuchTime { .. })), "{text}");
        }
        assert_eq!(
            refusal("2026-06-10T16:00+01:00[Europe/Berlin]", BERLIN),
            "Europe/Berlin is at +02:00 then, not at +01:00; write only one of the two"
        );
    }

    #[test]
    fn a_time_that_no_clock_shows_is_refused_with_the_readings_around_it() {
        for (text, zone, expected) in [
            (
                "2026-03-29T02:30",
                "Europe/Berlin",
                "02:30 does not exist in Europe/Berlin on 2026-03-29: the clocks go from 02:00 to 03:00; \
                 write 2026-03-29T01:30+01:00 or 2026-03-29T03:30+02:00",
            ),
            (
                "2026-10-04 02:00",
                "Australia/Lord_Howe",
                "02:00 does not exist in Australia/Lord_Howe on 2026-10-04: the clocks go from 02:00 to 02:30; write \
                 2026-10-04T01:30+10:30 or 2026-10-04T02:30+11:00",
            ),
            (
                "2026-03-08 02:59:59",
                "America/New_York",
                "02:59 does not exist in America/New_York on 2026-03-08: the clocks go from 02:00 to 03:00; \
                 write 2026-03-08T01:59:59-05:00 or 2026-03-08T03:59:59-04:00",
            ),
            (
                "2011-12-30 10:00",
                "Pacific/Apia",
                "10:00 does not exist in Pacific/Apia on 2011-12-30: the clocks go from 00:00 to 2011-12-31 \
                 00:00; write 2011-12-29T10:00-10:00 or 2011-12-31T10:00+14:00",
            ),
        ] {
            assert_eq!(refusal(text, zone.parse().unwrap()), expected);
            assert_eq!(refusal(&format!("{text}[{zone}]"), Tz::UTC), expected);
        }
    }

    #[test]
    fn a_time_that_clocks_show_twice_is_refused_with_both_readings() {
        assert_eq!(
            refusal("2026-10-25T02:30", BERLIN),
            "02:30 happens twice in Europe/Berlin on 2026-10-25; write 2026-10-25T00:30Z (at \
             2026-10-25T02:30+02:00, CEST) or 2026-10-25T01:30Z (at 2026-10-25T02:30+01:00, CET)"
        );
        assert_eq!(
            refusal("2026-04-05 01:45", Tz::Australia__Lord_Howe),
            "01:45 happens twice in Australia/Lord_Howe on 2026-04-05; write 2026-04-04T14:45Z (at \
             2026-04-05T01:45+11:00, +11) or 2026-04-04T15:15Z (at 2026-04-05T01:45+10:30, +1030)"
        );
    }

    #[test]
    fn every_reading_that_a_refusal_offers_is_accepted() {
        let texts = ["2026-03-29T02:30", "2026-10-25T02:30", "2026-03-29T02:00:01", "2026-10-25T02:00"];
        for text in texts {
            let offered = refusal(text, BERLIN);
            let readings: Vec<_> = offered
                .split(|character: char| " (),".contains(character))
                .filter(|word| word.contains("T0"))
                .map(|word| parse_instant(word, Tz::Pacific__Auckland).unwrap())
                .collect();
            assert!(readings.len() >= 2, "{offered}");
        }
    }

    #[test]
    fn an_error_repeats_nothing_that_was_typed_but_digits() {
        for text in ["Header injection", "2026-11-24T15:00[Header injection]", "2026-11-24T15:00 injection"] {
            assert!(!refusal(text, BERLIN).contains("injection"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_panic(
            text in "\\PC{0,30}|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?",
            zone in proptest::sample::select(&chrono_tz::TZ_VARIANTS[..]),
        ) {
            if let Err(error) = parse_instant(&text, zone) {
                prop_assert!(!error.to_string().is_empty());
            }
        }

        #[test]
        fn an_instant_printed_as_rfc_3339_in_any_zone_reads_back(
            seconds in 1_704_067_200_i64..2_145_916_800,
            zone in proptest::sample::select(&chrono_tz::TZ_VARIANTS[..]),
        ) {
            let instant = DateTime::from_timestamp(seconds, 0).unwrap();
            let local = instant.with_timezone(&zone);
            prop_assert_eq!(parse_instant(&instant.to_rfc3339(), zone), Ok(instant));
            prop_assert_eq!(parse_instant(&local.to_rfc3339(), Tz::UTC), Ok(instant));
            prop_assert_eq!(parse_instant(&format!("{}[{zone}]", local.to_rfc3339()), Tz::UTC), Ok(instant));
            // A civil time reads back too, or is refused because it is shown twice, once at this instant.
            match parse_instant(&local.format("%Y-%m-%d %H:%M:%S").to_string(), zone) {
                Err(InstantError::Twice { earlier, later, .. }) => prop_assert!([earlier, later].contains(&instant)),
                read => prop_assert_eq!(read, Ok(instant)),
            }
        }
    }
}
