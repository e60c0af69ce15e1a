//! Invented values for the tests of this folder, and a reader that is stricter than any browser.

use crate::domain::advisory::{Advisory, BranchWithoutFix, CommitVerdict, PublicCommit, PublicFix, Timeline};
use crate::domain::case::{PublicCredit, Role};
use crate::formats::Site;

/// Everything that must not work in a page.
pub(super) const HOSTILE: &str = "</pre></textarea></title><script>alert(1)</script>\" onload='x' \
     javascript:x ]]>--><img src=x onerror=y>{{ 7 }}\u{202e}gpj.exe\u{0}\u{1b}[2J\u{85}&amp;";

pub(super) fn site() -> Site {
    Site {
        base_url: "https://embargo.example/".to_owned(),
        server_fingerprint: "EF12A0C49B7766D2135588E1F0A1B2C3D4E5F607".to_owned(),
        practice: false,
        projects: vec!["widgetlib".to_owned()],
    }
}

pub(super) fn advisory() -> Advisory {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Advisory {
        id: "EMB-2026-1".to_owned(),
        revision: 1,
        project: "widgetlib".to_owned(),
        project_name: "widgetlib".to_owned(),
        zone: "Europe/Berlin".to_owned(),
        title: "Header injection in Widget.render".to_owned(),
        summary: "Widget.render copies the caller's title into a response header without refusing line \
                  breaks. Whoever chooses the title can add headers of their own, and so set cookies or \
                  split the response.\n\nNobody is known to exploit this.\n\n\
                  - Applications that pass fixed titles are not affected.\n\
                  - Applications behind a proxy that refuses bare line feeds are not affected."
            .to_owned(),
        affected: texts(&["2.0 to 2.4.0", "1.x before 1.9.7"]),
        fixed: texts(&["2.4.1", "1.9.7"]),
        severity: Some("high".to_owned()),
        cve: Some("CVE-2026-99999".to_owned()),
        ghsa: Some("GHSA-68rp-wp8r-4726".to_owned()),
        mitigation: Some(
            "Refuse titles that contain a line break before they reach the library:\n\n    \
             if \"\\n\" in title or \"\\r\" in title:\n        raise ValueError(\"one line, please\")"
                .to_owned(),
        ),
        changelog: "`Widget.render` refuses line breaks in header values.".to_owned(),
        changelog_file: Some("changelog.md".to_owned()),
        fixes: vec![
            PublicFix {
                branch: "main".to_owned(),
                file: "main.mbox".to_owned(),
                size: 4212,
                sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
                subjects: texts(&["Refuse line breaks in header values", "Add tests for header values"]),
                patch_ids: texts(&[
                    "81c0f2a9d4b35e6178c0aa52be914d07c3f6e281",
                    "5d1e7b90c2f3a4861b0d9e8f7a6c5b4d3e2f1a09",
                ]),
                files: texts(&["widgetlib/render.py", "tests/test_render.py"]),
            },
            PublicFix {
                branch: "2.x".to_owned(),
                file: "2.x.diff".to_owned(),
                size: 1_048_576,
                sha256: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae".to_owned(),
                subjects: Vec::new(),
                patch_ids: texts(&["c0ffee90c2f3a4861b0d9e8f7a6c5b4d3e2f1a09"]),
                files: texts(&["widgetlib/render.py"]),
            },
        ],
        without_fix: vec![BranchWithoutFix {
            branch: "1.8".to_owned(),
            reason: "its support ended in May 2026".to_owned(),
        }],
        commits: vec![
            PublicCommit {
                branch: "main".to_owned(),
                id: "3f9c0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b".to_owned(),
                verdict: CommitVerdict::Verified,
            },
            PublicCommit {
                branch: "2.x".to_owned(),
                id: "77ac0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b".to_owned(),
                verdict: CommitVerdict::Announced,
            },
        ],
        credits: vec![
            PublicCredit { name: "nightfox".to_owned(), role: Role::Reporter },
            PublicCredit { name: "Zoë Ångström".to_owned(), role: Role::RemediationDeveloper },
        ],
        timeline: Timeline {
            opened_at: "2026-05-28T09:12:31Z".parse().unwrap(),
            announced_at: "2026-06-01T09:00:00Z".parse().unwrap(),
            agreed_at: Some("2026-06-10T14:00:00Z".parse().unwrap()),
            lifted_at: "2026-06-10T14:00:00Z".parse().unwrap(),
            early: false,
            packagers_told: 3,
        },
    }
}

/// An advisory with nothing in it that can be left out.
pub(super) fn bare_advisory() -> Advisory {
    Advisory {
        id: "EMB-2026-2".to_owned(),
        summary: String::new(),
        affected: Vec::new(),
        fixed: Vec::new(),
        severity: None,
        cve: None,
        ghsa: None,
        mitigation: None,
        changelog: String::new(),
        fixes: Vec::new(),
        without_fix: Vec::new(),
        commits: Vec::new(),
        credits: Vec::new(),
        timeline: Timeline { packagers_told: 0, ..advisory().timeline },
        ..advisory()
    }
}

/// An advisory with hostile text wherever text can stand.
pub(super) fn hostile_advisory() -> Advisory {
    let text = HOSTILE.to_owned();
    let mut advisory = advisory();
    for field in [
        &mut advisory.id,
        &mut advisory.project,
        &mut advisory.project_name,
        &mut advisory.zone,
        &mut advisory.title,
        &mut advisory.changelog,
    ] {
        field.clone_from(&text);
    }
    advisory.summary = format!("{text}\n\n- {text}\n\n    {text}");
    advisory.mitigation = Some(advisory.summary.clone());
    for field in [&mut advisory.affected, &mut advisory.fixed] {
        *field = vec![text.clone()];
    }
    for field in [&mut advisory.severity, &mut advisory.cve, &mut advisory.ghsa] {
        *field = Some(text.clone());
    }
    for fix in &mut advisory.fixes {
        for field in [&mut fix.branch, &mut fix.file, &mut fix.sha256] {
            field.clone_from(&text);
        }
        for field in [&mut fix.subjects, &mut fix.patch_ids, &mut fix.files] {
            *field = vec![text.clone()];
        }
    }
    for branch in &mut advisory.without_fix {
        *branch = BranchWithoutFix { branch: text.clone(), reason: text.clone() };
    }
    advisory.commits[0].branch.clone_from(&text);
    for commit in &mut advisory.commits {
        commit.id.clone_from(&text);
    }
    for credit in &mut advisory.credits {
        credit.name.clone_from(&text);
    }
    advisory
}
