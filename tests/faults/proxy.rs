//! What stands between a replica and its database: counts what passes, cuts it, swallows it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::database::{self, Way};

/// What a script says to a piece that is about to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// It passes.
    Yes,
    /// It passes, and the connection is cut when the answer comes: the database knows, and nobody is told.
    CutAnswer,
}

/// A piece on its way to the database.
pub struct Piece<'a> {
    pub bytes: &'a [u8],
}

impl Piece<'_> {
    /// Whether it ends a transaction for good.
    pub fn is_commit(&self) -> bool {
        self.bytes.windows(7).any(|window| window == b"COMMIT\0")
    }
}

type Script = dyn Fn(&Piece<'_>) -> Pass + Send + Sync;

/// A way to the database; closed when dropped.
pub struct Proxy {
    pub way: Way,
    open: watch::Sender<bool>,
    _task: JoinSet<()>,
}

impl Proxy {
    /// It leads to the server, or to the pooler in front of it.
    pub async fn start(pooled: bool, script: impl Fn(&Piece<'_>) -> Pass + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let way = Way { through: listener.local_addr().unwrap(), pooled };
        let far = if pooled { database::pooler() } else { database::address() };
        let (open, opened) = watch::channel(true);
        let script: Arc<Script> = Arc::new(script);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut ways = JoinSet::new();
            loop {
                tokio::select! {
                    Ok((stream, _)) = listener.accept() => {
                        ways.spawn(carry(stream, far, Arc::clone(&script), opened.clone()));
                    }
                    Some(_) = ways.join_next() => {}
                }
            }
        });
        Self { way, open, _task: task }
    }

    /// Lets nothing pass any more, in either direction, without closing anything: a network that is gone.
    pub fn shut(&self) {
        self.open.send_replace(false);
    }

    /// Lets everything pass again; what was held goes on.
    pub fn reopen(&self) {
        self.open.send_replace(true);
    }
}

async fn carry(near: TcpStream, far: SocketAddr, script: Arc<Script>, open: watch::Receiver<bool>) {
    let Ok(far) = TcpStream::connect(far).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let (cut, is_cut) = watch::channel(false);
    let there = towards(near_read, far_write, script, open.clone(), cut);
    let back = backwards(far_read, near_write, open, is_cut);
    // Either end ends both.
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}

async fn towards(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    script: Arc<Script>,
    mut open: watch::Receiver<bool>,
    cut: watch::Sender<bool>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let _ = open.wait_for(|open| *open).await;
        let bytes = &buffer[..count];
        match script(&Piece { bytes }) {
            Pass::Yes => {}
            Pass::CutAnswer => {
                cut.send_replace(true);
            }
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

async fn backwards(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut open: watch::Receiver<bool>,
    cut: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let _ = open.wait_for(|open| *open).await;
        if *cut.borrow() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
