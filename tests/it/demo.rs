//! The rehearsal as a program: what it leaves behind when it does not hold.

use std::process::Command;

#[test]
fn a_rehearsal_that_fails_leaves_no_folder_behind() {
    let place = tempfile::tempdir().unwrap();
    let patch = place.path().join("my.patch");
    std::fs::write(&patch, "no diff is in this\n").unwrap();
    let temporary = place.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let told = Command::new(env!("CARGO_BIN_EXE_embargod"))
        .args(["demo", "--exit", "--port", "0", "--fix"])
        .arg(&patch)
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&told.stdout);
    assert!(!told.status.success() && said.contains("there is no diff in it"), "{said}");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}
