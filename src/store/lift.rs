//! Publishing: the rows that a lift inserts, all in its one transaction.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use sha2::Digest as _;

use super::schema::{advisories, advisory_revisions, clock_marks, published_files};
use super::{StoreError, Tx, corrupt, dialect, instant};
use crate::domain::advisory::Advisory;
use crate::domain::id::EmbargoId;

/// Where an operator's word about the clock is kept.
const CONFIRMED_CLOCK: &str = "clock-confirmed";

/// How many files one statement inserts: the databases take so many values in each.
const FILES_AT_ONCE: usize = 256;

/// A rendered file, ready to be published.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Its path below the server's address, beginning with `/`.
    pub path: String,
    /// Its media type.
    pub media_type: &'static str,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// An advisory that is to be published.
#[derive(Clone, Copy, Debug)]
pub struct NewAdvisory<'a> {
    /// The embargo that ends with it.
    pub embargo: &'a EmbargoId,
    /// What it says.
    pub advisory: &'a Advisory,
    /// Its files.
    pub files: &'a [Publication],
}

impl Tx<'_> {
    /// Draws the next `count` public numbers of `year`; returns the last of them.
    pub fn next_advisory_numbers(&mut self, year: i32, count: i32) -> Result<i32, StoreError> {
        Ok(dialect::next_numbers(self.db, year, count)?)
    }

    /// The last public number drawn in `year`, 0 if none was.
    pub fn last_advisory_number(&mut self, year: i32) -> Result<i32, StoreError> {
        use super::schema::advisory_numbers;
        let last =
            advisory_numbers::table.find(year).select(advisory_numbers::last).first(self.db).optional()?;
        Ok(last.unwrap_or(0))
    }

    /// Publishes advisories with all their files.
    pub fn publish(&mut self, new: &[NewAdvisory<'_>], now: DateTime<Utc>) -> Result<(), StoreError> {
        self.weighs();
        let now = now.timestamp_micros();
        let (mut heads, mut revisions, mut files) = (Vec::new(), Vec::new(), Vec::new());
        for NewAdvisory { embargo, advisory, files: some } in new {
            let content = serde_json::to_string(advisory).map_err(|_| corrupt("advisories", &advisory.id))?;
            heads.push((
                advisories::id.eq(&advisory.id),
                advisories::embargo_id.eq(embargo.as_str()),
                advisories::project.eq(&advisory.project),
                advisories::published_at.eq(now),
            ));
            revisions.push((
                advisory_revisions::advisory_id.eq(&advisory.id),
                advisory_revisions::number.eq(1),
                advisory_revisions::content_sha256.eq(sha2::Sha256::digest(&content).to_vec()),
                advisory_revisions::content.eq(content),
                advisory_revisions::published_at.eq(now),
            ));
            files.extend(some.iter().map(|file| {
                (
                    published_files::path.eq(&file.path),
                    published_files::advisory_id.eq(&advisory.id),
                    published_files::media_type.eq(file.media_type),
                    published_files::content.eq(&file.content),
                    published_files::sha256.eq(crate::domain::hex_sha256(&file.content)),
                    published_files::published_at.eq(now),
                )
            }));
        }
        dialect::on_backend!(&mut *self.db, |connection| {
            diesel::insert_into(advisories::table).values(&heads).execute(connection)?;
            diesel::insert_into(advisory_revisions::table).values(&revisions).execute(connection)?;
            for some in files.chunks(FILES_AT_ONCE) {
                diesel::insert_into(published_files::table).values(some).execute(connection)?;
            }
        });
        Ok(())
    }

    /// The public id of a lifted embargo.
    pub fn advisory_of(&mut self, embargo: &EmbargoId) -> Result<Option<String>, StoreError> {
        Ok(advisories::table
            .filter(advisories::embargo_id.eq(embargo.as_str()))
            .select(advisories::id)
            .first(self.db)
            .optional()?)
    }

    /// The highest instant this database has ever seen.
    pub fn highest_instant(&mut self) -> Result<DateTime<Utc>, StoreError> {
        let micros = clock_marks::table.select(clock_marks::highest_at).first::<i64>(self.db)?;
        instant(micros, "clock_marks", "1")
    }

    /// What the clock showed when an operator last said that it is right.
    pub fn confirmed_clock(&mut self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let Some(value) = self.setting(CONFIRMED_CLOCK)? else { return Ok(None) };
        let micros = value.try_into().map(i64::from_be_bytes);
        micros.ok().map(|micros| instant(micros, "settings", CONFIRMED_CLOCK)).transpose()
    }

    /// Remembers that the clock is right at `now`, and forgets that it ever showed more.
    pub fn confirm_clock(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let micros = now.timestamp_micros();
        dialect::put_setting(self.db, CONFIRMED_CLOCK, &micros.to_be_bytes())?;
        diesel::update(clock_marks::table).set(clock_marks::highest_at.eq(micros)).execute(self.db)?;
        Ok(())
    }

    /// Remembers that the clock has shown `now`.
    pub fn mark_instant(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let micros = now.timestamp_micros();
        diesel::update(clock_marks::table)
            .filter(clock_marks::highest_at.lt(micros))
            .set(clock_marks::highest_at.eq(micros))
            .execute(self.db)?;
        Ok(())
    }
}
