//! Ending what people may do: contacts, packagers, maintainers, memberships, certificates.
//!
//! Nothing is deleted that old records name. A row that is removed gives up what must be unique, so that
//! the same certificate or short name can be enrolled again: a removed person keeps a copy of the certificate
//! that no look-up finds, and the certificate's own row, with all that is known of it, stays behind.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::delivery::Recipient;
use super::schema::{
    audience, certificates, contacts, deliveries, embargoes, heads, maintainers, memberships, packagers,
    project_maintainers, tokens,
};
use super::{StoreError, TokenOwner, Tx};
use crate::domain::id::{CertificateId, ContactId, MaintainerId, PackagerId, ProjectId};
use crate::domain::notice::DeliveryState;
use crate::vault::{Place, ROSTER};

/// The states in which a copy still waits for something.
const WAITING: [&str; 3] =
    [DeliveryState::Pending.as_str(), DeliveryState::Uncertain.as_str(), DeliveryState::Blocked.as_str()];

impl Tx<'_> {
    /// Removes a contact: no mail, no login, no token from now on.
    pub fn remove_contact(&mut self, id: &ContactId, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.weighs();
        let Some(contact) = self.contact(id)? else { return Ok(()) };
        let copy = self.set_aside(&contact.certificate, now)?;
        diesel::update(contacts::table.find(id.as_str()))
            .set((
                contacts::removed_at.eq(Some(now.timestamp_micros())),
                contacts::certificate_id.eq(copy.as_str()),
            ))
            .execute(self.db)?;
        self.end_tokens(&TokenOwner::Contact(id.clone()), now)?;
        self.give_up_copies(&Recipient::Contact(id.clone()), None)
    }

    /// Removes a packager that has no contacts left; its short name is free again.
    pub fn remove_packager(&mut self, id: &PackagerId, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.weighs();
        let lookup = self.lookup("removed packager", id.as_str())?;
        diesel::update(packagers::table.find(id.as_str()))
            .set((packagers::removed_at.eq(Some(now.timestamp_micros())), packagers::slug_lookup.eq(lookup)))
            .execute(self.db)?;
        Ok(())
    }

    /// Ends a packager's place in a project: it is told and shown nothing more.
    pub fn end_membership(
        &mut self,
        project: &ProjectId,
        packager: &PackagerId,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.weighs();
        diesel::update(memberships::table.find((project.as_str(), packager.as_str())))
            .set(memberships::removed_at.eq(Some(now.timestamp_micros())))
            .execute(self.db)?;
        Ok(())
    }

    /// Takes a packager out of the audience of whatever a project holds back: a place that is given again later
    /// brings none of it back.
    pub fn leave_audiences(
        &mut self,
        project: &ProjectId,
        packager: &PackagerId,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let held_back = embargoes::table
            .filter(embargoes::project_id.eq(project.as_str()))
            .filter(embargoes::stage.eq_any(["draft", "scheduled", "announced"]))
            .select(embargoes::id)
            .load::<String>(self.db)?;
        diesel::update(audience::table)
            .filter(audience::embargo_id.eq_any(held_back))
            .filter(audience::packager_id.eq(packager.as_str()))
            .filter(audience::removed_at.is_null())
            .set(audience::removed_at.eq(Some(now.timestamp_micros())))
            .execute(self.db)?;
        Ok(())
    }

    /// Ends a maintainer's say in a project.
    pub fn leave_project(
        &mut self,
        project: &ProjectId,
        maintainer: &MaintainerId,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.weighs();
        diesel::update(project_maintainers::table.find((project.as_str(), maintainer.as_str())))
            .set(project_maintainers::removed_at.eq(Some(now.timestamp_micros())))
            .execute(self.db)?;
        Ok(())
    }

    /// Removes a maintainer from the server: no command, no login, no token from now on.
    pub fn remove_maintainer(&mut self, id: &MaintainerId, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.weighs();
        let Some(person) = self.maintainer(id)? else { return Ok(()) };
        let copy = self.set_aside(&person.certificate, now)?;
        diesel::update(maintainers::table.find(id.as_str()))
            .set((
                maintainers::removed_at.eq(Some(now.timestamp_micros())),
                maintainers::certificate_id.eq(copy.as_str()),
            ))
            .execute(self.db)?;
        self.end_tokens(&TokenOwner::Maintainer(id.clone()), now)?;
        self.give_up_copies(&Recipient::Maintainer(id.clone()), None)
    }

    /// Stops all use of a certificate, for ever; what was made for it is thrown away.
    pub fn revoke_certificate(&mut self, id: &CertificateId, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.weighs();
        diesel::update(certificates::table.find(id.as_str()))
            .set(certificates::revoked_at.eq(Some(now.timestamp_micros())))
            .execute(self.db)?;
        diesel::delete(heads::table.filter(heads::certificate_id.eq(id.as_str()))).execute(self.db)?;
        Ok(())
    }

    /// Ends every token and page session of somebody.
    pub fn end_tokens(&mut self, owner: &TokenOwner, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.weighs();
        let live = diesel::update(tokens::table).filter(tokens::revoked_at.is_null());
        let end = tokens::revoked_at.eq(Some(now.timestamp_micros()));
        match owner {
            TokenOwner::Contact(id) => {
                live.filter(tokens::contact_id.eq(id.as_str())).set(end).execute(self.db)?
            }
            TokenOwner::Maintainer(id) => {
                live.filter(tokens::maintainer_id.eq(id.as_str())).set(end).execute(self.db)?
            }
        };
        Ok(())
    }

    /// Ends the waiting copies for a recipient that may be told nothing more, of one project or of all. Copies that
    /// a worker holds are stopped by its own last look.
    pub fn give_up_copies(
        &mut self,
        recipient: &Recipient,
        project: Option<&ProjectId>,
    ) -> Result<(), StoreError> {
        let (kind, id) = recipient.columns();
        let mut meant = embargoes::table.select(embargoes::id).into_boxed();
        if let Some(project) = project {
            meant = meant.filter(embargoes::project_id.eq(project.as_str()));
        }
        let meant = meant.load::<String>(self.db)?;
        diesel::update(deliveries::table)
            .filter(deliveries::embargo_id.eq_any(meant))
            .filter(deliveries::recipient_kind.eq(kind))
            .filter(deliveries::recipient_id.eq(id))
            .filter(deliveries::state.eq_any(WAITING))
            .set(deliveries::state.eq(DeliveryState::Superseded.as_str()))
            .execute(self.db)?;
        Ok(())
    }

    /// Lets the worker look at the waiting copies for a recipient now, whenever they would have been due.
    pub fn hasten_copies(&mut self, recipient: &Recipient, now: DateTime<Utc>) -> Result<(), StoreError> {
        let (kind, id) = recipient.columns();
        diesel::update(deliveries::table)
            .filter(deliveries::recipient_kind.eq(kind))
            .filter(deliveries::recipient_id.eq(id))
            .filter(deliveries::state.eq_any(&WAITING[..2]))
            .set(deliveries::not_before_at.eq(now.timestamp_micros()))
            .execute(self.db)?;
        Ok(())
    }

    /// Says until when SHA-1 self-signatures of a certificate are tolerated, if they are.
    pub fn set_sha1_until(
        &mut self,
        id: &CertificateId,
        until: Option<DateTime<Utc>>,
    ) -> Result<(), StoreError> {
        diesel::update(certificates::table.find(id.as_str()))
            .set(certificates::sha1_until_at.eq(until.map(|until| until.timestamp_micros())))
            .execute(self.db)?;
        Ok(())
    }

    /// Makes a copy of a certificate for the records of somebody who is removed: it belongs to nobody and cannot
    /// be used.
    fn set_aside(&mut self, id: &CertificateId, now: DateTime<Utc>) -> Result<CertificateId, StoreError> {
        let stored = self.certificate(id)?;
        let copy = CertificateId::from_random(self.vault.entropy().bytes());
        let place = Place { table: "certificates", column: "content", row: copy.as_str() };
        let sealed = self.seal(ROSTER, place, &stored.bytes)?;
        let at = now.timestamp_micros();
        diesel::insert_into(certificates::table)
            .values((
                certificates::id.eq(copy.as_str()),
                certificates::fingerprint_lookup.eq(self.lookup("removed certificate", copy.as_str())?),
                certificates::content_sealed.eq(sealed),
                certificates::version.eq(stored.version),
                certificates::created_at.eq(at),
                certificates::updated_at.eq(at),
                certificates::revoked_at.eq(Some(at)),
            ))
            .execute(self.db)?;
        diesel::delete(heads::table.filter(heads::certificate_id.eq(id.as_str()))).execute(self.db)?;
        Ok(copy)
    }
}
