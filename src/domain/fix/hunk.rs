//! Hunks: the lines that a diff takes away, puts in, and leaves around them.
//!
//! Promises: a hunk that was read holds exactly the lines that its header promises. Knows nothing of files.

use super::error::{FixError, Place};
use super::text::line_end;

/// The hunks of a file, as counts.
pub(super) struct Hunks {
    /// Where the last one ends.
    pub(super) end: usize,
    pub(super) added: u32,
    pub(super) removed: u32,
}

/// Reads the hunks that begin at `at`; there may be none.
pub(super) fn hunks(text: &[u8], at: usize, place: Place) -> Result<Hunks, FixError> {
    let mut hunks = Hunks { end: at, added: 0, removed: 0 };
    let mut number = 0;
    while text[hunks.end..].starts_with(b"@@ -") {
        number += 1;
        hunk(text, &mut hunks, place.hunk(number))?;
    }
    if text[hunks.end..].starts_with(b"@@@") {
        return Err(FixError::CombinedDiff { place });
    }
    if text[hunks.end..].starts_with(b"@@") {
        return Err(FixError::HunkHeader { place: place.hunk(number + 1) });
    }
    Ok(hunks)
}

fn hunk(text: &[u8], hunks: &mut Hunks, place: Place) -> Result<(), FixError> {
    let first = line_end(text, hunks.end);
    let (old, new) = promised(&text[hunks.end..first]).ok_or(FixError::HunkHeader { place })?;
    let (mut old_found, mut new_found) = (0, 0);
    let mut at = first;
    while old_found < old || new_found < new {
        let end = line_end(text, at);
        let line = &text[at..end];
        let (is_old, is_new) = match line {
            [b' ', ..] | b"\n" | b"\r\n" => (true, true),
            [b'-', ..] => (true, false),
            [b'+', ..] => (false, true),
            [b'\\', ..] => (false, false),
            _ => return Err(FixError::HunkCount { place, old, new, old_found, new_found }),
        };
        if is_old && old_found == old || is_new && new_found == new {
            return Err(FixError::HunkCount { place, old, new, old_found, new_found });
        }
        old_found += u32::from(is_old);
        new_found += u32::from(is_new);
        hunks.removed += u32::from(is_old && !is_new);
        hunks.added += u32::from(is_new && !is_old);
        at = end;
    }
    while text[at..].starts_with(b"\\ ") {
        at = line_end(text, at);
    }
    hunks.end = at;
    if is_surplus(&text[at..line_end(text, at)]) {
        return Err(FixError::HunkSurplus { place, old, new });
    }
    Ok(())
}

/// Whether a line right below a hunk seems to belong to it. The signature line `-- ` and the header of a next
/// file begin with two dashes.
fn is_surplus(line: &[u8]) -> bool {
    match line {
        [b'+', ..] => true,
        [b' ', rest @ ..] => !rest.trim_ascii().is_empty(),
        [b'-', rest @ ..] => !rest.starts_with(b"-"),
        _ => false,
    }
}

/// How many old and new lines a hunk header promises.
fn promised(line: &[u8]) -> Option<(u32, u32)> {
    let (old, rest) = range(line.strip_prefix(b"@@ -")?)?;
    let (new, rest) = range(rest.strip_prefix(b" +")?)?;
    rest.starts_with(b" @@").then_some((old, new))
}

/// Reads `12,7` or `12`, which stands for one line, and gives the count and what follows.
fn range(text: &[u8]) -> Option<(u32, &[u8])> {
    let (_, rest) = number(text)?;
    rest.strip_prefix(b",").map_or(Some((1, rest)), number)
}

fn number(text: &[u8]) -> Option<(u32, &[u8])> {
    let digits = text.iter().take(11).take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
    Some((number, &text[digits..]))
}
