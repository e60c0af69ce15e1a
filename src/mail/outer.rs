//! What stands outside: one recipient's mail around the sealed bytes, and mails that hold no secret.
//!
//! Nothing outside depends on the embargo: neutral sender, opaque Message-ID, fixed subject, fixed file name.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::encode::{header, verbatim};
use super::entity::text_part;
use super::words::{Boundary, HeaderText, ListId, MessageId};
use crate::domain::address::Address;

/// The headers of one copy.
#[derive(Clone, Debug)]
pub struct OuterHead {
    /// The server's neutral address.
    pub from: Address,
    /// The one recipient.
    pub to: Address,
    /// Where answers go, if not to `from`.
    pub reply_to: Option<Address>,
    /// `[...]`, or the prefix a contact asked for.
    pub subject: HeaderText,
    /// When this copy was made.
    pub date: DateTime<Utc>,
    /// Opaque, frozen with the copy.
    pub message_id: MessageId,
    /// The first notice of the case to this recipient, for threading.
    pub in_reply_to: Option<MessageId>,
    /// The server's own list id; the same for all cases.
    pub list_id: Option<ListId>,
    /// Whether this is a rehearsal, and has to say so.
    pub practice: bool,
}

/// An instant as RFC 5322 prints it, in UTC.
pub(super) fn date_line(date: DateTime<Utc>) -> String {
    date.format("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

impl OuterHead {
    fn lines(&self) -> String {
        let mut lines = verbatim("From", self.from.as_str());
        lines += &verbatim("To", self.to.as_str());
        if let Some(address) = &self.reply_to {
            lines += &verbatim("Reply-To", address.as_str());
        }
        lines += &header("Subject", self.subject.as_str());
        lines += &header("Date", &date_line(self.date));
        lines += &verbatim("Message-ID", self.message_id.as_str());
        if let Some(first) = &self.in_reply_to {
            lines += &verbatim("In-Reply-To", first.as_str());
            lines += &verbatim("References", first.as_str());
        }
        if let Some(list) = &self.list_id {
            lines += &header("List-Id", &format!("<{}>", list.as_str()));
        }
        lines += "Auto-Submitted: auto-generated\r\n";
        if self.practice {
            lines += "X-Embargod-Practice: yes\r\n";
        }
        lines + "MIME-Version: 1.0\r\n"
    }
}

/// What comes before and after the armored message, so that a shared body need not be copied.
///
/// The armored message between the two must end its lines in CRLF, the last one included.
pub fn outer_frame(head: &OuterHead, boundary: &Boundary) -> (Vec<u8>, Vec<u8>) {
    let boundary = boundary.as_str();
    let before = format!(
        "{}Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\";\r\n boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n\
         --{boundary}\r\nContent-Type: application/octet-stream; name=\"encrypted.asc\"\r\n\
         Content-Disposition: inline; filename=\"encrypted.asc\"\r\n\r\n",
        head.lines(),
    );
    (before.into_bytes(), format!("\r\n--{boundary}--\r\n").into_bytes())
}

/// A whole encrypted mail (RFC 3156) around an armored OpenPGP message.
pub fn outer_message(head: &OuterHead, armored: &[u8], boundary: &Boundary) -> Vec<u8> {
    let armored = crlf(armored);
    let boundary = boundary.absent_from(&[armored.as_ref()].into_iter());
    let (mut message, after) = outer_frame(head, &boundary);
    message.reserve(armored.len() + after.len());
    message.extend_from_slice(&armored);
    message.extend_from_slice(&after);
    message
}

/// A mail in clear, for what is no secret: trouble with a key, the operator's test.
pub fn plain_message(head: &OuterHead, text: &str) -> Vec<u8> {
    let mut message = head.lines().into_bytes();
    message.extend_from_slice(&text_part(text));
    message
}

/// `bytes` with CRLF as the only line end, the last line included.
fn crlf(bytes: &[u8]) -> Cow<'_, [u8]> {
    let bare = |at: usize| bytes[at] == b'\n' && (at == 0 || bytes[at - 1] != b'\r');
    if bytes.ends_with(b"\r\n") && !(0..bytes.len()).any(bare) {
        return Cow::Borrowed(bytes);
    }
    let mut lines = Vec::with_capacity(bytes.len() + bytes.len() / 64 + 2);
    for (at, &byte) in bytes.iter().enumerate() {
        if bare(at) {
            lines.push(b'\r');
        }
        lines.push(byte);
    }
    if !lines.ends_with(b"\n") {
        lines.extend_from_slice(b"\r\n");
    }
    Cow::Owned(lines)
}
