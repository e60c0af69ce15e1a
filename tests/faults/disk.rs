//! A disk that is full over the instant of the lift.

use chrono::{Duration, SubsecRound as _};
use embargod::clock::Clock;
use embargod::wire;

use crate::database::{Kind, copy_folder};
use crate::dice::Scale;
use crate::fault::Target;
use crate::harness::{Change, Client};
use crate::installation::Template;
use crate::relay::{Act, Relay};
use crate::server::{Server, Under, check_audit, free_port};
use crate::watcher::Watcher;

/// How long after the instant there is still no space.
const FULL: Duration = Duration::seconds(3);
/// How long a lift may take once there is space again.
const SOON: Duration = Duration::seconds(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lift_that_meets_a_full_disk_happens_once_when_there_is_space() {
    let scale = Scale::of_this_run();
    let template = Template::found(Kind::Sqlite).await;
    let rounds = scale.rounds(1, 20);
    let mut latest = Duration::zero();
    for number in 0..rounds {
        eprintln!("full disk, round {number}");
        let place = template.copy().await;
        let relay = Relay::start(1, false, |_| Act::Go).await;
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        place.configure(0, &url, relay.door(0), None);
        let folder = place.folder(0);
        let server = Server::start(&folder, port, &Under::SmallDisk, &Target::default()).await.unwrap();
        let client = Client::new(&url);
        let maintainer = template.maintainer(&client);
        let watcher = Watcher::start(std::slice::from_ref(&url), &template.public_paths, 2);

        let lifts_at = (Clock::System.now() + Duration::seconds(4)).trunc_subsecs(0);
        let early = wire::LiftEarly { reason: "it leaked".to_owned(), at: Some(lifts_at.to_rfc3339()) };
        let path = format!("/api/v1/embargoes/{}/lift-early", template.embargo);
        maintainer.does(&Change::json("POST", path, &early)).await.accepted();
        // The small disk is mounted for the server alone; this is its view.
        let filler = format!("/proc/{}/root{}/state/filler", server.pid, folder.display());
        fill(&filler);
        assert_eq!(client.get("/readyz").await.status, 503, "it says so before anything could not be stored");
        Clock::System.wait_until(lifts_at + FULL).await;
        assert!(!client.get("/").await.text().contains("/advisories/"), "it was published on a full disk");
        until_ready_says(&client, 503).await;
        assert!(!client.get("/").await.text().contains("/advisories/"), "it was published on a full disk");
        std::fs::remove_file(&filler).unwrap();
        let freed = Clock::System.now();
        let public = tokio::time::timeout(SOON.to_std().unwrap(), watcher.until_public()).await;
        assert!(public.is_ok(), "there is space, and nothing is lifted: {}", server.log());
        latest = latest.max(Clock::System.now() - freed);
        watcher.end().await;
        until_ready_says(&client, 200).await;
        // The small disk goes with the server, so what is on it is copied first.
        let after = tempfile::tempdir().unwrap();
        let state = format!("/proc/{}/root{}/state", server.pid, folder.display());
        copy_folder(std::path::Path::new(&state), &after.path().join("state"));
        std::fs::copy(folder.join("embargod.toml"), after.path().join("embargod.toml")).unwrap();
        check_audit(after.path());
        server.stop().await;
    }
    println!(
        "full disk: {rounds} rounds: nothing half, each lifted once, at most {} ms after there was space",
        latest.num_milliseconds()
    );
}

/// Waits until whoever watches the server is told this.
async fn until_ready_says(client: &Client, status: u16) {
    let asks = async { while client.get("/readyz").await.status != status {} };
    assert!(tokio::time::timeout(SOON.to_std().unwrap(), asks).await.is_ok(), "/readyz never says {status}");
}

/// Writes until nothing more fits.
fn fill(path: &str) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
