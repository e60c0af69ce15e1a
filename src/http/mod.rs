//! The entry point over HTTP: it translates and decides nothing.
//!
//! `api` speaks JSON and OpenPGP, `pages` are for people who signed in, `public` serves published rows
//! through a handle that can read nothing else, `metrics` has a listener of its own. Refusals become problems (RFC 9457) in one place.

mod api;
mod askers;
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
mod turns;
mod views;

use std::future::ready;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App as Service, HttpRequest, web};

use crate::app::{App, Refusal};
use crate::config::limits::LimitsConfig;
use crate::formats::Site;
use askers::Askers;
use bodies::{Bodies, Received, Sender};
use connections::Connections;
use problem::Problem;
use rates::{Rates, Work};
use turns::{InTurn, Patience};

/// The largest body of a signed command: a fix of 10 MiB in base64, inside armored OpenPGP.
const MAX_COMMAND: usize = 24 << 20;
/// The largest body of anything else that is posted.
const MAX_BODY: usize = 1 << 20;

/// The largest form: a certificate whose characters are escaped.
const MAX_FORM: usize = 2 * MAX_BODY;

/// The longest that the head of a request may take.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// How long a connection may lie idle.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long the other side may take to hang up.
const DISCONNECT_TIME: Duration = Duration::from_secs(1);

/// What the handlers are given.
#[derive(Clone)]
struct Parts {
    app: App,
    site: Site,
    certificate: Option<String>,
    askers: Arc<Askers>,
    rates: Arc<Rates>,
    bodies: Bodies,
    patience: Duration,
}

impl Parts {
    /// Charges whoever sends a request, or refuses it.
    fn charge(&self, request: &HttpRequest, work: Work) -> Result<(), Refusal> {
        let Some(asker) = self.askers.of(request) else { return Ok(()) };
        self.rates.charge(asker, self.askers.knows(asker), work)
    }

    /// Receives the body of a request, which has at most `most` bytes; `too_large` says what is expected.
    async fn receive(
        &self,
        request: &HttpRequest,
        payload: web::Payload,
        most: usize,
        too_large: impl Fn() -> Problem,
    ) -> Result<Received, Problem> {
        let network = self.askers.of(request);
        let known = network.is_some_and(|network| self.askers.knows(network));
        self.bodies.receive(Sender { network, known }, payload, most, too_large).await
    }
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
        askers: Arc::new(Askers::new(limits, &app.clock)),
        rates: Arc::new(Rates::new(limits, &app.clock)),
        bodies: Bodies::default(),
        patience: limits.request_time(),
        app,
    };
    let connections = Connections::new(limits);
    let patience = Patience { head: limits.request_time().min(HEAD_TIME), taking: limits.request_time() };
    let server = Server::build().workers(workers).shutdown_timeout(10).disable_signals();
    let ending = server.graceful_shutdown_signal();
    let server = server
        .max_concurrent_connections(limits.connections.div_ceil(workers.max(1)))
        .listen("http", listener, move || {
            let (parts, connections, ending) = (parts.clone(), connections.clone(), ending.clone());
            let service = Service::new()
                .app_data(web::Data::new(parts))
                .app_data(web::FormConfig::default().limit(MAX_FORM).error_handler(problem::form))
                .app_data(web::JsonConfig::default().limit(64 << 10).error_handler(problem::json))
                .app_data(web::QueryConfig::default().error_handler(problem::query))
                .wrap(from_fn(guard::head_as_get))
                .wrap(from_fn(guard::headers))
                .configure(api::routes)
                .configure(pages::routes)
                .configure(public::routes)
                .default_service(web::to(problem::nothing_here))
                .into_factory()
                .map_err(|error| error.error_response());
            // As `actix_web::HttpServer` does it, over connections of which one request at a time is read.
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let ending = ending.clone();
                    async move { ending.notified().await }
                })
                .client_request_timeout(patience.head)
                .client_disconnect_timeout(DISCONNECT_TIME)
                .keep_alive(KEEP_ALIVE)
                .on_connect_ext(move |connection: &InTurn, extensions| {
                    extensions.insert(connection.turn());
                    connections.admit(connection.stream(), extensions);
                })
                .h1(map_config(service, |()| AppConfig::default()));
            fn_service(move |stream: TcpStream| {
                let peer = stream.peer_addr().ok();
                ready(Ok((InTurn::new(stream, patience), peer)))
            })
            .and_then(http)
        })?
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
fn knows(request: &HttpRequest, etag: &actix_web::http::header::EntityTag) -> bool {
    use actix_web::http::header::{Header as _, IfNoneMatch};
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(items)) => items.iter().any(|item| item.weak_eq(etag)),
        Err(_) => false,
    }
}
