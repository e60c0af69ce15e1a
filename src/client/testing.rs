//! What the tests of this room share: a server that says what it was told to, and a program that only wraps.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::address::ServerAddress;
use super::profile::Profile;
use super::program::{OpenPgp, Own, OwnCertificate, ProgramError, ProgramKind, SealTrouble, ServerKey};
use super::session::Session;
use crate::clock::Clock;
use crate::entropy::Entropy;

/// A status, a media type and a body; status 0 closes the connection without an answer.
type Reply = (u16, &'static str, String);

/// A server that gives one prepared reply per connection, and remembers what it was asked.
pub(crate) struct Stub {
    at: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Stub {
    pub(crate) fn start(replies: impl FnOnce(&ServerAddress) -> Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let replies = replies(&format!("http://{at}").parse().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let thread = std::thread::spawn(move || {
            for reply in replies {
                let (mut stream, _) = listener.accept().unwrap();
                let Some(request) = read_request(&mut stream) else { return };
                seen.lock().unwrap().push(request);
                let (status, media_type, body) = reply;
                if status > 0 {
                    let head = format!(
                        "HTTP/1.1 {status} X\r\nContent-Type: {media_type}\r\nDate: Mon, 04 Jan 2027 12:00:00 GMT\r\nConnection: close\r\n"
                    );
                    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
                }
            }
        });
        Self { at, requests, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> ServerAddress {
        format!("http://{}", self.at).parse().unwrap()
    }

    /// Heads and bodies of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        // A reply that nobody asked for would otherwise be waited for.
        let thread = self.thread.take().unwrap();
        while !thread.is_finished() && TcpStream::connect(self.at).is_ok() {}
        thread.join().unwrap();
    }
}

fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).unwrap();
        if count == 0 {
            return None;
        }
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok()
        });
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}

/// A refusal as a reply.
pub(crate) fn problem(status: u16, title: &str, detail: &str) -> Reply {
    let body = serde_json::json!({ "type": "urn:embargod:problem:x", "title": title, "status": status, "detail": detail });
    (status, crate::wire::PROBLEM, body.to_string())
}

/// A sealed case.
pub(crate) fn case(id: &str) -> String {
    let case = serde_json::json!({
        "id": id, "stage": "draft", "version": 2, "fixes": [], "project": "widgetlib", "zone": "Europe/Berlin",
        "title": "t", "text": "title = \"t\"\n", "working_set": [], "waivers": [], "credits": [], "audience": [],
        "missing": [], "remarks": [],
    });
    format!("SEALED {case}")
}

/// A program that writes `SEALED ` before what it seals, and takes that for a seal.
pub(crate) struct FakeProgram;

impl OpenPgp for FakeProgram {
    fn kind(&self) -> ProgramKind {
        ProgramKind::Gpg
    }

    fn own_certificate(&self, _own: Own<'_>) -> Result<OwnCertificate, ProgramError> {
        Ok(OwnCertificate { fingerprint: "77AC".to_owned(), bytes: b"CERTIFICATE 77AC".to_vec() })
    }

    fn fingerprint(&self, bytes: &[u8]) -> Result<String, ProgramError> {
        Ok(String::from_utf8_lossy(bytes.strip_prefix(b"CERTIFICATE ").unwrap()).into_owned())
    }

    fn keep(&self, _certificate: &[u8]) -> Result<(), ProgramError> {
        Ok(())
    }

    fn decrypt(&self, message: &[u8]) -> Result<Vec<u8>, ProgramError> {
        let text = message.strip_prefix(b"SEALED ").map(<[u8]>::to_vec);
        text.ok_or(ProgramError::NotTheServer { trouble: SealTrouble::NotEncrypted })
    }

    fn open(&self, message: &[u8], _server: &ServerKey<'_>) -> Result<Vec<u8>, ProgramError> {
        self.decrypt(message)
    }

    fn seal(&self, text: &[u8], _own: &str, _server: &ServerKey<'_>) -> Result<Vec<u8>, ProgramError> {
        Ok([b"SEALED ", text].concat())
    }

    fn sign_detached(&self, bytes: &[u8], own: &str) -> Result<String, ProgramError> {
        Ok(format!("SIGNED {} by {own}", bytes.len()))
    }
}

/// A profile of somebody who is logged in.
pub(crate) fn profile(server: &str) -> Profile {
    Profile {
        server: server.to_owned(),
        token: Some("a-token-of-some-length".to_owned()),
        fingerprint: "77AC".to_owned(),
        server_fingerprint: "EF12".to_owned(),
        server_certificate: "CERTIFICATE EF12".to_owned(),
        program: ProgramKind::Gpg,
        gnupg_home: None,
        key_file: None,
        project: None,
    }
}

/// A session with the stub as its server.
pub(crate) fn session(stub: &Stub) -> Session {
    session_at(stub.address().as_str())
}

fn session_at(server: &str) -> Session {
    let (clock, _) = Clock::standing_at("2026-06-01T09:00:00Z".parse().unwrap());
    Session::new(profile(server), Box::new(FakeProgram), clock, Entropy::seeded(7), |_| ()).unwrap()
}
