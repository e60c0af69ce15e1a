//! Room for what is to come: a database that cannot grow refuses every change, the lift among them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::config::Config;
use crate::store::Location;

/// A revision with its bodies, a few times over.
const TOO_LITTLE: u64 = 64 << 20;
/// From here on somebody should make room.
const LITTLE: u64 = 1 << 30;

/// Looks where the state lies, and where the database does.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut places = BTreeSet::from([config.state()]);
    if let Ok(Location::Sqlite(path)) = config.database_url().map(|url| Location::parse(&url)) {
        places.extend(path.parent().map(PathBuf::from));
    }
    places.iter().map(|place| found(place)).collect()
}

fn found(place: &Path) -> Finding {
    match rustix::fs::statvfs(place) {
        Ok(system) => judged(place, system.f_bavail.saturating_mul(system.f_frsize)),
        Err(error) => Finding::warn(
            format!("disk: how much room there is at {} cannot be read: {error}", place.display()),
            "see that the folder is there and can be entered",
        ),
    }
}

fn judged(place: &Path, free: u64) -> Finding {
    let text = format!("disk: {} MB free at {}", free / 1_000_000, place.display());
    let cure = "make room, or move the state to a larger file system; copies of old migrations may go first";
    match free {
        0..TOO_LITTLE => Finding::fail(text, cure),
        TOO_LITTLE..LITTLE => Finding::warn(text, cure),
        _ => Finding::ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_disk_that_is_nearly_full_is_a_warning_and_one_that_holds_no_revision_a_failure() {
        let level = |free| judged(Path::new("/srv"), free).level;
        assert_eq!(
            [level(10 << 30), level(LITTLE - 1), level(TOO_LITTLE - 1)],
            [Level::Ok, Level::Warn, Level::Fail]
        );
        assert_eq!(judged(Path::new("/srv"), 5_000_000).text, "disk: 5 MB free at /srv");
        assert_eq!(found(Path::new("/no/such/place")).level, Level::Warn);
        assert!(found(Path::new(".")).text.contains("MB free at ."));
    }
}
