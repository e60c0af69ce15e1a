//! `embargoctl`: what maintainers and packagers type.
//!
//! A command reads its arguments, asks the [`client`](crate::client), and shows what came back: for people
//! in aligned columns, with `--json` as the API has it. It promises that nothing is changed that was not
//! typed or confirmed, and that what others wrote cannot act on a terminal. It decides nothing about
//! embargoes: the server does.

mod answers;
mod arguments;
mod changes;
mod context;
mod credits;
mod error;
mod files;
mod fixes;
mod ghsa;
mod login;
mod pages;
mod pull;
mod reads;
mod render;
mod report;
mod text;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use super::inspection::{self, InspectArguments};
use crate::clock::Clock;
use arguments::{Arguments, Certificate, Command};
use context::Context;
use error::CliError;
use report::Report;

/// Runs the command line; the exit code says what went wrong, as `--help` explains.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.global.json;
    if let Command::Certificate(Certificate::Inspect(inspect)) = &arguments.command {
        return certificate(inspect, json);
    }
    match execute(arguments) {
        Ok(report) => show(&report, json),
        Err(error) => {
            context::say(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

/// Needs no server and no profile.
fn certificate(arguments: &InspectArguments, json: bool) -> ExitCode {
    match inspection::inspect(arguments, json, Clock::System.now()) {
        Ok(said) => {
            let _ = std::io::stdout().write_all(said.text.as_bytes());
            ExitCode::from(said.code)
        }
        Err(source) => {
            let error = CliError::Read { path: arguments.file().to_owned(), source };
            context::say(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

fn show(report: &Report, json: bool) -> ExitCode {
    let text = if json { format!("{:#}\n", report.json) } else { report.text.clone() };
    let mut screen = std::io::stdout();
    match screen.write_all(text.as_bytes()).and_then(|()| screen.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(2),
    }
}

fn execute(arguments: Arguments) -> Result<Report, CliError> {
    match &arguments.command {
        Command::Manual(manual) => return pages::manual(manual),
        Command::Completions(completions) => return Ok(pages::completions(completions)),
        _ => {}
    }
    let context = Context::of_user(arguments.global)?;
    match arguments.command {
        Command::Login(login) => login::login(&context, &login),
        Command::Apply(apply) => login::apply(&context, &apply),
        Command::Logout => login::logout(&context),
        Command::List => reads::list(&context),
        Command::Show { id } => reads::show(&context, &id),
        Command::Dates { id, at } => reads::dates(&context, &id, at.as_deref()),
        Command::Deliveries { id } => reads::deliveries(&context, &id),
        Command::Audit { id } => reads::audit(&context, &id),
        Command::Open(open) => changes::open(&context, &open),
        Command::Edit(edit) => text::edit(&context, &edit),
        Command::Fix(fix) => fixes::fix(&context, &fix),
        Command::Credit(credit) => credits::credit(&context, &credit),
        Command::Audience { id, packagers } => changes::audience(&context, &id, packagers),
        Command::Schedule { id, when, reason } => changes::schedule(&context, &id, when, reason),
        Command::Send { id, reason, now } => changes::send(&context, &id, reason, now),
        Command::Cancel { id, reason } => changes::cancel(&context, &id, reason),
        Command::LiftEarly(lift) => changes::lift_early(&context, lift),
        Command::Pull(pull) => pull::pull(&context, &pull),
        Command::Receipt { id, code, revision } => answers::receipt(&context, &id, code, revision),
        Command::Impact { id, impact, code } => answers::impact(&context, &id, impact, code),
        // Answered before there was a context.
        Command::Certificate(_) | Command::Manual(_) | Command::Completions(_) => {
            Ok(Report::new(String::new(), &()))
        }
        Command::Progress { id, progress, code } => answers::progress(&context, &id, progress, code),
    }
}
