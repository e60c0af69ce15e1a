//! What a certificate's owner can type against a trouble, for the two programs that people have.
//!
//! The commands are whole lines for a shell. What stands in them was checked first: a hostile user id must not
//! become a command on the screen of whoever copies it.

use std::fmt;

use serde::Serialize;

/// How many hex digits a fingerprint of version 6 has.
const V6_DIGITS: usize = 64;

/// Lines to be typed in their order with one program or the other; the last one prints the certificate to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cure {
    /// With gpg 2.2 or later; none for a certificate of version 6, which gpg cannot read.
    pub gpg: Vec<String>,
    /// With Sequoia's sq 1.0 or later.
    pub sq: Vec<String>,
}

impl Cure {
    fn new(gpg: String, sq: String) -> Self {
        Self { gpg: vec![gpg], sq: vec![sq] }
    }

    /// For a certificate that exists: gpg reads no fingerprint of version 6, and no certificate either.
    fn of(fingerprint: &str, gpg: String, sq: String) -> Self {
        let mut cure = Self::new(gpg, sq);
        if fingerprint.len() == V6_DIGITS {
            cure.gpg.clear();
        }
        cure
    }

    /// Lets the whole certificate live for two more years. Signs its user ids again, so SHA-1 signatures
    /// are replaced too.
    pub(super) fn extend(fingerprint: &str) -> Self {
        Self::of(
            fingerprint,
            format!("gpg --cert-digest-algo SHA512 --quick-set-expire {fingerprint} 2y"),
            format!("sq key expire --cert={fingerprint} --expiration=2y"),
        )
    }

    /// Lets a subkey live for two more years; binds it anew, so a SHA-1 signature is replaced too.
    pub(super) fn extend_subkey(fingerprint: &str, subkey: &str) -> Self {
        Self::of(
            fingerprint,
            // The short form '*' stands for the subkeys that have not expired yet, so this one is named.
            format!("gpg --cert-digest-algo SHA512 --quick-set-expire {fingerprint} 2y {subkey}"),
            format!("sq key subkey expire --cert={fingerprint} --key={subkey} --expiration=2y"),
        )
    }

    /// Adds an encryption subkey that every program reads.
    pub(super) fn add_subkey(fingerprint: &str) -> Self {
        Self::of(
            fingerprint,
            format!("gpg --quick-add-key {fingerprint} cv25519 encr 2y"),
            format!(
                "sq key subkey add --cert={fingerprint} --can-encrypt=universal --cipher-suite=cv25519 --expiration=2y"
            ),
        )
    }

    /// Adds a user id with an address.
    pub(super) fn add_user_id(fingerprint: &str, address: Option<&str>) -> Self {
        let address = shell_safe(address);
        Self::of(
            fingerprint,
            format!("gpg --quick-add-uid {fingerprint} {address}"),
            format!("sq key userid add --cert={fingerprint} --email={address}"),
        )
    }

    /// Makes another certificate, where this one cannot be mended.
    pub(super) fn start_anew(address: Option<&str>) -> Self {
        let address = shell_safe(address);
        Self {
            gpg: vec![
                format!("gpg --quick-generate-key {address} future-default default 2y"),
                format!("gpg --armor --export {address}"),
            ],
            sq: vec![
                format!("sq key generate --own-key --email={address} --profile=rfc4880 --expiration=2y"),
                format!("sq cert export --cert-email={address}"),
            ],
        }
    }

    /// Exports the certificate of this fingerprint, or else of this address.
    pub(super) fn export(fingerprint: Option<&str>, address: Option<&str>) -> Self {
        match fingerprint {
            Some(fingerprint) => Self::of(
                fingerprint,
                format!("gpg --armor --export {fingerprint}"),
                format!("sq cert export --cert={fingerprint}"),
            ),
            None => {
                let address = shell_safe(address);
                Self::new(
                    format!("gpg --armor --export {address}"),
                    format!("sq cert export --cert-email={address}"),
                )
            }
        }
    }

    /// Exports it without what others wrote on it.
    pub(super) fn export_minimal(fingerprint: Option<&str>, address: Option<&str>) -> Self {
        let mut cure = Self::export(fingerprint, address);
        cure.gpg = cure
            .gpg
            .iter()
            .map(|line| line.replace("--export ", "--export-options export-minimal --export "))
            .collect();
        cure
    }

    /// Prints a revocation of the certificate.
    pub(super) fn revocation(fingerprint: &str) -> Self {
        Self::of(
            fingerprint,
            format!("gpg --armor --gen-revoke {fingerprint}"),
            format!("sq key revoke --cert={fingerprint} --reason=unspecified --message=revoked"),
        )
    }

    /// Both in their order; a line that was there already is not typed twice.
    pub(super) fn then(mut self, next: Self) -> Self {
        let add = |lines: &mut Vec<String>, more: Vec<String>| {
            for line in more {
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        };
        add(&mut self.gpg, next.gpg);
        add(&mut self.sq, next.sq);
        self
    }
}

/// The commands of gpg in one line, or those of sq where gpg has none.
impl fmt::Display for Cure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = if self.gpg.is_empty() { &self.sq } else { &self.gpg };
        formatter.write_str(&lines.join(" && "))
    }
}

/// The address, if a shell takes it as one plain word.
fn shell_safe(address: Option<&str>) -> &str {
    let plain = |character: char| character.is_ascii_alphanumeric() || "._+-@".contains(character);
    address
        .filter(|address| address.contains('@') && !address.starts_with('-') && address.chars().all(plain))
        .unwrap_or("ADDRESS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_would_be_a_command_is_not_printed_as_one() {
        for hostile in
            ["$(reboot)@a.example", "a@b.example;reboot", "-a@b.example", "a b@c.example", "nobody"]
        {
            assert_eq!(Cure::start_anew(Some(hostile)).gpg[1], "gpg --armor --export ADDRESS", "{hostile}");
        }
        let plain = Cure::start_anew(Some("security+key@debian.example"));
        assert_eq!(plain.gpg[1], "gpg --armor --export security+key@debian.example");
    }

    #[test]
    fn for_a_certificate_of_version_6_nothing_is_printed_that_gpg_would_not_understand() {
        let cure = Cure::extend(&"AB".repeat(32)).then(Cure::export(Some(&"AB".repeat(32)), None));
        assert!(cure.gpg.is_empty());
        assert!(cure.to_string().starts_with("sq key expire") && cure.to_string().contains("sq cert export"));
    }

    #[test]
    fn two_troubles_that_need_the_same_line_print_it_once() {
        let both = Cure::extend("AB").then(Cure::extend("AB")).then(Cure::extend_subkey("AB", "CD"));
        assert_eq!((both.gpg.len(), both.sq.len()), (2, 2));
    }
}
