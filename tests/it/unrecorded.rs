//! An audit log that cannot be written: no byte of embargoed matter leaves, and nothing is changed.

use embargod::demo::canary::{Canary, Scanner};
use embargod::entropy::Entropy;
use embargod::store::Location;
use embargod::wire;

use crate::harness::{Change, Client, Response, Series, TestServer, ordinary_text, tamper};
use crate::pages::signs_in;

/// From here on every entry is refused by the database.
async fn break_the_log(server: &TestServer) {
    let refuse = match server.location() {
        Location::Sqlite(_) => {
            "CREATE TRIGGER log_is_full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
        }
        Location::Postgres(_) => {
            "CREATE FUNCTION refuse_entry() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'full'; END $$; \
             CREATE TRIGGER log_is_full BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION refuse_entry()"
        }
    };
    tamper(server.location(), refuse).await;
}

async fn mend_the_log(server: &TestServer) {
    let mend = match server.location() {
        Location::Sqlite(_) => "DROP TRIGGER log_is_full",
        Location::Postgres(_) => "DROP TRIGGER log_is_full ON audit; DROP FUNCTION refuse_entry",
    };
    tamper(server.location(), mend).await;
}

/// Every operation of the served document that reads, with real ids in it.
async fn reads(client: &Client, id: &str, fix: &str) -> Vec<String> {
    let document: serde_json::Value = client.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    let reads = paths.iter().filter(|(_, item)| item.get("get").is_some());
    reads
        .map(|(path, _)| path.replace("{id}", id).replace("{number}", "1").replace("{fix}", fix))
        .map(|path| path.replace("{file}", "main.mbox"))
        .collect()
}

async fn read(client: &Client, token: &str, path: &str) -> Response {
    let bearer = format!("Bearer {token}");
    // Whoever asks for the whole case names the form it comes in.
    let headers = [("authorization", bearer.as_str()), ("accept", wire::OPENPGP)];
    client.call("GET", path, &headers, None).await
}

fn is_embargoed(response: &Response) -> bool {
    response.status == 200 && response.header("content-type") == Some(wire::OPENPGP)
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_handed_out_by_any_operation_or_page() {
    let server = TestServer::start().await;
    let (debian, mara) = (server.packager("debian").await, server.maintainer());
    let canary = Canary::from_random("the text", Entropy::System.bytes());
    let mut text = ordinary_text();
    for field in ["title", "summary", "notice"] {
        text.insert(field.to_owned(), canary.word().into());
    }
    let id = mara.opens(&text).await;
    mara.puts_fix(&id, "main", &Series::with_line(&format!("    {}", canary.word())).mbox()).await;
    mara.does(&Change::schedule(&id, "2026-06-10 14:00", None)).await.accepted();
    let case = mara.does(&Change::send(&id, None, true)).await.accepted();
    server.run_worker_until_idle().await;
    let tokens = [mara.token().await, debian.token().await];
    let cookie = signs_in(&server, &mara.person).await;
    let fix = case.neutral.fixes[0].id.clone();
    let scanner = Scanner::new(vec![canary]);
    let paths = reads(&server.client, &id, &fix).await;

    let mut embargoed = Vec::new();
    for token in &tokens {
        for path in &paths {
            if is_embargoed(&read(&server.client, token, path).await) {
                embargoed.push((token, path));
            }
        }
    }
    // The case, dates, deliveries, log, notice and fix to the maintainer; notice and fix to the packager.
    assert_eq!(embargoed.len(), 8, "{embargoed:?}");

    break_the_log(&server).await;
    for token in &tokens {
        for path in &paths {
            let response = read(&server.client, token, path).await;
            assert!(!is_embargoed(&response), "{path}");
            assert!(!response.text().contains("BEGIN PGP MESSAGE"), "{path}: {}", response.text());
            assert_eq!(scanner.scan_bytes(path, &response.everything()), []);
            if embargoed.contains(&(token, path)) {
                assert_eq!((response.status, response.problem().as_str()), (503, "unavailable"), "{path}");
            }
        }
    }
    for path in ["/board".to_owned(), format!("/board/{id}")] {
        let page = server.client.call("GET", &path, &[("cookie", &cookie)], None).await;
        assert_eq!(page.status, 503, "{path}");
        assert_eq!(scanner.scan_bytes(&path, &page.everything()), []);
    }
    let cancel = mara.does(&Change::cancel(&id, "mine")).await;
    assert_eq!(cancel.refused().0, 503);

    mend_the_log(&server).await;
    for (token, path) in embargoed {
        assert_eq!(read(&server.client, token, path).await.status, 200, "{path}");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_lift_that_cannot_be_written_down_waits_and_is_not_half_public() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    server.maintainer().announces().await;
    server.run_worker_until_idle().await;
    server.clock.advance_to("2026-06-10T12:00:00Z".parse().unwrap());
    break_the_log(&server).await;
    let refusal = server.app().lift_due().await.unwrap_err().to_string();
    assert!(refusal.starts_with("the audit log cannot be written"), "{refusal}");
    assert_eq!(server.client.get("/advisories/EMB-2026-1").await.status, 404);
    mend_the_log(&server).await;
    assert_eq!(server.run_worker_until_idle().await.lifted, ["EMB-2026-1"]);
    server.finish().await;
}
