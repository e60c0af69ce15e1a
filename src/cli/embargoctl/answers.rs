//! What packagers say of themselves: `receipt`, `impact`, `progress`.

use super::arguments;
use super::context::Context;
use super::error::CliError;
use super::render;
use super::report::Report;
use crate::client::{Session, read_notice};
use crate::domain::id::EmbargoId;
use crate::wire::{OwnState, PutImpact, PutProgress, PutReceipt};

pub(super) fn receipt(
    context: &Context,
    id: &str,
    code: String,
    revision: Option<u32>,
) -> Result<Report, CliError> {
    let session = context.session()?;
    let id = session.resolve(id)?;
    let revision = match revision {
        Some(revision) => revision,
        None => newest_revision(&session, &id)?,
    };
    let own = session.say_of_oneself(&id, "/receipt", &PutReceipt { revision, code })?;
    Ok(report(context, &id, &own))
}

pub(super) fn impact(
    context: &Context,
    id: &str,
    impact: arguments::Impact,
    code: Option<String>,
) -> Result<Report, CliError> {
    let session = context.session()?;
    let id = session.resolve(id)?;
    let code = code.map_or_else(|| code_in_notice(&session, &id), Ok)?;
    let body = PutImpact { code, impact: impact.as_str().to_owned() };
    let own = session.say_of_oneself(&id, "/impact", &body)?;
    Ok(report(context, &id, &own))
}

pub(super) fn progress(
    context: &Context,
    id: &str,
    progress: arguments::Progress,
    code: Option<String>,
) -> Result<Report, CliError> {
    let session = context.session()?;
    let id = session.resolve(id)?;
    let code = code.map_or_else(|| code_in_notice(&session, &id), Ok)?;
    let body = PutProgress { code, progress: progress.as_str().to_owned() };
    let own = session.say_of_oneself(&id, "/progress", &body)?;
    Ok(report(context, &id, &own))
}

/// The receipt code, read from the notice: it is never stored beside the token, whose thief must not have it.
fn code_in_notice(session: &Session, id: &EmbargoId) -> Result<String, CliError> {
    let revision = newest_revision(session, id)?;
    let notice = session.sealed_bytes(id, &format!("/revisions/{revision}/notice"))?;
    read_notice(&notice).ok_or(CliError::NoNotice)?.receipt_code().ok_or(CliError::NoCode)
}

fn newest_revision(session: &Session, id: &EmbargoId) -> Result<u32, CliError> {
    let embargo = session.neutral(id)?;
    embargo.revision.ok_or_else(|| CliError::no_revision(&embargo))
}

fn report(context: &Context, id: &EmbargoId, own: &OwnState) -> Report {
    Report::new(format!("{id}  {}\n", render::own_state(own, context.now())), own)
}
