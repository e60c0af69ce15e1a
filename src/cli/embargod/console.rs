//! What every command starts from: the options that all share, the configuration, the opened installation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::alone::Alone;
use super::failure::{Failure, sender};
use super::practice;
use crate::app::roster::Operator;
use crate::app::witness::Witness;
use crate::app::{Refusal, Settings};
use crate::cli::assembly::open_store_with;
use crate::clock::Clock;
use crate::config::Config;
use crate::entropy::Entropy;
use crate::store::{Location, Store};
use crate::vault::{KeyEncryptionKey, KeySource, Vault};

/// Options of every command.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Global {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        env = "EMBARGOD_CONFIG",
        default_value = "embargod.toml",
        value_name = "PATH",
        help_heading = "For all commands"
    )]
    pub config: PathBuf,
    /// Where a service manager leaves credentials.
    #[arg(long, global = true, env = "CREDENTIALS_DIRECTORY", hide = true, hide_env_values = true)]
    pub credentials: Option<PathBuf>,
}

impl Global {
    /// Reads the configuration.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(&self.config, self.credentials.as_deref())?)
    }

    /// Where the key-encryption key lies: the service manager's credential comes first.
    pub(super) fn kek_path(&self, config: &Config) -> PathBuf {
        let credential = self.credentials.as_ref().map(|folder| folder.join("kek"));
        credential.filter(|path| path.exists()).unwrap_or_else(|| config.keys.kek_file.clone())
    }

    /// The key-encryption keys in their file: one, and during a rotation the next one below it.
    pub(super) fn keks(&self, config: &Config) -> Result<Vec<KeyEncryptionKey>, String> {
        read_keks(&self.kek_path(config))
    }

    /// The first key-encryption key, or why there is none.
    pub(super) fn kek(&self, config: &Config) -> Result<KeyEncryptionKey, String> {
        // The file has at least one, or it could not be read.
        self.keks(config)?.into_iter().next().ok_or_else(|| "there is no key-encryption key".to_owned())
    }

    /// Reads the file again whenever a key is needed that was not met yet.
    pub(super) fn key_source(&self, config: &Config) -> KeySource {
        let paths = [self.kek_path(config), config.keys.kek_file.clone()];
        Arc::new(move || paths.iter().filter_map(|path| read_keks(path).ok()).flatten().collect())
    }

    /// Opens the database as it is: nothing is made, nothing migrated.
    pub(super) fn database(&self, config: &Config) -> Result<Store, Failure> {
        let vault = match self.kek(config) {
            Ok(kek) => Vault::open(kek, Entropy::System).with_source(Some(self.key_source(config))),
            Err(reason) => Vault::locked(reason, Entropy::System),
        };
        Ok(Store::open(location(config)?, Arc::new(vault))?)
    }
}

fn read_keks(path: &Path) -> Result<Vec<KeyEncryptionKey>, String> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| format!("the key-encryption key {} cannot be read: {error}", path.display()))?;
    KeyEncryptionKey::all_from_text(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Where the data lives. A file that is missing is an error: only `init` makes one.
pub(super) fn location(config: &Config) -> Result<Location, Failure> {
    let location = Location::parse(&config.database_url()?);
    match &location {
        Location::Sqlite(path) if !path.exists() => Err(Failure::unfit(
            format!("there is no database at {}", path.display()),
            "correct [database] url, restore a backup, or make an installation: embargod init --help",
        )),
        _ => Ok(location),
    }
}

/// What the use cases need of the configuration.
pub(super) fn settings(config: &Config, practice: bool) -> Result<Settings, Failure> {
    Ok(Settings {
        base_url: config.server.url.clone(),
        from: sender(&config.mail.from)?,
        id_prefix: config.server.id_prefix.clone(),
        max_mail_bytes: config.mail.max_bytes,
        practice,
    })
}

/// An opened installation.
pub(super) struct Console {
    pub config: Config,
    pub store: Store,
    pub clock: Clock,
    pub entropy: Entropy,
    /// Whether it is practice, for ever.
    pub practice: bool,
    witness: Arc<Witness>,
}

impl Console {
    /// Opens the installation that the options name; its schema is brought up to date, unless a server works on it.
    pub(super) fn open(global: &Global) -> Result<Self, Failure> {
        let _alone = Alone::to_migrate(&location(&global.load()?)?)?;
        Self::open_alone(global)
    }

    /// Opens it for whoever is alone on it, or does not have to be.
    pub(super) fn open_alone(global: &Global) -> Result<Self, Failure> {
        let config = global.load()?;
        let entropy = Entropy::System;
        let source = Some(global.key_source(&config));
        let store = open_store_with(location(&config)?, global.kek(&config), source, &entropy)?;
        if !store.read_now(|tx| Ok::<_, Refusal>(tx.is_founded()?))? {
            return Err(Failure::unfit(
                "the database belongs to no installation yet",
                "make one: embargod init --help",
            ));
        }
        let practice = store.read_now(|tx| Ok::<_, Refusal>(tx.is_practice()?))?;
        let clock = if practice {
            Clock::standing_at(practice::present(&store, &config.state())?).0
        } else {
            Clock::System
        };
        // What is ended here must be remembered as if a server did it.
        let witness = Arc::new(Witness::new(&config.state(), clock.clone(), &entropy));
        witness.attend(&store);
        Ok(Self { config, store, clock, entropy, practice, witness })
    }

    /// To be asked after something was ended: whether that is remembered outside the database, where an older copy of the
    /// database does not bring it back.
    pub(super) fn is_remembered(&self) -> Result<(), Failure> {
        self.witness.trouble().map_or(Ok(()), |trouble| {
            Err(Failure::unfit(
                format!("it is ended, and not remembered outside the database: {trouble}"),
                "mend that before an older copy of the database is used; a server that can write there remembers it \
                 within seconds, and says in /readyz that it cannot",
            ))
        })
    }

    /// The operator's use cases.
    pub(super) fn operator(&self) -> Operator<'_> {
        Operator { store: &self.store, clock: &self.clock, entropy: &self.entropy }
    }
}

/// The name of a maintainer's recovery file in the folder `state`.
pub(super) fn recovery_path(state: &Path, fingerprint: &str) -> PathBuf {
    state.join(format!("recovery-{fingerprint}.asc"))
}
