//! Polls a loop so that a panic in it ends that loop and nothing else.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// What `work` ends with; nothing if it panics. What it said then is the panic hook's business.
pub(super) async fn survives<F: Future>(work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    poll_fn(|context| {
        // Nothing of the broken future is used again, and what it shares is behind locks.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_after_a_pause_is_told_from_an_end() {
        let ends = survives(async {
            tokio::task::yield_now().await;
            7
        });
        assert_eq!(ends.await, Some(7));
        let breaks = survives(async {
            tokio::task::yield_now().await;
            assert_eq!(1, 2, "a row that nobody foresaw");
        });
        assert_eq!(breaks.await, None);
    }
}
