//! The rules, as pure functions of their arguments.
//!
//! Nothing here reads a clock, draws randomness, or meets a database, a socket or an OpenPGP packet.

pub mod advisory;
pub mod case;
pub mod embargo;
pub mod id;
pub mod notice;
