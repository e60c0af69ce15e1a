//! What maintainers change, by signed command, and read, by token.
//!
//! A command's body is described in `/openapi.json` by the schema named in each description; on the wire
//! it stands inside an OpenPGP message, and so does the answer, a CaseView.

use actix_web::http::StatusCode;
use actix_web::http::header::{ETag, EntityTag, LOCATION};
use actix_web::{HttpRequest, HttpResponse, get, post, put, web};
use serde::Deserialize;

use super::super::problem::Problem;
use super::super::{Parts, views};
use super::extract::{command, json};
use super::{EmbargoPath, Token};
use crate::app::Refusal;
use crate::app::commands::{Command, Opened};
use crate::app::fixes::Change;
use crate::domain::case::{CaseText, Consent, Credit, Waiver};
use crate::wire;

/// Opens an embargo. A signed command whose body is a JSON `OpenEmbargo`.
#[utoipa::path(
    tag = "commands",
    request_body(content = String, content_type = "application/pgp-encrypted", description = "A signed command: POST with a JSON OpenEmbargo inside"),
    responses(
        (status = 201, description = "An OpenPGP message to the maintainer holding a CaseView", body = String, content_type = "application/pgp-encrypted"),
        (status = 400, description = "Not a good command", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not a signed command, or not by a maintainer", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 409, description = "A rule forbids it", body = wire::Problem, content_type = "application/problem+json"),
        (status = 412, description = "Changed meanwhile", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many commands from this address; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 422, description = "The Idempotency-Key was used for another request", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[post("/api/v1/embargoes")]
pub(crate) async fn open(
    parts: web::Data<Parts>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let opened = command(&parts, &request, payload).await?;
    let body: wire::OpenEmbargo = json(&opened)?;
    let text = body.text.as_deref().map(text).transpose()?.map(Box::new);
    let command = Command::Open { project: body.project, text };
    carry_out(&parts, opened, command).await
}

/// Replaces the text of the case: one TOML document. A signed command whose body is the TOML document.
#[utoipa::path(
    tag = "commands", params(("id" = String, Path, description = "The embargo's id")),
    request_body(content = String, content_type = "application/pgp-encrypted", description = "A signed command: PUT with the TOML document inside"),
    responses(
        (status = 200, description = "An OpenPGP message to the maintainer holding a CaseView", body = String, content_type = "application/pgp-encrypted"),
        (status = 400, description = "Not a good command", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not a signed command, or not by a maintainer", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 409, description = "A rule forbids it", body = wire::Problem, content_type = "application/problem+json"),
        (status = 412, description = "Changed meanwhile", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many commands from this address; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 422, description = "The Idempotency-Key was used for another request", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[put("/api/v1/embargoes/{id}/text")]
pub(crate) async fn put_text(
    parts: web::Data<Parts>,
    request: HttpRequest,
    id: EmbargoPath,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let opened = command(&parts, &request, payload).await?;
    let written = std::str::from_utf8(&opened.request.body)
        .map_err(|_| Problem::body("the text is a TOML document in UTF-8"))?;
    let command = Command::PutText(id.0, Box::new(text(written)?));
    carry_out(&parts, opened, command).await
}

/// Sets one branch's fix, excuses the branch, or takes its fix back. A signed command whose body is a JSON `PutFix`.
#[utoipa::path(
    tag = "commands", params(("id" = String, Path, description = "The embargo's id")),
    request_body(content = String, content_type = "application/pgp-encrypted", description = "A signed command: PUT with a JSON PutFix inside"),
    responses(
        (status = 200, description = "An OpenPGP message to the maintainer holding a CaseView", body = String, content_type = "application/pgp-encrypted"),
        (status = 400, description = "Not a good command", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not a signed command, or not by a maintainer", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 409, description = "A rule forbids it", body = wire::Problem, content_type = "application/problem+json"),
        (status = 412, description = "Changed meanwhile", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many commands from this address; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 422, description = "The Idempotency-Key was used for another request", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[put("/api/v1/embargoes/{id}/fixes")]
pub(crate) async fn put_fix(
    parts: web::Data<Parts>,
    request: HttpRequest,
    id: EmbargoPath,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let opened = command(&parts, &request, payload).await?;
    let body: wire::PutFix = json(&opened)?;
    let change = change(&parts, &opened, body).await?;
    let command = Command::PutFix(id.0, Box::new(change));
    carry_out(&parts, opened, command).await
}

/// Freezes the working set as a revision and sends it when due. A signed command whose body is a JSON `SendRevision`.
#[utoipa::path(
    tag = "commands", params(("id" = String, Path, description = "The embargo's id")),
    request_body(content = String, content_type = "application/pgp-encrypted", description = "A signed command: POST with a JSON SendRevision inside"),
    responses(
        (status = 200, description = "An OpenPGP message to the maintainer holding a CaseView", body = String, content_type = "application/pgp-encrypted"),
        (status = 400, description = "Not a good command", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not a signed command, or not by a maintainer", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 409, description = "A rule forbids it", body = wire::Problem, content_type = "application/problem+json"),
        (status = 412, description = "Changed meanwhile", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many commands from this address; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 422, description = "The Idempotency-Key was used for another request", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[post("/api/v1/embargoes/{id}/revisions")]
pub(crate) async fn send(
    parts: web::Data<Parts>,
    request: HttpRequest,
    id: EmbargoPath,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let opened = command(&parts, &request, payload).await?;
    let body: wire::SendRevision = json(&opened)?;
    let command = Command::Send { embargo: id.0, reason: body.reason.unwrap_or_default(), at_once: body.now };
    carry_out(&parts, opened, command).await
}

/// Sets or moves the date. A signed command whose body is a JSON `PutSchedule`.
#[utoipa::path(
    tag = "commands", params(("id" = String, Path, description = "The embargo's id")),
    request_body(content = String, content_type = "application/pgp-encrypted", description = "A signed command: PUT with a JSON PutSchedule inside"),
    responses(
        (status = 200, description = "An OpenPGP message to the maintainer holding a CaseView", body = String, content_type = "application/pgp-encrypted"),
        (status = 400, description = "Not a good command", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not a signed command, or not by a maintainer", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 409, description = "A rule forbids it", body = wire::Problem, content_type = "application/problem+json"),
        (status = 412, description = "Changed meanwhile", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many commands from this address; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 422, description = "The Idempotency-Key was used for another request", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[put("/api/v1/embargoes/{id}/schedule")]
pub(crate) async fn schedule(
    parts: web::Data<Parts>,
    request: HttpRequest,
    id: EmbargoPath,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let opened = command(&parts, &request, payload).await?;
    let body: wire::PutSchedule = json(&opened)?;
    let command =
        Command::Schedule { embargo: id.0, lifts_at: body.lifts_at, reason: body.reason.unwrap_or_default() };
    carry_out(&parts, opened, command).await
}

/// Moves the lift forward because of a leak or exploitation. A signed command whose body is a JSON `LiftEarly`.
#[utoipa::path(
    tag = "commands", params(("id" = String, Path, description = "The embargo's id")),
    request_body(content = String, content_type = "application/pgp-encrypted", description = "A signed command: POST with a JSON LiftEarly inside"),
    responses(
        (status = 200, description = "An OpenPGP message to the maintainer holding a CaseView", body = String, content_type = "application/pgp-encrypted"),
        (status = 400, description = "Not a good command", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not a signed command, or not by a maintainer", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 409, description = "A rule forbids it", body = wire::Problem, content_type = "application/problem+json"),
        (status = 412, description = "Changed meanwhile", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many commands from this address; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 422, description = "The Idempotency-Key was used for another request", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[post("/api/v1/embargoes/{id}/lift-early")]
pub(crate) async fn lift_early(
    parts: web::Data<Parts>,
    request: HttpRequest,
    id: EmbargoPath,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let opened = command(&parts, &request, payload).await?;
    let body: wire::LiftEarly = json(&opened)?;
    let command = Command::LiftEarly { embargo: id.0, reason: body.reason, at: body.at };
    carry_out(&parts, opened, command).await
}

/// Ends the embargo without a fix. A signed command whose body is a JSON `Cancel`.
#[utoipa::path(
    tag = "commands", params(("id" = String, Path, description = "The embargo's id")),
    request_body(content = String, content_type = "application/pgp-encrypted", description = "A signed command: POST with a JSON Cancel inside"),
    responses(
        (status = 200, description = "An OpenPGP message to the maintainer holding a CaseView", body = String, content_type = "application/pgp-encrypted"),
        (status = 400, description = "Not a good command", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not a signed command, or not by a maintainer", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 409, description = "A rule forbids it", body = wire::Problem, content_type = "application/problem+json"),
        (status = 412, description = "Changed meanwhile", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many commands from this address; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 422, description = "The Idempotency-Key was used for another request", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[post("/api/v1/embargoes/{id}/cancel")]
pub(crate) async fn cancel(
    parts: web::Data<Parts>,
    request: HttpRequest,
    id: EmbargoPath,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let opened = command(&parts, &request, payload).await?;
    let body: wire::Cancel = json(&opened)?;
    let command = Command::Cancel { embargo: id.0, reason: body.reason };
    carry_out(&parts, opened, command).await
}

/// Sets who is told. A signed command whose body is a JSON `PutAudience`.
#[utoipa::path(
    tag = "commands", params(("id" = String, Path, description = "The embargo's id")),
    request_body(content = String, content_type = "application/pgp-encrypted", description = "A signed command: PUT with a JSON PutAudience inside"),
    responses(
        (status = 200, description = "An OpenPGP message to the maintainer holding a CaseView", body = String, content_type = "application/pgp-encrypted"),
        (status = 400, description = "Not a good command", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not a signed command, or not by a maintainer", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 409, description = "A rule forbids it", body = wire::Problem, content_type = "application/problem+json"),
        (status = 412, description = "Changed meanwhile", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many commands from this address; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 422, description = "The Idempotency-Key was used for another request", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[put("/api/v1/embargoes/{id}/audience")]
pub(crate) async fn put_audience(
    parts: web::Data<Parts>,
    request: HttpRequest,
    id: EmbargoPath,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let opened = command(&parts, &request, payload).await?;
    let body: wire::PutAudience = json(&opened)?;
    let command = Command::PutAudience(id.0, body.packagers);
    carry_out(&parts, opened, command).await
}

/// Sets who is thanked. A signed command whose body is a JSON `PutCredits`.
#[utoipa::path(
    tag = "commands", params(("id" = String, Path, description = "The embargo's id")),
    request_body(content = String, content_type = "application/pgp-encrypted", description = "A signed command: PUT with a JSON PutCredits inside"),
    responses(
        (status = 200, description = "An OpenPGP message to the maintainer holding a CaseView", body = String, content_type = "application/pgp-encrypted"),
        (status = 400, description = "Not a good command", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not a signed command, or not by a maintainer", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 409, description = "A rule forbids it", body = wire::Problem, content_type = "application/problem+json"),
        (status = 412, description = "Changed meanwhile", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many commands from this address; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 422, description = "The Idempotency-Key was used for another request", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[put("/api/v1/embargoes/{id}/credits")]
pub(crate) async fn put_credits(
    parts: web::Data<Parts>,
    request: HttpRequest,
    id: EmbargoPath,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let opened = command(&parts, &request, payload).await?;
    let body: wire::PutCredits = json(&opened)?;
    let credits = body.credits.into_iter().map(credit).collect::<Result<_, _>>()?;
    let command = Command::PutCredits(id.0, credits);
    carry_out(&parts, opened, command).await
}

/// A question about a date.
#[derive(Deserialize)]
pub(crate) struct Asked {
    at: Option<String>,
}

/// Legal dates; with `?at=` also the judgement of one instant.
#[utoipa::path(
    tag = "embargoes", security(("token" = [])),
    params(("id" = String, Path, description = "The embargo's id"), ("at" = Option<String>, Query, description = "RFC 3339, or a civil time in the project's zone")),
    responses(
        (status = 200, description = "An OpenPGP message holding a DatesView", body = String, content_type = "application/pgp-encrypted"),
        (status = 400, description = "Not an instant", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "No live token", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[get("/api/v1/embargoes/{id}/dates")]
pub(crate) async fn dates(
    parts: web::Data<Parts>,
    token: Token,
    id: EmbargoPath,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let message = parts.app.dates(token.0, id.0, asked.into_inner().at, views::dates).await?;
    Ok(HttpResponse::Ok().content_type(wire::OPENPGP).body(message))
}

/// Who was told what, and when, and what they said.
#[utoipa::path(
    tag = "embargoes", security(("token" = [])), params(("id" = String, Path, description = "The embargo's id")),
    responses(
        (status = 200, description = "An OpenPGP message holding a DeliveriesView", body = String, content_type = "application/pgp-encrypted"),
        (status = 401, description = "No live token", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[get("/api/v1/embargoes/{id}/deliveries")]
pub(crate) async fn deliveries(
    parts: web::Data<Parts>,
    token: Token,
    id: EmbargoPath,
) -> Result<HttpResponse, Problem> {
    let message = parts.app.deliveries(token.0, id.0, views::deliveries).await?;
    Ok(HttpResponse::Ok().content_type(wire::OPENPGP).body(message))
}

/// What was done to this embargo, by whom.
#[utoipa::path(
    tag = "embargoes", security(("token" = [])), params(("id" = String, Path, description = "The embargo's id")),
    responses(
        (status = 200, description = "An OpenPGP message holding a AuditView", body = String, content_type = "application/pgp-encrypted"),
        (status = 401, description = "No live token", body = wire::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Absent, or not for the caller", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[get("/api/v1/embargoes/{id}/audit")]
pub(crate) async fn audit(
    parts: web::Data<Parts>,
    token: Token,
    id: EmbargoPath,
) -> Result<HttpResponse, Problem> {
    let message = parts.app.audit(token.0, id.0, views::audit).await?;
    Ok(HttpResponse::Ok().content_type(wire::OPENPGP).body(message))
}

async fn carry_out(parts: &Parts, opened: Opened, command: Command) -> Result<HttpResponse, Problem> {
    let answer = parts.app.execute(opened, command, views::case).await?;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    response.insert_header(ETag(EntityTag::new_strong(answer.version.to_string())));
    if status == StatusCode::CREATED {
        response.insert_header((LOCATION, format!("/api/v1/embargoes/{}", answer.embargo)));
    }
    Ok(response.content_type(wire::OPENPGP).body(answer.body))
}

fn text(written: &str) -> Result<CaseText, Problem> {
    toml::from_str(written).map_err(|error| {
        let line = error.span().map_or(1, |span| written[..span.start.min(written.len())].matches('\n').count() + 1);
        Problem::body(format!(
            "line {line} of the text is not understood; it is a TOML document with the keys title, summary, notice, \
             affected, fixed, severity, cve, ghsa, mitigation, changelog and commits"
        ))
    })
}

async fn change(parts: &Parts, opened: &Opened, body: wire::PutFix) -> Result<Change, Problem> {
    let decoded = |text: &str| base64_simd::forgiving_decode_to_vec(text.as_bytes());
    match (body.mbox, body.waiver, body.remove) {
        (Some(mbox), None, false) => {
            let mbox = decoded(&mbox).map_err(|_| Problem::body("mbox is not base64"))?;
            let signature = body.signature.ok_or_else(|| {
                Problem::body("a fix needs your detached signature over its bytes: gpg --armor --detach-sign")
            })?;
            let signature = if signature.contains("BEGIN PGP SIGNATURE") {
                signature.into_bytes()
            } else {
                decoded(&signature).map_err(|_| Problem::body("signature is neither armored nor base64"))?
            };
            Ok(parts.app.prepare_fix(opened, body.branch, mbox, signature).await?)
        }
        (None, Some(reason), false) => Ok(Change::Waive(Waiver { branch: body.branch, reason })),
        (None, None, true) => Ok(Change::Remove(body.branch)),
        _ => Err(Problem::body("give exactly one of mbox, waiver and remove")),
    }
}

fn credit(entry: wire::CreditEntry) -> Result<Credit, Problem> {
    let role = serde_json::from_value(serde_json::Value::String(entry.role)).map_err(|_| {
        Refusal::invalid(
            "credit",
            "role is one of: finder, reporter, remediation-developer, remediation-reviewer, \
             remediation-verifier, coordinator, other",
        )
    })?;
    let shown = || {
        entry.shown_as.clone().ok_or_else(|| {
            Refusal::invalid("credit", "with consent `alias` or `name`, `as` says under which")
        })
    };
    let consent = match entry.consent.as_str() {
        "none" => Consent::None,
        "alias" => Consent::Alias(shown()?),
        "name" => Consent::Name(shown()?),
        _ => return Err(Refusal::invalid("credit", "consent is one of: none, alias, name").into()),
    };
    Ok(Credit { person: entry.person, role, consent })
}
