//! A directory that only its owner can enter, for the few things that must be files for a moment.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::entropy::Entropy;

/// A fresh directory, mode 0700, in memory where the system has such a place. It is removed when this value
/// goes, unless it is kept.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    kept: bool,
}

impl Scratch {
    /// Makes the directory under `$XDG_RUNTIME_DIR`, or where temporary files go.
    pub fn new(entropy: &Entropy) -> io::Result<Self> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_dir());
        let base = runtime.unwrap_or_else(std::env::temp_dir);
        let number = u128::from_be_bytes(entropy.bytes());
        let path = base.join(format!("embargoctl-{number:032x}"));
        // Not recursive: a directory that is already there is an error.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path, kept: false })
    }

    /// Where a file of this name is, or would be.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file that only its owner can read.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        let path = self.file(name);
        write_private(&path, bytes)?;
        Ok(path)
    }

    /// Leaves the directory where it is, for the user to take something out of it.
    pub fn keep(mut self) -> PathBuf {
        self.kept = true;
        self.path.clone()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.kept {
            // Nobody is left who could be told.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Writes a file with mode 0600 that must not exist yet.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn nothing_is_left_of_a_scratch_directory_unless_it_is_kept() {
        let scratch = Scratch::new(&Entropy::System).unwrap();
        let path = scratch.write("text", b"secret").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(scratch.write("text", b"again").is_err());
        drop(scratch);
        assert!(!path.parent().unwrap().exists());
        let kept = Scratch::new(&Entropy::System).unwrap().keep();
        std::fs::remove_dir(kept).unwrap();
    }
}
