//! `embargod practice`: the clock of a practice installation, whether its server runs or not.
//!
//! While a practice server runs, its clock goes as fast as any other and is moved through a socket that only
//! the server's own user can open. While none runs, the clock stands still in its file. It never goes back,
//! and never stands behind the real time. An ordinary installation has no such clock.

mod drive;
mod socket;
mod step;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, SubsecRound as _, Utc};
use chrono_tz::Tz;
use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::console::{Console, Global};
use super::failure::Failure;
use super::files;
use super::screen::{item, json, say};
use crate::app::Refusal;
use crate::clock::Clock;
use crate::domain::instant::display_instant;
use crate::store::Store;

pub(super) use drive::Practice;
pub(super) use socket::open;
pub(super) use step::Step;

/// Commands about a practice installation's clock.
#[derive(Debug, Subcommand)]
pub(super) enum PracticeCommand {
    /// Moves the clock forward; what becomes due on the way happens at its own instant.
    #[command(after_help = "Examples:\n  \
        embargod practice advance 8d\n  \
        embargod practice advance \"1 d 12 h\"\n  \
        embargod practice advance 2026-06-10T14:00:00Z\n\n\
        A running server is told, and this command ends when nothing is left to do. If none runs, the next \
        `embargod serve` does what became due.")]
    Advance {
        /// How far, such as `8d` or `36 h`, or to which instant.
        step: Step,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows the clock.
    Now {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What became of a request about the clock; one line on the socket.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moved {
    /// What the clock shows now.
    pub now: DateTime<Utc>,
    /// Advisories that became public on the way.
    #[serde(default)]
    pub lifted: Vec<String>,
    /// Mails that were handed over on the way.
    #[serde(default)]
    pub sent: usize,
    /// Whether a server was there to do it.
    #[serde(default)]
    pub running: bool,
    /// Why it was not done, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The file in which a practice clock is kept.
#[derive(Clone, Debug)]
pub(super) struct ClockFile(PathBuf);

/// What the file holds, an instant on each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// What the clock shows.
    pub now: DateTime<Utc>,
    /// Up to where a server has done what was due; from here the next one goes on.
    pub served: DateTime<Utc>,
}

impl ClockFile {
    /// The one in the folder `state`.
    pub(super) fn below(state: &Path) -> Self {
        Self(state.join("practice-clock"))
    }

    /// What it shows; nothing, if it is missing.
    pub(super) fn read(&self) -> Result<Option<Kept>, Failure> {
        if !self.0.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&self.0).map_err(Failure::file(&self.0, "read"))?;
        let instants: Option<Vec<_>> = text
            .lines()
            .map(|line| DateTime::parse_from_rfc3339(line.trim()).ok().map(|instant| instant.to_utc()))
            .collect();
        match instants.as_deref() {
            Some(&[now]) => Ok(Some(Kept { now, served: now })),
            Some(&[now, served]) => Ok(Some(Kept { now, served })),
            _ => Err(Failure::unfit(
                format!("{} holds no instant", self.0.display()),
                "write one such as 2026-06-01T09:00:00Z, or remove the file to begin at the real time",
            )),
        }
    }

    /// Keeps what the clock shows, and up to where a server has done what was due.
    pub(super) fn write(&self, kept: Kept) -> Result<(), Failure> {
        let [now, served] =
            [kept.now, kept.served].map(|instant| instant.to_rfc3339_opts(SecondsFormat::Micros, true));
        files::replace(&self.0, 0o600, format!("{now}\n{served}\n").as_bytes())
    }
}

impl Kept {
    /// Everything that was due at `now` has been done.
    pub(super) fn done(now: DateTime<Utc>) -> Self {
        Self { now, served: now }
    }
}

/// How the practice clock over `store` was left: never before what the database has seen.
pub(super) fn left(store: &Store, state: &Path) -> Result<Kept, Failure> {
    let seen = store.read_now(|tx| Ok::<_, Refusal>(tx.highest_instant()?))?;
    let kept = ClockFile::below(state).read()?.unwrap_or_else(|| Kept::done(Clock::System.now()));
    Ok(Kept { now: kept.now.max(seen), served: kept.served.max(seen) })
}

/// What the practice clock over `store` shows: what its server says, or else where it was left, and never less
/// than the real time.
pub(super) fn present(store: &Store, state: &Path) -> Result<DateTime<Utc>, Failure> {
    match socket::ask(state, "now")? {
        Some(moved) => Ok(moved.now),
        None => Ok(left(store, state)?.now.max(Clock::System.now())),
    }
}

/// Runs a command about the clock.
pub(super) fn run(global: &Global, command: &PracticeCommand) -> Result<ExitCode, Failure> {
    let (line, as_json) = match command {
        PracticeCommand::Advance { step, json } => (step.to_string(), *json),
        PracticeCommand::Now { json } => ("now".to_owned(), *json),
    };
    let console = Console::open(global)?;
    if !console.practice {
        return Err(Failure::unfit(
            "this is no practice installation: its clock cannot be moved",
            "make one elsewhere: embargod init --practice --directory DIR …",
        ));
    }
    let state = console.config.state();
    let moved = match socket::ask(&state, &line)? {
        Some(moved) => moved,
        None => stopped(&console, command)?,
    };
    if let Some(refused) = &moved.refused {
        return Err(Failure::unfit(refused.as_str(), "see the server's log"));
    }
    if as_json {
        json(&moved);
    } else {
        show(&moved, matches!(command, PracticeCommand::Advance { .. }));
    }
    Ok(ExitCode::SUCCESS)
}

/// Moves the clock while no server runs.
fn stopped(console: &Console, command: &PracticeCommand) -> Result<Moved, Failure> {
    let mut now = console.clock.now();
    if let PracticeCommand::Advance { step, .. } = command {
        now = step.from(now).map_err(|error| Failure::unfit(error.to_string(), step::CURE))?;
        let state = console.config.state();
        let served = left(&console.store, &state)?.served;
        ClockFile::below(&state).write(Kept { now, served })?;
    }
    Ok(Moved { now, ..Moved::default() })
}

fn show(moved: &Moved, advanced: bool) {
    item("now", &display_instant(moved.now.trunc_subsecs(0), Tz::UTC));
    if !advanced {
        return;
    }
    if moved.running {
        let mails = if moved.sent == 1 { "mail" } else { "mails" };
        item("sent", &format!("{} {mails}", moved.sent));
        for advisory in &moved.lifted {
            item("LIFTED", advisory);
        }
    } else {
        say("  no server runs here; what became due happens when one starts: embargod serve");
    }
}
