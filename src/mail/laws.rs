//! The laws of this module: what is printed reads back as what was said, and nothing else.

use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use crate::domain::address::Address;

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn head() -> OuterHead {
    let from = address("desk@embargo.example");
    OuterHead {
        message_id: MessageId::from_random([3; 16], &from),
        from,
        to: address("security@debian.example"),
        reply_to: Some(address("case@embargo.example")),
        subject: HeaderText::obscured(),
        date: DateTime::from_timestamp(1_780_000_000, 0).unwrap(),
        in_reply_to: None,
        list_id: Some("notices.embargo.example".parse().unwrap()),
        practice: false,
    }
}

fn entity(subject: &str, text: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let attachments: Vec<_> = files
        .iter()
        .map(|(name, bytes)| Attachment {
            name: FileName::sanitised(name),
            kind: AttachmentKind::Patch,
            bytes,
        })
        .collect();
    protected_entity(&ProtectedNotice {
        from: &address("desk@embargo.example"),
        subject: &subject.parse().unwrap(),
        outer_subject: &HeaderText::obscured(),
        date: DateTime::from_timestamp(1_780_000_000, 0).unwrap(),
        date_is_shared: true,
        text,
        attachments: &attachments,
        boundary: Boundary::from_bytes([9; 16]),
    })
}

fn names(part: &Part) -> Vec<&str> {
    part.headers().iter().map(|(name, _)| name.as_str()).collect()
}

fn assert_short_crlf_lines_in_ascii(mail: &[u8]) {
    let mail = std::str::from_utf8(mail).unwrap();
    assert!(mail.is_ascii() && mail.ends_with("\r\n"));
    for line in mail.split("\r\n") {
        assert!(line.len() <= 76 && !line.contains(['\r', '\n']), "{line:?}");
    }
}

#[test]
fn the_sealed_entity_names_no_recipient_and_marks_its_headers_for_old_and_new_clients() {
    let part = read(&entity("widget: fix for 2 Dec", "text", &[])).unwrap();
    let expected =
        ["From", "Subject", "Date", "HP-Outer", "HP-Outer", "HP-Outer", "MIME-Version", "Content-Type"];
    assert_eq!(names(&part), expected);
    assert_eq!((part.parameter("hp"), part.parameter("protected-headers")), (Some("cipher"), Some("v1")));
    let outer: Vec<_> =
        part.headers().iter().filter(|(name, _)| name == "HP-Outer").map(|(_, v)| v.as_str()).collect();
    assert_eq!(
        outer,
        ["Subject: [...]", "From: desk@embargo.example", "Date: Thu, 28 May 2026 20:26:40 +0000"]
    );
}

#[test]
fn the_outer_mail_has_exactly_the_neutral_headers_and_practice_says_so() {
    let armored = b"-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n";
    let boundary = Boundary::from_bytes([1; 16]);
    let mail = outer_message(&head(), armored, &boundary);
    assert_short_crlf_lines_in_ascii(&mail);
    let part = read(&mail).unwrap();
    let expected = [
        "From",
        "To",
        "Reply-To",
        "Subject",
        "Date",
        "Message-ID",
        "List-Id",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    ];
    assert_eq!(names(&part), expected);
    assert_eq!(part.header("list-id"), Some("<notices.embargo.example>"));
    let sealed = b"-----BEGIN PGP MESSAGE-----\r\n\r\nAAAA\r\n-----END PGP MESSAGE-----\r\n";
    assert_eq!(part.encrypted(), Some(&sealed[..]));
    let (before, after) = outer_frame(&head(), &boundary);
    assert_eq!([&before[..], &sealed[..], &after[..]].concat(), mail);

    let rehearsal = OuterHead { practice: true, in_reply_to: Some(head().message_id), ..head() };
    let part = read(&plain_message(&rehearsal, "Your key expired.\n")).unwrap();
    assert_eq!(part.header("X-Embargod-Practice"), Some("yes"));
    assert_eq!(part.header("References"), Some(head().message_id.as_str()));
    assert_eq!(part.text().as_deref(), Some("Your key expired.\n"));
}

#[test]
fn file_names_are_harmless_and_two_of_one_name_do_not_overwrite_each_other() {
    assert_eq!(FileName::sanitised("../../etc/pass wd\r\n\"x").as_str(), "_.._.._etc_pass_wd___x");
    assert_eq!(FileName::sanitised("").as_str(), "_");
    let long = FileName::sanitised(&format!("{}.mbox", "é".repeat(300)));
    assert!(long.as_str().len() == 64 && long.as_str().ends_with("_.mbox"));
    let same: &[(&str, &[u8])] =
        &[("fix.mbox", b"1"), ("fix.mbox", b"2"), ("fix.mbox", b"3"), ("fix", b"4"), ("fix", b"5")];
    let mail = entity("s", "t", same);
    let part = read(&mail).unwrap();
    let found: Vec<_> = part.attachments().into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, ["fix.mbox", "fix-2.mbox", "fix-3.mbox", "fix", "fix-2"]);
    let long = long.as_str().to_owned();
    let mail = entity("s", "t", &[(&long, b"1"), (&long, b"2")]);
    assert_eq!(read(&mail).unwrap().attachments().len(), 2);
}

#[test]
fn a_plain_text_stays_readable_without_a_mail_client() {
    let mail = entity("s", "TLP:AMBER+STRICT\n\nPatch attached.\n", &[]);
    let mail = String::from_utf8(mail).unwrap();
    assert!(mail.contains("\r\nTLP:AMBER+STRICT\r\n\r\nPatch attached.\r\n"), "{mail}");
}

#[test]
fn a_bomb_of_nested_parts_is_refused_and_not_followed() {
    let mut mail = "\n".to_owned();
    for depth in 0..50 {
        mail =
            format!("Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n{mail}\n--b{depth}--\n");
    }
    assert_eq!(read(mail.as_bytes()), Err(ReadError::TooComplex));
    let many = format!("Content-Type: multipart/mixed; boundary=b\n\n{}--b--\n", "--b\n\nx\n".repeat(1000));
    assert_eq!(read(many.as_bytes()), Err(ReadError::TooComplex));
    assert_eq!(read(b"Content-Type: multipart/mixed\n\n--b\n"), Err(ReadError::Boundary));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_a_notice_says_comes_back_and_no_header_more(
        subject in "[ -~àéщ修🦀=?_]{1,120}",
        text in "([ -~\té修\u{1b}.=]|\r\n|\n|From |--=_09090909090909090909090909090909){0,120}",
        files in prop::collection::vec(("\\PC{0,120}", prop::collection::vec(any::<u8>(), 0..400)), 0..4),
    ) {
        prop_assume!(!subject.trim().is_empty());
        let given: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let mail = entity(&subject, &text, &given);
        assert_short_crlf_lines_in_ascii(&mail);
        let part = read(&mail).unwrap();
        prop_assert_eq!(part.headers().len(), 8);
        prop_assert_eq!(part.header("Subject").unwrap(), &subject);
        let mut said = text.replace("\r\n", "\n");
        if !said.is_empty() && !said.ends_with('\n') {
            said.push('\n');
        }
        prop_assert_eq!(part.text().unwrap(), said);
        let found: Vec<&[u8]> = part.attachments().into_iter().map(|(_, bytes)| bytes).collect();
        prop_assert_eq!(found, given.iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>());
    }

    #[test]
    fn an_outer_subject_in_any_script_adds_no_header(subject in "\\PC{1,200}") {
        let Ok(text) = subject.parse::<HeaderText>() else { return Ok(()) };
        let mail = outer_message(&OuterHead { subject: text, ..head() }, b"x\r\n", &Boundary::from_bytes([1; 16]));
        assert_short_crlf_lines_in_ascii(&mail);
        let part = read(&mail).unwrap();
        prop_assert_eq!(part.headers().len(), 10);
        prop_assert_eq!(part.header("Subject").unwrap(), &subject);
    }

    #[test]
    fn reading_never_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        mailish in "(Content-Type: multipart/mixed; boundary=\"?b|Subject: =\\?utf-8\\?[BQ]\\?[=A-z?]{0,9}|--b|--b--|Content-Transfer-Encoding: (base64|quoted-printable)|=[0-9A-Fé]{0,3}|[ -~é]{0,9}|\r?\n){0,30}",
    ) {
        let _ = read(&bytes);
        let _ = read(mailish.as_bytes()).map(|part| (part.text(), part.attachments().len()));
    }
}
