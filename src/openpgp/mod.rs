//! OpenPGP: certificates, sealed bodies, heads, signatures, signed commands.
//!
//! This is the only module that knows packets; outside it there are bytes and the types below. It promises
//!
//! * that a [`Certificate`] holds nothing but what its own owner signed, and no secret;
//! * that nothing is encrypted to a certificate which [`Certificate::check`] would refuse;
//! * that what is sent to v4 certificates can be read by programs that know only RFC 4880:
//!   an encryption container of version 1 behind session key packets of version 3; v6 certificates get version 2
//!   behind version 6;
//! * that foreign input is capped before it is parsed, and that every rule is judged at the `now` of the caller.
//!
//! It knows no database, no mail, no embargo, and reads no clock. The OpenPGP library draws its own randomness for
//! keys, signatures and initialisation vectors; session keys and nonces are handed in.
//!
//! One bulk encryption, one head for each: [`seal_body`] makes the bytes that all recipients share,
//! [`make_head`] the few packets that open them for one certificate, [`ArmoredBody`] joins the two as text.

mod acceptance;
mod algorithm;
mod armor;
mod body;
mod certificate;
mod certificate_error;
mod certificate_parse;
#[cfg(test)]
mod certificate_tests;
mod challenge;
mod command;
#[cfg(test)]
mod command_tests;
mod crc24;
mod cure;
mod diagnosis;
mod foreign;
mod head;
mod inspection;
mod message;
#[cfg(test)]
mod message_tests;
mod opening;
mod packets;
mod person;
mod pool;
mod processor;
mod request;
mod server_key;
mod signature;
mod stream;
#[cfg(test)]
mod testing;
mod trouble;

pub use acceptance::Acceptance;
pub use armor::{ArmoredBody, ArmoredMessage, armor, armor_signature};
pub use body::{SealError, SessionKey, seal_body};
pub use certificate::Certificate;
pub use certificate_error::CertificateError;
pub use certificate_parse::MAX_CERTIFICATE_BYTES;
pub use challenge::{Challenge, ChallengeError};
pub use command::{CommandError, MAX_COMMAND_BYTES, OpenedMessage, open_command};
pub use cure::Cure;
pub use head::{MAX_HEAD_PACKETS, make_head};
pub use inspection::{Expected, Finding, Inspection, Verdict, Weight};
pub use message::encrypt_to;
pub use packets::{PacketSummary, SessionKeyPacket, packets};
pub use person::{Opened, Person, PersonError, Suite};
pub use pool::{ParsePool, PoolError};
pub use request::{MAX_EXPIRES_AHEAD, RequestError, SignedRequest};
pub use server_key::{ServerKey, ServerKeyError};
pub use signature::{SignatureError, Verified, sign_detached, verify_detached};
pub use stream::{SealingWriter, StreamError};
pub use trouble::{Trouble, TroubleKind, Unusable};
