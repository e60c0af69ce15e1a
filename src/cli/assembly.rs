//! Puts a server together: database, vault, use cases, worker, HTTP. The only place that sees every part.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::app::witness::WitnessError;
use crate::app::{App, Refusal, Settings, installation};
use crate::clock::Clock;
use crate::config::limits::LimitsConfig;
use crate::config::relay::RelayConfig;
use crate::entropy::Entropy;
use crate::outbound::pool::RelayPool;
use crate::outbound::smtp::RelayError;
use crate::store::{Location, Store, StoreError};
use crate::vault::{KeyEncryptionKey, KeySource, Vault};
use crate::worker::Worker;

/// How long a server that stops waits for what the worker has in hand.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long it takes leave of the relay.
const FAREWELL: Duration = Duration::from_secs(3);

/// What a server is put together from.
pub struct Parts {
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// Where the data lives.
    pub location: Location,
    /// The key-encryption key, or why there is none.
    pub kek: Result<KeyEncryptionKey, String>,
    /// What the operator decided.
    pub settings: Settings,
    /// Where this replica keeps what it must remember outside the database; `None` to remember nothing.
    pub state: Option<PathBuf>,
    /// Where mail goes.
    pub relay: RelayConfig,
    /// Threads that answer HTTP.
    pub http_threads: usize,
    /// What strangers may use up.
    pub limits: LimitsConfig,
}

/// Why a server could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The schema is behind, and this database is not migrated by itself.
    #[error("the database lacks {0} migration(s): run `embargod migrate` once, then start the replicas")]
    NotMigrated(usize),
    /// The server's key or a rule stands in the way.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The relay's settings cannot be used.
    #[error("the mail relay's settings cannot be used: {0}")]
    Relay(#[from] RelayError),
    /// What is remembered outside the database cannot be read.
    #[error("what this replica remembers cannot be compared with the database: {0}")]
    Witness(#[from] WitnessError),
    /// A thread or socket could not be had.
    #[error("the operating system refused a thread or a socket: {0}")]
    System(#[from] std::io::Error),
}

/// Opens the database with its vault. SQLite is migrated by itself, PostgreSQL by `embargod migrate`.
pub fn open_store(
    location: Location,
    kek: Result<KeyEncryptionKey, String>,
    entropy: &Entropy,
) -> Result<Store, AssemblyError> {
    open_store_with(location, kek, None, entropy)
}

/// [`open_store`], with a place where key-encryption keys are looked for that come up later.
pub fn open_store_with(
    location: Location,
    kek: Result<KeyEncryptionKey, String>,
    source: Option<KeySource>,
    entropy: &Entropy,
) -> Result<Store, AssemblyError> {
    let vault = match kek {
        Ok(kek) => Vault::open(kek, entropy.clone()).with_source(source),
        Err(reason) => Vault::locked(reason, entropy.clone()),
    };
    let by_itself = matches!(location, Location::Sqlite(_));
    let store = Store::open(location, Arc::new(vault))?;
    if by_itself {
        store.migrate()?;
    }
    match store.pending_migrations()? {
        0 => Ok(store),
        pending => Err(AssemblyError::NotMigrated(pending)),
    }
}

/// A server whose parts are together; nothing runs yet.
pub struct Assembled {
    /// The use cases.
    pub app: App,
    /// The worker.
    pub worker: Worker,
    relay: Arc<RelayPool>,
    http_threads: usize,
    limits: LimitsConfig,
}

impl Assembled {
    /// Puts the parts together; on PostgreSQL not from inside an async task, since it waits. A wrong key-encryption key, or none, leaves a server that serves what is
    /// public and says why in `/readyz`.
    pub fn new(parts: Parts) -> Result<Self, AssemblyError> {
        Self::with_source(parts, None)
    }

    /// [`Assembled::new`], with a place where key-encryption keys are looked for that come up later.
    pub fn with_source(parts: Parts, source: Option<KeySource>) -> Result<Self, AssemblyError> {
        let store = open_store_with(parts.location.clone(), parts.kek, source, &parts.entropy)?;
        let (store, server_key) = match installation::load_server_key(&store) {
            Ok(key) => (store, key),
            Err(refusal @ (Refusal::Unavailable(_) | Refusal::Locked(_))) => {
                tracing::error!("public-only: {refusal}");
                (store, None)
            }
            Err(Refusal::Store(error @ (StoreError::Vault(_) | StoreError::Corrupt { .. }))) => {
                tracing::error!("public-only: {error}");
                (open_store(parts.location, Err(error.to_string()), &parts.entropy)?, None)
            }
            Err(other) => return Err(other.into()),
        };
        let relay = RelayPool::new(&parts.relay, parts.clock.clone(), parts.entropy.clone())?;
        let app = App::new(store, parts.clock, parts.entropy, parts.settings, server_key)?;
        if let Some(state) = &parts.state {
            app.remember_in(state);
            match app.recover() {
                // What cannot be compared may be anything: nothing is sent or lifted, and what is public stays.
                Err(WitnessError::Refused(refusal)) => app.doubt(&refusal)?,
                recovered => recovered?,
            }
        }
        let worker = Worker::new(app.clone(), &relay);
        Ok(Self { app, worker, relay, http_threads: parts.http_threads, limits: parts.limits })
    }

    /// Starts answering on `listener`, without the worker: whoever called looks by hand.
    pub async fn serve(&self, listener: TcpListener) -> std::io::Result<Serving> {
        let address = listener.local_addr()?;
        let server = crate::http::serve(self.app.clone(), listener, self.http_threads, &self.limits).await?;
        Ok(Serving { address, handle: server.handle(), task: tokio::spawn(server) })
    }

    /// Starts answering with numbers on `listener`.
    pub fn serve_metrics(&self, listener: TcpListener) -> std::io::Result<Serving> {
        let address = listener.local_addr()?;
        let server = crate::http::metrics::serve(self.app.clone(), listener)?;
        Ok(Serving { address, handle: server.handle(), task: tokio::spawn(server) })
    }

    /// Starts everything. Stop it with [`Running::stop`].
    pub async fn run(self, listener: TcpListener) -> std::io::Result<Running> {
        let serving = self.serve(listener).await?;
        let (stop, stopped) = watch::channel(false);
        let app = self.app.clone();
        let worker = tokio::spawn(async move { Box::pin(self.worker.run(stopped)).await });
        Ok(Running { app, serving, stop, worker, relay: self.relay })
    }
}

/// HTTP that is being answered.
pub struct Serving {
    /// Where.
    pub address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<std::io::Result<()>>,
}

impl Serving {
    /// Stops accepting, finishes what was begun, and returns when the socket is closed.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        // The task ends with the server; how is of no more interest.
        let _ = self.task.await;
    }
}

/// A running server.
pub struct Running {
    /// The use cases.
    pub app: App,
    serving: Serving,
    stop: watch::Sender<bool>,
    worker: JoinHandle<()>,
    relay: Arc<RelayPool>,
}

impl Running {
    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// Stops: no new requests, the batch in hand is recorded, connections to the relay are closed.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.app.wake();
        let Self { app, serving, mut worker, relay, .. } = self;
        let finished = async {
            serving.stop().await;
            // What the worker does not finish in time is taken up again after its lease.
            if tokio::time::timeout(PATIENCE, &mut worker).await.is_err() {
                tracing::warn!("the worker did not finish in time");
                worker.abort();
            }
        };
        finished.await;
        app.keep_record_now().await;
        let _ = tokio::time::timeout(FAREWELL, relay.close()).await;
    }
}
