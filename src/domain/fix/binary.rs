//! Git binary patches: where they end, and whether they are whole.
//!
//! Promises: every line has the length it states, and the last one was not cut off. What the data decompress
//! to is not looked at.

use super::error::{FixError, Place};
use super::text::{bare, line_end};

/// Where the binary patch ends whose first block begins at `at`: one block forward and mostly one back.
pub(super) fn binary_patch(text: &[u8], at: usize, place: Place) -> Result<usize, FixError> {
    let begins = |at: usize| text[at..].starts_with(b"literal ") || text[at..].starts_with(b"delta ");
    if !begins(at) {
        return Err(FixError::BinaryDamaged { place });
    }
    let mut at = at;
    for _ in 0..2 {
        if !begins(at) {
            break;
        }
        at = line_end(text, at);
        loop {
            let end = line_end(text, at);
            let line = bare(&text[at..end]);
            if at == end || !(line.is_empty() || is_base85_line(line)) {
                return Err(FixError::BinaryDamaged { place });
            }
            at = end;
            if line.is_empty() {
                break;
            }
        }
    }
    Ok(at)
}

/// A line of a binary patch: a letter for the number of bytes, and five characters for every four of them.
fn is_base85_line(line: &[u8]) -> bool {
    let Some((length, data)) = line.split_first() else { return false };
    let bytes = match length {
        b'A'..=b'Z' => usize::from(length - b'A') + 1,
        b'a'..=b'z' => usize::from(length - b'a') + 27,
        _ => return false,
    };
    data.len() == bytes.div_ceil(4) * 5
        && data.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&()*+-;<=>?@^_`{|}~".contains(byte))
}
