//! Receives bodies, and counts the memory that they take: before one is read nothing is known of who sends it.
//!
//! What is ordinary waits for nobody. Above that strangers share what there is, and who proved before, from the same
//! network, who they are, has a share that no stranger can take.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web::{Bytes, Payload};
use futures_util::StreamExt as _;

use super::problem::Problem;
use crate::app::Refusal;

/// What each may have without being counted, in bytes: any ordinary command, certificate or answer.
const ORDINARY: usize = 64 << 10;
/// What all bodies of one network may take, in bytes: the largest that there is.
const OF_ONE: usize = super::MAX_COMMAND;
/// What the bodies of all strangers may take, in bytes: one that is opened takes as much again, and a flood of the
/// largest is to cost 64 MiB at most.
const OF_STRANGERS: usize = OF_ONE;
/// What the bodies of all who are known may take, in bytes.
const OF_KNOWN: usize = 8 * OF_ONE;
/// How long who finds no room should wait, in seconds: as long as one takes on an ordinary line.
const WAIT: u64 = 10;

/// Who sends a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub(super) network: Option<IpAddr>,
    pub(super) known: bool,
}

/// What the bodies take that one replica is receiving.
#[derive(Clone, Debug, Default)]
pub(super) struct Bodies(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    networks: HashMap<Option<IpAddr>, usize>,
    strangers: usize,
    known: usize,
}

/// A body that was received; it is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    room: Room,
}

impl Received {
    /// The body, and what counts it.
    pub(super) fn into_parts(self) -> (Vec<u8>, Room) {
        (self.bytes, self.room)
    }
}

/// What one body takes.
#[derive(Debug)]
pub(super) struct Room {
    bodies: Bodies,
    sender: Sender,
    bytes: usize,
}

impl Bodies {
    /// Receives a body of at most `most` bytes; `too_large` says what is expected.
    pub(super) async fn receive(
        &self,
        sender: Sender,
        mut payload: Payload,
        most: usize,
        too_large: impl Fn() -> Problem,
    ) -> Result<Received, Problem> {
        let room = Room { bodies: self.clone(), sender, bytes: 0 };
        let mut received = Received { bytes: Vec::new(), room };
        while let Some(next) = payload.next().await {
            let next: Bytes = next.map_err(|_| Problem::body("the body broke off; send it again"))?;
            let length = received.bytes.len() + next.len();
            if length > most {
                return Err(too_large());
            }
            received.room.grow(length.saturating_sub(ORDINARY))?;
            received.bytes.extend_from_slice(&next);
        }
        Ok(received)
    }
}

impl Room {
    /// Takes as much more as `bytes` are more than what it has.
    fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let mut taken = self.bodies.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = taken.networks.get(&self.sender.network).copied().unwrap_or_default() + more;
        let (shared, most) = taken.shared(self.sender.known);
        if of_one > OF_ONE || *shared + more > most {
            return Err(Refusal::TooMany { seconds: WAIT });
        }
        *shared += more;
        taken.networks.insert(self.sender.network, of_one);
        self.bytes = bytes;
        Ok(())
    }
}

impl Taken {
    /// What is taken of the share, and how much that is.
    fn shared(&mut self, known: bool) -> (&mut usize, usize) {
        if known { (&mut self.known, OF_KNOWN) } else { (&mut self.strangers, OF_STRANGERS) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = self.bodies.0.lock().unwrap_or_else(PoisonError::into_inner);
        *taken.shared(self.sender.known).0 -= self.bytes;
        if let Some(of_one) = taken.networks.get_mut(&self.sender.network) {
            *of_one -= self.bytes;
            if *of_one == 0 {
                taken.networks.remove(&self.sender.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(bodies: &Bodies, network: u32, known: bool) -> Room {
        let sender = Sender { network: Some(IpAddr::V4(network.into())), known };
        Room { bodies: bodies.clone(), sender, bytes: 0 }
    }

    #[test]
    fn strangers_share_what_there_is_and_take_nothing_of_those_who_are_known() {
        let bodies = Bodies::default();
        let mut first = room(&bodies, 1, false);
        first.grow(OF_STRANGERS - 2).unwrap();
        let mut second = room(&bodies, 2, false);
        assert!(matches!(second.grow(3), Err(Refusal::TooMany { seconds: WAIT })));
        second.grow(2).unwrap();
        assert!(room(&bodies, 3, false).grow(1).is_err(), "nothing is left for strangers");
        let mut known = room(&bodies, 4, true);
        known.grow(OF_ONE).unwrap();
        assert!(room(&bodies, 4, true).grow(1).is_err(), "one has its share");
        let mut other = room(&bodies, 5, true);
        other.grow(OF_ONE).unwrap();
        drop((first, second));
        room(&bodies, 3, false).grow(OF_ONE).unwrap();
        drop((known, other));
        let taken = bodies.0.lock().unwrap();
        assert_eq!((taken.networks.len(), taken.strangers, taken.known), (0, 0, 0), "nobody is remembered");
    }
}
