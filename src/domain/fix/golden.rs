//! Uploads as git and diff write them, and the patch-ids that `git patch-id --stable` 2.47 printed for them.

use super::{ChangeKind, Fix, Form, PatchFacts};

/// A series with cover letter and base: text that looks like a mailbox, carriage returns, no newline at the end,
/// mode change, rename, new, deleted, empty and binary files, quoted names, names with spaces.
/// The sign `␍` stands for a carriage return.
const SERIES: &str = r#"From 6df523681c931212d75084cb3d4b8db0c787c319 Mon Sep 17 00:00:00 2001
From: R <r@parser.example>
Date: Mon, 1 Jun 2026 10:00:00 +0000
Subject: [PATCH 0/4] *** SUBJECT HERE ***
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit

*** BLURB HERE ***

Róisín Roe (4):
  numbers: spell three
  endings: carriage returns, and no newline at the end
  tree: mode, pure rename, new, deleted and empty file
  binary: one binary file between text files

 crlf.txt                 |   2 +-
 "d\303\251j\303\240.txt" |   2 +-
 empty.txt                |   0
 logo.bin                 | Bin 10 -> 11 bytes
 new.txt                  |   1 +
 numbers.txt              |   6 +++---
 old.txt                  |   1 -
 open-end.txt             |   2 +-
 moved.txt => renamed.txt |   0
 run.sh                   |   0
 sp ace.txt               |   2 +-
 11 files changed, 8 insertions(+), 8 deletions(-)
 create mode 100644 empty.txt
 create mode 100644 new.txt
 delete mode 100644 old.txt
 rename moved.txt => renamed.txt (100%)
 mode change 100644 => 100755 run.sh


base-commit: 6caf0a507856b4aca32e87cb3640a094f75019b0
-- 
2.47.3

From 79e12022b67ac922b8426fefdb0a924db6cc5346 Mon Sep 17 00:00:00 2001
From: =?UTF-8?q?R=C3=B3is=C3=ADn=20Roe?= <roe@parser.example>
Date: Mon, 1 Jun 2026 10:00:00 +0000
Subject: [PATCH 1/4] numbers: spell three

The second line looks like a mailbox separator.
---
 numbers.txt | 4 ++--
 1 file changed, 2 insertions(+), 2 deletions(-)

diff --git a/numbers.txt b/numbers.txt
index ac9837c..54646d6 100644
--- a/numbers.txt
+++ b/numbers.txt
@@ -1,6 +1,6 @@
 line 1
 line 2
-line 3
+line three
 line 4
 line 5
 line 6
@@ -17,7 +17,7 @@ line 16
 line 17
 line 18
 line 19
-line 20
+From 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001
 line 21
 line 22
 line 23
-- 
2.47.3


From 603c232c9f7662dead35d5eb29b445b79bb29083 Mon Sep 17 00:00:00 2001
From: =?UTF-8?q?R=C3=B3is=C3=ADn=20Roe?= <roe@parser.example>
Date: Mon, 1 Jun 2026 10:00:00 +0000
Subject: [PATCH 2/4] endings: carriage returns, and no newline at the end

---
 crlf.txt     | 2 +-
 open-end.txt | 2 +-
 2 files changed, 2 insertions(+), 2 deletions(-)

diff --git a/crlf.txt b/crlf.txt
index e1587ff..d48bcb7 100644
--- a/crlf.txt
+++ b/crlf.txt
@@ -1,3 +1,3 @@
 one␍
-two␍
+2␍
 three␍
diff --git a/open-end.txt b/open-end.txt
index 0a207c0..817f660 100644
--- a/open-end.txt
+++ b/open-end.txt
@@ -1,2 +1,2 @@
 a
-b
\ No newline at end of file
+c
\ No newline at end of file
-- 
2.47.3


From a33ef463fed0644fb205acd7c4f3f5262b2ec694 Mon Sep 17 00:00:00 2001
From: =?UTF-8?q?R=C3=B3is=C3=ADn=20Roe?= <roe@parser.example>
Date: Mon, 1 Jun 2026 10:00:00 +0000
Subject: [PATCH 3/4] tree: mode, pure rename, new, deleted and empty file

---
 empty.txt                | 0
 new.txt                  | 1 +
 old.txt                  | 1 -
 moved.txt => renamed.txt | 0
 run.sh                   | 0
 5 files changed, 1 insertion(+), 1 deletion(-)
 create mode 100644 empty.txt
 create mode 100644 new.txt
 delete mode 100644 old.txt
 rename moved.txt => renamed.txt (100%)
 mode change 100644 => 100755 run.sh

diff --git a/empty.txt b/empty.txt
new file mode 100644
index 0000000..e69de29
diff --git a/new.txt b/new.txt
new file mode 100644
index 0000000..3e75765
--- /dev/null
+++ b/new.txt
@@ -0,0 +1 @@
+new
diff --git a/old.txt b/old.txt
deleted file mode 100644
index 3367afd..0000000
--- a/old.txt
+++ /dev/null
@@ -1 +0,0 @@
-old
diff --git a/moved.txt b/renamed.txt
similarity index 100%
rename from moved.txt
rename to renamed.txt
diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
-- 
2.47.3


From 6df523681c931212d75084cb3d4b8db0c787c319 Mon Sep 17 00:00:00 2001
From: =?UTF-8?q?R=C3=B3is=C3=ADn=20Roe?= <roe@parser.example>
Date: Mon, 1 Jun 2026 10:00:00 +0000
Subject: [PATCH 4/4] binary: one binary file between text files

---
 "d\303\251j\303\240.txt" |   2 +-
 logo.bin                 | Bin 10 -> 11 bytes
 numbers.txt              |   2 +-
 sp ace.txt               |   2 +-
 4 files changed, 3 insertions(+), 3 deletions(-)

diff --git "a/d\303\251j\303\240.txt" "b/d\303\251j\303\240.txt"
index 0719398..4c5701d 100644
--- "a/d\303\251j\303\240.txt"
+++ "b/d\303\251j\303\240.txt"
@@ -2,7 +2,7 @@
 2
 3
 4
-5
+five
 6
 7
 8
diff --git a/logo.bin b/logo.bin
index 5d27a5569afb5435805def9cc47d893fd2142985..469ddbc74c9a53cbc7842fea2a2a2044ccbfbf79 100644
GIT binary patch
literal 11
ScmZQzWMWCm%u6h)R0IGEegdul

literal 10
RcmZQzWMWRr%u6h)1ON!h0*n9v

diff --git a/numbers.txt b/numbers.txt
index 54646d6..ce7d592 100644
--- a/numbers.txt
+++ b/numbers.txt
@@ -4,7 +4,7 @@ line three
 line 4
 line 5
 line 6
-line 7
+line seven
 line 8
 line 9
 line 10
diff --git a/sp ace.txt b/sp ace.txt
index 587be6b..975fbec 100644
--- a/sp ace.txt	
+++ b/sp ace.txt	
@@ -1 +1 @@
-x
+y
-- 
2.47.3

"#;

/// A diff by GNU diff: with `diff` lines, and so with a patch-id, but without object names.
const GNU_DIFF: &str = r"diff -ruN a/n.c b/n.c
--- a/n.c	1970-01-01 00:00:00.000000000 +0000
+++ b/n.c	2026-06-01 10:00:00.000000000 +0000
@@ -0,0 +1 @@
+n
diff -ruN a/x.c b/x.c
--- a/x.c	2026-06-01 10:00:00.000000000 +0000
+++ b/x.c	2026-06-01 10:00:00.000000000 +0000
@@ -1,2 +1,2 @@
 x
-y
+z
";

fn series() -> Fix {
    Fix::parse(SERIES.replace('␍', "\r").into_bytes()).unwrap()
}

fn ids(fix: &Fix) -> Vec<String> {
    fix.facts().patches.iter().filter_map(|patch| patch.patch_id).map(|id| id.to_string()).collect()
}

fn changes(patch: &PatchFacts) -> Vec<(&str, ChangeKind)> {
    patch.files.iter().map(|file| (file.path.as_str(), file.kind)).collect()
}

#[test]
fn patch_ids_are_those_of_git_for_text_carriage_returns_renames_modes_and_binary_files() {
    let expected = [
        "088290a85e17c85942e3f760dea16331e3e7ef53",
        "e29ebba338545853bc2912a7bafe4975a6409e2c",
        "9ef7903eea4cd7ea2a2f02c88d63d09d9941cc0f",
        "578be65eb7aba510f7a11c37d59c045c89bb4b40",
    ];
    assert_eq!(ids(&series()), expected);
}

#[test]
fn the_patch_id_of_gnu_diff_is_that_of_git_too() {
    let fix = Fix::parse(GNU_DIFF.into()).unwrap();
    assert_eq!(ids(&fix), ["b89bc2a8474a9e11d472011376dfbc9e0a4dd84c"]);
    assert_eq!(changes(&fix.facts().patches[0]), [("n.c", ChangeKind::Added), ("x.c", ChangeKind::Modified)]);
    assert_eq!(fix.facts().form, Form::PlainDiff);
}

#[test]
fn a_nul_ends_the_line_for_a_patch_id_as_it_does_for_git() {
    let diff = "diff --git a/x b/x\nindex 1111111..2222222 100644\n--- a/x\n+++ b/x\n\
                @@ -1,2 +1,2 @@\n k\0hidden\n-a\0b\n+a\0c\n";
    assert_eq!(ids(&Fix::parse(diff.into()).unwrap()), ["41c49f5ce02a1862c07d52b54605a28a19572fb5"]);
}

#[test]
fn the_facts_of_a_series_are_those_its_author_would_tell() {
    let fix = series();
    let facts = fix.facts();
    assert_eq!(facts.form, Form::Series);
    assert_eq!(facts.base_commit.as_deref(), Some("6caf0a507856b4aca32e87cb3640a094f75019b0"));
    let told: Vec<_> = facts
        .patches
        .iter()
        .map(|patch| (patch.subject.as_deref().unwrap(), patch.added, patch.removed))
        .collect();
    assert_eq!(
        told,
        [
            ("numbers: spell three", 2, 2),
            ("endings: carriage returns, and no newline at the end", 2, 2),
            ("tree: mode, pure rename, new, deleted and empty file", 1, 1),
            ("binary: one binary file between text files", 3, 3),
        ]
    );
    assert_eq!(facts.patches[0].author.as_deref(), Some("Róisín Roe <roe@parser.example>"));
    assert_eq!(facts.patches[0].commit.as_deref(), Some("79e12022b67ac922b8426fefdb0a924db6cc5346"));
    assert_eq!(
        changes(&facts.patches[2]),
        [
            ("empty.txt", ChangeKind::Added),
            ("new.txt", ChangeKind::Added),
            ("old.txt", ChangeKind::Deleted),
            ("renamed.txt", ChangeKind::Renamed),
            ("run.sh", ChangeKind::ModeChanged),
        ]
    );
    assert_eq!(facts.patches[2].files[3].previous.as_deref(), Some("moved.txt"));
    assert_eq!(
        changes(&facts.patches[3]),
        [
            ("déjà.txt", ChangeKind::Modified),
            ("logo.bin", ChangeKind::Binary),
            ("numbers.txt", ChangeKind::Modified),
            ("sp ace.txt", ChangeKind::Modified),
        ]
    );
}

#[test]
fn a_clean_series_gets_no_remark_but_the_one_on_its_cover_letter() {
    let fix = series();
    let sentences: Vec<_> = fix.facts().remarks.iter().map(|remark| remark.sentence.as_str()).collect();
    assert_eq!(sentences, ["a mail without a diff stands before patch 1; packagers will read its text"]);
}

#[test]
fn what_was_read_prints_as_what_was_uploaded() {
    for upload in
        [SERIES.replace('␍', "\r"), GNU_DIFF.to_owned(), SERIES.replace('\n', "\r\n").replace('␍', "")]
    {
        let fix = Fix::parse(upload.clone().into_bytes()).unwrap();
        assert_eq!(fix.print(), upload.as_bytes());
        assert_eq!(fix.bytes(), upload.as_bytes());
    }
}

#[test]
fn a_series_that_went_through_a_windows_mailer_has_the_same_patch_ids() {
    let windows = Fix::parse(SERIES.replace('␍', "").replace('\n', "\r\n").into_bytes()).unwrap();
    assert_eq!(ids(&windows), ids(&series()));
    assert_eq!(windows.facts().patches[0].subject, series().facts().patches[0].subject);
}
