//! One SMTP conversation of the sink. An I/O error ends it: the client sees a closed connection.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Fault, Received, Stage, State, locked};

/// Whether the conversation goes on.
type Step = io::Result<bool>;

struct Session {
    stream: BufReader<TcpStream>,
    state: Arc<State>,
    from: Option<String>,
    to: Vec<String>,
}

pub(super) async fn serve(stream: TcpStream, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let mut session = Session { stream: BufReader::new(stream), state, from: None, to: Vec::new() };
    // A client that goes away is no news here.
    let _ = session.run().await;
}

impl Session {
    async fn run(&mut self) -> io::Result<()> {
        if !self.answer(Stage::Banner, "220 sink.example ESMTP").await? {
            return Ok(());
        }
        let mut line = Vec::new();
        loop {
            line.clear();
            if self.stream.read_until(b'\n', &mut line).await? == 0 {
                return Ok(());
            }
            locked(&self.state.transcript).extend_from_slice(&line);
            if !self.command(String::from_utf8_lossy(&line).trim_end()).await? {
                return Ok(());
            }
        }
    }

    async fn command(&mut self, line: &str) -> Step {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.reset();
                let offer = |stage, words: &'static str| if self.state.expects(stage) { words } else { "" };
                let hello = format!(
                    "250-sink.example\r\n250-8BITMIME\r\n{}{}250-PIPELINING\r\n250 SIZE {}",
                    offer(Stage::StartTls, "250-STARTTLS\r\n"),
                    offer(Stage::Auth, "250-AUTH PLAIN\r\n"),
                    self.state.size_limit
                );
                self.answer(Stage::Ehlo, &hello).await
            }
            "HELO" => {
                self.reset();
                self.answer(Stage::Ehlo, "250 sink.example").await
            }
            "STARTTLS" => self.answer(Stage::StartTls, "502 5.5.1 not here").await,
            "AUTH" => self.answer(Stage::Auth, "235 2.7.0 welcome").await,
            "MAIL" => self.mail(rest).await,
            "RCPT" => self.recipient(rest).await,
            "DATA" if rest.is_empty() => self.data().await,
            "RSET" => {
                self.reset();
                self.say("250 2.0.0 forgotten").await
            }
            "NOOP" => self.say("250 2.0.0 still here").await,
            "QUIT" => {
                self.say("221 2.0.0 bye").await?;
                Ok(false)
            }
            _ => self.say("502 5.5.1 not here").await,
        }
    }

    async fn mail(&mut self, rest: &str) -> Step {
        let Some((from, parameters)) = envelope_address(rest, "FROM:") else {
            return self.say("501 5.5.4 expected MAIL FROM:<address>").await;
        };
        if self.from.is_some() {
            return self.say("503 5.5.1 one sender is enough").await;
        }
        let size =
            parameters.split(' ').find_map(|parameter| parameter.strip_prefix("SIZE=")?.parse::<u64>().ok());
        if size.is_some_and(|size| size > self.state.size_limit) {
            return self.say("552 5.3.4 too big").await;
        }
        if let Some(fault) = self.fault(Stage::Mail, &[]).await {
            return self.fail(fault).await;
        }
        self.from = Some(from);
        self.say("250 2.1.0 ok").await
    }

    async fn recipient(&mut self, rest: &str) -> Step {
        let Some((to, _)) = envelope_address(rest, "TO:") else {
            return self.say("501 5.5.4 expected RCPT TO:<address>").await;
        };
        if self.from.is_none() {
            return self.say("503 5.5.1 MAIL first").await;
        }
        if let Some(fault) = self.fault(Stage::Rcpt, std::slice::from_ref(&to)).await {
            return self.fail(fault).await;
        }
        self.to.push(to);
        self.say("250 2.1.5 ok").await
    }

    async fn data(&mut self) -> Step {
        if self.to.is_empty() {
            return self.say("554 5.5.1 no valid recipients").await;
        }
        if let Some(fault) = self.fault(Stage::Data, &self.to).await {
            return self.fail(fault).await;
        }
        self.say("354 go on").await?;
        let Some(bytes) = self.body().await? else { return Ok(false) };
        let message =
            Received { from: self.from.take().unwrap_or_default(), to: std::mem::take(&mut self.to), bytes };
        if message.bytes.len() as u64 > self.state.size_limit {
            return self.say("552 5.3.4 too big").await;
        }
        match self.fault(Stage::Dot, &message.to).await {
            Some((Fault::LoseAnswerAfterDot, _)) => {
                self.state.keep(message);
                Ok(false)
            }
            Some(fault) => self.fail(fault).await,
            None => {
                self.state.keep(message);
                self.say("250 2.0.0 kept").await
            }
        }
    }

    /// The mail up to the final dot, or `None` if the connection is to be dropped.
    async fn body(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let mut line = Vec::new();
        loop {
            line.clear();
            if self.stream.read_until(b'\n', &mut line).await? == 0 {
                return Ok(None);
            }
            locked(&self.state.transcript).extend_from_slice(&line);
            // Only CRLF dot CRLF ends a mail; whoever takes less lets a mail smuggle in another one.
            let fresh = bytes.is_empty() || bytes.ends_with(b"\r\n");
            if fresh && line == b".\r\n" {
                return Ok(Some(bytes));
            }
            bytes.extend_from_slice(if fresh { line.strip_prefix(b".").unwrap_or(&line) } else { &line });
            if self.state.fault(Stage::Body, &self.to).is_some() {
                return Ok(None);
            }
        }
    }

    /// Gives `reply`, or does what was planned for this stage.
    async fn answer(&mut self, stage: Stage, reply: &str) -> Step {
        match self.fault(stage, &[]).await {
            Some(fault) => self.fail(fault).await,
            None => self.say(reply).await,
        }
    }

    /// What is to go wrong now. A pause is over when this returns.
    async fn fault(&self, stage: Stage, to: &[String]) -> Option<(Fault, watch::Receiver<u64>)> {
        match self.state.fault(stage, to)? {
            (Fault::PauseAt(_), healed) => {
                self.stall(healed).await;
                None
            }
            fault => Some(fault),
        }
    }

    async fn stall(&self, mut healed: watch::Receiver<u64>) {
        self.state.stalled.send_modify(|stalled| *stalled += 1);
        let _ = healed.changed().await;
        self.state.stalled.send_modify(|stalled| *stalled -= 1);
    }

    async fn fail(&mut self, (fault, healed): (Fault, watch::Receiver<u64>)) -> Step {
        match fault {
            Fault::StallAt(_) | Fault::PauseAt(_) => {
                self.stall(healed).await;
                Ok(false)
            }
            Fault::BabbleAt(_) => self.say("bzzz \u{1}\u{7f} 99 bottles").await,
            Fault::Reply { code, text, .. } => self.say(&format!("{code} {text}")).await,
            Fault::RefuseConnection | Fault::DropAt(_) | Fault::LoseAnswerAfterDot => Ok(false),
        }
    }

    async fn say(&mut self, reply: &str) -> Step {
        self.stream.get_mut().write_all(format!("{reply}\r\n").as_bytes()).await?;
        Ok(true)
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }
}

/// The address in `FROM:<a@b> SIZE=1`, and the parameters after it.
fn envelope_address<'a>(text: &'a str, label: &str) -> Option<(String, &'a str)> {
    let found = text.get(..label.len())?;
    let rest = text.get(label.len()..)?.trim_start();
    let (address, parameters) = rest.strip_prefix('<')?.split_once('>')?;
    found.eq_ignore_ascii_case(label).then(|| (address.to_owned(), parameters))
}
