//! Half an hour of ordinary work: what the process holds stays as it is.

use std::path::Path;
use std::time::Duration;

use embargod::clock::Clock;

use crate::database::Kind;
use crate::dice::Scale;
use crate::fault::Target;
use crate::harness::{Change, Client, Maintainer, Packager, Series, ordinary_text};
use crate::installation::{Place, Template, a_legal_date, settled};
use crate::patience::Since;
use crate::relay::{Act, Relay};
use crate::server::{Server, Under, free_port};

/// How many packagers each announcement goes to.
const PACKAGERS: usize = 50;
/// How many embargoes are announced, fetched and lifted between two samples.
const BETWEEN_SAMPLES: usize = 2;
/// What may be added from the second third to the last: connections and allocations come and go.
const MORE_FILES: u64 = 8;
const MORE_MEMORY: u64 = 8 << 20;
const MORE_LOG: u64 = 1 << 20;

/// What a process holds.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    /// Bytes of memory.
    memory: u64,
    /// Files and sockets.
    files: u64,
    /// Bytes of SQLite's write-ahead log.
    log: u64,
}

impl Sample {
    fn take(server: &Server, place: &Place) -> Self {
        let process = Path::new("/proc").join(server.pid.to_string());
        let status = std::fs::read_to_string(process.join("status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kibibytes: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
        let files = u64::try_from(std::fs::read_dir(process.join("fd")).unwrap().count()).unwrap();
        let log = std::fs::metadata(place.folder(0).join("state/embargod.sqlite-wal"));
        Self { memory: kibibytes << 10, files, log: log.map_or(0, |file| file.len()) }
    }

    /// The largest of each.
    fn largest(samples: &[Self]) -> Self {
        let of = |what: fn(&Self) -> u64| samples.iter().map(what).max().unwrap_or_default();
        Self {
            memory: of(|sample| sample.memory),
            files: of(|sample| sample.files),
            log: of(|sample| sample.log),
        }
    }
}

/// Announces an embargo to everybody, fetches it, lifts it, and waits until everybody was told.
async fn one_embargo(maintainer: &Maintainer, token: &str, date: &str, packager: &Packager, theirs: &str) {
    let readers = std::slice::from_ref(maintainer);
    let embargo = maintainer.opens(&ordinary_text()).await;
    maintainer.puts_fix(&embargo, "main", &Series::default().mbox()).await;
    maintainer.does(&Change::schedule(&embargo, date, None)).await.accepted();
    maintainer.does(&Change::send(&embargo, None, true)).await.accepted();
    settled(readers, token, &embargo, "announcement").await;
    let notice = format!("/api/v1/embargoes/{embargo}/revisions/1/notice");
    for _ in 0..PACKAGERS {
        assert!(!packager.fetches(theirs, &notice).await.is_empty());
    }
    maintainer.does(&Change::lift_early(&embargo, "it leaked")).await.accepted();
    settled(readers, token, &embargo, "lifted-early").await;
}

async fn soak(kind: Kind) {
    let minutes = u64::try_from(Scale::of_this_run().rounds(1, 30)).unwrap();
    let template = Template::found_for(kind, PACKAGERS, Under::Nothing).await;
    let place = template.copy().await;
    let relay = Relay::start(1, false, |_| Act::Go).await;
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    place.configure(0, &url, relay.door(0), None);
    let server = Server::start(&place.folder(0), port, &Under::Nothing, &Target::default()).await.unwrap();
    let client = Client::new(&url);
    let maintainer = template.maintainer(&client);
    let packager = template.packager(&client);
    let date = a_legal_date(&template, &maintainer).await;
    let began = Since::now();
    let mut samples = Vec::new();
    let mut embargoes = 0;
    while began.elapsed() < Duration::from_mins(minutes) {
        for _ in 0..BETWEEN_SAMPLES {
            one_embargo(&maintainer, &template.token, &date, &packager, &template.packager_token).await;
            embargoes += 1;
        }
        samples.push(Sample::take(&server, &place));
        if samples.len() % 10 == 0 {
            eprintln!(
                "soak, {kind:?}: {embargoes} embargoes after {:?}: {:?}",
                began.elapsed(),
                samples.last()
            );
        }
    }
    let third = samples.len() / 3;
    let (middle, last) =
        (Sample::largest(&samples[third..2 * third]), Sample::largest(&samples[2 * third..]));
    println!(
        "soak, {kind:?}: {minutes} minutes to {}, {embargoes} embargoes, {} mails, {} fetches; first {:?}; \
         at most {middle:?} in the second third, {last:?} in the last",
        Clock::System.now(),
        relay.kept().len(),
        embargoes * PACKAGERS,
        samples.first().unwrap(),
    );
    assert!(last.files <= middle.files + MORE_FILES, "it opens more and more files");
    assert!(last.memory <= middle.memory + MORE_MEMORY, "it takes more and more memory");
    assert!(last.log <= middle.log + MORE_LOG, "the write-ahead log grows");
    for (id, copies) in relay.kept() {
        assert_eq!(copies.digests.len(), 1, "{id} was sent twice");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_on_sqlite() {
    soak(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_on_postgresql() {
    soak(Kind::Postgres).await;
}
