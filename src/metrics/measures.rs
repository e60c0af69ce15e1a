//! Numbers that only go up, counted without a lock.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::labels::Label;

/// One counter for each value of a label.
#[derive(Debug)]
pub(super) struct Tally<L> {
    counts: Box<[AtomicU64]>,
    label: PhantomData<L>,
}

impl<L: Label> Tally<L> {
    pub(super) fn new() -> Self {
        Self { counts: L::ALL.iter().map(|_| AtomicU64::new(0)).collect(), label: PhantomData }
    }

    pub(super) fn add(&self, which: L) {
        self.counts[which.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// Every value of the label with its count.
    pub(super) fn counts(&self) -> impl Iterator<Item = (L, u64)> {
        L::ALL.iter().map(|which| (*which, self.counts[which.index()].load(Ordering::Relaxed)))
    }
}

/// How long something took, in seconds, by upper bounds.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above all of them.
    counts: Box<[AtomicU64]>,
    sum_micros: AtomicU64,
}

impl Histogram {
    /// An empty one with these bounds, which rise.
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum_micros: AtomicU64::new(0) }
    }

    pub(super) fn record(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let place = self.bounds.iter().position(|bound| seconds <= *bound).unwrap_or(self.bounds.len());
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many lie at or below each bound; the last has no bound and counts all.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (Option<f64>, u64)> {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(&self.counts).scan(0, |so_far, (bound, count)| {
            *so_far += count.load(Ordering::Relaxed);
            Some((bound, *so_far))
        })
    }

    /// The sum of all, in seconds.
    pub(super) fn sum(&self) -> f64 {
        Duration::from_micros(self.sum_micros.load(Ordering::Relaxed)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_on_a_bound_lies_below_it_and_what_is_above_all_is_counted_too() {
        let histogram = Histogram::new(&[0.5, 1.0]);
        for millis in [0, 500, 501, 1_001, 90_000] {
            histogram.record(Duration::from_millis(millis));
        }
        let counts: Vec<_> = histogram.cumulative().collect();
        assert_eq!(counts, [(Some(0.5), 2), (Some(1.0), 3), (None, 5)]);
        assert!((histogram.sum() - 92.002).abs() < 1e-9);
    }
}
