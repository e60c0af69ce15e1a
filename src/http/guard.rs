//! What every answer carries, and the access log: route templates only, never an address that was asked for.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web;

use super::Parts;
use crate::clock::Clock;

const ALWAYS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
];

/// Adds the security headers, forbids caching where nothing else was said, and writes the access log.
pub(super) async fn headers(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let method = request.method().clone();
    // A practice server lives at another time, and whoever signs a command for it has to know.
    let clock = request.app_data::<web::Data<Parts>>().map(|parts| parts.app.clock.clone());
    let date = clock.filter(Clock::is_virtual).map(|clock| clock.now().format("%a, %d %b %Y %H:%M:%S GMT"));
    let date = date.and_then(|date| HeaderValue::from_str(&date.to_string()).ok());
    let mut response = next.call(request).await?;
    let route = response.request().match_pattern().unwrap_or_else(|| "(none)".to_owned());
    tracing::info!(%method, route, status = response.status().as_u16(), "request");
    decorate(response.headers_mut());
    if let Some(date) = date {
        response.headers_mut().insert(header::DATE, date);
    }
    Ok(response)
}

fn decorate(headers: &mut HeaderMap) {
    for (name, value) in ALWAYS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, private"));
    }
}
