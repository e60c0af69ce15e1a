//! The client of maintainers and packagers; see [`embargod::cli::embargoctl`].

use std::process::ExitCode;

fn main() -> ExitCode {
    embargod::cli::embargoctl::run()
}
