//! `pull`: a notice and its fixes, opened, checked against the pinned server key, written, and the receipt.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::arguments::Pull;
use super::context::{Context, say};
use super::error::CliError;
use super::files::{File, add_to_series, directory, mails, only_cve, write};
use super::render;
use super::report::{Report, columns, line, plain, red, thousands};
use crate::client::{NoticeText, Session, read_notice};
use crate::domain::id::EmbargoId;
use crate::wire::{NeutralEmbargo, PutReceipt};

const PATCH: &str = "text/x-patch";

pub(super) fn pull(context: &Context, pull: &Pull) -> Result<Report, CliError> {
    let session = context.session()?;
    let id = session.resolve(&pull.id)?;
    let embargo = session.neutral(&id)?;
    let newest = embargo.revision.ok_or_else(|| CliError::no_revision(&embargo))?;
    let revision = pull.revision.unwrap_or(newest);
    let notice = session.sealed_bytes(&id, &format!("/revisions/{revision}/notice"))?;
    let notice = read_notice(&notice).ok_or(CliError::NoNotice)?;
    let fixes = if revision == newest {
        fetched(&session, &id, revision, &embargo, &notice)?
    } else {
        attached(&notice, revision)?
    };
    let fixes = chosen(fixes, pull.branch.as_deref())?;
    let written = if pull.debian {
        write_debian(pull.output.as_deref(), &id, revision, &notice, &fixes)?
    } else {
        write_files(pull.output.as_deref(), &id, &notice, &fixes)?
    };

    let bytes: usize = fixes.iter().map(|fix| fix.bytes.len()).sum();
    let count = fixes.len();
    let mut rows = vec![vec![
        plain("verified"),
        plain(format!(
            "signed by the server's key {} · revision {revision} · {count} {}, {} bytes",
            session.profile().server_fingerprint,
            if count == 1 { "fix" } else { "fixes" },
            thousands(bytes as u64)
        )),
    ]];
    rows.extend(written.iter().map(|path| vec![plain("wrote"), plain(path.to_string_lossy())]));
    if pull.git {
        let patches = written.iter().filter(|path| fixes.iter().any(|fix| path.ends_with(&fix.name)));
        rows.extend(patches.map(|path| vec![plain("next"), plain(format!("git am {}", path.display()))]));
    }
    let own = match notice.receipt_code() {
        _ if pull.no_receipt => None,
        // Only packagers have something to say; a maintainer looks at what they got.
        _ if embargo.own.is_none() => None,
        None => {
            rows.push(vec![
                red("receipt"),
                plain("not given: no code in the notice; embargoctl receipt ID CODE"),
            ]);
            None
        }
        Some(code) => match session.say_of_oneself(&id, "/receipt", &PutReceipt { revision, code }) {
            Ok(own) => Some(own),
            Err(error) => {
                // The files are there all the same.
                say(&format!(
                    "fetched, but the receipt was not taken:\n{}",
                    columns(&rows, 2, context.paint)
                ));
                return Err(error.into());
            }
        },
    };
    if let Some(own) = &own {
        rows.push(vec![plain("said"), plain(render::own_state(own, context.now()))]);
    }
    let json = json!({
        "id": id.as_str(),
        "revision": revision,
        "server_fingerprint": session.profile().server_fingerprint,
        "files": written,
        "own": own,
    });
    Ok(Report { text: columns(&rows, 0, context.paint), json })
}

/// Every fix of the newest revision, fetched by itself and named as in the notice.
fn fetched(
    session: &Session,
    id: &EmbargoId,
    revision: u32,
    embargo: &NeutralEmbargo,
    notice: &NoticeText,
) -> Result<Vec<File>, CliError> {
    let mut files: Vec<File> = Vec::new();
    for fix in &embargo.fixes {
        let bytes = session.sealed_bytes(id, &format!("/revisions/{revision}/fixes/{}", fix.id))?;
        if bytes.len() as u64 != fix.size {
            return Err(CliError::Size { fix: fix.id.clone(), found: bytes.len(), expected: fix.size });
        }
        // Branches of equal content have equal bytes: each name is used once.
        let taken = |name: &str| files.iter().any(|file| file.name == name);
        let twin = notice.attachments.iter().find(|it| it.bytes == bytes && !taken(&it.name));
        let name = twin.map_or_else(|| format!("{id}-{}.mbox", files.len() + 1), |it| it.name.clone());
        files.push(File { name, bytes });
    }
    Ok(files)
}

/// The fixes inside the notice, for a revision that is no longer the newest.
fn attached(notice: &NoticeText, revision: u32) -> Result<Vec<File>, CliError> {
    let patches = notice.attachments.iter().filter(|attachment| attachment.media_type == PATCH);
    let files: Vec<_> =
        patches.map(|patch| File { name: patch.name.clone(), bytes: patch.bytes.clone() }).collect();
    if files.is_empty() { Err(CliError::OldFixes { revision }) } else { Ok(files) }
}

/// The fix of a branch: its file is named after it, with `_` for what a file name cannot have.
fn chosen(fixes: Vec<File>, branch: Option<&str>) -> Result<Vec<File>, CliError> {
    let Some(branch) = branch else { return Ok(fixes) };
    let harmless = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let wanted: String = branch.chars().map(harmless).collect();
    let names = fixes.iter().map(|fix| fix.name.clone()).collect();
    let of_branch = |fix: &File| {
        let stem = fix.name.strip_suffix(".mbox").or(fix.name.strip_suffix(".patch")).unwrap_or(&fix.name);
        stem == wanted || stem.strip_suffix(&wanted).is_some_and(|before| before.ends_with('-'))
    };
    let found: Vec<File> = fixes.into_iter().filter(of_branch).collect();
    if found.len() == 1 { Ok(found) } else { Err(CliError::Branch { names }) }
}

fn write_files(
    output: Option<&Path>,
    id: &EmbargoId,
    notice: &NoticeText,
    fixes: &[File],
) -> Result<Vec<PathBuf>, CliError> {
    let place = output.map_or_else(|| PathBuf::from(id.as_str()), Path::to_owned);
    let text = File { name: "notice.txt".to_owned(), bytes: notice.text.clone().into_bytes() };
    // Signatures and the calendar entry come along; the patches were fetched by themselves.
    let beside = notice.attachments.iter().filter(|attachment| attachment.media_type != PATCH);
    let beside = beside.map(|it| File { name: it.name.clone(), bytes: it.bytes.clone() });
    let all: Vec<File> = [text].into_iter().chain(fixes.iter().cloned()).chain(beside).collect();
    directory(&place)?;
    for file in &all {
        write(&place, file)?;
    }
    Ok(all.iter().map(|file| place.join(&file.name)).collect())
}

fn write_debian(
    output: Option<&Path>,
    id: &EmbargoId,
    revision: u32,
    notice: &NoticeText,
    fixes: &[File],
) -> Result<Vec<PathBuf>, CliError> {
    let [fix] = fixes else {
        return Err(CliError::Branch { names: fixes.iter().map(|fix| fix.name.clone()).collect() });
    };
    let place = match output {
        Some(output) => output.to_owned(),
        None if Path::new("debian").is_dir() => PathBuf::from("debian/patches"),
        None => return Err(CliError::NoDebian),
    };
    let stem = only_cve(&notice.text).unwrap_or_else(|| id.to_string());
    let named = |(index, mail): (usize, &[u8])| File {
        name: format!("{stem}-{}.patch", index + 1),
        bytes: mail.to_vec(),
    };
    let patches: Vec<File> = mails(&fix.bytes).into_iter().enumerate().map(named).collect();
    directory(&place)?;
    let saved = save_notice(&place, &format!("{id}-{revision}-notice.txt"), notice)?;
    for patch in &patches {
        write(&place, patch)?;
    }
    let series: Vec<String> = patches.into_iter().map(|patch| patch.name).collect();
    add_to_series(&place, &series)?;
    let beside = series.iter().map(String::as_str).chain(["series"]).map(|name| place.join(name));
    Ok(saved.into_iter().chain(beside).collect())
}

/// Saves the notice beside the source package, where no package takes it along; where that cannot be, it is
/// shown. A receipt says that it was read, so it is one or the other.
fn save_notice(patches: &Path, name: &str, notice: &NoticeText) -> Result<Option<PathBuf>, CliError> {
    let file = File { name: name.to_owned(), bytes: notice.text.clone().into_bytes() };
    if let Some(place) = beside_package(patches) {
        match write(&place, &file) {
            Err(CliError::Write { .. }) => {}
            other => return other.map(|()| Some(place.join(name))),
        }
    }
    let lines: Vec<String> = notice.text.lines().map(line).collect();
    say(&format!(
        "the notice could not be saved beside the package; this is what it says:\n\n{}\n",
        lines.join("\n")
    ));
    Ok(None)
}

/// The folder that holds the source package; of patches outside of any, the folder above theirs.
fn beside_package(patches: &Path) -> Option<PathBuf> {
    let patches = std::fs::canonicalize(patches).ok()?;
    let mut near = patches.ancestors().take(2);
    let debian = near.find(|folder| folder.file_name().is_some_and(|name| name == "debian"));
    let package = debian.map_or(Some(patches.as_path()), Path::parent)?;
    package.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> File {
        File { name: name.to_owned(), bytes: b"x".to_vec() }
    }

    #[test]
    fn a_branch_chooses_its_fix_by_name_and_a_similar_name_is_not_enough() {
        let fixes = vec![file("main.mbox"), file("2.x.mbox"), file("b7k2-9fq1-release_2.mbox")];
        let name = |branch| chosen(fixes.clone(), Some(branch)).map(|found| found[0].name.clone());
        assert_eq!(name("2.x").unwrap(), "2.x.mbox");
        assert_eq!(name("release/2").unwrap(), "b7k2-9fq1-release_2.mbox");
        let error = name(".x").unwrap_err().to_string();
        assert_eq!(
            error,
            "choose one fix with --branch; this revision has: main.mbox, 2.x.mbox, b7k2-9fq1-release_2.mbox"
        );
        assert_eq!(chosen(fixes.clone(), None).unwrap(), fixes);
    }

    #[test]
    fn a_debian_package_gets_one_file_per_patch_of_one_fix() {
        let directory = tempfile::tempdir().unwrap();
        let separator = |digit: &str| format!("From {} Mon Sep 17 00:00:00 2001\nx\n", digit.repeat(40));
        let fix =
            File { bytes: format!("{}{}", separator("1"), separator("2")).into_bytes(), ..file("main.mbox") };
        let notice = NoticeText { text: "CVE-2026-0042".to_owned(), attachments: Vec::new() };
        let id: EmbargoId = "b7k2-9fq1".parse().unwrap();
        let place = directory.path().join("widgetlib-1.0/debian/patches");
        let written = write_debian(Some(&place), &id, 1, &notice, std::slice::from_ref(&fix)).unwrap();
        let saved = directory.path().canonicalize().unwrap().join("b7k2-9fq1-1-notice.txt");
        assert_eq!(written[0], saved, "the notice lies where no package takes it along");
        assert_eq!(std::fs::read_to_string(saved).unwrap(), notice.text);
        let series = std::fs::read_to_string(place.join("series")).unwrap();
        assert_eq!(series, "CVE-2026-0042-1.patch\nCVE-2026-0042-2.patch\n");
        assert_eq!(std::fs::read_to_string(place.join("CVE-2026-0042-2.patch")).unwrap(), separator("2"));
        let both = [fix.clone(), fix];
        assert!(matches!(write_debian(Some(&place), &id, 1, &notice, &both), Err(CliError::Branch { .. })));
    }

    #[test]
    fn a_notice_that_cannot_be_saved_where_it_belongs_stops_the_patches_unless_it_can_be_shown() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("patches");
        let id: EmbargoId = "b7k2-9fq1".parse().unwrap();
        let notice = NoticeText { text: "What it is".to_owned(), attachments: Vec::new() };
        let saved = directory.path().join("b7k2-9fq1-1-notice.txt");
        std::fs::write(&saved, "something else").unwrap();
        let pulled = write_debian(Some(&place), &id, 1, &notice, &[file("main.mbox")]);
        assert!(
            matches!(pulled, Err(CliError::InTheWay { path }) if path.ends_with("b7k2-9fq1-1-notice.txt"))
        );
        assert!(!place.join("series").exists(), "no patch without its notice");
        assert_eq!(beside_package(Path::new("/")), None, "then it is shown");
    }
}
