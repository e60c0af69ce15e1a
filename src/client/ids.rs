//! Short forms of an embargo's id, such as `b7k2`, found in the list of those the user may know of.

use crate::domain::id::EmbargoId;
use crate::wire::NeutralList;

/// An id that names no embargo, or several.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// It begins no known id.
    #[error("no embargo has an id that begins with {typed:?}; embargoctl list shows them")]
    Unknown {
        /// What was typed.
        typed: String,
    },
    /// It begins several.
    #[error("{typed:?} begins more than one id: {}; type more of it", candidates.join(", "))]
    Ambiguous {
        /// What was typed.
        typed: String,
        /// The ids.
        candidates: Vec<String>,
    },
    /// No id begins so.
    #[error("{typed:?} is no embargo id; expected a form like b7k2-9fq1, or the beginning of one")]
    Form {
        /// What was typed.
        typed: String,
    },
}

/// The whole id, if that is what was typed; then nobody has to be asked.
pub(super) fn whole(typed: &str) -> Option<EmbargoId> {
    typed.trim().parse().ok()
}

/// The only id of `list` that begins with what was typed; case, dashes and look-alikes do not count.
pub(super) fn resolve(typed: &str, list: &NeutralList) -> Result<EmbargoId, IdError> {
    let wanted = folded(typed);
    if wanted.is_empty() || wanted.len() > 8 || !wanted.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(IdError::Form { typed: typed.to_owned() });
    }
    let found = list.embargoes.iter().filter(|embargo| folded(&embargo.id).starts_with(&wanted));
    let found: Vec<EmbargoId> = found.filter_map(|embargo| embargo.id.parse().ok()).collect();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(IdError::Unknown { typed: typed.to_owned() }),
        several => Err(IdError::Ambiguous {
            typed: typed.to_owned(),
            candidates: several.iter().map(ToString::to_string).collect(),
        }),
    }
}

fn folded(text: &str) -> String {
    let letters = text.trim().chars().filter(|character| *character != '-');
    letters
        .map(|character| match character.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ids: &[&str]) -> NeutralList {
        let embargo = |id: &&str| serde_json::json!({ "id": id, "stage": "draft", "version": 1 });
        let embargoes: Vec<_> = ids.iter().map(embargo).collect();
        serde_json::from_value(serde_json::json!({ "embargoes": embargoes })).unwrap()
    }

    #[test]
    fn the_beginning_of_an_id_is_enough_as_long_as_it_is_only_one() {
        let list = list(&["b7k2-9fq1", "b7k2-0000", "10z0-9fq1"]);
        assert_eq!(resolve("B7K29", &list).unwrap().as_str(), "b7k2-9fq1");
        assert_eq!(resolve("IOz", &list).unwrap().as_str(), "10z0-9fq1");
        let error = resolve("b7k2", &list).unwrap_err().to_string();
        assert_eq!(error, "\"b7k2\" begins more than one id: b7k2-9fq1, b7k2-0000; type more of it");
        for unknown in ["zz", "9fq1"] {
            assert!(matches!(resolve(unknown, &list), Err(IdError::Unknown { .. })), "{unknown}");
        }
        for wrong in ["", "--", "../x", "b7k2-9fq1-0"] {
            assert!(matches!(resolve(wrong, &list), Err(IdError::Form { .. })), "{wrong}");
        }
    }

    #[test]
    fn a_whole_id_is_taken_without_asking() {
        assert_eq!(whole(" B7K29FQ1").unwrap().as_str(), "b7k2-9fq1");
        assert_eq!(whole("b7k2"), None);
    }
}
