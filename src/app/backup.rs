//! A whole installation as a stream of lines: out of one database, into another, or across.
//!
//! Promises that what is written is one state of the database, that it is put into an empty database whole or not
//! at all, and that counts, chain and head are the same afterwards. What is sealed stays sealed: the
//! key-encryption key is in no copy. Knows neither encryption nor files.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Refusal, recovery};
use crate::domain::hex;
use crate::store::{AuditEntry, AuditHead, ChainFault, Store, StoreError, TableShape, Tx};

const KIND: &str = "backup 1";
/// How much of rows is in memory at once, as far as rows can be divided.
const HANDFUL: usize = 1 << 20;
/// What stands before a row.
const ROW: char = '=';

/// Why a copy could not be made or taken.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Reading or writing the stream.
    #[error("the backup cannot be read or written: {0}")]
    Stream(#[from] io::Error),
    /// The stream is something else.
    #[error("this is no backup of embargod{0}")]
    NotABackup(&'static str),
    /// A line that stands where none like it may stand.
    #[error("line {0} of the backup is damaged")]
    Damaged(usize),
    /// Its lines are not those that were written.
    #[error(
        "the backup was damaged or changed after it was written; nothing was changed. Decrypt it again, and look what gpg says"
    )]
    Changed,
    /// It ends before its end.
    #[error("the backup is cut off: its end is missing")]
    CutOff,
    /// A newer version made it.
    #[error("the backup holds {0}, which this version does not know: run the newer embargod")]
    Newer(String),
    /// The target has something in it.
    #[error("the database that it would go into is not empty; nothing was changed")]
    NotEmpty,
    /// Other counts than were written.
    #[error("table {table} has {found} rows, and {expected} were written; nothing was changed")]
    Count {
        /// The table.
        table: String,
        /// Rows found.
        found: i64,
        /// Rows written.
        expected: i64,
    },
    /// The log in it is not whole.
    #[error("{0}; nothing was changed")]
    Chain(#[from] ChainFault),
    /// Its log ends elsewhere than was said.
    #[error("its audit log does not end where its header says; nothing was changed")]
    Head,
    /// Somebody was at work on the source.
    #[error(
        "the old database was written to meanwhile: stop every server on it, empty the new one, and repeat"
    )]
    Moved,
    /// The database.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<StoreError> for CopyError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    embargod: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// The life of the database it was made of.
    pub incarnation: String,
    /// The number of the log's last entry.
    pub entries: i64,
    /// That entry's hash, lower-case hex.
    pub hash: String,
    /// The migrations of the database, by version.
    pub migrations: Vec<String>,
}

/// The last line: how many rows of each table were written, and the SHA-256 of all lines before it, lower-case hex.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    rows: BTreeMap<String, i64>,
    /// Nothing in a backup of the first versions.
    #[serde(default)]
    sha256: Option<String>,
}

/// Writes into `sink`, and remembers the digest of what it wrote.
struct Digested<'a> {
    sink: &'a mut dyn Write,
    digest: Sha256,
}

impl Write for Digested<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// What was said of it.
    pub header: Header,
    /// Rows, by table.
    pub rows: BTreeMap<String, i64>,
}

impl Copied {
    /// Rows of all tables.
    pub fn total(&self) -> i64 {
        self.rows.values().sum()
    }
}

/// Is told of each table that is done: its name and how many rows it has.
pub type Progress<'a> = &'a mut dyn FnMut(&str, i64);

fn header(tx: &mut Tx<'_>, now: DateTime<Utc>) -> Result<Header, StoreError> {
    let AuditHead { sequence, hash } = tx.audit_head()?;
    Ok(Header {
        embargod: KIND.to_owned(),
        made_at: now,
        incarnation: tx.incarnations()?.pop().map(|life| life.id).unwrap_or_default(),
        entries: sequence,
        hash,
        migrations: tx.migrations()?,
    })
}

fn line(sink: &mut dyn Write, value: &impl Serialize) -> Result<(), CopyError> {
    serde_json::to_writer(&mut *sink, value).map_err(io::Error::from)?;
    Ok(sink.write_all(b"\n")?)
}

/// Writes everything that `store` holds into `sink`, while servers go on working.
pub fn write(
    store: &Store,
    now: DateTime<Utc>,
    sink: &mut dyn Write,
    progress: Progress<'_>,
) -> Result<Copied, CopyError> {
    store.read_now(|tx| {
        tx.freeze()?;
        let header = header(tx, now)?;
        let mut sink = Digested { sink, digest: Sha256::new() };
        line(&mut sink, &header)?;
        let mut rows = BTreeMap::new();
        for shape in tx.tables()? {
            line(&mut sink, &shape)?;
            let mut count = 0;
            tx.each_row(&shape, |row| {
                count += 1;
                Ok::<_, CopyError>(writeln!(sink, "{ROW}{row}")?)
            })?;
            progress(&shape.table, count);
            rows.insert(shape.table, count);
        }
        let sha256 = Some(hex(&sink.digest.clone().finalize()));
        line(&mut sink, &End { rows: rows.clone(), sha256 })?;
        Ok(Copied { header, rows })
    })
}

/// Puts rows into the tables of one transaction's database.
struct Loader {
    known: Vec<TableShape>,
    shape: Option<TableShape>,
    waiting: Vec<String>,
    bytes: usize,
    rows: BTreeMap<String, i64>,
}

impl Loader {
    /// Into an empty database that knows all these migrations.
    fn begin(tx: &mut Tx<'_>, migrations: &[String]) -> Result<Self, CopyError> {
        let own = tx.migrations()?;
        if let Some(newer) = migrations.iter().find(|migration| !own.contains(migration)) {
            return Err(CopyError::Newer(format!("migration {newer}")));
        }
        if !tx.is_empty()? {
            return Err(CopyError::NotEmpty);
        }
        tx.make_room()?;
        let known = tx.tables()?;
        Ok(Self { known, shape: None, waiting: Vec::new(), bytes: 0, rows: BTreeMap::new() })
    }

    /// The rows that follow are of this table.
    fn table(&mut self, tx: &mut Tx<'_>, shape: TableShape) -> Result<(), CopyError> {
        self.flush(tx)?;
        let known = self.known.iter().find(|known| known.table == shape.table);
        let fits = known.is_some_and(|known| shape.columns.iter().all(|name| known.columns.contains(name)));
        if !fits {
            return Err(CopyError::Newer("a table or column".to_owned()));
        }
        self.rows.insert(shape.table.clone(), 0);
        self.shape = Some(shape);
        Ok(())
    }

    fn row(&mut self, tx: &mut Tx<'_>, row: &str) -> Result<(), CopyError> {
        self.bytes += row.len();
        self.waiting.push(row.to_owned());
        if self.bytes >= HANDFUL { self.flush(tx) } else { Ok(()) }
    }

    fn flush(&mut self, tx: &mut Tx<'_>) -> Result<(), CopyError> {
        if let Some(shape) = &self.shape {
            tx.load_rows(shape, &self.waiting)?;
            let count = i64::try_from(self.waiting.len()).unwrap_or(i64::MAX);
            *self.rows.entry(shape.table.clone()).or_default() += count;
        }
        self.waiting.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Everything is in: counts, chain and head are what was written.
    fn end(
        mut self,
        tx: &mut Tx<'_>,
        header: Header,
        written: &BTreeMap<String, i64>,
    ) -> Result<Copied, CopyError> {
        self.flush(tx)?;
        for shape in &self.known {
            let expected = written.get(&shape.table).copied().unwrap_or_default();
            let found = tx.count_rows(shape)?;
            if found != expected {
                return Err(CopyError::Count { table: shape.table.clone(), found, expected });
            }
        }
        tx.verify_audit()??;
        let head = tx.audit_head()?;
        if head.sequence != header.entries || head.hash != header.hash {
            return Err(CopyError::Head);
        }
        Ok(Copied { header, rows: self.rows })
    }
}

/// Puts what [`write()`] wrote into the empty, migrated database of `store`, which from then on is held: nothing lifts
/// and nothing is sent until the operator says so.
pub fn restore(
    store: &Store,
    source: impl BufRead,
    now: DateTime<Utc>,
    progress: Progress<'_>,
) -> Result<Copied, CopyError> {
    let mut lines = Lines { source, number: 0, text: String::new(), before: Sha256::new() };
    let first = lines.next().map_err(not_text)?.ok_or(CopyError::NotABackup(""))?;
    let header: Header = serde_json::from_str(first).map_err(|_| CopyError::NotABackup(hint(first)))?;
    if header.embargod != KIND {
        return Err(CopyError::NotABackup(" in a form that this version knows"));
    }
    store.write_now(|tx| {
        let mut loader = Loader::begin(tx, &header.migrations)?;
        let written = loop {
            let number = lines.number + 1;
            let Some(text) = lines.next()? else { return Err(CopyError::CutOff) };
            if let Some(row) = text.strip_prefix(ROW) {
                loader.row(tx, row).map_err(changed)?;
            } else if let Ok(shape) = serde_json::from_str::<TableShape>(text) {
                report(&loader, progress);
                loader.table(tx, shape).map_err(changed)?;
            } else if let Ok(end) = serde_json::from_str::<End>(text) {
                report(&loader, progress);
                let found = hex(&lines.before.clone().finalize());
                if end.sha256.is_some_and(|written| written != found) {
                    return Err(CopyError::Changed);
                }
                if lines.next()?.is_some() {
                    return Err(CopyError::Damaged(number + 1));
                }
                break end.rows;
            } else {
                return Err(CopyError::Damaged(number));
            }
        };
        let copied = loader.end(tx, header, &written).map_err(changed)?;
        // Whoever has another key should learn it now.
        tx.check_key()?;
        let life = tx.begin_incarnation(now)?;
        recovery::hold(tx, "restored from a backup", now)?;
        tx.audit(AuditEntry {
            at: now,
            actor: "operator".to_owned(),
            action: "database restored",
            embargo: None,
            object: life.id,
            detail: Vec::new(),
        });
        Ok(copied)
    })
}

fn report(loader: &Loader, progress: Progress<'_>) {
    if let Some(shape) = &loader.shape {
        let waiting = i64::try_from(loader.waiting.len()).unwrap_or(i64::MAX);
        progress(&shape.table, loader.rows.get(&shape.table).copied().unwrap_or_default() + waiting);
    }
}

/// A stream of lines, one in memory at a time.
struct Lines<R> {
    source: R,
    number: usize,
    text: String,
    /// Of all lines before this one.
    before: Sha256,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> io::Result<Option<&str>> {
        self.before.update(&self.text);
        self.text.clear();
        if self.source.read_line(&mut self.text)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        // A line without its end was cut off, unless nothing can be missing: rows are JSON and say so.
        Ok(Some(self.text.trim_end_matches('\n')))
    }
}

/// What a row that stands there twice is called: nobody else writes into the new database.
fn changed(error: CopyError) -> CopyError {
    if matches!(error, CopyError::Refused(Refusal::Store(StoreError::Conflict))) {
        CopyError::Changed
    } else {
        error
    }
}

const ENCRYPTED: &str = ": it is encrypted; gpg --decrypt FILE | embargod restore -";

fn not_text(error: io::Error) -> CopyError {
    if error.kind() == io::ErrorKind::InvalidData { CopyError::NotABackup(ENCRYPTED) } else { error.into() }
}

fn hint(first: &str) -> &'static str {
    if first.starts_with("-----BEGIN PGP") { ENCRYPTED } else { "" }
}

/// Copies everything from one database into another, empty and migrated one. It is the same installation there,
/// in the same life: no server may work on the old one any more.
pub fn copy(
    from: &Store,
    into: &Store,
    now: DateTime<Utc>,
    progress: Progress<'_>,
) -> Result<Copied, CopyError> {
    let copied = from.read_now(|source| {
        source.freeze()?;
        let header = header(source, now)?;
        into.write_now(|target| {
            let mut loader = Loader::begin(target, &header.migrations)?;
            let mut written = BTreeMap::new();
            for shape in source.tables()? {
                loader.table(target, shape.clone())?;
                source.each_row(&shape, |row| loader.row(target, row))?;
                let count = source.count_rows(&shape)?;
                progress(&shape.table, count);
                written.insert(shape.table, count);
            }
            source.verify_audit()??;
            let copied = loader.end(target, header, &written)?;
            // Asked outside the snapshot, and before anything is stored in the new database.
            let head = from.read_now(|tx| tx.audit_head())?;
            if (head.sequence, &head.hash) != (copied.header.entries, &copied.header.hash) {
                return Err(CopyError::Moved);
            }
            Ok(copied)
        })
    })?;
    Ok(copied)
}
