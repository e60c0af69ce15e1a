//! The server and its operator's commands.

fn main() -> std::process::ExitCode {
    embargod::cli::rehearse()
}
