//! What stands between a server and PostgreSQL, and breaks off at the moment a change is committed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use embargod::store::Location;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Where to break off the next commit of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nowhere.
    Never,
    /// Before the database hears of it.
    Before,
    /// After it was done, before that is said.
    After,
    /// The same, and from then on nobody gets through.
    AfterAndAway,
    /// Nobody gets through.
    Away,
}

/// A proxy. It stops with the test.
pub struct Proxy {
    address: SocketAddr,
    cut: Arc<Mutex<Cut>>,
}

impl Proxy {
    /// A proxy to the server at `location`.
    pub async fn to(location: &Location) -> Self {
        let Location::Postgres(url) = location else { panic!("not PostgreSQL") };
        let server = authority(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), cut: Arc::new(Mutex::new(Cut::Never)) };
        let cut = Arc::clone(&proxy.cut);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server.clone()).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&cut)));
            }
        });
        proxy
    }

    /// The same database through this proxy.
    pub fn instead_of(&self, location: &Location) -> Location {
        let Location::Postgres(url) = location else { panic!("not PostgreSQL") };
        Location::Postgres(url.replacen(authority(url), &self.address.to_string(), 1))
    }

    /// Decides about the next commit.
    pub fn cut(&self, cut: Cut) {
        *self.cut.lock().unwrap() = cut;
    }
}

/// `host:port`.
fn authority(url: &str) -> &str {
    let rest = url.split_once('@').unwrap().1;
    rest.split('/').next().unwrap()
}

/// Carries one connection until it is cut.
async fn carry(mut client: TcpStream, mut server: TcpStream, cut: Arc<Mutex<Cut>>) {
    let (mut from_client, mut from_server) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut spotter = Spotter::default();
    loop {
        if *cut.lock().unwrap() == Cut::Away {
            return;
        }
        tokio::select! {
            Ok(count) = client.read(&mut from_client) => {
                let bytes = &from_client[..count];
                let commits_change = spotter.sees_commit_of_change(bytes);
                let present = *cut.lock().unwrap();
                let is_hit = commits_change && present != Cut::Never;
                if count == 0 || (is_hit && present == Cut::Before) {
                    *cut.lock().unwrap() = if is_hit { Cut::Never } else { present };
                    return;
                }
                server.write_all(bytes).await.unwrap();
                if is_hit {
                    // The answer is awaited, and told to nobody.
                    let _ = server.read(&mut from_server).await;
                    *cut.lock().unwrap() = if present == Cut::After { Cut::Never } else { Cut::Away };
                    return;
                }
            }
            Ok(count) = server.read(&mut from_server) => {
                if count == 0 || client.write_all(&from_server[..count]).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}

/// Tells the transaction of a change from one that reads: only a change asks for its own number before it commits. It
/// is asked by text the first time, and by the name of what was prepared then ever after.
#[derive(Default)]
struct Spotter {
    prepared: Option<Vec<u8>>,
    is_change: bool,
}

impl Spotter {
    fn sees_commit_of_change(&mut self, bytes: &[u8]) -> bool {
        const QUESTION: &[u8] = b"\0SELECT pg_current_xact_id";
        if let Some(at) = bytes.windows(QUESTION.len()).position(|window| window == QUESTION) {
            let name = bytes[..at].iter().rposition(|byte| *byte == b's').map_or(at, |start| start);
            self.prepared = Some([b"\0", &bytes[name..at], b"\0"].concat());
            self.is_change = true;
        }
        self.is_change |= self.prepared.as_ref().is_some_and(|name| contains(bytes, name));
        let commits = contains(bytes, b"COMMIT\0");
        let is_change = self.is_change;
        if commits || contains(bytes, b"ROLLBACK\0") {
            self.is_change = false;
        }
        commits && is_change
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
