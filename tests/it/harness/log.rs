//! Everything this process logs, at the most talkative level, so that it can be searched.

use std::io;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

static LINES: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(|| {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(Writers)
        .init();
    Mutex::default()
});

/// The log of this process since some moment; other stories run at the same time and write to it as well.
pub struct Log {
    from: usize,
}

impl Log {
    /// Begins to listen.
    pub fn start() -> Self {
        Self { from: lines().len() }
    }

    /// What was logged since.
    pub fn so_far(&self) -> Vec<u8> {
        lines()[self.from..].to_vec()
    }
}

fn lines() -> MutexGuard<'static, Vec<u8>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writers;

struct Line;

impl<'a> MakeWriter<'a> for Writers {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line
    }
}

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lines().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
