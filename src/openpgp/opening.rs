//! Opens a message with given secret keys and judges its signature, with every layer counted and capped.
//!
//! A message is: session key packets, one encryption container, at most one compression layer, one literal,
//! signed or not. Anything else is refused. No byte of the plaintext is given out before all of it was read and
//! found intact.

use std::io::Read as _;

use openpgp::cert::Cert;
use openpgp::crypto::SessionKey;
use openpgp::packet::key::{SecretParts, UnspecifiedRole};
use openpgp::packet::{Key, PKESK, SKESK};
use openpgp::parse::stream::{
    DecryptionHelper, DecryptorBuilder, MessageLayer, MessageStructure, VerificationHelper,
};
use openpgp::parse::{PacketParser, Parse as _};
use openpgp::types::SymmetricAlgorithm;
use openpgp::{KeyHandle, Packet};
use sequoia_openpgp as openpgp;

use super::signature::{Jury, SignatureError, Verified};

/// More packets than any honest message of one recipient list has.
const MAX_PACKETS: usize = 300;
/// Session key packets without a named recipient are tried, but not endlessly.
const MAX_TRIALS: usize = 16;
/// What the library may hold before it hands out bytes.
const BUFFER_BYTES: usize = 256 << 10;

/// Why a message could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpeningError {
    NotOpenPgp,
    NotEncrypted,
    NotForUs,
    TooLarge,
    UnexpectedLayers,
    Damaged,
}

/// The plaintext, and whether a signature by one of the jury's candidates counts.
pub(super) struct Opening {
    pub(super) plaintext: Vec<u8>,
    pub(super) signature: Result<Verified, SignatureError>,
}

#[derive(Default)]
struct Progress {
    packets: usize,
    containers: usize,
    opened: bool,
    unexpected: bool,
    openpgp: bool,
    signature: Option<Result<Verified, SignatureError>>,
}

struct Helper<'a> {
    keys: &'a [Key<SecretParts, UnspecifiedRole>],
    own: &'a Cert,
    jury: &'a Jury,
    progress: &'a mut Progress,
}

/// Opens `message`, armored or binary, giving out at most `limit` bytes of plaintext.
pub(super) fn open(
    message: &[u8],
    keys: &[Key<SecretParts, UnspecifiedRole>],
    own: &Cert,
    jury: &Jury,
    limit: usize,
) -> Result<Opening, OpeningError> {
    let mut progress = Progress::default();
    let mut plaintext = Vec::new();
    let helper = Helper { keys, own, jury, progress: &mut progress };
    let read = DecryptorBuilder::from_bytes(message)
        .and_then(|builder| {
            builder.buffer_size(BUFFER_BYTES).with_policy(&jury.policy, jury.library_time(), helper)
        })
        .and_then(|mut decryptor| {
            let cap = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
            decryptor.by_ref().take(cap).read_to_end(&mut plaintext)?;
            Ok(decryptor.message_processed())
        });
    if plaintext.len() > limit {
        return Err(OpeningError::TooLarge);
    }
    match (read, progress.signature) {
        (Ok(true), Some(signature)) => Ok(Opening { plaintext, signature }),
        _ if progress.unexpected => Err(OpeningError::UnexpectedLayers),
        _ if !progress.openpgp => Err(OpeningError::NotOpenPgp),
        _ if progress.containers == 0 => Err(OpeningError::NotEncrypted),
        _ if !progress.opened => Err(OpeningError::NotForUs),
        _ => Err(OpeningError::Damaged),
    }
}

/// Stops the library; the caller's words are chosen from [`Progress`].
fn refusal(what: &str) -> openpgp::anyhow::Error {
    openpgp::Error::InvalidOperation(what.to_owned()).into()
}

impl VerificationHelper for Helper<'_> {
    /// Called before the content of a packet is read, so a bomb is refused unexploded.
    ///
    /// What is refused here counts as damage: before the whole was found intact, more words would tell
    /// somebody who sends altered messages something about their content.
    fn inspect(&mut self, parser: &PacketParser) -> openpgp::Result<()> {
        self.progress.packets += 1;
        let expected = match &parser.packet {
            Packet::SEIP(_) => {
                self.progress.openpgp = true;
                self.progress.containers += 1;
                self.progress.containers == 1
            }
            Packet::PKESK(_)
            | Packet::SKESK(_)
            | Packet::OnePassSig(_)
            | Packet::Signature(_)
            | Packet::Literal(_)
            | Packet::CompressedData(_)
            | Packet::Marker(_) => {
                self.progress.openpgp = true;
                true
            }
            #[expect(deprecated, reason = "the packet still ends every container of version 1")]
            Packet::MDC(_) => true,
            _ => false,
        };
        if expected && self.progress.packets <= MAX_PACKETS {
            Ok(())
        } else {
            Err(refusal("unexpected packet"))
        }
    }

    fn get_certs(&mut self, issuers: &[KeyHandle]) -> openpgp::Result<Vec<Cert>> {
        Ok(self.jury.certificates(issuers))
    }

    fn check(&mut self, structure: MessageStructure) -> openpgp::Result<()> {
        let mut layers = structure.into_iter().peekable();
        if !matches!(layers.next(), Some(MessageLayer::Encryption { .. })) {
            return Err(refusal("not encrypted"));
        }
        if matches!(layers.peek(), Some(MessageLayer::Compression { .. })) {
            layers.next();
        }
        let mut results = Vec::new();
        for layer in layers {
            let MessageLayer::SignatureGroup { results: group } = layer else {
                self.progress.unexpected = true;
                return Err(refusal("unexpected layers"));
            };
            results.extend(group);
        }
        let count = results.len();
        self.progress.signature = Some(match results.pop() {
            None => Err(SignatureError::Unsigned),
            Some(_) if count > 1 => Err(SignatureError::SeveralSignatures { count }),
            Some(result) => self.jury.judge(result),
        });
        Ok(())
    }
}

impl DecryptionHelper for Helper<'_> {
    fn decrypt(
        &mut self,
        session_keys: &[PKESK],
        _: &[SKESK],
        algorithm: Option<SymmetricAlgorithm>,
        decrypt: &mut dyn FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> bool,
    ) -> openpgp::Result<Option<Cert>> {
        let mut trials = 0;
        for packet in session_keys {
            for key in self.keys {
                let named = packet.recipient();
                if named.is_some_and(|handle| !handle.aliases(key.key_handle())) || trials == MAX_TRIALS {
                    continue;
                }
                trials += 1;
                let mut pair = key.clone().into_keypair()?;
                let opened = packet.decrypt(&mut pair, algorithm);
                if opened.is_some_and(|(algorithm, session_key)| decrypt(algorithm, &session_key)) {
                    self.progress.opened = true;
                    return Ok(Some(self.own.clone()));
                }
            }
        }
        Ok(None)
    }
}
