//! A reader of our own markup for tests, stricter than any browser: it knows the few elements and attributes
//! that our templates use and fails on everything else, so whatever hostile text could add is a failure.

use std::fmt::Write as _;

const VOID: [&str; 2] = ["meta", "link"];

/// Elements with the attributes they may have, beside `id` and `class`.
const KNOWN: &[(&str, &[&str])] = &[
    ("html", &["lang"]),
    ("head", &[]),
    ("meta", &["charset", "name", "content"]),
    ("title", &[]),
    ("link", &["rel", "href", "type", "title"]),
    ("body", &[]),
    ("header", &[]),
    ("nav", &["aria-label"]),
    ("main", &[]),
    ("footer", &[]),
    ("article", &[]),
    ("section", &["aria-labelledby"]),
    ("h1", &[]),
    ("h2", &[]),
    ("h3", &[]),
    ("h4", &[]),
    ("p", &["role"]),
    ("a", &["href", "aria-label"]),
    ("span", &[]),
    ("strong", &[]),
    ("bdi", &[]),
    ("code", &[]),
    ("pre", &[]),
    ("time", &["datetime"]),
    ("ul", &[]),
    ("ol", &[]),
    ("li", &[]),
    ("dl", &[]),
    ("dt", &[]),
    ("dd", &[]),
    ("table", &[]),
    ("caption", &[]),
    ("thead", &[]),
    ("tbody", &[]),
    ("tr", &[]),
    ("th", &["scope"]),
    ("td", &["data-label"]),
    ("form", &["method", "action"]),
    ("label", &["for"]),
    (
        "textarea",
        &[
            "name",
            "rows",
            "required",
            "readonly",
            "spellcheck",
            "autocomplete",
            "autocapitalize",
            "aria-describedby",
        ],
    ),
    ("button", &[]),
];

/// Reads a page or a fragment. Returns its text with tags as line breaks, references resolved; panics with the
/// reason if an element or attribute is unknown, a value could run a script, a tag is not closed, or a
/// deceptive character stands in it.
pub(super) fn text_of(markup: &[u8]) -> String {
    let markup = std::str::from_utf8(markup).expect("UTF-8");
    assert!(!markup.contains(super::visible::is_deceptive), "a deceptive character is not shown");
    let mut rest = markup.strip_prefix("<!doctype html>").unwrap_or(markup);
    let mut text = String::new();
    let mut open: Vec<&str> = Vec::new();
    while let Some(at) = rest.find('<') {
        text.push_str(&resolved(&rest[..at]));
        text.push('\n');
        let end = at + rest[at..].find('>').expect("a tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "elements nest");
        } else {
            let name = tag.split([' ', '\n']).next().unwrap_or_default();
            check_attributes(name, tag[name.len()..].trim());
            if !VOID.contains(&name) {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "{open:?} is not closed");
    text.push_str(&resolved(rest));
    text
}

fn check_attributes(name: &str, mut rest: &str) {
    let (_, allowed) = KNOWN.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("<{name}>"));
    while !rest.is_empty() {
        let end = rest.find(['=', ' ']).unwrap_or(rest.len());
        let attribute = &rest[..end];
        assert!(allowed.contains(&attribute) || ["id", "class"].contains(&attribute), "<{name} {attribute}>");
        rest = &rest[end..];
        if let Some(value) = rest.strip_prefix("=\"") {
            let end = value.find('"').expect("a value ends");
            if ["href", "action"].contains(&attribute) {
                let value = &value[..end];
                assert!(
                    value.starts_with(['/', '#']) || value.starts_with("https://"),
                    "{attribute}={value}"
                );
            }
            rest = &value[end + 1..];
        }
        assert!(rest.is_empty() || rest.starts_with([' ', '\n']), "<{name}> … {rest}");
        rest = rest.trim_start();
    }
}

/// Text with its character references resolved; an ampersand that begins none is a failure.
fn resolved(text: &str) -> String {
    let mut parts = text.split('&');
    let mut resolved = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) =
            part.strip_prefix('#').and_then(|part| part.split_once(';')).expect("a numeric reference");
        let character = number.parse().ok().and_then(char::from_u32).expect("a number");
        write!(resolved, "{character}{rest}").unwrap();
    }
    resolved
}

/// The visible lines of a page, without blank ones, for assertions on facts.
pub(super) fn words_of(markup: &[u8]) -> String {
    text_of(markup).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Headings that have nothing below them before the next heading of the same or a higher level.
pub(super) fn empty_headings(markup: &[u8]) -> Vec<String> {
    let markup = std::str::from_utf8(markup).expect("UTF-8");
    let mut empty = Vec::new();
    for (at, _) in markup.match_indices("</h2>").chain(markup.match_indices("</h3>")) {
        let next = markup[at + 5..].trim_start();
        if next.starts_with("<h2") || next.starts_with("</article>") || next.starts_with("</section>") {
            empty.push(markup[..at].rsplit('>').next().unwrap_or_default().to_owned());
        }
    }
    empty
}

#[test]
fn the_reader_notices_what_hostile_text_could_do() {
    for bad in [
        "<script></script>",
        "<a href=\"javascript:x\">x</a>",
        "<p onclick=\"x\">x</p>",
        "<p><b></p>",
        "<p>x",
        "<p style=\"x\"></p>",
        "a & b",
        "\u{202e}",
    ] {
        assert!(std::panic::catch_unwind(|| text_of(bad.as_bytes())).is_err(), "{bad}");
    }
    assert_eq!(words_of(b"<p class=\"a\">1 &#60; <strong>2</strong></p>"), "1 < 2");
}
