//! Clocks that jump: a replica that lives in the future lifts nothing, and doubt never lifts early.
//!
//! The server's wall clock is libfaketime's, and the test moves it while the server runs. The monotonic clock stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Duration, SubsecRound as _, Utc};
use embargod::clock::Clock;
use embargod::wire;

use crate::database::Kind;
use crate::dice::{Dice, Scale, play};
use crate::fault::Target;
use crate::harness::{Change, Client, Maintainer, Series, ordinary_text};
use crate::installation::{Place, Template, a_legal_date};
use crate::patience::Since;
use crate::relay::{Act, Relay};
use crate::server::{Server, Under, free_port};

/// How far clocks jump, in seconds: within the tolerated, just beyond it, and to where no clock belongs.
const JUMPS: [i64; 14] =
    [1, 59, 61, 121, 3_600, 86_400, 2_592_000, 315_360_000, -1, -59, -61, -121, -3_600, -86_400];
/// How long a lift may take after the last doubt is over.
const SOON: Duration = Duration::seconds(60);

/// How long somebody who watches rests between two looks.
const BETWEEN: std::time::Duration = std::time::Duration::from_millis(10);

/// A server whose wall clock can be moved.
struct Traveller {
    server: Server,
    file: PathBuf,
    base: String,
}

impl Traveller {
    async fn start(place: &Place, replica: usize, port: u16, url: &str, relay: &Relay) -> Self {
        place.configure(replica, url, relay.door(0), None);
        let folder = place.folder(replica);
        let file = folder.join("clock");
        set(&file, 0);
        let under = Under::Faketime(file.clone());
        let server = Server::start(&folder, port, &under, &Target::default()).await.unwrap();
        Self { server, file, base: format!("http://127.0.0.1:{port}") }
    }

    /// Stopped and started with its clock as it is.
    async fn again(self, place: &Place, port: u16) -> Self {
        self.server.stop().await;
        let under = Under::Faketime(self.file.clone());
        let server = Server::start(&place.folder(0), port, &under, &Target::default()).await.unwrap();
        Self { server, ..self }
    }

    fn jump(&self, seconds: i64) {
        set(&self.file, seconds);
    }
}

/// Puts the clock this many seconds beside the true time, at once.
fn set(file: &Path, seconds: i64) {
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, format!("{seconds:+}\n")).unwrap();
    std::fs::rename(fresh, file).unwrap();
}

/// An embargo that everybody was told of, and that is lifted early at an instant from now.
async fn due_at(maintainer: &Maintainer, date: &str, ahead: Duration) -> (String, DateTime<Utc>) {
    let embargo = maintainer.opens(&ordinary_text()).await;
    maintainer.puts_fix(&embargo, "main", &Series::default().mbox()).await;
    maintainer.does(&Change::schedule(&embargo, date, None)).await.accepted();
    maintainer.does(&Change::send(&embargo, None, true)).await.accepted();
    let lifts_at = (Clock::System.now() + ahead).trunc_subsecs(0);
    let early = wire::LiftEarly { reason: "it leaked".to_owned(), at: Some(lifts_at.to_rfc3339()) };
    let path = format!("/api/v1/embargoes/{embargo}/lift-early");
    maintainer.does(&Change::json("POST", path, &early)).await.accepted();
    (embargo, lifts_at)
}

/// Watches an embargo on a server whose clock is right; returns when it was seen lifted.
async fn seen_lifted(
    client: &Client,
    token: &str,
    embargo: &str,
    lifts_at: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let path = format!("/api/v1/embargoes/{embargo}");
    while Clock::System.now() < until {
        let lifted =
            match client.try_call("GET", &path, &[("authorization", &format!("Bearer {token}"))], None).await
            {
                Ok(response) if response.status == 200 => {
                    response.json::<wire::NeutralEmbargo>().advisory.is_some()
                }
                _ => false,
            };
        let now = Clock::System.now();
        if lifted {
            assert!(now >= lifts_at, "it was lifted at {now}, and promised for {lifts_at}");
            return Some(now);
        }
        tokio::time::sleep(BETWEEN).await;
    }
    None
}

/// Three replicas on one database.
struct Trio {
    place: Place,
    relay: Relay,
    replicas: Vec<Traveller>,
    client: Client,
    maintainer: Maintainer,
    date: String,
}

/// What the rounds of a trio counted.
#[derive(Clone, Copy, Debug, Default)]
struct Calm {
    held: usize,
    latest: Duration,
}

impl Trio {
    async fn start(template: &Template) -> Self {
        let place = template.copy().await;
        let relay = Relay::start(1, false, |_| Act::Go).await;
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let url = format!("http://127.0.0.1:{}", ports[0]);
        let mut replicas = Vec::new();
        for (replica, port) in ports.iter().enumerate() {
            replicas.push(Traveller::start(&place, replica, *port, &url, &relay).await);
        }
        let client = Client::new(&url);
        let maintainer = template.maintainer(&client);
        let date = a_legal_date(template, &maintainer).await;
        Self { place, relay, replicas, client, maintainer, date }
    }

    async fn round(&self, token: &str, number: usize, seed: u64, calm: &mut Calm) {
        let dice = Dice::of(seed);
        let (embargo, lifts_at) = due_at(&self.maintainer, &self.date, Duration::seconds(3)).await;
        // Now and then all of them jump together, so that nobody is left who could lift.
        let everybody = number % 6 == 5;
        let offset = Duration::milliseconds(i64::try_from(dice.below(1_800)).unwrap() - 1_800);
        Clock::System.wait_until(lifts_at + offset).await;
        let jumps: Vec<i64> = if everybody {
            let far: Vec<i64> = JUMPS.into_iter().filter(|jump| jump.abs() > 120).collect();
            vec![*dice.one_of(&far); 3]
        } else {
            vec![0, *dice.one_of(&JUMPS), *dice.one_of(&JUMPS)]
        };
        eprintln!(
            "clocks round {number} of seed {seed}: {jumps:?} s, {} ms before the lift",
            -offset.num_milliseconds()
        );
        for (replica, jump) in self.replicas.iter().zip(&jumps) {
            replica.jump(*jump);
        }
        if everybody {
            // It may have been lifted in the moment between its instant and the jump, but not in doubt.
            let until = lifts_at + Duration::seconds(4);
            let doubted = seen_lifted(&self.client, token, &embargo, lifts_at, until).await;
            calm.held += usize::from(doubted.is_none());
            for replica in &self.replicas {
                replica.jump(0);
            }
        }
        let calm_since = Clock::System.now().max(lifts_at);
        let public = seen_lifted(&self.client, token, &embargo, lifts_at, calm_since + SOON).await;
        let public = public.unwrap_or_else(|| {
            let reasons: Vec<String> = self.replicas.iter().map(|replica| replica.server.log()).collect();
            panic!("{embargo} was not lifted within {SOON}: {}", reasons.join("\n--\n"))
        });
        calm.latest = calm.latest.max(public - calm_since);
        for replica in &self.replicas {
            replica.jump(0);
        }
    }

    async fn end(self) {
        for replica in self.replicas {
            replica.server.stop().await;
        }
        for (id, copies) in self.relay.kept() {
            assert_eq!(copies.digests.len(), 1, "{id} was sent twice because a clock jumped");
        }
        drop(self.place);
    }
}

/// How many rounds the replicas of one trio live through.
const LIFE: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_whose_clocks_jump_never_lift_early_and_lift_when_calm() {
    let scale = Scale::of_this_run();
    let template = Arc::new(Template::found(Kind::Postgres).await);
    let began = Since::now();
    let lives = scale.rounds(6, 1_000).div_ceil(LIFE);
    let mut all = Calm::default();
    let live = |life: usize, _| {
        let template = Arc::clone(&template);
        async move {
            let trio = Trio::start(&template).await;
            let mut calm = Calm::default();
            for number in life * LIFE..(life + 1) * LIFE {
                let seed = scale.seed + u64::try_from(number).unwrap();
                trio.round(&template.token, number, seed, &mut calm).await;
            }
            trio.end().await;
            calm
        }
    };
    play(scale, lives, live, |calm: Calm| {
        all.held += calm.held;
        all.latest = all.latest.max(calm.latest);
        true
    })
    .await;
    println!(
        "clocks: {} rounds from seed {}: 0 early, {} held while all clocks were wrong, all lifted, at most {} ms after \
         the last doubt; {:?}",
        lives * LIFE,
        scale.seed,
        all.held,
        all.latest.num_milliseconds(),
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_single_server_whose_clock_jumps_ahead_waits_for_calm() {
    let scale = Scale::of_this_run();
    let template = Template::found(Kind::Sqlite).await;
    let rounds = scale.rounds(1, 40);
    for (number, seed) in (0..rounds).zip(scale.seed..) {
        let dice = Dice::of(seed);
        let far: Vec<i64> = JUMPS.into_iter().filter(|jump| *jump > 120).collect();
        let jump = *dice.one_of(&far);
        eprintln!("a single clock, round {number} of seed {seed}: {jump} s");
        let place = template.copy().await;
        let relay = Relay::start(1, false, |_| Act::Go).await;
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let traveller = Traveller::start(&place, 0, port, &url, &relay).await;
        let client = Client::new(&traveller.base);
        let maintainer = template.maintainer(&client);
        let date = a_legal_date(&template, &maintainer).await;
        let (embargo, lifts_at) = due_at(&maintainer, &date, Duration::seconds(6)).await;
        traveller.jump(jump);
        // Whoever starts it again, with a clock that is as wrong, ends no doubt.
        let traveller = if number % 2 == 0 { traveller.again(&place, port).await } else { traveller };
        // The token may have expired by that clock, so the public page is asked.
        let home = Client::new(&url);
        while Clock::System.now() < lifts_at - Duration::seconds(1) {
            let page = home.get("/").await.text();
            assert!(!page.contains("/advisories/"), "it was lifted while the clock was {jump} s ahead");
        }
        traveller.jump(0);
        let until = lifts_at + SOON;
        let seen = seen_lifted(&client, &template.token, &embargo, lifts_at, until).await;
        assert!(seen.is_some(), "it was not lifted after calm: {}", traveller.server.log());
        traveller.server.stop().await;
    }
    println!("a single clock: {rounds} rounds from seed {}: 0 early, all lifted after calm", scale.seed);
}
