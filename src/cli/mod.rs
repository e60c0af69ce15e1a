//! The commands of both binaries, and the one place that puts the server together from its parts.

pub mod assembly;
pub mod embargoctl;
pub mod embargod;
mod inspection;
mod manual;
