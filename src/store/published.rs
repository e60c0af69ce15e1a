//! What the public side may see: published rows, through a handle that has no other methods.

use diesel::prelude::*;
use diesel::r2d2::Pool;
use sha2::Digest as _;

use super::dialect::{self, Db, Manager};
use super::schema::{advisory_revisions, published_files};
use super::{StoreError, connection, corrupt, sound};
use crate::domain::advisory::Advisory;

/// The public side's only handle.
#[derive(Clone)]
pub struct Published {
    readers: Pool<Manager>,
}

/// A published file.
#[derive(Clone, Debug)]
pub struct PublishedFile {
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub content: Vec<u8>,
    /// SHA-256 of the bytes, lower-case hex.
    pub sha256: String,
}

impl Published {
    pub(super) fn new(readers: Pool<Manager>) -> Self {
        Self { readers }
    }

    /// Reads in one transaction where a pooler may stand in between.
    fn read<T>(&self, work: impl FnOnce(&mut Db) -> QueryResult<T>) -> Result<T, StoreError> {
        let db = &mut *connection(&self.readers)?;
        Ok(if dialect::is_pooled(db) { db.transaction(work)? } else { work(db)? })
    }

    /// The file published at `path`.
    pub fn file(&self, path: &str) -> Result<Option<PublishedFile>, StoreError> {
        let row = self.read(|db| {
            published_files::table
                .find(path)
                .select((published_files::media_type, published_files::content, published_files::sha256))
                .first::<(String, Vec<u8>, String)>(db)
                .optional()
        })?;
        let Some((media_type, content, sha256)) = row else { return Ok(None) };
        // Nobody gets bytes that were not published.
        if crate::domain::hex_sha256(&content) != sha256 {
            return Err(corrupt("published_files", path));
        }
        Ok(Some(PublishedFile { media_type, content, sha256 }))
    }

    /// Every advisory in its newest revision, the newest first.
    pub fn advisories(&self) -> Result<Vec<Advisory>, StoreError> {
        let rows = self.read(|db| {
            advisory_revisions::table
                .order((advisory_revisions::published_at.desc(), advisory_revisions::advisory_id.desc()))
                .select((
                    advisory_revisions::advisory_id,
                    advisory_revisions::number,
                    advisory_revisions::content,
                    advisory_revisions::content_sha256,
                ))
                .load::<(String, i32, String, Option<Vec<u8>>)>(db)
        })?;
        let mut newest: std::collections::BTreeMap<String, i32> = std::collections::BTreeMap::new();
        for (id, number, _, _) in &rows {
            let known = newest.entry(id.clone()).or_insert(*number);
            *known = (*known).max(*number);
        }
        let newest = rows.into_iter().filter(|(id, number, ..)| newest.get(id) == Some(number));
        sound(newest.map(|(id, _, content, sha256)| {
            let written = sha256.is_none_or(|sha256| sha256 == sha2::Sha256::digest(&content).as_slice());
            let advisory = serde_json::from_str(&content).ok().filter(|_| written);
            advisory.ok_or_else(|| corrupt("advisory_revisions", &id))
        }))
    }
}
