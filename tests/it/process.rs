//! The real program, from outside: how it ends, and which databases it refuses.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use diesel::connection::SimpleConnection as _;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::corruption::{connect, words};
use crate::harness::person;

/// An installation made by `embargod init`.
struct Installation {
    folder: TempDir,
}

impl Installation {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ada = folder.path().join("ada.asc");
        std::fs::write(&ada, person("Ada", "ada@requests.example").certificate().to_armored()).unwrap();
        let installation = Self { folder };
        let made = installation.run(&[
            "init",
            "--project",
            "requests",
            "--preset",
            "requests",
            "--maintainer",
            "ada.asc",
        ]);
        assert!(made.status.success(), "{}", said(&made));
        installation
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("state/embargod.sqlite")
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_embargod"));
        command.args(line).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, line: &[&str]) -> Output {
        self.command(line).output().unwrap()
    }

    /// A server that answers, where it does, and what it logs from then on.
    fn serve(&self) -> (Child, String, BufReader<std::process::ChildStderr>) {
        self.serve_with(None)
    }

    /// The same with one more variable in its environment.
    fn serve_with(
        &self,
        variable: Option<(&str, &str)>,
    ) -> (Child, String, BufReader<std::process::ChildStderr>) {
        let mut server = self
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .envs(variable)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        let log = BufReader::new(server.stderr.take().unwrap());
        (server, address, log)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn terminate(child: &Child) {
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
}

fn until(log: &mut BufReader<std::process::ChildStderr>, word: &str) {
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the log ended without {word:?}");
    }
}

/// A request of which half has arrived.
fn half_a_request(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /api/v1/challenges HTTP/1.1\r\nHost: {address}\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server asks for the rest: from here on the request is in its hands.
    let mut asked = [0; 12];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    stream.write_all(b"half").unwrap();
    stream
}

#[test]
#[cfg(target_env = "gnu")]
fn a_server_gives_the_memory_of_large_messages_back_unless_it_was_told_how_to_keep_it() {
    let installation = Installation::new();
    let threshold = "MALLOC_MMAP_THRESHOLD_";
    // The last is what is left for a program with more rights than whoever starts it: it does not start for ever.
    let again = ("EMBARGOD_STARTED_AGAIN", "1");
    for (told, expected) in
        [(None, Some("262144")), (Some((threshold, "1000000")), Some("1000000")), (Some(again), None)]
    {
        let (mut server, _, _log) = installation.serve_with(told);
        let environment = std::fs::read(format!("/proc/{}/environ", server.id())).unwrap();
        let environment: Vec<_> = environment.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        let found = environment.iter().find_map(|word| word.strip_prefix(threshold)?.strip_prefix('='));
        assert_eq!(found, expected);
        let words = std::fs::read(format!("/proc/{}/cmdline", server.id())).unwrap();
        let words: Vec<_> = words.split(|byte| *byte == 0).skip(1).map(String::from_utf8_lossy).collect();
        assert_eq!(words, ["serve", "--listen", "127.0.0.1:0", ""]);
        let called = std::fs::read_to_string(format!("/proc/{}/comm", server.id())).unwrap();
        assert_eq!(called, "embargod\n", "it is found by its name");
        terminate(&server);
        assert_eq!(server.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_server_that_is_told_to_stop_finishes_the_request_in_its_hands_and_ends_with_zero() {
    let installation = Installation::new();
    let (mut server, address, mut log) = installation.serve();
    let mut request = half_a_request(&address);
    terminate(&server);
    until(&mut log, "stopping");
    request.write_all(b"half").unwrap();
    let mut answer = String::new();
    request.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 400"), "{answer}");
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn nothing_is_migrated_under_a_server_that_works() {
    let installation = Installation::new();
    let (mut server, _, _log) = installation.serve();
    let mut database = connect(&installation.database());
    // What an older server works on looks so to a newer program.
    database
        .batch_execute(
            "DELETE FROM __diesel_schema_migrations WHERE version = (SELECT max(version) FROM __diesel_schema_migrations)",
        )
        .unwrap();
    for line in [&["packager", "list"][..], &["migrate"], &["serve", "--check"], &["restore", "none.jsonl"]] {
        let output = installation.run(line);
        assert_eq!(output.status.code(), Some(1), "{line:?}: {}", said(&output));
        assert!(said(&output).contains("a server works on"), "{line:?}: {}", said(&output));
        assert!(said(&output).contains("of an older version"), "{line:?}: {}", said(&output));
    }
    terminate(&server);
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn one_server_works_on_a_file_and_nobody_copies_it_meanwhile() {
    let installation = Installation::new();
    let (mut server, address, _log) = installation.serve();
    let copy = ["copy", "--to", "copied.sqlite"];
    // One that came so far would end as well: its address is taken.
    for line in [&["serve", "--listen", &address][..], &copy] {
        let output = installation.run(line);
        assert_eq!(output.status.code(), Some(1), "{line:?}: {}", said(&output));
        assert!(said(&output).contains("a server works on"), "{line:?}: {}", said(&output));
        assert!(said(&output).contains("stop it first"), "{line:?}: {}", said(&output));
    }
    // By another name, and whatever is tidied away beside it.
    let state = installation.folder.path().join("state");
    std::os::unix::fs::symlink("embargod.sqlite", state.join("alias.sqlite")).unwrap();
    std::fs::hard_link(state.join("embargod.sqlite"), state.join("second.sqlite")).unwrap();
    let config = std::fs::read_to_string(installation.folder.path().join("embargod.toml")).unwrap();
    for name in ["embargod", "alias", "second"] {
        let _ = std::fs::remove_file(state.join("embargod.sqlite.lock"));
        let config = config.replace("state/embargod.sqlite", &format!("state/{name}.sqlite"));
        std::fs::write(installation.folder.path().join("named.toml"), config).unwrap();
        for line in [&["serve", "--listen", &address][..], &copy] {
            let output = installation.run(&[&["--config", "named.toml"], line].concat());
            assert!(said(&output).contains("a server works on"), "{name}: {}", said(&output));
        }
    }
    for line in [&["serve", "--check"][..], &["backup", "--to", "beside.pgp"], &["doctor"]] {
        assert!(!said(&installation.run(line)).contains("a server works on"), "{line:?}");
    }
    // However it ended.
    server.kill().unwrap();
    server.wait().unwrap();
    let output = installation.run(&copy);
    assert!(output.status.success(), "{}", said(&output));
}

/// The answer to GET, head and all.
fn answer(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_rotation_waits_for_a_server_that_was_given_its_key_when_it_started() {
    let installation = Installation::new();
    let place = installation.folder.path();
    // As a service manager hands it out: a copy, made at the start.
    let hand_out = |folder: &str| {
        std::fs::create_dir_all(place.join(folder)).unwrap();
        let _ = std::fs::remove_file(place.join(folder).join("kek"));
        std::fs::copy(place.join("operator/kek"), place.join(folder).join("kek")).unwrap();
    };
    std::fs::create_dir(place.join("operator")).unwrap();
    std::fs::rename(place.join("state/kek"), place.join("operator/kek")).unwrap();
    hand_out("service");
    let variable = |folder: &str| place.join(folder).to_str().unwrap().to_owned();
    let (service, operator) = (variable("service"), variable("operator"));
    let rotate = || {
        let mut command = installation.command(&["key", "rotate"]);
        command.env("CREDENTIALS_DIRECTORY", &operator).output().unwrap()
    };
    let (server, address, _log) = installation.serve_with(Some(("CREDENTIALS_DIRECTORY", &service)));
    let refused = rotate();
    assert!(!refused.status.success(), "{}", said(&refused));
    assert!(said(&refused).contains("a running server does not have"), "{}", said(&refused));
    assert!(answer(&address, "/readyz").starts_with("HTTP/1.1 200"), "nothing was changed");
    end(server);

    // Started again it gets the file as it is now, and the same command goes on.
    hand_out("service");
    let (server, address, _log) = installation.serve_with(Some(("CREDENTIALS_DIRECTORY", &service)));
    let done = rotate();
    assert!(done.status.success(), "{}", said(&done));
    assert!(answer(&address, "/readyz").starts_with("HTTP/1.1 200"));
    end(server);

    // Where the file is another one than the server was given, the server says so.
    hand_out("service");
    let (server, address, _log) = installation.serve_with(Some(("CREDENTIALS_DIRECTORY", &service)));
    let config = std::fs::read_to_string(place.join("embargod.toml")).unwrap();
    std::fs::write(place.join("other.toml"), config.replace("state/kek", "operator/kek")).unwrap();
    let unseen = installation.run(&["--config", "other.toml", "key", "rotate"]);
    assert!(unseen.status.success(), "{}", said(&unseen));
    let unready = answer(&address, "/readyz");
    assert!(unready.contains("is not in this server's key file"), "{unready}");
    end(server);
}

fn end(mut server: Child) {
    terminate(&server);
    assert!(server.wait().unwrap().success());
}

#[test]
fn a_server_whose_neighbour_stopped_in_the_middle_of_its_memory_answers_and_says_so() {
    let installation = Installation::new();
    let state = installation.folder.path().join("state");
    let lock = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(state.join("anchor.lock"))
        .unwrap();
    lock.lock().unwrap();
    let (server, address, mut log) = installation.serve();
    until(&mut log, "another server has held it for too long");
    assert!(answer(&address, "/readyz").contains("cannot be remembered outside the database"));
    lock.unlock().unwrap();
    until(&mut log, "is remembered outside the database again");
    end(server);
}

#[test]
fn what_is_ended_and_cannot_be_remembered_outside_the_database_is_no_success() {
    let installation = Installation::new();
    let state = installation.folder.path().join("state");
    std::fs::create_dir(state.join("revocations")).unwrap();
    let person = person("Debian", "security@debian.example").certificate().to_armored();
    std::fs::write(installation.folder.path().join("debian.asc"), person).unwrap();
    let add =
        ["packager", "add", "debian", "--contact", "security@debian.example", "--certificate", "debian.asc"];
    let added = installation.run(&[&add[..], &["--project", "requests"]].concat());
    assert!(added.status.success(), "{}", said(&added));
    let removed = installation.run(&["packager", "remove", "debian"]);
    assert_eq!(removed.status.code(), Some(1), "{}", said(&removed));
    assert!(said(&removed).contains("it is ended, and not remembered"), "{}", said(&removed));
}

#[test]
fn a_copy_is_not_made_where_it_would_be_gone_and_is_named_so_that_it_is_found() {
    let installation = Installation::new();
    for nowhere in [":memory:", "sqlite::memory:", "file:x?mode=memory", ""] {
        let output = installation.run(&["copy", "--to", nowhere]);
        assert!(!output.status.success() && said(&output).contains("names no file"), "{}", said(&output));
    }
    let output = installation.run(&["copy", "--to", "copied.sqlite"]);
    let copied = installation.folder.path().canonicalize().unwrap().join("copied.sqlite");
    assert!(said(&output).contains(&format!("url = \"{}\"", copied.display())), "{}", said(&output));
}

#[test]
fn a_second_signal_ends_a_server_that_still_waits() {
    let installation = Installation::new();
    let (mut server, address, mut log) = installation.serve();
    let request = half_a_request(&address);
    terminate(&server);
    until(&mut log, "stopping");
    terminate(&server);
    assert_eq!(server.wait().unwrap().code(), Some(1));
    drop(request);
}

#[test]
fn a_rehearsal_that_is_told_to_stop_leaves_no_folder_behind() {
    let place = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_embargod"))
        .args(["demo", "--port", "0"])
        .env("TMPDIR", place.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut screen = BufReader::new(demo.stdout.take().unwrap());
    let mut line = String::new();
    while std::fs::read_dir(place.path()).unwrap().count() == 0 {
        assert!(screen.read_line(&mut line).unwrap() > 0, "it ended without a folder: {line}");
    }
    terminate(&demo);
    let code = demo.wait().unwrap().code();
    assert!(code.is_some(), "it was killed instead of ending");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

const COMMANDS: [&[&str]; 9] = [
    &["serve"],
    &["serve", "--check"],
    &["migrate"],
    &["doctor"],
    &["token", "list"],
    &["audit", "verify"],
    &["key", "list"],
    &["key", "rotate"],
    &["project", "list"],
];

#[test]
fn a_database_that_a_newer_program_changed_is_used_if_it_says_so_and_refused_by_every_command_if_not() {
    let installation = Installation::new();
    let mut database = connect(&installation.database());
    database
        .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')")
        .unwrap();
    for line in [&["serve", "--check"][..], &["migrate"], &["audit", "verify"]] {
        let output = installation.run(line);
        assert!(output.status.success(), "{line:?}: {}", said(&output));
    }
    database
        .batch_execute(
            "UPDATE settings SET value = CAST('29990101000000' AS BLOB) WHERE name = 'oldest-compatible'",
        )
        .unwrap();
    for line in COMMANDS {
        let output = installation.run(line);
        assert_eq!(output.status.code(), Some(1), "{line:?}: {}", said(&output));
        let sentence =
            "holds migration 29990101000000, which this version does not know: run the newer embargod";
        assert!(said(&output).contains(sentence), "{line:?}: {}", said(&output));
    }
    let copies = std::fs::read_dir(installation.folder.path().join("state")).unwrap();
    let copies =
        copies.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".schema-"));
    assert_eq!(copies.count(), 0, "what is refused is not copied");
}

#[test]
fn a_database_file_that_was_cut_off_is_refused_with_a_sentence() {
    let installation = Installation::new();
    let file = installation.database();
    assert_eq!(
        words(&mut connect(&file), "SELECT journal_mode AS one, '' AS two FROM pragma_journal_mode")[0].0,
        "wal"
    );
    connect(&file).batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let whole = std::fs::read(&file).unwrap();
    for length in [whole.len() / 2, 50] {
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
        std::fs::write(&file, &whole[..length]).unwrap();
        // Each waits a while for a connection before it gives up.
        for line in [&["serve"][..], &["doctor"]] {
            let output = installation.run(line);
            assert_eq!(output.status.code(), Some(1), "{length} bytes, {line:?}: {}", said(&output));
            assert!(!said(&output).contains("panicked"), "{length} bytes, {line:?}: {}", said(&output));
        }
    }
}

#[test]
fn numbers_are_told_where_the_configuration_says_and_nowhere_if_it_does_not() {
    let installation = Installation::new();
    let path = installation.folder.path().join("embargod.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{before}\n[metrics]\nlisten = \"127.0.0.1:0\"\n")).unwrap();
    let mut server = installation
        .command(&["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let addresses = [lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap()];
    let ask = |line: &str| {
        let address = line.split("http://").nth(1).unwrap().split(['/', ' ']).next().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let [numbers, public] = addresses.each_ref().map(|line| ask(line));
    assert!(numbers.contains("\nembargod_ready 1\n"), "{addresses:?} {numbers}");
    assert!(public.starts_with("HTTP/1.1 404") && !public.contains("embargod_ready"), "{public}");
    terminate(&server);
    assert_eq!(server.wait().unwrap().code(), Some(0));

    let refused = installation.run(&["serve", "--listen", "127.0.0.1:9", "--metrics", "127.0.0.1:9"]);
    assert!(said(&refused).contains("numbers are not for the public"), "{}", said(&refused));
}
