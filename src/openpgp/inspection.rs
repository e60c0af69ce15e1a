//! Everything there is to say about bytes that somebody sends as a certificate: what is wrong with each component,
//! and what its owner can type against it.
//!
//! The command line, the API and the pages all show these findings, so the words and the codes are the same
//! everywhere. It decides nothing by itself: whether mail may be encrypted is said by [`Certificate::check`].

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::acceptance::Acceptance;
use super::certificate::{Certificate, is_trick};
use super::certificate_error::CertificateError;
use super::certificate_parse::{self, MAX_CERTIFICATE_BYTES};
use super::cure::Cure;
use super::diagnosis;
use super::head::MAX_HEAD_PACKETS;
use super::trouble::Trouble;

/// What a certificate is expected to be good for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// How strictly self-signatures are judged.
    pub acceptance: Acceptance,
    /// The address that mail will go to, if it is known.
    pub address: Option<&'a str>,
    /// Until when it has to last, such as a lift with its margin.
    pub until: Option<DateTime<Utc>>,
}

impl Default for Expected<'_> {
    fn default() -> Self {
        Self { acceptance: Acceptance::Strict, address: None, until: None }
    }
}

/// What came of an inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Mail can be encrypted to it now.
    Usable,
    /// There is a certificate, and it cannot be used.
    Unusable,
    /// There is no certificate.
    NoCertificate,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Nothing can be encrypted before it is mended.
    Refused,
    /// It can be used, and somebody should do something.
    Warning,
    /// Good to know.
    Note,
}

/// One thing that is to be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// A stable name for programs.
    pub code: &'static str,
    /// What it is about: a key's fingerprint, `user id 2`; `None` for all of it.
    pub component: Option<String>,
    /// What is wrong and, where that is not plain, what was expected.
    pub problem: String,
    /// What the owner can type against it.
    pub cure: Option<Cure>,
}

/// Everything there is to say, the most important first.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// What came of it.
    pub verdict: Verdict,
    /// The certificate, if there is one that could be kept.
    pub certificate: Option<Certificate>,
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Inspection {
    /// Inspects what somebody sent, at most [`super::MAX_CERTIFICATE_BYTES`] of it.
    pub fn of(bytes: &[u8], expected: &Expected<'_>, now: DateTime<Utc>) -> Self {
        match certificate_parse::parse(bytes).and_then(|parsed| {
            let left_out = (parsed.foreign_signatures, parsed.attributes);
            Ok((Certificate::from_parsed(parsed)?, left_out))
        }) {
            Ok((certificate, left_out)) => Self::of_certificate(certificate, left_out, expected, now),
            Err(error) => Self::of_error(&named(error, bytes, expected, now), expected.address),
        }
    }

    /// What there is to say about a body of which no more than the first [`super::MAX_CERTIFICATE_BYTES`] were read.
    pub fn too_large() -> Self {
        let error =
            CertificateError::TooLarge { bytes: MAX_CERTIFICATE_BYTES + 1, limit: MAX_CERTIFICATE_BYTES };
        Self::of_error(&error, None)
    }

    fn of_error(error: &CertificateError, address: Option<&str>) -> Self {
        let finding = Finding {
            weight: Weight::Refused,
            code: error.code(),
            component: None,
            problem: error.problem(),
            cure: error.cure(address),
        };
        let verdict = if error.holds_certificate() { Verdict::Unusable } else { Verdict::NoCertificate };
        Self { verdict, certificate: None, findings: vec![finding] }
    }

    fn of_certificate(
        certificate: Certificate,
        (foreign_signatures, attributes): (usize, usize),
        expected: &Expected<'_>,
        now: DateTime<Utc>,
    ) -> Self {
        let diagnosis = diagnosis::diagnose(certificate.cert(), expected.acceptance, now);
        let mut findings = Vec::new();
        let unusable = diagnosis.unusable();
        for trouble in unusable.iter().flat_map(|unusable| unusable.troubles()) {
            findings.push(of_trouble(trouble, Weight::Refused));
        }
        if unusable.is_none() {
            findings.extend(expiry(&certificate, expected, now));
        }
        findings.extend(address(&certificate, expected.address));
        findings.extend(user_ids(&certificate));
        findings.extend(diagnosis.beside().map(|trouble| of_trouble(trouble, Weight::Note)));
        let note =
            |code, problem| Finding { weight: Weight::Note, code, component: None, problem, cure: None };
        if diagnosis.key_count() > MAX_HEAD_PACKETS {
            let count = diagnosis.key_count();
            findings.push(note(
                "many-encryption-keys",
                format!("{count} keys can be encrypted to; the {MAX_HEAD_PACKETS} newest are used"),
            ));
        }
        if foreign_signatures + attributes > 0 {
            findings.push(note(
                "left-out",
                format!(
                    "{foreign_signatures} signatures by others and {attributes} pictures or unknown parts are not kept"
                ),
            ));
        }
        findings.sort_by_key(|finding| finding.weight);
        let verdict = if unusable.is_some() { Verdict::Unusable } else { Verdict::Usable };
        Self { verdict, certificate: Some(certificate), findings }
    }

    /// A stable name of the most important trouble; `None` if it is usable.
    pub fn code(&self) -> Option<&'static str> {
        Some(self.refused().next()?.code)
    }

    /// What is wrong, then the cure where there is one: one line.
    pub fn summary(&self) -> String {
        let problems: Vec<&str> = self.refused().map(|finding| finding.problem.as_str()).collect();
        let cure = self.cure().map(|cure| format!("; cure: {cure}")).unwrap_or_default();
        format!("{}{cure}", problems.join("; "))
    }

    fn refused(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.weight == Weight::Refused)
    }

    /// What the owner can type to make it usable, ending with the export of what is to be sent again; `None` if it
    /// is usable, or if nothing can be typed.
    pub fn cure(&self) -> Option<Cure> {
        let cure = self.refused().filter_map(|finding| finding.cure.clone()).reduce(Cure::then)?;
        let is_whole = cure.sq.last().is_some_and(|line| line.starts_with("sq cert export"));
        match &self.certificate {
            Some(certificate) if !is_whole => {
                Some(cure.then(Cure::export(Some(&certificate.fingerprint()), None)))
            }
            _ => Some(cure),
        }
    }
}

/// Of several certificates, the first that could have been sent alone.
fn named(
    error: CertificateError,
    bytes: &[u8],
    expected: &Expected<'_>,
    now: DateTime<Utc>,
) -> CertificateError {
    if !matches!(error, CertificateError::SeveralCertificates { .. }) {
        return error;
    }
    let parsed: Vec<Certificate> = certificate_parse::first_of_several(bytes)
        .iter()
        .filter_map(|one| Certificate::parse(one).ok())
        .collect();
    let usable = parsed.iter().filter(|one| one.check(&expected.acceptance, now).is_ok());
    let mut fingerprints: Vec<String> = usable.map(Certificate::fingerprint).collect();
    if fingerprints.is_empty() {
        fingerprints = parsed.iter().map(Certificate::fingerprint).collect();
    }
    CertificateError::SeveralCertificates { fingerprints }
}

fn of_trouble(trouble: &Trouble, weight: Weight) -> Finding {
    Finding {
        weight,
        code: trouble.code(),
        component: Some(trouble.subkey.as_ref().unwrap_or(&trouble.fingerprint).clone()),
        problem: trouble.problem(),
        cure: if weight == Weight::Refused { trouble.cure() } else { None },
    }
}

/// A certificate that will not last as long as it is needed.
fn expiry(certificate: &Certificate, expected: &Expected<'_>, now: DateTime<Utc>) -> Option<Finding> {
    let until = expected.until?;
    let ends = certificate.expires_at(&expected.acceptance, now).filter(|ends| *ends < until)?;
    let fingerprint = certificate.fingerprint();
    let mut cure = None;
    if certificate.primary_expires_at().is_some_and(|at| at < until) {
        cure = Some(Cure::extend(&fingerprint));
    }
    let keys = diagnosis::encryption_keys(certificate.cert(), expected.acceptance, now).ok()?;
    let newest = keys.first()?;
    if newest.expires_at.is_some_and(|at| DateTime::<Utc>::from(at) < until) {
        let subkey = Cure::extend_subkey(&fingerprint, &newest.key.fingerprint().to_hex());
        cure = Some(cure.map_or_else(|| subkey.clone(), |cure| cure.then(subkey.clone())));
    }
    let second = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    Some(Finding {
        weight: Weight::Warning,
        code: "expires-too-soon",
        component: Some(fingerprint.clone()),
        problem: format!(
            "certificate {fingerprint} expires on {} and is needed until {}",
            second(ends),
            second(until)
        ),
        cure: cure.map(|cure| cure.then(Cure::export(Some(&fingerprint), None))),
    })
}

/// A certificate that names another address than the one mail goes to.
fn address(certificate: &Certificate, wanted: Option<&str>) -> Option<Finding> {
    let wanted = wanted?;
    let named = certificate.addresses();
    if named.iter().any(|address| address.eq_ignore_ascii_case(wanted)) {
        return None;
    }
    let fingerprint = certificate.fingerprint();
    Some(Finding {
        weight: Weight::Warning,
        code: "address-mismatch",
        problem: format!(
            "no user id of certificate {fingerprint} names the address that its mail goes to; check with its owner that \
             this is the right certificate"
        ),
        cure: Some(
            Cure::add_user_id(&fingerprint, Some(wanted)).then(Cure::export(Some(&fingerprint), None)),
        ),
        component: Some(fingerprint),
    })
}

/// User ids that would play tricks on whoever reads them.
fn user_ids(certificate: &Certificate) -> Vec<Finding> {
    let tricks = |value: &[u8]| match std::str::from_utf8(value) {
        Ok(text) if text.chars().any(is_trick) => Some("characters that hide, reorder or control text"),
        Ok(text) if text.contains(['<', '>']) && !is_angle_address(text) => Some("markup"),
        Ok(_) => None,
        Err(_) => Some("bytes that are no UTF-8"),
    };
    let user_ids = certificate.user_id_values();
    let found = (1..).zip(user_ids).filter_map(|(number, value): (usize, Vec<u8>)| {
        let what = tricks(&value)?;
        Some(Finding {
            weight: Weight::Warning,
            code: "unsafe-user-id",
            component: Some(format!("user id {number}")),
            problem: format!("user id {number} holds {what}; they are shown as text and never obeyed"),
            cure: None,
        })
    });
    found.collect()
}

/// Whether angle brackets stand where they belong: once, around the address at the end.
fn is_angle_address(text: &str) -> bool {
    text.matches('<').count() == 1 && text.matches('>').count() == 1 && text.ends_with('>')
}
