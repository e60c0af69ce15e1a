//! The operator takes back what was given: a packager, a contact, a maintainer, the use of a certificate.
//!
//! Each acts in one transaction, and every replica asks that database before it answers, sends or obeys: so
//! all of it stops with the commit. What waits to be mailed is given up or blocked by the next look at it. It
//! is written to the audit log, and mailed to the maintainers of each project whose secrets it is about; a
//! project that holds nothing back has no mail to carry it.

use chrono::{DateTime, Utc};

use super::Refusal;
use super::roster::{Operator, find_project, operator};
use crate::domain::id::{MaintainerId, NoticeId, PackagerId};
use crate::domain::notice::NoticeKind;
use crate::domain::text::one_line;
use crate::store::{Contact, Maintainer, NoticeFacts, Project, Recipient, TokenOwner, Tx};

/// What a removal came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Whom it was about, as the operator knows them.
    pub who: String,
    /// The projects it was about, by short name.
    pub projects: Vec<String>,
    /// Those among them whose maintainers get a mail, because they hold something back.
    pub mailed: Vec<String>,
    /// What is left to be seen to.
    pub remarks: Vec<String>,
}

impl Operator<'_> {
    /// Ends a packager's place in one project, or removes it with all its contacts.
    pub fn remove_packager(&self, slug: &str, project: Option<&str>) -> Result<Removal, Refusal> {
        let now = self.clock.now();
        self.store.write_now(|tx| {
            let packager = tx.packagers()?.into_iter().find(|packager| packager.slug == slug);
            let packager = packager.ok_or_else(|| {
                Refusal::invalid(
                    "packager",
                    format!("there is no packager {slug:?}; embargod packager list shows them"),
                )
            })?;
            let mut left = places(tx, &packager.id)?;
            if let Some(project) = project {
                let project = find_project(tx, project)?;
                left.retain(|place| place.id == project.id);
                if left.is_empty() {
                    return Err(Refusal::rule(
                        "no-member",
                        format!("{slug} is not approved for {}; nothing was changed", project.slug),
                    ));
                }
            }
            let contacts = contacts_of(tx, &packager.id)?;
            for place in &left {
                tx.end_membership(&place.id, &packager.id, now)?;
                tx.leave_audiences(&place.id, &packager.id, now)?;
                for contact in &contacts {
                    tx.give_up_copies(&Recipient::Contact(contact.id.clone()), Some(&place.id))?;
                }
            }
            if project.is_none() {
                for contact in &contacts {
                    tx.remove_contact(&contact.id, now)?;
                }
                tx.remove_packager(&packager.id, now)?;
            }
            let action = if project.is_some() { "packager's place ended" } else { "packager removed" };
            tx.audit(operator(now, action, packager.id.as_str()));
            let what = format!(
                "The operator of this server ended the place of the packager {} ({slug}). It is told and shown \
                 nothing more, and is out of the audience of every embargo.",
                packager.name
            );
            let mailed = self.tell(tx, &left, &what, now)?;
            Ok(Removal { who: slug.to_owned(), projects: slugs(left), mailed, remarks: Vec::new() })
        })
    }

    /// Removes the contact at an address, whatever certificates it has there, or the one with a fingerprint; the
    /// certificate can be enrolled again.
    pub fn remove_contact(&self, who: &str) -> Result<Removal, Refusal> {
        let now = self.clock.now();
        self.store.write_now(|tx| {
            let named = contacts_named(tx, who)?;
            let mut address = String::new();
            let mut organisations: Vec<PackagerId> = Vec::new();
            for contact in &named {
                address.clone_from(&contact.address);
                if !organisations.contains(&contact.packager) {
                    organisations.push(contact.packager.clone());
                }
                tx.remove_contact(&contact.id, now)?;
                tx.audit(operator(now, "contact removed", contact.id.as_str()));
            }
            let mut projects: Vec<Project> = Vec::new();
            let mut remarks = Vec::new();
            if named.len() > 1 {
                remarks.push(format!("it had {} certificates there; none of them counts any more", named.len()));
            }
            for id in &organisations {
                projects.extend(places(tx, id)?);
                if contacts_of(tx, id)?.is_empty() {
                    let packager = tx.packagers()?.into_iter().find(|packager| packager.id == *id);
                    let slug = packager.map(|packager| packager.slug).unwrap_or_default();
                    remarks.push(format!(
                        "{slug} has no contact left and is told nothing; add one: embargod packager add {slug}"
                    ));
                }
            }
            projects.sort_by(|a, b| a.slug.cmp(&b.slug));
            projects.dedup_by(|a, b| a.id == b.id);
            let mut kept = false;
            for id in &organisations {
                kept |= contacts_of(tx, id)?.iter().any(|contact| contact.address == address);
            }
            let what = if kept {
                remarks.push(format!("{address} stays a contact by another certificate"));
                format!(
                    "The operator of this server removed a certificate of the contact {address}. Nothing more is \
                     encrypted to it, and what it signs does nothing.\n{}",
                    remarks.join("\n")
                )
            } else {
                format!(
                    "The operator of this server removed the contact {address}. It is told and shown nothing \
                     more.\n{}",
                    remarks.join("\n")
                )
            };
            let mailed = self.tell(tx, &projects, &what, now)?;
            Ok(Removal { who: address, projects: slugs(projects), mailed, remarks })
        })
    }

    /// Ends a maintainer's say in a project; `who` is an address or a fingerprint. Who decides for no
    /// project any more is removed. A project keeps its last maintainer unless `leave_nobody` is said.
    pub fn remove_maintainer(
        &self,
        who: &str,
        project: &str,
        leave_nobody: bool,
    ) -> Result<Removal, Refusal> {
        let now = self.clock.now();
        self.store.write_now(|tx| {
            let person = find_maintainer(tx, who)?;
            let project = find_project(tx, project)?;
            let slug = &project.slug;
            if !tx.decides_for(&person.id, &project.id)? {
                return Err(Refusal::rule(
                    "no-member",
                    format!("{who} does not decide for {slug}; nothing was changed"),
                ));
            }
            tx.leave_project(&project.id, &person.id, now)?;
            tx.give_up_copies(&Recipient::Maintainer(person.id.clone()), Some(&project.id))?;
            let mut remarks = Vec::new();
            if tx.maintainers_of(&project.id)?.is_empty() {
                if !leave_nobody {
                    return Err(Refusal::rule(
                        "last-maintainer",
                        format!(
                            "{who} is the last who decides for {slug}, and nobody else could command or be told of \
                             trouble; cure: embargod project member add {slug} --certificate FILE, or say \
                             --leave-nobody"
                        ),
                    ));
                }
                remarks.push(format!("nobody decides for {slug} now"));
            }
            if decides_for(tx, &person.id)?.is_empty() {
                tx.remove_maintainer(&person.id, now)?;
            }
            tx.audit(operator(now, "maintainer removed", person.id.as_str()));
            let what = format!(
                "The operator of this server removed the maintainer {} <{}>, who decides and is shown nothing more.",
                person.name, person.address
            );
            let projects = vec![project];
            let mailed = self.tell(tx, &projects, &what, now)?;
            Ok(Removal { who: person.address, projects: slugs(projects), mailed, remarks })
        })
    }

    /// Stops all use of a certificate, for ever, and ends the tokens of its owner; it can never be enrolled again.
    pub fn revoke_certificate(&self, fingerprint: &str, reason: &str) -> Result<Removal, Refusal> {
        one_line(reason, "the reason", 500).map_err(|error| Refusal::invalid("reason", error))?;
        if reason.trim().is_empty() {
            return Err(Refusal::invalid("reason", "the reason is empty; say who asked for it, and why"));
        }
        let now = self.clock.now();
        let fingerprint = plain_fingerprint(fingerprint);
        self.store.write_now(|tx| {
            let stored = tx.certificate_by_fingerprint(&fingerprint)?.ok_or_else(|| {
                Refusal::invalid(
                    "certificate",
                    "no certificate with this primary fingerprint is registered; embargod packager list shows those \
                     of contacts",
                )
            })?;
            if stored.revoked_at.is_some() {
                return Err(Refusal::rule("revoked", "the use of this certificate was stopped already"));
            }
            tx.revoke_certificate(&stored.id, now)?;
            let mut audited = operator(now, "certificate revoked", stored.id.as_str());
            audited.detail = reason.as_bytes().to_vec();
            tx.audit(audited);
            let contact = tx.contact_by_certificate(&stored.id)?;
            let person = tx.maintainers()?.into_iter().find(|person| person.certificate == stored.id);
            let mut projects = Vec::new();
            let mut remarks = Vec::new();
            let who = match (&contact, &person) {
                (Some(Contact { id, packager, address, .. }), _) => {
                    tx.end_tokens(&TokenOwner::Contact(id.clone()), now)?;
                    tx.hasten_copies(&Recipient::Contact(id.clone()), now)?;
                    projects = places(tx, packager)?;
                    remarks.push(format!(
                        "<{address}> gets nothing until there is another certificate: embargod packager \
                         remove-contact {address}, then embargod packager add"
                    ));
                    address.clone()
                }
                (None, Some(Maintainer { id, address, .. })) => {
                    tx.end_tokens(&TokenOwner::Maintainer(id.clone()), now)?;
                    tx.hasten_copies(&Recipient::Maintainer(id.clone()), now)?;
                    projects = decides_for(tx, id)?;
                    remarks.push(format!(
                        "<{address}> can do nothing until another certificate is added: embargod project member add"
                    ));
                    address.clone()
                }
                (None, None) => "nobody any more".to_owned(),
            };
            let what = format!(
                "The operator of this server stopped all use of the certificate {fingerprint} of {who}: {reason}"
            );
            let mailed = self.tell(tx, &projects, &what, now)?;
            Ok(Removal { who, projects: slugs(projects), mailed, remarks })
        })
    }

    /// Mails the maintainers of these projects, each by what it holds back; returns those that hold something back.
    fn tell(
        &self,
        tx: &mut Tx<'_>,
        projects: &[Project],
        what: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<String>, Refusal> {
        let embargoes = tx.embargoes()?;
        let mut told = Vec::new();
        for project in projects {
            let held_back =
                embargoes.iter().find(|embargo| embargo.project == project.id && embargo.stage.is_live());
            let Some(embargo) = held_back else { continue };
            let id = NoticeId::from_random(self.entropy.bytes());
            let facts = NoticeFacts { reason: what.to_owned(), ..NoticeFacts::default() };
            tx.insert_notice(&id, &embargo.id, NoticeKind::Alarm, None, &facts, now)?;
            told.push(project.slug.clone());
        }
        Ok(told)
    }
}

/// The projects a packager is approved for.
fn places(tx: &mut Tx<'_>, packager: &PackagerId) -> Result<Vec<Project>, Refusal> {
    let mut places = Vec::new();
    for project in tx.projects()? {
        if tx.is_member(&project.id, packager)? {
            places.push(project);
        }
    }
    Ok(places)
}

/// The projects a maintainer decides for.
fn decides_for(tx: &mut Tx<'_>, maintainer: &MaintainerId) -> Result<Vec<Project>, Refusal> {
    let mut places = Vec::new();
    for project in tx.projects()? {
        if tx.decides_for(maintainer, &project.id)? {
            places.push(project);
        }
    }
    Ok(places)
}

fn contacts_of(tx: &mut Tx<'_>, packager: &PackagerId) -> Result<Vec<Contact>, Refusal> {
    let mut contacts = tx.contacts()?;
    contacts.retain(|contact| contact.packager == *packager);
    Ok(contacts)
}

/// The contacts with this address, or the one whose certificate has this fingerprint.
pub(super) fn contacts_named(tx: &mut Tx<'_>, who: &str) -> Result<Vec<Contact>, Refusal> {
    let registered = tx.certificate_by_fingerprint(&plain_fingerprint(who))?.map(|stored| stored.id);
    let mut named = tx.contacts()?;
    named.retain(|contact| {
        contact.address.eq_ignore_ascii_case(who) || Some(&contact.certificate) == registered.as_ref()
    });
    if named.is_empty() {
        let detail = "no contact has this address or fingerprint; embargod packager list shows them";
        return Err(Refusal::invalid("contact", detail));
    }
    Ok(named)
}

fn find_maintainer(tx: &mut Tx<'_>, who: &str) -> Result<Maintainer, Refusal> {
    let registered = tx.certificate_by_fingerprint(&plain_fingerprint(who))?.map(|stored| stored.id);
    let mut named = tx.maintainers()?;
    named.retain(|person| {
        person.address.eq_ignore_ascii_case(who) || Some(&person.certificate) == registered.as_ref()
    });
    match <[Maintainer; 1]>::try_from(named) {
        Ok([person]) => Ok(person),
        Err(named) if named.is_empty() => Err(Refusal::invalid(
            "maintainer",
            format!(
                "nobody who decides has the address or fingerprint {who:?}; embargod project list names them"
            ),
        )),
        Err(_) => Err(Refusal::invalid(
            "maintainer",
            "more than one who decides has this address; give the fingerprint of the certificate instead",
        )),
    }
}

/// A fingerprint as people copy it, with blanks and in either case, as it is stored.
fn plain_fingerprint(typed: &str) -> String {
    let typed = typed.trim().strip_prefix("0x").unwrap_or(typed);
    typed.chars().filter(|character| !character.is_whitespace()).collect::<String>().to_ascii_uppercase()
}

fn slugs(projects: Vec<Project>) -> Vec<String> {
    projects.into_iter().map(|project| project.slug).collect()
}
