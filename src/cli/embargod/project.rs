//! `embargod project`: projects, and who decides for them.

use std::path::PathBuf;
use std::process::ExitCode;

use chrono_tz::Tz;
use clap::Subcommand;
use serde::Serialize;

use super::console::{Console, Global, recovery_path};
use super::failure::Failure;
use super::files;
use super::founding::recovery_for;
use super::init::zone;
use super::screen::{self, item, say};
use crate::app::Refusal;
use crate::app::installation::load_server_key;
use crate::domain::instant::display_exact_duration;
use crate::domain::policy::{ChangelogStyle, Preset};
use crate::store::{Project, Tx};

/// Commands about projects.
#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    /// Adds a project with a disclosure policy.
    #[command(after_help = "Examples:\n  \
        embargod project add widgetlib --preset pallets --zone Europe/Berlin --branch main --branch 2.x\n  \
        embargod project member add widgetlib --certificate ada.asc")]
    Add {
        /// Its short name: a-z, 0-9 and -.
        slug: String,
        /// Its name; the short name if absent.
        #[arg(long)]
        name: Option<String>,
        /// The disclosure policy to start from: `requests` or `pallets`.
        #[arg(long)]
        preset: Preset,
        /// The zone in which its weekdays and holidays are judged.
        #[arg(long, default_value = "UTC", value_parser = zone)]
        zone: Tz,
        /// A branch that needs a fix or a recorded waiver; repeat it for more.
        #[arg(long = "branch", value_name = "BRANCH")]
        branches: Vec<String>,
        /// How its changelog is written: requests, pallets, urllib3 or keep-a-changelog; as by the preset's project if absent.
        #[arg(long, value_name = "STYLE")]
        changelog: Option<ChangelogStyle>,
    },
    /// Lists projects with their policies and members.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Adds and removes who decides for a project.
    #[command(subcommand)]
    Member(MemberCommand),
}

/// Commands about those who decide.
#[derive(Debug, Subcommand)]
pub(super) enum MemberCommand {
    /// Adds a maintainer; name and address come from the certificate.
    #[command(after_help = "Example:\n  embargod project member add requests --certificate ben.asc\n\n\
        The new maintainer also gets a recovery file: the key-encryption key, which only he or she can open.")]
    Add {
        /// The project's short name.
        slug: String,
        /// What `gpg --armor --export ADDRESS` prints.
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
    },
    /// Removes a maintainer from a project; who decides for no other can no longer log in.
    #[command(after_help = "Examples:\n  embargod project member remove requests ben@upstream.example\n  \
        embargod project member remove requests 5E2A…\n\n\
        It acts on every replica with the next command or answer. The last maintainer stays unless --leave-nobody is \
        said. A recovery file that was handed out still opens old backups.")]
    Remove {
        /// The project's short name.
        slug: String,
        /// The maintainer's address, or the fingerprint of the certificate.
        who: String,
        /// Even if nobody is left to decide.
        #[arg(long)]
        leave_nobody: bool,
    },
}

#[derive(Serialize)]
struct Listed {
    slug: String,
    name: String,
    preset: String,
    zone: String,
    notice_lead: String,
    branches: Vec<String>,
    changelog: String,
    maintainers: Vec<String>,
    packagers: Vec<String>,
}

/// Runs a command about projects.
pub(super) fn run(global: &Global, command: ProjectCommand) -> Result<ExitCode, Failure> {
    let console = Console::open(global)?;
    match command {
        ProjectCommand::Add { slug, name, preset, zone, branches, changelog } => {
            let mut policy = preset.policy(zone);
            policy.supported_branches = branches;
            policy.changelog = changelog;
            console.operator().add_project(&slug, name.as_deref().unwrap_or(&slug), policy)?;
            item("added", &format!("project {slug}, policy {preset}, {zone}"));
            item("next", &format!("embargod project member add {slug} --certificate FILE.asc"));
        }
        ProjectCommand::Member(MemberCommand::Add { slug, certificate }) => {
            add_member(&console, global, &slug, &files::read(&certificate)?)?;
        }
        ProjectCommand::Member(MemberCommand::Remove { slug, who, leave_nobody }) => {
            let removal = console.operator().remove_maintainer(&who, &slug, leave_nobody)?;
            screen::removed("removed", &removal);
            console.is_remembered()?;
        }
        ProjectCommand::List { json } => list(&console, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn add_member(console: &Console, global: &Global, slug: &str, certificate: &[u8]) -> Result<(), Failure> {
    let fingerprint = console.operator().add_maintainer(slug, certificate)?;
    item("added", &format!("maintainer {fingerprint} to {slug}"));
    let path = recovery_path(&console.config.state(), &fingerprint);
    let keks = global.keks(&console.config).map_err(Refusal::Unavailable)?;
    // During a rotation there are two, and the file has to work after it as well.
    let text = zeroize::Zeroizing::new(keks.iter().map(|kek| kek.to_text().to_string()).collect::<String>());
    let server = load_server_key(&console.store)?
        .ok_or_else(|| Failure::unfit("there is no server key", "see embargod doctor"))?;
    let file = recovery_for(certificate, &text, &server, &console.clock, &console.entropy)?;
    files::replace(&path, 0o600, &file)?;
    item("wrote", &format!("{}   give it to its owner to keep", path.display()));
    Ok(())
}

fn list(console: &Console, json: bool) -> Result<(), Failure> {
    let listed = console.store.read_now(|tx| {
        let projects = tx.projects()?;
        projects.into_iter().map(|project| describe(tx, project)).collect::<Result<Vec<_>, Refusal>>()
    })?;
    if json {
        screen::json(&listed);
        return Ok(());
    }
    if listed.is_empty() {
        say("no project yet; add one: embargod project add --help");
    }
    let row = |project: &Listed| {
        vec![
            project.slug.clone(),
            project.preset.clone(),
            project.zone.clone(),
            format!("notice {}", project.notice_lead),
            if project.branches.is_empty() { "any branch".to_owned() } else { project.branches.join(", ") },
            format!("decide: {}", project.maintainers.join(", ")),
            format!("told: {}", project.packagers.join(", ")),
        ]
    };
    let rows: Vec<_> = listed.iter().map(row).collect();
    if !rows.is_empty() {
        say(screen::columns(&rows).trim_end());
    }
    Ok(())
}

fn describe(tx: &mut Tx<'_>, project: Project) -> Result<Listed, Refusal> {
    let maintainers = tx.maintainers_of(&project.id)?.into_iter().map(|person| person.name).collect();
    let packagers = tx.members(&project.id)?.into_iter().map(|packager| packager.slug).collect();
    let policy = project.policy;
    Ok(Listed {
        slug: project.slug,
        name: project.name,
        preset: policy.preset.to_string(),
        zone: policy.zone.name().to_owned(),
        notice_lead: display_exact_duration(policy.notice_lead),
        changelog: policy.changelog_style().to_string(),
        branches: policy.supported_branches,
        maintainers,
        packagers,
    })
}
