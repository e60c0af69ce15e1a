//! Mail addresses, parsed once: a value of this type cannot add a header or an SMTP command.

use std::fmt;
use std::str::FromStr;

use super::text::{InvalidText, one_line};

/// A mail address such as `security@debian.example`: no display name, no quoting, ASCII only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    text: String,
    at: usize,
}

impl Address {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        &self.text[..self.at]
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }
}

impl FromStr for Address {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const KIND: &str = "mail address";
        one_line(text, KIND, 254)?;
        match text.rsplit_once('@') {
            Some((local, domain)) if local.len() <= 64 && is_dot_atom(local) && is_domain(domain) => {
                Ok(Self { text: text.to_owned(), at: local.len() })
            }
            _ => Err(InvalidText::Form {
                kind: KIND,
                form: "name@host.example, in ASCII, without a display name",
            }),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Whether `text` is a dot-atom of RFC 5322: what a local part consists of when it is not quoted.
pub fn is_dot_atom(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(allowed))
}

/// Whether `text` can be the name of a host or domain, in ASCII.
pub fn is_domain(text: &str) -> bool {
    text.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_would_add_a_header_or_a_command_is_refused() {
        for bad in [
            "a@b.example\r\nBcc: c@d.example",
            "a@b.example>\r\nRCPT TO:<c@d.example",
            "a\n@b.example",
            "a\0@b.example",
            "a\u{202e}@b.example",
            "ä@b.example",
            "a@bü.example",
            "a b@c.example",
            "\"a b\"@c.example",
            "Some One <a@b.example>",
            "@b.example",
            "a@",
            "a@b..example",
            ".a@b.example",
            "a@-b.example",
            "a@[127.0.0.1]",
            "",
            "a@b@c.example",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
        assert!(format!("{}@b.example", "a".repeat(65)).parse::<Address>().is_err());
        assert!(format!("a@{}.example", "b".repeat(64)).parse::<Address>().is_err());
        let address: Address = "security+x@debian.example".parse().unwrap();
        assert_eq!((address.local_part(), address.domain()), ("security+x", "debian.example"));
        assert!("root@localhost".parse::<Address>().is_ok());
    }
}
