//! `embargod audit`: whether the log of changes and reads is whole.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::console::{Console, Global};
use super::failure::Failure;
use super::screen;
use crate::app::Refusal;

/// Commands about the audit log.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Follows the chain of hashes from the first entry to the last; 1 if it is broken.
    #[command(after_help = "Examples:\n  embargod audit verify\n  embargod audit verify --json\n\n\
        The chain shows that no entry was changed, moved or removed since it was written. Note the number of \
        entries elsewhere from time to time: somebody who owns the whole database could write a new chain.")]
    Verify {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a command about the audit log.
pub(super) fn run(global: &Global, command: &AuditCommand) -> Result<ExitCode, Failure> {
    let AuditCommand::Verify { json } = command;
    let verdict = Console::open(global)?.store.read_now(|tx| Ok::<_, Refusal>(tx.verify_audit()?))?;
    match &verdict {
        Ok(entries) if *json => screen::json(&json!({"whole": true, "entries": entries})),
        Err(fault) if *json => screen::json(&json!({"whole": false, "fault": fault.to_string()})),
        Ok(entries) => screen::item("ok", &format!("{entries} entries, the chain is whole")),
        Err(fault) => {
            screen::item("FAIL", &fault.to_string());
            screen::item("cure", "keep this database as it is, and compare it with a backup from before");
        }
    }
    Ok(if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
