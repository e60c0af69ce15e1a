//! The server and its operator's commands; see [`embargod::cli::embargod`].

use std::process::ExitCode;

fn main() -> ExitCode {
    embargod::cli::embargod::run()
}
