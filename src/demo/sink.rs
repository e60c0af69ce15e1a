//! A mail server on loopback that keeps what it gets, for the rehearsal and for tests.
//!
//! It speaks real ESMTP over a real socket and can be told to fail at any stage, so that what the sender
//! makes of a failure can be seen. It offers no STARTTLS: whoever insists on it sends nothing here.

mod session;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::config::relay::{RelayConfig, RelayTls};

/// A mail as the sink received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The envelope sender.
    pub from: String,
    /// The envelope recipients.
    pub to: Vec<String>,
    /// The mail, without the dots that SMTP adds.
    pub bytes: Vec<u8>,
}

/// A moment in an SMTP conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The greeting.
    Banner,
    /// EHLO.
    Ehlo,
    /// STARTTLS, which is offered only when something is planned for it.
    StartTls,
    /// AUTH, likewise.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// In the middle of the mail, after its first line.
    Body,
    /// After the final dot.
    Dot,
}

/// What is to go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed before a word is said.
    RefuseConnection,
    /// This reply is given at this stage, and the conversation goes on. At [`Stage::Body`] nothing is replied,
    /// so the dot gets it; a 250 of one line at [`Stage::Ehlo`] makes a server without extensions.
    Reply {
        /// When.
        stage: Stage,
        /// The three digits.
        code: u16,
        /// The text after them.
        text: String,
    },
    /// The connection is closed in place of a reply; the mail is not kept.
    DropAt(Stage),
    /// The mail is kept, and the connection closed before the sender is told so.
    LoseAnswerAfterDot,
    /// Nothing is said until [`Sink::heal`]; then the connection is closed. Not at [`Stage::Body`].
    StallAt(Stage),
    /// Nothing is said until [`Sink::heal`]; then the conversation goes on as if nothing had been. Not at
    /// [`Stage::Body`].
    PauseAt(Stage),
    /// What is said is no reply of SMTP.
    BabbleAt(Stage),
}

impl Fault {
    /// A reply at a stage.
    pub fn reply(stage: Stage, code: u16, text: &str) -> Self {
        Self::Reply { stage, code, text: text.to_owned() }
    }

    fn stage(&self) -> Stage {
        match self {
            Self::RefuseConnection => Stage::Banner,
            Self::Reply { stage: Stage::Body, .. } | Self::LoseAnswerAfterDot => Stage::Dot,
            Self::Reply { stage, .. }
            | Self::DropAt(stage)
            | Self::StallAt(stage)
            | Self::PauseAt(stage)
            | Self::BabbleAt(stage) => *stage,
        }
    }
}

#[derive(Debug)]
struct Planned {
    fault: Fault,
    recipient: Option<String>,
    /// How often still; `None` for ever.
    times: Option<usize>,
}

#[derive(Debug)]
struct State {
    messages: Mutex<Vec<Received>>,
    transcript: Mutex<Vec<u8>>,
    plans: Mutex<VecDeque<Planned>>,
    count: watch::Sender<usize>,
    /// How many conversations wait for [`Sink::heal`].
    stalled: watch::Sender<usize>,
    healed: watch::Sender<u64>,
    size_limit: u64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Whether anything is planned for this stage.
    fn expects(&self, stage: Stage) -> bool {
        locked(&self.plans).iter().any(|plan| plan.fault.stage() == stage)
    }

    /// The fault planned for this stage and recipient, if it is its turn, and what tells that it is over.
    fn fault(&self, stage: Stage, recipients: &[String]) -> Option<(Fault, watch::Receiver<u64>)> {
        let mut plans = locked(&self.plans);
        let index = plans.iter().position(|plan| {
            plan.fault.stage() == stage
                && plan
                    .recipient
                    .as_ref()
                    .is_none_or(|wanted| recipients.iter().any(|to| to.eq_ignore_ascii_case(wanted)))
        })?;
        let plan = plans.get_mut(index)?;
        let fault = plan.fault.clone();
        if let Some(times) = &mut plan.times {
            *times -= 1;
            if *times == 0 {
                plans.remove(index);
            }
        }
        Some((fault, self.healed.subscribe()))
    }

    fn keep(&self, message: Received) {
        let mut messages = locked(&self.messages);
        messages.push(message);
        self.count.send_replace(messages.len());
    }
}

/// The running mail server. It stops when this is dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Sink {
    /// Starts a server on a free loopback port that takes mails of up to 64 MiB.
    pub async fn start() -> io::Result<Self> {
        Self::with_size_limit(64 << 20).await
    }

    /// Starts a server that takes mails of up to `size_limit` bytes and says so.
    pub async fn with_size_limit(size_limit: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            messages: Mutex::default(),
            transcript: Mutex::default(),
            plans: Mutex::default(),
            count: watch::Sender::new(0),
            stalled: watch::Sender::new(0),
            healed: watch::Sender::new(0),
            size_limit,
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A relay section that sends everything here.
    pub fn relay(&self) -> RelayConfig {
        RelayConfig {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            tls: RelayTls::None,
            ..RelayConfig::default()
        }
    }

    /// All mails received so far, in their order.
    pub fn messages(&self) -> Vec<Received> {
        locked(&self.state.messages).clone()
    }

    /// The mails for one recipient, in their order.
    pub fn for_recipient(&self, address: &str) -> Vec<Received> {
        let mut messages = self.messages();
        messages.retain(|message| message.to.iter().any(|to| to.eq_ignore_ascii_case(address)));
        messages
    }

    /// Waits until at least `count` mails were received, and returns all of them.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        // The sender lives in `state`, so waiting cannot fail.
        let _ = self.state.count.subscribe().wait_for(|received| *received >= count).await;
        self.messages()
    }

    /// Every byte that clients sent, commands and mails, in the order of arrival.
    pub fn transcript(&self) -> Vec<u8> {
        locked(&self.state.transcript).clone()
    }

    /// Lets this go wrong once.
    pub fn plan(&self, fault: Fault) {
        self.plan_times(fault, 1);
    }

    /// Lets this go wrong the next `times` times.
    pub fn plan_times(&self, fault: Fault, times: usize) {
        if times > 0 {
            locked(&self.state.plans).push_back(Planned { fault, recipient: None, times: Some(times) });
        }
    }

    /// Lets this go wrong whenever a mail for `recipient` reaches the stage, until [`Sink::heal`].
    pub fn plan_for(&self, recipient: &str, fault: Fault) {
        locked(&self.state.plans).push_back(Planned {
            fault,
            recipient: Some(recipient.to_owned()),
            times: None,
        });
    }

    /// Waits until a conversation stalls.
    pub async fn wait_for_stall(&self) {
        self.wait_for_stalls(1).await;
    }

    /// Waits until so many conversations stall.
    pub async fn wait_for_stalls(&self, count: usize) {
        // The sender lives in `state`, so waiting cannot fail.
        let _ = self.state.stalled.subscribe().wait_for(|stalled| *stalled >= count).await;
    }

    /// Forgets everything that was planned.
    pub fn heal(&self) {
        let mut plans = locked(&self.state.plans);
        plans.clear();
        self.state.healed.send_modify(|times| *times += 1);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Sessions end with this task: a set that is dropped stops its members.
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                sessions.spawn(session::serve(stream, Arc::clone(&state)));
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}
