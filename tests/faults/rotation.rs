//! The key-encryption key gets another in its place again and again, while everything else happens; every other
//! rotation is killed, and run again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use embargod::wire;

use crate::database::Kind;
use crate::dice::{Dice, Scale, play};
use crate::fault::Target;
use crate::harness::{Change, Client, ordinary_text};
use crate::installation::Template;
use crate::patience::Since;
use crate::relay::{Act, Relay};
use crate::server::{Server, Under, check_audit, free_port, operate, program};
use crate::story::Teller;
use crate::watcher::Watcher;

/// No rotation has so many durable points.
const POINTS: u64 = 40;

const ROTATE: &[&str] = &["key", "rotate"];
const PREPARE: &[&str] = &["key", "rotate", "--prepare"];
const FINISH: &[&str] = &["key", "rotate", "--finish"];

/// Runs a command that is killed when it makes its n-th durable point, if it comes to that.
fn killed_at(folder: &Path, arguments: &[&str], when: u64) {
    let calls = "fsync,fdatasync";
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("trace={calls}"))
        .arg("-e")
        .arg(format!("inject={calls}:signal=SIGKILL:when={when}"))
        .arg(program())
        .args(arguments)
        .current_dir(folder)
        .env_remove("EMBARGOD_CONFIG")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&status.stderr);
    assert!(status.status.success() || status.status.code().is_none_or(|code| code == 137), "{said}");
}

/// Takes another key into use until told to stop, on all machines; returns how often.
fn rotate(folders: &[PathBuf], dice: &Dice, stop: &AtomicBool) -> usize {
    let mut count = 0;
    let run = |arguments: &[&str]| {
        if dice.below(2) == 0 {
            killed_at(&folders[0], arguments, 1 + dice.below(POINTS));
        }
        operate(&folders[0], arguments);
    };
    // The others get the file as an operator copies it: at once, and never half.
    let copy = || {
        for other in &folders[1..] {
            let beside = other.join("state/kek.new");
            std::fs::copy(folders[0].join("state/kek"), &beside).unwrap();
            std::fs::rename(&beside, other.join("state/kek")).unwrap();
        }
    };
    while !stop.load(Ordering::SeqCst) {
        if folders.len() == 1 {
            run(ROTATE);
        } else {
            run(PREPARE);
            copy();
            run(FINISH);
            copy();
        }
        count += 1;
    }
    count
}

/// Opens embargoes everywhere and reads them everywhere, until told to stop: nobody is ever refused.
async fn work_all_the_time(template: &Template, bases: &[String], stop: &AtomicBool) -> usize {
    let clients: Vec<Client> = bases.iter().map(|base| Client::new(base)).collect();
    let maintainer = template.maintainer(&clients[0]);
    let text = toml::to_string(&ordinary_text()).unwrap();
    let opening = wire::OpenEmbargo { project: "requests".to_owned(), text: Some(text) };
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        for client in &clients {
            let change = Change::json("POST", "/api/v1/embargoes", &opening);
            let answer = client.command(&change.method, &change.path, maintainer.signed(&change)).await;
            assert_eq!(answer.status, 201, "{}", answer.text());
            let case: wire::CaseView = serde_json::from_slice(&maintainer.opened(&answer.body)).unwrap();
            for other in &clients {
                let path = format!("/api/v1/embargoes/{}", case.neutral.id);
                let read = other.get_as(&template.token, &path).await;
                assert_eq!(read.status, 200, "{}", read.text());
            }
            count += 1;
        }
    }
    count
}

/// What a round counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    rotations: usize,
    opened: usize,
    late_milliseconds: i64,
}

async fn round(template: Arc<Template>, replicas: usize, seed: u64) -> Counted {
    let place = template.copy().await;
    let relay = Relay::start(replicas, false, |_| Act::Go).await;
    let ports: Vec<u16> = (0..replicas).map(|_| free_port()).collect();
    let bases: Vec<String> = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    let folders: Vec<PathBuf> = (0..replicas).map(|replica| place.folder(replica)).collect();
    let mut servers = Vec::new();
    for (replica, port) in ports.iter().enumerate() {
        place.configure(replica, &bases[0], relay.door(replica), None);
        let started = Server::start(&folders[replica], *port, &Under::Nothing, &Target::default()).await;
        servers.push(started.unwrap());
    }
    let stop = Arc::<AtomicBool>::default();
    let rotating = {
        let (folders, stop) = (folders.clone(), Arc::clone(&stop));
        tokio::task::spawn_blocking(move || rotate(&folders, &Dice::of(seed), &stop))
    };
    let working = {
        let (template, bases, stop) = (Arc::clone(&template), bases.clone(), Arc::clone(&stop));
        tokio::spawn(async move { work_all_the_time(&template, &bases, &stop).await })
    };
    let watcher = Watcher::start(&bases, &template.public_paths, replicas);
    let mut teller = Teller::new(&template, &bases[0], &bases);
    let told = teller.tell().await;
    watcher.until_public().await;
    teller.check(&told, &relay, || 0).await;
    stop.store(true, Ordering::SeqCst);
    let rotations = rotating.await.unwrap();
    let opened = working.await.unwrap();
    for server in servers {
        server.stop().await;
    }
    // Whoever starts with the last key alone has everything.
    let last = Server::start(&folders[0], ports[0], &Under::Nothing, &Target::default()).await.unwrap();
    teller.check(&told, &relay, || 0).await;
    last.stop().await;
    let (_, first) = watcher.end().await;
    let first = first.unwrap();
    assert!(first >= told.lifts_at, "it was public at {first}, and promised for {}", told.lifts_at);
    tokio::task::block_in_place(|| check_audit(&folders[0]));
    Counted { rotations, opened, late_milliseconds: (first - told.lifts_at).num_milliseconds() }
}

async fn rounds(kind: Kind, replicas: usize) {
    let scale = Scale::of_this_run();
    let template = Arc::new(Template::found(kind).await);
    let began = Since::now();
    let mut all = Counted::default();
    let count = scale.rounds(1, 50);
    let play_one = |number, seed| {
        eprintln!("{kind:?} rotations, round {number} of seed {seed}");
        round(Arc::clone(&template), replicas, seed)
    };
    play(scale, count, play_one, |counted| {
        all.rotations += counted.rotations;
        all.opened += counted.opened;
        all.late_milliseconds = all.late_milliseconds.max(counted.late_milliseconds);
        true
    })
    .await;
    println!(
        "rotation, {kind:?}: {count} rounds from seed {}, {} rotations, {} embargoes opened meanwhile, nobody refused: \
         0 early, 0 lost; at most {} ms late; {:?}",
        scale.seed,
        all.rotations,
        all.opened,
        all.late_milliseconds,
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_key_takes_over_while_everything_happens_on_sqlite() {
    rounds(Kind::Sqlite, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_key_takes_over_while_everything_happens_on_two_replicas() {
    rounds(Kind::Postgres, 2).await;
}
