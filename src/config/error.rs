//! What is wrong with the file: where, what was expected, what to do next.

use std::io;
use std::path::{Path, PathBuf};

use super::nearest::nearest;
use super::reference;
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
    #[error("the database's address {} cannot be read: {source}; check the path and its rights", path.display())]
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
        let start = error.span().map_or(0, |span| span.start);
        let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
        let detail = error.message();
        // The message lists the known names in quotes: "unknown field `a`, expected one of `b`, `c`".
        let mut names = detail.split('`').skip(1).step_by(2).map(str::to_owned);
        match (detail.starts_with("unknown field"), names.next()) {
            (true, Some(key)) => {
                let known: Vec<_> = names.collect();
                let nearest = nearest(&key, known.iter().map(String::as_str)).map(str::to_owned);
                Self::UnknownKey { path, line, key, nearest, known }
            }
            _ => Self::Form { path, line, detail: explained(text, line, detail) },
        }
    }
}

/// What the reader said, without the lines in which it draws, and what to write.
fn explained(text: &str, line: usize, detail: &str) -> String {
    let said = detail.lines().next().unwrap_or_default();
    let advice =
        if let Some(name) = said.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            reference::needed(name)
        } else if said.starts_with("duplicate key") {
            Some(format!("{} is written before; keep one of the two", named(text, line)))
        } else {
            let (section, name) = place(text, line);
            reference::find(section, name).map(reference::Key::advice)
        };
    match advice {
        // Our own words hold a cure already.
        Some(advice) if !said.contains("; write ") => format!("{said}; {advice}"),
        _ => said.to_owned(),
    }
}

/// The section and the key of a line, as they are written.
fn place(text: &str, line: usize) -> (&str, &str) {
    let lines: Vec<&str> = text.lines().take(line).map(str::trim).collect();
    let header = lines.iter().rev().find_map(|line| line.strip_prefix('[')?.split(']').next());
    let name = lines.last().and_then(|line| line.split('=').next()).unwrap_or_default();
    (header.unwrap_or_default().trim(), name.trim())
}

/// The header or the key of a line, as people would name it.
fn named(text: &str, line: usize) -> String {
    let (section, name) = place(text, line);
    if name.starts_with('[') { format!("[{section}]") } else { format!("{name} in [{section}]") }
}
