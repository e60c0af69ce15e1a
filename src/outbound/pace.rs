//! How fast mails may leave. Pure arithmetic on a monotonic time; waiting is the caller's business.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A limit of so many mails a minute, with bursts of at most one second's worth.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    burst: Duration,
    /// When the next mail would be due if all left at even distances.
    due: Mutex<Duration>,
}

impl Pace {
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        let interval = Duration::from_mins(1) / per_minute.get();
        Self { interval, burst: Duration::from_secs(1).saturating_sub(interval), due: Mutex::default() }
    }

    /// Takes the next place in the queue and says how long to wait for it.
    pub(super) fn reserve(&self, now: Duration) -> Duration {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*due).max(now);
        *due = turn + self.interval;
        turn.saturating_sub(self.burst).saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_greed_sends_no_more_than_the_limit_and_one_burst() {
        let pace = Pace::new(NonZeroU32::new(600).unwrap());
        let mut now = Duration::from_secs(100);
        let mut sent = 0;
        while now < Duration::from_secs(100 + 3600) {
            now += pace.reserve(now);
            sent += 1;
        }
        assert!((36_000..=36_011).contains(&sent), "{sent}");
    }

    #[test]
    fn after_a_pause_one_second_of_mails_leaves_at_once_and_not_the_whole_pause() {
        let pace = Pace::new(NonZeroU32::new(600).unwrap());
        let now = Duration::from_secs(5000);
        let waits: Vec<_> = (0..12).map(|_| pace.reserve(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200]);
    }

    #[test]
    fn a_limit_of_one_a_minute_has_no_burst() {
        let pace = Pace::new(NonZeroU32::MIN);
        let waits: Vec<_> = (0..3).map(|_| pace.reserve(Duration::from_secs(7)).as_secs()).collect();
        assert_eq!(waits, [0, 60, 120]);
    }
}
