//! Whether the audit log is what was written: by the hashes that chain its entries, by the checkpoints that were
//! signed, and by the anchor that lies outside the database. Also for a log in a file, far from the server.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Refusal;
use super::checkpoints::{Checkpoint, SignedCheckpoint};
use super::witness;
use crate::openpgp::{Certificate, ServerKey};
use crate::store::{ChainFault, ChainWalk, Chained, Store};

/// A log that is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Whole {
    /// How many entries it has.
    pub entries: i64,
    /// Up to which entry a signature confirms it; what follows is chained and not yet signed.
    pub confirmed: i64,
    /// How many signed checkpoints agree, the anchor included.
    pub checkpoints: usize,
    /// Whether something outside the database says how far the log reached: an anchor, or the header of an export.
    pub anchored: bool,
}

/// Why an exported log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file.
    #[error("the file cannot be read or written: {0}")]
    File(#[from] std::io::Error),
    /// A line that is none of an exported log.
    #[error("line {0} is not one of an exported audit log: expected what `embargod audit export` writes")]
    Line(usize),
    /// The end is missing, or something follows it.
    #[error("this is not a whole file of `embargod audit export`: it has no header")]
    NoHeader,
    /// The database or the key.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// The first line of an exported log.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    embargod: String,
    exported_at: DateTime<Utc>,
    entries: i64,
    hash: String,
}

const KIND: &str = "audit 1";

/// Points of the log that were signed, as far as the signatures are good; and the first that is not.
struct Points {
    signed: BTreeMap<i64, String>,
    forged: Option<i64>,
}

fn points(
    checkpoints: impl IntoIterator<Item = (i64, SignedCheckpoint)>,
    server: Option<&Certificate>,
) -> Points {
    let mut points = Points { signed: BTreeMap::new(), forged: None };
    for (place, signed) in checkpoints {
        let verified = server.and_then(|server| signed.verified(server));
        match verified.filter(|said| said.sequence == place) {
            Some(said) => _ = points.signed.insert(said.sequence, said.hash),
            None => points.forged = Some(points.forged.map_or(place, |first| first.min(place))),
        }
    }
    points
}

/// The first of what was found.
fn judge(
    walked: Result<(i64, i64), ChainFault>,
    forged: Option<i64>,
    checkpoints: usize,
    anchored: bool,
) -> Result<Whole, ChainFault> {
    let fault = match (walked, forged) {
        (Ok((entries, confirmed)), None) => {
            return Ok(Whole { entries, confirmed, checkpoints, anchored });
        }
        (Ok(_), Some(forged)) => ChainFault::Forged(forged),
        (Err(fault), Some(forged)) if forged < fault.entry() => ChainFault::Forged(forged),
        (Err(fault), _) => fault,
    };
    Err(fault)
}

/// Checks the log in the database, and against the anchor in the folder `state`.
pub fn verify(store: &Store, state: Option<&Path>) -> Result<Result<Whole, ChainFault>, Refusal> {
    let Ok(anchor) = state.map_or(Ok(None), witness::readable_anchor) else {
        return Ok(Err(ChainFault::Anchor));
    };
    store.read_now(|tx| {
        tx.freeze()?;
        let server = tx.server_certificate()?.and_then(|bytes| Certificate::parse(&bytes).ok());
        let lives = tx.incarnations()?;
        let earlier = lives.split_last().map_or(&[][..], |(_, earlier)| earlier);
        // An anchor of an earlier life speaks of a log that the operator gave up on purpose.
        let anchor = anchor.filter(|anchor| {
            anchor.read().is_none_or(|said| !earlier.iter().any(|life| life.id == said.incarnation))
        });
        let anchor = anchor.map(|anchor| (anchor.read().map_or(0, |said| said.sequence), anchor));
        let anchored = anchor.is_some();
        let stored = tx.checkpoints()?.into_iter().map(|stored| (stored.sequence, stored.into()));
        let all: Vec<_> = stored.chain(anchor).collect();
        let count = all.len();
        let Points { signed, forged } = points(all, server.as_ref());
        Ok(judge(tx.verify_audit_against(signed)?, forged, count, anchored))
    })
}

/// Writes the whole log, with its checkpoints and one of its head, for somebody who has nothing but this file and the
/// server's certificate. Details stay sealed.
pub fn export(
    store: &Store,
    server: &ServerKey,
    now: DateTime<Utc>,
    file: &mut impl Write,
) -> Result<i64, ExportError> {
    store.read_now(|tx| {
        tx.freeze().map_err(Refusal::from)?;
        let head = tx.audit_head().map_err(Refusal::from)?;
        let life = tx.incarnations().map_err(Refusal::from)?.pop().map(|life| life.id).unwrap_or_default();
        let header = Header {
            embargod: KIND.to_owned(),
            exported_at: now,
            entries: head.sequence,
            hash: head.hash.clone(),
        };
        write_line(file, &header)?;
        for stored in tx.checkpoints().map_err(Refusal::from)? {
            if stored.sequence != head.sequence {
                write_line(file, &SignedCheckpoint::from(stored))?;
            }
        }
        let newest = Checkpoint::new(head.sequence, head.hash, now, life, "export".to_owned());
        write_line(file, &newest.sign(server)?)?;
        tx.walk_audit(|row| write_line(file, row))?;
        Ok(head.sequence)
    })
}

fn write_line(file: &mut impl Write, value: &impl Serialize) -> Result<(), ExportError> {
    serde_json::to_writer(&mut *file, value).map_err(std::io::Error::from)?;
    file.write_all(b"\n")?;
    Ok(())
}

impl From<crate::store::StoreError> for ExportError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Refused(error.into())
    }
}

/// Checks an exported log, knowing nothing but the server's certificate.
pub fn verify_file(
    file: impl BufRead,
    server: &Certificate,
) -> Result<Result<Whole, ChainFault>, ExportError> {
    let mut lines = file.lines().zip(1_usize..);
    let first = lines.next().ok_or(ExportError::NoHeader)?.0?;
    let header: Header = serde_json::from_str(&first).map_err(|_| ExportError::NoHeader)?;
    let hash = crate::domain::unhex(&header.hash).filter(|_| header.embargod == KIND);
    let hash = hash.ok_or(ExportError::NoHeader)?;
    let mut signed = Vec::new();
    let mut walk: Option<ChainWalk> = None;
    let mut forged = None;
    let mut fault = None;
    for (line, number) in lines {
        let line = line?;
        if walk.is_none()
            && let Ok(checkpoint) = serde_json::from_str::<SignedCheckpoint>(&line)
        {
            let place = checkpoint.read().ok_or(ExportError::Line(number))?.sequence;
            signed.push((place, checkpoint));
            continue;
        }
        let row: Chained = serde_json::from_str(&line).map_err(|_| ExportError::Line(number))?;
        let walk = walk.get_or_insert_with(|| begin(&signed, server, &mut forged));
        if fault.is_none() {
            fault = walk.step(&row).err();
        }
    }
    let walk = walk.unwrap_or_else(|| begin(&signed, server, &mut forged));
    let walked = match fault {
        Some(fault) => Err(fault),
        None => walk.end(Some((header.entries, &hash))),
    };
    Ok(judge(walked, forged, signed.len(), true))
}

fn begin(
    checkpoints: &[(i64, SignedCheckpoint)],
    server: &Certificate,
    forged: &mut Option<i64>,
) -> ChainWalk {
    let points = points(checkpoints.iter().cloned(), Some(server));
    *forged = points.forged;
    ChainWalk::new(points.signed)
}
