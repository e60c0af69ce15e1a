//! The text that is encrypted to somebody who logs in: whoever can send it back holds the key.
//!
//! A challenge says for which server it is, so that a stranger's server cannot pass it on.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};

const TITLE: &str = "embargod login challenge, version 1";
const EXPLANATION: &str = "Whoever sends this text back, unchanged, to the server named below is logged in there as the holder of this\n\
    OpenPGP key. Send it to no other server, and show it to nobody.";
/// The text has about 400 bytes; a mail program may add some.
const MAX_CHALLENGE_BYTES: usize = 4096;

/// What proves, sent back, that its reader holds a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The server's origin, such as `https://embargo.requests.example`.
    pub origin: String,
    /// 32 random bytes.
    pub nonce: [u8; 32],
    /// Until when it is taken, in whole seconds.
    pub expires: DateTime<Utc>,
}

impl std::fmt::Debug for Challenge {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Challenge({}, {})", self.origin, self.expires)
    }
}

/// A text that is no challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not a login challenge; send the decrypted text back as it is: gpg --decrypt | curl --data-binary @- ..."
)]
pub struct ChallengeError;

impl Challenge {
    /// The text, in lines that end in LF.
    pub fn print(&self) -> String {
        let expires = self.expires.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut text =
            format!("{TITLE}\n\n{EXPLANATION}\n\norigin: {}\nexpires: {expires}\nnonce: ", self.origin);
        for byte in self.nonce {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        text
    }

    /// Reads the text back; line ends and blanks around lines do not count.
    pub fn parse(bytes: &[u8]) -> Result<Self, ChallengeError> {
        if bytes.len() > MAX_CHALLENGE_BYTES {
            return Err(ChallengeError);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ChallengeError)?;
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        if lines.next() != Some(TITLE) {
            return Err(ChallengeError);
        }
        let lines: Vec<_> = lines.collect();
        let value = |name: &str| {
            let mut values = lines.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            match (values.next(), values.next()) {
                (Some(value), None) => Ok(value.trim()),
                _ => Err(ChallengeError),
            }
        };
        let expires = DateTime::parse_from_rfc3339(value("expires")?).map_err(|_| ChallengeError)?;
        let nonce = nonce(value("nonce")?).ok_or(ChallengeError)?;
        Ok(Self { origin: value("origin")?.to_owned(), nonce, expires: expires.to_utc() })
    }
}

fn nonce(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut nonce = [0; 32];
    for (byte, digits) in nonce.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge() -> Challenge {
        let expires = DateTime::from_timestamp(1_780_000_000, 0).unwrap();
        Challenge { origin: "https://embargo.requests.example".to_owned(), nonce: [0xa7; 32], expires }
    }

    #[test]
    fn a_challenge_survives_windows_line_ends_and_blanks_added_by_a_clipboard() {
        let text = challenge().print();
        assert_eq!(Challenge::parse(text.as_bytes()), Ok(challenge()));
        let mangled = format!("\r\n  {}\r\n\r\n", text.replace('\n', " \r\n"));
        assert_eq!(Challenge::parse(mangled.as_bytes()), Ok(challenge()));
    }

    #[test]
    fn a_second_nonce_or_a_shorter_one_is_not_chosen_from() {
        let text = challenge().print();
        let twice = format!("{text}nonce: {}\n", "00".repeat(32));
        assert_eq!(Challenge::parse(twice.as_bytes()), Err(ChallengeError));
        assert_eq!(Challenge::parse(text.replacen("a7a7", "a7", 1).as_bytes()), Err(ChallengeError));
        assert_eq!(
            Challenge::parse(text.replacen("version 1", "version 2", 1).as_bytes()),
            Err(ChallengeError)
        );
    }
}
