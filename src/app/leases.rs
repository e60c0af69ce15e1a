//! How long a worker may believe that it holds a copy, and what it does to go on holding it.
//!
//! A claim holds for [`LEASE`] and is renewed every [`RENEW_EVERY`] by fencing number. What the worker believes
//! is shorter than what the database says, and is measured from before the claim was written: a worker that
//! was paused, or cannot reach the database, stops believing before another may take over.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::Duration;

use super::{App, Refusal};
use crate::clock::Clock;
use crate::store::Claimed;

/// How long a claim holds without being renewed.
pub const LEASE: Duration = Duration::seconds(30);
/// How often it is renewed.
pub const RENEW_EVERY: Duration = Duration::seconds(10);
/// How much sooner than the database a worker takes its lease for lost.
const MARGIN: Duration = Duration::seconds(5);

/// The time in which a worker may believe a claim that it begins to write now.
pub struct Term {
    /// On the clock that nobody adjusts; it may stand still while a machine is suspended.
    monotonic: u64,
    /// On the wall clock; it may be set.
    wall: i64,
}

impl Term {
    /// A term that begins now. Taken before the claim or renewal is written.
    pub fn beginning(clock: &Clock) -> Self {
        let life = LEASE - MARGIN;
        Self {
            monotonic: micros(clock.monotonic()).saturating_add_signed(life.num_microseconds().unwrap_or(0)),
            wall: (clock.now() + life).timestamp_micros(),
        }
    }
}

/// A copy that this worker holds, as far as it knows.
pub struct Held {
    /// The copy.
    pub claimed: Claimed,
    monotonic: AtomicU64,
    wall: AtomicI64,
}

impl Held {
    /// A copy that was just claimed.
    pub fn new(claimed: Claimed, term: &Term) -> Self {
        Self { claimed, monotonic: AtomicU64::new(term.monotonic), wall: AtomicI64::new(term.wall) }
    }

    /// Whether the lease can still be trusted. Both clocks must say so: one may be set, the other may stand still.
    pub fn is_trusted(&self, clock: &Clock) -> bool {
        micros(clock.monotonic()) < self.monotonic.load(Ordering::Acquire)
            && clock.now().timestamp_micros() < self.wall.load(Ordering::Acquire)
    }

    fn extend(&self, term: &Term) {
        self.monotonic.store(term.monotonic, Ordering::Release);
        self.wall.store(term.wall, Ordering::Release);
    }

    fn lose(&self) {
        self.monotonic.store(0, Ordering::Release);
    }
}

impl App {
    /// Whether a held copy may leave now: the last look says yes, and the lease can still be trusted after it. A look
    /// that fails says no.
    pub async fn still_may_send(&self, held: &Held) -> bool {
        if !held.is_trusted(&self.clock) {
            return false;
        }
        match self.may_send(&held.claimed).await {
            Ok(may) => may && held.is_trusted(&self.clock),
            Err(refusal) => {
                tracing::debug!("a last look failed: {refusal}");
                false
            }
        }
    }

    /// Holds copies for longer. Which of them another worker took meanwhile is noted in them: they are trusted no
    /// more, and what becomes of them is not recorded.
    pub async fn renew(&self, held: Vec<Arc<Held>>) -> Result<(), Refusal> {
        let app = self.clone();
        self.store
            .write(move |tx| {
                let term = Term::beginning(&app.clock);
                let until = tx.lease_clock(app.clock.now(), app.clock.is_virtual())? + LEASE;
                let mut ours = Vec::with_capacity(held.len());
                for copy in &held {
                    ours.push(tx.renew_lease(&copy.claimed.id, copy.claimed.fence, until)?);
                }
                Ok::<_, Refusal>((held, ours, term))
            })
            .await
            .map(|(held, ours, term)| {
                for (copy, ours) in held.iter().zip(ours) {
                    if ours { copy.extend(&term) } else { copy.lose() }
                }
            })
    }
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
