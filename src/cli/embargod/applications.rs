//! `embargod packager applications`, `admit` and `decline`: who asked to be told ahead.

use chrono::SecondsFormat;
use serde::Serialize;

use super::console::Console;
use super::failure::Failure;
use super::packager::{AdmitArguments, ask_the_owner, warnings};
use super::screen::{self, item, plain, say};
use crate::app::Refusal;
use crate::app::applications::Admission;
use crate::app::roster::{Added, Operator};
use crate::cli::inspection;
use crate::openpgp::Certificate;
use crate::store::StoredApplication;

/// How much of an id is shown, and enough to name it.
const SHOWN: usize = 8;

#[derive(Serialize)]
struct Listed {
    id: String,
    name: String,
    contact: String,
    projects: Vec<String>,
    about: String,
    fingerprint: String,
    received_at: String,
    remarks: Vec<String>,
    certificate: String,
}

impl Listed {
    fn new(operator: &Operator<'_>, application: StoredApplication) -> Result<Self, Refusal> {
        let remarks = operator.remarks_on(&application)?;
        let content = application.content;
        Ok(Self {
            id: application.id.to_string(),
            name: content.name,
            contact: content.contact,
            projects: content.projects,
            about: content.about,
            fingerprint: certificate(&content.certificate).map_or_else(
                |_| "an unreadable certificate".to_owned(),
                |certificate| certificate.fingerprint(),
            ),
            remarks,
            received_at: application.received_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            certificate: content.certificate,
        })
    }
}

/// Shows what waits.
pub(super) fn list(console: &Console, json: bool) -> Result<(), Failure> {
    let operator = console.operator();
    let waiting = operator.applications()?.into_iter().map(|one| Listed::new(&operator, one));
    let waiting = waiting.collect::<Result<Vec<_>, _>>()?;
    if json {
        screen::json(&waiting);
        return Ok(());
    }
    if waiting.is_empty() {
        say("no application waits");
        return Ok(());
    }
    for one in &waiting {
        item(
            &one.id[..SHOWN],
            &format!("{} <{}> for {}", plain(&one.name), one.contact, one.projects.join(", ")),
        );
        item("", &format!("{} · received {}", one.fingerprint, one.received_at));
        if !one.about.is_empty() {
            item("", &plain(&one.about));
        }
        for remark in &one.remarks {
            item("note", &plain(remark));
        }
    }
    item("next", &format!("embargod packager admit {} NAME, or decline {0}", &waiting[0].id[..SHOWN]));
    Ok(())
}

/// Adds the packager that applied.
pub(super) fn admit(console: &Console, arguments: &AdmitArguments) -> Result<(), Failure> {
    let AdmitArguments { application, slug, name, projects, further_contact } = arguments;
    let operator = console.operator();
    let application = operator.application(application)?;
    let content = &application.content;
    let admission = Admission { slug, name: name.as_deref(), further_contact: *further_contact, projects };
    let added = operator.admit(&application, &admission).map_err(ask_the_owner)?;
    let projects = if projects.is_empty() { &content.projects } else { projects };
    let what = match added {
        Added::Contact => "added",
        Added::Approved(_) => "approved",
    };
    item(what, &format!("{slug} <{}> for {}", content.contact, projects.join(", ")));
    let certificate = certificate(&content.certificate)?;
    item("key", &format!("{} {}", certificate.fingerprint(), certificate.algorithm()));
    for finding in warnings(&content.contact, content.certificate.as_bytes(), None, console.clock.now()) {
        inspection::said(&mut |word, said| item(word, &plain(said)), &finding);
    }
    item(
        "next",
        "compare the fingerprint with its owner over another way than mail: the address proves nothing",
    );
    item("", "then tell them; they log in with: embargoctl login");
    Ok(())
}

/// Ends applications: those whose ids begin so, or all.
pub(super) fn decline(console: &Console, ids: &[String], all: bool) -> Result<(), Failure> {
    let operator = console.operator();
    let declined = if all {
        operator.applications()?
    } else {
        ids.iter().map(|id| operator.application(id)).collect::<Result<_, _>>()?
    };
    operator.decline(&declined)?;
    for application in &declined {
        item("declined", &format!("{} <{}>", plain(&application.content.name), application.content.contact));
    }
    if declined.is_empty() {
        say("no application waits");
    }
    Ok(())
}

fn certificate(armored: &str) -> Result<Certificate, Refusal> {
    Certificate::parse(armored.as_bytes()).map_err(|error| Refusal::invalid(error.code(), error))
}
