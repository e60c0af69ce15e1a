//! Signing in with a browser: forms and a cookie, no script; and what the signed-in pages show.

use embargod::demo::canary::{Canary, Scanner};
use embargod::entropy::Entropy;
use embargod::openpgp::Person;
use embargod::wire;

use crate::harness::{Change, Client, Response, Series, TestServer, ordinary_text};

/// Sends a form as a browser does.
async fn submits(client: &Client, path: &str, field: &str, value: &str) -> Response {
    // Browsers send the lines of a text area with CRLF.
    let value = value.replace('\n', "\r\n");
    let encoded = value.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
    client.call("POST", path, &headers, Some(format!("{field}={encoded}").into_bytes())).await
}

/// What stands in the text area of this name, as a person would copy it.
fn text_area(page: &str, name: &str) -> String {
    let after = page.split(&format!("name=\"{name}\"")).nth(1).unwrap();
    let inside = after.split_once('>').unwrap().1.split("</textarea>").next().unwrap();
    inside.replace("&lt;", "<").replace("&gt;", ">").replace("&#x2F;", "/").replace("&amp;", "&")
}

/// Signs in; returns the cookie.
pub async fn signs_in(server: &TestServer, person: &Person) -> String {
    let certificate = person.certificate().to_armored();
    let challenged = submits(&server.client, "/login", "certificate", &certificate).await;
    assert_eq!(challenged.status, 200, "{}", challenged.text());
    let challenge = text_area(&challenged.text(), "challenge");
    let opened = person.decrypt(challenge.trim().as_bytes(), None, server.time.now()).unwrap();
    let answer = String::from_utf8(opened.plaintext).unwrap();
    let signed_in = submits(&server.client, "/login/answer", "answer", &answer).await;
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/board")));
    let cookie = signed_in.header("set-cookie").unwrap();
    for attribute in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_maintainer_signs_in_by_form_sees_dates_people_and_states_and_no_secret_text() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    let mara = server.maintainer();
    let canary = |name: &str| Canary::from_random(name, Entropy::System.bytes());
    let (title, hidden) = (canary("title"), [canary("summary"), canary("notice"), canary("patch line")]);
    let mut text = ordinary_text();
    text.insert("title".to_owned(), format!("<b>{}</b>", title.word()).into());
    text.insert("summary".to_owned(), hidden[0].word().into());
    text.insert("notice".to_owned(), hidden[1].word().into());
    let id = mara.opens(&text).await;
    mara.puts_fix(&id, "main", &Series::with_line(&format!("    {}", hidden[2].word())).mbox()).await;
    mara.does(&Change::schedule(&id, "2026-06-10 14:00", None)).await.accepted();
    mara.does(&Change::send(&id, None, true)).await.accepted();
    server.run_worker_until_idle().await;

    let cookie = signs_in(&server, &mara.person).await;
    let hidden = Scanner::new(hidden.to_vec());
    for path in ["/board".to_owned(), format!("/board/{id}")] {
        let page = server.client.call("GET", &path, &[("cookie", &cookie)], None).await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(page.header("cache-control"), Some("no-store, private"));
        let shown = page.text();
        assert!(
            shown.contains(&format!("&#60;b&#62;{}", title.word()))
                || shown.contains(&format!("&lt;b&gt;{}", title.word())),
            "{shown}"
        );
        assert!(!shown.contains("<b>"), "what others wrote is text: {shown}");
        assert_eq!(hidden.scan_bytes(&path, &page.everything()), []);
    }
    let board = server.client.call("GET", &format!("/board/{id}"), &[("cookie", &cookie)], None).await.text();
    for fact in ["debian", "10 Jun", "main", "told"] {
        assert!(board.contains(fact), "{fact} in {board}");
    }

    let out = server.client.call("POST", "/logout", &[("cookie", &cookie)], Some(Vec::new())).await;
    assert_eq!(out.status, 303);
    let after = server.client.call("GET", "/board", &[("cookie", &cookie)], None).await;
    assert_eq!(
        (after.status, after.header("location")),
        (303, Some("/login")),
        "the session ended at the server"
    );
    server.finish().await;
}

#[tokio::test]
async fn a_form_from_another_site_is_not_taken_and_a_wrong_answer_starts_no_session() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let certificate = mara.person.certificate().to_armored();
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "cross-site")];
    let foreign = server.client.call("POST", "/login", &headers, Some(b"certificate=x".to_vec())).await;
    assert_eq!(foreign.status, 403);
    let challenged = submits(&server.client, "/login", "certificate", &certificate).await;
    let unopened = text_area(&challenged.text(), "challenge");
    let refused = submits(&server.client, "/login/answer", "answer", &unopened).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.header("set-cookie"), None);
    assert!(refused.text().contains("gpg --decrypt"), "{}", refused.text());
    server.finish().await;
}

#[tokio::test]
async fn what_a_lift_published_without_is_red_on_the_board_and_told_by_the_api() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let id = mara.opens(&ordinary_text()).await;
    let case = id.parse().unwrap();
    server
        .change(move |tx| {
            let mut stored = tx.embargo_with_content(&case)?.unwrap();
            stored.content.left_out = vec!["the changelog entry".to_owned()];
            Ok(tx.save_embargo(&mut stored.embargo, &stored.content)?)
        })
        .await;
    let cookie = signs_in(&server, &mara.person).await;
    for path in ["/board".to_owned(), format!("/board/{id}")] {
        let page = server.client.call("GET", &path, &[("cookie", &cookie)], None).await.text();
        assert!(page.contains("Published without the changelog entry: it could not be made"), "{page}");
    }
    let token = mara.token().await;
    let case: wire::CaseView = mara.reads(&token, &format!("/api/v1/embargoes/{id}")).await;
    assert_eq!(case.left_out, ["the changelog entry"]);
    server.finish().await;
}
