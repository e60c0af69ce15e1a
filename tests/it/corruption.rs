//! Damage at rest: in every column of every table, and of the file as a whole.
//!
//! The columns are read from the schema, so a new one is covered by itself. After each damage no wrong byte is served,
//! nothing panics, and the embargo that was not touched is listed, fetched and lifted as before.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use embargod::cli::assembly::Assembled;
use embargod::store::Location;

use crate::harness::{Client, Database, Founding, Packager, TestServer, hex, utc};

#[derive(QueryableByName)]
struct Words {
    #[diesel(sql_type = Text)]
    one: String,
    #[diesel(sql_type = Text)]
    two: String,
}

pub fn connect(file: &Path) -> SqliteConnection {
    let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout=5000").unwrap();
    connection
}

pub fn words(connection: &mut SqliteConnection, query: &str) -> Vec<(String, String)> {
    let rows = diesel::sql_query(query).load::<Words>(connection).unwrap();
    rows.into_iter().map(|row| (row.one, row.two)).collect()
}

/// Every column of every table, with what is stored in it.
fn columns(connection: &mut SqliteConnection) -> Vec<(String, String)> {
    let all = "SELECT tables.name AS one, columns.name AS two FROM sqlite_schema AS tables, \
               pragma_table_info(tables.name) AS columns WHERE tables.type = 'table' \
               AND tables.name NOT LIKE 'sqlite_%' AND tables.name <> '__diesel_schema_migrations'";
    words(connection, all)
}

/// What is done to a value.
#[derive(Clone, Copy, Debug)]
enum Damage {
    LowBit,
    HighBit,
    Half,
}

/// Damages the newest value of a column; `None` if nothing is stored there or this damage does not apply.
fn damage(connection: &mut SqliteConnection, table: &str, column: &str, how: Damage) -> Option<()> {
    let newest = format!("SELECT max(rowid) FROM {table} WHERE {column} IS NOT NULL");
    let query =
        format!("SELECT typeof({column}) AS one, hex({column}) AS two FROM {table} WHERE rowid = ({newest})");
    let (kind, stored) = words(connection, &query).pop()?;
    let mut bytes: Vec<u8> = (0..stored.len() / 2)
        .map(|index| u8::from_str_radix(&stored[index * 2..index * 2 + 2], 16).unwrap())
        .collect();
    let middle = bytes.len() / 2;
    let written = match (kind.as_str(), how) {
        ("integer", Damage::LowBit) => format!("{column} + 1"),
        ("integer", Damage::HighBit) => format!("{column} + 4611686018427387904"),
        (_, Damage::LowBit) => {
            *bytes.get_mut(middle)? ^= 1;
            format!("x'{}'", hex(&bytes))
        }
        (_, Damage::HighBit) => {
            *bytes.get_mut(middle)? ^= 0x80;
            format!("x'{}'", hex(&bytes))
        }
        (_, Damage::Half) if middle > 0 => format!("x'{}'", hex(&bytes[..middle])),
        (_, Damage::Half) => return None,
    };
    let written = if kind == "text" { format!("CAST({written} AS TEXT)") } else { written };
    let update =
        format!("PRAGMA foreign_keys=OFF; UPDATE {table} SET {column} = {written} WHERE rowid = ({newest})");
    // What the schema itself refuses (a key that is there already, a number too large) cannot happen this way.
    connection.batch_execute(&update).ok()
}

/// Two announced embargoes, the first untouched by what happens to the newest rows, and an advisory.
struct Populated {
    server: TestServer,
    debian: Packager,
    tokens: [String; 2],
    /// The one that has to go on.
    sound: String,
    /// The one that is damaged.
    damaged: String,
    /// Paths of the API, and what they open to for Debian.
    told: Vec<(String, Vec<u8>)>,
    /// Public paths, and their bytes.
    public: Vec<(String, Vec<u8>)>,
    snapshot: PathBuf,
}

impl Populated {
    async fn new() -> Self {
        let server = TestServer::found(Founding { database: Database::Sqlite, ..Founding::default() }).await;
        let debian = server.packager("debian").await;
        let mara = server.maintainer();
        mara.announces().await;
        server.run_worker_until_idle().await;
        server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
        server.run_worker_until_idle().await;
        let mut ids = Vec::new();
        for _ in 0..2 {
            let id = mara.prepares("2026-06-24 14:00").await;
            mara.does(&crate::harness::Change::send(&id, None, true)).await.accepted();
            ids.push(id);
        }
        let [sound, damaged] = <[String; 2]>::try_from(ids).unwrap();
        let tokens = [mara.token().await, debian.token().await];
        // What is written last is what is damaged: people and tokens of their own for that.
        server.another_maintainer("omar").await.token().await;
        server.packager("gentoo").await.token().await;
        server.run_worker_until_idle().await;
        let mut told = Vec::new();
        for embargo in debian.embargoes(&tokens[1]).await {
            let revision = format!("/api/v1/embargoes/{}/revisions/1", embargo.id);
            let fix = embargo.fixes.first().map(|fix| format!("{revision}/fixes/{}", fix.id));
            for path in fix.into_iter().chain([format!("{revision}/notice")]) {
                told.push((path.clone(), debian.fetches(&tokens[1], &path).await));
            }
        }
        let mut public = Vec::new();
        for path in [
            "/advisories/EMB-2026-1",
            "/advisories/EMB-2026-1.json",
            "/advisories/EMB-2026-1/main.mbox",
            "/key.asc",
        ] {
            let answer = server.client.get(path).await;
            assert_eq!(answer.status, 200, "{path}");
            public.push((path.to_owned(), answer.body));
        }
        let Location::Sqlite(file) = server.location().clone() else { panic!("not SQLite") };
        let snapshot = server.folder().join("snapshot");
        connect(&file).batch_execute(&format!("VACUUM INTO '{}'", snapshot.display())).unwrap();
        server.clock.advance_to(utc("2026-06-24T12:00:00Z"));
        Self { server, debian, tokens, sound, damaged, told, public, snapshot }
    }

    /// A server over a copy of the data, after `change` was made to it, and where it answers.
    async fn copy(
        &self,
        change: impl FnOnce(&mut SqliteConnection),
    ) -> (Assembled, Client, embargod::cli::assembly::Serving) {
        let file = self.server.folder().join("copy");
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
        std::fs::copy(&self.snapshot, &file).unwrap();
        change(&mut connect(&file));
        let assembled = self.server.replica_over(Location::Sqlite(file)).await;
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap()));
        let serving = assembled.serve(listener).await.unwrap();
        (assembled, client, serving)
    }

    /// What is wrong with a server over damaged data.
    async fn faults(&self, assembled: &Assembled, client: &Client) -> Vec<String> {
        let mut faults = Vec::new();
        for (path, right) in &self.told {
            let answer = client.get_as(&self.tokens[1], path).await;
            let opened = self.debian.person.decrypt(&answer.body, None, self.server.time.now());
            if answer.status == 200 && opened.is_ok_and(|opened| opened.plaintext == *right) {
                continue;
            }
            if answer.status == 200 {
                faults.push(format!("wrong bytes at {path}"));
            } else if path.contains(&self.sound) {
                faults.push(format!("the sound one answers {} at {path}", answer.status));
            }
        }
        for token in &self.tokens {
            let answer = client.get_as(token, "/api/v1/embargoes").await;
            if answer.status != 200 || !answer.text().contains(&self.sound) {
                faults.push(format!("the sound one is not listed: {}", answer.status));
            }
        }
        for (path, right) in &self.public {
            let answer = client.get(path).await;
            if answer.status == 200 && answer.body != *right {
                faults.push(format!("wrong bytes at {path}"));
            }
        }
        for _ in 0..3 {
            if let Err(error) = assembled.worker.look().await {
                faults.push(format!("the worker fails: {error}"));
            }
        }
        let answer = client.get_as(&self.tokens[0], &format!("/api/v1/embargoes/{}", self.sound)).await;
        if !answer.text().contains("\"stage\":\"lifted\"") {
            faults.push(format!("the sound one is not lifted: {}", answer.text()));
        }
        let index = client.get("/").await;
        if index.status != 200 {
            faults.push(format!("the public list answers {}", index.status));
        }
        faults
    }
}

/// Columns whose damage stops more than its row, each with what is done instead.
const WIDER: [(&str, &str, &str); 4] = [
    ("advisory_revisions", "content", "the public list, which is made of all of them"),
    ("clock_marks", "highest_at", "the clock is doubted and lifts are held"),
    ("audit_head", "*", "nothing can be written down, so nothing is done"),
    ("settings", "value", "the server's own key: public-only"),
];

fn is_wider(table: &str, column: &str) -> bool {
    WIDER.iter().any(|(name, which, _)| *name == table && (*which == "*" || *which == column))
}

/// Columns that hold what an item says. Ids, states and instants are what rows are found by: damage there may cost
/// lists that the row stands in.
fn is_content(column: &str) -> bool {
    column.ends_with("_sealed") || ["content", "wrapped", "sha256"].contains(&column)
}

/// One damage in so many is tried, unless `EMBARGOD_DAMAGE` is `all`: each takes a server of its own.
const ONE_IN: usize = 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_any_column_is_served_to_nobody_and_damaged_content_stops_nothing_else() {
    let populated = Populated::new().await;
    let (assembled, client, serving) = populated.copy(|_| {}).await;
    assert_eq!(populated.faults(&assembled, &client).await, [""; 0]);
    serving.stop().await;
    drop(assembled);
    let mut faults = Vec::new();
    let (mut tried, mut turn) = (0, 0);
    let one_in = if std::env::var("EMBARGOD_DAMAGE").is_ok_and(|text| text == "all") { 1 } else { ONE_IN };
    for (table, column) in columns(&mut connect(&populated.snapshot)) {
        for how in [Damage::LowBit, Damage::HighBit, Damage::Half] {
            turn += 1;
            if turn % one_in != 0 {
                continue;
            }
            let mut done = None;
            let change = |connection: &mut SqliteConnection| done = damage(connection, &table, &column, how);
            let (assembled, client, serving) = populated.copy(change).await;
            if done.is_some() {
                tried += 1;
                let found = populated.faults(&assembled, &client).await;
                let serious = |fault: &String| {
                    fault.starts_with("wrong bytes") || (is_content(&column) && !is_wider(&table, &column))
                };
                faults.extend(
                    found
                        .into_iter()
                        .filter(serious)
                        .map(|fault| format!("{table}.{column} {how:?}: {fault}")),
                );
            }
            serving.stop().await;
            drop(assembled);
        }
    }
    assert!(tried > 250 / one_in, "only {tried} damages were tried");
    assert!(faults.is_empty(), "{} faults after {tried} damages:\n{}", faults.len(), faults.join("\n"));
    populated.server.finish().await;
}

#[tokio::test]
async fn an_instant_or_a_state_that_was_changed_behind_the_servers_back_is_damage_and_nothing_else() {
    let server = TestServer::start().await;
    server.packager("debian").await;
    let mara = server.maintainer();
    let changes = [
        "lifts_at = lifts_at - 604800000000",
        "stage = 'scheduled', announced_at = NULL",
        "revision = revision + 1",
        "version = version + 1",
    ];
    let mut damaged = Vec::new();
    for change in changes {
        let id = mara.announces().await;
        let statement = format!("UPDATE embargoes SET {change} WHERE id = '{id}'");
        server.run_worker_until_idle().await;
        server.meddle(&statement, &statement).await;
        damaged.push((change, id));
    }
    // The day that one of them names now; the others are due a week later.
    server.clock.advance_to(utc("2026-06-04T12:00:00Z"));
    server.run_worker_until_idle().await;
    let index = server.client.get("/").await.text();
    assert!(!index.contains("/advisories/"), "it was lifted on a day that somebody wrote");
    for (change, id) in damaged {
        let asked = id.parse().unwrap();
        let read = server.app().store.read(move |tx| tx.embargo(&asked)).await;
        assert!(read.is_err(), "{change}: it was believed: {read:?}");
    }
    server.finish().await;
}

#[tokio::test]
async fn rows_and_keys_that_change_places_between_two_embargoes_open_neither() {
    let populated = Populated::new().await;
    let (sound, damaged) = (&populated.sound, &populated.damaged);
    let swaps = [
        ("embargoes", "id", "case_sealed"),
        ("data_keys", "owner", "wrapped"),
        ("fixes", "embargo_id", "content_sealed"),
        ("fixes", "embargo_id", "facts_sealed"),
        ("notices", "embargo_id", "content_sealed"),
        ("revisions", "embargo_id", "content_sealed"),
        ("bodies", "embargo_id", "content"),
        ("bodies", "embargo_id", "session_key_sealed"),
    ];
    for (table, owner, column) in swaps {
        let swap = format!(
            "CREATE TEMP TABLE kept AS SELECT {column} AS value FROM {table} WHERE {owner} = '{sound}'; \
             UPDATE {table} SET {column} = (SELECT {column} FROM {table} WHERE {owner} = '{damaged}') WHERE {owner} = '{sound}'; \
             UPDATE {table} SET {column} = (SELECT value FROM kept) WHERE {owner} = '{damaged}';"
        );
        let (assembled, client, serving) =
            populated.copy(|connection| connection.batch_execute(&swap).unwrap()).await;
        let mut refused = 0;
        for (path, right) in &populated.told {
            let answer = client.get_as(&populated.tokens[1], path).await;
            refused += usize::from(answer.status != 200);
            if answer.status == 200 {
                let opened =
                    populated.debian.person.decrypt(&answer.body, None, populated.server.time.now()).unwrap();
                assert!(opened.plaintext == *right, "{table}.{column}: {path}");
            }
        }
        assembled.worker.look().await.unwrap();
        let index = client.get("/").await.text();
        let lifted = index.matches("/advisories/EMB-2026-").count() > 1;
        // A notice's own facts are needed no more once its body is made.
        assert!(
            refused > 0 || !lifted || table == "notices",
            "{table}.{column} changed places and nobody noticed"
        );
        serving.stop().await;
    }
    populated.server.finish().await;
}
