//! The words a mail header is made of. Each is parsed once and is safe to print ever after: none can hold a
//! line break, a NUL, another control character or a character that reverses the reading direction.

use std::fmt;
use std::str::FromStr;

use crate::domain::address::{Address, is_domain, is_dot_atom};
use crate::domain::text::{InvalidText, one_line};

/// A Message-ID with its angle brackets. Those made here are random and say nothing but the server's domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(String);

impl MessageId {
    /// An id made of 16 random bytes, in the domain of the server's own address.
    pub fn from_random(random: [u8; 16], server: &Address) -> Self {
        Self(format!("<{:032x}@{}>", u128::from_be_bytes(random), server.domain()))
    }

    /// The id with its angle brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MessageId {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const KIND: &str = "Message-ID";
        one_line(text, KIND, 254)?;
        let inside = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
        match inside.and_then(|inside| inside.split_once('@')) {
            Some((left, right)) if is_dot_atom(left) && is_dot_atom(right) => Ok(Self(text.to_owned())),
            _ => Err(InvalidText::Form { kind: KIND, form: "<something@host.example>" }),
        }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A List-Id (RFC 2919) without its angle brackets, such as `notices.embargo.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListId(String);

impl ListId {
    /// The id without angle brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ListId {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const KIND: &str = "List-Id";
        one_line(text, KIND, 60)?;
        if is_domain(text) && text.contains('.') {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidText::Form { kind: KIND, form: "notices.host.example" })
        }
    }
}

/// One line of text for a header, such as a subject; any script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderText(String);

impl HeaderText {
    /// `[...]`: what stands outside in place of a protected subject.
    pub fn obscured() -> Self {
        Self("[...]".to_owned())
    }

    /// The text, not encoded.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HeaderText {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const KIND: &str = "header text";
        one_line(text, KIND, 500)?;
        if text.chars().all(char::is_whitespace) {
            return Err(InvalidText::Form { kind: KIND, form: "at least one visible character" });
        }
        Ok(Self(text.to_owned()))
    }
}

/// What separates the parts of a mail. Its `=_` cannot occur in base64, and not in quoted-printable text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary(String);

impl Boundary {
    /// A boundary made of 16 random bytes, or of 16 bytes of a hash.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(format!("=_{:032x}", u128::from_be_bytes(bytes)))
    }

    /// This boundary, or the first longer one that occurs in none of `contents`.
    pub(super) fn absent_from<'a>(&self, contents: &(impl Iterator<Item = &'a [u8]> + Clone)) -> Self {
        let mut boundary = self.0.clone();
        // A boundary longer than every content must be absent, so this ends; once is the rule.
        while contents.clone().any(|content| occurs(content, boundary.as_bytes())) {
            boundary.push('x');
        }
        Self(boundary)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn occurs(content: &[u8], needle: &[u8]) -> bool {
    content.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_may_be_in_any_script_but_on_one_line_and_in_reading_order() {
        assert!("Ошибка 修正".parse::<HeaderText>().is_ok());
        for bad in [
            "a\r\nBcc: x@y.example",
            "a\nb",
            "a\rb",
            "a\0",
            "a\u{1b}[2J",
            "x\u{202e}y",
            "x\u{2066}y",
            "x\u{2028}y",
            " ",
            "",
        ] {
            assert!(bad.parse::<HeaderText>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_error_never_repeats_what_it_refuses() {
        let error = "CANARY\r\n".parse::<HeaderText>().unwrap_err().to_string();
        assert!(!error.contains("CANARY") && error.contains("position 6"), "{error}");
    }

    #[test]
    fn a_boundary_that_someone_guessed_grows_until_it_is_absent() {
        let boundary = Boundary::from_bytes([7; 16]);
        let content = format!("--{0}\r\n--{0}x", boundary.as_str());
        let grown = boundary.absent_from(&[content.as_bytes()].into_iter());
        assert_eq!(grown.as_str(), format!("{}xx", boundary.as_str()));
    }

    #[test]
    fn a_message_id_comes_back_from_its_text_and_names_only_the_domain() {
        let id = MessageId::from_random([1; 16], &"desk@embargo.example".parse().unwrap());
        assert_eq!(id.as_str().parse::<MessageId>().unwrap(), id);
        assert_eq!(id.as_str(), "<01010101010101010101010101010101@embargo.example>");
        assert!("<a@b>\r\nX: y".parse::<MessageId>().is_err());
        assert!("a@b".parse::<MessageId>().is_err());
    }
}
