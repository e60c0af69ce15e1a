//! The entry point over HTTP: it translates and decides nothing.
//!
//! `api` speaks JSON and OpenPGP, `pages` are for people who signed in, `public` serves published rows
//! through a handle that can read nothing else, `metrics` has a listener of its own. Refusals become problems (RFC 9457) in one place.

mod api;
mod bodies;
mod connections;
mod guard;
mod methods;
pub mod metrics;
pub mod openapi;
mod pages;
mod problem;
mod public;
mod rates;
mod views;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App as Service, HttpServer, web};

use crate::app::App;
use crate::config::limits::LimitsConfig;
use crate::formats::Site;
use bodies::Bodies;
use connections::Connections;
use rates::Rates;

/// The largest body of a signed command: a fix of 10 MiB in base64, inside armored OpenPGP.
const MAX_COMMAND: usize = 24 << 20;
/// The largest body of anything else that is posted.
const MAX_BODY: usize = 1 << 20;

/// The longest that the head of a request may take.
const HEAD_TIME: Duration = Duration::from_secs(15);

/// What the handlers are given.
#[derive(Clone)]
struct Parts {
    app: App,
    site: Site,
    certificate: Option<String>,
    rates: Arc<Rates>,
    bodies: Bodies,
    patience: Duration,
}

/// A server on `listener`. It runs when awaited and stops by its handle.
pub async fn serve(
    app: App,
    listener: TcpListener,
    workers: usize,
    limits: &LimitsConfig,
) -> std::io::Result<Server> {
    let projects = app.project_names().await;
    let fingerprint = app.server_key().map(|key| key.fingerprint()).unwrap_or_default();
    let parts = Parts {
        site: Site {
            base_url: app.settings.base_url.clone(),
            server_fingerprint: fingerprint,
            practice: app.settings.practice,
            projects,
        },
        certificate: app.certificate().await.ok(),
        rates: Arc::new(Rates::new(limits, &app.clock)),
        bodies: Bodies::default(),
        patience: limits.request_time(),
        app,
    };
    let connections = Connections::new(limits);
    let server = HttpServer::new(move || {
        Service::new()
            .app_data(web::Data::new(parts.clone()))
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .app_data(web::FormConfig::default().limit(2 * MAX_BODY).error_handler(problem::form))
            .app_data(web::JsonConfig::default().limit(64 << 10).error_handler(problem::json))
            .app_data(web::QueryConfig::default().error_handler(problem::query))
            .wrap(from_fn(guard::head_as_get))
            .wrap(from_fn(guard::headers))
            .configure(api::routes)
            .configure(pages::routes)
            .configure(public::routes)
            .default_service(web::to(problem::nothing_here))
    })
    .on_connect(move |connection, extensions| connections.admit(connection, extensions))
    .workers(workers)
    .max_connections(limits.connections.div_ceil(workers.max(1)))
    .client_request_timeout(limits.request_time().min(HEAD_TIME))
    .keep_alive(Duration::from_secs(30))
    .shutdown_timeout(10)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

/// The armored form of an OpenPGP message.
fn armored(message: &[u8]) -> Vec<u8> {
    crate::app::sessions::armored(message)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

/// Whether the caller already has what `etag` names.
fn knows(request: &actix_web::HttpRequest, etag: &actix_web::http::header::EntityTag) -> bool {
    use actix_web::http::header::{Header as _, IfNoneMatch};
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(items)) => items.iter().any(|item| item.weak_eq(etag)),
        Err(_) => false,
    }
}
