//! Opens gzip and zlib streams wherever they begin inside other bytes.
//!
//! What a stream yields before it breaks counts too: half a log file is still a leak. What lies behind
//! [`CAP`] bytes of one stream is not seen, so that a bomb costs little.

use aho_corasick::AhoCorasick;
use flate2::{Decompress, FlushDecompress, Status};

use super::Encoding;

/// How many decompressed bytes of one stream are looked at.
const CAP: usize = 32 << 20;

/// How many bytes are decompressed at once.
const STEP: usize = 16 << 10;

/// The flag in each bit of a gzip header's fourth byte (RFC 1952, 2.3.1).
mod flag {
    pub const CHECKSUM: u8 = 2;
    pub const EXTRA: u8 = 4;
    pub const NAME: u8 = 8;
    pub const COMMENT: u8 = 16;
}

/// Finds and opens streams.
#[derive(Debug)]
pub struct Streams {
    headers: AhoCorasick,
}

impl Streams {
    pub fn new() -> Self {
        // The gzip magic with its only method, and the zlib headers of the four levels.
        let headers = [&b"\x1f\x8b\x08"[..], b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"];
        Self { headers: AhoCorasick::new(headers).expect("five short patterns make a small automaton") }
    }

    /// Hands what every stream inside `bytes` holds to `look`.
    pub fn open(&self, bytes: &[u8], mut look: impl FnMut(Encoding, &[u8])) {
        let mut raw = Decompress::new(false);
        let mut zlib = Decompress::new(true);
        let mut passed = 0;
        for header in self.headers.find_iter(bytes) {
            if header.start() < passed {
                continue;
            }
            let rest = &bytes[header.start()..];
            let (encoding, start) = match header.pattern().as_usize() {
                0 => (Encoding::Gzip, gzip_header(rest)),
                _ => (Encoding::Zlib, Some(0)),
            };
            let inflater = if encoding == Encoding::Gzip { &mut raw } else { &mut zlib };
            inflater.reset(encoding == Encoding::Zlib);
            if let Some(start) = start {
                let (plain, read) = inflate(inflater, &rest[start..]);
                if !plain.is_empty() {
                    look(encoding, &plain);
                }
                // Only a stream that ends as it should is sure to have been one, and is passed over.
                passed = read.map_or(passed, |read| header.start() + start + read);
            }
        }
    }
}

/// The length of the gzip header that begins `bytes` (RFC 1952, 2.3).
fn gzip_header(bytes: &[u8]) -> Option<usize> {
    let flags = *bytes.get(3)?;
    let mut length = 10;
    if flags & flag::EXTRA != 0 {
        let size = bytes.get(length..length + 2)?;
        length += 2 + usize::from(u16::from_le_bytes([size[0], size[1]]));
    }
    for text in [flag::NAME, flag::COMMENT] {
        if flags & text != 0 {
            length += bytes.get(length..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    if flags & flag::CHECKSUM != 0 {
        length += 2;
    }
    (length <= bytes.len()).then_some(length)
}

/// What the stream that begins `input` holds, and its length if it is whole.
fn inflate(inflater: &mut Decompress, input: &[u8]) -> (Vec<u8>, Option<usize>) {
    let mut plain = Vec::with_capacity(STEP);
    let mut read = 0;
    loop {
        let before = (read, plain.len());
        let status = inflater.decompress_vec(&input[read..], &mut plain, FlushDecompress::None);
        read = usize::try_from(inflater.total_in()).unwrap_or(usize::MAX);
        match status {
            Ok(Status::StreamEnd) => return (plain, Some(read)),
            Ok(_) if before != (read, plain.len()) && plain.len() < CAP => plain.reserve(STEP),
            _ => return (plain, None),
        }
    }
}
