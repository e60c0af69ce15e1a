//! The only module that opens an outgoing connection.
//!
//! Promises: it says of each mail what is known about it and no more ([`Outcome`]): accepted, refused, never
//! sent, or uncertain. It refuses to know what a mail says: it is handed addresses and bytes.

mod line;
mod pace;
mod stream;

pub mod maildir;
pub mod memory;
pub mod pool;
pub mod smtp;

#[cfg(test)]
mod tls_tests;

use crate::domain::text::is_forbidden;

/// What is asked about one mail while it leaves. The answers are the caller's business; without an own one, a mail
/// may always leave.
pub trait Consent: Send + Sync + 'static {
    /// Whether it may leave now. Asked right before the relay is told of it, and again before its first byte: the
    /// relay may have taken its time.
    fn may_leave(&self) -> impl Future<Output = bool> + Send {
        std::future::ready(true)
    }

    /// Whether it may go on leaving: asked whenever some of its bytes are written.
    fn still_holds(&self) -> bool {
        true
    }

    /// Resolves when what is not begun should not be begun any more.
    fn withdrawn(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// What may leave in any case.
#[derive(Clone, Debug)]
pub struct Freely<Id>(pub Id);

impl<Id: Send + Sync + 'static> Consent for Freely<Id> {}

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
    /// The same refusal as one that may pass: it was about us or the relay, not about the recipient.
    fn for_now(self) -> Self {
        match self {
            Self::Refused { code, reply, .. } => Self::Refused { code, reply, permanent: false },
            other => other,
        }
    }

    /// Whether the relay refuses this server as such: it wants a login or another sender, and would refuse any mail.
    /// A 5xx that may pass is one; so is a code that RFC 4954 keeps for logins, whenever it comes.
    pub fn is_about_us(&self) -> bool {
        match self {
            Self::Refused { code, permanent, .. } => {
                matches!(code, 530 | 534 | 535 | 538) || (*code >= 500 && !permanent)
            }
            _ => false,
        }
    }

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
