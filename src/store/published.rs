//! What the public side may see: published rows, through a handle that has no other methods.

use diesel::prelude::*;
use diesel::r2d2::Pool;

use super::dialect::{self, Db, Manager};
use super::schema::{advisory_revisions, published_files};
use super::{StoreError, connection, corrupt};
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
        Ok(row.map(|(media_type, content, sha256)| PublishedFile { media_type, content, sha256 }))
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
                ))
                .load::<(String, i32, String)>(db)
        })?;
        let mut newest: std::collections::BTreeMap<String, i32> = std::collections::BTreeMap::new();
        for (id, number, _) in &rows {
            let known = newest.entry(id.clone()).or_insert(*number);
            *known = (*known).max(*number);
        }
        rows.into_iter()
            .filter(|(id, number, _)| newest.get(id) == Some(number))
            .map(|(id, _, content)| {
                serde_json::from_str(&content).map_err(|_| corrupt("advisory_revisions", &id))
            })
            .collect()
    }
}
