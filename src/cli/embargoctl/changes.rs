//! What maintainers change: `open`, `audience`, `schedule`, `send`, `cancel`, `lift-early`.

use serde::Serialize;

use super::arguments;
use super::context::{Context, ask, read_file, say};
use super::error::CliError;
use super::ghsa::{self, Imported};
use super::render;
use super::report::Report;
use crate::client::Command;
use crate::domain::case::CaseText;
use crate::domain::id::EmbargoId;
use crate::wire::{Cancel, CaseView, LiftEarly, OpenEmbargo, PutAudience, PutSchedule, SendRevision};

pub(super) fn open(context: &Context, open: &arguments::Open) -> Result<Report, CliError> {
    let session = context.session()?;
    let imported = match &open.from {
        Some(path) => {
            let advisory = read_file(path)?;
            ghsa::import(&advisory).ok_or_else(|| CliError::NoAdvisory { path: path.clone() })?
        }
        None => Imported {
            text: CaseText { title: open.title.clone().unwrap_or_default(), ..CaseText::default() },
            remarks: Vec::new(),
        },
    };
    // Without a name the server knows whether there is only one project to choose from.
    let project = open.project.clone().or_else(|| session.profile().project.clone()).unwrap_or_default();
    let text = ghsa::document(&imported.text);
    let body = OpenEmbargo { project, text: Some(text) };
    let case = session.command(&Command::json("POST", "/api/v1/embargoes".to_owned(), &body))?;
    context.remember_project(&case.project)?;
    let mut report = report(context, &case);
    report.text += &render::remarks(&imported.remarks, context.paint);
    Ok(report)
}

pub(super) fn audience(context: &Context, id: &str, packagers: Vec<String>) -> Result<Report, CliError> {
    let session = context.session()?;
    let id = session.resolve(id)?;
    let command = Command::json("PUT", path(&id, "/audience"), &PutAudience { packagers });
    Ok(report(context, &session.change(&id, &command)?))
}

pub(super) fn schedule(
    context: &Context,
    id: &str,
    lifts_at: String,
    reason: Option<String>,
) -> Result<Report, CliError> {
    change(context, id, "PUT", "/schedule", &PutSchedule { lifts_at, reason })
}

pub(super) fn send(
    context: &Context,
    id: &str,
    reason: Option<String>,
    now: bool,
) -> Result<Report, CliError> {
    change(context, id, "POST", "/revisions", &SendRevision { reason, now })
}

pub(super) fn cancel(context: &Context, id: &str, reason: String) -> Result<Report, CliError> {
    change(context, id, "POST", "/cancel", &Cancel { reason })
}

pub(super) fn lift_early(context: &Context, lift: arguments::LiftEarly) -> Result<Report, CliError> {
    let session = context.session()?;
    let id = session.resolve(&lift.id)?;
    if !lift.yes {
        let when = lift.at.as_deref().unwrap_or("now");
        say(&format!("{id} becomes public {when}, and every packager is told. This cannot be taken back."));
        let answer = ask(&format!("Type the id {id} to go on:"));
        if answer.and_then(|answer| answer.parse().ok()).as_ref() != Some(&id) {
            return Err(CliError::NotConfirmed);
        }
    }
    let command =
        Command::json("POST", path(&id, "/lift-early"), &LiftEarly { reason: lift.reason, at: lift.at });
    Ok(report(context, &session.change(&id, &command)?))
}

fn change(
    context: &Context,
    id: &str,
    method: &'static str,
    below: &str,
    body: &impl Serialize,
) -> Result<Report, CliError> {
    let session = context.session()?;
    let id = session.resolve(id)?;
    let command = Command::json(method, path(&id, below), body);
    Ok(report(context, &session.change(&id, &command)?))
}

/// The path of something below an embargo.
pub(super) fn path(id: &EmbargoId, below: &str) -> String {
    format!("/api/v1/embargoes/{id}{below}")
}

/// What a change is answered with: where the case stands, what the server remarks, what is missing.
pub(super) fn report(context: &Context, case: &CaseView) -> Report {
    Report::new(render::after_change(case, context.now(), context.paint), case)
}
