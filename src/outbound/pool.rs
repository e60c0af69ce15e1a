//! Many mails over few connections: as many at once as the relay may have, and as fast as it wants them.
//!
//! Every mail that is handed in gets exactly one outcome, in no particular order. A recipient the relay
//! refuses delays no other. A relay that cannot be reached is tried twice by each connection, not once a mail;
//! a login that was refused is tried once, so that no account is locked.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::maildir::Maildir;
use super::pace::Pace;
use super::smtp::{Connection, Relay, RelayError};
use super::{Outcome, cleaned};
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

/// Whether a mail may still leave, asked when the relay is ready to read it.
pub type LastLook<Id> =
    Arc<dyn for<'a> Fn(&'a Id) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> + Send + Sync>;

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

/// A batch on its way, shared by the connections that carry it.
struct Batch<Id> {
    queue: Mutex<VecDeque<Item<Id>>>,
    last_look: LastLook<Id>,
    lanes_open: AtomicUsize,
    /// Why the last connection that failed did so.
    trouble: Mutex<String>,
    outcomes: mpsc::Sender<(Id, Outcome)>,
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

    /// Sends `items`, and yields the outcome of each as it becomes known; the channel closes after the last.
    ///
    /// Who drops the receiver stops the batch: what is not begun stays unsent.
    pub fn send_batch<Id: Send + Sync + 'static>(
        self: &Arc<Self>,
        items: Vec<Item<Id>>,
    ) -> mpsc::Receiver<(Id, Outcome)> {
        self.send_batch_if(items, Arc::new(|_| Box::pin(std::future::ready(true))))
    }

    /// The same, with a last look at each mail when the relay is ready to read it.
    pub fn send_batch_if<Id: Send + Sync + 'static>(
        self: &Arc<Self>,
        items: Vec<Item<Id>>,
        last_look: LastLook<Id>,
    ) -> mpsc::Receiver<(Id, Outcome)> {
        let (outcomes, receiver) = mpsc::channel(items.len().max(1));
        let lanes = self.lanes.min(items.len());
        let batch = Arc::new(Batch {
            queue: Mutex::new(items.into()),
            last_look,
            lanes_open: AtomicUsize::new(lanes),
            trouble: Mutex::default(),
            outcomes,
        });
        for _ in 0..lanes {
            tokio::spawn(Arc::clone(self).lane(Arc::clone(&batch)));
        }
        receiver
    }

    /// Says goodbye on all idle connections.
    pub async fn close(&self) {
        let idle = std::mem::take(&mut *locked(&self.idle));
        for connection in idle {
            connection.quit().await;
        }
    }

    async fn lane<Id: Send + Sync + 'static>(self: Arc<Self>, batch: Arc<Batch<Id>>) {
        match &self.way {
            Way::Maildir(maildir) => self.fill(maildir, &batch).await,
            Way::Smtp(relay) => {
                if let Err(error) = self.carry(relay, &batch).await {
                    *locked(&batch.trouble) = cleaned(&error.to_string());
                }
            }
        }
        // While another connection still works, it takes over what this one could not.
        if batch.lanes_open.fetch_sub(1, Ordering::AcqRel) == 1 {
            let reason = locked(&batch.trouble).clone();
            while let Some(item) = batch.next() {
                batch.report(item.id, Outcome::NotSent { reason: reason.clone() });
            }
        }
    }

    async fn fill<Id>(&self, maildir: &Maildir, batch: &Batch<Id>) {
        while let Some(item) = batch.next() {
            self.wait_for_turn().await;
            let outcome = if (batch.last_look)(&item.id).await {
                maildir.deliver(&item.to, item.parts).await
            } else {
                Outcome::Withheld
            };
            batch.report(item.id, outcome);
        }
    }

    async fn carry<Id>(&self, relay: &Relay, batch: &Batch<Id>) -> Result<(), RelayError> {
        let reused = locked(&self.idle).pop();
        let mut maybe_stale = reused.is_some();
        let mut connection = match reused {
            Some(connection) => connection,
            None => connect(relay).await?,
        };
        while let Some(item) = batch.next() {
            self.wait_for_turn().await;
            if connection.is_broken() {
                match connect(relay).await {
                    Ok(fresh) => connection = fresh,
                    Err(error) => {
                        batch.put_back(item);
                        return Err(error);
                    }
                }
            }
            let parts: Vec<&[u8]> = item.parts.iter().map(AsRef::as_ref).collect();
            let last_look = (batch.last_look)(&item.id);
            let outcome = connection.send_parts_if(&item.from, &item.to, &parts, last_look).await;
            if maybe_stale && connection.is_broken() && went_away(&outcome) {
                // The relay closed it while it was idle: that says nothing about this mail.
                batch.put_back(item);
            } else {
                batch.report(item.id, outcome);
            }
            maybe_stale = false;
        }
        if !connection.is_broken() {
            locked(&self.idle).push(connection);
        }
        Ok(())
    }

    async fn wait_for_turn(&self) {
        let Some(pace) = &self.pace else { return };
        let wait = pace.reserve(self.clock.monotonic());
        if let (false, Ok(wait)) = (wait.is_zero(), chrono::Duration::from_std(wait)) {
            self.clock.wait_until(self.clock.now() + wait).await;
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

impl<Id> Batch<Id> {
    fn next(&self) -> Option<Item<Id>> {
        if self.outcomes.is_closed() {
            return None;
        }
        locked(&self.queue).pop_front()
    }

    fn put_back(&self, item: Item<Id>) {
        locked(&self.queue).push_front(item);
    }

    fn report(&self, id: Id, outcome: Outcome) {
        // There is room for every outcome; it can only fail when nobody wants to know.
        let _ = self.outcomes.try_send((id, outcome));
    }
}
