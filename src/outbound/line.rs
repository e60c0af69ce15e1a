//! The queue in front of the connections: every mail that is put in gets exactly one outcome.
//!
//! A connection ("lane") is opened when there is something to carry and there are fewer than allowed. A lane that
//! is slow holds one mail and nothing else. What a lane cannot carry, because the relay cannot be reached, the
//! others take over; the last one that fails says why for all. A lane that panics has its mail called uncertain.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::pool::{Item, RelayPool};
use super::{Consent, Outcome};

/// What became of a mail; nothing if it did not leave for want of consent.
pub type Report<Id> = (Id, Option<Outcome>);

/// A queue of mails and the connections that carry them.
pub struct Line<Id> {
    pool: Arc<RelayPool>,
    desk: Arc<Desk<Id>>,
    reports: mpsc::UnboundedReceiver<Report<Id>>,
}

/// What the lanes share.
pub(super) struct Desk<Id> {
    state: Mutex<State<Id>>,
    reports: mpsc::UnboundedSender<Report<Id>>,
}

struct State<Id> {
    waiting: VecDeque<Item<Id>>,
    lanes: usize,
}

/// One place at the desk; whoever leaves it by whatever way leaves it in order.
pub(super) struct Seat<Id: Clone> {
    desk: Arc<Desk<Id>>,
    /// The mail that is being carried.
    carried: Option<Id>,
    /// Why this lane cannot go on.
    trouble: Option<String>,
    left: bool,
}

impl<Id: Consent + Clone> Line<Id> {
    /// An empty line into `pool`.
    pub fn new(pool: Arc<RelayPool>) -> Self {
        let (sender, reports) = mpsc::unbounded_channel();
        let state = Mutex::new(State { waiting: VecDeque::new(), lanes: 0 });
        Self { pool, desk: Arc::new(Desk { state, reports: sender }), reports }
    }

    /// Puts mails in line.
    pub fn put(&self, items: impl IntoIterator<Item = Item<Id>>) {
        self.desk.state().waiting.extend(items);
        self.open_lanes();
    }

    /// Opens connections for what waits, if fewer are open than allowed: one that failed may work again.
    pub fn open_lanes(&self) {
        let mut state = self.desk.state();
        let free = self.pool.lanes().saturating_sub(state.lanes);
        for _ in 0..free.min(state.waiting.len()) {
            state.lanes += 1;
            let seat = Seat { desk: Arc::clone(&self.desk), carried: None, trouble: None, left: false };
            tokio::spawn(Arc::clone(&self.pool).lane(seat));
        }
    }

    /// The next report. Waits for ever if nothing is in line.
    pub async fn report(&mut self) -> Report<Id> {
        // The desk holds a sender, so the channel does not close.
        match self.reports.recv().await {
            Some(report) => report,
            None => std::future::pending().await,
        }
    }

    /// A report that is there already.
    pub fn reported(&mut self) -> Option<Report<Id>> {
        self.reports.try_recv().ok()
    }

    /// Takes back what no connection has begun.
    pub fn take_back(&self) -> Vec<Id> {
        self.desk.state().waiting.drain(..).map(|item| item.id).collect()
    }
}

impl<Id> Desk<Id> {
    fn state(&self) -> MutexGuard<'_, State<Id>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, id: Id, outcome: Option<Outcome>) {
        // It fails only when nobody wants to know any more.
        let _ = self.reports.send((id, outcome));
    }
}

impl<Id: Clone> Seat<Id> {
    /// The next mail for this lane.
    pub(super) fn next(&mut self) -> Option<Item<Id>> {
        if self.desk.reports.is_closed() {
            return None;
        }
        let item = self.desk.state().waiting.pop_front()?;
        self.carried = Some(item.id.clone());
        Some(item)
    }

    /// Leaves the desk if nothing waits there; says whether it did.
    pub(super) fn leave(&mut self) -> bool {
        let mut state = self.desk.state();
        if state.waiting.is_empty() || self.desk.reports.is_closed() {
            // In one step with the look, so that nothing is put in line for a lane that is about to go.
            state.lanes -= 1;
            self.left = true;
        }
        self.left
    }

    /// Puts a mail back that was not begun.
    pub(super) fn put_back(&mut self, item: Item<Id>) {
        self.carried = None;
        self.desk.state().waiting.push_front(item);
    }

    /// Says what became of the mail that was carried.
    pub(super) fn report(&mut self, outcome: Option<Outcome>) {
        if let Some(id) = self.carried.take() {
            self.desk.report(id, outcome);
        }
    }

    /// Says why this lane ends before the line is empty.
    pub(super) fn give_up(&mut self, trouble: String) {
        self.trouble = Some(trouble);
    }
}

impl<Id: Clone> Drop for Seat<Id> {
    fn drop(&mut self) {
        if let Some(id) = self.carried.take() {
            let reason = "the server was interrupted while it sent".to_owned();
            self.desk.report(id, Some(Outcome::Uncertain { reason }));
        }
        if self.left {
            return;
        }
        let mut state = self.desk.state();
        state.lanes -= 1;
        if state.lanes > 0 {
            return;
        }
        let reason = self.trouble.take().unwrap_or_else(|| "the connection was interrupted".to_owned());
        for item in state.waiting.drain(..) {
            self.desk.report(item.id, Some(Outcome::NotSent { reason: reason.clone() }));
        }
    }
}
