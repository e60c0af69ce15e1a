//! What a replica remembers outside the database, so that an older copy of the database is known for what it is.
//!
//! In the state directory lie `anchor`, a signed checkpoint of how far the audit log reached; `revocations`, a line for
//! everything that was ended; `published`, a line for every advisory. These three are written before a revocation
//! or a lift is answered; otherwise they follow within seconds. Another replica's revocations come in as
//! fast. `booted` is what the clocks were last believed to say. Nothing here is secret, and nothing is decided here: it says what speaks against going on.

pub(super) mod booted;
mod files;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::checkpoints::{self, Checkpoint, SignedCheckpoint};
use super::{App, Refusal, installation, recovery};
use crate::clock::Clock;
use crate::domain::clock_guard::Verdict;
use crate::domain::id::TokenId;
use crate::entropy::Entropy;
use crate::openpgp::{Certificate, ServerKey};
use crate::store::{AuditHead, Incarnation, Revocation, Store, StoreError, Tx};

const ANCHOR: &str = "anchor";
const REVOCATIONS: &str = "revocations";
const PUBLISHED: &str = "published";
/// How far the anchor may lag behind what is neither a lift nor a revocation.
const LAG: Duration = Duration::from_secs(5);
/// How long another server on this machine is waited for that writes the same files; once it was too long, not at all.
const PATIENCE: Duration = Duration::from_secs(2);
/// How far back is looked for what other replicas ended, in microseconds: their clocks differ.
const OVERLAP: i64 = 3_600_000_000;

/// Why nothing could be remembered, or nothing compared.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// A file beside the anchor, or its folder.
    #[error("{} cannot be used: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The database or the key.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<StoreError> for WitnessError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

/// What speaks against going on with a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// Entries are missing that this replica has seen.
    #[error(
        "the database is older than what this replica has seen: its audit log ends at entry {found}, and reached \
         entry {anchored}"
    )]
    Older {
        /// Where it ends.
        found: i64,
        /// How far it reached.
        anchored: i64,
    },
    /// It went another way.
    #[error("entry {0} of the audit log is another one than this replica has seen")]
    Forked(i64),
    /// It does not know the life that the anchor names.
    #[error("the database is from before it was last restored, or belongs to another installation")]
    OtherLife,
    /// The anchor cannot be believed.
    #[error("the anchor in the state directory is damaged, or was not signed by this server")]
    Damaged,
}

/// What this process knows to be in the files.
#[derive(Default)]
struct Memory {
    ended: HashSet<String>,
    published: HashSet<String>,
    since: Option<i64>,
    key: Option<Arc<ServerKey>>,
}

/// How it goes: what may be asked while files are written.
#[derive(Default)]
struct Going {
    looked: Option<Duration>,
    trouble: Option<String>,
}

/// One state directory's memory.
pub struct Witness {
    folder: PathBuf,
    clock: Clock,
    replica: String,
    memory: Mutex<Memory>,
    going: Mutex<Going>,
}

/// What the database says of itself.
struct Facts {
    head: AuditHead,
    lives: Vec<Incarnation>,
    /// The hash of the entry that the anchor names.
    there: Option<String>,
    ended: Vec<Revocation>,
    published: Vec<(String, i64)>,
    server: Option<Certificate>,
}

/// There is an anchor, and it does not say anything.
pub(super) struct Unreadable;

/// The anchor in the folder `state`, whoever signed it.
pub(super) fn readable_anchor(state: &Path) -> Result<Option<SignedCheckpoint>, Unreadable> {
    let Some(text) = files::read(state, ANCHOR).map_err(|_| Unreadable)? else { return Ok(None) };
    let anchor = SignedCheckpoint::from_text(&text).filter(|anchor| anchor.read().is_some());
    anchor.map(Some).ok_or(Unreadable)
}

fn anchor_in(state: &Path) -> Option<SignedCheckpoint> {
    readable_anchor(state).ok().flatten()
}

impl Witness {
    /// The memory in the folder `state`.
    pub fn new(state: &Path, clock: Clock, entropy: &Entropy) -> Self {
        let known = anchor_in(state).and_then(|anchor| anchor.read()).map(|said| said.replica);
        let replica = known.unwrap_or_else(|| TokenId::from_random(entropy.bytes()).to_string());
        Self { folder: state.to_owned(), clock, replica, memory: Mutex::default(), going: Mutex::default() }
    }

    /// Has everything that weighs remembered as soon as it is committed, whoever does it through `store`.
    pub fn attend(self: &Arc<Self>, store: &Store) {
        let witness = Arc::clone(self);
        store.call_after_weighty_commits(move |store| witness.keep_and_say(store));
    }

    /// Whether the files may lag behind.
    fn is_time(&self) -> bool {
        let looked = self.going().looked;
        looked.is_none_or(|looked| self.clock.monotonic().saturating_sub(looked) >= LAG)
    }

    /// Compares the database with the files, and writes nothing.
    pub fn compare(&self, store: &Store) -> Result<Option<Doubt>, WitnessError> {
        let anchor = self.read(ANCHOR)?;
        let facts = facts(store, anchor.as_deref(), i64::MAX)?;
        Ok(compared(anchor.as_deref(), &facts).err())
    }

    /// Compares, and if nothing speaks against it, writes what is new into the files.
    pub fn keep(&self, store: &Store) -> Result<Option<Doubt>, WitnessError> {
        self.going().looked = Some(self.clock.monotonic());
        let mut memory = self.memory();
        let _lock = self.lock()?;
        let anchor = self.read(ANCHOR)?;
        let facts = facts(store, anchor.as_deref(), memory.since.unwrap_or_default())?;
        let anchored = match compared(anchor.as_deref(), &facts) {
            Ok(anchored) => anchored,
            Err(doubt) => return Ok(Some(doubt)),
        };
        if memory.since.is_none() {
            memory.ended = self.lines(REVOCATIONS)?;
            memory.published = self.lines(PUBLISHED)?;
        }
        // The anchor comes last: whatever it covers is in the other two.
        let ended = facts.ended.iter().map(ToString::to_string);
        self.add(REVOCATIONS, ended, &mut memory.ended)?;
        let published = facts.published.iter().map(|(id, at)| {
            let at = chrono::DateTime::from_timestamp_micros(*at).unwrap_or_default();
            format!("{id} {}", at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
        });
        self.add(PUBLISHED, published, &mut memory.published)?;
        let newest = facts.ended.iter().map(|ended| ended.at).chain(facts.published.iter().map(|it| it.1));
        let since = newest.max().map(|at| at.saturating_sub(OVERLAP));
        memory.since = Some(memory.since.unwrap_or_default().max(since.unwrap_or_default()));
        let Some(life) = facts.lives.last() else { return Ok(None) };
        let covered = anchored.is_some_and(|anchored| {
            anchored.incarnation == life.id && anchored.sequence >= facts.head.sequence
        });
        if !covered && let Some(key) = memory.key(store)? {
            let said = Checkpoint::new(
                facts.head.sequence,
                facts.head.hash,
                self.clock.now(),
                life.id.clone(),
                self.replica.clone(),
            );
            let text = said.sign(&key)?.to_text();
            files::replace(&self.folder, ANCHOR, text.as_bytes()).map_err(self.failed(ANCHOR))?;
        }
        Ok(None)
    }

    /// [`Witness::keep`] for who cannot wait for an answer: what goes wrong is logged, once.
    fn keep_and_say(&self, store: &Store) {
        let trouble = match self.keep(store) {
            Ok(None) => None,
            Ok(Some(doubt)) => {
                let now = self.clock.now();
                let held = store.write_now(|tx| recovery::hold(tx, &doubt.to_string(), now));
                Some(held.map_or_else(|error| error.to_string(), |_| doubt.to_string()))
            }
            Err(error) => Some(error.to_string()),
        };
        let mut going = self.going();
        if going.trouble != trouble {
            match &trouble {
                Some(trouble) => tracing::error!("nothing is remembered outside the database: {trouble}"),
                None => tracing::info!("what happens is remembered outside the database again"),
            }
            going.trouble = trouble;
        }
    }

    /// Where the anchor lies.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Why nothing is remembered at present, if that is so.
    pub fn trouble(&self) -> Option<String> {
        self.going().trouble.clone()
    }

    /// The life that the anchor names, whoever signed it.
    pub(super) fn anchored_life(&self) -> Option<String> {
        anchor_in(&self.folder).and_then(|anchor| anchor.read()).map(|said| said.incarnation)
    }

    /// Sets the anchor aside: the operator goes on without what it says.
    pub(super) fn set_aside(&self) -> Result<(), WitnessError> {
        let _lock = self.lock()?;
        files::set_aside(&self.folder, ANCHOR).map_err(self.failed(ANCHOR))
    }

    /// What the files know to have ended.
    pub fn revocations(&self) -> Result<Vec<Revocation>, WitnessError> {
        let text = self.read(REVOCATIONS)?.unwrap_or_default();
        Ok(text.lines().filter_map(Revocation::parse).collect())
    }

    /// The public ids that the files know to be published.
    pub fn published(&self) -> Result<Vec<String>, WitnessError> {
        let text = self.read(PUBLISHED)?.unwrap_or_default();
        let id = |line: &str| Some(line.split_once(' ')?.0.to_owned());
        Ok(text.lines().filter_map(id).collect())
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never held while anything is waited for.
    fn going(&self) -> std::sync::MutexGuard<'_, Going> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> Result<std::fs::File, WitnessError> {
        let patience = if self.going().trouble.is_none() { PATIENCE } else { Duration::ZERO };
        files::lock(&self.folder, patience).map_err(self.failed("anchor.lock"))
    }

    fn failed(&self, name: &str) -> impl FnOnce(io::Error) -> WitnessError {
        let path = self.folder.join(name);
        move |source| WitnessError::File { path, source }
    }

    fn read(&self, name: &str) -> Result<Option<String>, WitnessError> {
        files::read(&self.folder, name).map_err(self.failed(name))
    }

    fn lines(&self, name: &str) -> Result<HashSet<String>, WitnessError> {
        Ok(self.read(name)?.unwrap_or_default().lines().map(str::to_owned).collect())
    }

    /// Adds the lines that are not there yet.
    fn add(
        &self,
        name: &str,
        lines: impl Iterator<Item = String>,
        known: &mut HashSet<String>,
    ) -> Result<(), WitnessError> {
        let new: Vec<String> = lines.filter(|line| !known.contains(line)).collect();
        files::append(&self.folder, name, &new).map_err(self.failed(name))?;
        known.extend(new);
        Ok(())
    }
}

impl Memory {
    /// The server's key; none while the vault is shut.
    fn key(&mut self, store: &Store) -> Result<Option<Arc<ServerKey>>, Refusal> {
        if self.key.is_none() && store.vault().locked_reason().is_none() {
            self.key = installation::load_server_key(store)?.map(Arc::new);
        }
        Ok(self.key.clone())
    }
}

fn facts(store: &Store, anchor: Option<&str>, since: i64) -> Result<Facts, WitnessError> {
    let said = anchor.and_then(SignedCheckpoint::from_text).and_then(|anchor| anchor.read());
    let read = |tx: &mut Tx<'_>| {
        tx.freeze()?;
        Ok::<_, StoreError>(Facts {
            head: tx.audit_head()?,
            lives: tx.incarnations()?,
            there: said.map(|said| tx.audit_hash(said.sequence)).transpose()?.flatten(),
            ended: tx.revocations_since(since)?,
            published: tx.published_since(since)?,
            server: tx.server_certificate()?.and_then(|bytes| Certificate::parse(&bytes).ok()),
        })
    };
    Ok(store.read_now(read)?)
}

/// What the anchor says, if nothing in it speaks against the database; `None` if there is no anchor.
fn compared(anchor: Option<&str>, facts: &Facts) -> Result<Option<Checkpoint>, Doubt> {
    let Some(text) = anchor else { return Ok(None) };
    let signed = SignedCheckpoint::from_text(text);
    let said = signed.zip(facts.server.as_ref()).and_then(|(signed, server)| signed.verified(server));
    let said = said.ok_or(Doubt::Damaged)?;
    let Some(place) = facts.lives.iter().position(|life| life.id == said.incarnation) else {
        return Err(Doubt::OtherLife);
    };
    // Of an earlier life the operator said that the database goes on without it.
    if place + 1 == facts.lives.len() {
        if said.sequence > facts.head.sequence {
            return Err(Doubt::Older { found: facts.head.sequence, anchored: said.sequence });
        }
        if facts.there.as_ref() != Some(&said.hash) {
            return Err(Doubt::Forked(said.sequence));
        }
    }
    Ok(Some(said))
}

impl App {
    /// Remembers from now on in the folder `state` what must not be forgotten.
    pub fn remember_in(&self, state: &Path) {
        let witness = Arc::new(Witness::new(state, self.clock.clone(), &self.entropy));
        witness.attend(&self.store);
        // A second one would be for the same folder.
        let _ = self.witness.set(witness);
    }

    /// The memory outside the database, if there is one.
    pub fn witness(&self) -> Option<&Arc<Witness>> {
        self.witness.get()
    }

    /// Signs a checkpoint and moves the anchor, if it is time.
    pub async fn keep_record(&self) {
        if self.witness().is_some_and(|witness| witness.is_time()) {
            self.keep_record_now().await;
        }
    }

    /// Signs a checkpoint if one is due, and moves the anchor to the head of the log.
    pub async fn keep_record_now(&self) {
        let Some(witness) = self.witness().cloned() else { return };
        let app = self.clone();
        let keep = move || {
            let now = app.clock.now();
            // A later checkpoint is measured by the date of this one, so a clock that may be ahead makes none.
            let is_sure = |verdict: Verdict| verdict.doubt.is_none() && verdict.ahead.is_none();
            if app.last_verdict().is_none_or(is_sure)
                && let Ok(key) = app.server_key()
                && let Err(error) = checkpoints::make_if_due(&app.store, &key, &witness.replica, now)
            {
                tracing::warn!("no checkpoint of the audit log was signed: {error}");
            }
            if let Err(error) = app.look_for_keys() {
                tracing::warn!("the keys in use were not looked for: {error}");
            }
            witness.keep_and_say(&app.store);
        };
        if tokio::task::spawn_blocking(keep).await.is_err() {
            tracing::error!("the anchor was not moved: it was interrupted");
        }
    }
}
