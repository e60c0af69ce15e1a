//! Words in real places where none may be: a search there that found nothing proves something only if it
//! found these.

use std::collections::BTreeSet;
use std::io::Write as _;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use embargod::demo::canary::{Canary, Encoding, Finding, plant};
use embargod::entropy::Entropy;
use embargod::store::Location;
use tempfile::NamedTempFile;

use crate::harness::{TestServer, hex};

/// What binary bytes cannot be written into a log or a column of text.
const NO_TEXT: [Encoding; 2] = [Encoding::Gzip, Encoding::Zlib];

/// One word in one place, in several encodings.
struct Plant {
    canary: Canary,
    place: String,
    encodings: Vec<Encoding>,
}

impl Plant {
    fn new(place: impl Into<String>, unfit: &[Encoding]) -> Self {
        let place = place.into();
        let canary = Canary::from_random(format!("planted in {place}"), Entropy::System.bytes());
        let encodings = Encoding::ALL.into_iter().filter(|encoding| !unfit.contains(encoding)).collect();
        Self { canary, place, encodings }
    }

    fn pieces(&self) -> impl Iterator<Item = Vec<u8>> {
        self.encodings.iter().map(|encoding| plant(&self.canary, *encoding))
    }

    fn text(&self) -> Vec<String> {
        self.pieces().map(|piece| String::from_utf8(piece).unwrap()).collect()
    }

    /// All of it, with blanks between that keep neighbours apart.
    fn joined(&self) -> Vec<u8> {
        self.pieces().flat_map(|piece| [b" ".to_vec(), piece, b" ".to_vec()].concat()).collect()
    }

    fn findings(&self) -> impl Iterator<Item = Finding> {
        self.encodings.iter().map(|encoding| Finding {
            word_name: self.canary.name().to_owned(),
            place: self.place.clone(),
            encoding: *encoding,
        })
    }
}

/// Everything that was planted. It stays where it is until this is dropped.
pub struct Plants {
    all: Vec<Plant>,
    _temporary: NamedTempFile,
    _open: Option<SqliteConnection>,
}

impl Plants {
    /// Writes words into a file and a temporary file of the server's folder, the write-ahead log or a table of
    /// a database, the log and the first line of a request.
    pub async fn put(server: &TestServer) -> Self {
        let mut all = Vec::new();
        let file = Plant::new("the folder/planted", &[]);
        std::fs::write(server.folder().join("planted"), file.joined()).unwrap();
        all.push(file);

        let mut temporary = NamedTempFile::new_in(server.folder()).unwrap();
        let name = temporary.path().file_name().unwrap().to_str().unwrap().to_owned();
        let plant = Plant::new(format!("the folder/{name}"), &[]);
        temporary.write_all(&plant.joined()).unwrap();
        all.push(plant);

        let open = match server.location() {
            Location::Sqlite(path) => {
                let plant = Plant::new("the folder/planted.db-wal", &[]);
                let copy = server.folder().join("planted.db");
                std::fs::copy(path, &copy).unwrap();
                let open = write_ahead(copy.to_str().unwrap(), &plant);
                all.push(plant);
                Some(open)
            }
            Location::Postgres(_) => {
                // Nor has text any place for the zeros of UTF-16.
                let plant = Plant::new("the tables", &[NO_TEXT[0], NO_TEXT[1], Encoding::Utf16]);
                server.plant_in_a_table(&plant.text()).await;
                all.push(plant);
                None
            }
        };

        let log = Plant::new("the log", &NO_TEXT);
        for word in log.text() {
            tracing::trace!("planted: {word} ");
        }
        all.push(log);

        let lines = Plant::new("the request lines", &[]);
        for piece in lines.pieces() {
            server.client.get_raw(&[b"/nothing?", &piece[..]].concat()).await;
        }
        all.push(lines);
        Self { all, _temporary: temporary, _open: open }
    }

    /// The words, for the scanner that looks for all others.
    pub fn words(&self) -> Vec<Canary> {
        self.all.iter().map(|plant| plant.canary.clone()).collect()
    }

    /// What was found and not planted. Everything that was planted in places whose names begin with one of
    /// `places` must be among `findings`.
    pub fn others(&self, findings: Vec<Finding>, places: &[&str]) -> Vec<Finding> {
        let found: BTreeSet<_> = findings.iter().cloned().collect();
        let searched = |plant: &&Plant| places.iter().any(|place| plant.place.starts_with(place));
        for expected in self.all.iter().filter(searched).flat_map(Plant::findings) {
            assert!(found.contains(&expected), "{expected} was planted and not found");
        }
        let names: BTreeSet<_> = self.all.iter().map(|plant| plant.canary.name()).collect();
        findings.into_iter().filter(|finding| !names.contains(finding.word_name.as_str())).collect()
    }
}

/// Writes rows that stay in the write-ahead log as long as the connection is open.
fn write_ahead(path: &str, plant: &Plant) -> SqliteConnection {
    let mut connection = SqliteConnection::establish(path).unwrap();
    let prepare =
        "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE planted (word BLOB NOT NULL);";
    connection.batch_execute(prepare).unwrap();
    for piece in plant.pieces() {
        let insert = format!("INSERT INTO planted VALUES (x'{}');", hex(&piece));
        connection.batch_execute(&insert).unwrap();
    }
    connection
}
