//! What strangers may use up: bytes, connections, time, tries; and that the rest goes on meanwhile.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use embargod::config::limits::LimitsConfig;
use embargod::openpgp::SessionKey;
use embargod::wire;

use crate::harness::{
    Change, Client, Founding, Response, Series, TestServer, hours, ordinary_text, person, utc,
};

/// A server with these limits.
async fn limited(limits: LimitsConfig) -> TestServer {
    TestServer::found(Founding { limits, ..Founding::default() }).await
}

/// Longer than the server waits for anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// Sends bytes as they are, and reads until the server hangs up.
async fn says(client: &Client, request: Vec<u8>) -> String {
    let address = client.base_url().trim_start_matches("http://").to_owned();
    let talk = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut mouth = stream.try_clone().unwrap();
        // The server may stop reading before everything was said.
        let speaker = std::thread::spawn(move || drop(mouth.write_all(&request)));
        let mut answer = Vec::new();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // A connection that is reset ends as well.
        let ended = stream.read_to_end(&mut answer).map_err(|error| error.kind());
        assert_ne!(ended, Err(ErrorKind::WouldBlock), "the server does not hang up");
        speaker.join().unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

#[tokio::test]
async fn what_no_handler_needs_to_see_is_refused_with_what_to_do_instead() {
    let server = TestServer::start().await;
    let head = "Host: localhost\r\nConnection: close\r\n";
    let cases = [
        (
            "a compressed body",
            format!(
                "POST /api/v1/challenges HTTP/1.1\r\n{head}Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"
            ),
            "415",
        ),
        (
            "an announced giant",
            format!(
                "PUT /api/v1/embargoes/0000-0000/fixes HTTP/1.1\r\n{head}Content-Type: application/pgp-encrypted\r\nContent-Length: 99999999\r\n\r\n"
            ),
            "413",
        ),
        (
            "a giant in chunks",
            format!(
                "POST /api/v1/challenges HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n200000\r\n{}\r\n0\r\n\r\n",
                "x".repeat(0x0020_0000)
            ),
            "413",
        ),
        ("TRACE", format!("TRACE / HTTP/1.1\r\n{head}\r\n"), "405"),
        (
            "a method of an address that takes others",
            format!("DELETE /api/v1/embargoes/0000-0000/schedule HTTP/1.1\r\n{head}\r\n"),
            "405",
        ),
        ("a method that nobody knows", format!("BREW /login HTTP/1.1\r\n{head}\r\n"), "405"),
        ("a method of no address", format!("DELETE /nothing HTTP/1.1\r\n{head}\r\n"), "404"),
        ("a long address", format!("GET /advisories/{} HTTP/1.1\r\n{head}\r\n", "a".repeat(3_000)), "414"),
        ("a long header", format!("GET / HTTP/1.1\r\n{head}Cookie: {}\r\n\r\n", "a".repeat(20_000)), "431"),
        (
            "more headers than anybody sends",
            format!("GET / HTTP/1.1\r\n{head}{}\r\n", "X-A: b\r\n".repeat(200)),
            "431",
        ),
        (
            "two lengths",
            format!(
                "POST /api/v1/challenges HTTP/1.1\r\n{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"
            ),
            "400",
        ),
        (
            "a length and chunks",
            format!(
                "POST /api/v1/challenges HTTP/1.1\r\n{head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            "400",
        ),
    ];
    for (what, request, expected) in cases {
        let answer = says(&server.client, request.into_bytes()).await;
        assert_eq!(status(&answer), expected, "{what}: {answer}");
    }
    let endless =
        says(&server.client, [b"GET / HTTP/1.1\r\nX-A: ".to_vec(), vec![b'a'; 1 << 20]].concat()).await;
    assert!(["none", "400", "431"].contains(&status(&endless)), "a head without an end: {endless}");
    let refused = server.client.call("DELETE", "/login", &[], None).await;
    assert_eq!((refused.problem().as_str(), refused.header("allow")), ("method", Some("GET, POST")));
    assert_eq!(refused.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(server.client.get("/livez").await.status, 200);
    server.finish().await;
}

#[tokio::test]
async fn a_command_of_sixteen_mebibytes_is_too_large_and_no_failure_of_the_server() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let junk = vec![b' '; (24 << 20) + 1];
    let refused = server.client.command("POST", "/api/v1/embargoes", junk).await;
    assert_eq!(refused.status, 413, "{}", refused.text());
    // Opened it is larger than any command, though it travels as a few kilobytes.
    let key = SessionKey::from_random([7; 32]);
    let zeros = vec![b'a'; (16 << 20) + 1];
    let bomb = mara.person.sign_and_encrypt(&zeros, &server.certificate, &key, server.time.now()).unwrap();
    let refused = server.client.command("POST", "/api/v1/embargoes", bomb).await;
    assert_eq!(refused.status, 413, "{}", refused.text());
    server.finish().await;
}

#[tokio::test]
async fn who_sends_a_byte_now_and_then_is_not_waited_for() {
    let server = limited(LimitsConfig { request_seconds: 1, ..LimitsConfig::default() }).await;
    let begun =
        b"POST /api/v1/challenges HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf".to_vec();
    let answer = says(&server.client, begun).await;
    assert_eq!(status(&answer), "408", "{answer}");
    assert!(answer.contains("nosniff") && answer.contains("too-slow"), "{answer}");
    // The head of a request is not waited for either; how that is said is up to the library.
    let answer = says(&server.client, b"GET / HTTP/1.1\r\nHost: loc".to_vec()).await;
    assert!(["408", "none"].contains(&status(&answer)), "{answer}");
    let half = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: loc".to_vec();
    let answer = says(&server.client, half).await;
    assert_eq!(
        status(&answer),
        "200",
        "the first is answered, and the second head has no more time: {answer}"
    );
    assert_eq!(server.client.get("/livez").await.status, 200);
    server.finish().await;
}

#[tokio::test]
async fn after_the_answer_to_a_body_without_a_length_nothing_else_is_answered() {
    let server = TestServer::start().await;
    let mut asked = b"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    asked.extend(format!("ea60\r\n{}\r\n0\r\n\r\n", "x".repeat(60_000)).bytes());
    asked.extend(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = says(&server.client, asked).await;
    assert_eq!(status(&answer), "404", "{answer}");
    assert!(answer.contains("connection: close") && answer.matches("HTTP/1.1").count() == 1, "{answer}");
    server.finish().await;
}

#[tokio::test]
async fn who_takes_no_answers_is_not_waited_for() {
    let server = limited(LimitsConfig { request_seconds: 1, ..LimitsConfig::default() }).await;
    let address = server.client.base_url().trim_start_matches("http://").to_owned();
    let asks_and_never_listens = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000);
        loop {
            if let Err(error) = stream.write_all(&asked) {
                return error.kind();
            }
        }
    };
    let ended = tokio::task::spawn_blocking(asks_and_never_listens).await.unwrap();
    assert_ne!(ended, ErrorKind::WouldBlock, "the server waits for ever");
    assert_eq!(server.client.get("/livez").await.status, 200);
    server.finish().await;
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_one_more_is_closed() {
    let limits = LimitsConfig { proxies: Vec::new(), connections_per_address: 3, ..LimitsConfig::default() };
    let server = limited(limits).await;
    let address = server.client.base_url().trim_start_matches("http://").to_owned();
    let talk = move || {
        let ask = |stream: &mut TcpStream| {
            stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
            let mut first = [0; 12];
            stream.read_exact(&mut first).ok().map(|()| first)
        };
        let mut streams: Vec<_> = (0..3).map(|_| TcpStream::connect(&address).unwrap()).collect();
        for stream in &mut streams {
            assert_eq!(ask(stream), Some(*b"HTTP/1.1 200"));
        }
        assert_eq!(ask(&mut TcpStream::connect(&address).unwrap()), None, "the fourth");
        drop(streams.pop());
        // The server learns of the end of a connection when it looks.
        while ask(&mut TcpStream::connect(&address).unwrap()).is_none() {}
    };
    tokio::task::spawn_blocking(talk).await.unwrap();
    server.finish().await;
}

#[tokio::test]
async fn requests_that_come_in_one_go_are_answered_one_by_one_and_in_order() {
    let server = TestServer::start().await;
    let body = "x".repeat(70_000);
    let asks = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let posts = format!(
        "POST /api/v1/challenges HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let some = [asks("/livez"), posts, asks("/nothing"), asks("/openapi.json")].concat();
    let last =
        "POST /api/v1/tokens HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let answers = says(&server.client, [some.repeat(20).as_str(), last].concat().into_bytes()).await;
    let statuses: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    let expected = [["200", "400", "404", "200"].repeat(20), vec!["400"]].concat();
    assert_eq!(statuses, expected, "and after a body without a length the connection ends");
    server.finish().await;
}

/// Asks for a challenge from this address, as a proxy would say it.
async fn asks_from(server: &TestServer, address: &str, certificate: &str) -> Response {
    let headers = [("x-forwarded-for", address)];
    server.client.call("POST", "/api/v1/challenges", &headers, Some(certificate.as_bytes().to_vec())).await
}

#[tokio::test]
async fn who_logs_in_too_often_waits_whether_registered_or_not_and_nobody_else_does() {
    let server = limited(LimitsConfig { logins_per_minute: 2, ..LimitsConfig::default() }).await;
    let known = person("Mara Keep", "mara@requests.example").certificate().to_armored();
    let unknown = person("Nobody", "nobody@stranger.example").certificate().to_armored();
    for certificate in [&known, &unknown] {
        assert_eq!(asks_from(&server, "198.51.100.7", certificate).await.status, 200);
    }
    let refused = asks_from(&server, "198.51.100.7", &known).await;
    assert_eq!((refused.status, refused.problem().as_str()), (429, "too-many"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=31).contains(&wait), "{wait}");
    assert_eq!(refused.without_date(), asks_from(&server, "198.51.100.7", &unknown).await.without_date());
    let headers = [("x-forwarded-for", "198.51.100.7")];
    for (path, body) in
        [("/api/v1/tokens", "no challenge"), ("/login/answer", "answer=a"), ("/login", "certificate=a")]
    {
        let form = [headers[0], ("content-type", "application/x-www-form-urlencoded")];
        let refused = server.client.call("POST", path, &form, Some(body.into())).await;
        assert_eq!(refused.status, 429, "{path}: one account of all steps");
    }
    assert_eq!(asks_from(&server, "198.51.100.8", &known).await.status, 200, "another address");
    assert_eq!(asks_from(&server, "2001:db8::1", &known).await.status, 200);
    assert_eq!(asks_from(&server, "2001:db8::2", &known).await.status, 200);
    assert_eq!(asks_from(&server, "2001:db8::3", &known).await.status, 429, "a network of IPv6 is one");
    server.clock.advance(std::time::Duration::from_secs(wait));
    assert_eq!(asks_from(&server, "198.51.100.7", &known).await.status, 200);
    server.finish().await;
}

#[tokio::test]
async fn a_receipt_code_cannot_be_found_by_trying() {
    let server = TestServer::start().await;
    let (debian, fedora) = (server.packager("debian").await, server.packager("fedora").await);
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.run_worker_until_idle().await;
    let code = debian.mailbox(&server.sink)[0].receipt_code();
    let wrong = if code == "222-333" { "222-334" } else { "222-333" };
    let token = debian.token().await;
    for _ in 0..30 {
        assert_eq!(
            debian.gives_receipt(&token, &id, 1, &code).await.status,
            200,
            "who is right is not counted"
        );
    }
    for _ in 0..20 {
        assert_eq!(debian.gives_receipt(&token, &id, 1, wrong).await.status, 400);
    }
    for tried in [wrong, &code] {
        let refused = debian.gives_receipt(&token, &id, 1, tried).await;
        assert_eq!(
            (refused.status, refused.problem().as_str()),
            (429, "too-many"),
            "the right code tells nothing"
        );
        assert_eq!(refused.header("retry-after"), Some("3600"));
    }
    let path = format!("/api/v1/embargoes/{id}/impact");
    let said = wire::PutImpact { impact: "affected".to_owned(), code: code.clone() };
    assert_eq!(server.client.put_json(&token, &path, &said).await.status, 429, "it is the same code");
    let (other, another) = (fedora.token().await, mara.announces().await);
    assert_eq!(fedora.gives_receipt(&other, &id, 1, &code).await.status, 200, "another packager");
    server.run_worker_until_idle().await;
    let answer = debian.gives_receipt(&token, &another, 1, wrong).await;
    assert_eq!(answer.status, 400, "another embargo: {}", answer.text());
    server.clock.advance(hours(1).to_std().unwrap());
    assert_eq!(debian.gives_receipt(&token, &id, 1, &code).await.status, 200);
    server.finish().await;
}

#[tokio::test]
async fn who_may_not_log_in_any_more_is_told_before_a_body_is_read() {
    let server = limited(LimitsConfig { logins_per_minute: 1, ..LimitsConfig::default() }).await;
    let base = server.client.base_url().to_owned();
    for path in ["/login", "/login/answer", "/api/v1/challenges", "/api/v1/tokens"] {
        // It never comes.
        let body = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 900000\r\n";
        let request = |length: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nOrigin: {base}\r\nX-Forwarded-For: 198.51.100.9\r\n\
                 Connection: close\r\n{length}\r\n"
            )
        };
        let _ = says(&server.client, request("Content-Length: 0\r\n").into_bytes()).await;
        let refused = says(&server.client, request(body).into_bytes()).await;
        assert_eq!(status(&refused), "429", "{path}: {refused}");
    }
    server.finish().await;
}

#[tokio::test]
async fn parsers_that_hang_on_what_strangers_sent_hold_up_neither_a_command_nor_a_lift() {
    let mut server = TestServer::start().await;
    server.packager("debian").await;
    let mara = server.maintainer();
    mara.announces().await;
    server.leave_alone().await;
    // As certificates would that no parser comes back from.
    let (release, hold) = mpsc::channel::<()>();
    let hold = Arc::new(std::sync::Mutex::new(hold));
    let app = server.app().clone();
    let mut stuck = Vec::new();
    for _ in 0..66 {
        let (app, hold) = (app.clone(), Arc::clone(&hold));
        let hang = move || hold.lock().unwrap().recv().is_ok();
        stuck.push(tokio::spawn(async move { app.strangers().run(hang).await.map(drop) }));
    }
    while !app.strangers().is_stuck() {
        tokio::task::yield_now().await;
    }
    let certificate = mara.person.certificate().to_armored().into_bytes();
    let login = server.client.call("POST", "/api/v1/challenges", &[], Some(certificate)).await;
    assert_eq!((login.status, login.header("retry-after")), (503, Some("10")), "{}", login.text());
    assert_eq!(server.client.get("/readyz").await.status, 503, "who watches learns of it");
    mara.opens(&ordinary_text()).await;
    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    server.until_public("/advisories/EMB-2026-1").await;
    drop(release);
    for job in stuck {
        let _ = job.await;
    }
    server.finish().await;
}

#[tokio::test]
async fn whoever_empties_what_all_share_keeps_no_maintainer_from_a_cancellation() {
    let server = limited(LimitsConfig { commands_per_minute: 20, ..LimitsConfig::default() }).await;
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-10 14:00").await;
    let tries = async |address: &str| {
        let headers = [("content-type", wire::OPENPGP), ("x-forwarded-for", address)];
        server.client.call("POST", "/api/v1/embargoes", &headers, Some(b"{}".to_vec())).await.status
    };
    for stranger in 0..40 {
        for _ in 0..20 {
            let status = tries(&format!("198.51.100.{stranger}")).await;
            assert!(status == 400 || stranger == 39, "{stranger}: {status}");
        }
    }
    assert_eq!(tries("203.0.113.5").await, 429, "nothing is left for somebody of whom nothing is known");
    let token = mara.token().await;
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("x-forwarded-for", "203.0.113.5")];
    assert_eq!(server.client.call("GET", "/api/v1/embargoes", &headers, None).await.status, 200);
    assert_eq!(tries("203.0.113.5").await, 400, "a token shows who it is");
    mara.does(&Change::cancel(&id, "no longer needed")).await.accepted();
    server.finish().await;
}

#[tokio::test]
async fn bodies_that_never_end_take_their_share_and_nothing_of_a_maintainer_or_of_what_is_ordinary() {
    let server = limited(LimitsConfig { commands_per_minute: 100_000, ..LimitsConfig::default() }).await;
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-10 14:00").await;
    let address = server.client.base_url().trim_start_matches("http://").to_owned();
    let begins = move |from: &str, mebibytes: usize| {
        let mut stream = TcpStream::connect(&address).unwrap();
        let head = format!(
            "POST /api/v1/embargoes HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {from}\r\nContent-Type: {}\r\n\
             Content-Length: {}\r\n\r\n",
            wire::OPENPGP,
            (mebibytes << 20) + 1
        );
        stream.write_all(head.as_bytes()).unwrap();
        let junk = vec![b'x'; 1 << 20];
        // Refused early, the rest of it is not taken.
        let _ = (0..mebibytes).try_for_each(|_| stream.write_all(&junk));
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let large = async || {
        let headers = [("content-type", wire::OPENPGP), ("x-forwarded-for", "198.51.100.3")];
        server.client.call("POST", "/api/v1/embargoes", &headers, Some(vec![b'x'; 1 << 20])).await.status
    };
    let mut held: Vec<Option<TcpStream>> = vec![None, None, None];
    let shares = [("198.51.100.1", 20), ("198.51.100.2", 3), ("198.51.100.4", 1)];
    // Until all of it has arrived, and nothing is left for another.
    loop {
        let begins = begins.clone();
        let again = move || {
            for (held, (from, mebibytes)) in held.iter_mut().zip(shares) {
                // One that was refused, because the other was there before it, comes again.
                let waits = |stream: &mut TcpStream| stream.read(&mut [0]).is_err();
                if !held.as_mut().is_some_and(waits) {
                    *held = Some(begins(from, mebibytes));
                }
            }
            held
        };
        held = tokio::task::spawn_blocking(again).await.unwrap();
        if large().await == 429 {
            break;
        }
    }
    let stranger = person("Nobody", "nobody@stranger.example").certificate().to_armored();
    assert_eq!(asks_from(&server, "198.51.100.3", &stranger).await.status, 200);
    // Words that no compression makes ordinary.
    let words = (1..60_000_u64).map(|number| format!(" {:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    mara.puts_fix(&id, "main", &Series::with_line(&words.collect::<String>()).mbox()).await;
    drop(held);
    while large().await == 429 {}
    server.finish().await;
}

/// Junk of several kinds, by number.
fn junk(number: usize, certificate: &str) -> (&'static str, &'static str, &'static str, Vec<u8>) {
    let armored = "-----BEGIN PGP MESSAGE-----\n\nhQEMA0000000000AQf/\n=aaaa\n-----END PGP MESSAGE-----\n";
    let noise = || (0..60_000_usize).map(|place| (place * 31 + number).to_le_bytes()[0]).collect::<Vec<_>>();
    match number % 7 {
        0 => ("POST", "/api/v1/challenges", "application/pgp-keys", noise()),
        1 => ("POST", "/api/v1/challenges", "application/pgp-keys", certificate.repeat(200).into_bytes()),
        2 => ("POST", "/api/v1/embargoes", wire::OPENPGP, armored.repeat(500).into_bytes()),
        3 => ("PUT", "/api/v1/embargoes/0000-0000/fixes", wire::OPENPGP, noise()),
        4 => ("POST", "/api/v1/tokens", "text/plain", noise()),
        5 => ("PUT", "/api/v1/embargoes/0000-0000/receipt", "application/json", b"[".repeat(50_000)),
        _ => ("POST", "/login", "application/x-www-form-urlencoded", b"certificate=%".repeat(2_000)),
    }
}

#[tokio::test]
async fn under_a_flood_of_junk_a_due_lift_happens_and_a_maintainer_is_answered() {
    let mut server =
        limited(LimitsConfig { logins_per_minute: 5, commands_per_minute: 5, ..LimitsConfig::default() })
            .await;
    server.packager("debian").await;
    let mara = server.maintainer();
    mara.announces().await;
    server.leave_alone().await;
    let certificate = person("Nobody", "nobody@stranger.example").certificate().to_armored();
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut flood = Vec::new();
    for stranger in 0..48_usize {
        let (client, certificate) = (server.client.clone(), certificate.clone());
        let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
        flood.push(tokio::spawn(async move {
            let mut statuses = std::collections::BTreeSet::new();
            for round in 0.. {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                let (method, path, kind, body) = junk(stranger + round, &certificate);
                let from = format!("198.51.100.{}", stranger % 16);
                let headers = [("content-type", kind), ("x-forwarded-for", from.as_str())];
                statuses.insert(client.call(method, path, &headers, Some(body)).await.status);
                sent.fetch_add(1, Ordering::AcqRel);
            }
            statuses
        }));
    }
    while sent.load(Ordering::Acquire) < 300 {
        tokio::task::yield_now().await;
    }
    // In the middle of it: a command, and a lift that falls due.
    server.clock.advance(std::time::Duration::from_mins(2));
    let before = sent.load(Ordering::Acquire);
    mara.does(&Change::json(
        "POST",
        "/api/v1/embargoes",
        &wire::OpenEmbargo { project: "requests".to_owned(), text: None },
    ))
    .await
    .accepted();
    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    server.until_public("/advisories/EMB-2026-1").await;
    while sent.load(Ordering::Acquire) < before + 100 {
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::Release);
    let mut statuses = std::collections::BTreeSet::new();
    for stranger in flood {
        statuses.extend(stranger.await.unwrap());
    }
    assert!(statuses.is_subset(&[400, 401, 413, 429, 503].into()), "{statuses:?}");
    assert!(statuses.contains(&429));
    server.finish().await;
}
