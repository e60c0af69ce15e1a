//! Lines, spans and the transfer encodings of mail.
//!
//! Promises: every function passes over its input once. Knows nothing of diffs.

use std::ops::Range;

/// A stretch of bytes.
pub(super) type Span = Range<usize>;

/// Where the line that begins at `at` ends, its line feed included.
pub(super) fn line_end(text: &[u8], at: usize) -> usize {
    text[at..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |offset| at + offset + 1)
}

/// A line without its line feed and carriage return.
pub(super) fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The lines of a text, each with its line feed.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

/// Text as UTF-8 if it is, else as Latin-1, in which every byte is a character.
pub(super) fn utf8_or_latin1(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => latin1(bytes),
    }
}

/// Text as Latin-1.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The byte that the two hexadecimal digits at the start of `rest` stand for.
fn hex_pair(rest: &[u8]) -> Option<u8> {
    match rest {
        [high, low, ..] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

/// Undoes the quoted-printable encoding; `None` if an escape is broken.
pub(super) fn quoted_printable(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    for line in lines(text) {
        let end = &line[bare(line).len()..];
        // White space at the end of a line was added on the way (RFC 2045, 6.7).
        let mut rest = bare(line).trim_ascii_end();
        let soft = rest.last() == Some(&b'=');
        if soft {
            rest = &rest[..rest.len() - 1];
        }
        while let Some((first, others)) = rest.split_first() {
            if *first == b'=' {
                decoded.push(hex_pair(others)?);
                rest = &others[2..];
            } else {
                decoded.push(*first);
                rest = others;
            }
        }
        if !soft {
            decoded.extend_from_slice(end);
        }
    }
    Some(decoded)
}

/// Undoes the Q encoding of RFC 2047; `None` if an escape is broken.
pub(super) fn q_encoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        match first {
            b'=' => {
                decoded.push(hex_pair(others)?);
                rest = &others[2..];
            }
            b'_' => decoded.push(b' '),
            other => decoded.push(*other),
        }
    }
    Some(decoded)
}

/// Undoes base64, passing over white space; `None` if another character is found.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
    let mut group = 0_u32;
    let mut bits = 0_u32;
    for byte in text.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            // Several encoded parts may follow each other; each begins a new group.
            b'=' => {
                bits = 0;
                continue;
            }
            _ => return None,
        };
        group = (group << 6 | u32::from(value)) & 0xff_ffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            decoded.push(u8::try_from(group >> bits & 0xff).ok()?);
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfer_encodings_are_undone_and_broken_ones_refused() {
        assert_eq!(
            quoted_printable(b"a=3D=\nb \t\r\nc=C3=A9").as_deref(),
            Some(b"a=b\r\nc\xc3\xa9".as_slice())
        );
        assert_eq!(quoted_printable(b"a=3"), None);
        assert_eq!(q_encoded(b"a_b=20c").as_deref(), Some(b"a b c".as_slice()));
        assert_eq!(base64(b"aGVs\r\nbG8h\n").as_deref(), Some(b"hello!".as_slice()));
        assert_eq!(base64(b"aGVsbG8=").as_deref(), Some(b"hello".as_slice()));
        assert_eq!(base64(b"a-b_"), None);
    }
}
