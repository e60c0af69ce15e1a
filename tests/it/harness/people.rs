//! People with throw-away keys. Keys are made once for a process, so that stories are quick.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use embargod::openpgp::{Person, Suite};

use super::{days, start};

static KNOWN: LazyLock<Mutex<HashMap<String, Person>>> = LazyLock::new(Mutex::default);

/// The person of this name at an address of the same name, always the same within a process.
pub fn person(name: &str, address: &str) -> Person {
    let user_id = format!("{name} <{address}>");
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let made = || Person::generate(&user_id, Suite::Cv25519, start() - days(30)).unwrap();
    known.entry(user_id.clone()).or_insert_with(made).clone()
}
