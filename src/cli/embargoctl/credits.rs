//! `credit`: who is thanked, and under which name.

use super::arguments::{Credit, CreditAdd, CreditCommand};
use super::changes::{path, report};
use super::context::{Context, read_file};
use super::error::CliError;
use super::report::Report;
use crate::client::{Command, Session};
use crate::domain::id::EmbargoId;
use crate::wire::{CreditEntry, CreditView, PutCredits};

pub(super) fn credit(context: &Context, credit: &Credit) -> Result<Report, CliError> {
    let session = context.session()?;
    match (&credit.add, &credit.id, &credit.file) {
        (Some(CreditCommand::Add(add)), ..) => {
            let id = session.resolve(&add.id)?;
            let case = session.case(&id)?;
            let mut credits: Vec<CreditEntry> = case.credits.into_iter().map(kept).collect();
            credits.push(added(add));
            put(context, &session, &id, case.neutral.version, &PutCredits { credits })
        }
        (None, Some(id), Some(file)) => {
            let text = String::from_utf8_lossy(&read_file(file)?).into_owned();
            let body: PutCredits =
                toml::from_str(&text).map_err(|_| CliError::NoCredits { path: file.clone() })?;
            let id = session.resolve(id)?;
            let version = session.neutral(&id)?.version;
            put(context, &session, &id, version, &body)
        }
        (None, ..) => unreachable!("the command line asks for an id and a file"),
    }
}

fn put(
    context: &Context,
    session: &Session,
    id: &EmbargoId,
    version: i64,
    body: &PutCredits,
) -> Result<Report, CliError> {
    let command = Command::json("PUT", path(id, "/credits"), body).if_version(version);
    Ok(report(context, &session.change(id, &command)?))
}

fn kept(credit: CreditView) -> CreditEntry {
    let CreditView { person, role, consent, shown_as } = credit;
    CreditEntry { person, role, consent, shown_as }
}

fn added(add: &CreditAdd) -> CreditEntry {
    // Of "Name <address>" only the name is meant to be published.
    let own_name = || add.person.split('<').next().unwrap_or_default().trim().to_owned();
    let (consent, shown_as) = match (&add.alias, &add.name) {
        (Some(alias), _) => ("alias", Some(alias.clone())),
        (None, Some(name)) if name.is_empty() => ("name", Some(own_name())),
        (None, Some(name)) => ("name", Some(name.clone())),
        (None, None) => ("none", None),
    };
    CreditEntry {
        person: add.person.clone(),
        role: add.role.as_str().to_owned(),
        consent: consent.to_owned(),
        shown_as,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::embargoctl::arguments::Role;

    fn add(alias: Option<&str>, name: Option<&str>) -> CreditEntry {
        added(&CreditAdd {
            id: "b7k2".to_owned(),
            person: "Nox Fox <fox@mail.example>".to_owned(),
            role: Role::RemediationDeveloper,
            alias: alias.map(str::to_owned),
            name: name.map(str::to_owned),
            no_consent: alias.is_none() && name.is_none(),
        })
    }

    #[test]
    fn an_address_is_never_taken_into_the_name_that_is_published() {
        let shown = |entry: CreditEntry| (entry.consent, entry.shown_as);
        assert_eq!(shown(add(None, Some(""))), ("name".to_owned(), Some("Nox Fox".to_owned())));
        assert_eq!(shown(add(None, Some("N. Fox"))), ("name".to_owned(), Some("N. Fox".to_owned())));
        assert_eq!(shown(add(Some("nightfox"), None)), ("alias".to_owned(), Some("nightfox".to_owned())));
        assert_eq!(shown(add(None, None)), ("none".to_owned(), None));
    }

    #[test]
    fn a_file_of_credits_reads_as_the_help_shows_it() {
        let text =
            "[[credits]]\nperson = \"x\"\nrole = \"reporter\"\nconsent = \"alias\"\nas = \"nightfox\"\n";
        let credits: PutCredits = toml::from_str(text).unwrap();
        assert_eq!(credits.credits[0].shown_as.as_deref(), Some("nightfox"));
        assert!(toml::from_str::<PutCredits>(&text.replace("as =", "name =")).is_err());
    }
}
