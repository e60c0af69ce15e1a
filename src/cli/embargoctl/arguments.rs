//! What can be typed, and the help that teaches it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::inspection::InspectArguments;
use crate::cli::manual::{CompletionsArguments, ManualArguments};
use crate::client::ProgramKind;

/// Works with embargoes on an embargod server: reads by token, changes by commands that your own gpg or sq
/// signs and encrypts.
///
/// IDs may be shortened (b7k2) as long as they stay unambiguous. Times are RFC 3339, or civil time in the
/// project's zone ("2026-11-24 15:00").
///
/// Exit codes: 1 refused, 2 usage, 3 not logged in or token expired, 4 server or network unreachable,
/// 5 trouble with gpg or sq.
#[derive(Debug, Parser)]
#[command(
    name = "embargoctl",
    version,
    after_help = "First steps:\n  embargoctl login https://embargo.project.example\n  embargoctl list\n  embargoctl pull b7k2          (packagers)\n  embargoctl open \"Session leaks credentials\" --project requests          (maintainers)"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub(super) struct Global {
    /// Prints JSON, as the API has it
    #[arg(long, global = true)]
    pub json: bool,
    /// The server; without it, that of the last login
    #[arg(long, global = true, value_name = "URL", env = "EMBARGOCTL_SERVER")]
    pub server: Option<String>,
    /// The profile; without it, that of the server or of the last login
    #[arg(long, global = true, value_name = "NAME", env = "EMBARGOCTL_PROFILE")]
    pub profile: Option<String>,
    /// The program that holds your key; without it, that of the login
    #[arg(long, global = true, value_name = "PROGRAM")]
    pub program: Option<Program>,
    /// gpg's home directory, if it is not the usual one
    #[arg(long, global = true, value_name = "DIR")]
    pub gnupg_home: Option<PathBuf>,
    /// The file with your secret key; only sq needs it
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Program {
    /// gpg 2.2 or newer
    Gpg,
    /// Sequoia's sq, version 0.27
    Sq,
}

impl From<Program> for ProgramKind {
    fn from(program: Program) -> Self {
        match program {
            Program::Gpg => Self::Gpg,
            Program::Sq => Self::Sq,
        }
    }
}

/// Commands about certificates.
#[derive(Debug, Subcommand)]
pub(super) enum Certificate {
    /// Say whether notices could be encrypted to it now, and what its owner can do if not
    Inspect(InspectArguments),
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Log in with your OpenPGP key: no password, the server sends a challenge that only your key opens
    #[command(
        after_help = "Example:\n  embargoctl login https://embargo.requests.example --key security@debian.example"
    )]
    Login(Login),
    /// Ask to be told ahead, as a packager whom the server does not know yet; a person decides
    #[command(
        after_help = "Example:\n  embargoctl apply https://embargo.requests.example --contact security@debian.example \\\n    --name Debian --project requests --about \"Debian security team; we ship python3-requests\"\n\nThe server sends a challenge that only your key opens, so nobody applies in your name."
    )]
    Apply(Apply),
    /// Forget the token; the server's pinned key stays known
    #[command(after_help = "Example:\n  embargoctl logout")]
    Logout,
    /// Show all embargoes you may know of
    #[command(after_help = "Example:\n  embargoctl list")]
    List,
    /// Show one embargo: stage, date, fixes, and who was told
    #[command(after_help = "Example:\n  embargoctl show b7k2")]
    Show { id: String },
    /// Open an embargo (maintainers)
    #[command(
        after_help = "Examples:\n  embargoctl open \"Session leaks credentials\" --project requests\n  gh api repos/OWNER/REPO/security-advisories/GHSA-xxxx-xxxx-xxxx > ghsa.json && embargoctl open --from ghsa.json"
    )]
    Open(Open),
    /// Edit the text in your editor ($VISUAL, $EDITOR); shows the difference before it is sent
    #[command(
        after_help = "Examples:\n  embargoctl edit b7k2\n  embargoctl edit b7k2 --file text.toml --yes"
    )]
    Edit(Edit),
    /// Put, waive or remove the fix of a branch
    #[command(subcommand)]
    Fix(Fix),
    /// Say who is thanked, and under which name
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  embargoctl credit b7k2 --file credits.toml\n  embargoctl credit add b7k2 --person \"nightfox <fox@mail.example>\" --role reporter --alias nightfox\n\ncredits.toml:\n  [[credits]]\n  person = \"nightfox <fox@mail.example>\"\n  role = \"reporter\"\n  consent = \"alias\"\n  as = \"nightfox\""
    )]
    Credit(Credit),
    /// Set which packagers are told
    #[command(after_help = "Example:\n  embargoctl audience b7k2 debian red-hat alpine")]
    Audience {
        id: String,
        /// Short names of approved packagers; the list replaces the old one
        #[arg(required = true, value_name = "PACKAGER")]
        packagers: Vec<String>,
    },
    /// Show legal dates, and why others are not
    #[command(
        after_help = "Examples:\n  embargoctl dates b7k2\n  embargoctl dates b7k2 --at \"2026-11-26 15:00\""
    )]
    Dates {
        id: String,
        /// Explains this instant, rule by rule
        #[arg(long, value_name = "WHEN")]
        at: Option<String>,
    },
    /// Set or move the date
    #[command(after_help = "Example:\n  embargoctl schedule b7k2 2026-11-24T15:00Z")]
    Schedule {
        id: String,
        /// RFC 3339, or civil time in the project's zone
        #[arg(value_name = "WHEN")]
        when: String,
        /// Why it moves; packagers read it
        #[arg(long)]
        reason: Option<String>,
    },
    /// Freeze the fixes as a revision, and send it when due
    #[command(
        after_help = "Examples:\n  embargoctl send b7k2\n  embargoctl send b7k2 --reason \"the 2.x patch missed a hunk\""
    )]
    Send {
        id: String,
        /// What changed; packagers read it. Needed from revision 2 on
        #[arg(long)]
        reason: Option<String>,
        /// Sends revision 1 now instead of at its notice time
        #[arg(long)]
        now: bool,
    },
    /// End the embargo without publishing a fix
    #[command(after_help = "Example:\n  embargoctl cancel b7k2 --reason \"it is not a vulnerability\"")]
    Cancel {
        id: String,
        /// Why; packagers who were told read it
        #[arg(long)]
        reason: String,
    },
    /// Publish before the agreed date, because it leaked or is exploited
    #[command(
        after_help = "Example:\n  embargoctl lift-early b7k2 --reason \"posted to a public list at 09:40\""
    )]
    LiftEarly(LiftEarly),
    /// Show who was told what, when, and what they said
    #[command(after_help = "Example:\n  embargoctl deliveries b7k2")]
    Deliveries { id: String },
    /// Show what was done, by whom
    #[command(after_help = "Example:\n  embargoctl audit b7k2")]
    Audit { id: String },
    /// Fetch notice and fixes, check the server's signature, and give the receipt (packagers)
    #[command(
        after_help = "Examples:\n  embargoctl pull b7k2\n  embargoctl pull b7k2 --git --output ../fixes\n  embargoctl pull b7k2 --debian --branch 2.x          (in the unpacked source package)"
    )]
    Pull(Pull),
    /// Look at an OpenPGP certificate before anybody depends on it; asks no server
    #[command(subcommand, after_help = "Example:\n  embargoctl certificate inspect debian.asc")]
    Certificate(Certificate),
    /// Say that you have read a notice
    #[command(after_help = "Example:\n  embargoctl receipt b7k2 7Q4-K2M")]
    Receipt {
        id: String,
        /// The receipt code inside the notice
        code: String,
        /// The revision; without it, the newest
        #[arg(long, value_name = "N")]
        revision: Option<u32>,
    },
    /// Say whether you ship what is affected
    #[command(after_help = "Example:\n  embargoctl impact b7k2 affected")]
    Impact {
        id: String,
        impact: Impact,
        /// The receipt code; without it, the notice is fetched and read
        #[arg(long)]
        code: Option<String>,
    },
    /// Say how far your build is
    #[command(after_help = "Example:\n  embargoctl progress b7k2 building")]
    Progress {
        id: String,
        progress: Progress,
        /// The receipt code; without it, the notice is fetched and read
        #[arg(long)]
        code: Option<String>,
    },
    /// Print the manual page, or write one for each command
    #[command(
        after_help = "Examples:\n  embargoctl manual | man --local-file -\n  embargoctl manual --directory ~/.local/share/man/man1"
    )]
    Manual(ManualArguments),
    /// Print what a shell reads to complete commands and options
    #[command(
        after_help = "Examples:\n  embargoctl completions bash > ~/.local/share/bash-completion/completions/embargoctl\n  embargoctl completions zsh > ~/.zfunc/_embargoctl\n  embargoctl completions fish > ~/.config/fish/completions/embargoctl.fish"
    )]
    Completions(CompletionsArguments),
}

/// Which key is one's own, and which is the server's.
#[derive(Debug, Args)]
pub(super) struct Keys {
    /// A file with your certificate
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub certificate: Option<PathBuf>,
    /// Fingerprint, key id or address of your key
    #[arg(long, value_name = "FPR")]
    pub key: Option<String>,
    /// The fingerprint that the server's key must have; replaces the pinned one
    #[arg(long, value_name = "FPR")]
    pub server_fingerprint: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Login {
    /// The server's address; without it, that of the last login
    #[arg(value_name = "SERVER")]
    pub address: Option<String>,
    #[command(flatten)]
    pub keys: Keys,
}

#[derive(Debug, Args)]
pub(super) struct Apply {
    /// The server's address
    #[arg(value_name = "SERVER")]
    pub address: String,
    /// What your organisation is called
    #[arg(long)]
    pub name: String,
    /// Where your mail is to go: an address of your key
    #[arg(long, value_name = "ADDRESS")]
    pub contact: String,
    /// A project that you ship; repeat it for more
    #[arg(long = "project", required = true, value_name = "SLUG")]
    pub projects: Vec<String>,
    /// Who you are and what you ship, for the person who decides
    #[arg(long, default_value = "")]
    pub about: String,
    #[command(flatten)]
    pub keys: Keys,
}

#[derive(Debug, Args)]
pub(super) struct Open {
    /// One line that names the vulnerability
    #[arg(required_unless_present = "from")]
    pub title: Option<String>,
    /// A draft advisory as `gh api` prints it; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "title")]
    pub from: Option<PathBuf>,
    /// The project's short name; without it, the one you worked on last
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Edit {
    pub id: String,
    /// Takes the text from a file instead of your editor; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Does not ask
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Fix {
    /// Upload the patch series for a branch, signed by you
    #[command(
        after_help = "Example:\n  git format-patch --base=v2.31.0 v2.31.0..fix-2.31\n  embargoctl fix put b7k2 --branch 2.31.x 0001-*.patch"
    )]
    Put {
        id: String,
        #[arg(long)]
        branch: String,
        /// Files of git format-patch, joined in this order; - reads standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Record that a supported branch gets no fix
    #[command(
        after_help = "Example:\n  embargoctl fix waive b7k2 --branch 1.x --reason \"support ends next week\""
    )]
    Waive {
        id: String,
        #[arg(long)]
        branch: String,
        #[arg(long)]
        reason: String,
    },
    /// Take back a branch's fix or waiver
    #[command(after_help = "Example:\n  embargoctl fix remove b7k2 --branch 1.x")]
    Remove {
        id: String,
        #[arg(long)]
        branch: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Credit {
    #[command(subcommand)]
    pub add: Option<CreditCommand>,
    #[arg(required = true)]
    pub id: Option<String>,
    /// A TOML file; replaces the whole list
    #[arg(long, required = true, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum CreditCommand {
    /// Add one person to the list
    #[command(
        after_help = "Example:\n  embargoctl credit add b7k2 --person \"nightfox <fox@mail.example>\" --role reporter --alias nightfox"
    )]
    Add(CreditAdd),
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("consent").required(true))]
pub(super) struct CreditAdd {
    pub id: String,
    /// Who it is; never published
    #[arg(long)]
    pub person: String,
    /// What the person did
    #[arg(long)]
    pub role: Role,
    /// The person agreed to be thanked under this alias
    #[arg(long, group = "consent")]
    pub alias: Option<String>,
    /// The person agreed to be thanked by name; without a value, the name in --person
    #[arg(long, group = "consent", num_args = 0..=1, default_missing_value = "", value_name = "NAME")]
    pub name: Option<String>,
    /// The person does not want to be named, or was not asked yet
    #[arg(long, group = "consent")]
    pub no_consent: bool,
}

#[derive(Debug, Args)]
pub(super) struct LiftEarly {
    pub id: String,
    /// What happened: a leak, exploitation, a publication elsewhere
    #[arg(long)]
    pub reason: String,
    /// When; without it, now
    #[arg(long, value_name = "WHEN")]
    pub at: Option<String>,
    /// Does not ask
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct Pull {
    pub id: String,
    /// The revision; without it, the newest
    #[arg(long, value_name = "N")]
    pub revision: Option<u32>,
    /// Where to write; without it, a new directory named after the embargo, or debian/patches
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Shows the git command that applies each file
    #[arg(long, conflicts_with = "debian")]
    pub git: bool,
    /// Writes one file per patch into debian/patches, adds them to its series, and puts the notice beside the
    /// package
    #[arg(long)]
    pub debian: bool,
    /// Only the fix of this branch
    #[arg(long)]
    pub branch: Option<String>,
    /// Does not give the receipt
    #[arg(long)]
    pub no_receipt: bool,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, ValueEnum)]
        pub(super) enum $name { $($variant,)* }

        impl $name {
            /// The word that the API uses.
            pub(super) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

words!(Impact { Affected = "affected", NotAffected = "not-affected", Unknown = "unknown", });
words!(Progress { None = "none", Building = "building", Ready = "ready", Published = "published", });
words!(Role {
    Finder = "finder",
    Reporter = "reporter",
    RemediationDeveloper = "remediation-developer",
    RemediationReviewer = "remediation-reviewer",
    RemediationVerifier = "remediation-verifier",
    Coordinator = "coordinator",
    Other = "other",
});

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn every_command_has_a_manual_page_that_says_everything() {
        crate::cli::manual::tests::check::<Arguments>(&crate::cli::embargoctl::pages::BOOK);
    }

    #[test]
    fn every_command_has_an_example() {
        let mut command = Arguments::command();
        command.build();
        command.clone().debug_assert();
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help" && sub.get_name() != "fix")
        {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("embargoctl {}", sub.get_name())), "{}", sub.get_name());
        }
    }

    #[test]
    fn a_credit_needs_one_decision_about_consent_and_only_one() {
        let add = "embargoctl credit add b7k2 --person x --role finder";
        assert!(parse(add).is_err());
        assert!(parse(&format!("{add} --alias a --no-consent")).is_err());
        assert!(parse(&format!("{add} --name")).is_ok());
        assert!(parse("embargoctl credit b7k2 --file credits.toml").is_ok());
        assert!(parse("embargoctl credit b7k2").is_err());
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let arguments = parse("embargoctl list --json --program sq").unwrap();
        assert!(arguments.global.json && matches!(arguments.global.program, Some(Program::Sq)));
        assert!(parse("embargoctl open").is_err());
        assert!(parse("embargoctl open title --from x").is_err());
    }
}
