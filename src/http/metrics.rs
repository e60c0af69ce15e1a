//! Numbers about the server, on a listener of their own: `GET /metrics` and nothing else.
//!
//! Whoever reaches it learns that something is embargoed, and how much. It asks nobody who they are, so where it
//! listens is who may read it.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::{App as Service, HttpResponse, HttpServer, get, web};

use crate::app::App;
use crate::metrics::MEDIA_TYPE;

/// How many connections are kept at once: one program asks.
const CONNECTIONS: usize = 16;
/// The longest that a request may take to arrive.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// A server of numbers on `listener`. It runs when awaited and stops by its handle.
pub fn serve(app: App, listener: TcpListener) -> std::io::Result<Server> {
    let app = web::Data::new(app);
    let server = HttpServer::new(move || {
        Service::new()
            .app_data(app.clone())
            .service(metrics)
            .default_service(web::to(|| async { HttpResponse::NotFound().finish() }))
    })
    .workers(1)
    .max_connections(CONNECTIONS)
    .client_request_timeout(HEAD_TIME)
    .shutdown_timeout(1)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

#[get("/metrics")]
async fn metrics(app: web::Data<App>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .content_type(MEDIA_TYPE)
        .body(app.metrics_page().await)
}
