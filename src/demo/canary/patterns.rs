//! The byte strings by which a word betrays itself without any escaping.
//!
//! All of them are matched without regard to letter case. That is exact for text and hexadecimal; for
//! base64 it is laxer than the encoding, but a false match of thirty characters does not happen by chance.

use aho_corasick::AhoCorasick;

use super::{Canary, Encoding, FRAGMENT, LENGTH};

/// One byte string, and what finding it means.
#[derive(Debug)]
pub struct Pattern {
    bytes: Vec<u8>,
    word: usize,
    encoding: Encoding,
    window: Option<usize>,
}

impl Pattern {
    /// What to look for.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The position of the word in the scanner's list.
    pub fn word(&self) -> usize {
        self.word
    }

    /// What finding it means.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// For a piece of unencoded text: where in the word it begins.
    pub fn window(&self) -> Option<usize> {
        self.window
    }
}

/// Every pattern of every word.
pub fn of_all(words: &[Canary]) -> Vec<Pattern> {
    words.iter().enumerate().flat_map(|(word, canary)| of_one(word, &canary.word)).collect()
}

fn of_one(word: usize, text: &str) -> Vec<Pattern> {
    let encoded = |encoding, bytes| Pattern { bytes, word, encoding, window: None };
    let mut patterns: Vec<_> = (0..=LENGTH - FRAGMENT)
        .map(|offset| Pattern {
            bytes: text.as_bytes()[offset..offset + FRAGMENT].to_vec(),
            word,
            encoding: Encoding::Fragment,
            window: Some(offset),
        })
        .collect();
    patterns.push(encoded(Encoding::Utf16, utf16(text)));
    for text in [text.to_ascii_lowercase(), text.to_ascii_uppercase()] {
        patterns.push(encoded(Encoding::Hex, hex(&text).into_bytes()));
        patterns.extend((0..3).map(|before| encoded(Encoding::Base64, base64_core(&text, before))));
    }
    patterns
}

/// UTF-16 without the zero byte at either end, so that it is the same for both byte orders.
fn utf16(text: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = text.bytes().flat_map(|byte| [byte, 0]).collect();
    bytes.pop();
    bytes
}

/// `text` as lower-case hexadecimal digits.
pub fn hex(text: &str) -> String {
    text.bytes().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
}

fn digit(value: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(value & 15)])
}

/// The base64 characters that depend on `text` alone when `before` bytes (modulo 3) precede it.
///
/// Letters and digits never yield the two characters in which the URL-safe alphabet differs.
fn base64_core(text: &str, before: usize) -> Vec<u8> {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(text.as_bytes());
    let encoded = base64_simd::STANDARD_NO_PAD.encode_to_string(&bytes);
    let first = (before * 8).div_ceil(6);
    let end = bytes.len() * 8 / 6;
    encoded.as_bytes()[first..end].to_vec()
}

/// One search for all of `patterns`, in any letter case.
pub fn automaton<P: AsRef<[u8]>>(patterns: impl IntoIterator<Item = P>) -> AhoCorasick {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(patterns)
        .expect("patterns of a few dozen bytes stay far below the automaton's limit of two billion states")
}
