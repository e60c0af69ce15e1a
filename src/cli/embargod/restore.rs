//! `embargod restore`: a backup into an empty database, which then waits for the operator's word.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::alone::Alone;
use super::backup::{failed, progress, said};
use super::console::{Console, Global};
use super::failure::Failure;
use super::{files, screen};
use crate::app::backup;
use crate::app::recovery::{Account, go_on, revoke_again};
use crate::app::witness::{Witness, WitnessError};
use crate::clock::Clock;
use crate::config::Config;
use crate::entropy::Entropy;
use crate::store::{Location, Store, StoreError};
use crate::vault::Vault;

/// Arguments of `embargod restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    gpg --decrypt embargod.pgp | embargod restore -\n  \
    embargod restore --account                    what would happen if it went on?\n  \
    embargod restore --confirm 7hq2k0c1           go on\n\n\
    The database that the configuration names must be empty, or a file that does not exist; the key-encryption key \
    must be in its place. Afterwards a server can be started: it serves what is public, and sends, lifts and announces \
    nothing before the word is given. What had been revoked since, and stands in the file `revocations` of the \
    state directory, stays revoked: keep that directory.")]
pub(super) struct RestoreArguments {
    /// The decrypted backup; `-` for standard input.
    #[arg(required_unless_present_any = ["confirm", "account"], conflicts_with_all = ["confirm", "account"])]
    pub file: Option<PathBuf>,
    /// Shows what would happen if the hold were released, and the word for it.
    #[arg(long)]
    pub account: bool,
    /// Goes on with the database as it is: the word that `--account` shows.
    #[arg(long, value_name = "WORD")]
    pub confirm: Option<String>,
}

/// Restores, gives an account, or goes on.
pub(super) fn run(global: &Global, arguments: &RestoreArguments) -> Result<ExitCode, Failure> {
    if let Some(word) = &arguments.confirm {
        let console = Console::open(global)?;
        let witness = Witness::new(&console.config.state(), console.clock.clone(), &console.entropy);
        go_on(&console.store, &witness, word, console.clock.now()).map_err(Failure::witness)?;
        screen::item("ended", "the recovery hold: what is due happens now");
        return Ok(ExitCode::SUCCESS);
    }
    let Some(file) = &arguments.file else {
        let console = Console::open(global)?;
        show(&console.config, &console.store, &console.clock)?;
        return Ok(ExitCode::SUCCESS);
    };
    let config = global.load()?;
    let store = target(Location::parse(&config.database_url()?), global.kek(&config))?;
    let clock = Clock::System;
    let now = clock.now();
    let copied = if file == Path::new("-") {
        backup::restore(&store, std::io::stdin().lock(), now, &mut progress)
    } else {
        let opened = std::fs::File::open(file).map_err(Failure::file(file, "read"))?;
        backup::restore(&store, BufReader::new(opened), now, &mut progress)
    };
    let copied = copied.map_err(failed)?;
    screen::item("holds", &format!("{}, as of {}", said(&copied), copied.header.made_at));
    let witness = Witness::new(&config.state(), clock.clone(), &Entropy::System);
    let again = revoke_again(&store, &witness, now).map_err(Failure::witness)?;
    if again > 0 {
        screen::item("revoked", &format!("{again} again, that had been revoked since"));
    }
    show(&config, &store, &clock)?;
    Ok(ExitCode::SUCCESS)
}

/// An empty, migrated database; a file is made if it is missing.
pub(super) fn target(
    location: Location,
    kek: Result<crate::vault::KeyEncryptionKey, String>,
) -> Result<Store, Failure> {
    if let Location::Sqlite(path) = &location
        && !path.exists()
    {
        // SQLite gives its other files the rights of this one.
        files::create(path, 0o600, b"")?;
    }
    let vault = match kek {
        Ok(kek) => Vault::open(kek, Entropy::System),
        Err(reason) => Vault::locked(reason, Entropy::System),
    };
    let _alone = Alone::to_migrate(&location)?;
    let store = Store::open(location, Arc::new(vault))?;
    store.migrate()?;
    Ok(store)
}

fn show(config: &Config, store: &Store, clock: &Clock) -> Result<(), Failure> {
    let witness = Witness::new(&config.state(), clock.clone(), &Entropy::System);
    let published = witness.published().map_err(Failure::witness)?;
    let now = clock.now();
    let asked = store.read_now(|tx| {
        let account = Account::of(tx, &published, now)?;
        let word = account.word(tx)?;
        Ok((account, word))
    });
    let (account, word) = asked.map_err(|error: StoreError| Failure::from(error))?;
    for line in account.lines() {
        screen::item("would", &line);
    }
    screen::item("go on", &format!("embargod restore --confirm {word}"));
    Ok(())
}

impl Failure {
    fn witness(error: WitnessError) -> Self {
        if let WitnessError::Refused(refusal) = error {
            return refusal.into();
        }
        Self::unfit(error.to_string(), "see to the state directory: embargod doctor")
    }
}
