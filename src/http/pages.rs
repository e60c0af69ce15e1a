//! Pages for maintainers who signed in: dates, people and states; never notice text or a fix.
//!
//! Signing in opens a challenge with the maintainer's own program. The session is a `__Host-` cookie; forms
//! are accepted from this server's own pages only.

use std::future::ready;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{self, LOCATION};
use actix_web::http::{StatusCode, header::HeaderMap};
use actix_web::web::ServiceConfig;
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, ResponseError, get, post, web};
use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::api::EmbargoPath;
use super::bodies::Room;
use super::problem::{self, Problem};
use super::rates::Work;
use super::{MAX_FORM, Parts};
use crate::app::Refusal;
use crate::app::TokenKind;
use crate::app::reports::{BoardReport, PackagerReport, PackagerState};
use crate::formats::signed_in::{
    self, AuditRow, Board, BoardRow, CertificateStep, ChallengeStep, DateRow, EmbargoBoard, ErrorView,
    FixRow, KeyFinding, PackagerRow, Standing,
};

const COOKIE: &str = "__Host-embargod";

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(login).service(certificate).service(answer).service(logout).service(boards).service(board);
}

fn html(status: StatusCode, page: Vec<u8>) -> HttpResponse {
    HttpResponse::build(status).content_type("text/html; charset=utf-8").body(page)
}

fn see(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
}

/// A refusal as a page.
fn failed(parts: &Parts, refusal: Refusal) -> HttpResponse {
    if matches!(refusal, Refusal::Unauthorised(_)) {
        return see("/login");
    }
    let problem = Problem::from(refusal);
    let (status, title, detail) = problem.parts();
    let view = ErrorView {
        status,
        title: title.to_owned(),
        what: detail.to_owned(),
        next: "Go back to the board, or sign in again.".to_owned(),
    };
    html(
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        signed_in::error(&view, &parts.site),
    )
}

/// Whether a form was sent from one of this server's own pages.
fn from_here(headers: &HeaderMap, base_url: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin == base_url,
        (None, None) => true,
    }
}

const ELSEWHERE: Refusal =
    Refusal::Forbidden("this form was sent from another site; open the page here and send it again");

fn session(request: &HttpRequest) -> Result<String, Refusal> {
    request
        .cookie(COOKIE)
        .map(|cookie| cookie.value().to_owned())
        .ok_or(Refusal::Unauthorised("sign in first"))
}

#[get("/login")]
async fn login(parts: web::Data<Parts>) -> HttpResponse {
    html(StatusCode::OK, signed_in::login_certificate(&CertificateStep::default(), &parts.site))
}

/// The first step again, with what went wrong.
fn not_signed_in(parts: &Parts, refusal: Refusal) -> HttpResponse {
    let problem = Problem::from(refusal);
    let (status, _, detail) = problem.parts();
    let findings = problem.findings().iter().cloned().map(|finding| KeyFinding {
        weight: finding.weight,
        code: finding.code,
        component: finding.component,
        problem: finding.problem,
        gpg: finding.gpg,
        sq: finding.sq,
    });
    let view = CertificateStep { error: Some(detail.to_owned()), findings: findings.collect() };
    let page = signed_in::login_certificate(&view, &parts.site);
    match StatusCode::from_u16(status) {
        // 401 would name a way to log in that browsers know; there is none.
        Ok(StatusCode::UNAUTHORIZED) | Err(_) => html(StatusCode::BAD_REQUEST, page),
        Ok(status) => html(status, page),
    }
}

/// Reads a form, which is large, after whoever sends it was charged.
async fn form<T: DeserializeOwned + 'static>(
    parts: &Parts,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(T, Room), HttpResponse> {
    let received = parts.receive(request, payload, MAX_FORM, problem::too_large).await;
    let (bytes, room) = received.map_err(|refused| ResponseError::error_response(&refused))?.into_parts();
    let whole = stream::once(ready(Ok(bytes.into()))).boxed_local();
    let read = web::Form::<T>::from_request(request, &mut whole.into()).await;
    read.map(|form| (form.into_inner(), room)).map_err(|error| error.error_response())
}

#[derive(Deserialize)]
struct CertificateForm {
    certificate: String,
}

#[post("/login")]
async fn certificate(request: HttpRequest, parts: web::Data<Parts>, payload: web::Payload) -> HttpResponse {
    if !from_here(request.headers(), &parts.app.settings.base_url) {
        return failed(&parts, ELSEWHERE);
    }
    if let Err(refusal) = parts.charge(&request, Work::Login) {
        return not_signed_in(&parts, refusal);
    }
    let (CertificateForm { certificate }, _room) = match form(&parts, &request, payload).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    match parts.app.challenge(certificate.into_bytes()).await {
        Ok(message) => {
            let view = ChallengeStep {
                // A form's text has lines of its own kind, and a page shows no carriage returns.
                challenge: String::from_utf8_lossy(&super::armored(&message)).replace('\r', ""),
                valid_until: parts.app.clock.now() + chrono::Duration::minutes(5),
                error: None,
            };
            html(StatusCode::OK, signed_in::login_challenge(&view, &parts.site))
        }
        Err(refusal) => not_signed_in(&parts, refusal),
    }
}

#[derive(Deserialize)]
struct AnswerForm {
    answer: String,
}

#[post("/login/answer")]
async fn answer(request: HttpRequest, parts: web::Data<Parts>, payload: web::Payload) -> HttpResponse {
    if !from_here(request.headers(), &parts.app.settings.base_url) {
        return failed(&parts, ELSEWHERE);
    }
    if let Err(refusal) = parts.charge(&request, Work::Login) {
        return not_signed_in(&parts, refusal);
    }
    let (AnswerForm { answer }, _room) = match form(&parts, &request, payload).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    match parts.app.token(answer.as_bytes(), TokenKind::Session, None).await {
        Ok(token) => {
            parts.askers.proved(&request);
            let cookie = Cookie::build(COOKIE, token)
                .path("/")
                .secure(true)
                .http_only(true)
                .same_site(SameSite::Strict)
                .max_age(actix_web::cookie::time::Duration::hours(8))
                .finish();
            let mut response = see("/board");
            if response.add_cookie(&cookie).is_err() {
                return failed(&parts, Refusal::Unavailable("the session could not be started".to_owned()));
            }
            response
        }
        Err(refusal) => not_signed_in(&parts, refusal),
    }
}

#[post("/logout")]
async fn logout(request: HttpRequest, parts: web::Data<Parts>) -> HttpResponse {
    if !from_here(request.headers(), &parts.app.settings.base_url) {
        return failed(&parts, ELSEWHERE);
    }
    if let Ok(token) = session(&request) {
        match parts.app.revoke(&token, TokenKind::Session).await {
            // One that has ended already is what was asked for.
            Ok(()) | Err(Refusal::Unauthorised(_)) => {}
            Err(refusal) => return failed(&parts, refusal),
        }
    }
    let mut response = HttpResponse::SeeOther();
    response.insert_header((LOCATION, "/login"));
    response.insert_header((
        header::SET_COOKIE,
        "__Host-embargod=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0",
    ));
    response.finish()
}

#[get("/board")]
async fn boards(request: HttpRequest, parts: web::Data<Parts>) -> HttpResponse {
    let read = async { parts.app.boards(session(&request)?).await };
    match read.await {
        Ok(reports) => {
            let view = Board {
                viewer: reports.first().map_or_else(String::new, |report| report.viewer.clone()),
                now: parts.app.clock.now(),
                rows: reports.iter().map(row).collect(),
            };
            html(StatusCode::OK, signed_in::board(&view, &parts.site))
        }
        Err(refusal) => failed(&parts, refusal),
    }
}

#[get("/board/{id}")]
async fn board(request: HttpRequest, parts: web::Data<Parts>, id: EmbargoPath) -> HttpResponse {
    let read = async { parts.app.board(session(&request)?, id.0).await };
    match read.await {
        Ok(report) => html(StatusCode::OK, signed_in::embargo(&whole(&report), &parts.site)),
        Err(refusal) => failed(&parts, refusal),
    }
}

fn standing(packager: &PackagerReport) -> Standing {
    let why = packager.trouble.clone();
    match packager.state {
        PackagerState::Waiting => Standing::Waiting,
        PackagerState::Told => Standing::Told,
        PackagerState::Answered => Standing::Answered,
        PackagerState::Silent => Standing::Silent(why),
        PackagerState::Blocked => Standing::Blocked(why),
        PackagerState::Uncertain | PackagerState::Failed => Standing::Failed(why),
    }
}

fn flags(report: &BoardReport) -> Vec<String> {
    let holds = report.holds.iter().map(|hold| match &hold.reason {
        Some(reason) => format!("{}: {reason}", hold.kind.describe()),
        None => hold.kind.describe().to_owned(),
    });
    let packagers = report.packagers.iter().filter(|packager| !packager.trouble.is_empty());
    let left_out = report.case.content.left_out.iter();
    holds
        .chain(left_out.map(|what| format!("Published without {what}: it could not be made")))
        .chain(packagers.map(|packager| format!("{}: {}", packager.packager.name, packager.trouble)))
        .collect()
}

fn revision(report: &BoardReport) -> Option<u32> {
    use crate::domain::embargo::Stage;
    match &report.case.embargo.stage {
        Stage::Announced { revision, .. } | Stage::Lifted { revision, .. } => Some(*revision),
        Stage::Scheduled { frozen, .. } => *frozen,
        Stage::Draft | Stage::Cancelled { .. } => None,
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn row(report: &BoardReport) -> BoardRow {
    BoardRow {
        id: report.case.embargo.id.to_string(),
        project: report.case.project.name.clone(),
        title: report.case.content.text.title.clone(),
        stage: report.case.embargo.stage.name(),
        lifts_at: report.case.embargo.stage.schedule().map(|schedule| schedule.lifts_at),
        zone: report.case.project.policy.zone,
        revision: revision(report),
        told: count(report.packagers.iter().filter(|packager| packager.told_at.is_some()).count()),
        audience: count(report.packagers.len()),
        flags: flags(report),
    }
}

fn whole(report: &BoardReport) -> EmbargoBoard {
    EmbargoBoard {
        viewer: report.viewer.clone(),
        now: report.now,
        id: report.case.embargo.id.to_string(),
        project: report.case.project.name.clone(),
        title: report.case.content.text.title.clone(),
        stage: report.case.embargo.stage.name(),
        lifts_at: report.case.embargo.stage.schedule().map(|schedule| schedule.lifts_at),
        zones: vec![report.case.project.policy.zone],
        revision: revision(report),
        flags: flags(report),
        missing: report.case.missing.iter().map(crate::domain::case::Missing::cure).collect(),
        packagers: report
            .packagers
            .iter()
            .map(|packager| PackagerRow {
                name: packager.packager.name.clone(),
                told_at: packager.told_at,
                receipt_at: packager.said.receipt.map(|(_, at)| at),
                receipt_revision: packager.said.receipt.map(|(number, _)| number),
                impact: packager.said.impact,
                progress: packager.said.progress,
                standing: standing(packager),
            })
            .collect(),
        fixes: report
            .case
            .fixes
            .iter()
            .map(|fix| FixRow {
                branch: fix.content.branch.clone(),
                size: fix.content.facts.size,
                patches: fix.content.facts.patches.len(),
            })
            .collect(),
        dates: report
            .dates
            .iter()
            .map(|date| DateRow {
                at: date.lifts_at,
                offered: date.legal,
                reason: date.refusal().unwrap_or_else(|| "legal under the project's policy".to_owned()),
            })
            .collect(),
        audit: report
            .audit
            .iter()
            .map(|record| AuditRow { at: record.at, who: record.actor.clone(), what: record.action.clone() })
            .collect(),
    }
}
