//! What a token may be used for. A script that only fetches patches needs no token that can give a receipt.

use super::Refusal;

/// One thing a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A maintainer reads cases, dates, deliveries and the audit log of an embargo.
    EmbargoRead,
    /// A packager reads which embargoes there are, and their dates.
    ScheduleRead,
    /// A packager fetches notices.
    NoticeRead,
    /// A packager fetches fixes.
    PatchRead,
    /// A packager gives receipts, impact and progress.
    AckWrite,
}

impl Scope {
    /// All that a maintainer's token can do.
    pub const OF_MAINTAINERS: &[Self] = &[Self::EmbargoRead];
    /// All that a contact's token can do.
    pub const OF_CONTACTS: &[Self] = &[Self::NoticeRead, Self::PatchRead, Self::AckWrite, Self::ScheduleRead];

    /// Its name in requests and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmbargoRead => "embargo:read",
            Self::ScheduleRead => "schedule:read",
            Self::NoticeRead => "notice:read",
            Self::PatchRead => "patch:read",
            Self::AckWrite => "ack:write",
        }
    }

    /// Whether these names, divided by blanks, hold this scope.
    pub fn is_in(self, names: &str) -> bool {
        names.split(' ').any(|name| name == self.as_str())
    }
}

/// The scopes of a new token: all that are possible, or those that were asked for, if they are possible.
pub(super) fn granted(possible: &[Scope], asked: Option<&str>) -> Result<String, Refusal> {
    let all: Vec<&str> = possible.iter().map(|scope| scope.as_str()).collect();
    let Some(asked) = asked else { return Ok(all.join(" ")) };
    let wanted: Vec<&str> = asked.split_ascii_whitespace().collect();
    if wanted.is_empty() || wanted.iter().any(|name| !all.contains(name)) {
        return Err(Refusal::invalid(
            "scope",
            format!("scope holds names from this list, divided by blanks: {}", all.join(", ")),
        ));
    }
    Ok(all.into_iter().filter(|name| wanted.contains(name)).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gets_what_was_asked_for_and_never_more_than_its_owner_may() {
        let of_contacts = |asked| granted(Scope::OF_CONTACTS, asked);
        assert_eq!(of_contacts(Some("patch:read  notice:read")).unwrap(), "notice:read patch:read");
        assert!(Scope::AckWrite.is_in(&of_contacts(None).unwrap()));
        for wrong in ["", "embargo:read", "patch:read everything"] {
            assert!(of_contacts(Some(wrong)).is_err(), "{wrong}");
        }
        assert!(!Scope::PatchRead.is_in("patch:reads"));
    }
}
