//! In which of the two forms of RFC 9580 a message is encrypted.

/// The container around a ciphertext, and with it the version of the packets that carry its session key. Bodies are
/// made once for each container that somebody needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Container {
    /// SEIPD version 1 behind PKESK version 3: what every program reads since RFC 4880.
    Seipdv1,
    /// SEIPD version 2 (AEAD) behind PKESK version 6: what goes with certificates of version 6.
    Seipdv2,
}

impl Container {
    /// Its name, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seipdv1 => "seipdv1",
            Self::Seipdv2 => "seipdv2",
        }
    }
}

impl std::fmt::Display for Container {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.as_str())
    }
}
