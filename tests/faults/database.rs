//! The databases that rounds are played on: a copy of one that was prepared once.

use std::net::SocketAddr;
use std::path::Path;

use embargod::entropy::Entropy;

use crate::harness::hex;
use crate::installation::Place;

/// Which database a round is played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// The kinds this run can play on. PostgreSQL needs a server, which `tests/faults/run` starts.
    pub fn all() -> Vec<Self> {
        if server().is_some() { vec![Self::Sqlite, Self::Postgres] } else { vec![Self::Sqlite] }
    }
}

/// The address of a PostgreSQL server on which databases may be made and dropped.
pub fn server() -> Option<String> {
    std::env::var("EMBARGOD_TEST_POSTGRES").ok().filter(|url| !url.is_empty())
}

/// Where the PostgreSQL server listens.
pub fn address() -> SocketAddr {
    let url = server().unwrap();
    let after = url.rsplit_once('@').unwrap().1;
    let host = after.split('/').next().unwrap();
    host.parse()
        .unwrap_or_else(|_| panic!("EMBARGOD_TEST_POSTGRES names an address and a port, not {host:?}"))
}

/// A way to a database: what the program connects to, and whether a pooler hands out its connections by the transaction.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub through: SocketAddr,
    pub pooled: bool,
}

/// Where a pooler stands in front of the server that hands out its connections by the transaction.
pub fn pooler() -> SocketAddr {
    let named = std::env::var("EMBARGOD_FAULTS_POOLER").expect(
        "EMBARGOD_FAULTS_POOLER names the address and port of a PgBouncer; tests/faults/run starts one",
    );
    named
        .parse()
        .unwrap_or_else(|_| panic!("EMBARGOD_FAULTS_POOLER names an address and a port, not {named:?}"))
}

/// A database on the PostgreSQL server; dropped with the value.
#[derive(Debug)]
pub struct PostgresDatabase {
    pub name: String,
}

impl PostgresDatabase {
    /// An empty database, or a copy of another that nobody uses.
    pub async fn create(template: Option<&Self>) -> Self {
        let name = format!("embargod_faults_{}", hex(&Entropy::System.bytes::<8>()));
        let copied = template.map(|database| format!(" TEMPLATE {}", database.name)).unwrap_or_default();
        execute(&format!("CREATE DATABASE {name}{copied}")).await;
        Self { name }
    }

    /// Its address, at another host and port if something stands between.
    pub fn url(&self, way: Option<Way>) -> String {
        let url = server().unwrap();
        let (before, _) = url.rsplit_once('/').unwrap();
        let Some(Way { through, pooled }) = way else { return format!("{before}/{}", self.name) };
        let (user, _) = before.rsplit_once('@').unwrap();
        let pooler = if pooled { "?pooler=transaction" } else { "" };
        format!("{user}@{through}/{}{pooler}", self.name)
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        let name = self.name.clone();
        // Whoever drops it may stand in any runtime, or in none.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(execute(&format!("DROP DATABASE {name} WITH (FORCE)")));
        });
        let _ = dropped.join();
    }
}

async fn execute(statement: &str) {
    let url = server().unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap_or_else(|error| panic!("EMBARGOD_TEST_POSTGRES leads to no database: {error}"));
    let driver = tokio::spawn(connection);
    client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    drop(client);
    let _ = driver.await;
}

/// Copies a folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Looks from outside at what is public.
pub enum Looker {
    Sqlite(diesel::SqliteConnection),
    Postgres(tokio_postgres::Client),
}

#[derive(diesel::QueryableByName)]
struct Lifted {
    #[diesel(sql_type = diesel::sql_types::Text)]
    embargo_id: String,
}

const PUBLIC: &str = "SELECT embargo_id FROM advisories";

impl Looker {
    /// A connection of its own to the database of a place.
    pub async fn open(place: &Place) -> Self {
        use diesel::connection::{Connection as _, SimpleConnection as _};
        let Some(database) = &place.database else {
            let file = place.folder(0).join("state/embargod.sqlite");
            let mut connection = diesel::SqliteConnection::establish(file.to_str().unwrap()).unwrap();
            connection.batch_execute("PRAGMA busy_timeout=5000").unwrap();
            return Self::Sqlite(connection);
        };
        let (client, connection) =
            tokio_postgres::connect(&database.url(None), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        Self::Postgres(client)
    }

    /// The embargoes that are public now.
    pub async fn public(&mut self) -> Vec<String> {
        use diesel::RunQueryDsl as _;
        match self {
            Self::Sqlite(connection) => {
                let rows: Vec<Lifted> = diesel::sql_query(PUBLIC).load(connection).unwrap();
                rows.into_iter().map(|row| row.embargo_id).collect()
            }
            Self::Postgres(client) => {
                client.query(PUBLIC, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
            }
        }
    }
}
