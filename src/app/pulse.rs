//! Whether the worker of this process lives: how often in a row each of its loops broke off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often in a row a loop may break off before the server is not ready.
const SKIPS: u32 = 3;

/// A loop of the worker.
#[derive(Clone, Copy, Debug)]
pub enum Loop {
    /// Lifts.
    Lift,
    /// Announcements, and what is to be told.
    Announce,
    /// Handing messages to the relay.
    Deliver,
}

/// The worker's pulse. Clones are the same pulse.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<[AtomicU32; 3]>);

impl Pulse {
    /// A loop went round once.
    pub fn beat(&self, which: Loop) {
        self.0[which as usize].store(0, Ordering::Relaxed);
    }

    /// A loop broke off.
    pub fn skip(&self, which: Loop) {
        self.0[which as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a loop breaks off again and again.
    pub fn is_weak(&self) -> bool {
        self.0.iter().any(|skips| skips.load(Ordering::Relaxed) >= SKIPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_works_does_not_hide_that_the_other_breaks_off_again_and_again() {
        let pulse = Pulse::default();
        for _ in 0..SKIPS {
            assert!(!pulse.is_weak());
            pulse.skip(Loop::Deliver);
            pulse.beat(Loop::Announce);
        }
        assert!(pulse.is_weak());
        pulse.beat(Loop::Deliver);
        assert!(!pulse.is_weak());
    }
}
