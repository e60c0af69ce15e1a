//! What is counted of the rows, for whoever watches the server. Nothing that names or describes a row leaves.

use chrono::{DateTime, Utc};
use diesel::dsl::{count_star, min};
use diesel::prelude::*;

use super::schema::{applications, deliveries, embargoes};
use super::{StoreError, Tx, optional_instant};
use crate::domain::hold::HoldKind;
use crate::domain::notice::DeliveryState;

/// Things that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// How many.
    pub count: u64,
    /// Since when the oldest is; nothing if there is none.
    pub since: Option<DateTime<Utc>>,
}

/// What is counted.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// The kinds of the holds that stand.
    pub holds: Vec<HoldKind>,
    /// Announced embargoes whose instant has come.
    pub lifts: Due,
    /// Scheduled embargoes whose notice should have left.
    pub notices: Due,
    /// Copies, by state.
    pub copies: Vec<(DeliveryState, u64)>,
    /// When the first copy that waits for its turn is to be tried.
    pub next_copy: Option<DateTime<Utc>>,
    /// Applications that an operator has not decided.
    pub applications: u64,
}

impl Tx<'_> {
    /// Counts what is due by `now` and what stands; needs no key.
    pub fn numbers(&mut self, now: DateTime<Utc>) -> Result<Numbers, StoreError> {
        let by = now.timestamp_micros();
        let lifts = embargoes::table
            .filter(embargoes::stage.eq("announced"))
            .filter(embargoes::lifts_at.le(by))
            .select((count_star(), min(embargoes::lifts_at)))
            .first(self.db)?;
        let notices = embargoes::table
            .filter(embargoes::stage.eq("scheduled"))
            .filter(embargoes::notice_at.le(by))
            .select((count_star(), min(embargoes::notice_at)))
            .first(self.db)?;
        let mut copies = Vec::new();
        let mut next = None;
        for state in DeliveryState::ALL {
            let (count, first): (i64, Option<i64>) = deliveries::table
                .filter(deliveries::state.eq(state.as_str()))
                .select((count_star(), min(deliveries::not_before_at)))
                .first(self.db)?;
            copies.push((*state, counted(count)));
            if matches!(state, DeliveryState::Pending | DeliveryState::Uncertain) {
                next = next.into_iter().chain(first).min();
            }
        }
        Ok(Numbers {
            holds: self.open_hold_kinds()?,
            lifts: due(lifts)?,
            notices: due(notices)?,
            copies,
            next_copy: optional_instant(next, "deliveries", "")?,
            applications: counted(applications::table.count().get_result(self.db)?),
        })
    }
}

fn due((count, first): (i64, Option<i64>)) -> Result<Due, StoreError> {
    Ok(Due { count: counted(count), since: optional_instant(first, "embargoes", "")? })
}

fn counted(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}
