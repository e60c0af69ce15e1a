//! How many connections one address may have: one too many is closed before it is read.
//!
//! A proxy that the operator named has as many as it wants; who stands behind it is its own affair.

use std::collections::HashMap;
use std::net::{IpAddr, Shutdown};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;

use crate::config::limits::LimitsConfig;

/// The connections of one replica.
#[derive(Clone)]
pub(super) struct Connections {
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
    most: usize,
    proxies: Arc<[IpAddr]>,
}

/// Counts as long as a connection lives.
struct Held {
    connections: Connections,
    address: IpAddr,
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
        if self.take(address) {
            extensions.insert(Held { connections: self.clone(), address });
        } else if let Ok(socket) = stream.as_fd().try_clone_to_owned() {
            // The other handle of this socket reads its end, and lets go of it.
            let _ = std::net::TcpStream::from(socket).shutdown(Shutdown::Both);
        }
    }

    fn take(&self, address: IpAddr) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(address).or_default();
        let free = *count < self.most;
        *count += usize::from(free);
        free
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.connections.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.address);
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
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let hold = || connections.take(address).then(|| Held { connections: connections.clone(), address });
        let (first, second) = (hold().unwrap(), hold().unwrap());
        assert!(hold().is_none());
        drop(first);
        let third = hold().unwrap();
        drop((second, third));
        assert!(connections.held.lock().unwrap().is_empty());
    }
}
