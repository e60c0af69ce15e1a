//! Hostile patches: refused by name, the same by the program that looks at a file and by an upload.

use embargod::domain::fix::Fix;

use crate::harness::{TestServer, hostile, ordinary_text};

#[test]
fn more_than_forty_hostile_patches_are_refused_each_by_its_own_name() {
    let all = hostile::all();
    assert!(all.len() >= 40, "{}", all.len());
    let code = |bytes| Fix::parse(bytes).map_or_else(|error| error.code(), |_| "taken");
    let wrong: Vec<_> = all
        .into_iter()
        .map(|patch| (patch.name, patch.code, code(patch.bytes)))
        .filter(|(_, expected, found)| expected != found)
        .collect();
    assert_eq!(wrong, []);
}

#[tokio::test]
async fn an_upload_is_refused_with_the_words_of_the_inspection_and_nothing_of_it_is_kept() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let id = mara.opens(&ordinary_text()).await;
    // The largest ones do not fit into a command, and are refused before they are opened.
    for patch in hostile::all().into_iter().filter(|patch| patch.bytes.len() < 1 << 20) {
        let (status, kind, detail) = mara.does(&mara.fix(&id, "main", &patch.bytes)).await.refused();
        assert_eq!((status, kind.as_str()), (400, patch.code), "{}: {detail}", patch.name);
        let said = Fix::parse(patch.bytes).unwrap_err().to_string();
        assert!(detail.contains(&said), "{}: {detail} lacks {said}", patch.name);
        assert!(!detail.contains("passwd") && !detail.contains("evil"), "{detail}");
    }
    let stored: embargod::domain::id::EmbargoId = id.parse().unwrap();
    let kept = server.database(move |tx| Ok(tx.working_set(&stored)?)).await;
    assert_eq!(kept.len(), 0);
    server.finish().await;
}
