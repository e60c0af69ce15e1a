//! The only module that opens an outgoing connection.
//!
//! Promises: it says of each mail what is known about it and no more ([`Outcome`]): accepted, refused, never
//! sent, or uncertain. It refuses to know what a mail says: it is handed addresses and bytes.

mod pace;
mod stream;

pub mod disk;
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
    /// The final dot was sent, or may have been, and the answer was lost: the relay may have the mail.
    Uncertain {
        /// Why, cleaned.
        reason: String,
    },
}

impl Outcome {
    /// Whether a smaller mail might be taken: 552, or what RFC 3463 calls too big (5.3.4, 5.2.3).
    pub fn is_about_size(&self) -> bool {
        let too_big = |reply: &str| reply.split(' ').any(|word| ["5.3.4", "5.2.3"].contains(&word));
        match self {
            Self::Refused { code, reply, permanent: true } => *code == 552 || too_big(reply),
            _ => false,
        }
    }
}

/// What a foreign server said, fit to be stored and shown: no control or direction characters, at most 500 long.
pub fn cleaned(text: &str) -> String {
    const MOST: usize = 500;
    let text: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_forbidden(*c)).collect();
    text.trim().chars().take(MOST).collect()
}
