//! Applications: a packager that nobody knows yet asks to be told ahead, and proves that it holds its certificate.
//!
//! The answer is the same for everybody: it says neither who is registered nor which projects there are. What was
//! asked for waits, sealed, until an operator admits it or turns it down, and is forgotten after a month.

use super::roster::{Added, NewPackager, Operator, operator};
use super::sessions::{LATE, opens_only_with_live_keys};
use super::{App, Refusal};
use crate::domain::address::Address;
use crate::domain::id::{ApplicationId, CertificateId};
use crate::domain::text::one_line;
use crate::openpgp::Certificate;
use crate::store::{ApplicationContent, StoredApplication};

/// How many may wait at once: whoever floods fills this and nothing else.
const MOST: i64 = 200;
/// How long who comes when they are full should wait, in seconds.
const FULL: u64 = 3_600;
/// How many projects one may ask for.
const MOST_PROJECTS: usize = 20;

/// What a packager asks for.
#[derive(Clone, Debug)]
pub struct Application {
    /// The challenge as it was decrypted with the certificate's key.
    pub challenge: String,
    /// The organisation's name.
    pub name: String,
    /// Where its mail is to go.
    pub contact: String,
    /// The projects it wants to hear of.
    pub projects: Vec<String>,
    /// What it says of itself.
    pub about: String,
}

impl Application {
    /// Everything that is wrong with it by itself.
    fn check(&self) -> Result<Address, Refusal> {
        let missing = |what: &str| Refusal::invalid("application", format!("{what} is missing"));
        if self.name.trim().is_empty() {
            return Err(missing("name, what your organisation is called,"));
        }
        if self.projects.is_empty() {
            return Err(missing("projects, the short names of those you ship,"));
        }
        if self.projects.len() > MOST_PROJECTS {
            let detail = format!("one application names at most {MOST_PROJECTS} projects; send another one");
            return Err(Refusal::invalid("application", detail));
        }
        one_line(&self.name, "a name", 100).map_err(|error| Refusal::invalid("name", error))?;
        one_line(&self.about, "what you say of yourself", 1_000)
            .map_err(|error| Refusal::invalid("about", error))?;
        for project in &self.projects {
            super::roster::check_slug(project)?;
        }
        self.contact.parse().map_err(|error| Refusal::invalid("address", error))
    }
}

impl App {
    /// Takes an application in. Whatever is known of the certificate, the answer is the same.
    pub async fn apply(&self, application: Application) -> Result<(), Refusal> {
        let contact = application.check()?;
        let nonce_hash = self.nonce_of(application.challenge.as_bytes())?;
        let now = self.clock.now();
        let id = ApplicationId::from_random(self.entropy.bytes());
        self.store
            .write(move |tx| {
                let posted = tx.use_challenge(&nonce_hash, now)?.ok_or(Refusal::Unauthorised(LATE))?;
                let certificate =
                    Certificate::parse(&posted.bytes).map_err(|error| Refusal::invalid(error.code(), error))?;
                let named = certificate.addresses().iter().any(|one| one.eq_ignore_ascii_case(contact.as_str()));
                if !named {
                    return Err(Refusal::invalid(
                        "contact",
                        format!(
                            "no user id of certificate {} has the address {contact}; name one that it has, or add a \
                             user id with this one and ask for a new challenge",
                            certificate.fingerprint()
                        ),
                    ));
                }
                let fingerprint = certificate.fingerprint();
                tx.take_certificate(&fingerprint)?;
                let content = ApplicationContent {
                    name: application.name,
                    contact: contact.to_string(),
                    projects: application.projects,
                    about: application.about,
                    certificate: certificate.to_armored(),
                };
                let waiting = StoredApplication { id, content, received_at: now };
                let room = tx.put_application(&waiting, &fingerprint, MOST)?;
                if room { Ok(()) } else { Err(Refusal::TooMany { seconds: FULL }) }
            })
            .await
    }
}

/// What the operator decides of an admission.
#[derive(Clone, Debug)]
pub struct Admission<'a> {
    /// The short name that the packager gets.
    pub slug: &'a str,
    /// What maintainers read; the short name if `None`, and never what a stranger calls itself.
    pub name: Option<&'a str>,
    /// Whether it may be one more contact of a packager that is there already.
    pub further_contact: bool,
    /// The projects it is approved for; those it asked for if empty.
    pub projects: &'a [String],
}

impl Operator<'_> {
    /// The applications that wait, the oldest first.
    pub fn applications(&self) -> Result<Vec<StoredApplication>, Refusal> {
        Ok(self.store.read_now(|tx| tx.applications())?)
    }

    /// The application whose id begins with `id`.
    pub fn application(&self, id: &str) -> Result<StoredApplication, Refusal> {
        let waiting = self.applications()?;
        let mut named = waiting.into_iter().filter(|one| !id.is_empty() && one.id.as_str().starts_with(id));
        match (named.next(), named.next()) {
            (Some(found), None) => Ok(found),
            _ => Err(Refusal::invalid(
                "application",
                "no application, or more than one, has an id that begins so; embargod packager applications shows \
                 them",
            )),
        }
    }

    /// Adds the packager that applied, as [`Operator::add_packager`] does, and ends the application.
    pub fn admit(
        &self,
        application: &StoredApplication,
        admission: &Admission<'_>,
    ) -> Result<Added, Refusal> {
        let content = &application.content;
        if !admission.further_contact {
            self.refuse_who_is_there(admission.slug, &content.certificate)?;
        }
        let projects = if admission.projects.is_empty() { &content.projects[..] } else { admission.projects };
        let added = self.add_packager(&NewPackager {
            slug: admission.slug,
            name: admission.name.unwrap_or(admission.slug),
            address: &content.contact,
            certificate: content.certificate.as_bytes(),
            sha1_until: None,
            seipdv1_only: false,
            projects,
        })?;
        // A crash in between leaves one that can be admitted again, which adds nothing.
        self.end(std::slice::from_ref(application), "application admitted")?;
        Ok(added)
    }

    /// A stranger under the name of a packager hears at once what that one hears, of running embargoes too, and anybody
    /// can write any address on a key. Who was admitted so before, up to a crash, is no stranger.
    fn refuse_who_is_there(&self, slug: &str, certificate: &str) -> Result<(), Refusal> {
        let certificate = Certificate::parse(certificate.as_bytes())
            .map_err(|error| Refusal::invalid(error.code(), error))?;
        let fingerprint = certificate.fingerprint();
        self.store.read_now(|tx| {
            let Some(there) = tx.packagers()?.into_iter().find(|packager| packager.slug == slug) else {
                return Ok(());
            };
            if let Some(stored) = tx.certificate_by_fingerprint(&fingerprint)?
                && let Some(contact) = tx.contact_by_certificate(&stored.id)?
                && contact.packager == there.id
            {
                return Ok(());
            }
            let contacts = tx.contacts()?.into_iter().filter(|contact| contact.packager == there.id);
            let addresses: Vec<_> = contacts.map(|contact| contact.address).collect();
            Err(Refusal::rule(
                "exists",
                format!(
                    "{slug} is there already, with {}, and whoever is admitted under its name hears at once what it \
                     hears, of running embargoes too. Anybody can write any address on a key; cure: another short name, \
                     or --further-contact after one of these confirmed {fingerprint} over another way than mail",
                    if addresses.is_empty() { "no contact".to_owned() } else { addresses.join(", ") },
                ),
            ))
        })
    }

    /// Ends applications, all or none; nobody is told.
    pub fn decline(&self, applications: &[StoredApplication]) -> Result<(), Refusal> {
        self.end(applications, "application declined")
    }

    fn end(&self, applications: &[StoredApplication], action: &'static str) -> Result<(), Refusal> {
        let now = self.clock.now();
        self.store.write_now(|tx| {
            for application in applications {
                if tx.remove_application(&application.id)? {
                    tx.audit(operator(now, action, application.id.as_str()));
                }
            }
            Ok(())
        })
    }

    /// What is known here of an applicant, and of what it asks for, that whoever decides should know too.
    pub fn remarks_on(&self, application: &StoredApplication) -> Result<Vec<String>, Refusal> {
        let content = &application.content;
        let Ok(posted) = Certificate::parse(content.certificate.as_bytes()) else {
            return Ok(vec!["its certificate cannot be read any more: decline it".to_owned()]);
        };
        let fingerprint = posted.fingerprint();
        let now = self.clock.now();
        self.store.read_now(|tx| {
            let mut remarks = Vec::new();
            let packagers = tx.packagers()?;
            let slug = |id| packagers.iter().find(|one| one.id == id).map_or("?", |one| one.slug.as_str());
            let registered = tx.certificate_by_fingerprint(&fingerprint)?;
            if let Some(stored) = &registered {
                let (known, acceptance) = super::certificate_of(stored)?;
                if stored.revoked_at.is_some() {
                    remarks.push("the use of this certificate was stopped on this server".to_owned());
                } else if !known
                    .merge(posted.clone())
                    .is_ok_and(|merged| opens_only_with_live_keys(&posted, &merged, &acceptance, now))
                {
                    remarks.push(
                        "it was proved with a key that its owner has given up: ask the owner".to_owned(),
                    );
                }
            }
            let is_this = |id: &CertificateId| registered.as_ref().is_some_and(|stored| stored.id == *id);
            for person in tx.maintainers()? {
                if is_this(&person.certificate) {
                    remarks.push(format!("this certificate is that of the maintainer <{}>", person.address));
                } else if person.address.eq_ignore_ascii_case(&content.contact) {
                    remarks.push("a maintainer has this address, with another certificate".to_owned());
                }
            }
            for contact in tx.contacts()? {
                if is_this(&contact.certificate) {
                    remarks.push(format!(
                        "this certificate is registered already, for {}",
                        slug(contact.packager)
                    ));
                } else if contact.address.eq_ignore_ascii_case(&content.contact) {
                    let (certificate, _) = super::certificate_of(&tx.certificate(&contact.certificate)?)?;
                    remarks.push(format!(
                        "this address is registered for {}, with another certificate: {}",
                        slug(contact.packager),
                        certificate.fingerprint()
                    ));
                }
            }
            let projects = tx.projects()?;
            let missing = |asked: &&String| projects.iter().all(|project| project.slug != **asked);
            let missing: Vec<_> = content.projects.iter().filter(missing).map(String::as_str).collect();
            if !missing.is_empty() {
                remarks.push(format!("there is no project {} here", missing.join(", ")));
            }
            Ok(remarks)
        })
    }
}
