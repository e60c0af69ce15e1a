//! What is known about a mail after every kind of failure: real sockets, against the sink.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use proptest::prelude::*;
use tokio::net::TcpListener;

use super::{Fault, Sink, Stage};
use crate::clock::Clock;
use crate::config::relay::{RelayConfig, RelayKind, RelayTls};
use crate::domain::address::Address;
use crate::entropy::Entropy;
use crate::outbound::pool::{Item, RelayPool};
use crate::outbound::smtp::{Connection, Relay, RelayError};
use crate::outbound::{Consent, Outcome, cleaned};

const MAIL: &[u8] = b"Subject: [...]\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n";

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn desk() -> Address {
    address("desk@embargo.example")
}

async fn connection(sink: &Sink) -> Connection {
    Relay::new(&sink.relay()).unwrap().connect().await.unwrap()
}

/// A connection to a relay that knows no extension, so that each command waits for the answer to the one before.
async fn slow_connection(sink: &Sink) -> Connection {
    sink.plan_times(Fault::reply(Stage::Ehlo, 250, "sink.example"), 2);
    connection(sink).await
}

async fn send(connection: &mut Connection, to: &str) -> Outcome {
    connection.send(&desk(), &address(to), MAIL).await
}

fn accepted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Accepted { .. })
}

fn lines(transcript: &[u8], start: &str) -> usize {
    String::from_utf8_lossy(transcript).lines().filter(|line| line.starts_with(start)).count()
}

#[tokio::test]
async fn an_accepted_mail_has_one_sender_one_recipient_and_the_relays_own_words() {
    let sink = Sink::start().await.unwrap();
    let mut connection = connection(&sink).await;
    assert_eq!(connection.size_limit(), Some(64 << 20));
    let outcome = send(&mut connection, "security@debian.example").await;
    assert_eq!(outcome, Outcome::Accepted { reply: "250 2.0.0 kept".into() });
    let received = sink.wait_for(1).await;
    assert_eq!(received[0].from, "desk@embargo.example");
    assert_eq!(received[0].to, ["security@debian.example"]);
    assert_eq!(received[0].bytes, MAIL);
    assert_eq!(lines(&sink.transcript(), "MAIL FROM:"), 1);
    connection.quit().await;
}

#[tokio::test]
async fn dots_and_eight_bit_bytes_survive_wherever_the_pieces_are_cut() {
    let sink = Sink::start().await.unwrap();
    let mut connection = connection(&sink).await;
    let mail = b".\r\n..\r\n.x\r\n\xff\xfe\x80.\r\n\r\n.\r\n\r\n";
    for cut in 0..=mail.len() {
        let (left, right) = mail.split_at(cut);
        let outcome = connection.send_parts(&desk(), &desk(), &[left, b"", right]).await;
        assert!(accepted(&outcome), "{outcome:?}");
    }
    assert!(sink.wait_for(mail.len() + 1).await.iter().all(|received| received.bytes == mail));
}

#[tokio::test]
async fn a_mail_without_a_last_line_end_gets_one_and_only_one() {
    let sink = Sink::start().await.unwrap();
    let mut connection = connection(&sink).await;
    let sent: &[(&[u8], &[u8])] =
        &[(b"a", b"a\r\n"), (b"a\r\n", b"a\r\n"), (b"a\r\n\r\n", b"a\r\n\r\n"), (b"", b"\r\n")];
    for (mail, _) in sent {
        assert!(accepted(&connection.send(&desk(), &desk(), mail).await));
    }
    let received: Vec<_> = sink.messages().into_iter().map(|received| received.bytes).collect();
    assert_eq!(received, sent.iter().map(|(_, expected)| *expected).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_mail_with_a_lone_line_end_could_smuggle_a_second_one_and_is_not_sent() {
    let sink = Sink::start().await.unwrap();
    let mut connection = connection(&sink).await;
    for parts in [
        [&b"a\n.\r\nMAIL FROM:<x@y.example>"[..], b""],
        [b"a\r", b".\r\n"],
        [b"a\r", b""],
        [b"\na", b"\r\n"],
        [b"a", b"\n"],
    ] {
        let outcome = connection.send_parts(&desk(), &desk(), &parts).await;
        assert!(matches!(outcome, Outcome::NotSent { .. }), "{parts:?} {outcome:?}");
    }
    assert!(accepted(&connection.send_parts(&desk(), &desk(), &[b"a\r", b"\nb\r\n"]).await));
    assert_eq!(sink.messages().len(), 1);
}

#[tokio::test]
async fn a_refusal_at_any_stage_says_so_and_leaves_the_connection_fit_for_the_next_mail() {
    for stage in [Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot] {
        for (code, permanent, slow) in
            [(450, false, false), (550, true, false), (450, false, true), (550, true, true)]
        {
            let sink = Sink::start().await.unwrap();
            let mut connection = if slow { slow_connection(&sink).await } else { connection(&sink).await };
            sink.plan(Fault::reply(stage, code, "5.7.1 not\ttoday\u{1b}[2J"));
            let outcome = send(&mut connection, "a@b.example").await;
            let reply = format!("{code} 5.7.1 not today[2J");
            // What is said of the sender says nothing of the recipient.
            let permanent = permanent && stage != Stage::Mail;
            assert_eq!(outcome, Outcome::Refused { code, reply, permanent }, "{stage:?}");
            assert!(!connection.is_broken());
            assert!(accepted(&send(&mut connection, "a@b.example").await), "{stage:?}");
            assert_eq!(sink.messages().len(), 1);
        }
    }
}

#[tokio::test]
async fn a_relay_for_ascii_only_gets_no_eight_bit_mail_and_a_relay_without_a_limit_any_size() {
    let sink = Sink::with_size_limit(1).await.unwrap();
    let mut connection = slow_connection(&sink).await;
    assert_eq!(connection.size_limit(), None);
    let outcome = connection.send(&desk(), &desk(), b"\xff\r\n").await;
    assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
    assert_eq!(lines(&sink.transcript(), "MAIL"), 0);
    // It did not say that one byte is its limit, and refuses only what it has read.
    let outcome = connection.send(&desk(), &desk(), b"abc\r\n").await;
    assert!(matches!(outcome, Outcome::Refused { code: 552, .. }), "{outcome:?}");
    assert!(String::from_utf8(sink.transcript()).unwrap().contains("\nMAIL FROM:<desk@embargo.example>\r\n"));
}

#[tokio::test]
async fn a_relay_that_says_421_is_leaving_whatever_it_was_asked() {
    for stage in [Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot] {
        let sink = Sink::start().await.unwrap();
        let mut connection = connection(&sink).await;
        sink.plan(Fault::reply(stage, 421, "4.3.2 closing"));
        let outcome = send(&mut connection, "a@b.example").await;
        assert!(
            matches!(outcome, Outcome::Refused { code: 421, permanent: false, .. }),
            "{stage:?} {outcome:?}"
        );
        assert!(connection.is_broken());
    }
}

#[tokio::test]
async fn a_connection_lost_before_the_final_dot_means_not_sent_and_after_it_uncertain() {
    for (stage, slow) in
        [Stage::Mail, Stage::Rcpt, Stage::Data].into_iter().flat_map(|stage| [(stage, false), (stage, true)])
    {
        let sink = Sink::start().await.unwrap();
        let mut connection = if slow { slow_connection(&sink).await } else { connection(&sink).await };
        sink.plan(Fault::DropAt(stage));
        let outcome = send(&mut connection, "a@b.example").await;
        assert!(matches!(outcome, Outcome::NotSent { .. }), "{stage:?} {outcome:?}");
        assert!(connection.is_broken());
        assert!(matches!(send(&mut connection, "a@b.example").await, Outcome::NotSent { .. }));
    }
    for (fault, kept) in [(Fault::DropAt(Stage::Dot), 0), (Fault::LoseAnswerAfterDot, 1)] {
        let sink = Sink::start().await.unwrap();
        let mut connection = connection(&sink).await;
        sink.plan(fault);
        let outcome = send(&mut connection, "a@b.example").await;
        assert!(matches!(outcome, Outcome::Uncertain { .. }), "{outcome:?}");
        assert!(connection.is_broken());
        assert_eq!(sink.messages().len(), kept);
    }
}

#[tokio::test]
async fn a_connection_lost_in_the_middle_of_a_large_mail_means_not_sent() {
    let sink = Sink::start().await.unwrap();
    let mut connection = connection(&sink).await;
    sink.plan(Fault::DropAt(Stage::Body));
    // Far more than the socket buffers of both ends hold, so the sender is still writing when it notices.
    let line = [b'x'; 62].into_iter().chain(*b"\r\n").collect::<Vec<_>>();
    let large = line.repeat(256 << 10);
    let outcome = connection.send(&desk(), &desk(), &large).await;
    assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_mail_nobody_waits_for_any_more_spoils_its_connection() {
    let sink = Sink::start().await.unwrap();
    let mut connection = connection(&sink).await;
    tokio::select! {
        biased;
        _ = send(&mut connection, "a@b.example") => panic!("the relay cannot have answered already"),
        () = std::future::ready(()) => {}
    }
    assert!(connection.is_broken());
}

#[tokio::test]
async fn a_mail_larger_than_the_relay_takes_is_not_even_begun() {
    let sink = Sink::with_size_limit(MAIL.len() as u64 - 1).await.unwrap();
    let mut connection = connection(&sink).await;
    let outcome = send(&mut connection, "a@b.example").await;
    assert!(matches!(outcome, Outcome::Refused { code: 552, permanent: true, .. }), "{outcome:?}");
    assert_eq!(lines(&sink.transcript(), "MAIL"), 0);
    assert!(!connection.is_broken());
}

#[tokio::test]
async fn a_relay_without_starttls_sees_neither_mail_nor_password() {
    let sink = Sink::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let password_file = folder.path().join("password");
    std::fs::write(&password_file, "hunter2\n").unwrap();
    let config = RelayConfig {
        tls: RelayTls::Starttls,
        user: Some("desk".into()),
        password_file: Some(password_file),
        ..sink.relay()
    };
    let error = Relay::new(&config).unwrap().connect().await.err().unwrap();
    assert!(matches!(error, RelayError::NoStartTls { .. }), "{error}");
    assert!(!error.may_pass());
    let transcript = String::from_utf8(sink.transcript()).unwrap();
    assert!(
        transcript.starts_with("EHLO") && !transcript.contains("MAIL") && !transcript.contains("AUTH"),
        "{transcript}"
    );
}

#[tokio::test]
async fn a_relay_that_offers_no_login_gets_no_mail_from_someone_who_needs_one() {
    let sink = Sink::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let config = RelayConfig { user: Some("desk".into()), password_file: Some(path.clone()), ..sink.relay() };
    assert!(matches!(Relay::new(&config).err(), Some(RelayError::PasswordFile { .. })));
    std::fs::write(&path, "hunter2\n").unwrap();
    let error = Relay::new(&config).unwrap().connect().await.err().unwrap();
    assert!(matches!(error, RelayError::NoAuth { .. }), "{error}");
    assert_eq!(lines(&sink.transcript(), "MAIL") + lines(&sink.transcript(), "AUTH"), 0);
}

#[tokio::test]
async fn failures_to_connect_are_told_apart() {
    let sink = Sink::start().await.unwrap();
    let relay = Relay::new(&sink.relay()).unwrap();
    sink.plan(Fault::RefuseConnection);
    assert!(matches!(relay.connect().await.err(), Some(RelayError::Broken { stage: "the greeting", .. })));
    sink.plan(Fault::reply(Stage::Banner, 554, "go away"));
    let error = relay.connect().await.err().unwrap();
    assert_eq!(error.to_string(), "the relay refused the greeting: 554 go away");
    assert!(!error.may_pass());
    sink.plan(Fault::reply(Stage::Ehlo, 451, "later"));
    assert!(matches!(relay.connect().await.err(), Some(RelayError::Refused { code: 451, .. })));
    sink.plan(Fault::DropAt(Stage::Ehlo));
    assert!(matches!(relay.connect().await.err(), Some(RelayError::Broken { .. })));
    assert!(relay.connect().await.is_ok());

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = Relay::new(&RelayConfig { port, ..sink.relay() }).unwrap().connect().await.err().unwrap();
    assert!(matches!(error, RelayError::Unreachable { .. }), "{error}");
}

/// Sends one mail to each recipient `0..count` and returns the outcomes by number.
async fn batch(pool: &Arc<RelayPool>, count: usize) -> BTreeMap<usize, Outcome> {
    let shared: Arc<[u8]> = Arc::from(MAIL);
    let item = |id| Item {
        id,
        from: desk(),
        to: address(&format!("to-{id}@b.example")),
        parts: vec![Arc::clone(&shared)],
    };
    let mut outcomes = pool.send_batch((0..count).map(item).collect());
    let mut found = BTreeMap::new();
    while let Some((id, outcome)) = outcomes.recv().await {
        assert!(found.insert(id, outcome).is_none(), "two outcomes for one mail");
    }
    found
}

fn pool(config: &RelayConfig) -> Arc<RelayPool> {
    RelayPool::new(config, Clock::System, Entropy::seeded(1)).unwrap()
}

#[tokio::test]
async fn one_bad_recipient_delays_no_other() {
    let sink = Sink::start().await.unwrap();
    sink.plan_for("to-3@b.example", Fault::reply(Stage::Rcpt, 550, "5.1.1 no such user"));
    sink.plan_for("to-5@b.example", Fault::DropAt(Stage::Rcpt));
    sink.plan_for("to-7@b.example", Fault::LoseAnswerAfterDot);
    let pool = pool(&sink.relay());
    let outcomes = batch(&pool, 20).await;
    assert_eq!(outcomes.len(), 20);
    for (id, outcome) in &outcomes {
        let expected = match id {
            3 => matches!(outcome, Outcome::Refused { code: 550, permanent: true, .. }),
            5 => matches!(outcome, Outcome::NotSent { .. }),
            7 => matches!(outcome, Outcome::Uncertain { .. }),
            _ => accepted(outcome),
        };
        assert!(expected, "{id}: {outcome:?}");
    }
    // The mail whose answer was lost is there.
    assert_eq!(sink.messages().len(), 18);
}

#[tokio::test]
async fn connections_stay_open_between_batches_and_one_that_went_stale_costs_no_mail() {
    let sink = Sink::start().await.unwrap();
    let config = RelayConfig { connections: 1, ..sink.relay() };
    let pool = pool(&config);
    assert!(batch(&pool, 2).await.values().all(accepted));
    let greetings = lines(&sink.transcript(), "EHLO");
    assert!(batch(&pool, 2).await.values().all(accepted));
    assert_eq!(lines(&sink.transcript(), "EHLO"), greetings);
    sink.plan(Fault::DropAt(Stage::Mail));
    assert!(batch(&pool, 2).await.values().all(accepted));
    assert_eq!(sink.messages().len(), 6);
    pool.close().await;
    assert_eq!(lines(&sink.transcript(), "QUIT"), 1);
}

#[tokio::test]
async fn a_relay_that_takes_one_connection_only_gets_all_mails_over_it() {
    let sink = Sink::start().await.unwrap();
    // Both attempts of three of the four connections fail.
    sink.plan_times(Fault::reply(Stage::Banner, 421, "too many connections"), 6);
    let pool = pool(&RelayConfig { connections: 4, ..sink.relay() });
    let outcomes = batch(&pool, 30).await;
    assert!(outcomes.len() == 30 && outcomes.values().all(accepted), "{outcomes:?}");
}

#[tokio::test]
async fn a_relay_that_is_down_is_asked_twice_by_each_connection_and_no_mail_is_lost() {
    let sink = Sink::start().await.unwrap();
    sink.plan_times(Fault::RefuseConnection, 4);
    let pool = pool(&sink.relay());
    let outcomes = batch(&pool, 50).await;
    assert_eq!(outcomes.len(), 50);
    assert!(
        outcomes.values().all(|outcome| matches!(outcome, Outcome::NotSent { reason } if !reason.is_empty()))
    );
    assert!(batch(&pool, 1).await.values().all(accepted), "the fifth connection was not refused");
}

#[tokio::test]
async fn a_pool_without_a_mail_server_fills_maildirs() {
    let folder = tempfile::tempdir().unwrap();
    let config = RelayConfig {
        kind: RelayKind::Maildir,
        folder: Some(folder.path().to_owned()),
        ..RelayConfig::default()
    };
    assert!(batch(&pool(&config), 3).await.values().all(accepted));
    let new = folder.path().join("to-2@b.example/new");
    let mail = std::fs::read_dir(new).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read(mail).unwrap(), MAIL);
}

#[tokio::test]
async fn who_stops_listening_stops_the_batch() {
    let sink = Sink::start().await.unwrap();
    let pool = pool(&sink.relay());
    let items =
        (0..10).map(|id| Item { id, from: desk(), to: desk(), parts: vec![Arc::from(MAIL)] }).collect();
    drop(pool.send_batch(items));
    assert!(batch(&pool, 1).await.values().all(accepted));
    assert_eq!(sink.messages().len(), 1);
}

/// A consent that says yes so often, and then no; or that breaks off.
#[derive(Clone)]
struct Reluctant {
    left: Arc<AtomicUsize>,
    holds: bool,
    panics: bool,
}

impl Consent for Reluctant {
    async fn may_leave(&self) -> bool {
        assert!(!self.panics, "a look that nobody foresaw");
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    fn still_holds(&self) -> bool {
        self.holds
    }
}

/// What became of one mail with this consent, and of an ordinary one after it.
async fn reluctantly(yes: usize, holds: bool, panics: bool) -> (Option<Outcome>, Sink) {
    let sink = Sink::start().await.unwrap();
    let pool = pool(&RelayConfig { connections: 1, ..sink.relay() });
    let mut line = pool.line();
    let id = Reluctant { left: Arc::new(AtomicUsize::new(yes)), holds, panics };
    line.put([Item { id, from: desk(), to: desk(), parts: vec![Arc::from(MAIL)] }]);
    let (_, outcome) = line.report().await;
    assert!(batch(&pool, 1).await.values().all(accepted));
    (outcome, sink)
}

#[tokio::test]
async fn without_consent_no_mail_begins_and_without_it_before_the_first_byte_none_arrives() {
    let (outcome, sink) = reluctantly(0, true, false).await;
    assert_eq!((outcome, sink.messages().len()), (None, 1));
    assert_eq!(lines(&sink.transcript(), "MAIL FROM"), 1, "the other mail's");
    let (outcome, sink) = reluctantly(1, true, false).await;
    assert_eq!((outcome, sink.messages().len()), (None, 1));
    assert_eq!(lines(&sink.transcript(), "MAIL FROM"), 2);
    let (outcome, sink) = reluctantly(2, false, false).await;
    assert_eq!((outcome, sink.messages().len()), (None, 1), "it was broken off before its final dot");
    let (outcome, sink) = reluctantly(2, true, false).await;
    assert!(outcome.as_ref().is_some_and(accepted), "{outcome:?}");
    assert_eq!(sink.messages().len(), 2);
}

#[tokio::test]
async fn a_connection_that_breaks_off_inside_the_server_calls_its_mail_uncertain_and_another_takes_over() {
    let (outcome, sink) = reluctantly(2, true, true).await;
    assert!(matches!(outcome, Some(Outcome::Uncertain { .. })), "{outcome:?}");
    assert_eq!(sink.messages().len(), 1);
}

#[test]
fn what_a_relay_says_is_cut_and_cannot_move_the_cursor_or_the_reading_direction() {
    assert_eq!(cleaned("a\r\nb\u{1b}[31m\u{202e}c\0\u{7f}"), "a  b[31mc");
    assert_eq!(cleaned(&"é".repeat(900)).chars().count(), 500);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_mail_in_any_pieces_arrives_byte_for_byte_with_one_sender(
        lines in prop::collection::vec(prop::collection::vec(any::<u8>().prop_filter("no line end", |b| !b"\r\n".contains(b)), 0..90), 1..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let mail: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\r\n"[..]].concat()).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(mail.len())).collect();
        cuts.sort_unstable();
        let bounds: Vec<usize> = [0].into_iter().chain(cuts).chain([mail.len()]).collect();
        let parts: Vec<&[u8]> = bounds.windows(2).map(|pair| &mail[pair[0]..pair[1]]).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (outcome, received, transcript) = runtime.block_on(async {
            let sink = Sink::start().await.unwrap();
            let mut connection = connection(&sink).await;
            let outcome = connection.send_parts(&desk(), &desk(), &parts).await;
            (outcome, sink.messages(), sink.transcript())
        });
        prop_assert!(accepted(&outcome), "{:?}", outcome);
        prop_assert_eq!(&received[0].bytes, &mail);
        prop_assert_eq!(received.len(), 1);
        prop_assert!(transcript.ends_with(b"\r\n.\r\n"));
    }
}
