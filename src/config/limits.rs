//! `[limits]`: what strangers may use up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The `[limits]` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// The proxies whose X-Forwarded-For says who asks; anybody else's is not believed.
    pub proxies: Vec<IpAddr>,
    /// How many steps of a login one address may take in a minute.
    pub logins_per_minute: u32,
    /// How many signed commands may come from one address in a minute.
    pub commands_per_minute: u32,
    /// How many applications one address may send in an hour.
    pub applications_per_hour: u32,
    /// How many connections are kept at once.
    pub connections: usize,
    /// How many of them one address may have, if it is no proxy's.
    pub connections_per_address: usize,
    /// After how many seconds a request that has not wholly arrived, or is not answered, is given up.
    pub request_seconds: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            proxies: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            logins_per_minute: 60,
            commands_per_minute: 120,
            applications_per_hour: 10,
            connections: 4096,
            connections_per_address: 128,
            request_seconds: 60,
        }
    }
}

impl LimitsConfig {
    /// After how long a request is given up.
    pub fn request_time(&self) -> Duration {
        Duration::from_secs(self.request_seconds)
    }

    /// The first key whose value is out of its range, and what it takes.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let rate = 1..=100_000;
        let connections = 1..=65_536;
        if !rate.contains(&self.logins_per_minute) {
            Some(("limits.logins_per_minute", "a number from 1 to 100000, such as 60"))
        } else if !rate.contains(&self.commands_per_minute) {
            Some(("limits.commands_per_minute", "a number from 1 to 100000, such as 120"))
        } else if !rate.contains(&self.applications_per_hour) {
            Some(("limits.applications_per_hour", "a number from 1 to 100000, such as 10"))
        } else if !connections.contains(&self.connections) {
            Some(("limits.connections", "a number from 1 to 65536, such as 4096"))
        } else if !connections.contains(&self.connections_per_address) {
            Some(("limits.connections_per_address", "a number from 1 to 65536, such as 128"))
        } else if !(1..=3_600).contains(&self.request_seconds) {
            Some(("limits.request_seconds", "a number of seconds from 1 to 3600, such as 60"))
        } else {
            None
        }
    }
}
