//! `embargod key`: the keys that protect what lies at rest.
//!
//! Promises: no key is ever shown; a rotation that was interrupted is finished by the same command; a retired key is
//! deleted only when somebody asks for it by name, and only when nothing in the database needs it.

mod check;
mod rotate;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use serde::Serialize;

use super::console::{Console, Global};
use super::failure::Failure;
use super::files;
use super::screen::{self, item, say};
use crate::app::Refusal;
use crate::app::installation::as_operator;
use crate::store::{KekState, Location};
use rotate::Rotation;

/// Commands about keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Lists the key-encryption keys: which one wraps new data keys, which ones are retired.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Puts a new key-encryption key in the place of the present one, while servers run.
    #[command(after_help = "Examples:\n  \
        embargod key rotate                     one machine: makes the key, wraps every data key anew; where the \
        service\n                                          gets its key as a credential it asks for a restart in between\n  \
        embargod key rotate --prepare           replicas: the new key joins the old one in the key file;\n                                          \
        copy that file to every machine (a credential is read when its service restarts)\n  \
        embargod key rotate --finish            then, on one of them: wraps every data key anew, retires the old key\n\n\
        Interrupted at any point, every data key is readable with the file as it is, and the same command goes on. New \
        recovery files are written; give each to its owner, and have it proved: gpg -d FILE | embargod key check -")]
    Rotate {
        /// Only make the new key and write it below the old one.
        #[arg(long, conflicts_with = "finish")]
        prepare: bool,
        /// Only use the key that was prepared.
        #[arg(long)]
        finish: bool,
        /// Somebody else who gets a recovery file, such as the operator: an OpenPGP certificate; repeat it for more.
        #[arg(long = "recovery-for", value_name = "FILE")]
        recovery_for: Vec<PathBuf>,
    },
    /// Proves that a recovery file works: reads what it decrypts to, and shows no key.
    #[command(after_help = "Examples:\n  \
        gpg -d recovery-….asc | embargod key check -\n  sq decrypt recovery-….asc | embargod key check -\n\n\
        Exit codes: 0 it opens every data key of this database, 1 it does not.")]
    Check {
        /// The decrypted recovery file, or `-` for standard input.
        file: PathBuf,
    },
    /// Deletes a retired key-encryption key. Backups from before its rotation can never be opened again.
    #[command(after_help = "Example:\n  embargod key list\n  embargod key forget 1f2e3d4c5b6a\n\n\
        It is refused while a data key needs it. Copies elsewhere (recovery files, other machines) are for you to destroy.")]
    Forget {
        /// The key's id, as `embargod key list` shows it.
        id: String,
    },
}

#[derive(Serialize)]
struct Listed {
    id: String,
    state: &'static str,
    since: String,
    data_keys: u64,
}

/// Runs a command about keys.
pub(super) fn run(global: &Global, command: &KeyCommand) -> Result<ExitCode, Failure> {
    match command {
        KeyCommand::List { json } => {
            let console = Console::open(global)?;
            list(&console, *json)?;
            Ok(ExitCode::SUCCESS)
        }
        KeyCommand::Check { file } => check::run(global, file),
        KeyCommand::Forget { id } => {
            let console = Console::open(global)?;
            forget(&console, &global.kek_path(&console.config), id)?;
            Ok(ExitCode::SUCCESS)
        }
        KeyCommand::Rotate { prepare, finish, recovery_for } => {
            let console = Console::open(global)?;
            let others = recovery_for.iter().map(|path| files::read(path)).collect::<Result<Vec<_>, _>>()?;
            let mut rotation = Rotation::of(&console, global.kek_path(&console.config), others);
            rotation.is_credential = *rotation.path() != console.config.keys.kek_file;
            if *prepare {
                rotation.prepare()?;
                item(
                    "next",
                    &format!(
                        "copy {} to every machine, restart what gets it as a credential, then: embargod key rotate --finish",
                        rotation.path().display()
                    ),
                );
                return Ok(ExitCode::SUCCESS);
            }
            let shared = matches!(console.store.location(), Location::Postgres(_));
            if shared && !finish && !rotation.is_begun()? {
                return Err(Failure::unfit(
                    "replicas on other machines would meet data keys that they cannot open",
                    "embargod key rotate --prepare, copy the key file to every machine, embargod key rotate --finish",
                ));
            }
            if !finish {
                rotation.prepare()?;
            }
            rotation.finish()?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn list(console: &Console, json: bool) -> Result<(), Failure> {
    let (states, current) = console.store.read_now(|tx| Ok::<_, Refusal>((tx.keks()?, tx.current_kek()?)))?;
    let listed: Vec<_> = states.iter().map(|state| describe(state, current.as_deref())).collect();
    if json {
        screen::json(&listed);
        return Ok(());
    }
    let row = |key: &Listed| {
        vec![
            key.id.clone(),
            key.state.to_owned(),
            format!("since {}", key.since),
            format!("wraps {}", key.data_keys),
        ]
    };
    say(screen::columns(&listed.iter().map(row).collect::<Vec<_>>()).trim_end());
    Ok(())
}

fn describe(key: &KekState, current: Option<&str>) -> Listed {
    let (state, since): (_, DateTime<Utc>) = match (key.forgotten_at, key.retired_at, key.current_at) {
        (Some(at), _, _) => ("forgotten", at),
        (None, Some(at), _) => ("retired", at),
        (None, None, Some(at)) if current == Some(&key.id) => ("current", at),
        (None, None, Some(at)) => ("giving way", at),
        (None, None, None) => ("prepared", key.prepared_at),
    };
    Listed { id: key.id.clone(), state, since: since.date_naive().to_string(), data_keys: key.wraps }
}

/// Where a retired key lies.
fn retired_path(kek: &Path, id: &str) -> PathBuf {
    let mut name = kek.file_name().unwrap_or_default().to_owned();
    name.push(format!(".retired-{id}"));
    kek.with_file_name(name)
}

/// Says whether there was a copy here.
fn forget(console: &Console, kek: &Path, id: &str) -> Result<bool, Failure> {
    let states = console.store.read_now(|tx| Ok::<_, Refusal>(tx.keks()?))?;
    let Some(state) = states.iter().find(|state| state.id == id) else {
        return Err(Failure::unfit(
            format!("there is no key-encryption key {id:?}"),
            "embargod key list shows them",
        ));
    };
    if state.retired_at.is_none() || state.wraps > 0 {
        return Err(Failure::unfit(
            format!("key-encryption key {id} is in use: it wraps {} data keys", state.wraps),
            "put another in its place first: embargod key rotate",
        ));
    }
    let path = retired_path(kek, id);
    let was_there = match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::file(path, "deleted")(error));
        }
        removed => removed.is_ok(),
    };
    files::sync_folder_of(&path)?;
    let now = console.clock.now();
    let noted = console.store.write_now(|tx| {
        let noted = tx.forget_kek(id, now)?;
        tx.audit(as_operator(now, "key-encryption key forgotten", id));
        Ok::<_, Refusal>(noted)
    })?;
    if !noted {
        return Err(Failure::unfit(
            format!("a data key is wrapped by {id} again: a row was put back from before its rotation"),
            "see which: embargod doctor",
        ));
    }
    let path = path.display();
    if was_there {
        item("deleted", &format!("{path} · backups from before its rotation cannot be opened any more"));
    } else {
        item("ok", &format!("there is no {path}: if it lies on another machine, run this there"));
    }
    Ok(was_there)
}
