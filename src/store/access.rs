//! Challenges, tokens, answered commands and packagers' answers.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use sha2::{Digest as _, Sha256};

use super::dialect::{self, Db};
use super::schema::{answers, challenges, commands, tokens};
use super::{StoreError, Tx, instant, optional_instant, parsed};
use crate::domain::hex;
use crate::domain::id::{ContactId, EmbargoId, MaintainerId, PackagerId, TokenId};
use crate::domain::notice::{Impact, Progress};
use crate::vault::{Place, ROSTER};

/// Who a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenOwner {
    /// A maintainer.
    Maintainer(MaintainerId),
    /// A packager's contact.
    Contact(ContactId),
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// API calls.
    Api,
    /// Pages in a browser.
    Session,
}

impl std::str::FromStr for TokenKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Api, Self::Session].into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

impl TokenKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Session => "session",
        }
    }
}

/// A token that is to be stored; only its hash is.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its id.
    pub id: TokenId,
    /// SHA-256 of the whole token.
    pub hash: Vec<u8>,
    /// What it is for.
    pub kind: TokenKind,
    /// Who it stands for.
    pub owner: TokenOwner,
    /// What it may do, words separated by spaces.
    pub scopes: String,
    /// Its last four characters, to tell tokens apart.
    pub last_four: String,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// A live token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// Who it stands for.
    pub owner: TokenOwner,
    /// What it may do.
    pub scopes: String,
}

/// A token as the operator sees it.
#[derive(Clone, Debug)]
pub struct ListedToken {
    /// Its id.
    pub id: TokenId,
    /// Whether a script or a browser uses it.
    pub kind: TokenKind,
    /// Who it stands for.
    pub owner: TokenOwner,
    /// What it may do.
    pub scopes: String,
    /// Its last four characters, by which its holder knows it.
    pub last_four: String,
    /// When it was minted.
    pub created_at: DateTime<Utc>,
    /// Until when it counts.
    pub expires_at: DateTime<Utc>,
}

/// The certificate a challenge was encrypted to.
#[derive(Clone, Debug)]
pub struct ChallengeCertificate {
    /// The certificate as posted.
    pub bytes: Vec<u8>,
}

/// The stored answer to a signed command.
#[derive(Clone, Debug)]
pub struct StoredAnswer {
    /// SHA-256 of the request's bytes.
    pub request_sha256: Vec<u8>,
    /// HTTP status.
    pub status: u16,
    /// Headers, one `name: value` a line.
    pub headers: String,
    /// The body, as it was sent.
    pub body: Vec<u8>,
}

/// What a packager said about an embargo.
#[derive(Clone, Debug)]
pub struct Answers {
    /// The newest revision it says it has read, and when.
    pub receipt: Option<(u32, DateTime<Utc>)>,
    /// Whether it is affected.
    pub impact: Impact,
    /// How far it is.
    pub progress: Progress,
}

impl Default for Answers {
    fn default() -> Self {
        Self { receipt: None, impact: Impact::Unknown, progress: Progress::None }
    }
}

impl Tx<'_> {
    /// Stores a challenge for who proves to own `certificate`.
    pub fn insert_challenge(
        &mut self,
        nonce_hash: &[u8],
        fingerprint: &str,
        certificate: &[u8],
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let row = hex(nonce_hash);
        let place = Place { table: "challenges", column: "certificate", row: &row };
        let sealed = self.seal(ROSTER, place, certificate)?;
        let lookup = self.lookup("fingerprint", fingerprint)?;
        diesel::delete(challenges::table.filter(challenges::expires_at.lt(now.timestamp_micros())))
            .execute(self.db)?;
        diesel::insert_into(challenges::table)
            .values((
                challenges::nonce_hash.eq(nonce_hash),
                challenges::fingerprint_lookup.eq(lookup),
                challenges::certificate_sealed.eq(sealed),
                challenges::expires_at.eq(expires_at.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(())
    }

    /// Uses a challenge up; a second answer, or a late one, finds nothing.
    pub fn use_challenge(
        &mut self,
        nonce_hash: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<ChallengeCertificate>, StoreError> {
        let now = now.timestamp_micros();
        let used = diesel::update(challenges::table.find(nonce_hash))
            .filter(challenges::used_at.is_null())
            .filter(challenges::expires_at.ge(now))
            .set(challenges::used_at.eq(Some(now)))
            .execute(self.db)?;
        if used == 0 {
            return Ok(None);
        }
        let sealed = challenges::table
            .find(nonce_hash)
            .select(challenges::certificate_sealed)
            .first::<Vec<u8>>(self.db)?;
        let row = hex(nonce_hash);
        let place = Place { table: "challenges", column: "certificate", row: &row };
        Ok(Some(ChallengeCertificate { bytes: self.open(ROSTER, place, &sealed)?.to_vec() }))
    }

    /// Stores a token's hash.
    pub fn insert_token(&mut self, token: &NewToken, now: DateTime<Utc>) -> Result<(), StoreError> {
        let (maintainer, contact) = match &token.owner {
            TokenOwner::Maintainer(id) => (Some(id.as_str()), None),
            TokenOwner::Contact(id) => (None, Some(id.as_str())),
        };
        diesel::insert_into(tokens::table)
            .values((
                tokens::id.eq(token.id.as_str()),
                tokens::hash.eq(&token.hash),
                tokens::kind.eq(token.kind.as_str()),
                tokens::maintainer_id.eq(maintainer),
                tokens::contact_id.eq(contact),
                tokens::scopes.eq(&token.scopes),
                tokens::last_four.eq(&token.last_four),
                tokens::created_at.eq(now.timestamp_micros()),
                tokens::expires_at.eq(token.expires_at.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(())
    }

    /// The live token of this kind with this hash.
    pub fn token(
        &mut self,
        hash: &[u8],
        kind: TokenKind,
        now: DateTime<Utc>,
    ) -> Result<Option<Token>, StoreError> {
        let row = tokens::table
            .filter(tokens::hash.eq(hash))
            .filter(tokens::kind.eq(kind.as_str()))
            .filter(tokens::revoked_at.is_null())
            .filter(tokens::expires_at.gt(now.timestamp_micros()))
            .select((tokens::id, tokens::maintainer_id, tokens::contact_id, tokens::scopes))
            .first::<(String, Option<String>, Option<String>, String)>(self.db)
            .optional()?;
        let Some((id, maintainer, contact, scopes)) = row else { return Ok(None) };
        let owner = owner(maintainer.as_deref(), contact.as_deref(), &id)?;
        Ok(Some(Token { owner, scopes, id: parsed(&id, "tokens", &id)? }))
    }

    /// Ends a token.
    pub fn revoke_token(&mut self, id: &TokenId, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.weighs();
        diesel::update(tokens::table.find(id.as_str()))
            .set(tokens::revoked_at.eq(Some(now.timestamp_micros())))
            .execute(self.db)?;
        Ok(())
    }

    /// Waits until nobody else is about to use this idempotency key; then nobody else does until this ends.
    pub fn take_key(&mut self, maintainer: &MaintainerId, key: &str) -> Result<(), StoreError> {
        self.pass_alone(&format!("{maintainer}\n{key}"))
    }

    /// Waits until nobody else is about to change the certificate with this fingerprint; then nobody else does until
    /// this ends. What is merged into it has to be read after that.
    pub fn take_certificate(&mut self, fingerprint: &str) -> Result<(), StoreError> {
        self.pass_alone(&format!("certificate\n{fingerprint}"))
    }

    fn pass_alone(&mut self, name: &str) -> Result<(), StoreError> {
        // Two names with one number wait for each other, and that is all.
        let digest = Sha256::digest(name);
        let number = digest.iter().take(8).fold(0, |number, byte| number << 8 | i64::from(*byte));
        Ok(dialect::pass_alone(self.db, number)?)
    }

    /// The answer a maintainer got for an idempotency key, if the key was used.
    pub fn stored_answer(
        &mut self,
        maintainer: &MaintainerId,
        key: &str,
    ) -> Result<Option<StoredAnswer>, StoreError> {
        let row = commands::table
            .find((maintainer.as_str(), key))
            .select((commands::request_sha256, commands::status, commands::headers, commands::answer))
            .first::<(Vec<u8>, i32, String, Vec<u8>)>(self.db)
            .optional()?;
        Ok(row.map(|(request_sha256, status, headers, body)| StoredAnswer {
            request_sha256,
            status: u16::try_from(status).unwrap_or(500),
            headers,
            body,
        }))
    }

    /// Keeps the answer to a command, in the transaction that carried it out.
    pub fn store_answer(
        &mut self,
        maintainer: &MaintainerId,
        key: &str,
        answer: &StoredAnswer,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let kept_from = (now - chrono::Duration::days(30)).timestamp_micros();
        diesel::delete(commands::table.filter(commands::created_at.lt(kept_from))).execute(self.db)?;
        diesel::insert_into(commands::table)
            .values((
                commands::maintainer_id.eq(maintainer.as_str()),
                commands::idempotency_key.eq(key),
                commands::request_sha256.eq(&answer.request_sha256),
                commands::status.eq(i32::from(answer.status)),
                commands::headers.eq(&answer.headers),
                commands::answer.eq(&answer.body),
                commands::created_at.eq(now.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(())
    }

    /// What a packager said about an embargo so far.
    pub fn answers(&mut self, embargo: &EmbargoId, packager: &PackagerId) -> Result<Answers, StoreError> {
        let row = answers::table
            .find((embargo.as_str(), packager.as_str()))
            .select((answers::receipt_revision, answers::receipt_at, answers::impact, answers::progress))
            .first::<(Option<i32>, Option<i64>, String, String)>(self.db)
            .optional()?;
        let Some((revision, at, impact, progress)) = row else { return Ok(Answers::default()) };
        let at = optional_instant(at, "answers", embargo.as_str())?;
        Ok(Answers {
            receipt: revision.and_then(|number| u32::try_from(number).ok()).zip(at),
            impact: parsed(&impact, "answers", embargo.as_str())?,
            progress: parsed(&progress, "answers", embargo.as_str())?,
        })
    }

    /// Stores what a packager says about an embargo.
    pub fn put_answers(
        &mut self,
        embargo: &EmbargoId,
        packager: &PackagerId,
        said: &Answers,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let first = AnswerRow {
            embargo_id: embargo.to_string(),
            packager_id: packager.to_string(),
            impact: Impact::Unknown.to_string(),
            progress: Progress::None.to_string(),
            updated_at: now.timestamp_micros(),
        };
        dialect::insert_if_absent(self.db, &first)?;
        diesel::update(answers::table.find((embargo.as_str(), packager.as_str())))
            .set((
                answers::receipt_revision.eq(said.receipt.and_then(|(number, _)| i32::try_from(number).ok())),
                answers::receipt_at.eq(said.receipt.map(|(_, at)| at.timestamp_micros())),
                answers::impact.eq(said.impact.as_str()),
                answers::progress.eq(said.progress.as_str()),
                answers::updated_at.eq(now.timestamp_micros()),
            ))
            .execute(self.db)?;
        Ok(())
    }

    /// Every token that counts now, the newest first.
    pub fn live_tokens(&mut self, now: DateTime<Utc>) -> Result<Vec<ListedToken>, StoreError> {
        let rows = tokens::table
            .filter(tokens::revoked_at.is_null())
            .filter(tokens::expires_at.gt(now.timestamp_micros()))
            .order(tokens::created_at.desc())
            .select((
                tokens::id,
                tokens::kind,
                tokens::maintainer_id,
                tokens::contact_id,
                tokens::scopes,
                tokens::last_four,
                tokens::created_at,
                tokens::expires_at,
            ))
            .load::<ListedRow>(self.db)?;
        rows.into_iter()
            .map(|(id, kind, maintainer, contact, scopes, last_four, created_at, expires_at)| {
                Ok(ListedToken {
                    owner: owner(maintainer.as_deref(), contact.as_deref(), &id)?,
                    kind: parsed(&kind, "tokens", &id)?,
                    scopes,
                    last_four,
                    created_at: instant(created_at, "tokens", &id)?,
                    expires_at: instant(expires_at, "tokens", &id)?,
                    id: parsed(&id, "tokens", &id)?,
                })
            })
            .collect()
    }
}

type ListedRow = (String, String, Option<String>, Option<String>, String, String, i64, i64);

fn owner(maintainer: Option<&str>, contact: Option<&str>, id: &str) -> Result<TokenOwner, StoreError> {
    match (maintainer, contact) {
        (Some(maintainer), None) => Ok(TokenOwner::Maintainer(parsed(maintainer, "tokens", id)?)),
        (None, Some(contact)) => Ok(TokenOwner::Contact(parsed(contact, "tokens", id)?)),
        _ => Err(super::corrupt("tokens", id)),
    }
}

#[derive(Insertable)]
#[diesel(table_name = answers)]
struct AnswerRow {
    embargo_id: String,
    packager_id: String,
    impact: String,
    progress: String,
    updated_at: i64,
}

dialect::insertable_once!(AnswerRow, answers);
