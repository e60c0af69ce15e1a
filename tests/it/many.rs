//! Many lifts at the same instant: all of them, in few transactions, and none held up by another.

use chrono::{DateTime, Utc};
use embargod::domain::id::EmbargoId;
use embargod::store::Location;
use embargod::wire;

use crate::harness::{Founding, Model, TestServer, utc};

/// More than one transaction takes.
const MANY: usize = 70;

fn at_lift() -> DateTime<Utc> {
    utc("2026-06-10T14:00:00Z")
}

/// A server with an announced embargo and `count` copies of it, all due at the same instant.
async fn with_copies(count: usize) -> (TestServer, Vec<EmbargoId>) {
    let server = TestServer::found(Founding::default()).await;
    server.packager("debian").await;
    let id: EmbargoId = server.maintainer().announces().await.parse().unwrap();
    server.run_worker_until_idle().await;
    let now = server.time.now();
    let mut ids = server
        .change(move |tx| {
            let model = Model::read(tx, &id, now)?;
            let copies: Result<Vec<_>, _> = (0..count).map(|_| model.copy(tx, at_lift())).collect();
            copies
        })
        .await;
    server.meddle(Model::SENT, Model::SENT).await;
    ids.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    (server, ids)
}

/// The number at the end of a public id.
fn numbers(lifted: &[String]) -> Vec<usize> {
    let mut numbers: Vec<usize> =
        lifted.iter().map(|id| id.rsplit('-').next().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn what_is_due_together_is_public_together_with_numbers_that_have_no_gap() {
    let (server, _) = with_copies(MANY).await;
    server.clock.advance_to(at_lift());
    let lifted = server.app().lift_due().await.unwrap();
    // The model is due as well.
    assert_eq!(numbers(&lifted), (1..=MANY + 1).collect::<Vec<_>>());
    for id in &lifted {
        assert_eq!(server.client.get(&format!("/advisories/{id}")).await.status, 200, "{id}");
    }
    // The announcement of the model, and for each lift a mail that says so.
    server.run_worker_until_idle().await;
    assert_eq!(server.sink.messages().len(), 1 + MANY + 1);
    server.finish().await;
}

#[tokio::test]
async fn one_that_cannot_be_rendered_delays_no_other() {
    let (server, ids) = with_copies(5).await;
    let damaged = ids[2].clone();
    let statement = format!(
        "UPDATE fixes SET size = size + 1, content_sealed = facts_sealed WHERE embargo_id = '{damaged}'"
    );
    server.meddle(&statement, &statement).await;
    server.clock.advance_to(at_lift());
    let lifted = server.app().lift_due().await.unwrap();
    assert_eq!(numbers(&lifted), [1, 2, 3, 4, 5], "four copies and the model");
    assert_eq!(server.app().lift_due().await.unwrap(), Vec::<String>::new(), "and nothing twice");
    let still_due = server.database(move |tx| Ok(tx.due_lifts(at_lift())?)).await;
    assert_eq!(still_due, [damaged]);
    server.finish().await;
}

#[tokio::test]
async fn a_changelog_entry_that_cannot_be_made_is_left_out_and_delays_nothing() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    let mara = server.maintainer();
    let embargo = mara.announces().await;
    server.run_worker_until_idle().await;
    server.clock.advance_to(at_lift());
    let mut app = server.app().clone();
    app.changelog = |_, _, _, _| panic!("a rehearsed failure");
    let lifted = app.lift_due().await.unwrap();
    assert_eq!(numbers(&lifted), [1]);

    let base = format!("/advisories/{}", lifted[0]);
    let page = server.client.get(&base).await;
    assert_eq!((page.status, page.text().contains("changelog")), (200, false), "{}", page.text());
    for (path, status) in [(".json", 200), (".json.asc", 200), ("/main.mbox", 200), ("/changelog.md", 404)] {
        assert_eq!(server.client.get(&format!("{base}{path}")).await.status, status, "{path}");
    }
    let token = mara.token().await;
    let case: wire::CaseView = mara.reads(&token, &format!("/api/v1/embargoes/{embargo}")).await;
    assert_eq!(case.left_out, ["the changelog entry"]);
    let metrics = server.numbers();
    let page = metrics.page().await;
    assert_eq!(page.value("embargod_alarms_total{kind=\"format_left_out\"}"), 1);
    metrics.stop().await;
    server.run_worker_until_idle().await;
    let told = server.told();
    assert!(told.iter().any(|text| text.contains("Write it by hand")), "{told:?}");
    server.finish().await;
}

#[tokio::test]
async fn one_that_the_database_refuses_delays_no_other_and_leaves_nothing_behind() {
    let (server, ids) = with_copies(5).await;
    let refused = ids[2].clone();
    let sqlite = format!(
        "CREATE TRIGGER refused BEFORE INSERT ON advisories WHEN NEW.embargo_id = '{refused}' \
         BEGIN SELECT RAISE(FAIL, 'refused'); END"
    );
    let postgres = format!(
        "CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$; \
         CREATE TRIGGER refused BEFORE INSERT ON advisories FOR EACH ROW \
         WHEN (NEW.embargo_id = '{refused}') EXECUTE FUNCTION refused()"
    );
    server.meddle(&sqlite, &postgres).await;
    server.clock.advance_to(at_lift());
    let lifted = server.app().lift_due().await.unwrap();
    assert_eq!(numbers(&lifted), [1, 2, 3, 4, 5], "four copies and the model");
    let asked = refused.clone();
    let (due, advisory, notices) = server
        .database(move |tx| {
            let notices = tx.current_notices(&asked, at_lift())?;
            Ok((tx.due_lifts(at_lift())?, tx.advisory_of(&asked)?, notices.len()))
        })
        .await;
    assert_eq!((due, advisory, notices), (vec![refused], None, 1), "only the announcement is current");
    let mended = match server.location() {
        Location::Sqlite(_) => "DROP TRIGGER refused",
        Location::Postgres(_) => "DROP TRIGGER refused ON advisories",
    };
    server.meddle(mended, mended).await;
    assert_eq!(numbers(&server.app().lift_due().await.unwrap()), [6]);
    server.finish().await;
}

#[tokio::test]
async fn one_that_something_stands_in_the_way_of_delays_no_other_and_does_not_fail_in_silence() {
    let (server, ids) = with_copies(3).await;
    let blocked = ids[0].clone();
    let statement = format!(
        "INSERT INTO advisories (id, embargo_id, project, published_at) VALUES ('elsewhere', '{blocked}', 'x', 0)"
    );
    server.meddle(&statement, &statement).await;
    server.clock.advance_to(at_lift());
    let lifted = server.app().lift_due().await.unwrap();
    assert_eq!(numbers(&lifted), [1, 2, 3], "two copies and the model");
    let refusal = server.app().lift_due().await.unwrap_err();
    assert!(refusal.to_string().contains("changed meanwhile"), "{refusal}");
    server.finish().await;
}

/// While `first` is published, `moved` gets another date.
async fn moves_meanwhile(server: &TestServer, first: &EmbargoId, moved: &EmbargoId) {
    let later = utc("2026-06-17T14:00:00Z").timestamp_micros();
    let change =
        format!("UPDATE embargoes SET version = version + 1, lifts_at = {later} WHERE id = '{moved}'");
    let sqlite = format!(
        "CREATE TRIGGER faster AFTER INSERT ON advisories WHEN NEW.embargo_id = '{first}' BEGIN {change}; END"
    );
    let postgres = format!(
        "CREATE FUNCTION faster() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change}; RETURN NEW; END $$; \
         CREATE TRIGGER faster AFTER INSERT ON advisories FOR EACH ROW \
         WHEN (NEW.embargo_id = '{first}') EXECUTE FUNCTION faster()"
    );
    server.meddle(&sqlite, &postgres).await;
}

#[tokio::test]
async fn one_that_was_changed_while_it_was_rendered_is_left_as_it_was_changed() {
    let (server, ids) = with_copies(3).await;
    let moved = ids[1].clone();
    moves_meanwhile(&server, &ids[0], &moved).await;
    server.clock.advance_to(at_lift());
    let lifted = server.app().lift_due().await.unwrap();
    assert_eq!(numbers(&lifted), [1, 2, 3], "two copies and the model");
    let public = server.database(move |tx| Ok(tx.advisory_of(&moved)?)).await;
    assert_eq!(public, None);
    server.finish().await;
}

#[tokio::test]
async fn what_was_rendered_ahead_with_numbers_that_turn_out_wrong_is_rendered_anew() {
    let (server, ids) = with_copies(MANY).await;
    // Both are in the first batch, so that the second was rendered for a number too many.
    moves_meanwhile(&server, &ids[1], &ids[2]).await;
    server.clock.advance_to(at_lift());
    let lifted = server.app().lift_due().await.unwrap();
    assert_eq!(numbers(&lifted), (1..=MANY).collect::<Vec<_>>(), "the model, and all copies but one");
    for id in &lifted {
        let page = server.client.get(&format!("/advisories/{id}")).await.text();
        assert!(page.contains(id.as_str()), "{id} is called otherwise on its page");
    }
    server.finish().await;
}
