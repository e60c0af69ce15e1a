//! The rehearsal: a week of an embargo in a few seconds, and the proof that nothing leaked meanwhile.
//!
//! This module may call any public item of the house. Nothing but the command line calls it.

pub mod canary;
pub mod rehearsal;
pub mod sink;
