//! What one worker holds of the outbox: copies claimed and in line, and outcomes that are not recorded yet.
//!
//! Claims are topped up while connections work, so a slow mail occupies its own connection and nothing else. An
//! outcome is kept, and its lease renewed, until it is recorded or the fencing number shows that another worker
//! took the copy over; only then is it forgotten.
//!
//! When the database cannot be reached, nothing new begins, since the last look before a mail asks it. What the
//! relay accepted in that moment is kept here and recorded before anything is claimed again. Its lease runs out
//! meanwhile, but that says little where the database was away for everybody: a worker takes copies over only
//! after its own contact with the database has held for [`CONTACT`]. What no rule can avoid is bounded: a worker
//! that is cut off alone, or killed, with answers in its hands is taken over, and those few mails, one for each
//! connection and one group at most, go again with the same bytes and the same Message-ID.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::deliveries::{Claimed, Fate, Outgoing};
use crate::app::leases::{Held, RENEW_EVERY};
use crate::app::{App, Refusal};
use crate::metrics::labels::{Attempt, Reply};
use crate::outbound::pool::{Item, Line, RelayPool, Report};
use crate::outbound::{Consent, Outcome};

/// How many copies are held at most: what bounds the memory.
const HELD: usize = 128;
/// How many are claimed at once.
const CLAIMED_AT_ONCE: usize = 64;
/// How many outcomes are recorded together, if they come quickly.
const RECORDED_TOGETHER: usize = 16;
/// How long the first of them waits for the others.
const GATHERING: Duration = Duration::from_millis(20);
/// How long the database has to answer without a failure before copies are taken from other workers.
pub(super) const CONTACT: Duration = Duration::from_secs(15);

/// A copy on its way: what the connections ask before and while it leaves.
#[derive(Clone)]
struct Copy {
    held: Arc<Held>,
    app: App,
    stop: watch::Receiver<bool>,
}

impl Consent for Copy {
    async fn may_leave(&self) -> bool {
        !*self.stop.borrow() && self.app.still_may_send(&self.held).await
    }

    fn still_holds(&self) -> bool {
        self.held.is_trusted(&self.app.clock)
    }

    async fn withdrawn(&self) {
        // Who can no longer say stop does not say it.
        if self.stop.clone().wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The copies that one worker holds.
pub(super) struct Outbox {
    app: App,
    name: String,
    line: Line<Copy>,
    held: HashMap<String, Arc<Held>>,
    fates: Vec<(Claimed, Option<Fate>)>,
    /// When leases were renewed last, on the monotonic clock.
    renewed: Duration,
    /// From when on copies may be taken from other workers; nothing while the database is away.
    takes_over: Option<Duration>,
    stop: watch::Receiver<bool>,
}

impl Outbox {
    pub(super) fn new(app: App, relay: &Arc<RelayPool>, name: String) -> Self {
        let renewed = app.clock.monotonic();
        let (_, stop) = watch::channel(false);
        let (held, fates) = (HashMap::new(), Vec::new());
        let takes_over = Some(Duration::ZERO);
        Self { app, name, line: relay.line(), held, fates, renewed, takes_over, stop }
    }

    /// From now on `stop` ends what is not begun.
    pub(super) fn obey(&mut self, stop: watch::Receiver<bool>) {
        self.stop = stop;
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Records what is known, renews what is held, claims what is due; says how many copies it claimed.
    pub(super) async fn step(&mut self) -> Result<usize, Refusal> {
        let stepped = self.stepped().await;
        self.takes_over = match &stepped {
            Err(Refusal::Store(error)) if error.is_about_the_database() => None,
            _ => self.takes_over.or(Some(self.app.clock.monotonic() + CONTACT)),
        };
        stepped
    }

    async fn stepped(&mut self) -> Result<usize, Refusal> {
        self.collect();
        let recorded = self.record().await;
        self.renew().await?;
        match recorded {
            Err(Refusal::Store(error)) if error.is_about_the_database() => return Err(error.into()),
            // Some outcome cannot be recorded for what is in its row: that delays no other.
            Err(refusal) => tracing::error!("an outcome cannot be recorded: {refusal}"),
            Ok(()) => {}
        }
        if *self.stop.borrow() {
            self.give_back().await?;
            return Ok(0);
        }
        self.line.open_lanes();
        let room = (HELD - self.held.len().min(HELD)).min(CLAIMED_AT_ONCE);
        // In larger groups: each of them reads its bodies once.
        if room < CLAIMED_AT_ONCE { Ok(0) } else { self.claim(room).await }
    }

    /// Waits for an outcome, and a moment longer for those that come right behind it.
    pub(super) async fn outcomes(&mut self) {
        let first = self.line.report().await;
        self.take(first);
        let more = async {
            while self.fates.len() < RECORDED_TOGETHER && self.fates.len() < self.held.len() {
                let next = self.line.report().await;
                self.take(next);
            }
        };
        // Late ones are there for the next record.
        let _ = tokio::time::timeout(GATHERING, more).await;
    }

    /// When the leases must be renewed, counted from now; never while nothing is held.
    pub(super) fn renewal(&self) -> Option<chrono::Duration> {
        let due = self.renewed + RENEW_EVERY.to_std().unwrap_or_default();
        let wait = due.saturating_sub(self.app.clock.monotonic());
        (!self.held.is_empty()).then(|| chrono::Duration::from_std(wait).unwrap_or(RENEW_EVERY))
    }

    fn collect(&mut self) {
        while let Some(report) = self.line.reported() {
            self.take(report);
        }
    }

    fn take(&mut self, (copy, outcome): Report<Copy>) {
        let (attempt, reply) = numbers_of(outcome.as_ref());
        self.app.metrics.attempted(attempt, reply);
        self.fates.push((copy.held.claimed.clone(), outcome.map(fate)));
    }

    async fn record(&mut self) -> Result<(), Refusal> {
        if self.fates.is_empty() {
            return Ok(());
        }
        let Err(refusal) = self.app.record(self.fates.clone()).await else {
            for (claimed, _) in self.fates.drain(..) {
                self.held.remove(claimed.id.as_str());
            }
            return Ok(());
        };
        if self.fates.len() == 1 {
            return Err(refusal);
        }
        // One that cannot be recorded keeps its own lease and no other's.
        for (claimed, fate) in std::mem::take(&mut self.fates) {
            match self.app.record(vec![(claimed.clone(), fate.clone())]).await {
                Ok(()) => drop(self.held.remove(claimed.id.as_str())),
                Err(_) => self.fates.push((claimed, fate)),
            }
        }
        if self.fates.is_empty() { Ok(()) } else { Err(refusal) }
    }

    async fn renew(&mut self) -> Result<(), Refusal> {
        if self.renewal().is_none_or(|wait| wait > chrono::Duration::zero()) {
            return Ok(());
        }
        let begun = self.app.clock.monotonic();
        self.app.renew(self.held.values().cloned().collect()).await?;
        self.renewed = begun;
        Ok(())
    }

    async fn claim(&mut self, count: usize) -> Result<usize, Refusal> {
        let now = self.app.clock.monotonic();
        let takes_over = self.takes_over.is_some_and(|from| now >= from);
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let claimed = self.app.claim(&self.name, count, takes_over).await?;
        if self.held.is_empty() {
            self.renewed = now;
        }
        for Outgoing { held, .. } in &claimed {
            self.held.insert(held.claimed.id.to_string(), Arc::clone(held));
        }
        let count = claimed.len();
        let item = |Outgoing { held, from, to, parts }| {
            let id = Copy { held, app: self.app.clone(), stop: self.stop.clone() };
            Item { id, from, to, parts }
        };
        self.line.put(claimed.into_iter().map(item));
        Ok(count)
    }

    /// Gives back what no connection has begun.
    async fn give_back(&mut self) -> Result<(), Refusal> {
        for copy in self.line.take_back() {
            self.fates.push((copy.held.claimed.clone(), None));
        }
        self.record().await
    }
}

/// What is counted of an outcome; nothing is known of the relay's answer if it was not asked.
fn numbers_of(outcome: Option<&Outcome>) -> (Attempt, Option<Reply>) {
    match outcome {
        None => (Attempt::Withheld, None),
        Some(Outcome::Accepted { .. }) => (Attempt::Accepted, Some(Reply::Taken)),
        Some(Outcome::Refused { code, permanent, .. }) => {
            let attempt = if *permanent { Attempt::Refused } else { Attempt::Deferred };
            (attempt, Some(if *code < 500 { Reply::NotNow } else { Reply::Never }))
        }
        Some(Outcome::NotSent { .. }) => (Attempt::NotSent, Some(Reply::None)),
        Some(Outcome::Uncertain { .. }) => (Attempt::Uncertain, Some(Reply::None)),
    }
}

fn fate(outcome: Outcome) -> Fate {
    let (too_large, about_us) = (outcome.is_about_size(), outcome.is_about_us());
    match outcome {
        Outcome::Accepted { reply } => Fate::Accepted(reply),
        Outcome::Refused { reply, .. } if too_large => Fate::TooLarge(reply),
        Outcome::Refused { reply, .. } if about_us => Fate::Unwelcome(reply),
        Outcome::Refused { reply, permanent: true, .. } => Fate::Refused(reply),
        Outcome::Refused { reply, permanent: false, .. } => Fate::Deferred(reply),
        Outcome::NotSent { reason } => Fate::NotSent(reason),
        Outcome::Uncertain { reason } => Fate::Uncertain(reason),
    }
}
