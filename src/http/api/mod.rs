//! Version 1 of the API. Who may call is in the argument types: a [`Token`], or a signed command.

pub(super) mod application;
mod extract;
pub(super) mod login;
pub(super) mod maintainer;
pub(super) mod packager;

use actix_web::web::ServiceConfig;

pub(super) use extract::{EmbargoPath, Token};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(login::challenge)
        .service(login::token)
        .service(login::end_token)
        .service(application::apply)
        .service(packager::list)
        .service(packager::embargo)
        .service(packager::notice)
        .service(packager::fix)
        .service(packager::receipt)
        .service(packager::impact)
        .service(packager::progress)
        .service(maintainer::open)
        .service(maintainer::put_text)
        .service(maintainer::put_fix)
        .service(maintainer::send)
        .service(maintainer::schedule)
        .service(maintainer::lift_early)
        .service(maintainer::cancel)
        .service(maintainer::put_audience)
        .service(maintainer::put_credits)
        .service(maintainer::dates)
        .service(maintainer::deliveries)
        .service(maintainer::audit);
}
