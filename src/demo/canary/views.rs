//! The same bytes with their escapes undone, so that a word shows through them.
//!
//! A view holds only what lies around the escapes: what is far from any was searched already. Each
//! remembers where it differs from the original, because only a match that touches such a mark is news.

use aho_corasick::AhoCorasick;

use super::{Encoding, patterns};

/// Bytes kept on each side of an escape: more than the longest pattern, a word in hexadecimal, has. So
/// no match both touches a mark and spans a place where bytes were left out.
const AROUND: usize = 64;

/// Bytes with one kind of escape undone.
pub struct View {
    pub bytes: Vec<u8>,
    /// What a match across a mark means; nothing if it means what the pattern says.
    pub encoding: Option<Encoding>,
    marks: Vec<usize>,
}

impl View {
    /// Whether undoing an escape has brought anything into the match from `start` to `end`.
    pub fn is_decoded(&self, start: usize, end: usize) -> bool {
        let next = self.marks.partition_point(|mark| *mark < start);
        self.marks.get(next).is_some_and(|mark| *mark < end)
    }
}

/// What an escape stands for, and how many bytes of the original it takes.
struct Undone {
    character: Option<u8>,
    length: usize,
}

/// Undoes the escape that begins the bytes, if one does.
type Undo = fn(&[u8]) -> Option<Undone>;

/// The kinds of escape, in the order of the introducers in [`Escapes::new`].
const KINDS: [(Option<Encoding>, Undo); 5] = [
    (Some(Encoding::Percent), percent),
    (Some(Encoding::HtmlReference), html_reference),
    (Some(Encoding::JsonEscape), json_escape),
    (Some(Encoding::QuotedPrintable), quoted_printable),
    (None, line_break),
];

/// Finds escapes.
#[derive(Debug)]
pub struct Escapes {
    introducers: AhoCorasick,
}

impl Escapes {
    pub fn new() -> Self {
        Self { introducers: patterns::automaton(["%", "&#", "\\u", "=", "\r", "\n", "\\r", "\\n"]) }
    }

    /// A view for each kind of escape that occurs in `bytes`.
    pub fn views(&self, bytes: &[u8]) -> Vec<View> {
        let mut builders = KINDS.map(|(encoding, undo)| Builder::new(bytes, encoding, undo));
        for found in self.introducers.find_iter(bytes) {
            let kind = found.pattern().as_usize().min(KINDS.len() - 1);
            builders[kind].take(found.start());
        }
        builders.into_iter().filter_map(Builder::finish).collect()
    }
}

/// Copies the original into a view, leaving out long stretches without escapes.
struct Builder<'a> {
    source: &'a [u8],
    copied: usize,
    undo: Undo,
    view: View,
}

impl<'a> Builder<'a> {
    fn new(source: &'a [u8], encoding: Option<Encoding>, undo: Undo) -> Self {
        let view = View { bytes: Vec::new(), encoding, marks: Vec::new() };
        Self { source, copied: 0, undo, view }
    }

    /// Undoes the escape at `position`, unless an earlier one has taken that byte or it is none.
    fn take(&mut self, position: usize) {
        if position < self.copied {
            return;
        }
        let Some(undone) = (self.undo)(&self.source[position..]) else { return };
        self.copy_until(position);
        self.view.marks.push(self.view.bytes.len());
        self.view.bytes.extend(undone.character);
        self.copied = position + undone.length;
    }

    fn copy_until(&mut self, end: usize) {
        let between = &self.source[self.copied..end];
        if between.len() <= 2 * AROUND {
            self.view.bytes.extend_from_slice(between);
        } else {
            self.view.bytes.extend_from_slice(&between[..AROUND]);
            self.view.bytes.extend_from_slice(&between[between.len() - AROUND..]);
        }
    }

    fn finish(mut self) -> Option<View> {
        if self.view.marks.is_empty() {
            return None;
        }
        self.copy_until(self.source.len().min(self.copied + AROUND));
        Some(self.view)
    }
}

/// The ASCII character that at most eight `digits` write in `radix`. Canaries consist of nothing else.
fn character(digits: &[u8], radix: u32) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(radix);
    let value = digits.iter().try_fold(0_u32, |value, byte| Some(value * radix + digit(byte)?))?;
    u8::try_from(value).ok().filter(|byte| byte.is_ascii() && !digits.is_empty())
}

fn count(bytes: &[u8], accept: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !accept(*byte)).unwrap_or(bytes.len())
}

/// `%61`
fn percent(bytes: &[u8]) -> Option<Undone> {
    let character = character(bytes.get(1..3)?, 16)?;
    Some(Undone { character: Some(character), length: 3 })
}

/// `&#97;` and `&#x61;`, with or without leading zeros and the semicolon.
fn html_reference(bytes: &[u8]) -> Option<Undone> {
    let is_hex = matches!(bytes.get(2)?, b'x' | b'X');
    let (begin, radix) = if is_hex { (3, 16) } else { (2, 10) };
    // A reference has at most seven digits; more are no reason to read on for long.
    let rest = &bytes[begin..bytes.len().min(begin + 8)];
    let digits = count(rest, |byte| char::from(byte).is_digit(radix));
    let character = character(&rest[..digits], radix)?;
    let semicolon = usize::from(rest.get(digits) == Some(&b';'));
    Some(Undone { character: Some(character), length: begin + digits + semicolon })
}

/// `\u0061`
fn json_escape(bytes: &[u8]) -> Option<Undone> {
    let character = character(bytes.get(2..6)?, 16)?;
    Some(Undone { character: Some(character), length: 6 })
}

/// `=61`, and `=` at the end of a line, blanks permitted.
fn quoted_printable(bytes: &[u8]) -> Option<Undone> {
    if let Some(character) = bytes.get(1..3).and_then(|digits| character(digits, 16)) {
        return Some(Undone { character: Some(character), length: 3 });
    }
    let blanks = count(&bytes[1..], |byte| matches!(byte, b' ' | b'\t'));
    let rest = &bytes[1 + blanks..];
    let end = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
    (end > 0).then_some(Undone { character: None, length: 1 + blanks + end })
}

/// A line break, also one written `\n` inside a JSON text, with the indentation or quote marks that follow.
fn line_break(bytes: &[u8]) -> Option<Undone> {
    let mut length = 0;
    let marks = [&b"\r"[..], b"\n", b"\\r", b"\\n"];
    while let Some(step) =
        marks.iter().find_map(|mark| bytes[length..].starts_with(mark).then_some(mark.len()))
    {
        length += step;
    }
    length += count(&bytes[length..], |byte| matches!(byte, b' ' | b'\t' | b'>'));
    (length > 0).then_some(Undone { character: None, length })
}
