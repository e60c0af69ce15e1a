//! Whether mail would find its way out, as far as can be known without sending one.

use std::path::Path;

use tokio::runtime::{Builder, Runtime};

use super::super::failure::Failure;
use super::Finding;
use crate::config::Config;
use crate::config::relay::{RelayConfig, RelayKind, RelayTls};
use crate::outbound::smtp::{Relay, RelayError};

pub(super) fn check(config: &Config) -> Result<Finding, Failure> {
    let relay = &config.mail.relay;
    if let (RelayKind::Maildir, Some(folder)) = (relay.kind, &relay.folder) {
        return Ok(maildir(folder));
    }
    Ok(match runtime()?.block_on(greet(relay)) {
        Ok(Some(limit)) if limit < u64::try_from(config.mail.max_bytes).unwrap_or(u64::MAX) => Finding::warn(
            format!("{} takes mails of {limit} bytes at most", described(relay)),
            format!("write max_bytes = {limit} in [mail]: larger fixes are then fetched, not attached"),
        ),
        Ok(Some(limit)) => Finding::ok(format!("{}, takes {} MB", described(relay), limit / 1_000_000)),
        Ok(None) => Finding::ok(format!("{}, sets no limit", described(relay))),
        Err(error) => {
            Finding::fail(error.to_string(), "correct [mail.relay], or wait until the relay is back")
        }
    })
}

/// Where a look at the relay runs.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread().enable_all().build().map_err(Failure::system("a thread"))
}

/// Connects, says EHLO, logs in if so configured, and goodbye.
async fn greet(config: &RelayConfig) -> Result<Option<u64>, RelayError> {
    let connection = Relay::new(config)?.connect().await?;
    let limit = connection.size_limit();
    connection.quit().await;
    Ok(limit)
}

fn described(relay: &RelayConfig) -> String {
    let tls = match relay.tls {
        RelayTls::Starttls => "STARTTLS",
        RelayTls::Implicit => "TLS",
        RelayTls::None => "no TLS, on this machine",
    };
    let login = if relay.user.is_some() { ", logged in" } else { "" };
    format!("relay {}:{} {tls}{login}", relay.host, relay.port)
}

fn maildir(folder: &Path) -> Finding {
    // The folder is made with the first mail; until then its place must be there.
    let place = if folder.exists() { Some(folder) } else { folder.parent() };
    match place.map(std::fs::metadata) {
        Some(Ok(found)) if found.is_dir() && !found.permissions().readonly() => {
            Finding::ok(format!("relay: mails are put into {}", folder.display()))
        }
        _ => Finding::fail(
            format!("{} cannot be written: mails would have no place", folder.display()),
            "correct [mail.relay] folder",
        ),
    }
}
