//! Readers who ask for what will be public, all the time, from before the lift until the end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use std::time::Duration;

use chrono::{DateTime, Utc};
use embargod::clock::Clock;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::harness::Client;

/// How long a reader rests between two looks, and after one that nobody answered: a reader that never rests takes the
/// machine from the server.
const BETWEEN: Duration = Duration::from_millis(5);
const WHILE_IT_IS_DOWN: Duration = Duration::from_millis(20);

/// What readers saw.
#[derive(Default)]
struct Seen {
    /// When the first of anything was public.
    first: Option<DateTime<Utc>>,
    bytes: HashMap<String, [u8; 32]>,
    complaints: Vec<String>,
}

/// Some readers.
pub struct Watcher {
    seen: Arc<Mutex<Seen>>,
    polls: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    public: watch::Receiver<bool>,
    readers: Vec<tokio::task::JoinHandle<()>>,
}

impl Watcher {
    /// Lets `count` readers ask these servers for these addresses in turn.
    pub fn start(bases: &[String], paths: &[String], count: usize) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let polls = Arc::<AtomicU64>::default();
        let stop = Arc::<AtomicBool>::default();
        let (tell, public) = watch::channel(false);
        let readers = (0..count)
            .map(|reader| {
                let client =
                    Client::with_patience(&bases[reader % bases.len()], Some(Duration::from_secs(2)));
                let (seen, polls, stop, tell) = (seen.clone(), polls.clone(), stop.clone(), tell.clone());
                let paths = paths.to_vec();
                tokio::spawn(async move {
                    let mut turn = reader * 3;
                    while !stop.load(Ordering::Relaxed) {
                        let path = &paths[turn % paths.len()];
                        turn += 1;
                        let was_public = locked(&seen).first.is_some();
                        // A server that is down publishes nothing.
                        let Ok(response) = client.try_call("GET", path, &[], None).await else {
                            tokio::time::sleep(WHILE_IT_IS_DOWN).await;
                            continue;
                        };
                        let now = Clock::System.now();
                        polls.fetch_add(1, Ordering::Relaxed);
                        locked(&seen).note(path, response.status, &response.body, was_public, now);
                        if response.status == 200 {
                            let _ = tell.send(true);
                        }
                        tokio::time::sleep(BETWEEN).await;
                    }
                })
            })
            .collect();
        Self { seen, polls, stop, public, readers }
    }

    /// Waits until something is public.
    pub async fn until_public(&self) {
        self.public.clone().wait_for(|public| *public).await.unwrap();
    }

    /// Ends the readers; returns how often they asked and when the first saw something. Fails if one saw a part
    /// without the rest, something go away, or bytes change.
    pub async fn end(self) -> (u64, Option<DateTime<Utc>>) {
        self.stop.store(true, Ordering::Relaxed);
        for reader in self.readers {
            reader.await.unwrap();
        }
        let seen = locked(&self.seen);
        assert!(seen.complaints.is_empty(), "readers complain: {:#?}", seen.complaints);
        (self.polls.load(Ordering::Relaxed), seen.first)
    }
}

impl Seen {
    /// Takes note of one answer; `was_public` is whether anything had been seen before it was asked for.
    fn note(&mut self, path: &str, status: u16, body: &[u8], was_public: bool, now: DateTime<Utc>) {
        match status {
            200 => {
                let digest = Sha256::digest(body).into();
                self.first.get_or_insert(now);
                if *self.bytes.entry(path.to_owned()).or_insert(digest) != digest {
                    self.complaints.push(format!("{path} changed"));
                }
            }
            404 if was_public => {
                self.complaints.push(format!("{path} was missing while the rest was public"));
            }
            // To one that was paused a request may look as if it had taken too long.
            404 | 408 | 503 => {}
            other => self.complaints.push(format!("{path} answered {other}")),
        }
    }
}

fn locked(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
