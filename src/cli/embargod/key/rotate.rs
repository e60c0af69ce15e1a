//! A new key-encryption key in the place of the old one, in steps that may each be the last.
//!
//! The key file holds one key, and during a rotation two. Every step leaves each data key wrapped by a key that is in
//! the file at that moment:
//!
//! 1. the new key is written below the old one, and only then made known to the database;
//! 2. recovery files are written, with both keys;
//! 3. the new key becomes the one that wraps, and row by row the data keys are wrapped anew;
//! 4. the old key is retired, when no row needs it;
//! 5. recovery files are written with the new key alone, the old key is put aside, and the file holds the new one alone.
//!
//! What is to be done is read from the file and the database each time, so that a second run goes on where a first one
//! was interrupted, on this machine or another.

use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::super::alone::Alone;
use super::super::console::{Console, recovery_path};
use super::super::failure::Failure;
use super::super::files;
use super::super::founding::recovery_for;
use super::super::screen::item;
use super::retired_path;
use crate::app::Refusal;
use crate::app::installation::{as_operator, load_server_key};
use crate::openpgp::Certificate;
use crate::store::{KekState, Location, Tx};
use crate::vault::KeyEncryptionKey;

/// Longer than a server takes to look for its keys again, and to say that it misses one.
const WAIT: Duration = Duration::from_secs(20);

/// A rotation, begun or not.
pub(super) struct Rotation<'a> {
    console: &'a Console,
    path: PathBuf,
    /// Certificates of those who get a recovery file besides the maintainers.
    others: Vec<Vec<u8>>,
    /// Whether servers get the key file from a service manager, which copies it when they start.
    pub(super) is_credential: bool,
    /// Called after each step; an error ends the rotation there, as a kill would.
    pub(super) after: Box<dyn FnMut(&'static str) -> Result<(), Failure> + 'a>,
}

/// How things stand.
struct Standing {
    keys: Vec<KeyEncryptionKey>,
    states: Vec<KekState>,
    current: String,
}

impl Standing {
    fn state(&self, id: &str) -> Option<&KekState> {
        self.states.iter().find(|state| state.id == id)
    }

    /// A key in the file that never wrapped anything.
    fn next(&self) -> Option<&KeyEncryptionKey> {
        let unused = |state: &KekState| state.current_at.is_none() && state.retired_at.is_none();
        self.keys.iter().find(|key| self.state(&key.id()).is_none_or(unused))
    }

    fn is_retired(&self, key: &KeyEncryptionKey) -> bool {
        self.state(&key.id()).is_some_and(|state| state.retired_at.is_some())
    }

    /// A key that was prepared with another copy of the file.
    fn prepared_elsewhere(&self) -> Option<&KekState> {
        let none_is_begun_here = self.next().is_none() && self.giving_way().next().is_none();
        let prepared = |state: &&KekState| state.current_at.is_none() && state.retired_at.is_none();
        self.states.iter().find(prepared).filter(|_| none_is_begun_here)
    }

    /// Keys that are giving way to the current one.
    fn giving_way(&self) -> impl Iterator<Item = &KekState> {
        let old = |state: &&KekState| {
            state.current_at.is_some() && state.retired_at.is_none() && state.id != self.current
        };
        self.states.iter().filter(old)
    }
}

impl<'a> Rotation<'a> {
    pub(super) fn of(console: &'a Console, path: PathBuf, others: Vec<Vec<u8>>) -> Self {
        Self { console, path, others, is_credential: false, after: Box::new(|_| Ok(())) }
    }

    /// The key file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn standing(&self) -> Result<Standing, Failure> {
        let text = Zeroizing::new(files::read(&self.path)?);
        let text = std::str::from_utf8(&text).unwrap_or_default();
        let keys = KeyEncryptionKey::all_from_text(text).map_err(|error| {
            Failure::unfit(format!("{}: {error}", self.path.display()), "put it back from its copy")
        })?;
        let (states, current) =
            self.console.store.read_now(|tx| Ok::<_, Refusal>((tx.keks()?, tx.current_kek()?)))?;
        let current = current.ok_or_else(|| {
            Failure::unfit("the database names no key-encryption key", "restore it from a backup")
        })?;
        if !keys.iter().any(|key| key.id() == current) {
            return Err(Failure::unfit(
                format!(
                    "{} does not hold key-encryption key {current}, which wraps this database's data keys",
                    self.path.display()
                ),
                "put it back from its copy, from another machine, or from a recovery file",
            ));
        }
        Ok(Standing { keys, states, current })
    }

    /// Whether a rotation was begun and not finished.
    pub(super) fn is_begun(&self) -> Result<bool, Failure> {
        let standing = self.standing()?;
        Ok(standing.keys.len() > 1 || standing.giving_way().next().is_some())
    }

    /// Steps 1 and 2, unless they are done.
    pub(super) fn prepare(&mut self) -> Result<(), Failure> {
        let standing = self.standing()?;
        let goes_on = standing.next().is_none() && self.is_begun()?;
        if goes_on {
            item("goes on", "a rotation was begun; it is finished with the key that it made");
            return Ok(());
        }
        let Standing { mut keys, states, current } = standing;
        let unused = |id: &str| {
            let state = states.iter().find(|state| state.id == id);
            state.is_none_or(|state| state.current_at.is_none() && state.retired_at.is_none())
        };
        if !keys.iter().any(|key| unused(&key.id())) {
            keys.retain(|key| key.id() == current);
            keys.push(KeyEncryptionKey::from_random(Zeroizing::new(self.console.entropy.bytes())));
            self.write(&keys)?;
        }
        (self.after)("the new key is in the file")?;
        let next = keys.iter().map(KeyEncryptionKey::id).find(|id| unused(id)).unwrap_or_default();
        let now = self.console.clock.now();
        self.console.store.write_now(|tx| {
            if !tx.keks()?.iter().any(|state| state.id == next) {
                tx.prepare_kek(&next, now)?;
                tx.audit(as_operator(now, "key-encryption key prepared", &next));
            }
            Ok::<_, Refusal>(())
        })?;
        (self.after)("the new key is known")?;
        self.write_recovery(&keys)?;
        (self.after)("recovery files hold both")?;
        item("made", &format!("key-encryption key {next}, in {} below {current}", self.path.display()));
        Ok(())
    }

    /// Steps 3 to 5, unless they are done.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        let standing = self.standing()?;
        if let Some(KekState { id, .. }) = standing.prepared_elsewhere() {
            return Err(Failure::unfit(
                format!("key-encryption key {id} was prepared, and {} does not hold it", self.path.display()),
                "copy the file from the machine where it was made; if it is lost, make another: embargod key rotate --prepare",
            ));
        }
        let now = self.console.clock.now();
        let target = match standing.next() {
            Some(next) => {
                let next = next.id();
                if standing.state(&next).is_none() {
                    return Err(Failure::unfit(
                        format!("{} holds a key that was not prepared", self.path.display()),
                        "run embargod key rotate --prepare here, or copy the file from the machine where it was run",
                    ));
                }
                next
            }
            None => standing.current.clone(),
        };
        let _alone = if target == standing.current { None } else { self.wait_for_servers(&target)? };
        if target != standing.current {
            self.console.store.write_now(|tx| {
                tx.make_kek_current(&target, now)?;
                tx.audit(as_operator(now, "key-encryption key made current", &target));
                Ok::<_, Refusal>(())
            })?;
        }
        (self.after)("the new key wraps")?;
        let count = self.rewrap_all(&target)?;
        let retired = self.console.store.write_now(|tx| retire(tx, &target, now))?;
        (self.after)("the old key is retired")?;
        let standing = self.standing()?;
        let (kept, old): (Vec<_>, Vec<_>) = standing.keys.iter().partition(|key| !standing.is_retired(key));
        if old.is_empty() {
            item("ok", &format!("nothing to finish: key-encryption key {target} wraps everything"));
            return Ok(());
        }
        let written = self.write_recovery(kept.iter().copied())?;
        (self.after)("recovery files hold the new one")?;
        for key in &old {
            files::replace(&retired_path(&self.path, &key.id()), 0o400, key.to_text().as_bytes())?;
            (self.after)("the old key is put aside")?;
        }
        self.write(kept.iter().copied())?;
        (self.after)("the file holds the new key alone")?;
        item("done", &format!("key-encryption key {target} wraps every data key ({count} of them anew)"));
        for key in old.iter().map(|key| key.id()).chain(retired).collect::<std::collections::BTreeSet<_>>() {
            item(
                "retired",
                &format!(
                    "{key} · backups from before need it; when there are none: embargod key forget {key}"
                ),
            );
        }
        item(
            "give",
            &format!(
                "to each owner the new recovery file ({written} written), and this key file to every machine"
            ),
        );
        Ok(())
    }

    /// A service manager hands a key file out when a service starts: servers that work say in the database that they miss
    /// the prepared key, and as long as one does it is not made current. While no server works none may start.
    fn wait_for_servers(&self, target: &str) -> Result<Option<Alone>, Failure> {
        if !self.is_credential {
            return Ok(None);
        }
        let location = self.console.store.location();
        if let (Location::Sqlite(_), Ok(alone)) = (location, Alone::on(location, "stop it first")) {
            return Ok(Some(alone));
        }
        let missed = || self.console.store.read_now(|tx| Ok::<_, Refusal>(tx.missed_kek(target)?));
        let before = missed()?;
        item("waits", &format!("{} seconds, in which servers say whether they have the key", WAIT.as_secs()));
        for _ in 0..WAIT.as_secs() {
            std::thread::sleep(Duration::from_secs(1));
            if missed()? != before {
                return Err(Failure::unfit(
                    format!(
                        "a running server does not have key-encryption key {target}; nothing was changed"
                    ),
                    "restart every service that gets the key file as a credential (systemctl restart embargod), then run \
                     the same command again",
                ));
            }
        }
        Ok(None)
    }

    /// Wraps every data key by `target`, each in a transaction of its own. One that cannot be opened stops no other.
    fn rewrap_all(&mut self, target: &str) -> Result<usize, Failure> {
        let store = &self.console.store;
        let owners = store.read_now(|tx| Ok::<_, Refusal>(tx.owners_not_wrapped_by(target)?))?;
        let mut troubled = Vec::new();
        for owner in &owners {
            if let Err(error) = store.write_now(|tx| Ok::<_, Refusal>(tx.rewrap(owner, target)?)) {
                troubled.push(error.to_string());
            }
            (self.after)("a row is wrapped anew")?;
        }
        if troubled.is_empty() {
            return Ok(owners.len());
        }
        Err(Failure::unfit(
            format!("the old key is still needed: {}", troubled.join(" · ")),
            "restore these rows of data_keys from a backup, then run the same command again",
        ))
    }

    fn write<'k>(&self, keys: impl IntoIterator<Item = &'k KeyEncryptionKey>) -> Result<(), Failure> {
        files::replace(&self.path, 0o400, text_of(keys).as_bytes())
    }

    /// Writes a recovery file for everybody who should have one; returns how many there are.
    fn write_recovery<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k KeyEncryptionKey>,
    ) -> Result<usize, Failure> {
        let text = text_of(keys);
        let console = self.console;
        let server = load_server_key(&console.store)?
            .ok_or_else(|| Failure::unfit("there is no server key", "see embargod doctor"))?;
        let mut certificates = console.store.read_now(|tx| {
            let people = tx.maintainers()?;
            people
                .iter()
                .map(|one| Ok(tx.certificate(&one.certificate)?.bytes))
                .collect::<Result<Vec<_>, Refusal>>()
        })?;
        certificates.extend(self.others.iter().cloned());
        let mut written = 0;
        for certificate in &certificates {
            match recovery_for(certificate, &text, &server, &console.clock, &console.entropy) {
                Ok(file) => {
                    let fingerprint =
                        Certificate::parse(certificate).map(|one| one.fingerprint()).unwrap_or_default();
                    files::replace(&recovery_path(&console.config.state(), &fingerprint), 0o600, &file)?;
                    written += 1;
                }
                Err(refusal) => item("warn", &format!("a maintainer gets no new recovery file: {refusal}")),
            }
        }
        if written == 0 {
            return Err(Failure::unfit(
                "no recovery file could be written: the database would be lost with this machine's disk",
                "name somebody with a usable certificate: --recovery-for FILE",
            ));
        }
        Ok(written)
    }
}

/// Retires what the new key replaced, and says which keys those are.
fn retire(tx: &mut Tx<'_>, target: &str, now: chrono::DateTime<chrono::Utc>) -> Result<Vec<String>, Refusal> {
    let retired = tx.retire_keks_but(target, now)?.map_err(|needing| {
        Refusal::rule(
            "needed",
            format!(
                "{} data keys are wrapped by the old key again; run the same command once more",
                needing.len()
            ),
        )
    })?;
    for id in &retired {
        tx.audit(as_operator(now, "key-encryption key retired", id));
    }
    Ok(retired)
}

fn text_of<'k>(keys: impl IntoIterator<Item = &'k KeyEncryptionKey>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for key in keys {
        text.push_str(&key.to_text());
    }
    text
}
