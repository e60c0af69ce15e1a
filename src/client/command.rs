//! The text of a signed command: an HTTP request, written down, before it is signed and encrypted.
//!
//! ```text
//! PUT https://host.example/api/v1/embargoes/b7k2-9fq1/schedule
//! Idempotency-Key: 3f0a77f6c1d94f0e3f0a77f6c1d94f0e
//! Expires: 2026-06-01T09:10:00Z
//! Content-Type: application/json
//!
//! {"lifts_at":"2026-06-10T14:00:00Z"}
//! ```

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Serialize;

/// How long a command is valid. The server takes at most 15 minutes; the difference is for clocks that differ.
const VALID_FOR: TimeDelta = TimeDelta::minutes(10);

/// A change that the server is to make.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    method: &'static str,
    path: String,
    if_match: Option<i64>,
    content_type: &'static str,
    body: Vec<u8>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Command({} with {} bytes)", self.method, self.body.len())
    }
}

impl Command {
    /// A command with a JSON body. `path` begins with a slash.
    pub fn json(method: &'static str, path: String, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("a wire type has no map with keys that are no text");
        Self { method, path, if_match: None, content_type: "application/json", body }
    }

    /// A command whose body is a TOML document.
    pub fn toml(method: &'static str, path: String, document: &str) -> Self {
        let body = document.as_bytes().to_vec();
        Self { method, path, if_match: None, content_type: "application/toml", body }
    }

    /// The command, valid only for this version of the embargo.
    #[must_use]
    pub fn if_version(mut self, version: i64) -> Self {
        self.if_match = Some(version);
        self
    }

    /// The HTTP method.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The path of the URL.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The text that is signed: it names the absolute `url`, and is valid for ten minutes from `now`.
    pub(super) fn print(&self, url: &str, key: [u8; 16], now: DateTime<Utc>) -> Vec<u8> {
        let mut head = format!("{} {url}\nIdempotency-Key: ", self.method);
        for byte in key {
            let _ = write!(head, "{byte:02x}");
        }
        let expires = (now + VALID_FOR).to_rfc3339_opts(SecondsFormat::Secs, true);
        let _ = writeln!(head, "\nExpires: {expires}");
        if let Some(version) = self.if_match {
            let _ = writeln!(head, "If-Match: \"{version}\"");
        }
        if !self.body.is_empty() {
            let _ = writeln!(head, "Content-Type: {}", self.content_type);
        }
        head.push('\n');
        [head.as_bytes(), &self.body].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::PutSchedule;

    const URL: &str = "https://host.example/api/v1/embargoes/b7k2-9fq1/schedule";

    fn now() -> DateTime<Utc> {
        "2026-06-01T09:00:00.75Z".parse().unwrap()
    }

    #[test]
    fn a_command_reads_as_its_manual_says() {
        let body = PutSchedule { lifts_at: "2026-06-10T14:00:00Z".to_owned(), reason: None };
        let command = Command::json("PUT", "/ignored".to_owned(), &body);
        let expected = "PUT https://host.example/api/v1/embargoes/b7k2-9fq1/schedule\n\
            Idempotency-Key: 3f0a77f6c1d94f0e000102030405060f\n\
            Expires: 2026-06-01T09:10:00Z\n\
            Content-Type: application/json\n\
            \n\
            {\"lifts_at\":\"2026-06-10T14:00:00Z\"}";
        let key = *b"\x3f\x0a\x77\xf6\xc1\xd9\x4f\x0e\x00\x01\x02\x03\x04\x05\x06\x0f";
        assert_eq!(String::from_utf8(command.print(URL, key, now())).unwrap(), expected);
    }

    #[test]
    fn a_document_travels_as_it_is_and_names_the_version_it_replaces() {
        let command = Command::toml("PUT", String::new(), "title = \"x\"\r\n\n").if_version(12);
        let text = String::from_utf8(command.print(URL, [0; 16], now())).unwrap();
        assert!(
            text.contains("\nIf-Match: \"12\"\nContent-Type: application/toml\n\ntitle = \"x\"\r\n\n"),
            "{text}"
        );
        assert!(text.ends_with("\n\ntitle = \"x\"\r\n\n"));
    }
}
