//! What sets a fault off: the n-th of some kind of event that the tests see from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use rustix::process::{Pid, Signal, kill_process};

/// The process at which faults aim; it changes when the server is started again.
#[derive(Clone, Debug, Default)]
pub struct Target(Arc<AtomicI32>);

impl Target {
    pub fn aim_at(&self, pid: u32) {
        self.0.store(i32::try_from(pid).unwrap(), Ordering::SeqCst);
    }

    /// Nobody is hit any more.
    pub fn clear(&self) {
        self.0.store(0, Ordering::SeqCst);
    }

    /// Sends a signal; a process that is gone already is as good.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.0.load(Ordering::SeqCst)) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Goes off once, at the n-th event.
#[derive(Clone, Debug)]
pub struct Countdown(Arc<AtomicUsize>);

impl Countdown {
    /// Goes off at event number `when`, counted from 1; never, if `when` is 0.
    pub fn new(when: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(when)))
    }

    /// Counts an event; says whether it is the one.
    pub fn hit(&self) -> bool {
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1)
    }

    /// Whether it has gone off.
    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}
