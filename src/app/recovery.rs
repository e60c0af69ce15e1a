//! After a restore: nothing leaves until an operator has seen what would.
//!
//! At start the database is compared with what this replica remembers outside it. If it is older, or another one,
//! a hold is placed in it that every replica obeys, and an account is given: what would be sent and lifted, and what
//! was public and is not in it. What had been revoked is revoked again. The operator's word begins a new life of the
//! database, so that the memory of the old one is known to be given up on purpose.

use chrono::{DateTime, Utc};

use super::witness::{Witness, WitnessError};
use super::{App, Refusal};
use crate::domain::hex_sha256;
use crate::domain::hold::HoldKind;
use crate::domain::id::HoldId;
use crate::store::{AuditEntry, Hold, Store, StoreError, Tx};

/// The most overdue lifts that are named.
const MOST_NAMED: usize = 1_000;

/// What would happen if the hold were released.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Account {
    /// Copies of notices that were not accepted by the relay, as far as this database knows.
    pub mails: i64,
    /// Embargoes whose instant has passed: they would lift at once.
    pub overdue: Vec<String>,
    /// Public ids that this replica knows to be published, and this database does not.
    pub vanished: Vec<String>,
}

impl Account {
    /// Takes stock. `published` is what is remembered outside the database.
    pub fn of(tx: &mut Tx<'_>, published: &[String], now: DateTime<Utc>) -> Result<Self, StoreError> {
        let known: Vec<String> = tx.published_since(i64::MIN)?.into_iter().map(|(id, _)| id).collect();
        let mut vanished: Vec<String> = published.iter().filter(|id| !known.contains(id)).cloned().collect();
        vanished.sort();
        vanished.dedup();
        let overdue = tx.due_lifts(now)?.into_iter().take(MOST_NAMED).map(|id| id.to_string()).collect();
        Ok(Self { mails: tx.unsent_deliveries()?, overdue, vanished })
    }

    /// The word that the operator must repeat to go on: it changes with every restore, and with what would happen.
    pub fn word(&self, tx: &mut Tx<'_>) -> Result<String, StoreError> {
        let life = tx.incarnations()?.pop().map(|life| life.id).unwrap_or_default();
        let agreed = hex_sha256(format!("{life}\n{}", self.lines().join("\n")).as_bytes());
        Ok(agreed.chars().take(8).collect())
    }

    /// As sentences for the operator.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} mails wait and would leave; those that left after this state was saved would leave again",
            self.mails
        )];
        if self.overdue.is_empty() {
            lines.push("no lift is overdue".to_owned());
        } else {
            lines.push(format!("overdue, and would lift at once: {}", self.overdue.join(", ")));
        }
        if !self.vanished.is_empty() {
            lines.push(format!(
                "published before, and not in this database: {}; they cannot be served until they are published again",
                self.vanished.join(", ")
            ));
        }
        lines
    }
}

/// Places the hold, unless one stands.
pub(super) fn hold(tx: &mut Tx<'_>, reason: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
    if tx.open_holds()?.iter().any(|hold| hold.kind == HoldKind::Recovery) {
        return Ok(false);
    }
    let hold = Hold {
        id: HoldId::from_random(tx.random()),
        kind: HoldKind::Recovery,
        reason: Some(reason.to_owned()),
        placed_at: now,
        placed_by: "server".to_owned(),
    };
    tx.place_hold(&hold)?;
    tx.audit(entry(now, "server", "hold placed", hold.id.as_str()));
    Ok(true)
}

/// Goes on with this database as it is: releases the hold and begins a new life, so that what is remembered of the
/// old one is no reason for another hold.
pub fn go_on(store: &Store, witness: &Witness, word: &str, now: DateTime<Utc>) -> Result<(), WitnessError> {
    let anchored = witness.anchored_life();
    let published = witness.published()?;
    store.write_now(|tx| {
        let held: Vec<Hold> =
            tx.open_holds()?.into_iter().filter(|hold| hold.kind == HoldKind::Recovery).collect();
        if held.is_empty() {
            return Err(Refusal::rule("hold", "this database is in no recovery hold: there is nothing to confirm"));
        }
        if word != Account::of(tx, &published, now)?.word(tx)? {
            return Err(Refusal::invalid(
                "confirm",
                "this is not the word for this database, or other things would happen now than when it was shown: \
                 `embargod restore --account` shows both",
            ));
        }
        for hold in held {
            tx.release_hold(&hold.id, "operator", now)?;
            tx.audit(entry(now, "operator", "hold released", hold.id.as_str()));
        }
        if let Some(life) = &anchored {
            tx.give_up_incarnation(life, now)?;
        }
        tx.begin_incarnation(now)?;
        Ok::<_, Refusal>(())
    })?;
    // One that is damaged would be a reason for the next hold.
    witness.set_aside()
}

fn entry(now: DateTime<Utc>, actor: &str, action: &'static str, object: &str) -> AuditEntry {
    AuditEntry {
        at: now,
        actor: actor.to_owned(),
        action,
        embargo: None,
        object: object.to_owned(),
        detail: Vec::new(),
    }
}

/// Ends again what the files know to have ended; returns how many the database did not know.
pub fn revoke_again(store: &Store, witness: &Witness, now: DateTime<Utc>) -> Result<usize, WitnessError> {
    let known = witness.revocations()?;
    Ok(store.write_now(|tx| {
        let mut count = 0;
        for revocation in &known {
            if tx.revoke_again(revocation)? {
                count += 1;
                tx.audit(entry(now, "server", "revocation applied again", &revocation.id));
            }
        }
        Ok::<_, StoreError>(count)
    })?)
}

impl App {
    /// Compares the database with what is remembered outside it, before anything may leave. To be called before a
    /// server answers or works.
    pub fn recover(&self) -> Result<(), WitnessError> {
        let Some(witness) = self.witness() else { return Ok(()) };
        if self.store.vault().locked_reason().is_some() {
            // Nothing leaves, nothing can be written down; a start with the key looks again.
            return Ok(());
        }
        let now = self.clock.now();
        if let Some(doubt) = witness.compare(&self.store)? {
            self.store.write_now(|tx| hold(tx, &doubt.to_string(), now)).map_err(Refusal::from)?;
        }
        let again = revoke_again(&self.store, witness, now)?;
        if again > 0 {
            tracing::warn!("{again} revocations that this database did not know were applied again");
        }
        let published = witness.published()?;
        let held = self.store.write_now(|tx| {
            if tx.incarnations()?.is_empty() {
                tx.begin_incarnation(now)?;
            }
            let held = tx.open_holds()?.into_iter().find(|hold| hold.kind == HoldKind::Recovery);
            held.map(|hold| Ok((hold, Account::of(tx, &published, now)?))).transpose()
        });
        if let Some((hold, account)) = held.map_err(|error: StoreError| Refusal::from(error))? {
            tracing::error!(
                "RECOVERY HOLD: {}. Nothing is sent, lifted, announced or un-published until an operator says so: \
                 embargod restore --account",
                hold.reason.unwrap_or_default()
            );
            for line in account.lines() {
                tracing::error!("recovery hold: {line}");
            }
        }
        Ok(())
    }

    /// Holds everything, because what is remembered outside could not be compared with a damaged database. Needs no key.
    pub fn doubt(&self, refusal: &Refusal) -> Result<(), Refusal> {
        tracing::error!(
            "RECOVERY HOLD: what this replica remembers cannot be compared with the database: {refusal}"
        );
        let now = self.clock.now();
        self.store.write_now(|tx| {
            if !tx.open_hold_kinds()?.contains(&HoldKind::Recovery) {
                let id = HoldId::from_random(tx.random());
                let placed_by = "server".to_owned();
                tx.place_hold(&Hold {
                    id,
                    kind: HoldKind::Recovery,
                    reason: None,
                    placed_at: now,
                    placed_by,
                })?;
            }
            Ok(())
        })
    }

    /// Public ids that were published before and that this database does not know; empty unless it is held.
    pub(super) async fn vanished(&self) -> Vec<String> {
        let Some(published) = self.witness().and_then(|witness| witness.published().ok()) else {
            return Vec::new();
        };
        let now = self.clock.now();
        let account = self.store.read(move |tx| {
            let held = tx.open_hold_kinds()?.contains(&HoldKind::Recovery);
            held.then(|| Account::of(tx, &published, now)).transpose()
        });
        account.await.ok().flatten().map(|account| account.vanished).unwrap_or_default()
    }
}
