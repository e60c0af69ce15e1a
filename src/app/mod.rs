//! The use cases, by noun. Each reads the clock once, decides in the domain, and writes once.
//!
//! Nothing here speaks HTTP or opens a connection: what is to leave becomes rows, and the worker takes it
//! from there. Whoever calls has been identified by `sessions` (a token) or `commands` (a signature); what
//! they may do is judged here, in the transaction that does it.

pub mod answers;
pub mod applications;
pub mod audit;
pub mod backup;
mod bodies;
pub mod checkpoints;
mod clock_watch;
pub mod commands;
pub mod deliveries;
pub mod embargoes;
mod fate;
pub mod fixes;
pub mod health;
pub mod holds;
pub mod housekeeping;
pub mod installation;
mod keys;
pub mod leases;
pub mod lift;
mod looks;
pub mod notices;
pub mod ownership;
mod people;
pub mod pulse;
pub mod recovery;
pub mod refusal;
pub mod removals;
pub mod reports;
pub mod roster;
pub mod schedule;
mod scope;
pub mod sessions;
pub mod test_mail;
mod texts;
pub mod witness;

use std::sync::{Arc, Mutex, OnceLock, RwLock};

use tokio::sync::watch;

use crate::clock::Clock;
use crate::domain::address::Address;
use crate::domain::id::{ContactId, EmbargoId, MaintainerId, PackagerId};
use crate::entropy::Entropy;
use crate::formats::changelog;
use crate::metrics::Metrics;
use crate::openpgp::{Acceptance, Certificate, ParsePool, ServerKey};
use crate::store::{AuditEntry, Store, StoredCertificate};
// What the entry points need to name of what is stored.
pub use crate::openpgp::{Finding, Weight};
pub use crate::store::{Answers, AuditRecord, Hold, Published, StoreError, StoredFix, TokenKind};
pub use refusal::Refusal;
use witness::Witness;

/// What the operator decided, as far as use cases care.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the server is reached, such as `https://embargo.example`, without a slash at the end.
    pub base_url: String,
    /// The neutral address that mail comes from.
    pub from: Address,
    /// What public ids begin with.
    pub id_prefix: String,
    /// Above this size fixes are fetched instead of attached, in bytes.
    pub max_mail_bytes: usize,
    /// Whether this installation is practice, for ever.
    pub practice: bool,
}

/// The use cases, with what they need. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// What the operator decided.
    pub settings: Arc<Settings>,
    /// Whether the worker lives.
    pub pulse: pulse::Pulse,
    /// What is counted.
    pub metrics: Metrics,
    /// What writes changelog entries: the format that a lift can do without.
    pub changelog: changelog::Entry,
    server_key: Arc<RwLock<Option<Arc<ServerKey>>>>,
    /// For what strangers send, and for what comes in the name of maintainers: a flood of one delays not the other.
    strangers: Arc<ParsePool>,
    commands: Arc<ParsePool>,
    wakes: watch::Sender<u64>,
    clock_watch: Arc<Mutex<clock_watch::ClockWatch>>,
    /// Held while lifts are due: nothing else is begun that would keep the database busy.
    lifts_first: Arc<tokio::sync::Mutex<()>>,
    witness: Arc<OnceLock<Arc<Witness>>>,
    asked: Arc<health::Asked>,
}

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody at the server's own console.
    Operator,
    /// The server itself, because it was time.
    Server,
    /// A maintainer.
    Maintainer(MaintainerId),
    /// A packager's contact.
    Contact {
        /// The contact.
        contact: ContactId,
        /// Its organisation.
        packager: PackagerId,
    },
}

impl std::fmt::Display for Actor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Operator => formatter.write_str("operator"),
            Self::Server => formatter.write_str("server"),
            Self::Maintainer(id) => write!(formatter, "maintainer:{id}"),
            Self::Contact { contact, .. } => write!(formatter, "contact:{contact}"),
        }
    }
}

impl App {
    /// The use cases over these parts. Without a server key only what is public works.
    pub fn new(
        store: Store,
        clock: Clock,
        entropy: Entropy,
        settings: Settings,
        server_key: Option<ServerKey>,
    ) -> std::io::Result<Self> {
        Ok(Self {
            pulse: pulse::Pulse::new(clock.clone()),
            metrics: Metrics::new(clock.now()),
            changelog: changelog::entry,
            store,
            clock,
            entropy,
            settings: Arc::new(settings),
            server_key: Arc::new(RwLock::new(server_key.map(Arc::new))),
            strangers: Arc::new(ParsePool::start()?),
            commands: Arc::new(ParsePool::start()?),
            wakes: watch::Sender::new(0),
            clock_watch: Arc::default(),
            lifts_first: Arc::default(),
            witness: Arc::default(),
            asked: Arc::default(),
        })
    }

    /// The server's key, or the refusal that says why there is none.
    pub fn server_key(&self) -> Result<Arc<ServerKey>, Refusal> {
        let key = self.server_key.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        key.ok_or_else(|| match self.store.vault().locked_reason() {
            Some(reason) => Refusal::Locked(reason.to_owned()),
            None => Refusal::Unavailable("there is no server key".to_owned()),
        })
    }

    /// Changes whenever something may have become due.
    pub fn wakes(&self) -> watch::Receiver<u64> {
        self.wakes.subscribe()
    }

    /// Tells the worker to look now.
    pub fn wake(&self) {
        self.wakes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The bounded pool in which strangers' certificates are parsed.
    pub fn strangers(&self) -> &ParsePool {
        &self.strangers
    }

    /// The bounded pool in which signed commands, and what they carry, are opened.
    pub fn commands(&self) -> &ParsePool {
        &self.commands
    }
}

/// A stored certificate as `openpgp` takes it.
pub(crate) fn certificate_of(stored: &StoredCertificate) -> Result<(Certificate, Acceptance), StoreError> {
    let mut certificate = Certificate::parse(&stored.bytes)
        .map_err(|_| StoreError::Corrupt { table: "certificates", id: stored.id.to_string() })?;
    if stored.seipdv1_only {
        certificate = certificate.seipdv1_only();
    }
    let acceptance = match stored.sha1_until {
        Some(until) => Acceptance::Sha1Bindings { until },
        None => Acceptance::Strict,
    };
    Ok((certificate, acceptance))
}

/// An audit entry about an embargo.
fn entry(
    now: chrono::DateTime<chrono::Utc>,
    actor: &Actor,
    action: &'static str,
    embargo: &EmbargoId,
    object: &impl ToString,
    detail: impl Into<Vec<u8>>,
) -> AuditEntry {
    AuditEntry {
        at: now,
        actor: actor.to_string(),
        action,
        embargo: Some(embargo.clone()),
        object: object.to_string(),
        detail: detail.into(),
    }
}
