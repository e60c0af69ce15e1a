//! A maintainer: signs commands with an own key and sends them over HTTP, reads with a token.

use chrono::{DateTime, Utc};
use embargod::clock::Clock;
use embargod::entropy::Entropy;
use embargod::openpgp::{Certificate, Person, SessionKey, SignedRequest};
use embargod::wire::{self, CaseView};

use super::{Client, Response, Series};

/// Somebody who signs commands.
#[derive(Clone)]
pub struct Maintainer {
    pub person: Person,
    client: Client,
    time: Clock,
    entropy: Entropy,
    server: Certificate,
}

/// A command before it is signed. What is `None` is filled in as a well-behaved client does.
#[derive(Clone, Default)]
pub struct Change {
    pub method: String,
    pub path: String,
    pub body: Vec<u8>,
    pub content_type: &'static str,
    pub if_match: Option<String>,
    pub key: Option<String>,
    pub expires: Option<DateTime<Utc>>,
    /// The address that is signed, where it is not the one that is called.
    pub signed_url: Option<String>,
}

/// What came back, and what was sent.
pub struct Answer {
    pub response: Response,
    pub sent: Vec<u8>,
    maintainer: Maintainer,
}

impl Change {
    pub fn json(method: &str, path: impl Into<String>, body: &impl serde::Serialize) -> Self {
        Self {
            method: method.to_owned(),
            path: path.into(),
            body: serde_json::to_vec(body).unwrap(),
            content_type: "application/json",
            ..Self::default()
        }
    }

    pub fn text(embargo: &str, text: &toml::Table) -> Self {
        Self {
            method: "PUT".to_owned(),
            path: format!("/api/v1/embargoes/{embargo}/text"),
            body: toml::to_string(text).unwrap().into_bytes(),
            content_type: "application/toml",
            ..Self::default()
        }
    }

    pub fn schedule(embargo: &str, lifts_at: &str, reason: Option<&str>) -> Self {
        let body = wire::PutSchedule { lifts_at: lifts_at.to_owned(), reason: reason.map(str::to_owned) };
        Self::json("PUT", format!("/api/v1/embargoes/{embargo}/schedule"), &body)
    }

    pub fn send(embargo: &str, reason: Option<&str>, now: bool) -> Self {
        let body = wire::SendRevision { reason: reason.map(str::to_owned), now };
        Self::json("POST", format!("/api/v1/embargoes/{embargo}/revisions"), &body)
    }

    pub fn lift_early(embargo: &str, reason: &str) -> Self {
        let body = wire::LiftEarly { reason: reason.to_owned(), at: None };
        Self::json("POST", format!("/api/v1/embargoes/{embargo}/lift-early"), &body)
    }

    pub fn cancel(embargo: &str, reason: &str) -> Self {
        let body = wire::Cancel { reason: reason.to_owned() };
        Self::json("POST", format!("/api/v1/embargoes/{embargo}/cancel"), &body)
    }

    pub fn audience(embargo: &str, packagers: &[&str]) -> Self {
        let packagers = packagers.iter().map(|slug| (*slug).to_owned()).collect();
        Self::json("PUT", format!("/api/v1/embargoes/{embargo}/audience"), &wire::PutAudience { packagers })
    }

    pub fn credits(embargo: &str, credits: Vec<wire::CreditEntry>) -> Self {
        Self::json("PUT", format!("/api/v1/embargoes/{embargo}/credits"), &wire::PutCredits { credits })
    }
}

impl Maintainer {
    pub fn new(client: Client, time: Clock, entropy: Entropy, server: Certificate, person: Person) -> Self {
        Self { person, client, time, entropy, server }
    }

    /// The signed and encrypted form of a command.
    pub fn signed(&self, change: &Change) -> Vec<u8> {
        let random: [u8; 16] = self.entropy.bytes();
        let url = format!("{}{}", self.client.base_url(), change.path);
        let request = SignedRequest {
            method: change.method.clone(),
            url: change.signed_url.clone().unwrap_or(url),
            if_match: change.if_match.clone(),
            idempotency_key: change.key.clone().unwrap_or_else(|| super::hex(&random)),
            expires: change.expires.unwrap_or(self.time.now() + chrono::Duration::minutes(10)),
            content_type: Some(change.content_type.to_owned()),
            body: change.body.clone(),
        };
        let session_key = SessionKey::from_random(self.entropy.bytes());
        let text = request.print().unwrap();
        self.person.sign_and_encrypt(&text, &self.server, &session_key, self.time.now()).unwrap()
    }

    /// Signs a command and sends it.
    pub async fn does(&self, change: &Change) -> Answer {
        let sent = self.signed(change);
        let response = self.client.command(&change.method, &change.path, sent.clone()).await;
        Answer { response, sent, maintainer: self.clone() }
    }

    /// Opens an embargo with a text; returns its id.
    pub async fn opens(&self, text: &toml::Table) -> String {
        let body = wire::OpenEmbargo {
            project: super::server::PROJECT.to_owned(),
            text: Some(toml::to_string(text).unwrap()),
        };
        let answer = self.does(&Change::json("POST", "/api/v1/embargoes", &body)).await;
        assert_eq!(answer.response.status, 201, "{}", answer.response.text());
        answer.accepted().neutral.id
    }

    /// Puts a fix for one branch.
    pub async fn puts_fix(&self, embargo: &str, branch: &str, mbox: &[u8]) -> CaseView {
        self.does(&self.fix(embargo, branch, mbox)).await.accepted()
    }

    /// The command that puts a fix for one branch.
    pub fn fix(&self, embargo: &str, branch: &str, mbox: &[u8]) -> Change {
        let body = wire::PutFix {
            branch: branch.to_owned(),
            mbox: Some(base64_simd::STANDARD.encode_to_string(mbox)),
            signature: Some(self.person.sign_detached(mbox, self.time.now()).unwrap()),
            ..wire::PutFix::default()
        };
        Change::json("PUT", format!("/api/v1/embargoes/{embargo}/fixes"), &body)
    }

    /// An embargo with text and one fix, lifting at `lifts_at`; nothing is sent yet.
    pub async fn prepares(&self, lifts_at: &str) -> String {
        let id = self.opens(&ordinary_text()).await;
        self.puts_fix(&id, "main", &Series::default().mbox()).await;
        self.does(&Change::schedule(&id, lifts_at, None)).await.accepted();
        id
    }

    /// An embargo whose revision 1 leaves at once, lifting on Wednesday of the next week.
    pub async fn announces(&self) -> String {
        let id = self.prepares("2026-06-10 14:00").await;
        self.does(&Change::send(&id, None, true)).await.accepted();
        id
    }

    /// A token for reads.
    pub async fn token(&self) -> String {
        log_in(&self.client, &self.person, &self.time).await
    }

    /// Reads something inside OpenPGP with a token.
    pub async fn reads<T: serde::de::DeserializeOwned>(&self, token: &str, path: &str) -> T {
        self.try_reads(token, path).await.unwrap_or_else(|| panic!("{path}: no answer"))
    }

    /// The same with a server that may be gone, or in doubt.
    pub async fn try_reads<T: serde::de::DeserializeOwned>(&self, token: &str, path: &str) -> Option<T> {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("accept", wire::OPENPGP)];
        let response = self.client.try_call("GET", path, &headers, None).await.ok()?;
        if response.status == 503 {
            return None;
        }
        assert_eq!(response.status, 200, "{}", response.text());
        Some(serde_json::from_slice(&self.opened(&response.body)).unwrap())
    }

    /// Opens an answer and checks the server's signature.
    pub fn opened(&self, message: &[u8]) -> Vec<u8> {
        let opened = self.person.decrypt(message, Some(&self.server), self.time.now()).unwrap();
        assert!(opened.signature_good, "the server signs what it answers");
        opened.plaintext
    }
}

impl Answer {
    /// The case as it then stands; fails if the command was refused.
    pub fn accepted(self) -> CaseView {
        assert!(matches!(self.response.status, 200 | 201), "{}", self.response.text());
        serde_json::from_slice(&self.maintainer.opened(&self.response.body)).unwrap()
    }

    /// Status, kind and words of a refusal; fails if the command was accepted.
    pub fn refused(&self) -> (u16, String, String) {
        assert!(self.response.status >= 400, "it was accepted: {}", self.response.status);
        let problem: wire::Problem = self.response.json();
        (self.response.status, self.response.problem(), problem.detail)
    }
}

/// Logs in: a certificate in, the opened challenge in, a token out.
pub async fn log_in(client: &Client, person: &Person, time: &Clock) -> String {
    log_in_with(client, person, time, "").await
}

/// The same with a query for the token.
pub async fn log_in_with(client: &Client, person: &Person, time: &Clock, query: &str) -> String {
    let certificate = person.certificate().to_armored().into_bytes();
    let challenge = client.call("POST", "/api/v1/challenges", &[], Some(certificate)).await;
    assert_eq!(challenge.status, 200, "{}", challenge.text());
    let opened = person.decrypt(&challenge.body, None, time.now()).unwrap();
    let token = client.call("POST", &format!("/api/v1/tokens{query}"), &[], Some(opened.plaintext)).await;
    assert_eq!(token.status, 200, "{}", token.text());
    token.text().trim().to_owned()
}

/// A text that lacks nothing.
pub fn ordinary_text() -> toml::Table {
    toml::toml! {
        title = "Credentials leak on redirect"
        summary = "A redirect to another host carries credentials along."
        notice = "Backports for 2.32 are attached."
        affected = ["< 2.32.4"]
        fixed = ["2.32.4"]
    }
}
