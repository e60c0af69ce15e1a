//! One SMTP connection to the relay: opened, protected, and used for one mail after the other.
//!
//! Promises: no MAIL FROM, and no password, before TLS with a verified certificate, except to a loopback
//! address; commands are answered and judged one by one, so that "never sent" and "uncertain" are told apart
//! at the final dot and nowhere else. Without consent no byte of a mail leaves, and one whose consent ends is
//! broken off before its final dot. What is refused before the recipient was named says nothing about the
//! recipient, and is never for good. It never tries again by itself.

mod open;

use std::fmt::Display;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Quit, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

pub use open::{Relay, RelayError};

use super::{Consent, Freely, Outcome, cleaned};
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
    /// It said no to the sender, before it heard of a recipient.
    Unwelcome { code: u16, reply: String },
    /// The connection is of no more use.
    Broken { reason: String },
    /// There is no consent any more, and the mail is half begun.
    Withdrawn,
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
        let outcome = self.send_with_consent(from, to, parts, &Freely(())).await;
        outcome.unwrap_or_else(|| not_sent("there was no consent"))
    }

    /// The same while `consent` holds; nothing if the mail did not leave for want of it.
    pub async fn send_with_consent(
        &mut self,
        from: &Address,
        to: &Address,
        parts: &[&[u8]],
        consent: &impl Consent,
    ) -> Option<Outcome> {
        if self.is_broken() {
            return Some(not_sent("the connection to the relay was already closed"));
        }
        let size: usize = parts.iter().map(|part| part.len()).sum();
        let ascii = parts.iter().all(|part| part.is_ascii());
        if !lines_end_in_crlf(parts) {
            return Some(not_sent(
                "the mail has a line that does not end in CRLF, which a relay may take for two mails",
            ));
        }
        if self.size_limit.is_some_and(|limit| size as u64 > limit) {
            let reply = format!("the mail has {size} bytes, and the relay announced that it takes fewer");
            return Some(Outcome::Refused { code: 552, reply, permanent: true });
        }
        if !ascii && !self.inner.server_info().supports_feature(Extension::EightBitMime) {
            return Some(not_sent("the mail has 8-bit characters, and the relay takes ASCII only"));
        }
        let (Ok(from), Ok(to)) = (from.as_str().parse(), to.as_str().parse()) else {
            return Some(not_sent("the sender's or the recipient's address cannot be written in SMTP"));
        };
        let mut parameters = Vec::new();
        if self.size_limit.is_some() {
            parameters.push(MailParameter::Size(size));
        }
        if !ascii {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        if !consent.may_leave().await {
            return None;
        }

        self.spoiled = true;
        let envelope = self.envelope(Mail::new(Some(from), parameters), Rcpt::new(to, Vec::new()));
        let begun = tokio::select! {
            biased;
            () = consent.withdrawn() => Err(Stop::Withdrawn),
            begun = envelope => begun,
        };
        let outcome = match begun {
            Ok(()) if consent.may_leave().await => self.content(parts, size, consent).await?,
            Ok(()) | Err(Stop::Withdrawn) => return None,
            Err(Stop::Refused { code, reply }) => {
                self.recover(code).await;
                return Some(Outcome::Refused { code, reply, permanent: code >= 500 });
            }
            Err(Stop::Unwelcome { code, reply }) => {
                self.recover(code).await;
                let refused = Outcome::Refused { code, reply, permanent: code >= 500 };
                return Some(if refused.is_about_size() { refused } else { refused.for_now() });
            }
            Err(Stop::Broken { reason }) => Outcome::NotSent { reason },
        };
        self.spoiled = match &outcome {
            Outcome::Accepted { .. } => false,
            Outcome::Refused { code, .. } => *code == 421,
            Outcome::NotSent { .. } | Outcome::Uncertain { .. } => true,
        };
        Some(outcome)
    }

    /// Makes the connection ready for the next mail after a refusal with `code`, if it can be.
    async fn recover(&mut self, code: u16) {
        // The relay closes the connection after 421, whatever was asked.
        self.spoiled = code == 421 || self.command(Rset).await.is_err();
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
            self.expect_completion(mail).await.map_err(Stop::of_sender)?;
            self.expect_completion(rcpt).await?;
            let data = self.command(Data).await?;
            return go_ahead(&data);
        }
        let mail =
            self.command(format!("{mail}{rcpt}{Data}")).await.and_then(completed).map_err(Stop::of_sender);
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

    /// The mail itself, up to the answer after the final dot; nothing if consent ended before the dot.
    async fn content(&mut self, parts: &[&[u8]], size: usize, consent: &impl Consent) -> Option<Outcome> {
        // The library writes the CRLF of the last line together with the final dot.
        let mut left = if last_line_is_complete(parts) { size - 2 } else { size };
        let mut pieces = parts.iter().flat_map(|part| part.chunks(CHUNK));
        let dot_may_be_out = AtomicBool::new(false);
        let chunks = std::iter::from_fn(|| {
            let chunk = pieces.next().map(|chunk| &chunk[..chunk.len().min(left)]);
            // The library asks in vain exactly once: when everything but the dot has been written.
            dot_may_be_out.store(chunk.is_none(), Ordering::Release);
            left -= chunk.map_or(0, <[u8]>::len);
            chunk
        });
        // A relay may take its time here (RFC 5321 asks for ten minutes), and giving up costs certainty.
        let mut sending = pin!(timeout(self.patience * 10, self.inner.message_iter(chunks)));
        // Once the dot may be out, only the answer helps.
        let result = poll_fn(|context| {
            if dot_may_be_out.load(Ordering::Acquire) || consent.still_holds() {
                sending.as_mut().poll(context).map(Some)
            } else {
                Poll::Ready(None)
            }
        })
        .await?;
        let stop = match judged(result, self.patience * 10) {
            Ok(response) if completed_code(&response) => {
                return Some(Outcome::Accepted { reply: said(&response) });
            }
            Ok(response) => unexpected(&response),
            Err(stop) => stop,
        };
        let uncertain = dot_may_be_out.load(Ordering::Acquire);
        Some(match stop {
            Stop::Refused { code, reply } | Stop::Unwelcome { code, reply } => {
                Outcome::Refused { code, reply, permanent: code >= 500 }
            }
            Stop::Broken { reason } if uncertain => Outcome::Uncertain { reason },
            Stop::Broken { reason } => Outcome::NotSent { reason },
            Stop::Withdrawn => return None,
        })
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

impl Stop {
    /// The same as said about the sender.
    fn of_sender(self) -> Self {
        match self {
            Self::Refused { code, reply } => Self::Unwelcome { code, reply },
            other => other,
        }
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
