//! What the server does by itself, now and then: content whose time of retention is over is destroyed, and what ended
//! long ago and nobody needs is removed.
//!
//! A cron expression in UTC says when. Ticks that were missed count as one, and whichever replica comes first does it.
//! Destroying content means destroying the data key that opens it: the sealed columns stay, and open nowhere.

use std::str::FromStr as _;
use std::sync::LazyLock;

use chrono::{DateTime, Duration, Utc};

use super::{Actor, App, Refusal, entry};
use crate::domain::hold::Passage;

/// How long after its end the content of a case is kept, unless the operator decides otherwise.
pub const RETENTION: Duration = Duration::days(90);
/// How long what ended is kept besides: tokens, challenges, answers to commands.
const TIDY_AFTER: Duration = Duration::days(30);
const TASK: &str = "tidy";

/// Every hour, at a minute at which nothing else happens.
static TICKS: LazyLock<Option<cron::Schedule>> =
    LazyLock::new(|| cron::Schedule::from_str("0 17 * * * *").ok());

/// The last tick up to `now`.
fn last_tick(now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let schedule = TICKS.as_ref()?;
    schedule.after(&(now - Duration::hours(2))).take_while(|tick| *tick <= now).last()
}

impl App {
    /// Does what was due at the last tick, unless it was done. Returns the ids of the embargoes whose content was
    /// destroyed now.
    pub async fn keep_house(&self, retention: Duration) -> Result<Vec<String>, Refusal> {
        let Some(tick) = last_tick(self.clock.now()) else { return Ok(Vec::new()) };
        let done = self.store.read(|tx| tx.last_tick(TASK)).await?;
        if done.is_some_and(|done| done >= tick) {
            return Ok(Vec::new());
        }
        let app = self.clone();
        self.store
            .write(move |tx| {
                // What is destroyed does not come back: a clock in doubt, or one that only says so, destroys nothing.
                if app.passage(tx)? != Passage::Open {
                    return Ok(Vec::new());
                }
                let now = app.look_at_clock(tx)?.due_by;
                if tick > now || !tx.take_tick(TASK, tick)? {
                    return Ok(Vec::new());
                }
                let mut destroyed = Vec::new();
                for id in tx.ended_and_kept(now - retention)? {
                    if tx.destroy_key(&id, now)? {
                        tx.audit(entry(now, &Actor::Server, "content destroyed", &id, &id, Vec::new()));
                        destroyed.push(id.to_string());
                    }
                }
                let gone = tx.tidy(now - TIDY_AFTER)?;
                if !destroyed.is_empty() || gone > 0 {
                    tracing::info!(
                        "housekeeping: {} contents destroyed, {gone} old rows removed",
                        destroyed.len()
                    );
                }
                Ok(destroyed)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_that_were_missed_count_as_one_and_the_hour_is_counted_in_utc() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        for (now, tick) in [
            ("2026-03-29T01:17:00Z", "2026-03-29T01:17:00Z"),
            ("2026-03-29T02:16:59Z", "2026-03-29T01:17:00Z"),
            ("2026-03-29T02:17:00Z", "2026-03-29T02:17:00Z"),
            ("2026-01-01T00:00:00Z", "2025-12-31T23:17:00Z"),
        ] {
            assert_eq!(last_tick(at(now)), Some(at(tick)), "{now}");
        }
    }
}
