//! The relay as it is typed on a command line: `smtp://user@host` or `smtps://user@host`, with a port if need be.
//!
//! Promises: the scheme decides on TLS and on the port, and there is no way to write a password, since everybody on
//! the machine can read command lines. Whether there is such a relay is not known here.

use std::str::FromStr;

/// A mail server and who we are to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RelayAddress {
    /// Name or address.
    pub host: String,
    pub port: u16,
    /// TLS from the first byte; after STARTTLS otherwise.
    pub implicit: bool,
    /// Who we are to it.
    pub user: Option<String>,
}

/// A text that names no relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidRelayAddress {
    /// Not of the expected form.
    #[error("expected a form like smtp://embargod@smtp.example, smtps://… or smtp://smtp.example:2525")]
    Form,
    /// Other users of the machine see command lines.
    #[error("a password does not belong on a command line; write it into a file, for --relay-password")]
    Password,
}

impl FromStr for RelayAddress {
    type Err = InvalidRelayAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (implicit, rest) = match text.split_once("://") {
            Some(("smtp", rest)) => (false, rest),
            Some(("smtps", rest)) => (true, rest),
            _ => return Err(InvalidRelayAddress::Form),
        };
        // A user may be an address of its own: the last @ counts.
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err(InvalidRelayAddress::Password);
        }
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().map_err(|_| InvalidRelayAddress::Form)?)
            }
            _ => (place, if implicit { 465 } else { 587 }),
        };
        let host = host.trim_matches(['[', ']']);
        if host.is_empty() || host.contains('/') || user.is_some_and(str::is_empty) {
            return Err(InvalidRelayAddress::Form);
        }
        Ok(Self { host: host.to_owned(), port, implicit, user: user.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, u16, bool, Option<String>), InvalidRelayAddress> {
        text.parse().map(|RelayAddress { host, port, implicit, user }| (host, port, implicit, user))
    }

    #[test]
    fn the_scheme_decides_on_tls_and_on_the_port_and_a_user_may_be_an_address() {
        let user = |name: &str| Some(name.to_owned());
        for (text, expected) in [
            ("smtp://smtp.example", ("smtp.example".to_owned(), 587, false, None)),
            ("smtps://a@smtp.example", ("smtp.example".to_owned(), 465, true, user("a"))),
            (
                "smtp://a@b.example@smtp.example:25",
                ("smtp.example".to_owned(), 25, false, user("a@b.example")),
            ),
            ("smtp://[::1]:2525", ("::1".to_owned(), 2525, false, None)),
            ("smtps://[::1]", ("::1".to_owned(), 465, true, None)),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_password_is_refused_and_so_is_what_is_no_relay() {
        assert_eq!(read("smtp://embargod:secret@smtp.example"), Err(InvalidRelayAddress::Password));
        for text in [
            "smtp.example",
            "http://smtp.example",
            "smtp://",
            "smtp://@host",
            "smtp://host:x",
            "smtp://host/x",
        ] {
            assert_eq!(read(text), Err(InvalidRelayAddress::Form), "{text}");
        }
    }
}
