//! The words of notices. A notice answers, in this order: what may I say, what is it, am I affected, when,
//! which patch for which branch, what may I do before that, how do I ask, how do I say that I have read it.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::domain::instant::{display_duration, display_instant};
use crate::domain::notice::NoticeKind;
use crate::mail::FileName;
use crate::store::{NoticeFacts, Project, StoredFix, StoredRevision};

/// What a notice to packagers is written from.
pub(super) struct Material<'a> {
    pub kind: NoticeKind,
    pub project: &'a Project,
    pub base_url: &'a str,
    pub embargo: &'a str,
    pub revision: Option<&'a StoredRevision>,
    pub fixes: &'a [StoredFix],
    pub attached: bool,
    pub lifts_at: Option<DateTime<Utc>>,
    pub facts: &'a NoticeFacts,
    pub now: DateTime<Utc>,
    pub practice: bool,
    /// The maintainers that packagers can write to.
    pub to_ask: &'a [String],
}

impl Material<'_> {
    /// The subject that only a recipient sees.
    pub(super) fn subject(&self) -> String {
        let name = &self.project.name;
        let title = self.revision.map_or("", |revision| revision.content.case.text.title.as_str());
        let number = self.revision.map_or(0, |revision| revision.number);
        let practice = if self.practice { "PRACTICE " } else { "" };
        let text = match self.kind {
            NoticeKind::Announcement => format!("EMBARGO {name}: {title}"),
            NoticeKind::Revision => format!("EMBARGO {name}: revision {number}: {title}"),
            NoticeKind::NewDate => format!("NEW DATE {name}: {title}"),
            NoticeKind::Lifted => format!("PUBLIC {name}: {title}"),
            NoticeKind::LiftedEarly => format!("EMBARGO OVER {name}: {title}"),
            NoticeKind::Cancelled => format!("CANCELLED {name}: {title}"),
            NoticeKind::Alarm => format!("ATTENTION {name}: embargo {}", self.embargo),
            NoticeKind::KeyTrouble => "Your OpenPGP key needs attention".to_owned(),
        };
        one_line(&format!("{practice}{text}"))
    }

    /// The text.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        if self.practice {
            out.push_str("*** PRACTICE: nothing in this mail is real ***\n\n");
        }
        match self.kind {
            NoticeKind::Announcement | NoticeKind::Revision => self.content(&mut out),
            NoticeKind::NewDate => self.new_date(&mut out),
            NoticeKind::Lifted | NoticeKind::LiftedEarly => self.public(&mut out),
            NoticeKind::Cancelled => self.cancelled(&mut out),
            NoticeKind::Alarm => self.alarm(&mut out),
            NoticeKind::KeyTrouble => {}
        }
        out
    }

    fn zone(&self) -> Tz {
        self.project.policy.zone
    }

    fn permission(out: &mut String) {
        paragraph(
            out,
            "WHAT YOU MAY SAY",
            "TLP:AMBER+STRICT. Nothing to anybody outside those of your organisation who prepare the update, \
             until the date below. Not that there is a vulnerability, not which project, not the date.",
        );
    }

    fn content(&self, out: &mut String) {
        let Some(revision) = self.revision else { return };
        let text = &revision.content.case.text;
        let _ = writeln!(
            out,
            "To the approved packagers of {}. This is revision {} of embargo {}.\n",
            self.project.name, revision.number, self.embargo
        );
        if self.kind == NoticeKind::Revision {
            paragraph(out, "WHAT CHANGED", &revision.content.reason);
        }
        Self::permission(out);
        paragraph(out, "WHAT IT IS", &format!("{}\n\n{}", text.title, text.summary));
        paragraph(out, "FOR PACKAGERS", &text.notice);
        let mut affected = format!("Affected: {}", text.affected.join(", "));
        if !text.fixed.is_empty() {
            let _ = write!(affected, "\nFixed in: {}", text.fixed.join(", "));
        }
        for (label, value) in [("Severity", &text.severity), ("CVE", &text.cve)] {
            if let Some(value) = value {
                let _ = write!(affected, "\n{label}: {value}");
            }
        }
        paragraph(out, "ARE YOU AFFECTED", &affected);
        self.when(out);
        self.which_fix(out, revision);
        let before = text.mitigation.as_deref().unwrap_or("No mitigation is known.");
        paragraph(
            out,
            "WHAT YOU MAY DO BEFORE THAT",
            &format!("Build and test in private. Publish no update and no source before the date.\n{before}"),
        );
        paragraph(out, "HOW TO ASK", &self.how_to_ask());
        paragraph(
            out,
            "SAY THAT YOU HAVE READ THIS",
            &format!(
                "Receipt code: {code}\n\n  embargoctl receipt {id} {code}\n\nor with curl and a token:\n\n  \
                 curl -X PUT -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n    \
                 -d '{{\"revision\":{number},\"code\":\"{code}\"}}' \\\n    {base}/api/v1/embargoes/{id}/receipt",
                code = revision.content.receipt_code,
                id = self.embargo,
                number = revision.number,
                base = self.base_url,
            ),
        );
        // The first word to packagers differs from nothing that they have seen.
        if self.kind == NoticeKind::Revision && !revision.content.differences.is_empty() {
            paragraph(out, "HOW THE FIXES DIFFER FROM THE REVISION BEFORE", &revision.content.differences);
        }
    }

    fn when(&self, out: &mut String) {
        let Some(lifts_at) = self.lifts_at else { return };
        paragraph(
            out,
            "WHEN",
            &format!(
                "Coordinated release date (CRD): {}\nThat is in {}.",
                display_instant(lifts_at, self.zone()),
                display_duration(lifts_at - self.now)
            ),
        );
    }

    fn how_to_ask(&self) -> String {
        format!(
            "Nobody reads replies to this mail. Write to the maintainers of {}, signed, and encrypted to their \
             keys:\n\n{}",
            self.project.name,
            self.to_ask.join("\n")
        )
    }

    fn which_fix(&self, out: &mut String, revision: &StoredRevision) {
        let mut list = String::new();
        for fix in self.fixes {
            let facts = &fix.content.facts;
            let _ = writeln!(
                list,
                "{}: {} bytes, {} patch(es), SHA-256 {}",
                fix.content.branch,
                facts.size,
                facts.patches.len(),
                fix.content.sha256
            );
            for patch in &facts.patches {
                if let Some(id) = &patch.patch_id {
                    let _ = writeln!(list, "  patch-id {id}  {}", patch.subject.as_deref().unwrap_or(""));
                }
            }
            let _ = writeln!(
                list,
                "  {}/api/v1/embargoes/{}/revisions/{}/fixes/{}",
                self.base_url, self.embargo, revision.number, fix.id
            );
        }
        for waiver in &revision.content.case.waivers {
            let _ = writeln!(list, "{}: no fix: {}", waiver.branch, waiver.reason);
        }
        if self.attached {
            list.push_str("The patches are attached; `git am` takes them as they are.");
        } else {
            self.recipe(&mut list, revision.number);
        }
        paragraph(out, "WHICH PATCH FOR WHICH BRANCH", &list);
    }

    /// How to fetch what is not attached, ready to be typed.
    fn recipe(&self, list: &mut String, number: u32) {
        let id = self.embargo;
        let _ = writeln!(
            list,
            "The patches are too large for mail. This fetches them:\n\n  embargoctl pull {id}\n\nand so does this; \
             me.asc is your OpenPGP key (gpg --armor --export YOUR-ADDRESS > me.asc):\n\n  S={}\n  \
             curl -s $S/api/v1/challenges --data-binary @me.asc | gpg -dq |\n    \
             curl -s $S/api/v1/tokens --data-binary @- > token",
            self.base_url
        );
        // As attachments are named, so that typing every line loses none of them.
        let names = FileName::distinct(self.fixes.iter().map(|fix| file_name(&fix.content.branch)));
        for (fix, name) in self.fixes.iter().zip(names) {
            let _ = writeln!(
                list,
                "  curl -s -H \"Authorization: Bearer $(cat token)\" \\\n    \
                 $S/api/v1/embargoes/{id}/revisions/{number}/fixes/{} | gpg -dq > {}",
                fix.id,
                name.as_str()
            );
        }
    }

    fn new_date(&self, out: &mut String) {
        let old = self.facts.old_date.map_or_else(String::new, |old| {
            format!("The date {} no longer holds.\n", display_instant(old, self.zone()))
        });
        let _ =
            writeln!(out, "To the approved packagers of {}: embargo {}.\n", self.project.name, self.embargo);
        Self::permission(out);
        paragraph(out, "A NEW DATE", &format!("{old}{}", self.facts.reason));
        self.when(out);
    }

    fn public(&self, out: &mut String) {
        let advisory = self.facts.advisory.as_deref().unwrap_or_default();
        let _ =
            writeln!(out, "To the packagers of {}: embargo {} is over.\n", self.project.name, self.embargo);
        paragraph(out, "WHAT YOU MAY SAY", "TLP:CLEAR. Everything; it is public.");
        if self.kind == NoticeKind::LiftedEarly {
            paragraph(out, "WHY EARLIER THAN AGREED", &self.facts.reason);
        }
        paragraph(
            out,
            "WHERE",
            &format!("{base}/advisories/{advisory}\n{base}/advisories/{advisory}.json", base = self.base_url),
        );
    }

    fn cancelled(&self, out: &mut String) {
        let _ = writeln!(out, "To the packagers of {}: embargo {}.\n", self.project.name, self.embargo);
        Self::permission(out);
        paragraph(
            out,
            "CANCELLED",
            &format!("This embargo ended without a fix. Stop the work on it.\n{}", self.facts.reason),
        );
    }

    fn alarm(&self, out: &mut String) {
        let _ = writeln!(out, "To the maintainers of {}: embargo {}.\n", self.project.name, self.embargo);
        paragraph(out, "WHAT HAPPENED", &self.facts.reason);
        paragraph(out, "WHERE TO LOOK", &format!("embargoctl show {}", self.embargo));
        self.when(out);
    }
}

/// What the fix of a branch is called as a file.
pub(super) fn file_name(branch: &str) -> FileName {
    FileName::sanitised(&format!("{}.mbox", branch.replace('/', "-")))
}

/// What a contact is told whose certificate cannot be used: no content, no project, no date.
pub(super) fn key_trouble(trouble: &str, base_url: &str) -> String {
    format!(
        "A message waits for you at {base_url}, and it cannot be encrypted to the OpenPGP key that is\n\
         registered for this address:\n\n{trouble}\n\nAfter mending the key, log in once with the new \
         certificate (embargoctl login {base_url}),\nand the message follows by itself.\n"
    )
}

fn paragraph(out: &mut String, heading: &str, text: &str) {
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    let _ = writeln!(out, "{heading}\n");
    for line in text.lines() {
        if line.is_empty() {
            out.push('\n');
        } else {
            let _ = writeln!(out, "  {line}");
        }
    }
    out.push('\n');
}

fn one_line(text: &str) -> String {
    let clean: String =
        text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    let trimmed: String = clean.trim().chars().take(180).collect();
    trimmed.trim_end_matches([' ', ':']).to_owned()
}
