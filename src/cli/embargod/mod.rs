//! `embargod`: what the operator types.
//!
//! A command reads its arguments, asks the use cases, and shows what came of it: for people in lines, for
//! programs as JSON where it is data. It promises that `--help` shows how a thing is done, that a refusal says
//! what to do next, and that the exit code means something: 0 it is done, 1 it was refused or failed, 2 the
//! command line was wrong. It decides nothing about embargoes.

mod alone;
mod applications;
mod audit;
mod backup;
mod certificate;
mod configuration;
mod console;
mod copy;
mod demo;
mod doctor;
mod failure;
mod files;
mod fix;
mod founding;
mod hold;
mod init;
mod invitation;
mod key;
mod log;
mod migrate;
mod packager;
mod pages;
mod practice;
mod project;
mod relay_address;
mod restore;
mod screen;
mod serve;
mod template;
#[cfg(test)]
mod tests;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::manual::{CompletionsArguments, ManualArguments};
use console::Global;
use failure::Failure;

/// Holds security fixes under embargo, tells every approved packager in time, and lifts by itself.
#[derive(Debug, Parser)]
#[command(
    name = "embargod",
    version,
    propagate_version = true,
    max_term_width = 110,
    after_long_help = "The first hour:\n  \
        embargod demo         a week in a few seconds, in a place of its own\n  \
        embargod init --project requests --preset requests --maintainer me.asc\n  \
        embargod doctor\n  \
        embargod packager add debian --contact security@debian.example --project requests\n  \
        embargod serve\n\n\
        Exit codes: 0 done, 1 refused or failed, 2 the command line is wrong."
)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a new installation in a directory: configuration, database, keys, one project.
    Init(init::InitArguments),
    /// Answers over HTTP, sends mail, and lifts, until it is told to stop.
    Serve(serve::ServeArguments),
    /// Looks at everything an installation needs and says how to mend what is wrong.
    Doctor(doctor::DoctorArguments),
    /// Adds and lists projects, and adds and removes who decides for them.
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Adds, lists and removes packagers, and answers their applications.
    #[command(subcommand)]
    Packager(packager::PackagerCommand),
    /// Brings the database up to this version; needed on PostgreSQL, where replicas share it.
    #[command(
        after_help = "Stop no replica for it. SQLite needs it never: `embargod serve` does it by itself."
    )]
    Migrate,
    /// Lists who is logged in, and ends a token.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Stops lifts, announcements and mail, and lets them go on.
    #[command(subcommand)]
    Hold(hold::HoldCommand),
    /// Replaces, proves and deletes the keys that protect what lies at rest.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Checks the log of changes and reads.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Writes everything the database holds into a file, encrypted to people, while the server works.
    Backup(backup::BackupArguments),
    /// Puts a backup into an empty database, shows what would happen, and goes on at the operator's word.
    Restore(restore::RestoreArguments),
    /// Copies the installation into another database: from SQLite to PostgreSQL, or back.
    Copy(copy::CopyArguments),
    /// Looks at an OpenPGP certificate before anybody depends on it, and ends the use of one.
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
    /// Looks at a patch series as packagers will.
    #[command(subcommand)]
    Fix(fix::FixCommand),
    /// Checks and shows the configuration.
    #[command(subcommand)]
    Config(configuration::ConfigCommand),
    /// Reads and moves the clock of a practice installation.
    #[command(subcommand)]
    Practice(practice::PracticeCommand),
    /// Plays a week of an embargo in a few seconds, with a real server, real mail and real keys.
    Demo(demo::DemoArguments),
    /// Prints the manual page, or writes one for each command.
    #[command(after_help = "Examples:\n  embargod manual | man --local-file -\n  \
        embargod manual --directory /usr/local/share/man/man1")]
    Manual(ManualArguments),
    /// Prints what a shell reads to complete commands and options.
    #[command(after_help = "Examples:\n  \
        embargod completions bash > /usr/share/bash-completion/completions/embargod\n  \
        embargod completions zsh > ~/.zfunc/_embargod\n  \
        embargod completions fish > ~/.config/fish/completions/embargod.fish")]
    Completions(CompletionsArguments),
}

/// Runs the command line.
pub fn run() -> ExitCode {
    let Arguments { global, command } = Arguments::parse();
    match execute(&global, command) {
        Ok(code) => code,
        Err(failure) => {
            screen::complain(&failure);
            ExitCode::FAILURE
        }
    }
}

fn execute(global: &Global, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Init(arguments) => init::run(&arguments),
        Command::Serve(arguments) => serve::run(global, &arguments),
        Command::Doctor(arguments) => doctor::run(global, &arguments),
        Command::Project(command) => project::run(global, command),
        Command::Packager(command) => packager::run(global, command),
        Command::Migrate => migrate::run(global),
        Command::Token(command) => token::run(global, &command),
        Command::Hold(command) => hold::run(global, &command),
        Command::Key(command) => key::run(global, &command),
        Command::Audit(command) => audit::run(global, &command),
        Command::Backup(arguments) => backup::run(global, &arguments),
        Command::Restore(arguments) => restore::run(global, &arguments),
        Command::Copy(arguments) => copy::run(global, &arguments),
        Command::Certificate(command) => certificate::run(global, &command),
        Command::Fix(command) => fix::run(&command),
        Command::Config(command) => configuration::run(global, &command),
        Command::Practice(command) => practice::run(global, &command),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Manual(arguments) => pages::manual(&arguments),
        Command::Completions(arguments) => Ok(pages::completions(&arguments)),
    }
}
