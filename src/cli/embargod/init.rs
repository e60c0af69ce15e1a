//! `embargod init`: a new installation, whole or not at all.
//!
//! Everything is made in a folder of its own inside the target and moved into place at the end. A PostgreSQL
//! database cannot be moved, so there the same facts are tried on a throw-away SQLite first: what could be
//! refused is refused before the database is touched.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono_tz::Tz;
use zeroize::Zeroizing;

use super::console::recovery_path;
use super::failure::{Failure, sender};
use super::files;
use super::founding::{Founded, Founding};
use super::practice;
use super::relay_address::RelayAddress;
use super::screen::item;
use super::template::Template;
use crate::app::Refusal;
use crate::cli::assembly::open_store;
use crate::clock::Clock;
use crate::config::nearest::nearest;
use crate::config::{Config, loopback, without_password};
use crate::domain::policy::{ChangelogStyle, Preset};
use crate::entropy::Entropy;
use crate::store::{Location, Store};
use crate::vault::KeyEncryptionKey;

const CONFIG: &str = "embargod.toml";
const STATE: &str = "state";
const DATABASE: &str = "embargod.sqlite";
const URL_FILE: &str = "database-url";
const RELAY_PASSWORD: &str = "relay-password";

/// Arguments of `embargod init`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    embargod init --project requests --preset requests --maintainer me.asc\n  \
    embargod init --practice --project requests --preset requests --maintainer me.asc\n  \
    embargod init --directory /srv/embargo --project widgetlib --preset pallets --zone Europe/Berlin \\\n      \
    --branch main --branch 2.x --maintainer ada.asc --maintainer ben.asc \\\n      \
    --url https://embargo.widgetlib.example --from embargo@widgetlib.example \\\n      \
    --relay smtp://embargod@smtp.example --relay-password FILE\n\n\
    me.asc is what `gpg --armor --export YOUR-ADDRESS` prints.")]
pub(super) struct InitArguments {
    /// Where to make it; the directory is made if it is missing.
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub directory: PathBuf,
    /// The first project's short name, such as `requests`.
    #[arg(long, value_name = "SLUG")]
    pub project: String,
    /// The project's name; the short name if absent.
    #[arg(long, value_name = "NAME")]
    pub project_name: Option<String>,
    /// The disclosure policy to start from: `requests` or `pallets`.
    #[arg(long)]
    pub preset: Preset,
    /// The zone in which the project's weekdays and holidays are judged, such as `Europe/Berlin`.
    #[arg(long, default_value = "UTC", value_parser = zone)]
    pub zone: Tz,
    /// A branch that needs a fix or a recorded waiver; repeat it for more.
    #[arg(long = "branch", value_name = "BRANCH")]
    pub branches: Vec<String>,
    /// How its changelog is written: requests, pallets, urllib3 or keep-a-changelog; as by the preset's project if absent.
    #[arg(long, value_name = "STYLE")]
    pub changelog: Option<ChangelogStyle>,
    /// The OpenPGP certificate of somebody who decides; repeat it, two persons are better than one.
    #[arg(long = "maintainer", required = true, value_name = "FILE")]
    pub maintainers: Vec<PathBuf>,
    /// Where people will reach the server, without a slash at the end.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// The neutral address that mail will come from; `embargo@` and the url's host if absent.
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,
    /// An empty PostgreSQL database, such as `postgres://user:password@host/name`; SQLite if absent.
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Where mail goes out: `smtp://user@host` (STARTTLS, port 587) or `smtps://user@host` (TLS, port 465), with
    /// another `:port` if need be; the mail server of this machine if absent.
    #[arg(long, value_name = "URL", conflicts_with = "practice")]
    pub relay: Option<RelayAddress>,
    /// A file with the password for the relay on its first line; it is copied into the installation.
    #[arg(long, value_name = "FILE", requires = "relay")]
    pub relay_password: Option<PathBuf>,
    /// Practice, for ever: a clock that can be moved, mail that stays in a folder, PRACTICE on every page.
    #[arg(long)]
    pub practice: bool,
}

/// Reads the name of a time zone.
pub(super) fn zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        let near = nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        format!(
            "there is no zone of this name; {}",
            match near {
                Some(near) => format!("did you mean {near}?"),
                None => "expected one such as UTC or Europe/Berlin".to_owned(),
            }
        )
    })
}

/// Removes what was begun unless everything went well.
struct Scaffold {
    folder: PathBuf,
    made: Option<PathBuf>,
}

impl Drop for Scaffold {
    fn drop(&mut self) {
        // What cannot be removed is in nobody's way: its name is unique.
        let _ = fs::remove_dir_all(&self.folder);
        if let Some(made) = &self.made {
            let _ = fs::remove_dir(made);
        }
    }
}

/// Makes the installation, and says what was made and what comes next.
pub(super) fn run(arguments: &InitArguments) -> Result<ExitCode, Failure> {
    let founded = make(arguments, &Clock::System, &Entropy::System)?;
    let count = founded.recovery.len();
    let recovery =
        if count == 1 { "recovery file for you".to_owned() } else { format!("{count} recovery files") };
    let database = match &arguments.database {
        Some(url) => format!("database {}, {STATE}/ (", without_password(url)),
        None => format!("{STATE}/ (database, "),
    };
    item(
        "wrote",
        &format!("{CONFIG}, {database}server key {}, key-encryption key, {recovery})", founded.server),
    );
    let away = arguments.directory != Path::new(".");
    let first = if away { format!("cd {} · ", arguments.directory.display()) } else { String::new() };
    item("next", &format!("{first}embargod doctor · embargod serve · embargoctl login {}", arguments.url));
    item(
        "keep",
        &format!("a copy of {STATE}/kek where no backup of the database lies: without it nothing opens"),
    );
    if arguments.practice {
        item("clock", "moved by: embargod practice advance 8d");
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the installation.
pub(super) fn make(arguments: &InitArguments, clock: &Clock, entropy: &Entropy) -> Result<Founded, Failure> {
    let target = &arguments.directory;
    for name in [CONFIG, STATE] {
        if target.join(name).exists() {
            return Err(Failure::unfit(
                format!("{} is there already; nothing was changed", target.join(name).display()),
                "see how it is with `embargod doctor`, or name another place: --directory DIR",
            ));
        }
    }
    let listen = listen(&arguments.url)?;
    let from = arguments.from.clone().unwrap_or_else(|| default_sender(&arguments.url));
    let from = sender(&from)?;
    let maintainers =
        arguments.maintainers.iter().map(|path| files::read(path)).collect::<Result<Vec<_>, _>>()?;
    let password = relay_password(arguments)?;
    let mut policy = arguments.preset.policy(arguments.zone);
    policy.supported_branches.clone_from(&arguments.branches);
    policy.changelog = arguments.changelog;

    let made = (!target.exists()).then(|| target.clone());
    fs::create_dir_all(target).map_err(Failure::file(target, "made"))?;
    let unique = u64::from_be_bytes(entropy.bytes());
    let scaffold = Scaffold { folder: target.join(format!(".embargod-init-{unique:016x}")), made };
    files::create_private_folder(&scaffold.folder)?;
    let state = scaffold.folder.join(STATE);
    files::create_private_folder(&state)?;

    let kek_text = KeyEncryptionKey::from_random(Zeroizing::new(entropy.bytes())).to_text();
    files::create(&state.join("kek"), 0o400, kek_text.as_bytes())?;
    let database = match &arguments.database {
        Some(url) if without_password(url) != *url => {
            files::create(&state.join(URL_FILE), 0o400, format!("{url}\n").as_bytes())?;
            ("url_file", format!("{STATE}/{URL_FILE}"))
        }
        Some(url) => ("url", url.clone()),
        None => ("url", format!("{STATE}/{DATABASE}")),
    };
    if let Some(password) = &password {
        files::create(&state.join(RELAY_PASSWORD), 0o400, password)?;
    }
    let template = Template {
        url: &arguments.url,
        listen,
        from: from.as_str(),
        database: (database.0, &database.1),
        relay: arguments.relay.as_ref(),
        practice: arguments.practice,
    };
    let text = template.text();
    Config::parse(&text, Path::new(CONFIG))?;
    files::create(&scaffold.folder.join(CONFIG), 0o644, text.as_bytes())?;

    let founding = Founding {
        from: &from,
        practice: arguments.practice,
        slug: &arguments.project,
        name: arguments.project_name.as_deref().unwrap_or(&arguments.project),
        policy: &policy,
        maintainers: &maintainers,
        kek_text: &kek_text,
    };
    let folder = if arguments.database.is_some() { &scaffold.folder } else { &state };
    let mut founded = found_in_file(&founding, &folder.join(DATABASE), clock, entropy)?;
    if let Some(url) = &arguments.database {
        founded = found_on_server(&founding, url, clock, entropy)?;
    }
    for (fingerprint, file) in &founded.recovery {
        files::create(&recovery_path(&state, fingerprint), 0o600, file)?;
    }
    if arguments.practice {
        practice::ClockFile::below(&state).write(practice::Kept::done(clock.now()))?;
    }
    put_in_place(&scaffold, target)?;
    Ok(founded)
}

/// Where the server listens: at the url itself, or behind the proxy that answers there with TLS.
fn listen(url: &str) -> Result<SocketAddr, Failure> {
    match loopback(url) {
        Some(address) => Ok(address),
        None if url.starts_with("http://") => Err(Failure::unfit(
            format!("{url} is without TLS and not on this machine: embargoctl refuses to log in there"),
            "write --url https://…, and let a proxy with TLS answer there and pass requests on to 127.0.0.1:8080",
        )),
        None => Ok((Ipv4Addr::LOCALHOST, 8080).into()),
    }
}

/// The password for the relay. A user without one, or one without a user, cannot log in.
fn relay_password(arguments: &InitArguments) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let user = arguments.relay.as_ref().and_then(|relay| relay.user.as_ref());
    match (user, &arguments.relay_password) {
        (Some(_), Some(path)) => Ok(Some(Zeroizing::new(files::read(path)?))),
        (None, None) => Ok(None),
        (Some(user), None) => Err(Failure::unfit(
            format!("--relay names the user {user} and no password"),
            "add --relay-password FILE, with the password on the file's first line",
        )),
        (None, Some(_)) => Err(Failure::unfit(
            "--relay-password is given and --relay names no user",
            "write the user before the host: --relay smtp://embargod@smtp.example",
        )),
    }
}

fn default_sender(url: &str) -> String {
    let host = url.split("://").nth(1).unwrap_or_default().split(['/', ':']).next().unwrap_or_default();
    let is_name = host.contains(|character: char| character.is_ascii_alphabetic());
    format!("embargo@{}", if is_name { host } else { "localhost" })
}

fn open(location: Location, kek_text: &str, entropy: &Entropy) -> Result<Store, Failure> {
    let kek = KeyEncryptionKey::from_text(kek_text).map_err(|error| error.to_string());
    Ok(open_store(location, kek, entropy)?)
}

fn found_in_file(
    founding: &Founding<'_>,
    path: &Path,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<Founded, Failure> {
    // SQLite gives its other files the rights of this one.
    files::create(path, 0o600, b"")?;
    let store = open(Location::Sqlite(path.to_owned()), founding.kek_text, entropy)?;
    Ok(founding.run(&store, clock, entropy)?)
}

fn found_on_server(
    founding: &Founding<'_>,
    url: &str,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<Founded, Failure> {
    let location = Location::parse(url);
    if !matches!(location, Location::Postgres(_)) {
        return Err(Failure::unfit(
            "--database takes the address of a PostgreSQL database",
            "write postgres://user@host/name, or leave it out for SQLite",
        ));
    }
    let vault = crate::vault::Vault::locked("not needed to migrate", entropy.clone());
    Store::open(location.clone(), std::sync::Arc::new(vault))?.migrate()?;
    let store = open(location, founding.kek_text, entropy)?;
    if store.read_now(|tx| Ok::<_, Refusal>(tx.is_founded()?))? {
        return Err(Failure::unfit(
            "this database belongs to an installation already; nothing was changed",
            "name an empty database",
        ));
    }
    founding.run(&store, clock, entropy).map_err(|refusal| {
        Failure::unfit(
            format!("the database was begun and not finished: {refusal}"),
            "there is nothing in it to lose: drop it, create it again, and repeat this command",
        )
    })
}

fn put_in_place(scaffold: &Scaffold, target: &Path) -> Result<(), Failure> {
    let (state, config) = (target.join(STATE), target.join(CONFIG));
    fs::rename(scaffold.folder.join(STATE), &state).map_err(Failure::file(&state, "put in place"))?;
    fs::rename(scaffold.folder.join(CONFIG), &config).map_err(|source| {
        // Without its configuration the rest is of no use, and would be in the way next time.
        let _ = fs::remove_dir_all(&state);
        Failure::File { path: config.clone(), done: "put in place", source }
    })
}
