//! kill -9 at every point at which something becomes durable, is sent, or is answered; and a disk that fails there.

use std::sync::Arc;

use crate::database::Kind;
use crate::dice::{Dice, Scale, play};
use crate::fault::{Countdown, Target};
use crate::installation::Template;
use crate::patience::Since;
use crate::proxy::{Pass, Piece, Proxy};
use crate::relay::{Act, Event, Relay, Stage};
use crate::server::{Nurse, Under, check_audit, free_port};
use crate::story::Teller;
use crate::watcher::Watcher;
use rustix::process::Signal;

/// Where a round's kill strikes.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// At the n-th time that a conversation with the relay reaches a stage; at the dot the mail is kept.
    Relay(Stage, usize),
    /// Instead of the n-th call of the operating system by one of the threads.
    Call(&'static str, usize),
    /// The n-th call of the operating system by one of the threads fails as that of a broken disk.
    Failure(&'static str, usize),
    /// When the n-th piece is on its way to PostgreSQL, which still gets it.
    Piece(usize),
    /// When the n-th COMMIT is.
    Commit(usize),
}

/// System calls that make something durable or known to somebody else, and how often a round's busiest thread makes
/// them.
const CALLS: [(&str, u64); 4] = [("fsync", 6), ("pwrite64", 40), ("sendto", 80), ("rename", 1)];
/// How often a conversation with the relay comes to its stages in a round: the first two only when it begins.
const CONVERSATIONS: u64 = 2;
const MAILS: u64 = 7;
/// How many pieces a round sends to PostgreSQL, and how many of them are commits.
const PIECES: u64 = 900;
const COMMITS: u64 = 60;

impl Point {
    /// Where a disk fails.
    fn failure(dice: &Dice) -> Self {
        let (call, count) = *dice.one_of(&CALLS[..2]);
        Self::Failure(call, usize::try_from(1 + dice.below(count)).unwrap())
    }

    fn drawn(dice: &Dice, kind: Kind) -> Self {
        let number = |count| usize::try_from(1 + dice.below(count)).unwrap();
        match (dice.below(4), kind) {
            (0 | 1, _) => {
                let stage = *dice.one_of(&Stage::ALL);
                let begins = matches!(stage, Stage::Banner | Stage::Ehlo);
                Self::Relay(stage, number(if begins { CONVERSATIONS } else { MAILS }))
            }
            (_, Kind::Sqlite) => {
                let (call, count) = *dice.one_of(&CALLS);
                Self::Call(call, number(count))
            }
            (2, Kind::Postgres) => Self::Piece(number(PIECES)),
            (_, Kind::Postgres) => Self::Commit(number(COMMITS)),
        }
    }
}

/// What a round counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    kills: usize,
    polls: u64,
    extra_copies: usize,
    late_milliseconds: i64,
}

async fn round(template: Arc<Template>, point: Point) -> Counted {
    let place = template.copy().await;
    let target = Target::default();
    let when = match point {
        Point::Relay(_, when) | Point::Piece(when) | Point::Commit(when) => when,
        Point::Call(..) | Point::Failure(..) => 0,
    };
    let countdown = Countdown::new(when);
    let (counted, aimed) = (countdown.clone(), target.clone());
    let relay = Relay::start(1, false, move |event: &Event| {
        let wanted = matches!(point, Point::Relay(stage, _) if stage == event.stage);
        if !wanted || !counted.hit() {
            return Act::Go;
        }
        aimed.signal(Signal::KILL);
        Act::KeepAndDrop
    })
    .await;
    let aimed = target.clone();
    let proxy = match point {
        Point::Piece(_) | Point::Commit(_) => {
            let script = move |piece: &Piece<'_>| {
                let wanted = matches!(point, Point::Piece(_)) || piece.is_commit();
                if wanted && countdown.hit() {
                    aimed.signal(Signal::KILL);
                }
                Pass::Yes
            };
            Some(Proxy::start(false, script).await)
        }
        Point::Relay(..) | Point::Call(..) | Point::Failure(..) => None,
    };
    let port = free_port();
    let base = format!("http://127.0.0.1:{port}");
    place.configure(0, &base, relay.door(0), proxy.as_ref().map(|proxy| proxy.way));
    let watcher = Watcher::start(std::slice::from_ref(&base), &template.public_paths, 3);
    let under = match point {
        Point::Call(call, when) => Under::Strace { call, injection: format!("signal=SIGKILL:when={when}") },
        Point::Failure(call, when) => Under::Strace { call, injection: format!("error=EIO:when={when}") },
        Point::Relay(..) | Point::Piece(_) | Point::Commit(_) => Under::Nothing,
    };
    let nurse = Nurse::start(place.folder(0), port, under, target.clone());
    let mut teller = Teller::new(&template, &base, std::slice::from_ref(&base));
    let told = teller.tell().await;
    watcher.until_public().await;
    // The kill may still be to come, in the middle of the last mails.
    teller.check(&told, &relay, || nurse.kills()).await;
    let (polls, first) = watcher.end().await;
    let first = first.unwrap();
    assert!(first >= told.lifts_at, "it was public at {first}, and promised for {}", told.lifts_at);
    target.clear();
    let kills = nurse.stop().await;
    tokio::task::block_in_place(|| check_audit(&place.folder(0)));
    let kept = relay.kept();
    let extra_copies = kept.values().map(|copies| copies.digests.len() - 1).sum();
    Counted { kills, polls, extra_copies, late_milliseconds: (first - told.lifts_at).num_milliseconds() }
}

async fn rounds(kind: Kind, (short, long): (usize, usize), drawn: fn(&Dice, Kind) -> Point) {
    let scale = Scale::of_this_run();
    let template = Arc::new(Template::found(kind).await);
    let began = Since::now();
    let mut all = Counted::default();
    let count = scale.rounds(short, long);
    let mut missed = 0;
    let play_one = |number, seed| {
        let point = drawn(&Dice::of(seed), kind);
        eprintln!("{kind:?} round {number} of seed {seed}: {point:?}");
        round(Arc::clone(&template), point)
    };
    play(scale, count, play_one, |counted| {
        missed += usize::from(counted.kills == 0);
        all.kills += counted.kills;
        all.polls += counted.polls;
        all.extra_copies += counted.extra_copies;
        all.late_milliseconds = all.late_milliseconds.max(counted.late_milliseconds);
        counted.kills > 0
    })
    .await;
    println!(
        "kill, {kind:?}: {count} rounds from seed {} ({missed} more ended before their kill), {} kills, {} polls: 0 early, \
         0 half, 0 lost; {} extra copies, all identical; at most {} ms late; {:?}",
        scale.seed,
        all.kills,
        all.polls,
        all.extra_copies,
        all.late_milliseconds,
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_early_lost_or_half_published_when_it_is_killed_on_sqlite() {
    rounds(Kind::Sqlite, (3, 1_000), Point::drawn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_early_lost_or_half_published_when_it_is_killed_on_postgresql() {
    if Kind::all().contains(&Kind::Postgres) {
        rounds(Kind::Postgres, (3, 1_000), Point::drawn).await;
    } else {
        panic!("EMBARGOD_TEST_POSTGRES names no server; tests/faults/run starts one");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_early_lost_or_half_published_when_the_disk_fails() {
    rounds(Kind::Sqlite, (2, 200), |dice, _| Point::failure(dice)).await;
}
