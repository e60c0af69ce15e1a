//! Notices, and the OpenPGP bodies and heads that messages are put together from.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::dialect::Db;
use super::schema::{
    audience, bodies, contacts, deliveries, embargoes, heads, memberships, notices, project_maintainers,
};
use super::{StoreError, Tx, corrupt, dialect, instant, parsed, sound};
use crate::domain::container::Container;
use crate::domain::id::{CertificateId, EmbargoId, FixId, NoticeId};
use crate::domain::notice::{DeliveryState, NoticeKind};
use crate::vault::Place;

/// One thing that is to be told.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Its id.
    pub id: NoticeId,
    /// The embargo it is about.
    pub embargo: EmbargoId,
    /// Its kind.
    pub kind: NoticeKind,
    /// Counts notices of one kind for one embargo.
    pub serial: u32,
    /// The revision it hands out or belongs to.
    pub revision: Option<u32>,
    /// What else its text is made from.
    pub facts: NoticeFacts,
    /// When it became due.
    pub created_at: DateTime<Utc>,
}

/// A notice that is to be stored.
#[derive(Clone, Debug)]
pub struct NewNotice {
    /// Its id.
    pub id: NoticeId,
    /// The embargo it is about.
    pub embargo: EmbargoId,
    /// Its kind.
    pub kind: NoticeKind,
    /// The revision it hands out or belongs to.
    pub revision: Option<u32>,
    /// What else its text is made from.
    pub facts: NoticeFacts,
}

/// What a notice's text is made from, besides the embargo and the revision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeFacts {
    /// Why: a maintainer's reason, or what an alarm is about.
    #[serde(default)]
    pub reason: String,
    /// The date that no longer holds.
    #[serde(default)]
    pub old_date: Option<DateTime<Utc>>,
    /// Who alone is to be told, where it is not everybody: a contact or maintainer id.
    #[serde(default)]
    pub only: Option<String>,
    /// Whether it is the alarm about a notice that is due and cannot leave.
    #[serde(default)]
    pub overdue: bool,
    /// The public advisory it points to.
    #[serde(default)]
    pub advisory: Option<String>,
}

/// What a body encrypts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodySubject {
    /// A notice's MIME entity.
    Notice(NoticeId),
    /// The same without the patches, for a relay that found it too large.
    Words(NoticeId),
    /// A fix's bytes.
    Fix(FixId),
}

const NOTICE: &str = "notice";

impl BodySubject {
    fn columns(&self) -> (&'static str, &str) {
        match self {
            Self::Notice(id) => (NOTICE, id.as_str()),
            Self::Words(id) => ("words", id.as_str()),
            Self::Fix(id) => ("fix", id.as_str()),
        }
    }
}

/// How long after its end an embargo is still told to who should have heard of it.
const NEWS_LASTS: chrono::Duration = chrono::Duration::days(30);

fn still_news(now: DateTime<Utc>) -> i64 {
    (now - NEWS_LASTS).timestamp_micros()
}

/// A stored body: the ciphertext, and the session key that heads are made from.
#[derive(Clone)]
pub struct Body {
    /// Its id.
    pub id: String,
    /// What it is encrypted in.
    pub container: Container,
    /// The ciphertext that all recipients share.
    pub content: Vec<u8>,
    /// The session key.
    pub session_key: Zeroizing<Vec<u8>>,
}

type NoticeRow = (String, String, String, i32, Option<i32>, Vec<u8>, i64);
type NoticeColumns = (
    notices::id,
    notices::embargo_id,
    notices::kind,
    notices::serial,
    notices::revision,
    notices::content_sealed,
    notices::created_at,
);
const COLUMNS: NoticeColumns = (
    notices::id,
    notices::embargo_id,
    notices::kind,
    notices::serial,
    notices::revision,
    notices::content_sealed,
    notices::created_at,
);
/// The stages in which everything that was said still counts.
const LIVE: [&str; 3] = ["draft", "scheduled", "announced"];

impl Tx<'_> {
    /// Stores a notice under the next serial of its kind.
    pub fn insert_notice(
        &mut self,
        id: &NoticeId,
        embargo: &EmbargoId,
        kind: NoticeKind,
        revision: Option<u32>,
        facts: &NoticeFacts,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let new =
            NewNotice { id: id.clone(), embargo: embargo.clone(), kind, revision, facts: facts.clone() };
        self.insert_notices(&[new], now)
    }

    /// Stores notices, each under the next serial of its kind for its embargo.
    pub fn insert_notices(&mut self, new: &[NewNotice], now: DateTime<Utc>) -> Result<(), StoreError> {
        let known = notices::table
            .filter(notices::embargo_id.eq_any(new.iter().map(|notice| notice.embargo.as_str())))
            .filter(notices::kind.eq_any(new.iter().map(|notice| notice.kind.as_str())))
            .group_by((notices::embargo_id, notices::kind))
            .select((notices::embargo_id, notices::kind, diesel::dsl::max(notices::serial)))
            .load::<(String, String, Option<i32>)>(self.db)?;
        let mut serials: HashMap<(String, String), i32> =
            known.into_iter().map(|(embargo, kind, last)| ((embargo, kind), last.unwrap_or(0))).collect();
        let mut rows = Vec::with_capacity(new.len());
        for NewNotice { id, embargo, kind, revision, facts } in new {
            let serial = serials.entry((embargo.to_string(), kind.as_str().to_owned())).or_default();
            *serial += 1;
            let place = Place { table: "notices", column: "content", row: id.as_str() };
            rows.push((
                notices::id.eq(id.as_str()),
                notices::embargo_id.eq(embargo.as_str()),
                notices::kind.eq(kind.as_str()),
                notices::serial.eq(*serial),
                notices::revision.eq(revision.and_then(|number| i32::try_from(number).ok())),
                notices::content_sealed.eq(self.seal_json(embargo.as_str(), place, facts)?),
                notices::created_at.eq(now.timestamp_micros()),
            ));
        }
        dialect::on_backend!(&mut *self.db, |connection| {
            diesel::insert_into(notices::table).values(&rows).execute(connection)
        })?;
        Ok(())
    }

    /// Marks the current notices of these kinds as no longer true.
    pub fn supersede_notices(
        &mut self,
        embargoes: &[EmbargoId],
        kinds: &[NoticeKind],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        diesel::update(notices::table)
            .filter(notices::embargo_id.eq_any(embargoes.iter().map(EmbargoId::as_str)))
            .filter(notices::kind.eq_any(kinds.iter().map(|kind| kind.as_str())))
            .filter(notices::superseded_at.is_null())
            .set(notices::superseded_at.eq(Some(now.timestamp_micros())))
            .execute(self.db)?;
        self.supersede_deliveries(embargoes)
    }

    /// Marks one notice as no longer true.
    pub fn supersede_notice(&mut self, notice: &Notice, now: DateTime<Utc>) -> Result<(), StoreError> {
        diesel::update(notices::table.find(notice.id.as_str()))
            .set(notices::superseded_at.eq(Some(now.timestamp_micros())))
            .execute(self.db)?;
        self.supersede_deliveries(std::slice::from_ref(&notice.embargo))
    }

    /// Whether a notice still holds.
    pub fn is_current(&mut self, id: &NoticeId) -> Result<bool, StoreError> {
        let count = notices::table
            .filter(notices::id.eq(id.as_str()))
            .filter(notices::superseded_at.is_null())
            .count()
            .get_result::<i64>(self.db)?;
        Ok(count == 1)
    }

    /// Every notice of an embargo that is currently to be known, oldest first. What a finished embargo had to say
    /// stops being news after 30 days.
    pub fn current_notices(
        &mut self,
        embargo: &EmbargoId,
        now: DateTime<Utc>,
    ) -> Result<Vec<Notice>, StoreError> {
        let rows = notices::table
            .inner_join(embargoes::table.on(embargoes::id.eq(notices::embargo_id)))
            .filter(notices::embargo_id.eq(embargo.as_str()))
            .filter(notices::superseded_at.is_null())
            .filter(embargoes::stage.eq_any(LIVE).or(notices::created_at.ge(still_news(now))))
            .order((notices::created_at, notices::id))
            .select(COLUMNS)
            .load::<NoticeRow>(self.db)?;
        sound(rows.into_iter().map(|row| self.opened_notice(row)))
    }

    /// The current notices of all embargoes that lack a copy, oldest first: somebody in the audience, or an alarm's
    /// maintainer, has none, or one that was given up. Whom a notice means is asked of each; none is missing here.
    pub fn notices_lacking_copies(&mut self, now: DateTime<Utc>) -> Result<Vec<Notice>, StoreError> {
        let alarm = NoticeKind::Alarm.as_str();
        let given_up = DeliveryState::Superseded.as_str();
        let mut ids = notices::table
            .inner_join(embargoes::table.on(embargoes::id.eq(notices::embargo_id)))
            .inner_join(audience::table.on(audience::embargo_id.eq(notices::embargo_id)))
            .inner_join(
                memberships::table.on(memberships::project_id
                    .eq(embargoes::project_id)
                    .and(memberships::packager_id.eq(audience::packager_id))),
            )
            .inner_join(contacts::table.on(contacts::packager_id.eq(audience::packager_id)))
            .left_join(
                deliveries::table.on(deliveries::notice_id
                    .eq(notices::id)
                    .and(deliveries::recipient_kind.eq(super::delivery::CONTACT))
                    .and(deliveries::recipient_id.eq(contacts::id))),
            )
            .filter(notices::superseded_at.is_null())
            .filter(embargoes::stage.eq_any(LIVE).or(notices::created_at.ge(still_news(now))))
            .filter(notices::kind.ne(alarm))
            .filter(audience::removed_at.is_null())
            .filter(memberships::removed_at.is_null())
            .filter(contacts::removed_at.is_null())
            .filter(deliveries::id.is_null().or(deliveries::state.eq(given_up)))
            .select((notices::created_at, notices::id))
            .distinct()
            .load::<(i64, String)>(self.db)?;
        ids.extend(
            notices::table
                .inner_join(embargoes::table.on(embargoes::id.eq(notices::embargo_id)))
                .inner_join(
                    project_maintainers::table.on(project_maintainers::project_id.eq(embargoes::project_id)),
                )
                .left_join(
                    deliveries::table.on(deliveries::notice_id
                        .eq(notices::id)
                        .and(deliveries::recipient_kind.eq(super::delivery::MAINTAINER))
                        .and(deliveries::recipient_id.eq(project_maintainers::maintainer_id))),
                )
                .filter(notices::superseded_at.is_null())
                .filter(embargoes::stage.eq_any(LIVE).or(notices::created_at.ge(still_news(now))))
                .filter(notices::kind.eq(alarm))
                .filter(project_maintainers::removed_at.is_null())
                .filter(deliveries::id.is_null().or(deliveries::state.eq(given_up)))
                .select((notices::created_at, notices::id))
                .distinct()
                .load::<(i64, String)>(self.db)?,
        );
        self.listed_notices(ids)
    }

    /// The notices of which copies wait to be sent by `now` and no body was made, oldest first; those about a key have
    /// none.
    pub fn notices_lacking_bodies(&mut self, now: DateTime<Utc>) -> Result<Vec<Notice>, StoreError> {
        let made = bodies::table
            .filter(bodies::subject_kind.eq(NOTICE))
            .filter(bodies::subject_id.eq(deliveries::notice_id));
        let ids = deliveries::table
            .inner_join(notices::table.on(notices::id.eq(deliveries::notice_id)))
            .filter(deliveries::state.eq(DeliveryState::Pending.as_str()))
            .filter(deliveries::not_before_at.le(now.timestamp_micros()))
            .filter(notices::superseded_at.is_null())
            .filter(notices::kind.ne(NoticeKind::KeyTrouble.as_str()))
            .filter(diesel::dsl::not(diesel::dsl::exists(made)))
            .select((notices::created_at, notices::id))
            .distinct()
            .load::<(i64, String)>(self.db)?;
        self.listed_notices(ids)
    }

    fn listed_notices(&mut self, mut ids: Vec<(i64, String)>) -> Result<Vec<Notice>, StoreError> {
        ids.sort();
        sound(ids.into_iter().map(|(_, id)| {
            let row = notices::table.find(&id).select(COLUMNS).first::<NoticeRow>(self.db);
            let row = row.map_err(|error| match error {
                diesel::result::Error::DeserializationError(_) => corrupt("notices", &id),
                error => error.into(),
            })?;
            self.opened_notice(row)
        }))
    }

    /// One notice, current or not.
    pub fn notice(&mut self, id: &NoticeId) -> Result<Notice, StoreError> {
        let row = notices::table.find(id.as_str()).select(COLUMNS).first::<NoticeRow>(self.db)?;
        self.opened_notice(row)
    }

    /// The notice that hands out revision `number`.
    pub fn notice_of_revision(
        &mut self,
        embargo: &EmbargoId,
        number: u32,
    ) -> Result<Option<NoticeId>, StoreError> {
        notices::table
            .filter(notices::embargo_id.eq(embargo.as_str()))
            .filter(notices::revision.eq(i32::try_from(number).ok()))
            .filter(notices::kind.eq_any([NoticeKind::Announcement.as_str(), NoticeKind::Revision.as_str()]))
            .select(notices::id)
            .first::<String>(self.db)
            .optional()?
            .map(|id| parsed(&id, "notices", &id))
            .transpose()
    }

    fn opened_notice(&mut self, row: NoticeRow) -> Result<Notice, StoreError> {
        let (id, embargo, kind, serial, revision, sealed, created_at) = row;
        let place = Place { table: "notices", column: "content", row: &id };
        Ok(Notice {
            facts: self.open_json(&embargo, place, &sealed)?,
            embargo: parsed(&embargo, "notices", &id)?,
            kind: parsed(&kind, "notices", &id)?,
            serial: u32::try_from(serial).unwrap_or_default(),
            revision: revision.and_then(|number| u32::try_from(number).ok()),
            created_at: instant(created_at, "notices", &id)?,
            id: parsed(&id, "notices", &id)?,
        })
    }

    /// The stored body of a subject in one container, if it was made.
    pub fn body(
        &mut self,
        embargo: &EmbargoId,
        subject: &BodySubject,
        container: Container,
    ) -> Result<Option<Body>, StoreError> {
        let (kind, id) = subject.columns();
        let row = bodies::table
            .filter(bodies::subject_kind.eq(kind))
            .filter(bodies::subject_id.eq(id))
            .filter(bodies::container.eq(container.as_str()))
            .filter(bodies::embargo_id.eq(embargo.as_str()))
            .select((bodies::id, bodies::content, bodies::session_key_sealed, bodies::content_sha256))
            .first::<(String, Vec<u8>, Vec<u8>, Option<Vec<u8>>)>(self.db)
            .optional()?;
        let Some((id, content, sealed, sha256)) = row else { return Ok(None) };
        as_written(&content, sha256.as_deref(), "bodies", &id)?;
        let place = Place { table: "bodies", column: "session_key", row: &id };
        let session_key = self.open(embargo.as_str(), place, &sealed)?;
        Ok(Some(Body { id, container, content, session_key }))
    }

    /// Whether a body of a subject was made, in any container.
    pub fn has_body(&mut self, subject: &BodySubject) -> Result<bool, StoreError> {
        let (kind, id) = subject.columns();
        let count = bodies::table
            .filter(bodies::subject_kind.eq(kind))
            .filter(bodies::subject_id.eq(id))
            .count()
            .get_result::<i64>(self.db)?;
        Ok(count > 0)
    }

    /// Keeps a body unless another replica was faster; returns the one that everybody gets.
    pub fn keep_body(
        &mut self,
        embargo: &EmbargoId,
        subject: &BodySubject,
        body: &Body,
        now: DateTime<Utc>,
    ) -> Result<Body, StoreError> {
        let place = Place { table: "bodies", column: "session_key", row: &body.id };
        let (kind, id) = subject.columns();
        let row = BodyRow {
            id: body.id.clone(),
            embargo_id: embargo.to_string(),
            subject_kind: kind.to_owned(),
            subject_id: id.to_owned(),
            container: body.container.as_str().to_owned(),
            session_key_sealed: self.seal(embargo.as_str(), place, &body.session_key)?,
            content: body.content.clone(),
            created_at: now.timestamp_micros(),
            content_sha256: Sha256::digest(&body.content).to_vec(),
        };
        dialect::insert_if_absent(self.db, &row)?;
        self.body(embargo, subject, body.container)?.ok_or_else(|| corrupt("bodies", &body.id))
    }

    /// The head of a body for one state of one certificate, if it was made.
    pub fn head(
        &mut self,
        body: &str,
        certificate: &CertificateId,
        version: i64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let row = heads::table
            .find((body, certificate.as_str(), version))
            .select((heads::content, heads::content_sha256))
            .first::<(Vec<u8>, Option<Vec<u8>>)>(self.db)
            .optional()?;
        let Some((content, sha256)) = row else { return Ok(None) };
        as_written(&content, sha256.as_deref(), "heads", body)?;
        Ok(Some(content))
    }

    /// Keeps a head unless another replica was faster; returns the one that every copy has.
    pub fn keep_head(
        &mut self,
        body: &str,
        certificate: &CertificateId,
        version: i64,
        content: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Vec<u8>, StoreError> {
        let row = HeadRow {
            body_id: body.to_owned(),
            certificate_id: certificate.to_string(),
            certificate_version: version,
            content: content.to_vec(),
            made_at: now.timestamp_micros(),
            content_sha256: Sha256::digest(content).to_vec(),
        };
        dialect::insert_if_absent(self.db, &row)?;
        self.head(body, certificate, version)?.ok_or_else(|| corrupt("heads", body))
    }
}

#[derive(Insertable)]
#[diesel(table_name = bodies)]
struct BodyRow {
    id: String,
    embargo_id: String,
    subject_kind: String,
    subject_id: String,
    container: String,
    session_key_sealed: Vec<u8>,
    content: Vec<u8>,
    created_at: i64,
    content_sha256: Vec<u8>,
}

dialect::insertable_once!(BodyRow, bodies);

#[derive(Insertable)]
#[diesel(table_name = heads)]
struct HeadRow {
    body_id: String,
    certificate_id: String,
    certificate_version: i64,
    content: Vec<u8>,
    made_at: i64,
    content_sha256: Vec<u8>,
}

/// Refuses ciphertext that is not what was written. What an older version wrote has no digest.
fn as_written(
    content: &[u8],
    sha256: Option<&[u8]>,
    table: &'static str,
    id: &str,
) -> Result<(), StoreError> {
    match sha256 {
        Some(sha256) if sha256 != Sha256::digest(content).as_slice() => Err(corrupt(table, id)),
        _ => Ok(()),
    }
}

dialect::insertable_once!(HeadRow, heads);
