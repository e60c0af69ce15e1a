//! The advisory as JSON: the public value itself, field by field.

use crate::domain::advisory::Advisory;
use crate::formats::visible::is_deceptive;

/// The advisory, indented, with a newline at the end. Keys stand in the order of the type's fields, instants
/// are RFC 3339 in UTC, and characters that hide or reorder text are written as JSON escapes, so that the file
/// reads in a terminal as it parses.
pub fn advisory(advisory: &Advisory) -> Vec<u8> {
    let text =
        serde_json::to_string_pretty(advisory).expect("an advisory holds only texts, numbers and lists");
    let mut json = String::with_capacity(text.len() + 1);
    let mut units = [0; 2];
    for character in text.chars() {
        // Outside of string literals JSON is plain ASCII, so this meets text alone.
        if is_deceptive(character) {
            json.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            json.push(character);
        }
    }
    json.push('\n');
    json.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::samples;
    use proptest::prelude::*;

    #[test]
    fn the_file_begins_with_the_id_ends_with_the_timeline_and_says_utc() {
        let json = String::from_utf8(advisory(&samples::advisory())).unwrap();
        assert!(json.starts_with("{\n  \"id\": \"EMB-2026-1\",\n  \"revision\": 1,\n"), "{json}");
        assert!(json.contains("\"lifted_at\": \"2026-06-10T14:00:00Z\""), "{json}");
        assert!(json.contains("\"verdict\": \"verified\""), "{json}");
        assert!(json.ends_with("    \"packagers_told\": 3\n  }\n}\n"), "{json}");
    }

    proptest! {
        #[test]
        fn whatever_a_field_holds_comes_back_and_nothing_deceptive_stands_in_the_file(
            title in any::<String>(), tag in "[\u{202e}\u{0}-\u{1f}\u{7f}-\u{9f}\u{e0001}\u{ffff}\u{10ffff}]{0,8}",
        ) {
            let given = Advisory { title: title + &tag, ..samples::advisory() };
            let json = advisory(&given);
            prop_assert!(!std::str::from_utf8(&json).unwrap().contains(is_deceptive));
            prop_assert_eq!(serde_json::from_slice::<Advisory>(&json).unwrap(), given);
        }
    }
}
