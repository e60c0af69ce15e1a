//! One changed file in a diff: its header, and the hunks or the binary patch below it.
//!
//! Promises: what is taken, `git apply` reads the same way; every hunk holds the lines its header promises,
//! so that nothing inside a hunk is ever taken for something else, and nothing below is dropped silently.

use super::error::{FixError, Place};
use super::facts::{ChangeKind, FileChange};
use super::path::{self, NO_FILE};
use super::text::{Span, bare, line_end};

/// What stands below the header of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing: the mode or the name changes, or the file is empty.
    Nothing,
    /// Hunks of text.
    Hunks,
    /// A git binary patch, or the line that says that binary files differ.
    Binary,
}

/// The part of a diff that changes one file.
pub(super) struct FileDiff {
    /// From `diff` or `---` to the line before the first hunk.
    pub(super) header: Span,
    /// Hunks or binary patch.
    pub(super) content: Span,
    pub(super) form: Content,
    pub(super) change: FileChange,
    pub(super) added: u32,
    pub(super) removed: u32,
    /// The names carry no prefix: `git am` needs `-p0`.
    pub(super) without_prefix: bool,
    /// Only "Binary files differ": there is nothing to apply.
    pub(super) left_out: bool,
}

/// Object names of empty files, in both of git's formats.
const EMPTY_BLOBS: [&[u8]; 2] = [
    b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    b"473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
];

/// Reads the part of a diff that begins at the line at `at`, if one begins there.
pub(super) fn file(text: &[u8], at: usize, place: Place) -> Result<Option<FileDiff>, FixError> {
    let rest = &text[at..];
    if rest.starts_with(b"diff --git ") {
        return git_file(text, at, place);
    }
    if rest.starts_with(b"diff --cc ") || rest.starts_with(b"diff --combined ") {
        return Err(FixError::CombinedDiff { place });
    }
    let start = if rest.starts_with(b"diff ") { line_end(text, at) } else { at };
    plain_file(text, at, start, place)
}

/// The names and the end of a `---`/`+++` pair at `at`, if there is one.
fn name_lines(text: &[u8], at: usize) -> Option<(&[u8], &[u8], usize)> {
    let old = text[at..].strip_prefix(b"--- ").map(|_| at + 4)?;
    let middle = line_end(text, at);
    let new = text[middle..].strip_prefix(b"+++ ").map(|_| middle + 4)?;
    let end = line_end(text, middle);
    Some((bare(&text[old..middle]), bare(&text[new..end]), end))
}

/// A file of `diff -u`: as for git, it is one only if a hunk follows at once.
fn plain_file(text: &[u8], at: usize, start: usize, place: Place) -> Result<Option<FileDiff>, FixError> {
    let Some((old, new, end)) =
        name_lines(text, start).filter(|(_, _, end)| text[*end..].starts_with(b"@@ -"))
    else {
        return Ok(None);
    };
    let read = |name| path::named(name).ok_or(FixError::PathUnreadable { place });
    let (old, new) = (read(old)?, read(new)?);
    let names = Names::checked(&old, &new, place)?;
    let kind = match (old == NO_FILE, new == NO_FILE) {
        (true, _) => ChangeKind::Added,
        (_, true) => ChangeKind::Deleted,
        _ => ChangeKind::Modified,
    };
    let hunks = hunks(text, end, place)?;
    let change = FileChange { path: names.path, previous: None, kind };
    Ok(Some(FileDiff {
        header: at..end,
        content: end..hunks.end,
        form: Content::Hunks,
        change,
        added: hunks.added,
        removed: hunks.removed,
        without_prefix: names.without_prefix,
        left_out: false,
    }))
}

struct Names {
    path: String,
    without_prefix: bool,
}

impl Names {
    /// Checks both names with and without prefix, and picks the one to show.
    fn checked(old: &[u8], new: &[u8], place: Place) -> Result<Self, FixError> {
        let prefixed = path::prefixed(old, new);
        for name in [old, new].into_iter().filter(|name| *name != NO_FILE) {
            path::check(name, place)?;
            if prefixed {
                path::check(path::stripped(name), place)?;
            }
        }
        let name = if new == NO_FILE { old } else { new };
        if name == NO_FILE {
            return Err(FixError::PathUnreadable { place });
        }
        let shown = if prefixed { path::stripped(name) } else { name };
        Ok(Self { path: String::from_utf8_lossy(shown).into_owned(), without_prefix: !prefixed })
    }
}

/// The lines between `diff --git` and the content.
#[derive(Default)]
struct GitHeader<'text> {
    old_mode: bool,
    new_mode: bool,
    added: bool,
    deleted: bool,
    from: Option<&'text [u8]>,
    to: Option<&'text [u8]>,
    copied: bool,
    index: Option<&'text [u8]>,
    end: usize,
}

impl<'text> GitHeader<'text> {
    fn read(text: &'text [u8], at: usize) -> Self {
        let mut header = Self { end: at, ..Self::default() };
        while header.end < text.len() {
            let next = line_end(text, header.end);
            if !header.takes(bare(&text[header.end..next])) {
                break;
            }
            header.end = next;
        }
        header
    }

    fn takes(&mut self, line: &'text [u8]) -> bool {
        let after = |word: &str| line.strip_prefix(word.as_bytes());
        if after("old mode ").is_some() {
            self.old_mode = true;
        } else if after("new mode ").is_some() {
            self.new_mode = true;
        } else if after("new file mode ").is_some() {
            self.added = true;
        } else if after("deleted file mode ").is_some() {
            self.deleted = true;
        } else if let Some(name) = after("rename from ").or_else(|| after("rename old ")) {
            self.from = Some(name);
        } else if let Some(name) = after("rename to ").or_else(|| after("rename new ")) {
            self.to = Some(name);
        } else if let Some(name) = after("copy from ") {
            (self.from, self.copied) = (Some(name), true);
        } else if let Some(name) = after("copy to ") {
            (self.to, self.copied) = (Some(name), true);
        } else if let Some(objects) = after("index ") {
            self.index = Some(objects);
        } else {
            return after("similarity index ").or_else(|| after("dissimilarity index ")).is_some();
        }
        true
    }

    fn kind(&self) -> ChangeKind {
        match () {
            () if self.added => ChangeKind::Added,
            () if self.deleted => ChangeKind::Deleted,
            () if self.copied => ChangeKind::Copied,
            () if self.to.is_some() => ChangeKind::Renamed,
            () => ChangeKind::Modified,
        }
    }

    /// Whether the header says that the content changes: it names two objects, and not only an empty one.
    fn promises_content(&self) -> bool {
        let Some(objects) = self.index else { return false };
        let objects = objects.split(|byte| *byte == b' ').next().unwrap_or(objects);
        let Some(dots) = objects.windows(2).position(|pair| pair == b"..") else { return true };
        let (old, new) = (&objects[..dots], &objects[dots + 2..]);
        let nothing = |name: &[u8]| {
            name.iter().all(|byte| *byte == b'0') || EMPTY_BLOBS.iter().any(|empty| empty.starts_with(name))
        };
        old != new && !(nothing(old) && nothing(new))
    }

    /// Whether the header alone is a change that can be applied.
    fn is_complete(&self) -> bool {
        self.old_mode == self.new_mode
            && self.from.is_some() == self.to.is_some()
            && !self.promises_content()
            && (self.old_mode || self.to.is_some() || self.added || self.deleted)
    }
}

fn git_file(text: &[u8], at: usize, place: Place) -> Result<Option<FileDiff>, FixError> {
    let first = line_end(text, at);
    let header = GitHeader::read(text, first);
    let rest = &text[header.end..];
    let pair = name_lines(text, header.end);
    let bare_line = header.end == first && pair.is_none();
    let left_out = rest.starts_with(b"Binary files ");
    let binary = left_out || rest.starts_with(b"GIT binary patch");
    if bare_line && !binary && !rest.starts_with(b"--- ") {
        // No header but the first line: words in a message, or a file whose times changed only.
        return Ok(None);
    }
    let command = bare(&text[at + b"diff --git ".len()..first]);
    let (names, previous) = git_names(command, &header, pair.map(|(old, new, _)| (old, new)), place)?;
    let mut change = FileChange { path: names.path, previous, kind: header.kind() };
    let mut diff = FileDiff {
        header: at..header.end,
        content: header.end..header.end,
        form: Content::Nothing,
        change: change.clone(),
        added: 0,
        removed: 0,
        without_prefix: names.without_prefix,
        left_out,
    };
    if let Some((_, _, end)) = pair {
        let hunks = hunks(text, end, place)?;
        if hunks.end == end {
            return Err(FixError::Incomplete { place });
        }
        diff.header.end = end;
        diff.content = end..hunks.end;
        (diff.added, diff.removed) = (hunks.added, hunks.removed);
        diff.form = Content::Hunks;
    } else if binary {
        let line = line_end(text, header.end);
        diff.content.end = if left_out { line } else { binary_patch(text, line, place)? };
        diff.form = Content::Binary;
        change.kind = ChangeKind::Binary;
    } else if !header.is_complete() || rest.starts_with(b"--- ") {
        return Err(FixError::Incomplete { place });
    } else if header.old_mode && header.to.is_none() {
        change.kind = ChangeKind::ModeChanged;
    }
    diff.change = change;
    Ok(Some(diff))
}

/// The name of the file and its previous one, from the lines that say them most clearly.
fn git_names(
    command: &[u8],
    header: &GitHeader,
    pair: Option<(&[u8], &[u8])>,
    place: Place,
) -> Result<(Names, Option<String>), FixError> {
    let unreadable = FixError::PathUnreadable { place };
    let read = |name| path::named(name).ok_or(FixError::PathUnreadable { place });
    let both = path::git_names(command);
    if let Some((old, new)) = &both {
        Names::checked(old, new, place)?;
    }
    let written = pair.map(|(old, new)| Ok((read(old)?, read(new)?))).transpose()?;
    if let Some((old, new)) = &written {
        Names::checked(old, new, place)?;
    }
    // Git puts prefixes on both lines or on none.
    let without_prefix =
        both.as_ref().or(written.as_ref()).is_some_and(|(old, new)| !path::prefixed(old, new));
    if let (Some(from), Some(to)) = (header.from, header.to) {
        let (from, to) = (read(from)?, read(to)?);
        path::check(&from, place)?;
        path::check(&to, place)?;
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        return Ok((Names { path: text(&to), without_prefix }, Some(text(&from))));
    }
    let (old, new) = both.or(written).ok_or(unreadable)?;
    Names::checked(&old, &new, place).map(|names| (names, None))
}

struct Hunks {
    end: usize,
    added: u32,
    removed: u32,
}

fn hunks(text: &[u8], at: usize, place: Place) -> Result<Hunks, FixError> {
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

/// Where the binary patch ends whose first block begins at `at`: one block forward and mostly one back.
fn binary_patch(text: &[u8], at: usize, place: Place) -> Result<usize, FixError> {
    let begins = |at: usize| text[at..].starts_with(b"literal ") || text[at..].starts_with(b"delta ");
    if !begins(at) {
        return Err(FixError::BinaryDamaged { place });
    }
    let mut at = at;
    for _ in 0..2 {
        if !begins(at) {
            break;
        }
        at = line_end(text, at);
        loop {
            let end = line_end(text, at);
            let line = bare(&text[at..end]);
            if at == end || !(line.is_empty() || is_base85_line(line)) {
                return Err(FixError::BinaryDamaged { place });
            }
            at = end;
            if line.is_empty() {
                break;
            }
        }
    }
    Ok(at)
}

/// A line of a binary patch: a letter for the number of bytes, and five characters for every four of them.
fn is_base85_line(line: &[u8]) -> bool {
    let Some((length, data)) = line.split_first() else { return false };
    let bytes = match length {
        b'A'..=b'Z' => usize::from(length - b'A') + 1,
        b'a'..=b'z' => usize::from(length - b'a') + 27,
        _ => return false,
    };
    data.len() == bytes.div_ceil(4) * 5
        && data.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&()*+-;<=>?@^_`{|}~".contains(byte))
}
