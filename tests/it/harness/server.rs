//! One server with everything around it, founded for one story.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use embargod::app::roster::{NewPackager, Operator};
use embargod::app::{App, Refusal, Settings, installation};
use embargod::cli::assembly::{Assembled, Parts, Running, Serving, open_store};
use embargod::clock::{Clock, VirtualClock};
use embargod::config::limits::LimitsConfig;
use embargod::config::relay::RelayConfig;
use embargod::demo::canary::{Canary, Finding, Scanner};
use embargod::demo::sink::{Received, Sink};
use embargod::domain::id::EmbargoId;
use embargod::domain::policy::Policy;
use embargod::entropy::Entropy;
use embargod::mail;
use embargod::openpgp::{Certificate, Person};
use embargod::store::{Delivery, Location, Store, Tx};
use embargod::vault::KeyEncryptionKey;
use embargod::worker::{Done, Worker};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{Client, Database, Maintainer, Numbers, Packager, database, person, start};

pub const PROJECT: &str = "requests";
const FROM: &str = "embargo@requests.example";

/// What a server is founded with.
pub struct Founding {
    pub database: Database,
    pub policy: Policy,
    pub seed: u64,
    /// Where mail goes, if not into the server's own sink.
    pub relay: Option<RelayConfig>,
    /// What else is changed about the relay.
    pub tune: fn(&mut RelayConfig),
    pub limits: LimitsConfig,
}

impl Default for Founding {
    fn default() -> Self {
        let database = Database::of_this_run();
        let policy = requests_policy(&[]);
        Self { database, policy, seed: 7, relay: None, tune: |_| {}, limits: wide() }
    }
}

/// Limits that no story reaches by accident: all of its callers have one address.
fn wide() -> LimitsConfig {
    LimitsConfig {
        logins_per_minute: 10_000,
        commands_per_minute: 10_000,
        applications_per_hour: 10_000,
        ..LimitsConfig::default()
    }
}

/// The policy of requests, in Berlin, with these supported branches.
pub fn requests_policy(branches: &[&str]) -> Policy {
    let mut policy = Policy::preset("requests", Tz::Europe__Berlin).unwrap();
    policy.supported_branches = branches.iter().map(|branch| (*branch).to_owned()).collect();
    policy
}

/// A running server.
pub struct TestServer {
    pub clock: Arc<VirtualClock>,
    pub sink: Arc<Sink>,
    pub client: Client,
    /// The server's certificate.
    pub certificate: Certificate,
    pub time: Clock,
    entropy: Entropy,
    folder: TempDir,
    database: Database,
    location: Location,
    listener: TcpListener,
    kek: Zeroizing<String>,
    relay: RelayConfig,
    app: App,
    life: Life,
    never_public: Vec<Canary>,
    limits: LimitsConfig,
    finished: bool,
}

/// Who makes due things happen.
enum Life {
    /// The story, by calling the worker.
    ByHand(Box<Assembled>, Serving),
    /// The worker's own loop.
    ByItself(Box<Running>),
    Stopped,
}

impl TestServer {
    /// A server on the database of this run, with the project requests and one maintainer.
    pub async fn start() -> Self {
        Self::found(Founding::default()).await
    }

    /// A server founded with what a story needs.
    pub async fn found(founding: Founding) -> Self {
        let Founding { database, policy, seed, relay, tune, limits } = founding;
        let folder = tempfile::tempdir().unwrap();
        let (time, clock) = Clock::standing_at(start());
        let entropy = Entropy::seeded(seed);
        let location = database.create(folder.path()).await;
        let kek = KeyEncryptionKey::from_random(Zeroizing::new(entropy.bytes())).to_text();
        let certificate = {
            let (time, entropy, location, kek) =
                (time.clone(), entropy.clone(), location.clone(), kek.clone());
            let found = move || found_installation(&time, &entropy, location, &kek, policy);
            tokio::task::spawn_blocking(found).await.unwrap()
        };
        let sink = Arc::new(Sink::start().await.unwrap());
        let mut relay = relay.unwrap_or_else(|| sink.relay());
        tune(&mut relay);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap()));
        let parts = Parts {
            clock: time.clone(),
            entropy: entropy.clone(),
            location: location.clone(),
            kek: KeyEncryptionKey::from_text(&kek).map_err(|error| error.to_string()),
            settings: settings(client.base_url()),
            state: Some(folder.path().to_owned()),
            relay: relay.clone(),
            http_threads: 1,
            limits: limits.clone(),
        };
        let (app, life) = serve(parts, &listener).await;
        Self {
            clock,
            sink,
            client,
            certificate,
            time,
            entropy,
            folder,
            database,
            location,
            listener,
            kek,
            relay,
            app,
            life,
            never_public: Vec::new(),
            limits,
            finished: false,
        }
    }

    /// The use cases.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The folder with everything the server keeps on disk.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The key-encryption key.
    pub fn kek(&self) -> Result<KeyEncryptionKey, String> {
        KeyEncryptionKey::from_text(&self.kek).map_err(|error| error.to_string())
    }

    /// What a second server over the same database is put together from.
    pub fn parts(&self, kek: Result<KeyEncryptionKey, String>) -> Parts {
        Parts {
            clock: self.time.clone(),
            entropy: self.entropy.clone(),
            location: self.location.clone(),
            kek,
            settings: settings(self.client.base_url()),
            state: Some(self.folder.path().to_owned()),
            relay: self.relay.clone(),
            http_threads: 1,
            limits: self.limits.clone(),
        }
    }

    /// Stops the server, and starts it on another database in the place of its own, which is removed.
    pub async fn continue_on(&mut self, location: Location) {
        self.stop().await;
        let old = std::mem::replace(&mut self.location, location);
        self.restart().await;
        self.database.remove(&old).await;
    }

    /// The parts of a second server, with the same key, over data that may be another's.
    pub async fn replica_over(&self, location: Location) -> Assembled {
        let kek = KeyEncryptionKey::from_text(&self.kek).map_err(|error| error.to_string());
        let own = self.parts(kek);
        // What is remembered of one database says nothing about another.
        let state = own.state.clone().filter(|_| location == self.location);
        assemble(Parts { location, state, ..own }).await
    }

    /// Stops the server and starts it again, with this key-encryption key.
    pub async fn restart_with(&mut self, kek: Result<KeyEncryptionKey, String>) {
        self.stop().await;
        (self.app, self.life) = serve(self.parts(kek), &self.listener).await;
    }

    /// Stops the server and starts it again on the same database at another address.
    pub async fn move_to(&mut self, location: Location) {
        self.location = location;
        self.restart().await;
    }

    /// From now on the worker looks by itself, as it does for real people.
    pub async fn leave_alone(&mut self) {
        self.stop().await;
        let assembled = assemble(self.parts(self.kek())).await;
        self.app = assembled.app.clone();
        self.life =
            Life::ByItself(Box::new(assembled.run(self.listener.try_clone().unwrap()).await.unwrap()));
    }

    /// Stops the server as SIGTERM does.
    pub async fn stop(&mut self) {
        match std::mem::replace(&mut self.life, Life::Stopped) {
            Life::ByHand(_, serving) => serving.stop().await,
            Life::ByItself(running) => running.stop().await,
            Life::Stopped => {}
        }
    }

    fn worker(&self) -> &Worker {
        match &self.life {
            Life::ByHand(assembled, _) => &assembled.worker,
            Life::ByItself(_) | Life::Stopped => panic!("the worker is not led by hand"),
        }
    }

    /// Stops the server and starts it again.
    pub async fn restart(&mut self) {
        self.restart_with(self.kek()).await;
    }

    /// Looks until there is nothing left to do at the present instant.
    pub async fn run_worker_until_idle(&self) -> Done {
        self.worker().run_until_idle().await.unwrap()
    }

    /// One look of the worker.
    pub async fn look(&self) -> Done {
        self.worker().look().await.unwrap()
    }

    /// One look of the worker, which may fail.
    pub async fn tries_to_look(&self) -> Result<Done, Refusal> {
        self.worker().look().await
    }

    /// Numbers about the server, on a listener of their own.
    pub fn numbers(&self) -> Numbers {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        match &self.life {
            Life::ByHand(assembled, _) => Numbers::of(assembled.serve_metrics(listener).unwrap()),
            Life::ByItself(_) | Life::Stopped => panic!("the server is not led by hand"),
        }
    }

    /// Runs a statement on the database, past the server: as SQLite has it, and as PostgreSQL has it.
    pub async fn meddle(&self, sqlite: &str, postgres: &str) {
        let statement = if self.location.kind() == "sqlite" { sqlite } else { postgres };
        database::tamper(&self.location, statement).await;
    }

    /// Waits until `what` holds of the database; fails when that does not happen.
    pub async fn until(&self, name: &str, what: fn(&mut Tx<'_>, DateTime<Utc>) -> Result<bool, Refusal>) {
        let now = self.time.now();
        let patience = std::time::Duration::from_mins(1);
        let wait = async {
            while !self.database(move |tx| what(tx, now)).await {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(patience, wait).await.is_ok(), "it never came to this: {name}");
    }

    /// Waits until this address is public; fails when that does not happen.
    pub async fn until_public(&self, path: &str) {
        let mut wakes = self.app().wakes();
        let patience = std::time::Duration::from_mins(1);
        let wait = async {
            while self.client.get(path).await.status != 200 {
                wakes.changed().await.unwrap();
            }
        };
        assert!(tokio::time::timeout(patience, wait).await.is_ok(), "{path} never became public");
    }

    /// Waits until this many mails arrived in all; fails when they do not come.
    pub async fn mails(&self, count: usize) -> Vec<Received> {
        let patience = std::time::Duration::from_mins(1);
        let received = tokio::time::timeout(patience, self.sink.wait_for(count)).await;
        received.unwrap_or_else(|_| panic!("{} of {count} mails arrived", self.sink.messages().len()))
    }

    /// The maintainer every server is founded with.
    pub fn maintainer(&self) -> Maintainer {
        self.maintainer_who_is(person("Mara Keep", "mara@requests.example"))
    }

    /// A person who speaks to this server, registered or not.
    pub fn maintainer_who_is(&self, person: Person) -> Maintainer {
        Maintainer::new(
            self.client.clone(),
            self.time.clone(),
            self.entropy.clone(),
            self.certificate.clone(),
            person,
        )
    }

    /// The texts of the mails that this maintainer got.
    pub fn told(&self) -> Vec<String> {
        let mara = self.maintainer();
        let open = |received: Received| {
            let outer = mail::read(&received.bytes).unwrap();
            let inner = mara.opened(outer.encrypted().unwrap());
            mail::read(&inner).unwrap().text().unwrap()
        };
        self.sink.for_recipient("mara@requests.example").into_iter().map(open).collect()
    }

    /// Registers one more maintainer of requests.
    pub async fn another_maintainer(&self, name: &str) -> Maintainer {
        let person = person(name, &format!("{name}@requests.example"));
        let certificate = person.certificate().to_armored();
        self.as_operator(move |operator| {
            operator.add_maintainer(PROJECT, certificate.as_bytes()).unwrap();
        })
        .await;
        self.maintainer_who_is(person)
    }

    /// The packager of this name, approved for requests; registered when first asked for.
    pub async fn packager(&self, slug: &str) -> Packager {
        let address = format!("security@{slug}.example");
        self.packager_who_is(slug, slug, &address, person(slug, &address)).await
    }

    /// A packager of this name and key.
    pub async fn packager_who_is(&self, slug: &str, name: &str, address: &str, person: Person) -> Packager {
        let packager = Packager::new(
            self.client.clone(),
            self.time.clone(),
            self.certificate.clone(),
            slug.to_owned(),
            address.to_owned(),
            person.clone(),
        );
        let (slug, name, address) = (slug.to_owned(), name.to_owned(), address.to_owned());
        self.as_operator(move |operator| {
            let known = operator.store.read_now(|tx| Ok::<_, Refusal>(tx.packagers()?)).unwrap();
            if known.iter().any(|packager| packager.slug == slug) {
                return;
            }
            let certificate = person.certificate().to_armored();
            let new = NewPackager {
                slug: &slug,
                name: &name,
                address: &address,
                certificate: certificate.as_bytes(),
                sha1_until: None,
                seipdv1_only: false,
                projects: &[PROJECT.to_owned()],
            };
            operator.add_packager(&new).unwrap();
        })
        .await;
        packager
    }

    /// Does something at the server's console.
    pub async fn as_operator(&self, work: impl FnOnce(&Operator<'_>) + Send + 'static) {
        let (store, clock, entropy) = (self.app().store.clone(), self.time.clone(), self.entropy.clone());
        let work = move || work(&Operator { store: &store, clock: &clock, entropy: &entropy });
        tokio::task::spawn_blocking(work).await.unwrap();
    }

    /// Reads the database directly.
    pub async fn database<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Tx<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> T {
        self.app().store.read(read).await.unwrap()
    }

    /// Changes the database directly, where no use case does it yet.
    pub async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Tx<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> T {
        self.app().store.write(change).await.unwrap()
    }

    /// Every copy of every notice of an embargo.
    pub async fn deliveries(&self, embargo: &str) -> Vec<Delivery> {
        let id: EmbargoId = embargo.parse().unwrap();
        self.database(move |tx| Ok(tx.deliveries_of(&id)?)).await
    }

    /// A word that nobody outside may ever read, not even after a lift; looked for when the story ends.
    pub fn never_public(&mut self, name: &str) -> String {
        let canary = Canary::from_random(name, Entropy::System.bytes());
        let word = canary.word().to_owned();
        self.never_public.push(canary);
        word
    }

    /// Every word of `scanner` that lies readable in the server's folder or database.
    pub async fn findings_at_rest(&self, scanner: &Scanner) -> Vec<Finding> {
        let mut findings = scanner.scan_tree("the folder", self.folder()).unwrap();
        findings.extend(scanner.scan_bytes("the tables", &database::contents(&self.location).await));
        findings
    }

    /// Everything that the database keeps: its file and its write-ahead log, or all rows of all tables.
    pub async fn stored(&self) -> Vec<u8> {
        let mut all = database::contents(&self.location).await;
        if let Location::Sqlite(path) = &self.location {
            all.extend(std::fs::read(path).unwrap());
            all.extend(std::fs::read(path.with_extension("db-wal")).unwrap());
        }
        all
    }

    /// Words that lie readable in a table of the database, on PostgreSQL.
    pub async fn plant_in_a_table(&self, words: &[String]) {
        database::plant(&self.location, words).await;
    }

    /// Ends the story: no copy is still held, the audit log is whole, no secret lies about.
    pub async fn finish(mut self) {
        self.finished = true;
        self.stop().await;
        let scanner = Scanner::new(std::mem::take(&mut self.never_public));
        assert_eq!(self.findings_at_rest(&scanner).await, []);
        assert_eq!(scanner.scan_bytes("SMTP", &self.sink.transcript()), []);
        let (held, entries) = self.database(|tx| Ok((tx.leases()?, tx.verify_audit()?))).await;
        assert_eq!(held, 0, "a worker still holds copies");
        assert!(matches!(entries, Ok(1..)), "the audit log is damaged: {entries:?}");
        self.database.remove(&self.location).await;
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        assert!(self.finished || std::thread::panicking(), "end the story with finish()");
    }
}

fn settings(base_url: &str) -> Settings {
    Settings {
        base_url: base_url.to_owned(),
        from: FROM.parse().unwrap(),
        id_prefix: "EMB".to_owned(),
        max_mail_bytes: 8 << 20,
        practice: false,
    }
}

async fn serve(parts: Parts, listener: &TcpListener) -> (App, Life) {
    let assembled = assemble(parts).await;
    let serving = assembled.serve(listener.try_clone().unwrap()).await.unwrap();
    (assembled.app.clone(), Life::ByHand(Box::new(assembled), serving))
}

async fn assemble(parts: Parts) -> Assembled {
    tokio::task::spawn_blocking(|| Assembled::new(parts)).await.unwrap().unwrap()
}

fn found_installation(
    clock: &Clock,
    entropy: &Entropy,
    location: Location,
    kek: &str,
    policy: Policy,
) -> Certificate {
    let store = empty_store(location, kek, entropy);
    let key = installation::found(&store, clock, FROM, false).unwrap();
    let operator = Operator { store: &store, clock, entropy };
    operator.add_project(PROJECT, "Requests", policy).unwrap();
    let maintainer = person("Mara Keep", "mara@requests.example");
    operator.add_maintainer(PROJECT, maintainer.certificate().to_armored().as_bytes()).unwrap();
    key.certificate().clone()
}

/// SQLite is migrated by itself; PostgreSQL as by `embargod migrate`.
fn empty_store(location: Location, kek: &str, entropy: &Entropy) -> Store {
    let kek = || KeyEncryptionKey::from_text(kek).map_err(|error| error.to_string());
    if matches!(location, Location::Postgres(_)) {
        let vault = embargod::vault::Vault::open(kek().unwrap(), entropy.clone());
        Store::open(location.clone(), Arc::new(vault)).unwrap().migrate().unwrap();
    }
    open_store(location, kek(), entropy).unwrap()
}
