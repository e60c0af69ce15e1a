//! `embargod certificate`: what an OpenPGP certificate is good for, before anybody depends on it.

use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use serde::Serialize;

use super::failure::Failure;
use super::files;
use super::screen::{self, item, plain};
use crate::clock::Clock;
use crate::openpgp::{Acceptance, Certificate, Trouble};

/// Commands about certificates.
#[derive(Debug, Subcommand)]
pub(super) enum CertificateCommand {
    /// Says whether notices could be encrypted to it now, and what its owner can do if not.
    #[command(after_help = "Examples:\n  \
        embargod certificate inspect debian.asc\n  \
        gpg --armor --export security@debian.example | embargod certificate inspect -\n\n\
        Exit codes: 0 usable, 1 not usable now, 2 the file holds no certificate.")]
    Inspect {
        /// What `gpg --armor --export ADDRESS` prints; `-` for standard input.
        file: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What is said of a certificate.
#[derive(Serialize)]
struct Report {
    usable: bool,
    fingerprint: String,
    algorithm: String,
    user_ids: Vec<String>,
    addresses: Vec<String>,
    expires_at: Option<String>,
    code: Option<&'static str>,
    problem: Option<String>,
    cure: Option<String>,
}

impl Report {
    fn new(certificate: &Certificate, now: DateTime<Utc>) -> Self {
        let trouble = certificate.check(&Acceptance::Strict, now).err();
        let second = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        Self {
            usable: trouble.is_none(),
            fingerprint: certificate.fingerprint(),
            algorithm: certificate.algorithm(),
            user_ids: certificate.user_ids(),
            addresses: certificate.addresses(),
            expires_at: certificate.expires_at(&Acceptance::Strict, now).map(second),
            code: trouble.as_ref().map(Trouble::code),
            problem: trouble.as_ref().map(Trouble::problem),
            cure: trouble.as_ref().and_then(Trouble::cure),
        }
    }

    fn show(&self) {
        item(if self.usable { "ok" } else { "FAIL" }, &format!("{} {}", self.fingerprint, self.algorithm));
        for user_id in &self.user_ids {
            item("for", &plain(user_id));
        }
        match (&self.expires_at, &self.problem) {
            (_, Some(problem)) => item("problem", problem),
            (Some(at), None) => item("until", at),
            (None, None) => item("until", "it never expires"),
        }
        if let Some(cure) = &self.cure {
            item("cure", &format!("{cure}   then export it again"));
        }
        if self.code == Some("sha1-only") {
            item("or", "accept it for a time: embargod packager add … --allow-sha1 DATE --reason WHO_WHY");
        }
    }
}

/// Runs a command about a certificate.
pub(super) fn run(command: &CertificateCommand) -> Result<ExitCode, Failure> {
    let CertificateCommand::Inspect { file, json } = command;
    let certificate = match Certificate::parse(&files::read(file)?) {
        Ok(certificate) => certificate,
        Err(error) => {
            if *json {
                let text = error.to_string();
                screen::json(&serde_json::json!({"usable": false, "code": error.code(), "problem": text}));
            } else {
                item("FAIL", &error.to_string());
            }
            return Ok(ExitCode::from(2));
        }
    };
    let report = Report::new(&certificate, Clock::System.now());
    if *json {
        screen::json(&report);
    } else {
        report.show();
    }
    Ok(if report.usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
