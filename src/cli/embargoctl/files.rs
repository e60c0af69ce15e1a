//! Fetched fixes as files: whole for `git am`, or one patch a file for a Debian source package.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::error::CliError;

/// A file that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Makes a directory that only its owner can enter, unless it is there.
pub(super) fn directory(path: &Path) -> Result<(), CliError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| CliError::Write { path: path.to_owned(), source })
}

/// Writes a file for its owner alone. A file that is already there stays, and must be the same.
pub(super) fn write(directory: &Path, file: &File) -> Result<(), CliError> {
    let path = directory.join(&file.name);
    let fresh = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    match fresh {
        Ok(mut open) => open.write_all(&file.bytes).map_err(|source| CliError::Write { path, source }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match std::fs::read(&path) {
            Ok(bytes) if bytes == file.bytes => Ok(()),
            _ => Err(CliError::InTheWay { path }),
        },
        Err(source) => Err(CliError::Write { path, source }),
    }
}

/// Adds names to the end of quilt's `series`, unless they stand in it.
pub(super) fn add_to_series(directory: &Path, names: &[String]) -> Result<(), CliError> {
    let path = directory.join("series");
    let mut series = match std::fs::read_to_string(&path) {
        Ok(series) => series,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(source) => return Err(CliError::Read { path, source }),
    };
    for name in names {
        let stands = series.lines().any(|line| line.split_whitespace().next() == Some(name));
        if !stands {
            if !series.is_empty() && !series.ends_with('\n') {
                series.push('\n');
            }
            series.extend([name, "\n"]);
        }
    }
    std::fs::write(&path, series).map_err(|source| CliError::Write { path, source })
}

/// The mails of an mbox that git wrote: each begins with `From`, a full commit id and git's own date. A line
/// of a patch cannot look so: it begins with a blank or a sign.
pub(super) fn mails(mbox: &[u8]) -> Vec<&[u8]> {
    let mut starts = Vec::new();
    let mut at = 0;
    for line in mbox.split_inclusive(|byte| *byte == b'\n') {
        if is_separator(line) {
            starts.push(at);
        }
        at += line.len();
    }
    if starts.first() != Some(&0) {
        // A single mail without a separator, or a plain diff.
        return vec![mbox];
    }
    let ends = starts.iter().skip(1).copied().chain([mbox.len()]);
    starts.iter().zip(ends).map(|(start, end)| &mbox[*start..end]).collect()
}

fn is_separator(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"From ") else { return false };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    matches!(digits, 40 | 64) && rest[digits..].starts_with(b" Mon Sep 17 00:00:00 2001")
}

/// The only CVE id in a text, if there is exactly one.
pub(super) fn only_cve(text: &str) -> Option<String> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '-');
    let mut found = words.filter(|word| {
        let parts: Vec<&str> = word.split('-').collect();
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        matches!(parts[..], ["CVE", year, number] if year.len() == 4 && number.len() >= 4 && digits(year) && digits(number))
    });
    let first = found.next()?;
    found.all(|other| other == first).then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const MBOX: &str = "From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\n\
        Subject: [PATCH 1/2] a\n\nFrom 12 to 13\n---\n-From x\n-- \n2.39.5\n\n\
        From 89abcdef0123456789abcdef0123456789abcdef Mon Sep 17 00:00:00 2001\nSubject: [PATCH 2/2] b\n";

    #[test]
    fn a_sentence_that_begins_with_from_is_no_new_patch() {
        let mails = mails(MBOX.as_bytes());
        assert_eq!(mails.len(), 2);
        assert_eq!(mails.concat(), MBOX.as_bytes());
        assert_eq!(super::mails(b"diff --git a/x b/x\n").len(), 1);
    }

    #[test]
    fn nothing_is_overwritten_and_what_is_written_is_for_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let file = File { name: "main.mbox".to_owned(), bytes: b"x".to_vec() };
        write(directory.path(), &file).unwrap();
        write(directory.path(), &file).unwrap();
        let mode = std::fs::metadata(directory.path().join("main.mbox")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = File { bytes: b"y".to_vec(), ..file };
        assert!(matches!(write(directory.path(), &other), Err(CliError::InTheWay { .. })));
    }

    #[test]
    fn a_series_gets_each_patch_once_even_if_its_last_line_has_no_end() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("series"), "old.patch -p1").unwrap();
        let names = ["old.patch".to_owned(), "new.patch".to_owned()];
        add_to_series(directory.path(), &names).unwrap();
        add_to_series(directory.path(), &names).unwrap();
        let series = std::fs::read_to_string(directory.path().join("series")).unwrap();
        assert_eq!(series, "old.patch -p1\nnew.patch\n");
    }

    #[test]
    fn patches_are_named_after_the_cve_only_if_there_is_one() {
        assert_eq!(only_cve("about CVE-2026-0042, (CVE-2026-0042).").as_deref(), Some("CVE-2026-0042"));
        assert_eq!(only_cve("CVE-2026-0042 and CVE-2026-0043"), None);
        assert_eq!(only_cve("CVE-2026-XXXX"), None);
    }
}
