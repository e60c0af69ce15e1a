//! A mail server whose every step can be made a fault.
//!
//! A script decides at each stage what happens. What was received is kept as digest, so that a hundred thousand mails
//! fit into memory.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A moment in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Banner,
    Ehlo,
    Mail,
    Rcpt,
    Data,
    /// The first line of the mail has come.
    Body,
    /// The final dot has come; nothing was answered.
    Dot,
    /// The final dot was answered.
    Answered,
}

impl Stage {
    pub const ALL: [Self; 8] =
        [Self::Banner, Self::Ehlo, Self::Mail, Self::Rcpt, Self::Data, Self::Body, Self::Dot, Self::Answered];
}

/// What the script says to a stage.
#[derive(Clone, Debug)]
pub enum Act {
    /// All is well.
    Go,
    /// This reply, and on.
    Reply(&'static str),
    /// The connection ends without a word; a mail is not kept.
    Drop,
    /// The connection ends without a word, but the mail is kept.
    KeepAndDrop,
}

/// Where a conversation stands.
#[derive(Clone, Debug)]
pub struct Event {
    /// Which of the relay's doors it came through.
    pub door: usize,
    pub stage: Stage,
}

type Script = dyn Fn(&Event) -> Act + Send + Sync;

/// What became of the copies of one message.
#[derive(Clone, Debug, Default)]
pub struct Copies {
    pub recipient: String,
    /// SHA-256 of every copy that was kept.
    pub digests: Vec<[u8; 32]>,
    /// How many of the kept ones were not answered.
    pub unanswered: usize,
}

/// A whole mail and who it was for.
type Whole = (String, Vec<u8>);

struct State {
    script: Box<Script>,
    kept: Mutex<HashMap<String, Copies>>,
    bodies: Option<Mutex<Vec<Whole>>>,
}

/// The running mail server; stops when dropped.
pub struct Relay {
    doors: Vec<SocketAddr>,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// A server with some doors; with `keep_bodies` it keeps whole mails too.
    pub async fn start(
        doors: usize,
        keep_bodies: bool,
        script: impl Fn(&Event) -> Act + Send + Sync + 'static,
    ) -> Self {
        let state = Arc::new(State {
            script: Box::new(script),
            kept: Mutex::default(),
            bodies: keep_bodies.then(Mutex::default),
        });
        let mut tasks = JoinSet::new();
        let mut addresses = Vec::new();
        for door in 0..doors {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            addresses.push(listener.local_addr().unwrap());
            tasks.spawn(accept(listener, door, Arc::clone(&state)));
        }
        Self { doors: addresses, state, _tasks: tasks }
    }

    pub fn door(&self, number: usize) -> SocketAddr {
        self.doors[number]
    }

    /// Every message that was kept, by Message-ID.
    pub fn kept(&self) -> HashMap<String, Copies> {
        self.state.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The whole mails for one recipient, in their order.
    pub fn mails_for(&self, recipient: &str) -> Vec<Vec<u8>> {
        let bodies = self.state.bodies.as_ref().unwrap().lock().unwrap_or_else(PoisonError::into_inner);
        bodies.iter().filter(|(to, _)| to == recipient).map(|(_, mail)| mail.clone()).collect()
    }
}

async fn accept(listener: TcpListener, door: usize, state: Arc<State>) {
    let mut talks = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let talk = Talk { stream: BufReader::new(stream), door, state: Arc::clone(&state), has_sender: false, to: String::new() };
                talks.spawn(async move { let _ = talk.run().await; });
            }
            Some(_) = talks.join_next() => {}
        }
    }
}

struct Talk {
    stream: BufReader<TcpStream>,
    door: usize,
    state: Arc<State>,
    has_sender: bool,
    to: String,
}

/// The end of a conversation.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

impl Talk {
    fn asks(&self, stage: Stage) -> Act {
        (self.state.script)(&Event { door: self.door, stage })
    }

    async fn say(&mut self, text: &str) -> Result<(), Over> {
        self.stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await?;
        Ok(())
    }

    /// Says `text` unless the script wants something else; whether all is well.
    async fn answer(&mut self, stage: Stage, text: &str) -> Result<bool, Over> {
        match self.asks(stage) {
            Act::Go => self.say(text).await.map(|()| true),
            Act::Reply(other) => self.say(other).await.map(|()| false),
            Act::Drop | Act::KeepAndDrop => Err(Over),
        }
    }

    async fn run(mut self) -> Result<(), Over> {
        self.stream.get_ref().set_nodelay(true)?;
        self.answer(Stage::Banner, "220 relay.test ESMTP").await?;
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let command = line.trim_end().to_owned();
            match command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "EHLO" => {
                    self.answer(
                        Stage::Ehlo,
                        "250-relay.test\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 SIZE 67108864",
                    )
                    .await?;
                }
                "MAIL" => {
                    self.to.clear();
                    self.has_sender = self.answer(Stage::Mail, "250 2.1.0 ok").await?;
                }
                "RCPT" if !self.has_sender => self.say("503 5.5.1 MAIL first").await?,
                "RCPT" => {
                    let to = command.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    self.to = to;
                    if !self.answer(Stage::Rcpt, "250 2.1.5 ok").await? {
                        self.to.clear();
                    }
                }
                "DATA" if self.to.is_empty() => self.say("554 5.5.1 nobody to send it to").await?,
                "DATA" => {
                    if self.answer(Stage::Data, "354 go on").await? {
                        self.mail().await?;
                    }
                }
                "RSET" | "NOOP" => self.say("250 2.0.0 ok").await?,
                "QUIT" => return self.say("221 2.0.0 bye").await,
                _ => self.say("502 5.5.1 not here").await?,
            }
        }
    }

    async fn mail(&mut self) -> Result<(), Over> {
        let mut mail = Vec::new();
        let mut line = Vec::new();
        let mut refused = None;
        loop {
            line.clear();
            if self.stream.read_until(b'\n', &mut line).await? == 0 {
                return Err(Over);
            }
            if line == b".\r\n" {
                break;
            }
            let first = mail.is_empty();
            mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            if first {
                match self.asks(Stage::Body) {
                    Act::Go => {}
                    Act::Reply(text) => refused = Some(text),
                    Act::Drop | Act::KeepAndDrop => return Err(Over),
                }
            }
        }
        if let Some(text) = refused {
            return self.say(text).await;
        }
        match self.asks(Stage::Dot) {
            Act::Go => {
                self.keep(mail, true);
                self.say("250 2.0.0 taken").await?;
            }
            Act::Reply(text) => self.say(text).await?,
            Act::Drop => return Err(Over),
            Act::KeepAndDrop => {
                self.keep(mail, false);
                return Err(Over);
            }
        }
        match self.asks(Stage::Answered) {
            Act::Go | Act::Reply(_) => Ok(()),
            Act::Drop | Act::KeepAndDrop => Err(Over),
        }
    }

    fn keep(&self, mail: Vec<u8>, answered: bool) {
        let head = String::from_utf8_lossy(&mail[..mail.len().min(4096)]).into_owned();
        let id = head
            .lines()
            .find_map(|line| line.strip_prefix("Message-ID: "))
            .unwrap_or_else(|| panic!("a mail without Message-ID"))
            .trim()
            .to_owned();
        let mut kept = self.state.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let copies = kept.entry(id).or_default();
        copies.recipient.clone_from(&self.to);
        copies.digests.push(Sha256::digest(&mail).into());
        copies.unanswered += usize::from(!answered);
        drop(kept);
        if let Some(bodies) = &self.state.bodies {
            bodies.lock().unwrap_or_else(PoisonError::into_inner).push((self.to.clone(), mail));
        }
    }
}
