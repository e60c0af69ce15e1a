//! Applications of packagers that nobody has answered yet.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::schema::applications;
use super::{StoreError, Tx, instant, parsed, sound};
use crate::domain::id::ApplicationId;
use crate::vault::{Place, ROSTER};

/// What somebody asked for, sealed as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationContent {
    /// The organisation's name.
    pub name: String,
    /// Where its mail is to go.
    pub contact: String,
    /// The projects it wants to hear of.
    pub projects: Vec<String>,
    /// What it says of itself.
    pub about: String,
    /// The contact's certificate, armored; whoever applied can decrypt with it.
    pub certificate: String,
}

/// An application as stored.
#[derive(Clone, Debug)]
pub struct StoredApplication {
    /// Its id.
    pub id: ApplicationId,
    /// What was asked for.
    pub content: ApplicationContent,
    /// When.
    pub received_at: DateTime<Utc>,
}

impl Tx<'_> {
    /// Stores an application in the place of an older one for the same certificate, unless `most` others wait already;
    /// says whether it was stored.
    pub fn put_application(
        &mut self,
        application: &StoredApplication,
        fingerprint: &str,
        most: i64,
    ) -> Result<bool, StoreError> {
        let id = application.id.as_str();
        let lookup = self.lookup("application", fingerprint)?;
        let same = applications::table.filter(applications::fingerprint_lookup.eq(&lookup));
        diesel::delete(same).execute(self.db)?;
        if applications::table.count().get_result::<i64>(self.db)? >= most {
            return Ok(false);
        }
        let content = self.seal_json(ROSTER, place(id), &application.content)?;
        diesel::insert_into(applications::table)
            .values((
                applications::id.eq(id),
                applications::fingerprint_lookup.eq(lookup),
                applications::content_sealed.eq(content),
                applications::received_at.eq(application.received_at.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(true)
    }

    /// Every application that waits, the oldest first.
    pub fn applications(&mut self) -> Result<Vec<StoredApplication>, StoreError> {
        let rows = applications::table
            .order((applications::received_at, applications::id))
            .select((applications::id, applications::content_sealed, applications::received_at))
            .load::<(String, Vec<u8>, i64)>(self.db)?;
        sound(rows.into_iter().map(|(id, sealed, received_at)| {
            Ok(StoredApplication {
                content: self.open_json(ROSTER, place(&id), &sealed)?,
                received_at: instant(received_at, "applications", &id)?,
                id: parsed(&id, "applications", &id)?,
            })
        }))
    }

    /// Removes an application; says whether it was there.
    pub fn remove_application(&mut self, id: &ApplicationId) -> Result<bool, StoreError> {
        Ok(diesel::delete(applications::table.find(id.as_str())).execute(self.db)? == 1)
    }
}

fn place(id: &str) -> Place<'_> {
    Place { table: "applications", column: "content", row: id }
}
