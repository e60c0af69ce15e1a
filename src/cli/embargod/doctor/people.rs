//! Whether there is somebody who can decide, be told, and open the database after a loss.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::super::console::recovery_path;
use super::super::failure::Failure;
use super::Finding;
use crate::app::Refusal;
use crate::openpgp::{Acceptance, Certificate};
use crate::store::{Store, StoredCertificate};

pub(super) fn check(store: &Store, state: &Path, now: DateTime<Utc>) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let (certificates, projects, contacts) = store.read_now(|tx| {
        let mut certificates = Vec::new();
        for person in tx.maintainers()? {
            certificates.push(tx.certificate(&person.certificate)?);
        }
        let mut projects = Vec::new();
        for project in tx.projects()? {
            projects.push((
                project.slug,
                tx.maintainers_of(&project.id)?.len(),
                tx.members(&project.id)?.len(),
            ));
        }
        let mut contacts = Vec::new();
        for contact in tx.contacts()? {
            contacts.push(tx.certificate(&contact.certificate)?);
        }
        Ok::<_, Refusal>((certificates, projects, contacts))
    })?;

    let mut missing = 0;
    for stored in &certificates {
        let Ok(certificate) = Certificate::parse(&stored.bytes) else { continue };
        let path = recovery_path(state, &certificate.fingerprint());
        if !path.exists() {
            missing += 1;
            findings.push(Finding::warn(
                format!("no recovery file for maintainer {}", certificate.fingerprint()),
                format!("put it back at {}; `embargod project member add` writes it again", path.display()),
            ));
        }
        findings.extend(trouble("maintainer", &certificate, stored, now));
    }
    if missing == 0 && !certificates.is_empty() {
        findings
            .push(Finding::ok(format!("recovery files: {}, one for each maintainer", certificates.len())));
    }
    for (slug, maintainers, packagers) in projects {
        let lacking = match maintainers {
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
        if packagers == 0 {
            findings.push(Finding::warn(
                format!("{slug} has no packager: nobody would be told"),
                format!("embargod packager add --help, with --project {slug}"),
            ));
        }
    }
    let mut troubled = 0;
    for stored in &contacts {
        if let Ok(certificate) = Certificate::parse(&stored.bytes)
            && let Some(finding) = trouble("contact", &certificate, stored, now)
        {
            troubled += 1;
            findings.push(finding);
        }
    }
    if troubled == 0 && !contacts.is_empty() {
        findings.push(Finding::ok(format!("contacts: {}, each with a usable key", contacts.len())));
    }
    Ok(findings)
}

fn trouble(
    whose: &str,
    certificate: &Certificate,
    stored: &StoredCertificate,
    now: DateTime<Utc>,
) -> Option<Finding> {
    let acceptance = stored.sha1_until.map_or(Acceptance::Strict, |until| Acceptance::Sha1Bindings { until });
    let trouble = certificate.check(&acceptance, now).err()?;
    let cure = trouble.cure().map_or_else(
        || "ask its owner for another certificate".to_owned(),
        |cure| format!("ask its owner for what this prints:  {cure}"),
    );
    Some(Finding::warn(format!("{whose}: {}", trouble.problem()), cure))
}
