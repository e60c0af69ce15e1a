//! The text form of OpenPGP data: lines of 64 characters, and no copy of what many messages share.
//!
//! Base 64 turns three bytes into four characters, so the text of a shared body depends on its head's
//! length only by the remainder of that length by three. [`ArmoredBody`] keeps the three possible texts, each made
//! when first needed. Where head and body meet there is one shorter line.
//!
//! What RFC 9580 brought (containers of version 2, certificates of version 6) carries no checksum line, by its
//! section 6.1; everything else does, because `GnuPG` 2.2 misreads armor without one.

use std::sync::{Arc, OnceLock};

use base64_simd::{Out, STANDARD};

use super::crc24::{self, SharedEnd};
use crate::domain::container::Container;

const LINE_BYTES: usize = 48;
const BEGIN_MESSAGE: &[u8] = b"-----BEGIN PGP MESSAGE-----\r\n\r\n";
const END_MESSAGE: &[u8] = b"-----END PGP MESSAGE-----\r\n";

fn encode(bytes: &[u8], line_end: &[u8], text: &mut Vec<u8>) {
    text.reserve(bytes.len().div_ceil(3) * 4 + bytes.len().div_ceil(LINE_BYTES) * line_end.len());
    for line in bytes.chunks(LINE_BYTES) {
        let start = text.len();
        text.resize(start + STANDARD.encoded_length(line.len()), 0);
        let _ = STANDARD.encode(line, Out::from_slice(&mut text[start..]));
        text.extend_from_slice(line_end);
    }
}

/// A block such as `PUBLIC KEY BLOCK` or `SIGNATURE`, with plain line ends.
pub(super) fn armored(kind: &str, bytes: &[u8]) -> String {
    block(kind, bytes, &format!("={}\n", STANDARD.encode_to_string(crc24::of(bytes))))
}

/// The same without a checksum line.
pub(super) fn armored_unsummed(kind: &str, bytes: &[u8]) -> String {
    block(kind, bytes, "")
}

fn block(kind: &str, bytes: &[u8], checksum: &str) -> String {
    let mut text = format!("-----BEGIN PGP {kind}-----\n\n").into_bytes();
    encode(bytes, b"\n", &mut text);
    text.extend_from_slice(format!("{checksum}-----END PGP {kind}-----\n").as_bytes());
    String::from_utf8(text).expect("base 64 is ASCII")
}

/// A detached signature as text.
pub fn armor_signature(signature: &[u8]) -> String {
    armored("SIGNATURE", signature)
}

/// The text of the message made of `head` and `body`, with CRLF line ends.
///
/// The same bytes as by [`ArmoredBody::message`], for who sends it once.
pub fn armor(head: &[u8], body: &[u8], container: Container) -> Vec<u8> {
    ArmoredBody::new(body, container).message(head).to_vec()
}

/// How many bytes of the body are written with the head, so that the rest begins on a group of its own.
fn skipped(head: usize, body: usize) -> usize {
    ((3 - head % 3) % 3).min(body)
}

/// A body that many messages share, with its text kept for each of the three alignments. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ArmoredBody {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    body: Arc<[u8]>,
    container: Container,
    tails: [OnceLock<Arc<[u8]>>; 3],
    checksum: OnceLock<SharedEnd>,
}

/// The text of one message: send `front`, then `tail`, then `end`.
#[derive(Clone, Debug)]
pub struct ArmoredMessage {
    /// What is this recipient's own.
    pub front: Vec<u8>,
    /// What a third of all recipients share.
    pub tail: Arc<[u8]>,
    /// The checksum and the last line.
    pub end: Vec<u8>,
}

impl ArmoredMessage {
    /// The parts, in the order they are sent.
    pub fn parts(&self) -> [&[u8]; 3] {
        [&self.front, &self.tail, &self.end]
    }

    /// The length of the whole text in bytes.
    pub fn len(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }

    /// Never true: there is always an armor line.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole text, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        self.parts().concat()
    }
}

impl ArmoredBody {
    /// Takes a body as made by [`super::seal_body`].
    pub fn new(body: impl Into<Arc<[u8]>>, container: Container) -> Self {
        let shared =
            Shared { body: body.into(), container, tails: Default::default(), checksum: OnceLock::new() };
        Self { shared: Arc::new(shared) }
    }

    /// The body, binary.
    pub fn body(&self) -> &Arc<[u8]> {
        &self.shared.body
    }

    /// The text of the message made of `head` and this body.
    pub fn message(&self, head: &[u8]) -> ArmoredMessage {
        let body = self.body();
        let skip = skipped(head.len(), body.len());
        let tail = self.shared.tails[skip].get_or_init(|| {
            let mut text = Vec::new();
            encode(&body[skip..], b"\r\n", &mut text);
            text.into()
        });
        let mut front = BEGIN_MESSAGE.to_vec();
        encode(&[head, &body[..skip]].concat(), b"\r\n", &mut front);
        let mut end = Vec::new();
        if self.shared.container == Container::Seipdv1 {
            let checksum = self.shared.checksum.get_or_init(|| SharedEnd::of(body)).after(head);
            end.extend_from_slice(format!("={}\r\n", STANDARD.encode_to_string(checksum)).as_bytes());
        }
        end.extend_from_slice(END_MESSAGE);
        ArmoredMessage { front, tail: Arc::clone(tail), end }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;
    use sequoia_openpgp::armor::{Kind, Reader, ReaderMode};

    use super::*;

    fn dearmored(text: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Reader::from_bytes(text, ReaderMode::Tolerant(Some(Kind::Message))).read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn every_length_of_head_and_body_is_read_back_as_head_then_body() {
        for head in 0..52 {
            for body in 0..100 {
                let (head, body) = (vec![0xc1; head], vec![0xd2; body]);
                if head.is_empty() && body.is_empty() {
                    continue;
                }
                for container in [Container::Seipdv1, Container::Seipdv2] {
                    let text = armor(&head, &body, container);
                    assert_eq!(dearmored(&text), [head.clone(), body.clone()].concat());
                    assert_eq!(ArmoredBody::new(&body[..], container).message(&head).to_vec(), text);
                    let last_but_one = text.trim_ascii_end().rsplit(|byte| *byte == b'\n').nth(1).unwrap();
                    assert_eq!(last_but_one.starts_with(b"="), container == Container::Seipdv1);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn lines_are_whole_groups_of_at_most_64_characters_and_end_in_crlf(
            head in prop::collection::vec(any::<u8>(), 90..900), body in prop::collection::vec(any::<u8>(), 500..3000)
        ) {
            let shared = ArmoredBody::new(body, Container::Seipdv1);
            let message = shared.message(&head);
            let text = String::from_utf8(message.to_vec()).unwrap();
            prop_assert_eq!(message.len(), text.len());
            prop_assert!(text.ends_with("\r\n"));
            let lines: Vec<_> = text.split("\r\n").collect();
            let inner = &lines[2..lines.len() - 3];
            let checksum = STANDARD.encode_to_string(crc24::of(&[&head[..], shared.body()].concat()));
            prop_assert_eq!(lines[lines.len() - 3], format!("={checksum}"));
            prop_assert!(inner.iter().all(|line| line.len() <= 64 && line.len() % 4 == 0 && !line.contains('\n')));
            prop_assert!(inner.iter().filter(|line| line.len() < 64).count() <= 2);
            // Padding in the middle is read by some programs and ends the data for others.
            prop_assert!(!inner[..inner.len() - 1].concat().contains('='));
            prop_assert_eq!(dearmored(text.as_bytes()), [&head[..], shared.body()].concat());
        }
    }

    #[test]
    fn heads_of_one_alignment_share_their_tail() {
        let shared = ArmoredBody::new(vec![7; 5000], Container::Seipdv1);
        let one = shared.message(&[1; 96]).tail;
        assert!(Arc::ptr_eq(&one, &shared.clone().message(&[2; 192]).tail));
        assert!(!Arc::ptr_eq(&one, &shared.message(&[2; 97]).tail));
    }
}
