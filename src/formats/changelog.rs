//! The changelog entry in the style of a project's own file, to be pasted or committed.

use chrono::NaiveDate;

use crate::domain::advisory::Advisory;
use crate::formats::visible::one_line;

/// Columns after which a line is broken, where a blank allows it.
const WIDTH: usize = 72;

/// An entry for a Markdown `HISTORY.md` in the style of requests: `2.33.0 (2026-03-25)` underlined with
/// dashes, or `dev` while no version is named, then a bullet below `**Security**` that begins with the CVE.
pub fn requests(advisory: &Advisory, version: Option<&str>, date: NaiveDate) -> String {
    let head = version.map_or_else(|| "dev".to_owned(), |version| format!("{} ({date})", one_line(version)));
    let mut paragraphs = paragraphs(advisory);
    if let Some(identifier) = advisory.cve.as_deref().or(advisory.ghsa.as_deref()).map(one_line)
        && !paragraphs[0].starts_with(&identifier)
    {
        paragraphs[0] = format!("{identifier} {}", paragraphs[0]);
    }
    for sentence in [thanks(advisory), commits(advisory)].into_iter().flatten() {
        if let Some(last) = paragraphs.last_mut() {
            last.push(' ');
            last.push_str(&sentence);
        }
    }
    let bullet = paragraphs.iter().map(|paragraph| wrapped(paragraph)).collect::<Vec<_>>().join("\n\n");
    let line = "-".repeat(head.chars().count());
    format!("{head}\n{line}\n\n**Security**\n- {}\n", bullet.trim_start())
}

/// The entry's text as paragraphs, each on one line that ends with a full stop; at least one.
fn paragraphs(advisory: &Advisory) -> Vec<String> {
    let text = if advisory.changelog.trim().is_empty() { &advisory.title } else { &advisory.changelog };
    let text = text.replace("\r\n", "\n");
    let mut paragraphs: Vec<String> = text
        .split("\n\n")
        .map(|paragraph| one_line(paragraph).trim_start_matches("- ").to_owned())
        .filter(|paragraph| !paragraph.is_empty())
        .collect();
    if paragraphs.is_empty() {
        paragraphs.push(one_line(&advisory.id));
    }
    if let Some(last) = paragraphs.last_mut()
        && !last.ends_with(['.', '!', '?', ')', ':'])
    {
        last.push('.');
    }
    paragraphs
}

fn thanks(advisory: &Advisory) -> Option<String> {
    let names: Vec<String> = advisory
        .credits
        .iter()
        .map(|credit| format!("{} ({})", one_line(&credit.name), credit.role.words()))
        .collect();
    (!names.is_empty()).then(|| format!("Thanks to {}.", names.join(", ")))
}

fn commits(advisory: &Advisory) -> Option<String> {
    let references: Vec<String> = advisory
        .commits
        .iter()
        .map(|commit| {
            let short: String = commit.id.chars().take(12).collect();
            format!("{} ({})", one_line(&short), one_line(&commit.branch))
        })
        .collect();
    (!references.is_empty()).then(|| format!("Fixed by {}.", references.join(", ")))
}

/// `text` broken into lines that are indented by two, below a bullet.
fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("  {word}")),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::samples;

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 6, 10).unwrap()
    }

    #[test]
    fn an_entry_puts_the_cve_first_and_thanks_those_who_agreed() {
        let entry = requests(&samples::advisory(), Some("2.4.1"), date());
        assert_eq!(
            entry,
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
    fn without_a_version_the_head_is_dev_and_without_people_nobody_is_thanked() {
        let entry = requests(&samples::bare_advisory(), None, date());
        assert_eq!(entry, "dev\n---\n\n**Security**\n- Header injection in Widget.render.\n");
    }

    #[test]
    fn a_cve_that_the_text_already_begins_with_is_not_said_twice() {
        let mut advisory = samples::advisory();
        advisory.changelog = "CVE-2026-99999 Line breaks are refused".to_owned();
        assert_eq!(requests(&advisory, None, date()).matches("CVE-2026-99999").count(), 1);
    }

    #[test]
    fn hostile_text_makes_no_second_heading_and_hides_nothing() {
        let mut advisory = samples::bare_advisory();
        advisory.changelog = "one\n9.9.9 (2026-01-01)\n------\n\nt\u{202e}wo\u{1b}[2J".to_owned();
        let entry = requests(&advisory, Some("1.0\n0"), date());
        assert_eq!(
            entry,
            "1.0 0 (2026-06-10)\n------------------\n\n**Security**\n\
             - one 9.9.9 (2026-01-01) ------\n\n  t\\u{202e}wo\\u{1b}[2J.\n"
        );
    }
}
