//! Logging in: the server's key is pinned, a challenge is decrypted, a token comes back. Applying goes the same way, with
//! an application in the token's place.

use super::address::ServerAddress;
use super::error::ClientError;
use super::profile::Profile;
use super::program::{Choice, OpenPgp, Own, OwnCertificate};
use super::transport::{Answer, Call, Transport};
use crate::wire::{Applied, Apply, PROBLEM, Problem};

/// What a login needs to know.
#[derive(Debug)]
pub struct LoginRequest<'a> {
    /// The server.
    pub server: &'a ServerAddress,
    /// The file with the user's certificate, if one was named.
    pub certificate: Option<&'a [u8]>,
    /// The fingerprint, key id or address of the user's key, if one was named.
    pub key: Option<&'a str>,
    /// The fingerprint that the server's key must have, from the last login or from the user.
    pub expected_server: Option<&'a str>,
    /// The program, to be remembered.
    pub choice: &'a Choice,
}

/// What a login brought.
#[derive(Debug)]
pub struct Login {
    /// To be stored.
    pub profile: Profile,
    /// Whether the server's key was seen for the first time, and is trusted from now on.
    pub newly_pinned: bool,
}

/// Why a login was not completed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The server's key is not the expected one.
    #[error(
        "{server} now has the key {found}, expected {expected}; ask a maintainer whether it was replaced, and only then: embargoctl login {server} --server-fingerprint {found}"
    )]
    OtherServerKey {
        /// The server's address.
        server: String,
        /// What `/key.asc` holds.
        found: String,
        /// What was pinned or named.
        expected: String,
    },
    /// The challenge is no challenge.
    #[error(
        "what the server sent is not a login challenge with one line \"origin: https://...\"; nothing was sent back"
    )]
    NoChallenge,
    /// The challenge is for another server.
    #[error(
        "the challenge is for {origin}, but it came from {server}; nothing was sent back. If {origin} is the server you mean, log in there"
    )]
    OtherOrigin {
        /// What the challenge says.
        origin: String,
        /// Where it came from.
        server: String,
    },
}

impl LoginError {
    /// Always 1: refused, by the client.
    pub fn exit_code(&self) -> u8 {
        1
    }
}

impl LoginRequest<'_> {
    /// Logs in. Nothing is stored but the server's certificate in the program's own keyring.
    pub fn run(&self, transport: &Transport, program: &dyn OpenPgp) -> Result<Login, ClientError> {
        let own = self.own(program)?;
        let (server_fingerprint, server_certificate) = self.server_key(transport, program)?;
        let challenge = self.challenge(transport, program, &own)?;
        let accept = "text/plain, application/problem+json;q=0.5";
        let answer = self.post(transport, "/api/v1/tokens", accept, ("text/plain", &challenge))?;
        let token = String::from_utf8(answer.body).unwrap_or_default().trim().to_owned();
        let well_formed =
            (16..=1024).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !well_formed {
            return Err(ClientError::Form { expected: "a token" });
        }
        let profile = Profile {
            server: self.server.as_str().to_owned(),
            token: Some(token),
            fingerprint: own.fingerprint,
            server_fingerprint,
            server_certificate,
            program: program.kind(),
            gnupg_home: self.choice.gnupg_home.clone(),
            key_file: self.choice.key_file.clone(),
            project: None,
        };
        Ok(Login { profile, newly_pinned: self.expected_server.is_none() })
    }

    fn server_key(
        &self,
        transport: &Transport,
        program: &dyn OpenPgp,
    ) -> Result<(String, String), ClientError> {
        let url = self.server.url("/key.asc");
        let answer =
            transport.send(&Call { method: "GET", url: &url, bearer: None, accept: "*/*", body: None })?;
        let answer = successful(answer, self.server.as_str())?;
        let found = program.fingerprint(&answer.body)?;
        let expected = self.expected_server.map(|text| text.replace([' ', ':'], "").to_ascii_uppercase());
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            let server = self.server.to_string();
            return Err(LoginError::OtherServerKey { server, found, expected }.into());
        }
        program.keep(&answer.body)?;
        let certificate = String::from_utf8(answer.body);
        Ok((
            found,
            certificate.map_err(|_| ClientError::Form { expected: "an armored certificate in /key.asc" })?,
        ))
    }

    /// Asks to be told ahead, with a certificate that the server need not know; returns what it says happens next, and
    /// with which certificate it was.
    pub fn apply(
        &self,
        transport: &Transport,
        program: &dyn OpenPgp,
        application: Apply,
    ) -> Result<(String, String), ClientError> {
        let own = self.own(program)?;
        self.server_key(transport, program)?;
        let challenge = self.challenge(transport, program, &own)?;
        let challenge = String::from_utf8(challenge).map_err(|_| LoginError::NoChallenge)?;
        let body = serde_json::to_vec(&Apply { challenge, ..application })
            .map_err(|_| ClientError::Form { expected: "an application that is text" })?;
        let accept = "application/json, application/problem+json;q=0.5";
        let answer = self.post(transport, "/api/v1/packagers", accept, ("application/json", &body))?;
        let applied: Applied = serde_json::from_slice(&answer.body)
            .map_err(|_| ClientError::Form { expected: "an answer to an application" })?;
        Ok((printable(&applied.next), own.fingerprint))
    }

    fn own(&self, program: &dyn OpenPgp) -> Result<OwnCertificate, ClientError> {
        let own = match (self.certificate, self.key) {
            (Some(bytes), _) => Own::Given(bytes),
            (None, Some(name)) => Own::Named(name),
            (None, None) => Own::Only,
        };
        Ok(program.own_certificate(own)?)
    }

    fn post(
        &self,
        transport: &Transport,
        path: &str,
        accept: &str,
        body: (&str, &[u8]),
    ) -> Result<Answer, ClientError> {
        let url = self.server.url(path);
        let call = Call { method: "POST", url: &url, bearer: None, accept, body: Some(body) };
        successful(transport.send(&call)?, self.server.as_str())
    }

    /// Asks for a challenge and opens it; it goes back to nobody but the server that gave it.
    fn challenge(
        &self,
        transport: &Transport,
        program: &dyn OpenPgp,
        own: &OwnCertificate,
    ) -> Result<Vec<u8>, ClientError> {
        let accept = "application/pgp-encrypted, application/problem+json;q=0.5, */*;q=0.1";
        let certificate = ("application/pgp-keys", &own.bytes[..]);
        let message = self.post(transport, "/api/v1/challenges", accept, certificate)?;
        if message.body.is_empty() {
            return Err(ClientError::Form { expected: "an OpenPGP message" });
        }
        let challenge = program.decrypt(&message.body)?;
        let origin = origin(&challenge).ok_or(LoginError::NoChallenge)?;
        if origin.parse().as_ref() != Ok(self.server) {
            return Err(LoginError::OtherOrigin {
                origin: printable(&origin),
                server: self.server.to_string(),
            }
            .into());
        }
        Ok(challenge)
    }
}

/// The only `origin:` line of a challenge.
fn origin(challenge: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(challenge).ok()?;
    let mut origins = text.lines().filter_map(|line| line.trim().strip_prefix("origin:"));
    let origin = origins.next()?.trim().to_owned();
    (origins.next().is_none() && !origin.is_empty()).then_some(origin)
}

fn printable(text: &str) -> String {
    text.chars().filter(|character| !crate::domain::text::is_forbidden(*character)).take(200).collect()
}

/// The answer if it is a 2xx, otherwise what the server says about it.
pub(super) fn successful(answer: Answer, server: &str) -> Result<Answer, ClientError> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let problem = Some(&answer.body).filter(|_| answer.media_type == PROBLEM);
    match problem.and_then(|body| serde_json::from_slice::<Problem>(body).ok()) {
        Some(mut problem) => {
            // A proxy cannot change which exit code a script sees.
            problem.status = answer.status;
            Err(ClientError::Refused { problem: Box::new(problem) })
        }
        None => Err(ClientError::Unexpected { status: answer.status, server: server.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::{FakeProgram, Stub, problem};

    const CHALLENGE: &str = "embargod login challenge, version 1\n\norigin: ORIGIN\nexpires: x\nnonce: 00\n";

    fn login(stub: &Stub, expected_server: Option<&str>) -> Result<Login, ClientError> {
        let server = stub.address();
        let choice = Choice::default();
        let request =
            LoginRequest { server: &server, certificate: None, key: None, expected_server, choice: &choice };
        request.run(&Transport::new(), &FakeProgram)
    }

    fn stub(origin: Option<&str>) -> Stub {
        Stub::start(|stub| {
            let origin = origin.map_or(stub.to_string(), str::to_owned);
            vec![
                (200, "text/plain", "CERTIFICATE EF12".to_owned()),
                (
                    200,
                    "application/pgp-encrypted",
                    format!("SEALED {}", CHALLENGE.replace("ORIGIN", &origin)),
                ),
                (200, "text/plain", "a-token-of-some-length\n".to_owned()),
            ]
        })
    }

    #[test]
    fn a_login_pins_the_servers_key_and_sends_the_challenge_back_unchanged() {
        let stub = stub(None);
        let login = login(&stub, None).unwrap();
        assert!(login.newly_pinned);
        assert_eq!(login.profile.token.as_deref(), Some("a-token-of-some-length"));
        assert_eq!(
            (login.profile.server_fingerprint.as_str(), login.profile.fingerprint.as_str()),
            ("EF12", "77AC")
        );
        let requests = stub.requests();
        assert!(requests[0].starts_with("GET /key.asc "));
        assert!(
            requests[1].starts_with("POST /api/v1/challenges ") && requests[1].ends_with("CERTIFICATE 77AC")
        );
        assert!(requests[2].starts_with("POST /api/v1/tokens ") && requests[2].ends_with("nonce: 00\n"));
    }

    #[test]
    fn a_challenge_for_another_server_is_not_sent_back() {
        let stub = stub(Some("https://other.example"));
        let error = login(&stub, None).unwrap_err();
        assert!(matches!(&error, ClientError::Login(LoginError::OtherOrigin { .. })), "{error}");
        assert_eq!(stub.requests().len(), 2, "no token was asked for");
    }

    #[test]
    fn a_server_whose_key_changed_gets_no_certificate() {
        let stub = stub(None);
        let error = login(&stub, Some("ab cd")).unwrap_err();
        assert!(error.to_string().contains("now has the key EF12, expected ABCD"), "{error}");
        assert_eq!((error.exit_code(), stub.requests().len()), (1, 1));
    }

    #[test]
    fn a_refused_login_shows_what_the_server_says_and_two_origins_are_none() {
        let stub = Stub::start(|_| {
            vec![
                (200, "text/plain", "CERTIFICATE EF12".to_owned()),
                problem(422, "Bad certificate", "expired"),
            ]
        });
        let error = login(&stub, Some("EF12")).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.exit_code()), ("Bad certificate: expired", 1));
        assert_eq!(origin(b"origin: a\norigin: b\n"), None);
    }
}
