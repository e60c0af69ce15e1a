//! `embargod audit`: whether the log of changes and reads is whole, here or in a file that left the server.

use std::fs::OpenOptions;
use std::io::{BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::console::{Console, Global};
use super::failure::Failure;
use super::{files, screen};
use crate::app::audit::{self, ExportError, Whole};
use crate::app::installation::load_server_key;
use crate::openpgp::Certificate;
use crate::store::ChainFault;

/// Commands about the audit log.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Follows the chain of hashes from the first entry to the last; 1 if it is broken.
    #[command(after_help = "Examples:\n  embargod audit verify\n  embargod audit verify --json\n  \
        embargod audit verify --file audit.jsonl --certificate server.asc\n\n\
        The chain shows that no entry was changed, moved or removed. Somebody who owns the whole database could \
        write a new chain: it would not fit the checkpoints that the server signs every 1000 entries or 10 \
        minutes, nor the file `anchor` in the state directory. Keep a copy of that file, or of an export, \
        elsewhere from time to time.\n\n\
        Exit codes: 0 the log is whole, 1 it is broken or cannot be read.")]
    Verify {
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// Checks a file that `embargod audit export` wrote, without any installation; `-` for standard input.
        #[arg(long, value_name = "FILE", requires = "certificate")]
        file: Option<PathBuf>,
        /// The server's certificate, as /key.asc gave it when you began to trust it.
        #[arg(long, value_name = "FILE", requires = "file")]
        certificate: Option<PathBuf>,
    },
    /// Writes the whole log into a file that can be checked elsewhere; details in it stay sealed.
    #[command(after_help = "Examples:\n  embargod audit export audit.jsonl\n  \
        embargod audit export - | gzip > audit.jsonl.gz\n\n\
        The file holds opaque ids and instants, no names and no content, and the server's signature over its end.")]
    Export {
        /// A new file; `-` for standard output.
        file: PathBuf,
    },
}

/// Runs a command about the audit log.
pub(super) fn run(global: &Global, command: &AuditCommand) -> Result<ExitCode, Failure> {
    match command {
        AuditCommand::Verify { json, file: Some(file), certificate: Some(certificate) } => {
            Ok(show(&verify_file(file, certificate)?, *json))
        }
        AuditCommand::Verify { json, .. } => {
            let console = Console::open(global)?;
            let state = console.config.state();
            Ok(show(&audit::verify(&console.store, Some(&state))?, *json))
        }
        AuditCommand::Export { file } => export(global, file),
    }
}

fn verify_file(file: &Path, certificate: &Path) -> Result<Result<Whole, ChainFault>, Failure> {
    let bytes = files::read(certificate)?;
    let certificate = Certificate::parse(&bytes).map_err(|error| {
        Failure::unfit(
            format!("{} is no certificate: {error}", certificate.display()),
            "get the server's certificate from its /key.asc",
        )
    })?;
    let verdict = if file == Path::new("-") {
        audit::verify_file(std::io::stdin().lock(), &certificate)
    } else {
        let opened = std::fs::File::open(file).map_err(Failure::file(file, "read"))?;
        audit::verify_file(BufReader::new(opened), &certificate)
    };
    verdict.map_err(unfit)
}

fn unfit(error: ExportError) -> Failure {
    match error {
        ExportError::Refused(refusal) => refusal.into(),
        other => Failure::unfit(other.to_string(), "name a file that `embargod audit export` wrote"),
    }
}

fn show(verdict: &Result<Whole, ChainFault>, json: bool) -> ExitCode {
    match verdict {
        Ok(whole) if json => screen::json(&json!({
            "whole": true, "entries": whole.entries, "confirmed": whole.confirmed, "checkpoints": whole.checkpoints,
            "anchored": whole.anchored,
        })),
        Err(fault) if json => {
            screen::json(&json!({"whole": false, "entry": fault.entry(), "fault": fault.to_string()}));
        }
        Ok(Whole { entries, confirmed, checkpoints, anchored }) => {
            screen::item("ok", &format!("{entries} entries, the chain is whole"));
            screen::item("signed", &format!("up to entry {confirmed}, {checkpoints} checkpoints agree"));
            if !anchored {
                screen::item(
                    "WARN",
                    "there is no anchor in the state directory: a log whose end was cut off, together with its checkpoints, \
                     would look like this one. A server that runs writes one; compare with an export if this one did",
                );
            }
        }
        Err(fault) => {
            screen::item("FAIL", &fault.to_string());
            screen::item("cure", "keep this database as it is, and compare it with a backup from before");
        }
    }
    if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn export(global: &Global, file: &Path) -> Result<ExitCode, Failure> {
    let console = Console::open(global)?;
    let server = load_server_key(&console.store)?.ok_or_else(|| {
        Failure::unfit("there is no server key to sign the export with", "see what is wrong: embargod doctor")
    })?;
    let now = console.clock.now();
    if file == Path::new("-") {
        let mut screen = BufWriter::new(std::io::stdout().lock());
        audit::export(&console.store, &server, now, &mut screen).map_err(unfit)?;
        screen.flush().map_err(Failure::file(file, "written"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let mut writer = BufWriter::new(opened.map_err(Failure::file(file, "made"))?);
    let entries = audit::export(&console.store, &server, now, &mut writer).map_err(unfit)?;
    let written = writer.into_inner().map_err(std::io::IntoInnerError::into_error);
    written.and_then(|file| file.sync_all()).map_err(Failure::file(file, "written"))?;
    screen::item("wrote", &format!("{}: {entries} entries, signed up to the last", file.display()));
    Ok(ExitCode::SUCCESS)
}
