//! The text format of Prometheus, version 0.0.4.
//!
//! Names and labels are words of the program (`&'static str`), so nothing that was read at run time can become
//! one, and none of them needs to be escaped.

use std::fmt::Write as _;

use super::labels::Label;
use super::measures::{Histogram, Tally};

/// What is sent as the content type.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page that is being written. Each family is written once, whole.
#[derive(Default)]
pub(super) struct Page(String);

type Labels<'a> = &'a [(&'static str, &'static str)];

impl Page {
    pub(super) fn text(self) -> String {
        self.0
    }

    fn head(&mut self, name: &'static str, kind: &'static str, help: &'static str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &'static str, suffix: &str, labels: Labels<'_>, value: f64) {
        let labels: Vec<_> = labels.iter().map(|(label, word)| format!("{label}=\"{word}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{suffix}{labels} {value}");
    }

    /// A number that goes up and down.
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.head(name, "gauge", help);
        self.sample(name, "", &[], value);
    }

    /// One for each word of a label.
    pub(super) fn gauges(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (&'static str, f64)>,
    ) {
        self.head(name, "gauge", help);
        for (word, value) in values {
            self.sample(name, "", &[(label, word)], value);
        }
    }

    /// A number that only goes up.
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.head(name, "counter", help);
        self.sample(name, "", &[], float(value));
    }

    /// Numbers that only go up, each with its labels.
    pub(super) fn counters<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        values: impl IntoIterator<Item = ([(&'static str, &'static str); N], u64)>,
    ) {
        self.head(name, "counter", help);
        for (labels, value) in values {
            self.sample(name, "", &labels, float(value));
        }
    }

    /// A tally.
    pub(super) fn tally<L: Label>(&mut self, name: &'static str, help: &'static str, tally: &Tally<L>) {
        self.counters(name, help, tally.counts().map(|(which, count)| ([(L::NAME, which.word())], count)));
    }

    /// Histograms of one family, each with its labels.
    pub(super) fn histograms<'a>(
        &mut self,
        name: &'static str,
        help: &'static str,
        histograms: impl IntoIterator<Item = (Vec<(&'static str, &'static str)>, &'a Histogram)>,
    ) {
        self.head(name, "histogram", help);
        for (labels, histogram) in histograms {
            let mut all = 0;
            for (bound, count) in histogram.cumulative() {
                let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
                let labels: Vec<_> =
                    labels.iter().map(|(label, word)| format!("{label}=\"{word}\",")).collect();
                let _ = writeln!(self.0, "{name}_bucket{{{}le=\"{bound}\"}} {count}", labels.concat());
                all = count;
            }
            self.sample(name, "_sum", &labels, histogram.sum());
            self.sample(name, "_count", &labels, float(all));
        }
    }
}

/// A count as Prometheus keeps it.
#[expect(clippy::cast_precision_loss, reason = "Prometheus has floating-point numbers alone")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
