//! The configuration file that `init` writes: every key that most operators touch, a comment on each.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::relay_address::RelayAddress;

/// What `init` knows.
pub(super) struct Template<'a> {
    pub url: &'a str,
    pub listen: SocketAddr,
    pub from: &'a str,
    /// The line of the `[database]` section.
    pub database: (&'static str, &'a str),
    /// The mail server that `init` was told; the one of this machine if it was told none.
    pub relay: Option<&'a RelayAddress>,
    pub practice: bool,
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

impl Template<'_> {
    /// The text of the file.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &str, comment: &str| {
            let _ = match (key, value) {
                ("", "") => writeln!(text, "{comment}"),
                ("", value) => writeln!(text, "\n{value}"),
                (key, value) => writeln!(text, "{:<44} # {comment}", format!("{key} = {value}")),
            };
        };
        let what = if self.practice { "a practice installation of embargod" } else { "embargod" };
        line(
            "",
            "",
            &format!(
                "# {what}; paths are relative to this file; check it with: embargod config check\n\
                 # every key there is: embargod config reference"
            ),
        );
        line("", "[server]", "");
        line("url", &quoted(self.url), "where people reach it, without a slash at the end");
        let listen = quoted(&self.listen.to_string());
        line("listen", &listen, "where it answers; put a proxy with TLS in front");
        line("id_prefix", "\"EMB\"", "advisories are called EMB-2026-1, EMB-2026-2, …");
        line("", "[database]", "");
        let (key, value) = self.database;
        line(key, &quoted(value), "a file, or postgres://…; url_file keeps a password out of here");
        line("", "[keys]", "");
        line("kek_file", "\"state/kek\"", "opens the database; keep a copy elsewhere, apart from backups");
        line("", "[mail]", "");
        line("from", &quoted(self.from), "the neutral address that mail comes from");
        line("max_bytes", "8388608", "above this size fixes are fetched, not attached");
        line("", "[mail.relay]", "");
        if self.practice {
            line("kind", "\"maildir\"", "practice sends nothing: mails are put into folders");
            line("folder", "\"state/mail\"", "a Maildir for each recipient");
        } else {
            let (host, port, tls) = match self.relay {
                Some(relay) => {
                    (relay.host.as_str(), relay.port, if relay.implicit { "implicit" } else { "starttls" })
                }
                None => ("localhost", 25, "none"),
            };
            let user = self.relay.and_then(|relay| relay.user.as_deref());
            let unless_used = if user.is_some() { "" } else { "# " };
            line("host", &quoted(host), "the mail server that takes our mail, such as \"smtp.example\"");
            line("port", &port.to_string(), "587 with \"starttls\", 465 with \"implicit\"");
            line("tls", &quoted(tls), "\"none\" is allowed to this machine only");
            line(
                &format!("{unless_used}user"),
                &quoted(user.unwrap_or("embargod")),
                "how we log in, together with",
            );
            let key = format!("{unless_used}password_file");
            line(&key, "\"state/relay-password\"", "a file with the password on its first line");
            line("# messages_per_minute", "60", "if the relay wants them slowly");
        }
        line("", "[log]", "");
        line(
            "filter",
            "\"info,actix_server=warn,actix_http=off\"",
            "error, warn, info, debug; by module if need be",
        );
        line("format", "\"text\"", "\"text\" or \"json\", on standard error");
        text
    }
}
