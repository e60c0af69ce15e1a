//! `embargoctl manual` and `embargoctl completions`. They need no server and no profile.

use super::arguments::Arguments;
use super::error::CliError;
use super::report::Report;
use crate::cli::manual::{self, Book, CompletionsArguments, ManualArguments};

/// What the pages say beyond `--help`.
pub(super) const BOOK: Book = Book {
    exits: &[
        ("0", "done"),
        ("1", "refused"),
        ("2", "the command line is wrong"),
        ("3", "not logged in, or the token expired"),
        ("4", "server or network unreachable"),
        ("5", "trouble with gpg or sq"),
    ],
    files: &[
        (
            "~/.config/embargod/profiles/",
            "a file for each server you logged in to, with the token; for you alone",
        ),
        ("~/.config/embargod/default", "the profile of the last login"),
    ],
    variables: &[
        ("XDG_CONFIG_HOME", "where profiles lie in place of ~/.config"),
        ("VISUAL, EDITOR", "the editor of `embargoctl edit`"),
    ],
    other: "embargod",
};

/// Shows or writes the manual pages.
pub(super) fn manual(arguments: &ManualArguments) -> Result<Report, CliError> {
    let directory = arguments.directory.as_deref();
    let shown = directory.unwrap_or_else(|| "-".as_ref());
    let failed = |source| CliError::Write { path: shown.to_owned(), source };
    let pages = manual::pages::<Arguments>(&BOOK).map_err(failed)?;
    let count = manual::write(&pages, directory).map_err(failed)?;
    let text = directory.map_or_else(String::new, |_| format!("{count} pages in {}\n", shown.display()));
    Ok(Report::new(text, &count))
}

/// What a shell reads.
pub(super) fn completions(arguments: &CompletionsArguments) -> Report {
    let text = manual::completions::<Arguments>(arguments.shell);
    Report::new(String::from_utf8_lossy(&text).into_owned(), &())
}
