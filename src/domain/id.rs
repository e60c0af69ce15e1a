//! Names for things that outsiders may see: random, opaque, parsed once.
//!
//! The alphabet is Crockford's base 32 in lower case (no i, l, o, u), so that an id can be read aloud.
//! Ids say nothing about when or in which order they were drawn.

use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A text that is no id of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {kind} id; expected {form}")]
pub struct InvalidId {
    text: String,
    kind: &'static str,
    form: &'static str,
}

fn characters(bytes: &[u8], count: usize) -> String {
    bytes.iter().take(count).map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}

/// The letters and digits of `text`, folded as Crockford asks: case, dashes and look-alikes do not count.
fn folded(text: &str) -> String {
    text.chars()
        .filter(|character| *character != '-')
        .map(|character| match character.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        })
        .collect()
}

fn is_alphabet(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// An id made of 26 random bytes, 5 bits of each: 130 bits.
            pub fn from_random(bytes: [u8; 26]) -> Self {
                Self(characters(&bytes, 26))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let id = folded(text);
                if is_alphabet(&id, 26) {
                    Ok(Self(id))
                } else {
                    Err(InvalidId { text: text.to_owned(), kind: $kind, form: "26 letters and digits" })
                }
            }
        }
    };
}

opaque_id!(
    /// A project.
    ProjectId, "project"
);
opaque_id!(
    /// A maintainer.
    MaintainerId, "maintainer"
);
opaque_id!(
    /// A packager: a downstream organisation.
    PackagerId, "packager"
);
opaque_id!(
    /// A contact of a packager.
    ContactId, "contact"
);
opaque_id!(
    /// A packager's application.
    ApplicationId, "application"
);
opaque_id!(
    /// A stored certificate.
    CertificateId, "certificate"
);
opaque_id!(
    /// A fix: one immutable upload for one branch.
    FixId, "fix"
);
opaque_id!(
    /// A notice: one thing that is to be told.
    NoticeId, "notice"
);
opaque_id!(
    /// A delivery: one copy of a notice for one recipient.
    DeliveryId, "delivery"
);
opaque_id!(
    /// An API token or a page session.
    TokenId, "token"
);

opaque_id!(
    /// A hold: the server's refusal to lift or send.
    HoldId, "hold"
);

/// An embargo, written `b7k2-9fq1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmbargoId(String);

impl EmbargoId {
    /// An id made of 8 random bytes, 5 bits of each. It opens nothing by itself: whoever may not see
    /// the embargo gets the answer for an absent one.
    pub fn from_random(bytes: [u8; 8]) -> Self {
        let characters = characters(&bytes, 8);
        Self(format!("{}-{}", &characters[..4], &characters[4..]))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmbargoId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for EmbargoId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = folded(text);
        if is_alphabet(&id, 8) {
            Ok(Self(format!("{}-{}", &id[..4], &id[4..])))
        } else {
            Err(InvalidId { text: text.to_owned(), kind: "embargo", form: "a form like b7k2-9fq1" })
        }
    }
}

/// The code inside a notice that a receipt must repeat, written `7Q4-K2M`.
///
/// One random code per revision, the same for all recipients: who only stole a token has not read it.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceiptCode(String);

impl ReceiptCode {
    /// A code made of 6 random bytes, 5 bits of each.
    pub fn from_random(bytes: [u8; 6]) -> Self {
        Self(characters(&bytes, 6))
    }

    /// The code as it is compared and hashed: lower case, no dash.
    pub fn canonical(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReceiptCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.0.to_ascii_uppercase();
        write!(formatter, "{}-{}", &code[..3], &code[3..])
    }
}

impl fmt::Debug for ReceiptCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReceiptCode")
    }
}

impl FromStr for ReceiptCode {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = folded(text.trim());
        if is_alphabet(&code, 6) {
            Ok(Self(code))
        } else {
            // The text is not repeated: it may be a mistyped secret.
            Err(InvalidId {
                text: "…".to_owned(),
                kind: "receipt",
                form: "the code from the notice, like 7Q4-K2M",
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_printing_and_forgive_what_people_type() {
        let id = EmbargoId::from_random([11, 7, 19, 2, 9, 15, 22, 1]);
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        assert_eq!(id.to_string().to_uppercase().replace('-', "").parse(), Ok(id));
        assert!("b7k2".parse::<EmbargoId>().is_err());
        assert!("b7k2-9fu1".parse::<EmbargoId>().is_err());
        let fix = FixId::from_random([5; 26]);
        assert_eq!(fix.as_str().parse(), Ok(fix));
    }

    #[test]
    fn a_receipt_code_reads_as_people_write_it() {
        let code = ReceiptCode::from_random([7, 23, 4, 19, 2, 20]);
        assert_eq!(code.to_string().len(), 7);
        assert_eq!(code.to_string().to_lowercase().parse::<ReceiptCode>().unwrap(), code);
    }
}
