//! What a login leaves behind: one file per server, readable by its owner alone.
//!
//! ```text
//! ~/.config/embargod/default                                 the name of the last login's profile
//! ~/.config/embargod/profiles/embargo.requests.example.toml
//! ```
//!
//! A profile holds the token, but nothing embargoed and no secret key.

use std::fs::DirBuilder;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::address::ServerAddress;
use super::program::{Choice, ProgramKind};
use super::scratch::write_private;
use crate::entropy::Entropy;

/// A server, who the user is there, and how it is known again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// The server's address.
    pub server: String,
    /// The token; absent after a logout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The fingerprint of the user's own certificate, upper-case hex.
    pub fingerprint: String,
    /// The pinned fingerprint of the server's certificate.
    pub server_fingerprint: String,
    /// The server's certificate, armored.
    pub server_certificate: String,
    /// Which program holds the user's key.
    pub program: ProgramKind,
    /// gpg's home directory, if it is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gnupg_home: Option<PathBuf>,
    /// The file with the secret key, which only sq needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The project that was last worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Profile({} as {})", self.server, self.fingerprint)
    }
}

impl Profile {
    /// The program that was used at the login, and where it finds its keys.
    pub fn choice(&self) -> Choice {
        Choice {
            program: Some(self.program),
            gnupg_home: self.gnupg_home.clone(),
            key_file: self.key_file.clone(),
        }
    }
}

/// Trouble with the files of profiles.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Neither variable is set.
    #[error("neither XDG_CONFIG_HOME nor HOME is set, so there is no place for profiles; set one of them")]
    NoHome,
    /// Nobody has logged in.
    #[error("not logged in; expected a login first: embargoctl login https://SERVER")]
    None,
    /// No login to this one.
    #[error("there is no profile for {wanted:?}; known: {}; log in first: embargoctl login https://SERVER", if known.is_empty() { "none".to_owned() } else { known.join(", ") })]
    Unknown {
        /// The name or server that was asked for.
        wanted: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// Logged out.
    #[error("logged out of {server}; log in again: embargoctl login {server}")]
    LoggedOut {
        /// The server's address.
        server: String,
    },
    /// A name that would not do as a file name.
    #[error(
        "a profile's name has letters, digits, dots, dashes and underscores only, and begins with a letter or digit"
    )]
    Name,
    /// A file that is no profile.
    #[error("{} is no profile; remove it and log in again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{} could not be used: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ProfileError {
    /// 3 if a login is missing, otherwise 2.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::None | Self::Unknown { .. } | Self::LoggedOut { .. } => 3,
            _ => 2,
        }
    }
}

/// The directory of profiles.
#[derive(Clone, Debug)]
pub struct Profiles {
    directory: PathBuf,
}

impl Profiles {
    /// The profiles in `$XDG_CONFIG_HOME/embargod`, or `~/.config/embargod`.
    pub fn of_user() -> Result<Self, ProfileError> {
        let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let config = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
        Ok(Self::in_directory(config.ok_or(ProfileError::NoHome)?.join("embargod")))
    }

    /// The profiles in `directory`, which need not exist yet.
    pub fn in_directory(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The profile of this name, or of this server, or of the last login: its name, and what it holds.
    pub fn choose(
        &self,
        name: Option<&str>,
        server: Option<&ServerAddress>,
    ) -> Result<(String, Profile), ProfileError> {
        let known = self.names()?;
        let unknown =
            |wanted: &str| ProfileError::Unknown { wanted: wanted.to_owned(), known: known.clone() };
        if let Some(name) = name {
            let profile = self.read(name)?.ok_or_else(|| unknown(name))?;
            if server.is_some_and(|server| server.as_str() != profile.server) {
                return Err(unknown(&format!("{name} at another server than {}", profile.server)));
            }
            return Ok((name.to_owned(), profile));
        }
        let last = self.last()?;
        let Some(server) = server else {
            let name = last.ok_or(ProfileError::None)?;
            let profile = self.read(&name)?.ok_or(ProfileError::None)?;
            return Ok((name, profile));
        };
        // Of several profiles for one server, the last login's comes first.
        for name in last.iter().chain(&known) {
            if let Some(profile) = self.read(name)?.filter(|profile| profile.server == server.as_str()) {
                return Ok((name.clone(), profile));
            }
        }
        Err(unknown(server.as_str()))
    }

    /// The profile of this name, if it exists.
    pub fn read(&self, name: &str) -> Result<Option<Profile>, ProfileError> {
        let path = self.path(name)?;
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map(Some).map_err(|_| ProfileError::Damaged { path }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ProfileError::Io { path, source }),
        }
    }

    /// Writes a profile: the old one, if any, stands until the new one is complete.
    pub fn write(&self, name: &str, profile: &Profile, entropy: &Entropy) -> Result<(), ProfileError> {
        let path = self.path(name)?;
        let text = toml::to_string(profile).map_err(|_| ProfileError::Damaged { path: path.clone() })?;
        self.replace(&path, text.as_bytes(), entropy)
    }

    /// Makes this profile the one that is used when none is named.
    pub fn make_default(&self, name: &str, entropy: &Entropy) -> Result<(), ProfileError> {
        self.replace(&self.directory.join("default"), format!("{name}\n").as_bytes(), entropy)
    }

    fn last(&self) -> Result<Option<String>, ProfileError> {
        let path = self.directory.join("default");
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|name| !name.is_empty())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ProfileError::Io { path, source }),
        }
    }

    fn names(&self) -> Result<Vec<String>, ProfileError> {
        let path = self.directory.join("profiles");
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(ProfileError::Io { path, source }),
        };
        let names = entries.flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?.strip_suffix(".toml")?.to_owned();
            is_name(&name).then_some(name)
        });
        let mut names: Vec<_> = names.collect();
        names.sort();
        Ok(names)
    }

    fn path(&self, name: &str) -> Result<PathBuf, ProfileError> {
        if is_name(name) {
            Ok(self.directory.join("profiles").join(format!("{name}.toml")))
        } else {
            Err(ProfileError::Name)
        }
    }

    fn replace(&self, path: &Path, bytes: &[u8], entropy: &Entropy) -> Result<(), ProfileError> {
        let io = |source| ProfileError::Io { path: path.to_owned(), source };
        let profiles = self.directory.join("profiles");
        DirBuilder::new().recursive(true).mode(0o700).create(&profiles).map_err(io)?;
        let number = u64::from_be_bytes(entropy.bytes());
        let fresh = path.with_file_name(format!(".{number:016x}.new"));
        let written = write_private(&fresh, bytes).and_then(|()| std::fs::rename(&fresh, path));
        if written.is_err() {
            // The first trouble is the one to tell.
            let _ = std::fs::remove_file(&fresh);
        }
        written.map_err(io)
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.len() <= 100
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::client::testing::profile;

    fn address(text: &str) -> ServerAddress {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_login_is_the_default_and_the_token_is_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let profiles = Profiles::in_directory(directory.path().join("embargod"));
        assert!(matches!(profiles.choose(None, None), Err(ProfileError::None)));
        let entropy = Entropy::seeded(1);
        let (one, two) = (profile("https://one.example"), profile("https://two.example"));
        for (name, profile) in [("one", &one), ("two", &two)] {
            profiles.write(name, profile, &entropy).unwrap();
            profiles.make_default(name, &entropy).unwrap();
        }
        assert_eq!(profiles.choose(None, None).unwrap(), ("two".to_owned(), two));
        assert_eq!(profiles.choose(Some("one"), None).unwrap().1, one);
        assert_eq!(profiles.choose(None, Some(&address("https://one.example"))).unwrap().0, "one");
        let path = directory.path().join("embargod/profiles/one.toml");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 2, "no half-written file stays behind");
    }

    #[test]
    fn a_profile_is_never_used_for_another_server_and_its_name_is_no_path() {
        let directory = tempfile::tempdir().unwrap();
        let profiles = Profiles::in_directory(directory.path().to_owned());
        profiles.write("one", &profile("https://one.example"), &Entropy::seeded(1)).unwrap();
        let error = profiles.choose(Some("one"), Some(&address("https://two.example"))).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let error = profiles.choose(None, Some(&address("https://two.example"))).unwrap_err();
        assert!(error.to_string().contains("known: one"), "{error}");
        for name in ["../one", "", ".one", "a/b"] {
            assert!(matches!(profiles.read(name), Err(ProfileError::Name)), "{name}");
        }
    }

    #[test]
    fn a_profile_does_not_show_its_token_when_it_is_printed_for_debugging() {
        let profile = profile("https://one.example");
        assert!(!format!("{profile:?}").contains(profile.token.as_deref().unwrap()));
    }
}
