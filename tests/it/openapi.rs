//! The OpenAPI document in the repository is the one that is served.

use std::path::Path;

/// To bring the committed document up to date: `EMBARGOD_UPDATE=1 cargo test --test it openapi`.
#[test]
fn the_committed_document_is_the_served_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/openapi.json");
    let served = embargod::http::openapi::document();
    if std::env::var_os("EMBARGOD_UPDATE").is_some() {
        std::fs::write(&path, served).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == served,
        "deploy/openapi.json is old: EMBARGOD_UPDATE=1 cargo test --test it openapi"
    );
}
