//! Troubled certificates: every one is named, with a cure where there is one, by all who are asked about it.

use std::collections::BTreeMap;

use embargod::openpgp::{Expected, Inspection, Verdict, Weight};
use embargod::wire;

use crate::harness::troubled::{self, everything};
use crate::harness::{TestServer, days, start};

fn inspect(bytes: &[u8]) -> Inspection {
    let expected =
        Expected { address: Some(troubled::ADDRESS), until: Some(start() + days(10)), ..Expected::default() };
    Inspection::of(bytes, &expected, start())
}

#[test]
fn more_than_a_hundred_troubled_certificates_are_each_named_and_the_mendable_ones_come_with_commands() {
    let all = everything(start());
    assert!(all.len() >= 100, "{}", all.len());
    let mut seen = BTreeMap::<&str, usize>::new();
    for sent in &all {
        let inspection = inspect(&sent.bytes);
        let place = format!("{}: {:?}", sent.name, inspection.findings);
        let expected = match sent.verdict {
            troubled::Verdict::Usable => Verdict::Usable,
            troubled::Verdict::Unusable => Verdict::Unusable,
            troubled::Verdict::NoCertificate => Verdict::NoCertificate,
        };
        assert_eq!(inspection.verdict, expected, "{place}");
        let codes: Vec<_> = inspection.findings.iter().map(|finding| finding.code).collect();
        assert!(codes.contains(&sent.code), "{place}");
        *seen.entry(sent.code).or_default() += 1;
        if expected != Verdict::Usable {
            assert_eq!(inspection.code(), Some(sent.code), "{place}");
            assert_eq!(codes[0], sent.code, "the most important comes first: {place}");
        }
        if sent.curable.is_some() {
            let cure = inspection.cure().unwrap_or_else(|| panic!("no cure for {place}"));
            assert!(cure.gpg.last().unwrap().contains("--export"), "{place} {cure}");
            assert_eq!(cure.gpg.len(), cure.sq.len(), "{place}");
        }
        if sent.name.contains("in version 6") && sent.code != "revoked" {
            let cure = inspection.cure().unwrap_or_else(|| panic!("no cure for {place}"));
            assert!(cure.gpg.is_empty() && cure.sq.last().unwrap().starts_with("sq cert export"), "{place}");
        }
        for finding in &inspection.findings {
            let shown = format!("{finding:?}");
            assert!(!shown.contains('\u{1b}') && !finding.problem.contains("<script>"), "{place}");
            assert!(finding.weight != Weight::Refused || finding.problem.len() > 20, "{place}");
        }
    }
    assert!(seen.len() >= 20, "{seen:?}");
}

#[test]
fn a_good_certificate_has_no_finding_at_all() {
    let person = crate::harness::person("Distro", troubled::ADDRESS);
    let inspection = inspect(person.certificate().to_armored().as_bytes());
    assert_eq!((inspection.verdict, inspection.findings.as_slice()), (Verdict::Usable, &[][..]));
    let expected = Expected { address: Some("somebody@else.example"), ..Expected::default() };
    let other = Inspection::of(&person.certificate().to_bytes(), &expected, start());
    assert_eq!(other.verdict, Verdict::Usable);
    assert_eq!(other.findings[0].code, "address-mismatch");
    assert!(other.findings[0].cure.as_ref().unwrap().gpg[0].ends_with("somebody@else.example"));
}

#[tokio::test]
async fn the_api_and_the_page_refuse_with_the_words_and_codes_of_the_inspection() {
    let server = TestServer::start().await;
    for sent in everything(start()).into_iter().filter(|sent| sent.verdict != troubled::Verdict::Usable) {
        // Login tolerates SHA-1 until it is known whose certificate it is.
        if sent.code == "sha1-only" {
            continue;
        }
        let refused = server.client.call("POST", "/api/v1/challenges", &[], Some(sent.bytes.clone())).await;
        let status = if sent.code == "too-large" { 413 } else { 400 };
        assert_eq!(refused.status, status, "{}: {}", sent.name, refused.text());
        let problem: wire::Problem = refused.json();
        assert!(problem.kind.ends_with(&format!(":{}", sent.code)), "{}: {}", sent.name, problem.kind);
        let said = Inspection::of(&sent.bytes, &Expected::default(), start());
        assert_eq!(problem.findings[0].code, said.findings[0].code, "{}", sent.name);
        assert_eq!(problem.findings[0].problem, said.findings[0].problem, "{}", sent.name);
        assert_eq!(problem.detail, said.summary(), "{}", sent.name);
    }
    server.finish().await;
}
