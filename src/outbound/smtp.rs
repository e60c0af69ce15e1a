//! One SMTP connection to the relay: opened, protected, and used for one mail after the other.
//!
//! Promises: no MAIL FROM, and no password, before TLS with a verified certificate, except to a loopback
//! address; commands are answered and judged one by one, so that "never sent" and "uncertain" are told apart
//! at the final dot and nowhere else. It never tries again by itself.

mod open;

use std::fmt::Display;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Quit, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

pub use open::{Relay, RelayError};

use super::{Outcome, cleaned};
use crate::domain::address::Address;

/// How much of a mail is encoded and written at once.
const CHUNK: usize = 64 << 10;

/// An open connection to the relay, ready for mail.
pub struct Connection {
    inner: AsyncSmtpConnection,
    size_limit: Option<u64>,
    pipelining: bool,
    patience: Duration,
    /// Set before a mail is begun and cleared when it ended in good order: a mail that was abandoned half-way,
    /// by an error or because nobody waited for it any more, spoils the connection.
    spoiled: bool,
}

/// What ends a mail before its time.
enum Stop {
    /// The relay said no, and the connection is in order.
    Refused { code: u16, reply: String },
    /// The connection is of no more use.
    Broken { reason: String },
}

impl Connection {
    /// The largest mail the relay takes, in bytes, if it said so.
    pub fn size_limit(&self) -> Option<u64> {
        self.size_limit
    }

    /// Whether this connection is of no more use.
    pub fn is_broken(&self) -> bool {
        self.spoiled || self.inner.has_broken()
    }

    /// Sends one mail, with CRLF line ends only, to one recipient.
    pub async fn send(&mut self, from: &Address, to: &Address, message: &[u8]) -> Outcome {
        self.send_parts(from, to, &[message]).await
    }

    /// Sends one mail that lies in several pieces, so that what many mails share need not be copied.
    pub async fn send_parts(&mut self, from: &Address, to: &Address, parts: &[&[u8]]) -> Outcome {
        self.send_parts_if(from, to, parts, std::future::ready(true)).await
    }

    /// The same, if `last_look` still says so when the relay is ready to read the mail: a relay may take minutes to
    /// get there. Who was told to go ahead and says nothing must hang up, so a mail that is withheld costs the
    /// connection.
    pub async fn send_parts_if(
        &mut self,
        from: &Address,
        to: &Address,
        parts: &[&[u8]],
        last_look: impl Future<Output = bool>,
    ) -> Outcome {
        if self.is_broken() {
            return not_sent("the connection to the relay was already closed");
        }
        let size: usize = parts.iter().map(|part| part.len()).sum();
        let ascii = parts.iter().all(|part| part.is_ascii());
        if !lines_end_in_crlf(parts) {
            return not_sent(
                "the mail has a line that does not end in CRLF, which a relay may take for two mails",
            );
        }
        if self.size_limit.is_some_and(|limit| size as u64 > limit) {
            let reply = format!("the mail has {size} bytes, and the relay announced that it takes fewer");
            return Outcome::Refused { code: 552, reply, permanent: true };
        }
        if !ascii && !self.inner.server_info().supports_feature(Extension::EightBitMime) {
            return not_sent("the mail has 8-bit characters, and the relay takes ASCII only");
        }
        let (Ok(from), Ok(to)) = (from.as_str().parse(), to.as_str().parse()) else {
            return not_sent("the sender's or the recipient's address cannot be written in SMTP");
        };
        let mut parameters = Vec::new();
        if self.size_limit.is_some() {
            parameters.push(MailParameter::Size(size));
        }
        if !ascii {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }

        self.spoiled = true;
        let outcome = match self.envelope(Mail::new(Some(from), parameters), Rcpt::new(to, Vec::new())).await
        {
            Ok(()) if last_look.await => self.content(parts, size).await,
            Ok(()) => return Outcome::Withheld,
            Err(Stop::Refused { code, reply }) => {
                // The relay closes the connection after 421, whatever was asked.
                self.spoiled = code == 421 || self.command(Rset).await.is_err();
                return Outcome::Refused { code, reply, permanent: code >= 500 };
            }
            Err(Stop::Broken { reason }) => Outcome::NotSent { reason },
        };
        self.spoiled = match &outcome {
            Outcome::Accepted { .. } => false,
            Outcome::Refused { code, .. } => *code == 421,
            Outcome::NotSent { .. } | Outcome::Withheld | Outcome::Uncertain { .. } => true,
        };
        outcome
    }

    /// Says goodbye, and does not mind if nobody answers.
    pub async fn quit(mut self) {
        if !self.is_broken() {
            let _ = timeout(self.patience, self.inner.command(Quit)).await;
        }
    }

    /// MAIL, RCPT and DATA: in one go where the relay allows it, and each judged by its own answer.
    async fn envelope(&mut self, mail: Mail, rcpt: Rcpt) -> Result<(), Stop> {
        if !self.pipelining {
            self.expect_completion(mail).await?;
            self.expect_completion(rcpt).await?;
            let data = self.command(Data).await?;
            return go_ahead(&data);
        }
        let mail = self.command(format!("{mail}{rcpt}{Data}")).await.and_then(completed);
        if matches!(mail, Err(Stop::Broken { .. })) {
            return mail;
        }
        let rcpt = self.answer().await.and_then(completed);
        if matches!(rcpt, Err(Stop::Broken { .. })) {
            return mail.and(rcpt);
        }
        let data = self.answer().await;
        if let Err(refusal) = mail.and(rcpt) {
            if data.is_ok() {
                // A relay may ask for a mail to nobody; it gets an empty one (RFC 2920, 3.1).
                let _ = self.command(".\r\n").await;
            }
            return Err(refusal);
        }
        go_ahead(&data?)
    }

    async fn content(&mut self, parts: &[&[u8]], size: usize) -> Outcome {
        // The library writes the CRLF of the last line together with the final dot.
        let mut left = if last_line_is_complete(parts) { size - 2 } else { size };
        let mut chunks = parts.iter().flat_map(|part| part.chunks(CHUNK));
        let mut dot_may_be_out = false;
        let content = std::iter::from_fn(|| {
            let chunk = chunks.next().map(|chunk| &chunk[..chunk.len().min(left)]);
            // The library asks in vain exactly once: when everything but the dot has been written.
            dot_may_be_out = chunk.is_none();
            left -= chunk.map_or(0, <[u8]>::len);
            chunk
        });
        // A relay may take its time here (RFC 5321 asks for ten minutes), and giving up costs certainty.
        let result = timeout(self.patience * 10, self.inner.message_iter(content)).await;
        let stop = match judged(result, self.patience * 10) {
            Ok(response) if completed_code(&response) => return Outcome::Accepted { reply: said(&response) },
            Ok(response) => unexpected(&response),
            Err(stop) => stop,
        };
        match stop {
            Stop::Refused { code, reply } => Outcome::Refused { code, reply, permanent: code >= 500 },
            Stop::Broken { reason } if dot_may_be_out => Outcome::Uncertain { reason },
            Stop::Broken { reason } => Outcome::NotSent { reason },
        }
    }

    async fn expect_completion(&mut self, command: impl Display) -> Result<(), Stop> {
        self.command(command).await.and_then(completed)
    }

    async fn command(&mut self, command: impl Display) -> Result<Response, Stop> {
        judged(timeout(self.patience, self.inner.command(command)).await, self.patience)
    }

    async fn answer(&mut self) -> Result<Response, Stop> {
        judged(timeout(self.patience, self.inner.read_response()).await, self.patience)
    }
}

fn not_sent(reason: &str) -> Outcome {
    Outcome::NotSent { reason: reason.to_owned() }
}

/// What the relay said, with its code.
fn said(response: &Response) -> String {
    let lines: Vec<&str> = response.message().collect();
    cleaned(&format!("{} {}", response.code(), lines.join(" ")))
}

fn completed_code(response: &Response) -> bool {
    response.code().severity == Severity::PositiveCompletion
}

#[expect(clippy::needless_pass_by_value, reason = "it ends a chain of results")]
fn completed(response: Response) -> Result<(), Stop> {
    if completed_code(&response) { Ok(()) } else { Err(unexpected(&response)) }
}

fn go_ahead(response: &Response) -> Result<(), Stop> {
    if response.has_code(354) { Ok(()) } else { Err(unexpected(response)) }
}

fn unexpected(response: &Response) -> Stop {
    Stop::Broken { reason: format!("the relay gave an answer that fits no question: {}", said(response)) }
}

fn judged(result: Result<Result<Response, Error>, Elapsed>, patience: Duration) -> Result<Response, Stop> {
    match result {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(match error.status() {
            Some(code) => Stop::Refused { code: code.into(), reply: refusal(&error, code.into()) },
            None => Stop::Broken {
                reason: format!("the connection to the relay failed: {}", cleaned(&error.to_string())),
            },
        }),
        Err(_) => Err(Stop::Broken {
            reason: format!("the relay gave no answer within {} seconds", patience.as_secs()),
        }),
    }
}

/// What the relay said when it refused, with its code.
fn refusal(error: &Error, code: u16) -> String {
    let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    cleaned(&format!("{code} {text}"))
}

fn last_line_is_complete(parts: &[&[u8]]) -> bool {
    parts.iter().rev().flat_map(|part| part.iter().rev()).take(2).eq(b"\n\r")
}

/// Whether CR and LF occur in pairs only: a lone one may end a mail for one server and not for the next.
fn lines_end_in_crlf(parts: &[&[u8]]) -> bool {
    let mut previous = 0;
    for part in parts {
        let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
        let torn = |(left, right): &(&u8, &u8)| (**left == b'\r') != (**right == b'\n');
        // Counting to the end is quicker than stopping early: it needs no branch, and a good mail has no end.
        if torn(&(&previous, first)) || part.iter().zip(&part[1..]).filter(torn).count() > 0 {
            return false;
        }
        previous = *last;
    }
    previous != b'\r'
}
