//! How many connections strangers may have: one too many is closed before it is read.
//!
//! They are counted by who asks, as tries are: an address of IPv4, a network of IPv6, and what one customer is given. A
//! proxy that the operator named has as many as it wants; who stands behind it is its own affair.

use std::collections::HashMap;
use std::net::{IpAddr, Shutdown};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;

use super::askers::{SITE, network, site};
use crate::config::limits::LimitsConfig;

/// The connections of one replica.
#[derive(Clone)]
pub(super) struct Connections {
    held: Arc<Mutex<HashMap<Share, usize>>>,
    most: usize,
    proxies: Arc<[IpAddr]>,
}

/// What connections are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Share {
    Network(IpAddr),
    Site(IpAddr),
}

impl Share {
    /// What a connection from this network is counted by.
    fn all(network: IpAddr) -> impl Iterator<Item = Self> {
        std::iter::once(Self::Network(network)).chain(site(network).map(Self::Site))
    }

    /// How many it may have, where a network may have `most`.
    fn most(self, most: usize) -> usize {
        match self {
            Self::Network(_) => most,
            Self::Site(_) => most.saturating_mul(SITE as usize),
        }
    }
}

/// Counts as long as a connection lives.
struct Held {
    connections: Connections,
    network: IpAddr,
}

impl Connections {
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        Self {
            held: Arc::default(),
            most: limits.connections_per_address,
            proxies: limits.proxies.clone().into(),
        }
    }

    /// Counts a new connection, or closes it.
    pub(super) fn admit(&self, stream: &TcpStream, extensions: &mut Extensions) {
        let Ok(peer) = stream.peer_addr() else { return };
        let address = peer.ip().to_canonical();
        if self.proxies.contains(&address) {
            return;
        }
        let network = network(address);
        if self.take(network) {
            extensions.insert(Held { connections: self.clone(), network });
        } else if let Ok(socket) = stream.as_fd().try_clone_to_owned() {
            // The other handle of this socket reads its end, and lets go of it.
            let _ = std::net::TcpStream::from(socket).shutdown(Shutdown::Both);
        }
    }

    fn take(&self, network: IpAddr) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = |share: Share| held.get(&share).is_none_or(|count| *count < share.most(self.most));
        let free = Share::all(network).all(is_free);
        if free {
            Share::all(network).for_each(|share| *held.entry(share).or_default() += 1);
        }
        free
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.connections.held.lock().unwrap_or_else(PoisonError::into_inner);
        for share in Share::all(self.network) {
            if let Some(count) = held.get_mut(&share) {
                *count -= 1;
                if *count == 0 {
                    held.remove(&share);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_a_connection_ends_and_nothing_is_kept_of_who_left() {
        let connections =
            Connections::new(&LimitsConfig { connections_per_address: 2, ..LimitsConfig::default() });
        let network: IpAddr = "192.0.2.1".parse().unwrap();
        let hold = || connections.take(network).then(|| Held { connections: connections.clone(), network });
        let (first, second) = (hold().unwrap(), hold().unwrap());
        assert!(hold().is_none());
        drop(first);
        let third = hold().unwrap();
        drop((second, third));
        assert!(connections.held.lock().unwrap().is_empty());
    }

    #[test]
    fn a_customer_of_many_networks_has_as_much_as_eight() {
        let connections =
            Connections::new(&LimitsConfig { connections_per_address: 2, ..LimitsConfig::default() });
        let take = |address: String| connections.take(network(address.parse().unwrap()));
        let one = (0..5).filter(|host| take(format!("2001:db8::{host}"))).count();
        assert_eq!(one, 2, "all addresses of a network together");
        let others = (1..100).filter(|network| take(format!("2001:db8:0:{network}::1"))).count();
        assert_eq!(others, 14, "all networks of a customer together");
        assert!(take("2001:db8:1::1".to_owned()), "another customer");
    }
}
