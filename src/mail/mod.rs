//! Mail as bytes: composition of notices, and reading of what was composed.
//!
//! Promises: every line ends in CRLF and has at most 76 characters (a single long address excepted), every
//! header value is of a type that cannot hold a line break, and an attachment comes out of [`read()`] byte
//! for byte as it went in. The plain text of a notice exists only inside [`protected_entity`], whose result
//! is to be sealed; what [`outer_message`] adds in clear is the same for every embargo.
//!
//! Refuses to know: OpenPGP, sockets, the clock and randomness. Dates and random bytes are arguments.

mod encode;
mod entity;
mod outer;
mod read;
mod words;

pub use entity::{Attachment, AttachmentKind, FileName, ProtectedNotice, protected_entity};
pub use outer::{OuterHead, outer_frame, outer_message, plain_message};
pub use read::{Part, ReadError, read};
pub use words::{Boundary, HeaderText, ListId, MessageId};

#[cfg(test)]
mod laws;
