//! What is tidied up from time to time: which tick was done, and what nobody needs any more.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::dialect::{self, Db};
use super::schema::{applications, challenges, commands, housekeeping, tokens};
use super::{StoreError, Tx};

#[derive(Insertable)]
#[diesel(table_name = housekeeping)]
struct Tick {
    task: String,
    done_at: i64,
}

dialect::insertable_once!(Tick, housekeeping);

impl Tx<'_> {
    /// Takes the tick at `tick` of a task, unless some replica took it or a later one; says whether it is the caller's.
    pub fn take_tick(&mut self, task: &str, tick: DateTime<Utc>) -> Result<bool, StoreError> {
        dialect::insert_if_absent(self.db, &Tick { task: task.to_owned(), done_at: 0 })?;
        let taken = diesel::update(housekeeping::table.find(task))
            .filter(housekeeping::done_at.lt(tick.timestamp_micros()))
            .set(housekeeping::done_at.eq(tick.timestamp_micros()))
            .execute(self.db)?;
        Ok(taken == 1)
    }

    /// The tick up to which a task was done.
    pub fn last_tick(&mut self, task: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        let micros =
            housekeeping::table.find(task).select(housekeeping::done_at).first::<i64>(self.db).optional()?;
        super::optional_instant(micros, "housekeeping", task)
    }

    /// How many tokens are stored, those that ended included.
    pub fn stored_tokens(&mut self) -> Result<i64, StoreError> {
        Ok(tokens::table.count().get_result(self.db)?)
    }

    /// Removes challenges, tokens and answers to commands that ended before `before`, and applications that nobody
    /// answered since; returns how many.
    pub fn tidy(&mut self, before: DateTime<Utc>) -> Result<usize, StoreError> {
        let before = before.timestamp_micros();
        let gone = diesel::delete(challenges::table.filter(challenges::expires_at.lt(before)))
            .execute(self.db)?
            + diesel::delete(
                tokens::table.filter(tokens::expires_at.lt(before).or(tokens::revoked_at.lt(before))),
            )
            .execute(self.db)?
            + diesel::delete(commands::table.filter(commands::created_at.lt(before))).execute(self.db)?
            + diesel::delete(applications::table.filter(applications::received_at.lt(before)))
                .execute(self.db)?;
        Ok(gone)
    }
}
