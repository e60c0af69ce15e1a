//! `embargod migrate`: brings the schema up to date.

use std::process::ExitCode;
use std::sync::Arc;

use super::alone::Alone;
use super::console::{Global, location};
use super::failure::Failure;
use super::screen::item;
use crate::entropy::Entropy;
use crate::store::Store;
use crate::vault::Vault;

/// Runs the migrations that are missing, and says how many.
pub(super) fn run(global: &Global) -> Result<ExitCode, Failure> {
    let config = global.load()?;
    let location = location(&config)?;
    let _alone = Alone::to_migrate(&location)?;
    // The schema is no secret: no key is needed.
    let vault = Vault::locked("it is not needed to migrate", Entropy::System);
    let store = Store::open(location, Arc::new(vault))?;
    let kind = store.location().kind();
    match store.migrate()? {
        0 => item("ok", &format!("{kind}: nothing to do, the database is of this version")),
        1 => item("done", &format!("{kind}: 1 migration ran")),
        count => item("done", &format!("{kind}: {count} migrations ran")),
    }
    Ok(ExitCode::SUCCESS)
}
