//! What other people's programs make of what comes from here. Needs gpg 2.2 or newer and git; `cargo test --test interop`.
//!
//! It is no part of `cargo test`, which needs nothing but Rust and a C compiler.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod changelog;
mod fixes;
mod gpg;
#[path = "../it/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "it is the harness of the other tests as well")]
mod harness;
mod repository;

use embargod::clock::Clock;
use embargod::openpgp::{Expected, Inspection, Verdict};

use gpg::Keyring;
use harness::troubled;

/// Two rounds: a new certificate may lie in the keyring beside the old one, and then one of them has to be named.
const ROUNDS: usize = 2;

#[test]
fn what_is_printed_as_a_cure_cures_when_its_owner_types_it_into_gpg() {
    let now = Clock::System.now();
    let expected = Expected { address: Some(troubled::ADDRESS), ..Expected::default() };
    let mut cured = 0;
    for sent in troubled::everything(now) {
        let Some(secret) = sent.curable else { continue };
        let keyring = Keyring::with(&secret);
        let mut inspection = Inspection::of(&sent.bytes, &expected, now);
        assert_eq!(inspection.code(), Some(sent.code), "{}", sent.name);
        assert_ne!(sent.verdict, troubled::Verdict::Usable, "{}", sent.name);
        let mut typed = Vec::new();
        for _ in 0..ROUNDS {
            let Some(cure) = inspection.cure() else { break };
            let mut printed = Vec::new();
            for line in &cure.gpg {
                typed.push(line.clone());
                printed = keyring.types(line);
            }
            inspection = Inspection::of(&printed, &expected, Clock::System.now());
            if inspection.verdict == Verdict::Usable {
                break;
            }
        }
        assert_eq!(
            inspection.verdict,
            Verdict::Usable,
            "{}: {:?} after {typed:?}",
            sent.name,
            inspection.findings
        );
        cured += 1;
    }
    println!("{cured} certificates cured");
    assert!(cured >= 60, "{cured}");
}
