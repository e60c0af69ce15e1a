//! Application: a packager that is not registered asks to be told ahead.

use actix_web::{FromRequest as _, HttpRequest, HttpResponse, post, web};

use super::super::Parts;
use super::super::problem::Problem;
use super::super::rates::Work;
use crate::app::applications::Application;
use crate::wire;

/// Asks to be told ahead. `challenge` is an opened challenge of `POST /api/v1/challenges`: who sends it holds the
/// certificate. The answer is the same whoever is registered and whatever projects there are; people decide.
#[utoipa::path(
    tag = "login",
    request_body = wire::Apply,
    responses(
        (status = 202, description = "Received; a person decides", body = wire::Applied),
        (status = 400, description = "Something is missing or wrong in it, or the certificate has no such address", body = wire::Problem, content_type = "application/problem+json"),
        (status = 401, description = "A used or late challenge", body = wire::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Over 64 KiB", body = wire::Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = wire::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many from this address, or too many wait; Retry-After says how long to wait", body = wire::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
#[post("/api/v1/packagers")]
pub(crate) async fn apply(
    request: HttpRequest,
    parts: web::Data<Parts>,
    payload: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    parts.charge(&request, Work::Application).map_err(Problem::from)?;
    let asked =
        web::Json::<wire::Apply>::from_request(&request, &mut payload.into_inner()).await?.into_inner();
    let wire::Apply { challenge, name, contact, projects, about } = asked;
    let said = format!(
        "a person decides, and may write to {contact}; without a word for a month it is forgotten: apply again"
    );
    let application = Application { challenge, name, contact, projects, about };
    parts.app.apply(application).await.map_err(Problem::from)?;
    Ok(HttpResponse::Accepted().json(wire::Applied { next: said }))
}
