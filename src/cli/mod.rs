//! The commands of both binaries, and the one place that puts the server together from its parts.

pub mod assembly;
pub mod embargoctl;

/// Rehearses a week.
pub fn rehearse() -> std::process::ExitCode {
    let options = crate::demo::rehearsal::Options { exit: true, port: 8080, ..Default::default() };
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            u8::try_from(runtime.block_on(crate::demo::rehearsal::run(options))).unwrap_or(1).into()
        }
        Err(_) => std::process::ExitCode::FAILURE,
    }
}
