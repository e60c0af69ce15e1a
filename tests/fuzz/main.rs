//! Changes good input at random and hands it to every parser that eats what others wrote.
//!
//! `cargo test --test fuzz -- --seconds 60` shares a minute among all targets; `--target NAME` gives it to one. The seed
//! is printed, and the same `--seed` makes the same inputs in the same order. An answer that was not seen before makes
//! its input worth changing further, so that refusals far inside are reached. A panic, more than a second (ten
//! without optimisation), or more than 512 MiB ends the run; the input is written to a file that
//! `--replay FILE --target NAME` takes. A panic inside Sequoia is counted and does not end the run, because the
//! server reads OpenPGP in threads that survive one (`openpgp/pool.rs`).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a run that cannot go on ends here")]

mod mutation;
mod targets;

use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use embargod::clock::Clock;
use embargod::entropy::Entropy;
use mutation::Mutator;
use targets::Target;

/// What is in the path of Sequoia's sources.
const FOREIGN: &str = "/sequoia-openpgp-";
const MOST_MIB: u64 = 512;
const MOST_TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });
/// How many inputs are kept for one target to be changed further.
const MOST_KEPT: usize = 2_000;

struct Arguments {
    seconds: u64,
    seed: u64,
    target: Option<String>,
    replay: Option<PathBuf>,
}

fn arguments() -> Arguments {
    let drawn = u64::from_le_bytes(Entropy::System.bytes());
    let mut read = Arguments { seconds: 60, seed: drawn, target: None, replay: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match word.as_str() {
            "--seconds" => read.seconds = value().parse().unwrap(),
            "--seed" => read.seed = value().parse().unwrap(),
            "--target" => read.target = Some(value()),
            "--replay" => read.replay = Some(value().into()),
            _ => panic!("unknown: {word}; known: --seconds N, --seed N, --target NAME, --replay FILE"),
        }
    }
    read
}

/// What is being tried, for who watches.
struct Trial {
    input: Arc<Mutex<(String, Vec<u8>)>>,
    /// True as a trial begins, false as it ends.
    steps: Sender<bool>,
}

impl Trial {
    /// Somebody watches from now on, and ends the process when a trial takes too long: nothing else can.
    fn watched() -> Self {
        let (steps, seen) = channel();
        let input = Arc::new(Mutex::new((String::new(), Vec::new())));
        let shown = Arc::clone(&input);
        std::thread::spawn(move || watch(&seen, &shown));
        Self { input, steps }
    }
}

fn watch(steps: &Receiver<bool>, input: &Mutex<(String, Vec<u8>)>) {
    while steps.recv().is_ok() {
        if steps.recv_timeout(MOST_TIME) == Err(RecvTimeoutError::Timeout) {
            let (target, input) = input.lock().unwrap().clone();
            fail(&target, &input, "it took too long");
        }
    }
}

/// How often Sequoia panicked.
static FOREIGN_PANICS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Where this thread panicked last.
    static PANICKED_AT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps where a panic was, and says it unless it is Sequoia's.
fn note_panics() {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if !place.contains(FOREIGN) {
            say(panic);
        }
        PANICKED_AT.with_borrow_mut(|last| *last = place);
    }));
}

fn fail(target: &str, input: &[u8], why: &str) -> ! {
    let path = std::env::temp_dir().join(format!("embargod-fuzz-{target}-{}", std::process::id()));
    std::fs::write(&path, input).unwrap();
    println!(
        "FAILED {target}: {why}\nagain: cargo test --test fuzz -- --target {target} --replay {}",
        path.display()
    );
    std::process::exit(1);
}

/// The most memory that this process ever had, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}

/// Tries one input; returns the answer.
fn attempt(target: &Target, input: &[u8], trial: &Trial) -> String {
    *trial.input.lock().unwrap() = (target.name.to_owned(), input.to_vec());
    trial.steps.send(true).unwrap();
    let answer = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    trial.steps.send(false).unwrap();
    if peak_mib() > MOST_MIB {
        fail(target.name, input, "it took more than 512 MiB");
    }
    answer.unwrap_or_else(|_| {
        let place = PANICKED_AT.with_borrow(Clone::clone);
        if !place.contains(FOREIGN) {
            fail(target.name, input, "it panicked");
        }
        FOREIGN_PANICS.fetch_add(1, Ordering::Relaxed);
        place
    })
}

fn run(target: &Target, seed: u64, time: Duration, trial: &Trial, clock: &Clock) {
    let mut mutator = Mutator::new(seed);
    let mut kept: Vec<Vec<u8>> = target.seeds.clone();
    let mut answers: HashSet<String> = kept.iter().map(|input| attempt(target, input, trial)).collect();
    let until = clock.monotonic() + time;
    let mut tries = 0_u64;
    while clock.monotonic() < until {
        let input = mutator.change(&kept, target.words, target.most);
        let answer = attempt(target, &input, trial);
        tries += 1;
        if kept.len() < MOST_KEPT && answers.insert(answer) {
            kept.push(input);
        }
    }
    println!(
        "{:22} {tries:>9} inputs, {:>4} different answers, peak {} MiB",
        target.name,
        answers.len(),
        peak_mib()
    );
}

fn replay(target: &Target, path: &Path, trial: &Trial) {
    let input = std::fs::read(path).unwrap();
    println!("{}: {}", target.name, attempt(target, &input, trial));
}

fn main() {
    let Arguments { seconds, seed, target, replay: file } = arguments();
    let clock = Clock::System;
    let mut chosen = targets::all();
    if let Some(name) = &target {
        let known: Vec<_> = chosen.iter().map(|target| target.name).collect();
        chosen.retain(|target| target.name == name);
        assert!(!chosen.is_empty(), "no target {name}; there are: {}", known.join(", "));
    }
    note_panics();
    let trial = Trial::watched();
    if let Some(path) = file {
        for target in &chosen {
            replay(target, &path, &trial);
        }
        return;
    }
    println!("--seed {seed}");
    let share = Duration::from_secs(seconds) / u32::try_from(chosen.len()).unwrap();
    for target in &chosen {
        run(target, seed, share, &trial, &clock);
    }
    println!("panics inside Sequoia: {}", FOREIGN_PANICS.load(Ordering::Relaxed));
}
