//! Holds: while one stands nothing lifts, nothing is announced and nothing is sent. Reading, editing and
//! choosing dates go on.
//!
//! The check is taken in the transaction that lifts, announces or claims, and once more in the last look before
//! a message leaves, so a hold that another process placed counts from its commit on.

use chrono::{DateTime, Utc};

use super::roster::Operator;
use super::{App, Refusal};
use crate::domain::hold::{HoldKind, Passage};
use crate::domain::id::HoldId;
use crate::domain::text::one_line;
use crate::store::{AuditEntry, Hold, Tx};

/// Who places and releases what the operator's commands do.
const OPERATOR: &str = "operator";

impl App {
    /// What may leave now: by the holds that stand, and by this server's clock as it is at this moment.
    pub(super) fn passage(&self, tx: &mut Tx<'_>) -> Result<Passage, Refusal> {
        let by_clock = match self.look_at_clock(tx)?.doubt {
            Some(_) => Passage::Alarms,
            None => Passage::Open,
        };
        Ok(Passage::under(tx.open_hold_kinds()?).and(by_clock))
    }

    /// What may leave in this transaction; no hold is placed before it ends.
    pub(super) fn passage_until_commit(&self, tx: &mut Tx<'_>) -> Result<Passage, Refusal> {
        tx.keep_holds_out()?;
        self.passage(tx)
    }

    /// Refuses what a hold forbids: lifting and announcing.
    pub(super) fn refuse_while_held(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        match self.passage_until_commit(tx)? {
            Passage::Open => Ok(()),
            Passage::Alarms | Passage::Shut => Err(Refusal::Unavailable(
                "the server holds: nothing lifts and nothing is announced until an operator releases it \
                 (embargod hold list), or its clocks agree again; what is frozen and not sent with --now leaves by \
                 itself then"
                    .to_owned(),
            )),
        }
    }
}

impl Operator<'_> {
    /// Places a hold: from its commit on no replica lifts, announces or sends. The reason is sealed, and shown to
    /// operators and maintainers.
    pub fn place_hold(&self, reason: &str) -> Result<HoldId, Refusal> {
        one_line(reason, "a reason", 300).map_err(|error| Refusal::invalid("reason", error))?;
        if reason.trim().is_empty() {
            return Err(Refusal::invalid("reason", "say why, for whoever finds the hold: --reason TEXT"));
        }
        let now = self.clock.now();
        let hold = Hold {
            id: HoldId::from_random(self.entropy.bytes()),
            kind: HoldKind::Operator,
            reason: Some(reason.to_owned()),
            placed_at: now,
            placed_by: OPERATOR.to_owned(),
        };
        self.store.write_now(|tx| {
            tx.place_hold(&hold)?;
            tx.audit(about("hold placed", &hold, now));
            Ok(hold.id)
        })
    }

    /// Releases the hold of an operator whose id begins so. One after a restore ends with the word that is shown beside
    /// what would happen, and in no other way.
    pub fn release_hold(&self, id: &str) -> Result<Hold, Refusal> {
        let now = self.clock.now();
        self.store.write_now(|tx| {
            let open = tx.open_holds()?;
            let mut named = open.into_iter().filter(|hold| !id.is_empty() && hold.id.as_str().starts_with(id));
            let (Some(hold), None) = (named.next(), named.next()) else {
                return Err(Refusal::invalid(
                    "hold",
                    "no hold that stands, or more than one, has an id that begins so; embargod hold list shows them",
                ));
            };
            if hold.kind == HoldKind::Recovery {
                return Err(Refusal::rule(
                    "hold",
                    "this hold protects from a database that is older than what was sent and published; see what would \
                     happen, and the word to go on: embargod restore --account",
                ));
            }
            tx.release_hold(&hold.id, OPERATOR, now)?;
            tx.audit(about("hold released", &hold, now));
            Ok(hold)
        })
    }

    /// The holds that stand, the oldest first.
    pub fn open_holds(&self) -> Result<Vec<Hold>, Refusal> {
        self.store.read_now(|tx| Ok(tx.open_holds()?))
    }
}

fn about(action: &'static str, hold: &Hold, now: DateTime<Utc>) -> AuditEntry {
    AuditEntry {
        at: now,
        actor: OPERATOR.to_owned(),
        action,
        embargo: None,
        object: hold.id.to_string(),
        detail: hold.reason.clone().unwrap_or_default().into_bytes(),
    }
}
