//! Fixes as git makes them: up by a signed command, out by mail, down over HTTP, and into a packager's clone.

use embargod::domain::fix::Fix;

use crate::harness::{Change, TestServer, ordinary_text};
use crate::repository::Repository;

/// How a fix is made, and how a packager applies it.
struct WellFormed {
    name: &'static str,
    make: fn(&Repository) -> Vec<u8>,
    apply: &'static [&'static str],
}

const AM: &[&str] = &["am", "--quiet"];
/// Whoever packages a project with carriage returns in its files knows this word.
const AM_KEEPING: &[&str] = &["am", "--quiet", "--keep-cr"];
/// A cover letter is an empty patch to git.
const AM_DROPPING: &[&str] = &["am", "--quiet", "--empty=drop"];
const APPLY: &[&str] = &["apply"];

fn change_numbers(repository: &Repository, number: usize) {
    let line = format!("line {number}\n");
    repository.replace("numbers.txt", line.as_bytes(), format!("line {number}, mended\n").as_bytes());
}

/// One commit that does this, as `git format-patch` prints it.
macro_rules! commit {
    ($name:literal, $apply:expr, $options:expr, |$repository:ident| $change:block) => {
        WellFormed {
            name: $name,
            make: |$repository| {
                $change
                $repository.commit($name);
                $repository.series($options)
            },
            apply: $apply,
        }
    };
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn all() -> Vec<WellFormed> {
    vec![
        commit!("one line", AM, &[], |r| { change_numbers(r, 7) }),
        commit!("two hunks and two files", AM, &[], |r| {
            change_numbers(r, 3);
            change_numbers(r, 30);
            r.replace("run.sh", b"exit 0", b"exit 1");
        }),
        commit!("full object names", AM, &["--full-index"], |r| { change_numbers(r, 7) }),
        commit!("a second version", AM, &["-v2", "--rfc"], |r| { change_numbers(r, 7) }),
        commit!("message ids", AM, &["--thread=shallow"], |r| { change_numbers(r, 7) }),
        commit!("a signed-off line", AM, &["--signoff"], |r| { change_numbers(r, 7) }),
        commit!("no diffstat", AM, &["--no-stat"], |r| { change_numbers(r, 7) }),
        commit!("much context", AM, &["-U20"], |r| { change_numbers(r, 20) }),
        commit!("little context", AM, &["-U1"], |r| { change_numbers(r, 20) }),
        commit!("empty lines of context", AM, &[], |r| { r.replace("blank.txt", b"middle", b"centre") }),
        commit!("a new file", AM, &[], |r| { r.write("src/new.py", b"def f():\n    return 1\n") }),
        commit!("a new empty file", AM, &[], |r| { r.write("empty", b"") }),
        commit!("a file that goes", AM, &[], |r| { drop(r.git(&["rm", "--quiet", "run.sh"])) }),
        commit!("a rename", AM, &[], |r| { drop(r.git(&["mv", "numbers.txt", "counted.txt"])) }),
        commit!("a rename with a change", AM, &["-M"], |r| {
            r.git(&["mv", "numbers.txt", "counted.txt"]);
            r.replace("counted.txt", b"line 9\n", b"line nine\n");
        }),
        commit!("a copy", AM, &["-C", "--find-copies-harder"], |r| {
            let copy = r.read("numbers.txt");
            r.write("more.txt", &copy);
        }),
        commit!("another mode", AM, &[], |r| { r.make_executable("run.sh") }),
        commit!("a link inside the tree", AM, &[], |r| {
            r.link("../numbers.txt", "docs/link");
        }),
        commit!("a new binary file", AM, &[], |r| { r.write("icon.bin", &[0, 1, 2, 255, 254, 10, 13, 0]) }),
        commit!("a changed binary file", AM, &[], |r| { r.replace("logo.bin", &[7, 8, 9], &[9, 8, 7]) }),
        commit!("no newline at the end, still", AM, &[], |r| {
            r.replace("open-end.txt", b"no newline", b"still none");
        }),
        commit!("a newline at the end, now", AM, &[], |r| {
            r.replace("open-end.txt", b"no newline", b"a newline\n");
        }),
        commit!("carriage returns", AM_KEEPING, &[], |r| { r.replace("crlf.txt", b"two", b"zwei") }),
        commit!("Latin-1 text", AM, &[], |r| { r.replace("latin1.txt", b"na\xefve", b"na\xefver") }),
        commit!("UTF-8 text", AM, &[], |r| {
            r.replace(
                "docs/guide with spaces.txt",
                "gr\u{fc}n".as_bytes(),
                "\u{3b1}\u{3b2}\u{3b3}".as_bytes(),
            );
        }),
        commit!("a quoted name", AM, &[], |r| { r.write("d\u{e9}j\u{e0} \"vu\".txt", b"x\n") }),
        commit!("trailing blanks and tabs", AM, &[], |r| { r.write("blanks.txt", b"a \n\tb\t\n  \n") }),
        commit!("lines that look like mailbox separators", AM, &[], |r| {
            let line = b"From 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001\nFrom here on\n>From\n";
            r.write("mbox.txt", line);
        }),
        commit!("lines that look like diffs", AM, &[], |r| {
            r.write("diff.txt", b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n-- \n2.0\n");
        }),
        WellFormed {
            name: "a message in Latin-1 that looks like a patch",
            make: |r| {
                change_numbers(r, 7);
                r.git(&["add", "--all"]);
                let message = "Gr\u{fc}n, und eine sehr lange Zeile im Betreff, die gefaltet werden muss, weil sie so lang ist\n\n\
                               Wie in\n\n    diff --git a/x b/x\n\nund ---- dann.\n";
                r.git(&["commit", "--quiet", "--message", message]);
                r.series(&[])
            },
            apply: AM,
        },
        WellFormed {
            name: "a series with a cover letter",
            make: |r| {
                for number in [4, 14, 24] {
                    change_numbers(r, number);
                    r.commit(&format!("mend {number}"));
                }
                r.series(&["--cover-letter"])
            },
            apply: AM_DROPPING,
        },
        WellFormed {
            name: "a series of forty",
            make: |r| {
                for number in 1..=40 {
                    change_numbers(r, number);
                    r.commit(&format!("mend {number}"));
                }
                r.series(&[])
            },
            apply: AM,
        },
        WellFormed {
            name: "a change that is taken back",
            make: |r| {
                change_numbers(r, 7);
                r.commit("mend");
                r.git(&["revert", "--no-edit", "HEAD"]);
                change_numbers(r, 8);
                r.commit("mend the other");
                r.series(&[])
            },
            apply: AM,
        },
        WellFormed {
            name: "a plain diff of git",
            make: |r| {
                change_numbers(r, 7);
                r.write("new.txt", b"new\n");
                r.commit("mend");
                r.diff(&["--binary"])
            },
            apply: APPLY,
        },
    ]
}

#[tokio::test]
async fn what_git_makes_arrives_byte_for_byte_by_mail_and_over_http_and_git_applies_it() {
    let server = TestServer::start().await;
    let debian = server.packager("debian").await;
    let mara = server.maintainer();
    let token = debian.token().await;
    let all = all();
    assert!(all.len() >= 25, "{}", all.len());
    for (number, WellFormed { name, make, apply }) in all.into_iter().enumerate() {
        let repository = Repository::new();
        let mbox = make(&repository);
        let fix = Fix::parse(mbox.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let ids: Vec<String> =
            fix.facts().patches.iter().map(|patch| patch.patch_id.as_ref().unwrap().to_string()).collect();
        assert_eq!(ids, repository.patch_ids(&mbox), "{name}");

        let id = mara.opens(&ordinary_text()).await;
        mara.puts_fix(&id, "main", &mbox).await;
        mara.does(&Change::schedule(&id, "2026-06-10 14:00", None)).await.accepted();
        let case = mara.does(&Change::send(&id, None, true)).await.accepted();
        server.run_worker_until_idle().await;
        let mail = debian.mailbox(&server.sink).pop().unwrap();
        assert_eq!(debian.mailbox(&server.sink).len(), number + 1);
        assert_eq!(mail.attachments, [("main.mbox".to_owned(), mbox.clone())], "{name}");
        let path = format!("/api/v1/embargoes/{id}/revisions/1/fixes/{}", case.neutral.fixes[0].id);
        let fetched = debian.fetches(&token, &path).await;
        assert!(fetched == mbox, "{name}");
        repository.packager_applies(apply, &fetched);
    }
    server.finish().await;
}
