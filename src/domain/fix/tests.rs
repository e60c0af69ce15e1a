//! Stories: what maintainers upload, what they are told, and what is compared.

use super::{ChangeKind, Fix, FixError, Form, MAX_BYTES, MAX_FILES, RemarkCode, compare};

const DIFF: &str =
    "diff --git a/x b/x\nindex 1111111..2222222 100644\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n";
const FROM: &str = "From 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001\n";

fn mail(subject: &str, message: &str, below: &str, diff: &str) -> String {
    format!(
        "{FROM}From: Roe <roe@parser.example>\nDate: Mon, 1 Jun 2026 10:00:00 +0000\nSubject: {subject}\n\n\
         {message}---\n{below}\n{diff}-- \n2.47.3\n\n"
    )
}

fn parsed(upload: impl Into<Vec<u8>>) -> Fix {
    Fix::parse(upload.into()).unwrap()
}

fn refusal(upload: impl Into<Vec<u8>>) -> FixError {
    Fix::parse(upload.into()).unwrap_err()
}

fn remarks(upload: &str) -> Vec<RemarkCode> {
    parsed(upload).facts().remarks.iter().map(|remark| remark.code).collect()
}

#[test]
fn what_is_no_patch_is_called_by_its_name() {
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    let archives: [&[u8]; 7] = [
        b"PK\x03\x04x",
        b"\x1f\x8b\x08",
        b"\xfd7zXZ\0",
        b"BZh9",
        b"\x28\xb5\x2f\xfd",
        b"7z\xbc\xaf\x27\x1c",
        &tar,
    ];
    for archive in archives {
        assert_eq!(refusal(archive).code(), "archive");
    }
    assert_eq!(refusal("").code(), "empty");
    assert_eq!(refusal(" \r\n\t\n").code(), "empty");
    assert_eq!(refusal("\n <!DOCTYPE HTML>\n<p>").code(), "html-page");
    assert_eq!(refusal("\u{feff}<HTML>").code(), "html-page");
    assert_eq!(refusal("-----BEGIN PGP MESSAGE-----\n").code(), "encrypted");
    assert_eq!(refusal(b"\xff\xfed\0i\0".as_slice()).code(), "utf-16");
    assert_eq!(refusal("Dear all,\nthe patch is attached.\n").code(), "no-diff");
    assert_eq!(refusal(mail("[PATCH] x", "", "", "")).code(), "no-diff");
}

#[test]
fn a_fix_may_have_ten_mebibytes_and_not_a_byte_more() {
    let mut upload = DIFF.as_bytes().to_vec();
    upload.resize(MAX_BYTES, b'x');
    assert_eq!(parsed(upload.clone()).facts().size, 10 * 1024 * 1024);
    upload.push(b'\n');
    assert_eq!(refusal(upload), FixError::TooLarge { bytes: MAX_BYTES + 1 });
}

#[test]
fn a_thousand_files_are_taken_also_over_several_patches_and_one_more_is_not() {
    let patch = mail("[PATCH] x", "", "", &DIFF.repeat(MAX_FILES / 2));
    assert_eq!(parsed(patch.repeat(2)).facts().patches.len(), 2);
    assert_eq!(refusal(patch.repeat(2) + &mail("[PATCH] y", "", "", DIFF)), FixError::TooManyFiles);
    assert_eq!(refusal(DIFF.repeat(MAX_FILES + 1)), FixError::TooManyFiles);
    assert_eq!(refusal(FROM.repeat(MAX_FILES + 1)), FixError::TooManyMails);
}

#[test]
fn a_cut_off_hunk_is_refused_with_its_place_and_without_a_word_of_it() {
    let second =
        "diff --git a/secret b/secret\n--- a/secret\n+++ b/secret\n@@ -1,3 +1,3 @@ secret\n a\n-b\n+c\n";
    let upload =
        mail("[PATCH 1/2] x", "", "", DIFF) + &mail("[PATCH 2/2] y", "", "", &(DIFF.to_owned() + second));
    let error = refusal(upload);
    assert_eq!(error.code(), "hunk-count");
    assert_eq!(
        error.to_string(),
        "patch 2, file 2, hunk 1: the header promises 3 old and 3 new lines, 3 and 2 follow; export it again with git \
         format-patch"
    );
}

#[test]
fn an_edited_hunk_that_git_would_shorten_in_silence_is_refused() {
    assert_eq!(refusal(DIFF.to_owned() + "+d\n").code(), "hunk-surplus");
    assert_eq!(refusal(DIFF.to_owned() + " d\n").code(), "hunk-surplus");
    assert_eq!(refusal(DIFF.to_owned() + "-d\n").code(), "hunk-surplus");
    assert_eq!(refusal(DIFF.replace("-1,2", "-1,1")).code(), "hunk-count");
    assert_eq!(refusal(DIFF.replace("-1,2", "-1,99999999999")).code(), "hunk-header");
    assert_eq!(refusal(DIFF.replace("@@ -1,2", "@@ 1,2")).code(), "hunk-header");
    assert_eq!(refusal(DIFF.to_owned() + "\nwords\n@@ -9 +9 @@\n-x\n+y\n").code(), "hunk-without-file");
}

#[test]
fn a_header_whose_change_is_missing_is_refused() {
    for cut in ["index 1111111..2222222 100644\n", "--- a/x\n", "+++ b/x\n"] {
        let end = DIFF.find(cut).unwrap() + cut.len();
        assert_eq!(refusal(&DIFF[..end]).code(), "incomplete", "{cut}");
    }
    let start = "diff --git a/x b/x\n";
    assert_eq!(
        refusal(format!("{start}new file mode 100644\nindex 0000000..3e75765\n")).code(),
        "incomplete"
    );
    assert_eq!(refusal(format!("{start}old mode 100644\n")).code(), "incomplete");
    assert_eq!(
        refusal(format!("{start}similarity index 100%\nrename from x\n")).code(),
        "header-contradicts"
    );
    assert_eq!(refusal(format!("{start}rename from y\nrename to x\n")).code(), "header-contradicts");
    assert_eq!(refusal(format!("{start}GIT binary patch\nliteral 4\nLcmZQ!\n")).code(), "binary-damaged");
    assert_eq!(refusal(DIFF.replace("+++ b/x", "+++ b/y")).code(), "header-contradicts");
    assert_eq!(refusal(DIFF.replace("--- a/x", "rename from x\n--- a/x")).code(), "header-contradicts");
    assert_eq!(refusal(DIFF.replace("index", "new file mode 100644\nindex")).code(), "header-contradicts");
    assert_eq!(refusal("diff --cc x\nindex 1,2..3\n").code(), "combined-diff");
}

#[test]
fn a_name_that_leads_astray_is_refused_wherever_in_the_header_it_stands() {
    for (name, code) in [
        ("/etc/x", "path-absolute"),
        ("a//etc/x", "path-absolute"),
        ("a/../x", "path-outside"),
        ("a/.Git/x", "path-in-git"),
        ("\"a/\\033x\"", "path-control"),
        ("\"a/x", "path-unreadable"),
    ] {
        for line in ["--- a/x", "+++ b/x"] {
            let upload = DIFF.replace(line, &format!("{}{name}", &line[..4]));
            assert_eq!(refusal(upload.clone()).code(), code, "{upload}");
            let plain = upload.split_once("100644\n").unwrap().1.to_owned();
            assert_eq!(refusal(plain).code(), code, "plain {name}");
        }
    }
    let rename = "diff --git a/x b/x y\nsimilarity index 100%\nrename from x\nrename to ";
    assert_eq!(refusal(format!("{rename}../x y\n")).code(), "path-outside");
    assert_eq!(
        refusal("diff --git a/.git/x b/.git/x\nold mode 100644\nnew mode 100755\n").code(),
        "path-in-git"
    );
    assert_eq!(refusal(DIFF.replace("b/x", "b/\0")).code(), "path-control");
}

#[test]
fn control_characters_in_subject_and_author_are_refused_also_when_encoded() {
    assert_eq!(refusal(mail("[PATCH] a\u{1b}[2Jb", "", "", DIFF)).code(), "subject-control");
    assert_eq!(refusal(mail("=?utf-8?q?a=00b?=", "", "", DIFF)).code(), "subject-control");
    let author = mail("x", "", "", DIFF).replace("From: Roe", "From: =?utf-8?b?AGE=?=");
    assert_eq!(refusal(author).code(), "author-control");
}

#[test]
fn a_patch_about_mailboxes_stays_one_patch() {
    let inside = format!("@@ -1,2 +1,3 @@\n {FROM}-{FROM}+{FROM}+>{FROM}");
    let upload = mail(
        "[PATCH] mbox: split",
        "It splits at\n>From lines.\n",
        "",
        &DIFF.replace("@@ -1,2 +1,2 @@\n a\n-b\n+c\n", &inside),
    );
    let fix = parsed(upload);
    assert_eq!((fix.facts().form, fix.facts().patches[0].added), (Form::Mail, 2));
}

#[test]
fn mails_in_base64_and_quoted_printable_are_read_and_kept_as_they_came() {
    let expected = parsed(mail("x", "m\n", "", DIFF)).facts().patches.clone();
    let plain = mail("x", "m\n", "", DIFF);
    let (head, body) = plain.split_once("\n\n").unwrap();
    let quoted = format!(
        "{head}\nContent-Transfer-Encoding: Quoted-Printable\n\n{}",
        body.replace('+', "=2B").replace(" 100", "=\n 100")
    );
    let encoded = base64_simd::STANDARD.encode_to_string(body);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let base64 = format!("{head}\ncontent-transfer-encoding: base64\n\n{}\n\n", lines.join("\n"));
    for upload in [quoted, base64.clone()] {
        let fix = parsed(upload.clone());
        assert_eq!(fix.facts().patches, expected);
        assert_eq!(fix.print(), upload.as_bytes());
    }
    assert_eq!(refusal(base64 + "*\n").code(), "encoding");
}

#[test]
fn a_mail_needs_no_separator_line_and_its_first_line_may_name_another_author() {
    let upload = mail("x", "From: Doe <doe@parser.example>\n\nm\n", "", DIFF).replace(FROM, "");
    let fix = parsed(upload);
    assert_eq!(fix.facts().form, Form::Mail);
    assert_eq!(fix.facts().patches[0].author.as_deref(), Some("Doe <doe@parser.example>"));
    assert_eq!(parsed(format!("Index: x\n=====\n{}", &DIFF[49..])).facts().form, Form::PlainDiff);
}

#[test]
fn an_mbox_of_a_mail_program_is_split_at_its_own_separators() {
    let separator = "From roe@parser.example Mon Jun  1 10:00:00 2026\n";
    let upload = mail("[PATCH 1/2] x", "From here on\n", "", DIFF) + &mail("[PATCH 2/2] y", "", "", DIFF);
    assert_eq!(parsed(upload.replace(FROM, separator)).facts().patches.len(), 2);
}

#[test]
fn lines_that_a_mailer_emptied_count_as_context() {
    let kept = DIFF.replace(" a\n", " \n");
    let emptied = DIFF.replace(" a\n", "\n");
    let id = |upload: String| parsed(upload).facts().patches[0].patch_id;
    assert_eq!(id(emptied), id(kept));
}

#[test]
fn two_hundred_patches_keep_their_order() {
    let upload: String = (1..=200)
        .map(|number| mail(&format!("[PATCH {number:03}/200] step {number}"), "", "", DIFF))
        .collect();
    let fix = parsed(upload);
    assert_eq!(fix.facts().patches.len(), 200);
    assert_eq!(fix.facts().patches[199].subject.as_deref(), Some("step 200"));
    assert!(fix.facts().remarks.iter().all(|remark| remark.code == RemarkCode::NoBaseCommit));
}

#[test]
fn a_private_remark_below_the_separator_is_noticed_and_not_repeated() {
    let fix = parsed(mail(
        "x",
        "m\n",
        "Do not tell the others yet.\n\n x | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n",
        DIFF,
    ));
    let remark =
        fix.facts().remarks.iter().find(|remark| remark.code == RemarkCode::TextBelowSeparator).unwrap();
    assert_eq!(remark.patch, Some(1));
    assert_eq!(
        remark.sentence,
        "patch 1: 1 line between \"---\" and the diff: not part of the commit, packagers will read it; remove what is not \
         meant for them"
    );
}

#[test]
fn remarks_name_what_packagers_would_stumble_over() {
    use RemarkCode as Code;
    let base = "base-commit: 1234567890123456789012345678901234567890\n";
    let based = |upload: String| upload.replace("-- \n2.47.3\n", &format!("\n{base}-- \n2.47.3\n"));
    assert_eq!(remarks(&based(mail("x", "m\n", "", DIFF))), []);
    assert_eq!(remarks(&mail("x", "m\n", "", DIFF)), [Code::NoBaseCommit]);
    assert_eq!(remarks(DIFF), [Code::PlainDiff, Code::NoBaseCommit]);
    assert_eq!(remarks(&based(mail("x", "", "", &(DIFF.to_owned() + "\nBye.\n")))), [Code::TextBelowDiff]);
    assert_eq!(remarks(&based(mail("stop CVE-2026-0042", "m\n", "", DIFF))), [Code::CveInSubject]);
    assert_eq!(remarks(&based(mail("x", "for cve-2026-0042\n", "", DIFF))), [Code::CveInMessage]);
    assert_eq!(remarks(&based(mail("[PATCH 2/2] x", "", "", DIFF))), [Code::SeriesIncomplete]);
    assert_eq!(remarks(&based(mail("x\nCc: doe@parser.example", "", "", DIFF))), [Code::Recipients]);
    assert_eq!(remarks(&based(mail("", "", "", DIFF))), [Code::NoSubject]);
    assert_eq!(
        remarks(&based(mail("x", "", " 1 file changed, 2 insertions(+)\n", DIFF))),
        [Code::DiffstatDiffers]
    );
    assert_eq!(
        remarks(&based(mail("x", "", "", &DIFF.replace("a/x", "x").replace("b/x", "x")))),
        [Code::NoPathPrefix]
    );
    assert_eq!(remarks(&based(mail("x", "", "", &DIFF[49..]))), [Code::NoPatchId]);
    assert_eq!(
        remarks(&based(mail("x", "", "", &DIFF.replace("+c", "+\u{202e}c")))),
        [Code::DirectionControl]
    );
}

#[test]
fn names_are_shown_without_prefix_whichever_prefix_it_is() {
    let shown = |upload: String| parsed(upload).facts().patches[0].files[0].clone();
    let swapped = |old: &str, new: &str| DIFF.replace("a/x", old).replace("b/x", new);
    assert_eq!(shown(swapped("a/s/x y", "b/s/x y")).path, "s/x y");
    assert_eq!(shown(swapped("before/s/x", "after/s/x")).path, "s/x");
    assert_eq!(shown(swapped("s/x", "s/x")).path, "s/x");
    let plain = "--- x.orig\t2026-06-01\n+++ x\t2026-06-01\n@@ -1 +1 @@\n-a\n+b\n".to_owned();
    assert_eq!((shown(plain).path, shown(DIFF.to_owned()).kind), ("x".to_owned(), ChangeKind::Modified));
}

#[test]
fn facts_survive_storage_and_a_forged_patch_id_does_not() {
    let fix = parsed(mail("x", "m\n", "", DIFF));
    let stored = serde_json::to_string(fix.facts()).unwrap();
    assert!(stored.contains(r#""form":"mail""#) && stored.contains(r#""code":"no-base-commit""#), "{stored}");
    assert_eq!(&serde_json::from_str::<super::FixFacts>(&stored).unwrap(), fix.facts());
    let id = fix.facts().patches[0].patch_id.unwrap().to_string();
    assert!(serde_json::from_str::<super::FixFacts>(&stored.replace(&id, &id[1..])).is_err());
}

#[test]
fn neither_a_fix_nor_a_comparison_prints_itself_when_debugged() {
    let fix = parsed(mail("hushed", "hushed\n", "", DIFF));
    let changed = parsed(mail("hushed", "other\n", "", DIFF));
    let shown = format!("{fix:?} {:?} {:?}", compare(&fix, &changed), compare(&fix, &changed).pairs);
    assert!(!shown.contains("hushed"), "{shown}");
}

#[test]
fn a_rebased_series_is_the_same_series() {
    let old = parsed(mail("[PATCH] x", "m\n", "", DIFF));
    let new = parsed(
        mail("[PATCH v2] x", "m\n", " noise\n", &DIFF.replace("-1,2 +1,2 @@", "-91,2 +92,2 @@ after"))
            .replace("1111111..2222222", "3333333..4444444"),
    );
    let comparison = compare(&old, &new);
    assert!(comparison.is_identical());
    assert_eq!(comparison.to_string(), "  1 ->   1  same     x\n");
}

#[test]
fn a_second_revision_is_told_patch_by_patch() {
    let other = DIFF.replace("/x", "/y").replace("+c", "+d");
    let missed = "@@ -9 +9 @@\n-old\n+\told\u{7}\n";
    let old = mail("a", "m\n", "", DIFF)
        + &mail("b", "m\n", "", &other)
        + &mail("gone", "", "", &DIFF.replace("/x", "/gone"));
    let new = mail("new", "", "", &DIFF.replace("/x", "/new"))
        + &mail("b, reworded", "m\n", "", &other)
        + &mail("a", "m\n", "", &(DIFF.to_owned() + missed));
    let comparison = compare(&parsed(old), &parsed(new));
    assert!(!comparison.is_identical());
    let expected = "  - ->   1  added    new
  2 ->   2  changed  b, reworded
    ## message ##
    @@ -1,4 +1,4 @@
     Author: Roe <roe@parser.example>
    -Subject: b
    +Subject: b, reworded
     
     m
  1 ->   3  changed  a
    ## x ##
    @@ -5,3 +5,6 @@
      a
     -b
     +c
    +@@
    +-old
    ++\told\u{2407}
  3 ->   -  dropped  gone
";
    assert_eq!(comparison.to_string(), expected);
}

#[test]
fn indentation_is_a_change_although_the_patch_id_is_the_same() {
    let (old, new) = (parsed(DIFF), parsed(DIFF.replace("+c", "+    c")));
    assert_eq!(old.facts().patches[0].patch_id, new.facts().patches[0].patch_id);
    assert!(!compare(&old, &new).is_identical());
}

#[test]
fn a_difference_too_large_to_work_out_is_told_by_its_size() {
    let many = |letter: char| {
        let lines: Vec<String> = (0..20_000).map(|number| format!("+{letter}{number}\n")).collect();
        let lines = lines.concat();
        format!("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -0,0 +1,20000 @@\n{lines}")
    };
    let text = compare(&parsed(many('a')), &parsed(many('b'))).to_string();
    assert!(text.contains("20000 lines replaced by 20000; too many to compare here"), "{text}");
}
