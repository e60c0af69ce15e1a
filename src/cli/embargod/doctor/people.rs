//! Whether there is somebody who can decide, be told, and open the database after a loss.

use std::fs;
use std::path::Path;

use chrono::{DateTime, Duration, Utc};

use super::super::console::recovery_path;
use super::super::failure::Failure;
use super::Finding;
use crate::app::Refusal;
use crate::domain::address::Address;
use crate::openpgp::{Acceptance, Certificate, Expected, Inspection, packets};
use crate::store::{Store, StoredCertificate, Tx};

/// From here on an owner should be asked to extend a certificate: an embargo may be under way for weeks.
const SOON: Duration = Duration::days(30);

/// Somebody with a certificate.
struct Someone {
    /// As in `contact debian <security@debian.example>`.
    who: String,
    certificate: Certificate,
    stored: StoredCertificate,
}

impl Someone {
    /// One whose certificate cannot be read is no one to look at.
    fn of(who: String, stored: StoredCertificate) -> Option<Self> {
        let certificate = Certificate::parse(&stored.bytes).ok()?;
        Some(Self { who, certificate, stored })
    }
}

pub(super) fn check(store: &Store, state: &Path, now: DateTime<Utc>) -> Result<Vec<Finding>, Failure> {
    let (maintainers, contacts, projects) =
        store.read_now(|tx| Ok::<_, Refusal>((maintainers(tx)?, contacts(tx)?, projects(tx)?)))?;
    let mut findings = Vec::new();
    let unrecoverable: Vec<_> = maintainers.iter().filter_map(|one| recovery(one, state)).collect();
    if unrecoverable.is_empty() && !maintainers.is_empty() {
        let names: Vec<_> = maintainers.iter().map(|one| one.who.trim_start_matches("maintainer ")).collect();
        findings.push(Finding::ok(format!("recovery files: {}, for {}", names.len(), names.join(", "))));
    }
    findings.extend(unrecoverable);
    findings.extend(maintainers.iter().filter_map(|one| trouble(one, now)));
    findings.extend(projects);
    let troubled: Vec<_> = contacts.iter().filter_map(|one| trouble(one, now)).collect();
    if troubled.is_empty() && !contacts.is_empty() {
        findings.push(Finding::ok(format!("contacts: {}, each with a usable key", contacts.len())));
    }
    findings.extend(troubled);
    Ok(findings)
}

fn maintainers(tx: &mut Tx<'_>) -> Result<Vec<Someone>, Refusal> {
    let mut found = Vec::new();
    for person in tx.maintainers()? {
        let stored = tx.certificate(&person.certificate)?;
        found.extend(Someone::of(format!("maintainer {} <{}>", person.name, person.address), stored));
    }
    Ok(found)
}

fn contacts(tx: &mut Tx<'_>) -> Result<Vec<Someone>, Refusal> {
    let packagers = tx.packagers()?;
    let mut found = Vec::new();
    for contact in tx.contacts()? {
        let packager = packagers.iter().find(|packager| packager.id == contact.packager);
        let slug = packager.map_or("", |packager| packager.slug.as_str());
        let stored = tx.certificate(&contact.certificate)?;
        found.extend(Someone::of(format!("contact {slug} <{}>", contact.address), stored));
    }
    Ok(found)
}

/// What projects lack.
fn projects(tx: &mut Tx<'_>) -> Result<Vec<Finding>, Refusal> {
    let mut findings = Vec::new();
    for project in tx.projects()? {
        let slug = project.slug;
        let lacking = match tx.maintainers_of(&project.id)?.len() {
            0 => Some("no maintainer: nobody can open an embargo"),
            1 => Some("no second maintainer: what needs two persons cannot be approved"),
            _ => None,
        };
        if let Some(lacking) = lacking {
            findings.push(Finding::warn(
                format!("{slug} has {lacking}"),
                format!("embargod project member add {slug} --certificate FILE.asc"),
            ));
        }
        if tx.members(&project.id)?.is_empty() {
            findings.push(Finding::warn(
                format!("{slug} has no packager: nobody would be told"),
                format!("embargod packager add --help, with --project {slug}"),
            ));
        }
    }
    Ok(findings)
}

/// Where maintainers are reached.
pub(super) fn addresses_of_maintainers(store: &Store) -> Result<Vec<Address>, Failure> {
    let people = store.read_now(|tx| Ok::<_, Refusal>(tx.maintainers()?))?;
    Ok(people.iter().filter_map(|person| person.address.parse().ok()).collect())
}

/// What keeps a maintainer from opening the database after a loss, as far as it shows without the secret key.
fn recovery(one: &Someone, state: &Path) -> Option<Finding> {
    let path = recovery_path(state, &one.certificate.fingerprint());
    let again = format!("put it back at {}; `embargod project member add` writes it again", path.display());
    let Ok(bytes) = fs::read(&path) else {
        return Some(Finding::warn(format!("no recovery file for {}", one.who), again));
    };
    let summary = packets(&bytes);
    let keys = one.certificate.key_fingerprints();
    // A key id is the end of a fingerprint of version 4, and the beginning of one of version 6.
    let is_ours = |recipient: &String| {
        keys.iter().any(|key| key.ends_with(recipient.as_str()) || key.starts_with(recipient.as_str()))
    };
    let wrong = if summary.containers.len() != 1 || !summary.others.is_empty() {
        "is damaged"
    } else if summary.session_keys.iter().filter_map(|packet| packet.recipient.as_ref()).any(is_ours) {
        return None;
    } else {
        "is encrypted to other keys"
    };
    Some(Finding::warn(format!("the recovery file for {} {wrong}", one.who), again))
}

/// What keeps mail from being encrypted, now or soon.
fn trouble(one: &Someone, now: DateTime<Utc>) -> Option<Finding> {
    let acceptance =
        one.stored.sha1_until.map_or(Acceptance::Strict, |until| Acceptance::Sha1Bindings { until });
    let ask = |line: &str| format!("ask its owner for what this prints:  {line}");
    if let Err(trouble) = one.certificate.check(&acceptance, now) {
        let cure = trouble.cure().map_or_else(
            || "ask its owner for another certificate".to_owned(),
            |cure| ask(&cure.to_string()),
        );
        return Some(Finding::warn(format!("{}: {}", one.who, trouble.problem()), cure));
    }
    let expected = Expected { acceptance, address: None, until: Some(now + SOON) };
    let inspection = Inspection::of(&one.stored.bytes, &expected, now);
    let soon = inspection.findings.into_iter().find(|finding| finding.code == "expires-too-soon")?;
    let ends = one.certificate.expires_at(&acceptance, now)?;
    let cure =
        soon.cure.map_or_else(|| "ask its owner to extend it".to_owned(), |cure| ask(&cure.to_string()));
    Some(Finding::warn(
        format!(
            "{}: certificate {} expires on {}",
            one.who,
            one.certificate.fingerprint(),
            ends.date_naive()
        ),
        cure,
    ))
}
