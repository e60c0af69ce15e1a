//! What `embargoctl` does on the wire: HTTP to one server, and the user's own `gpg` or `sq` as child processes.
//!
//! This is the client's only outgoing room. It promises
//!
//! * that a change leaves only as a signed command: an HTTP request, signed by the user and encrypted to the
//!   server whose key was pinned at the first login;
//! * that whatever the server seals is handed on only if it was encrypted *and* signed by that key;
//! * that a login challenge is answered only to the server that it names;
//! * that nothing decrypted and no token is written anywhere but where the user is told.
//!
//! It refuses to know OpenPGP packets, passphrases, and what a screen looks like. No redirect is followed: the
//! signed text names the absolute URL.

mod address;
mod command;
mod editor;
mod error;
mod ids;
mod login;
mod mime;
mod profile;
mod program;
mod scratch;
mod session;
#[cfg(test)]
mod testing;
mod transport;

pub use address::{InvalidAddress, ServerAddress};
pub use command::Command;
pub use editor::edit;
pub use error::ClientError;
pub use ids::IdError;
pub use login::{Login, LoginError, LoginRequest};
pub use mime::{Attachment, NoticeText, read_notice};
pub use profile::{Profile, ProfileError, Profiles};
pub use program::{
    Choice, OpenPgp, Own, OwnCertificate, ProgramError, ProgramKind, Programs, SealTrouble, ServerKey,
};
pub use scratch::Scratch;
pub use session::{Seen, Session};
pub use transport::{Answer, Call, Transport, TransportError};
