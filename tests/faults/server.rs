//! The program under test, as a process.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Signal;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::fault::Target;
use crate::patience::PATIENCE;

/// The program: `EMBARGOD_FAULTS_BIN` names the folder of another build.
pub fn program() -> PathBuf {
    match std::env::var_os("EMBARGOD_FAULTS_BIN") {
        Some(folder) => Path::new(&folder).join("embargod"),
        None => PathBuf::from(env!("CARGO_BIN_EXE_embargod")),
    }
}

/// The program of an older version: `EMBARGOD_FAULTS_OLDER` names the folder of its build.
fn older_program() -> PathBuf {
    let folder = std::env::var_os("EMBARGOD_FAULTS_OLDER");
    let folder = folder.expect("EMBARGOD_FAULTS_OLDER names no folder with an older embargod");
    Path::new(&folder).join("embargod")
}

/// A port that no outgoing connection takes by chance, so that a server comes back on its own.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 10_000 + u16::try_from(std::process::id() % 100).unwrap() * 200;
    loop {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// What the program is started under.
#[derive(Clone, Debug, Default)]
pub enum Under {
    #[default]
    Nothing,
    /// strace, which does this to the n-th call of this kind.
    Strace { call: &'static str, injection: String },
    /// libfaketime, which takes the present from this file and leaves the monotonic clock alone.
    Faketime(PathBuf),
    /// A disk of 16 MiB for its state, that it alone sees.
    SmallDisk,
    /// An older version of it.
    Older,
}

impl Under {
    /// Whose program it is.
    fn program(&self) -> PathBuf {
        if matches!(self, Self::Older) { older_program() } else { program() }
    }
}

/// A running program.
pub struct Server {
    pub pid: u32,
    log: Arc<Mutex<String>>,
    status: watch::Receiver<Option<ExitStatus>>,
}

impl Server {
    /// Starts `embargod serve` in `folder` and waits until it answers; `None` if it ended before.
    pub async fn start(folder: &Path, listen: u16, under: &Under, target: &Target) -> Option<Self> {
        let mut command = match under {
            Under::Strace { call, injection } => {
                let mut command = Command::new("strace");
                // The tracer stands aside, so that the process we started is the server itself.
                command.args(["-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null"]);
                command.arg(format!("--trace={call}")).arg(format!("--inject={call}:{injection}"));
                command.arg(program());
                command
            }
            Under::SmallDisk => {
                let mut command = Command::new("unshare");
                command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
                command.arg(
                    "cp -a state kept && mount -t tmpfs -o size=16m,mode=700 tmpfs state && cp -a kept/. state && \
                     exec \"$@\"",
                );
                command.arg("sh").arg(program());
                command
            }
            Under::Nothing | Under::Older | Under::Faketime(_) => Command::new(under.program()),
        };
        if let Under::Faketime(file) = under {
            command
                .env("LD_PRELOAD", "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
                .env("FAKETIME_TIMESTAMP_FILE", file)
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        let mut child = command
            .arg("serve")
            .arg("--listen")
            .arg(format!("127.0.0.1:{listen}"))
            .current_dir(folder)
            .env_remove("EMBARGOD_CONFIG")
            .env_remove("CREDENTIALS_DIRECTORY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program().display()));
        let pid = child.id();
        target.aim_at(pid);
        let log = Arc::<Mutex<String>>::default();
        let (errors, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let (answers, answered) = oneshot::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            let mut answers = Some(answers);
            // It is read to its end, so that whatever is printed later does not fill the pipe.
            for line in lines.map_while(Result::ok) {
                if line.starts_with("embargod answers at")
                    && let Some(answers) = answers.take()
                {
                    let _ = answers.send(());
                }
            }
        });
        let (ended, status) = watch::channel(None);
        std::thread::spawn(move || {
            let status = child.wait().unwrap();
            ended.send(Some(status))
        });
        let mut server = Self { pid, log, status };
        let answered =
            tokio::time::timeout(PATIENCE, answered).await.expect("the server neither answers nor ends");
        if answered.is_err() {
            server.ended().await;
            return None;
        }
        Some(server)
    }

    /// Waits until the process ends.
    pub async fn ended(&mut self) -> ExitStatus {
        self.status.wait_for(|status| status.is_some()).await.unwrap().unwrap()
    }

    /// Asks it to stop, and waits until it has; it must end by itself and in order.
    pub async fn stop(mut self) {
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(PATIENCE, self.ended()).await;
        let status = ended.unwrap_or_else(|_| panic!("it does not stop:\n{}", self.log()));
        assert!(status.success(), "it ended with {status}:\n{}", self.log());
    }

    /// The same for one that may have been killed before.
    pub async fn stop_unless_killed(mut self) {
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(PATIENCE, self.ended()).await;
        let status = ended.unwrap_or_else(|_| panic!("it does not stop:\n{}", self.log()));
        assert!(status.success() || status.signal() == Some(9), "it ended with {status}:\n{}", self.log());
    }

    pub fn signal(&self, signal: Signal) {
        let target = Target::default();
        target.aim_at(self.pid);
        target.signal(signal);
    }

    /// What it wrote on standard error.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what the server of process {} said:\n{}", self.pid, self.log());
        }
        if self.status.borrow().is_none() {
            self.signal(Signal::KILL);
        }
    }
}

/// What a server ends with whose disk fails: `EX_IOERR` of sysexits.h.
const DISK_FAILED: i32 = 74;

/// Starts a server again whenever it was killed, or its disk failed.
pub struct Nurse {
    kills: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Server>,
}

impl Nurse {
    /// Starts a server under `first`, and after each kill as it is.
    pub fn start(folder: PathBuf, listen: u16, first: Under, target: Target) -> Self {
        let (stop, stopped) = oneshot::channel();
        let kills = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&kills);
        let task = tokio::spawn(async move {
            let mut stopped = stopped;
            let mut under = first;
            loop {
                let started = Server::start(&folder, listen, &under, &target).await;
                under = Under::Nothing;
                let Some(mut server) = started else {
                    let kills = 1 + counted.fetch_add(1, Ordering::SeqCst);
                    assert!(kills < 3, "it does not start any more");
                    continue;
                };
                let status = tokio::select! {
                    status = server.ended() => status,
                    _ = &mut stopped => return server,
                };
                let disk_failed =
                    status.code() == Some(DISK_FAILED) && server.log().contains("the disk failed");
                assert!(disk_failed || status.signal() == Some(9), "it ended by itself:\n{}", server.log());
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { kills, stop, task }
    }

    /// How often it was killed.
    pub fn kills(&self) -> usize {
        self.kills.load(Ordering::SeqCst)
    }

    /// Stops the server in order; returns how often it was killed.
    pub async fn stop(self) -> usize {
        let _ = self.stop.send(());
        self.task.await.unwrap().stop().await;
        self.kills.load(Ordering::SeqCst)
    }
}

/// Runs a command of the operator; returns what it printed, or fails with it.
pub fn operate(folder: &Path, arguments: &[&str]) -> String {
    operate_under(&Under::Nothing, folder, arguments)
}

/// The same with the program that this names.
pub fn operate_under(under: &Under, folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(under.program())
        .args(arguments)
        .current_dir(folder)
        .env_remove("EMBARGOD_CONFIG")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "embargod {}: {text}{errors}", arguments.join(" "));
    text
}

/// Checks the audit log of an installation that stands still, and that it holds one lift.
pub fn check_audit(folder: &Path) {
    let verdict = operate(folder, &["audit", "verify"]);
    assert!(verdict.contains("the chain is whole"), "{verdict}");
    let file = folder.join("audit.export");
    operate(folder, &["audit", "export", file.to_str().unwrap()]);
    let entries = std::fs::read_to_string(file).unwrap();
    let lifts = entries.lines().filter(|line| line.contains("\"lifted\"")).count();
    assert_eq!(lifts, 1, "{entries}");
}
