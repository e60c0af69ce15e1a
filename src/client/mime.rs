//! The entity inside a notice: its text, and the files that came along.
//!
//! Reads what embargod composes and no more: one `multipart/mixed` with text and base64 attachments. The
//! bytes were signed by the server before they come here.

/// A decrypted notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeText {
    /// The text, with LF line ends.
    pub text: String,
    /// The attachments.
    pub attachments: Vec<Attachment>,
}

/// A file that came with a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// A harmless file name: letters, digits, dots, dashes, underscores, not beginning with a dot or dash.
    pub name: String,
    /// The media type in lower case.
    pub media_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Reads a notice; `None` if it is not of the form that embargod gives it.
pub fn read_notice(entity: &[u8]) -> Option<NoticeText> {
    let mut notice = NoticeText { text: String::new(), attachments: Vec::new() };
    let (head, body) = split(entity)?;
    let content_type = header(&head, "content-type")?;
    if !media_type(&content_type).starts_with("multipart/") {
        notice.text = text(&decode(&head, body)?);
        return Some(notice);
    }
    let mut texts = Vec::new();
    for part in parts(body, &parameter(&content_type, "boundary")?) {
        let (head, body) = split(part)?;
        let bytes = decode(&head, body)?;
        let media_type = header(&head, "content-type").map_or("text/plain".to_owned(), |it| media_type(&it));
        let name = header(&head, "content-disposition").and_then(|value| parameter(&value, "filename"));
        match name {
            Some(name) => {
                let name = harmless(&name)?;
                notice.attachments.push(Attachment { name, media_type, bytes });
            }
            None => texts.push(text(&bytes)),
        }
    }
    notice.text = texts.join("\n");
    Some(notice)
}

impl NoticeText {
    /// The receipt code, if the text has exactly one line that gives one.
    pub fn receipt_code(&self) -> Option<String> {
        let mut codes = self.text.lines().filter_map(|line| {
            let (label, code) = line.split_once(':')?;
            label.trim().eq_ignore_ascii_case("receipt code").then(|| code.trim().to_owned())
        });
        let code = codes.next()?;
        codes.all(|other| other == code).then_some(code)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "\n")
}

/// Header lines, unfolded, and the body.
fn split(part: &[u8]) -> Option<(Vec<String>, &[u8])> {
    let mut head: Vec<String> = Vec::new();
    let mut at = 0;
    for line in part.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return Some((head, &part[at..]));
        }
        match head.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => last.push_str(line),
            _ => head.push(line.to_owned()),
        }
    }
    None
}

fn header(head: &[String], name: &str) -> Option<String> {
    let mut values = head.iter().filter_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    });
    values.next()
}

fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn parameter(value: &str, name: &str) -> Option<String> {
    let mut found = value.split(';').skip(1).filter_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    });
    found.next().filter(|value| !value.is_empty())
}

fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let (opening, closing) = (format!("--{boundary}"), format!("--{boundary}--"));
    let mut parts = Vec::new();
    let mut start = None;
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let mark = line.trim_ascii_end();
        if mark == opening.as_bytes() || mark == closing.as_bytes() {
            if let Some(start) = start {
                // The line end before a boundary belongs to the boundary.
                let part: &[u8] = &body[start..at];
                let part = part.strip_suffix(b"\n").unwrap_or(part);
                parts.push(part.strip_suffix(b"\r").unwrap_or(part));
            }
            start = (mark == opening.as_bytes()).then_some(at + line.len());
        }
        at += line.len();
    }
    parts
}

fn decode(head: &[String], body: &[u8]) -> Option<Vec<u8>> {
    match header(head, "content-transfer-encoding").unwrap_or_default().to_ascii_lowercase().as_str() {
        "base64" => {
            let packed: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            base64_simd::STANDARD.decode_to_vec(packed).ok()
        }
        "quoted-printable" => Some(quoted_printable(body)),
        _ => Some(body.to_vec()),
    }
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'=', [b'\r', b'\n', tail @ ..] | [b'\n', tail @ ..]) => rest = tail,
            (b'=', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or(0);
                decoded.push(u8::try_from(digit(high) * 16 + digit(low)).unwrap_or(0));
                rest = tail;
            }
            _ => decoded.push(byte),
        }
    }
    decoded
}

fn harmless(name: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let harmless = name.len() <= 100 && !name.starts_with(['.', '-']) && name.bytes().all(fits);
    harmless.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTICE: &str = "From: embargo@requests.example\r\nSubject: s\r\n\
        Content-Type: multipart/mixed; hp=\"cipher\"; protected-headers=\"v1\";\r\n boundary=\"b0\"\r\n\r\n\
        --b0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        Caf=C3=A9 =3D long=\r\n line\r\nReceipt code: 7Q4-K2M\r\n\r\n\
        --b0\r\nContent-Type: text/x-patch\r\nContent-Transfer-Encoding: base64\r\n\
        Content-Disposition: attachment;\r\n filename=\"main.mbox\"\r\n\r\nRnJv\r\nbSAx\r\n\r\n--b0--\r\n";

    #[test]
    fn a_notice_gives_its_text_its_receipt_code_and_its_files() {
        let notice = read_notice(NOTICE.as_bytes()).unwrap();
        assert_eq!(notice.text, "Café = long line\nReceipt code: 7Q4-K2M\n");
        assert_eq!(notice.receipt_code().as_deref(), Some("7Q4-K2M"));
        let file = &notice.attachments[0];
        assert_eq!((file.name.as_str(), file.media_type.as_str()), ("main.mbox", "text/x-patch"));
        assert_eq!(file.bytes, b"From 1");
    }

    #[test]
    fn a_file_name_cannot_leave_its_directory_and_two_codes_are_none() {
        for name in ["../main.mbox", "/etc/x", ".bashrc", "a\u{202e}b"] {
            assert_eq!(read_notice(NOTICE.replace("main.mbox", name).as_bytes()), None, "{name}");
        }
        let two = NOTICE.replace("Receipt code:", "Receipt code: 111-111\r\nReceipt code:");
        assert_eq!(read_notice(two.as_bytes()).unwrap().receipt_code(), None);
    }

    #[test]
    fn a_damaged_notice_is_refused_and_not_half_read() {
        assert_eq!(read_notice(b"no head at all"), None);
        assert_eq!(read_notice(NOTICE.replace("Rn", "!!").as_bytes()), None);
    }
}
