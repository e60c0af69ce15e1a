//! The people of every round, with keys that are made once.

use embargod::clock::Clock;
use embargod::openpgp::{Person, Suite};

/// How many packagers are told, where that does not matter.
pub const PACKAGERS: usize = 3;

/// Everybody.
#[derive(Clone)]
pub struct People {
    pub maintainer: Person,
    pub packagers: Vec<(String, String, Person)>,
}

impl People {
    /// A maintainer, and so many packagers.
    pub fn new(packagers: usize) -> Self {
        let now = Clock::System.now() - chrono::Duration::days(30);
        let person = |name: &str, address: &str| {
            Person::generate(&format!("{name} <{address}>"), Suite::Cv25519, now).unwrap()
        };
        let packagers = (1..=packagers).map(|number| {
            let (slug, address) = (format!("distro{number}"), format!("security@distro{number}.example"));
            let key = person(&slug, &address);
            (slug, address, key)
        });
        Self { packagers: packagers.collect(), maintainer: person("Mara Keep", "mara@requests.example") }
    }
}
