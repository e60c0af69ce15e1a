//! `embargod certificate`: what an OpenPGP certificate is good for, and the end of its use.

use std::process::ExitCode;

use clap::Subcommand;

use super::console::{Console, Global};
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
    /// Stops all use of a registered certificate, for good.
    #[command(after_help = "Example:\n  \
        embargod certificate revoke 5E2A… --reason \"Ada: the laptop was stolen on Monday\"\n\n\
        Its owner's tokens end, signed commands are refused, what waits to be mailed is blocked: on every replica, \
        with the next thing it would have done. The same certificate is never accepted again.")]
    Revoke {
        /// The fingerprint of its primary key.
        fingerprint: String,
        /// Who asked for it, and why; kept in the audit log, and told to the maintainers.
        #[arg(long, value_name = "WHO_WHY")]
        reason: String,
    },
}

/// Runs a command about a certificate.
pub(super) fn run(global: &Global, command: &CertificateCommand) -> Result<ExitCode, Failure> {
    match command {
        CertificateCommand::Inspect { arguments, json } => Ok(inspect(arguments, *json)),
        CertificateCommand::Revoke { fingerprint, reason } => {
            let console = Console::open(global)?;
            screen::removed("revoked", &console.operator().revoke_certificate(fingerprint, reason)?);
            console.is_remembered()?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn inspect(arguments: &InspectArguments, json: bool) -> ExitCode {
    match inspection::inspect(arguments, json, Clock::System.now()) {
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
