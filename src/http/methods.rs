//! Which methods an address takes, so that a wrong one is told from a wrong address.
//!
//! Judged by the form of an address alone: whether there is anything behind it plays no part.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use actix_web::dev::ResourceDef;

use super::openapi;

/// The pages, which the OpenAPI document does not hold.
const PAGES: [(&str, &str); 7] = [
    ("/login", "GET"),
    ("/login", "POST"),
    ("/login/answer", "POST"),
    ("/logout", "POST"),
    ("/board", "GET"),
    ("/board/{id}", "GET"),
    ("/style.css", "GET"),
];

/// The methods that an address of this form takes, as in `Allow`; `None` if there is no such form.
pub(super) fn of(path: &str) -> Option<String> {
    static KNOWN: LazyLock<Vec<(ResourceDef, String)>> = LazyLock::new(known);
    let allowed: BTreeSet<&str> =
        KNOWN.iter().filter(|(form, _)| form.is_match(path)).map(|(_, method)| method.as_str()).collect();
    (!allowed.is_empty()).then(|| allowed.into_iter().collect::<Vec<_>>().join(", "))
}

fn known() -> Vec<(ResourceDef, String)> {
    let document: serde_json::Value = serde_json::from_str(openapi::document()).unwrap_or_default();
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, _)| (path.as_str(), method.to_ascii_uppercase()))
    });
    let pages = PAGES.iter().map(|(path, method)| (*path, (*method).to_owned()));
    operations.chain(pages).map(|(path, method)| (ResourceDef::new(path), method)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_its_methods_by_its_form_alone() {
        assert_eq!(of("/api/v1/embargoes").as_deref(), Some("GET, POST"));
        assert_eq!(of("/api/v1/embargoes/no-such-thing/schedule").as_deref(), Some("PUT"));
        assert_eq!(of("/login").as_deref(), Some("GET, POST"));
        assert_eq!(of("/api/v1/embargoes/a/b/c"), None);
    }
}
