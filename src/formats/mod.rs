//! What the public and signed-in people see: pages, feed, JSON, changelog entry, checksums. Values in, bytes out.
//!
//! Promises: every output is a function of its arguments and of nothing else, so a public byte can only come
//! from an advisory that was handed in. Whatever a page or feed prints passes [`visible::Visible`]: it is
//! escaped, and characters that hide or reorder text are shown instead of obeyed. Pages need no script, no
//! inline style and nothing from elsewhere, so the strictest content policy fits them.
//!
//! Refuses to know: the database, the clock, keys, requests. The text of a fix or of a notice has no field in
//! any view, so no page can show it.

pub mod changelog;
pub mod feed;
pub mod json;
pub mod page;
mod prose;
pub mod signed_in;
pub mod sums;
mod time;
pub mod visible;

#[cfg(test)]
mod markup;
#[cfg(test)]
mod samples;

/// The one stylesheet, served as `/style.css`.
pub const STYLESHEET: &str = include_str!("templates/style.css");

/// What pages say of the server itself. Nothing in it may depend on an embargo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Where the public reaches the server, such as `https://embargo.example`; a slash at the end is ignored.
    pub base_url: String,
    /// Fingerprint of the server's signing certificate: 40 or 64 hex digits.
    pub server_fingerprint: String,
    /// Whether this is a practice server, whose every page says so.
    pub practice: bool,
    /// Names of the projects that are publicly served here; one name goes into headings.
    pub projects: Vec<String>,
}

impl Site {
    /// The base address without a slash at the end.
    fn base(&self) -> &str {
        self.base_url.trim_end_matches('/')
    }

    /// What the list and the feed are called.
    fn title(&self) -> String {
        match self.projects.as_slice() {
            [project] => format!("{project} security advisories"),
            _ => "Security advisories".to_owned(),
        }
    }

    /// The fingerprint in groups of four, as people compare it.
    fn fingerprint_groups(&self) -> Vec<String> {
        let characters: Vec<char> = self.server_fingerprint.chars().collect();
        characters.chunks(4).map(|group| group.iter().collect()).collect()
    }

    /// The authority that names the feed and its entries: the host without port or brackets.
    fn host(&self) -> String {
        let base = self.base();
        let authority = base.split_once("://").map_or(base, |(_, rest)| rest);
        let authority = authority.split(['/', '?', '#']).next().unwrap_or(authority);
        let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => authority.split(':').next().unwrap_or(authority),
        };
        host.replace(':', "-")
    }
}

/// The bytes of a template.
fn bytes(template: &impl askama::Template) -> Vec<u8> {
    template.render().expect("writing to a string cannot fail, and the escaper refuses nothing").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(base_url: &str) -> Site {
        Site { base_url: base_url.to_owned(), ..samples::site() }
    }

    #[test]
    fn the_host_that_names_the_feed_has_no_port_no_path_and_no_brackets() {
        for (base_url, host) in [
            ("https://embargo.example", "embargo.example"),
            ("https://embargo.example/", "embargo.example"),
            ("http://127.0.0.1:8080", "127.0.0.1"),
            ("http://[::1]:8080", "--1"),
            ("embargo.example", "embargo.example"),
        ] {
            assert_eq!(site(base_url).host(), host);
        }
    }

    #[test]
    fn one_project_gives_its_name_to_the_list_and_several_do_not() {
        let mut site = samples::site();
        assert_eq!(site.title(), "widgetlib security advisories");
        site.projects.push("other".to_owned());
        assert_eq!(site.title(), "Security advisories");
    }

    #[test]
    fn the_stylesheet_stays_small_and_fetches_nothing() {
        assert!(STYLESHEET.len() < 6_500, "{} bytes", STYLESHEET.len());
        assert!(!STYLESHEET.contains("url(") && !STYLESHEET.contains("@import"));
    }
}
