//! `embargod packager`: who is told ahead, and with which key.

use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, SecondsFormat, Utc};
use clap::Subcommand;
use serde::Serialize;

use super::applications;
use super::console::{Console, Global};
use super::failure::Failure;
use super::files;
use super::invitation::Invitation;
use super::screen::{self, item, plain, say};
use crate::app::roster::{Added, NewPackager};
use crate::app::{Refusal, certificate_of};
use crate::cli::inspection;
use crate::openpgp::{Acceptance, Certificate, Expected, Finding, Inspection, Weight};
use crate::store::{AuditEntry, Contact, Project, Tx};

/// How long a certificate should last from now on, so that it does not expire under the first embargo.
const LASTS_FOR_AN_EMBARGO: Duration = Duration::days(30);

/// Commands about packagers.
#[derive(Debug, Subcommand)]
pub(super) enum PackagerCommand {
    /// Adds a packager with one contact and approves it for projects.
    Add(AddArguments),
    /// Says in which form a contact's programs read encrypted messages.
    #[command(after_help = "Examples:\n  \
        embargod packager container security@debian.example seipdv1\n      \
        they hold a version 6 key, and a program of theirs reads nothing newer than RFC 4880\n  \
        embargod packager container security@debian.example by-certificate\n\n\
        Holders of version 4 keys get SEIPD version 1 in any case: every program reads it.")]
    Container {
        /// The contact's address, or the fingerprint of one of its certificates.
        contact: String,
        /// The form.
        form: Form,
    },
    /// Removes a packager from one project, or with all its contacts from the server.
    #[command(after_help = "Examples:\n  \
        embargod packager remove debian --project requests\n      \
        it is told and shown nothing more of this project\n  \
        embargod packager remove debian\n      \
        its contacts can no longer log in, and their tokens end\n\n\
        It acts on every replica with the next thing that is sent or answered, also on what waits to be mailed. What \
        was told before stays told.")]
    Remove {
        /// Its short name.
        slug: String,
        /// From this project alone.
        #[arg(long, value_name = "SLUG")]
        project: Option<String>,
    },
    /// Removes a contact: no mail and no login any more.
    #[command(after_help = "Examples:\n  embargod packager remove-contact ada@debian.example\n      \
        with every certificate that it has\n  \
        embargod packager remove-contact 5E086C54D1B2A3F405162738495A6B7C8D9E0F10\n      \
        the one certificate alone, such as one that was admitted by mistake\n\n\
        The same key can be added again later. If it must never be used again: embargod certificate revoke.")]
    RemoveContact {
        /// The contact's address, or the fingerprint of one of its certificates.
        contact: String,
    },
    /// Lists who asked to be told ahead and waits for an answer.
    #[command(after_help = "Examples:\n  embargod packager applications\n  \
        embargod packager admit 8k2f arctic\n  \
        embargod packager decline 8k2f\n\n\
        Whoever applied holds the key, which the server tried. Whether they are who they say is for you to find out: \
        compare the fingerprint with its owner over another way than mail. After a month an application is forgotten.")]
    Applications {
        /// As JSON, with the certificates.
        #[arg(long)]
        json: bool,
    },
    /// Adds the packager that applied.
    #[command(after_help = "Examples:\n  embargod packager admit 8k2f arctic --name 'Arctic Linux'\n  \
        embargod packager admit 8k2f arctic --project requests\n      \
        for this project alone, whatever else they asked for\n  \
        embargod packager admit 8k2f debian --further-contact\n      \
        one more person of a packager that is there already: hears at once all that it hears")]
    Admit(AdmitArguments),
    /// Ends an application; nobody is told.
    #[command(after_help = "Examples:\n  embargod packager decline 8k2f\n  \
        embargod packager decline 8k2f q0x8 z71c\n  \
        embargod packager decline --all\n      after a flood: who meant it applies again")]
    Decline {
        /// How the applications' ids begin.
        #[arg(required_unless_present = "all")]
        applications: Vec<String>,
        /// Every application that waits.
        #[arg(long, conflicts_with = "applications")]
        all: bool,
    },
    /// Lists contacts with their keys and projects.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What `embargod packager admit` is given.
#[derive(Debug, clap::Args)]
pub(super) struct AdmitArguments {
    /// How the application's id begins.
    pub(super) application: String,
    /// The short name it gets: a-z, 0-9 and -.
    pub(super) slug: String,
    /// What maintainers read; the short name if left out.
    #[arg(long)]
    pub(super) name: Option<String>,
    /// A project it is approved for; repeat it for more. Without it, those that it asked for.
    #[arg(long = "project", value_name = "SLUG")]
    pub(super) projects: Vec<String>,
    /// They are one more contact of a packager that is there already.
    #[arg(long)]
    pub(super) further_contact: bool,
}

/// In which form messages are encrypted.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Form {
    /// As goes with the certificate: SEIPD version 2 for version 6.
    ByCertificate,
    /// Always SEIPD version 1, the form of RFC 4880.
    Seipdv1,
}

/// Arguments of `embargod packager add`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    embargod packager add debian --contact security@debian.example --project requests\n      \
    prints what to write to them while their key is missing\n  \
    embargod packager add debian --contact security@debian.example --certificate debian.asc --project requests\n  \
    embargod packager add oldlinux --contact security@oldlinux.example --certificate old.asc --project requests \\\n      \
    --allow-sha1 2026-12-31 --reason \"Ada: they replace the key by the end of the year\"\n\n\
    The same short name again adds one more contact, or with the same contact approves it for one more project.")]
pub(super) struct AddArguments {
    /// Its short name: a-z, 0-9 and -.
    pub slug: String,
    /// Where its mail goes.
    #[arg(long, value_name = "ADDRESS")]
    pub contact: String,
    /// Its name; the short name if absent.
    #[arg(long)]
    pub name: Option<String>,
    /// The contact's OpenPGP certificate.
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// A project it is approved for; repeat it for more.
    #[arg(long = "project", required = true, value_name = "SLUG")]
    pub projects: Vec<String>,
    /// Accept self-signatures made with SHA-1 until the end of this day (UTC); the reason is recorded.
    #[arg(long, value_name = "DATE", requires_all = ["reason", "certificate"])]
    pub allow_sha1: Option<NaiveDate>,
    /// Who allowed it, and why.
    #[arg(long, value_name = "WHO_WHY", requires = "allow_sha1")]
    pub reason: Option<String>,
    /// A program of theirs reads nothing newer than RFC 4880, though their key is of version 6.
    #[arg(long, requires = "certificate")]
    pub seipdv1_only: bool,
}

#[derive(Serialize)]
struct Listed {
    slug: String,
    name: String,
    contact: String,
    fingerprint: String,
    algorithm: String,
    container: &'static str,
    usable: bool,
    problem: Option<String>,
    expires_at: Option<String>,
    sha1_until: Option<String>,
    projects: Vec<String>,
}

/// Runs a command about packagers.
pub(super) fn run(global: &Global, command: PackagerCommand) -> Result<ExitCode, Failure> {
    let console = Console::open(global)?;
    match command {
        PackagerCommand::Add(arguments) => match &arguments.certificate {
            Some(path) => add(&console, &arguments, &files::read(path)?)?,
            None => invite(&console, &arguments)?,
        },
        PackagerCommand::Container { contact, form } => {
            let only = matches!(form, Form::Seipdv1);
            for (address, fingerprint, container) in console.operator().set_seipdv1_only(&contact, only)? {
                item("ok", &format!("<{address}> gets what is sent from now on as {container}"));
                item("", &fingerprint);
            }
        }
        PackagerCommand::Remove { slug, project } => {
            screen::removed("removed", &console.operator().remove_packager(&slug, project.as_deref())?);
            console.is_remembered()?;
        }
        PackagerCommand::RemoveContact { contact } => {
            screen::removed("removed", &console.operator().remove_contact(&contact)?);
            console.is_remembered()?;
        }
        PackagerCommand::Applications { json } => applications::list(&console, json)?,
        PackagerCommand::Admit(arguments) => applications::admit(&console, &arguments)?,
        PackagerCommand::Decline { applications, all } => {
            applications::decline(&console, &applications, all)?;
        }
        PackagerCommand::List { json } => list(&console, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Without a certificate: a contact that has one here is approved, any other is asked for its own.
fn invite(console: &Console, arguments: &AddArguments) -> Result<(), Failure> {
    let AddArguments { slug, contact, projects, .. } = arguments;
    let invitation = Invitation::new(console, arguments)?;
    match console.operator().approve_packager(slug, contact, projects)? {
        Some(approved) => say_approved(arguments, &approved),
        None => say(invitation.text().trim_end()),
    }
    Ok(())
}

fn say_approved(arguments: &AddArguments, approved: &[String]) {
    let AddArguments { slug, contact, .. } = arguments;
    if approved.is_empty() {
        item("ok", &format!("{slug} <{contact}> was approved for this already; nothing was changed"));
    } else {
        item("approved", &format!("{slug} for {}; <{contact}> was there already", approved.join(", ")));
    }
}

/// Adds a packager whose certificate has been read.
pub(super) fn add(console: &Console, arguments: &AddArguments, certificate: &[u8]) -> Result<(), Failure> {
    let now = console.clock.now();
    let sha1_until = match arguments.allow_sha1 {
        Some(date) => Some(end_of(date, now)?),
        None => None,
    };
    let new = NewPackager {
        slug: &arguments.slug,
        name: arguments.name.as_deref().unwrap_or(&arguments.slug),
        address: &arguments.contact,
        certificate,
        sha1_until,
        seipdv1_only: arguments.seipdv1_only,
        projects: &arguments.projects,
    };
    if let Added::Approved(projects) = console.operator().add_packager(&new).map_err(ask_the_owner)? {
        say_approved(arguments, &projects);
        return Ok(());
    }
    let added = Certificate::parse(certificate).map_err(|error| Refusal::invalid(error.code(), error))?;
    if let Some(reason) = &arguments.reason {
        record_exception(console, &added, reason, now)?;
    }
    item(
        "added",
        &format!("{} <{}> for {}", arguments.slug, arguments.contact, arguments.projects.join(", ")),
    );
    item("key", &format!("{} {}", added.fingerprint(), added.algorithm()));
    for finding in warnings(&arguments.contact, certificate, sha1_until, now) {
        inspection::said(&mut |word, said| item(word, &plain(said)), &finding);
    }
    item("next", "compare the fingerprint with its owner over another way than mail");
    Ok(())
}

/// What its owner should hear of, although the certificate can be used.
pub(super) fn warnings(
    contact: &str,
    certificate: &[u8],
    sha1_until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Vec<Finding> {
    let acceptance = sha1_until.map_or(Acceptance::Strict, |until| Acceptance::Sha1Bindings { until });
    let expected = Expected { acceptance, address: Some(contact), until: Some(now + LASTS_FOR_AN_EMBARGO) };
    let findings = Inspection::of(certificate, &expected, now).findings;
    findings.into_iter().filter(|finding| finding.weight == Weight::Warning).collect()
}

/// A certificate is mended by its owner, not by who types the command.
pub(super) fn ask_the_owner(refusal: Refusal) -> Failure {
    let about_certificate = matches!(refusal, Refusal::Invalid { .. });
    let failure = Failure::Refused(refusal);
    match failure.parts() {
        (what, Some(cure)) if about_certificate => {
            Failure::unfit(what, format!("ask its owner for what this prints:  {cure}"))
        }
        _ => failure,
    }
}

fn end_of(date: NaiveDate, now: DateTime<Utc>) -> Result<DateTime<Utc>, Failure> {
    let next = date.succ_opt().unwrap_or(date);
    let end = next.and_time(NaiveTime::MIN).and_utc();
    if end <= now {
        return Err(Failure::unfit("the date of --allow-sha1 is over", "name a day to come"));
    }
    Ok(end)
}

/// The reason lies sealed in the audit log, beside the entry about the packager.
fn record_exception(
    console: &Console,
    certificate: &Certificate,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    console.store.write_now(|tx| {
        let stored = tx.certificate_by_fingerprint(&certificate.fingerprint())?.ok_or(Refusal::NotFound)?;
        tx.audit(AuditEntry {
            at: now,
            actor: "operator".to_owned(),
            action: "sha1 allowed",
            embargo: None,
            object: stored.id.to_string(),
            detail: reason.as_bytes().to_vec(),
        });
        Ok::<_, Refusal>(())
    })?;
    Ok(())
}

fn list(console: &Console, json: bool) -> Result<(), Failure> {
    let now = console.clock.now();
    let listed = console.store.read_now(|tx| {
        let contacts = tx.contacts()?;
        let projects = tx.projects()?;
        contacts
            .into_iter()
            .map(|contact| describe(tx, &contact, &projects, now))
            .collect::<Result<Vec<_>, Refusal>>()
    })?;
    let mut listed = listed;
    listed.sort_by(|a, b| (&a.slug, &a.contact).cmp(&(&b.slug, &b.contact)));
    if json {
        screen::json(&listed);
        return Ok(());
    }
    if listed.is_empty() {
        say("no packager yet; add one: embargod packager add --help");
        return Ok(());
    }
    let row = |packager: &Listed| {
        let state = match (&packager.problem, &packager.expires_at) {
            (Some(problem), _) => format!("FAIL {problem}"),
            (None, Some(at)) => format!("until {}", at.get(..10).unwrap_or(at)),
            (None, None) => "never expires".to_owned(),
        };
        vec![
            packager.slug.clone(),
            packager.contact.clone(),
            packager.projects.join(", "),
            packager.fingerprint.clone(),
            packager.algorithm.clone(),
            state,
        ]
    };
    say(screen::columns(&listed.iter().map(row).collect::<Vec<_>>()).trim_end());
    Ok(())
}

fn describe(
    tx: &mut Tx<'_>,
    contact: &Contact,
    projects: &[Project],
    now: DateTime<Utc>,
) -> Result<Listed, Refusal> {
    let packager = tx.packagers()?.into_iter().find(|packager| packager.id == contact.packager);
    let packager = packager.ok_or(Refusal::NotFound)?;
    let mut approved = Vec::new();
    for project in projects {
        if tx.members(&project.id)?.iter().any(|member| member.id == packager.id) {
            approved.push(project.slug.clone());
        }
    }
    let stored = tx.certificate(&contact.certificate)?;
    let (certificate, acceptance) = certificate_of(&stored)?;
    let problem = match stored.revoked_at {
        Some(_) => Some("its use was stopped".to_owned()),
        None => certificate.check(&acceptance, now).err().map(|trouble| trouble.problem()),
    };
    let second = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    Ok(Listed {
        slug: packager.slug,
        name: packager.name,
        contact: contact.address.clone(),
        fingerprint: certificate.fingerprint(),
        algorithm: certificate.algorithm(),
        container: certificate.container().as_str(),
        usable: problem.is_none(),
        problem,
        expires_at: certificate.expires_at(&acceptance, now).map(second),
        sha1_until: stored.sha1_until.map(second),
        projects: approved,
    })
}
