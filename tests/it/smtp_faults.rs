//! Everything a relay can do wrong, at every stage, with the real worker: what becomes of the copy, that the others
//! leave, and that nobody gets a mail twice unless an answer was lost.

use std::time::Duration;

use embargod::config::relay::{RelayConfig, RelayTls};
use embargod::demo::sink::{Fault, Stage};
use embargod::domain::notice::DeliveryState::{self, Accepted, Failed, Pending, Uncertain};

use crate::harness::{Founding, TestServer};

/// Longer than the first retry takes, and shorter than the second.
const A_MINUTE: Duration = Duration::from_mins(1);

const STAGES: [Stage; 6] = [Stage::Banner, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot];

/// Whether the stage comes once the recipient is known, so that a fault can be about one alone.
fn knows_recipient(stage: Stage) -> bool {
    matches!(stage, Stage::Rcpt | Stage::Data | Stage::Body | Stage::Dot)
}

/// Every fault, and the state of the copy after it.
fn faults() -> Vec<(Fault, DeliveryState)> {
    let mut all = vec![
        (Fault::RefuseConnection, Pending),
        // A small mail is written in one go, with its dot.
        (Fault::DropAt(Stage::Body), Uncertain),
        (Fault::LoseAnswerAfterDot, Uncertain),
        // It wants a login that is not configured.
        (Fault::reply(Stage::Mail, 530, "5.7.0 Authentication required"), Pending),
        (Fault::reply(Stage::Rcpt, 530, "5.7.0 Authentication required"), Pending),
        (Fault::reply(Stage::Data, 530, "5.7.0 Authentication required"), Pending),
        (Fault::reply(Stage::Rcpt, 450, "4.2.0 Greylisted"), Pending),
        (Fault::reply(Stage::Rcpt, 550, "5.1.1 no such mailbox"), Failed),
        (Fault::reply(Stage::Rcpt, 552, "5.2.2 Mailbox full"), Failed),
    ];
    for stage in STAGES {
        let lost = if stage == Stage::Dot { Uncertain } else { Pending };
        let refused = if knows_recipient(stage) { Failed } else { Pending };
        all.push((Fault::reply(stage, 421, "4.3.2 shutting down"), Pending));
        all.push((Fault::reply(stage, 451, "4.3.0 try later"), Pending));
        all.push((Fault::reply(stage, 554, "5.0.0 no"), refused));
        all.push((Fault::DropAt(stage), lost));
        all.push((Fault::BabbleAt(stage), lost));
        if stage != Stage::Dot {
            all.push((Fault::StallAt(stage), Pending));
        }
    }
    all
}

fn stage(fault: &Fault) -> Stage {
    match fault {
        Fault::RefuseConnection => Stage::Banner,
        Fault::LoseAnswerAfterDot => Stage::Dot,
        Fault::Reply { stage, .. }
        | Fault::DropAt(stage)
        | Fault::StallAt(stage)
        | Fault::PauseAt(stage)
        | Fault::BabbleAt(stage) => *stage,
    }
}

/// The states of the announcement's copies for one packager and the other.
async fn ends(server: &TestServer, id: &str) -> Vec<DeliveryState> {
    let mut copies = server.deliveries(id).await;
    copies.retain(|copy| copy.kind.carries_revision());
    copies.sort_by_key(|copy| copy.state.as_str());
    copies.into_iter().map(|copy| copy.state).collect()
}

#[tokio::test]
async fn whatever_a_relay_does_wrong_costs_no_other_copy_and_nothing_arrives_twice_but_after_a_lost_answer() {
    let tune = |relay: &mut RelayConfig| relay.timeout_seconds = 1;
    let mut server = TestServer::found(Founding { tune, ..Founding::default() }).await;
    let (debian, fedora) = (server.packager("debian").await, server.packager("fedora").await);
    let mara = server.maintainer();
    for (fault, expected) in faults() {
        // A fresh process has no open connections, so every stage comes up.
        server.restart().await;
        let (of_debian, of_fedora) = (
            server.sink.for_recipient(&debian.address).len(),
            server.sink.for_recipient(&fedora.address).len(),
        );
        let alone = knows_recipient(stage(&fault));
        if alone {
            server.sink.plan_for(&debian.address, fault.clone());
        } else {
            server.sink.plan_times(fault.clone(), 1000);
        }
        let id = mara.announces().await;
        server.run_worker_until_idle().await;
        let mut states = vec![expected, if alone { Accepted } else { expected }];
        states.sort_by_key(|state| state.as_str());
        assert_eq!(ends(&server, &id).await, states, "{fault:?}");
        server.sink.heal();
        server.clock.advance(A_MINUTE);
        server.run_worker_until_idle().await;
        let healed = if expected == Failed { Failed } else { Accepted };
        assert_eq!(ends(&server, &id).await, [Accepted, healed], "{fault:?}, a minute later");
        let arrived = server.sink.for_recipient(&debian.address)[of_debian..].to_vec();
        let copies = match fault {
            Fault::LoseAnswerAfterDot => 2,
            _ if healed == Failed => 0,
            _ => 1,
        };
        assert_eq!(arrived.len(), copies, "{fault:?}");
        assert!(arrived.iter().all(|copy| copy.bytes == arrived[0].bytes), "{fault:?}");
        assert_eq!(server.sink.for_recipient(&fedora.address).len(), of_fedora + 1, "{fault:?}");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_relay_that_does_not_answer_the_final_dot_may_have_the_mail() {
    let tune = |relay: &mut RelayConfig| relay.timeout_seconds = 1;
    let server = TestServer::found(Founding { tune, ..Founding::default() }).await;
    let debian = server.packager("debian").await;
    server.sink.plan_for(&debian.address, Fault::StallAt(Stage::Dot));
    let id = server.maintainer().announces().await;
    server.run_worker_until_idle().await;
    assert_eq!(ends(&server, &id).await, [Uncertain]);
    server.sink.heal();
    server.clock.advance(A_MINUTE);
    server.run_worker_until_idle().await;
    assert_eq!(ends(&server, &id).await, [Accepted]);
    server.finish().await;
}

/// What was handed over when a relay stood in the way of everything, and whether a mail began.
async fn handed_over(tune: fn(&mut RelayConfig), fault: Option<Fault>) {
    let server = TestServer::found(Founding { tune, ..Founding::default() }).await;
    server.packager("debian").await;
    if let Some(fault) = fault.clone() {
        server.sink.plan_times(fault, 1000);
    }
    let id = server.maintainer().announces().await;
    server.run_worker_until_idle().await;
    assert_eq!(ends(&server, &id).await, [Pending], "{fault:?}");
    let transcript = String::from_utf8_lossy(&server.sink.transcript()).into_owned();
    for word in ["MAIL FROM", "RCPT TO", "DATA"] {
        assert!(!transcript.contains(word), "{fault:?}: {word} in {transcript}");
    }
    server.finish().await;
}

#[tokio::test]
async fn without_tls_that_works_no_mail_begins_and_every_copy_waits() {
    let tls = |relay: &mut RelayConfig| {
        relay.tls = RelayTls::Starttls;
        relay.timeout_seconds = 1;
    };
    handed_over(tls, None).await;
    for fault in [
        Fault::reply(Stage::StartTls, 220, "go ahead, in clear"),
        Fault::reply(Stage::StartTls, 454, "4.7.0 not now"),
        Fault::reply(Stage::StartTls, 554, "5.7.0 never"),
        Fault::DropAt(Stage::StartTls),
        Fault::StallAt(Stage::StartTls),
        Fault::BabbleAt(Stage::StartTls),
    ] {
        handed_over(tls, Some(fault)).await;
    }
}

#[tokio::test]
async fn where_the_login_fails_no_mail_begins_and_every_copy_waits() {
    let login = |relay: &mut RelayConfig| {
        relay.user = Some("embargod".to_owned());
        relay.password_file = Some("Cargo.toml".into());
        relay.timeout_seconds = 1;
    };
    handed_over(login, None).await;
    for fault in [
        Fault::reply(Stage::Auth, 535, "5.7.8 wrong"),
        Fault::reply(Stage::Auth, 454, "4.7.0 not now"),
        Fault::DropAt(Stage::Auth),
        Fault::StallAt(Stage::Auth),
        Fault::BabbleAt(Stage::Auth),
    ] {
        handed_over(login, Some(fault)).await;
    }
}
