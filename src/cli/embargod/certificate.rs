//! `embargod certificate`: what an OpenPGP certificate is good for.

use std::process::ExitCode;

use clap::Subcommand;

use super::failure::Failure;
use super::screen;
use crate::cli::inspection::{self, InspectArguments};
use crate::clock::Clock;

/// Commands about certificates.
#[derive(Debug, Subcommand)]
pub(super) enum CertificateCommand {
    /// Says whether notices could be encrypted to it now, and what its owner can do if not.
    Inspect {
        #[command(flatten)]
        arguments: InspectArguments,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs a command about a certificate.
pub(super) fn run(command: &CertificateCommand) -> Result<ExitCode, Failure> {
    let CertificateCommand::Inspect { arguments, json } = command;
    let said = inspection::inspect(arguments, *json, Clock::System.now())
        .map_err(Failure::file(arguments.file(), "read"))?;
    screen::say(said.text.trim_end());
    Ok(ExitCode::from(said.code))
}
