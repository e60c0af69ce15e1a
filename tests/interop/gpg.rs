//! A person's own keyring, with gpg as it is installed.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A home of gpg of its own. Its agent ends with it.
pub struct Keyring {
    home: TempDir,
}

impl Keyring {
    /// A keyring that holds this secret key.
    pub fn with(secret: &[u8]) -> Self {
        // The agent's socket has to lie at a short path.
        let home = tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o700)).unwrap();
        // A person types the passphrase and answers questions; here there is none and the answer is yes.
        let wrapper = "#!/bin/sh\nPATH=${PATH#*:}\nexec gpg --batch --yes --quiet --pinentry-mode loopback --passphrase '' \"$@\"\n";
        let programs = home.path().join("programs");
        std::fs::create_dir(&programs).unwrap();
        std::fs::write(programs.join("gpg"), wrapper).unwrap();
        std::fs::set_permissions(programs.join("gpg"), PermissionsExt::from_mode(0o700)).unwrap();
        let keyring = Self { home };
        let mut import = keyring.shell("gpg --import").stdin(Stdio::piped()).spawn().unwrap();
        import.stdin.take().unwrap().write_all(secret).unwrap();
        assert!(import.wait().unwrap().success());
        keyring
    }

    fn shell(&self, line: &str) -> Command {
        let programs = self.home.path().join("programs");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .env("GNUPGHOME", self.home.path())
            .env("PATH", format!("{}:{path}", programs.display()));
        command
    }

    /// Types a line; returns what it printed, and fails if it failed.
    pub fn types(&self, line: &str) -> Vec<u8> {
        let output = self.shell(line).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        let _ = self.shell("gpgconf --kill all").status();
    }
}
