//! Sequoia's `sq`, version 0.27, as Debian 12 ships it. It keeps no keys: the secret key is a file that the
//! user names, and the server's certificate is written to a file for the moment it is needed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::child::{Outcome, run};
use super::{OpenPgp, Own, OwnCertificate, ProgramError, ProgramKind, SealTrouble, ServerKey};
use crate::client::scratch::Scratch;
use crate::entropy::Entropy;

const SQ: &str = "sq";

pub(super) struct Sq {
    key_file: Option<PathBuf>,
    entropy: Entropy,
}

impl Sq {
    pub(super) fn find(key_file: Option<PathBuf>, entropy: Entropy) -> Result<Self, ProgramError> {
        let outcome = run(SQ, &["--version".into()], &[])?;
        // Which stream carries the version differs between builds.
        let said = format!("{}\n{}", String::from_utf8_lossy(&outcome.output), outcome.words);
        let found = said.trim().lines().next().unwrap_or_default().to_owned();
        if !found.starts_with("sq 0.27.") {
            return Err(ProgramError::Version { found });
        }
        Ok(Self { key_file, entropy })
    }

    fn key_file(&self) -> Result<&Path, ProgramError> {
        self.key_file.as_deref().ok_or(ProgramError::NoKeyFile)
    }

    fn with_server(
        &self,
        server: &ServerKey<'_>,
        arguments: impl FnOnce(OsString) -> Vec<OsString>,
        input: &[u8],
    ) -> Result<Outcome, ProgramError> {
        let io = |source| ProgramError::Io { program: SQ, source };
        let scratch = Scratch::new(&self.entropy).map_err(io)?;
        let certificate = scratch.write("server.asc", server.certificate.as_bytes()).map_err(io)?;
        run(SQ, &arguments(certificate.into_os_string()), input)
    }
}

fn words<const N: usize>(arguments: [&str; N]) -> Vec<OsString> {
    arguments.map(OsString::from).to_vec()
}

impl OpenPgp for Sq {
    fn kind(&self) -> ProgramKind {
        ProgramKind::Sq
    }

    fn own_certificate(&self, own: Own<'_>) -> Result<OwnCertificate, ProgramError> {
        let mut arguments = words(["key", "extract-cert"]);
        arguments.push(self.key_file()?.into());
        let bytes = run(SQ, &arguments, &[])?.or_failed(SQ, "read your key file")?;
        let fingerprint = self.fingerprint(&bytes)?;
        let (wanted, bytes) = match own {
            Own::Only => (fingerprint.clone(), bytes),
            Own::Named(name) => (name.replace(' ', "").to_ascii_uppercase(), bytes),
            Own::Given(given) => (self.fingerprint(given)?, given.to_vec()),
        };
        if wanted.is_empty() || !fingerprint.ends_with(&wanted) {
            return Err(ProgramError::NoSecretKey { program: SQ, wanted: Some(wanted) });
        }
        Ok(OwnCertificate { fingerprint, bytes })
    }

    fn fingerprint(&self, bytes: &[u8]) -> Result<String, ProgramError> {
        let list = run(SQ, &words(["inspect"]), bytes)?.or_failed(SQ, "read the certificate")?;
        let fingerprints = primary_fingerprints(&String::from_utf8_lossy(&list));
        match fingerprints.as_slice() {
            [only] => Ok(only.clone()),
            several => Err(ProgramError::NotOneCertificate { count: several.len() }),
        }
    }

    fn keep(&self, _certificate: &[u8]) -> Result<(), ProgramError> {
        Ok(())
    }

    fn decrypt(&self, message: &[u8]) -> Result<Vec<u8>, ProgramError> {
        let mut arguments = words(["decrypt", "--recipient-key"]);
        arguments.push(self.key_file()?.into());
        run(SQ, &arguments, message)?.or_failed(SQ, "decrypt the challenge")
    }

    fn open(&self, message: &[u8], server: &ServerKey<'_>) -> Result<Vec<u8>, ProgramError> {
        if !is_encrypted(message)? {
            return Err(ProgramError::NotTheServer { trouble: SealTrouble::NotEncrypted });
        }
        let key = self.key_file()?.as_os_str().to_owned();
        let arguments = |certificate| {
            let mut arguments = words(["decrypt", "--signatures", "1", "--recipient-key"]);
            arguments.extend([key, "--signer-cert".into(), certificate]);
            arguments
        };
        self.with_server(server, arguments, message)?.or_failed(SQ, "decrypt and verify the server's message")
    }

    fn seal(&self, text: &[u8], _own: &str, server: &ServerKey<'_>) -> Result<Vec<u8>, ProgramError> {
        let key = self.key_file()?.as_os_str().to_owned();
        let arguments = |certificate| {
            let mut arguments = words(["encrypt", "--compression", "none", "--signer-key"]);
            arguments.extend([key, "--recipient-cert".into(), certificate]);
            arguments
        };
        self.with_server(server, arguments, text)?.or_failed(SQ, "sign and encrypt the command")
    }

    fn sign_detached(&self, bytes: &[u8], _own: &str) -> Result<String, ProgramError> {
        let mut arguments = words(["sign", "--detached", "--signer-key"]);
        arguments.push(self.key_file()?.into());
        let signature = run(SQ, &arguments, bytes)?.or_failed(SQ, "sign the fix")?;
        Ok(String::from_utf8_lossy(&signature).into_owned())
    }
}

/// `sq decrypt` also takes messages that are signed only.
fn is_encrypted(message: &[u8]) -> Result<bool, ProgramError> {
    let dump = run(SQ, &words(["packet", "dump"]), message)?.output;
    // Packets begin at the margin; what they hold is indented.
    let container = "Sym. Encrypted and Integrity Protected Data Packet";
    Ok(String::from_utf8_lossy(&dump).lines().any(|line| line.starts_with(container)))
}

/// The fingerprints of primary keys in what `sq inspect` says; subkeys have another title.
fn primary_fingerprints(listing: &str) -> Vec<String> {
    let lines = listing.lines().filter_map(|line| line.trim().strip_prefix("Fingerprint:"));
    lines.map(|fingerprint| fingerprint.trim().to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subkey_is_not_taken_for_a_second_certificate() {
        let listing = "-: OpenPGP Certificate.\n\n    Fingerprint: 24d3046A\nPublic-key algo: EdDSA\n\n         \
            Subkey: 833B39BD\nPublic-key algo: EdDSA\n\n         UserID: a <a@a.example>\n";
        assert_eq!(primary_fingerprints(listing), ["24D3046A"]);
    }
}
