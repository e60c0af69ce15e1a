//! How much room a file system has left, as `df` says it: the standard library does not know.

use std::path::Path;
use std::process::Command;

/// The bytes that may still be written where `path` lies; `None` if `df` is not there or says nothing.
pub fn free_bytes(path: &Path) -> Option<u64> {
    // An absolute path begins with a slash, so it cannot be taken for an option.
    let path = std::path::absolute(path).ok()?;
    let said = Command::new("df").args(["-P", "-k"]).arg(path).env("LC_ALL", "C").output().ok()?;
    said.status.success().then(|| available(&String::from_utf8_lossy(&said.stdout)))?
}

/// Reads the portable form: a heading, then device, size, used, available in KiB, share, mount point. A device or
/// mount point may hold blanks, so the share (`63%`) is looked for, and the number before it taken.
fn available(said: &str) -> Option<u64> {
    let words: Vec<&str> = said.lines().nth(1)?.split_whitespace().collect();
    let share = words.iter().skip(4).position(|word| word.strip_suffix('%').is_some_and(is_number))? + 4;
    words[share - 1].parse::<u64>().ok()?.checked_mul(1024)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_with_a_blank_in_its_name_does_not_shift_the_columns() {
        let said =
            |line: &str| format!("Filesystem 1024-blocks Used Available Capacity Mounted on\n{line}\n");
        assert_eq!(available(&said("/dev/sda1 1000 600 400 60% /srv/my disk")), Some(409_600));
        assert_eq!(available(&said("//host/my share 1000 600 400 60% /mnt")), Some(409_600));
        assert_eq!(available(&said("none - - - - /proc")), None);
        assert_eq!(available("nothing of the kind"), None);
    }

    #[test]
    fn where_this_test_runs_there_is_room_and_where_there_is_nothing_there_is_no_answer() {
        assert!(free_bytes(Path::new(".")).is_some_and(|bytes| bytes > 0));
        assert_eq!(free_bytes(Path::new("/no/such/place")), None);
    }
}
