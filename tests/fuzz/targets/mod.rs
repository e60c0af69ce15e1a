//! The parsers, each with input that it takes and words that mean something to it.

mod documents;
mod openpgp;
mod small;

use chrono::{DateTime, Utc};

/// Reads an input; what it says is an answer, the same for inputs that went the same way.
type Read = Box<dyn Fn(&[u8]) -> String>;

/// A parser.
pub struct Target {
    pub name: &'static str,
    /// Input that it takes.
    pub seeds: Vec<Vec<u8>>,
    /// Words that mean something to it.
    pub words: &'static [&'static str],
    /// The most bytes that reach it.
    pub most: usize,
    pub run: Read,
}

impl Target {
    fn new(
        name: &'static str,
        seeds: Vec<Vec<u8>>,
        words: &'static [&'static str],
        most: usize,
        run: Read,
    ) -> Self {
        Self { name, seeds, words, most, run }
    }
}

const MIB: usize = 1 << 20;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_304_400, 0).unwrap()
}

/// What an error is called, without what it repeats of the input.
fn kind(error: &impl std::fmt::Display) -> String {
    error.to_string().chars().filter(|letter| !letter.is_ascii_digit()).take(60).collect()
}

fn said<T, E: std::fmt::Display>(result: Result<T, E>, what: impl FnOnce(T) -> String) -> String {
    result.map_or_else(|error| kind(&error), what)
}

/// Reads text; bytes that are none go nowhere.
fn text(read: impl Fn(&str) -> String + 'static) -> Read {
    Box::new(move |bytes| std::str::from_utf8(bytes).map_or_else(|_| "no text".to_owned(), &read))
}

/// All parsers.
pub fn all() -> Vec<Target> {
    [openpgp::targets(), documents::targets(), small::targets()].into_iter().flatten().collect()
}
