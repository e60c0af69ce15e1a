//! What every command is given: options, profiles, the clock, and the way to a session.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use chrono::{DateTime, Utc};

use super::arguments::Global;
use super::error::CliError;
use super::report::Paint;
use crate::client::{Choice, Profile, Profiles, Programs, ServerAddress, Session};
use crate::clock::Clock;
use crate::entropy::Entropy;

pub(super) struct Context {
    pub global: Global,
    pub profiles: Profiles,
    pub clock: Clock,
    pub entropy: Entropy,
    pub paint: Paint,
}

impl Context {
    pub(super) fn of_user(global: Global) -> Result<Self, CliError> {
        Ok(Self {
            global,
            profiles: Profiles::of_user()?,
            clock: Clock::System,
            entropy: Entropy::System,
            paint: Paint::of_terminal(),
        })
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The server that was named in the options.
    pub(super) fn server(&self) -> Result<Option<ServerAddress>, CliError> {
        Ok(self.global.server.as_deref().map(str::parse).transpose()?)
    }

    /// The profile that the options mean.
    pub(super) fn profile(&self) -> Result<(String, Profile), CliError> {
        Ok(self.profiles.choose(self.global.profile.as_deref(), self.server()?.as_ref())?)
    }

    /// The program that the options mean, on top of what was used before.
    pub(super) fn choice(&self, before: Choice) -> Choice {
        let program = self.global.program.map(Into::into).or(before.program);
        let gnupg_home = self.global.gnupg_home.as_deref().map(absolute).or(before.gnupg_home);
        let key_file = self.global.key_file.as_deref().map(absolute).or(before.key_file);
        Choice { program, gnupg_home, key_file }
    }

    pub(super) fn session(&self) -> Result<Session, CliError> {
        let (_, profile) = self.profile()?;
        let choice = self.choice(profile.choice());
        let program = Programs::new(self.entropy.clone()).open(&choice)?;
        Ok(Session::new(profile, program, self.clock.clone(), self.entropy.clone(), say)?)
    }

    /// Remembers the project for the next `open`.
    pub(super) fn remember_project(&self, project: &str) -> Result<(), CliError> {
        let (name, mut profile) = self.profile()?;
        if profile.project.as_deref() != Some(project) {
            profile.project = Some(project.to_owned());
            self.profiles.write(&name, &profile, &self.entropy)?;
        }
        Ok(())
    }
}

fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Tells the user something that is no result.
pub(super) fn say(text: &str) {
    // Without a place to say it there is nobody who listens.
    let _ = writeln!(std::io::stderr(), "embargoctl: {text}");
}

/// The bytes of a file, or of standard input for `-`.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, CliError> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|source| CliError::Read { path: path.to_owned(), source })
}

/// What the user answers; `None` if nobody can be asked.
pub(super) fn ask(question: &str) -> Option<String> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let mut screen = std::io::stderr();
    write!(screen, "{question} ").and_then(|()| screen.flush()).ok()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).ok()?;
    Some(answer.trim().to_owned())
}

/// Whether the user answers with y.
pub(super) fn agrees(question: &str) -> bool {
    ask(question).is_some_and(|answer| matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}
