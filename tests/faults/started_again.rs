//! A server that may not start itself again, as it does to set how memory is kept.

use crate::database::Kind;
use crate::fault::Target;
use crate::installation::Template;
use crate::relay::{Act, Relay};
use crate::server::{Server, Under, free_port};

/// The bit of the signal that whoever writes to a reader that went away is sent, in the words of `/proc/PID/status`.
const BROKEN_PIPE: u64 = 1 << (13 - 1);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_may_not_start_itself_again_outlives_whoever_read_its_log() {
    let template = Template::found(Kind::Sqlite).await;
    let place = template.copy().await;
    let relay = Relay::start(1, false, |_| Act::Go).await;
    let port = free_port();
    place.configure(0, &format!("http://127.0.0.1:{port}"), relay.door(0), None);
    let refused = Under::Strace { call: "execve", injection: "error=EACCES:when=2".to_owned() };
    let server = Server::start(&place.folder(0), port, &refused, &Target::default()).await.unwrap();
    let environment = std::fs::read(format!("/proc/{}/environ", server.pid)).unwrap();
    assert!(
        !String::from_utf8_lossy(&environment).contains("MALLOC_MMAP_THRESHOLD_"),
        "it was not refused to start itself again"
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid)).unwrap();
    let has = |word: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(word)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap() & BROKEN_PIPE != 0
    };
    assert!(has("SigIgn:") || has("SigCgt:"), "a log that nobody reads would end it");
    server.stop().await;
}
