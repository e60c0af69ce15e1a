//! The only place that draws randomness.
//!
//! Ids, nonces, tokens, session keys and data keys come from an [`Entropy`]: the system's, or a seeded
//! one that makes a test repeat itself. OpenPGP libraries draw their own for keys and signatures.

use std::sync::{Arc, Mutex, PoisonError};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

/// Where randomness comes from. Cheap to clone; clones of a seeded source share its state.
#[derive(Clone)]
pub enum Entropy {
    /// The operating system's generator.
    System,
    /// A repeatable stream, for tests only.
    Seeded(Arc<Mutex<ChaCha20Rng>>),
}

impl Entropy {
    /// A source that yields the same bytes for the same `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(ChaCha20Rng::seed_from_u64(seed))))
    }

    /// `N` fresh random bytes.
    ///
    /// # Panics
    ///
    /// If the operating system has no randomness to give: nothing safe can be done without it.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place that draws randomness")]
            Self::System => getrandom::fill(&mut bytes).expect("the operating system provides randomness"),
            Self::Seeded(generator) => {
                generator.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
            }
        }
        bytes
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Entropy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_the_system_does_not() {
        assert_eq!(Entropy::seeded(7).bytes::<32>(), Entropy::seeded(7).bytes::<32>());
        assert_ne!(Entropy::System.bytes::<32>(), Entropy::System.bytes::<32>());
    }
}
