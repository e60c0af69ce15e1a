//! Every key of the file, said once: what it is for, what it takes, what it is if nobody writes it.
//!
//! Promises, kept by tests: there is no key but these, each is accepted as it stands here, defaults are those that
//! the program uses, and ranges end where values begin to be refused.

use std::fmt::Write as _;

/// A section of the file.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// As in its header, such as `mail.relay`.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Its keys, in the order in which they are shown.
    pub keys: &'static [Key],
}

/// A key of the file.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub what: &'static str,
    /// What is written, with the unit where there is one.
    pub takes: &'static str,
    /// What it takes, where that can be counted.
    pub range: Range,
    /// What it is if nobody writes it.
    pub otherwise: Otherwise,
}

/// The values that a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Range {
    /// Said in words alone.
    Free,
    /// Whole numbers, both ends included.
    Numbers(u64, u64),
    /// One of these words.
    Words(&'static [&'static str]),
}

/// What a key is if nobody writes it. Values are written in TOML.
#[derive(Clone, Copy, Debug)]
pub enum Otherwise {
    /// It must be written, like this.
    Needed(&'static str),
    /// This.
    Default(&'static str),
    /// Nothing; what it could be.
    Nothing(&'static str),
}

impl Otherwise {
    /// A value that the key takes.
    pub fn example(self) -> &'static str {
        match self {
            Self::Needed(value) | Self::Default(value) | Self::Nothing(value) => value,
        }
    }
}

const fn key(
    name: &'static str,
    takes: &'static str,
    range: Range,
    otherwise: Otherwise,
    what: &'static str,
) -> Key {
    Key { name, what, takes, range, otherwise }
}

use Otherwise::{Default, Needed, Nothing};
use Range::{Free, Numbers, Words};

/// The whole file.
pub const SECTIONS: [Section; 8] = [
    Section {
        name: "server",
        about: "Where the server is, seen from outside and from inside.",
        keys: &[
            key(
                "url",
                "an address that begins with https:// (http:// on this machine alone), without a slash at the end",
                Free,
                Needed("\"https://embargo.example\""),
                "Where people reach the server. It stands in mails, pages and signed commands.",
            ),
            key(
                "listen",
                "an IP address with a port",
                Free,
                Default("\"127.0.0.1:8080\""),
                "Where it listens; a proxy with TLS stands in front of it.",
            ),
            key(
                "id_prefix",
                "1 to 16 of the characters A-Z and 0-9",
                Free,
                Default("\"EMB\""),
                "What the ids of advisories begin with: EMB-2026-1, EMB-2026-2, …",
            ),
        ],
    },
    Section {
        name: "database",
        about: "Where the data lives. Either url or url_file; a credential `database-url` in \
                $CREDENTIALS_DIRECTORY comes before both.",
        keys: &[
            key(
                "url",
                "a path, or postgres://user@host/name",
                Free,
                Default("\"state/embargod.sqlite\""),
                "A file of SQLite, or the address of a PostgreSQL database; with ?pooler=transaction at its end \
                 where PgBouncer hands out connections by the transaction.",
            ),
            key(
                "url_file",
                "a path",
                Free,
                Nothing("\"state/database-url\""),
                "A file with the address on its first line: for addresses with a password. Mode 400.",
            ),
        ],
    },
    Section {
        name: "keys",
        about: "What opens the database.",
        keys: &[
            key(
                "kek_file",
                "a path",
                Free,
                Default("\"state/kek\""),
                "The key-encryption key; its folder is the state directory. Mode 400. A credential `kek` in \
                 $CREDENTIALS_DIRECTORY comes first.",
            ),
            key(
                "destroy_after_days",
                "a number of days",
                Numbers(31, 3650),
                Default("90"),
                "How long after its end the content of a case is kept. Then its data key is destroyed: what was published \
                 stays, the rest cannot be opened any more.",
            ),
        ],
    },
    Section {
        name: "mail",
        about: "What mail looks like.",
        keys: &[
            key(
                "from",
                "an address without a display name",
                Free,
                Needed("\"embargo@host.example\""),
                "The neutral address that mail comes from.",
            ),
            key(
                "max_bytes",
                "bytes",
                Numbers(65_536, 67_108_864),
                Default("8388608"),
                "Above this size of a mail its fixes are fetched instead of attached.",
            ),
        ],
    },
    Section {
        name: "mail.relay",
        about: "The way out. The section itself is needed.",
        keys: &[
            key(
                "kind",
                "a word",
                Words(&["smtp", "maildir"]),
                Default("\"smtp\""),
                "A mail server, or a folder in which each recipient gets a Maildir.",
            ),
            key(
                "host",
                "a name or an IP address",
                Free,
                Needed("\"smtp.example\""),
                "The mail server; its certificate must be made out to this name. Not needed for \"maildir\".",
            ),
            key(
                "port",
                "a number",
                Numbers(1, 65_535),
                Default("587"),
                "Its port: 587 for \"starttls\", 465 for \"implicit\".",
            ),
            key(
                "tls",
                "a word",
                Words(&["starttls", "implicit", "none"]),
                Default("\"starttls\""),
                "How the connection is protected. \"none\" is allowed to this machine alone.",
            ),
            key(
                "user",
                "a name",
                Free,
                Nothing("\"embargod\""),
                "Who we are to the relay, together with a password.",
            ),
            key(
                "password_file",
                "a path",
                Free,
                Nothing("\"state/relay-password\""),
                "A file with the password on its first line. Mode 400. A credential `relay-password` in \
                 $CREDENTIALS_DIRECTORY comes first.",
            ),
            key(
                "connections",
                "a number",
                Numbers(1, 32),
                Default("2"),
                "How many connections are open at once.",
            ),
            key(
                "messages_per_minute",
                "a number",
                Numbers(1, 4_294_967_295),
                Nothing("60"),
                "The most mails a minute over all connections, if the relay wants them slowly.",
            ),
            key(
                "hello_name",
                "a host name",
                Free,
                Nothing("\"embargo.example\""),
                "The name in our EHLO; an address literal if absent.",
            ),
            key(
                "timeout_seconds",
                "seconds",
                Numbers(1, 600),
                Default("30"),
                "How long one answer may take; the last one of a mail may take ten times as long.",
            ),
            key(
                "ca_file",
                "a path",
                Free,
                Nothing("\"/etc/ssl/certs/relay.pem\""),
                "Certificates (PEM) to trust in place of the system's.",
            ),
            key(
                "folder",
                "a path",
                Free,
                Nothing("\"state/mail\""),
                "For kind = \"maildir\", and needed there: where the Maildirs lie.",
            ),
        ],
    },
    Section {
        name: "log",
        about: "What is logged, on standard error.",
        keys: &[
            key(
                "filter",
                "a level (error, warn, info, debug), or levels by module",
                Free,
                Default("\"info,actix_server=warn,actix_http=off\""),
                "Which messages. With actix_http=error each request that is not HTTP leaves a line: whoever sends them fills the disk.",
            ),
            key(
                "format",
                "a word",
                Words(&["text", "json"]),
                Default("\"text\""),
                "A line for people, or a JSON object on each line.",
            ),
        ],
    },
    Section {
        name: "limits",
        about: "What strangers may use up, on each replica.",
        keys: &[
            key(
                "proxies",
                "a list of IP addresses",
                Free,
                Default("[\"127.0.0.1\", \"::1\"]"),
                "The proxies whose X-Forwarded-For says who asks; anybody else's is not believed.",
            ),
            key(
                "logins_per_minute",
                "a number",
                Numbers(1, 100_000),
                Default("60"),
                "How many steps of a login one address may take (IPv6: a network of /64, and a /48 8 times as many); all together have 40 times as many. Where somebody registered proved within a week who they are, only the first counts.",
            ),
            key(
                "commands_per_minute",
                "a number",
                Numbers(1, 100_000),
                Default("120"),
                "How many signed commands may come from one address, counted like logins.",
            ),
            key(
                "applications_per_hour",
                "a number",
                Numbers(1, 100_000),
                Default("10"),
                "How many applications of packagers may come from one address (IPv6: as for logins); 200 in all wait for an operator.",
            ),
            key(
                "connections",
                "a number",
                Numbers(1, 65_536),
                Default("4096"),
                "How many connections are kept at once; more of them wait.",
            ),
            key(
                "connections_per_address",
                "a number",
                Numbers(1, 65_536),
                Default("128"),
                "How many of them one address may have (IPv6: a network of /64, and a /48 8 times as many), if it is no proxy's.",
            ),
            key(
                "request_seconds",
                "a number of seconds",
                Numbers(1, 3_600),
                Default("60"),
                "After how long a request that has not wholly arrived, or is not answered, is given up, and an answer of which nothing more is taken.",
            ),
        ],
    },
    Section {
        name: "metrics",
        about: "Numbers for Prometheus. Whoever may read them learns that something is embargoed, and how many; not \
                what.",
        keys: &[key(
            "listen",
            "an address with a port",
            Free,
            Nothing("\"127.0.0.1:9187\""),
            "Where GET /metrics is answered, to anybody who reaches it; another one than [server] listen.",
        )],
    },
];

/// The columns of the file.
const WIDTH: usize = 100;

/// The file as it would be with every key in it: what must be written stands there, the rest is commented out.
pub fn text() -> String {
    let mut text = String::new();
    comment(
        &mut text,
        "Every key of embargod.toml, as `embargod config reference` prints it. What must be written is written; a key \
         behind # shows its default, or an example where there is none. Relative paths mean places beside the file. \
         Check yours with `embargod config check`.",
    );
    for section in &SECTIONS {
        text.push('\n');
        comment(&mut text, section.about);
        let _ = writeln!(text, "[{}]", section.name);
        for key in section.keys {
            text.push('\n');
            comment(&mut text, key.what);
            comment(&mut text, &key.accepts());
            let mark = if matches!(key.otherwise, Needed(_)) { "" } else { "#" };
            let _ = writeln!(text, "{mark}{} = {}", key.name, key.otherwise.example());
        }
    }
    text
}

impl Key {
    /// What it takes and what it is otherwise, in a line.
    fn accepts(&self) -> String {
        let otherwise = match self.otherwise {
            Needed(_) => "Needed".to_owned(),
            Default(value) => format!("Default {value}"),
            Nothing(_) => "No default".to_owned(),
        };
        format!("{otherwise}; takes {}.", self.takes())
    }

    fn takes(&self) -> String {
        match self.range {
            Free => self.takes.to_owned(),
            Numbers(least, most) => format!("{} from {least} to {most}", self.takes),
            Words(words) => format!("one of \"{}\"", words.join("\", \"")),
        }
    }

    /// A line to write, with what else could stand there.
    pub(super) fn advice(&self) -> String {
        format!("write {} = {} ({})", self.name, self.otherwise.example(), self.takes())
    }
}

/// The key of this name in the section of that name.
pub(super) fn find(section: &str, name: &str) -> Option<&'static Key> {
    SECTIONS.iter().find(|found| found.name == section)?.keys.iter().find(|key| key.name == name)
}

/// What must be written and is missing: a section, or a key of some section.
pub(super) fn needed(name: &str) -> Option<String> {
    if let Some(section) = SECTIONS.iter().find(|section| section.name.rsplit('.').next() == Some(name)) {
        let keys = section.keys.iter().filter(|key| matches!(key.otherwise, Needed(_)));
        let lines: Vec<_> = keys.map(|key| format!("{} = {}", key.name, key.otherwise.example())).collect();
        return Some(format!("add a section [{}] with {}", section.name, lines.join(" and ")));
    }
    SECTIONS.iter().find_map(|section| {
        let key = find(section.name, name).filter(|key| matches!(key.otherwise, Needed(_)))?;
        Some(format!("in [{}] {}", section.name, key.advice()))
    })
}

fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::config::{Config, ConfigError};

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("embargod.toml"))
    }

    /// A file with all that is needed, and this value in place of what stood there.
    fn with(section: &str, key: &str, value: &str) -> String {
        let mut tables: toml::Table = text().parse().unwrap();
        let mut table = &mut tables;
        for part in section.split('.') {
            table = table[part].as_table_mut().unwrap();
        }
        let given: toml::Table = format!("{key} = {value}").parse().unwrap();
        table.extend(given);
        if section == "mail.relay" {
            // These come in pairs.
            match key {
                "user" => table.insert("password_file".to_owned(), "p".into()),
                "password_file" => table.insert("user".to_owned(), "u".into()),
                "kind" => table.insert("folder".to_owned(), "mail".into()),
                "tls" => table.insert("host".to_owned(), "localhost".into()),
                _ => None,
            };
        }
        tables.to_string()
    }

    #[test]
    fn the_reference_has_every_key_that_the_program_knows_and_no_other() {
        for section in SECTIONS {
            let file = with(section.name, "no_such_key", "1");
            let ConfigError::UnknownKey { known, .. } = parse(&file).unwrap_err() else { panic!("{file}") };
            let mut known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
            // A section inside this one.
            known.retain(|name| {
                !SECTIONS.iter().any(|other| other.name == format!("{}.{name}", section.name))
            });
            let said: BTreeSet<&str> = section.keys.iter().map(|key| key.name).collect();
            assert_eq!(said, known, "[{}]", section.name);
        }
        let ConfigError::UnknownKey { known, .. } = parse("[no_such_section]").unwrap_err() else { panic!() };
        let said: BTreeSet<&str> =
            SECTIONS.iter().filter(|it| !it.name.contains('.')).map(|it| it.name).collect();
        assert_eq!(said, known.iter().map(String::as_str).collect());
    }

    #[test]
    fn what_the_reference_shows_is_accepted_and_its_defaults_are_those_of_the_program() {
        let written = parse(&text()).unwrap();
        for section in SECTIONS {
            for key in section.keys {
                let config = parse(&with(section.name, key.name, key.otherwise.example()));
                match key.otherwise {
                    // `kind` and `tls` are accompanied by what their other values need.
                    Default(_) if !["kind", "tls"].contains(&key.name) => {
                        let mut written = written.clone();
                        if (section.name, key.name) == ("database", "url") {
                            written.database.url = Some(written.database_url().unwrap());
                        }
                        assert_eq!(config.unwrap(), written, "{}.{}", section.name, key.name);
                    }
                    _ => drop(config.unwrap_or_else(|error| panic!("{}: {error}", key.name))),
                }
            }
        }
        assert_eq!(written.mail.relay.kind, crate::config::relay::RelayKind::default());
        assert_eq!(written.mail.relay.tls, crate::config::relay::RelayTls::default());
    }

    #[test]
    fn ranges_end_where_values_begin_to_be_refused() {
        for section in SECTIONS {
            for key in section.keys {
                let accepts = |value: &str| parse(&with(section.name, key.name, value)).is_ok();
                match key.range {
                    Free => {}
                    Numbers(least, most) => {
                        for (value, expected) in
                            [(least - 1, false), (least, true), (most, true), (most + 1, false)]
                        {
                            assert_eq!(accepts(&value.to_string()), expected, "{} = {value}", key.name);
                        }
                    }
                    Words(words) => {
                        assert!(words.iter().all(|word| accepts(&format!("\"{word}\""))), "{}", key.name);
                        let error = parse(&with(section.name, key.name, "\"x\"")).unwrap_err().to_string();
                        assert!(error.contains("line "), "{error}");
                        let offered = error.split('`').skip(3).step_by(2).collect::<Vec<_>>();
                        assert_eq!(offered, words, "{error}");
                    }
                }
            }
        }
    }
}
