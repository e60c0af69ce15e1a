//! Writes the worst that the server can be sent into a folder: every troubled certificate and every hostile patch of the
//! tests, and some more that lie just below the limits. `worst_case` measures what becomes of them.

#![expect(clippy::unwrap_used, reason = "a case that cannot be made ends the run")]

#[path = "../it/harness/hostile.rs"]
#[expect(dead_code, reason = "the code of a refusal is for the tests")]
mod hostile;
mod large;
#[path = "../it/harness/troubled.rs"]
#[expect(dead_code, reason = "what must come of it is for the tests")]
mod troubled;

use std::fs;
use std::path::PathBuf;

use embargod::clock::Clock;

fn main() {
    let folder = std::env::args().nth(1).map(PathBuf::from).filter(|path| path.is_dir());
    let folder = folder.expect("the argument is a folder");
    let now = Clock::System.now();
    let certificates = troubled::everything(now).into_iter().map(|sent| (sent.name, sent.bytes));
    for (name, bytes) in certificates.chain(large::certificates(now)) {
        fs::write(folder.join(format!("{}.certificate", name.replace('/', "-"))), bytes).unwrap();
    }
    let patches = hostile::all().into_iter().map(|patch| (patch.name, patch.bytes));
    for (name, bytes) in patches.chain(large::fixes()) {
        fs::write(folder.join(format!("{}.fix", name.replace('/', "-"))), bytes).unwrap();
    }
}
