//! Why a use case said no. No variant can hold anything embargoed that reaches a stranger: only
//! identified maintainers get details, and those speak of positions, counts and rules.

use crate::domain::embargo::TransitionError;
use crate::openpgp::{Inspection, PoolError};
use crate::store::StoreError;

/// What anybody may know of a vault that is shut. Paths and ids of keys are for the operator.
pub const LOCKED: &str = "the key-encryption key is missing or is another one: embargod doctor says more";

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such thing, or the caller may not know of it.
    #[error("there is nothing here, or nothing that you may see")]
    NotFound,
    /// No token, or one that does not count any more.
    #[error("{0}")]
    Unauthorised(&'static str),
    /// The caller is known and may not do this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The request is wrong.
    #[error("{detail}")]
    Invalid {
        /// A stable word for the kind of mistake.
        code: &'static str,
        /// What was wrong, what was expected, what to do next.
        detail: String,
    },
    /// What was sent as a certificate cannot be used; says what is wrong with each component.
    #[error("{}", .0.summary())]
    Certificate(Box<Inspection>),
    /// A rule of the policy or of the case's life forbids it.
    #[error("{detail}")]
    Rule {
        /// A stable word for the rule.
        code: &'static str,
        /// Which rule, and what is possible instead.
        detail: String,
    },
    /// The case changed since the caller looked.
    #[error(
        "the embargo was changed meanwhile (it is at version {0}): look at it again and repeat the change"
    )]
    Stale(i64),
    /// The idempotency key was used for another request.
    #[error("this Idempotency-Key was used for another request: use a fresh one for each command")]
    KeyReused,
    /// Too often.
    #[error("wait {seconds} seconds, then try again")]
    TooMany {
        /// How long to wait.
        seconds: u64,
    },
    /// The server cannot do it now.
    #[error("the server cannot do this now: {0}")]
    Unavailable(String),
    /// The vault is shut; the reason names paths and keys, and is for the operator alone.
    #[error("the server cannot do this now: {0}")]
    Locked(String),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

impl Refusal {
    /// A request that is wrong.
    pub fn invalid(code: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Invalid { code, detail: detail.to_string() }
    }

    /// A rule that forbids it.
    pub fn rule(code: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Rule { code, detail: detail.to_string() }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            error if error.is_locked() => Self::Locked(error.to_string()),
            error @ StoreError::Destroyed { .. } => Self::rule("destroyed", error),
            other => Self::Store(other),
        }
    }
}

impl From<TransitionError> for Refusal {
    fn from(error: TransitionError) -> Self {
        Self::rule("stage", error)
    }
}

impl From<PoolError> for Refusal {
    fn from(error: PoolError) -> Self {
        match error {
            // What was being read is to blame, and the same again would end the same way.
            PoolError::TimedOut => Self::invalid(error.code(), error),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
