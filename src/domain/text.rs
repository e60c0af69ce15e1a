//! One line of text that is sent in a header, written to a log or shown: no character in it can break the
//! line or deceive its reader.

/// Why a text was refused. The text itself is not repeated: it may be embargoed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Too long for its kind.
    #[error("{kind} has {length} characters; at most {most} are allowed")]
    TooLong {
        /// What was being read.
        kind: &'static str,
        /// How long it is.
        length: usize,
        /// How long it may be.
        most: usize,
    },
    /// A character that could break a line, or deceive its reader.
    #[error("{kind} has a control, line-break or direction character at position {position}; remove it")]
    Forbidden {
        /// What was being read.
        kind: &'static str,
        /// Where, counted in characters from 0.
        position: usize,
    },
    /// Not of the expected form.
    #[error("this is no {kind}; expected {form}")]
    Form {
        /// What was being read.
        kind: &'static str,
        /// What it looks like.
        form: &'static str,
    },
}

/// Whether `character` may never stand in a line that is sent or shown: controls, line separators,
/// bidirectional controls.
pub fn is_forbidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text that others wrote, as one line that cannot act on a terminal.
pub fn harmless(text: &str) -> String {
    text.chars().map(|character| if is_forbidden(character) { '\u{fffd}' } else { character }).collect()
}

/// Checks that `text` is one harmless line of at most `most` characters.
pub fn one_line(text: &str, kind: &'static str, most: usize) -> Result<(), InvalidText> {
    if let Some(position) = text.chars().position(is_forbidden) {
        return Err(InvalidText::Forbidden { kind, position });
    }
    let length = text.chars().count();
    if length > most {
        return Err(InvalidText::TooLong { kind, length, most });
    }
    Ok(())
}
