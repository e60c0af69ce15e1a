//! A draft advisory of GitHub, as `gh api` prints it, turned into the text of a case.
//!
//! Only what the advisory says is taken over. Nobody is credited by this: a login on GitHub is no consent.

use serde::Deserialize;

use crate::domain::case::CaseText;

/// What an advisory gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Imported {
    pub text: CaseText,
    /// What the user has to look at, as sentences.
    pub remarks: Vec<String>,
}

#[derive(Deserialize)]
struct Advisory {
    ghsa_id: Option<String>,
    cve_id: Option<String>,
    summary: String,
    description: Option<String>,
    severity: Option<String>,
    cvss: Option<Score>,
    cvss_severities: Option<Scores>,
    state: Option<String>,
    vulnerabilities: Option<Vec<Vulnerability>>,
    credits: Option<Vec<Credit>>,
    credits_detailed: Option<Vec<DetailedCredit>>,
}

#[derive(Deserialize)]
struct Score {
    vector_string: Option<String>,
}

#[derive(Deserialize)]
struct Scores {
    cvss_v3: Option<Score>,
    cvss_v4: Option<Score>,
}

#[derive(Deserialize)]
struct Vulnerability {
    package: Option<Package>,
    vulnerable_version_range: Option<String>,
    patched_versions: Option<String>,
}

#[derive(Deserialize)]
struct Package {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Credit {
    login: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct DetailedCredit {
    user: Option<User>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct User {
    login: Option<String>,
}

/// Reads an advisory; `None` if it is none.
pub(super) fn import(json: &[u8]) -> Option<Imported> {
    let advisory: Advisory = serde_json::from_slice(json).ok()?;
    let mut remarks = Vec::new();
    if advisory.state.as_deref() == Some("published") {
        remarks
            .push("this advisory is already public on GitHub; an embargo cannot take that back".to_owned());
    }
    remarks.extend(credits(&advisory));
    let vulnerabilities = advisory.vulnerabilities.unwrap_or_default();
    let text = CaseText {
        title: advisory.summary.trim().to_owned(),
        summary: advisory.description.unwrap_or_default().replace("\r\n", "\n").trim().to_owned(),
        affected: versions(&vulnerabilities, |it| it.vulnerable_version_range.as_deref()),
        fixed: versions(&vulnerabilities, |it| it.patched_versions.as_deref()),
        severity: severity(advisory.cvss_severities, advisory.cvss, advisory.severity),
        cve: advisory.cve_id.filter(|id| !id.is_empty()),
        ghsa: advisory.ghsa_id,
        ..CaseText::default()
    };
    if text.fixed.is_empty() {
        remarks.push("the advisory names no fixed version; embargoctl edit".to_owned());
    }
    if text.severity.is_none() {
        remarks.push("the advisory has no severity; embargoctl edit".to_owned());
    }
    if text.cve.is_none() {
        remarks.push("the advisory has no CVE id; ask GitHub for one, then embargoctl edit".to_owned());
    }
    Some(Imported { text, remarks })
}

/// The text as the TOML document that is sent.
pub(super) fn document(text: &CaseText) -> String {
    toml::to_string_pretty(text).expect("a case has only texts and lists of texts, with tables last")
}

/// The versions that `of` finds, with the package's name where the advisory is about several.
fn versions(vulnerabilities: &[Vulnerability], of: impl Fn(&Vulnerability) -> Option<&str>) -> Vec<String> {
    let name =
        |it: &Vulnerability| it.package.as_ref().and_then(|package| package.name.clone()).unwrap_or_default();
    let several = vulnerabilities.windows(2).any(|pair| name(&pair[0]) != name(&pair[1]));
    let mut found = Vec::new();
    for vulnerability in vulnerabilities {
        let Some(versions) = of(vulnerability).map(str::trim).filter(|it| !it.is_empty()) else { continue };
        let versions = match name(vulnerability) {
            name if several && !name.is_empty() => format!("{name} {versions}"),
            _ => versions.to_owned(),
        };
        if !found.contains(&versions) {
            found.push(versions);
        }
    }
    found
}

/// A vector says more than a word.
fn severity(scores: Option<Scores>, cvss: Option<Score>, word: Option<String>) -> Option<String> {
    let vector = |score: Option<Score>| score?.vector_string.filter(|vector| !vector.is_empty());
    let (v3, v4) = scores.map_or((None, None), |scores| (vector(scores.cvss_v3), vector(scores.cvss_v4)));
    vector(cvss).or(v3).or(v4).or(word.filter(|word| word != "unknown"))
}

fn credits(advisory: &Advisory) -> Vec<String> {
    let detailed = advisory.credits_detailed.as_deref().unwrap_or_default().iter();
    let mut named: Vec<_> = detailed
        .map(|credit| (credit.user.as_ref().and_then(|it| it.login.as_deref()), credit.kind.as_deref()))
        .collect();
    if named.is_empty() {
        let plain = advisory.credits.as_deref().unwrap_or_default().iter();
        named.extend(plain.map(|credit| (credit.login.as_deref(), credit.kind.as_deref())));
    }
    let sentence = |(login, kind): (Option<&str>, Option<&str>)| {
        let (login, role) = (login?, role(kind.unwrap_or_default()));
        Some(format!(
            "{login} ({role}) is not credited yet: ask for consent, then embargoctl credit add ID --person {login} --role {role} --alias NAME | --name NAME | --no-consent"
        ))
    };
    named.into_iter().filter_map(sentence).collect()
}

/// GitHub's kinds of credit, in our words.
fn role(kind: &str) -> &'static str {
    match kind {
        "finder" | "analyst" => "finder",
        "reporter" => "reporter",
        "coordinator" => "coordinator",
        "remediation_developer" => "remediation-developer",
        "remediation_reviewer" => "remediation-reviewer",
        "remediation_verifier" => "remediation-verifier",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAFT: &str = r#"{
        "ghsa_id": "GHSA-2222-3333-4444", "cve_id": null, "state": "draft", "severity": "high",
        "url": "https://api.github.example/x", "author": { "login": "keeper-example" },
        "summary": " Header injection in Widget.render ",
        "description": "**Impact**\r\nA crafted name splits the header.\r\n",
        "cvss": { "vector_string": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", "score": 7.5 },
        "vulnerabilities": [
            { "package": { "ecosystem": "pip", "name": "widgetlib" }, "vulnerable_functions": [],
              "vulnerable_version_range": "< 3.1.4", "patched_versions": "3.1.4" },
            { "package": { "ecosystem": "pip", "name": "widgetlib" },
              "vulnerable_version_range": ">= 2.0, < 2.9.1", "patched_versions": "2.9.1" }
        ],
        "credits": [{ "login": "nightfox-example", "type": "reporter" }],
        "credits_detailed": [
            { "user": { "login": "nightfox-example", "id": 1 }, "type": "reporter", "state": "pending" },
            { "user": { "login": "mender-example" }, "type": "remediation_developer", "state": "accepted" }
        ]
    }"#;

    #[test]
    fn a_draft_advisory_becomes_the_text_of_a_case_and_credits_nobody() {
        let imported = import(DRAFT.as_bytes()).unwrap();
        let expected = "title = \"Header injection in Widget.render\"\n\
            summary = \"\"\"\n**Impact**\nA crafted name splits the header.\"\"\"\nnotice = \"\"\n\
            affected = [\n    \"< 3.1.4\",\n    \">= 2.0, < 2.9.1\",\n]\n\
            fixed = [\n    \"3.1.4\",\n    \"2.9.1\",\n]\n\
            severity = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N\"\nghsa = \"GHSA-2222-3333-4444\"\ncommits = []\n";
        assert_eq!(document(&imported.text), expected);
        assert_eq!(toml::from_str::<CaseText>(expected).unwrap(), imported.text);
        assert!(!expected.contains("nightfox"));
        assert_eq!(imported.remarks.len(), 3, "{:?}", imported.remarks);
        assert!(
            imported.remarks[0]
                .starts_with("nightfox-example (reporter) is not credited yet: ask for consent")
        );
        assert!(imported.remarks[1].contains("--role remediation-developer"));
        assert!(imported.remarks[2].contains("no CVE id"));
    }

    #[test]
    fn versions_of_several_packages_are_told_apart_and_a_word_stands_in_for_a_vector() {
        let json = DRAFT.replacen("\"widgetlib\"", "\"widgetlib-core\"", 1).replace("vector_string", "other");
        let text = import(json.as_bytes()).unwrap().text;
        assert_eq!(text.affected, ["widgetlib-core < 3.1.4", "widgetlib >= 2.0, < 2.9.1"]);
        assert_eq!(text.severity.as_deref(), Some("high"));
    }

    #[test]
    fn a_published_advisory_is_remarked_and_a_list_of_advisories_is_none() {
        let published = DRAFT.replace("\"draft\"", "\"published\"");
        assert!(import(published.as_bytes()).unwrap().remarks[0].contains("already public"));
        assert_eq!(import(format!("[{DRAFT}]").as_bytes()), None);
        assert_eq!(import(br#"{"message":"Not Found"}"#), None);
    }
}
