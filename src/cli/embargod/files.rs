//! Files with the rights they must have from their first moment on.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::failure::Failure;
use crate::app::ownership::hand_over;

/// The most that is read of a file that somebody names.
const MOST: u64 = 64 << 20;

/// The bytes of a file, or of standard input for `-`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(MOST).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes))
    };
    read.map_err(Failure::file(path, "read"))?;
    Ok(bytes)
}

/// Writes a file that must not exist yet, with these rights, onto the disk.
pub(super) fn create(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), Failure> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        hand_over(&file, path.parent().unwrap_or(Path::new(".")));
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(Failure::file(path, "written"))
}

/// Puts a file in the place of another, so that either the old or the new one is there whole.
pub(super) fn replace(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let _ = fs::remove_file(&fresh);
    create(&fresh, mode, bytes)?;
    fs::rename(&fresh, path).map_err(Failure::file(path, "written"))?;
    sync_folder_of(path)
}

/// Makes sure that what was renamed or deleted in the folder of `path` stays so after a power cut.
pub(super) fn sync_folder_of(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Failure::file(folder, "written"))
}

/// Makes a folder for the present user only.
pub(super) fn create_private_folder(path: &Path) -> Result<(), Failure> {
    DirBuilder::new().mode(0o700).create(path).map_err(Failure::file(path, "made"))
}
