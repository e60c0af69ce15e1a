//! The stage: a server put together from the same parts as a real one, a relay's sink, and the cast.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Duration, NaiveDate, Utc};
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt as _;

use super::cast::{Actor, Line};
use super::material::Material;
use super::{Fault, Options};
use crate::app::roster::{NewPackager, Operator};
use crate::app::{Settings, installation};
use crate::cli::assembly::{Assembled, Parts, Serving, open_store};
use crate::clock::{Clock, VirtualClock};
use crate::config::limits::LimitsConfig;
use crate::demo::sink::Sink;
use crate::domain::policy::Policy;
use crate::entropy::Entropy;
use crate::openpgp::{Certificate, Suite};
use crate::store::Location;
use crate::vault::KeyEncryptionKey;

const PROJECT: &str = "widgetlib";
const ZONE: chrono_tz::Tz = chrono_tz::Europe::Berlin;
/// Where mail comes from. The server's own name is not to be read in it.
const FROM: &str = "notices@embargo.widgetlib.example";

/// Everything that is on stage.
pub(super) struct Stage {
    pub(super) server: Assembled,
    pub(super) hand: Arc<VirtualClock>,
    pub(super) line: Line,
    pub(super) sink: Sink,
    pub(super) material: Material,
    pub(super) maintainer: Actor,
    pub(super) packagers: Vec<Actor>,
    pub(super) visitor: Option<String>,
    pub(super) state: PathBuf,
    pub(super) log: Log,
    serving: Serving,
    temporary: Option<Temporary>,
}

/// The log at its most talkative, kept to be scanned.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        let log = self.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || log.clone());
        tracing_subscriber::registry().with(layer).with(tracing_subscriber::filter::LevelFilter::TRACE)
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Stage {
    /// Sets the stage up, with the same calls an operator's commands make.
    pub(super) async fn set(options: &Options, listener: TcpListener) -> Result<Self, Fault> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| Fault(format!("{} could be read: {error}", path.display())))
        };
        let own_fix = options.fix.as_ref().map(read).transpose()?;
        let to = options.to.as_ref().map(read).transpose()?;
        let entropy = Entropy::System;
        // A visitor's certificate is judged by the rehearsed clock, so that clock starts today.
        let start = if to.is_some() { Clock::System.now() } else { first_of_june() };
        let (clock, hand) = Clock::standing_at(start);
        let log = Log::default();
        // Somebody may have set one already (a test in the same process); then that one is used.
        let _ = tracing::subscriber::set_global_default(log.subscriber());

        let (state, temporary) = match &options.keep {
            Some(keep) => (keep.join("state"), None),
            None => {
                let folder = fresh_folder(&std::env::temp_dir(), &entropy)?;
                (folder.clone(), Some(Temporary(folder)))
            }
        };
        private_directory(&state)?;
        let database = state.join("embargod.sqlite");
        if database.exists() {
            return Err(Fault(format!("{} was empty; choose another --keep directory", state.display())));
        }

        let kek = KeyEncryptionKey::from_random(entropy.bytes().into());
        let kek_text = kek.to_text();
        let location = Location::Sqlite(database);
        let store =
            open_store(location.clone(), Ok(kek), &entropy).map_err(Fault::because("a database was made"))?;
        let founded = installation::found(&store, &clock, FROM, true);
        let server_key = founded.map_err(Fault::because("an installation was founded"))?;
        let mut policy = Policy::preset("requests", ZONE).map_err(Fault::because("a policy was chosen"))?;
        policy.supported_branches = vec!["main".to_owned(), "2.x".to_owned()];
        let operator = Operator { store: &store, clock: &clock, entropy: &entropy };
        operator.add_project(PROJECT, PROJECT, policy).map_err(Fault::because("a project was added"))?;

        let maintainer = Actor::new("Mika", "mika@widgetlib.example", Suite::Cv25519, start)?;
        let certificate = maintainer.person.certificate().to_bytes();
        operator.add_maintainer(PROJECT, &certificate).map_err(Fault::because("a maintainer was added"))?;
        let packagers = vec![
            Actor::new("Debian", "security@debian.example", Suite::Cv25519, start)?,
            Actor::new("Red Hat", "prodsec@redhat.example", Suite::Rsa3072, start)?,
            Actor::new("Alpine", "team@alpine.example", Suite::P256, start)?,
        ];
        let projects = [PROJECT.to_owned()];
        for actor in &packagers {
            let slug = actor.name.to_lowercase().replace(' ', "-");
            let certificate = actor.person.certificate().to_bytes();
            let new = NewPackager {
                slug: &slug,
                name: actor.name,
                address: &actor.address,
                certificate: &certificate,
                sha1_until: None,
                seipdv1_only: false,
                projects: &projects,
            };
            operator.add_packager(&new).map_err(Fault::because("a packager was added"))?;
        }
        let visitor = to.map(|bytes| add_visitor(&operator, &bytes, &projects)).transpose()?;
        drop(store);

        let sink = Sink::start().await.map_err(Fault::because("a relay listened"))?;
        let address = listener.local_addr().map_err(Fault::because("a port was free"))?;
        let base_url = format!("http://{address}");
        let server = Assembled::new(Parts {
            clock: clock.clone(),
            entropy: entropy.clone(),
            location,
            kek: KeyEncryptionKey::from_text(&kek_text).map_err(|error| error.to_string()),
            settings: Settings {
                base_url: base_url.clone(),
                from: FROM.parse().map_err(Fault::because("an address was right"))?,
                id_prefix: "EMB".to_owned(),
                max_mail_bytes: 8 << 20,
                practice: true,
            },
            state: None,
            relay: sink.relay(),
            http_threads: 1,
            limits: limits(),
        })
        .map_err(Fault::because("a server was put together"))?;
        let serving = server.serve(listener).await.map_err(Fault::because("the server answered"))?;
        let line = Line::new(base_url, server_key.certificate().clone(), clock, entropy.clone());
        let material = Material::new(&entropy, own_fix);
        Ok(Self {
            server,
            hand,
            line,
            sink,
            material,
            maintainer,
            packagers,
            visitor,
            state,
            log,
            serving,
            temporary,
        })
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.line.clock.now()
    }

    /// Moves the clock, and lets the server do whatever became due.
    pub(super) async fn pass(&self, until: DateTime<Utc>) -> Result<crate::worker::Done, Fault> {
        self.hand.advance_to(until);
        self.server.worker.run_until_idle().await.map_err(Fault::because("the worker worked"))
    }

    /// Ends the rehearsal and removes what need not stay.
    pub(super) async fn strike(self) {
        self.serving.stop().await;
        drop(self.server);
        drop(self.temporary);
    }
}

/// A folder that goes with the stage, also when the stage could not be set.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed holds throw-away keys and an invented case.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Makes a folder in `place` that nobody else had a hand in: new, private, of a name that nobody can guess.
pub(super) fn fresh_folder(place: &Path, entropy: &Entropy) -> Result<PathBuf, Fault> {
    let id: [u8; 26] = entropy.bytes();
    let path = place.join(format!("embargod-demo-{}", crate::domain::id::DeliveryId::from_random(id)));
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&path).map_err(|error| Fault(format!("{} could be made: {error}", path.display())))?;
    Ok(path)
}

fn add_visitor(operator: &Operator<'_>, bytes: &[u8], projects: &[String]) -> Result<String, Fault> {
    let certificate = Certificate::parse(bytes).map_err(Fault::because("--to is a certificate"))?;
    let address = certificate
        .addresses()
        .into_iter()
        .next()
        .ok_or_else(|| Fault::new("the certificate of --to names a mail address"))?;
    let new = NewPackager {
        slug: "you",
        name: "You",
        address: &address,
        certificate: bytes,
        sha1_until: None,
        seipdv1_only: false,
        projects,
    };
    operator.add_packager(&new).map_err(Fault::because("the certificate of --to can be used"))?;
    Ok(address)
}

fn first_of_june() -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(2026, 6, 1)
        .and_then(|date| date.and_hms_opt(8, 0, 0))
        .map_or_else(|| DateTime::UNIX_EPOCH + Duration::days(20_605), |time| time.and_utc())
}

fn private_directory(path: &PathBuf) -> Result<(), Fault> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| Fault(format!("{} could be made: {error}", path.display())))
}

/// All callers of a rehearsal have one address.
fn limits() -> LimitsConfig {
    LimitsConfig {
        logins_per_minute: 10_000,
        commands_per_minute: 10_000,
        applications_per_hour: 10_000,
        ..LimitsConfig::default()
    }
}
