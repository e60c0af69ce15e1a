//! Text that cannot lie about itself: characters that hide, reorder or control other text are shown by their
//! number, such as `\u{202e}`, and never obeyed.
//!
//! Joiners (U+200C, U+200D) stay, because names in several scripts need them.

use std::fmt;

use askama::filters::{Escaper, Html};

/// The escaper of all templates (see `askama.toml`): HTML escaping, and deceptive characters made visible.
/// Its output is also well-formed XML text, which may hold no control character.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: fmt::Write>(&self, mut destination: W, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_deceptive) {
            Html.write_escaped_str(&mut destination, &rest[..at])?;
            let mut tail = rest[at..].chars();
            if let Some(character) = tail.next() {
                write!(destination, "{}", character.escape_unicode())?;
            }
            rest = tail.as_str();
        }
        Html.write_escaped_str(&mut destination, rest)
    }
}

/// Whether a character hides, reorders or controls text. Tab and newline do not.
pub fn is_deceptive(character: char) -> bool {
    matches!(character,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'   // controls, the carriage return among them
        | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'         // separators, bidirectional marks
        | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
        || u32::from(character) & 0xfffe == 0xfffe // noncharacters
}

/// The text with deceptive characters shown; lines stay lines.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_deceptive(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The text on one line: any run of white space becomes one space, deceptive characters are shown.
pub fn one_line(text: &str) -> String {
    visible(
        &text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &str) -> String {
        let mut shown = String::new();
        Visible.write_escaped_str(&mut shown, text).unwrap();
        shown
    }

    #[test]
    fn a_right_to_left_override_is_shown_and_a_persian_joiner_is_kept() {
        assert_eq!(escaped("a\u{202e}<b>"), "a\\u{202e}&#60;b&#62;");
        assert_eq!(escaped("می\u{200c}خواهم"), "می\u{200c}خواهم");
        assert_eq!(visible("bell\u{7} esc\u{1b}[2J\n"), "bell\\u{7} esc\\u{1b}[2J\n");
        assert_eq!(one_line(" a\r\n\tb  c\u{85}d "), "a b c\\u{85}d");
    }

    proptest! {
        #[test]
        fn nothing_escaped_can_open_a_tag_or_leave_an_attribute(text in any::<String>()) {
            let shown = escaped(&text);
            prop_assert!(!shown.contains(['<', '>', '"', '\'']));
            prop_assert!(!shown.contains(is_deceptive));
        }
    }
}
