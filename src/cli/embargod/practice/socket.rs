//! The way to a running practice server's clock: a socket in its private folder, one line in, one line out.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

use super::Moved;
use crate::cli::embargod::failure::Failure;

/// The longest line that is read.
const LONGEST: u64 = 256;
/// How long a line may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);

/// A line that came in, and where the answer goes.
pub(in crate::cli::embargod) struct Request {
    pub line: String,
    pub answer: oneshot::Sender<Moved>,
}

/// Requests as they come in.
pub(super) type Requests = mpsc::Receiver<Request>;

/// The socket in the folder `state`.
fn path(state: &Path) -> PathBuf {
    state.join("practice.sock")
}

/// Asks the server that runs over the folder `state`; nothing, if none runs.
pub(super) fn ask(state: &Path, line: &str) -> Result<Option<Moved>, Failure> {
    let path = path(state);
    let mut stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(source) => return Err(Failure::File { path, done: "reached", source }),
    };
    let mut answer = String::new();
    stream
        .write_all(format!("{line}\n").as_bytes())
        .and_then(|()| stream.read_to_string(&mut answer))
        .map_err(Failure::file(&path, "asked"))?;
    serde_json::from_str(&answer).map(Some).map_err(|_| {
        Failure::unfit(
            "the practice server went away before it answered",
            "see its log; start it again and look: embargod practice now",
        )
    })
}

/// A socket that takes requests until it is dropped.
pub(in crate::cli::embargod) struct Door {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
        // A socket left behind is replaced by the next server.
        let _ = fs::remove_file(&self.path);
    }
}

/// Opens the socket in the folder `state`.
pub(in crate::cli::embargod) fn open(state: &Path) -> Result<(Door, Requests), Failure> {
    let path = path(state);
    if ask(state, "now")?.is_some() {
        return Err(Failure::unfit(
            "a practice server runs on this installation already",
            "stop that one, or make another installation: embargod init --practice --directory DIR …",
        ));
    }
    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(&path).map_err(Failure::file(&path, "opened"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(Failure::file(&path, "opened"))?;
    let (sender, receiver) = mpsc::channel(8);
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, sender.clone()));
        }
    });
    Ok((Door { path, task }, receiver))
}

async fn serve(stream: tokio::net::UnixStream, requests: mpsc::Sender<Request>) {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(LONGEST));
    let Ok(Ok(_)) = tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await else { return };
    let (answer, answered) = oneshot::channel();
    if requests.send(Request { line, answer }).await.is_err() {
        return;
    }
    if let Ok(moved) = answered.await {
        let text = serde_json::to_string(&moved).unwrap_or_default();
        // Who asked may have gone away; the clock has moved all the same.
        let _ = writer.write_all(text.as_bytes()).await;
    }
}
