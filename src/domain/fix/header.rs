//! The header of a mail: fields, encoded words, and the subject and author that `git am` would make of them.
//!
//! Promises: what it gives back is plain text on one line without control characters.

use super::text::{bare, base64, latin1, lines, q_encoded, utf8_or_latin1};

/// The fields of a mail header that say something about a patch. Raw, folded lines joined.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) from: Option<Vec<u8>>,
    pub(super) subject: Option<Vec<u8>>,
    pub(super) transfer_encoding: Option<Vec<u8>>,
    /// Whether the mail names recipients.
    pub(super) addressed: bool,
}

/// How much of a field is read, about, in bytes. What comes after is never shown.
const LONGEST_VALUE: usize = 4096;

/// Whether the line looks like a header field, and if so its name and the rest.
pub(super) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':' || !byte.is_ascii_graphic())?;
    (colon > 0 && line[colon] == b':').then(|| (&line[..colon], line[colon + 1..].trim_ascii()))
}

impl Fields {
    /// Reads a header block.
    pub(super) fn read(head: &[u8]) -> Self {
        let mut fields = Self::default();
        let mut open: Option<Vec<u8>> = None;
        let mut name: &[u8] = b"";
        for line in lines(head).map(bare) {
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                if let Some(value) = open.as_mut().filter(|value| value.len() < LONGEST_VALUE) {
                    value.push(b' ');
                    value.extend_from_slice(line.trim_ascii());
                }
            } else {
                fields.keep(name, open.take());
                if let Some((found, value)) = field(line) {
                    name = found;
                    open = Some(value[..value.len().min(LONGEST_VALUE)].to_vec());
                }
            }
        }
        fields.keep(name, open);
        fields
    }

    /// The first field of a name counts.
    fn keep(&mut self, name: &[u8], value: Option<Vec<u8>>) {
        let Some(value) = value else { return };
        let slot = match name.to_ascii_lowercase().as_slice() {
            b"from" => &mut self.from,
            b"subject" => &mut self.subject,
            b"content-transfer-encoding" => &mut self.transfer_encoding,
            b"to" | b"cc" | b"bcc" => {
                self.addressed = true;
                return;
            }
            _ => return,
        };
        slot.get_or_insert(value);
    }
}

/// A text that holds a control character.
pub(super) struct ControlCharacter;

fn printable(text: &str) -> Result<Option<String>, ControlCharacter> {
    if text.chars().any(char::is_control) {
        return Err(ControlCharacter);
    }
    let text = text.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A subject without `[PATCH 1/2]` and `Re:` before it. Other words in brackets stay.
pub(super) fn subject(value: &[u8]) -> Result<Option<String>, ControlCharacter> {
    let decoded = decoded(value).replace('\t', " ");
    let mut rest = decoded.trim_start();
    loop {
        if let Some(reply) = rest.get(..3).filter(|start| start.eq_ignore_ascii_case("re:")) {
            rest = rest[reply.len()..].trim_start();
        } else if let Some((mark, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']'))
            && is_patch_mark(mark)
        {
            rest = after.trim_start();
        } else {
            return printable(rest);
        }
    }
}

/// Whether a word in brackets was put there by `git format-patch`: it says PATCH, or counts like `2/5`.
fn is_patch_mark(mark: &str) -> bool {
    mark.to_ascii_uppercase().contains("PATCH") || mark.split(' ').any(|word| series_position(word).is_some())
}

fn series_position(word: &str) -> Option<(usize, usize)> {
    let (number, total) = word.split_once('/')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(number) || !digits(total) {
        return None;
    }
    Some((number.parse().ok()?, total.parse().ok()?))
}

/// The position and length of the series that a subject gives, as `(2, 5)` for `[PATCH v2 2/5]`.
pub(super) fn announced_position(value: &[u8]) -> Option<(usize, usize)> {
    let decoded = decoded(value);
    let (mark, _) = decoded.trim_start().strip_prefix('[')?.split_once(']')?;
    mark.split(' ').find_map(series_position)
}

/// An author as `Name <address>`, without quotes around the name.
pub(super) fn author(value: &[u8]) -> Result<Option<String>, ControlCharacter> {
    let decoded = decoded(value);
    let Some((name, address)) = decoded.rsplit_once('<') else { return printable(&decoded) };
    let name = name.trim();
    let unquoted = name.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).map(unescaped);
    printable(&format!("{} <{}", unquoted.as_deref().unwrap_or(name), address))
}

/// A quoted string without its backslashes.
fn unescaped(inner: &str) -> String {
    let mut escaped = false;
    inner
        .chars()
        .filter(|character| {
            escaped = *character == '\\' && !escaped;
            !escaped
        })
        .collect()
}

/// Undoes the encoded words of RFC 2047 in UTF-8, ASCII and Latin-1. What cannot be decoded stays as it is.
pub(super) fn decoded(value: &[u8]) -> String {
    let mut words: Vec<(Charset, Vec<u8>)> = Vec::new();
    let mut rest = value;
    let mut after_word = false;
    while !rest.is_empty() {
        if let Some((charset, bytes, after)) = encoded_word(rest) {
            push(&mut words, charset, &bytes);
            rest = after;
            after_word = true;
            continue;
        }
        let gap = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        // White space between two encoded words only separates them.
        if after_word && gap > 0 && encoded_word(&rest[gap..]).is_some() {
            rest = &rest[gap..];
            continue;
        }
        let plain = gap.max(1);
        push(&mut words, Charset::Unknown, &rest[..plain]);
        rest = &rest[plain..];
        after_word = false;
    }
    words.iter().map(|(charset, bytes)| charset.text(bytes)).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8,
    Latin1,
    Unknown,
}

impl Charset {
    fn text(self, bytes: &[u8]) -> String {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Latin1 => latin1(bytes),
            Self::Unknown => utf8_or_latin1(bytes),
        }
    }
}

/// Neighbours of one character set are joined first: a character may be split between two words.
fn push(words: &mut Vec<(Charset, Vec<u8>)>, charset: Charset, bytes: &[u8]) {
    match words.last_mut() {
        Some((last, joined)) if *last == charset => joined.extend_from_slice(bytes),
        _ => words.push((charset, bytes.to_vec())),
    }
}

/// RFC 2047 allows 75 characters; some mailers write longer words. The bound keeps hostile headers cheap.
const LONGEST_WORD: usize = 250;

/// The encoded word at the start of `text`, decoded, and what follows it.
fn encoded_word(text: &[u8]) -> Option<(Charset, Vec<u8>, &[u8])> {
    let inner = text.strip_prefix(b"=?")?;
    let inner = &inner[..inner.len().min(LONGEST_WORD)];
    let mut parts = inner.splitn(3, |byte| *byte == b'?');
    let (charset, encoding, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let end = rest.windows(2).position(|pair| pair == b"?=")?;
    // RFC 2231 lets a language follow the character set.
    let charset = charset.split(|byte| *byte == b'*').next()?.to_ascii_lowercase();
    let charset = match charset.as_slice() {
        b"utf-8" | b"utf8" | b"us-ascii" | b"ascii" => Charset::Utf8,
        b"iso-8859-1" | b"latin1" => Charset::Latin1,
        _ => return None,
    };
    let bytes = match encoding {
        b"q" | b"Q" => q_encoded(&rest[..end])?,
        b"b" | b"B" => base64(&rest[..end])?,
        _ => return None,
    };
    let used = text.len().min(LONGEST_WORD + 2) - rest.len() + end + 2;
    Some((charset, bytes, &text[used..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> Option<String> {
        subject(value.as_bytes()).ok().flatten()
    }

    #[test]
    fn encoded_subjects_are_read_in_both_encodings_and_all_three_character_sets() {
        assert_eq!(shown("[PATCH 1/2] =?UTF-8?q?d=C3=A9j=C3=A0_vu?=").as_deref(), Some("d\u{e9}j\u{e0} vu"));
        assert_eq!(shown("=?utf-8?B?ZMOpasOg?= vu").as_deref(), Some("d\u{e9}j\u{e0} vu"));
        assert_eq!(shown("=?ISO-8859-1?Q?d=E9j=E0?=").as_deref(), Some("d\u{e9}j\u{e0}"));
        assert_eq!(shown("=?us-ascii?q?a?=  =?utf-8*en?q?b?= c").as_deref(), Some("ab c"));
        assert_eq!(shown("=?utf-8?q?=C3?= =?utf-8?q?=A9?=").as_deref(), Some("\u{e9}"));
        assert_eq!(shown("=?koi8-r?q?=C3?= a").as_deref(), Some("=?koi8-r?q?=C3?= a"));
        assert_eq!(shown("=?utf-8?q?no end").as_deref(), Some("=?utf-8?q?no end"));
    }

    #[test]
    fn only_the_marks_of_format_patch_are_taken_from_a_subject() {
        assert_eq!(shown("Re: [PATCH v2 03/12] [core] parser: stop").as_deref(), Some("[core] parser: stop"));
        assert_eq!(shown("[requests PATCH][RFC PATCH] x").as_deref(), Some("x"));
        assert_eq!(shown("[SECURITY 1/2] x").as_deref(), Some("x"));
        assert_eq!(shown("[PATCH]").as_deref(), None);
        assert_eq!(announced_position(b"[PATCH v2 03/12] x"), Some((3, 12)));
    }

    #[test]
    fn an_encoded_control_character_is_found_behind_its_encoding() {
        assert!(subject(b"=?utf-8?q?a=00b?=").is_err());
        assert!(subject(b"=?utf-8?q?a=0Ab?=").is_err());
        assert!(author(b"=?utf-8?q?a=1B[31m?= <a@b.example>").is_err());
    }

    #[test]
    fn an_author_loses_the_quotes_but_not_the_comma() {
        let named = |value: &str| author(value.as_bytes()).ok().flatten();
        assert_eq!(
            named("\"Roe, R. \\\"Ro\\\"\" <r@b.example>").as_deref(),
            Some("Roe, R. \"Ro\" <r@b.example>")
        );
        assert_eq!(named("=?utf-8?q?R=C3=B6?= <r@b.example>").as_deref(), Some("R\u{f6} <r@b.example>"));
        assert_eq!(named("r@b.example").as_deref(), Some("r@b.example"));
    }
}
