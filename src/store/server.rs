//! The server's own facts: its key, and the check that the key-encryption key is the right one.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use zeroize::Zeroizing;

use super::schema::{data_keys, settings};
use super::{StoreError, Tx, dialect};
use crate::vault::{Place, ROSTER};

const SERVER_KEY: &str = "server-key";
const SERVER_CERTIFICATE: &str = "server-certificate";
const PRACTICE: &str = "practice";

impl Tx<'_> {
    /// Founds an installation: draws the roster's data key. Done once.
    pub fn found(&mut self, practice: bool, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.create_key(ROSTER, now)?;
        self.begin_incarnation(now)?;
        dialect::put_setting(self.db, PRACTICE, &[u8::from(practice)])?;
        Ok(())
    }

    /// Whether this database was founded.
    pub fn is_founded(&mut self) -> Result<bool, StoreError> {
        let count =
            data_keys::table.filter(data_keys::owner.eq(ROSTER)).count().get_result::<i64>(self.db)?;
        Ok(count == 1)
    }

    /// Whether the installation is practice, for ever.
    pub fn is_practice(&mut self) -> Result<bool, StoreError> {
        Ok(self.setting(PRACTICE)?.is_some_and(|value| value == [1]))
    }

    /// Asks for the right to write, and changes nothing: an update that meets no row is refused by a database
    /// that may only be read, whichever it is. `BEGIN IMMEDIATE` alone is not refused by SQLite.
    pub fn check_writable(&mut self) -> Result<(), StoreError> {
        diesel::update(settings::table.find("")).set(settings::value.eq(Vec::new())).execute(self.db)?;
        Ok(())
    }

    /// Checks that the vault's key opens this database.
    pub fn check_key(&mut self) -> Result<(), StoreError> {
        self.key(ROSTER).map(drop)
    }

    /// Stores the server's secret key, sealed, and its certificate, in clear.
    pub fn put_server_key(&mut self, secret: &[u8], certificate: &[u8]) -> Result<(), StoreError> {
        let place = Place { table: "settings", column: "value", row: SERVER_KEY };
        let sealed = self.seal(ROSTER, place, secret)?;
        dialect::put_setting(self.db, SERVER_KEY, &sealed)?;
        dialect::put_setting(self.db, SERVER_CERTIFICATE, certificate)?;
        Ok(())
    }

    /// The server's secret key.
    pub fn server_key(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some(sealed) = self.setting(SERVER_KEY)? else { return Ok(None) };
        let place = Place { table: "settings", column: "value", row: SERVER_KEY };
        Ok(Some(self.open(ROSTER, place, &sealed)?))
    }

    /// The server's certificate; readable without any key.
    pub fn server_certificate(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        self.setting(SERVER_CERTIFICATE)
    }

    pub(super) fn setting(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(settings::table.find(name).select(settings::value).first(self.db).optional()?)
    }
}
