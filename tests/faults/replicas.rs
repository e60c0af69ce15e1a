//! Up to three replicas on one PostgreSQL: killed, paused, and cut off from the database at any step. In every other
//! round a pooler stands before it that hands out its connections by the transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use crate::database::Kind;
use crate::dice::{Dice, Scale, play};
use crate::fault::{Countdown, Target};
use crate::installation::{Place, Template};
use crate::patience::Since;
use crate::people::PACKAGERS;
use crate::proxy::{Pass, Proxy};
use crate::relay::{Act, Event, Relay, Stage};
use crate::server::{Server, Under, check_audit, free_port, operate};
use crate::story::Teller;
use crate::watcher::Watcher;

/// What happens to the replica that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    /// kill -9.
    Kill,
    /// SIGSTOP, and SIGCONT when the others have done its work.
    Pause,
    /// The network to the database is gone, and comes back.
    CutOff,
    /// The answer to a COMMIT is lost, and the connection with it.
    LoseCommit,
}

/// When.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// When one of the replicas reaches a stage with the relay for the n-th time.
    Relay(Stage, usize),
    /// Before a replica's n-th piece to the database passes, counted over all replicas.
    Database(usize),
    /// At the n-th COMMIT.
    Commit(usize),
}

fn drawn(dice: &Dice) -> (Blow, Step) {
    let blow = *dice.one_of(&[Blow::Kill, Blow::Pause, Blow::CutOff, Blow::LoseCommit]);
    let number = |end| usize::try_from(1 + dice.below(end)).unwrap();
    let step = match (blow, dice.below(3)) {
        (Blow::LoseCommit, _) | (_, 0) => Step::Commit(number(60)),
        (_, 1) => Step::Database(number(900)),
        _ => Step::Relay(*dice.one_of(&Stage::ALL), number(6)),
    };
    (blow, step)
}

/// The replicas of a round, each with its own way to the database and its own door at the relay.
struct Replicas {
    url: String,
    bases: Vec<String>,
    servers: Vec<Server>,
    targets: Vec<Target>,
    proxies: Arc<Vec<Proxy>>,
    relay: Relay,
    struck: Countdown,
}

impl Replicas {
    /// One for each of these; before the first of this version after an older one, the database is migrated.
    async fn start(place: &Place, unders: &[Under], pooled: bool, blow: Blow, step: Step) -> Self {
        let count = unders.len();
        let targets: Vec<Target> = (0..count).map(|_| Target::default()).collect();
        let proxies = Arc::new(std::sync::OnceLock::<Arc<Vec<Proxy>>>::new());
        let when = match step {
            Step::Relay(_, when) | Step::Database(when) | Step::Commit(when) => when,
        };
        let struck = Countdown::new(when);
        // A replica that is paused while it starts would be waited for.
        let armed = Arc::<AtomicBool>::default();
        let strike = {
            let (targets, proxies) = (targets.clone(), Arc::clone(&proxies));
            Arc::new(move |replica: usize| match blow {
                Blow::Kill => targets[replica].signal(Signal::KILL),
                Blow::Pause => targets[replica].signal(Signal::STOP),
                Blow::CutOff => {
                    if let Some(proxies) = proxies.get() {
                        proxies[replica].shut();
                    }
                }
                Blow::LoseCommit => {}
            })
        };
        let relay = {
            let (strike, struck) = (Arc::clone(&strike), struck.clone());
            Relay::start(count, false, move |event: &Event| {
                if matches!(step, Step::Relay(stage, _) if stage == event.stage) && struck.hit() {
                    strike(event.door);
                }
                Act::Go
            })
            .await
        };
        let mut ways = Vec::new();
        for replica in 0..count {
            let (strike, struck, armed) = (Arc::clone(&strike), struck.clone(), Arc::clone(&armed));
            let way = Proxy::start(pooled, move |piece| {
                let counts = armed.load(Ordering::SeqCst)
                    && match step {
                        Step::Database(_) => true,
                        Step::Commit(_) => piece.is_commit(),
                        Step::Relay(..) => false,
                    };
                if counts && struck.hit() {
                    strike(replica);
                    return if blow == Blow::LoseCommit { Pass::CutAnswer } else { Pass::Yes };
                }
                Pass::Yes
            });
            ways.push(way.await);
        }
        let ways = Arc::new(ways);
        let _ = proxies.set(Arc::clone(&ways));
        let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let url = format!("http://127.0.0.1:{}", ports[0]);
        let mut servers = Vec::new();
        let mut may_be_old = matches!(unders[0], Under::Older);
        for (replica, (port, under)) in ports.iter().zip(unders).enumerate() {
            place.configure(replica, &url, relay.door(replica), Some(ways[replica].way));
            let folder = place.folder(replica);
            if may_be_old && !matches!(under, Under::Older) {
                tokio::task::block_in_place(|| operate(&folder, &["migrate"]));
                may_be_old = false;
            }
            let started = Server::start(&folder, *port, under, &targets[replica]).await;
            servers.extend(started);
        }
        armed.store(true, Ordering::SeqCst);
        let bases = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        Self { url, bases, servers, targets, proxies: ways, relay, struck }
    }
}

async fn round(
    template: Arc<Template>,
    unders: Vec<Under>,
    pooled: bool,
    blow: Blow,
    step: Step,
) -> (bool, i64) {
    let place = template.copy().await;
    let replicas = Replicas::start(&place, &unders, pooled, blow, step).await;
    let watcher = Watcher::start(&replicas.bases, &template.public_paths, unders.len());
    let mut teller = Teller::new(&template, &replicas.url, &replicas.bases);
    let told = teller.tell().await;
    watcher.until_public().await;
    // The others do it, while the one that was struck still lies there.
    teller.check(&told, &replicas.relay, || 1).await;
    for (target, proxy) in replicas.targets.iter().zip(replicas.proxies.iter()) {
        target.signal(Signal::CONT);
        proxy.reopen();
    }
    // Whoever comes back finds it done, and does nothing twice.
    for server in replicas.servers {
        server.stop_unless_killed().await;
    }
    teller.check_copies(&replicas.relay, || 1);
    let (_, first) = watcher.end().await;
    let first = first.unwrap();
    assert!(first >= told.lifts_at, "it was public at {first}, and promised for {}", told.lifts_at);
    tokio::task::block_in_place(|| check_audit(&place.folder(0)));
    (replicas.struck.is_over(), (first - told.lifts_at).num_milliseconds())
}

/// Plays rounds, each with replicas of these programs.
async fn rounds(scale: Scale, count: usize, template: Template, unders: impl Fn(&Dice) -> Vec<Under>) {
    let template = Arc::new(template);
    let began = Since::now();
    let (mut played, mut latest) = (0, 0);
    let play_one = |number, seed| {
        let dice = Dice::of(seed);
        let (blow, step) = drawn(&dice);
        let unders = unders(&dice);
        let pooled = seed % 2 == 0;
        let way = if pooled { "through a pooler" } else { "directly" };
        eprintln!("replicas round {number} of seed {seed}: {unders:?} {way}, {blow:?} at {step:?}");
        round(Arc::clone(&template), unders, pooled, blow, step)
    };
    play(scale, count, play_one, |(hit, late)| {
        played += 1;
        latest = latest.max(late);
        hit
    })
    .await;
    println!(
        "replicas: {played} rounds from seed {}, {count} struck: 0 early, 0 lost, each lifted once; at most {latest} ms \
         late; {:?}",
        scale.seed,
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_may_die_pause_or_lose_the_database_at_any_step() {
    let scale = Scale::of_this_run();
    let two_or_three = |dice: &Dice| vec![Under::Nothing; 2 + usize::try_from(dice.below(2)).unwrap()];
    rounds(scale, scale.rounds(8, 400), Template::found(Kind::Postgres).await, two_or_three).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_versions_run_together_while_the_newer_replaces_the_older() {
    let scale = Scale::of_this_run();
    let template = Template::found_for(Kind::Postgres, PACKAGERS, Under::Older).await;
    let older_and_newer = |dice: &Dice| {
        let older = 1 + usize::try_from(dice.below(2)).unwrap();
        let mut unders = vec![Under::Older; older];
        unders.push(Under::Nothing);
        unders
    };
    rounds(scale, scale.rounds(8, 100), template, older_and_newer).await;
}
