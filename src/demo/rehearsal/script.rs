//! How the rehearsal speaks: one line per step, as it happens.

use std::io::{IsTerminal as _, Write as _};

use chrono::{DateTime, Utc};

/// Prints steps to standard output.
pub(super) struct Script {
    colour: bool,
    last: Option<String>,
}

impl Script {
    pub(super) fn new() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour, last: None }
    }

    /// A line without a time.
    pub(super) fn say(&mut self, text: &str) {
        // Whoever closed the pipe wants to hear no more; the rehearsal goes on and its exit code tells.
        let _ = writeln!(std::io::stdout(), "{text}");
        self.last = None;
    }

    /// A step: when, what, and what came of it. A time is printed once.
    pub(super) fn step(&mut self, at: DateTime<Utc>, what: &str, outcome: &str) {
        self.line(at, what, outcome, false);
    }

    /// A step that somebody should look at.
    pub(super) fn alarm(&mut self, at: DateTime<Utc>, what: &str, outcome: &str) {
        self.line(at, what, outcome, true);
    }

    fn line(&mut self, at: DateTime<Utc>, what: &str, outcome: &str, red: bool) {
        let time = at.format("%a %d %b %H:%M UTC").to_string();
        let shown = if self.last.as_ref() == Some(&time) { "" } else { time.as_str() };
        let (on, off) = if red && self.colour { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
        let _ = writeln!(std::io::stdout(), "{shown:<20}  {on}{what:<13}{off} {on}{outcome}{off}");
        self.last = Some(time);
    }
}
