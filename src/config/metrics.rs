//! `[metrics]`: where numbers about the server can be read, if anywhere.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// The `[metrics]` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Where `GET /metrics` is answered; nowhere if absent.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "address")]
    pub listen: Option<SocketAddr>,
}

impl MetricsConfig {
    /// Whether it would be answered where the public address is, or would be in its way.
    pub fn collides_with(&self, public: SocketAddr) -> bool {
        self.listen.is_some_and(|listen| {
            let (own, other) = (listen.ip(), public.ip());
            listen.port() != 0
                && listen.port() == public.port()
                && (own == other || own.is_unspecified() || other.is_unspecified())
        })
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(|_| {
        D::Error::custom(format!(
            "listen = {text:?} is no address with a port; write one such as \"127.0.0.1:9187\" or \"[::1]:9187\""
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_port_is_shared_by_two_addresses_of_a_machine_but_not_with_all_of_them() {
        for (listen, public, collides) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8080", "0.0.0.0:8080", true),
            ("[::]:8080", "127.0.0.1:8080", true),
            ("127.0.0.2:8080", "127.0.0.1:8080", false),
            ("127.0.0.1:9187", "0.0.0.0:8080", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let metrics = MetricsConfig { listen: Some(listen.parse().unwrap()) };
            assert_eq!(metrics.collides_with(public.parse().unwrap()), collides, "{listen} and {public}");
        }
        assert!(!MetricsConfig::default().collides_with("0.0.0.0:8080".parse().unwrap()));
    }
}
