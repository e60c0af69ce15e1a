//! The rights of what must stay private.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::super::console::Global;
use super::Finding;
use crate::config::{Config, without_password};
use crate::store::Location;

pub(super) fn check(global: &Global, config: &Config) -> Vec<Finding> {
    let kek = global.kek_path(config);
    let state = config.state();
    let foreign = fs::metadata(&state).map(|folder| foreign(&state, folder.uid())).unwrap_or_default();
    let mut private = vec![(kek, "400"), (state, "700")];
    private.extend(config.database.url_file.clone().map(|path| (path, "400")));
    private.extend(config.mail.relay.password_file.clone().map(|path| (path, "400")));
    if let Ok(Location::Sqlite(path)) = config.database_url().map(|url| Location::parse(&url)) {
        private.push((path, "600"));
    }
    let mut findings: Vec<_> = private.iter().filter_map(|(path, mode)| too_open(path, mode)).collect();
    findings.extend(foreign);
    findings.extend(shown_password(&global.config, config));
    if findings.is_empty() {
        findings.push(Finding::ok("files: nobody else may read keys and database"));
    }
    findings
}

/// The configuration itself is no secret, unless a password stands in it.
fn shown_password(path: &Path, config: &Config) -> Option<Finding> {
    config.database.url.as_deref().filter(|url| without_password(url) != **url)?;
    let rights = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (rights & 0o077 != 0).then(|| {
        Finding::fail(
            format!(
                "{} holds the database's password and may be read by others (mode {rights:03o})",
                path.display()
            ),
            "move the address into a file of mode 400, and write [database] url_file = \"…\" in place of url",
        )
    })
}

/// Whoever owns the folder runs the server, and reads and writes all that lies in it.
fn foreign(folder: &Path, owner: u32) -> Vec<Finding> {
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let files = files.filter_map(Result::ok);
    let others = files.filter(|file| file.metadata().is_ok_and(|file| file.uid() != owner));
    let mut others: Vec<_> = others.map(|file| file.path()).collect();
    others.sort();
    let finding = |path: &PathBuf| {
        Finding::fail(
            format!(
                "{} belongs to another user than its folder, whose server may not use it",
                path.display()
            ),
            format!("chown --reference={} {}", folder.display(), path.display()),
        )
    };
    others.iter().map(finding).collect()
}

/// What is missing is found out by who needs it.
fn too_open(path: &Path, mode: &str) -> Option<Finding> {
    let rights = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (rights & 0o077 != 0).then(|| {
        Finding::fail(
            format!("{} may be used by others (mode {rights:03o})", path.display()),
            format!("chmod {mode} {}", path.display()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_its_group_may_read_is_too_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kek");
        fs::write(&path, "x").unwrap();
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        set(0o640);
        let finding = too_open(&path, "400").unwrap();
        assert!(finding.text.ends_with("(mode 640)"), "{}", finding.text);
        assert_eq!(finding.cure, Some(format!("chmod 400 {}", path.display())));
        set(0o400);
        assert_eq!(too_open(&path, "400"), None);
        assert_eq!(too_open(&directory.path().join("missing"), "400"), None);
    }

    #[test]
    fn a_file_of_another_user_than_its_folder_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchor");
        fs::write(&path, "x").unwrap();
        let owner = fs::metadata(&path).unwrap().uid();
        assert_eq!(foreign(directory.path(), owner), []);
        let found = foreign(directory.path(), owner + 1).remove(0);
        assert!(found.text.starts_with(&format!("{} belongs to another user", path.display())));
    }

    #[test]
    fn a_password_in_the_configuration_makes_it_a_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("embargod.toml");
        let finding = |url: &str, mode| {
            let text = format!(
                "[server]\nurl = 'https://a.example'\n[database]\nurl = '{url}'\n\
                 [mail]\nfrom = 'a@b.example'\n[mail.relay]\nhost = 'c.example'\n"
            );
            fs::write(&path, &text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            shown_password(&path, &Config::load(&path, None).unwrap())
        };
        let secret = "postgres://embargod:geheim@db.example/embargod";
        assert!(finding(secret, 0o644).is_some_and(|found| !found.text.contains("geheim")));
        assert_eq!(finding(secret, 0o600), None);
        assert_eq!(finding("postgres://embargod@db.example/embargod", 0o644), None);
    }
}
