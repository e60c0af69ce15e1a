//! What the operator decides: the file `embargod.toml`, one struct per section.
//!
//! Promises: a misspelt key is refused and the nearest known one named, so nothing is silently left at its
//! default; relative paths mean places beside the file, wherever the program was started; a credential of the
//! service manager comes before the file that the settings name. Reads the files it is told to and no environment; whether what the paths name is any good is found out by who uses it.

mod error;
pub mod limits;
pub mod metrics;
pub mod nearest;
pub mod reference;
pub mod relay;
mod sections;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use error::ConfigError;
pub use sections::{DatabaseConfig, KeysConfig, LogConfig, LogFormat, MailConfig, ServerConfig};

use limits::LimitsConfig;
use metrics::MetricsConfig;
use relay::RelayKind;

/// The name of the credential that holds the database's address.
pub const DATABASE_CREDENTIAL: &str = "database-url";
/// The name of the credential that holds the relay's password.
pub const PASSWORD_CREDENTIAL: &str = "relay-password";

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the server is, seen from outside and from inside.
    pub server: ServerConfig,
    /// Where the data lives.
    #[serde(default)]
    pub database: DatabaseConfig,
    /// Where the key-encryption key lies.
    #[serde(default)]
    pub keys: KeysConfig,
    /// What mail looks like and where it goes.
    pub mail: MailConfig,
    /// What is logged.
    #[serde(default)]
    pub log: LogConfig,
    /// What strangers may use up.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Where numbers can be read.
    #[serde(default)]
    pub metrics: MetricsConfig,
}

impl Config {
    /// Reads the file at `path`, checks it, and makes its paths absolute. What is found in the folder
    /// `credentials`, where a service manager leaves secrets, comes before the files that are named.
    pub fn load(path: &Path, credentials: Option<&Path>) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        let mut config = Self::read(&text, path)?;
        config.check_database(path)?;
        if let Some(folder) = credentials {
            config.prefer_credentials(&std::path::absolute(folder).map_err(unreadable)?);
        }
        config.validate(path)?;
        config.resolve(absolute.parent().unwrap_or(Path::new("/")));
        Ok(config)
    }

    /// Reads and checks `text`; `path` is only named in errors. Paths stay as they are written.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config = Self::read(text, path)?;
        config.check_database(path)?;
        config.validate(path)?;
        Ok(config)
    }

    fn read(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::reading(path, text, &error))
    }

    fn prefer_credentials(&mut self, folder: &Path) {
        let found = |name| Some(folder.join(name)).filter(|path| path.exists());
        if let Some(path) = found(DATABASE_CREDENTIAL) {
            self.database = DatabaseConfig { url: None, url_file: Some(path) };
        }
        if let Some(path) = found(PASSWORD_CREDENTIAL) {
            self.mail.relay.password_file = Some(path);
        }
    }

    fn check_database(&self, path: &Path) -> Result<(), ConfigError> {
        if self.database.url.is_some() && self.database.url_file.is_some() {
            return Err(ConfigError::Value {
                path: path.to_owned(),
                key: "database.url",
                expected: "either url or url_file, not both".to_owned(),
            });
        }
        Ok(())
    }

    fn validate(&self, path: &Path) -> Result<(), ConfigError> {
        let wrong = |key, expected: &str| {
            Err(ConfigError::Value { path: path.to_owned(), key, expected: expected.to_owned() })
        };
        let url = &self.server.url;
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if !host.is_some_and(is_host_and_path) {
            return wrong(
                "server.url",
                "the address that people type, without a slash at the end, such as \"https://embargo.example\"",
            );
        }
        let prefix = &self.server.id_prefix;
        let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        if !(1..=16).contains(&prefix.len()) || !prefix.bytes().all(allowed) {
            return wrong("server.id_prefix", "1 to 16 of the characters A-Z and 0-9, such as \"EMB\"");
        }
        if !(31..=3650).contains(&self.keys.destroy_after_days) {
            return wrong("keys.destroy_after_days", "a number of days from 31 to 3650, such as 90");
        }
        if !(1 << 16..=1 << 26).contains(&self.mail.max_bytes) {
            return wrong("mail.max_bytes", "a number of bytes from 65536 to 67108864, such as 8388608");
        }
        if self.metrics.collides_with(self.server.listen) {
            return wrong(
                "metrics.listen",
                "another port than that of [server] listen, such as \"127.0.0.1:9187\": numbers are not for the public",
            );
        }
        if let Some((key, expected)) = self.limits.fault() {
            return wrong(key, expected);
        }
        self.mail.relay.validate().map_err(|source| ConfigError::Relay { path: path.to_owned(), source })
    }

    fn resolve(&mut self, base: &Path) {
        let keys_and_files = [
            Some(&mut self.keys.kek_file),
            self.database.url_file.as_mut(),
            self.mail.relay.password_file.as_mut(),
            self.mail.relay.ca_file.as_mut(),
            self.mail.relay.folder.as_mut(),
        ];
        for path in keys_and_files.into_iter().flatten() {
            *path = base.join(&*path);
        }
        if self.database.url_file.is_none() {
            let url = self.database.url.as_deref().unwrap_or(sections::DATABASE);
            let url = if sections::is_postgres(url) {
                url.to_owned()
            } else {
                let file = url.strip_prefix("sqlite:").unwrap_or(url);
                base.join(file).to_string_lossy().into_owned()
            };
            self.database.url = Some(url);
        }
    }

    /// The database: a `postgres://` address or the path of a file. Reads `database.url_file`, if that is used.
    pub fn database_url(&self) -> Result<String, ConfigError> {
        match (&self.database.url, &self.database.url_file) {
            (_, Some(path)) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::UrlFile { path: path.clone(), source })?;
                Ok(text.lines().next().unwrap_or_default().trim().to_owned())
            }
            (Some(url), None) => Ok(url.clone()),
            (None, None) => Ok(sections::DATABASE.to_owned()),
        }
    }

    /// Where the server keeps what is no data: the folder of the key-encryption key.
    pub fn state(&self) -> PathBuf {
        self.keys.kek_file.parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
    }

    /// Whether mail stays on this machine.
    pub fn mail_stays_here(&self) -> bool {
        self.mail.relay.kind == RelayKind::Maildir || self.mail.relay.names_loopback()
    }

    /// Whether the public address is this machine only, so that nobody else sees what is sent to it in clear.
    pub fn url_is_loopback(&self) -> bool {
        loopback(&self.server.url).is_some()
    }

    /// The configuration as TOML with every default written out and without the database's password.
    pub fn to_text(&self) -> String {
        let mut shown = self.clone();
        shown.database.url = shown.database.url.map(|url| without_password(&url));
        toml::to_string(&shown).unwrap_or_default()
    }
}

/// The address on this machine that an `http` url names, if it names one.
pub fn loopback(url: &str) -> Option<SocketAddr> {
    let host = url.strip_prefix("http://")?.split('/').next().unwrap_or_default();
    let inside = host.find(']').map_or(0, |end| end + 1);
    let (name, port) = match host[inside..].rsplit_once(':') {
        Some((name, port)) => (&host[..inside + name.len()], port.parse().ok()?),
        None => (host, 80),
    };
    let address = match name {
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        _ => name.trim_matches(['[', ']']).parse::<IpAddr>().ok()?,
    };
    address.is_loopback().then_some(SocketAddr::new(address, port))
}

fn is_host_and_path(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['/', ':'])
        && !text.ends_with('/')
        && !text.contains("//")
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/[]".contains(&byte))
}

/// A database's address with `***` in place of its password, wherever in the address it stands.
pub fn without_password(url: &str) -> String {
    let mut shown = url.to_owned();
    if let Some((scheme, rest)) = url.split_once("://")
        && let Some((login, place)) = rest.rsplit_once('@')
        && let Some((user, _)) = login.split_once(':')
    {
        shown = format!("{scheme}://{user}:***@{place}");
    }
    match shown.split_once("password=") {
        Some((before, after)) => {
            let end = after.find(['&', ' ']).unwrap_or(after.len());
            format!("{before}password=***{}", &after[end..])
        }
        None => shown,
    }
}

#[cfg(test)]
mod password_tests {
    use super::without_password;

    #[test]
    fn a_password_is_hidden_wherever_in_the_address_it_stands() {
        for (url, shown) in [
            ("postgres://u:secret@h/d", "postgres://u:***@h/d"),
            (
                "postgres://u@h/d?password=secret&sslmode=require",
                "postgres://u@h/d?password=***&sslmode=require",
            ),
            ("postgres:///d?host=/run&user=u&password=secret", "postgres:///d?host=/run&user=u&password=***"),
            ("host=h user=u password=secret", "host=h user=u password=***"),
            ("state/embargod.sqlite", "state/embargod.sqlite"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
