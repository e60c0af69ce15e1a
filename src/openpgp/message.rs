//! A whole message to one certificate, for what nobody else receives.

use chrono::{DateTime, Utc};

use super::acceptance::Acceptance;
use super::body::{self, SessionKey};
use super::certificate::Certificate;
use super::head::make_head;
use super::server_key::ServerKey;
use super::trouble::{TroubleKind, Unusable};

/// Encrypts `plaintext` to `to`, signed if there is a signer. Binary: head, then body.
///
/// `session_key` must be fresh: it is used for this message alone.
pub fn encrypt_to(
    plaintext: &[u8],
    to: &Certificate,
    acceptance: &Acceptance,
    signer: Option<&ServerKey>,
    session_key: &SessionKey,
    now: DateTime<Utc>,
) -> Result<Vec<u8>, Unusable> {
    let mut message = make_head(session_key, to, acceptance, now)?;
    let not_sealed = |_| Unusable::from(to.trouble(TroubleKind::NotSealed));
    let pair = signer.map(ServerKey::signing_pair).transpose().map_err(not_sealed)?;
    message.extend(body::seal(plaintext, pair, session_key, to.container(), now).map_err(not_sealed)?);
    Ok(message)
}
