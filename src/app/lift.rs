//! The lift: rendered and signed outside, published in one guarded transaction.
//!
//! Due is who is announced and whose instant has come by this clock and, where replicas share one, by the
//! database's. No hold may stand and the clock must not be in doubt; both are asked again in the transaction, for
//! the clock may be set between two looks. Lifting early only moves the instant; the code is this.

use chrono::{DateTime, Datelike as _, Utc};

use super::{Actor, App, Refusal, entry, notices};
use crate::domain::advisory::{Advisory, BranchWithoutFix, CommitVerdict, PublicCommit, PublicFix, Timeline};
use crate::domain::embargo::Stage;
use crate::domain::hex_sha256;
use crate::domain::hold::Passage;
use crate::domain::id::EmbargoId;
use crate::domain::notice::NoticeKind;
use crate::formats::{Site, changelog, json, page, sums};
use crate::mail::FileName;
use crate::openpgp::sign_detached;
use crate::store::{
    NoticeFacts, Project, Publication, StoreError, StoredEmbargo, StoredFix, StoredRevision, Tx,
};

/// How many lifts one look takes.
const BATCH: i64 = 64;

/// Everything a lift renders from, read in one transaction.
struct Prepared {
    case: StoredEmbargo,
    project: Project,
    projects: Vec<String>,
    revision: StoredRevision,
    fixes: Vec<(StoredFix, Vec<u8>)>,
    told: u32,
    number: i32,
}

impl App {
    /// Lifts what is due; returns the ids of the new advisories.
    pub async fn lift_due(&self) -> Result<Vec<String>, Refusal> {
        let now = self.clock.now();
        let app = self.clone();
        self.keep_watch().await?;
        let due = self.store.read(move |tx| match app.passage(tx)? {
            Passage::Open => {
                let due_by = app.look_at_clock(tx)?.due_by;
                Ok::<_, Refusal>(tx.due_lifts(now.min(due_by), BATCH)?)
            }
            Passage::Alarms | Passage::Shut => Ok(Vec::new()),
        });
        let due = due.await?;
        let mut lifted = Vec::new();
        for embargo in due {
            match self.lift_one(&embargo.id).await {
                Ok(Some(advisory)) => lifted.push(advisory),
                Ok(None) => {}
                // One that cannot be lifted does not hold the others.
                Err(refusal) => {
                    tracing::error!(embargo = %embargo.id, "a lift failed and is tried again: {}", kind_of(&refusal));
                }
            }
        }
        Ok(lifted)
    }

    async fn lift_one(&self, id: &EmbargoId) -> Result<Option<String>, Refusal> {
        // The number is drawn in the transaction; if another lift was faster, this one is rendered anew.
        for _ in 0..8 {
            let asked = id.clone();
            let now = self.clock.now();
            let prepared = self.store.read(move |tx| prepare(tx, &asked, now)).await?;
            let Some(prepared) = prepared else { return Ok(None) };
            let app = self.clone();
            let rendered = tokio::task::spawn_blocking(move || {
                app.render(&prepared, now).map(|files| (prepared, files))
            })
            .await
            .map_err(|_| Refusal::Unavailable("rendering was interrupted".to_owned()))??;
            let (prepared, (advisory, files)) = rendered;
            let app = self.clone();
            let outcome =
                self.store.write(move |tx| app.commit_lift(tx, prepared, &advisory, &files, now)).await;
            match outcome {
                Ok(advisory) => return Ok(advisory),
                Err(Refusal::Store(StoreError::Conflict)) => {}
                Err(other) => return Err(other),
            }
        }
        Err(Refusal::Store(StoreError::Conflict))
    }

    fn commit_lift(
        &self,
        tx: &mut Tx<'_>,
        prepared: Prepared,
        advisory: &Advisory,
        files: &[Publication],
        rendered_at: DateTime<Utc>,
    ) -> Result<Option<String>, Refusal> {
        self.refuse_while_held(tx)?;
        let due_by = self.look_at_clock(tx)?.due_by;
        let now = self.clock.now();
        let StoredEmbargo { mut embargo, content } = prepared.case;
        let lifts_at = embargo.stage.schedule().map(|schedule| schedule.lifts_at);
        if lifts_at.is_none_or(|lifts_at| lifts_at > due_by) {
            return Ok(None);
        }
        // A clock that is moved by hand runs ahead of every other.
        let shared = if self.clock.is_virtual() { None } else { tx.shared_clock()? };
        if let (Some(shared), Some(lifts_at)) = (shared, lifts_at)
            && shared < lifts_at
        {
            return Err(Refusal::Unavailable(
                "the database's clock has not reached the instant: the lift is held".to_owned(),
            ));
        }
        if tx.next_advisory_number(rendered_at.year())? != prepared.number {
            return Err(Refusal::Store(StoreError::Conflict));
        }
        let early = matches!(embargo.stage, Stage::Announced { early: true, .. });
        embargo.stage = embargo.stage.lift(rendered_at)?;
        // The version guards against everything that was answered since this was rendered.
        tx.save_embargo(&mut embargo, &content)?;
        tx.publish(&embargo.id, advisory, files, rendered_at)?;
        tx.mark_instant(due_by)?;
        notices::supersede_all(tx, &embargo.id, now)?;
        let facts = NoticeFacts {
            advisory: Some(advisory.id.clone()),
            reason: content.ending.unwrap_or_default(),
            ..NoticeFacts::default()
        };
        let kind = if early { NoticeKind::LiftedEarly } else { NoticeKind::Lifted };
        self.insert_notice(tx, &embargo.id, kind, None, &facts, now)?;
        tx.audit(entry(now, &Actor::Server, "lifted", &embargo.id, &advisory.id, Vec::new()));
        notices::reconcile(self, tx, Some(&embargo.id), now)?;
        Ok(Some(advisory.id.clone()))
    }

    /// The advisory and all its files, signed.
    fn render(
        &self,
        prepared: &Prepared,
        now: DateTime<Utc>,
    ) -> Result<(Advisory, Vec<Publication>), Refusal> {
        let id = format!("{}-{}-{}", self.settings.id_prefix, now.year(), prepared.number);
        let advisory = advisory(&id, prepared, now)?;
        let server = self.server_key()?;
        let site = Site {
            base_url: self.settings.base_url.clone(),
            server_fingerprint: server.fingerprint(),
            practice: self.settings.practice,
            projects: prepared.projects.clone(),
        };
        let base = format!("/advisories/{id}");
        let mut files = vec![Publication {
            path: base.clone(),
            media_type: "text/html; charset=utf-8",
            content: page::advisory(&advisory, &site),
        }];
        let mut signed = |path: String, media_type: &'static str, content: Vec<u8>| -> Result<(), Refusal> {
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            let signature = sign_detached(&server, &content, now)
                .map_err(|_| Refusal::Unavailable("a public file could not be signed".to_owned()))?;
            files.push(Publication {
                path: format!("{path}.sha256"),
                media_type: "text/plain; charset=utf-8",
                content: sums::sha256_line(&name, &content).into_bytes(),
            });
            files.push(Publication {
                path: format!("{path}.asc"),
                media_type: "application/pgp-signature",
                content: signature.into_bytes(),
            });
            files.push(Publication { path, media_type, content });
            Ok(())
        };
        signed(format!("{base}.json"), "application/json", json::advisory(&advisory))?;
        let version = advisory.fixed.first().map(String::as_str);
        let policy = &prepared.project.policy;
        let style = policy.changelog_style();
        let date = now.with_timezone(&policy.zone).date_naive();
        let entry = changelog::entry(style, &advisory, version, date);
        let path = format!("{base}/{}", advisory.changelog_file);
        signed(path, changelog::media_type(style), entry.into_bytes())?;
        for (public, (_, bytes)) in advisory.fixes.iter().zip(&prepared.fixes) {
            signed(format!("{base}/{}", public.file), "application/mbox", bytes.clone())?;
        }
        Ok((advisory, files))
    }
}

/// What a refusal was about, without anything it says.
fn kind_of(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Unavailable(_) | Refusal::Locked(_) => "held or unavailable",
        Refusal::Store(StoreError::Conflict) => "changed meanwhile",
        Refusal::Store(_) => "the store failed",
        _ => "refused",
    }
}

fn prepare(tx: &mut Tx<'_>, id: &EmbargoId, now: DateTime<Utc>) -> Result<Option<Prepared>, Refusal> {
    let Some(case) = tx.embargo_with_content(id)? else { return Ok(None) };
    let Stage::Announced { schedule, revision, .. } = &case.embargo.stage else { return Ok(None) };
    if schedule.lifts_at > now {
        return Ok(None);
    }
    let Some(revision) = tx.revision(id, *revision)? else { return Ok(None) };
    let mut fixes = Vec::new();
    for fix in tx.fixes_of(id, revision.number)? {
        let bytes = tx.fix_bytes(id, &fix.id)?.to_vec();
        fixes.push((fix, bytes));
    }
    let told: std::collections::BTreeSet<_> = tx
        .deliveries_of(id)?
        .into_iter()
        .filter(|copy| copy.kind.carries_revision() && copy.accepted_at.is_some())
        .filter_map(|copy| copy.packager)
        .collect();
    Ok(Some(Prepared {
        project: tx.project(&case.embargo.project)?,
        projects: tx.projects()?.into_iter().map(|project| project.name).collect(),
        revision,
        fixes,
        told: u32::try_from(told.len()).unwrap_or(u32::MAX),
        number: tx.last_advisory_number(now.year())? + 1,
        case,
    }))
}

/// The public value: the published revision, and only what its owners agreed to.
fn advisory(id: &str, prepared: &Prepared, now: DateTime<Utc>) -> Result<Advisory, Refusal> {
    let Stage::Announced { schedule, announced_at, early, .. } = &prepared.case.embargo.stage else {
        return Err(Refusal::NotFound);
    };
    let text = &prepared.revision.content.case.text;
    let mut names = Vec::new();
    let fixes = prepared
        .fixes
        .iter()
        .map(|(fix, bytes)| {
            let facts = &fix.content.facts;
            let file =
                unused(FileName::sanitised(&fix.content.branch.replace('/', "-")).as_str(), &mut names);
            let mut changed: Vec<String> = facts
                .patches
                .iter()
                .flat_map(|patch| patch.files.iter().map(|file| file.path.clone()))
                .collect();
            changed.sort();
            changed.dedup();
            PublicFix {
                branch: fix.content.branch.clone(),
                file,
                size: facts.size,
                sha256: hex_sha256(bytes),
                subjects: facts.patches.iter().filter_map(|patch| patch.subject.clone()).collect(),
                patch_ids: facts
                    .patches
                    .iter()
                    .filter_map(|patch| patch.patch_id.as_ref().map(ToString::to_string))
                    .collect(),
                files: changed,
            }
        })
        .collect();
    Ok(Advisory {
        id: id.to_owned(),
        revision: 1,
        project: prepared.project.slug.clone(),
        project_name: prepared.project.name.clone(),
        zone: prepared.project.policy.zone.name().to_owned(),
        title: text.title.clone(),
        summary: text.summary.clone(),
        affected: text.affected.clone(),
        fixed: text.fixed.clone(),
        severity: text.severity.clone(),
        cve: text.cve.clone(),
        ghsa: text.ghsa.clone(),
        mitigation: text.mitigation.clone(),
        changelog: text.changelog.clone().unwrap_or_else(|| text.title.clone()),
        changelog_file: prepared.project.policy.changelog_style().file().to_owned(),
        fixes,
        without_fix: prepared
            .revision
            .content
            .case
            .waivers
            .iter()
            .map(|waiver| BranchWithoutFix { branch: waiver.branch.clone(), reason: waiver.reason.clone() })
            .collect(),
        commits: text
            .commits
            .iter()
            .map(|commit| PublicCommit {
                branch: commit.branch.clone(),
                id: commit.id.clone(),
                verdict: CommitVerdict::Announced,
            })
            .collect(),
        // Consent is taken as it stands at the lift, not as it stood when the revision was frozen.
        credits: prepared
            .case
            .content
            .credits
            .iter()
            .filter_map(crate::domain::case::Credit::public)
            .collect(),
        timeline: Timeline {
            opened_at: prepared.case.embargo.opened_at,
            announced_at: *announced_at,
            agreed_at: if *early { schedule.agreed_at } else { Some(schedule.lifts_at) },
            lifted_at: now,
            early: *early,
            packagers_told: prepared.told,
        },
    })
}

/// `name.mbox`, or a numbered one if two branches read the same in a file name.
fn unused(name: &str, taken: &mut Vec<String>) -> String {
    let mut file = format!("{name}.mbox");
    let mut count = 2;
    while taken.contains(&file) {
        file = format!("{name}-{count}.mbox");
        count += 1;
    }
    taken.push(file.clone());
    file
}
