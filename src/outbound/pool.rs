//! Many mails over few connections: as many at once as the relay may have, and as fast as it wants them.
//!
//! Every mail that is handed in gets exactly one outcome, in no particular order. A recipient the relay
//! refuses delays no other. A relay that cannot be reached is tried twice by each connection, not once a mail;
//! a login that was refused is tried once, so that no account is locked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use super::line::{Line, Report};

use super::line::Seat;
use super::maildir::Maildir;
use super::pace::Pace;
use super::smtp::{Connection, Relay, RelayError};
use super::{Consent, Freely, Outcome, cleaned};
use crate::clock::Clock;
use crate::config::relay::{InvalidRelay, RelayConfig, RelayKind};
use crate::domain::address::Address;
use crate::entropy::Entropy;

/// One mail for one recipient.
#[derive(Clone, Debug)]
pub struct Item<Id> {
    /// What the caller knows it by.
    pub id: Id,
    /// The envelope sender.
    pub from: Address,
    /// The envelope recipient.
    pub to: Address,
    /// The mail in pieces, of which some may be shared with other mails.
    pub parts: Vec<Arc<[u8]>>,
}

/// The way out. Made once; connections stay open between batches.
pub struct RelayPool {
    way: Way,
    lanes: usize,
    pace: Option<Pace>,
    clock: Clock,
    idle: Mutex<Vec<Connection>>,
}

enum Way {
    Smtp(Box<Relay>),
    Maildir(Maildir),
}

/// Some mails that are sent together.
pub struct Batch<Id> {
    line: Line<Freely<Id>>,
    left: usize,
}

impl<Id: Clone + Send + Sync + 'static> Batch<Id> {
    /// The next outcome; nothing after the last.
    pub async fn recv(&mut self) -> Option<(Id, Outcome)> {
        self.left = self.left.checked_sub(1)?;
        let (Freely(id), outcome) = self.line.report().await;
        outcome.map(|outcome| (id, outcome))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RelayPool {
    /// Checks the section and reads the files it names; connects to nothing yet.
    pub fn new(config: &RelayConfig, clock: Clock, entropy: Entropy) -> Result<Arc<Self>, RelayError> {
        config.validate()?;
        let way = match config.kind {
            RelayKind::Smtp => Way::Smtp(Box::new(Relay::new(config)?)),
            RelayKind::Maildir => {
                let folder = config.folder.clone().ok_or(InvalidRelay::Folder)?;
                Way::Maildir(Maildir::new(folder, clock.clone(), entropy))
            }
        };
        Ok(Arc::new(Self {
            way,
            lanes: config.connections.into(),
            pace: config.messages_per_minute.map(Pace::new),
            clock,
            idle: Mutex::default(),
        }))
    }

    /// A line into this pool.
    pub fn line<Id: Consent + Clone>(self: &Arc<Self>) -> Line<Id> {
        Line::new(Arc::clone(self))
    }

    /// Sends `items`, and yields the outcome of each as it becomes known.
    ///
    /// Who drops the batch stops it: what is not begun stays unsent.
    pub fn send_batch<Id: Clone + Send + Sync + 'static>(
        self: &Arc<Self>,
        items: Vec<Item<Id>>,
    ) -> Batch<Id> {
        let (line, left) = (self.line(), items.len());
        let freely = |Item { id, from, to, parts }| Item { id: Freely(id), from, to, parts };
        line.put(items.into_iter().map(freely));
        Batch { line, left }
    }

    /// How many connections may be open at once.
    pub(super) fn lanes(&self) -> usize {
        self.lanes
    }

    /// Says goodbye on all idle connections.
    pub async fn close(&self) {
        let idle = std::mem::take(&mut *locked(&self.idle));
        for connection in idle {
            connection.quit().await;
        }
    }

    /// Carries what is in line until nothing is left, or the relay cannot be reached.
    pub(super) async fn lane<Id: Consent + Clone>(self: Arc<Self>, mut seat: Seat<Id>) {
        match &self.way {
            Way::Maildir(maildir) => self.fill(maildir, &mut seat).await,
            Way::Smtp(relay) => {
                if let Err(error) = self.carry(relay, &mut seat).await {
                    seat.give_up(cleaned(&error.to_string()));
                }
            }
        }
    }

    async fn fill<Id: Consent + Clone>(&self, maildir: &Maildir, seat: &mut Seat<Id>) {
        loop {
            while let Some(item) = seat.next() {
                let turn = unless_withdrawn(&item.id, self.wait_for_turn()).await;
                let outcome = match turn {
                    Some(()) if item.id.may_leave().await => {
                        Some(maildir.deliver(&item.to, item.parts).await)
                    }
                    _ => None,
                };
                seat.report(outcome);
            }
            if seat.leave() {
                return;
            }
        }
    }

    async fn carry<Id: Consent + Clone>(&self, relay: &Relay, seat: &mut Seat<Id>) -> Result<(), RelayError> {
        let mut kept: Option<Connection> = None;
        loop {
            while let Some(item) = seat.next() {
                let ready = async {
                    self.wait_for_turn().await;
                    self.connection(relay, kept.take()).await
                };
                let (mut connection, maybe_stale) = match unless_withdrawn(&item.id, ready).await {
                    Some(Ok(connection)) => connection,
                    Some(Err(error)) => {
                        seat.put_back(item);
                        return Err(error);
                    }
                    None => {
                        seat.report(None);
                        continue;
                    }
                };
                let parts: Vec<&[u8]> = item.parts.iter().map(AsRef::as_ref).collect();
                let outcome = connection.send_with_consent(&item.from, &item.to, &parts, &item.id).await;
                if maybe_stale && connection.is_broken() && outcome.as_ref().is_some_and(went_away) {
                    // The relay closed it while it was idle: that says nothing about this mail.
                    seat.put_back(item);
                } else {
                    seat.report(outcome);
                }
                kept = Some(connection);
            }
            locked(&self.idle).extend(kept.take().filter(|connection| !connection.is_broken()));
            if seat.leave() {
                return Ok(());
            }
        }
    }

    /// A connection in order, and whether the relay may have closed it without our noticing.
    async fn connection(
        &self,
        relay: &Relay,
        kept: Option<Connection>,
    ) -> Result<(Connection, bool), RelayError> {
        if let Some(kept) = kept {
            return if kept.is_broken() { Ok((connect(relay).await?, false)) } else { Ok((kept, false)) };
        }
        let idle = locked(&self.idle).pop();
        match idle {
            Some(idle) => Ok((idle, true)),
            None => Ok((connect(relay).await?, false)),
        }
    }

    async fn wait_for_turn(&self) {
        let Some(pace) = &self.pace else { return };
        let wait = pace.reserve(self.clock.monotonic());
        if let (false, Ok(wait)) = (wait.is_zero(), chrono::Duration::from_std(wait)) {
            self.clock.pause_until(self.clock.now() + wait).await;
        }
    }
}

/// Whether a connection that had been idle turned out to be closed: nothing sent, or 421.
fn went_away(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::NotSent { .. } | Outcome::Refused { code: 421, .. })
}

async fn connect(relay: &Relay) -> Result<Connection, RelayError> {
    match relay.connect().await {
        Err(error) if error.may_pass() => relay.connect().await,
        result => result,
    }
}

/// Waits for `ready` as long as the mail is wanted.
async fn unless_withdrawn<T>(consent: &impl Consent, ready: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = consent.withdrawn() => None,
        ready = ready => Some(ready),
    }
}
