//! What a lift publishes: read in one transaction, then rendered and signed outside of any.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, Datelike as _, Utc};
use zeroize::Zeroizing;

use crate::app::{App, Refusal};
use crate::domain::advisory::{Advisory, BranchWithoutFix, CommitVerdict, PublicCommit, PublicFix, Timeline};
use crate::domain::embargo::{Stage, TransitionError};
use crate::domain::hex_sha256;
use crate::domain::id::EmbargoId;
use crate::formats::{Site, changelog, json, page, sums};
use crate::mail::FileName;
use crate::openpgp::sign_detached;
use crate::store::{
    NewAdvisory, Project, Publication, StoreError, StoredEmbargo, StoredFix, StoredRevision, Tx,
};

/// What a lift can do without, as people call it.
const CHANGELOG: &str = "the changelog entry";

/// How many bytes of fixes a batch may hold; one lift may hold more.
const MOST_BYTES: u64 = 64 << 20;

/// Everything one lift renders from.
pub(super) struct Prepared {
    pub(super) case: StoredEmbargo,
    project: Project,
    revision: StoredRevision,
    fixes: Vec<(StoredFix, Zeroizing<Vec<u8>>)>,
    told: usize,
}

/// A lift as it will be published, if it is the next.
pub(super) struct Rendered {
    pub(super) prepared: Prepared,
    /// Its number among the advisories of the year.
    pub(super) number: i32,
    pub(super) advisory: Advisory,
    pub(super) files: Vec<Publication>,
    /// What could not be made, and is not among the files.
    pub(super) left_out: Vec<&'static str>,
}

/// What is read of the lifts of a batch.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) ready: Vec<Prepared>,
    /// Those that would take too much memory together with the others.
    pub(super) too_much: Vec<EmbargoId>,
    /// How many bytes of fixes are read.
    bytes: u64,
}

impl Reading {
    /// Reads what the lifts of some embargoes need. Those that are not due by `now` are left out. If one is damaged,
    /// nothing is read of any.
    pub(super) fn add(
        &mut self,
        tx: &mut Tx<'_>,
        ids: &[EmbargoId],
        projects: &[Project],
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        tx.look_at_keys(ids)?;
        let cases = tx.embargoes_with_content(ids)?;
        let mut cases: HashMap<_, _> =
            cases.into_iter().map(|case| (case.embargo.id.clone(), case)).collect();
        let mut revisions = tx.announced_revisions(ids)?;
        let told = tx.packagers_told(ids)?;
        let (mut found, mut too_much, mut bytes) = (Vec::new(), Vec::new(), self.bytes);
        for id in ids {
            let Some(case) = cases.remove(id).filter(|case| is_due(&case.embargo.stage, now)) else {
                continue;
            };
            if bytes > MOST_BYTES {
                too_much.push(id.clone());
                continue;
            }
            let missing = || StoreError::Corrupt { table: "revisions", id: id.to_string() };
            let (revision, fixes) = revisions.remove(id).ok_or_else(missing)?;
            let project = projects.iter().find(|project| project.id == case.embargo.project);
            let project = project.ok_or(Refusal::NotFound)?.clone();
            bytes += fixes.iter().map(|fix| fix.content.facts.size).sum::<u64>();
            found.push((case, project, revision, fixes, told.get(id.as_str()).copied().unwrap_or(0)));
        }
        let wanted: Vec<_> = found
            .iter()
            .flat_map(|(case, _, _, fixes, _)| fixes.iter().map(|fix| (&case.embargo.id, &fix.id)))
            .collect();
        let mut contents = tx.bytes_of_fixes(&wanted)?;
        let mut ready = Vec::with_capacity(found.len());
        for (case, project, revision, fixes, told) in found {
            let fixes = fixes.into_iter().map(|fix| {
                // A fix that is missing must not be published as an empty one.
                let missing = || StoreError::Corrupt { table: "fixes", id: fix.id.to_string() };
                let content = contents.remove(&fix.id).ok_or_else(missing)?;
                Ok((fix, content))
            });
            let fixes = fixes.collect::<Result<_, StoreError>>()?;
            ready.push(Prepared { case, project, revision, fixes, told });
        }
        self.ready.extend(ready);
        self.too_much.extend(too_much);
        self.bytes = bytes;
        Ok(())
    }
}

impl Rendered {
    /// The embargo that ends with it.
    pub(super) fn id(&self) -> &EmbargoId {
        &self.prepared.case.embargo.id
    }

    /// What is published.
    pub(super) fn publication(&self) -> NewAdvisory<'_> {
        NewAdvisory { embargo: self.id(), advisory: &self.advisory, files: &self.files }
    }

    /// Its embargo as it is after the lift.
    pub(super) fn lifted(&self) -> Result<StoredEmbargo, TransitionError> {
        let mut case = self.prepared.case.clone();
        case.content.left_out = self.left_out.iter().map(|&what| what.to_owned()).collect();
        case.embargo.stage = case.embargo.stage.lift(self.advisory.timeline.lifted_at)?;
        Ok(case)
    }
}

fn is_due(stage: &Stage, now: DateTime<Utc>) -> bool {
    matches!(stage, Stage::Announced { schedule, .. } if schedule.lifts_at <= now)
}

impl App {
    /// What the server's public pages say of itself. `projects` are the names of all projects.
    pub(super) fn site(&self, projects: Vec<String>) -> Result<Site, Refusal> {
        Ok(Site {
            base_url: self.settings.base_url.clone(),
            server_fingerprint: self.server_key()?.fingerprint(),
            practice: self.settings.practice,
            projects,
        })
    }

    /// The advisory and all its files, signed.
    pub(super) fn render(
        &self,
        prepared: Prepared,
        number: i32,
        site: &Site,
        now: DateTime<Utc>,
    ) -> Result<Rendered, Refusal> {
        let id = format!("{}-{}-{number}", self.settings.id_prefix, now.year());
        let mut advisory = advisory(&id, &prepared, now)?;
        let policy = &prepared.project.policy;
        let style = policy.changelog_style();
        let changelog = unless_it_breaks(|| {
            let date = now.with_timezone(&policy.zone).date_naive();
            (self.changelog)(style, &advisory, advisory.fixed.first().map(String::as_str), date)
        });
        let left_out = if changelog.is_some() { Vec::new() } else { vec![CHANGELOG] };
        advisory.changelog_file = changelog.as_ref().map(|_| style.file().to_owned());
        let server = self.server_key()?;
        let base = format!("/advisories/{id}");
        let mut files = vec![Publication {
            path: base.clone(),
            media_type: "text/html; charset=utf-8",
            content: page::advisory(&advisory, site),
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
        if let Some(entry) = changelog {
            signed(format!("{base}/{}", style.file()), changelog::media_type(style), entry.into_bytes())?;
        }
        for (public, (_, bytes)) in advisory.fixes.iter().zip(&prepared.fixes) {
            signed(format!("{base}/{}", public.file), "application/mbox", bytes.to_vec())?;
        }
        Ok(Rendered { prepared, number, advisory, files, left_out })
    }
}

/// What a format made; nothing if it broke, which the panic hook has said. No lift waits for what it can do without.
fn unless_it_breaks<T>(make: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(make)).ok()
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
        changelog_file: None,
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
            packagers_told: u32::try_from(prepared.told).unwrap_or(u32::MAX),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_is_left_out_and_what_does_not_is_kept() {
        assert_eq!(unless_it_breaks(|| "an entry"), Some("an entry"));
        assert_eq!(unless_it_breaks(|| -> &str { panic!("a rehearsed failure") }), None);
    }
}
