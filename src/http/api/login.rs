//! Login: a certificate in, a challenge out; the opened challenge in, a token out.

use actix_web::{HttpRequest, HttpResponse, delete, post, web};
use serde::Deserialize;

use super::super::problem::{self, Problem};
use super::super::rates::Work;
use super::super::{MAX_BODY, Parts};
use super::extract::Token;
use crate::app::TokenKind;
use crate::app::sessions::oversized_certificate;
use crate::wire;

/// Asks for a challenge. The body is the caller's OpenPGP certificate, armored or binary; the answer is an
/// OpenPGP message to it. Every certificate that can be encrypted to gets one, registered or not.
#[utoipa::path(
    tag = "login",
    request_body(content = String, content_type = "application/pgp-keys"),
    responses(
        (status = 200, description = "An armored OpenPGP message holding the challenge", body = String, content_type = "application/pgp-encrypted"),
        (status = 400, description = "No certificate, or one that cannot be encrypted to", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Over 1 MiB", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries from this address; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[post("/api/v1/challenges")]
pub(crate) async fn challenge(
    request: HttpRequest,
    parts: web::Data<Parts>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    parts.charge(&request, Work::Login)?;
    let too_large = || oversized_certificate().into();
    let (body, _room) = parts.receive(&request, payload, MAX_BODY, too_large).await?.into_parts();
    let message = parts.app.challenge(body).await?;
    Ok(HttpResponse::Ok().content_type(wire::OPENPGP).body(crate::http::armored(&message)))
}

/// What a new token is to be good for.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    scope: Option<String>,
}

/// Trades an opened challenge for a token. The body is the challenge's text, as it was decrypted.
#[utoipa::path(
    tag = "login",
    params(("scope" = Option<String>, Query, description = "Scopes, divided by blanks; without it, all of: notice:read patch:read ack:write schedule:read for packagers, embargo:read for maintainers")),
    request_body(content = String, content_type = "text/plain"),
    responses(
        (status = 200, description = "A token for `Authorization: Bearer …`", body = String, content_type = "text/plain"),
        (status = 400, description = "No challenge of this server, or an unknown scope", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "A used or late challenge, or a certificate that nobody registered", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries from this address; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[post("/api/v1/tokens")]
pub(crate) async fn token(
    request: HttpRequest,
    parts: web::Data<Parts>,
    wanted: web::Query<Wanted>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    parts.charge(&request, Work::Login)?;
    let (body, _room) = parts.receive(&request, payload, MAX_BODY, problem::too_large).await?.into_parts();
    let token = parts.app.token(&body, TokenKind::Api, wanted.into_inner().scope).await?;
    parts.askers.proved(&request);
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(format!("{token}\n")))
}

/// Ends the token that is shown, everywhere and at once.
#[utoipa::path(
    tag = "login", security(("token" = [])),
    responses(
        (status = 204, description = "It counts no more"),
        (status = 401, description = "No live token", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[delete("/api/v1/tokens")]
pub(crate) async fn end_token(parts: web::Data<Parts>, shown: Token) -> Result<HttpResponse, Problem> {
    parts.app.revoke(&shown.0, TokenKind::Api).await?;
    Ok(HttpResponse::NoContent().finish())
}
