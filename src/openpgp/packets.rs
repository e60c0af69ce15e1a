//! What a message looks like from outside, without any key: for tests and for `doctor`.

use openpgp::Packet;
use openpgp::packet::SEIP;
use openpgp::parse::{PacketParser, PacketParserResult, Parse as _};
use sequoia_openpgp as openpgp;

/// The most packets that are looked at.
const MAX_PACKETS: usize = 256;

/// A packet that holds the session key for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKeyPacket {
    /// The packet's version: 3 goes with a container of version 1, 6 with version 2.
    pub version: u8,
    /// The key it is encrypted to: a key id or a fingerprint in upper-case hex; `None` if hidden.
    pub recipient: Option<String>,
}

/// The outer packets of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PacketSummary {
    /// In the order they come.
    pub session_keys: Vec<SessionKeyPacket>,
    /// The versions of the encryption containers; a sound message has one.
    pub containers: Vec<u8>,
    /// The names of all other packets.
    pub others: Vec<String>,
}

/// Looks at the outer packets of `message`, armored or binary. What cannot be parsed ends the list with `damaged`.
pub fn packets(message: &[u8]) -> PacketSummary {
    let mut summary = PacketSummary::default();
    let mut next = PacketParser::from_bytes(message);
    for _ in 0..MAX_PACKETS {
        let parser = match next {
            Ok(PacketParserResult::Some(parser)) => parser,
            Ok(PacketParserResult::EOF(_)) => return summary,
            Err(_) => break,
        };
        match &parser.packet {
            Packet::PKESK(packet) => summary.session_keys.push(SessionKeyPacket {
                version: packet.version(),
                recipient: packet.recipient().map(|handle| format!("{handle:X}")),
            }),
            Packet::SEIP(container) => summary.containers.push(match container {
                SEIP::V1(_) => 1,
                SEIP::V2(_) => 2,
                _ => 0,
            }),
            other => summary.others.push(other.tag().to_string()),
        }
        next = parser.next().map(|(_, rest)| rest);
    }
    summary.others.push("damaged".to_owned());
    summary
}
