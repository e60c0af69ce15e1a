//! How late a lift is public, with thousands that wait: measured, not asserted. What is asserted is that everything
//! lifts, and nothing early.

use std::collections::HashMap;

use chrono::{DateTime, Duration, SubsecRound as _, Utc};
use embargod::app::Refusal;
use embargod::cli::assembly::open_store;
use embargod::clock::Clock;
use embargod::entropy::Entropy;
use embargod::store::Location;
use embargod::vault::KeyEncryptionKey;
use rustix::process::Signal;

use crate::database::{Kind, Looker};
use crate::dice::Scale;
use crate::fault::Target;
use crate::harness::{Model, tamper};
use crate::installation::{Place, Template};
use crate::patience::Since;
use crate::relay::{Act, Relay};
use crate::server::{Server, Under, free_port};

/// How many are due at the same instant.
const TOGETHER: usize = 500;
/// How many are due one after the other, 50 ms apart: with a healthy server, and with one that is killed and started
/// again among them.
const ONE_BY_ONE: usize = 400;

/// When each embargo is due.
type Due = HashMap<String, DateTime<Utc>>;

/// Fills a place with announced embargoes that are due at `instants`.
async fn fill(template: &Template, place: &Place, instants: Vec<DateTime<Utc>>) -> Due {
    let folder = place.folder(0);
    let location = match &place.database {
        Some(database) => Location::Postgres(database.url(None)),
        None => Location::Sqlite(folder.join("state/embargod.sqlite")),
    };
    let kek = KeyEncryptionKey::from_text(std::fs::read_to_string(folder.join("state/kek")).unwrap().trim());
    let (model, given) = (template.embargo.clone(), location.clone());
    let fill = move || {
        let store = open_store(given, Ok(kek.unwrap()), &Entropy::System).unwrap();
        let now = Clock::System.now();
        let model = store.read_now(|tx| Model::read(tx, &model, now)).unwrap();
        let mut due = Due::new();
        for some in instants.chunks(500) {
            let copied = store.write_now(|tx| {
                let copies = some.iter().map(|at| Ok((model.copy(tx, *at)?.to_string(), *at)));
                copies.collect::<Result<Vec<_>, Refusal>>()
            });
            due.extend(copied.unwrap());
        }
        due
    };
    let due = tokio::task::spawn_blocking(fill).await.unwrap();
    tamper(&location, Model::SENT).await;
    due
}

/// Waits until all of these are public; returns how late each was, sorted, in milliseconds.
async fn lateness(looker: &mut Looker, due: &Due, what: &str) -> Vec<i64> {
    let last = *due.values().max().unwrap();
    Clock::System.wait_until(*due.values().min().unwrap() - Duration::milliseconds(100)).await;
    let mut late: HashMap<String, i64> = HashMap::new();
    let mut since = Since::now();
    while late.len() < due.len() {
        let public = looker.public().await;
        let now = Clock::System.now();
        if now < last {
            since = Since::now();
        }
        for id in public {
            let Some(lifts_at) = due.get(&id) else { continue };
            assert!(*lifts_at <= now, "{id} is public before its instant");
            late.entry(id).or_insert_with(|| (now - lifts_at).num_milliseconds());
        }
        assert!(!since.is_too_long(), "{what}: only {} of {} are public", late.len(), due.len());
        // Looking all the time would take a core from the server.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let mut late: Vec<i64> = late.into_values().collect();
    late.sort_unstable();
    let at = |hundredths: usize| late[(late.len() - 1) * hundredths / 100];
    println!(
        "lateness: {what}: {} lifts, p50 {} ms, p99 {} ms, the last {} ms late",
        late.len(),
        at(50),
        at(99),
        late[late.len() - 1]
    );
    late
}

/// The embargoes that are due from `from` until before `until`.
fn between(due: &Due, from: DateTime<Utc>, until: DateTime<Utc>) -> Due {
    let some = due.iter().filter(|(_, at)| (from..until).contains(at));
    some.map(|(id, at)| (id.clone(), *at)).collect()
}

async fn measure(kind: Kind) {
    let scheduled = Scale::of_this_run().rounds(2_000, 10_000);
    let template = Template::found(kind).await;
    let place = template.copy().await;
    let relay = Relay::start(1, false, |_| Act::Go).await;
    let port = free_port();
    let base = format!("http://127.0.0.1:{port}");
    place.configure(0, &base, relay.door(0), None);
    let step = Duration::milliseconds(50);
    let steps =
        |from: DateTime<Utc>| (0..i32::try_from(ONE_BY_ONE).unwrap()).map(move |number| from + step * number);
    // Those that wait for days first: how long that takes says how long the others will.
    let began = Since::now();
    let soon = 2 * ONE_BY_ONE + TOGETHER;
    let rest = i32::try_from(scheduled.saturating_sub(soon)).unwrap();
    let days = (Clock::System.now() + Duration::days(3)).trunc_subsecs(0);
    let waiting = fill(&template, &place, (0..rest).map(|number| days + step * number).collect()).await;
    let each = began.elapsed() / u32::try_from(rest.max(1)).unwrap();
    let filling = Duration::from_std(each * 2 * u32::try_from(soon).unwrap()).unwrap();
    let first = (Clock::System.now() + filling + Duration::seconds(10)).trunc_subsecs(0);
    let together = first + Duration::seconds(30);
    let crash = together + Duration::seconds(30);
    let mut instants: Vec<_> = steps(first).chain(steps(crash)).collect();
    instants.extend(std::iter::repeat_n(together, TOGETHER));
    let mut due = fill(&template, &place, instants).await;
    due.extend(waiting);
    println!("lateness: {kind:?}: {} embargoes wait, stored in {:?}", due.len(), began.elapsed());
    let mut server =
        Server::start(&place.folder(0), port, &Under::Nothing, &Target::default()).await.unwrap();
    assert!(Clock::System.now() + Duration::seconds(3) < first, "it took too long to store them");
    let mut looker = Looker::open(&place).await;
    lateness(&mut looker, &between(&due, first, together), "healthy").await;
    lateness(&mut looker, &between(&due, together, crash), "at once").await;
    let killed = async {
        Clock::System.wait_until(crash + step * (i32::try_from(ONE_BY_ONE).unwrap() / 2)).await;
        server.signal(Signal::KILL);
        server.ended().await;
        Server::start(&place.folder(0), port, &Under::Nothing, &Target::default()).await.unwrap()
    };
    let after_crash = between(&due, crash, days);
    let (server, _) = tokio::join!(killed, lateness(&mut looker, &after_crash, "killed and started again"));
    let public = looker.public().await;
    assert!(public.iter().all(|id| due[id] < days), "something is public that waits for days");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lateness_on_sqlite() {
    measure(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lateness_on_postgresql() {
    if Kind::all().contains(&Kind::Postgres) {
        measure(Kind::Postgres).await;
    }
}
