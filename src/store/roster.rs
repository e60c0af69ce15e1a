//! Packagers, their contacts, their places in projects, and the audience of an embargo.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::dialect::Db;
use super::people::{Contact, Packager};
use super::schema::{audience, contacts, memberships, packagers};
use super::{StoreError, Tx, dialect, parsed};
use crate::domain::id::{CertificateId, ContactId, EmbargoId, PackagerId, ProjectId};
use crate::vault::{Place, ROSTER};

#[derive(Serialize, Deserialize)]
struct Organisation {
    slug: String,
    name: String,
}

impl Tx<'_> {
    /// Stores a packager.
    pub fn insert_packager(&mut self, packager: &Packager, now: DateTime<Utc>) -> Result<(), StoreError> {
        let place = Place { table: "packagers", column: "organisation", row: packager.id.as_str() };
        let content = Organisation { slug: packager.slug.clone(), name: packager.name.clone() };
        let sealed = self.seal_json(ROSTER, place, &content)?;
        diesel::insert_into(packagers::table)
            .values((
                packagers::id.eq(packager.id.as_str()),
                packagers::slug_lookup.eq(self.lookup("packager", &packager.slug)?),
                packagers::organisation_sealed.eq(sealed),
                packagers::created_at.eq(now.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(())
    }

    /// Every packager that has not been removed, by short name.
    pub fn packagers(&mut self) -> Result<Vec<Packager>, StoreError> {
        let rows = packagers::table
            .filter(packagers::removed_at.is_null())
            .select((packagers::id, packagers::organisation_sealed))
            .load::<(String, Vec<u8>)>(self.db)?;
        let mut found = super::sound(rows.into_iter().map(|row| self.opened_packager(row)))?;
        found.sort_by(|a, b| a.slug.cmp(&b.slug));
        Ok(found)
    }

    /// Every packager there ever was: for reading old records, never for telling anybody anything.
    pub fn packagers_ever(&mut self) -> Result<Vec<Packager>, StoreError> {
        let rows =
            packagers::table
                .select((packagers::id, packagers::organisation_sealed))
                .load::<(String, Vec<u8>)>(self.db)?;
        rows.into_iter().map(|row| self.opened_packager(row)).collect()
    }

    fn opened_packager(&mut self, row: (String, Vec<u8>)) -> Result<Packager, StoreError> {
        let (id, sealed) = row;
        let place = Place { table: "packagers", column: "organisation", row: &id };
        let Organisation { slug, name } = self.open_json(ROSTER, place, &sealed)?;
        Ok(Packager { id: parsed(&id, "packagers", &id)?, slug, name })
    }

    /// Stores a contact.
    pub fn insert_contact(&mut self, contact: &Contact, now: DateTime<Utc>) -> Result<(), StoreError> {
        let place = Place { table: "contacts", column: "address", row: contact.id.as_str() };
        let sealed = self.seal(ROSTER, place, contact.address.as_bytes())?;
        diesel::insert_into(contacts::table)
            .values((
                contacts::id.eq(contact.id.as_str()),
                contacts::packager_id.eq(contact.packager.as_str()),
                contacts::certificate_id.eq(contact.certificate.as_str()),
                contacts::address_sealed.eq(sealed),
                contacts::created_at.eq(now.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(())
    }

    /// Every contact that has not been removed.
    pub fn contacts(&mut self) -> Result<Vec<Contact>, StoreError> {
        let rows = contacts::table
            .filter(contacts::removed_at.is_null())
            .order(contacts::id)
            .select((contacts::id, contacts::packager_id, contacts::certificate_id, contacts::address_sealed))
            .load::<(String, String, String, Vec<u8>)>(self.db)?;
        super::sound(rows.into_iter().map(|row| self.opened_contact(row)))
    }

    /// Every contact there ever was: for reading old records, never for telling anybody anything.
    pub fn contacts_ever(&mut self) -> Result<Vec<Contact>, StoreError> {
        let rows = contacts::table
            .select((contacts::id, contacts::packager_id, contacts::certificate_id, contacts::address_sealed))
            .load::<(String, String, String, Vec<u8>)>(self.db)?;
        rows.into_iter().map(|row| self.opened_contact(row)).collect()
    }

    fn opened_contact(&mut self, row: (String, String, String, Vec<u8>)) -> Result<Contact, StoreError> {
        let (id, packager, certificate, sealed) = row;
        let place = Place { table: "contacts", column: "address", row: &id };
        let address = String::from_utf8(self.open(ROSTER, place, &sealed)?.to_vec())
            .map_err(|_| super::corrupt("contacts", &id))?;
        Ok(Contact {
            packager: parsed(&packager, "contacts", &id)?,
            certificate: parsed(&certificate, "contacts", &id)?,
            address,
            id: parsed(&id, "contacts", &id)?,
        })
    }

    /// One contact, unless it has been removed.
    pub fn contact(&mut self, id: &ContactId) -> Result<Option<Contact>, StoreError> {
        contacts::table
            .find(id.as_str())
            .filter(contacts::removed_at.is_null())
            .select((contacts::id, contacts::packager_id, contacts::certificate_id, contacts::address_sealed))
            .first(self.db)
            .optional()?
            .map(|row| self.opened_contact(row))
            .transpose()
    }

    /// The contact that owns a certificate.
    pub fn contact_by_certificate(
        &mut self,
        certificate: &CertificateId,
    ) -> Result<Option<Contact>, StoreError> {
        contacts::table
            .filter(contacts::certificate_id.eq(certificate.as_str()))
            .filter(contacts::removed_at.is_null())
            .select((contacts::id, contacts::packager_id, contacts::certificate_id, contacts::address_sealed))
            .first(self.db)
            .optional()?
            .map(|row| self.opened_contact(row))
            .transpose()
    }

    /// Gives a packager its approved place in a project; says whether that is new.
    pub fn approve(
        &mut self,
        project: &ProjectId,
        packager: &PackagerId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let row = Membership {
            project_id: project.to_string(),
            packager_id: packager.to_string(),
            approved_at: now.timestamp_micros(),
        };
        if dialect::insert_if_absent(self.db, &row)? {
            return Ok(true);
        }
        // A place that was ended can be given again.
        let place = memberships::table.find((project.as_str(), packager.as_str()));
        let given_again = diesel::update(place)
            .filter(memberships::removed_at.is_not_null())
            .set((memberships::removed_at.eq(None::<i64>), memberships::approved_at.eq(row.approved_at)))
            .execute(self.db)?;
        Ok(given_again == 1)
    }

    /// The packagers approved for a project, now.
    pub fn members(&mut self, project: &ProjectId) -> Result<Vec<Packager>, StoreError> {
        let ids = memberships::table
            .filter(memberships::project_id.eq(project.as_str()))
            .filter(memberships::removed_at.is_null())
            .select(memberships::packager_id)
            .load::<String>(self.db)?;
        Ok(self
            .packagers()?
            .into_iter()
            .filter(|packager| ids.iter().any(|id| id == packager.id.as_str()))
            .collect())
    }

    /// Whether a packager is approved for a project, now.
    pub fn is_member(&mut self, project: &ProjectId, packager: &PackagerId) -> Result<bool, StoreError> {
        let count = memberships::table
            .inner_join(packagers::table.on(packagers::id.eq(memberships::packager_id)))
            .filter(memberships::project_id.eq(project.as_str()))
            .filter(memberships::packager_id.eq(packager.as_str()))
            .filter(memberships::removed_at.is_null())
            .filter(packagers::removed_at.is_null())
            .count()
            .get_result::<i64>(self.db)?;
        Ok(count == 1)
    }

    /// The packagers an embargo's notices go to.
    pub fn audience(&mut self, embargo: &EmbargoId) -> Result<Vec<PackagerId>, StoreError> {
        audience::table
            .filter(audience::embargo_id.eq(embargo.as_str()))
            .filter(audience::removed_at.is_null())
            .order(audience::packager_id)
            .select(audience::packager_id)
            .load::<String>(self.db)?
            .into_iter()
            .map(|id| parsed(&id, "audience", embargo.as_str()))
            .collect()
    }

    /// Whether an embargo's notices go to a packager.
    pub fn is_audience(&mut self, embargo: &EmbargoId, packager: &PackagerId) -> Result<bool, StoreError> {
        let count = audience::table
            .filter(audience::embargo_id.eq(embargo.as_str()))
            .filter(audience::packager_id.eq(packager.as_str()))
            .filter(audience::removed_at.is_null())
            .count()
            .get_result::<i64>(self.db)?;
        Ok(count == 1)
    }

    /// Sets the audience: who is missing from `chosen` gets nothing more, who is new gets what is current.
    pub fn put_audience(
        &mut self,
        embargo: &EmbargoId,
        chosen: &[PackagerId],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let now = now.timestamp_micros();
        let keep: Vec<&str> = chosen.iter().map(PackagerId::as_str).collect();
        diesel::update(audience::table)
            .filter(audience::embargo_id.eq(embargo.as_str()))
            .filter(audience::removed_at.is_null())
            .filter(audience::packager_id.ne_all(&keep))
            .set(audience::removed_at.eq(Some(now)))
            .execute(self.db)?;
        for packager in chosen {
            let row =
                Told { embargo_id: embargo.to_string(), packager_id: packager.to_string(), added_at: now };
            if !dialect::insert_if_absent(self.db, &row)? {
                diesel::update(audience::table.find((embargo.as_str(), packager.as_str())))
                    .set(audience::removed_at.eq(None::<i64>))
                    .execute(self.db)?;
            }
        }
        Ok(())
    }
}

#[derive(Insertable)]
#[diesel(table_name = memberships)]
struct Membership {
    project_id: String,
    packager_id: String,
    approved_at: i64,
}

#[derive(Insertable)]
#[diesel(table_name = audience)]
struct Told {
    embargo_id: String,
    packager_id: String,
    added_at: i64,
}

dialect::insertable_once!(Membership, memberships);
dialect::insertable_once!(Told, audience);
