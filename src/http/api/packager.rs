//! What packagers fetch and say. Neutral metadata is JSON; everything else is an OpenPGP message.

use actix_web::http::header::{self, ETag, EntityTag};
use actix_web::{HttpRequest, HttpResponse, get, put, web};

use super::super::problem::Problem;
use super::super::{Parts, views};
use super::{EmbargoPath, Token};
use crate::app::Refusal;
use crate::app::answers::{Part, Saying};
use crate::domain::hex_sha256;
use crate::wire;

/// The embargoes the caller may know of: a packager those it was told of, a maintainer those of its projects.
#[utoipa::path(
    tag = "embargoes", security(("token" = [])),
    responses(
        (status = 200, description = "Neutral metadata", body = wire::NeutralList),
        (status = 401, description = "No live token", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[get("/api/v1/embargoes")]
pub(crate) async fn list(
    parts: web::Data<Parts>,
    request: HttpRequest,
    token: Token,
) -> Result<HttpResponse, Problem> {
    let embargoes = parts.app.list(token.0).await?.into_iter().map(views::neutral).collect();
    parts.askers.proved(&request);
    Ok(HttpResponse::Ok().json(wire::NeutralList { embargoes }))
}

/// One embargo: neutral metadata; with `Accept: application/pgp-encrypted` a maintainer gets the whole
/// case (a CaseView) inside an OpenPGP message.
#[utoipa::path(
    tag = "embargoes", security(("token" = [])), params(("id" = String, Path, description = "The embargo's id")),
    responses(
        (status = 200, description = "Neutral metadata, or an OpenPGP message holding a CaseView", content((wire::NeutralEmbargo = "application/json"), (String = "application/pgp-encrypted"))),
        (status = 401, description = "No live token", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[get("/api/v1/embargoes/{id}")]
pub(crate) async fn embargo(
    parts: web::Data<Parts>,
    request: HttpRequest,
    token: Token,
    id: EmbargoPath,
) -> Result<HttpResponse, Problem> {
    let accept =
        request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains(wire::OPENPGP) {
        match parts.app.case(token.0.clone(), id.0.clone(), views::case).await {
            Ok(message) => {
                parts.askers.proved(&request);
                return Ok(HttpResponse::Ok().content_type(wire::OPENPGP).body(message));
            }
            // There is no such representation for a packager, and the other one may be there.
            Err(Refusal::NotFound) => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }
    let report = parts.app.neutral(token.0, id.0).await?;
    parts.askers.proved(&request);
    let etag = EntityTag::new_strong(report.embargo.version.to_string());
    Ok(HttpResponse::Ok().insert_header(ETag(etag)).json(views::neutral(report)))
}

/// A sent revision's notice: an OpenPGP message to the caller holding a MIME entity.
#[utoipa::path(
    tag = "embargoes", security(("token" = [])),
    params(("id" = String, Path, description = "The embargo's id"), ("number" = u32, Path, description = "The revision")),
    responses(
        (status = 200, description = "An armored OpenPGP message", body = String, content_type = "application/pgp-encrypted"),
        (status = 304, description = "The caller has these bytes"),
        (status = 401, description = "No live token", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[get("/api/v1/embargoes/{id}/revisions/{number}/notice")]
pub(crate) async fn notice(
    parts: web::Data<Parts>,
    token: Token,
    id: EmbargoPath,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let number = revision(&path.1)?;
    let message = parts.app.fetch(token.0, id.0, number, Part::Notice).await?;
    Ok(immutable(message, &request))
}

/// A sent revision's fix: an OpenPGP message to the caller holding the mbox, byte for byte as uploaded.
#[utoipa::path(
    tag = "embargoes", security(("token" = [])),
    params(("id" = String, Path, description = "The embargo's id"), ("number" = u32, Path, description = "The revision"), ("fix" = String, Path, description = "The fix's id")),
    responses(
        (status = 200, description = "An armored OpenPGP message", body = String, content_type = "application/pgp-encrypted"),
        (status = 304, description = "The caller has these bytes"),
        (status = 401, description = "No live token", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[get("/api/v1/embargoes/{id}/revisions/{number}/fixes/{fix}")]
pub(crate) async fn fix(
    parts: web::Data<Parts>,
    token: Token,
    id: EmbargoPath,
    path: web::Path<(String, String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let number = revision(&path.1)?;
    let fix = path.2.parse().map_err(|_| Refusal::NotFound)?;
    let message = parts.app.fetch(token.0, id.0, number, Part::Fix(fix)).await?;
    Ok(immutable(message, &request))
}

/// The number of a revision, which is written in one way.
fn revision(text: &str) -> Result<u32, Refusal> {
    let number = text.parse().ok().filter(|number: &u32| number.to_string() == text);
    number.ok_or(Refusal::NotFound)
}

/// The same bytes for the same caller, always: so they have a strong ETag and a digest (RFC 9530).
fn immutable(message: Vec<u8>, request: &HttpRequest) -> HttpResponse {
    let sha256 = hex_sha256(&message);
    let etag = EntityTag::new_strong(sha256[..32].to_owned());
    let fresh = crate::http::knows(request, &etag);
    let mut response = if fresh { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header(ETag(etag));
    if fresh {
        return response.finish();
    }
    let digest = base64_simd::STANDARD.encode_to_string(crate::http::sha256(&message));
    response
        .insert_header(("Repr-Digest", format!("sha-256=:{digest}:")))
        .content_type(wire::OPENPGP)
        .body(message)
}

async fn say(
    parts: &Parts,
    token: Token,
    id: EmbargoPath,
    code: &str,
    saying: Saying,
) -> Result<HttpResponse, Problem> {
    let said = parts.app.say(token.0, id.0, code, saying).await?;
    Ok(HttpResponse::Ok().json(views::own(&said)))
}

/// Says that a revision was read.
#[utoipa::path(
    tag = "answers", security(("token" = [])), params(("id" = String, Path, description = "The embargo's id")),
    request_body = wire::PutReceipt,
    responses(
        (status = 200, description = "What the packager has said so far", body = wire::OwnState),
        (status = 400, description = "Not the code of that revision", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "No live token", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = wire::Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many wrong codes; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[put("/api/v1/embargoes/{id}/receipt")]
pub(crate) async fn receipt(
    parts: web::Data<Parts>,
    token: Token,
    id: EmbargoPath,
    body: web::Json<wire::PutReceipt>,
) -> Result<HttpResponse, Problem> {
    say(&parts, token, id, &body.code, Saying::Receipt(body.revision)).await
}

/// Says whether the packager is affected.
#[utoipa::path(
    tag = "answers", security(("token" = [])), params(("id" = String, Path, description = "The embargo's id")),
    request_body = wire::PutImpact,
    responses(
        (status = 200, description = "What the packager has said so far", body = wire::OwnState),
        (status = 400, description = "Not a code of this embargo, or an unknown word", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "No live token", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = wire::Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many wrong codes; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[put("/api/v1/embargoes/{id}/impact")]
pub(crate) async fn impact(
    parts: web::Data<Parts>,
    token: Token,
    id: EmbargoPath,
    body: web::Json<wire::PutImpact>,
) -> Result<HttpResponse, Problem> {
    let impact = body
        .impact
        .parse()
        .map_err(|_| Refusal::invalid("impact", "impact is one of: unknown, affected, not-affected"))?;
    say(&parts, token, id, &body.code, Saying::Impact(impact)).await
}

/// Says how far the packager is.
#[utoipa::path(
    tag = "answers", security(("token" = [])), params(("id" = String, Path, description = "The embargo's id")),
    request_body = wire::PutProgress,
    responses(
        (status = 200, description = "What the packager has said so far", body = wire::OwnState),
        (status = 400, description = "Not a code of this embargo, or an unknown word", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "No live token", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = wire::Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many wrong codes; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[put("/api/v1/embargoes/{id}/progress")]
pub(crate) async fn progress(
    parts: web::Data<Parts>,
    token: Token,
    id: EmbargoPath,
    body: web::Json<wire::PutProgress>,
) -> Result<HttpResponse, Problem> {
    let progress = body
        .progress
        .parse()
        .map_err(|_| Refusal::invalid("progress", "progress is one of: none, building, ready, published"))?;
    say(&parts, token, id, &body.code, Saying::Progress(progress)).await
}
