//! The only module that opens an outgoing connection.
//!
//! Promises: it says of each mail what is known about it and no more ([`Outcome`]): accepted, refused, never
//! sent, or uncertain. It refuses to know what a mail says: it is handed addresses and bytes.

mod pace;
mod stream;

pub mod maildir;
pub mod pool;
pub mod smtp;

#[cfg(test)]
mod tls_tests;

use crate::domain::text::is_forbidden;

/// What is known about one mail for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The relay took responsibility for it.
    Accepted {
        /// What it said, cleaned.
        reply: String,
    },
    /// The relay said no.
    Refused {
        /// Its three digits.
        code: u16,
        /// What it said, cleaned.
        reply: String,
        /// Whether it is no use to try again (5xx).
        permanent: bool,
    },
    /// It failed before the final dot was sent: nobody has the mail, and it is safe to try again.
    NotSent {
        /// Why, cleaned.
        reason: String,
    },
    /// The last look, taken when the relay was ready to read it, said no: nobody has the mail.
    Withheld,
    /// The final dot was sent, or may have been, and the answer was lost: the relay may have the mail.
    Uncertain {
        /// Why, cleaned.
        reason: String,
    },
}

impl Outcome {
    /// Whether a smaller mail might be taken: what RFC 3463 calls too big (5.3.4, 5.2.3), or 552 alone. With another
    /// detail 552 is about one recipient, such as a mailbox that is full (5.2.2).
    pub fn is_about_size(&self) -> bool {
        let Self::Refused { code, reply, permanent: true } = self else { return false };
        match reply.split(' ').find(|word| is_enhanced_code(word)) {
            Some(detail) => matches!(detail, "5.3.4" | "5.2.3"),
            None => *code == 552,
        }
    }
}

/// Whether a word is a status code such as `5.2.2` (RFC 3463).
fn is_enhanced_code(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    let digits =
        |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.len() == 3 && matches!(parts[0], "2" | "4" | "5") && parts.iter().all(digits)
}

/// What a foreign server said, fit to be stored and shown: no control or direction characters, at most 500 long.
pub fn cleaned(text: &str) -> String {
    const MOST: usize = 500;
    let text: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_forbidden(*c)).collect();
    text.trim().chars().take(MOST).collect()
}
