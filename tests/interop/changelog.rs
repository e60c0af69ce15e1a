//! What docutils makes of changelog entries whose texts are full of markup.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use chrono::NaiveDate;
use embargod::domain::advisory::{Advisory, Timeline};
use embargod::domain::policy::ChangelogStyle;
use embargod::formats::changelog;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/changelog.py");

/// The parts that texts are put together from: each pair is tried, with a third behind it.
const PARTS: [&str; 27] = [
    "word",
    " ",
    "`code here`",
    "``x``",
    "`",
    "``",
    "*",
    "**",
    "_",
    "__",
    "|",
    "\\",
    ":",
    "::",
    "..",
    ".. _x:",
    "- ",
    "1. ",
    "(a) ",
    "iv. ",
    "----",
    "====",
    ":ref:",
    ">>> ",
    "é",
    "(",
    "\n\n",
];

fn advisory(text: String) -> Advisory {
    let now = chrono::DateTime::UNIX_EPOCH;
    Advisory {
        id: "EMB-2026-1".to_owned(),
        revision: 1,
        project: "widgetlib".to_owned(),
        project_name: "widgetlib".to_owned(),
        zone: "UTC".to_owned(),
        title: "x".to_owned(),
        summary: String::new(),
        affected: Vec::new(),
        fixed: Vec::new(),
        severity: None,
        cve: Some("CVE-2026-99999".to_owned()),
        ghsa: Some("GHSA-68rp-wp8r-4726".to_owned()),
        mitigation: None,
        changelog: text,
        changelog_file: Some("changelog.rst".to_owned()),
        fixes: Vec::new(),
        without_fix: Vec::new(),
        commits: Vec::new(),
        credits: Vec::new(),
        timeline: Timeline {
            opened_at: now,
            announced_at: now,
            agreed_at: None,
            lifted_at: now,
            early: false,
            packagers_told: 0,
        },
    }
}

#[test]
fn docutils_reads_every_entry_as_one_heading_and_one_bullet_point_with_the_text_that_was_meant() {
    let mut lines = String::new();
    let date = NaiveDate::from_ymd_opt(2026, 6, 10).unwrap();
    for (index, (first, second)) in PARTS.iter().flat_map(|a| PARTS.iter().map(move |b| (a, b))).enumerate() {
        let third = PARTS[(index * 7) % PARTS.len()];
        for text in [
            format!("{first}{second}{third}"),
            format!("{} {first}{second} {third}end", "word ".repeat(index % 20)),
        ] {
            for style in [ChangelogStyle::Pallets, ChangelogStyle::Urllib3] {
                let entry = changelog::entry(style, &advisory(text.clone()), Some("1. _x_"), date);
                let asked = serde_json::json!({ "style": style.name(), "text": text, "entry": entry });
                let _ = writeln!(lines, "{asked}");
            }
        }
    }
    let mut docutils = Command::new("python3").arg(SCRIPT).stdin(Stdio::piped()).spawn().unwrap();
    docutils.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(docutils.wait().unwrap().success());
}
