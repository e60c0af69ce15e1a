//! How long a thread has been at work, seen from another one: who waits for it can tell hard work from a machine that has
//! too much to do.

use std::path::PathBuf;
use std::time::Duration;

/// Where Linux says how long one thread has run on a processor.
#[derive(Clone, Debug)]
pub(super) struct Processor(Option<PathBuf>);

impl Processor {
    /// That of the thread that asks.
    pub(super) fn of_this_thread() -> Self {
        let place = std::fs::read_link("/proc/thread-self").ok();
        Self(place.map(|place| ["/proc".into(), place, "schedstat".into()].iter().collect()))
    }

    /// How long it has run since it began; nothing where that is not told.
    pub(super) fn time(&self) -> Option<Duration> {
        let text = std::fs::read_to_string(self.0.as_ref()?).ok()?;
        text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn who_works_grows_older_and_who_waits_does_not() {
        let (say, hear) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let waiting = std::thread::spawn(move || {
            say.send(Processor::of_this_thread()).unwrap();
            let _ = ended.recv();
        });
        let (own, other) = (Processor::of_this_thread(), hear.recv().unwrap());
        let (own_before, other_before) = (own.time().unwrap(), other.time().unwrap());
        let worked = || own.time().unwrap().saturating_sub(own_before);
        while worked() < Duration::from_millis(20) {}
        assert!(other.time().unwrap().saturating_sub(other_before) < Duration::from_millis(20));
        drop(end);
        waiting.join().unwrap();
    }
}
