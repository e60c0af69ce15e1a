//! What the pages of a maintainer promise.

use super::*;
use crate::formats::markup::{empty_headings, text_of, words_of};
use crate::formats::samples::{self, HOSTILE};

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn packager(name: &str, standing: Standing) -> PackagerRow {
    PackagerRow {
        name: name.to_owned(),
        told_at: Some(utc("2026-11-16T15:02:11Z")),
        receipt_at: Some(utc("2026-11-16T17:11:45Z")),
        receipt_revision: Some(1),
        impact: Impact::Affected,
        progress: Progress::Building,
        standing,
    }
}

fn sample_embargo() -> EmbargoBoard {
    let silent = Standing::Silent("since Mon 16 Nov, no receipt".to_owned());
    let blocked =
        Standing::Blocked("certificate expired on 2026-11-15; they were told, without content".to_owned());
    EmbargoBoard {
        viewer: "R. Maintainer".to_owned(),
        now: utc("2026-11-16T17:30:00Z"),
        id: "b7k2-9fq1".to_owned(),
        project: "widgetlib".to_owned(),
        title: "Session leaks cookies across redirects".to_owned(),
        stage: StageName::Announced,
        lifts_at: Some(utc("2026-11-24T15:00:00Z")),
        zones: vec![Tz::Europe__Berlin, Tz::America__New_York],
        revision: Some(1),
        flags: vec!["Debian Sample cannot be told: its certificate expired.".to_owned()],
        missing: vec![
            "a fix for branch 2.31.x, or a waiver: embargoctl fix put, or embargoctl fix waive".to_owned(),
        ],
        packagers: vec![
            packager("Red Sample", Standing::Answered),
            PackagerRow {
                receipt_at: None,
                receipt_revision: None,
                impact: Impact::Unknown,
                progress: Progress::None,
                ..packager("Alp Sample", silent)
            },
            PackagerRow {
                told_at: None,
                receipt_at: None,
                receipt_revision: None,
                impact: Impact::Unknown,
                progress: Progress::None,
                ..packager("Debian Sample", blocked)
            },
            PackagerRow {
                impact: Impact::NotAffected,
                progress: Progress::Ready,
                ..packager("Gent", Standing::Told)
            },
        ],
        fixes: vec![
            FixRow { branch: "main".to_owned(), size: 4212, patches: 2 },
            FixRow { branch: "2.32.x".to_owned(), size: 3891, patches: 1 },
        ],
        dates: vec![
            DateRow {
                at: utc("2026-12-01T15:00:00Z"),
                offered: true,
                reason: "14 d 21 h for packagers".to_owned(),
            },
            DateRow {
                at: utc("2026-11-26T15:00:00Z"),
                offered: false,
                reason: "a holiday for 4 of 9 packagers (Thanksgiving)".to_owned(),
            },
        ],
        audit: vec![AuditRow {
            at: utc("2026-11-16T15:02:11Z"),
            who: "R. Maintainer".to_owned(),
            what: "sent revision 1 to 4 packagers".to_owned(),
        }],
    }
}

fn sample_board() -> Board {
    let row = BoardRow {
        id: "b7k2-9fq1".to_owned(),
        project: "widgetlib".to_owned(),
        title: "Session leaks cookies across redirects".to_owned(),
        stage: StageName::Announced,
        lifts_at: Some(utc("2026-11-24T15:00:00Z")),
        zone: Tz::Europe__Berlin,
        revision: Some(1),
        told: 3,
        audience: 4,
        flags: vec!["1 packager cannot be told.".to_owned()],
    };
    let draft = BoardRow {
        id: "x3m8-0tzc".to_owned(),
        title: String::new(),
        stage: StageName::Draft,
        lifts_at: None,
        revision: None,
        told: 0,
        flags: Vec::new(),
        ..row.clone()
    };
    let lifted = BoardRow {
        id: "a111-b222".to_owned(),
        title: "Header injection in Widget.render".to_owned(),
        stage: StageName::Lifted,
        lifts_at: Some(utc("2026-06-10T14:00:00Z")),
        revision: Some(2),
        told: 4,
        flags: Vec::new(),
        ..row.clone()
    };
    Board {
        viewer: "R. Maintainer".to_owned(),
        now: utc("2026-11-16T17:30:00Z"),
        rows: vec![row, draft, lifted],
    }
}

#[test]
fn the_board_of_one_embargo_shows_who_was_told_and_says_in_words_who_was_not() {
    let words = words_of(&embargo(&sample_embargo(), &samples::site()));
    for fact in [
        "widgetlib b7k2-9fq1 announced Session leaks cookies across redirects",
        "Tue 24 Nov 2026 15:00 UTC in 7 d 21 h 16:00 Berlin 10:00 New York Revision 1",
        "Red Sample answered Mon 16 Nov 15:02 Mon 16 Nov 17:11 revision 1 affected building",
        "Alp Sample silent since Mon 16 Nov, no receipt Mon 16 Nov 15:02 none unknown none",
        "Debian Sample blocked certificate expired on 2026-11-15; they were told, without content not yet none",
        "Gent told Mon 16 Nov 15:02 Mon 16 Nov 17:11 revision 1 not affected ready",
        "main 2 patches 4,212 bytes 2.32.x 1 patch 3,891 bytes",
        "Still missing a fix for branch 2.31.x",
        "Offered Tue 01 Dec 2026 15:00 UTC (16:00 Berlin) 14 d 21 h for packagers",
        "Refused Thu 26 Nov 2026 15:00 UTC (16:00 Berlin) a holiday for 4 of 9",
        "2026-11-16 15:02:11 UTC R. Maintainer sent revision 1 to 4 packagers",
        "Signed in as R. Maintainer Sign out",
    ] {
        assert!(words.contains(fact), "{fact:?} is not in {words}");
    }
}

#[test]
fn the_html_title_of_a_board_names_nothing_but_the_id() {
    let page = String::from_utf8(embargo(&sample_embargo(), &samples::site())).unwrap();
    assert!(page.contains("<title>Embargo b7k2-9fq1</title>"), "{page}");
    let list = String::from_utf8(board(&sample_board(), &samples::site())).unwrap();
    assert!(list.contains("<title>Embargoes</title>"), "{list}");
}

#[test]
fn a_draft_says_what_to_do_next_and_a_lifted_embargo_counts_nothing_down() {
    let draft = EmbargoBoard {
        title: String::new(),
        stage: StageName::Draft,
        lifts_at: None,
        revision: None,
        flags: Vec::new(),
        missing: Vec::new(),
        packagers: Vec::new(),
        fixes: Vec::new(),
        dates: Vec::new(),
        audit: Vec::new(),
        ..sample_embargo()
    };
    let page = embargo(&draft, &samples::site());
    let words = words_of(&page);
    assert_eq!(empty_headings(&page), [""; 0]);
    for fact in
        ["Without a title", "embargoctl dates b7k2-9fq1", "embargoctl fix put", "none sent", "is empty"]
    {
        assert!(words.contains(fact), "{fact:?} is not in {words}");
    }
    assert!(!words.contains("Still missing") && !words.contains("Look at this"), "{words}");
    let lifted =
        EmbargoBoard { stage: StageName::Lifted, now: utc("2027-01-01T00:00:00Z"), ..sample_embargo() };
    let words = words_of(&embargo(&lifted, &samples::site()));
    assert!(!words.contains("overdue"), "{words}");
    let late = EmbargoBoard { stage: StageName::Announced, ..lifted };
    assert!(words_of(&embargo(&late, &samples::site())).contains("overdue by 37 d 9 h"));
}

#[test]
fn the_list_has_a_row_for_each_embargo_with_its_flags() {
    let words = words_of(&board(&sample_board(), &samples::site()));
    for fact in [
        "Session leaks cookies across redirects b7k2-9fq1 widgetlib Look: 1 packager cannot be told. announced",
        "Tue 24 Nov 2026 15:00 UTC (16:00 Berlin) in 7 d 21 h 1 3 of 4",
        "Without a title x3m8-0tzc widgetlib draft no date yet none sent 0 of 4",
        "lifted Wed 10 Jun 2026 14:00 UTC (16:00 Berlin) 2 4 of 4",
    ] {
        assert!(words.contains(fact), "{fact:?} is not in {words}");
    }
    let empty = Board { rows: Vec::new(), ..sample_board() };
    assert!(
        words_of(&board(&empty, &samples::site())).contains("There is none. Open one with embargoctl open")
    );
}

#[test]
fn signing_in_shows_the_challenge_as_it_is_and_errors_in_words() {
    let first = CertificateStep {
        error: Some("This is a secret key; send the public one.".to_owned()),
        ..CertificateStep::default()
    };
    let words = words_of(&login_certificate(&first, &samples::site()));
    assert!(words.contains("That did not work. This is a secret key; send the public one."), "{words}");
    let armor = "-----BEGIN PGP MESSAGE-----\n\nhF4D+/=\n-----END PGP MESSAGE-----\n";
    let second =
        ChallengeStep { challenge: armor.to_owned(), valid_until: utc("2026-11-16T17:35:00Z"), error: None };
    let text = text_of(&login_challenge(&second, &samples::site()));
    assert!(text.contains(armor), "{text}");
    assert!(text.contains("2026-11-16 17:35:00 UTC") && !text.contains("did not work"), "{text}");
}

#[test]
fn a_key_that_was_refused_is_shown_with_everything_that_was_found_about_it() {
    let finding = |weight: &str, gpg: &[&str], sq: &[&str]| KeyFinding {
        weight: weight.to_owned(),
        code: "expired".to_owned(),
        component: Some(format!("{weight}-subkey")),
        problem: format!("it is {weight} for a reason"),
        gpg: gpg.iter().map(|line| (*line).to_owned()).collect(),
        sq: sq.iter().map(|line| (*line).to_owned()).collect(),
    };
    let view = CertificateStep {
        error: None,
        findings: vec![finding("refused", &["gpg one", "gpg two"], &["sq one"]), finding("note", &[], &[])],
    };
    let words = words_of(&login_certificate(&view, &samples::site()));
    let expected = "refused it is refused for a reason [expired] about refused-subkey With gpg: gpg one gpg two \
                    With sq: sq one note it is note for a reason [expired] about note-subkey Step 1";
    assert!(words.contains(expected), "{words}");
}

#[test]
fn an_error_says_what_was_wrong_and_what_to_do_next() {
    let view = ErrorView {
        status: 404,
        title: "There is no such page".to_owned(),
        what: "The address leads nowhere.".to_owned(),
        next: "Look for it in the list.".to_owned(),
    };
    let words = words_of(&error(&view, &samples::site()));
    assert!(
        words.contains("Error 404 There is no such page The address leads nowhere. Look for it"),
        "{words}"
    );
}

#[test]
fn hostile_text_in_every_field_is_shown_and_never_obeyed() {
    let text = HOSTILE.to_owned();
    let mut one = sample_embargo();
    for field in [&mut one.viewer, &mut one.id, &mut one.project, &mut one.title] {
        field.clone_from(&text);
    }
    one.flags = vec![text.clone()];
    one.missing = vec![text.clone()];
    one.packagers[0].name.clone_from(&text);
    one.packagers[1].standing = Standing::Failed(text.clone());
    one.fixes[0].branch.clone_from(&text);
    one.dates[0].reason.clone_from(&text);
    one.audit[0] = AuditRow { who: text.clone(), what: text.clone(), ..one.audit[0].clone() };
    let mut list = sample_board();
    list.viewer.clone_from(&text);
    let row = &mut list.rows[0];
    for field in [&mut row.id, &mut row.project, &mut row.title] {
        field.clone_from(&text);
    }
    row.flags = vec![text.clone()];
    let site = samples::site();
    let challenge =
        ChallengeStep { challenge: text.clone(), valid_until: list.now, error: Some(text.clone()) };
    let view = ErrorView { status: 500, title: text.clone(), what: text.clone(), next: text.clone() };
    let finding = KeyFinding {
        weight: text.clone(),
        code: text.clone(),
        component: Some(text.clone()),
        problem: text.clone(),
        gpg: vec![text.clone()],
        sq: vec![text.clone()],
    };
    for page in [
        embargo(&one, &site),
        board(&list, &site),
        login_certificate(
            &CertificateStep { error: Some(text.clone()), ..CertificateStep::default() },
            &site,
        ),
        login_certificate(&CertificateStep { error: None, findings: vec![finding] }, &site),
        login_challenge(&challenge, &site),
        error(&view, &site),
    ] {
        assert!(text_of(&page).contains("\\u{202e}gpj.exe"));
    }
}
