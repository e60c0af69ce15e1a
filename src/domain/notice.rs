//! What is to be told, and the state of each copy.

use std::str::FromStr;

use chrono::{DateTime, Duration, Utc};

/// A stored word that no enum knows: the row was damaged or written by a newer version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a known {1}")]
pub struct UnknownWord(pub String, pub &'static str);

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $kind:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word that is stored and shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    other => Err(UnknownWord(other.to_owned(), $kind)),
                }
            }
        }
    };
}

words!(
    /// What a notice is about.
    NoticeKind, "notice kind" {
        /// The first word to packagers: what, which fixes, when.
        Announcement = "announcement",
        /// A changed working set.
        Revision = "revision",
        /// The date moved.
        NewDate = "new-date",
        /// It is public.
        Lifted = "lifted",
        /// It is public before the agreed date.
        LiftedEarly = "lifted-early",
        /// It ended without a fix.
        Cancelled = "cancelled",
        /// A contact's certificate cannot be used; carries no content.
        KeyTrouble = "key-trouble",
        /// Maintainers must look at something.
        Alarm = "alarm",
    }
);

words!(
    /// Where one copy stands.
    DeliveryState, "delivery state" {
        /// Waiting for its turn.
        Pending = "pending",
        /// A worker holds it.
        Leased = "leased",
        /// The relay took it.
        Accepted = "accepted",
        /// The recipient's certificate cannot be used.
        Blocked = "blocked",
        /// The answer after the final dot was lost; the same bytes go again.
        Uncertain = "uncertain",
        /// The relay refused it for good, or attempts are used up.
        Failed = "failed",
        /// What it said no longer holds.
        Superseded = "superseded",
    }
);

words!(
    /// What a packager says of itself.
    Impact, "impact" {
        /// Nothing said yet.
        Unknown = "unknown",
        /// It ships the vulnerable code.
        Affected = "affected",
        /// It does not.
        NotAffected = "not-affected",
    }
);

words!(
    /// How far a packager's build is.
    Progress, "progress" {
        /// Not begun.
        None = "none",
        /// Under way.
        Building = "building",
        /// Ready to release.
        Ready = "ready",
        /// Released.
        Published = "published",
    }
);

impl NoticeKind {
    /// Whether it hands out the content of a revision.
    pub fn carries_revision(self) -> bool {
        matches!(self, Self::Announcement | Self::Revision)
    }
}

impl DeliveryState {
    /// Whether the worker still has something to do for it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Leased | Self::Uncertain)
    }
}

/// How often a copy is tried before people have to look: for about six hours.
pub const ATTEMPTS_BEFORE_ALARM: u32 = 12;

/// How often a copy is tried before it is given up: for about five days, as mail servers do (RFC 5321, 4.5.4.1), so
/// that no outage of a relay over a weekend costs a notice.
pub const MAX_ATTEMPTS: u32 = 128;

/// How often the same bytes go again after a lost answer.
pub const MAX_UNCERTAIN: u32 = 3;

/// When to try again after `attempts` failures: doubling from 30 seconds to an hour, spread by `jitter`
/// (any number; up to a quarter is added) so that a relay that comes back is not overrun.
pub fn retry_at(now: DateTime<Utc>, attempts: u32, jitter: u8) -> DateTime<Utc> {
    let seconds = (30_i64 << attempts.min(7)).min(3_600);
    now + Duration::seconds(seconds) + Duration::milliseconds(seconds * 250 * i64::from(jitter) / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_storage() {
        for kind in NoticeKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        for state in DeliveryState::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        assert_eq!("ready".parse(), Ok(Progress::Ready));
        assert!("maybe".parse::<Impact>().is_err());
    }

    #[test]
    fn retries_wait_longer_each_time_but_never_much_over_an_hour() {
        let now = DateTime::from_timestamp(0, 0).unwrap();
        let waits: Vec<i64> = (0..20).map(|n| (retry_at(now, n, 0) - now).num_seconds()).collect();
        assert!(waits.is_sorted());
        assert_eq!((waits[0], waits[19]), (30, 3_600));
        assert!((retry_at(now, 30, 255) - now).num_seconds() <= 4_500);
        let hours = |attempts: u32| {
            (0..attempts).map(|n| (retry_at(now, n, 0) - now).num_seconds()).sum::<i64>() / 3_600
        };
        assert_eq!(hours(ATTEMPTS_BEFORE_ALARM), 6);
        assert!((24 * 4..24 * 6).contains(&hours(MAX_ATTEMPTS)), "{}", hours(MAX_ATTEMPTS));
    }

    proptest::proptest! {
        #[test]
        fn a_retry_is_never_sooner_than_the_one_before_never_over_an_hour_and_a_quarter_and_spread_by_its_jitter(
            seconds in 0_i64..4_000_000_000, attempts in 0_u32..10_000, jitter: u8, other: u8,
        ) {
            let now = DateTime::from_timestamp(seconds, 0).unwrap();
            let wait = |attempts, jitter| retry_at(now, attempts, jitter) - now;
            proptest::prop_assert!(wait(attempts, jitter) >= Duration::seconds(30));
            proptest::prop_assert!(wait(attempts, jitter) <= Duration::seconds(4_500));
            proptest::prop_assert!(wait(attempts, 0) <= wait(attempts + 1, 0));
            let spread = wait(attempts, jitter.max(other)) - wait(attempts, jitter.min(other));
            proptest::prop_assert!(spread <= wait(attempts, 0) / 4);
            proptest::prop_assert_eq!(spread.is_zero(), jitter == other);
        }
    }
}
