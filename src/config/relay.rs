//! The `[relay]` section: where mail goes out.
//!
//! One rule is kept here and again at every connection: without TLS mail goes to a loopback address only.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The `[relay]` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayConfig {
    /// A mail server, or a folder.
    pub kind: RelayKind,
    /// Name or address of the mail server; its certificate must be made out to it.
    pub host: String,
    /// Its port: 587 for `starttls`, 465 for `implicit`.
    pub port: u16,
    /// How the connection is protected.
    pub tls: RelayTls,
    /// Who we are to the relay; together with `password_file`.
    pub user: Option<String>,
    /// A file that holds the password on its first line.
    pub password_file: Option<PathBuf>,
    /// How many connections at once, 1 to 32.
    pub connections: u8,
    /// The most mails a minute over all connections; no limit if absent.
    pub messages_per_minute: Option<NonZeroU32>,
    /// The name in our EHLO; an address literal if absent.
    pub hello_name: Option<String>,
    /// How long one answer may take, 1 to 600 seconds; the last one of a mail may take ten times as long.
    pub timeout_seconds: u64,
    /// Certificates (PEM) to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// For `kind = "maildir"`: the folder in which each recipient gets a Maildir.
    pub folder: Option<PathBuf>,
}

/// What a relay is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayKind {
    /// A mail server that speaks SMTP.
    #[default]
    Smtp,
    /// A folder of Maildirs, for rehearsals and for other programs to pick up.
    Maildir,
}

/// How a connection to the relay is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayTls {
    /// TLS after STARTTLS, and no mail if the relay does not offer it.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// None; to a loopback address only.
    None,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            kind: RelayKind::Smtp,
            host: String::new(),
            port: 587,
            tls: RelayTls::Starttls,
            user: None,
            password_file: None,
            connections: 2,
            messages_per_minute: None,
            hello_name: None,
            timeout_seconds: 30,
            ca_file: None,
            folder: None,
        }
    }
}

/// What is wrong with the `[relay]` section.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRelay {
    /// No host, or none that could be one.
    #[error(
        "relay.host = {host:?} names no mail server; write its name or address, such as \"smtp.example\""
    )]
    Host {
        /// What was written.
        host: String,
    },
    /// Port 0.
    #[error("relay.port = 0 is no port; write 587 for starttls or 465 for implicit TLS")]
    Port,
    /// No TLS, and not to this machine.
    #[error(
        "relay.tls = \"none\" is allowed to a loopback address only, and {host:?} is none; \
         write tls = \"starttls\" or \"implicit\", or host = \"127.0.0.1\""
    )]
    PlaintextOffLoopback {
        /// Where mail would have gone.
        host: String,
    },
    /// One of user and password without the other.
    #[error(
        "relay.user and a password belong together; write user and password_file (or leave a credential \
         `relay-password`), or neither"
    )]
    HalfLogin,
    /// A number out of its range.
    #[error("relay.{key} = {value} is out of range; write {least} to {most}")]
    Range {
        /// Which key.
        key: &'static str,
        /// What was written.
        value: u64,
        /// The least that is allowed.
        least: u64,
        /// The most that is allowed.
        most: u64,
    },
    /// A name for EHLO that is none.
    #[error("relay.hello_name is no host name; write the name of this machine, such as \"embargo.example\"")]
    HelloName,
    /// A Maildir without a place.
    #[error("relay.folder is missing; with kind = \"maildir\" it says where the Maildirs lie")]
    Folder,
}

impl RelayConfig {
    /// Checks what the types cannot say.
    pub fn validate(&self) -> Result<(), InvalidRelay> {
        let range = |key, value, least, most| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(InvalidRelay::Range { key, value, least, most })
            }
        };
        range("connections", self.connections.into(), 1, 32)?;
        range("timeout_seconds", self.timeout_seconds, 1, 600)?;
        if self.kind == RelayKind::Maildir {
            return if self.folder.is_some() { Ok(()) } else { Err(InvalidRelay::Folder) };
        }
        if self.host.parse::<IpAddr>().is_err() && !is_host_name(&self.host) {
            return Err(InvalidRelay::Host { host: self.host.clone() });
        }
        if self.port == 0 {
            return Err(InvalidRelay::Port);
        }
        if self.tls == RelayTls::None && !self.names_loopback() {
            return Err(InvalidRelay::PlaintextOffLoopback { host: self.host.clone() });
        }
        if self.user.is_some() != self.password_file.is_some() {
            return Err(InvalidRelay::HalfLogin);
        }
        if self.hello_name.as_deref().is_some_and(|name| !is_host_name(name)) {
            return Err(InvalidRelay::HelloName);
        }
        Ok(())
    }

    /// Whether mail stays on this machine: what a rehearsal requires, and a connection without TLS.
    ///
    /// `localhost` counts here; what it resolves to is looked at when connecting.
    pub fn names_loopback(&self) -> bool {
        self.kind == RelayKind::Maildir
            || self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

fn is_host_name(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RelayConfig, InvalidRelay> {
        let config: RelayConfig = toml::from_str(text).unwrap();
        config.validate().map(|()| config)
    }

    #[test]
    fn the_shortest_section_means_starttls_on_the_submission_port() {
        let config = read("host = 'smtp.example'").unwrap();
        assert_eq!((config.port, config.tls, config.connections), (587, RelayTls::Starttls, 2));
        assert!(!config.names_loopback());
    }

    #[test]
    fn no_tls_is_for_loopback_only_even_if_the_name_only_looks_like_it() {
        for host in ["smtp.example", "10.0.0.1", "127.0.0.1.attacker.example", "0.0.0.0", "localhost.example"]
        {
            let error = read(&format!("host = '{host}'\ntls = 'none'")).unwrap_err();
            assert_eq!(error, InvalidRelay::PlaintextOffLoopback { host: host.into() });
        }
        for host in ["127.0.0.1", "127.8.8.8", "::1", "localhost"] {
            assert!(read(&format!("host = '{host}'\ntls = 'none'")).is_ok(), "{host}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_write() {
        assert_eq!(read("").unwrap_err(), InvalidRelay::Host { host: String::new() });
        assert_eq!(read("host = 'a'\nport = 0").unwrap_err(), InvalidRelay::Port);
        assert_eq!(read("host = 'a'\nuser = 'u'").unwrap_err(), InvalidRelay::HalfLogin);
        assert_eq!(read("host = 'a'\nhello_name = \"x\\r\\nMAIL\"").unwrap_err(), InvalidRelay::HelloName);
        assert_eq!(read("kind = 'maildir'").unwrap_err(), InvalidRelay::Folder);
        let error = read("host = 'a'\nconnections = 0").unwrap_err().to_string();
        assert_eq!(error, "relay.connections = 0 is out of range; write 1 to 32");
        assert!(toml::from_str::<RelayConfig>("hots = 'a'").is_err());
        assert!(toml::from_str::<RelayConfig>("messages_per_minute = 0").is_err());
    }
}
