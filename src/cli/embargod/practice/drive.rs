//! A practice server's worker: due things happen at their own instants, however far the clock is moved at once.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::socket::{Request, Requests};
use super::{ClockFile, Kept, Moved, Step};
use crate::app::{App, Refusal};
use crate::cli::embargod::failure::Failure;
use crate::clock::{Clock, VirtualClock};
use crate::worker::{Done, Worker};

/// How often real time is added to the practice clock.
const TICK: Duration = Duration::from_secs(1);

/// What a practice server drives by hand.
pub(in crate::cli::embargod) struct Practice<'a> {
    pub app: &'a App,
    pub worker: &'a Worker,
    pub hand: Arc<VirtualClock>,
    pub file: ClockFile,
}

impl Practice<'_> {
    /// Lets time pass, and moves it on request, until `stop` resolves.
    pub(in crate::cli::embargod) async fn run(
        &self,
        mut requests: Requests,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Failure> {
        let mut passed = Clock::System.monotonic();
        let mut wakes = self.app.wakes();
        tokio::pin!(stop);
        loop {
            let mut request = None;
            tokio::select! {
                () = &mut stop => break,
                came = requests.recv() => request = came,
                // The sender lives in `app`, so this does not fail.
                _ = wakes.changed() => {}
                () = tokio::time::sleep(TICK) => {}
            }
            let real = Clock::System.monotonic();
            let until = self.app.clock.now() + real.saturating_sub(passed);
            passed = real;
            self.catch_up(until).await;
            if let Some(Request { line, answer }) = request {
                // Who asked may have gone away; the clock has moved all the same.
                let _ = answer.send(self.answer(line.trim()).await);
            }
        }
        self.file.write(Kept::done(self.app.clock.now()))
    }

    /// Goes to `target`, and logs what stands in the way of the work there.
    pub(in crate::cli::embargod) async fn catch_up(&self, target: DateTime<Utc>) {
        if let Err(refusal) = self.advance(target).await {
            tracing::error!("the worker met a failure: {refusal}");
            self.hand.advance_to(target);
        }
    }

    async fn answer(&self, line: &str) -> Moved {
        let moved = match line {
            "now" => Ok(Done::default()),
            step => self.move_by(step).await,
        };
        let now = self.app.clock.now();
        match moved {
            Ok(done) => Moved { now, lifted: done.lifted, sent: done.sent, running: true, refused: None },
            Err(refused) => Moved { now, running: true, refused: Some(refused), ..Moved::default() },
        }
    }

    async fn move_by(&self, step: &str) -> Result<Done, String> {
        let now = self.app.clock.now();
        let step: Step = step.parse().map_err(|error: super::step::StepError| error.to_string())?;
        let target = step.from(now).map_err(|error| error.to_string())?;
        let done = self.advance(target).await;
        // Written even after a failure: the clock has moved.
        self.file.write(Kept::done(self.app.clock.now())).map_err(|failure| failure.to_string())?;
        done.map_err(|refusal| refusal.to_string())
    }

    /// Moves the clock to `target` through every instant on the way at which something is due.
    pub(in crate::cli::embargod) async fn advance(&self, target: DateTime<Utc>) -> Result<Done, Refusal> {
        let mut all = Done::default();
        loop {
            let done = self.worker.run_until_idle().await?;
            all.lifted.extend(done.lifted);
            all.sent += done.sent;
            all.changed |= done.changed;
            let now = self.app.clock.now();
            if now >= target {
                return Ok(all);
            }
            let due = self
                .app
                .store
                .read(move |tx| Ok::<_, Refusal>([tx.next_instant(now)?, tx.next_delivery()?]))
                .await?;
            // What is due and cannot be done now does not hold the clock.
            let next = due.into_iter().flatten().filter(|due| *due > now).min();
            self.hand.advance_to(next.map_or(target, |next| next.min(target)));
        }
    }
}
