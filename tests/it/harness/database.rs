//! The database of one story: a file in its folder, or a fresh database on a PostgreSQL server.

use std::path::Path;

use embargod::entropy::Entropy;
use embargod::store::Location;

const VARIABLE: &str = "EMBARGOD_TEST_POSTGRES";

/// Where a story's data lives.
#[derive(Clone, Debug)]
pub enum Database {
    Sqlite,
    /// The address of the server's database `postgres`, or another that exists.
    Postgres(String),
}

impl Database {
    /// What the environment asks for.
    pub fn of_this_run() -> Self {
        match std::env::var(VARIABLE) {
            Ok(url) if !url.is_empty() => Self::Postgres(url),
            _ => Self::Sqlite,
        }
    }

    /// An empty database; on PostgreSQL one that is made now.
    pub async fn create(&self, folder: &Path) -> Location {
        match self {
            Self::Sqlite => Location::Sqlite(folder.join("embargod.db")),
            Self::Postgres(url) => {
                let random = Entropy::System.bytes::<8>();
                let name = format!("embargod_test_{}", super::hex(&random));
                execute(url, &format!("CREATE DATABASE {name}")).await;
                Location::Postgres(with_name(url, &name))
            }
        }
    }

    /// Removes what [`Database::create`] made.
    pub async fn remove(&self, location: &Location) {
        if let (Self::Postgres(url), Location::Postgres(made)) = (self, location) {
            execute(url, &format!("DROP DATABASE {} WITH (FORCE)", name_in(made))).await;
        }
    }
}

/// The contents of every table of a PostgreSQL database as text; of SQLite nothing, since its files are read.
pub async fn contents(location: &Location) -> Vec<u8> {
    let Location::Postgres(url) = location else { return Vec::new() };
    let client = connect(url).await;
    let tables = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'";
    let mut all = Vec::new();
    for table in client.query(tables, &[]).await.unwrap() {
        let table: String = table.get(0);
        for row in client.query(&format!("SELECT row::text FROM {table} AS row"), &[]).await.unwrap() {
            // A row as text has every backslash twice, which would hide an escape.
            all.extend(row.get::<_, String>(0).replace("\\\\", "\\").into_bytes());
            all.push(b'\n');
        }
    }
    all
}

/// Writes words into a table of their own, on PostgreSQL.
pub async fn plant(location: &Location, words: &[String]) {
    if let Location::Postgres(url) = location {
        let client = connect(url).await;
        client.batch_execute("CREATE TABLE planted (word text)").await.unwrap();
        for word in words {
            client.execute("INSERT INTO planted VALUES ($1)", &[word]).await.unwrap();
        }
    }
}

/// Changes a database behind the server's back.
pub async fn tamper(location: &Location, statements: &str) {
    match location {
        Location::Postgres(url) => execute(url, statements).await,
        Location::Sqlite(path) => {
            use diesel::connection::{Connection as _, SimpleConnection as _};
            let path = path.to_string_lossy();
            let mut connection = diesel::SqliteConnection::establish(&path).unwrap();
            connection.batch_execute("PRAGMA busy_timeout=5000").unwrap();
            connection.batch_execute(statements).unwrap_or_else(|error| panic!("{statements}: {error}"));
        }
    }
}

async fn execute(url: &str, statement: &str) {
    connect(url).await.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let direct = directly(url);
    let (client, connection) = tokio_postgres::connect(&direct, tokio_postgres::NoTls)
        .await
        .unwrap_or_else(|error| panic!("{VARIABLE} leads to no database: {error}"));
    tokio::spawn(connection);
    client
}

/// The server's own address, where `EMBARGOD_TEST_POSTGRES_DIRECT` names the one behind a pooler: what the harness
/// does beside the server does not go through it.
fn directly(url: &str) -> String {
    match std::env::var("EMBARGOD_TEST_POSTGRES_DIRECT") {
        Ok(direct) if !direct.is_empty() => with_name(&direct, name_in(url)),
        _ => url.to_owned(),
    }
}

/// Where in an address the database's name stands.
fn place_of_name(url: &str) -> std::ops::Range<usize> {
    let end = url.find('?').unwrap_or(url.len());
    let authority = url.find("://").map_or(0, |at| at + 3);
    let start = url[authority..end].find('/').map_or(end, |at| authority + at + 1);
    start..end
}

fn name_in(url: &str) -> &str {
    &url[place_of_name(url)]
}

fn with_name(url: &str, name: &str) -> String {
    let place = place_of_name(url);
    let slash = if url[..place.start].ends_with('/') { "" } else { "/" };
    format!("{}{slash}{name}{}", &url[..place.start], &url[place.end..])
}

#[test]
fn a_database_is_named_in_an_address_with_or_without_parameters() {
    for (url, named) in [
        ("postgres://u:p@127.0.0.1:5432/postgres", "postgres://u:p@127.0.0.1:5432/fresh"),
        ("postgres://u@localhost/x?sslmode=disable", "postgres://u@localhost/fresh?sslmode=disable"),
    ] {
        assert_eq!(with_name(url, "fresh"), named);
        assert_eq!(name_in(named), "fresh");
    }
}
