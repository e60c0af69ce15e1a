//! What handlers ask of a request: a token, an embargo's id, a signed command.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};

use super::super::problem::{self, Problem};
use super::super::rates::Work;
use super::super::{MAX_COMMAND, Parts};
use crate::app::Refusal;
use crate::app::commands::Opened;
use crate::domain::id::EmbargoId;
use crate::wire;

/// A bearer token, as shown; it is judged in the transaction that uses it.
pub(crate) struct Token(pub(crate) String);

impl FromRequest for Token {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        ready(token.map(|token| Self(token.trim().to_owned())).ok_or_else(|| {
            Refusal::Unauthorised("send the token as `Authorization: Bearer …`; embargoctl login gets one")
                .into()
        }))
    }
}

/// An embargo's id in the path; what is no id is as absent as an unknown one.
pub(crate) struct EmbargoPath(pub(crate) EmbargoId);

impl FromRequest for EmbargoPath {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(|id| id.parse().ok());
        ready(id.map(Self).ok_or_else(|| Refusal::NotFound.into()))
    }
}

/// Opens the signed command in a request's body.
pub(crate) async fn command(
    parts: &Parts,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Opened, Problem> {
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if media_type.map(|value| value.split(';').next().unwrap_or_default().trim()) != Some(wire::OPENPGP) {
        return Err(Refusal::Unauthorised(
            "changes are signed commands: an HTTP request, signed by you and encrypted to the server's key \
             (/key.asc), sent as Content-Type: application/pgp-encrypted; embargoctl does this",
        )
        .into());
    }
    parts.charge(request, Work::Command)?;
    let (body, _room) = parts.receive(request, payload, MAX_COMMAND, problem::too_large).await?.into_parts();
    let path = request.uri().path_and_query().map_or_else(|| request.path(), |path| path.as_str());
    let url = format!("{}{path}", parts.app.settings.base_url);
    let opened = parts.app.open_command(request.method().as_str(), &url, body).await?;
    parts.askers.proved(request);
    Ok(opened)
}

/// Reads a command's JSON body.
pub(crate) fn json<T: serde::de::DeserializeOwned>(opened: &Opened) -> Result<T, Problem> {
    serde_json::from_slice(&opened.request.body).map_err(|error| {
        // The position helps; the message of the parser could repeat what was written.
        Problem::body(format!(
            "the signed command's body is not the JSON that is expected here (line {}, column {}); \
             /openapi.json describes it",
            error.line(),
            error.column()
        ))
    })
}
