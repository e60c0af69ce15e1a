//! A change whose commit was not answered, on PostgreSQL: it counts, or it is said that it was not stored, or that
//! nobody knows; and the same bytes again give the first answer.

use embargod::wire;

use crate::harness::{Answer, Change, Cut, Maintainer, Proxy, TestServer};

/// A server whose next change is cut off; nothing on SQLite, which answers in the same process.
async fn cut(cut: Cut) -> Option<(TestServer, Maintainer, Proxy)> {
    let mut server = TestServer::start().await;
    if server.location().kind() == "sqlite" {
        server.finish().await;
        return None;
    }
    let proxy = Proxy::to(server.location()).await;
    let through = proxy.instead_of(server.location());
    server.move_to(through).await;
    let mara = server.maintainer();
    proxy.cut(cut);
    Some((server, mara, proxy))
}

fn open(key: &str, text: Option<&str>) -> Change {
    let body = wire::OpenEmbargo { project: "requests".to_owned(), text: text.map(str::to_owned) };
    Change { key: Some(key.to_owned()), ..Change::json("POST", "/api/v1/embargoes", &body) }
}

async fn embargoes(server: &TestServer) -> usize {
    server.database(|tx| Ok(tx.embargoes()?.len())).await
}

/// Sends the same bytes once more; says the status and what came back.
async fn again(server: &TestServer, answer: &Answer) -> (u16, Vec<u8>) {
    let response = server.client.command("POST", "/api/v1/embargoes", answer.sent.clone()).await;
    (response.status, response.body)
}

#[tokio::test]
async fn a_change_that_was_stored_counts_although_the_answer_to_its_commit_was_lost() {
    let Some((server, mara, _proxy)) = cut(Cut::After).await else { return };
    let answer = mara.does(&open("the-one-and-only", None)).await;
    assert_eq!(answer.response.status, 201, "{}", answer.response.text());
    assert_eq!(embargoes(&server).await, 1);
    assert_eq!(again(&server, &answer).await, (201, answer.response.body.clone()));
    assert_eq!(embargoes(&server).await, 1);
    server.finish().await;
}

#[tokio::test]
async fn a_change_whose_commit_never_arrived_is_said_not_to_be_stored_and_the_same_bytes_do_it() {
    let Some((server, mara, _proxy)) = cut(Cut::Before).await else { return };
    let answer = mara.does(&open("the-one-and-only", None)).await;
    let (status, kind, words) = answer.refused();
    assert_eq!((status, kind.as_str()), (503, "unavailable"));
    assert!(words.contains("was not stored"), "{words}");
    assert_eq!(embargoes(&server).await, 0);
    assert_eq!(again(&server, &answer).await.0, 201);
    assert_eq!(embargoes(&server).await, 1);
    server.finish().await;
}

#[tokio::test]
async fn where_nobody_knows_whether_a_change_was_stored_that_is_said_and_the_same_bytes_give_the_answer() {
    let Some((server, mara, proxy)) = cut(Cut::AfterAndAway).await else { return };
    let answer = mara.does(&open("the-one-and-only", None)).await;
    let (status, kind, words) = answer.refused();
    assert_eq!((status, kind.as_str()), (503, "unavailable"));
    assert!(words.contains("not known whether") && words.contains("same Idempotency-Key"), "{words}");
    proxy.cut(Cut::Never);
    let (status, first) = again(&server, &answer).await;
    assert_eq!(status, 201);
    assert_eq!(again(&server, &answer).await, (201, first));
    assert_eq!(embargoes(&server).await, 1);
    let other = mara.does(&open("the-one-and-only", Some("title = \"Another\""))).await;
    assert_eq!(other.refused().0, 422);
    server.finish().await;
}
