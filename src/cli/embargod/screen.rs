//! How the operator's commands show things: a word at the left, what is to be said beside it.

use std::fmt::Write as _;
use std::io::Write as _;

use serde::Serialize;

use super::failure::Failure;
use crate::app::removals::Removal;
pub(super) use crate::domain::text::harmless as plain;

/// Says one line on standard output. A reader that went away is no reason to stop.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Says `text` with a word at the left, as in `  wrote   embargod.toml`.
pub(super) fn item(word: &str, text: &str) {
    say(&format!("  {word:<7} {text}"));
}

/// Says what was taken back from whom, and what is left to be seen to.
pub(super) fn removed(word: &str, removal: &Removal) {
    let Removal { who, projects, mailed, remarks } = removal;
    let from = if projects.is_empty() { "from no project".to_owned() } else { projects.join(", ") };
    item(word, &plain(&format!("{who} ({from})")));
    for slug in projects {
        let how =
            if mailed.contains(slug) { "are mailed" } else { "get no mail, since nothing is held back" };
        item("told", &format!("the maintainers of {slug} {how}"));
    }
    for remark in remarks {
        item("note", &plain(remark));
    }
}

/// Shows data to programs.
pub(super) fn json(value: &impl Serialize) {
    say(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Says on standard error why something was not done, and the cure below it.
pub(super) fn complain(failure: &Failure) {
    let (what, cure) = failure.parts();
    let mut screen = std::io::stderr();
    let _ = writeln!(screen, "  refused {what}");
    if let Some(cure) = cure {
        let _ = writeln!(screen, "  cure    {cure}");
    }
}

/// Rows in columns as wide as they need to be, two blanks apart.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<_> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let gap = width.saturating_sub(cell.chars().count());
            let _ = write!(line, "{}{:gap$}  ", plain(cell), "");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}
