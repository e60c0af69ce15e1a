//! What the API's requests and answers look like, shared by the server and its client.
//!
//! Only shapes: no rule lives here. Instants are RFC 3339 in UTC. Whatever is not *neutral* (ids, stage,
//! instants, sizes, counts, the caller's own states) travels inside an OpenPGP message only.

mod answers;
mod requests;

pub use answers::*;
pub use requests::*;

/// The media type of signed commands and of encrypted answers.
pub const OPENPGP: &str = "application/pgp-encrypted";

/// The media type of refusals (RFC 9457).
pub const PROBLEM: &str = "application/problem+json";
