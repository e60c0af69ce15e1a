//! `embargod fix`: what packagers and `git am` will find in a patch series.
//!
//! The file's own words are shown to whoever has the file already, and go nowhere else.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::failure::Failure;
use super::files;
use super::screen::{self, item, plain};
use crate::domain::fix::{Fix, FixFacts, PatchFacts};

/// Commands about patch series.
#[derive(Debug, Subcommand)]
pub(super) enum FixCommand {
    /// Reads it as the server would; 1 if it would be refused.
    #[command(after_help = "Examples:\n  \
        git format-patch --stdout --base=v2.31.0 v2.31.0.. > fix.mbox && embargod fix inspect fix.mbox\n  \
        embargod fix inspect --json fix.mbox\n\n\
        Nothing is stored or sent.")]
    Inspect {
        /// An mbox of `git format-patch`, one mail, or a diff; `-` for standard input.
        file: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a command about a patch series.
pub(super) fn run(command: &FixCommand) -> Result<ExitCode, Failure> {
    let FixCommand::Inspect { file, json } = command;
    match Fix::parse(files::read(file)?) {
        Ok(fix) => {
            if *json {
                screen::json(fix.facts());
            } else {
                show(fix.facts());
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            if *json {
                screen::json(&json!({"refused": error.to_string(), "code": error.code()}));
            } else {
                item("refused", &error.to_string());
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

fn show(facts: &FixFacts) {
    let base = facts.base_commit.as_deref().map(|base| format!(" · base {base}")).unwrap_or_default();
    item("ok", &format!("{} · {} bytes{base}", counted(facts.patches.len(), "patch", "patches"), facts.size));
    for (patch, number) in facts.patches.iter().zip(1..) {
        show_patch(number, patch);
    }
    for remark in &facts.remarks {
        item("warn", &remark.sentence);
    }
}

fn show_patch(number: usize, patch: &PatchFacts) {
    item(&format!("{number}"), &plain(patch.subject.as_deref().unwrap_or("(no subject)")));
    let id = patch.patch_id.as_ref().map(|id| format!(" · patch-id {id}")).unwrap_or_default();
    item(
        "",
        &format!("{} · +{} -{}{id}", counted(patch.files.len(), "file", "files"), patch.added, patch.removed),
    );
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
