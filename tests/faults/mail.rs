//! Very many copies through a relay that fails all the time: none is lost, and none comes twice without a lost answer.
//!
//! Retries wait for minutes and hours, so the clock is moved by hand: the server runs inside the test, with its real
//! worker, its real database and real SMTP.

use std::sync::Mutex;
use std::time::Duration;

use embargod::config::relay::{RelayConfig, RelayTls};
use embargod::wire;

use crate::dice::{Dice, Scale};
use crate::harness::{Change, Founding, Series, TestServer, ordinary_text};
use crate::patience::Since;
use crate::relay::{Act, Event, Relay, Stage};

/// How many packagers are told each time, at most.
const PACKAGERS: usize = 250;
/// Retries that are no further apart are tried together.
const TOGETHER: Duration = Duration::from_mins(5);
/// Of a hundred visits to a stage, how many go wrong: together three in ten attempts.
const FAULTS: [(Stage, u64); 6] = [
    (Stage::Banner, 1),
    (Stage::Mail, 5),
    (Stage::Rcpt, 8),
    (Stage::Data, 6),
    (Stage::Body, 5),
    (Stage::Dot, 9),
];

/// Draws what happens at a stage.
fn act(dice: &Dice, event: &Event) -> Act {
    let Some((_, chance)) = FAULTS.iter().find(|(stage, _)| *stage == event.stage) else { return Act::Go };
    if dice.below(100) >= *chance {
        return Act::Go;
    }
    match (event.stage, dice.below(4)) {
        (Stage::Dot, 0) => Act::KeepAndDrop,
        (_, 0 | 1) => Act::Drop,
        (Stage::Banner, _) => Act::Reply("421 4.3.2 not now"),
        (_, 2) => Act::Reply("451 4.3.0 try again"),
        _ => Act::Reply("452 4.2.2 full for now"),
    }
}

async fn tell_everybody(total: usize, with_faults: bool) {
    let scale = Scale::of_this_run();
    let dice = Mutex::new(Dice::of(scale.seed));
    let relay = Relay::start(
        1,
        false,
        move |event| {
            if with_faults { act(&dice.lock().unwrap(), event) } else { Act::Go }
        },
    )
    .await;
    let door = relay.door(0);
    let relay_config = RelayConfig {
        host: door.ip().to_string(),
        port: door.port(),
        tls: RelayTls::None,
        ..RelayConfig::default()
    };
    let server = TestServer::found(Founding { relay: Some(relay_config), ..Founding::default() }).await;
    for number in 0..PACKAGERS.min(total / 4) {
        server.packager(&format!("distro{number}")).await;
    }
    let maintainer = server.maintainer();
    let began = Since::now();
    let (mut copies, mut failed, mut attempts) = (0, 0, 0);
    let mut cycle = 0;
    while copies < total {
        cycle += 1;
        if cycle % 10 == 0 {
            eprintln!("mail: {copies} of {total} copies after {:?}", began.elapsed());
        }
        let token = maintainer.token().await;
        let embargo = maintainer.opens(&ordinary_text()).await;
        maintainer.puts_fix(&embargo, "main", &Series::default().mbox()).await;
        let dates: wire::DatesView =
            maintainer.reads(&token, &format!("/api/v1/embargoes/{embargo}/dates")).await;
        let date = dates.offers.iter().rfind(|offer| offer.legal).unwrap().lifts_at.to_rfc3339();
        maintainer.does(&Change::schedule(&embargo, &date, None)).await.accepted();
        maintainer.does(&Change::send(&embargo, None, true)).await.accepted();
        until_nothing_waits(&server).await;
        maintainer.does(&Change::cancel(&embargo, "it is no vulnerability")).await.accepted();
        until_nothing_waits(&server).await;
        for copy in server.deliveries(&embargo).await {
            copies += 1;
            attempts += copy.attempts;
            match copy.state.as_str() {
                "accepted" => {}
                // The answer was lost as often as it may be.
                "failed" => failed += 1,
                other => panic!("a copy is {other} when nothing waits any more: {copy:?}"),
            }
        }
    }
    let kept = relay.kept();
    let arrived = kept.len();
    let mut extra = 0;
    let mut unanswered = 0;
    for (id, copies) in &kept {
        assert!(
            copies.digests.iter().all(|digest| *digest == copies.digests[0]),
            "{id} came with other bytes"
        );
        assert!(copies.digests.len() <= 1 + copies.unanswered, "{id} came again though it was answered");
        extra += copies.digests.len() - 1;
        unanswered += copies.unanswered;
    }
    assert!(
        arrived >= copies - failed && arrived <= copies,
        "{arrived} of {copies} arrived, {failed} failed"
    );
    println!(
        "mail: {copies} copies from seed {} in {attempts} attempts, {arrived} arrived, {failed} shown as failed, 0 lost; \
         {unanswered} answers lost, {extra} extra copies, all identical; {:?}",
        scale.seed,
        began.elapsed()
    );
    if with_faults {
        assert!(unanswered > 0 && extra > 0, "no answer was lost");
    } else {
        assert_eq!(
            (extra, failed, usize::try_from(attempts).unwrap()),
            (0, 0, copies),
            "something went wrong without faults"
        );
    }
    server.finish().await;
}

/// Moves the clock from one attempt to the next, until every copy has come to its end.
async fn until_nothing_waits(server: &TestServer) {
    loop {
        server.run_worker_until_idle().await;
        let Some(next) = server.database(|tx| Ok(tx.next_delivery()?)).await else { return };
        let now = server.time.now();
        server.clock.advance((next - now).to_std().unwrap_or_default() + TOGETHER);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_relay_that_fails_three_times_in_ten_loses_nothing() {
    tell_everybody(Scale::of_this_run().rounds(300, 100_000), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_faults_nothing_comes_twice() {
    tell_everybody(Scale::of_this_run().rounds(100, 100_000), false).await;
}
