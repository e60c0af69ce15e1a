//! The sections of the file other than `[mail.relay]`, with their defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::relay::RelayConfig;

/// The database if none is named.
pub(super) const DATABASE: &str = "state/embargod.sqlite";

/// The `[server]` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Where people reach the server, such as `https://embargo.example`, without a slash at the end.
    pub url: String,
    /// Where it listens; a proxy with TLS stands in front of it.
    #[serde(default = "listen", deserialize_with = "address")]
    pub listen: SocketAddr,
    /// What the ids of advisories begin with.
    #[serde(default = "id_prefix")]
    pub id_prefix: String,
}

fn listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 8080).into()
}

fn id_prefix() -> String {
    "EMB".to_owned()
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        D::Error::custom(format!(
            "listen = {text:?} is no address with a port; write one such as \"127.0.0.1:8080\" or \"[::1]:8080\""
        ))
    })
}

/// The `[database]` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// A file of SQLite, or `postgres://user@host/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A file with the url on its first line: for addresses with a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
}

pub(super) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// The `[keys]` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeysConfig {
    /// The key-encryption key. A file `kek` in `$CREDENTIALS_DIRECTORY` comes first.
    pub kek_file: PathBuf,
    /// How many days after the end of an embargo its data key is destroyed.
    pub destroy_after_days: u16,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self { kek_file: PathBuf::from("state/kek"), destroy_after_days: 90 }
    }
}

/// The `[mail]` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// The neutral address that mail comes from.
    pub from: String,
    /// Above this size in bytes fixes are fetched instead of attached.
    #[serde(default = "max_bytes")]
    pub max_bytes: usize,
    /// The way out.
    pub relay: RelayConfig,
}

fn max_bytes() -> usize {
    8 << 20
}

/// The `[log]` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Which messages: a level, or levels by module. `actix_http` is off: it says an error of each stranger who sends no
    /// HTTP.
    pub filter: String,
    /// How they are written, on standard error.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info,actix_server=warn,actix_http=off".to_owned(), format: LogFormat::Text }
    }
}

/// How log messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object on each line.
    Json,
}
