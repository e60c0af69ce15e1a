//! The scans, and what is left behind for who wants to look.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::Fault;
use super::stage::{Stage, fresh_folder};
use crate::demo::canary::{Finding, Scanner};
use crate::entropy::Entropy;

/// What everybody may ask for, and what a curious stranger would guess.
const ADDRESSES: &[&str] = &[
    "/",
    "/feed.atom",
    "/key.asc",
    "/openapi.json",
    "/readyz",
    "/livez",
    "/style.css",
    "/login",
    "/board",
    "/advisories/EMB-2026-1",
    "/advisories/EMB-2026-1.json",
    "/advisories/EMB-2026-1/main.mbox",
    "/advisories/EMB-2026-1/2.x.mbox",
    "/advisories/EMB-2026-1/changelog.md",
    "/api/v1/embargoes",
    "/osv/EMB-2026-1.json",
    "/feed.json",
    "/metrics",
    "/.git/HEAD",
];

/// The scans before the lift.
#[derive(Default)]
pub(super) struct Early {
    pub(super) scans: usize,
    pub(super) planted: usize,
}

impl Early {
    /// Scans everything an outsider or a thief of files could read. One finding ends the rehearsal.
    pub(super) async fn scan(&mut self, stage: &Stage) -> Result<(), Fault> {
        let scanner = Scanner::new(stage.material.all());
        let places = places(stage).await?;
        if self.scans == 0 {
            // A scanner that finds nothing proves nothing before it has found what was planted.
            let borrowed: Vec<(&str, &[u8])> =
                places.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
            self.planted = scanner.control(&borrowed).map_err(|missed| {
                Fault(format!("the scanner found what was planted ({} missed)", missed.len()))
            })?;
        }
        let findings = search(&scanner, stage, &places)?;
        self.scans += 1;
        match findings.first() {
            None => Ok(()),
            Some(first) => Err(Fault(format!(
                "nothing was readable before the lift ({} findings, the first: {first})",
                findings.len()
            ))),
        }
    }
}

fn search(scanner: &Scanner, stage: &Stage, places: &[(String, Vec<u8>)]) -> Result<Vec<Finding>, Fault> {
    let mut findings = scanner
        .scan_tree("state", &stage.state)
        .map_err(Fault::because("the state directory was scanned"))?;
    for (name, bytes) in places {
        findings.extend(scanner.scan_bytes(name, bytes));
    }
    Ok(findings)
}

/// Everything but files: mail as it crossed the wire, the log, every public address.
async fn places(stage: &Stage) -> Result<Vec<(String, Vec<u8>)>, Fault> {
    let mut places =
        vec![("SMTP".to_owned(), stage.sink.transcript()), ("log".to_owned(), stage.log.bytes())];
    for address in ADDRESSES {
        places.push((format!("GET {address}"), stage.line.get(address).await?.body));
    }
    Ok(places)
}

/// After the lift: every public word is readable in public, and no secret one is, anywhere. Returns how
/// many public words there are.
pub(super) async fn after_the_lift(stage: &Stage) -> Result<usize, Fault> {
    let mut published = Vec::new();
    for (_, bytes) in public_files(stage).await? {
        published.extend_from_slice(&bytes);
        published.push(b'\n');
    }
    let text = String::from_utf8_lossy(&published);
    for canary in stage.material.public() {
        if !text.contains(canary.word()) {
            return Err(Fault(format!("{} is public after the lift", canary.name())));
        }
    }
    let secret = Scanner::new(stage.material.secret().to_vec());
    let mut findings = secret.scan_bytes("public files", &published);
    findings.extend(search(&secret, stage, &places(stage).await?)?);
    match findings.first() {
        None => Ok(stage.material.public().len()),
        Some(first) => Err(Fault(format!("what is not public stays secret after the lift ({first})"))),
    }
}

/// Every public file: the address, and its bytes.
async fn public_files(stage: &Stage) -> Result<Vec<(String, Vec<u8>)>, Fault> {
    let mut addresses: Vec<String> =
        ["/", "/feed.atom", "/key.asc", "/style.css", "/openapi.json"].map(str::to_owned).to_vec();
    let published = stage.server.app.store.published();
    for advisory in published.advisories().map_err(Fault::because("what is published was read"))? {
        let base = format!("/advisories/{}", advisory.id);
        addresses.push(base.clone());
        let mut signed = vec![format!("{base}.json"), format!("{base}/changelog.md")];
        signed.extend(advisory.fixes.iter().map(|fix| format!("{base}/{}", fix.file)));
        for file in signed {
            addresses.extend([format!("{file}.sha256"), format!("{file}.asc"), file]);
        }
    }
    let mut files = Vec::new();
    for address in addresses {
        let bytes = stage.line.get(&address).await?.expect(200)?;
        files.push((address, bytes));
    }
    Ok(files)
}

/// Leaves everything in `directory`: `public/<url path>`, `mail/<recipient>/<n>.eml`, `state/`, `log/`.
pub(super) async fn keep(stage: &Stage, directory: &Path) -> Result<(), Fault> {
    for (address, bytes) in public_files(stage).await? {
        let path = match address.trim_start_matches('/') {
            "" => "index.html".to_owned(),
            page if page.starts_with("advisories/")
                && !page.contains('.')
                && page.matches('/').count() == 1 =>
            {
                format!("{page}/index.html")
            }
            other => other.to_owned(),
        };
        write(&directory.join("public").join(path), &bytes)?;
    }
    let mut counts = std::collections::BTreeMap::new();
    for mail in stage.sink.messages() {
        for recipient in &mail.to {
            let count = counts.entry(recipient.clone()).or_insert(0);
            *count += 1;
            write(&directory.join("mail").join(plain(recipient)).join(format!("{count}.eml")), &mail.bytes)?;
        }
    }
    write(&directory.join("log").join("embargod.log"), &stage.log.bytes())
}

/// Leaves the visitor's first mail where only the visitor's own key opens it.
pub(super) fn visitors_mail(stage: &Stage, keep: Option<&Path>) -> Result<Option<PathBuf>, Fault> {
    let Some(address) = &stage.visitor else { return Ok(None) };
    let Some(mail) = stage.sink.for_recipient(address).into_iter().next() else { return Ok(None) };
    match keep {
        Some(directory) => {
            let path = directory.join("mail").join(plain(address)).join("1.eml");
            write(&path, &mail.bytes)?;
            Ok(Some(path))
        }
        None => leave(&std::env::temp_dir(), &stage.line.entropy, &mail.bytes).map(Some),
    }
}

/// Leaves a mail in a new folder of its own: `place` belongs to everybody, and a name that can be guessed
/// could be there already as a link to somewhere else.
fn leave(place: &Path, entropy: &Entropy, mail: &[u8]) -> Result<PathBuf, Fault> {
    let path = fresh_folder(place, entropy)?.join("mail.eml");
    let failed = |error: std::io::Error| Fault(format!("{} could be written: {error}", path.display()));
    File::create_new(&path).and_then(|mut file| file.write_all(mail)).map_err(failed)?;
    Ok(path)
}

/// An address as a folder's name.
fn plain(address: &str) -> String {
    address
        .chars()
        .map(
            |character| {
                if character.is_ascii_alphanumeric() || "@.-_+".contains(character) { character } else { '_' }
            },
        )
        .collect()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let failed = |error: std::io::Error| Fault(format!("{} could be written: {error}", path.display()));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    std::fs::write(path, bytes).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_mail_is_left_in_a_private_folder_whose_name_nobody_can_have_linked_elsewhere() {
        let place = tempfile::tempdir().unwrap();
        let first = leave(place.path(), &Entropy::System, b"mail").unwrap();
        let second = leave(place.path(), &Entropy::System, b"mail").unwrap();
        assert_ne!(first, second);
        assert_eq!(std::fs::read(&first).unwrap(), b"mail");
        let mode = first.parent().unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        // Whoever guesses the name all the same gets no mail.
        let (one, same) = (Entropy::seeded(1), Entropy::seeded(1));
        fresh_folder(place.path(), &one).unwrap();
        assert!(leave(place.path(), &same, b"mail").is_err());
    }
}
