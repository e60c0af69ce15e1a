//! The lift: rendered and signed outside, published in guarded transactions, up to 64 in each.
//!
//! Due is who is announced and whose instant has come by this clock and, where replicas share one, by the
//! database's. No hold may stand and the clock must not be in doubt; both are asked again in the transaction, for
//! the clock may be set between two looks. Lifting early only moves the instant; the code is this.
//!
//! Public numbers have no gaps, so a transaction takes those that come before the first that fails; the
//! others are rendered anew with their new numbers. While one batch is published, the next is rendered.

mod rendering;

use std::collections::VecDeque;
use std::slice::from_ref;
use std::sync::Arc;

use chrono::{DateTime, Datelike as _, Utc};

use self::rendering::{Prepared, Reading, Rendered};
use super::{Actor, App, Refusal, entry, notices};
use crate::domain::embargo::Stage;
use crate::domain::hold::Passage;
use crate::domain::id::{EmbargoId, NoticeId};
use crate::domain::notice::NoticeKind;
use crate::formats::Site;
use crate::metrics::labels::Alarm;
use crate::store::{NewNotice, NoticeFacts, StoreError, Tx};

/// How many lifts one transaction takes at most.
const TOGETHER: usize = 64;
/// How often others may be faster before the rest waits for the next look.
const LOSSES: usize = 8;

/// What became of a due lift in one round.
enum Outcome {
    /// It is public under this id, was due at this instant, and lacks so many of its formats.
    Lifted { advisory: String, lifts_at: DateTime<Utc>, left_out: usize },
    /// It is not due any more.
    Passed,
    /// It cannot be lifted now.
    Failed(Refusal),
    /// Its number was taken, or it was changed meanwhile: to be rendered anew, behind the others.
    Lost,
    /// One before it was not lifted: to be rendered anew.
    Again,
}

type Round = Vec<(EmbargoId, Outcome)>;

/// What is read for a batch.
struct Batch {
    /// The number that the first of them gets.
    first: i32,
    /// The names of all projects.
    projects: Vec<String>,
    ready: Vec<Prepared>,
    /// Those that are not ready.
    others: Round,
}

/// A batch that waits for its turn.
struct Work {
    ids: Vec<EmbargoId>,
    /// What was rendered of it while the one before it was published.
    sheaf: Option<Sheaf>,
    /// Whether it is one of a batch that the database refused.
    alone: bool,
}

/// A batch that is rendered.
struct Sheaf {
    rendered: Vec<Rendered>,
    /// Those that are not among them.
    others: Round,
}

impl App {
    /// Lifts what is due; returns the ids of the new advisories. One that cannot be lifted does not hold the
    /// others; a refusal is about them all.
    pub async fn lift_due(&self) -> Result<Vec<String>, Refusal> {
        let now = self.clock.now();
        let app = self.clone();
        self.keep_watch().await?;
        let due = self.store.read(move |tx| match app.passage(tx)? {
            Passage::Open => {
                let due_by = app.look_at_clock(tx)?.due_by;
                let shared = if app.clock.is_virtual() { None } else { tx.shared_clock()? };
                Ok::<_, Refusal>(tx.due_lifts(now.min(due_by).min(shared.unwrap_or(now)))?)
            }
            Passage::Alarms | Passage::Shut => Ok(Vec::new()),
        });
        let due = due.await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let _first = self.lifts_first.lock().await;
        let mut lifted = Vec::new();
        let batches = due.chunks(TOGETHER).map(|ids| Work { ids: ids.to_vec(), sheaf: None, alone: false });
        match self.lift_all(batches.collect(), &mut lifted).await {
            // What was lifted is told first; the next look finds whether the others still fail.
            Err(refusal) if lifted.is_empty() => Err(refusal),
            _ => Ok(lifted),
        }
    }

    /// Lifts one batch after the other.
    async fn lift_all(&self, mut waiting: VecDeque<Work>, lifted: &mut Vec<String>) -> Result<(), Refusal> {
        let (mut losses, mut refused) = (0, None);
        while losses < LOSSES
            && let Some(Work { ids, sheaf, alone }) = waiting.pop_front()
        {
            let next = waiting.front().map(|work| work.ids.clone());
            let (round, next) = match self.lift_batch(&ids, sheaf, next).await {
                Ok(done) => done,
                // One of them may break the transaction for all, so each gets its own.
                Err(Refusal::Store(StoreError::Query(_))) if ids.len() > 1 => {
                    for id in ids.into_iter().rev() {
                        waiting.push_front(Work { ids: vec![id], sheaf: None, alone: true });
                    }
                    continue;
                }
                Err(refusal @ Refusal::Store(StoreError::Query(_))) if alone => {
                    say(&ids[0], &refusal);
                    refused = Some(refusal);
                    continue;
                }
                Err(refusal) => return Err(refusal),
            };
            let (mut again, mut lost) = (Vec::new(), Vec::new());
            for (id, outcome) in round {
                match outcome {
                    Outcome::Lifted { advisory, lifts_at, left_out } => {
                        self.count_lift(lifts_at);
                        (0..left_out).for_each(|_| self.metrics.alarmed(Alarm::FormatLeftOut));
                        lifted.push(advisory);
                    }
                    Outcome::Passed => {}
                    Outcome::Failed(refusal) => say(&id, &refusal),
                    Outcome::Again => again.push(id),
                    Outcome::Lost => lost.push(id),
                }
            }
            losses += usize::from(again.len() + lost.len() == ids.len());
            if let Some(work) = waiting.front_mut() {
                work.sheaf = next;
            }
            // Not before what is rendered: that has its numbers already.
            for ids in [again, lost].into_iter().filter(|ids| !ids.is_empty()) {
                waiting.push_back(Work { ids, sheaf: None, alone: false });
            }
        }
        // Others are not faster so often: something in the database stands in their way.
        for id in waiting.iter().flat_map(|work| &work.ids) {
            let refusal = Refusal::Store(StoreError::Conflict);
            say(id, &refusal);
            refused = Some(refusal);
        }
        refused.map_or(Ok(()), Err)
    }

    /// Publishes a batch, and renders the next meanwhile; returns that if all of this one were lifted, for else its
    /// numbers are wrong.
    async fn lift_batch(
        &self,
        ids: &[EmbargoId],
        sheaf: Option<Sheaf>,
        next: Option<Vec<EmbargoId>>,
    ) -> Result<(Round, Option<Sheaf>), Refusal> {
        let Sheaf { rendered, others: mut round } = match sheaf {
            Some(sheaf) => sheaf,
            None => self.render_batch(ids.to_vec(), None).await?,
        };
        let Some(last) = rendered.last().map(|last| last.number) else { return Ok((round, None)) };
        let expected = rendered.len();
        let app = self.clone();
        let publishing = self.store.write(move |tx| app.publish_lifts(tx, &rendered));
        let rendering = async {
            match next {
                // If this fails, it is rendered in its turn.
                Some(next) => self.render_batch(next, Some(last + 1)).await.ok(),
                None => None,
            }
        };
        let (published, next) = tokio::join!(publishing, rendering);
        let published = published?;
        let lifted =
            published.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Lifted { .. })).count();
        round.extend(published);
        Ok((round, next.filter(|_| lifted == expected)))
    }

    /// Waits while lifts are being published.
    pub(super) async fn after_lifts(&self) {
        drop(self.lifts_first.lock().await);
    }

    /// Reads and renders a batch, up to the first that fails. `first` is the number that it begins with, if it is not
    /// the next in the database.
    async fn render_batch(&self, ids: Vec<EmbargoId>, first: Option<i32>) -> Result<Sheaf, Refusal> {
        let now = self.clock.now();
        let batch = self.store.read(move |tx| read_batch(tx, &ids, now)).await?;
        let mut sheaf = Sheaf { rendered: Vec::new(), others: batch.others };
        if batch.ready.is_empty() {
            return Ok(sheaf);
        }
        let site = Arc::new(self.site(batch.projects)?);
        let rendering: Vec<_> = (first.unwrap_or(batch.first)..)
            .zip(batch.ready)
            .map(|(number, prepared)| self.start_rendering(prepared, number, &site, now))
            .collect();
        let mut failed = false;
        for (id, task) in rendering {
            // A panic in it is said by the hook, and is this one's alone.
            let outcome = task
                .await
                .unwrap_or_else(|_| Err(Refusal::Unavailable("rendering was interrupted".to_owned())));
            match outcome {
                Err(refusal) => {
                    failed = true;
                    sheaf.others.push((id, Outcome::Failed(refusal)));
                }
                Ok(_) if failed => sheaf.others.push((id, Outcome::Again)),
                Ok(one) => sheaf.rendered.push(one),
            }
        }
        Ok(sheaf)
    }

    fn start_rendering(
        &self,
        prepared: Prepared,
        number: i32,
        site: &Arc<Site>,
        now: DateTime<Utc>,
    ) -> (EmbargoId, tokio::task::JoinHandle<Result<Rendered, Refusal>>) {
        let (app, site) = (self.clone(), Arc::clone(site));
        let id = prepared.case.embargo.id.clone();
        (id, tokio::task::spawn_blocking(move || app.render(prepared, number, &site, now)))
    }

    /// The one transaction in which lifts happen.
    fn publish_lifts(&self, tx: &mut Tx<'_>, rendered: &[Rendered]) -> Result<Round, Refusal> {
        self.refuse_while_held(tx)?;
        let due_by = self.look_at_clock(tx)?.due_by;
        // A clock that is moved by hand runs ahead of every other.
        let shared = if self.clock.is_virtual() { None } else { tx.shared_clock()? };
        let due = rendered.iter().all(|one| matches!(due_instant(one, due_by, shared), Ok(true)));
        let round = if due && self.attempt_lifts(tx, rendered)?.is_ok() {
            rendered.iter().map(lifted).collect()
        } else {
            self.publish_one_by_one(tx, rendered, due_by, shared)?
        };
        tx.mark_instant(due_by)?;
        Ok(round)
    }

    /// Publishes those that come before the first that fails.
    fn publish_one_by_one(
        &self,
        tx: &mut Tx<'_>,
        rendered: &[Rendered],
        due_by: DateTime<Utc>,
        shared: Option<DateTime<Utc>>,
    ) -> Result<Round, Refusal> {
        let mut round = Round::new();
        for one in rendered {
            let outcome = match due_instant(one, due_by, shared) {
                _ if round.last().is_some_and(|(_, last)| !matches!(last, Outcome::Lifted { .. })) => {
                    Outcome::Again
                }
                Ok(true) => match self.attempt_lifts(tx, from_ref(one))? {
                    Ok(()) => {
                        round.push(lifted(one));
                        continue;
                    }
                    Err(Refusal::Store(StoreError::Conflict)) => Outcome::Lost,
                    Err(refusal) => Outcome::Failed(refusal),
                },
                Ok(false) => Outcome::Passed,
                Err(refusal) => Outcome::Failed(refusal),
            };
            round.push((one.id().clone(), outcome));
        }
        Ok(round)
    }

    /// Publishes all of these, or none; then it says why. An error that is not about them breaks the transaction.
    fn attempt_lifts(&self, tx: &mut Tx<'_>, lifts: &[Rendered]) -> Result<Result<(), Refusal>, Refusal> {
        match tx.attempt(|tx| self.publish_together(tx, lifts)) {
            // The database may have taken back more than these.
            Err(Refusal::Store(error)) if error.is_about_the_database() => Err(error.into()),
            outcome => Ok(outcome),
        }
    }

    fn publish_together(&self, tx: &mut Tx<'_>, lifts: &[Rendered]) -> Result<(), Refusal> {
        let Some(last) = lifts.last() else { return Ok(()) };
        // What is published together was rendered together, so it shares an instant.
        let rendered_at = last.advisory.timeline.lifted_at;
        let count = i32::try_from(lifts.len()).unwrap_or(i32::MAX);
        if tx.next_advisory_numbers(rendered_at.year(), count)? != last.number {
            return Err(Refusal::Store(StoreError::Conflict));
        }
        let ids: Vec<EmbargoId> = lifts.iter().map(|one| one.id().clone()).collect();
        tx.look_at_keys(&ids)?;
        let new: Vec<_> = lifts.iter().map(Rendered::publication).collect();
        tx.publish(&new, rendered_at)?;
        let mut cases = lifts.iter().map(Rendered::lifted).collect::<Result<Vec<_>, _>>()?;
        // The versions guard against everything that was answered since these were rendered.
        tx.save_embargoes(&mut cases)?;
        let now = self.clock.now();
        notices::supersede_all(tx, &ids, now)?;
        // Copies follow by comparison, so that no lift waits for the addresses of another.
        let told: Vec<NewNotice> = lifts.iter().flat_map(|one| self.news_of(one)).collect();
        tx.insert_notices(&told, now)?;
        for one in lifts {
            tx.audit(entry(now, &Actor::Server, "lifted", one.id(), &one.advisory.id, Vec::new()));
        }
        Ok(())
    }

    /// What people are told of a lift: that it happened, and what is missing.
    fn news_of(&self, one: &Rendered) -> Vec<NewNotice> {
        let case = &one.prepared.case;
        let notice = |kind, facts| NewNotice {
            id: NoticeId::from_random(self.entropy.bytes()),
            embargo: case.embargo.id.clone(),
            kind,
            revision: None,
            facts,
        };
        let kind = match case.embargo.stage {
            Stage::Announced { early: true, .. } => NoticeKind::LiftedEarly,
            _ => NoticeKind::Lifted,
        };
        let lifted = NoticeFacts {
            advisory: Some(one.advisory.id.clone()),
            reason: case.content.ending.clone().unwrap_or_default(),
            ..NoticeFacts::default()
        };
        let missing = one.left_out.iter().map(|what| {
            let id = &one.advisory.id;
            let reason =
                format!("{what} could not be made, and {id} is public without it. Write it by hand.");
            notice(NoticeKind::Alarm, NoticeFacts { reason, ..NoticeFacts::default() })
        });
        std::iter::once(notice(kind, lifted)).chain(missing).collect()
    }
}

/// Reads what a round needs. What would take too much memory at once waits for the next round.
fn read_batch(tx: &mut Tx<'_>, ids: &[EmbargoId], now: DateTime<Utc>) -> Result<Batch, Refusal> {
    let first = tx.last_advisory_number(now.year())? + 1;
    let projects = tx.projects()?;
    let (mut reading, mut others) = (Reading::default(), Round::new());
    if reading.add(tx, ids, &projects, now).is_err() {
        // One of them is damaged, or the database is, and then the first fails as well.
        for id in ids {
            match reading.add(tx, from_ref(id), &projects, now) {
                Ok(()) => {}
                Err(Refusal::Store(error)) if error.is_about_the_database() => return Err(error.into()),
                Err(refusal) => others.push((id.clone(), Outcome::Failed(refusal))),
            }
        }
    }
    let Reading { ready, too_much, .. } = reading;
    others.extend(too_much.into_iter().map(|id| (id, Outcome::Again)));
    Ok(Batch { first, projects: projects.into_iter().map(|project| project.name).collect(), ready, others })
}

/// That it is public.
fn lifted(one: &Rendered) -> (EmbargoId, Outcome) {
    let stage = &one.prepared.case.embargo.stage;
    let lifts_at = stage.schedule().map_or(one.advisory.timeline.lifted_at, |schedule| schedule.lifts_at);
    let (advisory, left_out) = (one.advisory.id.clone(), one.left_out.len());
    (one.id().clone(), Outcome::Lifted { advisory, lifts_at, left_out })
}

/// Whether its instant has come by the clock that this server believes; a refusal if the database's says otherwise.
fn due_instant(
    one: &Rendered,
    due_by: DateTime<Utc>,
    shared: Option<DateTime<Utc>>,
) -> Result<bool, Refusal> {
    let Some(schedule) = one.prepared.case.embargo.stage.schedule() else { return Ok(false) };
    if shared.is_some_and(|shared| shared < schedule.lifts_at) {
        return Err(Refusal::Unavailable(
            "the database's clock has not reached the instant: the lift is held".to_owned(),
        ));
    }
    Ok(schedule.lifts_at <= due_by)
}

fn say(id: &EmbargoId, refusal: &Refusal) {
    tracing::error!(embargo = %id, "a lift failed and is tried again: {}", kind_of(refusal));
}

/// What a refusal was about, without anything it says.
fn kind_of(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Unavailable(_) | Refusal::Locked(_) => "held or unavailable",
        Refusal::Store(StoreError::Conflict) => "changed meanwhile",
        Refusal::Store(_) => "the store failed",
        _ => "refused",
    }
}
