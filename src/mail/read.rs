//! Reading a mail, or the entity that was inside one: as much of MIME as answers and our own mails need.
//!
//! It never panics, whatever the bytes, and gives up beyond a nesting of eight or two hundred parts. It
//! decides nothing about trust: a header that was read is a claim.

use crate::domain::text::is_forbidden;

const DEEPEST: usize = 8;
const MOST_PARTS: usize = 200;

/// Why bytes could not be read as a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Too many parts, or parts in parts in parts.
    #[error(
        "the mail has more than {MOST_PARTS} parts, or parts nested more than {DEEPEST} deep; send a simpler one"
    )]
    TooComplex,
    /// A multipart without the line that separates its parts.
    #[error("the mail says that it has several parts, but what separates them is missing; send it again")]
    Boundary,
    /// A part that is not what its transfer encoding says.
    #[error("a part of the mail is damaged: it is no valid base64; send it again")]
    Encoding,
}

/// A mail or one part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    headers: Vec<(String, String)>,
    media_type: String,
    parameters: Vec<(String, String)>,
    /// The decoded bytes of a leaf; empty for a multipart.
    bytes: Vec<u8>,
    parts: Vec<Part>,
}

/// Reads a mail or a MIME entity.
pub fn read(bytes: &[u8]) -> Result<Part, ReadError> {
    let mut budget = MOST_PARTS;
    read_part(bytes, DEEPEST, &mut budget)
}

impl Part {
    /// All headers in their order: names as written, values unfolded and decoded.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The media type in lower case, such as `multipart/mixed`.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// A parameter of the `Content-Type`, such as `hp`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The parts of a multipart.
    pub fn parts(&self) -> &[Self] {
        &self.parts
    }

    /// The decoded bytes of this part.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The armored OpenPGP message of an encrypted mail (RFC 3156).
    pub fn encrypted(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [version, message]
                if self.media_type == "multipart/encrypted"
                    && version.media_type == "application/pgp-encrypted"
                    && message.media_type == "application/octet-stream" =>
            {
                Some(&message.bytes)
            }
            _ => None,
        }
    }

    /// The first plain text that is no attachment, with LF line ends.
    pub fn text(&self) -> Option<String> {
        if self.media_type == "text/plain" && self.file_name().is_none() {
            return Some(String::from_utf8_lossy(&self.bytes).replace("\r\n", "\n"));
        }
        self.parts.iter().find_map(Self::text)
    }

    /// Names and bytes of all attachments, in their order.
    pub fn attachments(&self) -> Vec<(String, &[u8])> {
        let own = self.file_name().map(|name| (name, self.bytes.as_slice()));
        own.into_iter().chain(self.parts.iter().flat_map(Self::attachments)).collect()
    }

    fn file_name(&self) -> Option<String> {
        let (disposition, parameters) = value_with_parameters(self.header("Content-Disposition")?);
        let name = parameters.into_iter().find(|(name, _)| name == "filename").map(|(_, value)| value);
        (disposition == "attachment").then(|| name.unwrap_or_default())
    }
}

fn read_part(bytes: &[u8], depth: usize, budget: &mut usize) -> Result<Part, ReadError> {
    *budget = budget.checked_sub(1).ok_or(ReadError::TooComplex)?;
    let (headers, body) = read_headers(bytes);
    let mut part = Part {
        headers,
        media_type: String::new(),
        parameters: Vec::new(),
        bytes: Vec::new(),
        parts: Vec::new(),
    };
    (part.media_type, part.parameters) =
        value_with_parameters(part.header("Content-Type").unwrap_or("text/plain"));
    if part.media_type.starts_with("multipart/") {
        let depth = depth.checked_sub(1).ok_or(ReadError::TooComplex)?;
        let boundary = part.parameter("boundary").ok_or(ReadError::Boundary)?;
        for section in sections(body, boundary)? {
            part.parts.push(read_part(section, depth, budget)?);
        }
    } else {
        let encoding =
            part.header("Content-Transfer-Encoding").unwrap_or_default().trim().to_ascii_lowercase();
        part.bytes = match encoding.as_str() {
            "base64" => decode_base64(body).ok_or(ReadError::Encoding)?,
            "quoted-printable" => decode_quoted_printable(body),
            _ => body.to_vec(),
        };
    }
    Ok(part)
}

/// The lines of `bytes` with their line ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn read_headers(bytes: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut at = 0;
    for line in lines(bytes) {
        at += line.len();
        let line = String::from_utf8_lossy(without_line_end(line));
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push_str(&line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim_end().to_owned(), value.strip_prefix(' ').unwrap_or(value).to_owned()));
        }
    }
    for (_, value) in &mut headers {
        let decoded = decode_words(value.trim());
        *value = decoded.chars().filter(|character| !is_forbidden(*character)).collect();
    }
    (headers, &bytes[at..])
}

/// `text` with its encoded words (RFC 2047) decoded; blanks between two of them vanish.
fn decode_words(text: &str) -> String {
    let mut decoded = String::new();
    let mut rest = text;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, candidate) = rest.split_at(start);
        if let Some((word, length)) = decode_word(candidate) {
            if !(after_word && before.chars().all(char::is_whitespace)) {
                decoded.push_str(before);
            }
            decoded.push_str(&word);
            rest = &candidate[length..];
            after_word = true;
        } else {
            decoded.push_str(before);
            decoded.push_str("=?");
            rest = &candidate[2..];
            after_word = false;
        }
    }
    decoded + rest
}

/// The encoded word at the start of `text`, decoded, and its length.
fn decode_word(text: &str) -> Option<(String, usize)> {
    let mut fields = text[2..].splitn(4, '?');
    let (charset, encoding, encoded, rest) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    rest.strip_prefix('=')?;
    let length = 2 + charset.len() + 1 + encoding.len() + 1 + encoded.len() + 2;
    let bytes = match encoding {
        "B" | "b" => decode_base64(encoded.as_bytes())?,
        "Q" | "q" => decode_quoted_printable(encoded.replace('_', " ").as_bytes()),
        _ => return None,
    };
    Some((String::from_utf8_lossy(&bytes).into_owned(), length))
}

/// A value such as `text/plain; charset="utf-8"`, taken apart; names in lower case.
fn value_with_parameters(text: &str) -> (String, Vec<(String, String)>) {
    let mut pieces = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted = !quoted,
            ';' if !quoted => pieces.push(String::new()),
            '\\' if quoted => pieces.last_mut().into_iter().for_each(|piece| piece.extend(characters.next())),
            other => pieces.last_mut().into_iter().for_each(|piece| piece.push(other)),
        }
    }
    let value = pieces[0].trim().to_ascii_lowercase();
    let parameters = pieces[1..].iter().filter_map(|piece| piece.split_once('='));
    (
        value,
        parameters.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned())).collect(),
    )
}

/// What lies between the lines that `boundary` makes, without the line end before each of them.
fn sections<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<&'a [u8]>, ReadError> {
    let mut sections = Vec::new();
    let mut start = None;
    let mut at = 0;
    for line in lines(body) {
        let before = at;
        at += line.len();
        let Some(rest) = line.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary.as_bytes()))
        else {
            continue;
        };
        let rest = rest.trim_ascii_end();
        if rest.is_empty() || rest == b"--" {
            if let Some(start) = start {
                sections.push(without_line_end(&body[start..before.max(start)]));
            }
            start = Some(at);
            if !rest.is_empty() {
                return Ok(sections);
            }
        }
    }
    Err(ReadError::Boundary)
}

fn decode_base64(body: &[u8]) -> Option<Vec<u8>> {
    let letters: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    base64_simd::STANDARD.decode_to_vec(letters).ok()
}

fn decode_quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(body.len());
    for line in lines(body) {
        let content = without_line_end(line);
        let line_end = &line[content.len()..];
        let content = content.trim_ascii_end();
        let (content, line_end) = match content.strip_suffix(b"=") {
            Some(content) => (content, &b""[..]),
            None => (content, line_end),
        };
        let mut at = 0;
        while at < content.len() {
            let hex = content.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
            if let Some(byte) =
                hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| content[at] == b'=')
            {
                decoded.push(byte);
                at += 3;
            } else {
                decoded.push(content[at]);
                at += 1;
            }
        }
        decoded.extend_from_slice(line_end);
    }
    decoded
}
