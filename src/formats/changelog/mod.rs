//! The changelog entry in the style of a project's own file, to be pasted or committed.
//!
//! Promises: whatever the texts hold, the entry is one heading with one bullet point. Text between single or
//! double backquotes is code; everything else means itself, and no markup can be smuggled in.

mod markup;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use chrono::NaiveDate;

use crate::domain::advisory::Advisory;
use crate::domain::policy::ChangelogStyle;
use crate::formats::visible::one_line;
use markup::{Markup, Word};

/// The media type of an entry.
pub fn media_type(style: ChangelogStyle) -> &'static str {
    match markup(style) {
        Markup::Markdown => "text/markdown; charset=utf-8",
        Markup::Rst => "text/x-rst; charset=utf-8",
    }
}

/// What writes an entry as [`entry`] does.
pub type Entry = fn(ChangelogStyle, &Advisory, Option<&str>, NaiveDate) -> String;

/// The entry for `version`, or for what is not released yet while no version is named.
pub fn entry(style: ChangelogStyle, advisory: &Advisory, version: Option<&str>, date: NaiveDate) -> String {
    let mut head = head(style, version, date);
    let (bullet, width) = match style {
        ChangelogStyle::Requests => ("- ", 72),
        ChangelogStyle::Pallets => ("-   ", 72),
        ChangelogStyle::Urllib3 | ChangelogStyle::KeepAChangelog => ("- ", 80),
    };
    let indent = " ".repeat(bullet.len());
    let paragraphs = paragraphs(style, advisory);
    let wrapped = paragraphs.iter().map(|words| markup(style).wrapped(words, &indent, width));
    let body = wrapped.collect::<Vec<_>>().join("\n\n");
    let _ = writeln!(head, "{bullet}{}", &body[indent.len()..]);
    head
}

const fn markup(style: ChangelogStyle) -> Markup {
    match style {
        ChangelogStyle::Requests | ChangelogStyle::KeepAChangelog => Markup::Markdown,
        ChangelogStyle::Pallets | ChangelogStyle::Urllib3 => Markup::Rst,
    }
}

/// The heading and what stands between it and the bullet point.
fn head(style: ChangelogStyle, version: Option<&str>, date: NaiveDate) -> String {
    let markup = markup(style);
    let version = version.map(one_line).filter(|version| !version.is_empty());
    let title = |text: &str| markup.line(&markup.words(text));
    match (style, version) {
        (ChangelogStyle::Requests, version) => {
            let head =
                version.map_or_else(|| "dev".to_owned(), |version| title(&format!("{version} ({date})")));
            format!("{}\n**Security**\n", underlined(&head, '-'))
        }
        (ChangelogStyle::Pallets, Some(version)) => {
            let head = underlined(&title(&format!("Version {version}")), '-');
            format!("{head}\nReleased {date}\n\n")
        }
        (ChangelogStyle::Pallets, None) => format!("{}\n", underlined("Unreleased", '-')),
        (ChangelogStyle::Urllib3, version) => {
            let head = version
                .map_or_else(|| "Unreleased".to_owned(), |version| title(&format!("{version} ({date})")));
            format!("{}\n{}\n", underlined(&head, '='), underlined("Security", '-'))
        }
        (ChangelogStyle::KeepAChangelog, Some(version)) => {
            let version: Vec<_> = markup.words(&version).into_iter().map(|word| word.text).collect();
            format!("## [{}] - {date}\n\n### Security\n\n", version.join(" "))
        }
        (ChangelogStyle::KeepAChangelog, None) => "## [Unreleased]\n\n### Security\n\n".to_owned(),
    }
}

/// A heading with its line below. Characters beyond ASCII count twice, since some are that wide and a line that
/// is too long does no harm.
fn underlined(title: &str, line: char) -> String {
    let width = title.chars().map(|character| if character.is_ascii() { 1 } else { 2 }).sum();
    format!("{title}\n{}\n", line.to_string().repeat(width))
}

/// The paragraphs of the bullet point, with identifiers, thanks and commits where the style puts them.
fn paragraphs(style: ChangelogStyle, advisory: &Advisory) -> Vec<Vec<Word>> {
    let markup = markup(style);
    let mut texts = texts(advisory);
    let known = [&advisory.cve, &advisory.ghsa].into_iter().flatten().map(|id| one_line(id));
    let identifiers: Vec<String> = known.filter(|id| !id.is_empty()).collect();
    if style == ChangelogStyle::Requests
        && let Some(first) = identifiers.first()
        && !texts[0].starts_with(first)
    {
        texts[0] = format!("{first} {}", texts[0]);
    }
    let mut paragraphs: Vec<Vec<Word>> = texts.iter().map(|text| markup.words(text)).collect();
    let mut last = match style {
        ChangelogStyle::Requests => Vec::new(),
        ChangelogStyle::Pallets => listed(identifiers.iter().map(|id| role(id))),
        ChangelogStyle::Urllib3 => in_brackets(listed(identifiers.iter().map(|id| link(id)))),
        ChangelogStyle::KeepAChangelog => {
            let unsaid = identifiers.iter().filter(|id| !texts.iter().any(|text| text.contains(*id)));
            in_brackets(listed(unsaid.map(|id| markup.words(id))))
        }
    };
    for sentence in [thanks(advisory), commits(advisory)].into_iter().flatten() {
        last.extend(markup.words(&sentence));
    }
    if let Some(words) = paragraphs.last_mut() {
        words.append(&mut last);
    }
    paragraphs
}

/// The entry's text as paragraphs, each on one line; the last ends with a full stop; at least one.
fn texts(advisory: &Advisory) -> Vec<String> {
    let text = if advisory.changelog.trim().is_empty() { &advisory.title } else { &advisory.changelog };
    let text = text.replace("\r\n", "\n");
    let mut paragraphs: Vec<String> = text
        .split("\n\n")
        .map(|paragraph| one_line(paragraph).trim_start_matches("- ").trim().to_owned())
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

/// What has the form of an identifier, and so needs no escaping wherever it stands.
enum Identifier<'a> {
    Cve(&'a str),
    Ghsa(&'a str),
}

impl<'a> Identifier<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let plain = |text: &str| {
            !text.is_empty()
                && text
                    .split('-')
                    .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        };
        let cve = text.strip_prefix("CVE-").filter(|rest| plain(rest)).map(Self::Cve);
        cve.or_else(|| text.strip_prefix("GHSA-").filter(|rest| plain(rest)).map(Self::Ghsa))
    }
}

/// As Sphinx roles, which add the letters in front themselves.
fn role(id: &str) -> Vec<Word> {
    match Identifier::of(id) {
        Some(Identifier::Cve(number)) => vec![Word::markup(format!(":cve:`{number}`"))],
        Some(Identifier::Ghsa(number)) => vec![Word::markup(format!(":ghsa:`{number}`"))],
        None => Markup::Rst.words(id),
    }
}

/// As an anonymous link to where everybody looks it up.
fn link(id: &str) -> Vec<Word> {
    let address = match Identifier::of(id) {
        Some(Identifier::Cve(_)) => format!("https://www.cve.org/CVERecord?id={id}"),
        Some(Identifier::Ghsa(_)) => format!("https://github.com/advisories/{id}"),
        None => return Markup::Rst.words(id),
    };
    vec![Word::markup(format!("`{id} <{address}>`__"))]
}

/// One after the other, with commas between.
fn listed(items: impl Iterator<Item = Vec<Word>>) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for item in items {
        if let Some(last) = words.last_mut() {
            last.text.push(',');
        }
        words.extend(item);
    }
    words
}

fn in_brackets(mut words: Vec<Word>) -> Vec<Word> {
    if let Some(first) = words.first_mut() {
        first.text.insert(0, '(');
    }
    if let Some(last) = words.last_mut() {
        last.text.push(')');
    }
    words
}
