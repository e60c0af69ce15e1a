//! The lines that people read.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::report::{Cell, Paint, columns, countdown, instant, line, plain, red, short, thousands, zone};
use crate::wire::{
    AuditView, CaseView, DateView, DatesView, DeliveriesView, FixView, NeutralEmbargo, NeutralList, OwnState,
    PackagerState,
};

/// All embargoes, one a line.
pub(super) fn list(list: &NeutralList, now: DateTime<Utc>, paint: Paint) -> String {
    if list.embargoes.is_empty() {
        return "no embargo that you may know of\n".to_owned();
    }
    let row = |embargo: &NeutralEmbargo| {
        let date = embargo.lifts_at.map(|at| format!("CRD {}", instant(at, Tz::UTC))).unwrap_or_default();
        let own = match &embargo.own {
            Some(own) if own.receipt_revision < embargo.revision => red("no receipt"),
            Some(own) => plain(own_state(own, now)),
            None => plain(""),
        };
        let ahead = embargo.ended_at.is_none();
        let left = embargo.lifts_at.filter(|_| ahead).map(|at| countdown(at, now)).unwrap_or_default();
        let revision = embargo.revision.map(|revision| format!("revision {revision}")).unwrap_or_default();
        vec![plain(&embargo.id), plain(&embargo.stage), plain(date), plain(left), plain(revision), own]
    };
    columns(&list.embargoes.iter().map(row).collect::<Vec<_>>(), 0, paint)
}

/// An embargo as a packager sees it.
pub(super) fn neutral(embargo: &NeutralEmbargo, now: DateTime<Utc>, paint: Paint) -> String {
    let mut text = format!("{}  {}\n", embargo.id, standing(embargo, Tz::UTC, now));
    let fixes = embargo
        .fixes
        .iter()
        .map(|fix| vec![plain("fix"), plain(&fix.id), plain(format!("{} bytes", thousands(fix.size)))]);
    text += &columns(&fixes.collect::<Vec<_>>(), 2, paint);
    if let Some(own) = &embargo.own {
        let said = own_state(own, now);
        let missing = own.receipt_revision < embargo.revision;
        text += &columns(&[vec![plain("you"), if missing { red(said) } else { plain(said) }]], 2, paint);
    }
    if embargo.revision.is_some() && embargo.ended_at.is_none() {
        let _ = writeln!(text, "  next  embargoctl pull {}", embargo.id);
    }
    text
}

/// A case as its maintainers see it.
pub(super) fn case(
    case: &CaseView,
    deliveries: Option<&DeliveriesView>,
    now: DateTime<Utc>,
    paint: Paint,
) -> String {
    let zone = zone(&case.zone);
    let mut text = format!("{}  {}\n", case.neutral.id, line(&case.title));
    let _ = writeln!(text, "  {} · {}", standing(&case.neutral, zone, now), line(&case.project));
    text += &notice_due(&case.neutral, zone, now);
    let mut rows = Vec::new();
    for fix in &case.working_set {
        rows.push(vec![plain("fix"), plain(&fix.branch), plain(fix_facts(fix))]);
        rows.extend(
            fix.remarks.iter().map(|remark| vec![plain(""), plain(""), red(format!("warn  {remark}"))]),
        );
    }
    let waivers = case.waivers.iter();
    rows.extend(waivers.map(|waiver| vec![plain("no fix"), plain(&waiver.branch), plain(&waiver.reason)]));
    for credit in &case.credits {
        let shown =
            credit.shown_as.as_deref().map_or("not published".to_owned(), |name| format!("as \"{name}\""));
        rows.push(vec![plain("credit"), plain(&credit.person), plain(format!("{} · {shown}", credit.role))]);
    }
    if deliveries.is_none() {
        rows.push(vec![plain("to tell"), plain(case.audience.join(" "))]);
    }
    text += &columns(&rows, 2, paint);
    if let Some(deliveries) = deliveries {
        text += &packagers(&deliveries.packagers, now, paint);
    }
    let left_out = case.left_out.iter();
    let left_out = left_out.map(|what| vec![red("left out"), plain(format!("{what}: it could not be made"))]);
    text += &columns(&left_out.collect::<Vec<_>>(), 2, paint);
    text + &missing(case, paint)
}

/// What a change is answered with.
pub(super) fn after_change(case: &CaseView, now: DateTime<Utc>, paint: Paint) -> String {
    let zone = zone(&case.zone);
    let mut text = format!("{}  {}\n", case.neutral.id, standing(&case.neutral, zone, now));
    text += &notice_due(&case.neutral, zone, now);
    text += &remarks(&case.remarks, paint);
    text + &missing(case, paint)
}

/// When the first notice is due, while it is still ahead.
fn notice_due(embargo: &NeutralEmbargo, zone: Tz, now: DateTime<Utc>) -> String {
    let ahead = embargo.announced_at.is_none() && embargo.ended_at.is_none();
    embargo.notice_at.filter(|_| ahead).map_or_else(String::new, |at| {
        format!("  notice due {} · {}\n", instant(at, zone), countdown(at, now))
    })
}

/// Sentences that want to be read.
pub(super) fn remarks(remarks: &[String], paint: Paint) -> String {
    let rows: Vec<_> = remarks.iter().map(|remark| vec![red("note"), plain(remark)]).collect();
    columns(&rows, 2, paint)
}

fn missing(case: &CaseView, paint: Paint) -> String {
    if case.neutral.ended_at.is_some() {
        return String::new();
    }
    let rows: Vec<_> = case.missing.iter().map(|missing| vec![red("missing"), plain(missing)]).collect();
    columns(&rows, 2, paint)
}

/// `announced · CRD Tue 24 Nov 2026 15:00 UTC (16:00 Berlin) · in 7 d 22 h · revision 1`; what is over has
/// its end instead.
fn standing(embargo: &NeutralEmbargo, zone: Tz, now: DateTime<Utc>) -> String {
    let mut pieces = vec![line(&embargo.stage)];
    match (embargo.ended_at, embargo.lifts_at) {
        (Some(at), _) => pieces.push(instant(at, zone)),
        (None, Some(at)) => pieces.push(format!("CRD {} · {}", instant(at, zone), countdown(at, now))),
        (None, None) => pieces.push("no date yet".to_owned()),
    }
    pieces.extend(embargo.revision.map(|revision| format!("revision {revision}")));
    pieces.extend(embargo.advisory.as_deref().map(line));
    pieces.join(" · ")
}

/// `3 patches, 2 files, 4,212 bytes · patch-id 81c0f3a2`.
pub(super) fn fix_facts(fix: &FixView) -> String {
    let counted =
        |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let ids: Vec<&str> = fix.patch_ids.iter().map(|id| id.get(..8).unwrap_or(id)).collect();
    let ids = if ids.is_empty() { String::new() } else { format!(" · patch-id {}", ids.join(" ")) };
    let patches = counted(fix.subjects.len().max(fix.patch_ids.len()), "patch", "patches");
    format!("{patches}, {}, {} bytes{ids}", counted(fix.files, "file", "files"), thousands(fix.size))
}

/// `receipt 15:40 · affected · building`.
pub(super) fn own_state(own: &OwnState, now: DateTime<Utc>) -> String {
    let receipt = match (own.receipt_revision, own.receipt_at) {
        (Some(revision), Some(at)) => format!("receipt {} (revision {revision})", short(at, now)),
        (Some(revision), None) => format!("receipt (revision {revision})"),
        (None, _) => "no receipt".to_owned(),
    };
    let mut pieces = vec![receipt];
    let said = |word: &str| !matches!(word, "" | "unknown" | "none");
    pieces.extend([&own.impact, &own.progress].into_iter().filter(|word| said(word)).map(|word| line(word)));
    pieces.join(" · ")
}

fn packagers(packagers: &[PackagerState], now: DateTime<Utc>, paint: Paint) -> String {
    let row = |packager: &PackagerState| -> Vec<Cell> {
        let name = plain(if packager.name.is_empty() { &packager.packager } else { &packager.name });
        let told = packager.told_at.map(|at| plain(format!("told {}", short(at, now))));
        let mut row = vec![name, told.unwrap_or_else(|| plain("not told"))];
        match packager.state.as_str() {
            "told" | "answered" | "waiting" if packager.trouble.is_empty() => {
                let said = &packager.said;
                let receipt = said.receipt_at.map(|at| {
                    let revision = said.receipt_revision.unwrap_or_default();
                    format!("receipt {} (revision {revision})", short(at, now))
                });
                row.push(plain(receipt.unwrap_or_else(|| packager.state.clone())));
                row.push(plain(Some(&said.impact).filter(|it| *it != "unknown").map_or("", |it| it)));
                row.push(plain(Some(&said.progress).filter(|it| *it != "none").map_or("", |it| it)));
            }
            state => row.extend([red(state.to_uppercase()), plain(&packager.trouble)]),
        }
        row
    };
    columns(&packagers.iter().map(row).collect::<Vec<_>>(), 2, paint)
}

/// Legal dates, and the judgement of one that was asked about.
pub(super) fn dates(dates: &DatesView, paint: Paint) -> String {
    let mut rows = Vec::new();
    for date in dates.asked.iter().chain(&dates.offers) {
        rows.extend(date_rows(date));
    }
    if rows.is_empty() {
        return "no legal date within reach; embargoctl dates ID --at WHEN says why\n".to_owned();
    }
    columns(&rows, 2, paint)
}

fn date_rows(date: &DateView) -> Vec<Vec<Cell>> {
    let notice = if date.notice_due_now {
        format!("notice due now, {} for packagers", date.packagers_have)
    } else {
        format!("notice {}, {} for packagers", instant(date.notice_at, Tz::UTC), date.packagers_have)
    };
    if date.legal {
        return vec![vec![plain(&date.text), plain("offered"), plain(notice)]];
    }
    let mut reasons = date.broken_rules.iter();
    let first = reasons.next().map_or("", String::as_str);
    let mut rows = vec![vec![plain(&date.text), red("refused"), plain(first)]];
    rows.extend(reasons.map(|reason| vec![plain(""), plain(""), plain(reason)]));
    rows
}

/// Packagers, then every copy.
pub(super) fn deliveries(deliveries: &DeliveriesView, now: DateTime<Utc>, paint: Paint) -> String {
    let mut text = packagers(&deliveries.packagers, now, paint);
    let copies = deliveries.deliveries.iter().map(|copy| {
        let revision = copy.revision.map(|revision| format!(" {revision}")).unwrap_or_default();
        let state = match copy.state.as_str() {
            "blocked" | "uncertain" | "failed" => red(copy.state.to_uppercase()),
            state => plain(state),
        };
        let at = copy.accepted_at.map(|at| short(at, now)).unwrap_or_default();
        let tries = tries(copy, now);
        let kind = plain(format!("{}{revision}", copy.kind));
        vec![
            kind,
            plain(&copy.recipient),
            plain(&copy.address),
            state,
            plain(at),
            plain(tries),
            plain(&copy.reply),
        ]
    });
    let copies = columns(&copies.collect::<Vec<_>>(), 2, paint);
    if !text.is_empty() && !copies.is_empty() {
        text.push('\n');
    }
    if text.is_empty() && copies.is_empty() { "nobody was told yet\n".to_owned() } else { text + &copies }
}

/// How often a copy was tried, how often its answer was lost, and when it is tried next.
fn tries(copy: &crate::wire::DeliveryView, now: DateTime<Utc>) -> String {
    let mut words = Vec::new();
    if copy.attempts > 1 {
        words.push(format!("{} attempts", copy.attempts));
    }
    if copy.uncertain > 0 {
        words.push(format!("{} without an answer", copy.uncertain));
    }
    if let Some(next) = copy.next_attempt_at.filter(|_| copy.attempts > 0) {
        words.push(format!("next {}", short(next, now)));
    }
    words.join(", ")
}

/// The audit log, the newest first.
pub(super) fn audit(audit: &AuditView, paint: Paint) -> String {
    let row = |entry: &crate::wire::AuditEntryView| {
        let at = entry.at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
        vec![
            plain(entry.sequence.to_string()),
            plain(at),
            plain(&entry.actor),
            plain(&entry.action),
            plain(&entry.object),
        ]
    };
    columns(&audit.entries.iter().map(row).collect::<Vec<_>>(), 0, paint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-16T17:00:00Z".parse().unwrap()
    }

    fn announced() -> CaseView {
        serde_json::from_value(serde_json::json!({
            "id": "b7k2-9fq1", "stage": "announced", "version": 9, "lifts_at": "2026-11-24T15:00:00Z",
            "announced_at": "2026-11-16T15:02:00Z", "revision": 1, "project": "widgetlib",
            "zone": "Europe/Berlin", "title": "Header\u{1b} injection", "text": "", "working_set": [{
                "id": "f", "branch": "main", "size": 4212, "sha256": "", "subjects": ["s", "t"],
                "patch_ids": ["81c0f3a2aa"], "files": 1, "remarks": [], "signer": "77AC",
            }], "waivers": [], "credits": [], "audience": ["debian"], "missing": [],
        }))
        .unwrap()
    }

    #[test]
    fn a_maintainer_sees_at_a_glance_who_was_told_and_who_was_not() {
        let deliveries: DeliveriesView = serde_json::from_value(serde_json::json!({
            "packagers": [
                { "packager": "debian", "name": "Debian", "told_at": "2026-11-16T15:02:00Z", "state": "told",
                  "said": { "receipt_revision": 1, "receipt_at": "2026-11-16T15:40:00Z",
                            "impact": "affected", "progress": "building" } },
                { "packager": "fedora", "name": "Fedora", "told_at": "2026-11-16T15:02:00Z", "state": "answered",
                  "said": { "receipt_revision": 1, "receipt_at": "2026-11-16T16:00:00Z",
                            "impact": "unknown", "progress": "none" } },
                { "packager": "gentoo", "name": "Gentoo", "state": "blocked", "trouble": "certificate expired",
                  "said": { "impact": "unknown", "progress": "none" } },
            ],
            "deliveries": [],
        }))
        .unwrap();
        let expected = "b7k2-9fq1  Header  injection\n  \
            announced · CRD Tue 24 Nov 2026 15:00 UTC (16:00 Berlin) · in 7 d 22 h · revision 1 · widgetlib\n  \
            fix  main  2 patches, 1 file, 4,212 bytes · patch-id 81c0f3a2\n  \
            Debian  told 15:02  receipt 15:40 (revision 1)  affected             building\n  \
            Fedora  told 15:02  receipt 16:00 (revision 1)\n  \
            Gentoo  not told    BLOCKED                     certificate expired\n";
        assert_eq!(case(&announced(), Some(&deliveries), now(), Paint(false)), expected);
    }

    #[test]
    fn what_a_lift_published_without_is_said() {
        let case_without = CaseView { left_out: vec!["the changelog entry".to_owned()], ..announced() };
        let text = case(&case_without, None, now(), Paint(false));
        assert!(text.ends_with("  left out  the changelog entry: it could not be made\n"), "{text}");
    }

    #[test]
    fn a_copy_whose_answer_was_lost_shows_how_often_and_when_it_goes_again() {
        let view: DeliveriesView = serde_json::from_value(serde_json::json!({
            "packagers": [],
            "deliveries": [{
                "kind": "announcement", "revision": 1, "recipient": "debian", "address": "s@debian.example",
                "state": "uncertain", "attempts": 2, "uncertain": 1, "reply": "no answer",
                "next_attempt_at": "2026-11-16T17:04:00Z",
            }],
        }))
        .unwrap();
        let expected = "  announcement 1  debian  s@debian.example  UNCERTAIN    \
            2 attempts, 1 without an answer, next 17:04  no answer\n";
        assert_eq!(deliveries(&view, now(), Paint(false)), expected);
    }

    #[test]
    fn a_packager_who_gave_a_receipt_for_an_older_revision_still_owes_one() {
        let mut embargo = announced().neutral;
        embargo.revision = Some(2);
        embargo.own = Some(OwnState { receipt_revision: Some(1), ..OwnState::default() });
        let shown = list(&NeutralList { embargoes: vec![embargo.clone()] }, now(), Paint(false));
        assert!(shown.ends_with("in 7 d 22 h  revision 2  no receipt\n"), "{shown}");
        embargo.revision = Some(1);
        let shown = list(&NeutralList { embargoes: vec![embargo] }, now(), Paint(false));
        assert!(shown.ends_with("revision 1  receipt (revision 1)\n"), "{shown}");
    }

    #[test]
    fn what_is_over_lacks_nothing_and_counts_down_to_nothing() {
        let mut over = announced();
        over.neutral.stage = "cancelled".to_owned();
        over.neutral.lifts_at = None;
        over.neutral.revision = None;
        over.neutral.ended_at = Some(now());
        over.neutral.notice_at = Some(now());
        over.neutral.announced_at = None;
        over.missing = vec!["a date: embargoctl dates, then embargoctl schedule".to_owned()];
        let expected = "b7k2-9fq1  cancelled · Mon 16 Nov 2026 17:00 UTC (18:00 Berlin)\n";
        assert_eq!(after_change(&over, now(), Paint(false)), expected);
    }

    #[test]
    fn a_refused_date_gives_every_reason_on_a_line_of_its_own() {
        let date = |legal, rules: &[&str]| DateView {
            lifts_at: now(),
            text: "Thu 26 Nov 2026 15:00 UTC".to_owned(),
            legal,
            notice_at: now(),
            notice_due_now: true,
            packagers_have: "9 d 22 h".to_owned(),
            broken_rules: rules.iter().map(ToString::to_string).collect(),
        };
        let view =
            DatesView { asked: Some(date(false, &["a holiday", "too soon"])), offers: vec![date(true, &[])] };
        let expected = "  Thu 26 Nov 2026 15:00 UTC  refused  a holiday\n                                      too soon\n  \
            Thu 26 Nov 2026 15:00 UTC  offered  notice due now, 9 d 22 h for packagers\n";
        assert_eq!(dates(&view, Paint(false)), expected);
    }
}
