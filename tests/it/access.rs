//! Who may do what: every operation of the OpenAPI document, by everybody who should not.
//!
//! Whoever holds a stolen token opens nothing that is embargoed and changes nothing; what is forbidden looks
//! like what does not exist.

use std::collections::BTreeSet;

use embargod::demo::canary::{Canary, Scanner};
use embargod::domain::id::EmbargoId;
use embargod::entropy::Entropy;
use embargod::wire;

use crate::harness::{
    Change, Client, Maintainer, Response, TestServer, ordinary_text, person, requests_policy,
};

/// An operation, and the status that each of [`CALLERS`] gets.
type Row = (&'static str, &'static str, [u16; 5]);

/// Nobody; a thief of a maintainer's token, of a packager's token, of the token of a packager who was not told,
/// of the token of another project's maintainer.
const CALLERS: [&str; 5] = ["nobody", "maintainer", "packager", "not told", "other project"];

const TABLE: [Row; 31] = [
    ("GET", "/", [200; 5]),
    ("GET", "/advisories/{id}", [404; 5]),
    ("GET", "/advisories/{id}/{file}", [404; 5]),
    ("GET", "/feed.atom", [200; 5]),
    ("GET", "/key.asc", [200; 5]),
    ("GET", "/livez", [200; 5]),
    ("GET", "/readyz", [200; 5]),
    ("GET", "/openapi.json", [200; 5]),
    ("POST", "/api/v1/challenges", [400; 5]),
    ("POST", "/api/v1/tokens", [400; 5]),
    ("POST", "/api/v1/packagers", [400; 5]),
    // Whoever holds a token can end it, and nothing else; the story tries it last.
    ("DELETE", "/api/v1/tokens", [401, 204, 204, 204, 204]),
    ("GET", "/api/v1/embargoes", [401, 200, 200, 200, 200]),
    ("GET", "/api/v1/embargoes/{id}", [401, 200, 200, 404, 404]),
    ("GET", "/api/v1/embargoes/{id}/revisions/{number}/notice", [401, 200, 200, 404, 404]),
    ("GET", "/api/v1/embargoes/{id}/revisions/{number}/fixes/{fix}", [401, 200, 200, 404, 404]),
    // The thief does not know the receipt code.
    ("PUT", "/api/v1/embargoes/{id}/receipt", [401, 404, 400, 404, 404]),
    ("PUT", "/api/v1/embargoes/{id}/impact", [401, 404, 400, 404, 404]),
    ("PUT", "/api/v1/embargoes/{id}/progress", [401, 404, 400, 404, 404]),
    ("GET", "/api/v1/embargoes/{id}/dates", [401, 200, 404, 404, 404]),
    ("GET", "/api/v1/embargoes/{id}/deliveries", [401, 200, 404, 404, 404]),
    ("GET", "/api/v1/embargoes/{id}/audit", [401, 200, 404, 404, 404]),
    // Changes are signed commands; no token helps.
    ("POST", "/api/v1/embargoes", [401; 5]),
    ("PUT", "/api/v1/embargoes/{id}/text", [401; 5]),
    ("PUT", "/api/v1/embargoes/{id}/fixes", [401; 5]),
    ("POST", "/api/v1/embargoes/{id}/revisions", [401; 5]),
    ("PUT", "/api/v1/embargoes/{id}/schedule", [401; 5]),
    ("POST", "/api/v1/embargoes/{id}/lift-early", [401; 5]),
    ("POST", "/api/v1/embargoes/{id}/cancel", [401; 5]),
    ("PUT", "/api/v1/embargoes/{id}/audience", [401; 5]),
    ("PUT", "/api/v1/embargoes/{id}/credits", [401; 5]),
];

/// Nobody else, either: what each of [`NOBODIES`] shows counts for nothing, so each gets what nobody gets.
const NOBODIES: [&str; 5] = [
    "packager who was removed",
    "maintainer who was removed",
    "page session",
    "ended token",
    "made-up token",
];

/// The scope that each operation for packagers asks of a token.
const SCOPES: [(&str, &str, &str); 7] = [
    ("GET", "/api/v1/embargoes", "schedule:read"),
    ("GET", "/api/v1/embargoes/{id}", "schedule:read"),
    ("GET", "/api/v1/embargoes/{id}/revisions/{number}/notice", "notice:read"),
    ("GET", "/api/v1/embargoes/{id}/revisions/{number}/fixes/{fix}", "patch:read"),
    ("PUT", "/api/v1/embargoes/{id}/receipt", "ack:write"),
    ("PUT", "/api/v1/embargoes/{id}/impact", "ack:write"),
    ("PUT", "/api/v1/embargoes/{id}/progress", "ack:write"),
];

/// Bodies that would be right if a token were enough.
fn body(path: &str) -> Option<serde_json::Value> {
    let code = "222-333";
    Some(match path.rsplit('/').next()? {
        "receipt" => serde_json::json!({ "revision": 1, "code": code }),
        "impact" => serde_json::json!({ "impact": "affected", "code": code }),
        "progress" => serde_json::json!({ "progress": "ready", "code": code }),
        "challenges" => serde_json::json!("no certificate"),
        "tokens" => serde_json::json!("no challenge"),
        "packagers" => serde_json::json!({
            "challenge": "none", "name": "Mine", "contact": "me@mine.example", "projects": ["requests"],
        }),
        "embargoes" => serde_json::json!({ "project": "requests" }),
        "text" => serde_json::json!("title = 'mine'"),
        "fixes" => serde_json::json!({ "branch": "main", "waiver": "mine" }),
        "revisions" => serde_json::json!({ "reason": "mine", "now": true }),
        "schedule" => serde_json::json!({ "lifts_at": "2026-06-11 14:00", "reason": "mine" }),
        "lift-early" | "cancel" => serde_json::json!({ "reason": "mine" }),
        "audience" => serde_json::json!({ "packagers": [] }),
        "credits" => serde_json::json!({ "credits": [] }),
        _ => return None,
    })
}

async fn call(client: &Client, token: Option<&str>, method: &str, path: &str) -> Response {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = Vec::new();
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    let body = (method != "GET").then(|| body(path)).flatten();
    headers.extend(body.as_ref().map(|_| ("content-type", "application/json")));
    let body = body.map(|body| serde_json::to_vec(&body).unwrap());
    client.call(method, path, &headers, body).await
}

/// The operations of the served document.
async fn operations(client: &Client) -> BTreeSet<(String, String)> {
    let document: serde_json::Value = client.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
    });
    each.collect()
}

/// Everything of a case that could change, and what was done to it apart from reading.
async fn state(server: &TestServer, id: &str) -> String {
    let id: EmbargoId = id.parse().unwrap();
    let read = |action: &str| action.ends_with("read") || action.ends_with("fetched");
    server
        .database(move |tx| {
            let case = tx.embargo_with_content(&id)?.unwrap();
            let fixes: Vec<_> = tx.working_set(&id)?.into_iter().map(|fix| fix.id).collect();
            let copies: Vec<_> =
                tx.deliveries_of(&id)?.into_iter().map(|copy| (copy.id, copy.state)).collect();
            let done: Vec<_> =
                tx.audit_of(&id, 1_000)?.into_iter().filter(|entry| !read(&entry.action)).collect();
            let audience = tx.audience(&id)?;
            let said =
                audience.iter().map(|packager| tx.answers(&id, packager)).collect::<Result<Vec<_>, _>>()?;
            Ok(format!(
                "{:?} {:?} {fixes:?} {copies:?} {audience:?} {said:?} {:?} {}",
                case.embargo,
                case.content,
                done.iter().map(|entry| (&entry.sequence, &entry.action)).collect::<Vec<_>>(),
                tx.embargoes()?.len(),
            ))
        })
        .await
}

struct Scene {
    server: TestServer,
    /// One of each caller.
    tokens: [Option<String>; 5],
    debian: crate::harness::Packager,
    outsider: Maintainer,
    id: String,
    fix: String,
    scanner: Scanner,
}

/// An announced embargo, and everybody of [`CALLERS`].
async fn scene() -> Scene {
    let server = TestServer::start().await;
    let (debian, alpine) = (server.packager("debian").await, server.packager("alpine").await);
    let other = person("Oda Other", "oda@other.example");
    let certificate = other.certificate().to_armored();
    server
        .as_operator(move |operator| {
            operator.add_project("other", "Other", requests_policy(&[])).unwrap();
            operator.add_maintainer("other", certificate.as_bytes()).unwrap();
        })
        .await;
    let outsider = server.maintainer_who_is(other);
    let mara = server.maintainer();
    let canary = Canary::from_random("the text", Entropy::System.bytes());
    let mut text = ordinary_text();
    for field in ["title", "summary", "notice"] {
        text.insert(field.to_owned(), canary.word().into());
    }
    let id = mara.opens(&text).await;
    let series = crate::harness::Series::with_line(&format!("    {}", canary.word()));
    mara.puts_fix(&id, "main", &series.mbox()).await;
    mara.does(&Change::audience(&id, &["debian"])).await.accepted();
    mara.does(&Change::schedule(&id, "2026-06-10 14:00", None)).await.accepted();
    let case = mara.does(&Change::send(&id, None, true)).await.accepted();
    server.run_worker_until_idle().await;
    let tokens = [
        None,
        Some(mara.token().await),
        Some(debian.token().await),
        Some(alpine.token().await),
        Some(outsider.token().await),
    ];
    let fix = case.neutral.fixes[0].id.clone();
    Scene { server, tokens, debian, outsider, id, fix, scanner: Scanner::new(vec![canary]) }
}

#[tokio::test]
async fn every_operation_of_the_document_stands_in_the_table() {
    let server = TestServer::start().await;
    let known: BTreeSet<_> =
        TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(operations(&server.client).await, known);
    server.finish().await;
}

#[tokio::test]
async fn a_stolen_token_opens_nothing_and_changes_nothing() {
    let Scene { server, tokens, id, fix, scanner, .. } = scene().await;
    let before = state(&server, &id).await;
    let absent = "0000-0000";
    let (last, others): (Vec<Row>, Vec<Row>) =
        TABLE.into_iter().partition(|(method, ..)| *method == "DELETE");
    whole_case(&server, &tokens, &id, &scanner).await;
    for (method, template, statuses) in others.into_iter().chain(last) {
        let path = |id: &str| address(template, id, &fix);
        for ((caller, token), status) in CALLERS.iter().zip(&tokens).zip(statuses) {
            let place = format!("{method} {template} by {caller}");
            let response = call(&server.client, token.as_deref(), method, &path(&id)).await;
            assert_eq!(response.status, status, "{place}: {}", response.text());
            assert_eq!(scanner.scan_bytes(&place, &response.everything()), []);
            if status == 200 && response.header("content-type") == Some(wire::OPENPGP) {
                assert!(response.body.starts_with(b"-----BEGIN PGP MESSAGE-----"), "{place}");
            }
            if status == 404 && template.contains("{id}") {
                let nothing = call(&server.client, token.as_deref(), method, &path(absent)).await;
                let forbidden = response.without_date();
                assert_eq!(forbidden, nothing.without_date(), "{place}: forbidden and absent look alike");
            }
        }
    }
    assert_eq!(state(&server, &id).await, before);
    server.finish().await;
}

/// The address of an operation, about this embargo and fix.
fn address(template: &str, id: &str, fix: &str) -> String {
    template.replace("{id}", id).replace("{number}", "1").replace("{fix}", fix).replace("{file}", "main.mbox")
}

#[tokio::test]
async fn what_was_taken_back_or_is_for_something_else_opens_no_more_than_nothing_does() {
    let Scene { server, tokens, id, fix, scanner, .. } = scene().await;
    let (gone, left) = (server.packager("gone").await, server.another_maintainer("left").await);
    let ended = gone.token().await;
    let bearer = format!("Bearer {ended}");
    server.client.call("DELETE", "/api/v1/tokens", &[("authorization", &bearer)], None).await;
    let cookie = crate::pages::signs_in(&server, &server.maintainer().person).await;
    let session = cookie.split_once('=').unwrap().1.to_owned();
    let mut made_up = tokens[2].clone().unwrap();
    made_up.replace_range(10..14, "0000");
    let shown = [gone.token().await, left.token().await, session, ended, made_up];
    server
        .as_operator(|operator| {
            operator.remove_packager("gone", None).unwrap();
            operator.remove_maintainer("left@requests.example", "requests", false).unwrap();
        })
        .await;
    let before = state(&server, &id).await;
    for (method, template, statuses) in TABLE {
        for (who, token) in NOBODIES.iter().zip(&shown) {
            let place = format!("{method} {template} with the token of a {who}");
            let response = call(&server.client, Some(token), method, &address(template, &id, &fix)).await;
            assert_eq!(response.status, statuses[0], "{place}: {}", response.text());
            assert_eq!(scanner.scan_bytes(&place, &response.everything()), []);
            let absent =
                call(&server.client, Some(token), method, &address(template, "0000-0000", &fix)).await;
            assert_eq!(response.without_date(), absent.without_date(), "{place}");
        }
    }
    assert_eq!(state(&server, &id).await, before);
    server.finish().await;
}

#[tokio::test]
async fn a_token_for_one_thing_does_that_and_nothing_else() {
    let Scene { server, debian, id, fix, .. } = scene().await;
    // Every operation that is more than nothing to a packager stands in the table of scopes, or ends the token.
    let more = TABLE.iter().filter(|(method, _, [nobody, _, packager, ..])| {
        *nobody == 401 && ![401, 404].contains(packager) && *method != "DELETE"
    });
    let more: BTreeSet<_> = more.map(|(method, path, _)| (*method, *path)).collect();
    assert_eq!(more, SCOPES.iter().map(|(method, path, _)| (*method, *path)).collect());
    for scope in ["schedule:read", "notice:read", "patch:read", "ack:write"] {
        let token = debian.token_for(scope).await;
        for (method, template, statuses) in TABLE.into_iter().filter(|(method, ..)| *method != "DELETE") {
            let asked = SCOPES.iter().find(|(known, path, _)| (*known, *path) == (method, template));
            let narrow = asked.is_some_and(|(.., needed)| *needed != scope);
            let expected = if narrow { 403 } else { statuses[2] };
            let response = call(&server.client, Some(&token), method, &address(template, &id, &fix)).await;
            assert_eq!(response.status, expected, "{method} {template} with {scope}: {}", response.text());
            if narrow {
                let absent = address(template, "0000-0000", &fix);
                let absent = call(&server.client, Some(&token), method, &absent).await;
                assert_eq!(response.without_date(), absent.without_date(), "{method} {template}");
            }
        }
    }
    server.finish().await;
}

/// Everything that anybody may ask for, and some of what nobody will find.
async fn crawl(server: &TestServer, id: &str) -> Vec<(String, Response)> {
    let mut paths: BTreeSet<String> = operations(&server.client)
        .await
        .into_iter()
        .filter(|(method, _)| method == "GET")
        .map(|(_, path)| address(&path, id, "0000-0000"))
        .collect();
    let more = [
        "/login",
        "/board",
        "/style.css",
        "/robots.txt",
        "/sitemap.xml",
        "/favicon.ico",
        "/.well-known/security.txt",
        "/feed.json",
        "/metrics",
        "/report",
        "/advisories",
        "/advisories/EMB-2026-1",
        "/advisories/EMB-2026-1.json",
        "/advisories/EMB-2026-1/main.mbox",
        "/advisories/EMB-2026-2",
        "/osv/EMB-2026-1.json",
    ];
    paths.extend(more.map(str::to_owned));
    paths.insert(format!("/board/{id}"));
    paths.insert(format!("/advisories/{id}"));
    let mut seen = Vec::new();
    for path in paths {
        let response = server.client.get(&path).await.without_date();
        // The id itself is not what is compared.
        seen.push((path.replace(id, "ID"), response));
    }
    seen
}

#[tokio::test]
async fn nothing_that_anybody_can_read_tells_whether_there_is_an_embargo_at_any_stage_of_it() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    let mara = server.maintainer();
    let nothing = crawl(&server, "abcd-efgh").await;
    assert!(nothing.len() > 30 && nothing.iter().any(|(path, seen)| path == "/" && seen.status == 200));
    let id = mara.opens(&ordinary_text()).await;
    assert_eq!(crawl(&server, &id).await, nothing, "a draft");
    mara.puts_fix(&id, "main", &crate::harness::Series::default().mbox()).await;
    mara.does(&Change::schedule(&id, "2026-06-10 14:00", None)).await.accepted();
    assert_eq!(crawl(&server, &id).await, nothing, "a date");
    mara.does(&Change::send(&id, None, true)).await.accepted();
    server.run_worker_until_idle().await;
    assert_eq!(crawl(&server, &id).await, nothing, "announced");
    mara.does(&Change::schedule(&id, "2026-06-11 14:00", Some("later"))).await.accepted();
    server.run_worker_until_idle().await;
    assert_eq!(crawl(&server, &id).await, nothing, "another date");
    mara.does(&Change::cancel(&id, "It was none.")).await.accepted();
    server.run_worker_until_idle().await;
    assert_eq!(crawl(&server, &id).await, nothing, "cancelled");
    server.finish().await;
}

/// To ask for the whole case with a token opens nothing: a maintainer's thief gets a message to the maintainer,
/// a packager's what is neutral, anybody else's nothing.
async fn whole_case(server: &TestServer, tokens: &[Option<String>; 5], id: &str, scanner: &Scanner) {
    for (token, expected) in tokens.iter().zip([401, 200, 200, 404, 404]) {
        let bearer = format!("Bearer {}", token.as_deref().unwrap_or("none"));
        let headers = [("authorization", bearer.as_str()), ("accept", wire::OPENPGP)];
        let whole = server.client.call("GET", &format!("/api/v1/embargoes/{id}"), &headers, None).await;
        assert_eq!(whole.status, expected);
        assert_eq!(scanner.scan_bytes("the whole case", &whole.everything()), []);
        if *token == tokens[1] {
            assert!(whole.body.starts_with(b"-----BEGIN PGP MESSAGE-----"));
        }
    }
}

#[tokio::test]
async fn lists_hold_what_the_caller_was_told_of_and_no_more() {
    let Scene { server, tokens, id, .. } = scene().await;
    for (caller, token) in CALLERS.iter().zip(&tokens).skip(1) {
        let list = server.client.get_as(token.as_deref().unwrap(), "/api/v1/embargoes").await;
        let told = ["maintainer", "packager"].contains(caller);
        assert_eq!(list.text().contains(&id), told, "{caller}");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_packager_hears_of_an_embargo_when_it_is_announced_and_not_before() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-10 14:00").await;
    mara.does(&Change::send(&id, None, false)).await.accepted();
    let token = debian.token().await;
    let path = format!("/api/v1/embargoes/{id}");
    assert_eq!(debian.embargoes(&token).await.len(), 0);
    let secret = server.client.get_as(&token, &path).await.without_date();
    assert_eq!(secret, server.client.get_as(&token, "/api/v1/embargoes/0000-0000").await.without_date());
    server.clock.advance_to("2026-06-02T12:00:00Z".parse().unwrap());
    server.run_worker_until_idle().await;
    assert_eq!(debian.embargoes(&token).await.len(), 1);
    server.finish().await;
}

#[tokio::test]
async fn a_signed_command_of_another_projects_maintainer_finds_nothing() {
    let Scene { server, outsider, id, .. } = scene().await;
    let before = state(&server, &id).await;
    let commands = |id: &str| {
        [
            Change::text(id, &ordinary_text()),
            Change::schedule(id, "2026-06-11 14:00", Some("mine")),
            Change::send(id, Some("mine"), true),
            Change::lift_early(id, "mine"),
            Change::cancel(id, "mine"),
            Change::audience(id, &[]),
            Change::credits(id, Vec::new()),
            outsider.fix(id, "main", &crate::harness::Series::default().mbox()),
        ]
    };
    for (forbidden, absent) in commands(&id).iter().zip(&commands("0000-0000")) {
        let forbidden = outsider.does(forbidden).await.response;
        assert_eq!(forbidden.status, 404, "{}", forbidden.text());
        assert_eq!(forbidden.without_date(), outsider.does(absent).await.response.without_date());
    }
    let open = wire::OpenEmbargo { project: "requests".to_owned(), text: None };
    let (status, kind, _) = outsider.does(&Change::json("POST", "/api/v1/embargoes", &open)).await.refused();
    assert_eq!((status, kind.as_str()), (400, "project"));
    assert_eq!(state(&server, &id).await, before);
    server.finish().await;
}

#[tokio::test]
async fn a_page_session_and_a_token_do_not_stand_in_for_each_other() {
    let Scene { server, tokens, id, .. } = scene().await;
    let token = tokens[1].as_deref().unwrap();
    for path in ["/board".to_owned(), format!("/board/{id}")] {
        let cookie = format!("__Host-embargod={token}");
        let page = server.client.call("GET", &path, &[("cookie", &cookie)], None).await;
        assert_eq!((page.status, page.header("location")), (303, Some("/login")), "{path}");
        let page = call(&server.client, Some(token), "GET", &path).await;
        assert_eq!(page.status, 303, "{path}");
    }
    server.finish().await;
}
