//! Opening, editing and cancelling a case.

use super::commands::{Context, Done};
use super::{App, Refusal, notices};
use crate::domain::case::{CaseText, Consent, Credit};
use crate::domain::embargo::{Embargo, Stage};
use crate::domain::id::{EmbargoId, PackagerId};
use crate::domain::notice::NoticeKind;
use crate::metrics::labels::Alarm;
use crate::store::{CaseContent, NoticeFacts, StoredEmbargo, Tx};

/// The most characters one field of the text may have.
const MOST_CHARACTERS: usize = 100_000;

impl Context<'_> {
    pub(super) fn open(
        &self,
        tx: &mut Tx<'_>,
        project: &str,
        text: Option<CaseText>,
    ) -> Result<Done, Refusal> {
        let projects = tx.projects()?;
        let mut mine = Vec::new();
        for candidate in projects {
            if tx.decides_for(&self.maintainer, &candidate.id)? {
                mine.push(candidate);
            }
        }
        let known = mine.iter().map(|project| project.slug.as_str()).collect::<Vec<_>>().join(", ");
        let only = project.is_empty() && mine.len() == 1;
        let project =
            mine.into_iter().find(|candidate| only || candidate.slug == project).ok_or_else(|| {
                Refusal::invalid("project", format!("name a project that you decide for; yours are: {known}"))
            })?;
        if let Some(text) = &text {
            check_text(text)?;
        }
        let text = text.unwrap_or_default();
        let embargo = Embargo {
            id: EmbargoId::from_random(self.app.entropy.bytes()),
            project: project.id.clone(),
            version: 1,
            opened_at: self.now,
            stage: Stage::Draft,
        };
        let content = CaseContent { text, ..CaseContent::default() };
        tx.insert_embargo(&embargo, &content)?;
        let everybody: Vec<PackagerId> =
            tx.members(&project.id)?.into_iter().map(|packager| packager.id).collect();
        tx.put_audience(&embargo.id, &everybody, self.now)?;
        Ok(Done { embargo: embargo.id, created: true, remarks: Vec::new() })
    }

    pub(super) fn put_text(&self, tx: &mut Tx<'_>, id: EmbargoId, text: CaseText) -> Result<Done, Refusal> {
        let mut case = self.live(tx, &id)?;
        check_text(&text)?;
        case.content.text = text;
        tx.save_embargo(&mut case.embargo, &case.content)?;
        Ok(Done { remarks: unsent(&case), ..id.into() })
    }

    pub(super) fn put_credits(
        &self,
        tx: &mut Tx<'_>,
        id: EmbargoId,
        credits: Vec<Credit>,
    ) -> Result<Done, Refusal> {
        let mut case = self.live(tx, &id)?;
        for credit in &credits {
            if let Consent::Alias(shown) | Consent::Name(shown) = &credit.consent {
                crate::domain::text::one_line(shown, "name in a credit", 200)
                    .map_err(|error| Refusal::invalid("credit", error))?;
                if shown.trim().is_empty() {
                    return Err(Refusal::invalid(
                        "credit",
                        "a credit with consent needs the name or alias that was agreed to",
                    ));
                }
            }
        }
        let silent = credits.iter().filter(|credit| credit.public().is_none()).count();
        case.content.credits = credits;
        tx.save_embargo(&mut case.embargo, &case.content)?;
        let remarks = if silent > 0 {
            vec![format!("{silent} of the credits have no consent and will not be published")]
        } else {
            Vec::new()
        };
        Ok(Done { remarks, ..id.into() })
    }

    pub(super) fn put_audience(
        &self,
        tx: &mut Tx<'_>,
        id: EmbargoId,
        slugs: &[String],
    ) -> Result<Done, Refusal> {
        let mut case = self.live(tx, &id)?;
        let members = tx.members(&case.embargo.project)?;
        let mut chosen = Vec::new();
        for (place, slug) in (1..).zip(slugs) {
            // Who is approved is nobody's business on the wire: the refusal names no packager.
            let member = members.iter().find(|member| member.slug == *slug).ok_or_else(|| {
                Refusal::invalid(
                    "audience",
                    format!(
                        "entry {place} of the list is the short name of no packager that is approved for this \
                         project; `embargod packager list` on the server names those that are"
                    ),
                )
            })?;
            chosen.push(member.id.clone());
        }
        if case.embargo.stage.is_announced() {
            let told = tx.audience(&id)?;
            if chosen.iter().any(|packager| !told.contains(packager)) {
                return Err(Refusal::rule(
                    "second-person",
                    "this embargo is announced: telling it to one more packager needs a second maintainer, \
                     which this version cannot record yet; removing packagers is possible",
                ));
            }
        }
        tx.put_audience(&id, &chosen, self.now)?;
        case.content.audience_chosen = true;
        tx.save_embargo(&mut case.embargo, &case.content)?;
        Ok(id.into())
    }

    pub(super) fn cancel(&self, tx: &mut Tx<'_>, id: EmbargoId, reason: String) -> Result<Done, Refusal> {
        let mut case = self.live(tx, &id)?;
        let reason = needed(reason, "cancelling")?;
        let was_announced = case.embargo.stage.is_announced();
        case.embargo.stage = case.embargo.stage.cancel(self.now)?;
        case.content.ending = Some(reason.clone());
        tx.save_embargo(&mut case.embargo, &case.content)?;
        notices::supersede_all(tx, std::slice::from_ref(&id), self.now)?;
        if was_announced {
            let facts = NoticeFacts { reason, ..NoticeFacts::default() };
            self.app.insert_notice(tx, &id, NoticeKind::Cancelled, None, &facts, self.now)?;
        }
        Ok(id.into())
    }

    /// The case, if it can still be changed.
    pub(super) fn live(&self, tx: &mut Tx<'_>, id: &EmbargoId) -> Result<StoredEmbargo, Refusal> {
        let case = self.case(tx, id)?;
        if case.embargo.stage.is_live() {
            Ok(case)
        } else {
            Err(Refusal::rule(
                "stage",
                format!("the embargo is {}: what is over cannot be edited", case.embargo.stage.name()),
            ))
        }
    }
}

impl App {
    /// Draws an id for a notice and stores it.
    pub(super) fn insert_notice(
        &self,
        tx: &mut Tx<'_>,
        embargo: &EmbargoId,
        kind: NoticeKind,
        revision: Option<u32>,
        facts: &NoticeFacts,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<(), Refusal> {
        let id = crate::domain::id::NoticeId::from_random(self.entropy.bytes());
        Ok(tx.insert_notice(&id, embargo, kind, revision, facts, now)?)
    }

    /// Has the maintainers of an embargo look at something.
    pub(super) fn raise(
        &self,
        tx: &mut Tx<'_>,
        embargo: &EmbargoId,
        about: Alarm,
        facts: &NoticeFacts,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<(), Refusal> {
        self.insert_notice(tx, embargo, NoticeKind::Alarm, None, facts, now)?;
        self.metrics.alarmed(about);
        Ok(())
    }
}

/// A reason that people will read must say something.
pub(super) fn needed(reason: String, what: &str) -> Result<String, Refusal> {
    if reason.trim().is_empty() {
        return Err(Refusal::invalid(
            "reason",
            format!("{what} needs a reason; packagers and maintainers read it"),
        ));
    }
    bounded(&reason)?;
    Ok(reason)
}

fn unsent(case: &StoredEmbargo) -> Vec<String> {
    if case.embargo.stage.is_announced() {
        vec!["packagers still have the older text: embargoctl send makes this a new revision".to_owned()]
    } else {
        Vec::new()
    }
}

fn bounded(text: &str) -> Result<(), Refusal> {
    if text.chars().count() > MOST_CHARACTERS {
        return Err(Refusal::invalid("text", format!("a field has at most {MOST_CHARACTERS} characters")));
    }
    if text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t' | '\r')) {
        return Err(Refusal::invalid("text", "the text holds control characters; take them out"));
    }
    Ok(())
}

fn check_text(text: &CaseText) -> Result<(), Refusal> {
    if text.title.trim().is_empty() {
        return Err(Refusal::invalid(
            "title",
            "the title is empty; write one line that names the vulnerability",
        ));
    }
    let lines: Vec<&String> = [&text.title]
        .into_iter()
        .chain(&text.affected)
        .chain(&text.fixed)
        .chain(&text.severity)
        .chain(&text.cve)
        .chain(&text.ghsa)
        .collect();
    for line in lines {
        if !line.is_empty() {
            crate::domain::text::one_line(line, "line of the text", 300)
                .map_err(|error| Refusal::invalid("text", error))?;
        }
    }
    for paragraph in [&text.summary, &text.notice].into_iter().chain(&text.mitigation).chain(&text.changelog)
    {
        bounded(paragraph)?;
    }
    for commit in &text.commits {
        let whole = matches!(commit.id.len(), 40 | 64)
            && commit.id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if !whole {
            return Err(Refusal::invalid(
                "commit",
                "a commit is named by its full id, 40 or 64 lower-case hexadecimal digits",
            ));
        }
    }
    if let Some(cve) = &text.cve {
        let parts: Vec<&str> = cve.split('-').collect();
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let right = matches!(parts[..], ["CVE", year, number] if year.len() == 4 && number.len() >= 4 && digits(year) && digits(number));
        if !right {
            return Err(Refusal::invalid(
                "cve",
                "a CVE identifier has the form CVE-2026-0042; leave it out until there is one",
            ));
        }
    }
    Ok(())
}
