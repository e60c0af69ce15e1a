//! `embargod token`: who is logged in, and ending it for somebody who cannot.

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use serde::Serialize;

use super::console::{Console, Global};
use super::failure::Failure;
use super::screen::{self, item, say};
use crate::app::Refusal;
use crate::store::{ListedToken, TokenOwner, Tx};

/// Commands about tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Lists the tokens and page sessions that count now.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ends a token on every replica at once; its holder can log in again with the OpenPGP key.
    #[command(after_help = "Example:\n  embargod token list\n  embargod token revoke 7hq2k0c1")]
    Revoke {
        /// The token's id, or the beginning of it.
        id: String,
    },
}

#[derive(Serialize)]
struct Listed {
    id: String,
    holder: String,
    kind: &'static str,
    scopes: String,
    ends_in: String,
    created_at: String,
    expires_at: String,
}

/// Runs a command about tokens.
pub(super) fn run(global: &Global, command: &TokenCommand) -> Result<ExitCode, Failure> {
    let console = Console::open(global)?;
    match command {
        TokenCommand::List { json } => list(&console, *json)?,
        TokenCommand::Revoke { id } => {
            let ended = console.operator().revoke_token(id)?;
            item("ended", &ended);
            console.is_remembered()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(console: &Console, json: bool) -> Result<(), Failure> {
    let now = console.clock.now();
    let listed = console.store.read_now(|tx| {
        let tokens = tx.live_tokens(now)?;
        tokens.into_iter().map(|token| describe(tx, token)).collect::<Result<Vec<_>, Refusal>>()
    })?;
    if json {
        screen::json(&listed);
        return Ok(());
    }
    if listed.is_empty() {
        say("nobody is logged in");
        return Ok(());
    }
    let row = |token: &Listed| {
        vec![
            token.id.clone(),
            token.holder.clone(),
            token.kind.to_owned(),
            format!("…{}", token.ends_in),
            format!("until {}", token.expires_at),
            token.scopes.clone(),
        ]
    };
    say(screen::columns(&listed.iter().map(row).collect::<Vec<_>>()).trim_end());
    Ok(())
}

fn describe(tx: &mut Tx<'_>, token: ListedToken) -> Result<Listed, Refusal> {
    let holder = match &token.owner {
        TokenOwner::Maintainer(id) => {
            tx.maintainers()?.into_iter().find(|person| person.id == *id).map(|person| person.address)
        }
        TokenOwner::Contact(id) => {
            tx.contacts()?.into_iter().find(|contact| contact.id == *id).map(|contact| contact.address)
        }
    };
    let second = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    Ok(Listed {
        id: token.id.to_string(),
        holder: holder.unwrap_or_else(|| "somebody who was removed".to_owned()),
        kind: token.kind.as_str(),
        scopes: token.scopes,
        ends_in: token.last_four,
        created_at: second(token.created_at),
        expires_at: second(token.expires_at),
    })
}
