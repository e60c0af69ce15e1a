//! How the server is: why it is not ready, for anybody, and numbers about it, for whoever may read those.
//!
//! What strangers are told names no embargo, no path and no key, and not that a lift is late, since that would tell
//! that there is one. The numbers do tell how much is embargoed, and nothing else of it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;

use super::looks::Looks;
use super::pulse::Loop;
use super::refusal::LOCKED;
use super::{App, clock_watch};
use crate::domain::clock_guard::Doubt;
use crate::domain::hold::HoldKind;
use crate::metrics::labels::Reason;
use crate::metrics::{Facts, Numbers, Parser};
use crate::store::{self, Due, Location};

/// How long what was asked about the server is told again.
const KEPT: Duration = Duration::from_secs(5);
/// How long the database has to answer whoever wants numbers.
const PATIENCE: Duration = Duration::from_millis(700);

/// How little space is as good as none, in bytes: a fix, and what is written down of it.
const LITTLE: u64 = 1 << 20;

/// Why a server is not wholly ready. Shown, it is fit for anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unready {
    /// The key-encryption key is missing or wrong.
    Locked,
    /// A key-encryption key that is in use is not the server's.
    KeyMissing,
    /// There is no server key.
    NoServerKey,
    /// A loop of the worker fails or breaks off again and again.
    Worker,
    /// Every thread that reads OpenPGP hangs.
    Parsers,
    /// A hold of this kind stands.
    Held(HoldKind),
    /// What happens cannot be remembered outside the database.
    Anchor,
    /// These public ids are not in this database.
    Vanished(Vec<String>),
    /// The clock is in doubt.
    Clock(Doubt),
    /// The clock jumped forward by so much, and nothing confirms it.
    Ahead(chrono::Duration),
    /// The database cannot be reached.
    DatabaseAway,
    /// The database cannot be written.
    DatabaseReadOnly,
    /// So little space is left that what comes next may not be stored.
    NoSpace,
}

impl Unready {
    /// Its kind.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Locked | Self::KeyMissing => Reason::Locked,
            Self::NoServerKey => Reason::NoServerKey,
            Self::Worker => Reason::Worker,
            Self::Parsers => Reason::Parsers,
            Self::Held(HoldKind::Operator) => Reason::HoldOperator,
            Self::Held(HoldKind::Recovery) => Reason::HoldRecovery,
            Self::Anchor => Reason::Anchor,
            Self::Vanished(_) => Reason::Vanished,
            Self::Clock(_) => Reason::ClockDoubt,
            Self::Ahead(_) => Reason::ClockAhead,
            Self::DatabaseAway => Reason::DatabaseAway,
            Self::DatabaseReadOnly => Reason::DatabaseReadOnly,
            Self::NoSpace => Reason::NoSpace,
        }
    }
}

impl fmt::Display for Unready {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => write!(formatter, "{LOCKED}; only what is public is served"),
            Self::KeyMissing => formatter.write_str(
                "a key-encryption key in use is not in this server's key file: restart it with the present one",
            ),
            Self::NoServerKey => formatter.write_str("there is no server key; only what is public is served"),
            Self::Worker => formatter.write_str("the worker fails again and again: see the server's log"),
            Self::Parsers => formatter.write_str("the OpenPGP parsers are stuck; restart the server"),
            Self::Held(kind) => formatter.write_str(kind.describe()),
            Self::Anchor => formatter.write_str("what happens cannot be remembered outside the database"),
            // They were public, so they may be named.
            Self::Vanished(ids) => {
                write!(formatter, "published before, and not in this database: {}", ids.join(", "))
            }
            Self::Clock(doubt) => write!(formatter, "{doubt}: lifts and mail are held"),
            Self::Ahead(ahead) => formatter.write_str(&clock_watch::late(*ahead)),
            Self::DatabaseAway => formatter.write_str("the database cannot be reached"),
            Self::DatabaseReadOnly => formatter.write_str("the database cannot be written"),
            Self::NoSpace => {
                formatter.write_str("the disk is full, or nearly so: nothing more can be stored")
            }
        }
    }
}

/// What was asked about the server.
#[derive(Debug, Default)]
pub(super) struct Asked {
    readiness: Looks<Vec<Unready>>,
    /// For the page of numbers, and when.
    answer: Mutex<Option<(Duration, Answer)>>,
}

/// What the database says; nothing while it is away.
#[derive(Clone, Debug)]
struct Answer {
    reasons: Vec<Reason>,
    numbers: Option<Numbers>,
}

impl App {
    /// Why this server is not wholly ready; empty if it is. Strangers ask it as often as they like, and a look takes
    /// the right to write, which lifts need.
    pub async fn unready(&self) -> Vec<Unready> {
        let app = self.clone();
        self.asked.readiness.share(async move { app.look_at_readiness().await }).await
    }

    async fn look_at_readiness(&self) -> Vec<Unready> {
        let mut reasons = self.unready_by_itself();
        let held = self.store.read(|tx| tx.open_hold_kinds()).await.unwrap_or_default();
        reasons.extend(HoldKind::ALL.into_iter().filter(|kind| held.contains(kind)).map(Unready::Held));
        if self.has_anchor_trouble() {
            reasons.push(Unready::Anchor);
        }
        let missing = self.store.read(|tx| tx.missing_keks()).await.unwrap_or_default();
        if missing.iter().any(|key| key.current_at.is_some()) {
            reasons.push(Unready::KeyMissing);
        }
        let vanished = self.vanished().await;
        if !vanished.is_empty() {
            reasons.push(Unready::Vanished(vanished));
        }
        let app = self.clone();
        match self.store.read(move |tx| app.look_at_clock(tx)).await {
            Ok(verdict) => {
                let doubt = verdict.doubt.map(Unready::Clock);
                reasons.extend(doubt.or(verdict.ahead.map(Unready::Ahead)));
            }
            Err(_) => {
                reasons.push(Unready::DatabaseAway);
                return reasons;
            }
        }
        if let Err(error) = self.store.write(|tx| tx.check_writable()).await {
            tracing::warn!("not ready: {error}");
            reasons.push(Unready::DatabaseReadOnly);
        }
        // A small change is taken by a full disk, and what it was full for is not.
        if self.folders().any(is_full) {
            reasons.push(Unready::NoSpace);
        }
        reasons
    }

    /// Where this server writes on its own machine.
    fn folders(&self) -> impl Iterator<Item = &Path> {
        let database = match self.store.location() {
            Location::Sqlite(file) => file.parent(),
            Location::Postgres(_) => None,
        };
        database.into_iter().chain(self.witness().map(|witness| witness.folder()))
    }

    /// What can be said without a look at the database.
    fn unready_by_itself(&self) -> Vec<Unready> {
        let mut reasons = Vec::new();
        if let Some(reason) = self.store.vault().locked_reason() {
            tracing::debug!("the vault is locked: {reason}");
            reasons.push(Unready::Locked);
        } else if self.server_key().is_err() {
            reasons.push(Unready::NoServerKey);
        }
        if self.pulse.is_weak() {
            reasons.push(Unready::Worker);
        }
        if self.strangers().is_stuck() || self.commands().is_stuck() {
            reasons.push(Unready::Parsers);
        }
        reasons
    }

    /// The page of numbers. It is made within a second, whatever the database does, which is asked once in five
    /// seconds at most.
    pub async fn metrics_page(&self) -> String {
        let Answer { reasons, numbers } = self.answer().await;
        let verdict = self.last_verdict();
        let apart = |doubt: Doubt| match doubt {
            Doubt::Jumped(by) | Doubt::Apart(by) | Doubt::Behind(by) => positive(by.abs()),
        };
        let parser = |name, pool: &crate::openpgp::ParsePool| Parser {
            name,
            failures: pool.failures().map(|(error, count)| (error.code(), count)),
        };
        let facts = Facts {
            numbers,
            reasons,
            loops: Loop::ALL
                .map(|which| (which.as_str(), self.pulse.age(which), self.pulse.skips(which)))
                .to_vec(),
            parsers: vec![parser("strangers", self.strangers()), parser("commands", self.commands())],
            clock_doubt: verdict.and_then(|verdict| verdict.doubt).map(apart),
            clock_ahead: verdict.and_then(|verdict| verdict.ahead).map(positive).unwrap_or_default(),
            anchor_trouble: self.has_anchor_trouble(),
            database_failures: self.store.failures(),
        };
        self.metrics.page(&facts)
    }

    /// Notes a lift that was committed.
    pub(super) fn count_lift(&self, lifts_at: DateTime<Utc>) {
        self.metrics.lifted(positive(self.clock.now() - lifts_at));
    }

    fn has_anchor_trouble(&self) -> bool {
        self.witness().is_some_and(|witness| witness.trouble().is_some())
    }

    /// What the database says, or said a moment ago. Several who ask at once wait for one answer.
    async fn answer(&self) -> Answer {
        let mut asked = self.asked.answer.lock().await;
        let now = self.clock.monotonic();
        if let Some((at, answer)) = &*asked
            && now.saturating_sub(*at) < KEPT
        {
            return answer.clone();
        }
        let instant = self.clock.now();
        let look = async {
            let numbers = self.store.read(move |tx| tx.numbers(instant)).await;
            (self.unready().await, numbers)
        };
        let answer = match tokio::time::timeout(PATIENCE, look).await {
            Ok((reasons, numbers)) => Answer {
                reasons: reasons.iter().map(Unready::reason).collect(),
                numbers: numbers.ok().map(|numbers| shown(&numbers, instant)),
            },
            Err(_) => {
                let mut reasons = self.unready_by_itself();
                reasons.push(Unready::DatabaseAway);
                Answer { reasons: reasons.iter().map(Unready::reason).collect(), numbers: None }
            }
        };
        *asked = Some((self.clock.monotonic(), answer.clone()));
        answer
    }
}

fn shown(numbers: &store::Numbers, now: DateTime<Utc>) -> Numbers {
    let age = |since: Option<DateTime<Utc>>| since.map(|since| positive(now - since)).unwrap_or_default();
    let due = |due: Due| (due.count, age(due.since));
    let standing = |kind: HoldKind| numbers.holds.iter().filter(|held| **held == kind).count();
    Numbers {
        holds: HoldKind::ALL
            .map(|kind| (kind.as_str(), u64::try_from(standing(kind)).unwrap_or_default()))
            .to_vec(),
        overdue: due(numbers.lifts),
        late_notices: due(numbers.notices),
        copies: numbers.copies.iter().map(|(state, count)| (state.as_str(), *count)).collect(),
        oldest_due_copy: age(numbers.next_copy),
        applications: numbers.applications,
    }
}

/// Whether a folder's disk is full. One that cannot be asked is not.
fn is_full(folder: &Path) -> bool {
    // SQLite's own folder is the empty path if its file has none.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // Some network file systems tell no sizes.
    rustix::fs::statvfs(folder)
        .is_ok_and(|disk| disk.f_blocks > 0 && disk.f_bavail.saturating_mul(disk.f_frsize) < LITTLE)
}

fn positive(duration: chrono::Duration) -> Duration {
    duration.to_std().unwrap_or_default()
}
