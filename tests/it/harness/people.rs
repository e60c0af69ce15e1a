//! People with throw-away keys. Keys are made once for a process, so that stories are quick.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use embargod::openpgp::{Person, Suite};
use sequoia_openpgp::Profile;
use sequoia_openpgp::cert::CertBuilder;
use sequoia_openpgp::types::{Features, KeyFlags};

use super::{days, start};

static KNOWN: LazyLock<Mutex<HashMap<String, Person>>> = LazyLock::new(Mutex::default);

/// The person of this name at an address of the same name, always the same within a process.
pub fn person(name: &str, address: &str) -> Person {
    let user_id = format!("{name} <{address}>");
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let made = || Person::generate(&user_id, Suite::Cv25519, start() - days(30)).unwrap();
    known.entry(user_id.clone()).or_insert_with(made).clone()
}

/// A builder for a signing key that every program reads, a month old when a story begins.
pub fn classic_key() -> CertBuilder<'static> {
    CertBuilder::new()
        .set_profile(Profile::RFC4880)
        .unwrap()
        .set_features(Features::empty().set_seipdv1())
        .unwrap()
        .set_creation_time(SystemTime::from(start() - days(30)))
        .set_primary_key_flags(KeyFlags::empty().set_certification().set_signing())
}

/// What an encryption subkey is for.
pub fn encrypting() -> KeyFlags {
    KeyFlags::empty().set_transport_encryption().set_storage_encryption()
}
