//! Whether the clock can be believed, judged by what else is known of the time.
//!
//! A wall clock is set from outside: by hand, by the network, by a host that woke up. It is held against the time
//! since start, which nobody sets, against the database's clock where there is one, and against the highest
//! instant that the database has seen. Where they contradict each other nothing lifts. It clears by itself after
//! half a minute in which they agree.
//!
//! After a jump forward agreement proves only that the clock runs again, not that it is right. Unless the
//! database's clock or an operator confirms it, a lift then waits until the earlier of the two reckonings has
//! reached its instant: it may come late by as much as the jump, never early.

use chrono::{DateTime, Duration, Utc};

use super::instant::display_duration;

/// How far the wall clock may move apart from the time since start, and lie behind what the database has seen.
pub const JUMP: Duration = Duration::seconds(120);
/// How far the wall clock and the database's may lie apart.
pub const SKEW: Duration = Duration::seconds(60);
/// How long clocks that were in doubt have to agree.
pub const CALM: Duration = Duration::seconds(30);
/// How many looks have to agree in that time.
const LOOKS: u32 = 3;
/// What still counts as agreeing while the clock is in doubt.
const CLOSE: Duration = Duration::seconds(5);
/// How long a reference counts. Small steps add up to [`JUMP`] in this time at most.
const REFERENCE_LASTS: Duration = Duration::hours(1);

/// Everything that is known of the time at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// The wall clock.
    pub wall: DateTime<Utc>,
    /// The time since some fixed moment, suspended or not.
    pub since_start: Duration,
    /// The highest instant that the database has seen.
    pub highest: DateTime<Utc>,
    /// The database's clock, where it has one that others share.
    pub shared: Option<DateTime<Utc>>,
    /// What the wall clock showed when an operator last said that it is right.
    pub confirmed: Option<DateTime<Utc>>,
}

/// Why the clock is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It moved apart from the time since start by so much.
    Jumped(Duration),
    /// It lies so far before the database's clock; negative behind it.
    Apart(Duration),
    /// It lies so far behind what the database has seen.
    Behind(Duration),
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Jumped(by) => {
                let way = if *by < Duration::zero() { "back" } else { "forward" };
                write!(formatter, "the clock jumped {way} by {}", display_duration(by.abs()))
            }
            Self::Apart(by) => {
                write!(formatter, "the clock and the database's lie {} apart", display_duration(by.abs()))
            }
            Self::Behind(by) => {
                write!(
                    formatter,
                    "the clock lies {} behind what the database has seen",
                    display_duration(*by)
                )
            }
        }
    }
}

/// What may be done by the clock at the moment of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// While there is one, nothing lifts and nothing is sent.
    pub doubt: Option<Doubt>,
    /// What lifts by this instant is due: the wall clock, or an earlier reckoning that nothing has refuted.
    pub due_by: DateTime<Utc>,
    /// How far the wall clock lies before that reckoning, once it is more than tolerated.
    pub ahead: Option<Duration>,
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Moment {
    wall: DateTime<Utc>,
    since_start: Duration,
}

impl Moment {
    /// What the wall clock would show now if it had run evenly since.
    fn reckoned(self, now: Moment) -> DateTime<Utc> {
        self.wall + (now.since_start - self.since_start)
    }

    /// How far the wall clock has moved forward apart from the time since start.
    fn deviation(self, now: Moment) -> Duration {
        now.wall - self.reckoned(now)
    }
}

/// Watches one process's clock.
#[derive(Clone, Debug)]
pub struct ClockGuard {
    /// When both clocks were last believed.
    trusted: Moment,
    /// Since when they have run evenly, believed or not.
    even: Moment,
    doubt: Option<(Doubt, Calm)>,
}

/// How long there was no reason for a doubt.
#[derive(Clone, Copy, Debug)]
struct Calm {
    since: Duration,
    looks: u32,
}

impl ClockGuard {
    /// A guard that begins with this observation. There is nothing to hold the wall clock against but what the
    /// database knows: a start far after what it has seen is the ordinary end of a pause.
    pub fn new(first: &Observation) -> Self {
        let moment = Moment { wall: first.wall, since_start: first.since_start };
        Self { trusted: moment, even: moment, doubt: None }
    }

    /// A guard that goes on where another one on the same machine ended, since it started last: that one reckoned that the
    /// machine started at `booted`. What the wall clock was set by meanwhile is a jump.
    pub fn resumed(first: &Observation, booted: DateTime<Utc>) -> Self {
        let trusted = Moment { wall: booted + first.since_start, since_start: first.since_start };
        Self { trusted, even: trusted, doubt: None }
    }

    /// When the machine started, by the clocks as they were last believed.
    pub fn booted(&self) -> DateTime<Utc> {
        self.trusted.wall - self.trusted.since_start
    }

    /// Takes one more observation.
    pub fn observe(&mut self, seen: &Observation) -> Verdict {
        let now = Moment { wall: seen.wall, since_start: seen.since_start };
        let apart = seen.shared.map(|shared| seen.wall - shared).filter(|apart| apart.abs() > SKEW);
        let behind = Some(seen.highest - seen.wall).filter(|behind| *behind > JUMP);
        let tolerated = if self.doubt.is_some() { CLOSE } else { JUMP };
        let jump = Some(self.even.deviation(now)).filter(|jump| jump.abs() > tolerated);
        if jump.is_some() {
            self.even = now;
        }
        let reason = jump.map(Doubt::Jumped).or(apart.map(Doubt::Apart)).or(behind.map(Doubt::Behind));
        if let Some(reason) = reason {
            self.doubt = Some((reason, Calm { since: now.since_start, looks: 0 }));
        } else {
            self.calm_down(seen, now);
        }
        let reckoned = self.trusted.reckoned(now);
        let ahead = Some(now.wall - reckoned).filter(|ahead| *ahead > JUMP);
        Verdict {
            doubt: self.doubt.map(|(doubt, _)| doubt),
            due_by: if ahead.is_some() { reckoned } else { now.wall },
            ahead,
        }
    }

    /// Takes an observation that gives no reason for a doubt.
    fn calm_down(&mut self, seen: &Observation, now: Moment) {
        if let Some((_, calm)) = &mut self.doubt {
            calm.looks += 1;
            if calm.looks >= LOOKS && now.since_start - calm.since >= CALM {
                self.doubt = None;
            }
        }
        let is_confirmed = seen.confirmed.is_some_and(|word| word >= self.even.wall && word <= seen.wall);
        let is_old = now.since_start - self.trusted.since_start >= REFERENCE_LASTS;
        let is_even = self.trusted.deviation(now).abs() <= JUMP;
        if is_confirmed && !is_even {
            self.doubt = None;
        }
        if self.doubt.is_none()
            && (seen.shared.is_some() || (is_confirmed && !is_even) || (is_even && is_old))
        {
            (self.trusted, self.even) = (now, now);
        }
    }
}

#[cfg(test)]
#[path = "clock_guard_tests.rs"]
mod tests;
