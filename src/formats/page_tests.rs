//! What the public pages promise.

use super::*;
use crate::formats::markup::{empty_headings, text_of, words_of};
use crate::formats::samples::{self, HOSTILE};
use crate::formats::visible::visible;
use proptest::prelude::*;

fn page(advisory_value: &Advisory) -> Vec<u8> {
    advisory(advisory_value, &samples::site())
}

#[test]
fn a_page_says_what_it_is_who_is_affected_what_to_do_and_how_long_packagers_had() {
    let page = page(&samples::advisory());
    let words = words_of(&page);
    for fact in [
        "Header injection in Widget.render",
        "Published Wed 10 Jun 2026 14:00 UTC (16:00 Berlin)",
        "Affected 2.0 to 2.4.0 1.x before 1.9.7 Fixed in 2.4.1 1.9.7 Severity high",
        "Upgrade to 2.4.1 or 1.9.7 .",
        "Nobody is known to exploit this.",
        "If you cannot upgrade Refuse titles",
        "Branch main main.mbox 4,212 bytes SHA-256 Signature Refuse line breaks in header values patch-id 81c0",
        "patch-id c0ffee90c2f3a4861b0d9e8f7a6c5b4d3e2f1a09",
        "1,048,576 bytes",
        "3f9c0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b Verified: it is in the public repository",
        "Announced: named by the maintainers before the release",
        "1.8 : its support ended in May 2026",
        "nightfox reporter Zoë Ångström remediation developer",
        "3 packagers were told, in confidence.",
        "Published on the agreed date. Packagers had 9 d 5 h .",
        "EF12 A0C4 9B77",
        "curl -sSO https://embargo.example/advisories/EMB-2026-1/main.mbox curl -sSO https",
        "gpg --verify main.mbox.asc main.mbox git am main.mbox",
    ] {
        assert!(words.contains(fact), "{fact:?} is not in {words}");
    }
    let markup = String::from_utf8(page).unwrap();
    for address in [
        "/advisories/EMB-2026-1.json",
        "/advisories/EMB-2026-1.json.asc",
        "/advisories/EMB-2026-1/main.mbox",
        "/advisories/EMB-2026-1/main.mbox.sha256",
        "/advisories/EMB-2026-1/2.x.diff.asc",
        "/advisories/EMB-2026-1/changelog.md",
        "https://www.cve.org/CVERecord?id=CVE-2026-99999",
    ] {
        assert!(markup.contains(&format!("href=\"{address}\"")), "{address}");
    }
    assert!(!words.contains("PRACTICE") && !words.contains("revision"));
}

#[test]
fn a_changelog_entry_that_could_not_be_made_is_not_offered() {
    let page = page(&Advisory { changelog_file: None, ..samples::advisory() });
    assert!(!String::from_utf8(page).unwrap().contains("changelog"));
}

#[test]
fn a_page_without_anything_optional_reads_well_and_has_no_empty_heading() {
    let page = page(&samples::bare_advisory());
    let words = words_of(&page);
    assert_eq!(empty_headings(&page), [""; 0]);
    for heading in ["What it is", "Fixes", "Credits", "Affected", "Also known as", "If you cannot upgrade"] {
        assert!(!words.contains(heading), "{heading}");
    }
    assert!(words.contains("No fix has been published with this advisory."), "{words}");
    assert!(words.contains("Published on the agreed date. No packager was told before."), "{words}");
    assert!(!words.contains("Packagers had"), "nobody had anything");
    assert!(words.contains("gpg --verify EMB-2026-2.json.asc EMB-2026-2.json"), "{words}");
    assert!(!words.contains("git am"), "there is nothing to apply");
}

#[test]
fn a_fix_without_a_named_release_is_what_to_apply() {
    let given = Advisory { fixed: vec![" ".to_owned()], ..samples::advisory() };
    let words = words_of(&page(&given));
    assert!(words.contains("Apply the fix for your branch, below."), "{words}");
    assert!(!words.contains("Upgrade to") && !words.contains("Fixed in"), "{words}");
}

#[test]
fn an_early_lift_says_so_and_names_the_date_that_had_been_agreed() {
    let mut given = samples::advisory();
    given.revision = 2;
    given.timeline.early = true;
    given.timeline.lifted_at = "2026-06-04T18:30:00.041Z".parse().unwrap();
    given.timeline.packagers_told = 1;
    let words = words_of(&page(&given));
    assert!(words.contains("1 packager was told, in confidence."), "{words}");
    let early = "Published early; the agreed date was Wed 10 Jun 2026 14:00 UTC . Packagers had 3 d 9 h .";
    assert!(words.contains(early), "{words}");
    assert!(words.contains("revision 2"), "{words}");
    given.timeline.agreed_at = None;
    assert!(words_of(&page(&given)).contains("Published early; no date had been agreed."));
}

#[test]
fn a_late_lift_owns_up_to_it() {
    let mut given = samples::advisory();
    given.timeline.lifted_at = "2026-06-10T14:00:59Z".parse().unwrap();
    assert!(words_of(&page(&given)).contains("Published on the agreed date."));
    given.timeline.lifted_at = "2026-06-10T17:05:00Z".parse().unwrap();
    let words = words_of(&page(&given));
    assert!(
        words.contains("Published 3 h 5 min after the agreed date, Wed 10 Jun 2026 14:00 UTC ."),
        "{words}"
    );
}

#[test]
fn a_commit_on_a_branch_without_a_fix_is_not_lost() {
    let mut given = samples::advisory();
    given.commits[0].branch = "1.8".to_owned();
    let words = words_of(&page(&given));
    assert!(words.contains("Commits on other branches 1.8 3f9c0a1b"), "{words}");
}

#[test]
fn hostile_text_in_every_field_is_shown_and_never_obeyed() {
    let hostile = samples::hostile_advisory();
    let site = Site { base_url: HOSTILE.to_owned(), projects: vec![HOSTILE.to_owned()], ..samples::site() };
    let site = Site { server_fingerprint: HOSTILE.to_owned(), ..site };
    // The base address is the operator's and stands in href, so it is hostile only where it is not judged.
    for site in [samples::site(), Site { base_url: "https://embargo.example".to_owned(), ..site }] {
        let text = text_of(&advisory(&hostile, &site));
        assert!(text.matches(&visible(HOSTILE)).count() > 30, "hostile text is shown as it is");
        assert!(text.contains("\\u{202e}gpj.exe"));
        text_of(&index(std::slice::from_ref(&hostile), &site));
    }
}

#[test]
fn what_is_pasted_into_a_shell_stays_one_word() {
    assert_eq!(shell_word("2.x.mbox"), "2.x.mbox");
    assert_eq!(shell_word("a'; rm -rf ~ #.mbox"), r"'a'\''; rm -rf ~ #.mbox'");
    assert_eq!(shell_word("a\nrm"), "'a rm'");
    assert_eq!(shell_word("-o"), "'-o'");
    assert_eq!(shell_word("$(x)"), "'$(x)'");
    let mut given = samples::advisory();
    given.fixes[0].file = "$(touch x).mbox".to_owned();
    assert!(words_of(&page(&given)).contains("git am '$(touch x).mbox'"));
}

#[test]
fn only_a_well_formed_identifier_becomes_a_link() {
    let mut given = samples::advisory();
    given.cve = Some("CVE-2026-1\" href=x".to_owned());
    given.ghsa = Some("see the list".to_owned());
    let markup = String::from_utf8(page(&given)).unwrap();
    assert!(!markup.contains("cve.org") && !markup.contains("github.com"));
    assert!(markup.contains("<dd>see the list</dd>"), "{markup}");
}

#[test]
fn the_list_is_newest_first_by_year_whatever_the_order_given() {
    let mut old = samples::bare_advisory();
    old.id = "EMB-2025-9".to_owned();
    old.timeline.lifted_at = "2025-12-31T23:00:00Z".parse().unwrap();
    let (new, other) = (samples::advisory(), samples::bare_advisory());
    let list = index(&[old.clone(), other.clone(), new.clone()], &samples::site());
    assert_eq!(list, index(&[new, old, other], &samples::site()));
    let words = words_of(&list);
    let at = |text: &str| words.find(text).unwrap_or_else(|| panic!("{text} is not in {words}"));
    assert!(at("EMB-2026-1") < at("EMB-2026-2") && at("EMB-2026-2") < at("EMB-2025-9"));
    assert!(words.contains("EMB-2026-1 CVE-2026-99999 high widgetlib 10 Jun 2026"), "{words}");
    let markup = String::from_utf8(list).unwrap();
    assert_eq!((markup.matches(">2026</h2>").count(), markup.matches(">2025</h2>").count()), (1, 1));
}

#[test]
fn an_empty_list_says_so_and_a_practice_server_says_so_everywhere() {
    let practice = Site { practice: true, ..samples::site() };
    for page in [index(&[], &practice), advisory(&samples::advisory(), &practice)] {
        let words = words_of(&page);
        assert!(words.contains("PRACTICE Everything on this server is a rehearsal"), "{words}");
    }
    assert!(words_of(&index(&[], &samples::site())).contains("No advisory has been published yet."));
}

#[test]
fn numbers_are_grouped_by_thousands() {
    for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (10_485_760, "10,485,760")] {
        assert_eq!(grouped(number), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_text_changes_the_markup(title in any::<String>(), summary in any::<String>(), name in any::<String>(),
        file in any::<String>(), version in any::<String>())
    {
        let mut given = samples::advisory();
        given.title = title;
        given.summary = summary;
        given.credits[0].name = name;
        given.fixes[0].file = file;
        given.affected = vec![version];
        text_of(&page(&given));
        text_of(&index(&[given], &samples::site()));
    }
}
