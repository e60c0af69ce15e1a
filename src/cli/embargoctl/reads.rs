//! What is only looked at: `list`, `show`, `dates`, `deliveries`, `audit`.

use std::fmt::Write as _;

use super::context::Context;
use super::error::CliError;
use super::render;
use super::report::Report;
use crate::client::Seen;
use crate::wire::{AuditView, DatesView, DeliveriesView};

pub(super) fn list(context: &Context) -> Result<Report, CliError> {
    let list = context.session()?.list()?;
    Ok(Report::new(render::list(&list, context.now(), context.paint), &list))
}

pub(super) fn show(context: &Context, id: &str) -> Result<Report, CliError> {
    let session = context.session()?;
    let id = session.resolve(id)?;
    match session.look(&id)? {
        Seen::Neutral(neutral) => {
            Ok(Report::new(render::neutral(&neutral, context.now(), context.paint), &neutral))
        }
        Seen::Case(case) => {
            // Before the first notice nobody was told anything.
            let told = case.neutral.announced_at.is_some() && !context.global.json;
            let deliveries = if told { Some(session.sealed(&id, "/deliveries")?) } else { None };
            let text = render::case(&case, deliveries.as_ref(), context.now(), context.paint);
            Ok(Report::new(text, &case))
        }
    }
}

pub(super) fn dates(context: &Context, id: &str, at: Option<&str>) -> Result<Report, CliError> {
    let session = context.session()?;
    let id = session.resolve(id)?;
    let query = at.map(|at| format!("?at={}", escaped(at))).unwrap_or_default();
    let dates: DatesView = session.sealed(&id, &format!("/dates{query}"))?;
    Ok(Report::new(render::dates(&dates, context.paint), &dates))
}

pub(super) fn deliveries(context: &Context, id: &str) -> Result<Report, CliError> {
    let session = context.session()?;
    let id = session.resolve(id)?;
    let deliveries: DeliveriesView = session.sealed(&id, "/deliveries")?;
    Ok(Report::new(render::deliveries(&deliveries, context.now(), context.paint), &deliveries))
}

pub(super) fn audit(context: &Context, id: &str) -> Result<Report, CliError> {
    let session = context.session()?;
    let id = session.resolve(id)?;
    let audit: AuditView = session.sealed(&id, "/audit")?;
    Ok(Report::new(render::audit(&audit, context.paint), &audit))
}

/// A value of a query: everything but letters, digits and a few marks becomes `%XX`.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':') {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_civil_time_and_an_offset_survive_the_query() {
        assert_eq!(escaped("2026-11-24 15:00"), "2026-11-24%2015:00");
        assert_eq!(escaped("2026-11-24T15:00:00+01:00"), "2026-11-24T15:00:00%2B01:00");
    }
}
