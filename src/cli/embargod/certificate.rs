//! `embargod certificate`: what an OpenPGP certificate is good for.

use std::process::ExitCode;

use clap::Subcommand;

use super::failure::Failure;
use super::screen;
use crate::cli::inspection::{self, InspectArguments};
use crate::clock::Clock;

/// The exit code where there is no certificate.
const NO_CERTIFICATE: u8 = 2;

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
pub(super) fn run(command: &CertificateCommand) -> ExitCode {
    let CertificateCommand::Inspect { arguments, json } = command;
    match inspection::inspect(arguments, *json, Clock::System.now()) {
        Ok(said) => {
            screen::say(said.text.trim_end());
            ExitCode::from(said.code)
        }
        Err(error) => {
            // What cannot be read holds no certificate; 1 would say that it holds one.
            screen::complain(&Failure::file(arguments.file(), "read")(error));
            ExitCode::from(NO_CERTIFICATE)
        }
    }
}
