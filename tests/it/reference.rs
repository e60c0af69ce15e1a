//! The committed reference of the configuration is the one that is printed.

use embargod::config::reference;

/// To bring it up to date: `EMBARGOD_UPDATE=1 cargo test --test it reference`.
#[test]
fn the_committed_reference_is_the_printed_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/embargod.reference.toml");
    let printed = reference::text();
    if std::env::var_os("EMBARGOD_UPDATE").is_some() {
        std::fs::write(path, &printed).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).is_ok_and(|committed| committed == printed),
        "deploy/embargod.reference.toml is old: EMBARGOD_UPDATE=1 cargo test --test it reference"
    );
}
