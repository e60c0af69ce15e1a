//! Files that survive a crash at any moment: replaced whole, or only ever added to. What was returned from is on
//! the disk, names included.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::app::ownership::hand_over;

/// How often is asked for a lock that somebody else has.
const AGAIN: Duration = Duration::from_millis(10);

/// Puts `bytes` in the place of the file `name`: a reader finds the old file or the new one, whole.
pub(super) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let fresh = folder.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    hand_over(&file, folder);
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, folder.join(name))?;
    settle(folder)
}

/// Adds lines at the end of the file `name`. A line that a crash cut off is ended first, and so stays alone.
pub(super) fn append(folder: &Path, name: &str, lines: &[String]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let path = folder.join(name);
    let is_new = !path.exists();
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
    if is_new {
        hand_over(&file, folder);
    }
    let mut text = lines.join("\n");
    text.push('\n');
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            text.insert(0, '\n');
        }
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    if is_new { settle(folder) } else { Ok(()) }
}

/// The text of the file `name`; nothing if there is none. Bytes that are no text become marks.
pub(super) fn read(folder: &Path, name: &str) -> io::Result<Option<String>> {
    match fs::read(folder.join(name)) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives the file `name`, if there is one, another name, under which the next one replaces it.
pub(super) fn set_aside(folder: &Path, name: &str) -> io::Result<()> {
    match fs::rename(folder.join(name), folder.join(format!("{name}.given-up"))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => settle(folder),
    }
}

/// Keeps other processes from writing here until it is dropped. One that has it for longer than `patience`, because it was
/// stopped in the middle, is not waited for: whoever waits here keeps a lift waiting.
pub(super) fn lock(folder: &Path, patience: Duration) -> io::Result<File> {
    let path = folder.join("anchor.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    hand_over(&file, folder);
    let mut left = patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if left.is_zero() => {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "another server has held it for too long",
                ));
            }
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(AGAIN);
                left = left.saturating_sub(AGAIN);
            }
        }
    }
}

/// Puts the names in a folder onto the disk.
fn settle(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_a_crash_cut_off_does_not_spoil_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(read(folder, "list").unwrap(), None);
        append(folder, "list", &["one".to_owned()]).unwrap();
        let whole = fs::read(folder.join("list")).unwrap();
        fs::write(folder.join("list"), [&whole[..], b"tw"].concat()).unwrap();
        append(folder, "list", &["three".to_owned(), "four".to_owned()]).unwrap();
        append(folder, "list", &[]).unwrap();
        assert_eq!(read(folder, "list").unwrap().unwrap(), "one\ntw\nthree\nfour\n");
    }

    #[test]
    fn a_crash_before_the_new_file_is_in_place_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        replace(folder, "anchor", b"old").unwrap();
        fs::write(folder.join("anchor.new"), b"longer than what comes").unwrap();
        assert_eq!(read(folder, "anchor").unwrap().unwrap(), "old");
        replace(folder, "anchor", b"new").unwrap();
        assert_eq!(read(folder, "anchor").unwrap().unwrap(), "new");
        assert!(!folder.join("anchor.new").exists());
    }
}
