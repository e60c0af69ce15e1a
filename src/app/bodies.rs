//! Bodies: what all recipients of a notice or fix share, encrypted once, and the heads that open it for each.
//!
//! A notice has one form to be read and mailed. A relay that refuses the mail for its size gets another one, with
//! the words and without the patches, and all copies that still wait take that form. Knows nothing of relays:
//! who finds a mail too large says so.

use chrono::{DateTime, Utc};

use super::texts::{Material, file_name};
use super::{App, Refusal};
use crate::domain::container::Container;
use crate::domain::embargo::{Embargo, Stage};
use crate::domain::id::{CertificateId, EmbargoId};
use crate::mail::{Attachment, AttachmentKind, Boundary, HeaderText, ProtectedNotice, protected_entity};
use crate::openpgp::{Acceptance, Certificate, SessionKey, make_head, seal_body};
use crate::store::{Body, BodySubject, Notice, StoredFix, StoredRevision, Tx};

/// What a notice is about.
struct Content {
    embargo: Embargo,
    revision: Option<StoredRevision>,
    /// Those it hands out.
    fixes: Vec<StoredFix>,
}

impl Content {
    fn of(tx: &mut Tx<'_>, notice: &Notice) -> Result<Self, Refusal> {
        let Some(embargo) = tx.embargo(&notice.embargo)? else { return Err(Refusal::NotFound) };
        let number = notice.revision.or(match &embargo.stage {
            Stage::Announced { revision, .. } | Stage::Lifted { revision, .. } => Some(*revision),
            _ => None,
        });
        let revision = match number {
            Some(number) => tx.revision(&notice.embargo, number)?,
            None => None,
        };
        let fixes = match &revision {
            Some(revision) if notice.kind.carries_revision() => {
                tx.fixes_of(&notice.embargo, revision.number)?
            }
            _ => Vec::new(),
        };
        Ok(Self { embargo, revision, fixes })
    }
}

impl App {
    /// Makes the bodies that current notices need and that do not exist yet, for nearly all recipients; those in the
    /// newer container are made when the first who reads it is told.
    pub async fn make_bodies(&self) -> Result<(), Refusal> {
        let now = self.clock.now();
        let lacking = self.store.read(move |tx| tx.notices_lacking_bodies(now)).await?;
        for notice in lacking {
            let app = self.clone();
            let made = self
                .store
                .write(move |tx| {
                    let now = app.clock.now();
                    app.notice_body(tx, &notice, false, Container::Seipdv1, now)?;
                    if let Some(number) = notice.revision.filter(|_| notice.kind.carries_revision()) {
                        for fix in tx.fixes_of(&notice.embargo, number)? {
                            app.fix_body(tx, &notice.embargo, &fix, Container::Seipdv1, now)?;
                        }
                    }
                    Ok::<_, Refusal>(())
                })
                .await;
            // One that cannot be made holds up no other: its copies say why when they are claimed.
            match made {
                Err(Refusal::Store(error)) if error.is_about_one_thing() => error.say_once(),
                Err(Refusal::Store(error)) => return Err(Refusal::Store(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The body of a notice, made if need be: with the patches, unless they are above `mail.max_bytes` or only the
    /// words are wanted.
    pub(super) fn notice_body(
        &self,
        tx: &mut Tx<'_>,
        notice: &Notice,
        words_only: bool,
        container: Container,
        now: DateTime<Utc>,
    ) -> Result<Body, Refusal> {
        let id = notice.id.clone();
        let subject = if words_only { BodySubject::Words(id) } else { BodySubject::Notice(id) };
        if let Some(body) = tx.body(&notice.embargo, &subject, container)? {
            return Ok(body);
        }
        let content = Content::of(tx, notice)?;
        let attached = !words_only && self.attaches(&content);
        let entity = self.entity(tx, notice, &content, attached, now)?;
        self.seal(tx, &notice.embargo, (&subject, container), &entity, now)
    }

    /// Takes the patches out of a notice that was too large for the relay, for every copy that still waits; says
    /// whether there were any in it.
    pub(super) fn leave_patches_out(
        &self,
        tx: &mut Tx<'_>,
        notice: &Notice,
        now: DateTime<Utc>,
    ) -> Result<bool, Refusal> {
        let content = Content::of(tx, notice)?;
        if content.fixes.is_empty() || !self.attaches(&content) {
            return Ok(false);
        }
        self.notice_body(tx, notice, true, Container::Seipdv1, now)?;
        Ok(true)
    }

    fn attaches(&self, content: &Content) -> bool {
        let size: u64 = content.fixes.iter().map(|fix| fix.content.facts.size).sum();
        // Base64 takes four characters for three bytes, twice: once inside, once as armor.
        size.saturating_mul(16) / 9 < u64::try_from(self.settings.max_mail_bytes).unwrap_or(u64::MAX)
    }

    /// What is encrypted: subject, words, and the patches if they are to be `attached`.
    fn entity(
        &self,
        tx: &mut Tx<'_>,
        notice: &Notice,
        content: &Content,
        attached: bool,
        now: DateTime<Utc>,
    ) -> Result<Vec<u8>, Refusal> {
        let project = tx.project(&content.embargo.project)?;
        let fixes = if attached { content.fixes.as_slice() } else { &[] };
        let mut bytes = Vec::new();
        for fix in fixes {
            bytes.push(tx.fix_bytes(&notice.embargo, &fix.id)?);
        }
        let material = Material {
            kind: notice.kind,
            project: &project,
            base_url: &self.settings.base_url,
            embargo: notice.embargo.as_str(),
            revision: content.revision.as_ref(),
            fixes: &content.fixes,
            attached,
            lifts_at: content.embargo.stage.schedule().map(|schedule| schedule.lifts_at),
            facts: &notice.facts,
            now,
            practice: self.settings.practice,
            to_ask: &super::people::to_ask(tx, &project.id)?,
        };
        let attachments: Vec<Attachment<'_>> = fixes
            .iter()
            .zip(&bytes)
            .map(|(fix, bytes)| Attachment {
                name: file_name(&fix.content.branch),
                kind: AttachmentKind::Patch,
                bytes,
            })
            .collect();
        let subject: HeaderText =
            material.subject().parse().map_err(|error| Refusal::invalid("subject", error))?;
        Ok(protected_entity(&ProtectedNotice {
            from: &self.settings.from,
            subject: &subject,
            outer_subject: &HeaderText::obscured(),
            date: now,
            date_is_shared: false,
            text: &material.text(),
            attachments: &attachments,
            boundary: Boundary::from_bytes(self.entropy.bytes()),
        }))
    }

    /// The body of a fix, made if need be: the mbox, byte for byte.
    pub(super) fn fix_body(
        &self,
        tx: &mut Tx<'_>,
        embargo: &EmbargoId,
        fix: &StoredFix,
        container: Container,
        now: DateTime<Utc>,
    ) -> Result<Body, Refusal> {
        let subject = BodySubject::Fix(fix.id.clone());
        if let Some(body) = tx.body(embargo, &subject, container)? {
            return Ok(body);
        }
        let bytes = tx.fix_bytes(embargo, &fix.id)?;
        self.seal(tx, embargo, (&subject, container), &bytes, now)
    }

    fn seal(
        &self,
        tx: &mut Tx<'_>,
        embargo: &EmbargoId,
        (subject, container): (&BodySubject, Container),
        plaintext: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Body, Refusal> {
        let key = SessionKey::from_random(self.entropy.bytes());
        let server = self.server_key()?;
        let content = seal_body(plaintext, &server, &key, container, now)
            .map_err(|_| Refusal::Unavailable("a message could not be encrypted".to_owned()))?;
        let body = Body {
            id: crate::domain::id::NoticeId::from_random(self.entropy.bytes()).to_string(),
            container,
            content,
            session_key: key.as_bytes().to_vec().into(),
        };
        Ok(tx.keep_body(embargo, subject, &body, now)?)
    }

    /// The head of `body` for one certificate, kept so that every copy has the same bytes.
    pub(super) fn head(
        tx: &mut Tx<'_>,
        body: &Body,
        certificate: &Certificate,
        acceptance: &Acceptance,
        stored: (&CertificateId, i64),
        now: DateTime<Utc>,
    ) -> Result<Vec<u8>, Refusal> {
        // Checked whenever a head is made or used.
        certificate.check(acceptance, now).map_err(|trouble| Refusal::invalid(trouble.code(), trouble))?;
        if let Some(head) = tx.head(&body.id, stored.0, stored.1)? {
            return Ok(head);
        }
        let key: [u8; 32] = body.session_key.as_slice().try_into().map_err(|_| {
            Refusal::Store(crate::store::StoreError::Corrupt { table: "bodies", id: body.id.clone() })
        })?;
        let head = make_head(&SessionKey::from_random(key), certificate, acceptance, now)
            .map_err(|trouble| Refusal::invalid(trouble.code(), trouble))?;
        Ok(tx.keep_head(&body.id, stored.0, stored.1, &head, now)?)
    }
}
