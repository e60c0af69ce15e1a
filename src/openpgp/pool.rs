//! A few threads on which foreign OpenPGP data is parsed, so that a parser that hangs or panics stops nothing else.
//!
//! A job that takes too long is given up, not stopped: its thread stays busy. When all threads are, the
//! pool is [stuck](ParsePool::is_stuck) and the process should be restarted. Lifts and deliveries do not come here.
//! Whose fault it was is told apart: on a machine that has too much to do an honest message takes long as well, and whoever
//! sent it should send it again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::processor::Processor;

const THREADS: usize = 2;
const QUEUE: usize = 64;
const DEADLINE: Duration = Duration::from_secs(2);
/// Which part of its deadline a job has to have worked for the delay to be its own: several times what the largest message
/// takes, and what a thread gets on a machine whose other threads work as hard.
const ITS_OWN: u32 = 4;

const WAITING: u8 = 0;
const RUNNING: u8 = 1;
const GIVEN_UP: u8 = 2;
const DONE: u8 = 3;

type Job = Box<dyn FnOnce(&Thread) + Send>;

/// A thread of a pool.
struct Thread {
    stuck: Arc<AtomicUsize>,
    processor: Processor,
}

/// Who runs a job, and how long that thread had worked when it began.
struct Begun {
    processor: Processor,
    after: Option<Duration>,
}

impl Begun {
    /// How long the job has worked; nothing where that is not told.
    fn worked(&self) -> Option<Duration> {
        Some(self.processor.time()?.saturating_sub(self.after?))
    }
}

/// A bounded pool for parsing what strangers send. Cheap to clone; the threads end with the last clone.
#[derive(Clone)]
pub struct ParsePool {
    jobs: SyncSender<Job>,
    stuck: Arc<AtomicUsize>,
    failures: Arc<[AtomicU64; 3]>,
    threads: usize,
    deadline: Duration,
}

/// Why a job gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The queue is full or did not move in time, or the machine has too much else to do.
    #[error("the server has too much to do to read OpenPGP data now; try again in a few seconds")]
    Busy,
    /// The job took too long and was given up.
    #[error("reading this OpenPGP data takes too long; send a smaller or simpler one")]
    TimedOut,
    /// The parser failed in a way it should not.
    #[error("reading this OpenPGP data failed; please report it to the operator")]
    Panicked,
}

impl PoolError {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy => "parser-busy",
            Self::TimedOut => "parser-timed-out",
            Self::Panicked => "parser-failed",
        }
    }
}

impl ParsePool {
    /// Starts two threads with a queue of 64 jobs and a deadline of two seconds, waiting included.
    pub fn start() -> std::io::Result<Self> {
        Self::with_limits(THREADS, QUEUE, DEADLINE)
    }

    /// Starts a pool with limits of its own.
    pub fn with_limits(threads: usize, queue: usize, deadline: Duration) -> std::io::Result<Self> {
        let (jobs, receiver) = sync_channel::<Job>(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        let stuck = Arc::new(AtomicUsize::new(0));
        for number in 0..threads {
            let (receiver, stuck) = (Arc::clone(&receiver), Arc::clone(&stuck));
            std::thread::Builder::new()
                .name(format!("openpgp-{number}"))
                .spawn(move || work(&receiver, stuck))?;
        }
        Ok(Self { jobs, stuck, failures: Arc::default(), threads, deadline })
    }

    /// Runs `job` on a thread of the pool. A job that was given up before it began is not begun.
    pub async fn run<T, F>(&self, job: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let result = self.run_uncounted(job).await;
        if let Err(error) = &result {
            self.failures[*error as usize].fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    /// How many jobs gave no answer, by the reason.
    pub fn failures(&self) -> [(PoolError, u64); 3] {
        [PoolError::Busy, PoolError::TimedOut, PoolError::Panicked]
            .map(|error| (error, self.failures[error as usize].load(Ordering::Relaxed)))
    }

    async fn run_uncounted<T, F>(&self, job: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (answer, mut answered) = oneshot::channel();
        let state = Arc::new(AtomicU8::new(WAITING));
        let begun = Arc::new(OnceLock::new());
        let (seen, begins) = (Arc::clone(&state), Arc::clone(&begun));
        let job: Job = Box::new(move |thread| {
            if answer.is_closed()
                || seen.compare_exchange(WAITING, RUNNING, Ordering::AcqRel, Ordering::Acquire).is_err()
            {
                return;
            }
            let processor = thread.processor.clone();
            let after = processor.time();
            let _ = begins.set(Begun { processor, after });
            let result = catch_unwind(AssertUnwindSafe(job)).map_err(|_| PoolError::Panicked);
            if seen.swap(DONE, Ordering::AcqRel) == GIVEN_UP {
                thread.stuck.fetch_sub(1, Ordering::AcqRel);
            }
            let _ = answer.send(result);
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => PoolError::Busy,
        })?;
        match tokio::time::timeout(self.deadline, &mut answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(PoolError::Panicked),
            Err(_) => {
                // Counted before it is said, so the thread cannot take it back first.
                self.stuck.fetch_add(1, Ordering::AcqRel);
                let was_running =
                    state.compare_exchange(RUNNING, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok();
                if !was_running {
                    let _ = state.compare_exchange(WAITING, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire);
                    self.stuck.fetch_sub(1, Ordering::AcqRel);
                }
                if self.is_stuck() {
                    tracing::warn!(
                        "every thread that reads OpenPGP data works on what was given up; if it stays so, restart the \
                         server"
                    );
                }
                let worked = begun.get().map_or(Some(Duration::ZERO), Begun::worked);
                Err(if was_running { self.given_up(worked) } else { PoolError::Busy })
            }
        }
    }

    /// Why a job was given up that had worked so long, where that is told.
    fn given_up(&self, worked: Option<Duration>) -> PoolError {
        let is_its_own = worked.is_none_or(|worked| worked >= self.deadline / ITS_OWN);
        if is_its_own { PoolError::TimedOut } else { PoolError::Busy }
    }

    /// Whether every thread is busy with a job that was given up.
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Acquire) >= self.threads
    }
}

impl std::fmt::Debug for ParsePool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ParsePool").field("threads", &self.threads).finish_non_exhaustive()
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, stuck: Arc<AtomicUsize>) {
    let thread = Thread { stuck, processor: Processor::of_this_thread() };
    loop {
        // The lock is held while waiting, and free while working.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(&thread),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_panic_inside_is_an_error_and_the_thread_lives_on() {
        let pool = ParsePool::with_limits(1, 4, DEADLINE).unwrap();
        let panicked = pool.run(|| assert_eq!(1, 2, "a malformed packet")).await;
        assert_eq!(panicked, Err(PoolError::Panicked));
        assert_eq!(pool.failures().map(|(_, count)| count), [0, 0, 1]);
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_job_that_hangs_is_given_up_and_the_queue_behind_it_is_bounded() {
        let pool = ParsePool::with_limits(1, 1, Duration::from_millis(500)).unwrap();
        let (release, hold) = mpsc::channel::<()>();
        let (started, has_started) = mpsc::channel();
        let hang = pool.run(move || {
            started.send(()).unwrap();
            let _ = hold.recv();
        });
        assert!(hang.await.is_err());
        has_started.recv().unwrap();
        assert!(pool.is_stuck());
        // The second waits in the queue, the third finds it full; the given up one never begins.
        let begun = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&begun);
        let (second, third) =
            tokio::join!(pool.run(move || seen.fetch_add(1, Ordering::AcqRel)), pool.run(|| 0));
        assert_eq!((second, third), (Err(PoolError::Busy), Err(PoolError::Busy)));
        drop(release);
        while pool.run(|| ()).await.is_err() {}
        assert!(!pool.is_stuck());
        assert_eq!(begun.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_job_that_was_given_no_processor_is_to_be_sent_again_and_one_that_worked_is_not() {
        let pool = ParsePool::with_limits(1, 1, Duration::from_millis(200)).unwrap();
        let (release, hold) = mpsc::channel::<()>();
        let waits = pool.run(move || hold.recv());
        assert_eq!(waits.await, Err(PoolError::Busy));
        assert_eq!(pool.given_up(Some(Duration::from_millis(50))), PoolError::TimedOut);
        assert_eq!(pool.given_up(None), PoolError::TimedOut, "nothing is known of it");
        drop(release);
    }
}
