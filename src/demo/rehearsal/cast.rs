//! Who takes part: people with throw-away keys who do by program what real ones do with theirs.
//!
//! They talk to the server over HTTP and read the mail that the sink received; nothing here calls a use
//! case of the server.

use chrono::{DateTime, Duration, Utc};

use super::Fault;
use crate::clock::Clock;
use crate::demo::sink::Received;
use crate::entropy::Entropy;
use crate::mail;
use crate::openpgp::{Certificate, Person, SessionKey, SignedRequest, Suite};
use crate::wire;

/// Somebody who takes part.
pub(super) struct Actor {
    pub(super) name: &'static str,
    pub(super) address: String,
    pub(super) algorithm: &'static str,
    pub(super) person: Person,
}

impl Actor {
    pub(super) fn new(
        name: &'static str,
        address: &str,
        suite: Suite,
        now: DateTime<Utc>,
    ) -> Result<Self, Fault> {
        let algorithm = match suite {
            Suite::Rsa3072 => "RSA 3072",
            Suite::P256 => "P-256",
            Suite::Cv25519 => "Cv25519",
            Suite::V6 => "X25519",
        };
        // The key is as old as keys are.
        let made = now - Duration::days(30);
        let person = Person::generate(&format!("{name} <{address}>"), suite, made)
            .map_err(Fault::because("a key was made"))?;
        Ok(Self { name, address: address.to_owned(), algorithm, person })
    }
}

/// How everybody reaches the server.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) base_url: String,
    pub(super) server: Certificate,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    agent: ureq::Agent,
}

/// An HTTP answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Line {
    pub(super) fn new(base_url: String, server: Certificate, clock: Clock, entropy: Entropy) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { base_url, server, clock, entropy, agent }
    }

    /// One HTTP request, on a thread that may wait.
    pub(super) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> Result<Reply, Fault> {
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base_url));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(body).map_err(Fault::because("a request was made"))?;
        let agent = self.agent.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let mut response = agent.run(request)?;
            let status = response.status().as_u16();
            let body = response.body_mut().with_config().limit(64 << 20).read_to_vec()?;
            Ok::<_, ureq::Error>(Reply { status, body })
        });
        answer
            .await
            .map_err(Fault::because("a request was sent"))?
            .map_err(Fault::because("the server answered"))
    }

    pub(super) async fn get(&self, path: &str) -> Result<Reply, Fault> {
        self.call("GET", path, &[], Vec::new()).await
    }

    /// Logs in by challenge; returns the token.
    pub(super) async fn login(&self, actor: &Actor) -> Result<String, Fault> {
        let certificate = actor.person.certificate().to_armored().into_bytes();
        let challenge = self.call("POST", "/api/v1/challenges", &[], certificate).await?.expect(200)?;
        let opened = actor
            .person
            .decrypt(&challenge, None, self.clock.now())
            .map_err(Fault::because("the challenge opened"))?;
        let token = self.call("POST", "/api/v1/tokens", &[], opened.plaintext).await?.expect(200)?;
        Ok(String::from_utf8_lossy(&token).trim().to_owned())
    }

    /// Sends a signed command; returns the case as it then stands, or the refusal.
    pub(super) async fn command(
        &self,
        actor: &Actor,
        method: &str,
        path: &str,
        body: (&str, Vec<u8>),
    ) -> Result<Result<wire::CaseView, wire::Problem>, Fault> {
        let now = self.clock.now();
        let key: [u8; 16] = self.entropy.bytes();
        let request = SignedRequest {
            method: method.to_owned(),
            url: format!("{}{path}", self.base_url),
            if_match: None,
            idempotency_key: crate::domain::hex(&key),
            expires: now + Duration::minutes(10),
            content_type: Some(body.0.to_owned()),
            body: body.1,
        };
        let text = request.print().map_err(Fault::because("a command was written"))?;
        let session_key = SessionKey::from_random(self.entropy.bytes());
        let message = actor
            .person
            .sign_and_encrypt(&text, &self.server, &session_key, now)
            .map_err(Fault::because("a command was signed"))?;
        let headers = [("content-type", wire::OPENPGP.to_owned())];
        let reply = self.call(method, path, &headers, message).await?;
        if reply.status >= 400 {
            return Ok(Err(
                serde_json::from_slice(&reply.body).map_err(Fault::because("a refusal was read"))?
            ));
        }
        let answer = self.open(actor, &reply.body)?;
        Ok(Ok(serde_json::from_slice(&answer).map_err(Fault::because("an answer was read"))?))
    }

    /// Opens an OpenPGP message from the server; its signature must be good.
    pub(super) fn open(&self, actor: &Actor, message: &[u8]) -> Result<Vec<u8>, Fault> {
        let opened = actor
            .person
            .decrypt(message, Some(&self.server), self.clock.now())
            .map_err(Fault::because("a message opened with its recipient's key"))?;
        if opened.signature_good {
            Ok(opened.plaintext)
        } else {
            Err(Fault::new("the server's signature was good"))
        }
    }

    /// Opens a mail as its recipient does.
    pub(super) fn read_mail(&self, actor: &Actor, mail: &Received) -> Result<mail::Part, Fault> {
        let outer = mail::read(&mail.bytes).map_err(Fault::because("a mail was read"))?;
        let message = outer.encrypted().ok_or_else(|| Fault::new("a mail was encrypted"))?;
        let entity = self.open(actor, message)?;
        mail::read(&entity).map_err(Fault::because("a notice was read"))
    }
}

impl Reply {
    /// The body, if the status is the expected one.
    pub(super) fn expect(self, status: u16) -> Result<Vec<u8>, Fault> {
        if self.status == status {
            return Ok(self.body);
        }
        let said = String::from_utf8_lossy(&self.body).into_owned();
        Err(Fault::new(&format!("the server answered {status} (it answered {}: {said})", self.status)))
    }
}

/// `Authorization: Bearer …`.
pub(super) fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}
