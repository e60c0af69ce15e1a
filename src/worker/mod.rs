//! The loop that makes due things happen. It decides nothing: reconcilers and the lift are use cases,
//! the relay is `outbound`; the worker wakes, calls them in turn, and carries messages between the two.
//!
//! Every replica runs one; there is no leader. It wakes when something changed, when something becomes
//! due, and once a second on top, so a lost wake-up costs a second and nothing else. What is due is kept
//! in one place, the embargo's row; nothing here computes a lift.

mod outbox;
mod supervision;

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use tokio::sync::{Mutex, watch};

use crate::app::housekeeping::RETENTION;
use crate::app::pulse::Loop;
use crate::app::{App, Refusal};
use crate::outbound::pool::RelayPool;
use outbox::Outbox;

/// How long the worker sleeps at most on the system's clock.
const LONGEST_SLEEP: Duration = Duration::seconds(1);
/// How long it rests after a failure.
const REST: Duration = Duration::seconds(5);

/// How much longer it rests than it compared what should be told with what was: with thousands of embargoes that takes
/// a while, and is asked for by every change.
const COMPARISON_RESTS: u32 = 10;
/// The longest such rest.
const LONGEST_REST: std::time::Duration = std::time::Duration::from_secs(10);

/// A worker of one replica.
pub struct Worker {
    app: App,
    /// Kept outside of the loop that works on it, so that nothing in it is lost when the loop breaks off.
    outbox: Mutex<Outbox>,
    retention: Duration,
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
    pub fn new(app: App, relay: &Arc<RelayPool>) -> Self {
        let id: [u8; 26] = app.entropy.bytes();
        let name = crate::domain::id::DeliveryId::from_random(id).to_string();
        let outbox = Mutex::new(Outbox::new(app.clone(), relay, name));
        Self { app, outbox, retention: RETENTION }
    }

    /// Sets how long the content of a case is kept after its end.
    pub fn keep_content_for(&mut self, retention: Duration) {
        self.retention = retention;
    }

    /// One look at everything: lifts first, then what is to be told, then what is to be sent.
    pub async fn look(&self) -> Result<Done, Refusal> {
        let lifted = self.app.lift_due().await?;
        let changed = self.app.reconcile_notices().await?;
        self.app.keep_record().await;
        let sent = self.deliver().await?;
        self.app.keep_house(self.retention).await?;
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

    /// Works until `stop` turns true; what was begun is finished first, and what was claimed and not begun is given
    /// back. Lifts have a loop of their own, and so have announcements: no lift waits for what is to be told, and
    /// neither for a slow relay. A loop that panics is started again, with everything it held.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        let lift = || async {
            self.keep_looking(Loop::Lift, stop.clone(), || self.lift()).await;
        };
        let announce = || async {
            self.keep_looking(Loop::Announce, stop.clone(), || self.announce(stop.clone())).await;
        };
        tokio::join!(
            self.keep_alive(Loop::Lift, lift),
            self.keep_alive(Loop::Announce, announce),
            self.keep_alive(Loop::Deliver, || self.keep_delivering(stop.clone())),
        );
    }

    /// Lifts once; says whether there was anything to do.
    async fn lift(&self) -> Result<bool, Refusal> {
        Ok(!self.app.lift_due().await?.is_empty())
    }

    /// Announces once, and keeps record and house; says whether there was anything to do.
    async fn announce(&self, mut stop: watch::Receiver<bool>) -> Result<bool, Refusal> {
        let began = self.app.clock.monotonic();
        let changed = self.app.reconcile_notices().await?;
        let took = self.app.clock.monotonic().saturating_sub(began);
        let rest = (took * COMPARISON_RESTS).min(LONGEST_REST);
        // An end of the rest by a stop is an end all the same.
        let _ = tokio::time::timeout(rest, stop.wait_for(|stop| *stop)).await;
        self.app.keep_record().await;
        self.app.keep_house(self.retention).await?;
        Ok(changed)
    }

    /// Looks until nothing is left to do, and again when something changed or became due.
    async fn keep_looking<F>(&self, which: Loop, mut stop: watch::Receiver<bool>, look: impl Fn() -> F)
    where
        F: Future<Output = Result<bool, Refusal>>,
    {
        let mut wakes = self.app.wakes();
        let mut trouble = Trouble::default();
        while !*stop.borrow() {
            wakes.borrow_and_update();
            let looked_at = self.app.clock.now();
            let looked = match self.shut() {
                None => look().await,
                Some(refusal) => Err(refusal),
            };
            trouble.tell(looked.as_ref().err());
            self.note(which, looked.as_ref().err());
            let pause_until = match looked {
                Ok(true) => {
                    // What one loop did is for the others to go on with.
                    self.app.wake();
                    continue;
                }
                Ok(false) => self.next_look(looked_at).await,
                // What is due stays due.
                Err(_) => self.app.clock.now() + LONGEST_SLEEP,
            };
            tokio::select! {
                changed = wakes.changed() => if changed.is_err() { return },
                () = self.app.clock.pause_until(pause_until) => {}
                changed = stop.wait_for(|stop| *stop) => if changed.is_err() { return },
            }
        }
    }

    /// Starts a loop, and starts it again after a rest when it panics.
    async fn keep_alive<F: Future<Output = ()>>(&self, which: Loop, start: impl Fn() -> F) {
        while supervision::survives(start()).await.is_none() {
            self.app.pulse.skip(which);
            tracing::error!("a loop of the worker broke off, and starts again in {} s", REST.num_seconds());
            tokio::time::sleep(REST.to_std().unwrap_or_default()).await;
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

    /// Hands what is due to the relay until nothing is left; returns how many messages were tried.
    async fn deliver(&self) -> Result<usize, Refusal> {
        let mut outbox = self.outbox.lock().await;
        let mut tried = 0;
        loop {
            tried += outbox.step().await?;
            if outbox.is_empty() {
                return Ok(tried);
            }
            let renewal = self.renewal(&outbox);
            tokio::select! {
                () = outbox.outcomes() => {}
                () = self.app.clock.wait_until(renewal) => {}
            }
        }
    }

    /// Delivers until told to stop, and then until what is in flight is recorded.
    async fn keep_delivering(&self, mut stop: watch::Receiver<bool>) {
        let mut outbox = self.outbox.lock().await;
        outbox.obey(stop.clone());
        let mut wakes = self.app.wakes();
        let mut trouble = Trouble::default();
        loop {
            wakes.borrow_and_update();
            let looked_at = self.app.clock.now();
            let stepped = match self.shut() {
                None => outbox.step().await,
                Some(refusal) => Err(refusal),
            };
            trouble.tell(stepped.as_ref().err());
            self.note(Loop::Deliver, stepped.as_ref().err());
            let pause_until = match stepped {
                Ok(_) if *stop.borrow() && outbox.is_empty() => return,
                Ok(1..) => continue,
                Ok(0) => self.next_look(looked_at).await.min(self.renewal(&outbox)),
                Err(_) => self.app.clock.now() + REST,
            };
            let rests = stepped.is_err();
            let stopping = *stop.borrow();
            tokio::select! {
                () = outbox.outcomes(), if !rests => {}
                changed = wakes.changed() => if changed.is_err() { return },
                () = self.app.clock.wait_until(pause_until) => {}
                changed = stop.wait_for(|stop| *stop), if !stopping => if changed.is_err() { return },
            }
        }
    }

    /// A loop went round, and failed or did not. A shut vault and a hold are said by their own names.
    fn note(&self, which: Loop, failure: Option<&Refusal>) {
        match failure {
            Some(Refusal::Store(_)) => self.app.pulse.stumble(which),
            _ => self.app.pulse.beat(which),
        }
    }

    /// When leases must be renewed; far away if nothing is held.
    fn renewal(&self, outbox: &Outbox) -> DateTime<Utc> {
        self.app.clock.now() + outbox.renewal().unwrap_or(Duration::days(3_650))
    }

    /// The refusal of everything while the vault is shut: one instead of one for everything that is due.
    fn shut(&self) -> Option<Refusal> {
        self.app.store.vault().locked_reason().map(|reason| Refusal::Locked(reason.to_owned()))
    }
}

/// What a loop failed of when it was last said, so that one state is said once.
#[derive(Default)]
struct Trouble(Option<String>);

impl Trouble {
    /// Logs the failure of one more look, or its end, once.
    fn tell(&mut self, failure: Option<&Refusal>) {
        let failure = failure.map(ToString::to_string);
        if self.is_news(failure.as_deref()) {
            match failure {
                Some(what) => tracing::error!("the worker rests after a failure: {what}"),
                None => tracing::info!("the worker works again"),
            }
        }
    }

    /// Takes the failure of one more look, if it failed; says whether that was not so before.
    fn is_news(&mut self, failure: Option<&str>) -> bool {
        let is_news = self.0.as_deref() != failure;
        self.0 = failure.map(str::to_owned);
        is_news
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
