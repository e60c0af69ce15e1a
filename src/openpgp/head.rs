//! A recipient's own part of a message: the session key, encrypted to his keys.
//!
//! A head is refused, not made weaker: revocation, liveness and algorithm are judged here each time, so no caller
//! can encrypt to a certificate that has become unusable since it was enrolled.

use chrono::{DateTime, Utc};
use openpgp::Packet;
use openpgp::packet::PKESK;
use openpgp::packet::pkesk::{PKESK3, PKESK6};
use openpgp::serialize::MarshalInto as _;
use openpgp::types::SymmetricAlgorithm;
use sequoia_openpgp as openpgp;

use super::acceptance::Acceptance;
use super::body::SessionKey;
use super::certificate::Certificate;
use super::diagnosis;
use super::trouble::{TroubleKind, Unusable};
use crate::domain::container::Container;

/// The most session key packets in a head: the newest encryption keys of a certificate.
pub const MAX_HEAD_PACKETS: usize = 4;

/// Encrypts `key` to the live encryption keys of `to`, in packets that go with [`Certificate::container`].
///
/// The result goes in front of the body that was sealed with the same key for the same container.
pub fn make_head(
    key: &SessionKey,
    to: &Certificate,
    acceptance: &Acceptance,
    now: DateTime<Utc>,
) -> Result<Vec<u8>, Unusable> {
    let keys = diagnosis::encryption_keys(to.cert(), *acceptance, now)?;
    let session_key = key.to_library();
    // A key with malformed numbers is of no use to its owner either, so the others suffice.
    let packets: Vec<_> = keys
        .iter()
        .take(MAX_HEAD_PACKETS)
        .filter_map(|usable| {
            let packet = match to.container() {
                Container::Seipdv1 => PKESK::from(
                    PKESK3::for_recipient(SymmetricAlgorithm::AES256, &session_key, &usable.key).ok()?,
                ),
                Container::Seipdv2 => PKESK::from(PKESK6::for_recipient(&session_key, &usable.key).ok()?),
            };
            Packet::from(packet).to_vec().ok()
        })
        .collect();
    if packets.is_empty() {
        return Err(to.trouble(TroubleKind::UnusableKey).into());
    }
    Ok(packets.concat())
}
