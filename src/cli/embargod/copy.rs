//! `embargod copy`: the installation into another database, SQLite or PostgreSQL, and back.

use std::process::ExitCode;
use std::sync::Arc;

use super::alone::Alone;
use super::backup::{failed, progress, said};
use super::console::{self, Global};
use super::failure::Failure;
use super::{restore, screen};
use crate::app::backup;
use crate::clock::Clock;
use crate::config::without_password;
use crate::entropy::Entropy;
use crate::store::{Location, Store};
use crate::vault::Vault;

/// Arguments of `embargod copy`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    embargod copy --to postgres://embargod@db.example/embargod\n  \
    embargod copy --to state/embargod.sqlite\n\n\
    Stop the server first, and do not start it on the old database again: what one of them sends, the other does not \
    know. Then write the new address into [database] of the configuration, and run: embargod doctor")]
pub(super) struct CopyArguments {
    /// An empty PostgreSQL database, or a SQLite file that does not exist.
    #[arg(long, value_name = "URL")]
    pub to: String,
}

/// The same place by a name that means it from everywhere. What SQLite keeps in memory is refused: the copy would be gone.
fn on_disk(place: Location) -> Result<Location, Failure> {
    let Location::Sqlite(path) = &place else { return Ok(place) };
    let name = path.to_string_lossy();
    if name.is_empty() || name.starts_with(':') || name.starts_with("file:") {
        return Err(Failure::unfit(
            format!("{name:?} names no file"),
            "name a new file for SQLite, or a database as postgres://USER@HOST/NAME",
        ));
    }
    Ok(Location::Sqlite(std::path::absolute(path).map_err(Failure::file(path, "named"))?))
}

fn shown(place: &Location) -> String {
    match place {
        Location::Sqlite(path) => path.display().to_string(),
        Location::Postgres(url) => without_password(url),
    }
}

/// Copies, and says what comes next.
pub(super) fn run(global: &Global, arguments: &CopyArguments) -> Result<ExitCode, Failure> {
    let config = global.load()?;
    // What is sealed is copied sealed: no key is needed.
    let vault = Vault::locked("it is not needed to copy", Entropy::System);
    let location = console::location(&config)?;
    let _alone =
        Alone::on(&location, "stop it first, and run this again: what it does after the copy would be lost")?;
    let from = Store::open(location, Arc::new(vault))?;
    let place = on_disk(Location::parse(&arguments.to))?;
    if place == *from.location() {
        return Err(Failure::unfit(
            "this is the database that it is in already",
            "name another one: --to URL",
        ));
    }
    let into = restore::target(place, Err("it is not needed to copy".to_owned()))?;
    let copied = backup::copy(&from, &into, Clock::System.now(), &mut progress).map_err(failed)?;
    screen::item("copied", &said(&copied));
    screen::item("same", "counts, chain and head of the audit log are equal on both sides");
    screen::item("next", &format!("[database] url = \"{}\" · embargod doctor", shown(into.location())));
    screen::item("never", "start a server on the old database again: remove it when the new one works");
    Ok(ExitCode::SUCCESS)
}
