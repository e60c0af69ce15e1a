//! Many embargoes: copies of one that was announced, put straight into the database.

use chrono::{DateTime, Utc};
use embargod::app::Refusal;
use embargod::domain::container::Container;
use embargod::domain::embargo::{Embargo, Stage};
use embargod::domain::id::{DeliveryId, EmbargoId, FixId, NoticeId};
use embargod::domain::notice::NoticeKind;
use embargod::store::{
    Body, BodySubject, Delivery, NewDelivery, Notice, NoticeFacts, RevisionFix, StoredEmbargo, StoredFix,
    StoredRevision, Tx,
};

/// A model: one announced embargo with everything that belongs to it.
pub struct Model {
    case: StoredEmbargo,
    revision: StoredRevision,
    fixes: Vec<(StoredFix, Vec<u8>)>,
    notice: Notice,
    body: Body,
    copies: Vec<Delivery>,
}

impl Model {
    /// Reads the embargo, whose first notice was sent.
    pub fn read(tx: &mut Tx<'_>, id: &EmbargoId, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let case = tx.embargo_with_content(id)?.unwrap();
        let mut fixes = Vec::new();
        for fix in tx.fixes_of(id, 1)? {
            let bytes = tx.fix_bytes(id, &fix.id)?.to_vec();
            fixes.push((fix, bytes));
        }
        let notices = tx.current_notices(id, now)?;
        let notice = notices.into_iter().find(|notice| notice.kind == NoticeKind::Announcement).unwrap();
        let body = tx.body(id, &BodySubject::Notice(notice.id.clone()), Container::Seipdv1)?.unwrap();
        let copies = tx.deliveries_of(id)?;
        Ok(Self { revision: tx.revision(id, 1)?.unwrap(), case, fixes, notice, body, copies })
    }

    /// Stores a copy that lifts at `lifts_at`. Its mails are as if they still had to be sent:
    /// [`Model::SENT`] says that they were.
    pub fn copy(&self, tx: &mut Tx<'_>, lifts_at: DateTime<Utc>) -> Result<EmbargoId, Refusal> {
        let now = self.notice.created_at;
        let id = EmbargoId::from_random(tx.random());
        let Stage::Announced { mut schedule, announced_at, revision, early } =
            self.case.embargo.stage.clone()
        else {
            panic!("the model was not announced");
        };
        schedule.lifts_at = lifts_at;
        let stage = Stage::Announced { schedule, announced_at, revision, early };
        let embargo = Embargo { id: id.clone(), stage, ..self.case.embargo.clone() };
        tx.insert_embargo(&embargo, &self.case.content)?;
        let mut revision = self.revision.clone();
        revision.content.fixes.clear();
        for (fix, bytes) in &self.fixes {
            let fix = StoredFix { id: FixId::from_random(tx.random()), ..fix.clone() };
            tx.put_fix(&id, &fix, bytes)?;
            let branch = fix.content.branch;
            revision.content.fixes.push(RevisionFix { id: fix.id.to_string(), branch });
        }
        tx.insert_revision(&id, &revision)?;
        let told: Vec<_> = self.copies.iter().filter_map(|copy| copy.packager.clone()).collect();
        tx.put_audience(&id, &told, now)?;
        let notice = NoticeId::from_random(tx.random());
        let facts = NoticeFacts::default();
        tx.insert_notice(&notice, &id, NoticeKind::Announcement, Some(1), &facts, now)?;
        let body = Body { id: NoticeId::from_random(tx.random()).to_string(), ..self.body.clone() };
        tx.keep_body(&id, &BodySubject::Notice(notice.clone()), &body, now)?;
        for copy in &self.copies {
            let new = NewDelivery {
                id: DeliveryId::from_random(tx.random()),
                notice: notice.clone(),
                embargo: id.clone(),
                recipient: copy.recipient.clone(),
                packager: copy.packager.clone(),
            };
            tx.insert_delivery(&new, now)?;
        }
        Ok(id)
    }

    /// The statement by which every mail that waits was sent.
    pub const SENT: &str =
        "UPDATE deliveries SET state = 'accepted', accepted_at = created_at WHERE state = 'pending'";
}
