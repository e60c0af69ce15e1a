//! Who asks, as far as strangers are counted: a network of IPv6 (/64) or one address of IPv4, and whether somebody
//! proved there who they are.
//!
//! Behind a proxy that the operator named it is the one that the proxy saw; anybody else's word for it is not believed.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::HttpRequest;

use crate::clock::Clock;
use crate::config::limits::LimitsConfig;

/// How long a network is known after somebody proved there who they are.
const KNOWN_FOR: Duration = Duration::from_hours(7 * 24);
/// How much more than one network a customer of many may have of anything.
pub(super) const SITE: u32 = 8;
/// How many networks are known at once; only those who are registered can make one known.
const MOST_KNOWN: usize = 4_096;

/// Where the requests of one replica come from.
pub(super) struct Askers {
    proxies: Vec<IpAddr>,
    /// When somebody last proved there who they are.
    known: Mutex<HashMap<IpAddr, Duration>>,
    clock: Clock,
}

impl Askers {
    pub(super) fn new(limits: &LimitsConfig, clock: &Clock) -> Self {
        Self { proxies: limits.proxies.clone(), known: Mutex::default(), clock: clock.clone() }
    }

    /// The network that sends a request; none if it came over no network.
    pub(super) fn of(&self, request: &HttpRequest) -> Option<IpAddr> {
        let forwarded = request.headers().get_all("x-forwarded-for").last();
        let forwarded = forwarded.and_then(|value| value.to_str().ok());
        request.peer_addr().map(|peer| network(asker(peer.ip(), forwarded, &self.proxies)))
    }

    /// Whether somebody proved lately, from there, who they are.
    pub(super) fn knows(&self, asker: IpAddr) -> bool {
        let now = self.clock.monotonic();
        self.known().get(&asker).is_some_and(|since| now.saturating_sub(*since) < KNOWN_FOR)
    }

    /// Remembers that who sent a request is registered, and proved it.
    pub(super) fn proved(&self, request: &HttpRequest) {
        let Some(asker) = self.of(request) else { return };
        let now = self.clock.monotonic();
        let mut known = self.known();
        known.insert(asker, now);
        if known.len() > MOST_KNOWN {
            known.retain(|_, since| now.saturating_sub(*since) < KNOWN_FOR);
            let oldest = known.iter().min_by_key(|(_, since)| **since).map(|(asker, _)| *asker);
            if let Some(oldest) = oldest.filter(|_| known.len() > MOST_KNOWN) {
                known.remove(&oldest);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<IpAddr, Duration>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who asks: the peer, or whom the first of the named proxies saw that stand in a row before this server.
fn asker(peer: IpAddr, forwarded: Option<&str>, proxies: &[IpAddr]) -> IpAddr {
    let peer = peer.to_canonical();
    if !proxies.contains(&peer) {
        return peer;
    }
    let hops = forwarded.into_iter().flat_map(|list| list.rsplit(','));
    let mut hops = hops.map_while(|hop| Some(address(hop.trim())?.to_canonical()));
    hops.find(|hop| !proxies.contains(hop)).unwrap_or(peer)
}

/// An address as proxies write it: alone, in brackets, or with the port behind it.
fn address(text: &str) -> Option<IpAddr> {
    let alone = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    alone.parse().ok().or_else(with_port)
}

/// What is charged together: IPv6 is given out by networks.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        IpAddr::V4(_) => address,
    }
}

/// What one customer is given at most (RFC 6177): a /48, which has 65,536 networks.
pub(super) fn site(network: IpAddr) -> Option<IpAddr> {
    match network {
        IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() >> 80 << 80).into()),
        IpAddr::V4(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

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
        assert_eq!(asks("127.0.0.1", "forged, 198.51.100.1:50123"), "198.51.100.1");
        assert_eq!(asks("127.0.0.1", "198.51.100.1, 127.0.0.1"), "198.51.100.1");
        assert_eq!(asks("127.0.0.1", "forged, 127.0.0.1"), "127.0.0.1");
        assert_eq!(asks("127.0.0.1", "[2001:db8::1]"), "2001:db8::1");
        assert_eq!(asks("127.0.0.1", "[2001:db8::1]:50123"), "2001:db8::1");
        assert_eq!(asks("127.0.0.1", "198.51.100.1, unknown"), "127.0.0.1");
        assert_eq!(asker(ip("127.0.0.1"), None, &proxies), ip("127.0.0.1"));
    }

    #[test]
    fn ipv6_is_counted_by_networks_and_by_what_one_customer_is_given() {
        assert_eq!(network(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_eq!(site(network(ip("2001:db8:1:2:3:4:5:6"))), Some(ip("2001:db8:1::")));
        assert_eq!((network(ip("192.0.2.9")), site(ip("192.0.2.9"))), (ip("192.0.2.9"), None));
    }

    #[test]
    fn who_proved_themselves_are_known_for_a_week_and_the_oldest_goes_first() {
        let (clock, hand) = Clock::standing_at(chrono::DateTime::UNIX_EPOCH);
        let askers = Askers::new(&LimitsConfig::default(), &clock);
        let from = |peer: IpAddr| {
            let peer = std::net::SocketAddr::new(peer, 1);
            askers.proved(&TestRequest::default().peer_addr(peer).to_http_request());
        };
        from(ip("192.0.2.9"));
        assert!(askers.knows(ip("192.0.2.9")) && !askers.knows(ip("192.0.2.8")));
        hand.advance(Duration::from_secs(1));
        (1..=u32::try_from(MOST_KNOWN).unwrap()).for_each(|number| from(IpAddr::V4(number.into())));
        assert!(!askers.knows(ip("192.0.2.9")) && askers.knows(ip("0.0.0.1")));
        hand.advance(KNOWN_FOR);
        assert!(!askers.knows(ip("0.0.0.1")));
    }
}
