//! Tries at a receipt code. It is short enough to be typed, so wrong ones are counted.

use chrono::{DateTime, Duration, Utc};
use diesel::prelude::*;

use super::dialect::{self, Db};
use super::schema::receipt_tries;
use super::{StoreError, Tx, instant};
use crate::domain::id::{EmbargoId, PackagerId};

/// How many wrong codes a packager may send for one embargo in [`WINDOW`].
const MOST_TRIES: i32 = 20;
/// The time after which tries are forgotten.
const WINDOW: Duration = Duration::hours(1);

impl Tx<'_> {
    /// Counts a try; returns when the next one is possible if there were too many already.
    pub fn count_try(
        &mut self,
        embargo: &EmbargoId,
        packager: &PackagerId,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let at = now.timestamp_micros();
        let first = TriesRow {
            embargo_id: embargo.to_string(),
            packager_id: packager.to_string(),
            since_at: at,
            tries: 0,
        };
        dialect::insert_if_absent(self.db, &first)?;
        let row = receipt_tries::table.find((embargo.as_str(), packager.as_str()));
        diesel::update(row)
            .filter(receipt_tries::since_at.le((now - WINDOW).timestamp_micros()))
            .set((receipt_tries::since_at.eq(at), receipt_tries::tries.eq(0)))
            .execute(self.db)?;
        // Holds the row until the end of the transaction: who tries at the same time waits.
        let counted = diesel::update(row)
            .filter(receipt_tries::tries.lt(MOST_TRIES))
            .set(receipt_tries::tries.eq(receipt_tries::tries + 1))
            .execute(self.db)?;
        if counted == 1 {
            return Ok(None);
        }
        let since = row.select(receipt_tries::since_at).first::<i64>(self.db)?;
        Ok(Some(instant(since, "receipt_tries", embargo.as_str())? + WINDOW))
    }

    /// Takes a try back that was none: the code was right.
    pub fn uncount_try(&mut self, embargo: &EmbargoId, packager: &PackagerId) -> Result<(), StoreError> {
        diesel::update(receipt_tries::table.find((embargo.as_str(), packager.as_str())))
            .filter(receipt_tries::tries.gt(0))
            .set(receipt_tries::tries.eq(receipt_tries::tries - 1))
            .execute(self.db)?;
        Ok(())
    }
}

#[derive(Insertable)]
#[diesel(table_name = receipt_tries)]
struct TriesRow {
    embargo_id: String,
    packager_id: String,
    since_at: i64,
    tries: i32,
}

dialect::insertable_once!(TriesRow, receipt_tries);
