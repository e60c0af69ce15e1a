//! Patches that must not be taken, each with the code that it is refused with.

/// A patch, and the code of its refusal.
pub struct Hostile {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub code: &'static str,
}

const HUNK: &str = "@@ -1,3 +1,3 @@\n a\n-b\n+c\n d\n";

/// A diff of one file with these names on all lines.
fn diff(old: &str, new: &str) -> String {
    format!("diff --git {old} {new}\nindex 1111111..2222222 100644\n--- {old}\n+++ {new}\n{HUNK}")
}

/// A mail of git with these header lines and this diff.
fn mail(head: &str, diff: &str) -> String {
    format!(
        "From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\nFrom: R <r@fixer.example>\n\
         Date: Mon, 1 Jun 2026 09:00:00 +0000\n{head}\n\nbecause\n---\n{diff}-- \n2.47.3\n"
    )
}

fn patch(diff: &str) -> String {
    mail("Subject: [PATCH] mend it", diff)
}

fn link(path: &str, target: &str) -> String {
    patch(&format!(
        "diff --git a/{path} b/{path}\nnew file mode 120000\nindex 0000000..1111111\n--- /dev/null\n+++ b/{path}\n\
         @@ -0,0 +1 @@\n+{target}\n\\ No newline at end of file\n"
    ))
}

/// All of them.
#[expect(clippy::too_many_lines, reason = "it is a table")]
pub fn all() -> Vec<Hostile> {
    let hostile = |name, bytes: String, code| Hostile { name, bytes: bytes.into_bytes(), code };
    let good = diff("a/x", "b/x");
    let hunked = |hunk: &str| patch(&good.replace(HUNK, hunk));
    let mut all = vec![
        hostile("it climbs out", patch(&diff("a/../../etc/x", "b/../../etc/x")), "path-outside"),
        hostile(
            "it climbs out in the middle",
            patch(&diff("a/src/../../x", "b/src/../../x")),
            "path-outside",
        ),
        hostile("it climbs out with backslashes", patch(&diff("a/..\\..\\x", "b/..\\..\\x")), "path-outside"),
        hostile(
            "it climbs out in quotes",
            patch(&diff("\"a/\\056\\056/x\"", "\"b/\\056\\056/x\"")),
            "path-outside",
        ),
        hostile("an absolute name", patch(&diff("/etc/passwd", "/etc/passwd")), "path-absolute"),
        hostile(
            "an absolute name behind the prefix",
            patch(&diff("a//etc/passwd", "b//etc/passwd")),
            "path-absolute",
        ),
        hostile("a drive", patch(&diff("C:/x", "C:/x")), "path-absolute"),
        hostile("a hook", patch(&diff("a/.git/hooks/x", "b/.git/hooks/x")), "path-in-git"),
        hostile("a hook in capitals", patch(&diff("a/.GIT/config", "b/.GIT/config")), "path-in-git"),
        hostile("a hook by its short name", patch(&diff("a/git~1/config", "b/git~1/config")), "path-in-git"),
        hostile("a hook with a stream", patch(&diff("a/.git::$INDEX/x", "b/.git::$INDEX/x")), "path-in-git"),
        hostile("a hook with a dot behind", patch(&diff("a/.git./x", "b/.git./x")), "path-in-git"),
        hostile(
            "a hook with an invisible letter",
            patch(&diff("a/.g\u{200c}it/x", "b/.g\u{200c}it/x")),
            "path-in-git",
        ),
        hostile(
            "a hook in a submodule",
            patch(&diff("a/lib/.git/config", "b/lib/.git/config")),
            "path-in-git",
        ),
        hostile("a name that rings", patch(&diff("\"a/x\\007\"", "\"b/x\\007\"")), "path-control"),
        hostile("a name with a newline", patch(&diff("\"a/x\\ny\"", "\"b/x\\ny\"")), "path-control"),
        hostile("a name with an escape", patch(&diff("a/\u{1b}[31mx", "b/\u{1b}[31mx")), "path-control"),
        hostile(
            "a rename out of the tree",
            patch("diff --git a/x b/../y\nsimilarity index 100%\nrename from x\nrename to ../y\n"),
            "path-outside",
        ),
        hostile(
            "a rename that says two things",
            patch("diff --git a/x b/x\nsimilarity index 100%\nrename from x\nrename to z\n"),
            "header-contradicts",
        ),
        hostile("a link to /etc", link("docs/link", "/etc/passwd"), "symlink-outside"),
        hostile("a link that climbs out", link("docs/link", "../../x"), "symlink-outside"),
        hostile("a link into .git", link("link", ".git/hooks"), "symlink-outside"),
        hostile(
            "a link that is turned around",
            patch(
                "diff --git a/link b/link\nindex 1111111..2222222 120000\n--- a/link\n+++ b/link\n@@ -1 +1 @@\n-docs\n\
                 \\ No newline at end of file\n+/\n\\ No newline at end of file\n",
            ),
            "symlink-outside",
        ),
        hostile(
            "a link that is packed as a binary file",
            patch(
                "diff --git a/link b/link\nnew file mode 120000\nindex 0000000000000000000000000000000000000000..\
                 b29d3c8d0a2a8a1ce0d3a1f4d5a9c8f2f1b3a4c5\nGIT binary patch\nliteral 4\nLcmZQzWMT#Y01f~L\n\nliteral 0\n\
                 HcmV?d00001\n\n",
            ),
            "symlink-outside",
        ),
        hostile("a hunk that is cut off", hunked("@@ -1,3 +1,3 @@\n a\n-b\n"), "hunk-count"),
        hostile("a hunk with too few lines", hunked(&HUNK.replace("-1,3 +1,3", "-1,6 +1,6")), "hunk-count"),
        hostile("a hunk with too many lines", hunked(&HUNK.replace("+1,3", "+1,2")), "hunk-count"),
        hostile("a hunk with more behind it", hunked(&format!("{HUNK}+dropped\n")), "hunk-surplus"),
        hostile("a hunk whose header is damaged", hunked(&HUNK.replace("@@ -1,3", "@@ -x,3")), "hunk-header"),
        hostile(
            "a second hunk whose header is damaged",
            hunked(&format!("{HUNK}@@ 9,3 +9,3 @@\n a\n")),
            "hunk-header",
        ),
        hostile("a hunk of a merge", hunked("@@@ -1,3 -1,3 +1,3 @@@\n  a\n"), "combined-diff"),
        hostile(
            "a combined diff",
            patch("diff --cc x\nindex 1,2..3\n--- a/x\n+++ b/x\n@@@ -1 -1 +1 @@@\n++a\n"),
            "combined-diff",
        ),
        hostile("names without hunks", hunked(""), "incomplete"),
        hostile("a header alone", patch("diff --git a/x b/x\nindex 1111111..2222222 100644\n"), "incomplete"),
        hostile(
            "binary files that differ",
            patch("diff --git a/x b/x\nindex 1111111..2222222 100644\nBinary files a/x and b/x differ\n"),
            "binary-left-out",
        ),
        hostile(
            "binary files that differ, by diff -r",
            format!("{good}Binary files a/y and b/y differ\n"),
            "binary-left-out",
        ),
        hostile(
            "a binary patch that is cut off",
            patch(
                "diff --git a/x b/x\nindex 1111111..2222222 100644\nGIT binary patch\nliteral 10\nRcmZQzfB\n",
            ),
            "binary-damaged",
        ),
        hostile("a subject that rings", mail("Subject: [PATCH] mend\u{7} it", &good), "subject-control"),
        hostile(
            "a subject that hides a header",
            mail("Subject: =?utf-8?q?mend=0ABcc:_x@evil.example?=", &good),
            "subject-control",
        ),
        hostile(
            "an author that hides a header",
            patch(&good)
                .replace("From: R <r@fixer.example>", "From: =?utf-8?q?R=0D=0ABcc:_x?= <r@fixer.example>"),
            "author-control",
        ),
        hostile(
            "base64 that is none",
            mail("Subject: [PATCH] x\nContent-Transfer-Encoding: base64", "!!!!\n"),
            "encoding",
        ),
        hostile("no diff", mail("Subject: [PATCH] x", ""), "no-diff"),
        hostile("nothing", String::new(), "empty"),
        hostile("blanks", " \n\n\t\n".to_owned(), "empty"),
        hostile("a web page", format!("<!DOCTYPE html>\n<html><pre>{good}</pre></html>\n"), "html-page"),
        hostile(
            "an encrypted message",
            "-----BEGIN PGP MESSAGE-----\n\nhQ==\n-----END PGP MESSAGE-----\n".to_owned(),
            "encrypted",
        ),
        hostile(
            "ten mebibytes and a byte",
            format!("{good}{}", "\n".repeat((10 << 20) + 1 - good.len())),
            "too-large",
        ),
        hostile(
            "a thousand files and one",
            (0..1_001).map(|number| diff(&format!("a/{number}"), &format!("b/{number}"))).collect(),
            "too-many-files",
        ),
        hostile("a thousand mails and one", mail("Subject: [PATCH] x", "").repeat(1_001), "too-many-mails"),
    ];
    let packed = |magic: &[u8]| [magic, &[0; 600]].concat();
    let mut tar = vec![0; 600];
    tar[0] = b'x';
    tar[257..263].copy_from_slice(b"ustar\0");
    for (name, bytes) in [
        ("a zip archive", packed(b"PK\x03\x04")),
        ("a gzip archive", packed(b"\x1f\x8b\x08")),
        ("an xz archive", packed(b"\xfd7zXZ\0")),
        ("a bzip2 archive", packed(b"BZh9")),
        ("a zstd archive", packed(b"\x28\xb5\x2f\xfd")),
        ("a 7z archive", packed(b"7z\xbc\xaf\x27\x1c")),
        ("a tar archive", tar),
    ] {
        all.push(Hostile { name, bytes, code: "archive" });
    }
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(good.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    all.push(Hostile { name: "text in UTF-16", bytes: utf16, code: "utf-16" });
    all
}
