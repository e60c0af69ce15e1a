//! The mails of an upload, and where text ends and diffs begin in them.
//!
//! Promises: the parts of all mails cover every byte of the upload, in order and once. A line that looks like
//! the start of a mail counts only outside hunks, so that a patch about mailboxes stays whole.

use super::diff::{self, FileDiff};
use super::error::{FixError, Place};
use super::header::{self, Fields};
use super::text::{Span, bare, base64, line_end, lines, quoted_printable};

/// A mail of an mbox; or text without any header, when a plain diff was uploaded.
pub(super) struct Mail {
    separator: Span,
    head: Span,
    pub(super) body: Body,
    /// The commit that `git format-patch` names on the separator line.
    pub(super) commit: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) author: Option<String>,
    /// The position in the series and its length, if the subject says them.
    pub(super) position: Option<(usize, usize)>,
    /// Whether the header names recipients.
    pub(super) addressed: bool,
}

/// The body of a mail in parts.
pub(super) struct Body {
    raw: Span,
    /// The body without its transfer encoding, if it had one. The parts are then stretches of this.
    decoded: Option<Vec<u8>>,
    pub(super) parts: Vec<Part>,
}

/// A part of a body.
pub(super) enum Part {
    Text(Span),
    File(FileDiff),
}

impl Mail {
    /// Whether it began like a mail.
    pub(super) fn is_mail(&self) -> bool {
        !self.separator.is_empty() || !self.head.is_empty()
    }

    /// The stretches of the upload that make up this mail.
    pub(super) fn spans(&self) -> Vec<Span> {
        let mut spans = vec![self.separator.clone(), self.head.clone()];
        if self.body.decoded.is_some() {
            spans.push(self.body.raw.clone());
            return spans;
        }
        for part in &self.body.parts {
            match part {
                Part::Text(text) => spans.push(text.clone()),
                Part::File(file) => spans.extend([file.header.clone(), file.content.clone()]),
            }
        }
        spans
    }
}

impl Body {
    /// The text that the spans of the parts refer to.
    pub(super) fn text<'text>(&'text self, upload: &'text [u8]) -> &'text [u8] {
        self.decoded.as_deref().unwrap_or(upload)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &FileDiff> {
        self.parts.iter().filter_map(|part| match part {
            Part::File(file) => Some(file),
            Part::Text(_) => None,
        })
    }

    pub(super) fn has_diff(&self) -> bool {
        self.files().next().is_some()
    }

    /// The text above the first diff, as commit message and what follows the line `---` (itself left out).
    pub(super) fn opening<'text>(&'text self, upload: &'text [u8]) -> (&'text [u8], &'text [u8]) {
        let Some(Part::Text(span)) = self.parts.first() else { return (b"", b"") };
        let text = &self.text(upload)[span.clone()];
        let mut at = 0;
        for line in lines(text) {
            if line.trim_ascii_end() == b"---" {
                return (&text[..at], &text[at + line.len()..]);
            }
            at += line.len();
        }
        (text, b"")
    }

    /// The texts between and below the diffs.
    pub(super) fn remainder<'text>(&'text self, upload: &'text [u8]) -> impl Iterator<Item = &'text [u8]> {
        let text = self.text(upload);
        self.parts.iter().skip(1).filter_map(|part| match part {
            Part::Text(span) => Some(&text[span.clone()]),
            Part::File(_) => None,
        })
    }
}

/// Splits an upload into mails.
pub(super) fn read(upload: &[u8]) -> Result<Vec<Mail>, FixError> {
    let separators = Separators::of(upload);
    let mut mails = Vec::new();
    let (mut at, mut patches, mut files) = (0, 0, 0);
    while at < upload.len() {
        let place = Place::patch(patches + 1);
        let mail = mail(upload, at, &separators, place)?;
        at = mail.body.raw.end;
        files += mail.body.files().count();
        patches += usize::from(mail.body.has_diff());
        if files > super::MAX_FILES {
            return Err(FixError::TooManyFiles);
        }
        if mails.len() == super::MAX_FILES {
            return Err(FixError::TooManyMails);
        }
        mails.push(mail);
    }
    if patches == 0 {
        return Err(FixError::NoDiff);
    }
    Ok(mails)
}

/// How mails begin in this upload.
struct Separators {
    /// It comes from a mail program: any mbox `From ` line after an empty line begins a mail.
    any: bool,
}

/// The date that `git format-patch` writes, always; it marks its separator lines.
const MAGIC_DATE: &[u8] = b" Mon Sep 17 00:00:00 2001";

/// The commit on a separator line of `git format-patch`.
fn separator_commit(line: &[u8]) -> Option<&[u8]> {
    let commit = line.strip_prefix(b"From ")?.strip_suffix(MAGIC_DATE)?;
    is_object_name(commit).then_some(commit)
}

/// Whether the text is a full object name in one of git's two formats.
pub(super) fn is_object_name(name: &[u8]) -> bool {
    matches!(name.len(), 40 | 64) && name.iter().all(u8::is_ascii_hexdigit)
}

impl Separators {
    fn of(upload: &[u8]) -> Self {
        let first = bare(&upload[..line_end(upload, 0)]);
        Self { any: first.starts_with(b"From ") && separator_commit(first).is_none() }
    }

    /// The separator line at `at`, if there is one.
    fn at(&self, upload: &[u8], at: usize) -> Option<Span> {
        if !upload[at..].starts_with(b"From ") {
            return None;
        }
        let span = at..line_end(upload, at);
        let line = bare(&upload[span.clone()]);
        let mails = || {
            let before = &upload[..at];
            let dated = line.contains(&b':') && line.iter().rev().take(4).all(u8::is_ascii_digit);
            at == 0 || dated && (before.ends_with(b"\n\n") || before.ends_with(b"\n\r\n"))
        };
        (separator_commit(line).is_some() || self.any && mails()).then_some(span)
    }
}

/// The mail that begins at `at`.
fn mail(upload: &[u8], at: usize, separators: &Separators, place: Place) -> Result<Mail, FixError> {
    let separator = separators.at(upload, at).unwrap_or(at..at);
    let head = head(upload, separator.end, separators);
    // Without a separator, a few words and a colon do not make a mail: `Index: name` begins a diff.
    let mut fields = Fields::read(&upload[head.clone()]);
    let head = if separator.is_empty() && fields.from.is_none() && fields.subject.is_none() {
        fields = Fields::default();
        at..at
    } else {
        head
    };
    let body = body(upload, head.end, &fields, separators, place)?;
    if !head.is_empty() {
        in_body_fields(body.opening(upload).0, &mut fields);
    }
    let subject = fields.subject.as_deref().map(header::subject).transpose();
    let author = fields.from.as_deref().map(header::author).transpose();
    let commit = separator_commit(bare(&upload[separator.clone()]));
    Ok(Mail {
        commit: commit
            .filter(|commit| commit.iter().any(|digit| *digit != b'0'))
            .map(|commit| String::from_utf8_lossy(commit).to_ascii_lowercase()),
        position: fields.subject.as_deref().and_then(header::announced_position),
        subject: subject.map_err(|_| FixError::SubjectControl { place })?.flatten(),
        author: author.map_err(|_| FixError::AuthorControl { place })?.flatten(),
        addressed: fields.addressed,
        separator,
        head,
        body,
    })
}

/// The header block at `at`, with the empty line that ends it; empty if there is none.
fn head(upload: &[u8], at: usize, separators: &Separators) -> Span {
    let mut end = at;
    while end < upload.len() && separators.at(upload, end).is_none() {
        let next = line_end(upload, end);
        let line = bare(&upload[end..next]);
        if line.is_empty() && end > at {
            return at..next;
        }
        let continues = end > at && line.first().is_some_and(|first| matches!(first, b' ' | b'\t'));
        if !continues && header::field(line).is_none() {
            break;
        }
        end = next;
    }
    at..end
}

/// `git am` lets the first lines of a message overrule the header, as when one sends another's patch.
fn in_body_fields(message: &[u8], fields: &mut Fields) {
    for line in lines(message.trim_ascii_start()).map(bare) {
        match header::field(line) {
            Some((name, value)) if name.eq_ignore_ascii_case(b"From") => fields.from = Some(value.to_vec()),
            Some((name, value)) if name.eq_ignore_ascii_case(b"Subject") => {
                fields.subject = Some(value.to_vec());
            }
            Some((name, _)) if name.eq_ignore_ascii_case(b"Date") => {}
            _ => return,
        }
    }
}

fn body(
    upload: &[u8],
    at: usize,
    fields: &Fields,
    separators: &Separators,
    place: Place,
) -> Result<Body, FixError> {
    let encoding = fields.transfer_encoding.as_deref().unwrap_or_default().to_ascii_lowercase();
    let decode = match encoding.as_slice() {
        b"base64" => base64,
        b"quoted-printable" => quoted_printable,
        _ => {
            let (parts, end) = parts(upload, at, Some(separators), place)?;
            return Ok(Body { raw: at..end, decoded: None, parts });
        }
    };
    let mut end = at;
    while end < upload.len() && separators.at(upload, end).is_none() {
        end = line_end(upload, end);
    }
    let decoded = decode(&upload[at..end]).ok_or(FixError::Encoding { place })?;
    let (parts, _) = parts(&decoded, 0, None, place)?;
    Ok(Body { raw: at..end, decoded: Some(decoded), parts })
}

/// Texts and diffs from `at` to the next separator, and where that is.
fn parts(
    text: &[u8],
    at: usize,
    separators: Option<&Separators>,
    place: Place,
) -> Result<(Vec<Part>, usize), FixError> {
    let (mut parts, mut files) = (Vec::new(), 0);
    let (mut prose, mut at) = (at, at);
    let close = |parts: &mut Vec<Part>, span: Span| {
        if !span.is_empty() {
            parts.push(Part::Text(span));
        }
    };
    while at < text.len() && separators.is_none_or(|separators| separators.at(text, at).is_none()) {
        if let Some(file) = diff::file(text, at, place.file(files + 1))? {
            close(&mut parts, prose..at);
            (prose, at) = (file.content.end, file.content.end);
            parts.push(Part::File(file));
            files += 1;
            if files > super::MAX_FILES {
                return Err(FixError::TooManyFiles);
            }
            continue;
        }
        if files > 0 && text[at..].starts_with(b"@@ -") {
            return Err(FixError::HunkWithoutFile { place: place.file(files) });
        }
        // In a message, before any file, these are words like others.
        if (files > 0 || at == 0) && diff::leaves_out(text, at) {
            return Err(FixError::BinaryLeftOut { place: place.file(files + 1) });
        }
        at = line_end(text, at);
    }
    close(&mut parts, prose..at);
    Ok((parts, at))
}
