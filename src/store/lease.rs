//! Leases on deliveries: which worker holds a copy, until when, and under which fencing number.
//!
//! A lease is a row's state, an instant and a number that grows with every claim. Whoever writes with an older
//! number writes nothing. Instants of leases are read on the database's own clock where replicas share one
//! ([`Tx::lease_clock`]): a replica whose clock runs ahead takes nothing from a worker that is alive.

use chrono::{DateTime, Duration, Utc};
use diesel::prelude::*;

use super::delivery::{Claimed, Recipient, Row, frozen_place};
use super::dialect;
use super::schema::{deliveries, notices};
use super::{StoreError, Tx, optional_instant, parsed};
use crate::domain::hold::Passage;
use crate::domain::id::DeliveryId;
use crate::domain::notice::DeliveryState;

/// What a worker asks for.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Who asks.
    pub owner: &'a str,
    /// The present instant, for what is due.
    pub now: DateTime<Utc>,
    /// The present instant, for leases.
    pub lease_now: DateTime<Utc>,
    /// For how long.
    pub lease: Duration,
    /// How many at most.
    pub count: i64,
    /// Whether copies whose lease ran out may be taken from their worker.
    pub takes_over: bool,
    /// What may pass.
    pub passage: Passage,
}

impl Tx<'_> {
    /// The clock that leases are read on: the database's where replicas share one, otherwise `own`.
    pub fn lease_clock(&mut self, own: DateTime<Utc>, is_virtual: bool) -> Result<DateTime<Utc>, StoreError> {
        // A clock that is moved by hand moves everything that is told by it.
        if is_virtual { Ok(own) } else { Ok(self.shared_clock()?.unwrap_or(own)) }
    }

    /// Takes copies that are due.
    pub fn claim_deliveries(&mut self, claim: &Claim<'_>) -> Result<Vec<Claimed>, StoreError> {
        if claim.passage == Passage::Shut {
            return Ok(Vec::new());
        }
        let alarms_only = claim.passage == Passage::Alarms;
        let lapsed = claim.takes_over.then(|| claim.lease_now.timestamp_micros());
        let taken =
            dialect::claimable(self.db, claim.now.timestamp_micros(), lapsed, claim.count, alarms_only)?;
        let ids: Vec<&str> = taken.iter().map(|(id, _)| id.as_str()).collect();
        let until = claim.lease_now + claim.lease;
        diesel::update(deliveries::table.filter(deliveries::id.eq_any(&ids)))
            .set((
                deliveries::state.eq(DeliveryState::Leased.as_str()),
                deliveries::lease_owner.eq(claim.owner),
                deliveries::lease_until_at.eq(until.timestamp_micros()),
                deliveries::fence.eq(deliveries::fence + 1),
            ))
            .execute(self.db)?;
        let rows = deliveries::table
            .filter(deliveries::id.eq_any(&ids))
            .order((deliveries::not_before_at, deliveries::id))
            .select(Row::as_select())
            .load(self.db)?;
        // A damaged one stays with this worker until its lease ends, and holds up no other.
        super::sound(rows.into_iter().map(|row| {
            let frozen = row
                .frozen_sealed
                .as_ref()
                .map(|sealed| self.open_json(&row.embargo_id, frozen_place(&row.id), sealed))
                .transpose()?;
            let waited =
                |(id, state): &(String, String)| *id == row.id && *state == DeliveryState::Pending.as_str();
            Ok(Claimed {
                notice: parsed(&row.notice_id, "deliveries", &row.id)?,
                embargo: parsed(&row.embargo_id, "deliveries", &row.id)?,
                recipient: Recipient::read(&row.recipient_kind, &row.recipient_id, &row.id)?,
                attempts: u32::try_from(row.attempts).unwrap_or_default(),
                uncertain: u32::try_from(row.uncertain).unwrap_or_default(),
                fence: row.fence,
                frozen,
                may_have_arrived: row.uncertain > 0 || !taken.iter().any(waited),
                id: parsed(&row.id, "deliveries", &row.id)?,
            })
        }))
    }

    /// Holds a copy for longer; says whether this worker still held it.
    pub fn renew_lease(
        &mut self,
        id: &DeliveryId,
        fence: i64,
        until: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let changed = diesel::update(deliveries::table.find(id.as_str()))
            .filter(deliveries::fence.eq(fence))
            .filter(deliveries::state.eq(DeliveryState::Leased.as_str()))
            .set(deliveries::lease_until_at.eq(until.timestamp_micros()))
            .execute(self.db)?;
        Ok(changed == 1)
    }

    /// Gives a copy back as it was, so that any worker may take it at once.
    pub fn release(&mut self, claimed: &Claimed) -> Result<bool, StoreError> {
        let state = if claimed.may_have_arrived { DeliveryState::Uncertain } else { DeliveryState::Pending };
        let changed = diesel::update(deliveries::table.find(claimed.id.as_str()))
            .filter(deliveries::fence.eq(claimed.fence))
            .filter(deliveries::state.eq(DeliveryState::Leased.as_str()))
            .set((
                deliveries::state.eq(state.as_str()),
                deliveries::lease_owner.eq(None::<String>),
                deliveries::lease_until_at.eq(None::<i64>),
            ))
            .execute(self.db)?;
        Ok(changed == 1)
    }

    /// Whether this worker still holds a copy and its notice still holds: asked right before sending.
    pub fn may_send(&mut self, claimed: &Claimed) -> Result<bool, StoreError> {
        let count = deliveries::table
            .inner_join(notices::table.on(notices::id.eq(deliveries::notice_id)))
            .filter(deliveries::id.eq(claimed.id.as_str()))
            .filter(deliveries::fence.eq(claimed.fence))
            .filter(deliveries::state.eq(DeliveryState::Leased.as_str()))
            .filter(notices::superseded_at.is_null())
            .count()
            .get_result::<i64>(self.db)?;
        Ok(count == 1)
    }

    /// When the next waiting copy is due.
    pub fn next_delivery(&mut self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let waiting = deliveries::table
            .filter(deliveries::state.eq_any(["pending", "uncertain"]))
            .select(diesel::dsl::min(deliveries::not_before_at))
            .first::<Option<i64>>(self.db)?;
        let leased = deliveries::table
            .filter(deliveries::state.eq("leased"))
            .select(diesel::dsl::min(deliveries::lease_until_at))
            .first::<Option<i64>>(self.db)?;
        optional_instant(waiting.into_iter().chain(leased).min(), "deliveries", "next")
    }

    /// How many copies some worker holds.
    pub fn leases(&mut self) -> Result<i64, StoreError> {
        Ok(deliveries::table
            .filter(deliveries::state.eq(DeliveryState::Leased.as_str()))
            .count()
            .get_result(self.db)?)
    }
}
