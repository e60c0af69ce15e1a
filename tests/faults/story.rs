//! What is done in a round while faults happen, and what must hold of it afterwards.

use chrono::{DateTime, Duration, SubsecRound as _, Utc};
use embargod::clock::Clock;
use embargod::wire::{self, CaseView};

use crate::harness::{Change, Client, Maintainer, Response, Series, ordinary_text};
use crate::installation::{Template, read, settled};
use crate::patience::Since;
use crate::relay::Relay;

/// How far ahead of its command a lift is set, cut to whole seconds.
const AHEAD: Duration = Duration::milliseconds(1_700);

/// How long one answer is waited for, before the next replica is asked.
const ANSWER: std::time::Duration = std::time::Duration::from_secs(5);

/// Somebody who repeats what was not answered, with the same bytes, until it is.
pub struct Teller<'a> {
    template: &'a Template,
    /// One for each replica.
    clients: Vec<Client>,
    /// Signs for the address that all replicas share.
    maintainer: Maintainer,
    /// Read from each replica.
    readers: Vec<Maintainer>,
    /// What was answered 2xx: method, path, the bytes sent, and the answer.
    answered: Vec<(String, String, Vec<u8>, Response)>,
}

/// What was told.
pub struct Told {
    /// The instant that was promised for the lift.
    pub lifts_at: DateTime<Utc>,
    version: i64,
    title: String,
}

impl<'a> Teller<'a> {
    /// `url` is the address that commands are signed for, `bases` where the replicas listen.
    pub fn new(template: &'a Template, url: &str, bases: &[String]) -> Self {
        let clients = bases.iter().map(|base| Client::with_patience(base, Some(ANSWER))).collect();
        let maintainer = template.maintainer(&Client::with_patience(url, Some(ANSWER)));
        let reader = |base: &String| template.maintainer(&Client::with_patience(base, Some(ANSWER)));
        let readers = bases.iter().map(reader).collect();
        Self { template, clients, maintainer, readers, answered: Vec::new() }
    }

    /// Changes, a second revision, a receipt, and the order to lift.
    pub async fn tell(&mut self) -> Told {
        let embargo = self.template.embargo.to_string();
        for number in 1..=2 {
            let mut text = ordinary_text();
            text.insert("title".to_owned(), format!("Credentials leak, take {number}").into());
            self.commands(&Change::text(&embargo, &text)).await;
        }
        let fix = self.maintainer.fix(
            &embargo,
            "main",
            &Series::with_line("    return old.host == new.host").mbox(),
        );
        self.commands(&fix).await;
        self.commands(&Change::send(&embargo, Some("a better fix"), true)).await;
        let receipt = wire::PutReceipt { revision: 1, code: self.template.receipt_code.clone() };
        let bearer = format!("Bearer {}", self.template.packager_token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let path = format!("/api/v1/embargoes/{embargo}/receipt");
        self.insists("PUT", &path, &headers, serde_json::to_vec(&receipt).unwrap()).await;
        let at = (Clock::System.now() + AHEAD).trunc_subsecs(0).to_rfc3339();
        let early = wire::LiftEarly { reason: "it is exploited".to_owned(), at: Some(at) };
        let path = format!("/api/v1/embargoes/{embargo}/lift-early");
        let case = self.commands(&Change::json("POST", path, &early)).await;
        Told { lifts_at: case.neutral.lifts_at.unwrap(), version: case.neutral.version, title: case.title }
    }

    async fn commands(&mut self, change: &Change) -> CaseView {
        let bytes = self.maintainer.signed(change);
        let headers = [("content-type", wire::OPENPGP)];
        let response = self.insists(&change.method, &change.path, &headers, bytes.clone()).await;
        self.answered.push((change.method.clone(), change.path.clone(), bytes, response.clone()));
        serde_json::from_slice(&self.maintainer.opened(&response.body)).unwrap()
    }

    async fn insists(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
        let since = Since::now();
        for client in self.clients.iter().cycle() {
            match client.try_call(method, path, headers, Some(body.clone())).await {
                Ok(response) if response.status < 300 => return response,
                // A server that doubts says so, and may be asked again.
                Ok(response) if response.status == 503 => {}
                Ok(response) => panic!("{method} {path}: {} {}", response.status, response.text()),
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
            assert!(!since.is_too_long(), "{method} {path} is never answered");
        }
        unreachable!("there is a replica")
    }

    /// What must hold in the end, with a server that works: nothing that was answered is lost, the same bytes have the
    /// same answer, every copy arrived, and nobody got another mail twice than the same one.
    pub async fn check(&self, told: &Told, relay: &Relay, kills: impl Fn() -> usize) {
        let embargo = self.template.embargo.as_str();
        let copies = settled(&self.readers, &self.template.token, embargo, "lifted-early").await;
        let path = format!("/api/v1/embargoes/{embargo}");
        let case: CaseView = read(&self.readers, &self.template.token, &path).await;
        assert!(case.neutral.version >= told.version, "a change that was answered is lost");
        assert_eq!(case.title, told.title);
        assert_eq!(case.neutral.revision, Some(2));
        assert!(matches!(case.neutral.stage.as_str(), "lifted" | "closed"), "{}", case.neutral.stage);
        let view: wire::DeliveriesView =
            read(&self.readers, &self.template.token, &format!("{path}/deliveries")).await;
        let first = &self.template.people.packagers[0].0;
        let said = view.packagers.iter().find(|packager| &packager.packager == first).unwrap();
        assert_eq!(said.said.receipt_revision, Some(1), "a receipt that was answered is lost");

        for (method, path, bytes, answer) in &self.answered {
            let headers = [("content-type", wire::OPENPGP)];
            let again = self.insists(method, path, &headers, bytes.clone()).await;
            assert!(again.body == answer.body, "{method} {path}: the same bytes have another answer");
        }

        self.check_copies(relay, &kills);
        let kept = relay.kept();
        for (_, address, _) in &self.template.people.packagers {
            let arrived = kept.values().filter(|copies| &copies.recipient == address).count();
            let of = |state: &str| {
                copies.iter().filter(|copy| &copy.address == address && copy.state == state).count()
            };
            // The announcement came before the round.
            let accepted = of("accepted") - 1;
            assert!(
                (accepted..=accepted + of("superseded")).contains(&arrived),
                "{address} got {arrived} messages of {accepted}: {copies:#?}"
            );
            assert_eq!(of("failed"), 0, "{copies:#?}");
            let lifted = |copy: &&wire::DeliveryView| copy.kind == "lifted-early" && copy.state == "accepted";
            let told = copies.iter().filter(|copy| &copy.address == address).filter(lifted).count();
            assert_eq!(told, 1, "{address} was not told of the lift: {copies:#?}");
        }
    }

    /// Nobody got a mail twice, unless the answer to the first was lost; and then the same bytes.
    #[expect(clippy::unused_self, reason = "it is a part of what is checked")]
    pub fn check_copies(&self, relay: &Relay, kills: impl Fn() -> usize) {
        for (id, copies) in &relay.kept() {
            let first = copies.digests[0];
            assert!(copies.digests.iter().all(|digest| *digest == first), "{id} came with other bytes");
            let excused = copies.unanswered + kills();
            assert!(copies.digests.len() <= 1 + excused, "{id} came {} times", copies.digests.len());
        }
    }
}
