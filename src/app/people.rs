//! Who people are, for those who may know it: in the audit log that maintainers read, and in notices.
//!
//! Stored rows hold opaque ids; they become names here, when they are read, and only on the way into an
//! OpenPGP message or a page for a maintainer who signed in. No header, error or log line gets them.

use std::collections::HashMap;

use super::{Refusal, certificate_of};
use crate::domain::id::{EmbargoId, ProjectId};
use crate::store::{AuditRecord, Tx};

/// The newest entries about an embargo, newest first, with names in place of ids where they are known:
/// also those of people who were removed since.
pub(super) fn audit_of(
    tx: &mut Tx<'_>,
    embargo: &EmbargoId,
    count: i64,
) -> Result<Vec<AuditRecord>, Refusal> {
    let names = names(tx)?;
    let mut records = tx.audit_of(embargo, count)?;
    for record in &mut records {
        // An actor is written as its kind and its id, an object as its id alone.
        let id = record.actor.split_once(':').map_or("", |(_, id)| id);
        if let Some(name) = names.get(id) {
            record.actor.clone_from(name);
        }
        if let Some(name) = names.get(&record.object) {
            record.object.clone_from(name);
        }
    }
    Ok(records)
}

/// What to call whom, by id.
fn names(tx: &mut Tx<'_>) -> Result<HashMap<String, String>, Refusal> {
    let mut names = HashMap::new();
    for packager in tx.packagers_ever()? {
        names.insert(packager.id.to_string(), packager.name);
    }
    for contact in tx.contacts_ever()? {
        let organisation = names.get(contact.packager.as_str()).cloned().unwrap_or_default();
        names.insert(contact.id.to_string(), format!("{organisation} <{}>", contact.address));
    }
    for person in tx.maintainers_ever()? {
        names.insert(person.id.to_string(), person.name);
    }
    Ok(names)
}

/// The maintainers that packagers can write to, a line or two each: name, address and key.
pub(super) fn to_ask(tx: &mut Tx<'_>, project: &ProjectId) -> Result<Vec<String>, Refusal> {
    let mut lines = Vec::new();
    for person in tx.maintainers_of(project)? {
        let stored = tx.certificate(&person.certificate)?;
        // Who asks must encrypt, and nothing may be encrypted to this key any more.
        if stored.revoked_at.is_none() {
            let (certificate, _) = certificate_of(&stored)?;
            lines.push(format!("{} <{}>\n  key {}", person.name, person.address, certificate.fingerprint()));
        }
    }
    Ok(lines)
}
