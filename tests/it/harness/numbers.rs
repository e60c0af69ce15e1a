//! What Prometheus does: asks for the page of numbers, and takes it apart without any leniency.

use std::collections::{BTreeMap, BTreeSet};

use embargod::cli::assembly::Serving;

use super::Client;

/// The listener for numbers of one server.
pub struct Numbers {
    pub client: Client,
    serving: Serving,
}

/// A page of numbers: series such as `name{label="word"}`, and what they are.
#[derive(Debug)]
pub struct Page {
    pub text: String,
    series: BTreeMap<String, f64>,
}

impl Numbers {
    pub fn of(serving: Serving) -> Self {
        Self { client: Client::new(&format!("http://{}", serving.address)), serving }
    }

    /// The page as it is now.
    pub async fn page(&self) -> Page {
        let answer = self.client.get("/metrics").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Page::parse(answer.text())
    }

    pub async fn stop(self) {
        self.serving.stop().await;
    }
}

impl Page {
    /// The whole part of a series' value; it must be there.
    pub fn value(&self, series: &str) -> u64 {
        let value = self.series.get(series).unwrap_or_else(|| panic!("no {series} in\n{}", self.text));
        value.trunc().to_string().parse().unwrap()
    }

    /// The names of all series, without labels.
    pub fn names(&self) -> BTreeSet<&str> {
        self.series.keys().map(|series| series.split('{').next().unwrap()).collect()
    }

    /// Every value of this label.
    pub fn words(&self, label: &str) -> BTreeSet<&str> {
        let begin = format!("{label}=\"");
        let word = |series: &'_ str| -> Option<(usize, usize)> {
            let at = series.find(&begin)? + begin.len();
            Some((at, at + series[at..].find('"')?))
        };
        self.series.keys().filter_map(|series| word(series).map(|(from, to)| &series[from..to])).collect()
    }

    /// Reads the text format: families whole and once, each with help and type, each series once.
    pub fn parse(text: String) -> Self {
        let mut series = BTreeMap::new();
        let mut families = BTreeSet::new();
        let mut lines = text.strip_suffix('\n').expect("the last line ends").lines().peekable();
        while let Some(line) = lines.next() {
            let (name, help) = line.strip_prefix("# HELP ").expect(line).split_once(' ').expect(line);
            assert!(!help.trim().is_empty() && families.insert(name.to_owned()), "{line}");
            let line = lines.next().unwrap();
            let kind = line.strip_prefix(&format!("# TYPE {name} ")).expect(line);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            let mut samples = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                let (labelled, value) = line.rsplit_once(' ').expect(line);
                let value: f64 = value.parse().expect(line);
                assert!(value >= 0.0 && value.is_finite(), "{line}");
                let suffix = check_form(labelled).strip_prefix(name).expect(line);
                match kind {
                    "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{line}"),
                    _ => assert_eq!(suffix, "", "{line}"),
                }
                assert!(series.insert(labelled.to_owned(), value).is_none(), "twice: {line}");
                samples.push((labelled.to_owned(), value));
            }
            assert!(!samples.is_empty(), "{name} has no sample");
            if kind == "histogram" {
                check_histogram(name, &samples);
            }
        }
        Self { text, series }
    }
}

/// Checks `name{label="word",…}`, and returns the name.
fn check_form(labelled: &str) -> &str {
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let (name, labels) = match labelled.split_once('{') {
        Some((name, rest)) => (name, Some(rest.strip_suffix('}').expect(labelled))),
        None => (labelled, None),
    };
    assert!(is_name(name), "{labelled}");
    for label in labels.into_iter().flat_map(|labels| labels.split(',')) {
        let (label, word) = label.split_once('=').expect(labelled);
        let word = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).expect(labelled);
        assert!(is_name(label) && !word.is_empty() && !word.contains(['"', '\\']), "{labelled}");
    }
    name
}

/// Buckets rise, and the last of them is the count.
fn check_histogram(name: &str, samples: &[(String, f64)]) {
    let mut last = (0.0, 0.0);
    for (labelled, value) in samples {
        if labelled.starts_with(&format!("{name}_bucket")) {
            let bound = labelled.split("le=\"").nth(1).unwrap().split('"').next().unwrap();
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
            assert!(bound > last.0 && *value >= last.1, "{labelled} {value} after {last:?}");
            last = (bound, *value);
        } else if labelled.starts_with(&format!("{name}_count")) {
            assert!(last.0.is_infinite() && (last.1 - value).abs() < 0.5, "{labelled} {value}: {last:?}");
            last = (0.0, 0.0);
        }
    }
    assert!(!last.0.is_infinite() && last.0 < 1e-9, "{name} ends in the middle");
}
