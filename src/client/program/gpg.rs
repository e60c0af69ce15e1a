//! `GnuPG` 2.2 and newer.
//!
//! What gpg finds out about a message comes by a status file of its own: its other words go to the same place
//! as what a stranger may have put into a user id.

use std::ffi::OsString;
use std::path::PathBuf;

use super::child::{Outcome, run};
use super::status::judge;
use super::{OpenPgp, Own, OwnCertificate, ProgramError, ProgramKind, ServerKey};
use crate::client::scratch::Scratch;
use crate::entropy::Entropy;

const GPG: &str = "gpg";

pub(super) struct Gpg {
    home: Option<PathBuf>,
    entropy: Entropy,
}

/// A certificate in gpg's colon listing.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    usable: bool,
    fingerprint: String,
    user_id: String,
}

impl Gpg {
    pub(super) fn find(home: Option<PathBuf>, entropy: Entropy) -> Result<Self, ProgramError> {
        run(GPG, &["--version".into()], &[])?.or_failed(GPG, "tell its version")?;
        Ok(Self { home, entropy })
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Outcome, ProgramError> {
        let mut all: Vec<OsString> = Vec::new();
        if let Some(home) = &self.home {
            all.extend(["--homedir".into(), home.clone().into_os_string()]);
        }
        all.extend(
            ["--batch", "--quiet", "--no-auto-key-retrieve", "--no-auto-key-locate"].map(OsString::from),
        );
        all.extend(arguments.iter().map(OsString::from));
        run(GPG, &all, input)
    }

    fn secret_keys(&self, wanted: Option<&str>) -> Result<Vec<Listed>, ProgramError> {
        let mut arguments = vec!["--with-colons", "--list-secret-keys", "--"];
        arguments.extend(wanted);
        let outcome = self.run(&arguments, &[])?;
        // gpg ends with an error if there is no such key.
        Ok(listed(&String::from_utf8_lossy(&outcome.output), "sec"))
    }

    fn certificates(&self, bytes: &[u8]) -> Result<Vec<Listed>, ProgramError> {
        let outcome = self.run(&["--with-colons", "--show-keys"], bytes)?;
        let list = outcome.or_failed(GPG, "read the certificate")?;
        Ok(listed(&String::from_utf8_lossy(&list), "pub"))
    }

    fn only_secret_key(&self, wanted: Option<&str>) -> Result<String, ProgramError> {
        let mut keys = self.secret_keys(wanted)?;
        if keys.len() > 1 && keys.iter().any(|key| key.usable) {
            keys.retain(|key| key.usable);
        }
        match keys.as_slice() {
            [only] => Ok(only.fingerprint.clone()),
            [] => Err(ProgramError::NoSecretKey { program: GPG, wanted: wanted.map(str::to_owned) }),
            several => Err(ProgramError::SeveralSecretKeys {
                candidates: several
                    .iter()
                    .map(|key| format!("{}  {}", key.fingerprint, key.user_id))
                    .collect(),
            }),
        }
    }
}

impl OpenPgp for Gpg {
    fn kind(&self) -> ProgramKind {
        ProgramKind::Gpg
    }

    fn own_certificate(&self, own: Own<'_>) -> Result<OwnCertificate, ProgramError> {
        let wanted = match own {
            Own::Given(bytes) => {
                let fingerprint = self.only_secret_key(Some(&self.fingerprint(bytes)?))?;
                return Ok(OwnCertificate { fingerprint, bytes: bytes.to_vec() });
            }
            Own::Named(name) => Some(name),
            Own::Only => None,
        };
        let fingerprint = self.only_secret_key(wanted)?;
        let export = ["--armor", "--export-options", "export-minimal", "--export", &fingerprint];
        let bytes = self.run(&export, &[])?.or_failed(GPG, "export your certificate")?;
        Ok(OwnCertificate { fingerprint, bytes })
    }

    fn fingerprint(&self, bytes: &[u8]) -> Result<String, ProgramError> {
        match self.certificates(bytes)?.as_slice() {
            [only] => Ok(only.fingerprint.clone()),
            several => Err(ProgramError::NotOneCertificate { count: several.len() }),
        }
    }

    fn keep(&self, certificate: &[u8]) -> Result<(), ProgramError> {
        self.run(&["--import"], certificate)?.or_failed(GPG, "import the server's certificate")?;
        Ok(())
    }

    fn decrypt(&self, message: &[u8]) -> Result<Vec<u8>, ProgramError> {
        self.run(&["--decrypt"], message)?.or_failed(GPG, "decrypt the challenge")
    }

    fn open(&self, message: &[u8], server: &ServerKey<'_>) -> Result<Vec<u8>, ProgramError> {
        let io = |source| ProgramError::Io { program: GPG, source };
        let scratch = Scratch::new(&self.entropy).map_err(io)?;
        let status = scratch.write("status", &[]).map_err(io)?;
        let path = status.to_string_lossy();
        let outcome = self.run(&["--status-file", &path, "--decrypt"], message)?;
        let status = String::from_utf8_lossy(&std::fs::read(&status).map_err(io)?).into_owned();
        if status.lines().any(|line| line == "[GNUPG:] DECRYPTION_FAILED") {
            return Err(ProgramError::Failed {
                program: GPG,
                doing: "decrypt the server's message",
                words: outcome.words,
            });
        }
        judge(&status, server.fingerprint).map_err(|trouble| ProgramError::NotTheServer { trouble })?;
        outcome.or_failed(GPG, "decrypt the server's message")
    }

    fn seal(&self, text: &[u8], own: &str, server: &ServerKey<'_>) -> Result<Vec<u8>, ProgramError> {
        let arguments = [
            "--armor",
            "--no-encrypt-to",
            "--no-throw-keyids",
            "--trust-model",
            "always",
            "--sign",
            "--encrypt",
            "--local-user",
            own,
            "--recipient",
            server.fingerprint,
        ];
        self.run(&arguments, text)?.or_failed(GPG, "sign and encrypt the command")
    }

    fn sign_detached(&self, bytes: &[u8], own: &str) -> Result<String, ProgramError> {
        let arguments = ["--armor", "--local-user", own, "--detach-sign"];
        let signature = self.run(&arguments, bytes)?.or_failed(GPG, "sign the fix")?;
        Ok(String::from_utf8_lossy(&signature).into_owned())
    }
}

/// The primary keys of a colon listing; `kind` is `pub` or `sec`.
fn listed(listing: &str, kind: &str) -> Vec<Listed> {
    let mut keys: Vec<Listed> = Vec::new();
    let mut of_primary = false;
    for line in listing.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let field = |index: usize| fields.get(index).copied().unwrap_or_default();
        match (field(0), keys.last_mut()) {
            (found, _) if found == kind => {
                let usable = !matches!(field(1), "r" | "e" | "d" | "i");
                keys.push(Listed { usable, fingerprint: String::new(), user_id: String::new() });
                of_primary = true;
            }
            ("fpr", Some(key)) if of_primary => {
                key.fingerprint = field(9).to_ascii_uppercase();
                of_primary = false;
            }
            ("uid", Some(key)) if key.user_id.is_empty() => field(9).clone_into(&mut key.user_id),
            _ => {}
        }
    }
    keys.retain(|key| !key.fingerprint.is_empty());
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_of_a_subkey_is_not_taken_for_a_key_of_its_own() {
        let listing = "sec:u:255:22:AAAA:1:::u:::scESC:::+:::23::0:\nfpr:::::::::aaaa01:\ngrp:::::::::G:\n\
            uid:u::::1::H::Keeper <keeper@project.example>::::::::::0:\n\
            ssb:u:255:18:BBBB:1::::::e:::+:::23:\nfpr:::::::::BBBB02:\n\
            sec:e:255:22:CCCC:1:::u:::sc:::+:::23::0:\nfpr:::::::::CCCC03:\n";
        let keys = listed(listing, "sec");
        assert_eq!(keys.len(), 2);
        assert_eq!((keys[0].fingerprint.as_str(), keys[0].usable), ("AAAA01", true));
        assert_eq!(keys[0].user_id, "Keeper <keeper@project.example>");
        assert_eq!((keys[1].fingerprint.as_str(), keys[1].usable), ("CCCC03", false));
    }
}
