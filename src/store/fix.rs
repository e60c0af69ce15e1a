//! Fixes and the revisions that freeze them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::embargo::CaseContent;
use super::schema::{fixes, revision_fixes, revisions};
use super::{StoreError, Tx, corrupt, instant, parsed};
use crate::domain::fix::FixFacts;
use crate::domain::id::{EmbargoId, FixId, ReceiptCode};
use crate::vault::Place;

/// What is known of a fix besides its bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FixContent {
    /// The branch it is for.
    pub branch: String,
    /// What parsing found.
    pub facts: FixFacts,
    /// SHA-256 of the bytes, lower-case hex.
    pub sha256: String,
    /// The maintainer's detached signature, armored.
    pub signature: String,
    /// The fingerprint of the certificate that made it.
    pub signer: String,
}

/// A stored fix, without its bytes.
#[derive(Clone, Debug)]
pub struct StoredFix {
    /// Its id.
    pub id: FixId,
    /// Its facts.
    pub content: FixContent,
    /// When it was uploaded.
    pub created_at: DateTime<Utc>,
}

/// What a revision freezes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RevisionContent {
    /// The case as it stood.
    pub case: CaseContent,
    /// Why it was sent; for revision 1 it may be empty.
    pub reason: String,
    /// How its fixes differ from the revision before; empty for the first.
    pub differences: String,
    /// The code a receipt must repeat, as printed.
    pub receipt_code: String,
    /// Its fixes, in the order of their branches.
    pub fixes: Vec<RevisionFix>,
}

/// A fix in a revision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RevisionFix {
    /// Its id.
    pub id: String,
    /// Its branch.
    pub branch: String,
}

/// A stored revision.
#[derive(Clone, Debug)]
pub struct StoredRevision {
    /// Its number, from 1.
    pub number: u32,
    /// What it froze.
    pub content: RevisionContent,
    /// When.
    pub frozen_at: DateTime<Utc>,
}

/// Of a fix: its id, its sealed facts, and when it was uploaded.
type FixRow = (String, Vec<u8>, i64);

fn facts_place(id: &str) -> Place<'_> {
    Place { table: "fixes", column: "facts", row: id }
}

fn bytes_place(id: &str) -> Place<'_> {
    Place { table: "fixes", column: "content", row: id }
}

fn stored_number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The frozen list says which fixes a revision has: one that is missing must not be missing in silence.
fn as_listed(
    embargo: &EmbargoId,
    number: u32,
    listed: &[RevisionFix],
    found: &[StoredFix],
) -> Result<(), StoreError> {
    let mut listed: Vec<&str> = listed.iter().map(|fix| fix.id.as_str()).collect();
    let mut found: Vec<&str> = found.iter().map(|fix| fix.id.as_str()).collect();
    listed.sort_unstable();
    found.sort_unstable();
    if listed == found { Ok(()) } else { Err(corrupt("revision_fixes", &format!("{embargo}/{number}"))) }
}

impl Tx<'_> {
    /// Puts a fix into the working set, in place of the one its branch had.
    pub fn put_fix(&mut self, embargo: &EmbargoId, fix: &StoredFix, bytes: &[u8]) -> Result<(), StoreError> {
        self.drop_from_working_set(embargo, &fix.content.branch)?;
        let owner = embargo.as_str();
        let facts = self.seal_json(owner, facts_place(fix.id.as_str()), &fix.content)?;
        let content = self.seal(owner, bytes_place(fix.id.as_str()), bytes)?;
        diesel::insert_into(fixes::table)
            .values((
                fixes::id.eq(fix.id.as_str()),
                fixes::embargo_id.eq(owner),
                fixes::facts_sealed.eq(facts),
                fixes::content_sealed.eq(content),
                fixes::size.eq(i64::try_from(bytes.len()).unwrap_or(i64::MAX)),
                fixes::in_working_set.eq(true),
                fixes::created_at.eq(fix.created_at.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(())
    }

    /// Takes the fix of `branch` out of the working set; says whether there was one.
    pub fn drop_from_working_set(&mut self, embargo: &EmbargoId, branch: &str) -> Result<bool, StoreError> {
        let mut dropped = false;
        for fix in self.working_set(embargo)? {
            if fix.content.branch == branch {
                diesel::update(fixes::table.find(fix.id.as_str()))
                    .set(fixes::in_working_set.eq(false))
                    .execute(self.db)?;
                dropped = true;
            }
        }
        Ok(dropped)
    }

    /// The fixes as maintainers edit them, by branch.
    pub fn working_set(&mut self, embargo: &EmbargoId) -> Result<Vec<StoredFix>, StoreError> {
        let rows = fixes::table
            .filter(fixes::embargo_id.eq(embargo.as_str()))
            .filter(fixes::in_working_set.eq(true))
            .select((fixes::id, fixes::facts_sealed, fixes::created_at))
            .load::<FixRow>(self.db)?;
        self.opened_fixes(embargo, rows)
    }

    /// The fixes of a revision, by branch.
    pub fn fixes_of(&mut self, embargo: &EmbargoId, number: u32) -> Result<Vec<StoredFix>, StoreError> {
        let rows = fixes::table
            .inner_join(revision_fixes::table.on(revision_fixes::fix_id.eq(fixes::id)))
            .filter(revision_fixes::embargo_id.eq(embargo.as_str()))
            .filter(revision_fixes::number.eq(stored_number(number)))
            .select((fixes::id, fixes::facts_sealed, fixes::created_at))
            .load::<FixRow>(self.db)?;
        let found = self.opened_fixes(embargo, rows)?;
        let listed = self.revision(embargo, number)?.map(|revision| revision.content.fixes);
        as_listed(embargo, number, &listed.unwrap_or_default(), &found)?;
        Ok(found)
    }

    /// The revisions that these embargoes are announced by, with their fixes by branch.
    pub fn announced_revisions(
        &mut self,
        embargoes: &[EmbargoId],
    ) -> Result<HashMap<EmbargoId, (StoredRevision, Vec<StoredFix>)>, StoreError> {
        use super::schema::embargoes as cases;
        let ids: Vec<&str> = embargoes.iter().map(EmbargoId::as_str).collect();
        let found = revisions::table
            .inner_join(cases::table.on(cases::id.eq(revisions::embargo_id)))
            .filter(cases::id.eq_any(&ids))
            .filter(cases::revision.eq(revisions::number.nullable()))
            .select((cases::id, revisions::number, revisions::content_sealed, revisions::frozen_at))
            .load::<(String, i32, Vec<u8>, i64)>(self.db)?;
        let rows = fixes::table
            .inner_join(revision_fixes::table.on(revision_fixes::fix_id.eq(fixes::id)))
            .inner_join(cases::table.on(cases::id.eq(revision_fixes::embargo_id)))
            .filter(cases::id.eq_any(&ids))
            .filter(cases::revision.eq(revision_fixes::number.nullable()))
            .select((cases::id, (fixes::id, fixes::facts_sealed, fixes::created_at)))
            .load::<(String, FixRow)>(self.db)?;
        let mut fixes: HashMap<String, Vec<FixRow>> = HashMap::new();
        for (embargo, row) in rows {
            fixes.entry(embargo).or_default().push(row);
        }
        found
            .into_iter()
            .map(|(id, number, sealed, frozen_at)| {
                let embargo: EmbargoId = parsed(&id, "revisions", &id)?;
                let number = u32::try_from(number).map_err(|_| corrupt("revisions", &id))?;
                let revision = self.opened_revision(&embargo, number, &sealed, frozen_at)?;
                let fixes = self.opened_fixes(&embargo, fixes.remove(&id).unwrap_or_default())?;
                as_listed(&embargo, number, &revision.content.fixes, &fixes)?;
                Ok((embargo, (revision, fixes)))
            })
            .collect()
    }

    fn opened_fixes(&mut self, embargo: &EmbargoId, rows: Vec<FixRow>) -> Result<Vec<StoredFix>, StoreError> {
        let mut found = rows
            .into_iter()
            .map(|(id, facts, created_at)| {
                Ok(StoredFix {
                    content: self.open_json(embargo.as_str(), facts_place(&id), &facts)?,
                    created_at: instant(created_at, "fixes", &id)?,
                    id: parsed(&id, "fixes", &id)?,
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        found.sort_by(|a: &StoredFix, b| a.content.branch.cmp(&b.content.branch));
        Ok(found)
    }

    /// The bytes of a fix, exactly as uploaded.
    pub fn fix_bytes(&mut self, embargo: &EmbargoId, id: &FixId) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let sealed = fixes::table
            .find(id.as_str())
            .filter(fixes::embargo_id.eq(embargo.as_str()))
            .select(fixes::content_sealed)
            .first::<Vec<u8>>(self.db)?;
        self.open(embargo.as_str(), bytes_place(id.as_str()), &sealed)
    }

    /// [`Tx::fix_bytes`] of many fixes of any embargoes. Fails if one is missing.
    pub fn bytes_of_fixes(
        &mut self,
        wanted: &[(&EmbargoId, &FixId)],
    ) -> Result<HashMap<FixId, Zeroizing<Vec<u8>>>, StoreError> {
        let rows = fixes::table
            .filter(fixes::id.eq_any(wanted.iter().map(|(_, id)| id.as_str())))
            .select((fixes::id, fixes::embargo_id, fixes::content_sealed))
            .load::<(String, String, Vec<u8>)>(self.db)?;
        let mut rows: HashMap<String, (String, Vec<u8>)> =
            rows.into_iter().map(|(id, embargo, sealed)| (id, (embargo, sealed))).collect();
        wanted
            .iter()
            .map(|(embargo, id)| {
                let row = rows.remove(id.as_str()).filter(|(owner, _)| owner == embargo.as_str());
                let (_, sealed) = row.ok_or_else(|| corrupt("fixes", id.as_str()))?;
                let bytes = self.open(embargo.as_str(), bytes_place(id.as_str()), &sealed)?;
                Ok(((*id).clone(), bytes))
            })
            .collect()
    }

    /// The number the next revision gets.
    pub fn next_revision(&mut self, embargo: &EmbargoId) -> Result<u32, StoreError> {
        let last = revisions::table
            .filter(revisions::embargo_id.eq(embargo.as_str()))
            .select(diesel::dsl::max(revisions::number))
            .first::<Option<i32>>(self.db)?;
        let last = u32::try_from(last.unwrap_or(0)).map_err(|_| corrupt("revisions", embargo.as_str()))?;
        Ok(last + 1)
    }

    /// Freezes a revision.
    pub fn insert_revision(
        &mut self,
        embargo: &EmbargoId,
        revision: &StoredRevision,
    ) -> Result<(), StoreError> {
        let row = format!("{embargo}/{}", revision.number);
        let place = Place { table: "revisions", column: "content", row: &row };
        let sealed = self.seal_json(embargo.as_str(), place, &revision.content)?;
        let code: ReceiptCode = parsed(&revision.content.receipt_code, "revisions", &row)?;
        diesel::insert_into(revisions::table)
            .values((
                revisions::embargo_id.eq(embargo.as_str()),
                revisions::number.eq(stored_number(revision.number)),
                revisions::content_sealed.eq(sealed),
                revisions::receipt_hash.eq(receipt_hash(embargo, revision.number, &code)),
                revisions::frozen_at.eq(revision.frozen_at.timestamp_micros()),
            ))
            .execute(self.db)?;
        for fix in &revision.content.fixes {
            diesel::insert_into(revision_fixes::table)
                .values((
                    revision_fixes::embargo_id.eq(embargo.as_str()),
                    revision_fixes::number.eq(stored_number(revision.number)),
                    revision_fixes::fix_id.eq(&fix.id),
                ))
                .execute(self.db)?;
        }
        Ok(())
    }

    /// One frozen revision.
    pub fn revision(
        &mut self,
        embargo: &EmbargoId,
        number: u32,
    ) -> Result<Option<StoredRevision>, StoreError> {
        let row = revisions::table
            .find((embargo.as_str(), stored_number(number)))
            .select((revisions::content_sealed, revisions::frozen_at))
            .first::<(Vec<u8>, i64)>(self.db)
            .optional()?;
        row.map(|(sealed, frozen_at)| self.opened_revision(embargo, number, &sealed, frozen_at)).transpose()
    }

    fn opened_revision(
        &mut self,
        embargo: &EmbargoId,
        number: u32,
        sealed: &[u8],
        frozen_at: i64,
    ) -> Result<StoredRevision, StoreError> {
        let row = format!("{embargo}/{number}");
        let place = Place { table: "revisions", column: "content", row: &row };
        Ok(StoredRevision {
            number,
            content: self.open_json(embargo.as_str(), place, sealed)?,
            frozen_at: instant(frozen_at, "revisions", &row)?,
        })
    }

    /// Whether a receipt code is the one of a revision, compared in constant time.
    pub fn receipt_matches(
        &mut self,
        embargo: &EmbargoId,
        number: u32,
        code: &ReceiptCode,
    ) -> Result<bool, StoreError> {
        use subtle::ConstantTimeEq as _;
        let stored = revisions::table
            .find((embargo.as_str(), stored_number(number)))
            .select(revisions::receipt_hash)
            .first::<Vec<u8>>(self.db)
            .optional()?;
        Ok(stored.is_some_and(|stored| stored.ct_eq(&receipt_hash(embargo, number, code)).into()))
    }
}

fn receipt_hash(embargo: &EmbargoId, number: u32, code: &ReceiptCode) -> Vec<u8> {
    Sha256::digest(format!("embargod/1 receipt\0{embargo}\0{number}\0{}", code.canonical())).to_vec()
}
