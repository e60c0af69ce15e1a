//! Login: a challenge encrypted to a certificate, a token for who opened it, and who a token stands for.
//!
//! Every certificate gets a challenge, so nothing reveals which are registered. The token is minted only
//! if the primary key is registered. The posted certificate is merged into the stored one: an extended
//! expiry counts at once, and so does a revocation made by its owner.

use chrono::{DateTime, Duration, Utc};
use sha2::{Digest as _, Sha256};

use super::scope::{Scope, granted};
use super::{Actor, App, Refusal, certificate_of};
use crate::domain::container::Container;
use crate::domain::id::{CertificateId, TokenId};
use crate::openpgp::{
    Acceptance, Certificate, Challenge, Expected, Inspection, SessionKey, Verdict, encrypt_to,
};
use crate::store::{AuditEntry, NewToken, StoreError, TokenKind, TokenOwner, Tx};

/// How long a challenge can be answered.
const CHALLENGE_LIVES: Duration = Duration::minutes(5);
/// How long a token counts.
const TOKEN_LIVES: Duration = Duration::days(90);
/// How long a page session counts.
const SESSION_LIVES: Duration = Duration::hours(8);

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl App {
    /// Encrypts a challenge to a posted certificate, known or not.
    pub async fn challenge(&self, posted: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        let now = self.clock.now();
        let challenge = Challenge {
            origin: self.settings.base_url.clone(),
            nonce: self.entropy.bytes(),
            expires: now + CHALLENGE_LIVES,
        };
        let session_key = SessionKey::from_random(self.entropy.bytes());
        let text = challenge.print();
        // SHA-1 self-signatures are tolerated here: whether they are for this certificate is decided when
        // the challenge comes back, and until then nobody must learn whether it is registered.
        let lenient = Acceptance::Sha1Bindings { until: now + CHALLENGE_LIVES };
        let (certificate, message) = self
            .strangers
            .run(move || {
                let expected = Expected { acceptance: lenient, ..Expected::default() };
                let inspection = Inspection::of(&posted, &expected, now);
                let certificate = match (inspection.verdict, &inspection.certificate) {
                    (Verdict::Usable, Some(certificate)) => certificate.clone(),
                    _ => return Err(Refusal::Certificate(Box::new(inspection))),
                };
                // In the container that everybody reads: what the holder's programs can read is known of
                // who is registered alone, and must not show.
                let reader = certificate.clone().seipdv1_only();
                let message = encrypt_to(text.as_bytes(), &reader, &lenient, None, &session_key, now)
                    .map_err(|trouble| Refusal::invalid(trouble.code(), trouble))?;
                Ok::<_, Refusal>((certificate, message))
            })
            .await??;
        let nonce_hash = hash(&challenge.nonce);
        self.store
            .write(move |tx| {
                let bytes = certificate.to_bytes();
                tx.insert_challenge(&nonce_hash, &certificate.fingerprint(), &bytes, challenge.expires, now)
            })
            .await?;
        Ok(message)
    }

    /// Mints a token for who opened a challenge, with the scopes that were asked for, or with all.
    pub async fn token(
        &self,
        answer: &[u8],
        kind: TokenKind,
        asked: Option<String>,
    ) -> Result<String, Refusal> {
        let now = self.clock.now();
        let nonce_hash = self.nonce_of(answer)?;
        let token_bytes = self.entropy.bytes();
        let id = TokenId::from_random(self.entropy.bytes());
        let new_id = CertificateId::from_random(self.entropy.bytes());
        self.store
            .write(move |tx| {
                let Some(posted) = tx.use_challenge(&nonce_hash, now)? else { return Ok(Err(LATE)) };
                let Ok(posted) = Certificate::parse(&posted.bytes) else { return Ok(Err(UNKNOWN)) };
                let fingerprint = posted.fingerprint();
                tx.take_certificate(&fingerprint)?;
                let Some(stored) = tx.certificate_by_fingerprint(&fingerprint)? else {
                    return Ok(Err(UNKNOWN));
                };
                if stored.revoked_at.is_some() {
                    return Ok(Err(UNKNOWN));
                }
                let (known, acceptance) = certificate_of(&stored)?;
                let Ok(merged) = known.clone().merge(posted.clone()) else { return Ok(Err(UNKNOWN)) };
                if merged.to_bytes() != known.to_bytes() {
                    tx.put_certificate(&new_id, &fingerprint, &merged.to_bytes(), None, now)?;
                }
                if merged.check(&acceptance, now).is_err()
                    || !opens_only_with_live_keys(&posted, &merged, &acceptance, now)
                {
                    return Ok(Err(UNUSABLE));
                }
                let Some((owner, actor)) = owner_of(tx, &stored.id)? else { return Ok(Err(UNKNOWN)) };
                let (letter, possible) = match owner {
                    TokenOwner::Maintainer(_) => ('m', Scope::OF_MAINTAINERS),
                    TokenOwner::Contact(_) => ('p', Scope::OF_CONTACTS),
                };
                let scopes = granted(possible, asked.as_deref())?;
                let text = token_text(letter, &token_bytes);
                tx.insert_token(
                    &NewToken {
                        id: id.clone(),
                        hash: hash(text.as_bytes()),
                        kind,
                        owner,
                        scopes,
                        last_four: text[text.len() - 4..].to_owned(),
                        expires_at: now
                            + if kind == TokenKind::Session { SESSION_LIVES } else { TOKEN_LIVES },
                    },
                    now,
                )?;
                tx.audit(AuditEntry {
                    at: now,
                    actor: actor.to_string(),
                    action: "token minted",
                    embargo: None,
                    object: id.to_string(),
                    detail: Vec::new(),
                });
                Ok::<_, Refusal>(Ok(text))
            })
            .await?
            .map_err(Refusal::Unauthorised)
    }

    /// By what an opened challenge of this server is found.
    pub(super) fn nonce_of(&self, answer: &[u8]) -> Result<Vec<u8>, Refusal> {
        let challenge =
            Challenge::parse(answer).map_err(|error| Refusal::invalid("challenge-answer", error))?;
        if challenge.origin != self.settings.base_url {
            return Err(Refusal::invalid(
                "challenge-origin",
                "this answers a challenge of another server; ask this one for a challenge of its own",
            ));
        }
        Ok(hash(&challenge.nonce))
    }

    /// Ends the token itself.
    pub async fn revoke(&self, token: &str, kind: TokenKind) -> Result<(), Refusal> {
        let now = self.clock.now();
        let hash = hash(token.as_bytes());
        self.store
            .write(move |tx| {
                let Some(token) = tx.token(&hash, kind, now)? else { return Err(refused()) };
                tx.revoke_token(&token.id, now)?;
                tx.audit(AuditEntry {
                    at: now,
                    actor: owner_name(&token.owner),
                    action: "token revoked",
                    embargo: None,
                    object: token.id.to_string(),
                    detail: Vec::new(),
                });
                Ok::<_, Refusal>(())
            })
            .await
    }
}

/// Whether every key that the challenge was encrypted to is one that counts today: who holds a subkey that
/// its owner revoked may still have a copy of the certificate from before.
pub(super) fn opens_only_with_live_keys(
    posted: &Certificate,
    merged: &Certificate,
    acceptance: &Acceptance,
    now: DateTime<Utc>,
) -> bool {
    let lenient = Acceptance::Sha1Bindings { until: now + CHALLENGE_LIVES };
    match (posted.recipients(&lenient, now), merged.recipients(acceptance, now)) {
        (Ok(asked), Ok(live)) => asked.iter().all(|key| live.contains(key)),
        _ => false,
    }
}

pub(super) const LATE: &str =
    "the challenge was used before, is older than five minutes, or was never given: ask for a new one";
const UNKNOWN: &str = "this certificate belongs to no maintainer and no packager's contact of this server; \
                       ask a maintainer of the project to have it registered";
const UNUSABLE: &str =
    "this certificate can no longer be encrypted to; renew it and log in with the renewed one";

fn owner_name(owner: &TokenOwner) -> String {
    match owner {
        TokenOwner::Maintainer(id) => format!("maintainer:{id}"),
        TokenOwner::Contact(id) => format!("contact:{id}"),
    }
}

/// The person a certificate belongs to.
fn owner_of(tx: &mut Tx<'_>, certificate: &CertificateId) -> Result<Option<(TokenOwner, Actor)>, StoreError> {
    if let Some(person) = tx.maintainers()?.into_iter().find(|person| person.certificate == *certificate) {
        return Ok(Some((TokenOwner::Maintainer(person.id.clone()), Actor::Maintainer(person.id))));
    }
    Ok(tx.contact_by_certificate(certificate)?.map(|contact| {
        let actor = Actor::Contact { contact: contact.id.clone(), packager: contact.packager };
        (TokenOwner::Contact(contact.id), actor)
    }))
}

/// Who a token stands for, judged in the transaction that uses it: an ended token, a removed person, a
/// revoked or expired certificate act at once.
pub(super) fn bearer(
    tx: &mut Tx<'_>,
    token: &str,
    (kind, scope): (TokenKind, Scope),
    now: DateTime<Utc>,
) -> Result<Bearer, Refusal> {
    if !well_formed(token) {
        return Err(refused());
    }
    let found = tx.token(&hash(token.as_bytes()), kind, now)?.ok_or_else(refused)?;
    let owns_scope = match found.owner {
        // A maintainer's token can do one thing: read.
        TokenOwner::Maintainer(_) => Scope::EmbargoRead.is_in(&found.scopes),
        // What is for maintainers alone is, to a packager, not there: the use case says so.
        TokenOwner::Contact(_) => scope == Scope::EmbargoRead || scope.is_in(&found.scopes),
    };
    if !owns_scope {
        return Err(Refusal::Forbidden(NARROW));
    }
    let (certificate, actor) = match &found.owner {
        TokenOwner::Maintainer(id) => {
            let person = tx.maintainer(id)?.ok_or_else(refused)?;
            (person.certificate, Actor::Maintainer(person.id))
        }
        TokenOwner::Contact(id) => {
            let contact = tx.contact(id)?.ok_or_else(refused)?;
            (contact.certificate, Actor::Contact { contact: contact.id, packager: contact.packager })
        }
    };
    let stored = tx.certificate(&certificate)?;
    let (certificate, acceptance) = certificate_of(&stored)?;
    if stored.revoked_at.is_some() || certificate.check(&acceptance, now).is_err() {
        return Err(Refusal::Unauthorised(UNUSABLE));
    }
    Ok(Bearer {
        actor,
        certificate,
        acceptance,
        certificate_id: stored.id,
        certificate_version: stored.version,
    })
}

fn refused() -> Refusal {
    Refusal::Unauthorised("this token is unknown, expired or revoked: log in again")
}

const NARROW: &str = "this token was minted for less than that; log in again, without a scope or with one that \
                      covers it";

/// Somebody who showed a live token.
pub(super) struct Bearer {
    pub actor: Actor,
    pub certificate: Certificate,
    pub acceptance: Acceptance,
    pub certificate_id: CertificateId,
    pub certificate_version: i64,
}

/// The refusal of a body that is larger than any certificate.
pub fn oversized_certificate() -> Refusal {
    Refusal::Certificate(Box::new(Inspection::too_large()))
}

/// The armored form of a challenge, for whoever decrypts by hand.
pub fn armored(message: &[u8]) -> Vec<u8> {
    crate::openpgp::armor(&[], message, Container::Seipdv1)
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// `emb_p_` or `emb_m_`, 30 random letters and digits, and six that check them.
fn token_text(letter: char, random: &[u8; 30]) -> String {
    let body: String = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 62)])).collect();
    let head = format!("emb_{letter}_{body}");
    let check = checksum(&head);
    format!("{head}{check}")
}

fn checksum(head: &str) -> String {
    let digest = Sha256::digest(head.as_bytes());
    digest.iter().take(6).map(|byte| char::from(ALPHABET[usize::from(byte % 62)])).collect()
}

/// Whether a text can be a token at all; typos are caught without asking the database.
fn well_formed(token: &str) -> bool {
    token.is_ascii()
        && token.len() == 42
        && token.starts_with("emb_")
        && checksum(&token[..36]) == token[36..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_token_is_known_without_a_look_up() {
        let token = token_text('p', &[17; 30]);
        assert!(well_formed(&token));
        assert!(!well_formed(&token.replace("emb_p_", "emb_m_")));
        assert!(!well_formed(&token[..41]));
        assert!(!well_formed("ümb"));
    }
}
