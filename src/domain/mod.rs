//! The rules, as pure functions of their arguments.
//!
//! Nothing here reads a clock, draws randomness, or meets a database, a socket or an OpenPGP packet.

pub mod address;
pub mod advisory;
pub mod calendar;
pub mod case;
pub mod dates;
pub mod embargo;
pub mod fix;
pub mod id;
pub mod instant;
pub mod notice;
pub mod policy;
pub mod text;

/// The SHA-256 of `bytes` in lower-case hex, as everywhere in files and answers.
pub fn hex_sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
