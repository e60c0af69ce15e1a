//! The page: what was counted, and what was asked for it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::labels::{Label as _, Reason, Surface};
use super::page::{Page, float};
use super::{Metrics, process};

/// What is asked about the server when the page is made.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What the database says; nothing while it is away.
    pub numbers: Option<Numbers>,
    /// Why the server is not wholly ready; empty if it is.
    pub reasons: Vec<Reason>,
    /// The worker's loops: how long ago each last went round, and how often it broke off.
    pub loops: Vec<(&'static str, Duration, u64)>,
    /// Jobs for the OpenPGP parsers that gave no answer.
    pub parsers: Vec<Parser>,
    /// How far clocks lie apart while this server's is in doubt.
    pub clock_doubt: Option<Duration>,
    /// How late lifts may come after a jump forward that nothing confirms.
    pub clock_ahead: Duration,
    /// Whether what happens cannot be remembered outside the database.
    pub anchor_trouble: bool,
    /// How often the database did not answer or could not store.
    pub database_failures: u64,
}

/// What the database says.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Holds that stand, by kind.
    pub holds: Vec<(&'static str, u64)>,
    /// Lifts that are due, and how long the oldest has been.
    pub overdue: (u64, Duration),
    /// Notices that wait past their time, and how long the oldest has.
    pub late_notices: (u64, Duration),
    /// Copies, by state.
    pub copies: Vec<(&'static str, u64)>,
    /// How long the oldest copy that is due has waited for its turn.
    pub oldest_due_copy: Duration,
    /// Applications that an operator has not decided.
    pub applications: u64,
}

/// A pool that reads foreign OpenPGP.
#[derive(Clone, Debug)]
pub struct Parser {
    /// Whom it serves.
    pub name: &'static str,
    /// Jobs that gave no answer, by the reason.
    pub failures: [(&'static str, u64); 3],
}

impl Metrics {
    /// The page for Prometheus.
    pub fn page(&self, facts: &Facts) -> String {
        let mut page = Page::default();
        page.gauges(
            "embargod_build_info",
            "The version that runs.",
            "version",
            [(env!("CARGO_PKG_VERSION"), 1.0)],
        );
        self.about_the_server(&mut page, facts);
        self.about_lifts(&mut page);
        if let Some(numbers) = &facts.numbers {
            about_what_is_due(&mut page, numbers);
        }
        self.about_mail(&mut page);
        self.about_requests(&mut page, facts);
        self.about_the_process(&mut page);
        page.text()
    }

    fn about_the_server(&self, page: &mut Page, facts: &Facts) {
        page.gauge("embargod_ready", "Whether /readyz says 200.", truth(facts.reasons.is_empty()));
        let reasons = Reason::ALL.iter().map(|reason| (reason.word(), truth(facts.reasons.contains(reason))));
        page.gauges("embargod_unready_reason", "Why it does not, by kind.", Reason::NAME, reasons);
        page.gauge(
            "embargod_database_up",
            "Whether the database answered when this page was made.",
            truth(facts.numbers.is_some()),
        );
        page.counter(
            "embargod_database_failures_total",
            "Connections, and ends of transactions, that failed.",
            facts.database_failures,
        );
        let ages = facts.loops.iter().map(|(name, age, _)| (*name, age.as_secs_f64()));
        page.gauges(
            "embargod_worker_last_beat_age_seconds",
            "How long ago a loop of the worker last went round.",
            "loop",
            ages,
        );
        let panics = facts.loops.iter().map(|(name, _, panics)| ([("loop", *name)], *panics));
        page.counters(
            "embargod_worker_panics_total",
            "How often a loop of the worker broke off and was started again.",
            panics,
        );
        page.gauge(
            "embargod_clock_doubt",
            "Whether this server's clock is in doubt, so that it lifts and sends nothing.",
            truth(facts.clock_doubt.is_some()),
        );
        page.gauge(
            "embargod_clock_doubt_seconds",
            "How far clocks lie apart while this server's is in doubt.",
            facts.clock_doubt.unwrap_or_default().as_secs_f64(),
        );
        page.gauge(
            "embargod_clock_ahead_seconds",
            "How late lifts may come after a jump of the clock that nothing confirms.",
            facts.clock_ahead.as_secs_f64(),
        );
        page.gauge(
            "embargod_audit_anchor_trouble",
            "Whether what happens cannot be remembered outside the database.",
            truth(facts.anchor_trouble),
        );
        page.tally("embargod_alarms_total", "Alarms mailed to maintainers, by kind.", &self.0.alarms);
    }

    fn about_lifts(&self, page: &mut Page) {
        let lateness = &self.0.lateness;
        let lifts = lateness.cumulative().last().map_or(0, |(_, all)| all);
        page.counter("embargod_lifts_total", "Embargoes that this server lifted.", lifts);
        page.histograms(
            "embargod_lift_lateness_seconds",
            "How long after its instant a lift was committed.",
            [(Vec::new(), lateness)],
        );
    }

    fn about_mail(&self, page: &mut Page) {
        page.tally(
            "embargod_delivery_attempts_total",
            "Copies handed to the relay by this server, by what became of them.",
            &self.0.attempts,
        );
        page.tally("embargod_relay_replies_total", "The relay's answers, by class.", &self.0.replies);
    }

    fn about_requests(&self, page: &mut Page, facts: &Facts) {
        let requests = Surface::ALL.iter().zip(&self.0.requests).flat_map(|(surface, statuses)| {
            let labels = |status: &'static str| [(Surface::NAME, surface.word()), ("status", status)];
            statuses.counts().map(move |(status, count)| (labels(status.word()), count))
        });
        page.counters("embargod_http_requests_total", "Answered requests.", requests);
        let durations = Surface::ALL.iter().zip(&self.0.durations);
        page.histograms(
            "embargod_http_request_duration_seconds",
            "How long an answer took.",
            durations.map(|(surface, durations)| (vec![(Surface::NAME, surface.word())], durations)),
        );
        page.counter(
            "embargod_http_rate_refusals_total",
            "Requests that were refused because their sender asked too often (429).",
            self.0.refused_for_rate.load(Ordering::Relaxed),
        );
        let failures = facts.parsers.iter().flat_map(|Parser { name, failures }| {
            failures.map(|(why, count)| ([("pool", *name), ("failure", why)], count))
        });
        page.counters(
            "embargod_openpgp_failures_total",
            "OpenPGP data of others that was not read, by pool and reason.",
            failures,
        );
    }

    fn about_the_process(&self, page: &mut Page) {
        let started = Duration::from_micros(self.0.started_at.timestamp_micros().unsigned_abs());
        page.gauge(
            "process_start_time_seconds",
            "When the process started, since 1970.",
            started.as_secs_f64(),
        );
        if let Some(bytes) = process::resident_bytes() {
            page.gauge("process_resident_memory_bytes", "Memory that the process occupies.", bytes);
        }
        if let Some(files) = process::open_files() {
            page.gauge("process_open_fds", "Files and sockets that the process has open.", files);
        }
    }
}

fn about_what_is_due(page: &mut Page, numbers: &Numbers) {
    let gauges = |counts: &[(&'static str, u64)]| {
        counts.iter().map(|(word, count)| (*word, float(*count))).collect::<Vec<_>>()
    };
    page.gauges("embargod_holds", "Holds that stand, by kind.", "kind", gauges(&numbers.holds));
    page.gauge("embargod_lifts_overdue", "Lifts that are due and not done.", float(numbers.overdue.0));
    page.gauge(
        "embargod_lift_overdue_seconds",
        "How long the oldest of them has been due.",
        numbers.overdue.1.as_secs_f64(),
    );
    page.gauge(
        "embargod_notices_late",
        "Announcements that wait past their time.",
        float(numbers.late_notices.0),
    );
    page.gauge(
        "embargod_notice_late_seconds",
        "How long the oldest of them has waited.",
        numbers.late_notices.1.as_secs_f64(),
    );
    page.gauges("embargod_deliveries", "Copies of notices, by state.", "state", gauges(&numbers.copies));
    page.gauge(
        "embargod_delivery_oldest_due_seconds",
        "How long the oldest copy that is due has waited for its turn.",
        numbers.oldest_due_copy.as_secs_f64(),
    );
    page.gauge(
        "embargod_applications_waiting",
        "Applications that an operator has not decided.",
        float(numbers.applications),
    );
}

fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}
