//! How a connection to the relay comes about: resolved, connected, greeted, protected, logged in.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::Ehlo;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::stream::LineStream;
use super::{Connection, cleaned, refusal};
use crate::config::relay::{InvalidRelay, RelayConfig, RelayTls};

/// What the relay is asked for with a password.
const LOGIN: &str = "the login";

fn login_cure(stage: &str) -> &'static str {
    if stage == LOGIN { "; nothing was sent, see relay.user and relay.password_file" } else { "" }
}

fn certificate_cure(detail: &str) -> &'static str {
    if detail.contains("certificate") {
        "; nothing was sent: relay.host must be a name in its certificate, and relay.ca_file hold who issued it, if the \
         system does not trust them anyway"
    } else {
        ""
    }
}

/// Why there is no connection to the relay. No mail was sent, and no password off loopback without TLS.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The section is not usable.
    #[error(transparent)]
    Config(#[from] InvalidRelay),
    /// The file with trusted certificates.
    #[error("relay.ca_file {path} cannot be read as PEM certificates; check the path and its rights")]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// Why, if it could not be read at all.
        source: Option<io::Error>,
    },
    /// The file with the password.
    #[error("the relay's password {path} cannot be read; check the path and its rights")]
    PasswordFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// TLS could not be prepared.
    #[error("TLS to the relay cannot be set up: {detail}")]
    TlsSetup {
        /// What the library said.
        detail: String,
    },
    /// The name does not resolve, or nothing listens there.
    #[error("cannot connect to the relay {host}:{port}: {source}")]
    Unreachable {
        /// Its name.
        host: String,
        /// Its port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// No TLS was asked for, and the name turned out to lie on another machine.
    #[error(
        "the relay {host} is not on this machine ({address}), so relay.tls = \"none\" is refused; use \"starttls\""
    )]
    PlaintextOffLoopback {
        /// Its name.
        host: String,
        /// Where it is.
        address: SocketAddr,
    },
    /// It said no before a mail was begun.
    #[error("the relay refused {stage}: {reply}{cure}", cure = login_cure(.stage))]
    Refused {
        /// What was refused.
        stage: &'static str,
        /// Its three digits.
        code: u16,
        /// What it said, with its code.
        reply: String,
    },
    /// It does not offer STARTTLS: too old, or someone on the path removed it.
    #[error(
        "the relay {host} does not offer STARTTLS, so nothing was sent; try relay.tls = \"implicit\" with port 465"
    )]
    NoStartTls {
        /// Its name.
        host: String,
    },
    /// It offers no way to log in that is known here.
    #[error(
        "the relay {host} offers neither AUTH PLAIN nor AUTH LOGIN; remove relay.user, or ask its operator"
    )]
    NoAuth {
        /// Its name.
        host: String,
    },
    /// The conversation or the TLS handshake broke down; a certificate that does not verify ends here too.
    #[error(
        "the connection to the relay broke at {stage}: {detail}{cure}",
        cure = certificate_cure(.detail)
    )]
    Broken {
        /// Where.
        stage: &'static str,
        /// What the library said.
        detail: String,
    },
    /// No answer in time.
    #[error("the relay gave no answer to {stage} within {seconds} seconds")]
    Silent {
        /// Where.
        stage: &'static str,
        /// How long we waited.
        seconds: u64,
    },
}

impl RelayError {
    /// Whether the next attempt may well succeed without anybody doing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Silent { .. } => true,
            Self::Refused { code, .. } => *code < 500,
            _ => false,
        }
    }
}

/// A relay and what is needed to connect to it: files are read once, when this is made.
#[derive(Clone)]
pub struct Relay {
    config: RelayConfig,
    hello: ClientId,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
}

impl Relay {
    /// Checks the section and reads the files it names.
    pub fn new(config: &RelayConfig) -> Result<Self, RelayError> {
        config.validate()?;
        let tls = match config.tls {
            RelayTls::None => None,
            RelayTls::Starttls | RelayTls::Implicit => Some(tls_parameters(config)?),
        };
        let credentials = match (&config.user, &config.password_file) {
            (Some(user), Some(path)) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| RelayError::PasswordFile { path: path.clone(), source })?;
                let password = text.lines().next().unwrap_or_default();
                Some(Credentials::new(user.clone(), password.to_owned()))
            }
            _ => None,
        };
        let hello = config.hello_name.clone().map_or_else(ClientId::default, ClientId::Domain);
        Ok(Self { config: config.clone(), hello, tls, credentials })
    }

    /// Opens a connection that is ready for mail.
    pub async fn connect(&self) -> Result<Connection, RelayError> {
        let mut inner = match (self.config.tls, &self.tls) {
            (RelayTls::Implicit, Some(tls)) => {
                let server = (self.config.host.as_str(), self.config.port);
                let opened = AsyncSmtpConnection::connect_tokio1(
                    server,
                    Some(self.patience()),
                    &self.hello,
                    Some(tls.clone()),
                    None,
                );
                self.answered("the TLS connection and the greeting", opened).await?
            }
            (RelayTls::Starttls, Some(tls)) => {
                let mut inner = self.greeted().await?;
                if !inner.can_starttls() {
                    inner.abort().await;
                    return Err(RelayError::NoStartTls { host: self.config.host.clone() });
                }
                self.answered("STARTTLS", inner.starttls(tls.clone(), &self.hello)).await?;
                inner
            }
            _ => self.greeted().await?,
        };
        if let Some(credentials) = &self.credentials {
            let info = inner.server_info();
            if info.get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
                inner.abort().await;
                return Err(RelayError::NoAuth { host: self.config.host.clone() });
            }
            self.answered(LOGIN, inner.auth(DEFAULT_MECHANISMS, credentials)).await?;
        }
        // The library keeps neither SIZE nor PIPELINING from its own greeting.
        let offer = self.answered("EHLO", inner.command(Ehlo::new(self.hello.clone()))).await?;
        let (size_limit, pipelining) = read_offer(&offer);
        Ok(Connection { inner, size_limit, pipelining, patience: self.patience(), spoiled: false })
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.config.timeout_seconds)
    }

    /// A connection without TLS that has exchanged greetings and nothing else.
    async fn greeted(&self) -> Result<AsyncSmtpConnection, RelayError> {
        let unreachable = |source| RelayError::Unreachable {
            host: self.config.host.clone(),
            port: self.config.port,
            source,
        };
        let server = (self.config.host.as_str(), self.config.port);
        let stream = timeout(self.patience(), TcpStream::connect(server))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(unreachable)?;
        let address = stream.peer_addr().map_err(unreachable)?;
        if self.config.tls == RelayTls::None && !address.ip().to_canonical().is_loopback() {
            return Err(RelayError::PlaintextOffLoopback { host: self.config.host.clone(), address });
        }
        stream.set_nodelay(true).map_err(unreachable)?;
        let stream = Box::new(LineStream::new(stream));
        self.answered("the greeting", AsyncSmtpConnection::connect_with_transport(stream, &self.hello)).await
    }

    async fn answered<T>(
        &self,
        stage: &'static str,
        question: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, RelayError> {
        match timeout(self.patience(), question).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(match error.status().map(u16::from) {
                Some(code) => RelayError::Refused { stage, code, reply: refusal(&error, code) },
                None => RelayError::Broken { stage, detail: cleaned(&error.to_string()) },
            }),
            Err(_) => Err(RelayError::Silent { stage, seconds: self.config.timeout_seconds }),
        }
    }
}

fn tls_parameters(config: &RelayConfig) -> Result<TlsParameters, RelayError> {
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca_file {
        let unreadable = |source| RelayError::CaFile { path: path.clone(), source };
        let pem = std::fs::read(path).map_err(|source| unreadable(Some(source)))?;
        if !String::from_utf8_lossy(&pem).contains("BEGIN CERTIFICATE") {
            return Err(unreadable(None));
        }
        let certificates = Certificate::from_pem(&pem).map_err(|_| unreadable(None))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificates);
    }
    // The only provider compiled into the library is ring.
    builder.build_rustls().map_err(|error| RelayError::TlsSetup { detail: cleaned(&error.to_string()) })
}

/// The size limit and whether commands may be sent ahead, from the answer to EHLO.
fn read_offer(offer: &Response) -> (Option<u64>, bool) {
    let mut size_limit = None;
    let mut pipelining = false;
    for line in offer.message().skip(1) {
        let mut words = line.split_ascii_whitespace();
        match words.next().map(str::to_ascii_uppercase).as_deref() {
            // "SIZE" alone and "SIZE 0" mean that there is no fixed limit (RFC 1870).
            Some("SIZE") => {
                size_limit = words.next().and_then(|word| word.parse().ok()).filter(|limit| *limit > 0);
            }
            Some("PIPELINING") => pipelining = true,
            _ => {}
        }
    }
    (size_limit, pipelining)
}
