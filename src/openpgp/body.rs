//! The shared part of a message: compressed, signed, encrypted once under a session key of its own.
//!
//! The cipher is AES-256; the container is chosen by who reads it, since one session key serves one container.
//! The signature carries no list of recipients: it is shared, and would tell each of them who the others are.

use std::io::Write as _;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use openpgp::packet::signature::SignatureBuilder;
use openpgp::serialize::stream::{Compressor, Encryptor, LiteralWriter, Message, Signer};
use openpgp::types::{AEADAlgorithm, CompressionAlgorithm, HashAlgorithm, SignatureType, SymmetricAlgorithm};
use sequoia_openpgp as openpgp;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::server_key::ServerKey;
use crate::domain::container::Container;

/// The key of one body: 32 random bytes, wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// A key made of fresh random bytes. One key serves one body.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret bytes, to be sealed and stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn to_library(&self) -> openpgp::crypto::SessionKey {
        openpgp::crypto::SessionKey::from(&self.0[..])
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SessionKey")
    }
}

/// The OpenPGP library refused to sign or encrypt, which points to a damaged server key or a lack of randomness.
#[derive(Debug, thiserror::Error)]
#[error("could not sign or encrypt with the server's key; run: embargod doctor")]
pub struct SealError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl SealError {
    pub(super) fn library(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

/// Compresses, signs and encrypts `plaintext` under `key`; a head must be put in front for each recipient.
pub fn seal_body(
    plaintext: &[u8],
    signer: &ServerKey,
    key: &SessionKey,
    container: Container,
    now: DateTime<Utc>,
) -> Result<Vec<u8>, SealError> {
    seal(plaintext, Some(signer.signing_pair()?), key, container, now)
}

/// As [`seal_body`], by any signer or none.
pub(super) fn seal(
    plaintext: &[u8],
    signer: Option<openpgp::crypto::KeyPair>,
    key: &SessionKey,
    container: Container,
    now: DateTime<Utc>,
) -> Result<Vec<u8>, SealError> {
    write_sealed(plaintext, signer, key, container, now).map_err(SealError::library)
}

fn write_sealed(
    plaintext: &[u8],
    signer: Option<openpgp::crypto::KeyPair>,
    key: &SessionKey,
    container: Container,
    now: DateTime<Utc>,
) -> openpgp::Result<Vec<u8>> {
    // A patch shrinks to about a quarter.
    let mut body = Vec::with_capacity(plaintext.len() / 3 + 1024);
    let message = Message::new(&mut body);
    let mut encryptor = Encryptor::with_session_key(message, SymmetricAlgorithm::AES256, key.to_library())?;
    if container == Container::Seipdv2 {
        // The one mode that every program of RFC 9580 must read.
        encryptor = encryptor.aead_algo(AEADAlgorithm::OCB);
    }
    let message = encryptor.build()?;
    let mut message = Compressor::new(message).algo(CompressionAlgorithm::Zip).build()?;
    if let Some(pair) = signer {
        message = Signer::with_template(message, pair, SignatureBuilder::new(SignatureType::Binary))?
            .hash_algo(HashAlgorithm::SHA512)?
            .creation_time(SystemTime::from(now))
            .build()?;
    }
    let mut message = LiteralWriter::new(message).build()?;
    message.write_all(plaintext)?;
    message.finalize()?;
    Ok(body)
}
