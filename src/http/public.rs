//! What everybody may read: published rows, and how the server is. The handlers here get a
//! [`Published`] handle, and nothing that could read more.

use actix_web::http::header::{CacheControl, CacheDirective, ETag, EntityTag};
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, get, web};

use super::problem::Problem;
use super::{Parts, knows};
use crate::app::Refusal;
use crate::app::{Published, StoreError};
use crate::domain::hex_sha256;
use crate::formats::{STYLESHEET, feed, page};
use crate::wire;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(index)
        .service(atom)
        .service(key)
        .service(style)
        .service(livez)
        .service(readyz)
        .service(document)
        .service(advisory)
        .service(advisory_file);
}

fn published(parts: &Parts) -> Published {
    parts.app.store.published()
}

/// Runs a read of published rows where waiting does no harm.
async fn reading<T: Send + 'static>(
    parts: &Parts,
    read: impl FnOnce(&Published) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let published = published(parts);
    web::block(move || read(&published))
        .await
        .map_err(|_| Problem::from(Refusal::Unavailable("the read was interrupted".to_owned())))?
        .map_err(|error| Refusal::from(error).into())
}

/// Public bytes: cacheable for a moment, with an ETag made of nothing but themselves.
fn public(request: &HttpRequest, media_type: &str, content: Vec<u8>, sha256: &str) -> HttpResponse {
    let etag = EntityTag::new_strong(sha256[..32].to_owned());
    let fresh = knows(request, &etag);
    let mut response = if fresh { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header(ETag(etag));
    response.insert_header(CacheControl(vec![CacheDirective::Public, CacheDirective::MaxAge(60)]));
    if fresh { response.finish() } else { response.content_type(media_type).body(content) }
}

fn rendered(request: &HttpRequest, media_type: &str, content: Vec<u8>) -> HttpResponse {
    let sha256 = hex_sha256(&content);
    public(request, media_type, content, &sha256)
}

/// The public list.
#[utoipa::path(tag = "public", responses((status = 200, description = "A page", body = String, content_type = "text/html"), (status = 304, description = "The caller has these bytes"), (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json")))]
#[get("/")]
pub(crate) async fn index(request: HttpRequest, parts: web::Data<Parts>) -> Result<HttpResponse, Problem> {
    let site = parts.site.clone();
    let content = reading(&parts, move |rows| Ok(page::index(&rows.advisories()?, &site))).await?;
    Ok(rendered(&request, "text/html; charset=utf-8", content))
}

/// The Atom feed of public advisories.
#[utoipa::path(tag = "public", responses((status = 200, description = "An Atom feed", body = String, content_type = "application/atom+xml"), (status = 304, description = "The caller has these bytes"), (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json")))]
#[get("/feed.atom")]
pub(crate) async fn atom(request: HttpRequest, parts: web::Data<Parts>) -> Result<HttpResponse, Problem> {
    let site = parts.site.clone();
    let content = reading(&parts, move |rows| Ok(feed::atom(&rows.advisories()?, &site))).await?;
    Ok(rendered(&request, "application/atom+xml; charset=utf-8", content))
}

/// The server's OpenPGP certificate.
#[utoipa::path(tag = "public", responses((status = 200, description = "An armored certificate", body = String, content_type = "application/pgp-keys"), (status = 304, description = "The caller has these bytes"), (status = 404, description = "There is none yet", body = wire::Problem, content_type = "application/problem+json")))]
#[get("/key.asc")]
pub(crate) async fn key(request: HttpRequest, parts: web::Data<Parts>) -> Result<HttpResponse, Problem> {
    let certificate = parts.certificate.clone().ok_or(Refusal::NotFound)?;
    Ok(rendered(&request, "application/pgp-keys", certificate.into_bytes()))
}

#[get("/style.css")]
async fn style(request: HttpRequest) -> HttpResponse {
    rendered(&request, "text/css; charset=utf-8", STYLESHEET.as_bytes().to_vec())
}

/// Whether the process runs.
#[utoipa::path(tag = "operations", responses((status = 200, description = "It runs", body = String, content_type = "text/plain")))]
#[get("/livez")]
pub(crate) async fn livez() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("alive\n")
}

/// Whether everything works, and what does not.
#[utoipa::path(tag = "operations", responses((status = 200, description = "Everything works", body = wire::Readiness), (status = 503, description = "Something does not", body = wire::Readiness)))]
#[get("/readyz")]
pub(crate) async fn readyz(parts: web::Data<Parts>) -> HttpResponse {
    let reasons: Vec<_> = parts.app.unready().await.iter().map(ToString::to_string).collect();
    let mut response =
        if reasons.is_empty() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(wire::Readiness { ready: reasons.is_empty(), reasons })
}

/// This document.
#[utoipa::path(tag = "operations", responses((status = 200, description = "The OpenAPI document", body = Object), (status = 304, description = "The caller has these bytes")))]
#[get("/openapi.json")]
pub(crate) async fn document(request: HttpRequest) -> HttpResponse {
    rendered(&request, "application/json", super::openapi::document().into())
}

/// A public advisory: `EMB-2026-1` as a page, `EMB-2026-1.json` as JSON, and their `.sha256` and `.asc`.
#[utoipa::path(
    tag = "public", params(("id" = String, Path, description = "The public id, optionally with `.json`, `.json.sha256` or `.json.asc`")),
    responses((status = 200, description = "A page or a file", content((String = "text/html"), (Object = "application/json"), (String = "text/plain"), (String = "application/pgp-signature"))), (status = 304, description = "The caller has these bytes"), (status = 404, description = "Nothing is published here", body = wire::Problem, content_type = "application/problem+json"), (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"))
)]
#[get("/advisories/{id}")]
pub(crate) async fn advisory(
    request: HttpRequest,
    parts: web::Data<Parts>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    file(&request, &parts, format!("/advisories/{id}")).await
}

/// A file of a public advisory: a fix, the changelog entry, and their `.sha256` and `.asc`.
#[utoipa::path(
    tag = "public", params(("id" = String, Path, description = "The public id"), ("file" = String, Path, description = "The file's name, as on the advisory's page")),
    responses((status = 200, description = "A file", content((String = "application/mbox"), (String = "text/markdown"), (String = "text/x-rst"), (String = "text/plain"), (String = "application/pgp-signature"))), (status = 304, description = "The caller has these bytes"), (status = 404, description = "Nothing is published here", body = wire::Problem, content_type = "application/problem+json"), (status = 503, description = "Not possible now", body = wire::Problem, content_type = "application/problem+json"))
)]
#[get("/advisories/{id}/{file}")]
pub(crate) async fn advisory_file(
    request: HttpRequest,
    parts: web::Data<Parts>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    file(&request, &parts, format!("/advisories/{}/{}", path.0, path.1)).await
}

async fn file(request: &HttpRequest, parts: &Parts, path: String) -> Result<HttpResponse, Problem> {
    if path.contains('\0') {
        return Err(Refusal::NotFound.into());
    }
    let found = reading(parts, move |rows| rows.file(&path)).await?.ok_or(Refusal::NotFound)?;
    Ok(public(request, &found.media_type, found.content, &found.sha256))
}
