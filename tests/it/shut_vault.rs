//! A server without its key-encryption key, or with another one: public pages work, the rest says why it does not.

use embargod::app::Refusal;
use embargod::domain::embargo::StageName;
use embargod::vault::KeyEncryptionKey;
use embargod::wire;
use zeroize::Zeroizing;

use crate::harness::{Change, TestServer, ordinary_text, utc};

/// What anybody may read says that the key is missing, and neither where it should lie nor which it is.
fn is_for_strangers(text: &str, why: &str) {
    assert!(text.contains("embargod doctor"), "{text}");
    assert!(!text.contains(why) && !text.contains("roster"), "{text}");
}

#[tokio::test]
async fn without_the_right_key_what_is_public_is_served_and_nothing_else() {
    let mut server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let lifted = mara.announces().await;
    server.run_worker_until_idle().await;
    server.clock.advance_to(utc("2026-06-10T12:00:00Z"));
    server.run_worker_until_idle().await;
    let secret = mara.prepares("2026-06-24 14:00").await;
    mara.does(&Change::send(&secret, None, false)).await.accepted();
    // From here on there is a notice to be sent, and nobody who could.
    server.clock.advance_to(utc("2026-06-16T12:00:00Z"));
    let told = debian.subjects(&server.sink);
    let tokens = [mara.token().await, debian.token().await];
    let page = server.client.get("/advisories/EMB-2026-1").await.body;

    let another = KeyEncryptionKey::from_random(Zeroizing::new([1; 32]));
    for (kek, why) in
        [(Err("/srv/embargo/kek is missing".to_owned()), "/srv"), (Ok(another), "does not open")]
    {
        server.restart_with(kek).await;
        for path in ["/", "/feed.atom", "/key.asc", "/livez", "/advisories/EMB-2026-1.json", "/openapi.json"]
        {
            assert_eq!(server.client.get(path).await.status, 200, "{path}: {why}");
        }
        assert_eq!(server.client.get("/advisories/EMB-2026-1").await.body, page);
        let ready = server.client.get("/readyz").await;
        assert_eq!(ready.status, 503);
        let readiness: wire::Readiness = ready.json();
        assert!(!readiness.ready, "{readiness:?}");
        is_for_strangers(&readiness.reasons.join(" "), why);
        for token in &tokens {
            for path in
                [String::new(), format!("/{lifted}"), format!("/{secret}"), format!("/{secret}/dates")]
            {
                let answer = server.client.get_as(token, &format!("/api/v1/embargoes{path}")).await;
                assert_eq!(answer.status, 503, "{path}: {}", answer.text());
            }
        }
        assert_eq!(mara.does(&Change::cancel(&secret, "no")).await.response.status, 503);
        let certificate = mara.person.certificate().to_armored().into_bytes();
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let page = server.client.call("POST", "/login", &form, Some(b"certificate=".to_vec())).await;
        assert_eq!(page.status, 400, "{}", page.text());
        let typed = certificate.iter().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
        let typed = format!("certificate={typed}").into_bytes();
        let page = server.client.call("POST", "/login", &form, Some(typed)).await;
        let challenge = server.client.call("POST", "/api/v1/challenges", &[], Some(certificate)).await;
        for answer in [page, challenge] {
            assert_eq!(answer.status, 503, "{}", answer.text());
            is_for_strangers(&answer.text(), why);
        }
        // The worker of such a server can do nothing, and does not do half of it.
        let looked = server.app().reconcile_notices().await;
        assert!(matches!(looked, Ok(false) | Err(Refusal::Locked(_) | Refusal::Store(_))), "{looked:?}");
        assert!(server.app().claim("worker", 64, true).await.unwrap().is_empty());
        let stage = server.database(move |tx| Ok(tx.embargoes()?[0].stage.name())).await;
        assert_eq!(stage, StageName::Scheduled, "what cannot be told is not called announced");
    }
    server.restart().await;
    assert_eq!(server.client.get("/readyz").await.status, 200);
    let case: wire::CaseView = mara.reads(&tokens[0], &format!("/api/v1/embargoes/{secret}")).await;
    assert_eq!(case.title, "Credentials leak on redirect");
    assert_eq!(debian.subjects(&server.sink), told);
    server.run_worker_until_idle().await;
    assert_eq!(debian.subjects(&server.sink), [&told[..], &["EMBARGO Requests".to_owned()]].concat());
    server.finish().await;
}

#[tokio::test]
async fn a_replica_that_was_not_given_the_new_key_says_that_one_is_missing_and_goes_on_with_what_it_met() {
    let server = TestServer::start().await;
    let mara = server.maintainer();
    let met = mara.opens(&ordinary_text()).await;
    let token = mara.token().await;
    let given_to_others = KeyEncryptionKey::from_random(Zeroizing::new([1; 32])).id();
    let (id, now) = (given_to_others.clone(), server.time.now());
    server
        .change(move |tx| {
            tx.prepare_kek(&id, now)?;
            Ok(tx.make_kek_current(&id, now)?)
        })
        .await;
    let text = toml::to_string(&ordinary_text()).unwrap();
    let opening = wire::OpenEmbargo { project: "requests".to_owned(), text: Some(text) };
    let answer = mara.does(&Change::json("POST", "/api/v1/embargoes", &opening)).await.response;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains("a key is missing here; nothing was changed"), "{}", answer.text());
    assert!(!answer.text().contains(&given_to_others), "{}", answer.text());
    let _: wire::CaseView = mara.reads(&token, &format!("/api/v1/embargoes/{met}")).await;
    server.finish().await;
}
