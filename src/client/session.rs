//! One user at one server: reads with the token, changes by signed commands.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::address::ServerAddress;
use super::command::Command;
use super::error::ClientError;
use super::ids;
use super::login::successful;
use super::profile::Profile;
use super::program::{OpenPgp, ServerKey};
use super::transport::{Answer, Call, Transport, TransportError};
use crate::clock::Clock;
use crate::domain::id::EmbargoId;
use crate::entropy::Entropy;
use crate::wire::{CaseView, NeutralEmbargo, NeutralList, OPENPGP, OwnState, PROBLEM, Problem};

const JSON: &str = "application/json";

/// A session: a profile with a token, and the means to use it.
pub struct Session {
    server: ServerAddress,
    token: String,
    profile: Profile,
    transport: Transport,
    program: Box<dyn OpenPgp>,
    clock: Clock,
    entropy: Entropy,
    say: fn(&str),
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Session({:?})", self.profile)
    }
}

/// An embargo as its reader may see it.
#[derive(Clone, Debug)]
pub enum Seen {
    /// To a maintainer.
    Case(Box<CaseView>),
    /// To a packager.
    Neutral(Box<NeutralEmbargo>),
}

impl Session {
    /// A session of `profile`. `say` is told what the user must know before a command has ended.
    pub fn new(
        profile: Profile,
        program: Box<dyn OpenPgp>,
        clock: Clock,
        entropy: Entropy,
        say: fn(&str),
    ) -> Result<Self, ClientError> {
        let server: ServerAddress = profile.server.parse()?;
        let token = profile
            .token
            .clone()
            .ok_or_else(|| super::ProfileError::LoggedOut { server: profile.server.clone() })?;
        Ok(Self { server, token, profile, transport: Transport::new(), program, clock, entropy, say })
    }

    /// Whose session it is.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Every embargo that the user may know of, without content.
    pub fn list(&self) -> Result<NeutralList, ClientError> {
        json(&self.get("/api/v1/embargoes", JSON)?.body)
    }

    /// The whole id for what was typed; asks the server only if it is not whole.
    pub fn resolve(&self, typed: &str) -> Result<EmbargoId, ClientError> {
        match ids::whole(typed) {
            Some(id) => Ok(id),
            None => Ok(ids::resolve(typed, &self.list()?)?),
        }
    }

    /// An embargo without content.
    pub fn neutral(&self, id: &EmbargoId) -> Result<NeutralEmbargo, ClientError> {
        json(&self.get(&path(id, ""), JSON)?.body)
    }

    /// An embargo, with content for maintainers.
    pub fn look(&self, id: &EmbargoId) -> Result<Seen, ClientError> {
        let answer = self.get(&path(id, ""), "application/pgp-encrypted, application/json;q=0.5")?;
        if answer.media_type == JSON {
            return Ok(Seen::Neutral(Box::new(json(&answer.body)?)));
        }
        let case: CaseView = json(&self.open(&answer.body)?)?;
        Ok(Seen::Case(Box::new(about(case, Some(id))?)))
    }

    /// An embargo with its content; an error for packagers.
    pub fn case(&self, id: &EmbargoId) -> Result<CaseView, ClientError> {
        match self.look(id)? {
            Seen::Case(case) => Ok(*case),
            Seen::Neutral(_) => Err(ClientError::NotAMaintainer { id: id.to_string() }),
        }
    }

    /// What a sealed answer below an embargo holds: `below` begins with a slash.
    pub fn sealed<T: DeserializeOwned>(&self, id: &EmbargoId, below: &str) -> Result<T, ClientError> {
        json(&self.sealed_bytes(id, below)?)
    }

    /// The bytes inside a sealed answer below an embargo.
    pub fn sealed_bytes(&self, id: &EmbargoId, below: &str) -> Result<Vec<u8>, ClientError> {
        self.open(&self.get(&path(id, below), OPENPGP)?.body)
    }

    /// Says something about oneself: a receipt, impact, progress. Carries nothing embargoed.
    pub fn say_of_oneself(
        &self,
        id: &EmbargoId,
        below: &str,
        body: &impl Serialize,
    ) -> Result<OwnState, ClientError> {
        let body = serde_json::to_vec(body).map_err(|_| ClientError::Form { expected: "JSON" })?;
        let url = self.server.url(&path(id, below));
        let call = Call {
            method: "PUT",
            url: &url,
            bearer: Some(&self.token),
            accept: JSON,
            body: Some((JSON, &body)),
        };
        // The same word twice is the same word, so a lost answer is simply asked for again.
        let answer = match self.transport.send(&call) {
            Err(TransportError::Lost { .. }) => self.transport.send(&call)?,
            other => other?,
        };
        json(&self.successful(answer)?.body)
    }

    /// Ends the token at the server.
    pub fn end(&self) -> Result<(), ClientError> {
        let url = self.server.url("/api/v1/tokens");
        let call = Call { method: "DELETE", url: &url, bearer: Some(&self.token), accept: JSON, body: None };
        self.successful(self.transport.send(&call)?).map(drop)
    }

    /// A detached signature by the user.
    pub fn sign(&self, bytes: &[u8]) -> Result<String, ClientError> {
        Ok(self.program.sign_detached(bytes, &self.profile.fingerprint)?)
    }

    /// Has a command carried out on an embargo.
    pub fn change(&self, id: &EmbargoId, command: &Command) -> Result<CaseView, ClientError> {
        about(self.command(command)?, Some(id))
    }

    /// Has a command carried out. If the answer is lost the same bytes go once more: the server knows them
    /// again and gives the first answer.
    ///
    /// A practice server lives at another time, so a command that has expired there is signed once more by its
    /// clock. That is done for a server on this machine alone: another one could keep a command for later.
    pub fn command(&self, command: &Command) -> Result<CaseView, ClientError> {
        let answer = self.command_at(command, self.clock.now())?;
        let expired = answer.media_type == PROBLEM
            && json::<Problem>(&answer.body).is_ok_and(|problem| problem.kind.ends_with(":command-expired"));
        match answer.date {
            Some(now) if expired && self.server.is_local() => self.answered(self.command_at(command, now)?),
            _ => self.answered(answer),
        }
    }

    fn command_at(&self, command: &Command, now: DateTime<Utc>) -> Result<Answer, ClientError> {
        let url = self.server.url(command.path());
        let text = command.print(&url, self.entropy.bytes(), now);
        let message = self.program.seal(&text, &self.profile.fingerprint, &self.server_key())?;
        let call = Call {
            method: command.method(),
            url: &url,
            bearer: Some(&self.token),
            accept: "application/pgp-encrypted, application/problem+json;q=0.5",
            body: Some((OPENPGP, &message)),
        };
        let lost = match self.transport.send(&call) {
            Ok(answer) if !is_from_a_proxy(&answer) => return Ok(answer),
            Ok(answer) => format!("status {} from a proxy", answer.status),
            Err(TransportError::Lost { detail, .. }) => detail,
            Err(error) => return Err(error.into()),
        };
        (self.say)(&format!(
            "the answer was lost ({lost}); it is uncertain whether the command was carried out; asking again with the same bytes, which cannot do it twice"
        ));
        match self.transport.send(&call) {
            Ok(answer) if !is_from_a_proxy(&answer) => Ok(answer),
            Ok(answer) => Err(ClientError::Uncertain { detail: format!("status {}", answer.status) }),
            Err(error) => Err(ClientError::Uncertain { detail: error.to_string() }),
        }
    }

    fn answered(&self, answer: Answer) -> Result<CaseView, ClientError> {
        json(&self.open(&self.successful(answer)?.body)?)
    }

    fn get(&self, path: &str, accept: &str) -> Result<Answer, ClientError> {
        let url = self.server.url(path);
        let call = Call { method: "GET", url: &url, bearer: Some(&self.token), accept, body: None };
        self.successful(self.transport.send(&call)?)
    }

    fn open(&self, message: &[u8]) -> Result<Vec<u8>, ClientError> {
        if message.is_empty() {
            return Err(ClientError::Form { expected: "an OpenPGP message" });
        }
        Ok(self.program.open(message, &self.server_key())?)
    }

    fn server_key(&self) -> ServerKey<'_> {
        ServerKey {
            fingerprint: &self.profile.server_fingerprint,
            certificate: &self.profile.server_certificate,
        }
    }

    fn successful(&self, answer: Answer) -> Result<Answer, ClientError> {
        match successful(answer, self.server.as_str()) {
            Err(ClientError::Refused { problem }) if problem.status == 401 => {
                Err(ClientError::TokenRefused {
                    detail: format!("{}: {}", problem.title, problem.detail),
                    server: self.server.to_string(),
                })
            }
            Err(ClientError::Unexpected { status: 401, .. }) => Err(ClientError::TokenRefused {
                detail: "the server does not take the token any more".to_owned(),
                server: self.server.to_string(),
            }),
            other => other,
        }
    }
}

fn path(id: &EmbargoId, below: &str) -> String {
    format!("/api/v1/embargoes/{id}{below}")
}

/// A gateway's own error says nothing about what happened behind it.
fn is_from_a_proxy(answer: &Answer) -> bool {
    matches!(answer.status, 502 | 504) && answer.media_type != crate::wire::PROBLEM
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|_| ClientError::Form { expected: "JSON of this version's API" })
}

fn about(case: CaseView, id: Option<&EmbargoId>) -> Result<CaseView, ClientError> {
    match id {
        Some(id) if case.neutral.id != id.as_str() => {
            Err(ClientError::OtherEmbargo { asked: id.to_string() })
        }
        _ => Ok(case),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::{Stub, case, problem, session};
    use crate::wire::Cancel;

    const SEALED: &str = "application/pgp-encrypted";

    fn cancel() -> Command {
        let body = Cancel { reason: "not a vulnerability".to_owned() };
        Command::json("POST", "/api/v1/embargoes/b7k2-9fq1/cancel".to_owned(), &body)
    }

    fn id() -> EmbargoId {
        "b7k2-9fq1".parse().unwrap()
    }

    #[test]
    fn a_lost_answer_is_asked_for_once_more_with_the_same_bytes() {
        let stub = Stub::start(|_| vec![(0, "", String::new()), (200, SEALED, case("b7k2-9fq1"))]);
        session(&stub).change(&id(), &cancel()).unwrap();
        let requests = stub.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0], requests[1]);
        assert!(requests[0].starts_with("POST /api/v1/embargoes/b7k2-9fq1/cancel "));
        assert!(requests[0].contains("SEALED POST http://127.0.0.1:"), "{}", requests[0]);
        assert!(requests[0].to_ascii_lowercase().contains("content-type: application/pgp-encrypted"));
    }

    #[test]
    fn an_answer_lost_twice_is_called_uncertain_and_a_gateways_error_is_no_answer() {
        let stub = Stub::start(|_| vec![(502, "text/html", "oops".to_owned()), (0, "", String::new())]);
        let error = session(&stub).command(&cancel()).unwrap_err();
        assert!(matches!(&error, ClientError::Uncertain { .. }), "{error}");
        assert_eq!((error.exit_code(), stub.requests().len()), (4, 2));
    }

    #[test]
    fn a_server_that_was_never_reached_is_not_called_uncertain() {
        let stub = Stub::start(|_| Vec::new());
        let session = session(&stub);
        drop(stub);
        let error = session.command(&cancel()).unwrap_err();
        assert!(matches!(&error, ClientError::Transport(TransportError::Unreachable { .. })), "{error}");
        assert_eq!(error.exit_code(), 4);
    }

    #[test]
    fn exit_codes_tell_refused_expired_and_broken_apart() {
        let stub = Stub::start(|_| {
            vec![
                problem(409, "Date refused", "a Saturday"),
                problem(401, "Token expired", "it was valid until yesterday"),
                problem(503, "Not ready", "the key is locked"),
                (200, SEALED, "CLEAR {}".to_owned()),
                (301, "text/html", "elsewhere".to_owned()),
            ]
        });
        let session = session(&stub);
        let error = |_| session.command(&cancel()).unwrap_err();
        let codes: Vec<u8> = (0..5).map(error).map(|error| error.exit_code()).collect();
        assert_eq!(codes, [1, 3, 4, 5, 4]);
    }

    #[test]
    fn a_command_that_has_expired_by_a_practice_clock_is_signed_again_by_that_clock() {
        let expired =
            r#"{"type":"urn:embargod:problem:command-expired","title":"","status":400,"detail":""}"#;
        let stub = Stub::start(|_| {
            vec![(400, crate::wire::PROBLEM, expired.to_owned()), (200, SEALED, case("b7k2-9fq1"))]
        });
        session(&stub).change(&id(), &cancel()).unwrap();
        let requests = stub.requests();
        assert!(requests[0].contains("Expires: 2026-06-01T09:10:00Z"), "{}", requests[0]);
        assert!(requests[1].contains("Expires: 2027-01-04T12:10:00Z"), "{}", requests[1]);
    }

    #[test]
    fn an_answer_about_another_embargo_is_not_used() {
        let stub = Stub::start(|_| vec![(200, SEALED, case("0000-0000"))]);
        let error = session(&stub).case(&id()).unwrap_err();
        assert!(matches!(error, ClientError::OtherEmbargo { .. }));
    }

    #[test]
    fn a_packager_sees_the_neutral_side_and_is_told_so_by_commands_for_maintainers() {
        let neutral = r#"{"id":"b7k2-9fq1","stage":"announced","version":3,"fixes":[]}"#;
        let stub = Stub::start(|_| vec![(200, JSON, neutral.to_owned()), (200, JSON, neutral.to_owned())]);
        let session = session(&stub);
        assert!(matches!(session.look(&id()), Ok(Seen::Neutral(_))));
        assert_eq!(session.case(&id()).unwrap_err().exit_code(), 1);
        assert!(stub.requests()[0].to_ascii_lowercase().contains("authorization: bearer a-token"));
    }
}
