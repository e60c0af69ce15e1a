//! Whose the files are that a server has to read.
//!
//! Operators type commands as root, and the server is another user. What root writes beside the server's files belongs
//! to whoever owns the folder, as SQLite does it with its own.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

/// Gives a file that was just made in `folder` to the owner of the folder, if root made it. Where root may not, as in some
/// containers, the file stays root's, who is the server there.
pub fn hand_over(file: &File, folder: &Path) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // The folder of a name without one is the empty path.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if let Ok(owner) = folder.metadata() {
        let _ = fchown(file, Some(owner.uid()), Some(owner.gid()));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;

    #[test]
    fn what_root_makes_in_the_folder_of_another_belongs_to_that_one() {
        let folder = tempfile::tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            chown(folder.path(), Some(65_534), Some(65_534)).unwrap();
        }
        let file = File::create(folder.path().join("anchor")).unwrap();
        hand_over(&file, folder.path());
        let (owner, made) = (folder.path().metadata().unwrap(), file.metadata().unwrap());
        assert_eq!((made.uid(), made.gid()), (owner.uid(), owner.gid()));
    }
}
