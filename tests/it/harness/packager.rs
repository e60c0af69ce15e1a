//! A packager: receives mail with an own key, logs in by challenge, fetches and answers over HTTP.

use embargod::clock::Clock;
use embargod::demo::sink::{Received, Sink};
use embargod::mail;
use embargod::openpgp::{Certificate, Person};
use embargod::wire;
use sha2::Digest as _;

use super::{Client, Response, maintainer};

/// One contact of one packager.
#[derive(Clone)]
pub struct Packager {
    pub slug: String,
    pub address: String,
    pub person: Person,
    client: Client,
    time: Clock,
    server: Certificate,
}

/// A mail that was opened.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The armored message, byte for byte.
    pub armored: Vec<u8>,
    pub subject: String,
    pub text: String,
    pub attachments: Vec<(String, Vec<u8>)>,
    /// Whether the server signed it.
    pub signature_good: bool,
}

impl Packager {
    pub fn new(
        client: Client,
        time: Clock,
        server: Certificate,
        slug: String,
        address: String,
        person: Person,
    ) -> Self {
        Self { slug, address, person, client, time, server }
    }

    /// The encrypted mails in the mailbox, opened.
    pub fn mailbox(&self, sink: &Sink) -> Vec<Mail> {
        let received = sink.for_recipient(&self.address);
        received.iter().filter_map(|received| self.opens(received)).collect()
    }

    /// Opens a mail; `None` if it is not encrypted.
    pub fn opens(&self, received: &Received) -> Option<Mail> {
        let outer = mail::read(&received.bytes).unwrap();
        let armored = outer.encrypted()?.to_vec();
        let opened = self.person.decrypt(&armored, Some(&self.server), self.time.now()).unwrap();
        let inner = mail::read(&opened.plaintext).unwrap();
        Some(Mail {
            armored,
            subject: inner.header("Subject").unwrap().to_owned(),
            text: inner.text().unwrap(),
            attachments: inner
                .attachments()
                .into_iter()
                .map(|(name, bytes)| (name, bytes.to_vec()))
                .collect(),
            signature_good: opened.signature_good,
        })
    }

    /// The subjects in the mailbox, without what is after the project's name.
    pub fn subjects(&self, sink: &Sink) -> Vec<String> {
        let words = |mail: Mail| mail.subject.split(':').next().unwrap_or_default().to_owned();
        self.mailbox(sink).into_iter().map(words).collect()
    }

    /// A token.
    pub async fn token(&self) -> String {
        maintainer::log_in(&self.client, &self.person, &self.time).await
    }

    /// A token for no more than this.
    pub async fn token_for(&self, scope: &str) -> String {
        let query = format!("?scope={}", scope.replace(' ', "%20"));
        maintainer::log_in_with(&self.client, &self.person, &self.time, &query).await
    }

    pub async fn embargoes(&self, token: &str) -> Vec<wire::NeutralEmbargo> {
        let response = self.client.get_as(token, "/api/v1/embargoes").await;
        assert_eq!(response.status, 200, "{}", response.text());
        response.json::<wire::NeutralList>().embargoes
    }

    /// Fetches a path and opens the message, checking its digest and signature.
    pub async fn fetches(&self, token: &str, path: &str) -> Vec<u8> {
        let response = self.client.get_as(token, path).await;
        assert_eq!(response.status, 200, "{}", response.text());
        let digest = base64_simd::STANDARD.encode_to_string(sha2::Sha256::digest(&response.body));
        assert_eq!(response.header("repr-digest"), Some(format!("sha-256=:{digest}:").as_str()));
        let opened = self.person.decrypt(&response.body, Some(&self.server), self.time.now()).unwrap();
        assert!(opened.signature_good);
        opened.plaintext
    }

    /// Says that a revision was read.
    pub async fn gives_receipt(&self, token: &str, embargo: &str, revision: u32, code: &str) -> Response {
        let path = format!("/api/v1/embargoes/{embargo}/receipt");
        self.client.put_json(token, &path, &wire::PutReceipt { revision, code: code.to_owned() }).await
    }
}

impl Mail {
    /// The receipt code in the text.
    pub fn receipt_code(&self) -> String {
        let after = self.text.split("Receipt code: ").nth(1).unwrap();
        after.split_whitespace().next().unwrap().to_owned()
    }
}
