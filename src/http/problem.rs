//! Refusals as problems (RFC 9457). A forbidden thing and an absent one give the same bytes.

use actix_web::error::{JsonPayloadError, QueryPayloadError, UrlencodedError};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::{methods, views};
use crate::app::Refusal;
use crate::app::StoreError;
use crate::app::refusal::LOCKED;
use crate::wire;

/// A refusal on its way out.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    findings: Vec<wire::CertificateFinding>,
    /// In seconds.
    retry_after: Option<u64>,
    allow: Option<Box<str>>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into(),
            findings: Vec::new(),
            retry_after: None,
            allow: None,
        }
    }

    /// A body that does not have the expected shape.
    pub(super) fn body(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "body", "The request cannot be read", detail)
    }

    fn unavailable(reason: &str) -> Self {
        let detail = format!("the server cannot do this now: {reason}");
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not possible now", detail);
        Self { retry_after: Some(UNAVAILABLE_FOR), ..problem }
    }

    pub(super) fn parts(&self) -> (u16, &'static str, &str) {
        (self.status.as_u16(), self.title, &self.detail)
    }

    /// What was found about a certificate that was sent.
    pub(super) fn findings(&self) -> &[wire::CertificateFinding] {
        &self.findings
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.code)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        let (status, code, title) = match &refusal {
            Refusal::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Refusal::Unauthorised(_) => (StatusCode::UNAUTHORIZED, "unauthorised", "Log in first"),
            Refusal::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Refusal::Invalid { code: code @ ("too-large" | "parser-timed-out"), .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, *code, "Too large")
            }
            Refusal::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "too-many", "Too many tries"),
            Refusal::Invalid { code, .. } => (StatusCode::BAD_REQUEST, *code, "The request is not right"),
            Refusal::Certificate(inspection) => {
                let code = inspection.code().unwrap_or("certificate");
                let too_large = code == "too-large";
                let status = if too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
                (status, code, "The certificate cannot be used")
            }
            Refusal::Rule { code, .. } => (StatusCode::CONFLICT, *code, "A rule forbids it"),
            Refusal::Stale(_) => {
                (StatusCode::PRECONDITION_FAILED, "changed-meanwhile", "It was changed meanwhile")
            }
            Refusal::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "key-reused", "The key was used before"),
            Refusal::Store(StoreError::Conflict) => {
                (StatusCode::CONFLICT, "changed-meanwhile", "It was changed meanwhile")
            }
            // Strangers come here too: neither a path nor the id of a key nor a host is for them.
            Refusal::Locked(_) => return Self::unavailable(LOCKED),
            Refusal::Store(StoreError::Unavailable(reason)) => {
                tracing::warn!("the database cannot be reached: {reason}");
                return Self::unavailable("the database cannot be reached");
            }
            Refusal::Store(error) if error.is_for_want_of_space() => {
                tracing::error!("nothing can be stored: {error}");
                return Self::unavailable("nothing can be stored; nothing was changed");
            }
            Refusal::Store(error) if error.is_for_want_of_a_key() => {
                tracing::error!("a key is missing: {error}");
                return Self::unavailable(
                    "a key is missing here; nothing was changed. The log of this server says which",
                );
            }
            Refusal::Store(StoreError::Unrecorded(error)) => {
                tracing::error!("the audit log cannot be written: {error}");
                return Self::unavailable(
                    "it cannot be written down, so nothing is shown and nothing is done",
                );
            }
            Refusal::Store(error @ (StoreError::NotStored | StoreError::Undecided)) => {
                tracing::warn!("the database broke off: {error}");
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not possible now")
            }
            Refusal::Unavailable(reason) => {
                tracing::warn!("unavailable: {reason}");
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not possible now")
            }
            Refusal::Store(error) => {
                tracing::error!("the store failed: {error}");
                let detail = "the server failed; nothing was changed. Try again, or tell its operator";
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "The server failed", detail);
            }
        };
        let findings = match &refusal {
            Refusal::Certificate(inspection) => inspection.findings.iter().map(views::finding).collect(),
            _ => Vec::new(),
        };
        let retry_after = match &refusal {
            Refusal::TooMany { seconds } => Some(*seconds),
            Refusal::Unavailable(_) => Some(UNAVAILABLE_FOR),
            _ => None,
        };
        Self { status, code, title, detail, findings, retry_after, allow: None }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let body = wire::Problem {
            kind: format!("urn:embargod:problem:{}", self.code),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            findings: self.findings.clone(),
        };
        let mut response = HttpResponse::build(self.status);
        response.content_type(wire::PROBLEM);
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"embargod\""),
            ));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(allow) = &self.allow {
            response.insert_header((header::ALLOW, allow.as_ref()));
        }
        response.json(body)
    }
}

/// How long to wait for what is not possible now, in seconds.
const UNAVAILABLE_FOR: u64 = 10;

/// Every address that does not exist, and every method that an address does not take.
pub(super) async fn nothing_here(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(match methods::of(request.path()) {
        Some(allowed) => method(allowed),
        None => Refusal::NotFound.into(),
    })
}

/// A method that an address does not take.
pub(super) fn method(allowed: String) -> Problem {
    let detail = format!("this address takes: {allowed}");
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "Not this method", detail);
    Problem { allow: Some(allowed.into()), ..problem }
}

/// A request that was not answered in time.
pub(super) fn too_slow() -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "too-slow",
        "It took too long",
        "the request did not arrive, or was not answered, in the time that the server gives it; send it again",
    )
}

/// A body in a form that is never unpacked.
pub(super) fn encoded() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "content-encoding",
        "Send it as it is",
        "this server unpacks no compressed requests; leave Content-Encoding out",
    )
}

/// An address that is longer than any here.
pub(super) fn long_address() -> Problem {
    Problem::new(
        StatusCode::URI_TOO_LONG,
        "address-too-long",
        "The address is too long",
        "no address here has more than 2048 bytes; check what makes it",
    )
}

/// Headers that are longer than any program needs here.
pub(super) fn long_headers() -> Problem {
    Problem::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "headers-too-large",
        "The headers are too large",
        "all headers together have at most 16 KiB; leave out what this server does not ask for, such as the cookies of \
         another",
    )
}

const SHAPE: &str = "the body does not have the expected shape; /openapi.json describes it";

#[expect(clippy::needless_pass_by_value, reason = "the framework hands it over")]
pub(super) fn json(error: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    match error {
        JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
            too_large_for("this takes JSON of at most 64 KiB").into()
        }
        JsonPayloadError::ContentType => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            "Another media type is expected",
            "send Content-Type: application/json",
        )
        .into(),
        _ => Problem::body(SHAPE).into(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the framework hands it over")]
pub(super) fn form(error: UrlencodedError, _: &HttpRequest) -> actix_web::Error {
    match error {
        UrlencodedError::Overflow { .. } => too_large().into(),
        _ => Problem::body(SHAPE).into(),
    }
}

pub(super) fn query(_: QueryPayloadError, _: &HttpRequest) -> actix_web::Error {
    Problem::body("the query is not understood; /openapi.json lists what is").into()
}

pub(super) fn too_large() -> Problem {
    too_large_for("certificates have at most 1 MiB, fixes at most 10 MiB")
}

fn too_large_for(detail: &str) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large", detail)
}
