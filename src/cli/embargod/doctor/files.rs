//! The rights of what must stay private.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::super::console::Global;
use super::Finding;
use crate::config::Config;
use crate::store::Location;

pub(super) fn check(global: &Global, config: &Config) -> Vec<Finding> {
    let kek = global.kek_path(config);
    let state = config.state();
    let mut private = vec![(kek, "400"), (state, "700")];
    private.extend(config.database.url_file.clone().map(|path| (path, "400")));
    private.extend(config.mail.relay.password_file.clone().map(|path| (path, "400")));
    if let Ok(Location::Sqlite(path)) = config.database_url().map(|url| Location::parse(&url)) {
        private.push((path, "600"));
    }
    let mut findings: Vec<_> = private.iter().filter_map(|(path, mode)| too_open(path, mode)).collect();
    if findings.is_empty() {
        findings.push(Finding::ok("files: nobody else may read keys and database"));
    }
    findings
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
}
