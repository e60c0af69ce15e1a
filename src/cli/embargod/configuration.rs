//! `embargod config`: whether the configuration can be used, and what it comes to.

use std::process::ExitCode;

use clap::Subcommand;

use super::console::{Global, location, settings};
use super::failure::Failure;
use super::{log, screen};
use crate::clock::Clock;
use crate::config::{Config, reference};
use crate::entropy::Entropy;
use crate::outbound::pool::RelayPool;

/// Commands about the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Reads the file and everything it names; connects to nothing.
    #[command(after_help = "Examples:\n  embargod config check\n  \
        embargod config check --config /etc/embargod/embargod.toml && systemctl restart embargod")]
    Check,
    /// Prints every key there is, with what it takes and its default, as a file to begin with.
    #[command(after_help = "Example:\n  embargod config reference | less")]
    Reference,
    /// Shows every key with the value it has, defaults included, without passwords.
    Show {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a command about the configuration.
pub(super) fn run(global: &Global, command: &ConfigCommand) -> Result<ExitCode, Failure> {
    if let ConfigCommand::Reference = command {
        screen::say(reference::text().trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let config = global.load()?;
    match command {
        ConfigCommand::Reference => {}
        ConfigCommand::Check => {
            check(global, &config)?;
            screen::item("ok", &format!("{} can be used", global.config.display()));
        }
        ConfigCommand::Show { json: true } => {
            let shown = toml::from_str::<toml::Table>(&config.to_text()).unwrap_or_default();
            screen::json(&shown);
        }
        ConfigCommand::Show { json: false } => screen::say(config.to_text().trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

fn check(global: &Global, config: &Config) -> Result<(), Failure> {
    settings(config, false)?;
    log::filter(&config.log)?;
    location(config)?;
    RelayPool::new(&config.mail.relay, Clock::System, Entropy::System)
        .map_err(|error| Failure::unfit(error.to_string(), "correct [mail.relay]"))?;
    match global.kek(config) {
        Ok(_) => Ok(()),
        Err(reason) => Err(Failure::unfit(reason, "put it back from its copy or from a recovery file")),
    }
}
