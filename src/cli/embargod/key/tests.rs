//! Rotations that are interrupted wherever they can be, and the commands around them.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::console::{Console, recovery_path};
use super::super::failure::Failure;
use super::super::files;
use super::super::tests::Place;
use super::check::prove;
use super::rotate::Rotation;
use super::{forget, retired_path};
use crate::app::Refusal;
use crate::clock::Clock;
use crate::domain::embargo::{Embargo, Stage};
use crate::domain::id::EmbargoId;
use crate::store::{CaseContent, Store, StoreError};
use crate::vault::{KeyEncryptionKey, VaultError};

/// An installation with `embargoes` in it.
struct Installation {
    place: Place,
    ids: Vec<EmbargoId>,
}

impl Installation {
    fn with(embargoes: u8) -> Self {
        let place = Place::new();
        place.init(&[]).unwrap();
        let mut installation = Self { place, ids: Vec::new() };
        let store = installation.console().store;
        for number in 0..embargoes {
            installation.ids.push(insert(&store, number));
        }
        installation
    }

    fn console(&self) -> Console {
        Console::open(&self.place.global()).unwrap()
    }

    fn kek(&self) -> PathBuf {
        self.place.path("embargo/state/kek")
    }

    fn keys_in_file(&self) -> Vec<String> {
        let text = fs::read_to_string(self.kek()).unwrap();
        KeyEncryptionKey::all_from_text(&text).unwrap().iter().map(KeyEncryptionKey::id).collect()
    }

    /// Rotates, and is interrupted after `steps` steps; says whether it got to the end.
    fn rotate(&self, steps: usize) -> bool {
        let console = self.console();
        let mut left = steps;
        let mut rotation = Rotation::of(&console, self.kek(), Vec::new());
        rotation.after = Box::new(move |_| {
            left = left.checked_sub(1).ok_or_else(|| Failure::unfit("interrupted", "go on"))?;
            Ok(())
        });
        rotation.prepare().and_then(|()| rotation.finish()).is_ok()
    }

    /// What the recovery file opens to.
    fn recovered(&self) -> Vec<u8> {
        let path =
            recovery_path(&self.place.path("embargo/state"), &self.place.ada.certificate().fingerprint());
        self.place.ada.decrypt(&fs::read(path).unwrap(), None, Clock::System.now()).unwrap().plaintext
    }
}

fn insert(store: &Store, number: u8) -> EmbargoId {
    let id = EmbargoId::from_random([number; 8].map(|byte: u8| byte.wrapping_mul(7)));
    let opened_at = Clock::System.now();
    let inserted = id.clone();
    store
        .write_now(|tx| {
            let project = tx.projects()?.remove(0).id;
            let embargo =
                Embargo { id: inserted.clone(), project, version: 1, opened_at, stage: Stage::Draft };
            Ok::<_, Refusal>(tx.insert_embargo(&embargo, &content(&inserted))?)
        })
        .unwrap();
    id
}

fn content(id: &EmbargoId) -> CaseContent {
    CaseContent { ending: Some(id.to_string()), ..CaseContent::default() }
}

fn all_open(store: &Store, ids: &[EmbargoId]) {
    for id in ids {
        let found = store.read_now(|tx| Ok::<_, Refusal>(tx.embargo_with_content(id)?)).unwrap().unwrap();
        assert_eq!(found.content, content(id));
    }
    store.read_now(|tx| Ok::<_, Refusal>(tx.server_key()?)).unwrap().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// However often a rotation is interrupted, everything opens: for a server that was running all the time, for one that
    /// is started in between, and from the recovery file.
    #[test]
    fn a_rotation_that_is_interrupted_anywhere_leaves_everything_open_and_is_finished_by_the_same_command(
        embargoes in 1_u8..4,
        stops in prop::collection::vec(0_usize..14, 0..4),
    ) {
        let mut installation = Installation::with(embargoes);
        let running = installation.console().store;
        let before = installation.keys_in_file();
        let mut finished = false;
        for (count, stop) in stops.iter().enumerate() {
            if finished {
                break;
            }
            finished = installation.rotate(*stop);
            all_open(&installation.console().store, &installation.ids);
            // What a running server opens in the midst of it is wrapped by a key that it may have to read first.
            let number = 100 + u8::try_from(count).unwrap();
            installation.ids.push(insert(&running, number));
            all_open(&running, &installation.ids);
            let proofs = prove(&running, &installation.recovered()).unwrap();
            let opened: usize = proofs.iter().map(|proof| proof.opened).sum();
            prop_assert_eq!(opened, installation.ids.len() + 1);
        }
        if !finished {
            prop_assert!(installation.rotate(usize::MAX));
        }
        let after = installation.keys_in_file();
        prop_assert_eq!(after.len(), 1);
        prop_assert_ne!(&after, &before);
        for store in [&running, &installation.console().store] {
            all_open(store, &installation.ids);
        }
        let states = running.read_now(|tx| Ok::<_, Refusal>(tx.keks()?)).unwrap();
        let wraps = |id: &String| states.iter().find(|state| state.id == *id).map(|state| state.wraps);
        prop_assert_eq!(wraps(&after[0]), Some(u64::try_from(installation.ids.len()).unwrap() + 1));
        prop_assert_eq!(wraps(&before[0]), Some(0));
        let aside = fs::read_to_string(retired_path(&installation.kek(), &before[0])).unwrap();
        prop_assert_eq!(KeyEncryptionKey::from_text(&aside).unwrap().id(), before[0].clone());
        prop_assert_eq!(prove(&running, &installation.recovered()).unwrap().len(), 1);
        // The one that was retired opens nothing here.
        let old = prove(&running, aside.as_bytes()).unwrap().remove(0);
        prop_assert!(!old.holds() && old.opened == 0 && old.retired.is_some(), "{:?}", old);
    }
}

#[test]
fn a_recovery_file_is_proved_by_what_it_opens_and_another_installations_is_not() {
    let (mine, other) = (Installation::with(2), Installation::with(1));
    let store = mine.console().store;
    let proof = prove(&store, &mine.recovered()).unwrap().remove(0);
    assert!(proof.holds() && proof.all == 3, "{proof:?}");
    let proof = prove(&store, &other.recovered()).unwrap().remove(0);
    assert!(!proof.holds() && proof.opened == 0, "{proof:?}");
    let empty = prove(&store, b"gpg: decryption failed").unwrap_err().to_string();
    assert!(empty.starts_with("there is no key-encryption key in it"), "{empty}");
}

#[test]
fn only_a_retired_key_that_nothing_needs_can_be_forgotten_and_its_copy_is_gone_then() {
    let installation = Installation::with(1);
    let old = installation.keys_in_file().remove(0);
    let console = installation.console();
    let forgets = |id: &str| forget(&console, &installation.kek(), id);
    assert!(forgets(&old).unwrap_err().to_string().contains("is in use: it wraps 2 data keys"));
    assert!(forgets("0000").unwrap_err().to_string().starts_with("there is no key-encryption key"));
    // After the first row is wrapped anew: one of two rows is still under the old key.
    assert!(!installation.rotate(5));
    assert!(forgets(&old).unwrap_err().to_string().contains("is in use"));
    assert!(installation.rotate(usize::MAX));
    let copy = retired_path(&installation.kek(), &old);
    assert!(copy.exists());
    assert!(forgets(&old).unwrap());
    assert!(!copy.exists());
    assert!(!forgets(&old).unwrap(), "nothing was there any more");
    all_open(&installation.console().store, &installation.ids);
}

#[test]
fn a_rotation_is_not_called_finished_where_the_key_that_was_prepared_is_missing() {
    let installation = Installation::with(1);
    let console = installation.console();
    let elsewhere = fs::read(installation.kek()).unwrap();
    let rotation = || Rotation::of(&console, installation.kek(), Vec::new());
    rotation().prepare().unwrap();
    let prepared = installation.keys_in_file().remove(1);
    let here = fs::read(installation.kek()).unwrap();
    files::replace(&installation.kek(), 0o400, &elsewhere).unwrap();
    let refusal = rotation().finish().unwrap_err().to_string();
    assert!(refusal.starts_with(&format!("key-encryption key {prepared} was prepared, and")), "{refusal}");
    // With the copy it goes on, and where that is lost another one is made.
    files::replace(&installation.kek(), 0o400, &here).unwrap();
    rotation().finish().unwrap();
    let elsewhere = fs::read(installation.kek()).unwrap();
    rotation().prepare().unwrap();
    files::replace(&installation.kek(), 0o400, &elsewhere).unwrap();
    assert!(installation.rotate(usize::MAX));
    all_open(&installation.console().store, &installation.ids);
}

/// The row of a data key, as an old backup has it.
fn data_key(database: &Path, owner: &str) -> String {
    sqlite(database, &format!("SELECT kek_id || ' ' || hex(wrapped) FROM data_keys WHERE owner = '{owner}'"))
}

fn sqlite(database: &Path, statement: &str) -> String {
    crate::store::testing::query(database, statement)
}

#[test]
fn a_data_key_put_back_from_before_a_rotation_is_refused_by_name_even_where_the_old_key_is_still_in_memory() {
    let installation = Installation::with(2);
    let database = installation.place.path("embargo/state/embargod.sqlite");
    let running = installation.console().store;
    all_open(&running, &installation.ids);
    let victim = installation.ids[0].to_string();
    let row = data_key(&database, &victim);
    assert!(installation.rotate(usize::MAX));
    let (old, wrapped) = row.split_once(' ').unwrap();
    sqlite(
        &database,
        &format!("UPDATE data_keys SET kek_id = '{old}', wrapped = x'{wrapped}' WHERE owner = '{victim}'"),
    );
    for store in [&running, &installation.console().store] {
        let error = store.read_now(|tx| tx.embargo_with_content(&installation.ids[0])).unwrap_err();
        assert!(
            matches!(&error, StoreError::Vault(VaultError::Retired { owner, kek, .. }) if *owner == victim && kek == old),
            "{error}"
        );
        all_open(store, &installation.ids[1..]);
    }
    let needed = forget(&installation.console(), &installation.kek(), old).unwrap_err().to_string();
    assert!(needed.contains("is in use: it wraps 1 data keys"), "{needed}");
}
