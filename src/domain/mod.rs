//! The rules, as pure functions of their arguments.
//!
//! Nothing here reads a clock, draws randomness, or meets a database, a socket or an OpenPGP packet.

pub mod address;
pub mod advisory;
pub mod branch;
pub mod calendar;
pub mod case;
pub mod clock_guard;
pub mod container;
pub mod dates;
pub mod embargo;
pub mod fix;
pub mod hold;
pub mod id;
pub mod instant;
pub mod notice;
pub mod policy;
pub mod text;

/// `bytes` in lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// The bytes that `text` names in hex, in either case; nothing if it is not hex.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// The SHA-256 of `bytes` in lower-case hex, as everywhere in files and answers.
pub fn hex_sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex(&sha2::Sha256::digest(bytes))
}
