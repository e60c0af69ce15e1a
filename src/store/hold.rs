//! Holds: placed and released, never changed or removed. Whether one stands can be read without any key; a
//! reason that a person typed is sealed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::schema::holds;
use super::{StoreError, Tx, dialect, instant, parsed};
use crate::domain::hold::HoldKind;
use crate::domain::id::HoldId;
use crate::vault::{Place, ROSTER};

/// A hold that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// Its kind.
    pub kind: HoldKind,
    /// Why, in the words of who placed it; none was given, or the vault is shut.
    pub reason: Option<String>,
    /// Since when.
    pub placed_at: DateTime<Utc>,
    /// Who placed it, as in the audit log.
    pub placed_by: String,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "holds", column: "reason", row: id }
}

impl Tx<'_> {
    /// Places a hold. A reason needs the vault open; without one the hold can be placed while it is shut.
    pub fn place_hold(&mut self, hold: &Hold) -> Result<(), StoreError> {
        let id = hold.id.as_str();
        let reason =
            hold.reason.as_ref().map(|reason| self.seal(ROSTER, place(id), reason.as_bytes())).transpose()?;
        diesel::insert_into(holds::table)
            .values((
                holds::id.eq(id),
                holds::kind.eq(hold.kind.as_str()),
                holds::reason_sealed.eq(reason),
                holds::placed_at.eq(hold.placed_at.timestamp_micros()),
                holds::placed_by.eq(&hold.placed_by),
            ))
            .execute(self.db)?;
        Ok(())
    }

    /// Releases a hold; says whether it still stood.
    pub fn release_hold(&mut self, id: &HoldId, by: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let released = diesel::update(holds::table.find(id.as_str()))
            .filter(holds::released_at.is_null())
            .set((holds::released_at.eq(now.timestamp_micros()), holds::released_by.eq(by)))
            .execute(self.db)?;
        Ok(released == 1)
    }

    /// Makes whoever places a hold wait until this transaction ends, so that what it saw of them stays true.
    pub fn keep_holds_out(&mut self) -> Result<(), StoreError> {
        Ok(dialect::keep_out_of_holds(self.db)?)
    }

    /// The kinds of the holds that stand; needs no key.
    pub fn open_hold_kinds(&mut self) -> Result<Vec<HoldKind>, StoreError> {
        let words =
            holds::table.filter(holds::released_at.is_null()).select(holds::kind).load::<String>(self.db)?;
        Ok(words.iter().map(|word| HoldKind::from_stored(word)).collect())
    }

    /// The holds that stand, the oldest first.
    pub fn open_holds(&mut self) -> Result<Vec<Hold>, StoreError> {
        let rows = holds::table
            .filter(holds::released_at.is_null())
            .order((holds::placed_at, holds::id))
            .select((holds::id, holds::kind, holds::reason_sealed, holds::placed_at, holds::placed_by))
            .load::<(String, String, Option<Vec<u8>>, i64, String)>(self.db)?;
        rows.into_iter()
            .map(|(id, kind, sealed, placed_at, placed_by)| {
                let reason = match sealed.map(|sealed| self.open(ROSTER, place(&id), &sealed)).transpose() {
                    Ok(reason) => reason.map(|text| String::from_utf8_lossy(&text).into_owned()),
                    Err(error) if error.is_locked() => None,
                    Err(error) => return Err(error),
                };
                Ok(Hold {
                    kind: HoldKind::from_stored(&kind),
                    reason,
                    placed_at: instant(placed_at, "holds", &id)?,
                    placed_by,
                    id: parsed(&id, "holds", &id)?,
                })
            })
            .collect()
    }
}
