//! The people of every round, with keys that are made once.

use embargod::clock::Clock;
use embargod::openpgp::{Person, Suite};

/// How many packagers are told.
pub const PACKAGERS: usize = 3;

/// Everybody.
#[derive(Clone)]
pub struct People {
    pub maintainer: Person,
    pub packagers: Vec<(String, String, Person)>,
}

impl People {
    pub fn new() -> Self {
        let now = Clock::System.now() - chrono::Duration::days(30);
        let person = |name: &str, address: &str| {
            Person::generate(&format!("{name} <{address}>"), Suite::Cv25519, now).unwrap()
        };
        let packagers = (1..=PACKAGERS).map(|number| {
            let (slug, address) = (format!("distro{number}"), format!("security@distro{number}.example"));
            let key = person(&slug, &address);
            (slug, address, key)
        });
        Self { packagers: packagers.collect(), maintainer: person("Mara Keep", "mara@requests.example") }
    }
}
