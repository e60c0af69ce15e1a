//! Projects, maintainers and certificates.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::dialect::Db;
use super::schema::{certificates, maintainers, project_maintainers, projects};
use super::{StoreError, Tx, corrupt, dialect, optional_instant, parsed, sound};
use crate::domain::id::{CertificateId, ContactId, MaintainerId, PackagerId, ProjectId};
use crate::domain::policy::Policy;
use crate::vault::{Place, ROSTER};

/// An upstream project.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its short name, as in addresses.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// Its disclosure policy.
    pub policy: Policy,
}

/// Somebody who decides for a project.
#[derive(Clone, Debug)]
pub struct Maintainer {
    /// The person's id.
    pub id: MaintainerId,
    /// The person's certificate.
    pub certificate: CertificateId,
    /// The person's name, as in the certificate.
    pub name: String,
    /// Where alarms go.
    pub address: String,
}

/// A downstream organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packager {
    /// Its id.
    pub id: PackagerId,
    /// Its short name.
    pub slug: String,
    /// Its name.
    pub name: String,
}

/// A person, role or list in a packager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Its id.
    pub id: ContactId,
    /// Its organisation.
    pub packager: PackagerId,
    /// Its certificate.
    pub certificate: CertificateId,
    /// Where its mail goes.
    pub address: String,
}

/// A certificate as stored: public bytes, and what is known about it.
#[derive(Clone, Debug)]
pub struct StoredCertificate {
    /// Its id.
    pub id: CertificateId,
    /// The OpenPGP packets.
    pub bytes: Vec<u8>,
    /// Counts changes, so that what was made for an older state is not used.
    pub version: i64,
    /// Until when SHA-1 self-signatures are tolerated, if they are.
    pub sha1_until: Option<DateTime<Utc>>,
    /// Whether its holder's programs read nothing newer than RFC 4880, whatever the certificate says.
    pub seipdv1_only: bool,
    /// Since when nothing may be encrypted to it any more, if so.
    pub revoked_at: Option<DateTime<Utc>>,
}

#[derive(Serialize, Deserialize)]
struct Person {
    name: String,
    address: String,
}

type MaintainerRow = (String, String, Vec<u8>);

type CertificateRow = (String, Vec<u8>, i64, Option<i64>, bool, Option<i64>);

impl Tx<'_> {
    /// Stores a new project.
    pub fn insert_project(&mut self, project: &Project, now: DateTime<Utc>) -> Result<(), StoreError> {
        let policy =
            serde_json::to_string(&project.policy).map_err(|_| corrupt("projects", project.id.as_str()))?;
        diesel::insert_into(projects::table)
            .values((
                projects::id.eq(project.id.as_str()),
                projects::slug.eq(&project.slug),
                projects::name.eq(&project.name),
                projects::policy.eq(policy),
                projects::created_at.eq(now.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(())
    }

    /// Every project, by short name.
    pub fn projects(&mut self) -> Result<Vec<Project>, StoreError> {
        let rows = projects::table
            .order(projects::slug)
            .select((projects::id, projects::slug, projects::name, projects::policy))
            .load::<(String, String, String, String)>(self.db)?
            .into_iter()
            .map(|(id, slug, name, policy)| {
                let policy = serde_json::from_str(&policy).map_err(|_| corrupt("projects", &id))?;
                Ok(Project { id: parsed(&id, "projects", &id)?, slug, name, policy })
            });
        sound(rows)
    }

    /// One project.
    pub fn project(&mut self, id: &ProjectId) -> Result<Project, StoreError> {
        self.projects()?
            .into_iter()
            .find(|project| project.id == *id)
            .ok_or_else(|| corrupt("projects", id.as_str()))
    }

    /// Stores a certificate, or merges `bytes` into the stored one of the same `fingerprint`.
    pub fn put_certificate(
        &mut self,
        id: &CertificateId,
        fingerprint: &str,
        bytes: &[u8],
        sha1_until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<CertificateId, StoreError> {
        let lookup = self.lookup("fingerprint", fingerprint)?;
        let now = now.timestamp_micros();
        let stored = certificates::table
            .filter(certificates::fingerprint_lookup.eq(&lookup))
            .select(certificates::id)
            .first::<String>(self.db)
            .optional()?;
        let row = stored.clone().unwrap_or_else(|| id.to_string());
        let place = Place { table: "certificates", column: "content", row: &row };
        let sealed = self.seal(ROSTER, place, bytes)?;
        if stored.is_some() {
            diesel::update(certificates::table.find(&row))
                .set((
                    certificates::content_sealed.eq(sealed),
                    certificates::version.eq(certificates::version + 1),
                    certificates::updated_at.eq(now),
                ))
                .execute(self.db)?;
        } else {
            diesel::insert_into(certificates::table)
                .values((
                    certificates::id.eq(&row),
                    certificates::fingerprint_lookup.eq(lookup),
                    certificates::content_sealed.eq(sealed),
                    certificates::version.eq(1),
                    certificates::sha1_until_at.eq(sha1_until.map(|until| until.timestamp_micros())),
                    certificates::created_at.eq(now),
                    certificates::updated_at.eq(now),
                ))
                .execute(self.db)?;
        }
        parsed(&row, "certificates", &row)
    }

    /// A certificate by id.
    pub fn certificate(&mut self, id: &CertificateId) -> Result<StoredCertificate, StoreError> {
        let row = certificates::table
            .find(id.as_str())
            .select((
                certificates::id,
                certificates::content_sealed,
                certificates::version,
                certificates::sha1_until_at,
                certificates::seipdv1_only,
                certificates::revoked_at,
            ))
            .first::<CertificateRow>(self.db)?;
        self.opened_certificate(row)
    }

    /// A certificate by primary fingerprint.
    pub fn certificate_by_fingerprint(
        &mut self,
        fingerprint: &str,
    ) -> Result<Option<StoredCertificate>, StoreError> {
        let lookup = self.lookup("fingerprint", fingerprint)?;
        certificates::table
            .filter(certificates::fingerprint_lookup.eq(lookup))
            .select((
                certificates::id,
                certificates::content_sealed,
                certificates::version,
                certificates::sha1_until_at,
                certificates::seipdv1_only,
                certificates::revoked_at,
            ))
            .first::<CertificateRow>(self.db)
            .optional()?
            .map(|row| self.opened_certificate(row))
            .transpose()
    }

    fn opened_certificate(&mut self, row: CertificateRow) -> Result<StoredCertificate, StoreError> {
        let (id, sealed, version, sha1_until, seipdv1_only, revoked_at) = row;
        let place = Place { table: "certificates", column: "content", row: &id };
        Ok(StoredCertificate {
            bytes: self.open(ROSTER, place, &sealed)?.to_vec(),
            version,
            sha1_until: optional_instant(sha1_until, "certificates", &id)?,
            seipdv1_only,
            revoked_at: optional_instant(revoked_at, "certificates", &id)?,
            id: parsed(&id, "certificates", &id)?,
        })
    }

    /// Says whether a certificate's holder reads nothing newer than RFC 4880. Heads are made anew.
    pub fn set_seipdv1_only(
        &mut self,
        id: &CertificateId,
        only: bool,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        // Heads that were made for a certificate count as long as nothing changes.
        diesel::update(certificates::table.find(id.as_str()))
            .filter(certificates::seipdv1_only.ne(only))
            .set((
                certificates::seipdv1_only.eq(only),
                certificates::version.eq(certificates::version + 1),
                certificates::updated_at.eq(now.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(())
    }

    /// Stores a maintainer.
    pub fn insert_maintainer(&mut self, person: &Maintainer, now: DateTime<Utc>) -> Result<(), StoreError> {
        let place = Place { table: "maintainers", column: "person", row: person.id.as_str() };
        let content = Person { name: person.name.clone(), address: person.address.clone() };
        let sealed = self.seal_json(ROSTER, place, &content)?;
        diesel::insert_into(maintainers::table)
            .values((
                maintainers::id.eq(person.id.as_str()),
                maintainers::certificate_id.eq(person.certificate.as_str()),
                maintainers::person_sealed.eq(sealed),
                maintainers::created_at.eq(now.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(())
    }

    /// Lets a maintainer decide for a project; says whether that is new.
    pub fn join_project(
        &mut self,
        project: &ProjectId,
        maintainer: &MaintainerId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let row = Joined {
            project_id: project.to_string(),
            maintainer_id: maintainer.to_string(),
            created_at: now.timestamp_micros(),
        };
        if dialect::insert_if_absent(self.db, &row)? {
            return Ok(true);
        }
        // Who left can come back.
        let place = project_maintainers::table.find((project.as_str(), maintainer.as_str()));
        let again = diesel::update(place)
            .filter(project_maintainers::removed_at.is_not_null())
            .set((
                project_maintainers::removed_at.eq(None::<i64>),
                project_maintainers::created_at.eq(row.created_at),
            ))
            .execute(self.db)?;
        Ok(again == 1)
    }

    /// Everybody who decides for some project and has not been removed.
    pub fn maintainers(&mut self) -> Result<Vec<Maintainer>, StoreError> {
        let rows = maintainers::table
            .filter(maintainers::removed_at.is_null())
            .order(maintainers::id)
            .select((maintainers::id, maintainers::certificate_id, maintainers::person_sealed))
            .load::<MaintainerRow>(self.db)?;
        sound(rows.into_iter().map(|row| self.opened_maintainer(row)))
    }

    /// One maintainer, unless the person has been removed.
    pub fn maintainer(&mut self, id: &MaintainerId) -> Result<Option<Maintainer>, StoreError> {
        maintainers::table
            .find(id.as_str())
            .filter(maintainers::removed_at.is_null())
            .select((maintainers::id, maintainers::certificate_id, maintainers::person_sealed))
            .first::<MaintainerRow>(self.db)
            .optional()?
            .map(|row| self.opened_maintainer(row))
            .transpose()
    }

    /// Everybody who ever decided for some project: for reading old records, never for deciding anything.
    pub fn maintainers_ever(&mut self) -> Result<Vec<Maintainer>, StoreError> {
        let rows = maintainers::table
            .select((maintainers::id, maintainers::certificate_id, maintainers::person_sealed))
            .load::<MaintainerRow>(self.db)?;
        rows.into_iter().map(|row| self.opened_maintainer(row)).collect()
    }

    fn opened_maintainer(&mut self, row: MaintainerRow) -> Result<Maintainer, StoreError> {
        let (id, certificate, sealed) = row;
        let place = Place { table: "maintainers", column: "person", row: &id };
        let person: Person = self.open_json(ROSTER, place, &sealed)?;
        Ok(Maintainer {
            certificate: parsed(&certificate, "maintainers", &id)?,
            name: person.name,
            address: person.address,
            id: parsed(&id, "maintainers", &id)?,
        })
    }

    /// The maintainers of one project.
    pub fn maintainers_of(&mut self, project: &ProjectId) -> Result<Vec<Maintainer>, StoreError> {
        let members = project_maintainers::table
            .filter(project_maintainers::project_id.eq(project.as_str()))
            .filter(project_maintainers::removed_at.is_null())
            .select(project_maintainers::maintainer_id)
            .load::<String>(self.db)?;
        let everybody = self.maintainers()?;
        Ok(everybody.into_iter().filter(|person| members.iter().any(|id| id == person.id.as_str())).collect())
    }

    /// Whether a maintainer decides for a project, now.
    pub fn decides_for(
        &mut self,
        maintainer: &MaintainerId,
        project: &ProjectId,
    ) -> Result<bool, StoreError> {
        Ok(self.maintainers_of(project)?.iter().any(|person| person.id == *maintainer))
    }
}

#[derive(Insertable)]
#[diesel(table_name = project_maintainers)]
struct Joined {
    project_id: String,
    maintainer_id: String,
    created_at: i64,
}

dialect::insertable_once!(Joined, project_maintainers);
