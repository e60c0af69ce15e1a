//! The law of the reconciler: however looks, steps of the clock, restarts, failures of the relay and changes of
//! the audience interleave, everybody who is to be told is told exactly once.

use std::collections::BTreeMap;
use std::time::Duration;

use embargod::demo::sink::{Fault, Stage};
use embargod::domain::id::EmbargoId;
use embargod::domain::notice::DeliveryState;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::{Change, TestServer, start};

const PACKAGERS: [&str; 4] = ["debian", "fedora", "arch", "alpine"];
const CASES: u32 = 6;

#[derive(Clone, Debug)]
enum Step {
    Look,
    /// Moves the clock by this many hours.
    Wait(u64),
    Restart,
    /// The relay refuses the next mails for now.
    Busy(usize),
    /// Takes a packager out of the audience, or back into it.
    Audience(usize),
    /// Ends a packager's place in the project.
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Look),
        3 => (1_u64..30).prop_map(Step::Wait),
        1 => Just(Step::Restart),
        2 => (1_usize..6).prop_map(Step::Busy),
        2 => (0..PACKAGERS.len()).prop_map(Step::Audience),
        1 => (0..PACKAGERS.len()).prop_map(Step::Leave),
    ]
}

/// Changes who is told in the database, as a change that two maintainers agreed on would.
async fn take(server: &TestServer, id: &str, step: &Step) {
    let id: EmbargoId = id.parse().unwrap();
    let now = server.time.now();
    let (Step::Audience(index) | Step::Leave(index)) = *step else { return };
    let leaves = matches!(step, Step::Leave(_));
    server
        .change(move |tx| {
            let packager = tx.packagers()?.into_iter().find(|one| one.slug == PACKAGERS[index]).unwrap().id;
            let Some(embargo) = tx.embargo(&id)?.filter(|embargo| embargo.stage.is_live()) else {
                return Ok(());
            };
            if leaves {
                return Ok(tx.end_membership(&embargo.project, &packager, now)?);
            }
            let mut audience = tx.audience(&id)?;
            match audience.iter().position(|known| *known == packager) {
                Some(at) => drop(audience.remove(at)),
                None => audience.push(packager),
            }
            Ok(tx.put_audience(&id, &audience, now)?)
        })
        .await;
}

async fn story(steps: Vec<Step>) {
    let mut server = TestServer::start().await;
    let mut packagers = Vec::new();
    for slug in PACKAGERS {
        packagers.push(server.packager(slug).await);
    }
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-10 14:00").await;
    mara.does(&Change::send(&id, None, false)).await.accepted();
    for step in &steps {
        match step {
            Step::Look => drop(server.look().await),
            Step::Wait(hours) => server.clock.advance(Duration::from_hours(*hours)),
            Step::Restart => server.restart().await,
            Step::Busy(times) => {
                server.sink.plan_times(Fault::reply(Stage::Rcpt, 451, "4.3.0 later"), *times);
            }
            Step::Audience(_) | Step::Leave(_) => take(&server, &id, step).await,
        }
    }
    server.sink.heal();
    for day in 1..=20 {
        server.run_worker_until_idle().await;
        server.clock.advance_to(start() + chrono::Duration::days(day));
        server.clock.advance(Duration::from_hours(1));
    }
    let first = server.run_worker_until_idle().await;
    assert_eq!(first, embargod::worker::Done::default(), "once was enough: {steps:?}");

    let embargo: EmbargoId = id.parse().unwrap();
    let (audience, names) = server
        .database(move |tx| {
            let project = tx.embargo(&embargo)?.unwrap().project;
            let members: Vec<_> = tx.members(&project)?.into_iter().map(|member| member.id).collect();
            let mut audience = tx.audience(&embargo)?;
            audience.retain(|packager| members.contains(packager));
            let names: BTreeMap<_, _> = tx.packagers()?.into_iter().map(|one| (one.id, one.slug)).collect();
            Ok((audience, names))
        })
        .await;
    let told: Vec<&str> = audience.iter().map(|id| names[id].as_str()).collect();
    for packager in &packagers {
        let subjects = packager.subjects(&server.sink);
        let count = |word: &str| subjects.iter().filter(|subject| subject.starts_with(word)).count();
        assert!(
            count("EMBARGO") <= 1 && count("PUBLIC") <= 1,
            "{}: {subjects:?} after {steps:?}",
            packager.slug
        );
        if told.contains(&packager.slug.as_str()) {
            assert_eq!(count("PUBLIC"), 1, "{} was forgotten after {steps:?}", packager.slug);
        }
    }
    let copies = server.deliveries(&id).await;
    assert!(
        copies
            .iter()
            .all(|copy| { matches!(copy.state, DeliveryState::Accepted | DeliveryState::Superseded) })
    );
    server.finish().await;
}

#[test]
fn whatever_happens_in_between_everybody_is_told_exactly_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config =
        Config { cases: CASES, max_shrink_iters: 20, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(step(), 5..25);
    TestRunner::new_with_rng(config, deterministic())
        .run(&steps, |steps| {
            runtime.block_on(story(steps));
            Ok(())
        })
        .unwrap();
}

/// The same cases in every run.
fn deterministic() -> proptest::test_runner::TestRng {
    proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha)
}

#[tokio::test]
async fn who_was_out_of_the_audience_while_the_others_were_told_is_told_on_coming_back() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    server.packager("fedora").await;
    let mara = server.maintainer();
    let id = mara.prepares("2026-06-10 14:00").await;
    server.sink.plan_for(&debian.address, Fault::reply(Stage::Rcpt, 451, "4.3.0 later"));
    mara.does(&Change::send(&id, None, true)).await.accepted();
    server.run_worker_until_idle().await;
    take(&server, &id, &Step::Audience(0)).await;
    server.clock.advance(Duration::from_hours(1));
    server.run_worker_until_idle().await;
    server.sink.heal();
    take(&server, &id, &Step::Audience(0)).await;
    server.clock.advance(Duration::from_hours(1));
    server.run_worker_until_idle().await;
    assert_eq!(debian.subjects(&server.sink), ["EMBARGO Requests"]);
    server.finish().await;
}
