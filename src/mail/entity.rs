//! The MIME entity that is sealed once and shared by all recipients of a notice.
//!
//! It carries the real headers inside (RFC 9788), and the older "v1" mark beside, which some clients need to
//! show the inner subject. It names no recipient.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::encode::{base64_lines, header, is_plain_seven_bit, quoted_printable, verbatim, with_crlf};
use super::outer::date_line;
use super::words::{Boundary, HeaderText};
use crate::domain::address::Address;

/// What a notice says, before it is sealed.
#[derive(Clone, Debug)]
pub struct ProtectedNotice<'a> {
    /// The server's neutral address; the same outside.
    pub from: &'a Address,
    /// The real subject.
    pub subject: &'a HeaderText,
    /// What every copy shows outside as its subject.
    pub outer_subject: &'a HeaderText,
    /// When the notice was composed.
    pub date: DateTime<Utc>,
    /// Whether every copy shows this very date outside. If each has its own, say `false`.
    pub date_is_shared: bool,
    /// The text; any line ends.
    pub text: &'a str,
    /// The fixes, and what else comes along.
    pub attachments: &'a [Attachment<'a>],
    /// What separates the parts: random.
    pub boundary: Boundary,
}

/// A file inside a notice.
#[derive(Clone, Debug)]
pub struct Attachment<'a> {
    /// What it is called.
    pub name: FileName,
    /// What it is.
    pub kind: AttachmentKind,
    /// Its bytes, which survive as they are.
    pub bytes: &'a [u8],
}

/// What an attachment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachmentKind {
    /// A patch series.
    Patch,
    /// A calendar entry.
    Calendar,
    /// A detached OpenPGP signature.
    Signature,
}

impl AttachmentKind {
    fn media_type(self) -> &'static str {
        match self {
            Self::Patch => "text/x-patch",
            Self::Calendar => "text/calendar; charset=utf-8; method=PUBLISH",
            Self::Signature => "application/pgp-signature",
        }
    }
}

/// A harmless file name: 1 to 64 characters (so that it fits on one line) of `[A-Za-z0-9._-]`, not beginning with a dot or dash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileName(String);

impl FileName {
    const MOST: usize = 64;

    /// The nearest harmless name: every other character becomes `_`, too long a stem is cut.
    pub fn sanitised(text: &str) -> Self {
        let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let mut name: String = text.chars().map(|c| if harmless(c) { c } else { '_' }).collect();
        if name.is_empty() || name.starts_with(['.', '-']) {
            name.insert(0, '_');
        }
        if name.len() > Self::MOST {
            let ending =
                name.rfind('.').filter(|at| name.len() - at <= 10).map_or("", |at| &name[at..]).to_owned();
            name.truncate(Self::MOST - ending.len());
            name.push_str(&ending);
        }
        Self(name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names in their order, numbered where two would be the same, so that none overwrites another.
    pub fn distinct(names: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut taken = HashSet::new();
        let distinct = names.into_iter().map(|wanted| {
            let mut name = wanted.clone();
            let mut number = 1;
            while !taken.insert(name.clone()) {
                number += 1;
                name = wanted.numbered(number);
            }
            name
        });
        distinct.collect()
    }

    fn numbered(&self, number: usize) -> Self {
        Self::sanitised(&match self.0.rsplit_once('.') {
            Some((stem, ending)) => {
                format!(
                    "{}-{number}.{ending}",
                    &stem[..stem.len().min(Self::MOST - ending.len().min(20) - 12)]
                )
            }
            None => format!("{}-{number}", &self.0[..self.0.len().min(Self::MOST - 12)]),
        })
    }
}

/// The entity to be sealed. Attachments of one name are numbered, so that none overwrites another.
pub fn protected_entity(notice: &ProtectedNotice<'_>) -> Vec<u8> {
    let mut parts = vec![text_part(notice.text)];
    let names = FileName::distinct(notice.attachments.iter().map(|attachment| attachment.name.clone()));
    for (name, attachment) in names.iter().zip(notice.attachments) {
        parts.push(attachment_part(name, attachment));
    }
    let boundary = notice.boundary.absent_from(&parts.iter().map(Vec::as_slice));
    let boundary = boundary.as_str();

    let date = date_line(notice.date);
    let mut head = verbatim("From", notice.from.as_str());
    head += &header("Subject", notice.subject.as_str());
    head += &header("Date", &date);
    head += &header("HP-Outer: Subject", notice.outer_subject.as_str());
    head += &verbatim("HP-Outer: From", notice.from.as_str());
    if notice.date_is_shared {
        head += &header("HP-Outer: Date", &date);
    }
    head += "MIME-Version: 1.0\r\n";
    head += "Content-Type: multipart/mixed; hp=\"cipher\"; protected-headers=\"v1\";\r\n boundary=\"";
    head += boundary;
    head += "\"\r\n\r\n";

    let mut entity = head.into_bytes();
    entity.reserve(parts.iter().map(|part| part.len() + boundary.len() + 8).sum());
    for part in &parts {
        entity.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        entity.extend_from_slice(part);
        entity.extend_from_slice(b"\r\n");
    }
    entity.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    entity
}

/// A text part, as readable as its bytes allow for someone who looks at it without a mail client.
pub(super) fn text_part(text: &str) -> Vec<u8> {
    let text = with_crlf(text);
    let (encoding, body) = if is_plain_seven_bit(&text) {
        ("7bit", text)
    } else {
        ("quoted-printable", quoted_printable(&text))
    };
    format!("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}")
        .into_bytes()
}

fn attachment_part(name: &FileName, attachment: &Attachment<'_>) -> Vec<u8> {
    let mut part = format!(
        "Content-Type: {}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;{}filename=\"{}\"\r\n\r\n",
        attachment.kind.media_type(),
        if name.as_str().len() > 24 { "\r\n " } else { " " },
        name.as_str(),
    )
    .into_bytes();
    part.extend_from_slice(&base64_lines(attachment.bytes));
    part
}
