//! The address of a server: a scheme, a host, perhaps a port, and nothing else.
//!
//! Parsed once; printed always in the same form, so that it can be compared with what a challenge says.

use std::fmt;
use std::str::FromStr;

/// A server's address, such as `https://embargo.requests.example` or `http://127.0.0.1:8080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress(String);

/// A text that is no address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Not of the expected form.
    #[error(
        "this is no server address; expected a form like https://embargo.project.example, without a path"
    )]
    Form,
    /// Plain HTTP to another machine would show the token to everybody on the way.
    #[error(
        "http:// is only for a server on this machine; write https://, or forward a port: ssh -L 8080:127.0.0.1:8080 HOST"
    )]
    Plain,
}

impl ServerAddress {
    /// The address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The absolute URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Whether it is a server on this machine: plain HTTP is taken for no other.
    pub fn is_local(&self) -> bool {
        self.0.starts_with("http://")
    }

    /// A name for the profile of this server, fit for a file name: the host, and the port if there is one.
    pub fn profile_name(&self) -> String {
        let authority = self.0.split_once("://").map_or(self.0.as_str(), |(_, authority)| authority);
        let name: String =
            authority.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        name.trim_matches('-').to_owned()
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for ServerAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim().to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://").unwrap_or(("https", &text));
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (host, port) = split_port(authority).ok_or(InvalidAddress::Form)?;
        let default_port = match scheme {
            "https" => 443,
            "http" if is_this_machine(host) => 80,
            "http" => return Err(InvalidAddress::Plain),
            _ => return Err(InvalidAddress::Form),
        };
        Ok(Self(match port {
            Some(port) if port != default_port => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        }))
    }
}

fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = if authority.starts_with('[') { authority.find(']')? + 1 } else { 0 };
    let (host, port) = match authority[end..].split_once(':') {
        Some((name, port)) => (&authority[..end + name.len()], Some(port.parse().ok()?)),
        None => (authority, None),
    };
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let well_formed = match inside {
        Some(inside) => inside.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && !host.starts_with(['-', '.'])
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
        }
    };
    well_formed.then_some((host, port))
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_has_one_form_however_it_was_typed() {
        for (typed, expected) in [
            ("embargo.requests.example", "https://embargo.requests.example"),
            ("HTTPS://Embargo.Requests.Example:443/", "https://embargo.requests.example"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://[::1]:80", "http://[::1]"),
            ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ] {
            assert_eq!(typed.parse::<ServerAddress>().unwrap().as_str(), expected);
        }
    }

    #[test]
    fn a_token_never_crosses_a_network_in_clear_and_a_path_or_a_user_name_is_no_address() {
        assert_eq!("http://embargo.requests.example".parse::<ServerAddress>(), Err(InvalidAddress::Plain));
        assert_eq!("http://localhost.evil.example".parse::<ServerAddress>(), Err(InvalidAddress::Plain));
        for wrong in
            ["", "https://", "https://a.example/b", "https://u@a.example", "ftp://a.example", "a:b:c"]
        {
            assert_eq!(wrong.parse::<ServerAddress>(), Err(InvalidAddress::Form), "{wrong}");
        }
    }

    #[test]
    fn a_profile_is_named_after_host_and_port() {
        let name = |text: &str| text.parse::<ServerAddress>().unwrap().profile_name();
        assert_eq!(name("https://embargo.requests.example"), "embargo.requests.example");
        assert_eq!(name("http://127.0.0.1:8080"), "127.0.0.1-8080");
        assert_eq!(name("http://[::1]:8080"), "1--8080");
    }
}
