//! One changed file in a diff: its header, and the hunks or the binary patch below it.
//!
//! Promises: what is taken, `git apply` reads the same way; every hunk holds the lines its header promises,
//! so that nothing inside a hunk is ever taken for something else, and nothing below is dropped silently.

use super::binary::binary_patch;
use super::error::{FixError, Place};
use super::facts::{ChangeKind, FileChange};
use super::hunk::hunks;
use super::path::{self, NO_FILE};
use super::text::{Span, bare, line_end};

/// What stands below the header of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing: the mode or the name changes, or the file is empty.
    Nothing,
    /// Hunks of text.
    Hunks,
    /// A git binary patch.
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
}

/// The mode of a symbolic link.
const SYMLINK: &[u8] = b"120000";

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

/// Whether the line at `at` is what `diff -r` says of binary files.
pub(super) fn leaves_out(text: &[u8], at: usize) -> bool {
    let line = bare(&text[at..line_end(text, at)]);
    line.starts_with(b"Binary files ") && line.ends_with(b" differ")
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
    let first = &text[end..line_end(text, end)];
    let no_lines = |range: &[u8]| first.windows(range.len()).take(30).any(|found| found == range);
    // Diff -N writes the name of a file that is not there, and that it has no lines.
    let kind = match () {
        () if old == NO_FILE || no_lines(b"@@ -0,0 ") => ChangeKind::Added,
        () if new == NO_FILE || no_lines(b" +0,0 @@") => ChangeKind::Deleted,
        () => ChangeKind::Modified,
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
    }))
}

struct Names {
    path: String,
    without_prefix: bool,
}

impl Names {
    /// Checks both names with and without prefix, and picks the one to show.
    fn checked(old: &[u8], new: &[u8], place: Place) -> Result<Self, FixError> {
        for name in [old, new].into_iter().filter(|name| *name != NO_FILE) {
            path::check(name, place)?;
            if name.contains(&b'/') {
                // Git takes a prefix away even where none seems to be.
                path::check(path::stripped(name), place)?;
            }
        }
        let prefixed = path::prefixed(old, new);
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
    /// The mode after the change, where a line gives it.
    mode: Option<&'text [u8]>,
    /// What happens to the file, if a line says it.
    kind: Option<ChangeKind>,
    from: Option<&'text [u8]>,
    to: Option<&'text [u8]>,
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
        } else if let Some(mode) = after("new mode ") {
            (self.new_mode, self.mode) = (true, Some(mode));
        } else if let Some(mode) = after("new file mode ") {
            (self.kind, self.mode) = (Some(ChangeKind::Added), Some(mode));
        } else if after("deleted file mode ").is_some() {
            self.kind = Some(ChangeKind::Deleted);
        } else if let Some(name) = after("rename from ").or_else(|| after("rename old ")) {
            (self.from, self.kind) = (Some(name), Some(ChangeKind::Renamed));
        } else if let Some(name) = after("rename to ").or_else(|| after("rename new ")) {
            (self.to, self.kind) = (Some(name), Some(ChangeKind::Renamed));
        } else if let Some(name) = after("copy from ") {
            (self.from, self.kind) = (Some(name), Some(ChangeKind::Copied));
        } else if let Some(name) = after("copy to ") {
            (self.to, self.kind) = (Some(name), Some(ChangeKind::Copied));
        } else if let Some(objects) = after("index ") {
            self.index = Some(objects);
            // A file whose mode stays has it behind the two object names.
            self.mode = self.mode.or(objects.split(|byte| *byte == b' ').nth(1));
        } else {
            return after("similarity index ").or_else(|| after("dissimilarity index ")).is_some();
        }
        true
    }

    /// Whether the file is a symbolic link after the change.
    fn is_symlink(&self) -> bool {
        self.mode == Some(SYMLINK)
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

    /// Whether the names on the lines `---` and `+++` are those of the first line, as git demands.
    fn agrees(&self, (old, new): &(Vec<u8>, Vec<u8>), written: (&[u8], &[u8])) -> bool {
        let same = |missing: ChangeKind, first: &[u8], written: &[u8]| match self.kind {
            Some(kind) if kind == missing => written == NO_FILE,
            None if written == NO_FILE => true,
            _ => path::stripped(first) == path::stripped(written),
        };
        same(ChangeKind::Added, old, written.0) && same(ChangeKind::Deleted, new, written.1)
    }

    /// Whether the header alone is a change that can be applied.
    fn is_complete(&self) -> bool {
        self.old_mode == self.new_mode && !self.promises_content() && (self.old_mode || self.kind.is_some())
    }
}

fn git_file(text: &[u8], at: usize, place: Place) -> Result<Option<FileDiff>, FixError> {
    let first = line_end(text, at);
    let header = GitHeader::read(text, first);
    let rest = &text[header.end..];
    let pair = name_lines(text, header.end);
    let bare_line = header.end == first && pair.is_none();
    if rest.starts_with(b"Binary files ") {
        return Err(FixError::BinaryLeftOut { place });
    }
    let binary = rest.starts_with(b"GIT binary patch");
    if bare_line && !binary && !rest.starts_with(b"--- ") {
        // No header but the first line: words in a message, or a file whose times changed only.
        return Ok(None);
    }
    let command = bare(&text[at + b"diff --git ".len()..first]);
    let (names, previous) = git_names(command, &header, pair.map(|(old, new, _)| (old, new)), place)?;
    let mut change =
        FileChange { path: names.path, previous, kind: header.kind.unwrap_or(ChangeKind::Modified) };
    let mut diff = FileDiff {
        header: at..header.end,
        content: header.end..header.end,
        form: Content::Nothing,
        change: change.clone(),
        added: 0,
        removed: 0,
        without_prefix: names.without_prefix,
    };
    if let Some((old, new, end)) = pair {
        let hunks = hunks(text, end, place)?;
        if hunks.end == end {
            return Err(FixError::Incomplete { place });
        }
        diff.header.end = end;
        diff.content = end..hunks.end;
        (diff.added, diff.removed) = (hunks.added, hunks.removed);
        diff.form = Content::Hunks;
        if header.is_symlink() {
            symlink(&text[diff.content.clone()], &diff.change.path, place)?;
        }
        if header.kind.is_none() && (old == NO_FILE || new == NO_FILE) {
            change.kind = if old == NO_FILE { ChangeKind::Added } else { ChangeKind::Deleted };
        }
    } else if binary {
        if header.is_symlink() {
            // Where it leads is packed away, and git writes no link like this by itself.
            return Err(FixError::SymlinkOutside { place });
        }
        let line = line_end(text, header.end);
        diff.content.end = binary_patch(text, line, place)?;
        diff.form = Content::Binary;
        change.kind = ChangeKind::Binary;
    } else if !header.is_complete() || rest.starts_with(b"--- ") {
        return Err(FixError::Incomplete { place });
    } else if header.kind.is_none() {
        change.kind = ChangeKind::ModeChanged;
    }
    diff.change = change;
    Ok(Some(diff))
}

/// Checks where a symbolic link at `path` leads: its target is the line that the hunks put in.
fn symlink(hunks: &[u8], path: &str, place: Place) -> Result<(), FixError> {
    let added = hunks.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"+"));
    for target in added {
        if path::leads_outside(path.as_bytes(), target) {
            return Err(FixError::SymlinkOutside { place });
        }
    }
    Ok(())
}

/// Whether the names of a rename or copy are those of the first line.
fn moves((old, new): &(Vec<u8>, Vec<u8>), from: &[u8], to: &[u8]) -> bool {
    let same = |first: &[u8], written: &[u8]| first == written || path::stripped(first) == written;
    same(old, from) && same(new, to)
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
        if both.as_ref().is_some_and(|names| !header.agrees(names, (old, new))) {
            return Err(FixError::HeaderContradicts { place });
        }
    }
    // Git puts prefixes on both lines or on none.
    let without_prefix =
        both.as_ref().or(written.as_ref()).is_some_and(|(old, new)| !path::prefixed(old, new));
    if header.from.is_some() != header.to.is_some() {
        return Err(FixError::HeaderContradicts { place });
    }
    if let (Some(from), Some(to)) = (header.from, header.to) {
        let (from, to) = (read(from)?, read(to)?);
        path::check(&from, place)?;
        path::check(&to, place)?;
        if both.as_ref().is_some_and(|names| !moves(names, &from, &to)) {
            return Err(FixError::HeaderContradicts { place });
        }
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        return Ok((Names { path: text(&to), without_prefix }, Some(text(&from))));
    }
    let (old, new) = both.or(written).ok_or(unreadable)?;
    Names::checked(&old, &new, place).map(|names| (names, None))
}
