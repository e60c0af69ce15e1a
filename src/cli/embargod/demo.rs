//! `embargod demo`: the rehearsal, from the command line.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::failure::Failure;
use crate::demo::rehearsal;

/// Arguments of `embargod demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    embargod demo\n  \
    embargod demo --exit                              for scripts: ends after the last step, 0 if all held\n  \
    embargod demo --fix my.patch --to my-key.asc      your patch in a mail that only you can open\n\n\
    Nothing of an installation is needed or touched, and no mail leaves this machine.")]
pub(super) struct DemoArguments {
    /// Your own patch in place of ours.
    #[arg(long, value_name = "PATCH")]
    pub fix: Option<PathBuf>,
    /// Your OpenPGP certificate: one more packager, whose mail only you can open.
    #[arg(long, value_name = "KEY")]
    pub to: Option<PathBuf>,
    /// End after the last step instead of serving the result; implied when the output is no terminal.
    #[arg(long)]
    pub exit: bool,
    /// Where to leave everything that was published, mailed, stored and logged.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// The port to serve on; another one if it is taken.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
}

/// Rehearses.
pub(super) fn run(arguments: DemoArguments) -> Result<ExitCode, Failure> {
    let DemoArguments { fix, to, exit, keep, port } = arguments;
    // Nobody can press Ctrl-C in a pipe.
    let exit = exit || !std::io::stdout().is_terminal();
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::system("threads"))?;
    let code = runtime.block_on(rehearsal::run(rehearsal::Options { fix, to, exit, keep, port }));
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}
