//! Gives memory back that one large message took.
//!
//! The allocator of glibc keeps large blocks once some were freed, for each of its arenas: a flood of the largest
//! commands left 150 MB behind. A fixed threshold makes it return each of them at once. It is read when a process
//! starts, so the server starts itself once more with it; what another allocator does with the word is nothing.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// What glibc calls it, and from which size on a block is given back, in bytes.
const THRESHOLD: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "262144");

/// That this program was started again: where it has more rights than whoever starts it, the loader takes the threshold
/// out of its environment.
const AGAIN: &str = "EMBARGOD_STARTED_AGAIN";

/// Starts this program again in the same process, unless whoever started it has said how memory is kept. Where that is
/// not allowed it goes on as it is.
pub fn give_back_large_blocks() {
    let (name, value) = THRESHOLD;
    let mut words = std::env::args_os();
    if [name, AGAIN].iter().any(|name| std::env::var_os(name).is_some()) || cfg!(not(target_env = "gnu")) {
        be_called_as(words.next().as_deref().map(Path::new).and_then(Path::file_name));
        return;
    }
    let mut again = Command::new("/proc/self/exe");
    if let Some(called) = words.next() {
        again.arg0(called);
    }
    // It comes back only if it failed, and then memory is kept.
    let _ = again.args(words).env(name, value).env(AGAIN, "1").exec();
}

/// A process is called by its file, and that is `exe` once it started itself: whoever looks for the server by name finds
/// it all the same.
fn be_called_as(name: Option<&OsStr>) {
    if let Some(name) = name {
        let _ = std::fs::write("/proc/self/comm", name.as_encoded_bytes());
    }
}
