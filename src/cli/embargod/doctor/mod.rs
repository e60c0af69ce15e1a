//! `embargod doctor`: everything an installation needs, looked at once, with the cure beside what is wrong.
//!
//! It changes nothing, sends no mail, and runs beside a running server.

mod data;
mod disk;
mod durability;
mod files;
mod people;
mod relay;

use std::process::ExitCode;

use serde::Serialize;

use super::console::{Global, settings};
use super::failure::Failure;
use super::{log, practice, screen};
use crate::app::Refusal;
use crate::clock::Clock;
use crate::config::Config;

/// Arguments of `embargod doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  embargod doctor\n  embargod doctor --json | jq '.[] | select(.level != \"ok\")'\n\n\
    Exit codes: 0 nothing failed (there may be warnings), 1 something failed."
)]
pub(super) struct DoctorArguments {
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// It works, and something should be done.
    Warn,
    /// It does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub level: Level,
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

impl Finding {
    fn ok(text: impl Into<String>) -> Self {
        Self { level: Level::Ok, text: text.into(), cure: None }
    }

    fn warn(text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { level: Level::Warn, text: text.into(), cure: Some(cure.into()) }
    }

    fn fail(text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { level: Level::Fail, text: text.into(), cure: Some(cure.into()) }
    }

    fn failure(failure: &Failure, otherwise: &str) -> Self {
        let (text, cure) = failure.parts();
        Self::fail(text, cure.unwrap_or_else(|| otherwise.to_owned()))
    }
}

/// Looks, shows what was found, and says by the exit code whether something failed.
pub(super) fn run(global: &Global, arguments: &DoctorArguments) -> Result<ExitCode, Failure> {
    let findings = look(global, &Clock::System)?;
    if arguments.json {
        screen::json(&findings);
    } else {
        for finding in &findings {
            let word = match finding.level {
                Level::Ok => "ok",
                Level::Warn => "warn",
                Level::Fail => "FAIL",
            };
            let cure = finding.cure.as_ref().map(|cure| format!("      {cure}")).unwrap_or_default();
            screen::item(word, &format!("{}{cure}", screen::plain(&finding.text)));
        }
    }
    let failed = findings.iter().any(|finding| finding.level == Level::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Looks at everything that can be looked at; what depends on something that failed is left out.
pub(super) fn look(global: &Global, clock: &Clock) -> Result<Vec<Finding>, Failure> {
    let config = match global.load() {
        Ok(config) => config,
        Err(failure) => {
            return Ok(vec![Finding::failure(
                &failure,
                "correct it; see how it is read: embargod config check",
            )]);
        }
    };
    let mut findings = vec![configuration(global, &config)];
    findings.extend(address(&config));
    findings.extend(files::check(global, &config));
    findings.extend(disk::check(&config));
    match data::open(global, &config) {
        Ok((store, opened)) => {
            findings.extend(opened);
            let is_practice = store.read_now(|tx| Ok::<_, Refusal>(tx.is_practice()?))?;
            let now = if is_practice { practice::present(&store, &config.state())? } else { clock.now() };
            findings.extend(data::check(&store, now)?);
            if store.read_now(|tx| Ok::<_, Refusal>(tx.check_key()?)).is_ok() {
                findings.extend(people::check(&store, &config.state(), now)?);
            }
            if is_practice {
                findings
                    .push(Finding::ok("practice, for ever: its clock can be moved and no mail leaves it"));
                if !config.mail_stays_here() {
                    findings.push(Finding::fail(
                        "practice mail would leave this machine",
                        "write kind = \"maildir\" and folder = \"state/mail\" in [mail.relay]",
                    ));
                }
            }
        }
        Err(failure) => findings.push(Finding::failure(&failure, "see [database] in the configuration")),
    }
    findings.push(relay::check(&config)?);
    Ok(findings)
}

fn configuration(global: &Global, config: &Config) -> Finding {
    let usable = settings(config, false).map(drop).and_then(|()| log::filter(&config.log).map(drop));
    match usable {
        Ok(()) => Finding::ok(format!("configuration {}", global.config.display())),
        Err(failure) => Finding::failure(&failure, "correct the configuration"),
    }
}

fn address(config: &Config) -> Option<Finding> {
    let url = &config.server.url;
    (url.starts_with("http://") && !config.url_is_loopback()).then(|| {
        Finding::warn(
            format!("{url} is without TLS: tokens and cookies would cross the network in clear"),
            "put a proxy with TLS in front, and write its https:// address as [server] url",
        )
    })
}
