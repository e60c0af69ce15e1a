//! The only place that reads the time.
//!
//! Everything else is handed a [`Clock`] or an instant. A [`Clock`] is either the system's, or a virtual
//! one that only moves when it is told to: rehearsals and tests live a week in a second on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

/// Where the time comes from. Cheap to clone; clones of a virtual clock move together.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The operating system's clocks.
    System,
    /// A clock that stands still until [`VirtualClock::advance_to`] is called.
    Virtual(Arc<VirtualClock>),
}

/// A clock moved by hand. It never goes back, unless it is set apart.
#[derive(Debug)]
pub struct VirtualClock {
    start: DateTime<Utc>,
    /// How far it was moved forward.
    now: watch::Sender<DateTime<Utc>>,
    /// How far the wall clock was set apart from that, in microseconds.
    apart: AtomicI64,
}

impl VirtualClock {
    /// Moves the clock forward to `instant`; an instant in the past leaves it where it is.
    pub fn advance_to(&self, instant: DateTime<Utc>) {
        self.now.send_if_modified(|now| {
            let moved = instant > *now;
            if moved {
                *now = instant;
            }
            moved
        });
    }

    /// Moves the clock forward by `step`.
    pub fn advance(&self, step: Duration) {
        let step = chrono::Duration::from_std(step).unwrap_or(chrono::Duration::MAX);
        self.now.send_modify(|now| *now += step);
    }

    /// Sets the wall clock apart by `step`, as somebody does who sets a machine's clock: the time since start
    /// knows nothing of it.
    pub fn set_apart(&self, step: chrono::Duration) {
        self.apart.fetch_add(step.num_microseconds().unwrap_or_default(), Ordering::SeqCst);
        self.now.send_modify(|_| {});
    }

    /// What the wall clock shows when the clock was moved to `moved`.
    fn shown(&self, moved: DateTime<Utc>) -> DateTime<Utc> {
        moved + chrono::Duration::microseconds(self.apart.load(Ordering::SeqCst))
    }
}

impl Clock {
    /// A virtual clock that stands at `start`, and the handle that moves it.
    pub fn standing_at(start: DateTime<Utc>) -> (Self, Arc<VirtualClock>) {
        let (now, _) = watch::channel(start);
        let clock = Arc::new(VirtualClock { start, now, apart: AtomicI64::new(0) });
        (Self::Virtual(Arc::clone(&clock)), clock)
    }

    /// The present instant, cut to the microseconds that are stored.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
            Self::System => {
                let now = Utc::now();
                DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
            }
            Self::Virtual(clock) => clock.shown(*clock.now.borrow()),
        }
    }

    /// Time since some fixed moment that no adjustment of the wall clock moves; time in which the machine was
    /// suspended counts.
    pub fn monotonic(&self) -> Duration {
        match self {
            Self::System => since_boot(),
            Self::Virtual(clock) => (*clock.now.borrow() - clock.start).to_std().unwrap_or_default(),
        }
    }

    /// Names the time since the machine started last, which [`Clock::monotonic`] counts; nothing where that is not told.
    pub fn boot(&self) -> Option<String> {
        match self {
            Self::System => {
                let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
                Some(id.trim().to_owned())
            }
            Self::Virtual(_) => None,
        }
    }

    /// Waits until the clock shows `instant`, or as long as that takes by the clock as it is now: whoever looks
    /// again every now and then does not sleep for an hour because the wall clock was set back by one.
    pub async fn pause_until(&self, instant: DateTime<Utc>) {
        let left = (instant - self.now()).to_std().unwrap_or_default();
        match self {
            Self::System => {
                tokio::select! {
                    () = self.wait_until(instant) => {}
                    () = tokio::time::sleep(left) => {}
                }
            }
            Self::Virtual(_) => self.wait_until(instant).await,
        }
    }

    /// Waits until the clock shows `instant` or later. A system clock looks again at least once a
    /// second, so that an adjustment of the wall clock is noticed.
    pub async fn wait_until(&self, instant: DateTime<Utc>) {
        match self {
            Self::System => {
                while let Ok(left) = (instant - self.now()).to_std() {
                    if left.is_zero() {
                        break;
                    }
                    tokio::time::sleep(left.min(Duration::from_secs(1))).await;
                }
            }
            Self::Virtual(clock) => {
                let mut changes = clock.now.subscribe();
                // The sender lives in `clock`, so waiting cannot fail.
                let _ = changes.wait_for(|now| clock.shown(*now) >= instant).await;
            }
        }
    }

    /// Whether this clock is moved by hand.
    pub fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual(_))
    }
}

/// The time since the machine started, suspended or not.
#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(since).unwrap_or_default()
}

/// The time since first asked; a suspended machine does not count it.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    use std::{sync::LazyLock, time::Instant};
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    ORIGIN.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_virtual_clock_wakes_who_waits_and_never_goes_back() {
        let start = DateTime::from_timestamp(1_780_000_000, 0).unwrap();
        let (clock, hand) = Clock::standing_at(start);
        let waiter = tokio::spawn({
            let clock = clock.clone();
            async move { clock.wait_until(start + chrono::Duration::days(7)).await }
        });
        hand.advance(Duration::from_hours(144));
        assert!(!waiter.is_finished());
        hand.advance_to(start + chrono::Duration::days(8));
        waiter.await.unwrap();
        hand.advance_to(start);
        assert_eq!(clock.now(), start + chrono::Duration::days(8));
        assert_eq!(clock.monotonic(), Duration::from_hours(192));
    }
}
