//! The guard over this server's clock: asked in every transaction that lifts, announces or claims, and in every
//! last look; what it finds is logged, shown and told.
//!
//! The doubt is this server's own. Another replica with a better clock goes on.

use std::sync::PoisonError;

use chrono::{DateTime, Duration, Utc};

use super::roster::Operator;
use super::witness::booted::is_same;
use super::{App, Refusal};
use crate::domain::clock_guard::{ClockGuard, Doubt, Observation, Verdict};
use crate::domain::embargo::{Embargo, Stage};
use crate::domain::instant::display_duration;
use crate::metrics::labels::Alarm;
use crate::store::{AuditEntry, NoticeFacts, Tx};

/// How often the database is told how late it is.
const MARK_EVERY: Duration = Duration::seconds(15);
/// How often one server tells maintainers that it doubts its clock.
const TELL_EVERY: Duration = Duration::hours(1);

/// What a server remembers of its clock.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    guard: Option<ClockGuard>,
    verdict: Option<Verdict>,
    /// When the machine started, as it was remembered outside the database.
    booted: Option<DateTime<Utc>>,
    /// A doubt that maintainers have not been told of.
    untold: Option<Doubt>,
    /// When they were last told, by the time since start.
    told_at: Option<Duration>,
}

impl App {
    /// Looks at the clock; what it found is logged when it changed.
    pub(super) fn look_at_clock(&self, tx: &mut Tx<'_>) -> Result<Verdict, Refusal> {
        let highest = tx.highest_instant()?;
        let confirmed = tx.confirmed_clock()?;
        // A clock that is moved by hand runs apart from every other.
        let shared = if self.clock.is_virtual() { None } else { tx.shared_clock()? };
        let since_start = since_start(&self.clock);
        let seen = Observation { wall: self.clock.now(), since_start, highest, shared, confirmed };
        let mut watch = self.clock_watch.lock().unwrap_or_else(PoisonError::into_inner);
        // A doubt does not end because the server is started again.
        let begin = || match self.witness().and_then(|witness| witness.booted()) {
            Some(booted) => ClockGuard::resumed(&seen, booted),
            None => ClockGuard::new(&seen),
        };
        let guard = watch.guard.get_or_insert_with(begin);
        let verdict = guard.observe(&seen);
        let before = watch.verdict.replace(verdict);
        match (before.and_then(|before| before.doubt), verdict.doubt) {
            (None, Some(doubt)) => {
                tracing::error!("{doubt}: this server lifts and sends nothing until clocks agree for 30 s");
                if watch.told_at.is_none_or(|told_at| since_start - told_at >= TELL_EVERY) {
                    watch.untold = Some(doubt);
                }
            }
            (Some(_), None) => tracing::warn!("the clock is believed again"),
            _ => {}
        }
        if let (Some(ahead), false) = (verdict.ahead, before.is_some_and(|before| before.ahead.is_some())) {
            tracing::error!("{}", late(ahead));
        }
        Ok(verdict)
    }

    /// What was found when the clock was looked at last, if it was.
    pub(super) fn last_verdict(&self) -> Option<Verdict> {
        self.clock_watch.lock().unwrap_or_else(PoisonError::into_inner).verdict
    }

    /// Tells the database how late it is, now and then, and the maintainers of a doubt they have not heard of.
    pub(super) async fn keep_watch(&self) -> Result<(), Refusal> {
        let app = self.clone();
        let mark = self.store.read(move |tx| {
            let verdict = app.look_at_clock(tx)?;
            let is_due = verdict.due_by - tx.highest_instant()? >= MARK_EVERY;
            Ok::<_, Refusal>((verdict.doubt.is_none() && is_due).then_some(verdict.due_by))
        });
        let mark = mark.await?;
        let (untold, booted) = {
            let mut watch = self.clock_watch.lock().unwrap_or_else(PoisonError::into_inner);
            (watch.untold.take(), watch.guard.as_ref().map(ClockGuard::booted))
        };
        if let Some(booted) = booted {
            self.keep_booted(booted).await;
        }
        if let Some(doubt) = untold {
            let app = self.clone();
            if let Err(refusal) = self.store.write(move |tx| app.tell_of_doubt(tx, doubt)).await {
                tracing::error!("the maintainers could not be told that the clock is in doubt: {refusal}");
            }
            let mut watch = self.clock_watch.lock().unwrap_or_else(PoisonError::into_inner);
            watch.told_at = Some(since_start(&self.clock));
        }
        // A clock that is moved by hand is kept in a file of its own.
        if let Some(mark) = mark.filter(|_| !self.clock.is_virtual()) {
            self.store.write(move |tx| tx.mark_instant(mark)).await?;
        }
        Ok(())
    }

    /// Remembers when the machine started, if that is reckoned anew; what fails is tried again at the next look.
    async fn keep_booted(&self, booted: DateTime<Utc>) {
        let Some(witness) = self.witness().cloned() else { return };
        let watch = || self.clock_watch.lock().unwrap_or_else(PoisonError::into_inner);
        if watch().booted.is_some_and(|kept| is_same(kept, booted)) {
            return;
        }
        match tokio::task::spawn_blocking(move || witness.keep_booted(booted)).await {
            Ok(Ok(())) => watch().booted = Some(booted),
            Ok(Err(error)) => tracing::debug!("when the machine started is not remembered yet: {error}"),
            Err(_) => {}
        }
    }

    /// One alarm for each project, about the embargo of it that comes first.
    fn tell_of_doubt(&self, tx: &mut Tx<'_>, doubt: Doubt) -> Result<(), Refusal> {
        let now = self.clock.now();
        let mut waiting: Vec<Embargo> = tx.embargoes()?;
        waiting.retain(|case| matches!(case.stage, Stage::Scheduled { .. } | Stage::Announced { .. }));
        waiting.sort_by_key(|case| case.stage.schedule().map(|schedule| schedule.lifts_at));
        let mut told = Vec::new();
        for case in waiting {
            if told.contains(&case.project) {
                continue;
            }
            let reason = format!(
                "The server doubts its clock: {doubt}. Nothing lifts and nothing is sent by it until its clocks have \
                 agreed for half a minute. If it stays so, its operator has to look: embargod doctor"
            );
            let facts = NoticeFacts { reason, ..NoticeFacts::default() };
            self.raise(tx, &case.id, Alarm::ClockDoubt, &facts, now)?;
            told.push(case.project);
        }
        Ok(())
    }
}

impl Operator<'_> {
    /// The operator's word that this machine's clock is right, whatever the database has seen: a jump that a server
    /// has noticed until now is believed, and the highest instant becomes the present one.
    pub fn confirm_clock(&self) -> Result<DateTime<Utc>, Refusal> {
        let now = self.clock.now();
        self.store.write_now(|tx| {
            tx.confirm_clock(now)?;
            tx.audit(AuditEntry {
                at: now,
                actor: "operator".to_owned(),
                action: "clock confirmed",
                embargo: None,
                object: String::new(),
                detail: Vec::new(),
            });
            Ok(now)
        })
    }
}

fn since_start(clock: &crate::clock::Clock) -> Duration {
    Duration::from_std(clock.monotonic()).unwrap_or(Duration::MAX)
}

/// What anybody may be told of a jump forward that nothing confirms.
pub(super) fn late(ahead: Duration) -> String {
    format!(
        "the clock jumped forward, and nothing confirms it: lifts may come {} late; if the clock is right: \
         embargod hold release clock",
        display_duration(ahead)
    )
}
