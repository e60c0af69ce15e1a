//! The encodings of RFC 2045 and RFC 2047, and the folding of header lines.

/// No line of a composed mail is longer than this, its line end not counted.
pub(super) const LINE: usize = 76;

/// `bytes` in base64, in lines of 76 characters that end in CRLF.
pub(super) fn base64_lines(bytes: &[u8]) -> Vec<u8> {
    let encoded = base64_simd::STANDARD.encode_to_string(bytes);
    let mut lines = Vec::with_capacity(encoded.len() + encoded.len() / LINE * 2 + 4);
    for line in encoded.as_bytes().chunks(LINE) {
        lines.extend_from_slice(line);
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

/// `text` with every line end, whatever its kind, turned into CRLF, and one at the end.
pub(super) fn with_crlf(text: &str) -> String {
    let mut lines = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
    if !lines.is_empty() && !lines.ends_with("\r\n") {
        lines.push_str("\r\n");
    }
    lines
}

/// Whether `text` (with CRLF) may travel as it is: printable ASCII, short lines, nothing a relay may touch.
pub(super) fn is_plain_seven_bit(text: &str) -> bool {
    text.split("\r\n").all(|line| {
        line.len() <= LINE
            && line.bytes().all(|byte| (32..127).contains(&byte) || byte == b'\t')
            && !line.ends_with([' ', '\t'])
            && !line.starts_with("From ")
    })
}

/// `text` (with CRLF) as quoted-printable.
pub(super) fn quoted_printable(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for (index, line) in text.split("\r\n").enumerate() {
        if index > 0 {
            encoded.push_str("\r\n");
        }
        quoted_printable_line(line.as_bytes(), &mut encoded);
    }
    encoded
}

fn quoted_printable_line(line: &[u8], encoded: &mut String) {
    let mut column = 0;
    for (index, &byte) in line.iter().enumerate() {
        let last = index + 1 == line.len();
        let literal = match byte {
            b'=' => false,
            b' ' | b'\t' => !last,
            // Some relays rewrite a leading "From ", some forget about leading dots.
            b'F' | b'.' => column > 0,
            other => (33..127).contains(&other),
        };
        let width = if literal { 1 } else { 3 };
        if column + width > LINE - 1 {
            encoded.push_str("=\r\n");
            column = 0;
        }
        if literal && !(column == 0 && matches!(byte, b'F' | b'.')) {
            encoded.push(char::from(byte));
            column += 1;
        } else {
            let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
            encoded.extend(['=', digit(byte >> 4), digit(byte & 15)]);
            column += 3;
        }
    }
}

/// A header line with its CRLF, folded; encoded words (RFC 2047) where plain ASCII would not come back.
pub(super) fn header(name: &str, value: &str) -> String {
    if is_plain_value(value) { folded(name, value) } else { encoded_words(name, value) }
}

/// A header line for an address or a Message-ID: never encoded, and not folded, however long it is.
pub(super) fn verbatim(name: &str, value: &str) -> String {
    format!("{name}: {value}\r\n")
}

fn is_plain_value(value: &str) -> bool {
    value.bytes().all(|byte| (32..127).contains(&byte))
        && !value.contains("=?")
        && value.split(' ').all(|word| !word.is_empty() && word.len() < LINE - 10)
}

fn folded(name: &str, value: &str) -> String {
    let mut line = format!("{name}:");
    let mut column = line.len();
    for (index, word) in value.split(' ').enumerate() {
        if index > 0 && column + 1 + word.len() > LINE {
            line.push_str("\r\n");
            column = 0;
        }
        line.push(' ');
        line.push_str(word);
        column += 1 + word.len();
    }
    line.push_str("\r\n");
    line
}

fn encoded_words(name: &str, value: &str) -> String {
    const AROUND: usize = " =?utf-8?B??=".len();
    let mut line = format!("{name}:");
    let mut column = line.len();
    let mut rest = value;
    while !rest.is_empty() {
        let room = LINE.saturating_sub(column + AROUND) / 4 * 3;
        let end = rest.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= room).last();
        if let Some(end) = end {
            let word = base64_simd::STANDARD.encode_to_string(&rest.as_bytes()[..end]);
            line.extend([" =?utf-8?B?", &word, "?="]);
            rest = &rest[end..];
        }
        if !rest.is_empty() {
            line.push_str("\r\n");
            column = 0;
        }
    }
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_subject_folds_and_a_foreign_one_becomes_encoded_words() {
        let long = "word ".repeat(30);
        let line = header("Subject", long.trim());
        assert!(line.split("\r\n").all(|line| line.len() <= LINE), "{line}");
        assert_eq!(line.replace("\r\n", ""), format!("Subject: {}", long.trim()));
        let foreign = header("Subject", &"щ".repeat(100));
        assert!(foreign.is_ascii() && foreign.split("\r\n").all(|line| line.len() <= LINE), "{foreign}");
        assert!(header("Subject", "=?utf-8?B?eA==?=").contains("=?utf-8?B?PT91"));
    }

    #[test]
    fn quoted_printable_keeps_trailing_blanks_leading_dots_and_from_away_from_relays() {
        assert_eq!(quoted_printable("a \r\n.b\r\nFrom c\r\n=\r\n"), "a=20\r\n=2Eb\r\n=46rom c\r\n=3D\r\n");
        let long = quoted_printable(&"é".repeat(60));
        assert!(long.split("\r\n").all(|line| line.len() <= LINE), "{long}");
        let dots = quoted_printable(&".".repeat(200));
        assert!(dots.split("\r\n").all(|line| line.len() <= LINE && !line.starts_with('.')), "{dots}");
    }
}
