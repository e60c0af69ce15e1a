//! A real server to tell stories with: HTTP on a free port, a mail server on loopback, a database of its own.
//!
//! The clock stands still until a story moves it, ids and nonces repeat themselves, and people have throw-away
//! keys. A story ends with [`TestServer::finish`], which looks for what no story may leave behind. Which
//! database is used decides the environment: PostgreSQL if `EMBARGOD_TEST_POSTGRES` holds the address of a server
//! on which databases may be created, SQLite otherwise.

mod client;
mod copies;
mod database;
pub mod hostile;
mod log;
mod maintainer;
mod numbers;
mod packager;
mod people;
mod proxy;
mod series;
mod server;
pub mod troubled;

use chrono::{DateTime, Duration, Utc};

pub use client::{Client, Response};
pub use copies::Model;
pub use database::{Database, tamper};
pub use log::Log;
pub use maintainer::{Answer, Change, Maintainer, ordinary_text};
pub use numbers::{Numbers, Page};
pub use packager::{Mail, Packager};
pub use people::{classic_key, encrypting, person};
pub use proxy::{Cut, Proxy};
pub use series::Series;
pub use server::{Founding, TestServer, requests_policy};

/// Monday, 1 June 2026, 09:00 UTC: where every story begins.
pub fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_304_400, 0).unwrap()
}

pub fn days(count: i64) -> Duration {
    Duration::days(count)
}

pub fn hours(count: i64) -> Duration {
    Duration::hours(count)
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// An instant written in RFC 3339.
pub fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}
