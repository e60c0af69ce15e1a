//! One HTTP exchange: a request out, an answer in, both bounded. Nothing is decided here.
//!
//! What matters most about a failure is whether the server can have seen the request, so errors say it.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use ureq::http;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// No answer is longer: a notice may carry several fixes of 10 MiB, armored.
const MAX_ANSWER_BYTES: u64 = 128 << 20;

/// An exchange that failed below HTTP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The server never saw the request.
    #[error("{server} cannot be reached: {detail}")]
    Unreachable {
        /// The server's host.
        server: String,
        /// What the system says.
        detail: String,
    },
    /// The request may have arrived, its answer did not.
    #[error("the connection to {server} broke before the answer was complete: {detail}")]
    Lost {
        /// The server's host.
        server: String,
        /// What the system says.
        detail: String,
    },
}

/// A request.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// `GET`, `POST`, `PUT` ...
    pub method: &'a str,
    /// The absolute URL.
    pub url: &'a str,
    /// The token, if one is needed.
    pub bearer: Option<&'a str>,
    /// The media types that are understood.
    pub accept: &'a str,
    /// The media type and bytes of the body, if there is one.
    pub body: Option<(&'a str, &'a [u8])>,
}

/// What the server said.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type in lower case, without parameters; empty if there is none.
    pub media_type: String,
    /// What the server's clock showed, if it said so.
    pub date: Option<DateTime<Utc>>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Answer({} with {} bytes)", self.status, self.body.len())
    }
}

/// The way to servers. TLS is judged by the certificates that this system trusts (`SSL_CERT_FILE` counts).
#[derive(Debug)]
pub struct Transport {
    agent: ureq::Agent,
}

impl Default for Transport {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport {
    /// A way out with patience for ten seconds to connect and five minutes for an exchange.
    pub fn new() -> Self {
        let roots = rustls_native_certs::load_native_certs().certs;
        let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(&roots))
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("embargoctl/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Duration::from_mins(5)))
            .build();
        Self { agent: ureq::Agent::new_with_config(config) }
    }

    /// Sends a request and waits for the whole answer, whatever its status.
    pub fn send(&self, call: &Call<'_>) -> Result<Answer, TransportError> {
        let mut request =
            http::Request::builder().method(call.method).uri(call.url).header("Accept", call.accept);
        if let Some(token) = call.bearer {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let answer = match call.body {
            Some((media_type, bytes)) => request
                .header("Content-Type", media_type)
                .body(bytes)
                .map_err(ureq::Error::from)
                .and_then(|request| self.agent.run(request)),
            None => request.body(()).map_err(ureq::Error::from).and_then(|request| self.agent.run(request)),
        };
        let mut answer = answer.map_err(|error| trouble(call.url, &error))?;
        let media_type = answer.body().mime_type().unwrap_or_default().to_ascii_lowercase();
        let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()).map(|date| date.to_utc());
        let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
        let body = body.map_err(|error| lost(call.url, &error))?;
        Ok(Answer { status: answer.status().as_u16(), media_type, date, body })
    }
}

fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

fn lost(url: &str, error: &ureq::Error) -> TransportError {
    TransportError::Lost { server: host(url), detail: error.to_string() }
}

fn trouble(url: &str, error: &ureq::Error) -> TransportError {
    let never_left = match error {
        ureq::Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::AddrNotAvailable
        ),
        ureq::Error::Timeout(what) => {
            matches!(what, ureq::Timeout::Resolve | ureq::Timeout::Connect)
        }
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::BadUri(_)
        | ureq::Error::Http(_)
        | ureq::Error::InvalidProxyUrl
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::Tls(_)
        | ureq::Error::Rustls(_)
        | ureq::Error::TlsRequired => true,
        _ => false,
    };
    if never_left {
        TransportError::Unreachable { server: host(url), detail: error.to_string() }
    } else {
        lost(url, error)
    }
}
