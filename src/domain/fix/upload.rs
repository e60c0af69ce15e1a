//! What is refused at first sight: nothing, too much, and things that are no patch at all.
//!
//! Promises: an upload that is obviously something else is called by its name, so that the maintainer knows
//! what happened. Looks at the first bytes only.

use super::error::{ArchiveKind, FixError};

const MAGIC: [(&[u8], ArchiveKind); 7] = [
    (b"PK\x03\x04", ArchiveKind::Zip),
    (b"PK\x05\x06", ArchiveKind::Zip),
    (b"\x1f\x8b", ArchiveKind::Gzip),
    (b"\xfd7zXZ\0", ArchiveKind::Xz),
    (b"BZh", ArchiveKind::Bzip2),
    (b"\x28\xb5\x2f\xfd", ArchiveKind::Zstd),
    (b"7z\xbc\xaf\x27\x1c", ArchiveKind::SevenZip),
];

/// Where a tar header says that it is one.
const TAR_MAGIC: std::ops::Range<usize> = 257..262;

pub(super) fn refuse(bytes: &[u8]) -> Result<(), FixError> {
    if bytes.len() > super::MAX_BYTES {
        return Err(FixError::TooLarge { bytes: bytes.len() });
    }
    if bytes.trim_ascii().is_empty() {
        return Err(FixError::Empty);
    }
    if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(FixError::Archive { kind: *kind });
    }
    // A diff may well hold this word at this place; a tar header has NULs around it.
    if bytes.get(TAR_MAGIC) == Some(b"ustar") && bytes[..TAR_MAGIC.start].contains(&0) {
        return Err(FixError::Archive { kind: ArchiveKind::Tar });
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(FixError::Utf16);
    }
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let begins = |word: &[u8]| start.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word));
    if begins(b"<!doctype html") || begins(b"<html") {
        return Err(FixError::HtmlPage);
    }
    if begins(b"-----BEGIN PGP MESSAGE") {
        return Err(FixError::Encrypted);
    }
    Ok(())
}
