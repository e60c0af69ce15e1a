//! What the operating system says of this process. A number that cannot be had is left out.

use std::fs;

/// Memory that this process occupies, in bytes.
pub(super) fn resident_bytes() -> Option<f64> {
    resident(&fs::read_to_string("/proc/self/status").ok()?)
}

/// Files and sockets that this process has open.
pub(super) fn open_files() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    // The listing itself has one open.
    u32::try_from(count.saturating_sub(1)).ok().map(f64::from)
}

fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kibibytes) * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_in_kibibytes_becomes_bytes_and_a_status_without_one_becomes_nothing() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    1024 kB\nThreads:\t9\n"), Some(1_048_576.0));
        assert_eq!(resident("Name:\tkthreadd\n"), None);
    }
}
