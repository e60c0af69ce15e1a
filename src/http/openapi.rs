//! The OpenAPI document, made from the handlers. It is served, and committed so that a change is seen.

use std::sync::LazyLock;

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::api::{application, login, maintainer, packager};
use super::public;
use crate::wire;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "embargod",
        description = "Holds security fixes under embargo, tells every packager in time, and lifts by itself. \
                       Embargoed matter crosses the wire only inside OpenPGP, both ways.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    ),
    paths(
        public::index, public::advisory, public::advisory_file, public::atom, public::key,
        public::livez, public::readyz, public::document,
        login::challenge, login::token, login::end_token, application::apply,
        packager::list, packager::embargo, packager::notice, packager::fix,
        packager::receipt, packager::impact, packager::progress,
        maintainer::open, maintainer::put_text, maintainer::put_fix, maintainer::send, maintainer::schedule,
        maintainer::lift_early, maintainer::cancel, maintainer::put_audience, maintainer::put_credits,
        maintainer::dates, maintainer::deliveries, maintainer::audit,
    ),
    components(schemas(
        wire::OpenEmbargo, wire::PutFix, wire::SendRevision, wire::PutSchedule, wire::LiftEarly, wire::Cancel,
        wire::PutAudience, wire::PutCredits, wire::CaseView, wire::DatesView, wire::DeliveriesView, wire::AuditView,
    )),
    modifiers(&Bearer),
    tags(
        (name = "public", description = "What everybody may read: published rows and nothing else"),
        (name = "login", description = "A certificate in, a challenge out; the opened challenge in, a token or an application out"),
        (name = "embargoes", description = "Reads by token"),
        (name = "answers", description = "What packagers say, against the code from the notice"),
        (name = "commands", description = "Changes, by signed command"),
        (name = "operations", description = "How the server is"),
    )
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// The document as pretty JSON, with a line end.
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let mut json = Document::openapi().to_pretty_json().unwrap_or_default();
        json.push('\n');
        json
    });
    &DOCUMENT
}
