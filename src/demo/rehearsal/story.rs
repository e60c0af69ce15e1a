//! The story: one embargo from opening to lift, step by step, each checked before it is told.

use chrono::{DateTime, Duration, Utc};

use super::cast::{Actor, bearer};
use super::evidence::{self, Early};
use super::script::Script;
use super::stage::Stage;
use super::{Fault, cast};
use crate::domain::instant::{display_duration, display_instant};
use crate::wire;

const JSON: &str = "application/json";
const ZONE: chrono_tz::Tz = chrono_tz::Europe::Berlin;

/// Plays the whole week.
pub(super) async fn play(stage: &mut Stage, script: &mut Script) -> Result<(), Fault> {
    let id = open(stage, script).await?;
    let lifts_at = choose_a_date(stage, script, &id).await?;
    let told_at = announce(stage, script, &id, lifts_at).await?;
    let mut early = Early::default();
    early.scan(stage).await?;
    fetch(stage, script, &id, told_at).await?;
    receipt(stage, script, &id, told_at).await?;
    revise(stage, script, &id, told_at).await?;
    early.scan(stage).await?;
    count_down(stage, script, &id, lifts_at, &mut early).await?;
    lift(stage, script, &id, lifts_at).await?;
    let found = evidence::after_the_lift(stage).await?;
    script.step(
        stage.now(),
        "scanned",
        &format!(
            "{} scans of database, log, mail outside ciphertext and every public address; \
             the scanner first found {} planted words",
            early.scans, early.planted
        ),
    );
    script.say(&format!(
        "\nNothing was readable early: {} canary words, 0 found before the lift, all {} public ones after it",
        stage.material.all().len(),
        found
    ));
    Ok(())
}

/// A command that must be carried out.
async fn command<T: serde::Serialize>(
    stage: &Stage,
    method: &str,
    path: &str,
    body: &T,
) -> Result<wire::CaseView, Fault> {
    let body = serde_json::to_vec(body).map_err(Fault::because("a command was written"))?;
    match stage.line.command(&stage.maintainer, method, path, (JSON, body)).await? {
        Ok(case) => Ok(case),
        Err(problem) => Err(Fault(format!("the server carried out {method}: {}", problem.detail))),
    }
}

/// A command that must be refused; returns why it was.
async fn refused<T: serde::Serialize>(
    stage: &Stage,
    method: &str,
    path: &str,
    body: &T,
) -> Result<String, Fault> {
    let body = serde_json::to_vec(body).map_err(Fault::because("a command was written"))?;
    match stage.line.command(&stage.maintainer, method, path, (JSON, body)).await? {
        Ok(_) => Err(Fault(format!("{method} {path} was refused"))),
        Err(problem) => Ok(problem.detail),
    }
}

async fn put_fix(stage: &Stage, id: &str, branch: &str, mbox: &[u8]) -> Result<wire::CaseView, Fault> {
    let signature = stage
        .maintainer
        .person
        .sign_detached(mbox, stage.now())
        .map_err(Fault::because("a fix was signed"))?;
    let body = wire::PutFix {
        branch: branch.to_owned(),
        mbox: Some(base64_simd::STANDARD.encode_to_string(mbox)),
        signature: Some(signature),
        ..wire::PutFix::default()
    };
    command(stage, "PUT", &format!("/api/v1/embargoes/{id}/fixes"), &body).await
}

async fn open(stage: &Stage, script: &mut Script) -> Result<String, Fault> {
    let body = wire::OpenEmbargo { project: "widgetlib".to_owned(), text: Some(stage.material.text()) };
    let case = command(stage, "POST", "/api/v1/embargoes", &body).await?;
    let id = case.neutral.id;
    put_fix(stage, &id, "main", &stage.material.main_fix()).await?;
    let case = put_fix(stage, &id, "2.x", &stage.material.old_fix()).await?;
    let credits = stage.material.credits();
    command(stage, "PUT", &format!("/api/v1/embargoes/{id}/credits"), &credits).await?;
    let branches: Vec<&str> = case.working_set.iter().rev().map(|fix| fix.branch.as_str()).collect();
    script.step(
        stage.now(),
        "opened",
        &format!(
            "widgetlib: header injection in Widget.render · {id} · fixes for {} · credit: \"nightfox\" (alias, consented)",
            branches.join(", ")
        ),
    );
    Ok(id)
}

async fn choose_a_date(stage: &Stage, script: &mut Script, id: &str) -> Result<DateTime<Utc>, Fault> {
    let path = format!("/api/v1/embargoes/{id}/schedule");
    let day = |days: i64, weekdays: &[chrono::Weekday]| {
        use chrono::Datelike as _;
        let mut date = (stage.now() + Duration::days(days)).date_naive();
        while !weekdays.contains(&date.weekday()) {
            date += Duration::days(1);
        }
        date
    };
    let saturday = day(9, &[chrono::Weekday::Sat]);
    let soon = day(2, &[chrono::Weekday::Tue, chrono::Weekday::Wed, chrono::Weekday::Thu]);
    let mut offered = String::new();
    for (date, label) in [(saturday, "Sat"), (soon, "soon")] {
        let typed = format!("{date} 14:00");
        let body = wire::PutSchedule { lifts_at: typed.clone(), reason: None };
        let why = refused(stage, "PUT", &path, &body).await?;
        let (why, offers) = why.split_once("; offered: ").unwrap_or((why.as_str(), ""));
        let named = if label == "Sat" { "Saturday" } else { "the policy promises" };
        if !why.contains(named) || offers.matches("UTC").count() != 3 {
            return Err(Fault(format!(
                "a refused date said why and offered three others (it said: {why}; {offers})"
            )));
        }
        script.step(stage.now(), "date refused", why);
        offers.clone_into(&mut offered);
    }
    script.step(stage.now(), "offered", &offered);
    let token = stage.line.login(&stage.maintainer).await?;
    let dates = stage
        .line
        .call("GET", &format!("/api/v1/embargoes/{id}/dates"), &[bearer(&token)], Vec::new())
        .await?;
    let dates: wire::DatesView =
        serde_json::from_slice(&stage.line.open(&stage.maintainer, &dates.expect(200)?)?)
            .map_err(Fault::because("offered dates were read"))?;
    let chosen = dates
        .offers
        .iter()
        .find(|offer| !offer.notice_due_now)
        .or(dates.offers.last())
        .ok_or_else(|| Fault::new("dates were offered"))?;
    let body = wire::PutSchedule { lifts_at: chosen.lifts_at.to_rfc3339(), reason: None };
    command(stage, "PUT", &path, &body).await?;
    script.step(
        stage.now(),
        "scheduled",
        &format!(
            "{} · notice {}",
            display_instant(chosen.lifts_at, ZONE),
            if chosen.notice_due_now {
                "due now".to_owned()
            } else {
                display_instant(chosen.notice_at, ZONE)
            }
        ),
    );
    Ok(chosen.lifts_at)
}

async fn announce(
    stage: &Stage,
    script: &mut Script,
    id: &str,
    lifts_at: DateTime<Utc>,
) -> Result<DateTime<Utc>, Fault> {
    let body = wire::SendRevision::default();
    let case = command(stage, "POST", &format!("/api/v1/embargoes/{id}/revisions"), &body).await?;
    if let Some(remark) = case.remarks.first() {
        script.step(stage.now(), "frozen", remark);
    }
    let due = case.neutral.notice_at.unwrap_or_else(|| stage.now()).max(stage.now());
    stage.pass(due).await?;
    for actor in &stage.packagers {
        let mails = stage.sink.for_recipient(&actor.address);
        if mails.len() != 1 {
            return Err(Fault(format!("{} was told once (got {} mails)", actor.name, mails.len())));
        }
        script.step(
            stage.now(),
            "told",
            &format!("{:<8} {:<26} accepted by relay · {}", actor.name, actor.address, actor.algorithm),
        );
    }
    if let Some(address) = &stage.visitor {
        if stage.sink.for_recipient(address).is_empty() {
            return Err(Fault::new("you were told"));
        }
        script.step(
            stage.now(),
            "told",
            &format!("{:<8} {address:<26} accepted by relay · only your key opens it", "You"),
        );
    }
    let debian = &stage.packagers[0];
    let (notice, code) = read_notice(stage, debian)?;
    let patches = notice.attachments().len();
    script.step(
        stage.now(),
        "opened one",
        &format!(
            "as {}: signature good, {patches} patches, CRD {}, receipt code {code}",
            debian.name,
            display_instant(lifts_at, ZONE)
        ),
    );
    for other in &stage.packagers[1..] {
        if stage.line.read_mail(other, &stage.sink.for_recipient(&debian.address)[0]).is_ok() {
            return Err(Fault(format!("{} cannot open what was sent to {}", other.name, debian.name)));
        }
    }
    Ok(stage.now())
}

/// The newest notice a packager got, and its receipt code.
fn read_notice(stage: &Stage, actor: &Actor) -> Result<(crate::mail::Part, String), Fault> {
    let mails = stage.sink.for_recipient(&actor.address);
    let newest = mails.last().ok_or_else(|| Fault::new("a notice arrived"))?;
    let notice = stage.line.read_mail(actor, newest)?;
    let text = notice.text().ok_or_else(|| Fault::new("a notice has a text"))?;
    let code = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Receipt code: ").map(str::to_owned))
        .ok_or_else(|| Fault::new("a notice names its receipt code"))?;
    Ok((notice, code))
}

async fn fetch(stage: &Stage, script: &mut Script, id: &str, told_at: DateTime<Utc>) -> Result<(), Fault> {
    stage.pass(told_at + Duration::minutes(140)).await?;
    let debian = &stage.packagers[0];
    let token = stage.line.login(debian).await?;
    let path = format!("/api/v1/embargoes/{id}");
    let neutral = stage.line.call("GET", &path, &[bearer(&token)], Vec::new()).await?.expect(200)?;
    let neutral: wire::NeutralEmbargo =
        serde_json::from_slice(&neutral).map_err(Fault::because("metadata was read"))?;
    let mut fetched = 0;
    for fix in &neutral.fixes {
        let path = format!("/api/v1/embargoes/{id}/revisions/1/fixes/{}", fix.id);
        let message = stage.line.call("GET", &path, &[bearer(&token)], Vec::new()).await?.expect(200)?;
        let mbox = stage.line.open(debian, &message)?;
        if mbox != stage.material.main_fix() && mbox != stage.material.old_fix() {
            return Err(Fault::new("the fetched fix is byte-identical to the upload"));
        }
        fetched += mbox.len();
    }
    script.step(
        stage.now(),
        debian.name,
        &format!(
            "logged in by challenge, fetched {} fixes over HTTP: {fetched} bytes, identical to the upload",
            neutral.fixes.len()
        ),
    );
    let (_, code) = read_notice(stage, debian)?;
    answer(stage, &token, id, "receipt", &wire::PutReceipt { revision: 1, code }).await
}

async fn answer<T: serde::Serialize>(
    stage: &Stage,
    token: &str,
    id: &str,
    what: &str,
    body: &T,
) -> Result<(), Fault> {
    let body = serde_json::to_vec(body).map_err(Fault::because("an answer was written"))?;
    let headers = [cast::bearer(token), ("content-type", JSON.to_owned())];
    stage.line.call("PUT", &format!("/api/v1/embargoes/{id}/{what}"), &headers, body).await?.expect(200)?;
    Ok(())
}

async fn receipt(stage: &Stage, script: &mut Script, id: &str, told_at: DateTime<Utc>) -> Result<(), Fault> {
    stage.pass(told_at + Duration::hours(20)).await?;
    let red_hat = &stage.packagers[1];
    let token = stage.line.login(red_hat).await?;
    let (_, code) = read_notice(stage, red_hat)?;
    let wrong = serde_json::json!({ "revision": 1, "code": "000-000" }).to_string().into_bytes();
    let headers = [cast::bearer(&token), ("content-type", JSON.to_owned())];
    stage.line.call("PUT", &format!("/api/v1/embargoes/{id}/receipt"), &headers, wrong).await?.expect(400)?;
    answer(stage, &token, id, "receipt", &wire::PutReceipt { revision: 1, code: code.clone() }).await?;
    answer(
        stage,
        &token,
        id,
        "impact",
        &wire::PutImpact { code: code.clone(), impact: "affected".to_owned() },
    )
    .await?;
    answer(stage, &token, id, "progress", &wire::PutProgress { code, progress: "building".to_owned() })
        .await?;
    script.step(stage.now(), red_hat.name, "receipt · impact: affected · progress: building");
    Ok(())
}

async fn revise(stage: &Stage, script: &mut Script, id: &str, told_at: DateTime<Utc>) -> Result<(), Fault> {
    stage.pass(told_at + Duration::hours(70)).await?;
    put_fix(stage, id, "2.x", &stage.material.old_fix_again()).await?;
    let body = wire::SendRevision { reason: Some(stage.material.revision_reason()), now: false };
    command(stage, "POST", &format!("/api/v1/embargoes/{id}/revisions"), &body).await?;
    stage.pass(stage.now()).await?;
    for actor in &stage.packagers {
        let (notice, _) = read_notice(stage, actor)?;
        let text = notice.text().unwrap_or_default();
        if stage.sink.for_recipient(&actor.address).len() != 2 || !text.contains("HOW THE FIXES DIFFER") {
            return Err(Fault(format!("{} got revision 2 with the difference", actor.name)));
        }
    }
    let mut count = stage.packagers.len();
    if let Some(address) = &stage.visitor {
        if stage.sink.for_recipient(address).len() != 2 {
            return Err(Fault::new("you got revision 2"));
        }
        count += 1;
    }
    script.step(
        stage.now(),
        "revision 2",
        &format!("the 2.x patch missed a case · sent to {count} of {count}, range-diff inside"),
    );
    // Both who answer have read the second one too; the third stays silent.
    for actor in &stage.packagers[..2] {
        let token = stage.line.login(actor).await?;
        let (_, code) = read_notice(stage, actor)?;
        answer(stage, &token, id, "receipt", &wire::PutReceipt { revision: 2, code }).await?;
    }
    Ok(())
}

/// The board, as the maintainer reads it.
async fn board(stage: &Stage, id: &str) -> Result<wire::DeliveriesView, Fault> {
    let token = stage.line.login(&stage.maintainer).await?;
    let path = format!("/api/v1/embargoes/{id}/deliveries");
    let message = stage.line.call("GET", &path, &[bearer(&token)], Vec::new()).await?.expect(200)?;
    serde_json::from_slice(&stage.line.open(&stage.maintainer, &message)?)
        .map_err(Fault::because("the board was read"))
}

async fn count_down(
    stage: &Stage,
    script: &mut Script,
    id: &str,
    lifts_at: DateTime<Utc>,
    early: &mut Early,
) -> Result<(), Fault> {
    let mut shown_silent = false;
    for before in [Duration::days(3), Duration::days(1), Duration::hours(1), Duration::seconds(1)] {
        if lifts_at - before <= stage.now() {
            continue;
        }
        stage.pass(lifts_at - before).await?;
        let board = board(stage, id).await?;
        let silent: Vec<_> = board.packagers.iter().filter(|packager| packager.state == "silent").collect();
        let answered = board.packagers.iter().filter(|packager| packager.state == "answered").count();
        let left = if before < Duration::minutes(1) { "1 s".to_owned() } else { display_duration(before) };
        script.step(
            stage.now(),
            "countdown",
            &format!("{left} left · {answered} answered, {} silent", silent.len()),
        );
        if before == Duration::days(1) {
            let names: Vec<&str> = silent.iter().map(|packager| packager.packager.as_str()).collect();
            if !names.contains(&"alpine") {
                return Err(Fault(format!("Alpine's silence shows on the board (silent: {names:?})")));
            }
            for packager in &silent {
                script.alarm(stage.now(), "SILENT", &format!("{}: {}", packager.name, packager.trouble));
            }
            shown_silent = true;
        }
        early.scan(stage).await?;
    }
    if shown_silent { Ok(()) } else { Err(Fault::new("the countdown reached its last day")) }
}

async fn lift(stage: &Stage, script: &mut Script, id: &str, lifts_at: DateTime<Utc>) -> Result<(), Fault> {
    let told = board(stage, id).await?;
    let done = stage.pass(lifts_at).await?;
    let [advisory] = done.lifted.as_slice() else {
        return Err(Fault(format!(
            "the embargo lifted by itself at its instant (lifted: {:?})",
            done.lifted
        )));
    };
    stage.line.get(&format!("/advisories/{advisory}")).await?.expect(200)?;
    script.step(
        stage.now(),
        "LIFTED",
        &format!("{advisory} · page, JSON, feed, changelog, fixes, signatures"),
    );
    let mut shown = Vec::new();
    for packager in &told.packagers {
        let told_at = packager.told_at.ok_or_else(|| Fault(format!("{} was told", packager.name)))?;
        let had = lifts_at - told_at;
        if had < Duration::days(7) {
            return Err(Fault(format!(
                "{} had seven days (it had {})",
                packager.name,
                display_duration(had)
            )));
        }
        shown.push(format!("{} {}", packager.name, display_duration(had)));
    }
    script.step(stage.now(), "told before", &shown.join(" · "));
    Ok(())
}
