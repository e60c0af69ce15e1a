//! Encrypting what is too large for memory, as it comes, to several people.
//!
//! For backups: who reads them is no secret to the others, and every program can read them.

use std::io::{self, Write};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use openpgp::packet::signature::SignatureBuilder;
use openpgp::serialize::stream::{Compressor, Encryptor, LiteralWriter, Message, Signer};
use openpgp::types::{CompressionAlgorithm, HashAlgorithm, SignatureType, SymmetricAlgorithm};
use sequoia_openpgp as openpgp;

use super::acceptance::Acceptance;
use super::body::SessionKey;
use super::certificate::Certificate;
use super::head::make_head;
use super::server_key::ServerKey;
use super::trouble::Unusable;

/// Why a stream could not be begun.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Nobody could ever read it.
    #[error("there is nobody to encrypt to")]
    Nobody,
    /// One of the certificates.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// What it is written to.
    #[error("it cannot be written: {0}")]
    Sink(#[from] io::Error),
    /// The library.
    #[error("could not sign or encrypt: the OpenPGP library refused")]
    Library,
}

/// Takes plaintext, and writes one OpenPGP message. Nothing of it counts before [`SealingWriter::finish`].
pub struct SealingWriter<'a>(Message<'a>);

impl<'a> SealingWriter<'a> {
    /// A message to everybody in `to`, written to `sink` as it comes. `key` must be fresh.
    pub fn new(
        mut sink: impl Write + Send + Sync + 'a,
        to: &[(Certificate, Acceptance)],
        signer: Option<&ServerKey>,
        key: &SessionKey,
        now: DateTime<Utc>,
    ) -> Result<Self, StreamError> {
        if to.is_empty() {
            return Err(StreamError::Nobody);
        }
        for (certificate, acceptance) in to {
            // One message has one container: the one that everybody reads.
            let reader = certificate.clone().seipdv1_only();
            sink.write_all(&make_head(key, &reader, acceptance, now)?)?;
        }
        build(sink, signer, key, now).map(Self).map_err(|_| StreamError::Library)
    }

    /// Ends the message.
    pub fn finish(self) -> Result<(), StreamError> {
        self.0.finalize().map_err(|_| StreamError::Library)
    }
}

fn build<'a>(
    sink: impl Write + Send + Sync + 'a,
    signer: Option<&ServerKey>,
    key: &SessionKey,
    now: DateTime<Utc>,
) -> openpgp::Result<Message<'a>> {
    let message = Message::new(sink);
    let message =
        Encryptor::with_session_key(message, SymmetricAlgorithm::AES256, key.to_library())?.build()?;
    let mut message = Compressor::new(message).algo(CompressionAlgorithm::Zip).build()?;
    if let Some(signer) = signer {
        let template = SignatureBuilder::new(SignatureType::Binary);
        message = Signer::with_template(message, signer.signing_pair()?, template)?
            .hash_algo(HashAlgorithm::SHA512)?
            .creation_time(SystemTime::from(now))
            .build()?;
    }
    LiteralWriter::new(message).build()
}

impl Write for SealingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openpgp::{Person, Suite};

    #[test]
    fn everybody_named_opens_what_was_streamed_and_nobody_else() {
        let now = DateTime::from_timestamp(1_780_000_000, 0).unwrap();
        let made = now - chrono::Duration::days(1);
        let person = |name: &str| Person::generate(name, Suite::Cv25519, made).unwrap();
        let (ada, ben, eve) = (person("<a@a.example>"), person("<b@b.example>"), person("<e@e.example>"));
        let server = ServerKey::generate("<embargo@a.example>", made).unwrap();
        let to = [&ada, &ben].map(|person| (person.certificate().clone(), Acceptance::Strict));
        let key = SessionKey::from_random([7; 32]);
        let mut message = Vec::new();
        let mut writer = SealingWriter::new(&mut message, &to, Some(&server), &key, now).unwrap();
        let part = vec![b'x'; 70_000];
        for _ in 0..20 {
            writer.write_all(&part).unwrap();
        }
        writer.finish().unwrap();
        for person in [&ada, &ben] {
            let opened = person.decrypt(&message, Some(server.certificate()), now).unwrap();
            assert_eq!(opened.plaintext.len(), 20 * part.len());
        }
        assert!(eve.decrypt(&message, None, now).is_err());
        let nobody = SealingWriter::new(Vec::new(), &[], None, &key, now);
        assert!(matches!(nobody, Err(StreamError::Nobody)));
    }
}
