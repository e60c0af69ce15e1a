//! Scans a directory: names and contents of everything below it.

use std::io;
use std::path::Path;

use super::{Finding, Scanner};

impl Scanner {
    /// Every word found in the name or the content of any file below `directory`. Findings are placed
    /// at `place` followed by the file's path below the directory.
    ///
    /// Links are not followed, but where they point to is read. Sockets and pipes have only names. A file that
    /// disappears while the scan is under way is no error: a database removes its journal at any time.
    ///
    /// # Errors
    ///
    /// If anything else below the directory cannot be read: what was not read was not found clean.
    pub fn scan_tree(&self, place: &str, directory: &Path) -> io::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        self.scan_directory(place, directory, &mut findings)?;
        Ok(findings)
    }

    fn scan_directory(&self, place: &str, directory: &Path, findings: &mut Vec<Finding>) -> io::Result<()> {
        let mut entries = std::fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let below = format!("{place}/{}", name.to_string_lossy());
            findings.extend(self.scan_bytes(&format!("the name {below}"), name.as_encoded_bytes()));
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.scan_directory(&below, &entry.path(), findings)?;
            } else if kind.is_symlink() {
                let target = std::fs::read_link(entry.path())?;
                findings.extend(self.scan_bytes(&below, target.as_os_str().as_encoded_bytes()));
            } else if kind.is_file() {
                match std::fs::read(entry.path()) {
                    Ok(bytes) => findings.extend(self.scan_bytes(&below, &bytes)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}
