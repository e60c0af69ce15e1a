//! The Atom feed (RFC 4287) of what is public.
//!
//! Ids are tag URIs (RFC 4151) made of the host and the advisory's id, so they outlive a change of address
//! scheme or port. The feed's `updated` is the newest advisory's; an empty feed carries a constant.

use askama::Template;

use crate::domain::advisory::Advisory;
use crate::formats::page::{lines, newest_first, segment, severity_word};
use crate::formats::prose::{Block, blocks};
use crate::formats::time::rfc3339;
use crate::formats::visible::one_line;
use crate::formats::{Site, bytes};

/// How many advisories the feed carries; the list on `/` has all.
pub const MOST_ENTRIES: usize = 100;

/// What `updated` says while there is nothing to say.
const NOTHING_YET: &str = "1970-01-01T00:00:00Z";

/// The feed of the newest advisories, for `/feed.atom`.
pub fn atom(advisories: &[Advisory], site: &Site) -> Vec<u8> {
    let newest = newest_first(advisories);
    let entries = newest.iter().take(MOST_ENTRIES).map(|advisory| Entry::new(advisory, site)).collect();
    bytes(&Feed {
        site,
        tag: format!("tag:{},2026:advisories", site.host()),
        updated: newest.first().map_or_else(|| NOTHING_YET.to_owned(), |newest| lifted(newest)),
        entries,
    })
}

fn lifted(advisory: &Advisory) -> String {
    rfc3339(advisory.timeline.lifted_at)
}

#[derive(Template)]
#[template(path = "feed.xml")]
struct Feed<'a> {
    site: &'a Site,
    tag: String,
    updated: String,
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    advisory: &'a Advisory,
    segment: String,
    title: String,
    lifted: String,
    severity: Option<&'a str>,
    content: String,
}

impl<'a> Entry<'a> {
    fn new(advisory: &'a Advisory, site: &Site) -> Self {
        let segment = segment(&advisory.id);
        let content = Content {
            advisory,
            address: format!("{}/advisories/{segment}", site.base()),
            affected: lines(&advisory.affected),
            fixed: lines(&advisory.fixed),
            summary: blocks(&advisory.summary),
            mitigation: blocks(advisory.mitigation.as_deref().unwrap_or_default()),
        };
        let identifier = match advisory.cve.as_deref().map(one_line).filter(|cve| !cve.is_empty()) {
            Some(cve) => format!("{} / {cve}", advisory.id),
            None => advisory.id.clone(),
        };
        Self {
            advisory,
            segment,
            title: format!("{identifier}: {}", one_line(&advisory.title)),
            lifted: lifted(advisory),
            severity: advisory.severity.as_deref().and_then(severity_word),
            content: String::from_utf8_lossy(&bytes(&content)).into_owned(),
        }
    }
}

/// The entry's HTML; the feed escapes it once more.
#[derive(Template)]
#[template(path = "entry.html")]
struct Content<'a> {
    advisory: &'a Advisory,
    address: String,
    affected: Vec<&'a str>,
    fixed: Vec<&'a str>,
    summary: Vec<Block>,
    mitigation: Vec<Block>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::markup::text_of;
    use crate::formats::samples;

    fn feed(advisories: &[Advisory]) -> String {
        String::from_utf8(atom(advisories, &samples::site())).unwrap()
    }

    /// What stands between the first `<name ...>` and its end, still escaped.
    fn content<'a>(feed: &'a str, name: &str) -> &'a str {
        let (_, rest) = feed.split_once(&format!("<{name}")).unwrap();
        rest.split_once('>').unwrap().1.split_once(&format!("</{name}>")).unwrap().0
    }

    fn unescaped(text: &str) -> String {
        let mut text = text.to_owned();
        for (reference, character) in
            [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")]
        {
            text = text.replace(reference, character);
        }
        text
    }

    #[test]
    fn an_entry_is_named_by_host_and_id_and_dated_by_the_lift() {
        let feed = feed(&[samples::bare_advisory(), samples::advisory()]);
        assert_eq!(content(&feed, "id"), "tag:embargo.example,2026:advisories");
        assert_eq!(content(&feed, "updated"), "2026-06-10T14:00:00Z");
        let (_, entry) = feed.split_once("<entry>").unwrap();
        assert_eq!(content(entry, "id"), "tag:embargo.example,2026:advisories/EMB-2026-1");
        assert_eq!(content(entry, "title"), "EMB-2026-1 / CVE-2026-99999: Header injection in Widget.render");
        assert!(entry.contains("href=\"https://embargo.example/advisories/EMB-2026-1\""));
        assert!(feed.contains(
            "rel=\"self\" type=\"application/atom+xml\" href=\"https://embargo.example/feed.atom\""
        ));
    }

    #[test]
    fn an_empty_feed_is_constant_and_the_newest_advisory_dates_a_full_one() {
        assert_eq!(content(&feed(&[]), "updated"), "1970-01-01T00:00:00Z");
        let mut newer = samples::bare_advisory();
        newer.timeline.lifted_at = "2026-07-01T12:00:00.5Z".parse().unwrap();
        let both = feed(&[samples::advisory(), newer.clone()]);
        assert_eq!(content(&both, "updated"), "2026-07-01T12:00:00Z");
        assert_eq!(both, feed(&[newer, samples::advisory()]), "the order given does not matter");
    }

    #[test]
    fn the_feed_ends_after_a_hundred_entries_and_drops_the_oldest() {
        let advisories: Vec<Advisory> = (0..=MOST_ENTRIES)
            .map(|day| {
                let mut advisory = samples::bare_advisory();
                advisory.id = format!("EMB-2026-{day}");
                advisory.timeline.lifted_at += chrono::TimeDelta::days(i64::try_from(day).unwrap());
                advisory
            })
            .collect();
        let feed = feed(&advisories);
        assert_eq!(feed.matches("<entry>").count(), MOST_ENTRIES);
        assert!(!feed.contains("EMB-2026-0:") && feed.contains("EMB-2026-100:"));
    }

    #[test]
    fn hostile_text_reaches_a_feed_reader_as_text() {
        let feed = feed(&[samples::hostile_advisory()]);
        assert!(!feed.contains(crate::formats::visible::is_deceptive));
        let html = unescaped(content(&feed, "content"));
        assert!(html.contains("<p>") && !html.contains("<script"), "{html}");
        text_of(html.as_bytes());
        assert!(!feed.contains("<script") && !feed.contains("<img"));
    }
}
