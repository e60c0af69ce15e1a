//! What can be counted about a running server, as numbers for Prometheus.
//!
//! Promises: no number carries a name. Labels are words of closed sets ([`labels`]), so no id, slug, project, person
//! or address can become one. What it cannot hide is that something is embargoed, and how much: whoever may read
//! the page learns that. It is a leaf, handed about as a value; it reads no clock and no database.

pub mod labels;
mod measures;
mod page;
mod process;
mod scrape;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};

pub use page::MEDIA_TYPE;
pub use scrape::{Facts, Numbers, Parser};

use labels::{Alarm, Attempt, Label as _, Reply, Status, Surface};
use measures::{Histogram, Tally};

/// Upper bounds of a lift's lateness, in seconds.
const LATENESS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Upper bounds of an answer's duration, in seconds.
const DURATIONS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// What happened since this process started. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    started_at: DateTime<Utc>,
    lateness: Histogram,
    attempts: Tally<Attempt>,
    replies: Tally<Reply>,
    alarms: Tally<Alarm>,
    /// By surface.
    requests: Vec<Tally<Status>>,
    /// By surface.
    durations: Vec<Histogram>,
    refused_for_rate: AtomicU64,
}

impl Metrics {
    /// Nothing has happened yet.
    pub fn new(started_at: DateTime<Utc>) -> Self {
        Self(Arc::new(Counts {
            started_at,
            lateness: Histogram::new(LATENESS),
            attempts: Tally::new(),
            replies: Tally::new(),
            alarms: Tally::new(),
            requests: Surface::ALL.iter().map(|_| Tally::new()).collect(),
            durations: Surface::ALL.iter().map(|_| Histogram::new(DURATIONS)).collect(),
            refused_for_rate: AtomicU64::new(0),
        }))
    }

    /// A lift was committed, so long after its instant.
    pub fn lifted(&self, late: Duration) {
        self.0.lateness.record(late);
    }

    /// A copy was handed to the relay, or was not; the relay said this.
    pub fn attempted(&self, attempt: Attempt, reply: Option<Reply>) {
        self.0.attempts.add(attempt);
        if let Some(reply) = reply {
            self.0.replies.add(reply);
        }
    }

    /// Maintainers are told to look. Counted when it is written: if the transaction then fails, the next one
    /// counts again.
    pub fn alarmed(&self, about: Alarm) {
        self.0.alarms.add(about);
    }

    /// A request was answered with this status.
    pub fn answered(&self, surface: Surface, status: u16, took: Duration) {
        self.0.requests[surface.index()].add(Status::of(status));
        self.0.durations[surface.index()].record(took);
        if status == 429 {
            self.0.refused_for_rate.fetch_add(1, Ordering::Relaxed);
        }
    }
}
