//! What is wrong with the file: where, what was expected, what to do next.

use std::io;
use std::path::{Path, PathBuf};

use super::nearest::nearest;
use super::relay::InvalidRelay;

/// Why a configuration was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "{} cannot be read: {source}; make one with `embargod init`, or name another: --config PATH",
        path.display()
    )]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key that is not known.
    #[error("{} line {line}: unknown key {key:?}; {}", path.display(), advice(nearest.as_deref(), known))]
    UnknownKey {
        /// Which file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// As written.
        key: String,
        /// The known key that is most like it, if one is.
        nearest: Option<String>,
        /// All that are known at this place.
        known: Vec<String>,
    },
    /// Not TOML, or a value of a wrong kind.
    #[error("{} line {line}: {detail}", path.display())]
    Form {
        /// Which file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What the reader said.
        detail: String,
    },
    /// A value that cannot be used.
    #[error("{}: {key} cannot be used; write {expected}", path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
        /// What to write.
        expected: String,
    },
    /// The `[mail.relay]` section.
    #[error("{}: [mail] {source}", path.display())]
    Relay {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidRelay,
    },
    /// The file with the database's address.
    #[error("database.url_file {} cannot be read: {source}; check the path and its rights", path.display())]
    UrlFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn advice(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("did you mean {nearest:?}? Known here: {}", known.join(", ")),
        None => format!("known here: {}", known.join(", ")),
    }
}

impl ConfigError {
    /// What the TOML reader said about `text`, in words that help.
    pub(super) fn reading(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let path = path.to_owned();
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let detail = error.message();
        // The message lists the known names in quotes: "unknown field `a`, expected one of `b`, `c`".
        let mut names = detail.split('`').skip(1).step_by(2).map(str::to_owned);
        match (detail.starts_with("unknown field"), names.next()) {
            (true, Some(key)) => {
                let known: Vec<_> = names.collect();
                let nearest = nearest(&key, known.iter().map(String::as_str)).map(str::to_owned);
                Self::UnknownKey { path, line, key, nearest, known }
            }
            _ => Self::Form { path, line, detail: detail.to_owned() },
        }
    }
}
