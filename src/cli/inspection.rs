//! `certificate inspect`, the same for both programs: what an OpenPGP certificate is good for, before anybody
//! depends on it. The words and codes are those of the API and the pages.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::domain::text::harmless;
use crate::openpgp::{
    Acceptance, Cure, Expected, Finding, Inspection, MAX_CERTIFICATE_BYTES, Verdict, Weight,
};

/// Arguments of `certificate inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    gpg --armor --export security@debian.example > debian.asc\n  \
    embargod certificate inspect debian.asc --address security@debian.example\n  \
    gpg --armor --export security@debian.example | embargod certificate inspect -\n\n\
    Exit codes: 0 usable, 1 a certificate that cannot be used, 2 no certificate.")]
pub(super) struct InspectArguments {
    /// What `gpg --armor --export ADDRESS` prints; `-` for standard input
    file: PathBuf,
    /// The address that mail will go to
    #[arg(long)]
    address: Option<String>,
    /// A day (UTC) until whose end it has to last
    #[arg(long, value_name = "DATE")]
    until: Option<NaiveDate>,
    /// Judges as if SHA-1 self-signatures were tolerated
    #[arg(long)]
    allow_sha1: bool,
}

impl InspectArguments {
    /// The file, for words about it.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

/// What is said of a certificate.
#[derive(Serialize)]
struct Report {
    verdict: Verdict,
    usable: bool,
    fingerprint: Option<String>,
    algorithm: Option<String>,
    user_ids: Vec<String>,
    addresses: Vec<String>,
    expires_at: Option<String>,
    findings: Vec<Finding>,
    cure: Option<Cure>,
}

/// What a command leaves behind: the text for the screen, and the exit code.
pub(super) struct Said {
    pub text: String,
    pub code: u8,
}

/// Looks at the file and says what it found.
pub(super) fn inspect(arguments: &InspectArguments, json: bool, now: DateTime<Utc>) -> io::Result<Said> {
    let bytes = read(&arguments.file)?;
    let end = |date: NaiveDate| date.succ_opt().unwrap_or(date).and_time(NaiveTime::MIN).and_utc();
    let acceptance = if arguments.allow_sha1 {
        Acceptance::Sha1Bindings { until: DateTime::<Utc>::MAX_UTC }
    } else {
        Acceptance::Strict
    };
    let expected =
        Expected { acceptance, address: arguments.address.as_deref(), until: arguments.until.map(end) };
    let inspection = Inspection::of(&bytes, &expected, now);
    let report = Report::new(&inspection, acceptance, now);
    let text =
        if json { serde_json::to_string_pretty(&report).unwrap_or_default() + "\n" } else { report.text() };
    let code = match inspection.verdict {
        Verdict::Usable => 0,
        Verdict::Unusable => 1,
        Verdict::NoCertificate => 2,
    };
    Ok(Said { text, code })
}

/// One byte more than is taken is enough to say that it is too large.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let most = MAX_CERTIFICATE_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().take(most).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

impl Report {
    fn new(inspection: &Inspection, acceptance: Acceptance, now: DateTime<Utc>) -> Self {
        let certificate = inspection.certificate.as_ref();
        let second = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        Self {
            verdict: inspection.verdict,
            usable: inspection.verdict == Verdict::Usable,
            fingerprint: certificate.map(|certificate| certificate.fingerprint()),
            algorithm: certificate.map(|certificate| certificate.algorithm()),
            user_ids: certificate.map(|certificate| certificate.user_ids()).unwrap_or_default(),
            addresses: certificate.map(|certificate| certificate.addresses()).unwrap_or_default(),
            expires_at: certificate.and_then(|one| one.expires_at(&acceptance, now)).map(second),
            findings: inspection.findings.clone(),
            cure: inspection.cure(),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut item = |word: &str, said: &str| {
            let _ = writeln!(text, "  {word:<8}{}", harmless(said));
        };
        let whose = match (&self.fingerprint, &self.algorithm) {
            (Some(fingerprint), Some(algorithm)) => format!("{fingerprint} {algorithm}"),
            _ => "no certificate that could be kept".to_owned(),
        };
        item(if self.usable { "ok" } else { "FAIL" }, &whose);
        for user_id in &self.user_ids {
            item("for", user_id);
        }
        if self.usable {
            item("until", self.expires_at.as_deref().unwrap_or("it never expires"));
        }
        for finding in &self.findings {
            said(&mut item, finding);
        }
        if let Some(cure) = &self.cure {
            lines(&mut item, "cure", &cure.gpg);
            lines(&mut item, if cure.gpg.is_empty() { "cure" } else { "or" }, &cure.sq);
        }
        if self
            .findings
            .iter()
            .any(|finding| finding.weight == Weight::Refused && finding.code == "sha1-only")
        {
            item("or", "accept it for a time: embargod packager add … --allow-sha1 DATE --reason WHO_WHY");
        }
        text
    }
}

/// Calls `item` for each line about a finding: a word, then what is said.
pub(super) fn said(item: &mut impl FnMut(&str, &str), finding: &Finding) {
    let word = match finding.weight {
        Weight::Refused => "refused",
        Weight::Warning => "warn",
        Weight::Note => "note",
    };
    item(word, &format!("{} [{}]", finding.problem, finding.code));
    if let (Weight::Warning, Some(cure)) = (finding.weight, &finding.cure) {
        let of_either = if cure.gpg.is_empty() { &cure.sq } else { &cure.gpg };
        lines(item, "cure", of_either);
    }
}

fn lines(item: &mut impl FnMut(&str, &str), word: &str, lines: &[String]) {
    for (index, line) in lines.iter().enumerate() {
        item(if index == 0 { word } else { "" }, line);
    }
}
