//! The loop that makes due things happen. It decides nothing: reconcilers and the lift are use cases,
//! the relay is `outbound`; the worker wakes, calls them in turn, and carries messages between the two.
//!
//! Every replica runs one; there is no leader. It wakes when something changed, when something becomes
//! due, and once a second on top, so a lost wake-up costs a second and nothing else. What is due is kept
//! in one place, the embargo's row; nothing here computes a lift.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use tokio::sync::watch;

use crate::app::deliveries::{Claimed, Fate, Outgoing};
use crate::app::{App, Refusal};
use crate::outbound::Outcome;
use crate::outbound::pool::{Item, LastLook, RelayPool};

/// How long the worker sleeps at most on the system's clock.
const LONGEST_SLEEP: Duration = Duration::seconds(1);
/// How many messages leave between two looks and two records.
const HANDFUL: usize = 16;
/// How long it rests after a failure.
const REST: Duration = Duration::seconds(5);

/// A worker of one replica.
pub struct Worker {
    app: App,
    relay: Arc<RelayPool>,
    name: String,
}

/// What a loop is for.
#[derive(Clone, Copy, Debug)]
enum Task {
    /// Lifts, announcements, and what is to be told.
    Decide,
    /// Handing messages to the relay.
    Deliver,
}

/// What one look did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Advisories that became public.
    pub lifted: Vec<String>,
    /// Messages that were handed to the relay, or tried to be.
    pub sent: usize,
    /// Whether something else changed.
    pub changed: bool,
}

impl Done {
    fn is_idle(&self) -> bool {
        self.lifted.is_empty() && self.sent == 0 && !self.changed
    }
}

impl Worker {
    /// A worker over these parts.
    pub fn new(app: App, relay: Arc<RelayPool>) -> Self {
        let id: [u8; 26] = app.entropy.bytes();
        let name = crate::domain::id::DeliveryId::from_random(id).to_string();
        Self { app, relay, name }
    }

    /// One look at everything: lifts first, then what is to be told, then what is to be sent.
    pub async fn look(&self) -> Result<Done, Refusal> {
        let lifted = self.app.lift_due().await?;
        let changed = self.app.reconcile_notices().await?;
        self.app.keep_record().await;
        let sent = self.deliver().await?;
        Ok(Done { lifted, sent, changed })
    }

    /// Looks until nothing is left to do.
    pub async fn run_until_idle(&self) -> Result<Done, Refusal> {
        let mut all = Done::default();
        loop {
            let done = self.look().await?;
            if done.is_idle() {
                return Ok(all);
            }
            all.lifted.extend(done.lifted);
            all.sent += done.sent;
            all.changed |= done.changed;
        }
    }

    /// Works until `stop` turns true; what was begun is finished first. Lifts and announcements have a loop
    /// of their own: a slow relay delays no lift.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        tokio::join!(self.repeat(stop.clone(), Task::Decide), self.repeat(stop, Task::Deliver));
    }

    /// Does one of the two tasks once; says whether there was anything to do.
    async fn once(&self, task: Task) -> Result<bool, Refusal> {
        if let Some(reason) = self.app.store.vault().locked_reason() {
            // Nothing can be opened: one refusal instead of one for everything that is due.
            return Err(Refusal::Locked(reason.to_owned()));
        }
        match task {
            Task::Deliver => Ok(self.deliver().await? > 0),
            Task::Decide => {
                let lifted = !self.app.lift_due().await?.is_empty();
                let changed = self.app.reconcile_notices().await? || lifted;
                self.app.keep_record().await;
                if changed {
                    self.app.wake();
                }
                Ok(changed)
            }
        }
    }

    /// Does something until nothing is left to do, and again when something changed or became due.
    async fn repeat(&self, mut stop: watch::Receiver<bool>, task: Task) {
        let mut wakes = self.app.wakes();
        let mut trouble = Trouble::default();
        while !*stop.borrow() {
            wakes.borrow_and_update();
            let looked_at = self.app.clock.now();
            let once = self.once(task).await;
            let failure = once.as_ref().err().map(ToString::to_string);
            if trouble.is_news(failure.as_deref()) {
                match &failure {
                    Some(what) => tracing::error!("the worker rests after a failure: {what}"),
                    None => tracing::info!("the worker works again"),
                }
            }
            let pause_until = match once {
                Ok(true) => continue,
                Ok(false) => self.next_look(looked_at).await,
                Err(_) => self.app.clock.now() + REST,
            };
            tokio::select! {
                changed = wakes.changed() => if changed.is_err() { return },
                () = self.app.clock.wait_until(pause_until) => {}
                changed = stop.wait_for(|stop| *stop) => if changed.is_err() { return },
            }
        }
    }

    /// When to look again after a look that began at `looked_at` and found nothing. What became due while
    /// it looked counts as not seen; what was due before and is still there waits for a change or a second.
    async fn next_look(&self, looked_at: DateTime<Utc>) -> DateTime<Utc> {
        let soonest = self.app.next_due(looked_at).await.unwrap_or_default();
        if self.app.clock.is_virtual() {
            // A virtual clock wakes whoever waits for an instant; without one only a change does.
            return soonest.unwrap_or(looked_at + Duration::days(3_650));
        }
        let now = self.app.clock.now();
        soonest.map_or(now + LONGEST_SLEEP, |due| due.clamp(now, now + LONGEST_SLEEP))
    }

    /// Asks again about each mail when the relay is ready to read it.
    fn last_look(&self) -> LastLook<Claimed> {
        let app = self.app.clone();
        Arc::new(move |claimed| {
            let app = app.clone();
            // What cannot be asked about does not leave.
            Box::pin(async move { app.may_send(claimed).await.unwrap_or(false) })
        })
    }

    /// Claims one batch and hands it to the relay; returns how many messages were tried.
    async fn deliver(&self) -> Result<usize, Refusal> {
        let claimed = self.app.claim(&self.name).await?;
        if claimed.is_empty() {
            return Ok(0);
        }
        let mut tried = 0;
        let mut waiting = claimed.into_iter();
        loop {
            let mut fates = Vec::new();
            let mut items = Vec::new();
            // A look is taken right before a handful leaves, so that few connections are spent on mails that are
            // withheld, and what became of it is recorded right after: little is sent again after a crash.
            for Outgoing { claimed, from, to, parts } in waiting.by_ref().take(HANDFUL) {
                if self.app.may_send(&claimed).await? {
                    items.push(Item { id: claimed, from, to, parts });
                } else {
                    fates.push((claimed, Fate::Stopped));
                }
            }
            if items.is_empty() && fates.is_empty() {
                return Ok(tried);
            }
            tried += items.len() + fates.len();
            let mut outcomes = self.relay.send_batch_if(items, self.last_look());
            while let Some((claimed, outcome)) = outcomes.recv().await {
                fates.push((claimed, fate(outcome)));
            }
            self.app.record(fates).await?;
        }
    }
}

/// What a loop failed of when it was last said, so that one state is said once.
#[derive(Default)]
struct Trouble(Option<String>);

impl Trouble {
    /// Takes the failure of one more look, if it failed; says whether that was not so before.
    fn is_news(&mut self, failure: Option<&str>) -> bool {
        let is_news = self.0.as_deref() != failure;
        self.0 = failure.map(str::to_owned);
        is_news
    }
}

fn fate(outcome: Outcome) -> Fate {
    let too_large = outcome.is_about_size();
    match outcome {
        Outcome::Accepted { reply } => Fate::Accepted(reply),
        Outcome::Refused { reply, .. } if too_large => Fate::TooLarge(reply),
        Outcome::Refused { reply, permanent: true, .. } => Fate::Refused(reply),
        Outcome::Refused { reply, permanent: false, .. } => Fate::Deferred(reply),
        Outcome::NotSent { reason } => Fate::NotSent(reason),
        Outcome::Withheld => Fate::Stopped,
        Outcome::Uncertain { reason } => Fate::Uncertain(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_lasts_is_said_once_and_so_is_its_end() {
        let mut trouble = Trouble::default();
        assert!(!trouble.is_news(None), "working is no news");
        assert!(trouble.is_news(Some("shut")));
        assert!(!trouble.is_news(Some("shut")));
        assert!(trouble.is_news(Some("full")), "another failure is news");
        assert!(trouble.is_news(None));
        assert!(!trouble.is_news(None));
        assert!(trouble.is_news(Some("full")));
    }
}
