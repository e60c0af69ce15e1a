//! How often one address may ask for what costs work: token buckets in memory, one set for each replica.
//!
//! An address is a network of IPv6 (/64) or one address of IPv4. Behind a proxy that the operator named it is
//! the one that the proxy saw; anybody else's word for it is not believed. A bucket is charged before the request
//! is read, so that the answer says nothing about what was in it.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::HttpRequest;
use governor::clock::Clock as Ticking;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::app::Refusal;
use crate::clock::Clock;
use crate::config::limits::LimitsConfig;

/// How much more than one address all together may ask for.
const ALL: u32 = 40;
/// From how many buckets on those that are full again are thrown away.
const MANY: usize = 4_096;

/// What costs work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// A step of a login.
    Login,
    /// Opening a signed command.
    Command,
    /// An application, which a person reads.
    Application,
}

/// The buckets of one replica.
pub(super) struct Rates {
    logins: Buckets,
    commands: Buckets,
    applications: Buckets,
    proxies: Vec<IpAddr>,
}

impl Rates {
    pub(super) fn new(limits: &LimitsConfig, clock: &Clock) -> Self {
        Self {
            logins: Buckets::new(Quota::per_minute, limits.logins_per_minute, clock),
            commands: Buckets::new(Quota::per_minute, limits.commands_per_minute, clock),
            applications: Buckets::new(Quota::per_hour, limits.applications_per_hour, clock),
            proxies: limits.proxies.clone(),
        }
    }

    /// Charges whoever sends a request, or refuses it.
    pub(super) fn charge(&self, request: &HttpRequest, work: Work) -> Result<(), Refusal> {
        let Some(asker) = self.asker(request) else { return Ok(()) };
        let buckets = match work {
            Work::Login => &self.logins,
            Work::Command => &self.commands,
            Work::Application => &self.applications,
        };
        buckets.charge(asker).map_err(|wait| Refusal::TooMany { seconds: wait.as_secs() + 1 })
    }

    /// The address that sends a request, as it is counted here.
    pub(super) fn asker(&self, request: &HttpRequest) -> Option<IpAddr> {
        let forwarded = request.headers().get_all("x-forwarded-for").last();
        let forwarded = forwarded.and_then(|value| value.to_str().ok());
        request.peer_addr().map(|peer| network(asker(peer.ip(), forwarded, &self.proxies)))
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
    each: Keyed,
    all: Common,
    ticks: Ticks,
}

impl Buckets {
    fn new(per: fn(NonZeroU32) -> Quota, count: u32, clock: &Clock) -> Self {
        let ticks = Ticks(clock.clone());
        let quota = |count: u32| per(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN));
        Self {
            each: RateLimiter::hashmap_with_clock(quota(count), ticks.clone()),
            all: RateLimiter::direct_with_clock(quota(count.saturating_mul(ALL)), ticks.clone()),
            ticks,
        }
    }

    /// Takes one from the bucket of an address, or says how long to wait. Who has nothing left costs the others nothing.
    fn charge(&self, address: IpAddr) -> Result<(), Duration> {
        let now = self.ticks.now();
        if self.each.len() > MANY {
            self.each.retain_recent();
        }
        self.each.check_key(&address).map_err(|until| until.wait_time_from(now))?;
        self.all.check().map_err(|until| until.wait_time_from(now))
    }
}

/// Who asks: the peer, or whom a proxy saw last.
fn asker(peer: IpAddr, forwarded: Option<&str>, proxies: &[IpAddr]) -> IpAddr {
    let peer = peer.to_canonical();
    if !proxies.contains(&peer) {
        return peer;
    }
    let seen = forwarded.and_then(|list| list.rsplit(',').next()).map(str::trim);
    seen.and_then(|seen| seen.parse::<IpAddr>().ok()).map_or(peer, |seen| seen.to_canonical())
}

/// What is charged together: IPv6 is given out by networks.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn nobody_but_a_named_proxy_says_who_asks_and_it_only_for_whom_it_saw_itself() {
        let proxies = [ip("127.0.0.1")];
        let asks = |peer: &str, forwarded: &str| asker(ip(peer), Some(forwarded), &proxies).to_string();
        assert_eq!(asks("192.0.2.9", "198.51.100.1"), "192.0.2.9");
        assert_eq!(asks("127.0.0.1", "198.51.100.1"), "198.51.100.1");
        assert_eq!(asks("::ffff:127.0.0.1", "forged, 198.51.100.1"), "198.51.100.1");
        assert_eq!(asks("127.0.0.1", "198.51.100.1, unknown"), "127.0.0.1");
        assert_eq!(asker(ip("127.0.0.1"), None, &proxies), ip("127.0.0.1"));
    }

    #[test]
    fn a_network_of_ipv6_has_one_bucket_and_another_one_its_own() {
        let (clock, hand) = Clock::standing_at(chrono::DateTime::UNIX_EPOCH);
        let buckets = Buckets::new(Quota::per_minute, 2, &clock);
        let charge = |address: &str| buckets.charge(network(ip(address)));
        assert_eq!((charge("2001:db8::1"), charge("2001:db8::2")), (Ok(()), Ok(())));
        assert!(charge("2001:db8::3:4:5:6").is_err_and(|wait| wait <= Duration::from_secs(30)));
        assert_eq!(charge("2001:db8:0:1::1"), Ok(()), "another network");
        hand.advance(Duration::from_secs(30));
        assert_eq!(charge("2001:db8::1"), Ok(()), "one comes back every half minute");
        assert!(charge("2001:db8::1").is_err());
    }

    #[test]
    fn all_together_have_a_bucket_too() {
        let (clock, _) = Clock::standing_at(chrono::DateTime::UNIX_EPOCH);
        let buckets = Buckets::new(Quota::per_minute, 1, &clock);
        let charge = |number: u32| buckets.charge(IpAddr::V4(number.into()));
        assert!((0..ALL).all(|number| charge(number).is_ok()));
        assert!(charge(ALL).is_err());
    }
}
