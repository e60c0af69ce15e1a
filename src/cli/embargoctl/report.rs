//! What a command shows: lines for people, JSON for programs. Colour only says again what the words say.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use crate::domain::instant::{display_duration, display_instant};
use crate::domain::text::is_forbidden;

/// What a command leaves to be shown.
#[derive(Debug)]
pub(super) struct Report {
    pub text: String,
    pub json: serde_json::Value,
}

impl Report {
    pub(super) fn new(text: String, json: &impl Serialize) -> Self {
        Self { text, json: serde_json::to_value(json).unwrap_or_default() }
    }
}

/// Whether words may be coloured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(pub bool);

impl Paint {
    /// Colour on a terminal, unless `NO_COLOR` is set.
    pub(super) fn of_terminal() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(!unwanted && std::io::stdout().is_terminal())
    }

    fn red(self, text: &str) -> String {
        if self.0 { format!("\u{1b}[1;31m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A piece of a line.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    red: bool,
}

/// A piece that is as it should be.
pub(super) fn plain(text: impl AsRef<str>) -> Cell {
    Cell { text: line(text.as_ref()), red: false }
}

/// A piece that somebody has to look at.
pub(super) fn red(text: impl AsRef<str>) -> Cell {
    Cell { red: true, ..plain(text) }
}

/// One line without anything that could act on a terminal: what others wrote is not trusted.
pub(super) fn line(text: &str) -> String {
    text.chars().map(|character| if is_forbidden(character) { ' ' } else { character }).collect()
}

/// Rows in aligned columns, each indented by `indent` blanks.
pub(super) fn columns(rows: &[Vec<Cell>], indent: usize, paint: Paint) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut shown = " ".repeat(indent);
        // Empty pieces at the end of a row leave no blanks behind.
        let last = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
        for (index, (cell, width)) in row[..last].iter().zip(&widths).enumerate() {
            shown += &if cell.red { paint.red(&cell.text) } else { cell.text.clone() };
            if index + 1 < last {
                shown += &" ".repeat(width - cell.text.chars().count() + 2);
            }
        }
        let _ = writeln!(text, "{shown}");
    }
    text
}

/// The zone of a project; UTC for a name that is not known.
pub(super) fn zone(name: &str) -> Tz {
    name.parse().unwrap_or(Tz::UTC)
}

/// `Wed 10 Jun 2026 14:00 UTC (16:00 Berlin)`.
pub(super) fn instant(instant: DateTime<Utc>, zone: Tz) -> String {
    display_instant(instant, zone)
}

/// `15:02` today, `03 Jun 15:02` otherwise; UTC.
pub(super) fn short(instant: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let form = if instant.date_naive() == now.date_naive() { "%H:%M" } else { "%d %b %H:%M" };
    instant.format(form).to_string()
}

/// `in 7 d 22 h`, or `2 h 5 min ago`.
pub(super) fn countdown(instant: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let left = instant - now;
    if left.num_seconds() >= 0 {
        format!("in {}", display_duration(left))
    } else {
        format!("{} ago", display_duration(-left))
    }
}

/// A number with separators: `4,212`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn columns_align_by_what_is_seen_and_not_by_the_colour_around_it() {
        let rows =
            [vec![red("Gentoo"), plain("x"), plain("")], vec![plain("Red Hat"), plain("yy"), plain("z")]];
        assert_eq!(columns(&rows, 2, Paint(false)), "  Gentoo   x\n  Red Hat  yy  z\n");
        assert_eq!(columns(&rows[..1], 0, Paint(true)), "\u{1b}[1;31mGentoo\u{1b}[0m  x\n");
    }

    #[test]
    fn a_title_cannot_move_the_cursor() {
        assert_eq!(line("a\u{1b}[2Jb\nc\u{202e}d"), "a [2Jb c d");
    }

    #[test]
    fn instants_are_counted_down_and_then_up() {
        let now = utc("2026-11-16T17:00:00Z");
        assert_eq!(countdown(utc("2026-11-24T15:00:00Z"), now), "in 7 d 22 h");
        assert_eq!(countdown(utc("2026-11-16T14:55:00Z"), now), "2 h 5 min ago");
        assert_eq!(short(utc("2026-11-16T15:02:00Z"), now), "15:02");
        assert_eq!(short(utc("2026-11-15T15:02:00Z"), now), "15 Nov 15:02");
        assert_eq!(
            instant(utc("2026-11-24T15:00:00Z"), zone("Europe/Berlin")),
            "Tue 24 Nov 2026 15:00 UTC (16:00 Berlin)"
        );
        assert_eq!(
            (thousands(4212).as_str(), thousands(212).as_str(), thousands(1_000_000).as_str()),
            ("4,212", "212", "1,000,000")
        );
    }
}
