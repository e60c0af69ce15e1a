//! The rules, as pure functions of their arguments.
//!
//! Nothing here reads a clock, draws randomness, or meets a database, a socket or an OpenPGP packet.

pub mod id;
