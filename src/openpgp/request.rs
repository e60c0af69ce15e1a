//! The text inside a signed command: an HTTP request, written down.
//!
//! ```text
//! PUT https://host.example/api/v1/embargoes/b7k2-9fq1/schedule
//! Idempotency-Key: 3f0a77f6c1d94f0e
//! Expires: 2026-06-01T09:10:00Z
//! Content-Type: application/json
//!
//! {"lifts_at":"2026-06-10T14:00:00Z"}
//! ```
//!
//! One form only: no unknown and no repeated header, so that two readers cannot read two things. The error texts
//! never repeat the body nor a value.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

/// How far ahead a command may expire.
pub const MAX_EXPIRES_AHEAD: Duration = Duration::from_mins(15);

const MAX_HEAD_BYTES: usize = 8 << 10;
const MAX_URL_BYTES: usize = 2048;
const METHODS: [&str; 4] = ["POST", "PUT", "PATCH", "DELETE"];

/// A request as it was signed.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// The absolute URL, exactly as it is called.
    pub url: String,
    /// The version that is to be changed.
    pub if_match: Option<String>,
    /// 16 to 128 visible ASCII characters; the same key again gets the first answer.
    pub idempotency_key: String,
    /// When the command stops being valid.
    pub expires: DateTime<Utc>,
    /// Needed if there is a body.
    pub content_type: Option<String>,
    /// The raw bytes after the blank line.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for SignedRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SignedRequest({} with {} bytes)", self.method, self.body.len())
    }
}

/// Why a text is no request that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No blank line within the first bytes.
    #[error(
        "no blank line after the head of the command; expected a request line, headers, a blank line, then the body"
    )]
    NoHead,
    /// The first line is not a request line.
    #[error(
        "the first line of a command is METHOD, space, absolute URL, such as: PUT https://host/api/v1/...; METHOD is POST, PUT, PATCH or DELETE"
    )]
    RequestLine,
    /// A line that is not a header.
    #[error("line {line} of the command is not a header; expected Name: value")]
    NotAHeader {
        /// Counted from 1.
        line: usize,
    },
    /// A header that is not known.
    #[error("a command has no header {name:?}; known are If-Match, Idempotency-Key, Expires, Content-Type")]
    UnknownHeader {
        /// As written, at most 64 characters of it.
        name: String,
    },
    /// A header that came twice.
    #[error("the header {name} stands in the command twice")]
    RepeatedHeader {
        /// Its name.
        name: &'static str,
    },
    /// A header that is missing.
    #[error("the command needs the header {name}: {form}")]
    MissingHeader {
        /// Its name.
        name: &'static str,
        /// What is expected.
        form: &'static str,
    },
    /// A header with a value of the wrong form.
    #[error("the header {name} of the command has the wrong form; expected {form}")]
    HeaderForm {
        /// Its name.
        name: &'static str,
        /// What is expected.
        form: &'static str,
    },
    /// Too late.
    #[error("the command expired on {}; sign it again", at.to_rfc3339_opts(SecondsFormat::Secs, true))]
    Expired {
        /// When.
        at: DateTime<Utc>,
    },
    /// Valid for too long.
    #[error("the command expires on {}; at most 15 minutes ahead are allowed", at.to_rfc3339_opts(SecondsFormat::Secs, true))]
    ExpiresTooLate {
        /// When.
        at: DateTime<Utc>,
    },
}

impl RequestError {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoHead => "command-no-head",
            Self::RequestLine => "command-request-line",
            Self::NotAHeader { .. } => "command-not-a-header",
            Self::UnknownHeader { .. } => "command-unknown-header",
            Self::RepeatedHeader { .. } => "command-repeated-header",
            Self::MissingHeader { .. } => "command-missing-header",
            Self::HeaderForm { .. } => "command-header-form",
            Self::Expired { .. } => "command-expired",
            Self::ExpiresTooLate { .. } => "command-expires-too-late",
        }
    }
}

const IF_MATCH: &str = "If-Match";
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
const EXPIRES: &str = "Expires";
const CONTENT_TYPE: &str = "Content-Type";
const NAMES: [&str; 4] = [IF_MATCH, IDEMPOTENCY_KEY, EXPIRES, CONTENT_TYPE];

const KEY_FORM: &str = "16 to 128 visible ASCII characters";
const EXPIRES_FORM: &str = "an instant such as 2026-06-01T09:10:00Z";
const TYPE_FORM: &str = "a media type such as application/json";
const MATCH_FORM: &str = "an ETag such as \"7\"";

impl SignedRequest {
    /// Reads a request; lines of the head end in LF or CRLF.
    pub fn parse(text: &[u8]) -> Result<Self, RequestError> {
        let (head, body) = split(text)?;
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let words = (words.next(), words.next(), words.next(), words.next());
        let (Some(method), Some(url), None | Some("HTTP/1.1"), None) = words else {
            return Err(RequestError::RequestLine);
        };
        let mut values: [Option<&str>; 4] = [None; 4];
        for (index, line) in lines.enumerate() {
            let (name, value) = line.split_once(':').ok_or(RequestError::NotAHeader { line: index + 2 })?;
            let place = NAMES
                .iter()
                .position(|known| known.eq_ignore_ascii_case(name))
                .ok_or_else(|| RequestError::UnknownHeader { name: name.chars().take(64).collect() })?;
            if values[place].replace(value.trim_matches([' ', '\t'])).is_some() {
                return Err(RequestError::RepeatedHeader { name: NAMES[place] });
            }
        }
        let [if_match, key, expires, content_type] = values;
        let missing = |name, form| RequestError::MissingHeader { name, form };
        let key = key.ok_or_else(|| missing(IDEMPOTENCY_KEY, KEY_FORM))?;
        let expires = expires.ok_or_else(|| missing(EXPIRES, EXPIRES_FORM))?;
        let expires = DateTime::parse_from_rfc3339(expires)
            .map_err(|_| RequestError::HeaderForm { name: EXPIRES, form: EXPIRES_FORM })?;
        let request = Self {
            method: method.to_owned(),
            url: url.to_owned(),
            if_match: if_match.map(str::to_owned),
            idempotency_key: key.to_owned(),
            expires: expires.to_utc(),
            content_type: content_type.map(str::to_owned),
            body: body.to_vec(),
        };
        request.check_form()?;
        Ok(request)
    }

    /// Writes the request, to be signed; refused if a value could be read as something else.
    pub fn print(&self) -> Result<Vec<u8>, RequestError> {
        self.check_form()?;
        let mut head = format!("{} {}\r\n", self.method, self.url);
        let expires = self.expires.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let values = [
            self.if_match.as_deref(),
            Some(self.idempotency_key.as_str()),
            Some(expires.as_str()),
            self.content_type.as_deref(),
        ];
        for (name, value) in NAMES.iter().zip(values) {
            if let Some(value) = value {
                head.extend([name, ": ", value, "\r\n"]);
            }
        }
        head.push_str("\r\n");
        Ok([head.as_bytes(), &self.body].concat())
    }

    /// Whether the command is still valid at `now`, and not for longer than [`MAX_EXPIRES_AHEAD`].
    pub fn check_expiry(&self, now: DateTime<Utc>) -> Result<(), RequestError> {
        if self.expires <= now {
            Err(RequestError::Expired { at: self.expires })
        } else if self.expires > now + MAX_EXPIRES_AHEAD {
            Err(RequestError::ExpiresTooLate { at: self.expires })
        } else {
            Ok(())
        }
    }

    fn check_form(&self) -> Result<(), RequestError> {
        if !METHODS.contains(&self.method.as_str()) || !is_absolute_url(&self.url) {
            return Err(RequestError::RequestLine);
        }
        let form = |name, form| Err(RequestError::HeaderForm { name, form });
        if !(16..=128).contains(&self.idempotency_key.len()) || !is_visible(&self.idempotency_key) {
            return form(IDEMPOTENCY_KEY, KEY_FORM);
        }
        if self
            .if_match
            .as_deref()
            .is_some_and(|value| !(1..=128).contains(&value.len()) || !is_visible(value))
        {
            return form(IF_MATCH, MATCH_FORM);
        }
        match self.content_type.as_deref() {
            None if !self.body.is_empty() => {
                return Err(RequestError::MissingHeader { name: CONTENT_TYPE, form: TYPE_FORM });
            }
            // A parameter may follow after a space.
            Some(value) if value.trim() != value || !value.contains('/') || value.len() > 256 => {
                return form(CONTENT_TYPE, TYPE_FORM);
            }
            Some(value) if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) => {
                return form(CONTENT_TYPE, TYPE_FORM);
            }
            _ => {}
        }
        Ok(())
    }
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_absolute_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let has_host = rest.is_some_and(|rest| !rest.starts_with(['/', '?', ':']) && rest.contains('/'));
    has_host && url.len() <= MAX_URL_BYTES && is_visible(url) && !url.contains(['#', '@', '\\', '"'])
}

/// The head without its blank line, and what follows.
fn split(text: &[u8]) -> Result<(&str, &[u8]), RequestError> {
    let mut start = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len();
        if end > MAX_HEAD_BYTES || !line.ends_with(b"\n") {
            break;
        }
        if line == b"\n" || line == b"\r\n" {
            let head = std::str::from_utf8(&text[..start]).map_err(|_| RequestError::RequestLine)?;
            return Ok((head, &text[end..]));
        }
        start = end;
    }
    Err(RequestError::NoHead)
}
