//! A new date, a cancellation or a revision at the very instant of the lift: what was answered holds.

use std::sync::Arc;

use chrono::{DateTime, Duration, SubsecRound as _, Utc};
use embargod::clock::Clock;
use embargod::wire;

use crate::database::Kind;
use crate::dice::{Dice, Scale, play};
use crate::fault::Target;
use crate::harness::{Change, Client, Maintainer, Response, Series, ordinary_text};
use crate::installation::{Template, a_legal_date, read};
use crate::patience::Since;
use crate::relay::{Act, Relay};
use crate::server::{Server, Under, free_port};

/// How many embargoes are due at the same instant.
const TOGETHER: usize = 10;

/// What races against a lift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rival {
    NewDate,
    Cancellation,
    Revision,
}

struct Racer {
    embargo: String,
    rival: Rival,
    response: Response,
}

async fn accepted(maintainer: &Maintainer, change: &Change) {
    maintainer.does(change).await.accepted();
}

/// An embargo that everybody was told of, with a second fix waiting in the working set if the rival needs one.
async fn announced(maintainer: &Maintainer, later: &str, rival: Rival) -> String {
    let embargo = maintainer.opens(&ordinary_text()).await;
    maintainer.puts_fix(&embargo, "main", &Series::default().mbox()).await;
    accepted(maintainer, &Change::schedule(&embargo, later, None)).await;
    accepted(maintainer, &Change::send(&embargo, None, true)).await;
    if rival == Rival::Revision {
        let better = Series::with_line("    return old.host == new.host").mbox();
        maintainer.puts_fix(&embargo, "main", &better).await;
    }
    embargo
}

async fn race(
    maintainer: Maintainer,
    client: Client,
    embargo: String,
    rival: Rival,
    lifts_at: DateTime<Utc>,
    offset: Duration,
    later: String,
) -> Racer {
    let early = wire::LiftEarly { reason: "it leaked".to_owned(), at: Some(lifts_at.to_rfc3339()) };
    let path = format!("/api/v1/embargoes/{embargo}/lift-early");
    accepted(&maintainer, &Change::json("POST", path, &early)).await;
    let change = match rival {
        Rival::NewDate => Change::schedule(&embargo, &later, Some("it was no leak")),
        Rival::Cancellation => Change::cancel(&embargo, "it is no vulnerability"),
        Rival::Revision => Change::send(&embargo, Some("a better fix"), true),
    };
    let message = maintainer.signed(&change);
    Clock::System.wait_until(lifts_at + offset).await;
    let response = client.command(&change.method, &change.path, message).await;
    Racer { embargo, rival, response }
}

/// What was answered, and what became of it.
async fn judge(racer: &Racer, maintainer: &Maintainer, token: &str, client: &Client) -> bool {
    let case: wire::CaseView =
        read(std::slice::from_ref(maintainer), token, &format!("/api/v1/embargoes/{}", racer.embargo)).await;
    let won = racer.response.status < 300;
    // A server that has too much to do says so, and then it did nothing.
    let status = racer.response.status;
    assert!(won || status < 500 || status == 503, "{:?}: {}", racer.rival, racer.response.text());
    let lifted = case.neutral.advisory.is_some();
    match racer.rival {
        Rival::NewDate | Rival::Cancellation => {
            assert_eq!(lifted, !won, "{:?} was answered {status}", racer.rival);
        }
        Rival::Revision => {
            let advisory = case.neutral.advisory.unwrap();
            let published = client.get(&format!("/advisories/{advisory}/main.mbox")).await.text();
            let has_newer = published.contains("old.host == new.host");
            assert_eq!(has_newer, won, "the lift published another revision than was answered");
        }
    }
    won
}

/// A batch of races on a server of its own; returns how many were answered in time, and how many too late.
async fn batch(template: Arc<Template>, kind: Kind, number: usize, seed: u64) -> (usize, usize) {
    let place = template.copy().await;
    let relay = Relay::start(1, false, |_| Act::Go).await;
    let port = free_port();
    let base = format!("http://127.0.0.1:{port}");
    place.configure(0, &base, relay.door(0), None);
    let server = Server::start(&place.folder(0), port, &Under::Nothing, &Target::default()).await.unwrap();
    let client = Client::new(&base);
    let maintainer = template.maintainer(&client);
    let later = a_legal_date(&template, &maintainer).await;
    let (mut won, mut lost) = (0, 0);
    eprintln!("{kind:?} races {number} of seed {seed}");
    let dice = Dice::of(seed);
    let mut racers = Vec::new();
    for _ in 0..TOGETHER {
        let rival = *dice.one_of(&[Rival::NewDate, Rival::Cancellation, Rival::Revision]);
        racers.push((announced(&maintainer, &later, rival).await, rival));
    }
    let lifts_at = (Clock::System.now() + Duration::seconds(6)).trunc_subsecs(0);
    let mut running = tokio::task::JoinSet::new();
    for (embargo, rival) in racers {
        let offset = Duration::milliseconds(i64::try_from(dice.below(1_500)).unwrap() - 250);
        let (maintainer, client) = (maintainer.clone(), client.clone());
        running.spawn(race(maintainer, client, embargo, rival, lifts_at, offset, later.clone()));
    }
    let racers = running.join_all().await;
    // What was due is lifted before it is judged.
    let since = Since::now();
    loop {
        let due =
            racers.iter().filter(|racer| racer.response.status >= 300 || racer.rival == Rival::Revision);
        let mut waiting = 0;
        for racer in due {
            let path = format!("/api/v1/embargoes/{}", racer.embargo);
            let case: wire::CaseView = read(std::slice::from_ref(&maintainer), &template.token, &path).await;
            waiting += usize::from(case.neutral.advisory.is_none());
        }
        if waiting == 0 {
            break;
        }
        assert!(!since.is_too_long(), "{waiting} are never lifted");
    }
    for racer in &racers {
        if judge(racer, &maintainer, &template.token, &client).await {
            won += 1;
        } else {
            lost += 1;
        }
    }
    server.stop().await;
    (won, lost)
}

async fn races(kind: Kind) {
    let scale = Scale::of_this_run();
    let template = Arc::new(Template::found(kind).await);
    let began = Since::now();
    let (mut won, mut lost) = (0, 0);
    let play_one = |number, seed| batch(Arc::clone(&template), kind, number, seed);
    play(scale, scale.rounds(3, 100), play_one, |(in_time, too_late)| {
        won += in_time;
        lost += too_late;
        true
    })
    .await;
    println!(
        "races, {kind:?}: {} from seed {}: {won} answered in time, {lost} too late, 0 wrong; {:?}",
        won + lost,
        scale.seed,
        began.elapsed()
    );
    // A handful may all fall on one side of a lift that comes late.
    assert!(won + lost < 500 || (won > 0 && lost > 0), "there was no race: {won} and {lost}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_answered_before_the_lift_stops_it_on_sqlite() {
    races(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_answered_before_the_lift_stops_it_on_postgresql() {
    races(Kind::Postgres).await;
}
