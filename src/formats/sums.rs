//! Checksum lines as coreutils writes and reads them.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// `hex  name` and a newline, for `sha256sum -c`. Names with a backslash or a line break are written in the
/// escaped form that coreutils reads back.
pub fn sha256_line(name: &str, bytes: &[u8]) -> String {
    let mut line = String::with_capacity(name.len() + 68);
    if name.contains(['\\', '\n', '\r']) {
        line.push('\\');
    }
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(line, "{byte:02x}");
    }
    line.push_str("  ");
    line.push_str(&name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r"));
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_sha256sum_prints_even_for_an_ugly_name() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256_line("main.mbox", b""), format!("{empty}  main.mbox\n"));
        assert_eq!(sha256_line("a\nb\\c", b""), format!("\\{empty}  a\\nb\\\\c\n"));
    }
}
