//! Whether the worker of this process lives: when each of its loops last went round, and how often in a row it
//! failed or broke off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;

/// How often in a row a loop may fail or break off before the server is not ready.
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

impl Loop {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lift, Self::Announce, Self::Deliver];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lift => "lift",
            Self::Announce => "announce",
            Self::Deliver => "deliver",
        }
    }
}

/// The worker's pulse. Clones are the same pulse.
#[derive(Clone, Debug)]
pub struct Pulse {
    clock: Clock,
    loops: Arc<[Beats; 3]>,
}

#[derive(Debug, Default)]
struct Beats {
    /// Microseconds of the time that nobody sets.
    last: AtomicU64,
    skips_in_a_row: AtomicU32,
    skips: AtomicU64,
}

impl Pulse {
    /// A pulse whose loops are as if they had just gone round.
    pub fn new(clock: Clock) -> Self {
        let pulse = Self { clock, loops: Arc::default() };
        for which in Loop::ALL {
            pulse.beat(which);
        }
        pulse
    }

    /// A loop went round once.
    pub fn beat(&self, which: Loop) {
        let beats = &self.loops[which as usize];
        beats.last.store(micros(self.clock.monotonic()), Ordering::Relaxed);
        beats.skips_in_a_row.store(0, Ordering::Relaxed);
    }

    /// A loop went round, and could not do what it should.
    pub fn stumble(&self, which: Loop) {
        let beats = &self.loops[which as usize];
        beats.last.store(micros(self.clock.monotonic()), Ordering::Relaxed);
        beats.skips_in_a_row.fetch_add(1, Ordering::Relaxed);
    }

    /// A loop broke off.
    pub fn skip(&self, which: Loop) {
        let beats = &self.loops[which as usize];
        beats.skips_in_a_row.fetch_add(1, Ordering::Relaxed);
        beats.skips.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a loop fails or breaks off again and again.
    pub fn is_weak(&self) -> bool {
        self.loops.iter().any(|beats| beats.skips_in_a_row.load(Ordering::Relaxed) >= SKIPS)
    }

    /// How long ago a loop last went round.
    pub fn age(&self, which: Loop) -> Duration {
        let last = Duration::from_micros(self.loops[which as usize].last.load(Ordering::Relaxed));
        self.clock.monotonic().saturating_sub(last)
    }

    /// How often a loop has broken off since the start.
    pub fn skips(&self, which: Loop) -> u64 {
        self.loops[which as usize].skips.load(Ordering::Relaxed)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_works_does_not_hide_that_the_other_breaks_off_again_and_again() {
        let (clock, hand) = Clock::standing_at(chrono::DateTime::UNIX_EPOCH);
        let pulse = Pulse::new(clock);
        hand.advance(Duration::from_secs(7));
        for _ in 0..SKIPS {
            assert!(!pulse.is_weak());
            pulse.skip(Loop::Deliver);
            pulse.beat(Loop::Announce);
        }
        assert!(pulse.is_weak());
        assert_eq!((pulse.age(Loop::Announce), pulse.age(Loop::Deliver).as_secs()), (Duration::ZERO, 7));
        pulse.beat(Loop::Deliver);
        assert!(!pulse.is_weak());
        for _ in 0..SKIPS {
            assert!(!pulse.is_weak());
            pulse.stumble(Loop::Lift);
        }
        assert!(pulse.is_weak());
        assert_eq!((pulse.age(Loop::Lift), pulse.skips(Loop::Lift)), (Duration::ZERO, 0), "it goes round");
        pulse.beat(Loop::Lift);
        assert!(!pulse.is_weak());
        assert_eq!((pulse.skips(Loop::Announce), pulse.skips(Loop::Deliver)), (0, u64::from(SKIPS)));
    }
}
