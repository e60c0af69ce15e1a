//! `embargod doctor`: everything an installation needs, looked at once, with the cure beside what is wrong.
//!
//! It changes nothing, sends no mail unless it is asked to, and runs beside a running server.

mod data;
mod disk;
mod durability;
mod files;
mod people;
mod relay;
mod test_mail;

use std::process::ExitCode;

use serde::Serialize;

use super::console::{Global, settings};
use super::failure::Failure;
use super::{log, practice, screen};
use crate::app::Refusal;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::address::Address;

/// Arguments of `embargod doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  embargod doctor\n  embargod doctor --mail\n  embargod doctor --mail ada@upstream.example\n  embargod doctor --json | jq '.[] | select(.level != \"ok\")'\n\n\
    Exit codes: 0 nothing failed (there may be warnings), 1 something failed."
)]
pub(super) struct DoctorArguments {
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// Also send a test mail through the relay: to ADDRESS, or to every maintainer if none is named.
    #[arg(long, value_name = "ADDRESS", num_args = 0..)]
    pub mail: Option<Vec<Address>>,
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
    let findings = look(global, &Clock::System, arguments.mail.as_deref())?;
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

/// Looks at everything that can be looked at; what depends on something that failed is left out. With `mail`
/// test mails go to the addresses in it, or to every maintainer if it is empty.
pub(super) fn look(
    global: &Global,
    clock: &Clock,
    mail: Option<&[Address]>,
) -> Result<Vec<Finding>, Failure> {
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
    let mut recipients = mail.unwrap_or_default().to_vec();
    let mut opened_as = None;
    findings.extend(address(&config));
    findings.extend(numbers(&config));
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
                if mail.is_some_and(<[_]>::is_empty) {
                    recipients = people::addresses_of_maintainers(&store)?;
                }
            }
            // Practice mail must not leave this machine, and neither must what nobody knows to be real.
            opened_as = (!is_practice || config.mail_stays_here()).then_some((is_practice, now));
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
    let relay = relay::check(&config)?;
    let reached = relay.level != Level::Fail;
    findings.push(relay);
    if let (Some((practice, now)), true, true) = (opened_as, reached, mail.is_some()) {
        findings.extend(test_mail::send(&config, recipients, practice, now)?);
    }
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

fn numbers(config: &Config) -> Option<Finding> {
    let listen = config.metrics.listen.filter(|listen| !listen.ip().is_loopback())?;
    Some(Finding::warn(
        format!(
            "[metrics] listen = \"{listen}\" is open to a network: whoever reads it learns that something is embargoed"
        ),
        "listen on 127.0.0.1, or let nobody but the monitoring reach it",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_a_network_can_reach_are_warned_of_and_those_of_this_machine_are_not() {
        let mut config = Config::parse(&crate::config::reference::text(), "embargod.toml".as_ref()).unwrap();
        let mut warned = |listen: Option<&str>| {
            config.metrics.listen = listen.map(|listen| listen.parse().unwrap());
            numbers(&config).is_some_and(|finding| finding.level == Level::Warn)
        };
        assert_eq!([None, Some("127.0.0.1:9187"), Some("[::1]:9187")].map(&mut warned), [false; 3]);
        assert_eq!([Some("0.0.0.0:9187"), Some("10.0.0.7:9187")].map(&mut warned), [true; 2]);
    }
}
