//! `embargod manual` and `embargod completions`.

use std::process::ExitCode;

use super::failure::Failure;
use super::{Arguments, screen};
use crate::cli::manual::{self, Book, CompletionsArguments, ManualArguments};

/// What the pages say beyond `--help`.
pub(super) const BOOK: Book = Book {
    exits: &[
        ("0", "done"),
        ("1", "refused or failed; standard error says why and what to do"),
        ("2", "the command line is wrong"),
    ],
    files: &[
        ("embargod.toml", "the configuration; `embargod config reference` prints every key"),
        ("state/", "database, keys, recovery files; for the server's user alone"),
        ("state/kek", "the key-encryption key, which opens the database"),
    ],
    variables: &[(
        "CREDENTIALS_DIRECTORY",
        "a folder with secrets from the service manager: kek, relay-password, database-url come before the files \
         that the configuration names",
    )],
    other: "embargoctl",
};

/// Shows or writes the manual pages.
pub(super) fn manual(arguments: &ManualArguments) -> Result<ExitCode, Failure> {
    let pages = manual::pages::<Arguments>(&BOOK).map_err(Failure::system("memory for the pages"))?;
    let directory = arguments.directory.as_deref();
    let shown = directory.unwrap_or_else(|| "-".as_ref());
    let count = manual::write(&pages, directory).map_err(Failure::file(shown, "written"))?;
    if directory.is_some() {
        screen::item("wrote", &format!("{count} pages into {}", shown.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what a shell reads.
pub(super) fn completions(arguments: &CompletionsArguments) -> ExitCode {
    let text = manual::completions::<Arguments>(arguments.shell);
    screen::say(String::from_utf8_lossy(&text).trim_end());
    ExitCode::SUCCESS
}
