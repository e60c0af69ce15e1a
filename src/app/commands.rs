//! Signed commands: opened, checked against the call they came with, carried out once.
//!
//! A command is an HTTP request inside an OpenPGP message signed by a maintainer and encrypted to the
//! server. Its bytes are kept in the audit log as the proof of who asked. The same key again gets the
//! first answer; nothing is carried out twice. A refused command changed nothing and left no answer.

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use super::reports::CaseReport;
use super::{Actor, App, Refusal, certificate_of, fixes};
use crate::domain::case::{CaseText, Credit};
use crate::domain::id::{CertificateId, EmbargoId, MaintainerId};
use crate::openpgp::{SessionKey, SignedRequest, armor, encrypt_to, open_command};
use crate::store::{AuditEntry, Maintainer, StoredAnswer, StoredCertificate, StoredEmbargo, Tx};

/// A command whose signature was good.
pub struct Opened {
    /// Who signed it.
    pub maintainer: MaintainerId,
    /// What it says.
    pub request: SignedRequest,
    certificate: CertificateId,
    proof: Vec<u8>,
    digest: Vec<u8>,
}

/// The answer to a command.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The embargo's version after the command.
    pub version: i64,
    /// The embargo's id.
    pub embargo: String,
    /// An armored OpenPGP message to the maintainer.
    pub body: Vec<u8>,
}

/// What a maintainer can ask for.
#[derive(Debug)]
pub enum Command {
    /// Open an embargo for a project.
    Open {
        /// The project's short name.
        project: String,
        /// Its text, if there is some already.
        text: Option<Box<CaseText>>,
    },
    /// Replace the text.
    PutText(EmbargoId, Box<CaseText>),
    /// Set, excuse or take back one branch's fix.
    PutFix(EmbargoId, Box<fixes::Change>),
    /// Freeze the working set and send it when due.
    Send {
        /// The embargo.
        embargo: EmbargoId,
        /// Why.
        reason: String,
        /// Whether revision 1 leaves at once.
        at_once: bool,
    },
    /// Set or move the date.
    Schedule {
        /// The embargo.
        embargo: EmbargoId,
        /// The instant, as typed.
        lifts_at: String,
        /// Why.
        reason: String,
    },
    /// Move the lift forward.
    LiftEarly {
        /// The embargo.
        embargo: EmbargoId,
        /// What happened.
        reason: String,
        /// When, as typed; now if absent.
        at: Option<String>,
    },
    /// End the embargo without a fix.
    Cancel {
        /// The embargo.
        embargo: EmbargoId,
        /// Why.
        reason: String,
    },
    /// Set who is told.
    PutAudience(EmbargoId, Vec<String>),
    /// Set who is thanked.
    PutCredits(EmbargoId, Vec<Credit>),
}

/// What a command is carried out with.
pub(super) struct Context<'a> {
    pub app: &'a App,
    pub maintainer: MaintainerId,
    pub if_match: Option<&'a str>,
    pub now: DateTime<Utc>,
}

/// What a command did.
pub(super) struct Done {
    pub embargo: EmbargoId,
    pub created: bool,
    pub remarks: Vec<String>,
}

impl From<EmbargoId> for Done {
    fn from(embargo: EmbargoId) -> Self {
        Self { embargo, created: false, remarks: Vec::new() }
    }
}

impl App {
    /// Opens a command that was sent with `method` to `url`.
    pub async fn open_command(&self, method: &str, url: &str, message: Vec<u8>) -> Result<Opened, Refusal> {
        let now = self.clock.now();
        let server = self.server_key()?;
        let people = self.store.read(maintainers_with_certificates).await?;
        let candidates = people.iter().map(|(_, candidate)| candidate.clone()).collect::<Vec<_>>();
        let (message, opened) = self
            .commands()
            .run(move || {
                let opened = open_command(&message, &server, &candidates, now);
                (message, opened)
            })
            .await?;
        let opened = opened.map_err(|error| Refusal::invalid(error.code(), error))?;
        let request =
            SignedRequest::parse(&opened.text).map_err(|error| Refusal::invalid(error.code(), error))?;
        if request.method != method || request.url != url {
            return Err(Refusal::invalid(
                "command-elsewhere",
                format!(
                    "the signed command is for another call; this one is {method} {url}: sign exactly that"
                ),
            ));
        }
        let (person, _) = &people[opened.signer];
        let digest = Sha256::digest(&opened.text).to_vec();
        let (maintainer, key) = (person.id.clone(), request.idempotency_key.clone());
        // What was carried out before has its answer, however late it is asked for again.
        match self.store.read(move |tx| tx.stored_answer(&maintainer, &key)).await? {
            Some(stored) if stored.request_sha256 == digest => {}
            Some(_) => return Err(Refusal::KeyReused),
            None => request.check_expiry(now).map_err(|error| Refusal::invalid(error.code(), error))?,
        }
        Ok(Opened {
            maintainer: person.id.clone(),
            certificate: person.certificate.clone(),
            request,
            proof: message,
            digest,
        })
    }

    /// Carries a command out, in one transaction with its audit entry and its answer. `render` turns the
    /// case as it then stands into the bytes that are encrypted to the maintainer.
    pub async fn execute(
        &self,
        opened: Opened,
        command: Command,
        render: fn(&CaseReport) -> Vec<u8>,
    ) -> Result<Answer, Refusal> {
        let app = self.clone();
        let answer = self
            .store
            .write(move |tx| {
                // The same command may be carried out at this moment, sent to another replica or to one that was killed.
                tx.take_key(&opened.maintainer, &opened.request.idempotency_key)?;
                let now = app.clock.now();
                let actor = Actor::Maintainer(opened.maintainer.clone());
                let stored = certificate_of_sender(tx, &opened)?;
                if let Some(answer) = repeated(tx, &opened)? {
                    return Ok(answer);
                }
                let action = command.name();
                let context = Context {
                    app: &app,
                    maintainer: opened.maintainer.clone(),
                    if_match: opened.request.if_match.as_deref(),
                    now,
                };
                let done = command.apply(tx, &context)?;
                tx.audit(AuditEntry {
                    at: now,
                    actor: actor.to_string(),
                    action,
                    embargo: Some(done.embargo.clone()),
                    object: done.embargo.to_string(),
                    detail: opened.proof,
                });
                let mut report = CaseReport::read(tx, &done.embargo, now)?;
                report.remarks = done.remarks;
                let (certificate, acceptance) = certificate_of(&stored)?;
                let session_key = SessionKey::from_random(app.entropy.bytes());
                let server = app.server_key()?;
                let message =
                    encrypt_to(&render(&report), &certificate, &acceptance, Some(&server), &session_key, now)
                        .map_err(|trouble| Refusal::invalid(trouble.code(), trouble))?;
                let answer = Answer {
                    status: if done.created { 201 } else { 200 },
                    version: report.embargo.version,
                    embargo: done.embargo.to_string(),
                    body: armor(&[], &message, certificate.container()),
                };
                tx.store_answer(
                    &opened.maintainer,
                    &opened.request.idempotency_key,
                    &answer.stored(opened.digest),
                    now,
                )?;
                Ok::<_, Refusal>(answer)
            })
            .await?;
        self.wake();
        Ok(answer)
    }
}

/// The certificate that signed, if its owner may still send commands.
fn certificate_of_sender(tx: &mut Tx<'_>, opened: &Opened) -> Result<StoredCertificate, Refusal> {
    let stored = tx.certificate(&opened.certificate)?;
    let still = tx.maintainer(&opened.maintainer)?;
    let still = still.is_some_and(|person| person.certificate == opened.certificate);
    if stored.revoked_at.is_some() || !still {
        return Err(Refusal::Unauthorised("this maintainer may no longer send commands"));
    }
    Ok(stored)
}

/// The first answer to a command that was carried out before, if its sender still decides for what it was about.
fn repeated(tx: &mut Tx<'_>, opened: &Opened) -> Result<Option<Answer>, Refusal> {
    let stored = tx.stored_answer(&opened.maintainer, &opened.request.idempotency_key)?;
    let Some(stored) = stored else { return Ok(None) };
    if stored.request_sha256 != opened.digest {
        return Err(Refusal::KeyReused);
    }
    let answer = Answer::restored(stored);
    let about = answer.embargo.parse().map_err(|_| Refusal::NotFound)?;
    let about = tx.embargo(&about)?.ok_or(Refusal::NotFound)?;
    if !tx.decides_for(&opened.maintainer, &about.project)? {
        return Err(Refusal::NotFound);
    }
    Ok(Some(answer))
}

impl Answer {
    fn stored(&self, request_sha256: Vec<u8>) -> StoredAnswer {
        StoredAnswer {
            request_sha256,
            status: self.status,
            headers: format!("{}\n{}", self.version, self.embargo),
            body: self.body.clone(),
        }
    }

    fn restored(stored: StoredAnswer) -> Self {
        let (version, embargo) = stored.headers.split_once('\n').unwrap_or_default();
        Self {
            status: stored.status,
            version: version.parse().unwrap_or_default(),
            embargo: embargo.to_owned(),
            body: stored.body,
        }
    }
}

type Candidate = (crate::openpgp::Certificate, crate::openpgp::Acceptance);

pub(super) fn maintainers_with_certificates(
    tx: &mut Tx<'_>,
) -> Result<Vec<(Maintainer, Candidate)>, Refusal> {
    let mut people = Vec::new();
    for person in tx.maintainers()? {
        let stored = tx.certificate(&person.certificate)?;
        if stored.revoked_at.is_none() {
            people.push((person, certificate_of(&stored)?));
        }
    }
    Ok(people)
}

impl Command {
    /// What the audit log calls it.
    fn name(&self) -> &'static str {
        match self {
            Self::Open { .. } => "embargo opened",
            Self::PutText(..) => "text changed",
            Self::PutFix(_, change) => change.name(),
            Self::Send { .. } => "revision frozen",
            Self::Schedule { .. } => "date set",
            Self::LiftEarly { .. } => "lifted early",
            Self::Cancel { .. } => "cancelled",
            Self::PutAudience(..) => "audience set",
            Self::PutCredits(..) => "credits set",
        }
    }

    fn apply(self, tx: &mut Tx<'_>, context: &Context<'_>) -> Result<Done, Refusal> {
        match self {
            Self::Open { project, text } => context.open(tx, &project, text.map(|text| *text)),
            Self::PutText(embargo, text) => context.put_text(tx, embargo, *text),
            Self::PutFix(embargo, change) => context.put_fix(tx, embargo, *change),
            Self::Send { embargo, reason, at_once } => context.send(tx, embargo, reason, at_once),
            Self::Schedule { embargo, lifts_at, reason } => context.schedule(tx, embargo, &lifts_at, reason),
            Self::LiftEarly { embargo, reason, at } => context.lift_early(tx, embargo, reason, at.as_deref()),
            Self::Cancel { embargo, reason } => context.cancel(tx, embargo, reason),
            Self::PutAudience(embargo, packagers) => context.put_audience(tx, embargo, &packagers),
            Self::PutCredits(embargo, credits) => context.put_credits(tx, embargo, credits),
        }
    }
}

impl Context<'_> {
    /// The case a command is about. Who does not decide for its project learns nothing of it; a command
    /// made on sight of an older version is refused.
    pub(super) fn case(&self, tx: &mut Tx<'_>, id: &EmbargoId) -> Result<StoredEmbargo, Refusal> {
        let case = tx.embargo_with_content(id)?.ok_or(Refusal::NotFound)?;
        if !tx.decides_for(&self.maintainer, &case.embargo.project)? {
            return Err(Refusal::NotFound);
        }
        if let Some(seen) = self.if_match {
            let version = case.embargo.version;
            if seen.trim().trim_matches('"') != version.to_string() {
                return Err(Refusal::Stale(version));
            }
        }
        Ok(case)
    }
}
