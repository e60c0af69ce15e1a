//! Finds out whether a secret got somewhere: fill every secret field with a word that exists nowhere
//! else, then look for the words in every file, answer, mail and log line.
//!
//! A leak seldom looks like what leaked. [`Scanner`] therefore knows a word in every [`Encoding`], in one
//! level of escaping, and inside gzip and zlib streams up to three deep. It cannot see through
//! encryption, raw deflate without a header, base64 of compressed bytes, or a word taken apart into
//! pieces shorter than [`FRAGMENT`] characters; and it never guesses: a finding is a finding.
//!
//! A scanner that finds nothing proves something only if it would have found something.
//! [`Scanner::control`] plants every word in every encoding into the very bytes that were scanned clean.

mod control;
mod inflate;
mod patterns;
mod tree;
mod views;

use std::collections::BTreeSet;
use std::fmt;

use aho_corasick::AhoCorasick;

pub use control::{Missed, plant};

/// How many characters a [`Canary`] has.
pub const LENGTH: usize = 24;

/// How many neighbouring characters of a canary are enough to be found when nothing encodes them.
pub const FRAGMENT: usize = 12;

/// How deep compressed streams are opened inside each other.
const DEPTH: usize = 3;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A word that stands for one secret, and the name of the place it was put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    name: String,
    word: String,
}

impl Canary {
    /// A word of [`LENGTH`] lower-case letters and digits out of `random` bytes, that is to be put where
    /// `name` says, such as `embargo.title`.
    ///
    /// It begins with a letter, so that no reader takes it for a number, and holds 119 random bits.
    pub fn from_random(name: impl Into<String>, random: [u8; LENGTH]) -> Self {
        let letter = ALPHABET[10 + usize::from(random[0] & 15)];
        let rest = random[1..].iter().map(|byte| ALPHABET[usize::from(byte & 31)]);
        Self { name: name.into(), word: std::iter::once(letter).chain(rest).map(char::from).collect() }
    }

    /// What the word stands for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The word to be put there.
    pub fn word(&self) -> &str {
        &self.word
    }
}

/// The shape in which a word was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encoding {
    /// Letter by letter.
    Plain,
    /// In other letter case.
    LetterCase,
    /// At least [`FRAGMENT`] neighbouring characters of it, in any letter case.
    Fragment,
    /// Base64, standard or URL-safe, at any of the three alignments, also across line breaks.
    Base64,
    /// Hexadecimal digits, also across line breaks.
    Hex,
    /// UTF-16, little or big endian.
    Utf16,
    /// Percent-encoding: `%61`.
    Percent,
    /// HTML character references: `&#97;` and `&#x61;`.
    HtmlReference,
    /// JSON escapes: `\u0061`.
    JsonEscape,
    /// Quoted-printable: `=61`, also across soft line breaks.
    QuotedPrintable,
    /// In any shape inside a gzip stream.
    Gzip,
    /// In any shape inside a zlib stream.
    Zlib,
}

impl fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plain => "plain text",
            Self::LetterCase => "plain text in other letter case",
            Self::Fragment => "a fragment",
            Self::Base64 => "base64",
            Self::Hex => "hexadecimal",
            Self::Utf16 => "UTF-16",
            Self::Percent => "percent-encoding",
            Self::HtmlReference => "HTML character references",
            Self::JsonEscape => "JSON escapes",
            Self::QuotedPrintable => "quoted-printable",
            Self::Gzip => "gzip",
            Self::Zlib => "zlib",
        })
    }
}

/// A word where it should not be. Names the word and never repeats it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Finding {
    /// The name of the word, see [`Canary::name`].
    pub word_name: String,
    /// Where it was found: the place as the caller named it, and below it the file.
    pub place: String,
    /// In which shape.
    pub encoding: Encoding,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is readable in {} as {}", self.word_name, self.place, self.encoding)
    }
}

/// Looks for canaries in bytes. Costs one search over the bytes, whatever the number of words.
#[derive(Debug)]
pub struct Scanner {
    words: Vec<Canary>,
    patterns: Vec<patterns::Pattern>,
    automaton: AhoCorasick,
    escapes: views::Escapes,
    streams: inflate::Streams,
}

/// Which word, by its position, was seen in which shape.
type Hits = BTreeSet<(usize, Encoding)>;

impl Scanner {
    /// A scanner for `words`.
    pub fn new(words: Vec<Canary>) -> Self {
        let patterns: Vec<_> = patterns::of_all(&words);
        let automaton = patterns::automaton(patterns.iter().map(patterns::Pattern::bytes));
        Self { words, patterns, automaton, escapes: views::Escapes::new(), streams: inflate::Streams::new() }
    }

    /// The words it looks for.
    pub fn words(&self) -> &[Canary] {
        &self.words
    }

    /// Every word found in `bytes`, once for each encoding, in the order of the words.
    pub fn scan_bytes(&self, place: &str, bytes: &[u8]) -> Vec<Finding> {
        let mut hits = Hits::new();
        self.search(bytes, DEPTH, &mut hits);
        hits.into_iter()
            .map(|(word, encoding)| Finding {
                word_name: self.words[word].name.clone(),
                place: place.to_owned(),
                encoding,
            })
            .collect()
    }

    /// Adds what `bytes` and the streams inside them hold, streams at most `depth` deep.
    fn search(&self, bytes: &[u8], depth: usize, hits: &mut Hits) {
        for found in self.automaton.find_overlapping_iter(bytes) {
            let pattern = &self.patterns[found.pattern().as_usize()];
            hits.insert((pattern.word(), self.shape(pattern, bytes, found.start())));
        }
        for view in self.escapes.views(bytes) {
            for found in self.automaton.find_overlapping_iter(&view.bytes) {
                if view.is_decoded(found.start(), found.end()) {
                    let pattern = &self.patterns[found.pattern().as_usize()];
                    let shape = || self.shape(pattern, &view.bytes, found.start());
                    hits.insert((pattern.word(), view.encoding.unwrap_or_else(shape)));
                }
            }
        }
        if depth > 0 {
            self.streams.open(bytes, |encoding, plain| {
                let mut inner = Hits::new();
                self.search(plain, depth - 1, &mut inner);
                hits.extend(inner.into_iter().map(|(word, _)| (word, encoding)));
            });
        }
    }

    /// The encoding of the pattern found at `start`; for unencoded text, how much of the word stands there.
    fn shape(&self, pattern: &patterns::Pattern, bytes: &[u8], start: usize) -> Encoding {
        let Some(offset) = pattern.window() else { return pattern.encoding() };
        let word = self.words[pattern.word()].word.as_bytes();
        let whole = start.checked_sub(offset).and_then(|begin| bytes.get(begin..begin + LENGTH));
        match whole {
            Some(text) if text == word => Encoding::Plain,
            Some(text) if text.eq_ignore_ascii_case(word) => Encoding::LetterCase,
            _ => Encoding::Fragment,
        }
    }
}

#[cfg(test)]
mod tests;
