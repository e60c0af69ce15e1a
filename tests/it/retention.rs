//! What is over is gone: content whose time of retention has passed opens nowhere, and what was published stays.

use embargod::app::Refusal;
use embargod::store::StoreError;
use embargod::wire;

use crate::harness::{Change, TestServer, days, hours, utc};

#[tokio::test]
async fn ninety_days_after_the_lift_the_case_is_gone_on_every_replica_and_what_was_published_stays() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let over = mara.announces().await;
    server.run_worker_until_idle().await;
    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    server.run_worker_until_idle().await;
    let page = server.client.get("/advisories/EMB-2026-1").await.body;
    let live = mara.opens(&crate::harness::ordinary_text()).await;
    let path = format!("/api/v1/embargoes/{over}");

    server.clock.advance_to(server.time.now() + days(90) - hours(2));
    server.run_worker_until_idle().await;
    let token = mara.token().await;
    let case: wire::CaseView = mara.reads(&token, &path).await;
    assert_eq!(case.title, "Credentials leak on redirect");
    // A replica that has the data key in memory.
    let replica = server.replica_over(server.location().clone()).await;
    let asked = over.parse().unwrap();
    replica.app.store.read(move |tx| tx.embargo_with_content(&asked)).await.unwrap();

    server.clock.advance_to(server.time.now() + hours(4));
    let destroyed =
        [replica.app.keep_house(days(90)).await.unwrap(), server.app().keep_house(days(90)).await.unwrap()];
    assert_eq!(destroyed.concat(), std::slice::from_ref(&over), "once, by whoever came first");
    for app in [&replica.app, server.app()] {
        let asked = over.parse().unwrap();
        let gone = app.store.read(move |tx| tx.embargo_with_content(&asked)).await.unwrap_err();
        assert!(matches!(&gone, StoreError::Destroyed { on, .. } if on == "2026-09-08"), "{gone}");
    }
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("accept", wire::OPENPGP)];
    let refused = server.client.call("GET", &path, &headers, None).await;
    assert_eq!((refused.status, refused.problem().as_str()), (409, "destroyed"));
    assert!(refused.text().contains("destroyed on 2026-09-08"), "{}", refused.text());
    assert_eq!(server.client.get("/advisories/EMB-2026-1").await.body, page);
    let listed = debian.embargoes(&debian.token().await).await;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].id.as_str(), listed[0].advisory.as_deref()), (over.as_str(), Some("EMB-2026-1")));
    let case: wire::CaseView = mara.reads(&token, &format!("/api/v1/embargoes/{live}")).await;
    assert_eq!(case.title, "Credentials leak on redirect", "what is not over is kept");
    mara.does(&Change::cancel(&live, "no")).await.accepted();
    server.run_worker_until_idle().await;
    let asked = over.parse().unwrap();
    let last = server.database(move |tx| Ok(tx.audit_of(&asked, 1)?.remove(0))).await;
    assert_eq!((last.actor.as_str(), last.action.as_str()), ("server", "content destroyed"));
    drop(replica);
    server.finish().await;
}

#[tokio::test]
async fn while_a_hold_stands_nothing_is_destroyed() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let over = mara.opens(&crate::harness::ordinary_text()).await;
    mara.does(&Change::cancel(&over, "it is no vulnerability")).await.accepted();
    server.run_worker_until_idle().await;
    server.as_operator(|operator| drop(operator.place_hold("we look at something").unwrap())).await;
    server.clock.advance_to(server.time.now() + days(91));
    assert!(server.app().keep_house(days(90)).await.unwrap().is_empty(), "somebody still looks");
    server
        .as_operator(|operator| {
            let hold = operator.open_holds().unwrap().remove(0);
            operator.release_hold(hold.id.as_str()).unwrap();
        })
        .await;
    assert_eq!(server.app().keep_house(days(90)).await.unwrap(), [over]);
    server.finish().await;
}

#[tokio::test]
async fn tokens_that_ended_a_month_ago_are_removed_and_those_that_count_stay() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let old = mara.token().await;
    let count = || server.database(|tx| Ok::<_, Refusal>(tx.stored_tokens()?));
    server.clock.advance_to(server.time.now() + days(119));
    server.app().keep_house(days(90)).await.unwrap();
    assert_eq!(count().await, 1, "it ended a month ago, but not more");
    server.clock.advance_to(server.time.now() + days(2));
    let fresh = mara.token().await;
    server.app().keep_house(days(90)).await.unwrap();
    assert_eq!(count().await, 1);
    assert_eq!(server.client.get_as(&fresh, "/api/v1/embargoes").await.status, 200);
    assert_eq!(server.client.get_as(&old, "/api/v1/embargoes").await.status, 401);
    server.finish().await;
}
