//! The operator's bootstrap: projects, maintainers and packagers, added at the server's own console.
//! Each is written to the audit log as the operator's.

use chrono::{DateTime, Utc};

use super::Refusal;
use super::removals::contacts_named;
use crate::clock::Clock;
use crate::domain::address::Address;
use crate::domain::container::Container;
use crate::domain::id::{CertificateId, ContactId, MaintainerId, PackagerId, ProjectId};
use crate::domain::policy::Policy;
use crate::domain::text::one_line;
use crate::entropy::Entropy;
use crate::openpgp::{Acceptance, Certificate};
use crate::store::{AuditEntry, Contact, Maintainer, Packager, Project, Store, StoredCertificate, Tx};

/// What the operator's commands need.
pub struct Operator<'a> {
    /// The database.
    pub store: &'a Store,
    /// The time.
    pub clock: &'a Clock,
    /// Randomness.
    pub entropy: &'a Entropy,
}

/// A packager that is to be added.
#[derive(Clone, Debug)]
pub struct NewPackager<'a> {
    /// Its short name.
    pub slug: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Where its mail goes.
    pub address: &'a str,
    /// Its contact's certificate, armored or binary.
    pub certificate: &'a [u8],
    /// Until when SHA-1 self-signatures are tolerated, if they are.
    pub sha1_until: Option<DateTime<Utc>>,
    /// Whether its programs read nothing newer than RFC 4880, whatever the certificate says.
    pub seipdv1_only: bool,
    /// The projects it is approved for.
    pub projects: &'a [String],
}

/// What adding a packager came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// A contact that was not there.
    Contact,
    /// The contact was there; its packager is now approved for these projects too.
    Approved(Vec<String>),
}

impl Operator<'_> {
    /// Adds a project with its policy.
    pub fn add_project(&self, slug: &str, name: &str, policy: Policy) -> Result<(), Refusal> {
        check_slug(slug)?;
        one_line(name, "a project's name", 100).map_err(|error| Refusal::invalid("name", error))?;
        policy.validate().map_err(|error| Refusal::invalid("policy", error))?;
        let now = self.clock.now();
        let id = ProjectId::from_random(self.entropy.bytes());
        self.store.write_now(|tx| {
            if tx.projects()?.iter().any(|project| project.slug == slug) {
                return Err(Refusal::rule("exists", "there is a project of this name already"));
            }
            let project = Project { id, slug: slug.to_owned(), name: name.to_owned(), policy };
            tx.insert_project(&project, now)?;
            tx.audit(operator(now, "project added", project.id.as_str()));
            Ok(())
        })
    }

    /// Adds a maintainer to a project; the person's name and address come from the certificate.
    pub fn add_maintainer(&self, project: &str, certificate: &[u8]) -> Result<String, Refusal> {
        let now = self.clock.now();
        let certificate = parse(certificate)?;
        check(&certificate, None, now)?;
        let address = certificate.addresses().into_iter().next().ok_or_else(|| {
            Refusal::invalid("no-address", "the certificate names no mail address; add a user id with one")
        })?;
        let address =
            address.parse::<Address>().map_err(|error| Refusal::invalid("address", error))?.to_string();
        let name = certificate.user_ids().into_iter().next().unwrap_or_else(|| address.clone());
        let name = name.split('<').next().unwrap_or_default().trim().to_owned();
        self.store.write_now(|tx| {
            let project = find_project(tx, project)?;
            refuse_revoked(tx.certificate_by_fingerprint(&certificate.fingerprint())?.as_ref())?;
            let stored = self.put_certificate(tx, &certificate, None, now)?;
            if tx.contact_by_certificate(&stored)?.is_some() {
                return Err(two_roles(
                    "this certificate belongs to a packager's contact; ask the maintainer for another one",
                ));
            }
            let known = tx.maintainers()?.into_iter().find(|person| person.certificate == stored);
            let id = match known {
                Some(person) => person.id,
                None => {
                    let id = MaintainerId::from_random(self.entropy.bytes());
                    let name = if name.is_empty() { address.clone() } else { name.clone() };
                    tx.insert_maintainer(
                        &Maintainer { id: id.clone(), certificate: stored, name, address: address.clone() },
                        now,
                    )?;
                    id
                }
            };
            tx.join_project(&project.id, &id, now)?;
            tx.audit(operator(now, "maintainer added", id.as_str()));
            Ok(certificate.fingerprint())
        })
    }

    /// Adds a packager with one contact, and approves it for projects. A contact that has this certificate
    /// already is not added again: its packager is approved.
    pub fn add_packager(&self, new: &NewPackager<'_>) -> Result<Added, Refusal> {
        check_slug(new.slug)?;
        let now = self.clock.now();
        let address: Address = new.address.parse().map_err(|error| Refusal::invalid("address", error))?;
        let certificate = parse(new.certificate)?;
        self.store.write_now(|tx| {
            let projects = find_projects(tx, new.projects)?;
            let known = tx.packagers()?.into_iter().find(|packager| packager.slug == new.slug);
            let registered = tx.certificate_by_fingerprint(&certificate.fingerprint())?;
            refuse_revoked(registered.as_ref())?;
            if let Some(registered) = registered {
                if tx.maintainers()?.iter().any(|person| person.certificate == registered.id) {
                    return Err(two_roles(
                        "this certificate belongs to a maintainer; ask the packager for another one",
                    ));
                }
                if let Some(contact) = tx.contact_by_certificate(&registered.id)? {
                    let packager = known.filter(|packager| packager.id == contact.packager);
                    let packager = packager.ok_or_else(|| taken("another packager's contact"))?;
                    if contact.address != address.as_str() {
                        return Err(taken("this packager's contact at another address"));
                    }
                    if new.sha1_until.is_some() {
                        return Err(Refusal::rule(
                            "exists",
                            "this contact is there already, and an exception for SHA-1 is made only when it is \
                             added; cure: leave --allow-sha1 and --reason out",
                        ));
                    }
                    if new.seipdv1_only {
                        return Err(Refusal::rule(
                            "exists",
                            format!(
                                "this contact is there already; cure: leave --seipdv1-only out, and then \
                                 embargod packager container {address} seipdv1"
                            ),
                        ));
                    }
                    check(&certificate, registered.sha1_until, now)?;
                    self.put_certificate(tx, &certificate, None, now)?;
                    return Ok(Added::Approved(approve(tx, &packager, &projects, now)?));
                }
            }
            check(&certificate, new.sha1_until, now)?;
            let stored = self.put_certificate(tx, &certificate, new.sha1_until, now)?;
            // Who was here before under this certificate may have had other exceptions.
            tx.set_sha1_until(&stored, new.sha1_until)?;
            tx.set_seipdv1_only(&stored, new.seipdv1_only, now)?;
            let packager = match known {
                Some(packager) => packager,
                None => {
                    let packager = Packager {
                        id: PackagerId::from_random(self.entropy.bytes()),
                        slug: new.slug.to_owned(),
                        name: new.name.to_owned(),
                    };
                    tx.insert_packager(&packager, now)?;
                    packager
                }
            };
            let contact = Contact {
                id: ContactId::from_random(self.entropy.bytes()),
                packager: packager.id.clone(),
                certificate: stored,
                address: address.to_string(),
            };
            tx.insert_contact(&contact, now)?;
            for project in projects {
                tx.approve(&project.id, &packager.id, now)?;
            }
            tx.audit(operator(now, "packager added", packager.id.as_str()));
            Ok(Added::Contact)
        })
    }

    /// Approves a packager for more projects if it has a contact at `address`; returns those that are new,
    /// and nothing if there is no such contact.
    pub fn approve_packager(
        &self,
        slug: &str,
        address: &str,
        projects: &[String],
    ) -> Result<Option<Vec<String>>, Refusal> {
        let now = self.clock.now();
        self.store.write_now(|tx| {
            let projects = find_projects(tx, projects)?;
            let known = tx.packagers()?.into_iter().find(|packager| packager.slug == slug);
            let Some(packager) = known else { return Ok(None) };
            let is_this = |contact: &Contact| contact.packager == packager.id && contact.address == address;
            if !tx.contacts()?.iter().any(is_this) {
                return Ok(None);
            }
            approve(tx, &packager, &projects, now).map(Some)
        })
    }

    /// Sets whether the contact at an address, with each certificate that it has there, or the one with a fingerprint
    /// gets everything in the container of RFC 4880, or in the one that goes with its certificate; returns address,
    /// fingerprint and the container from now on.
    pub fn set_seipdv1_only(
        &self,
        who: &str,
        only: bool,
    ) -> Result<Vec<(String, String, Container)>, Refusal> {
        let now = self.clock.now();
        self.store.write_now(|tx| {
            let mut set = Vec::new();
            for contact in contacts_named(tx, who)? {
                tx.set_seipdv1_only(&contact.certificate, only, now)?;
                tx.audit(operator(now, "container set", contact.id.as_str()));
                let (certificate, _) = super::certificate_of(&tx.certificate(&contact.certificate)?)?;
                set.push((contact.address, certificate.fingerprint(), certificate.container()));
            }
            Ok(set)
        })
    }

    /// Ends the live token whose id begins with `id`; returns the whole id.
    pub fn revoke_token(&self, id: &str) -> Result<String, Refusal> {
        let now = self.clock.now();
        self.store.write_now(|tx| {
            let live = tx.live_tokens(now)?;
            let mut named = live.into_iter().filter(|token| !id.is_empty() && token.id.as_str().starts_with(id));
            let (Some(token), None) = (named.next(), named.next()) else {
                return Err(Refusal::invalid(
                    "token",
                    "no live token, or more than one, has an id that begins so; embargod token list shows them",
                ));
            };
            tx.revoke_token(&token.id, now)?;
            tx.audit(operator(now, "token revoked", token.id.as_str()));
            Ok(token.id.to_string())
        })
    }

    fn put_certificate(
        &self,
        tx: &mut Tx<'_>,
        certificate: &Certificate,
        sha1_until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<CertificateId, Refusal> {
        let id = CertificateId::from_random(self.entropy.bytes());
        // What is known of it stays: an old export brings no revoked key back.
        tx.take_certificate(&certificate.fingerprint())?;
        let stored = tx.certificate_by_fingerprint(&certificate.fingerprint())?;
        let certificate = match stored {
            Some(stored) => super::certificate_of(&stored)?
                .0
                .merge(certificate.clone())
                .map_err(|error| Refusal::invalid(error.code(), error))?,
            None => certificate.clone(),
        };
        Ok(tx.put_certificate(&id, &certificate.fingerprint(), &certificate.to_bytes(), sha1_until, now)?)
    }
}

fn parse(bytes: &[u8]) -> Result<Certificate, Refusal> {
    Certificate::parse(bytes).map_err(|error| Refusal::invalid(error.code(), error))
}

/// Whether notices could be encrypted to it now.
fn check(
    certificate: &Certificate,
    sha1_until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let acceptance = sha1_until.map_or(Acceptance::Strict, |until| Acceptance::Sha1Bindings { until });
    certificate.check(&acceptance, now).map_err(|trouble| Refusal::invalid(trouble.code(), trouble))
}

/// One certificate logs in as one: whoever decides and is told as well needs two.
fn two_roles(detail: &str) -> Refusal {
    Refusal::rule(
        "two-roles",
        format!(
            "{detail}: with one certificate a person can log in either as a maintainer or for a packager"
        ),
    )
}

/// What was revoked here stays so, whoever brings it again.
fn refuse_revoked(registered: Option<&StoredCertificate>) -> Result<(), Refusal> {
    match registered.and_then(|stored| stored.revoked_at) {
        Some(_) => Err(Refusal::rule(
            "revoked",
            "the use of this certificate was stopped on this server for good; ask its owner for a new one",
        )),
        None => Ok(()),
    }
}

fn taken(whose: &str) -> Refusal {
    Refusal::rule(
        "exists",
        format!(
            "this certificate belongs to {whose} already; \
             cure: see whose it is with `embargod packager list`, and name that packager and contact, or ask for \
             another certificate"
        ),
    )
}

/// Approves a packager for projects; returns the short names of those that are new.
fn approve(
    tx: &mut Tx<'_>,
    packager: &Packager,
    projects: &[Project],
    now: DateTime<Utc>,
) -> Result<Vec<String>, Refusal> {
    let mut new = Vec::new();
    for project in projects {
        if tx.approve(&project.id, &packager.id, now)? {
            tx.audit(operator(now, "packager approved", packager.id.as_str()));
            new.push(project.slug.clone());
        }
    }
    Ok(new)
}

fn find_projects(tx: &mut Tx<'_>, slugs: &[String]) -> Result<Vec<Project>, Refusal> {
    slugs.iter().map(|slug| find_project(tx, slug)).collect()
}

pub(super) fn find_project(tx: &mut Tx<'_>, slug: &str) -> Result<Project, Refusal> {
    let projects = tx.projects()?;
    let known = projects.iter().map(|project| project.slug.as_str()).collect::<Vec<_>>().join(", ");
    projects.into_iter().find(|project| project.slug == slug).ok_or_else(|| {
        Refusal::invalid("project", format!("there is no project {slug:?}; there are: {known}"))
    })
}

/// Checks a short name of a project or packager.
pub fn check_slug(slug: &str) -> Result<(), Refusal> {
    let right = (1..=40).contains(&slug.len())
        && slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !slug.starts_with('-');
    if right {
        Ok(())
    } else {
        Err(Refusal::invalid("short-name", "a short name has 1 to 40 of the characters a-z 0-9 and -"))
    }
}

pub(super) fn operator(now: DateTime<Utc>, action: &'static str, object: &str) -> AuditEntry {
    AuditEntry {
        at: now,
        actor: "operator".to_owned(),
        action,
        embargo: None,
        object: object.to_owned(),
        detail: Vec::new(),
    }
}
