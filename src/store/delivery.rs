//! Deliveries: one copy of a notice for one recipient, claimed with a lease and a fencing number.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::dialect::{self, Db};
use super::schema::{deliveries, notices};
use super::{StoreError, Tx, corrupt, instant, optional_instant, parsed};
use crate::domain::id::{
    CertificateId, ContactId, DeliveryId, EmbargoId, MaintainerId, NoticeId, PackagerId,
};
use crate::domain::notice::{DeliveryState, NoticeKind};
use crate::vault::Place;

/// How kinds of recipients are written.
pub(super) const CONTACT: &str = "contact";
pub(super) const MAINTAINER: &str = "maintainer";

/// Who gets a copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// A packager's contact.
    Contact(ContactId),
    /// A maintainer.
    Maintainer(MaintainerId),
}

impl Recipient {
    pub(super) fn columns(&self) -> (&'static str, &str) {
        match self {
            Self::Contact(id) => (CONTACT, id.as_str()),
            Self::Maintainer(id) => (MAINTAINER, id.as_str()),
        }
    }

    pub(super) fn read(kind: &str, id: &str, row: &str) -> Result<Self, StoreError> {
        match kind {
            CONTACT => Ok(Self::Contact(parsed(id, "deliveries", row)?)),
            MAINTAINER => Ok(Self::Maintainer(parsed(id, "deliveries", row)?)),
            _ => Err(corrupt("deliveries", row)),
        }
    }
}

/// A copy that is to be made.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The notice.
    pub notice: NoticeId,
    /// The notice's embargo.
    pub embargo: EmbargoId,
    /// Who gets it.
    pub recipient: Recipient,
    /// The recipient's organisation, if it is a contact.
    pub packager: Option<PackagerId>,
}

/// What was fixed when a copy was first made: every later attempt sends these bytes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// The envelope's recipient.
    pub address: String,
    /// Its Message-ID.
    pub message_id: String,
    /// Everything before the armored message.
    pub prefix: String,
    /// Everything after it.
    pub suffix: String,
    /// The certificate and its state that the head was made for; none for mail without content.
    pub head: Option<FrozenHead>,
}

/// Which head stands between prefix and body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenHead {
    /// The certificate.
    pub certificate: String,
    /// Its state.
    pub version: i64,
    /// Whether the body behind it is the one without patches.
    #[serde(default)]
    pub words_only: bool,
}

impl FrozenHead {
    /// The certificate's id.
    pub fn certificate(&self) -> Result<CertificateId, StoreError> {
        parsed(&self.certificate, "deliveries", &self.certificate)
    }
}

/// A copy that a worker took.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its id.
    pub id: DeliveryId,
    /// The notice.
    pub notice: NoticeId,
    /// The embargo.
    pub embargo: EmbargoId,
    /// Who gets it.
    pub recipient: Recipient,
    /// Attempts before this one.
    pub attempts: u32,
    /// How many answers to these bytes were lost after the final dot.
    pub uncertain: u32,
    /// Must match when the outcome is recorded.
    pub fence: i64,
    /// What was fixed before, if it was sent before.
    pub frozen: Option<Frozen>,
    /// Whether its bytes may have arrived already: an answer was lost, or the worker that held it vanished.
    pub may_have_arrived: bool,
}

/// What became of an attempt.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The state it leads to.
    pub state: DeliveryState,
    /// When to look at it again.
    pub not_before: DateTime<Utc>,
    /// The relay's answer, or the reason.
    pub reply: String,
    /// Whether it counts as an attempt.
    pub attempted: bool,
    /// How many answers to the same bytes have been lost by now.
    pub uncertain: u32,
}

/// A copy as maintainers see it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The kind of its notice.
    pub kind: NoticeKind,
    /// The revision its notice belongs to.
    pub revision: Option<u32>,
    /// Who gets it.
    pub recipient: Recipient,
    /// The recipient's organisation.
    pub packager: Option<PackagerId>,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// The last answer or reason.
    pub reply: String,
    /// How many answers to its bytes were lost after the final dot.
    pub uncertain: u32,
    /// When it is tried next, if it is to be tried again.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When the relay took it.
    pub accepted_at: Option<DateTime<Utc>>,
    /// When it became due.
    pub created_at: DateTime<Utc>,
    /// Whether its notice still holds.
    pub current: bool,
}

#[derive(Insertable)]
#[diesel(table_name = deliveries)]
struct NewRow {
    id: String,
    notice_id: String,
    embargo_id: String,
    recipient_kind: String,
    recipient_id: String,
    packager_id: Option<String>,
    state: String,
    attempts: i32,
    uncertain: i32,
    not_before_at: i64,
    fence: i64,
    created_at: i64,
}

dialect::insertable_once!(NewRow, deliveries);

#[derive(Queryable, Selectable)]
#[diesel(table_name = deliveries)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) notice_id: String,
    pub(super) embargo_id: String,
    pub(super) recipient_kind: String,
    pub(super) recipient_id: String,
    pub(super) packager_id: Option<String>,
    pub(super) state: String,
    pub(super) attempts: i32,
    pub(super) uncertain: i32,
    pub(super) not_before_at: i64,
    pub(super) fence: i64,
    pub(super) frozen_sealed: Option<Vec<u8>>,
    pub(super) last_reply_sealed: Option<Vec<u8>>,
    pub(super) created_at: i64,
    pub(super) accepted_at: Option<i64>,
}

pub(super) fn frozen_place(id: &str) -> Place<'_> {
    Place { table: "deliveries", column: "frozen", row: id }
}

fn reply_place(id: &str) -> Place<'_> {
    Place { table: "deliveries", column: "last_reply", row: id }
}

impl Tx<'_> {
    /// Inserts a copy unless it exists; says whether it is new.
    pub fn insert_delivery(&mut self, new: &NewDelivery, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let (kind, id) = new.recipient.columns();
        let row = NewRow {
            id: new.id.to_string(),
            notice_id: new.notice.to_string(),
            embargo_id: new.embargo.to_string(),
            recipient_kind: kind.to_owned(),
            recipient_id: id.to_owned(),
            packager_id: new.packager.as_ref().map(ToString::to_string),
            state: DeliveryState::Pending.to_string(),
            attempts: 0,
            uncertain: 0,
            not_before_at: now.timestamp_micros(),
            fence: 0,
            created_at: now.timestamp_micros(),
        };
        Ok(dialect::insert_if_absent(self.db, &row)?)
    }

    /// The recipients that already have a copy of a notice.
    pub fn recipients_of(&mut self, notice: &NoticeId) -> Result<Vec<Recipient>, StoreError> {
        deliveries::table
            .filter(deliveries::notice_id.eq(notice.as_str()))
            .select((deliveries::recipient_kind, deliveries::recipient_id))
            .load::<(String, String)>(self.db)?
            .into_iter()
            .map(|(kind, id)| Recipient::read(&kind, &id, notice.as_str()))
            .collect()
    }

    /// The copies of a notice that were given up, and who they were for.
    pub fn superseded_copies(
        &mut self,
        notice: &NoticeId,
    ) -> Result<Vec<(DeliveryId, Recipient)>, StoreError> {
        deliveries::table
            .filter(deliveries::notice_id.eq(notice.as_str()))
            .filter(deliveries::state.eq(DeliveryState::Superseded.as_str()))
            .select((deliveries::id, deliveries::recipient_kind, deliveries::recipient_id))
            .load::<(String, String, String)>(self.db)?
            .into_iter()
            .map(|(id, kind, recipient)| {
                Ok((parsed(&id, "deliveries", &id)?, Recipient::read(&kind, &recipient, &id)?))
            })
            .collect()
    }

    /// How many copies the relay has not accepted and would still be handed.
    pub fn unsent_deliveries(&mut self) -> Result<i64, StoreError> {
        let waiting = [DeliveryState::Pending, DeliveryState::Leased, DeliveryState::Uncertain]
            .map(|state| state.as_str());
        Ok(deliveries::table.filter(deliveries::state.eq_any(waiting)).count().get_result(self.db)?)
    }

    /// Fixes the bytes of a copy, before its first attempt.
    pub fn freeze_delivery(
        &mut self,
        claimed: &Claimed,
        frozen: &Frozen,
        sha256: &[u8],
    ) -> Result<(), StoreError> {
        let place = frozen_place(claimed.id.as_str());
        let sealed = self.seal_json(claimed.embargo.as_str(), place, frozen)?;
        diesel::update(deliveries::table.find(claimed.id.as_str()))
            .filter(deliveries::fence.eq(claimed.fence))
            .set((deliveries::frozen_sealed.eq(sealed), deliveries::message_sha256.eq(sha256)))
            .execute(self.db)?;
        Ok(())
    }

    /// Records what became of a copy; says whether this worker still held it.
    pub fn record_outcome(
        &mut self,
        claimed: &Claimed,
        outcome: &Outcome,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let place = reply_place(claimed.id.as_str());
        let reply = self.seal(claimed.embargo.as_str(), place, outcome.reply.as_bytes())?;
        let accepted = (outcome.state == DeliveryState::Accepted).then(|| now.timestamp_micros());
        let changed = diesel::update(deliveries::table.find(claimed.id.as_str()))
            .filter(deliveries::fence.eq(claimed.fence))
            .filter(deliveries::state.eq(DeliveryState::Leased.as_str()))
            .set((
                deliveries::state.eq(outcome.state.as_str()),
                deliveries::attempts.eq(deliveries::attempts + i32::from(outcome.attempted)),
                deliveries::uncertain.eq(i32::try_from(outcome.uncertain).unwrap_or(i32::MAX)),
                deliveries::not_before_at.eq(outcome.not_before.timestamp_micros()),
                deliveries::lease_owner.eq(None::<String>),
                deliveries::lease_until_at.eq(None::<i64>),
                deliveries::last_reply_sealed.eq(reply),
                deliveries::accepted_at.eq(accepted),
            ))
            .execute(self.db)?;
        Ok(changed == 1)
    }

    /// Ends the waiting copies of notices that no longer hold. Copies that a worker holds are stopped by
    /// its own last look, or leave as what was true when they left.
    pub(super) fn supersede_deliveries(&mut self, embargoes: &[EmbargoId]) -> Result<(), StoreError> {
        let gone = notices::table
            .filter(notices::embargo_id.eq_any(embargoes.iter().map(EmbargoId::as_str)))
            .filter(notices::superseded_at.is_not_null())
            .select(notices::id);
        let waiting = [DeliveryState::Pending, DeliveryState::Uncertain, DeliveryState::Blocked]
            .map(DeliveryState::as_str);
        diesel::update(deliveries::table)
            .filter(deliveries::notice_id.eq_any(gone))
            .filter(deliveries::state.eq_any(waiting))
            .set(deliveries::state.eq(DeliveryState::Superseded.as_str()))
            .execute(self.db)?;
        Ok(())
    }

    /// Puts a copy that was blocked or given up back in line.
    pub fn put_back_delivery(&mut self, id: &DeliveryId, now: DateTime<Utc>) -> Result<(), StoreError> {
        let resting = [DeliveryState::Blocked, DeliveryState::Superseded].map(DeliveryState::as_str);
        diesel::update(deliveries::table.find(id.as_str()))
            .filter(deliveries::state.eq_any(resting))
            .set((
                deliveries::state.eq(DeliveryState::Pending.as_str()),
                deliveries::not_before_at.eq(now.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(())
    }

    /// Every copy of an embargo's notices, oldest first.
    pub fn deliveries_of(&mut self, embargo: &EmbargoId) -> Result<Vec<Delivery>, StoreError> {
        let rows = deliveries::table
            .inner_join(notices::table.on(notices::id.eq(deliveries::notice_id)))
            .filter(deliveries::embargo_id.eq(embargo.as_str()))
            .order((deliveries::created_at, deliveries::id))
            .select((Row::as_select(), notices::kind, notices::revision, notices::superseded_at.is_null()))
            .load::<(Row, String, Option<i32>, bool)>(self.db)?;
        rows.into_iter().map(|row| self.opened_delivery(row)).collect()
    }

    /// How many packagers have a copy of a revision that the relay accepted, by embargo. Those of which nobody has one
    /// are missing.
    pub fn packagers_told(&mut self, embargoes: &[EmbargoId]) -> Result<HashMap<String, usize>, StoreError> {
        let revisions = NoticeKind::ALL.iter().filter(|kind| kind.carries_revision());
        let told = deliveries::table
            .inner_join(notices::table.on(notices::id.eq(deliveries::notice_id)))
            .filter(deliveries::embargo_id.eq_any(embargoes.iter().map(EmbargoId::as_str)))
            .filter(notices::kind.eq_any(revisions.map(|kind| kind.as_str()).collect::<Vec<_>>()))
            .filter(deliveries::accepted_at.is_not_null())
            .filter(deliveries::packager_id.is_not_null())
            .select((deliveries::embargo_id, deliveries::packager_id))
            .distinct()
            .load::<(String, Option<String>)>(self.db)?;
        let mut counts = HashMap::new();
        for (embargo, _) in told {
            *counts.entry(embargo).or_default() += 1;
        }
        Ok(counts)
    }

    /// The Message-ID of the first mail with content that was made for the recipient of `copy` about its embargo, if
    /// that was another copy.
    pub fn first_message_id(&mut self, copy: &Claimed) -> Result<Option<String>, StoreError> {
        let (kind, recipient) = copy.recipient.columns();
        let rows = deliveries::table
            .filter(deliveries::embargo_id.eq(copy.embargo.as_str()))
            .filter(deliveries::recipient_kind.eq(kind))
            .filter(deliveries::recipient_id.eq(recipient))
            .filter(deliveries::id.ne(copy.id.as_str()))
            .filter(deliveries::frozen_sealed.is_not_null())
            .order((deliveries::created_at, deliveries::id))
            .select((deliveries::id, deliveries::frozen_sealed.assume_not_null()))
            .load::<(String, Vec<u8>)>(self.db)?;
        for (id, sealed) in rows {
            let frozen: Frozen = self.open_json(copy.embargo.as_str(), frozen_place(&id), &sealed)?;
            if frozen.head.is_some() {
                return Ok(Some(frozen.message_id));
            }
        }
        Ok(None)
    }

    /// Every blocked copy, of all embargoes.
    pub fn blocked_deliveries(&mut self) -> Result<Vec<(EmbargoId, Delivery)>, StoreError> {
        let rows = deliveries::table
            .inner_join(notices::table.on(notices::id.eq(deliveries::notice_id)))
            .filter(deliveries::state.eq(DeliveryState::Blocked.as_str()))
            .order((deliveries::created_at, deliveries::id))
            .select((Row::as_select(), notices::kind, notices::revision, notices::superseded_at.is_null()))
            .load::<(Row, String, Option<i32>, bool)>(self.db)?;
        super::sound(rows.into_iter().map(|row| {
            let embargo = parsed(&row.0.embargo_id, "deliveries", &row.0.id)?;
            Ok((embargo, self.opened_delivery(row)?))
        }))
    }

    fn opened_delivery(&mut self, row: (Row, String, Option<i32>, bool)) -> Result<Delivery, StoreError> {
        let (row, kind, revision, current) = row;
        let reply = match &row.last_reply_sealed {
            Some(sealed) => self.open(&row.embargo_id, reply_place(&row.id), sealed)?.to_vec(),
            None => Vec::new(),
        };
        let packager = row.packager_id.as_deref().map(|id| parsed(id, "deliveries", &row.id)).transpose()?;
        let state: DeliveryState = parsed(&row.state, "deliveries", &row.id)?;
        let waits = matches!(state, DeliveryState::Pending | DeliveryState::Uncertain);
        let next_attempt_at = optional_instant(waits.then_some(row.not_before_at), "deliveries", &row.id)?;
        Ok(Delivery {
            kind: parsed(&kind, "notices", &row.notice_id)?,
            revision: revision.and_then(|number| u32::try_from(number).ok()),
            recipient: Recipient::read(&row.recipient_kind, &row.recipient_id, &row.id)?,
            packager,
            state,
            attempts: u32::try_from(row.attempts).unwrap_or_default(),
            uncertain: u32::try_from(row.uncertain).unwrap_or_default(),
            next_attempt_at,
            reply: String::from_utf8_lossy(&reply).into_owned(),
            accepted_at: optional_instant(row.accepted_at, "deliveries", &row.id)?,
            created_at: instant(row.created_at, "deliveries", &row.id)?,
            current,
            id: parsed(&row.id, "deliveries", &row.id)?,
        })
    }
}
