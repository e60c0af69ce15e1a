//! One look for all who ask at once: what anybody may ask for without a limit costs no more than one look at a time.

use std::future::{Future, pending};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;
use tokio::task::JoinError;

/// Looks that are taken one after the other. Whoever asks gets what a look found that began after the question.
#[derive(Debug, Default)]
pub(super) struct Looks<T> {
    begun: AtomicU64,
    /// The last that came to its end, by its number, and what it found.
    last: Arc<Mutex<Option<(u64, T)>>>,
}

impl<T: Clone + Send + 'static> Looks<T> {
    /// What `look` finds, or another look that began meanwhile. A look that was begun comes to its end before the
    /// next, whether whoever asked still waits or not: what it does in the database does not end with them.
    pub(super) async fn share(&self, look: impl Future<Output = T> + Send + 'static) -> T {
        let asked = self.begun.load(Ordering::SeqCst);
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some((number, found)) = &*last
            && *number > asked
        {
            return found.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let looking = tokio::spawn(async move {
            let found = look.await;
            *last = Some((number, found.clone()));
            found
        });
        match looking.await.map_err(JoinError::try_into_panic) {
            Ok(found) => found,
            Err(Ok(panic)) => resume_unwind(panic),
            // Only the end of the runtime cancels it, and that ends whoever waits here as well.
            Err(Err(_)) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::Looks;

    #[tokio::test]
    async fn who_asks_while_a_look_is_taken_shares_the_next() {
        let (looks, gate) = (Arc::new(Looks::default()), Arc::new(Notify::new()));
        let (asked, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let askers: Vec<_> = (0..100)
            .map(|_| {
                let (looks, gate, taken, asked) = (looks.clone(), gate.clone(), taken.clone(), asked.clone());
                tokio::spawn(async move {
                    asked.fetch_add(1, Ordering::SeqCst);
                    let look = async move {
                        gate.notified().await;
                        taken.fetch_add(1, Ordering::SeqCst) + 1
                    };
                    looks.share(look).await
                })
            })
            .collect();
        while asked.load(Ordering::SeqCst) < askers.len() {
            tokio::task::yield_now().await;
        }
        let mut found = Vec::new();
        for asker in askers {
            // One permit is kept for whoever comes next, and no more.
            gate.notify_one();
            found.push(asker.await.unwrap());
        }
        assert_eq!((found[0], &found[1..]), (1, &[2; 99][..]));
        assert_eq!(taken.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_look_whose_asker_went_away_ends_before_the_next_begins() {
        let (looks, gate) = (Arc::new(Looks::default()), Arc::new(Notify::new()));
        assert_eq!(looks.share(ready(1)).await, 1);
        let (opened, ended) = (Arc::clone(&gate), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&ended);
        let look = async move {
            opened.notified().await;
            counted.fetch_add(1, Ordering::SeqCst)
        };
        assert!(tokio::time::timeout(Duration::ZERO, looks.share(look)).await.is_err());
        let counted = Arc::clone(&ended);
        let next =
            tokio::spawn(async move { looks.share(async move { counted.load(Ordering::SeqCst) + 2 }).await });
        tokio::task::yield_now().await;
        assert!(!next.is_finished(), "two looks at once");
        gate.notify_one();
        assert_eq!(next.await.unwrap(), 3, "it began before the other had ended");
    }
}
