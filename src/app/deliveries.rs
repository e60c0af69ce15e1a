//! Deliveries: copies made ready, frames made once per recipient, outcomes recorded in batches.
//!
//! The worker asks for a batch, hands each message to the relay, and reports what became of it. Whether a
//! recipient may still be told, and whether the certificate can still be used, is judged when a copy is
//! claimed and again right before it is sent.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

pub use super::fate::Fate;
use super::fate::outcome;
use super::leases::{Held, LEASE, Term};
use super::texts::key_trouble;
use super::{App, Refusal, certificate_of};
use crate::domain::address::Address;
use crate::domain::container::Container;
use crate::domain::hold::Passage;
use crate::domain::id::{CertificateId, NoticeId};
use crate::domain::notice::{ATTEMPTS_BEFORE_ALARM, DeliveryState, NoticeKind};
use crate::mail::{Boundary, HeaderText, MessageId, OuterHead, outer_frame, plain_message};
use crate::metrics::labels::Alarm;
use crate::openpgp::{Acceptance, ArmoredBody, Certificate};
pub use crate::store::Claimed;
use crate::store::{
    Body, BodySubject, Claim, Frozen, FrozenHead, Notice, NoticeFacts, Outcome, Recipient, Tx,
};

/// A message that is ready to leave.
pub struct Outgoing {
    /// Its copy, and how long it is held.
    pub held: Arc<Held>,
    /// The envelope's sender.
    pub from: Address,
    /// The envelope's recipient.
    pub to: Address,
    /// Its bytes, in parts; the shared part is shared.
    pub parts: Vec<Arc<[u8]>>,
}

/// A notice's body, ready to be mailed to many.
struct Mailed {
    notice: NoticeId,
    /// Its content lies in `armored`.
    body: Body,
    words_only: bool,
    armored: ArmoredBody,
}

/// Somebody a copy is for, as of now.
struct Addressee {
    address: Address,
    certificate: Certificate,
    acceptance: Acceptance,
    certificate_id: CertificateId,
    version: i64,
    trouble: Option<String>,
}

impl App {
    /// Claims up to `count` copies that are due, makes what is missing of their messages, and returns those that
    /// are ready to leave; with `takes_over` also copies whose worker let its lease run out. Empty when nothing is
    /// due.
    pub async fn claim(&self, worker: &str, count: i64, takes_over: bool) -> Result<Vec<Outgoing>, Refusal> {
        let now = self.clock.now();
        let app = self.clone();
        let next = self.store.read(move |tx| match app.passage(tx)? {
            Passage::Shut => Ok::<_, Refusal>(None),
            Passage::Open | Passage::Alarms => Ok(tx.next_delivery()?),
        });
        if next.await?.is_none_or(|next| next > now) {
            return Ok(Vec::new());
        }
        self.after_lifts().await;
        self.make_bodies().await?;
        let app = self.clone();
        let owner = worker.to_owned();
        self.store
            .write(move |tx| {
                let term = Term::beginning(&app.clock);
                let now = app.clock.now();
                let lease_now = tx.lease_clock(now, app.clock.is_virtual())?;
                let passage = app.passage_until_commit(tx)?;
                let claim = Claim { owner: &owner, now, lease_now, lease: LEASE, count, takes_over, passage };
                let mut outgoing = Vec::new();
                let mut bodies: Vec<Mailed> = Vec::new();
                for claimed in tx.claim_deliveries(&claim)? {
                    let copy = claimed.clone();
                    let made =
                        tx.attempt(|tx| uninterrupted(|| app.prepare(tx, claimed, &mut bodies, &term, now)));
                    match made {
                        Ok(Some(message)) => outgoing.push(message),
                        Ok(None) => {}
                        Err(Refusal::Store(error)) if error.is_about_the_database() => {
                            return Err(Refusal::Store(error));
                        }
                        // Nothing about a damaged one can be recorded either: it is looked at again after its lease.
                        Err(Refusal::Store(error)) if error.is_about_one_thing() => {
                            bodies.clear();
                            error.say_once();
                        }
                        // One copy that cannot be made delays no other.
                        Err(refusal) => {
                            // A body that was made with it was rolled back with it.
                            bodies.clear();
                            app.give_up(tx, &copy, &refusal.to_string(), now)?;
                        }
                    }
                }
                Ok(outgoing)
            })
            .await
    }

    /// The last look before a message leaves: no hold stands in its way, this worker still has it, what it says
    /// still holds, its recipient may still be told, at the same address and with the same, still usable certificate.
    pub async fn may_send(&self, claimed: &Claimed) -> Result<bool, Refusal> {
        let app = self.clone();
        let claimed = claimed.clone();
        let now = self.clock.now();
        self.store
            .read(move |tx| {
                if !tx.may_send(&claimed)? {
                    return Ok(false);
                }
                let asked = match tx.notice(&claimed.notice) {
                    Ok(notice) => {
                        if !app.passage(tx)?.allows(notice.kind) {
                            return Ok(false);
                        }
                        addressee(tx, &notice, &claimed.recipient, now)
                    }
                    Err(error) => Err(error.into()),
                };
                let addressee = match asked {
                    Ok(Some(addressee)) => addressee,
                    Err(Refusal::Store(error)) if !error.is_about_one_thing() => {
                        return Err(Refusal::Store(error));
                    }
                    // The next claim finds the same, and says so.
                    Ok(None) | Err(_) => return Ok(false),
                };
                let Some(frozen) = &claimed.frozen else { return Ok(false) };
                let same_head = frozen.head.as_ref().is_none_or(|head| {
                    addressee.trouble.is_none()
                        && head.certificate == addressee.certificate_id.as_str()
                        && head.version == addressee.version
                });
                Ok(same_head && frozen.address == addressee.address.as_str())
            })
            .await
    }

    /// Records what became of messages, in one transaction. What did not leave has no fate: it is given back as it
    /// was, and the next claim says what that means.
    pub async fn record(&self, fates: Vec<(Claimed, Option<Fate>)>) -> Result<(), Refusal> {
        let app = self.clone();
        self.store
            .write(move |tx| {
                let now = app.clock.now();
                for (claimed, fate) in fates {
                    let Some(fate) = fate else {
                        tx.release(&claimed)?;
                        continue;
                    };
                    let fate = app.made_smaller(tx, &claimed, fate, now)?;
                    let [jitter] = app.entropy.bytes();
                    let outcome = outcome(&claimed, fate, now, jitter);
                    if !tx.record_outcome(&claimed, &outcome, now)? {
                        continue;
                    }
                    let about = match outcome.state {
                        DeliveryState::Failed => Alarm::CopyFailed,
                        DeliveryState::Pending if claimed.attempts + 1 == ATTEMPTS_BEFORE_ALARM => {
                            Alarm::CopyWaits
                        }
                        _ => continue,
                    };
                    app.alarm(tx, &claimed, about, &outcome.reply, now)?;
                }
                Ok(())
            })
            .await
    }

    /// Takes the patches out of what was too large; what cannot be made smaller was refused for good. What was
    /// accepted without them says so.
    fn made_smaller(
        &self,
        tx: &mut Tx<'_>,
        claimed: &Claimed,
        fate: Fate,
        now: DateTime<Utc>,
    ) -> Result<Fate, Refusal> {
        let head = claimed.frozen.as_ref().and_then(|frozen| frozen.head.as_ref());
        let words_only = head.is_some_and(|head| head.words_only);
        Ok(match fate {
            Fate::Accepted(reply) if words_only => {
                Fate::Accepted(format!("{reply}; the patches were too large for the relay and are fetched"))
            }
            Fate::TooLarge(reply) => {
                let notice = tx.notice(&claimed.notice)?;
                let smaller = head.is_some() && !words_only && self.leave_patches_out(tx, &notice, now)?;
                if smaller { Fate::TooLarge(reply) } else { Fate::Refused(reply) }
            }
            fate => fate,
        })
    }

    /// Records that a copy cannot be made, and tells the maintainers.
    fn give_up(
        &self,
        tx: &mut Tx<'_>,
        claimed: &Claimed,
        why: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let outcome = Outcome {
            state: DeliveryState::Failed,
            not_before: now,
            reply: why.to_owned(),
            attempted: false,
            uncertain: claimed.uncertain,
        };
        tx.record_outcome(claimed, &outcome, now)?;
        self.alarm(tx, claimed, Alarm::CopyNotMade, why, now)
    }

    /// Makes one claimed copy ready, or records why it cannot leave.
    fn prepare(
        &self,
        tx: &mut Tx<'_>,
        claimed: Claimed,
        bodies: &mut Vec<Mailed>,
        term: &Term,
        now: DateTime<Utc>,
    ) -> Result<Option<Outgoing>, Refusal> {
        let notice = tx.notice(&claimed.notice)?;
        let settle = |tx: &mut Tx<'_>, state: DeliveryState, reply: &str| {
            let uncertain = claimed.uncertain;
            let outcome =
                Outcome { state, not_before: now, reply: reply.to_owned(), attempted: false, uncertain };
            tx.record_outcome(&claimed, &outcome, now).map(drop)
        };
        if !tx.is_current(&claimed.notice)? {
            settle(tx, DeliveryState::Superseded, "what it said no longer holds")?;
            return Ok(None);
        }
        let Some(addressee) = addressee(tx, &notice, &claimed.recipient, now)? else {
            settle(tx, DeliveryState::Superseded, "the recipient may not be told any more")?;
            return Ok(None);
        };
        if notice.kind == NoticeKind::KeyTrouble {
            return self.prepare_plain(tx, claimed, &notice, addressee, (term, now)).map(Some);
        }
        if let Some(trouble) = &addressee.trouble {
            settle(tx, DeliveryState::Blocked, trouble)?;
            self.tell_of_trouble(tx, &claimed, trouble, now)?;
            return Ok(None);
        }
        // What may have arrived goes again as it was; every other copy takes what the relay takes.
        let words_only = match claimed.frozen.as_ref().and_then(|frozen| frozen.head.as_ref()) {
            Some(head) if claimed.may_have_arrived => head.words_only,
            _ => tx.has_body(&BodySubject::Words(notice.id.clone()))?,
        };
        let container = addressee.certificate.container();
        let mailed = self.mailed(tx, &notice, (words_only, container), bodies, now)?;
        let stored = (&addressee.certificate_id, addressee.version);
        let head = Self::head(tx, &mailed.body, &addressee.certificate, &addressee.acceptance, stored, now)?;
        let current = FrozenHead {
            certificate: addressee.certificate_id.to_string(),
            version: addressee.version,
            words_only,
        };
        let frozen = match &claimed.frozen {
            Some(frozen)
                if frozen.head.as_ref() == Some(&current) && frozen.address == addressee.address.as_str() =>
            {
                frozen.clone()
            }
            _ => {
                let mut head = self.outer_head(&addressee.address, now);
                // Mails about one embargo hang together in the recipient's mail program.
                head.in_reply_to = tx.first_message_id(&claimed)?.and_then(|first| first.parse().ok());
                let (before, after) = outer_frame(&head, &Boundary::from_bytes(self.entropy.bytes()));
                Frozen {
                    address: addressee.address.to_string(),
                    message_id: head.message_id.to_string(),
                    prefix: String::from_utf8_lossy(&before).into_owned(),
                    suffix: String::from_utf8_lossy(&after).into_owned(),
                    head: Some(current),
                }
            }
        };
        let message = mailed.armored.message(&head);
        let mut parts: Vec<Arc<[u8]>> = vec![frozen.prefix.as_bytes().into()];
        parts.push(message.front.into());
        parts.push(Arc::clone(&message.tail));
        parts.push(message.end.into());
        parts.push(frozen.suffix.as_bytes().into());
        Ok(Some(self.frozen(tx, (claimed, term), frozen, addressee.address, parts)?))
    }

    /// The body of a notice as it is mailed, read once for all copies of a batch.
    fn mailed<'a>(
        &self,
        tx: &mut Tx<'_>,
        notice: &Notice,
        (words_only, container): (bool, Container),
        bodies: &'a mut Vec<Mailed>,
        now: DateTime<Utc>,
    ) -> Result<&'a Mailed, Refusal> {
        let same = |known: &Mailed| {
            known.notice == notice.id && known.words_only == words_only && known.body.container == container
        };
        let index = match bodies.iter().position(same) {
            Some(index) => index,
            None => {
                let mut body = self.notice_body(tx, notice, words_only, container, now)?;
                let armored = ArmoredBody::new(std::mem::take(&mut body.content), container);
                bodies.push(Mailed { notice: notice.id.clone(), body, words_only, armored });
                bodies.len() - 1
            }
        };
        Ok(&bodies[index])
    }

    fn prepare_plain(
        &self,
        tx: &mut Tx<'_>,
        claimed: Claimed,
        notice: &Notice,
        addressee: Addressee,
        (term, now): (&Term, DateTime<Utc>),
    ) -> Result<Outgoing, Refusal> {
        let frozen = match &claimed.frozen {
            Some(frozen) => frozen.clone(),
            None => {
                let mut head = self.outer_head(&addressee.address, now);
                head.subject = header("Your OpenPGP key needs attention")?;
                let text = key_trouble(&notice.facts.reason, &self.settings.base_url);
                Frozen {
                    address: addressee.address.to_string(),
                    message_id: head.message_id.as_str().to_owned(),
                    prefix: String::from_utf8_lossy(&plain_message(&head, &text)).into_owned(),
                    suffix: String::new(),
                    head: None,
                }
            }
        };
        let parts = vec![frozen.prefix.as_bytes().into()];
        self.frozen(tx, (claimed, term), frozen, addressee.address, parts)
    }

    fn frozen(
        &self,
        tx: &mut Tx<'_>,
        (mut claimed, term): (Claimed, &Term),
        frozen: Frozen,
        to: Address,
        parts: Vec<Arc<[u8]>>,
    ) -> Result<Outgoing, Refusal> {
        if claimed.frozen.as_ref() != Some(&frozen) {
            let mut digest = Sha256::new();
            for part in &parts {
                digest.update(part);
            }
            tx.freeze_delivery(&claimed, &frozen, &digest.finalize())?;
            claimed.frozen = Some(frozen);
        }
        let held = Arc::new(Held::new(claimed, term));
        Ok(Outgoing { held, from: self.settings.from.clone(), to, parts })
    }

    fn outer_head(&self, to: &Address, now: DateTime<Utc>) -> OuterHead {
        OuterHead {
            from: self.settings.from.clone(),
            to: to.clone(),
            reply_to: None,
            subject: HeaderText::obscured(),
            date: now,
            message_id: MessageId::from_random(self.entropy.bytes(), &self.settings.from),
            in_reply_to: None,
            list_id: None,
            practice: self.settings.practice,
        }
    }

    /// Tells maintainers, and the contact without content, that a certificate cannot be used.
    fn tell_of_trouble(
        &self,
        tx: &mut Tx<'_>,
        claimed: &Claimed,
        trouble: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        self.alarm(tx, claimed, Alarm::CertificateUnusable, trouble, now)?;
        if let Recipient::Contact(contact) = &claimed.recipient {
            let facts = NoticeFacts {
                reason: trouble.to_owned(),
                only: Some(contact.to_string()),
                ..NoticeFacts::default()
            };
            self.insert_notice(tx, &claimed.embargo, NoticeKind::KeyTrouble, None, &facts, now)?;
        }
        super::notices::reconcile(self, tx, Some(&claimed.embargo), now)?;
        Ok(())
    }

    fn alarm(
        &self,
        tx: &mut Tx<'_>,
        claimed: &Claimed,
        about: Alarm,
        why: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let what = match about {
            Alarm::CopyWaits => "A notice still waits, and is tried every hour",
            Alarm::CopyNotMade => "A notice could not be made",
            Alarm::CertificateUnusable => {
                "A notice waits, because the recipient's certificate cannot be used"
            }
            _ => "A notice could not be delivered",
        };
        let who = match &claimed.recipient {
            Recipient::Contact(id) => {
                tx.contact(id)?.map_or_else(|| "a contact".to_owned(), |contact| contact.address)
            }
            // An alarm about an undeliverable alarm would never end.
            Recipient::Maintainer(_) => return Ok(()),
        };
        let facts = NoticeFacts { reason: format!("{what}: {who}\n{why}"), ..NoticeFacts::default() };
        self.raise(tx, &claimed.embargo, about, &facts, now)?;
        super::notices::reconcile(self, tx, Some(&claimed.embargo), now)?;
        Ok(())
    }
}

/// Runs what makes one copy; a panic in it is a refusal of that copy.
fn uninterrupted<T>(work: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    let broke = |_| Err(Refusal::Unavailable("the mail could not be made: see the server's log".to_owned()));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(broke)
}

fn header(text: &str) -> Result<HeaderText, Refusal> {
    text.parse().map_err(|error| Refusal::invalid("subject", error))
}

/// Who a copy goes to, if anybody may still be told.
fn addressee(
    tx: &mut Tx<'_>,
    notice: &Notice,
    recipient: &Recipient,
    now: DateTime<Utc>,
) -> Result<Option<Addressee>, Refusal> {
    let (address, certificate) = match recipient {
        Recipient::Maintainer(id) => {
            let Some(person) = tx.maintainer(id)? else { return Ok(None) };
            let Some(embargo) = tx.embargo(&notice.embargo)? else { return Ok(None) };
            if !tx.decides_for(id, &embargo.project)? {
                return Ok(None);
            }
            (person.address, person.certificate)
        }
        Recipient::Contact(id) => {
            let Some(contact) = tx.contact(id)? else { return Ok(None) };
            let Some(embargo) = tx.embargo(&notice.embargo)? else { return Ok(None) };
            let member = tx.is_member(&embargo.project, &contact.packager)?;
            if !member || !tx.is_audience(&notice.embargo, &contact.packager)? {
                return Ok(None);
            }
            (contact.address, contact.certificate)
        }
    };
    let stored = tx.certificate(&certificate)?;
    let (certificate, acceptance) = certificate_of(&stored)?;
    let trouble = if stored.revoked_at.is_some() {
        Some("this certificate was withdrawn".to_owned())
    } else {
        certificate.check(&acceptance, now).err().map(|trouble| trouble.to_string())
    };
    let address = address.parse().map_err(|error| Refusal::invalid("address", error))?;
    Ok(Some(Addressee {
        address,
        certificate,
        acceptance,
        certificate_id: stored.id,
        version: stored.version,
        trouble,
    }))
}
