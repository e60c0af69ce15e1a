//! Plain text with code between backquotes, as Markdown and as reStructuredText.
//!
//! Promises: what is written reads back as the same text and code; no line begins a heading, a list, a directive
//! or anything else but running text. A word is never broken, and code counts as part of a word.

use crate::formats::visible::one_line;

/// A language that changelogs are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markup {
    /// As `CommonMark` reads it.
    Markdown,
    /// As docutils reads it.
    Rst,
}

/// What must stay on one line, in the language's own writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// As it is written within a line.
    pub text: String,
    /// Whether it begins with markup, which means what it says at the beginning of a line, too.
    begins_with_markup: bool,
}

impl Word {
    /// Markup that is written as it is.
    pub(super) fn markup(text: String) -> Self {
        Self { text, begins_with_markup: true }
    }
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Code(&'a str),
}

impl Markup {
    /// The words of `text`.
    pub(super) fn words(self, text: &str) -> Vec<Word> {
        let line = one_line(text).split_whitespace().collect::<Vec<_>>().join(" ");
        let mut words: Vec<Vec<Piece<'_>>> = vec![Vec::new()];
        for piece in pieces(&line) {
            match piece {
                Piece::Text(text) => {
                    for (index, part) in text.split(' ').enumerate() {
                        if index > 0 {
                            words.push(Vec::new());
                        }
                        if let (false, Some(word)) = (part.is_empty(), words.last_mut()) {
                            word.push(Piece::Text(part));
                        }
                    }
                }
                Piece::Code(code) => {
                    if let Some(word) = words.last_mut() {
                        word.push(Piece::Code(code));
                    }
                }
            }
        }
        words.iter().filter(|word| !word.is_empty()).map(|word| self.word(word)).collect()
    }

    fn word(self, pieces: &[Piece<'_>]) -> Word {
        let mut text = String::new();
        for (index, piece) in pieces.iter().enumerate() {
            match (self, piece) {
                (Self::Markdown, Piece::Text(part)) => escape_markdown(&mut text, part),
                (Self::Markdown, Piece::Code(code)) => text.extend(["`", code, "`"]),
                (Self::Rst, Piece::Text(part)) => {
                    // Behind markup only blanks and some punctuation may stand; `\ ` is a blank that is not seen.
                    if index > 0 && !part.starts_with(['.', ',', ';', ':', '!', '?', ')', ']', '}']) {
                        text.push_str("\\ ");
                    }
                    escape_rst(&mut text, part);
                }
                (Self::Rst, Piece::Code(code)) => {
                    // Before it only blanks and openers, and code in `(…` that begins with `)` is no code.
                    if index > 0 && (text != "(" || code.starts_with(')')) {
                        text.push_str("\\ ");
                    }
                    text.extend(["``", code, "``"]);
                }
            }
        }
        Word { text, begins_with_markup: matches!(pieces, [Piece::Code(_), ..]) }
    }

    /// All words on one line.
    pub(super) fn line(self, words: &[Word]) -> String {
        self.wrapped(words, "", usize::MAX)
    }

    /// Lines of at most `width` columns where blanks allow it, each with `indent` in front.
    pub(super) fn wrapped(self, words: &[Word], indent: &str, width: usize) -> String {
        let mut lines: Vec<String> = Vec::new();
        for word in words {
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + word.text.chars().count() <= width => {
                    line.push(' ');
                    line.push_str(&word.text);
                }
                _ => lines.push(format!("{indent}{}", self.at_line_start(word))),
            }
        }
        lines.join("\n")
    }

    /// The word so that it begins no block.
    fn at_line_start(self, word: &Word) -> String {
        let text = &word.text;
        if word.begins_with_markup {
            return text.clone();
        }
        let first = text.chars().next().unwrap_or_default();
        match self {
            // A line of escaped backslashes would underline a heading.
            Self::Rst if first == '\\' => format!("\\ {text}"),
            Self::Rst if opens_in_rst(text) => format!("\\{text}"),
            Self::Markdown if "#+-=:".contains(first) => format!("\\{text}"),
            _ => match enumerator(text) {
                Some((number, sign)) => format!("{number}\\{sign}"),
                None => text.clone(),
            },
        }
    }
}

/// Whether a line of reStructuredText that begins with this word could begin a block.
fn opens_in_rst(word: &str) -> bool {
    // Lists, fields, options, directives, tests, tables, lines below headings.
    word.starts_with(|first: char| "-+*•‣⁃:/.#>=|_~^".contains(first))
        || word.chars().all(|character| character.is_ascii_punctuation())
        || word.strip_prefix('(').is_some_and(|rest| enumerator(rest).is_some())
}

/// Cuts a line at its code: between two runs of one backquote, or of two.
pub(super) fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = line;
    let mut looked = 0;
    while let Some(at) = rest[looked..].find('`').map(|at| at + looked) {
        let run = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let inside = &rest[at + run..];
        let closed = inside.find('`').filter(|end| {
            let closing = inside[*end..].len() - inside[*end..].trim_start_matches('`').len();
            run <= 2 && closing == run && !inside[..*end].trim().is_empty()
        });
        match closed {
            Some(end) => {
                pieces.extend((at > 0).then(|| Piece::Text(&rest[..at])));
                pieces.push(Piece::Code(inside[..end].trim()));
                rest = &inside[end + run..];
                looked = 0;
            }
            None => looked = at + run,
        }
    }
    pieces.extend((!rest.is_empty()).then_some(Piece::Text(rest)));
    pieces
}

fn escape_markdown(written: &mut String, text: &str) {
    let mut before = None;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let after = rest.as_str();
        let escaped = match character {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' => true,
            // Inside a name it means itself.
            '_' => !before.is_some_and(char::is_alphanumeric) || !after.starts_with(char::is_alphanumeric),
            '&' => after.split_once(';').is_some_and(|(name, _)| {
                name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'#')
            }),
            _ => false,
        };
        if escaped {
            written.push('\\');
        }
        written.push(character);
        before = Some(character);
    }
}

fn escape_rst(written: &mut String, text: &str) {
    let mut before = None;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let after = rest.as_str();
        let escaped = match character {
            '\\' | '`' | '*' | '|' => true,
            // At the end of a name it makes a link.
            '_' => !after.starts_with(char::is_alphanumeric),
            // At the end of a paragraph two of them announce code.
            ':' => before == Some(':') && after.is_empty(),
            _ => false,
        };
        if escaped {
            written.push('\\');
        }
        written.push(character);
        before = Some(character);
    }
}

/// The parts of a word that would count list items, such as `1.`, `a)` or `iv.`.
fn enumerator(text: &str) -> Option<(&str, &str)> {
    let (number, sign) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let counts = number.bytes().all(|byte| byte.is_ascii_digit())
        || (number.len() == 1 && number.as_bytes()[0].is_ascii_alphabetic())
        || number.bytes().all(|byte| b"ivxlcdm".contains(&byte.to_ascii_lowercase()));
    (matches!(sign, "." | ")") && !number.is_empty() && counts).then_some((number, sign))
}
