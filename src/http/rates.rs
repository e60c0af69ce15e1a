//! How often strangers may ask for what costs work: token buckets in memory, one set for each replica.
//!
//! A network has a bucket, what one customer is given has one, and all together have one. A network from which somebody
//! proved who they are has only its own: whoever empties the others keeps no maintainer from a cancellation. A bucket is
//! charged before the request is read, so that the answer says nothing about what was in it.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock as Ticking;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::askers::{SITE, site};
use crate::app::Refusal;
use crate::clock::Clock;
use crate::config::limits::LimitsConfig;

/// How much more than one network all together may ask for.
const ALL: u32 = 40;
/// From how many buckets on those that are full again are thrown away.
const MANY: usize = 4_096;
/// How often at most, in seconds: all of them are looked at.
const TIDIED_EVERY: u64 = 10;

/// What costs work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// A step of a login.
    Login,
    /// Opening a signed command.
    Command,
    /// An application, which a person reads. How many wait is bounded where they wait.
    Application,
}

/// The buckets of one replica.
pub(super) struct Rates {
    logins: Buckets,
    commands: Buckets,
    applications: Buckets,
}

impl Rates {
    pub(super) fn new(limits: &LimitsConfig, clock: &Clock) -> Self {
        let buckets = |per, count, together| Buckets::new(per, count, together, clock);
        Self {
            logins: buckets(Quota::per_minute, limits.logins_per_minute, true),
            commands: buckets(Quota::per_minute, limits.commands_per_minute, true),
            applications: buckets(Quota::per_hour, limits.applications_per_hour, false),
        }
    }

    /// Charges whoever asks, or refuses it.
    pub(super) fn charge(&self, asker: IpAddr, known: bool, work: Work) -> Result<(), Refusal> {
        let buckets = match work {
            Work::Login => &self.logins,
            Work::Command => &self.commands,
            Work::Application => &self.applications,
        };
        buckets.charge(asker, known).map_err(|wait| Refusal::TooMany { seconds: wait.as_secs() + 1 })
    }
}

/// The clock that everything runs on.
#[derive(Clone, Debug)]
struct Ticks(Clock);

impl Ticking for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

type Keyed = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, Ticks, NoOpMiddleware<Duration>>;
type Common = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>;

struct Buckets {
    networks: Keyed,
    sites: Keyed,
    all: Option<Common>,
    ticks: Ticks,
    tidied: AtomicU64,
}

impl Buckets {
    fn new(per: fn(NonZeroU32) -> Quota, count: u32, together: bool, clock: &Clock) -> Self {
        let ticks = Ticks(clock.clone());
        let quota = |times: u32| per(NonZeroU32::new(count.saturating_mul(times)).unwrap_or(NonZeroU32::MIN));
        Self {
            networks: RateLimiter::hashmap_with_clock(quota(1), ticks.clone()),
            sites: RateLimiter::hashmap_with_clock(quota(SITE), ticks.clone()),
            all: together.then(|| RateLimiter::direct_with_clock(quota(ALL), ticks.clone())),
            ticks,
            tidied: AtomicU64::default(),
        }
    }

    /// Takes one from each bucket that counts for a network, or says how long to wait. Who has nothing left costs the
    /// others nothing.
    fn charge(&self, network: IpAddr, known: bool) -> Result<(), Duration> {
        let now = self.ticks.now();
        self.tidy(now);
        self.networks.check_key(&network).map_err(|until| until.wait_time_from(now))?;
        if known {
            return Ok(());
        }
        if let Some(site) = site(network) {
            self.sites.check_key(&site).map_err(|until| until.wait_time_from(now))?;
        }
        self.all.as_ref().map_or(Ok(()), |all| all.check().map_err(|until| until.wait_time_from(now)))
    }

    fn tidy(&self, now: Duration) {
        if self.networks.len() <= MANY {
            return;
        }
        let (now, last) = (now.as_secs(), self.tidied.load(Ordering::Relaxed));
        let due = now >= last + TIDIED_EVERY;
        if due && self.tidied.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.networks.retain_recent();
            self.sites.retain_recent();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_one_bucket_and_another_one_its_own() {
        let (clock, hand) = Clock::standing_at(chrono::DateTime::UNIX_EPOCH);
        let buckets = Buckets::new(Quota::per_minute, 2, true, &clock);
        let charge = |network: &str| buckets.charge(ip(network), false);
        assert_eq!((charge("2001:db8::"), charge("2001:db8::")), (Ok(()), Ok(())));
        assert!(charge("2001:db8::").is_err_and(|wait| wait <= Duration::from_secs(30)));
        assert_eq!(charge("2001:db8:0:1::"), Ok(()), "another network");
        hand.advance(Duration::from_secs(30));
        assert_eq!(charge("2001:db8::"), Ok(()), "one comes back every half minute");
        assert!(charge("2001:db8::").is_err());
    }

    #[test]
    fn all_together_have_a_bucket_too_which_keeps_nobody_out_who_is_known() {
        let (clock, _) = Clock::standing_at(chrono::DateTime::UNIX_EPOCH);
        let buckets = Buckets::new(Quota::per_minute, 1, true, &clock);
        let charge = |number: u32, known| buckets.charge(IpAddr::V4(number.into()), known);
        assert!((0..ALL).all(|number| charge(number, false).is_ok()));
        assert!(charge(ALL, false).is_err());
        assert_eq!(charge(ALL + 1, true), Ok(()));
        assert!(charge(ALL + 1, true).is_err(), "it has its own, and no more");
        let alone = Buckets::new(Quota::per_hour, 1, false, &clock);
        assert!((0..=ALL).all(|number| alone.charge(IpAddr::V4(number.into()), false).is_ok()));
    }

    #[test]
    fn a_customer_of_many_networks_leaves_something_for_the_others() {
        let (clock, _) = Clock::standing_at(chrono::DateTime::UNIX_EPOCH);
        let buckets = Buckets::new(Quota::per_minute, 1, true, &clock);
        let charge = |network: u32| buckets.charge(ip(&format!("2001:db8:7:{network:x}::")), false);
        assert_eq!((0..256).filter(|network| charge(*network).is_ok()).count(), SITE as usize);
        assert_eq!(buckets.charge(ip("2001:db8:8::"), false), Ok(()));
    }

    #[test]
    fn buckets_that_are_full_again_are_thrown_away_now_and_then() {
        let (clock, hand) = Clock::standing_at(chrono::DateTime::UNIX_EPOCH);
        let buckets = Buckets::new(Quota::per_minute, 60, false, &clock);
        let charge = |numbers: std::ops::Range<u32>| {
            numbers.for_each(|number| buckets.charge(IpAddr::V4(number.into()), false).unwrap());
        };
        hand.advance(Duration::from_secs(TIDIED_EVERY));
        charge(0..5_000);
        hand.advance(Duration::from_secs(2));
        charge(5_000..5_001);
        assert_eq!(buckets.networks.len(), 5_001, "not at every request");
        hand.advance(Duration::from_secs(TIDIED_EVERY));
        charge(5_001..5_002);
        assert_eq!(buckets.networks.len(), 1);
    }
}
