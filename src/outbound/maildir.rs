//! Delivery into Maildirs, one for each recipient: for rehearsals, and for other programs to pick up.
//!
//! A mail is whole and on disk before it appears in `new/`, or it does not appear.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Outcome;
use crate::clock::Clock;
use crate::domain::address::Address;
use crate::entropy::Entropy;

/// A folder of Maildirs.
#[derive(Clone, Debug)]
pub struct Maildir {
    folder: PathBuf,
    clock: Clock,
    entropy: Entropy,
}

impl Maildir {
    /// Delivers below `folder`, which is made when it is missing.
    pub fn new(folder: PathBuf, clock: Clock, entropy: Entropy) -> Self {
        Self { folder, clock, entropy }
    }

    /// Where the mails for `to` lie: a folder with `new/`, `tmp/` and `cur/`.
    pub fn folder_of(&self, to: &Address) -> PathBuf {
        self.folder.join(folder_name(to))
    }

    /// Delivers one mail, in however many pieces it comes.
    pub async fn deliver(&self, to: &Address, parts: Vec<Arc<[u8]>>) -> Outcome {
        let maildir = self.folder_of(to);
        let unique = u128::from_be_bytes(self.entropy.bytes::<16>());
        let name = format!("{}.{unique:032x}.embargod", self.clock.now().timestamp());
        let written = tokio::task::spawn_blocking(move || write(&maildir, &name, &parts)).await;
        match written {
            Ok(Ok(())) => Outcome::Accepted { reply: "kept in the Maildir".to_owned() },
            Ok(Err(error)) => {
                Outcome::NotSent { reason: format!("the Maildir cannot be written: {}", error.kind()) }
            }
            Err(_) => Outcome::Uncertain { reason: "writing to the Maildir was cut short".to_owned() },
        }
    }
}

/// A folder name of its own for each address: what could leave the folder or hide is written as `%xx`.
fn folder_name(to: &Address) -> String {
    let mut name = String::new();
    for byte in to.as_str().to_ascii_lowercase().bytes() {
        if byte.is_ascii_alphanumeric() || b"@._-+".contains(&byte) {
            name.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
            name.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    name
}

fn write(maildir: &Path, name: &str, parts: &[Arc<[u8]>]) -> io::Result<()> {
    for folder in ["tmp", "new", "cur"] {
        fs::create_dir_all(maildir.join(folder))?;
    }
    let draft = maildir.join("tmp").join(name);
    let done = (|| {
        let mut file = File::create_new(&draft)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        fs::rename(&draft, maildir.join("new").join(name))
    })();
    if done.is_err() {
        // Nothing more can be done about a draft that cannot be removed; readers never look into tmp.
        let _ = fs::remove_file(&draft);
    }
    done?;
    File::open(maildir.join("new"))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maildir(folder: &Path) -> Maildir {
        Maildir::new(folder.to_owned(), Clock::System, Entropy::seeded(1))
    }

    #[tokio::test]
    async fn each_recipient_has_a_maildir_and_each_mail_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let maildir = maildir(folder.path());
        let to: Address = "Team@alpine.example".parse().unwrap();
        for text in ["one\r\n", "two\r\n"] {
            let parts = vec![Arc::from(&b"Subject: x\r\n\r\n"[..]), Arc::from(text.as_bytes())];
            assert!(matches!(maildir.deliver(&to, parts).await, Outcome::Accepted { .. }));
        }
        let new = folder.path().join("team@alpine.example/new");
        let mut mails: Vec<_> =
            fs::read_dir(new).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
        mails.sort();
        assert_eq!(mails, [&b"Subject: x\r\n\r\none\r\n"[..], b"Subject: x\r\n\r\ntwo\r\n"]);
        assert_eq!(fs::read_dir(folder.path().join("team@alpine.example/tmp")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn an_address_cannot_climb_out_and_a_full_disk_is_no_delivery() {
        let folder = tempfile::tempdir().unwrap();
        let sly: Address =
            "x/../../y%2f@a.example".parse().unwrap_or_else(|_| "x/y%2f@a.example".parse().unwrap());
        let place = maildir(folder.path()).folder_of(&sly);
        assert_eq!(place.parent(), Some(folder.path()));
        assert!(place.ends_with("x%2fy%252f@a.example"));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let outcome = maildir(&file).deliver(&sly, vec![]).await;
        assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
    }
}
