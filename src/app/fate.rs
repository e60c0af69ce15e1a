//! What became of a message, and what that means for its copy: pure, so that laws can be tried on it.

use chrono::{DateTime, Utc};

use crate::domain::notice::{DeliveryState, MAX_ATTEMPTS, MAX_UNCERTAIN, retry_at};
use crate::store::{Claimed, Outcome};

/// What became of a message, as the relay's module says it.
#[derive(Clone, Debug)]
pub enum Fate {
    /// The relay took it.
    Accepted(String),
    /// The relay refused it for now.
    Deferred(String),
    /// The relay refused it for good.
    Refused(String),
    /// The relay refused it for its size.
    TooLarge(String),
    /// It was not sent.
    NotSent(String),
    /// The answer after the final dot was lost.
    Uncertain(String),
    /// The relay wants nothing from this server at all: that says nothing about the recipient.
    Unwelcome(String),
}

/// What a fate means for a copy's state.
pub(super) fn outcome(claimed: &Claimed, fate: Fate, now: DateTime<Utc>, jitter: u8) -> Outcome {
    let later = retry_at(now, claimed.attempts, jitter);
    let used_up = claimed.attempts + 1 >= MAX_ATTEMPTS;
    let uncertain = match &fate {
        Fate::Uncertain(_) => claimed.uncertain + 1,
        // The next mail is another one.
        Fate::TooLarge(_) => 0,
        _ => claimed.uncertain,
    };
    let (state, not_before, reply, attempted) = match fate {
        Fate::Accepted(reply) => (DeliveryState::Accepted, now, reply, true),
        Fate::Refused(reply) => (DeliveryState::Failed, now, reply, true),
        // The next attempt is a smaller mail, and says nothing about this one's relay that would need a rest.
        Fate::TooLarge(reply) => (DeliveryState::Pending, now, reply, true),
        Fate::Deferred(reply) | Fate::NotSent(reply) | Fate::Unwelcome(reply) if used_up => {
            (DeliveryState::Failed, now, reply, true)
        }
        Fate::Deferred(reply) | Fate::NotSent(reply) | Fate::Unwelcome(reply) => {
            (DeliveryState::Pending, later, reply, true)
        }
        Fate::Uncertain(reply) if claimed.uncertain + 1 >= MAX_UNCERTAIN => {
            (DeliveryState::Failed, now, reply, true)
        }
        Fate::Uncertain(reply) => (DeliveryState::Uncertain, later, reply, true),
    };
    Outcome { state, not_before, reply, attempted, uncertain }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::id::{ContactId, DeliveryId, EmbargoId, NoticeId};
    use crate::store::Recipient;

    fn claimed() -> Claimed {
        Claimed {
            id: DeliveryId::from_random([1; 26]),
            notice: NoticeId::from_random([2; 26]),
            embargo: EmbargoId::from_random([3; 8]),
            recipient: Recipient::Contact(ContactId::from_random([4; 26])),
            attempts: 0,
            uncertain: 0,
            fence: 1,
            frozen: None,
            may_have_arrived: false,
        }
    }

    fn any_fate() -> impl Strategy<Value = Fate> {
        let reply = || "a reply".to_owned();
        prop_oneof![
            1 => Just(Fate::Accepted(reply())),
            1 => Just(Fate::Refused(reply())),
            20 => Just(Fate::Deferred(reply())),
            20 => Just(Fate::NotSent(reply())),
            20 => Just(Fate::Unwelcome(reply())),
            2 => Just(Fate::Uncertain(reply())),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_to_a_copy_it_is_told_refused_or_tried_again_and_not_for_ever(
            fates in prop::collection::vec((any_fate(), any::<u8>()), MAX_ATTEMPTS as usize + 4..200),
        ) {
            let mut copy = claimed();
            let mut now = DateTime::from_timestamp(1_780_000_000, 0).unwrap();
            let mut lost = 0;
            for (fate, jitter) in fates {
                lost += u32::from(matches!(fate, Fate::Uncertain(_)));
                let accepted = matches!(fate, Fate::Accepted(_));
                let outcome = outcome(&copy, fate, now, jitter);
                prop_assert!(outcome.attempted && outcome.uncertain == lost);
                prop_assert!(lost <= MAX_UNCERTAIN, "the same bytes go again a few times only");
                prop_assert_eq!(accepted, outcome.state == DeliveryState::Accepted);
                copy.attempts += 1;
                copy.uncertain = outcome.uncertain;
                match outcome.state {
                    DeliveryState::Accepted | DeliveryState::Failed => return Ok(()),
                    DeliveryState::Pending | DeliveryState::Uncertain => {
                        prop_assert!(outcome.not_before > now);
                        now = outcome.not_before;
                    }
                    other => prop_assert!(false, "{} is no end of an attempt", other),
                }
            }
            prop_assert!(false, "it was tried for ever");
        }
    }
}
