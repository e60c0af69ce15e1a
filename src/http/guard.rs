//! What no handler needs to see, what every answer carries, and the access log: route templates only, never an
//! address that was asked for.

use std::time::Duration;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{ResponseError as _, web};

use super::problem::{self, Problem};
use super::turns::Turn;
use super::{MAX_COMMAND, Parts};
use crate::app::App;
use crate::clock::Clock;
use crate::metrics::labels::Surface;

/// The longest address, in bytes; what maintainers sign is bounded alike.
const MAX_ADDRESS: usize = 2048;

/// The most that all headers of a request may have together, in bytes: many times what any program sends here.
const MAX_HEADERS: usize = 16 << 10;

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

/// Answers `HEAD` as `GET` is answered, where a stranger may ask; the connection leaves the body out.
pub(super) async fn head_as_get(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let is_public =
        ["/api/", "/board", "/login", "/logout"].iter().all(|path| !request.path().starts_with(path));
    if is_public && request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    next.call(request).await
}

/// Adds the security headers, forbids caching where nothing else was said, and writes the access log.
pub(super) async fn headers(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, actix_web::Error> {
    let method = request.method().clone();
    let unmeasured = request.headers().contains_key(header::TRANSFER_ENCODING);
    let _turn = Answering::begin(&request, unmeasured);
    let counted = Counted::begin(&request);
    // A practice server lives at another time, and whoever signs a command for it has to know.
    let clock = request.app_data::<web::Data<Parts>>().map(|parts| parts.app.clock.clone());
    let date = clock.filter(Clock::is_virtual).map(|clock| clock.now().format("%a, %d %b %Y %H:%M:%S GMT"));
    let date = date.and_then(|date| HeaderValue::from_str(&date.to_string()).ok());
    let patience = request.app_data::<web::Data<Parts>>().map(|parts| parts.patience).unwrap_or_default();
    let mut response = if let Some(problem) = unfit(&request) {
        request.into_response(problem.error_response()).map_into_right_body()
    } else {
        // What was begun in the database is finished there; only nobody waits for it any more.
        match tokio::time::timeout(patience, next.call(request)).await {
            Ok(Ok(response)) => response.map_into_left_body(),
            Ok(Err(error)) => {
                counted.end(error.as_response_error().status_code());
                return Err(error);
            }
            Err(_) => {
                let mut response = problem::too_slow().error_response();
                counted.end(response.status());
                decorate(response.headers_mut());
                response.head_mut().set_connection_type(ConnectionType::Close);
                return Err(InternalError::from_response(problem::too_slow(), response).into());
            }
        }
    };
    if unmeasured {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    counted.end(response.status());
    let route = response.request().match_pattern().unwrap_or_else(|| "(none)".to_owned());
    tracing::info!(%method, route, status = response.status().as_u16(), "request");
    decorate(response.headers_mut());
    if let Some(date) = date {
        response.headers_mut().insert(header::DATE, date);
    }
    Ok(response)
}

/// A request that has its turn on its connection until it is answered.
struct Answering(Option<Turn>);

impl Answering {
    fn begin(request: &ServiceRequest, unmeasured: bool) -> Self {
        let turn = request.conn_data::<Turn>().cloned();
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or_default();
        if let Some(turn) = &turn {
            turn.body((!unmeasured).then_some(length));
        }
        Self(turn)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(turn) = &self.0 {
            turn.answered();
        }
    }
}

/// A request that is counted when it is answered.
struct Counted {
    app: Option<App>,
    surface: Surface,
    began: Duration,
}

impl Counted {
    fn begin(request: &ServiceRequest) -> Self {
        let app = request.app_data::<web::Data<Parts>>().map(|parts| parts.app.clone());
        let began = app.as_ref().map(|app| app.clock.monotonic()).unwrap_or_default();
        Self { app, surface: Surface::of(request.path()), began }
    }

    fn end(self, status: StatusCode) {
        if let Some(app) = self.app {
            let took = app.clock.monotonic().saturating_sub(self.began);
            app.metrics.answered(self.surface, status.as_u16(), took);
        }
    }
}

/// Why a request is refused without a look at what it asks for.
fn unfit(request: &ServiceRequest) -> Option<Problem> {
    let headers = request.headers();
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if [Method::TRACE, Method::CONNECT].contains(request.method()) {
        Some(problem::method("GET, POST, PUT, DELETE".to_owned()))
    } else if request.uri().to_string().len() > MAX_ADDRESS {
        Some(problem::long_address())
    } else if headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
        > MAX_HEADERS
    {
        Some(problem::long_headers())
    } else if !headers.get_all(header::CONTENT_ENCODING).all(plain) {
        Some(problem::encoded())
    } else if announced
        .and_then(|length| length.parse().ok())
        .is_some_and(|length: usize| length > MAX_COMMAND)
    {
        Some(problem::too_large())
    } else {
        None
    }
}

fn decorate(headers: &mut HeaderMap) {
    for (name, value) in ALWAYS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, private"));
    }
}
