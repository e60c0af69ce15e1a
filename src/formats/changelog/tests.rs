//! The entries as the projects would write them, and the law that nothing in a text becomes markup.

use proptest::prelude::*;

use super::*;
use crate::formats::samples;

fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 6, 10).unwrap()
}

fn of(style: ChangelogStyle, advisory: &Advisory, version: Option<&str>) -> String {
    entry(style, advisory, version, date())
}

/// All on one line.
fn unwrapped(entry: &str) -> String {
    entry.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An entry whose text is `text` and which says nothing else.
fn saying(style: ChangelogStyle, text: &str) -> String {
    let mut advisory = samples::bare_advisory();
    text.clone_into(&mut advisory.changelog);
    of(style, &advisory, None)
}

#[test]
fn requests_puts_the_cve_first_and_thanks_those_who_agreed() {
    assert_eq!(
        of(ChangelogStyle::Requests, &samples::advisory(), Some("2.4.1")),
        "2.4.1 (2026-06-10)\n\
         ------------------\n\
         \n\
         **Security**\n\
         - CVE-2026-99999 `Widget.render` refuses line breaks in header values.\n\
         \x20 Thanks to nightfox (reporter), Zoë Ångström (remediation developer).\n\
         \x20 Fixed by 3f9c0a1b2c3d (main), 77ac0a1b2c3d (2.x).\n"
    );
}

#[test]
fn pallets_has_roles_without_the_letters_in_front_and_no_security_section() {
    assert_eq!(
        of(ChangelogStyle::Pallets, &samples::advisory(), Some("2.4.1")),
        "Version 2.4.1\n\
         -------------\n\
         \n\
         Released 2026-06-10\n\
         \n\
         -   ``Widget.render`` refuses line breaks in header values.\n\
         \x20   :cve:`2026-99999`, :ghsa:`68rp-wp8r-4726` Thanks to nightfox\n\
         \x20   (reporter), Zoë Ångström (remediation developer). Fixed by\n\
         \x20   3f9c0a1b2c3d (main), 77ac0a1b2c3d (2.x).\n"
    );
}

#[test]
fn urllib3_links_the_identifiers_and_a_link_is_never_broken() {
    assert_eq!(
        of(ChangelogStyle::Urllib3, &samples::advisory(), Some("2.4.1")),
        "2.4.1 (2026-06-10)\n\
         ==================\n\
         \n\
         Security\n\
         --------\n\
         \n\
         - ``Widget.render`` refuses line breaks in header values.\n\
         \x20 (`CVE-2026-99999 <https://www.cve.org/CVERecord?id=CVE-2026-99999>`__,\n\
         \x20 `GHSA-68rp-wp8r-4726 <https://github.com/advisories/GHSA-68rp-wp8r-4726>`__)\n\
         \x20 Thanks to nightfox (reporter), Zoë Ångström (remediation developer). Fixed by\n\
         \x20 3f9c0a1b2c3d (main), 77ac0a1b2c3d (2.x).\n"
    );
}

#[test]
fn keep_a_changelog_has_the_version_in_brackets() {
    assert_eq!(
        of(ChangelogStyle::KeepAChangelog, &samples::advisory(), Some("2.4.1")),
        "## [2.4.1] - 2026-06-10\n\
         \n\
         ### Security\n\
         \n\
         - `Widget.render` refuses line breaks in header values. (CVE-2026-99999,\n\
         \x20 GHSA-68rp-wp8r-4726) Thanks to nightfox (reporter), Zoë Ångström (remediation\n\
         \x20 developer). Fixed by 3f9c0a1b2c3d (main), 77ac0a1b2c3d (2.x).\n"
    );
}

#[test]
fn without_a_version_nothing_is_dated_and_without_people_nobody_is_thanked() {
    let line = "Header injection in Widget.render.\n";
    for (style, head) in [
        (ChangelogStyle::Requests, "dev\n---\n\n**Security**\n- "),
        (ChangelogStyle::Pallets, "Unreleased\n----------\n\n-   "),
        (ChangelogStyle::Urllib3, "Unreleased\n==========\n\nSecurity\n--------\n\n- "),
        (ChangelogStyle::KeepAChangelog, "## [Unreleased]\n\n### Security\n\n- "),
    ] {
        assert_eq!(of(style, &samples::bare_advisory(), None), format!("{head}{line}"));
    }
}

#[test]
fn an_identifier_that_the_text_says_is_not_said_twice_in_markdown() {
    let mut advisory = samples::advisory();
    advisory.changelog = "CVE-2026-99999 Line breaks are refused".to_owned();
    for style in [ChangelogStyle::Requests, ChangelogStyle::KeepAChangelog] {
        assert_eq!(of(style, &advisory, None).matches("CVE-2026-99999").count(), 1, "{style}");
    }
}

#[test]
fn an_identifier_that_is_none_becomes_no_role_and_no_link() {
    let mut advisory = samples::bare_advisory();
    advisory.cve = Some("CVE-2026-1`_ *x".to_owned());
    let escaped = "CVE-2026-1\\`\\_ \\*x";
    let of = |style| unwrapped(&of(style, &advisory, None));
    assert!(of(ChangelogStyle::Pallets).ends_with(&format!("render. {escaped}")));
    assert!(of(ChangelogStyle::Urllib3).ends_with(&format!("render. ({escaped})")));
}

#[test]
fn hostile_text_makes_no_second_heading_and_hides_nothing() {
    let mut advisory = samples::bare_advisory();
    advisory.changelog = "one\n9.9.9 (2026-01-01)\n------\n\nt\u{202e}wo\u{1b}[2J".to_owned();
    assert_eq!(
        of(ChangelogStyle::Requests, &advisory, Some("1.0\n0")),
        "1.0 0 (2026-06-10)\n------------------\n\n**Security**\n\
         - one 9.9.9 (2026-01-01) ------\n\n  t\\\\u{202e}wo\\\\u{1b}\\[2J.\n"
    );
}

#[test]
fn what_is_markup_in_one_language_is_text_in_the_other() {
    let text = "_private_ and snake_case of *args, |x|, a`b, C:\\new, <b> &amp; R&D; see::";
    assert!(unwrapped(&saying(ChangelogStyle::Pallets, text)).ends_with(
        "- \\_private\\_ and snake_case of \\*args, \\|x\\|, a\\`b, C:\\\\new, <b> &amp; R&D; see:\\:"
    ));
    assert!(unwrapped(&saying(ChangelogStyle::Requests, text)).ends_with(
        "- \\_private\\_ and snake_case of \\*args, \\|x\\|, a\\`b, C:\\\\new, \\<b\\> \\&amp; R\\&D; see::"
    ));
}

#[test]
fn code_keeps_its_characters_whatever_stands_beside_it() {
    assert!(
        saying(ChangelogStyle::Pallets, "(``a_b*`` and x`y`z)")
            .ends_with("-   (``a_b*`` and x\\ ``y``\\ z)\n")
    );
    assert!(saying(ChangelogStyle::Requests, "``a_b*`` and `c`").ends_with("- `a_b*` and `c`.\n"));
    assert!(
        saying(ChangelogStyle::Requests, "an odd ` and ```x```")
            .ends_with("- an odd \\` and \\`\\`\\`x\\`\\`\\`.\n")
    );
}

#[test]
fn a_line_that_would_begin_a_block_begins_none() {
    for (text, markdown, rst) in [
        ("1. one", "- 1\\. one.", "- 1\\. one."),
        ("# one", "- \\# one.", "- \\# one."),
        ("+ one", "- \\+ one.", "- \\+ one."),
        (".. raw:: html", "- .. raw::\n", "- \\.. raw:\\: html."),
        ("\\\\\\\\", "- \\\\", "- \\ \\\\"),
        ("iv. one", "- iv\\. one.", "- iv\\. one."),
        ("::", "- \\::", "- \\:\\:"),
    ] {
        let first = |entry: String| entry[entry.find("\n- ").unwrap() + 1..].to_owned();
        let (a, b) = (
            first(saying(ChangelogStyle::KeepAChangelog, text)),
            first(saying(ChangelogStyle::Urllib3, text)),
        );
        let markdown = markdown.trim_end_matches('\n');
        assert!(a.starts_with(markdown), "{text}: {a}");
        assert!(b.starts_with(rst), "{text}: {b}");
    }
}

/// Reads the text of a bullet point back, knowing nothing of how it was written.
fn read_back(style: ChangelogStyle, body: &str) -> String {
    let mut read = String::new();
    let mut rest = body;
    let code = if matches!(style, ChangelogStyle::Pallets | ChangelogStyle::Urllib3) { "``" } else { "`" };
    while let Some(character) = rest.chars().next() {
        if let Some(inside) = rest.strip_prefix(code) {
            let (inside, after) = inside.split_once(code).expect("code that is closed");
            read.extend(["<", inside, ">"]);
            rest = after;
        } else if character == '\\' {
            let escaped = rest[1..].chars().next().expect("something that is escaped");
            if escaped != ' ' {
                read.push(escaped);
            }
            rest = &rest[1 + escaped.len_utf8()..];
        } else {
            assert!(!"`*|".contains(character), "{character} is free in {body}");
            read.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    read
}

/// Text with a liking for what markup is made of.
fn troublesome() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        4 => "[a-z]{1,8}",
        6 => "[-+*#=_`|\\\\:.()<>&~\\[\\]!/1i •]{1,5}",
        3 => Just(" ".to_owned()),
        1 => Just("\n".to_owned()),
        1 => any::<String>(),
        1 => Just("`x y`".to_owned()),
    ];
    prop::collection::vec(pieces, 1..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_written_reads_back_as_one_bullet_point_with_the_same_text(text in troublesome()) {
        for style in ChangelogStyle::ALL {
            let entry = saying(style, &text);
            let (head, indent) = match style {
                ChangelogStyle::Requests | ChangelogStyle::KeepAChangelog => (4, 2),
                ChangelogStyle::Pallets => (3, 4),
                ChangelogStyle::Urllib3 => (6, 2),
            };
            let lines: Vec<&str> = entry.lines().skip(head).filter(|line| !line.is_empty()).collect();
            for (index, line) in lines.iter().enumerate() {
                let (before, rest) = line.split_at(indent);
                prop_assert_eq!(before.trim(), if index == 0 { "-" } else { "" }, "{}", entry);
                let is_markup = rest.starts_with('\\') || rest.starts_with('`');
                let is_rst = markup(style) == Markup::Rst;
                let first = rest.chars().next().unwrap();
                prop_assert!(!first.is_whitespace(), "{}", entry);
                let word = rest.split(' ').next().unwrap();
                let opens = if is_rst { "-+*•‣⁃:/.#>=|_~^" } else { "#+-=>~:" }.contains(first);
                prop_assert!(is_markup || !opens, "{}", entry);
                let underlines = is_rst && rest.chars().all(|character| character.is_ascii_punctuation());
                prop_assert!(is_markup || !underlines, "{}", entry);
                let number = word.trim_start_matches('(').trim_end_matches(['.', ')']);
                prop_assert!(number.is_empty() || number.len() == word.len() || number.ends_with('\\') || !number.bytes().all(|byte| byte.is_ascii_digit()), "{}", entry);
            }
            let body = lines.iter().map(|line| &line[indent..]).collect::<Vec<_>>().join(" ");
            // What the reader of the text understands: code, and everything else as it is.
            let paragraphs = texts(&Advisory { changelog: text.clone(), ..samples::bare_advisory() });
            let said = paragraphs.iter().map(|said| markup::pieces(&unwrapped(said)).iter().map(|piece| match piece {
                markup::Piece::Text(text) => (*text).to_owned(),
                markup::Piece::Code(code) => format!("<{code}>"),
            }).collect::<String>()).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(read_back(style, &body), said, "{}", entry);
        }
    }
}
