//! A practice server whose clock is moved over weeks at once.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use super::{ClockFile, Kept, Moved, Practice, open, socket};
use crate::app::commands::Command;
use crate::app::fixes::Change;
use crate::app::roster::{NewPackager, Operator};
use crate::app::{Refusal, Settings};
use crate::cli::assembly::{Assembled, Parts, open_store};
use crate::cli::embargod::founding::Founding;
use crate::clock::{Clock, VirtualClock};
use crate::config::limits::LimitsConfig;
use crate::config::relay::{RelayConfig, RelayKind};
use crate::domain::case::CaseText;
use crate::domain::embargo::Stage;
use crate::domain::fix::Fix;
use crate::domain::id::EmbargoId;
use crate::domain::policy::Preset;
use crate::entropy::Entropy;
use crate::openpgp::{Certificate, Person, SessionKey, Suite};
use crate::store::Location;
use crate::vault::KeyEncryptionKey;

const START: &str = "2026-06-01T09:00:00Z";
const URL: &str = "http://127.0.0.1:8080";
const FIX: &[u8] =
    b"From: Ada <ada@upstream.example>\nSubject: [PATCH] a fix\nDate: Mon, 1 Jun 2026 09:00:00 +0000\n\n\
    Why.\n---\ndiff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-old\n+new\n";

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A practice server with one maintainer and one packager, on the first of June.
struct Rehearsal {
    directory: TempDir,
    server: Assembled,
    hand: Arc<VirtualClock>,
    ada: Person,
}

impl Rehearsal {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let start = instant(START);
        let person = |name| Person::generate(name, Suite::Cv25519, start - TimeDelta::hours(1)).unwrap();
        let (ada, debian) = (person("Ada <ada@upstream.example>"), person("D <security@debian.example>"));
        let (clock, hand) = Clock::standing_at(start);
        let entropy = Entropy::seeded(7);
        let kek_text = KeyEncryptionKey::from_random([7; 32].into()).to_text();
        let kek = || KeyEncryptionKey::from_text(&kek_text).map_err(|error| error.to_string());
        let location = Location::Sqlite(directory.path().join("embargod.sqlite"));
        let store = open_store(location.clone(), kek(), &entropy).unwrap();
        let from = "embargo@upstream.example".parse().unwrap();
        let founding = Founding {
            from: &from,
            practice: true,
            slug: "requests",
            name: "Requests",
            policy: &Preset::Requests.policy(chrono_tz::Tz::UTC),
            maintainers: &[ada.certificate().to_bytes()],
            kek_text: &kek_text,
        };
        founding.run(&store, &clock, &entropy).unwrap();
        let packager = NewPackager {
            slug: "debian",
            name: "Debian",
            address: "security@debian.example",
            certificate: &debian.certificate().to_bytes(),
            sha1_until: None,
            seipdv1_only: false,
            projects: &["requests".to_owned()],
        };
        Operator { store: &store, clock: &clock, entropy: &entropy }.add_packager(&packager).unwrap();
        let server = Assembled::new(Parts {
            clock,
            entropy,
            location,
            kek: kek(),
            settings: Settings {
                base_url: URL.to_owned(),
                from,
                id_prefix: "EMB".to_owned(),
                max_mail_bytes: 8 << 20,
                practice: true,
            },
            state: None,
            relay: RelayConfig {
                kind: RelayKind::Maildir,
                folder: Some(directory.path().join("mail")),
                ..RelayConfig::default()
            },
            http_threads: 1,
            limits: LimitsConfig::default(),
        })
        .unwrap();
        Self { directory, server, hand, ada }
    }

    fn state(&self) -> &Path {
        self.directory.path()
    }

    fn practice(&self) -> Practice<'_> {
        let file = ClockFile::below(self.state());
        Practice { app: &self.server.app, worker: &self.server.worker, hand: Arc::clone(&self.hand), file }
    }

    /// Carries out what Ada signs.
    async fn ada_signs(&self, command: Command) -> EmbargoId {
        let app = &self.server.app;
        let key = u128::from_be_bytes(app.entropy.bytes());
        let expires = (app.clock.now() + TimeDelta::minutes(10)).format("%Y-%m-%dT%H:%M:%SZ");
        let text = format!(
            "PUT {URL}/x\nIdempotency-Key: {key:032x}\nExpires: {expires}\nContent-Type: application/json\n\n{{}}"
        );
        let server = Certificate::parse(app.certificate().await.unwrap().as_bytes()).unwrap();
        let session = SessionKey::from_random(app.entropy.bytes());
        let message = self.ada.sign_and_encrypt(text.as_bytes(), &server, &session, app.clock.now()).unwrap();
        let opened = app.open_command("PUT", &format!("{URL}/x"), message).await.unwrap();
        let answer = app.execute(opened, command, |_| Vec::new()).await.unwrap();
        answer.embargo.parse().unwrap()
    }

    /// An embargo that lifts at `lifts_at`, frozen and ready to be announced.
    async fn embargo(&self, lifts_at: &str) -> EmbargoId {
        let text = CaseText {
            title: "A title".to_owned(),
            summary: "A summary".to_owned(),
            notice: "A notice".to_owned(),
            affected: vec!["< 2".to_owned()],
            ..CaseText::default()
        };
        let open = Command::Open { project: "requests".to_owned(), text: Some(Box::new(text)) };
        let id = self.ada_signs(open).await;
        let fix = Change::Put {
            branch: "main".to_owned(),
            fix: Fix::parse(FIX.to_vec()).unwrap(),
            signature: self.ada.sign_detached(FIX, self.server.app.clock.now()).unwrap(),
            signer: self.ada.certificate().fingerprint(),
        };
        self.ada_signs(Command::PutFix(id.clone(), Box::new(fix))).await;
        let lifts_at = lifts_at.to_owned();
        self.ada_signs(Command::Schedule { embargo: id.clone(), lifts_at, reason: String::new() }).await;
        let send = Command::Send { embargo: id.clone(), reason: String::new(), at_once: false };
        self.ada_signs(send).await;
        id
    }

    /// When the packager's first copy was accepted, and when the embargo was lifted.
    fn happened(&self, id: &EmbargoId) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let read = self.server.app.store.read_now(|tx| {
            let deliveries = tx.deliveries_of(id)?;
            Ok::<_, Refusal>((tx.embargo(id)?, deliveries))
        });
        let (embargo, deliveries) = read.unwrap();
        let lifted = match embargo.unwrap().stage {
            Stage::Lifted { lifted_at, .. } => Some(lifted_at),
            _ => None,
        };
        (deliveries.iter().filter_map(|delivery| delivery.accepted_at).min(), lifted)
    }
}

#[tokio::test]
async fn weeks_at_once_still_tell_and_lift_at_the_instants_that_were_promised() {
    let rehearsal = Rehearsal::new();
    let later = rehearsal.embargo("2026-07-08T14:00:00Z").await;
    let sooner = rehearsal.embargo("2026-07-01T14:00:00Z").await;
    let done = rehearsal.practice().advance(instant("2026-08-01T00:00:00Z")).await.unwrap();
    assert_eq!(done.lifted, ["EMB-2026-1", "EMB-2026-2"]);
    let told_and_lifted = |told, lifted| (Some(instant(told)), Some(instant(lifted)));
    assert_eq!(rehearsal.happened(&sooner), told_and_lifted("2026-06-23T14:00:00Z", "2026-07-01T14:00:00Z"));
    assert_eq!(rehearsal.happened(&later), told_and_lifted("2026-06-30T14:00:00Z", "2026-07-08T14:00:00Z"));
    assert_eq!(rehearsal.server.app.clock.now(), instant("2026-08-01T00:00:00Z"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_moves_its_clock_when_asked_and_keeps_what_it_shows() {
    let rehearsal = Rehearsal::new();
    let id = rehearsal.embargo("2026-07-01T14:00:00Z").await;
    let state = rehearsal.state().to_owned();
    assert_eq!(socket::ask(&state, "now").unwrap(), None, "nobody is there yet");
    let (door, requests) = open(&state).unwrap();
    let asked = state.clone();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let visitor = tokio::task::spawn_blocking(move || {
        let ask = |line: &str| socket::ask(&asked, line).unwrap().unwrap();
        let answers: Vec<Moved> =
            ["now", "25 d", "2026-06-02T00:00:00Z", "soon", "8 d"].map(ask).into_iter().collect();
        assert!(open_again(&asked), "two servers must not move one clock");
        end.send(()).unwrap();
        answers
    });
    let stop = async { drop(ended.await) };
    rehearsal.practice().run(requests, stop).await.unwrap();
    let [now, far, back, unread, further] = &visitor.await.unwrap()[..] else { panic!("five answers") };
    assert!(now.running && now.now >= instant(START));
    assert!(far.now >= instant("2026-06-26T09:00:00Z") && far.sent >= 1 && far.lifted.is_empty(), "{far:?}");
    assert!(back.refused.as_ref().unwrap().contains("never goes back"), "{back:?}");
    assert!(unread.refused.as_ref().unwrap().contains("neither a duration nor an instant"), "{unread:?}");
    assert_eq!(further.lifted, ["EMB-2026-1"]);
    let kept = ClockFile::below(&state).read().unwrap().unwrap();
    assert!(kept.now >= further.now && kept.served == kept.now);
    assert_eq!(rehearsal.happened(&id).1, Some(instant("2026-07-01T14:00:00Z")));
    drop(door);
    assert_eq!(socket::ask(&state, "now").unwrap(), None);
}

fn open_again(state: &Path) -> bool {
    open(state).err().is_some_and(|failure| failure.to_string().contains("already"))
}

#[test]
fn a_clock_file_keeps_its_instant_and_a_damaged_one_says_what_to_write() {
    let directory = tempfile::tempdir().unwrap();
    let file = ClockFile::below(directory.path());
    assert_eq!(file.read().unwrap(), None);
    for now in [START, "2026-06-01T09:00:00.000001Z"].map(instant) {
        let kept = Kept { now, served: instant(START) };
        file.write(kept).unwrap();
        assert_eq!(file.read().unwrap(), Some(kept));
    }
    std::fs::write(directory.path().join("practice-clock"), START).unwrap();
    assert_eq!(file.read().unwrap(), Some(Kept::done(instant(START))), "one line is enough");
    std::fs::write(directory.path().join("practice-clock"), "tomorrow").unwrap();
    assert!(file.read().unwrap_err().to_string().contains("2026-06-01T09:00:00Z"));
}
