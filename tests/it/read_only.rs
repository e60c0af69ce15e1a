//! A database that can be read and not written: such a server keeps no promise, and says so.

use std::sync::Arc;

use embargod::app::App;
use embargod::store::{Location, Store};
use embargod::vault::Vault;
use embargod::wire;

use crate::harness::TestServer;

/// The same database, opened so that nothing can be written.
fn only_to_be_read(location: &Location) -> Location {
    match location {
        Location::Sqlite(path) => Location::Sqlite(format!("file:{}?mode=ro", path.display()).into()),
        Location::Postgres(url) => {
            let mark = if url.contains('?') { '&' } else { '?' };
            Location::Postgres(format!("{url}{mark}options=-c%20default_transaction_read_only%3Don"))
        }
    }
}

#[tokio::test]
async fn a_server_whose_database_can_only_be_read_is_not_ready() {
    let server = TestServer::start().await;
    let ready = server.client.get("/readyz").await;
    assert_eq!(ready.status, 200, "{}", ready.text());
    assert!(ready.json::<wire::Readiness>().ready);

    let parts = server.parts(Err("not needed here".to_owned()));
    let location = only_to_be_read(server.location());
    let vault = Arc::new(Vault::locked("not needed here", parts.entropy.clone()));
    let store = tokio::task::spawn_blocking(|| Store::open(location, vault)).await.unwrap().unwrap();
    let reader = App::new(store, parts.clock, parts.entropy, parts.settings, None).unwrap();
    let reasons: Vec<_> = reader.unready().await.iter().map(ToString::to_string).collect();
    assert!(reasons.contains(&"the database cannot be written".to_owned()), "{reasons:?}");
    server.finish().await;
}
