//! `edit`: the text of a case in the user's editor, the difference, and the question.

use similar::TextDiff;

use super::arguments;
use super::changes::{path, report};
use super::context::{Context, agrees, read_file, say};
use super::error::CliError;
use super::report::{Report, line};
use crate::client::{Command, Scratch, Session, edit as open_editor};
use crate::domain::case::CaseText;
use crate::domain::id::EmbargoId;
use crate::wire::CaseView;

const KEYS: &str =
    "title, summary, notice, affected, fixed, severity, cve, ghsa, mitigation, changelog, commits";

/// Shown for keys that the text does not have yet. Lines that begin so are not sent.
const HINT: &str = "#:";

const HINTS: [(&str, &str); 11] = [
    ("title", "title = \"one line that names the vulnerability\""),
    ("summary", "summary = \"\"\"what it is and whom it harms, for the public advisory\"\"\""),
    ("notice", "notice = \"\"\"what packagers are told on top of the summary\"\"\""),
    ("affected", "affected = [\"< 2.32.4\"]"),
    ("fixed", "fixed = [\"2.32.4\"]"),
    ("severity", "severity = \"a CVSS vector, or a word such as moderate\""),
    ("cve", "cve = \"CVE-2026-0042\""),
    ("ghsa", "ghsa = \"GHSA-xxxx-xxxx-xxxx\""),
    ("mitigation", "mitigation = \"\"\"what users can do without the fix\"\"\""),
    ("changelog", "changelog = \"\"\"the changelog entry; without it the title stands in\"\"\""),
    ("commits", "commits = [{ branch = \"main\", id = \"the full commit id, if known before the lift\" }]"),
];

pub(super) fn edit(context: &Context, edit: &arguments::Edit) -> Result<Report, CliError> {
    let session = context.session()?;
    let id = session.resolve(&edit.id)?;
    let case = session.case(&id)?;
    if let Some(file) = &edit.file {
        let text = String::from_utf8_lossy(&read_file(file)?).into_owned();
        check(&text)?;
        return send(context, &session, &id, &case, &without_hints(&text), edit.yes);
    }
    let place = std::env::temp_dir();
    let scratch = Scratch::new(&context.entropy).map_err(|source| CliError::Write { path: place, source })?;
    let file = scratch.file("text.toml");
    let write = |source| CliError::Write { path: file.clone(), source };
    scratch.write("text.toml", with_hints(&case.text).as_bytes()).map_err(write)?;
    let sent = in_editor(&file).and_then(|text| send(context, &session, &id, &case, &text, edit.yes));
    sent.map_err(|error| match error {
        CliError::Editor => CliError::Editor,
        error => {
            let path = scratch.keep().join("text.toml");
            CliError::TextKept { path, id: id.to_string(), source: Box::new(error) }
        }
    })
}

/// What the user leaves in the editor; asked again while it is no text of a case.
fn in_editor(file: &std::path::Path) -> Result<String, CliError> {
    loop {
        let read = |source| CliError::Read { path: file.to_owned(), source };
        if !open_editor(file).map_err(read)? {
            return Err(CliError::Editor);
        }
        let text = String::from_utf8_lossy(&std::fs::read(file).map_err(read)?).into_owned();
        match check(&text) {
            Ok(()) => return Ok(without_hints(&text)),
            Err(error) => {
                say(&error.to_string());
                if !agrees("Edit again? [y/N]") {
                    return Err(error);
                }
            }
        }
    }
}

fn send(
    context: &Context,
    session: &Session,
    id: &EmbargoId,
    case: &CaseView,
    text: &str,
    yes: bool,
) -> Result<Report, CliError> {
    let Some(difference) = difference(&case.text, text) else {
        say("the text is as it was; nothing was sent");
        return Ok(report(context, case));
    };
    if !yes {
        say(&format!("this changes {id}:\n{}", difference.lines().map(line).collect::<Vec<_>>().join("\n")));
        if !agrees("Send it? [y/N]") {
            return Err(CliError::NotConfirmed);
        }
    }
    let command = Command::toml("PUT", path(id, "/text"), text).if_version(case.neutral.version);
    Ok(report(context, &session.change(id, &command)?))
}

/// The change in the form that patches have; `None` if there is none.
fn difference(old: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    let difference = TextDiff::from_lines(old, new);
    Some(difference.unified_diff().context_radius(3).header("the text now", "your text").to_string())
}

fn check(text: &str) -> Result<(), CliError> {
    let Err(error) = toml::from_str::<CaseText>(text) else { return Ok(()) };
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    Err(CliError::NoText { line: before.matches('\n').count() + 1, keys: KEYS })
}

/// Hints stand first: after a table, a key would belong to it.
fn with_hints(text: &str) -> String {
    let known = toml::from_str::<toml::Table>(text).unwrap_or_default();
    let missing: Vec<_> = HINTS.iter().filter(|(key, _)| !known.contains_key(*key)).collect();
    if missing.is_empty() {
        return text.to_owned();
    }
    let mut hinted =
        format!("{HINT} Not set yet; remove the mark to set one. Lines with the mark are not sent.\n");
    for (_, hint) in missing {
        hinted.extend([HINT, " ", hint, "\n"]);
    }
    hinted + text
}

fn without_hints(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.starts_with(HINT)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "title = \"a\"\nsummary = \"\"\"\nb\n# no comment\n\"\"\"\n\n[[commits]]\nbranch = \"main\"\nid = \"0\"\n";

    #[test]
    fn hints_come_and_go_without_a_trace_and_name_only_what_is_missing() {
        let hinted = with_hints(TEXT);
        assert_eq!(without_hints(&hinted), TEXT);
        assert!(hinted.contains("#: severity = ") && !hinted.contains("#: title = "));
        let set = hinted.replace("#: fixed", "fixed");
        assert_eq!(toml::from_str::<CaseText>(&set).unwrap().fixed, ["2.32.4"]);
        for (key, hint) in HINTS {
            assert!(toml::from_str::<CaseText>(hint).is_ok(), "{hint}");
            assert!(hint.starts_with(key) && KEYS.contains(key));
        }
    }

    #[test]
    fn a_difference_shows_what_changes_and_nothing_is_none() {
        assert_eq!(difference(TEXT, TEXT), None);
        let changed = difference("a\nb\n", "a\nc\n").unwrap();
        assert_eq!(changed, "--- the text now\n+++ your text\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
    }

    #[test]
    fn a_text_that_cannot_be_taken_is_named_by_its_line_and_not_by_its_words() {
        let error = check("title = \"a\"\nsecret-thing = 1\n").unwrap_err().to_string();
        assert!(error.starts_with("line 2 ") && !error.contains("secret-thing"), "{error}");
    }
}
