//! How long anything may take before a round counts as failed.

use std::time::Duration;

use embargod::clock::Clock;

/// Longer than every promise about time.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Since(Duration);

impl Since {
    pub fn now() -> Self {
        Self(Clock::System.monotonic())
    }

    pub fn elapsed(self) -> Duration {
        Clock::System.monotonic().saturating_sub(self.0)
    }

    /// Whether it took too long.
    pub fn is_too_long(self) -> bool {
        self.elapsed() > PATIENCE
    }
}
