//! The server's log, on standard error. What is logged never holds content; that is the writers' promise.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use super::failure::Failure;
use crate::config::{LogConfig, LogFormat};

/// Reads the filter.
pub(super) fn filter(config: &LogConfig) -> Result<EnvFilter, Failure> {
    EnvFilter::try_new(&config.filter).map_err(|error| {
        Failure::unfit(
            format!("log.filter cannot be read: {error}"),
            "write a level, or levels by module, such as \"info,embargod=debug\"",
        )
    })
}

/// Starts logging, for the rest of this process.
pub(super) fn start(config: &LogConfig) -> Result<(), Failure> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(config)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Only a second start in one process fails, and then there is a log already.
    let _ = match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// From now on a panic is logged with its place alone: its words may repeat what was being read.
pub(super) fn say_where_and_not_what_panics() {
    std::panic::set_hook(Box::new(|panic| match panic.location() {
        Some(place) => tracing::error!("a part of the server broke off at {}:{}", place.file(), place.line()),
        None => tracing::error!("a part of the server broke off"),
    }));
}
