//! How many large bodies are received at once: before one is read nothing is known of who sends it, and each may take
//! as much memory as the largest fix. What fits into the ordinary size waits for nobody.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::Refusal;

/// How many of one address.
const OF_ONE: usize = 2;
/// How many of all.
const OF_ALL: usize = 8;
/// How long who comes too many should wait, in seconds: as long as one takes on an ordinary line.
const WAIT: u64 = 10;

/// The large bodies that one replica is receiving.
#[derive(Clone, Debug, Default)]
pub(super) struct Bodies(Arc<Mutex<HashMap<Option<IpAddr>, usize>>>);

/// Counts as long as a body is received and opened.
#[derive(Debug)]
pub(super) struct Room {
    bodies: Bodies,
    asker: Option<IpAddr>,
}

impl Bodies {
    /// Room for one more large body, or a refusal.
    pub(super) fn take(&self, asker: Option<IpAddr>) -> Result<Room, Refusal> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = held.get(&asker).copied().unwrap_or_default();
        if of_one >= OF_ONE || held.values().sum::<usize>() >= OF_ALL {
            return Err(Refusal::TooMany { seconds: WAIT });
        }
        held.insert(asker, of_one + 1);
        Ok(Room { bodies: self.clone(), asker })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut held = self.bodies.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.asker) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.asker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_takes_its_share_and_all_together_no_more_than_there_is() {
        let (bodies, asker) = (Bodies::default(), |number: u32| Some(IpAddr::V4(number.into())));
        let first = bodies.take(asker(1)).unwrap();
        let _second = bodies.take(asker(1)).unwrap();
        assert!(matches!(bodies.take(asker(1)), Err(Refusal::TooMany { seconds: WAIT })));
        drop(first);
        let _first = bodies.take(asker(1)).unwrap();
        let others: Vec<_> =
            (2..=4).flat_map(|one| [bodies.take(asker(one)), bodies.take(asker(one))]).collect();
        assert!(others.iter().all(Result::is_ok));
        assert!(bodies.take(asker(5)).is_err());
        drop(others);
        assert!(bodies.take(asker(5)).is_ok());
        assert_eq!(bodies.0.lock().unwrap().len(), 1, "who holds nothing is forgotten");
    }
}
