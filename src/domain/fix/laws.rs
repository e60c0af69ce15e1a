//! Laws that hold for every upload, tried on generated ones.

use proptest::prelude::*;

use super::{Fix, PatchId};

/// A line of a hunk: its sign and what stands behind it.
type Line = (char, String);

/// One changed file: its name, and hunks of lines.
#[derive(Clone, Debug)]
struct Change {
    name: String,
    hunks: Vec<Vec<Line>>,
}

#[derive(Clone, Debug)]
struct Patch {
    subject: String,
    message: String,
    changes: Vec<Change>,
}

/// How a patch is written down, apart from what it says.
#[derive(Clone, Copy, Debug)]
struct Style {
    shift: usize,
    /// Put between the words of headers, and after signs.
    space: &'static str,
    line_end: &'static str,
}

const PLAIN: Style = Style { shift: 1, space: "", line_end: "\n" };

/// What a line may hold: words, and all that looks like the frame of a patch.
fn content() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\u{e9}\t]{0,30}",
        Just("From 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001".to_owned()),
        Just("diff --git a/x b/x".to_owned()),
        Just("-- a/x".to_owned()),
        Just("++ b/x".to_owned()),
        Just("@@ -1 +1 @@".to_owned()),
        Just("- ".to_owned()),
        Just(String::new()),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    (prop_oneof![Just(' '), Just('+'), Just('-')], content())
}

fn change() -> impl Strategy<Value = Change> {
    let hunks = prop::collection::vec(prop::collection::vec(line(), 1..8), 1..4);
    ("[a-z]{1,8}(/[a-z. ]{0,6}[a-z]){0,2}", hunks).prop_map(|(name, hunks)| Change { name, hunks })
}

fn patch() -> impl Strategy<Value = Patch> {
    ("x[a-z :]{0,60}", "([a-z >]{0,20}\n){0,4}", prop::collection::vec(change(), 1..4))
        .prop_map(|(subject, message, changes)| Patch { subject, message, changes })
}

fn series() -> impl Strategy<Value = Vec<Patch>> {
    prop::collection::vec(patch(), 1..5)
}

fn diff(changes: &[Change], style: Style) -> String {
    changes.iter().map(|change| file(change, style)).collect::<String>().replace('\n', style.line_end)
}

fn file(Change { name, hunks }: &Change, Style { shift, space, .. }: Style) -> String {
    let hunks = hunks.iter().map(|lines| {
        let count = |sign| lines.iter().filter(|(found, _)| *found != sign).count();
        let content: String =
            lines.iter().map(|(sign, words)| [&sign.to_string(), space, words, "\n"].concat()).collect();
        format!("@@ -{shift},{} +{},{} @@ f{space}\n{content}", count('+'), shift + 1, count('-'))
    });
    format!(
        "diff --git a/{name} b/{name}{space}\nindex 1111111..222222{} 100644\n\
         --- a/{name}\t{space}\n+++ b/{name}\t{space}\n{}",
        shift % 9,
        hunks.collect::<String>(),
    )
}

fn mbox(series: &[Patch], style: Style) -> String {
    let total = series.len();
    let mails = series.iter().enumerate().map(|(at, patch)| {
        format!(
            "From {at:040x} Mon Sep 17 00:00:00 2001\nFrom: Roe <roe@parser.example>\nSubject: [PATCH {}/{total}] {}\n\n\
             {}---\n\n{}-- \n2.47.3\n\n",
            at + 1,
            patch.subject,
            patch.message,
            diff(&patch.changes, style),
        )
    });
    mails.collect()
}

fn ids(upload: &str) -> Vec<PatchId> {
    let fix = Fix::parse(upload.into()).unwrap();
    fix.facts().patches.iter().map(|patch| patch.patch_id.unwrap()).collect()
}

/// Where to damage an upload, and with what.
fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, prop::sample::Index, Vec<u8>)>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        Just(b"\n".to_vec()),
        Just(b"\n@@ -1,9 +1,9 @@\n".to_vec()),
        Just(b"\ndiff --git \"a/x b/".to_vec()),
        Just(b"\nGIT binary patch\nliteral 3\n".to_vec()),
        Just(b"\nrename from x\n".to_vec()),
        Just(b"=?utf-8?q?=".to_vec()),
        Just(b"\nContent-Transfer-Encoding: base64\n".to_vec()),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), piece), 1..6)
}

/// An error may be shown to anyone: it says where and why, and ends with what to do.
fn print_is_identity(upload: &[u8]) {
    match Fix::parse(upload.to_vec()) {
        Ok(fix) => assert_eq!(fix.print(), upload),
        Err(error) => assert!(error.to_string().contains("; ") && !error.code().is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_patch_of_a_series_is_found_and_printing_gives_back_the_upload(series in series()) {
        let upload = mbox(&series, PLAIN);
        let fix = Fix::parse(upload.clone().into()).unwrap();
        prop_assert_eq!(fix.print(), upload.as_bytes());
        prop_assert_eq!(fix.facts().patches.len(), series.len());
        for (facts, patch) in fix.facts().patches.iter().zip(&series) {
            let signs = |sign| patch.changes.iter().flat_map(|change| change.hunks.iter().flatten())
                .filter(|(found, _)| *found == sign).count();
            prop_assert_eq!(facts.subject.as_deref(), Some(patch.subject.trim()));
            prop_assert_eq!(facts.files.len(), patch.changes.len());
            prop_assert_eq!((facts.added as usize, facts.removed as usize), (signs('+'), signs('-')));
            for (file, change) in facts.files.iter().zip(&patch.changes) {
                prop_assert_eq!(&file.path, &change.name);
            }
        }
    }

    #[test]
    fn neither_line_numbers_nor_white_space_nor_line_ends_change_a_patch_id(series in series(), shift in 1..100_000_usize) {
        let expected = ids(&mbox(&series, PLAIN));
        prop_assert_eq!(&ids(&mbox(&series, Style { shift, ..PLAIN })), &expected);
        prop_assert_eq!(&ids(&mbox(&series, Style { line_end: "\r\n", ..PLAIN })), &expected);
        prop_assert_eq!(&ids(&mbox(&series, Style { space: "\t ", ..PLAIN })), &expected);
    }

    #[test]
    fn the_order_of_files_does_not_change_a_patch_id(patch in patch()) {
        let mut turned = patch.clone();
        turned.changes.reverse();
        prop_assert_eq!(ids(&mbox(&[patch], PLAIN)), ids(&mbox(&[turned], PLAIN)));
    }

    #[test]
    fn any_other_letter_in_a_hunk_changes_the_patch_id(patch in patch(), at in any::<prop::sample::Index>(), end in any::<bool>()) {
        let mut changed = patch.clone();
        let mut lines: Vec<&mut Line> =
            changed.changes.iter_mut().flat_map(|change| change.hunks.iter_mut().flatten()).collect();
        let number = at.index(lines.len());
        let words = &mut lines[number].1;
        words.insert(if end { words.len() } else { 0 }, '~');
        prop_assert_ne!(ids(&mbox(&[patch], PLAIN)), ids(&mbox(&[changed], PLAIN)));
    }

    #[test]
    fn a_damaged_upload_is_read_or_refused_but_never_garbled(series in series(), damage in damage()) {
        let mut upload = mbox(&series, PLAIN).into_bytes();
        for (at, length, piece) in damage {
            let at = at.index(upload.len() + 1);
            let end = at + length.index(4.min(upload.len() - at) + 1);
            upload.splice(at..end, piece);
        }
        print_is_identity(&upload);
    }

    #[test]
    fn a_cut_off_upload_is_read_or_refused_but_never_garbled(series in series(), at in any::<prop::sample::Index>()) {
        let upload = mbox(&series, PLAIN).into_bytes();
        print_is_identity(&upload[..at.index(upload.len())]);
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        print_is_identity(&bytes);
    }
}

/// One mebibyte of what a careless reader would scan again and again. A square of it would take hours, so that a
/// lapse shows as a test that does not end.
#[test]
fn a_mebibyte_of_hostile_repetition_is_read_in_one_go() {
    const SIZE: usize = 1024 * 1024;
    let head = "From 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001\nSubject: ";
    for (start, repeated) in [
        ("", "--- a\n"),
        ("", "--- a\n+++ b\n"),
        ("", "diff --git a/x b/x\n"),
        ("diff --git a/", "x "),
        ("diff --git a/", " x/"),
        ("diff --git ", "a/x b/x "),
        ("diff --git \"", "\\\""),
        ("diff --git a/x b/x\n", "rename from x\n"),
        ("", "From "),
        ("", "From :\n\n"),
        ("From x\n\n", "From : 2001\n"),
        ("", "a: b\n"),
        (head, "=?utf-8?q?x"),
        (head, "=?utf-8?q?x?= "),
        (head, "a\n "),
        (head, "[PATCH"),
        (head, "re:"),
        ("", "@@ -1 +1 @@\n"),
        ("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,999999 +1,999999 @@\n", "\n"),
        ("diff --git a/x b/x\nGIT binary patch\nliteral 1\n", "AAAAAA\n"),
        ("diff --git a/x b/x\nold mode 1\nnew mode 2\n\n", "a | 1\n"),
    ] {
        let upload = start.to_owned() + &repeated.repeat(SIZE / repeated.len());
        print_is_identity(upload.as_bytes());
    }
}
