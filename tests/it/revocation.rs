//! What was taken back stops with the commit: on every replica, in the queue, and in the hands of the worker.

use std::time::Duration;

use embargod::app::Refusal;
use embargod::cli::assembly::Assembled;
use embargod::demo::sink::{Fault, Stage};
use embargod::domain::id::EmbargoId;
use embargod::domain::notice::DeliveryState;
use embargod::wire;

use crate::harness::{Change, Packager, TestServer, ordinary_text, person, requests_policy};

const MARA: &str = "mara@requests.example";
const OMAR: &str = "omar@requests.example";
const LATER: Fault = Fault::Reply { stage: Stage::Rcpt, code: 451, text: String::new() };

/// The states of the copies with content, by packager's address order of creation.
async fn states(server: &TestServer, id: &str) -> Vec<DeliveryState> {
    let mut copies = server.deliveries(id).await;
    copies.retain(|copy| copy.kind.carries_revision());
    copies.into_iter().map(|copy| copy.state).collect()
}

/// The status that a token gets for the list, a notice and an embargo.
async fn answers(server: &TestServer, token: &str, id: &str) -> [u16; 3] {
    let embargo = format!("/api/v1/embargoes/{id}");
    let notice = format!("{embargo}/revisions/1/notice");
    let mut statuses = [0; 3];
    for (status, path) in statuses.iter_mut().zip(["/api/v1/embargoes", &notice, &embargo]) {
        *status = server.client.get_as(token, path).await.status;
    }
    statuses
}

/// Another replica over the same database, which has answered before.
async fn replica(server: &TestServer) -> Assembled {
    let parts = server.parts(server.kek());
    tokio::task::spawn_blocking(|| Assembled::new(parts)).await.unwrap().unwrap()
}

async fn refuses(replica: &Assembled, token: &str, id: &str) -> bool {
    let id: EmbargoId = id.parse().unwrap();
    matches!(
        replica.app.neutral(token.to_owned(), id).await.map(drop),
        Err(Refusal::Unauthorised(_) | Refusal::NotFound)
    )
}

/// The subjects and texts of the alarms that Mara got.
fn alarms(server: &TestServer) -> Vec<String> {
    let mara = server.maintainer();
    let received = server.sink.for_recipient(MARA);
    let open = |bytes: &[u8]| {
        let outer = embargod::mail::read(bytes).unwrap();
        let inner = mara.opened(outer.encrypted().unwrap());
        embargod::mail::read(&inner).unwrap().text().unwrap()
    };
    received.iter().map(|received| open(&received.bytes)).collect()
}

async fn tries_to_log_in(server: &TestServer, packager: &Packager) -> u16 {
    let certificate = packager.person.certificate().to_armored().into_bytes();
    let challenge = server.client.call("POST", "/api/v1/challenges", &[], Some(certificate)).await;
    assert_eq!(challenge.status, 200, "nothing tells who is registered");
    let opened = packager.person.decrypt(&challenge.body, None, server.time.now()).unwrap();
    server.client.call("POST", "/api/v1/tokens", &[], Some(opened.plaintext)).await.status
}

#[tokio::test]
async fn a_contact_is_named_by_its_address_with_all_it_has_there_or_by_one_fingerprint() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let name = "Debian";
    let other = person(name, &debian.address);
    let other = server.packager_who_is("debian", name, &debian.address, other).await;
    let fingerprint = other.person.certificate().fingerprint();
    let (address, again) = (debian.address.clone(), other.clone());
    server
        .as_operator(move |operator| {
            let certificate = again.person.certificate().to_armored();
            operator.add_packager(&new_packager(&again, certificate.as_bytes())).unwrap();
            assert_eq!(operator.set_seipdv1_only(&address, true).unwrap().len(), 2, "both of that address");
            let one = operator.set_seipdv1_only(&fingerprint.to_lowercase(), false).unwrap();
            assert_eq!((one.len(), &one[0].1), (1, &fingerprint));
            let removal = operator.remove_contact(&fingerprint).unwrap();
            assert_eq!(removal.remarks, [format!("{address} stays a contact by another certificate")]);
            assert_eq!(removal.who, address);
            assert!(operator.remove_contact(&fingerprint).is_err());
        })
        .await;
    assert_eq!(tries_to_log_in(&server, &other).await, 401);
    assert_eq!(tries_to_log_in(&server, &debian).await, 200, "the other certificate counts as before");
    server.finish().await;
}

#[tokio::test]
async fn a_removed_contact_is_shut_out_at_once_on_every_replica_and_can_be_enrolled_again_without_the_old_token()
 {
    let server = TestServer::start().await;
    let (debian, fedora) = (server.packager("debian").await, server.packager("fedora").await);
    let mara = server.maintainer();
    let first = mara.announces().await;
    server.run_worker_until_idle().await;
    let token = debian.token().await;
    assert_eq!(answers(&server, &token, &first).await, [200; 3]);
    let second_replica = replica(&server).await;
    assert!(!refuses(&second_replica, &token, &first).await);
    // One more copy waits, frozen, for a relay that is busy.
    server.sink.plan_for(&debian.address, LATER);
    let second = mara.announces().await;
    server.run_worker_until_idle().await;
    assert!(states(&server, &second).await.contains(&DeliveryState::Pending));

    let address = debian.address.clone();
    server
        .as_operator(move |operator| {
            let removal = operator.remove_contact(&address.to_uppercase()).unwrap();
            assert_eq!((removal.projects, removal.mailed.len()), (vec!["requests".to_owned()], 1));
            assert!(removal.remarks[0].contains("no contact left"), "{:?}", removal.remarks);
        })
        .await;
    assert_eq!(answers(&server, &token, &first).await, [401; 3]);
    assert!(refuses(&second_replica, &token, &first).await);
    let now = server.time.now();
    let live = server.database(move |tx| Ok(tx.live_tokens(now)?)).await;
    assert!(live.is_empty(), "the operator's list shows none that counts: {live:?}");
    assert_eq!(tries_to_log_in(&server, &debian).await, 401);
    let mut waiting = states(&server, &second).await;
    waiting.sort_by_key(|state| state.as_str());
    assert_eq!(waiting, [DeliveryState::Accepted, DeliveryState::Superseded]);
    server.sink.heal();
    server.clock.advance(Duration::from_hours(2));
    server.run_worker_until_idle().await;
    assert_eq!(debian.subjects(&server.sink).len(), 1, "the first embargo, and nothing since");
    assert_eq!(fedora.subjects(&server.sink).len(), 2);
    assert!(alarms(&server)[0].contains(&debian.address), "{:?}", alarms(&server));

    // The same person, key and address once more: a new contact, told of what is current, with a new login.
    let again = debian.clone();
    server
        .as_operator(move |operator| {
            let certificate = again.person.certificate().to_armored();
            let added = operator.add_packager(&new_packager(&again, certificate.as_bytes())).unwrap();
            assert_eq!(added, embargod::app::roster::Added::Contact);
        })
        .await;
    assert_eq!(answers(&server, &token, &first).await, [401; 3], "what was ended stays so");
    server.run_worker_until_idle().await;
    let fresh = debian.token().await;
    assert_eq!(answers(&server, &fresh, &first).await, [200; 3]);
    server.finish().await;
}

fn new_packager<'a>(who: &'a Packager, certificate: &'a [u8]) -> embargod::app::roster::NewPackager<'a> {
    static PROJECTS: std::sync::LazyLock<[String; 1]> = std::sync::LazyLock::new(|| ["requests".to_owned()]);
    embargod::app::roster::NewPackager {
        slug: &who.slug,
        name: &who.slug,
        address: &who.address,
        certificate,
        sha1_until: None,
        seipdv1_only: false,
        projects: &*PROJECTS,
    }
}

#[tokio::test]
async fn a_packager_that_leaves_one_project_keeps_the_other_and_comes_back_to_no_running_embargo() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    server
        .as_operator(|operator| {
            operator.add_project("other", "Other", requests_policy(&[])).unwrap();
            let mara = person("Mara Keep", MARA).certificate().to_armored();
            operator.add_maintainer("other", mara.as_bytes()).unwrap();
            operator.approve_packager("debian", "security@debian.example", &["other".to_owned()]).unwrap();
        })
        .await;
    let text = toml::to_string(&ordinary_text()).unwrap();
    let open = wire::OpenEmbargo { project: "other".to_owned(), text: Some(text) };
    let kept = mara.does(&Change::json("POST", "/api/v1/embargoes", &open)).await.accepted().neutral.id;
    mara.puts_fix(&kept, "main", &crate::harness::Series::default().mbox()).await;
    mara.does(&Change::schedule(&kept, "2026-06-10 14:00", None)).await.accepted();
    mara.does(&Change::send(&kept, None, true)).await.accepted();
    server.run_worker_until_idle().await;
    server.sink.plan_for(&debian.address, LATER);
    let left = mara.announces().await;
    server.run_worker_until_idle().await;
    let token = debian.token().await;
    server
        .as_operator(|operator| {
            let removal = operator.remove_packager("debian", Some("requests")).unwrap();
            assert_eq!(removal.mailed, ["requests"]);
            let twice = operator.remove_packager("debian", Some("requests")).unwrap_err();
            assert!(twice.to_string().contains("not approved"), "{twice}");
        })
        .await;
    assert_eq!(answers(&server, &token, &left).await, [200, 404, 404]);
    assert_eq!(answers(&server, &token, &kept).await, [200; 3]);
    assert_eq!(states(&server, &left).await, [DeliveryState::Superseded]);
    server.sink.heal();
    server
        .as_operator(|operator| {
            operator.approve_packager("debian", "security@debian.example", &["requests".to_owned()]).unwrap();
        })
        .await;
    server.clock.advance(Duration::from_hours(2));
    server.run_worker_until_idle().await;
    assert_eq!(answers(&server, &token, &left).await, [200, 404, 404], "a running embargo needs two to tell");
    assert_eq!(debian.subjects(&server.sink), ["EMBARGO Other"]);
    server
        .as_operator(|operator| {
            let removal = operator.remove_packager("debian", None).unwrap();
            assert_eq!(removal.projects, ["other", "requests"]);
        })
        .await;
    assert_eq!(answers(&server, &token, &kept).await, [401; 3]);
    let again = server.packager("debian").await;
    assert_eq!(
        answers(&server, &again.token().await, &kept).await,
        [200, 404, 404],
        "the short name is free"
    );
    server.finish().await;
}

#[tokio::test]
async fn a_removed_maintainer_commands_nothing_not_even_again_and_the_last_one_stays() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let omar = server.another_maintainer("omar").await;
    let id = mara.opens(&ordinary_text()).await;
    let token = omar.token().await;
    let earlier = omar.does(&Change::text(&id, &ordinary_text())).await;
    let path = format!("/api/v1/embargoes/{id}/text");
    assert_eq!(server.client.command("PUT", &path, earlier.sent.clone()).await.status, 200, "a repetition");
    server
        .as_operator(|operator| {
            let removal = operator.remove_maintainer("omar@requests.example", "requests", false).unwrap();
            assert_eq!(removal.mailed, ["requests"]);
            let last = operator.remove_maintainer(MARA, "requests", false).unwrap_err();
            assert!(last.to_string().contains("--leave-nobody"), "{last}");
        })
        .await;
    let replayed = server.client.command("PUT", &path, earlier.sent).await;
    assert_eq!(replayed.status, 400, "not even the answer to an older command");
    let (status, ..) = omar.does(&Change::text(&id, &ordinary_text())).await.refused();
    assert_eq!(status, 400);
    assert_eq!(server.client.get_as(&token, &format!("/api/v1/embargoes/{id}")).await.status, 401);
    server.run_worker_until_idle().await;
    assert!(alarms(&server)[0].contains("omar@requests.example"));
    assert!(server.sink.for_recipient("omar@requests.example").is_empty(), "who left is told nothing");
    mara.does(&Change::text(&id, &ordinary_text())).await.accepted();
    let back = server.another_maintainer("omar").await;
    back.does(&Change::text(&id, &ordinary_text())).await.accepted();
    assert_eq!(server.client.get_as(&token, &format!("/api/v1/embargoes/{id}")).await.status, 401);
    server.finish().await;
}

#[tokio::test]
async fn who_still_decides_for_another_project_learns_nothing_by_repeating_an_old_command() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let omar = server.another_maintainer("omar").await;
    let id = mara.opens(&ordinary_text()).await;
    let earlier = omar.does(&Change::text(&id, &ordinary_text())).await;
    server
        .as_operator(|operator| {
            operator.add_project("other", "Other", requests_policy(&[])).unwrap();
            let omar = person("omar", OMAR).certificate().to_armored();
            operator.add_maintainer("other", omar.as_bytes()).unwrap();
        })
        .await;
    // An alarm for him is in the hands of a worker when he leaves.
    server.packager("debian").await;
    server.as_operator(|operator| drop(operator.remove_packager("debian", None).unwrap())).await;
    server.app().reconcile_notices().await.unwrap();
    let held = server.app().claim("a worker", 64, false).await.unwrap();
    let his = held.iter().find(|mail| mail.to.as_str() == OMAR).unwrap().held.claimed.clone();
    assert!(server.app().may_send(&his).await.unwrap());
    server
        .as_operator(|operator| {
            operator.remove_maintainer(OMAR, "requests", false).unwrap();
        })
        .await;
    assert!(!server.app().may_send(&his).await.unwrap(), "he still decides, but not for this");
    let stopped = held.iter().map(|mail| (mail.held.claimed.clone(), None)).collect();
    server.app().record(stopped).await.unwrap();
    server.run_worker_until_idle().await;
    assert!(server.sink.for_recipient(OMAR).is_empty());
    assert!(!alarms(&server).is_empty(), "the others are told");
    let path = format!("/api/v1/embargoes/{id}/text");
    let replayed = server.client.command("PUT", &path, earlier.sent).await;
    assert_eq!(replayed.status, 404, "{}", replayed.text());
    assert!(omar.token().await.starts_with("emb_m_"), "the other project is still his");
    server.finish().await;
}

#[tokio::test]
async fn a_revoked_certificate_blocks_the_frozen_copy_ends_the_token_and_is_never_enrolled_again() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let first = mara.announces().await;
    server.run_worker_until_idle().await;
    let token = debian.token().await;
    server.sink.plan_for(&debian.address, LATER);
    let second = mara.announces().await;
    server.run_worker_until_idle().await;
    let fingerprint = debian.person.certificate().fingerprint();
    let typed = fingerprint.as_bytes().chunks(4).map(|four| String::from_utf8_lossy(four).to_lowercase());
    let typed = typed.collect::<Vec<_>>().join(" ");
    server
        .as_operator(move |operator| {
            assert!(operator.revoke_certificate(&typed, " ").is_err(), "a reason is needed");
            let removal = operator.revoke_certificate(&typed, "Ada: the laptop was stolen").unwrap();
            assert_eq!((removal.who.as_str(), removal.mailed.len()), ("security@debian.example", 1));
            assert!(operator.revoke_certificate(&typed, "again").is_err());
        })
        .await;
    assert_eq!(answers(&server, &token, &first).await, [401; 3]);
    assert_eq!(tries_to_log_in(&server, &debian).await, 401);
    server.sink.heal();
    server.run_worker_until_idle().await;
    assert_eq!(
        states(&server, &second).await,
        [DeliveryState::Blocked],
        "at the next look, hours before its turn"
    );
    assert_eq!(debian.subjects(&server.sink).len(), 1);
    let alarms = alarms(&server);
    assert!(alarms.iter().any(|text| text.contains("the laptop was stolen")), "{alarms:?}");
    let again = debian.clone();
    server
        .as_operator(move |operator| {
            let certificate = again.person.certificate().to_armored();
            let refused = operator.add_packager(&new_packager(&again, certificate.as_bytes())).unwrap_err();
            assert!(refused.to_string().contains("for good"), "{refused}");
            let refused = operator.add_maintainer("requests", certificate.as_bytes()).unwrap_err();
            assert!(refused.to_string().contains("for good"), "{refused}");
            operator.remove_contact(&again.address).unwrap();
            let refused = operator.add_packager(&new_packager(&again, certificate.as_bytes())).unwrap_err();
            assert!(refused.to_string().contains("for good"), "also under a contact that is new: {refused}");
        })
        .await;
    server.finish().await;
}

#[tokio::test]
async fn a_copy_whose_recipient_is_removed_while_the_relay_hesitates_at_mail_from_is_withheld() {
    let mut server = TestServer::start().await;
    let (debian, fedora) = (server.packager("debian").await, server.packager("fedora").await);
    let mara = server.maintainer();
    let id = mara.announces().await;
    server.sink.plan_times(Fault::PauseAt(Stage::Mail), 2);
    server.leave_alone().await;
    server.sink.wait_for_stall().await;
    let address = debian.address.clone();
    server.as_operator(move |operator| drop(operator.remove_contact(&address).unwrap())).await;
    // As the worker's own look would, once a second of a real clock.
    server.app().wake();
    server.sink.heal();
    // Fedora's copy, and the alarm to the maintainer that follows the removal.
    server.mails(2).await;
    let settled = async { while states(&server, &id).await.iter().any(|state| state.is_open()) {} };
    tokio::time::timeout(Duration::from_mins(1), settled).await.unwrap();
    assert!(debian.mailbox(&server.sink).is_empty());
    assert_eq!(fedora.subjects(&server.sink), ["EMBARGO Requests"]);
    server.finish().await;
}
