//! Every secret field holds a word that exists nowhere else; then the words are looked for everywhere.

mod plants;

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use embargod::demo::canary::{Canary, Scanner};
use embargod::entropy::Entropy;
use embargod::openpgp::{Person, Suite};
use embargod::store::Location;
use embargod::wire::{CreditEntry, OpenEmbargo};

use self::plants::Plants;
use crate::harness::{
    Change, Log, Maintainer, Packager, Series, TestServer, days, hex, ordinary_text, start,
};

const CVE: &str = "CVE-2026-83014471926";
const COMMIT: &str = "9c1185a5c5e9fc54612808977ee8f548b2258d31";

/// What the lift makes public. The other words are never public.
const PUBLIC: [&str; 12] = [
    "title",
    "summary",
    "affected",
    "fixed",
    "severity",
    "mitigation",
    "changelog",
    "alias",
    "branch",
    "waiver",
    "patch subject",
    "patch file",
];
const PUBLIC_IN_THE_MBOX: [&str; 3] = ["patch author", "patch message", "patch line"];
const NEVER: [&str; 8] = [
    "title of a cancelled embargo",
    "reason of a cancellation",
    "notice",
    "credited person",
    "packager",
    "packager's name",
    "packager's address",
    "reason of revision 2",
];

/// The words, by name.
struct Words(Vec<Canary>);

impl Words {
    fn draw() -> Self {
        let names = PUBLIC.iter().chain(&PUBLIC_IN_THE_MBOX).chain(&NEVER);
        Self(names.map(|name| Canary::from_random(*name, Entropy::System.bytes())).collect())
    }

    fn word(&self, name: &str) -> &str {
        self.0.iter().find(|canary| canary.name() == name).unwrap().word()
    }

    fn scanner(&self, names: &[&[&str]]) -> Scanner {
        let wanted = |canary: &&Canary| names.concat().contains(&canary.name());
        Scanner::new(self.0.iter().filter(wanted).cloned().collect())
    }

    /// A scanner for every word, and for those that were planted.
    fn scanner_with(&self, plants: &Plants) -> Scanner {
        Scanner::new(self.0.iter().cloned().chain(plants.words()).collect())
    }

    fn text(&self) -> toml::Table {
        let word = |name: &str| toml::Value::from(format!("it says {}", self.word(name)));
        let mut text = toml::Table::new();
        for field in ["title", "summary", "notice", "severity", "mitigation", "changelog"] {
            text.insert(field.to_owned(), word(field));
        }
        text.insert("affected".to_owned(), vec![word("affected")].into());
        text.insert("fixed".to_owned(), vec![word("fixed")].into());
        text.insert("cve".to_owned(), CVE.into());
        let commit = toml::Table::from_iter([
            ("branch".to_owned(), toml::Value::from("main")),
            ("id".to_owned(), toml::Value::from(COMMIT)),
        ]);
        text.insert("commits".to_owned(), vec![toml::Value::from(commit)].into());
        text
    }

    fn series(&self, extra: &str) -> Series {
        Series {
            author: format!("{0} <{0}@fixer.example>", self.word("patch author")),
            subject: format!("mend {}", self.word("patch subject")),
            message: format!("because of {}", self.word("patch message")),
            file: format!("src/{}.py", self.word("patch file")),
            line: format!("    {} = 1{extra}", self.word("patch line")),
        }
    }

    async fn packager(&self, server: &TestServer) -> Packager {
        let (slug, name) = (self.word("packager"), self.word("packager's name"));
        let address = format!("security@{}.example", self.word("packager's address"));
        let user_id = format!("{name} <{address}>");
        let person = Person::generate(&user_id, Suite::Cv25519, start() - days(30)).unwrap();
        server.packager_who_is(slug, name, &address, person).await
    }

    /// Opens, writes and announces a case full of words, and changes it once.
    async fn story(&self, server: &TestServer, mara: &Maintainer) -> String {
        let id = mara.opens(&self.text()).await;
        let branch = format!("release-{}", self.word("branch"));
        mara.puts_fix(&id, &branch, &self.series("").mbox()).await;
        let waiver = embargod::wire::PutFix {
            branch: "1.x".to_owned(),
            waiver: Some(format!("it ended: {}", self.word("waiver"))),
            ..Default::default()
        };
        mara.does(&Change::json("PUT", format!("/api/v1/embargoes/{id}/fixes"), &waiver)).await.accepted();
        let entry = CreditEntry { role: "finder".to_owned(), ..CreditEntry::default() };
        let credits = vec![
            CreditEntry {
                person: self.word("credited person").to_owned(),
                consent: "alias".to_owned(),
                shown_as: Some(self.word("alias").to_owned()),
                ..entry.clone()
            },
            CreditEntry {
                person: self.word("credited person").to_owned(),
                consent: "none".to_owned(),
                ..entry
            },
        ];
        mara.does(&Change::credits(&id, credits)).await.accepted();
        mara.does(&Change::schedule(&id, "2026-06-10 14:00", None)).await.accepted();
        mara.does(&Change::send(&id, None, true)).await.accepted();
        server.run_worker_until_idle().await;
        mara.puts_fix(&id, &branch, &self.series(" + 1").mbox()).await;
        let reason = format!("forgot {}", self.word("reason of revision 2"));
        mara.does(&Change::send(&id, Some(&reason), false)).await.accepted();
        server.run_worker_until_idle().await;
        self.cancelled_story(server, mara).await;
        id
    }

    /// Announces another case and calls it off.
    async fn cancelled_story(&self, server: &TestServer, mara: &Maintainer) {
        let mut text = ordinary_text();
        text.insert("title".to_owned(), self.word("title of a cancelled embargo").into());
        let id = mara.opens(&text).await;
        mara.puts_fix(&id, "main", &Series::default().mbox()).await;
        mara.does(&Change::schedule(&id, "2026-06-10 14:00", None)).await.accepted();
        mara.does(&Change::send(&id, None, true)).await.accepted();
        server.run_worker_until_idle().await;
        let reason = format!("no bug: {}", self.word("reason of a cancellation"));
        mara.does(&Change::cancel(&id, &reason)).await.accepted();
        server.run_worker_until_idle().await;
    }
}

/// Every address that needs no token, with the embargo's id and probable public ids in it.
async fn public_answers(server: &TestServer, id: &str) -> Vec<u8> {
    let document: serde_json::Value = server.client.get("/openapi.json").await.json();
    let mut paths: Vec<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    paths.extend(["/style.css", "/login", "/board", "/nothing"].map(str::to_owned));
    paths.push(format!("/board/{id}"));
    let files = ["main.mbox", "changelog.md", "changelog.md.asc"].map(|file| ("EMB-2026-1", file));
    let mut all = Vec::new();
    for path in paths {
        let mut filled = vec![path.replace("{id}", id)];
        filled.extend(["EMB-2026-1", "EMB-2026-1.json"].map(|public| path.replace("{id}", public)));
        filled.extend(files.map(|(public, file)| path.replace("{id}", public).replace("{file}", file)));
        for path in filled {
            let path = path.replace("{number}", "1").replace("{fix}", id).replace("{file}", "main.mbox");
            all.extend(server.client.get(&path).await.everything());
        }
    }
    all
}

/// What the server says to commands that hold words in places where they are wrong.
async fn error_answers(words: &Words, mara: &Maintainer, id: &str) -> Vec<u8> {
    let fixes = format!("/api/v1/embargoes/{id}/fixes");
    let secret = words.word("summary");
    let broken_text = Change {
        method: "PUT".to_owned(),
        path: format!("/api/v1/embargoes/{id}/text"),
        body: format!("title = \"{secret}\"\n{secret} = {secret}\n").into_bytes(),
        content_type: "application/toml",
        ..Change::default()
    };
    let control = toml::Table::from_iter([("title".to_owned(), format!("{secret}\u{7}").into())]);
    let broken_patch = words.series("").mbox().replace_first(b"@@ -10,3", b"@@ -10,9");
    let open = OpenEmbargo { project: "requests".to_owned(), text: Some(format!("{secret} = ")) };
    let entry = CreditEntry { person: secret.to_owned(), role: secret.to_owned(), ..CreditEntry::default() };
    let changes = [
        broken_text,
        Change::text(id, &control),
        mara.fix(id, "main", &broken_patch),
        mara.fix(id, "main", words.word("patch line").as_bytes()),
        Change::json("PUT", fixes.clone(), &serde_json::json!({ secret: secret })),
        Change::json("PUT", fixes, &serde_json::json!({ "branch": secret, "mbox": format!("!{secret}") })),
        Change::json("POST", "/api/v1/embargoes", &open),
        Change::credits(id, vec![entry]),
        Change::schedule(id, secret, None),
        Change::send(id, None, false),
    ];
    let mut all = Vec::new();
    for change in changes {
        let answer = mara.does(&change).await;
        assert!((400..500).contains(&answer.response.status), "{} {}", change.path, answer.response.text());
        all.extend(answer.response.everything());
    }
    all
}

trait ReplaceFirst {
    fn replace_first(&self, from: &[u8], to: &[u8]) -> Vec<u8>;
}

impl ReplaceFirst for Vec<u8> {
    fn replace_first(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        let at = self.windows(from.len()).position(|window| window == from).unwrap();
        [&self[..at], to, &self[at + from.len()..]].concat()
    }
}

/// Moves everything from the write-ahead log into the database's file.
fn checkpoint(location: &Location) {
    if let Location::Sqlite(path) = location {
        let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        connection.batch_execute("PRAGMA busy_timeout=5000; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    }
}

/// The numbers, which no canary can stand for, are looked for as they are, and as a table shows its bytes.
fn numbers_in(bytes: &[u8]) -> usize {
    let plain = [&CVE[4..], COMMIT].map(str::to_owned);
    let patterns = plain
        .iter()
        .chain(&plain.each_ref().map(|number| hex(number.as_bytes())))
        .cloned()
        .collect::<Vec<_>>();
    let numbers = AhoCorasick::builder().ascii_case_insensitive(true).build(patterns).unwrap();
    numbers.find_iter(bytes).count()
}

#[tokio::test]
async fn no_secret_word_is_readable_anywhere_before_the_lift_and_only_the_public_ones_after() {
    let log = Log::start();
    let words = Words::draw();
    let server = TestServer::start().await;
    let plants = Plants::put(&server).await;
    let scanner = words.scanner_with(&plants);
    let mara = server.maintainer();
    let packager = words.packager(&server).await;
    let id = words.story(&server, &mara).await;
    let mails = packager.mailbox(&server.sink);
    assert_eq!(mails.len(), 4, "two revisions, and another embargo with its end");
    assert!(mails[3].text.contains(words.word("reason of a cancellation")));
    let token = packager.token().await;
    let list = server.client.get_as(&token, "/api/v1/embargoes").await.everything();
    packager.fetches(&token, &format!("/api/v1/embargoes/{id}/revisions/2/notice")).await;

    let answers =
        [public_answers(&server, &id).await, error_answers(&words, &mara, &id).await, list].concat();
    assert_eq!(scanner.scan_bytes("answers", &answers), []);
    // A mail server must read where a mail goes, and nothing else.
    let transcript = server.sink.transcript();
    let on_the_wire: Vec<_> = scanner.scan_bytes("SMTP", &transcript);
    assert!(on_the_wire.iter().all(|finding| finding.word_name == "packager's address"), "{on_the_wire:?}");
    // What was planted is found by the very calls that find nothing else.
    let at_rest = ["the folder", "the tables"];
    assert_eq!(plants.others(server.findings_at_rest(&scanner).await, &at_rest), []);
    let mut stored = server.stored().await;
    checkpoint(server.location());
    assert_eq!(plants.others(server.findings_at_rest(&scanner).await, &at_rest), []);
    stored.extend(server.stored().await);
    let logged = log.so_far();
    assert_eq!(plants.others(scanner.scan_bytes("the log", &logged), &["the log"]), []);
    let lines = server.client.request_lines();
    assert_eq!(plants.others(scanner.scan_bytes("the request lines", &lines), &["the request lines"]), []);
    assert!(stored.len() > 10_000, "the database is empty: {}", stored.len());
    assert_eq!([&answers, &transcript, &stored, &logged, &lines].map(|bytes| numbers_in(bytes)), [0; 5]);
    for number in [CVE, COMMIT] {
        let planted =
            [stored.as_slice(), b" ", number.as_bytes(), b" ", hex(number.as_bytes()).as_bytes()].concat();
        assert_eq!(numbers_in(&planted), 2, "{number} would have been found");
    }
    let control = scanner.control(&[("answers", &answers), ("SMTP", &transcript), ("stored", &stored)]);
    assert!(control.is_ok_and(|planted| planted > 500));

    server.clock.advance_to("2026-06-10T12:00:00Z".parse().unwrap());
    server.run_worker_until_idle().await;
    let mut public = public_answers(&server, &id).await;
    let found = |scanner: &Scanner, bytes: &[u8]| -> BTreeSet<String> {
        scanner.scan_bytes("public", bytes).into_iter().map(|finding| finding.word_name).collect()
    };
    assert_eq!(found(&scanner, &public), PUBLIC.iter().map(|name| (*name).to_owned()).collect());
    assert!(numbers_in(&public) >= 2);
    let mbox = format!("/advisories/EMB-2026-1/release-{}.mbox", words.word("branch"));
    public.extend(server.client.get(&mbox).await.everything());
    let never = words.scanner(&[&NEVER]);
    assert_eq!(found(&never, &public), BTreeSet::new());
    assert_eq!(found(&words.scanner(&[&PUBLIC_IN_THE_MBOX]), &public).len(), 3);
    assert_eq!(server.findings_at_rest(&never).await, []);
    assert_eq!(never.scan_bytes("the log", &log.so_far()), []);
    server.finish().await;
}

#[tokio::test]
async fn no_secret_word_no_name_and_no_id_is_in_the_numbers_at_any_stage() {
    let words = Words::draw();
    let server = TestServer::start().await;
    let numbers = server.numbers();
    let mara = server.maintainer();
    let packager = words.packager(&server).await;
    let mut pages = Vec::new();
    let id = words.story(&server, &mara).await;
    server.clock.advance(std::time::Duration::from_secs(5));
    pages.push(numbers.page().await.text);
    let token = packager.token().await;
    packager.fetches(&token, &format!("/api/v1/embargoes/{id}/revisions/2/notice")).await;
    error_answers(&words, &mara, &id).await;
    public_answers(&server, &id).await;
    // Due and not done, held, and in doubt: every number that is about something is more than nothing.
    server.as_operator(|operator| drop(operator.place_hold("a look at the relay").unwrap())).await;
    server.clock.advance_to("2026-06-10T12:00:00Z".parse().unwrap());
    server.clock.set_apart(chrono::Duration::hours(1));
    server.run_worker_until_idle().await;
    pages.push(numbers.page().await.text);
    server.clock.set_apart(chrono::Duration::hours(-1));
    server
        .as_operator(|operator| {
            for hold in operator.open_holds().unwrap() {
                operator.release_hold(hold.id.as_str()).unwrap();
            }
        })
        .await;
    for _ in 0..=4 {
        server.clock.advance(std::time::Duration::from_secs(8));
        server.run_worker_until_idle().await;
    }
    pages.push(numbers.page().await.text);
    assert!(pages[0].contains("embargod_lifts_total 0") && pages[2].contains("embargod_lifts_total 1"));
    assert!(pages[1].contains("embargod_lifts_overdue 1") && pages[1].contains("{kind=\"operator\"} 1"));

    let deliveries = server.deliveries(&id).await;
    // The project is called as what HTTP is made of, so it is looked for as a label.
    let mut names: Vec<String> = deliveries.iter().map(|copy| copy.id.to_string()).collect();
    names.extend(
        [&id, "EMB-2026-1", "\"requests", "\"Requests", "Mara", packager.address.as_str()].map(str::to_owned),
    );
    names.extend([server.certificate.fingerprint(), "@".to_owned()]);
    let everything = Scanner::new(words.0.clone());
    for page in pages {
        assert_eq!(everything.scan_bytes("the numbers", page.as_bytes()), []);
        assert_eq!(numbers_in(page.as_bytes()), 0);
        let found: Vec<_> = names.iter().filter(|name| page.contains(name.as_str())).collect();
        assert!(found.is_empty(), "{found:?} in {page}");
    }
    numbers.stop().await;
    server.finish().await;
}
