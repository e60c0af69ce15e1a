//! From what the use cases report to what the wire carries.

use crate::app::answers::NeutralReport;
use crate::app::reports::{CaseReport, DeliveryReport};
use crate::app::schedule::Dates;
use crate::app::{Answers, AuditRecord, Finding, StoredFix, Weight};
use crate::domain::case::{Consent, Credit};
use crate::domain::dates::Verdict;
use crate::domain::embargo::{Embargo, Stage};
use crate::domain::instant::{display_duration, display_instant};
use crate::wire;

fn bytes<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(value).unwrap_or_default();
    json.push(b'\n');
    json
}

/// One finding about a certificate.
pub(super) fn finding(finding: &Finding) -> wire::CertificateFinding {
    let cure = finding.cure.clone().unwrap_or_default();
    let weight = match finding.weight {
        Weight::Refused => "refused",
        Weight::Warning => "warning",
        Weight::Note => "note",
    };
    wire::CertificateFinding {
        weight: weight.to_owned(),
        code: finding.code.to_owned(),
        component: finding.component.clone(),
        problem: finding.problem.clone(),
        gpg: cure.gpg,
        sq: cure.sq,
    }
}

pub(super) fn neutral(report: NeutralReport) -> wire::NeutralEmbargo {
    let fixes =
        report.fixes.into_iter().map(|(id, size)| wire::NeutralFix { id: id.to_string(), size }).collect();
    let mut view = neutral_of(&report.embargo, fixes, report.advisory);
    view.own = report.own.as_ref().map(own);
    view
}

fn neutral_of(
    embargo: &Embargo,
    fixes: Vec<wire::NeutralFix>,
    advisory: Option<String>,
) -> wire::NeutralEmbargo {
    let schedule = embargo.stage.schedule();
    let (announced_at, ended_at, revision) = match &embargo.stage {
        Stage::Announced { announced_at, revision, .. } => (Some(*announced_at), None, Some(*revision)),
        Stage::Lifted { announced_at, lifted_at, revision, .. } => {
            (Some(*announced_at), Some(*lifted_at), Some(*revision))
        }
        Stage::Cancelled { cancelled_at, announced_at } => (*announced_at, Some(*cancelled_at), None),
        Stage::Draft | Stage::Scheduled { .. } => (None, None, None),
    };
    wire::NeutralEmbargo {
        id: embargo.id.to_string(),
        stage: embargo.stage.name().to_string(),
        version: embargo.version,
        lifts_at: schedule.map(|schedule| schedule.lifts_at),
        notice_at: schedule.map(|schedule| schedule.notice_at),
        announced_at,
        ended_at,
        revision,
        fixes,
        advisory,
        own: None,
    }
}

pub(super) fn own(said: &Answers) -> wire::OwnState {
    wire::OwnState {
        receipt_revision: said.receipt.map(|(number, _)| number),
        receipt_at: said.receipt.map(|(_, at)| at),
        impact: said.impact.to_string(),
        progress: said.progress.to_string(),
    }
}

fn fix(fix: &StoredFix) -> wire::FixView {
    let facts = &fix.content.facts;
    let patches = &facts.patches;
    wire::FixView {
        id: fix.id.to_string(),
        branch: fix.content.branch.clone(),
        size: facts.size,
        sha256: fix.content.sha256.clone(),
        subjects: patches.iter().filter_map(|patch| patch.subject.clone()).collect(),
        patch_ids: patches
            .iter()
            .filter_map(|patch| patch.patch_id.as_ref().map(ToString::to_string))
            .collect(),
        files: patches.iter().map(|patch| patch.files.len()).sum(),
        remarks: facts.remarks.iter().map(|remark| remark.sentence.clone()).collect(),
        signer: fix.content.signer.clone(),
    }
}

fn credit(credit: &Credit) -> wire::CreditView {
    let (consent, shown_as) = match &credit.consent {
        Consent::None => ("none", None),
        Consent::Alias(name) => ("alias", Some(name.clone())),
        Consent::Name(name) => ("name", Some(name.clone())),
    };
    let role = serde_json::to_value(credit.role).ok();
    wire::CreditView {
        person: credit.person.clone(),
        role: role.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned(),
        consent: consent.to_owned(),
        shown_as,
    }
}

pub(super) fn case(report: &CaseReport) -> Vec<u8> {
    let sent = report
        .sent
        .iter()
        .map(|fix| wire::NeutralFix { id: fix.id.to_string(), size: fix.content.facts.size })
        .collect();
    let zone = report.project.policy.zone;
    bytes(&wire::CaseView {
        neutral: neutral_of(&report.embargo, sent, report.advisory.clone()),
        project: report.project.slug.clone(),
        zone: zone.name().to_owned(),
        title: report.content.text.title.clone(),
        text: toml::to_string_pretty(&report.content.text).unwrap_or_default(),
        working_set: report.fixes.iter().map(fix).collect(),
        waivers: report
            .content
            .waivers
            .iter()
            .map(|waiver| wire::WaiverView { branch: waiver.branch.clone(), reason: waiver.reason.clone() })
            .collect(),
        credits: report.content.credits.iter().map(credit).collect(),
        audience: report.audience.iter().map(|packager| packager.slug.clone()).collect(),
        missing: report.missing.iter().map(crate::domain::case::Missing::cure).collect(),
        lifts_at_text: report
            .embargo
            .stage
            .schedule()
            .map(|schedule| display_instant(schedule.lifts_at, zone)),
        remarks: report.remarks.clone(),
        left_out: report.content.left_out.clone(),
    })
}

pub(super) fn dates(report: &Dates) -> Vec<u8> {
    let view = |verdict: &Verdict| wire::DateView {
        lifts_at: verdict.lifts_at,
        text: display_instant(verdict.lifts_at, report.zone),
        legal: verdict.legal,
        notice_at: verdict.notice_at,
        notice_due_now: verdict.margin_used_up,
        packagers_have: display_duration(verdict.lead()),
        broken_rules: verdict.failed().map(|rule| rule.sentence.clone()).collect(),
    };
    bytes(&wire::DatesView {
        asked: report.asked.as_ref().map(view),
        offers: report.offers.iter().map(view).collect(),
    })
}

pub(super) fn deliveries(report: &DeliveryReport) -> Vec<u8> {
    bytes(&wire::DeliveriesView {
        packagers: report
            .packagers
            .iter()
            .map(|packager| wire::PackagerState {
                packager: packager.packager.slug.clone(),
                name: packager.packager.name.clone(),
                told_at: packager.told_at,
                told_revision: packager.told_revision,
                said: own(&packager.said),
                state: packager.state.as_str().to_owned(),
                trouble: packager.trouble.clone(),
            })
            .collect(),
        deliveries: report
            .copies
            .iter()
            .map(|(copy, recipient, address)| wire::DeliveryView {
                kind: copy.kind.to_string(),
                revision: copy.revision,
                recipient: recipient.clone(),
                address: address.clone(),
                state: copy.state.to_string(),
                attempts: copy.attempts,
                uncertain: copy.uncertain,
                reply: copy.reply.clone(),
                next_attempt_at: copy.next_attempt_at,
                accepted_at: copy.accepted_at,
            })
            .collect(),
    })
}

pub(super) fn audit(records: &[AuditRecord]) -> Vec<u8> {
    bytes(&wire::AuditView {
        entries: records
            .iter()
            .map(|record| wire::AuditEntryView {
                sequence: record.sequence,
                at: record.at,
                actor: record.actor.clone(),
                action: record.action.clone(),
                object: record.object.clone(),
            })
            .collect(),
    })
}
