//! The style in which a project writes its changelog.

use super::Preset;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How a project writes the entries of its changelog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangelogStyle {
    /// `HISTORY.md` of requests: Markdown, `2.33.0 (2026-03-25)`, `**Security**`, the CVE first.
    Requests,
    /// `CHANGES.rst` of Flask and Werkzeug: `Version 3.1.3`, `Released 2026-02-18`, the roles `:ghsa:` and `:cve:`.
    Pallets,
    /// `CHANGES.rst` of urllib3: `2.7.0 (2026-05-07)`, `Security`, the identifiers as links.
    Urllib3,
    /// Keep a Changelog 1.1.0: Markdown, `## [2.4.1] - 2026-06-10`, `### Security`.
    KeepAChangelog,
}

/// There is no changelog style of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no changelog style {name:?}; known are {}",
    ChangelogStyle::ALL.map(ChangelogStyle::name).join(", ")
)]
pub struct UnknownChangelogStyle {
    /// The name that was asked for.
    pub name: String,
}

impl ChangelogStyle {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Requests, Self::Pallets, Self::Urllib3, Self::KeepAChangelog];

    /// Its name in commands and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Pallets => "pallets",
            Self::Urllib3 => "urllib3",
            Self::KeepAChangelog => "keep-a-changelog",
        }
    }

    /// The name of a file that holds an entry.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Requests | Self::KeepAChangelog => "changelog.md",
            Self::Pallets | Self::Urllib3 => "changelog.rst",
        }
    }
}

impl From<Preset> for ChangelogStyle {
    /// The style of the project that the preset comes from.
    fn from(preset: Preset) -> Self {
        match preset {
            Preset::Requests => Self::Requests,
            Preset::Pallets => Self::Pallets,
        }
    }
}

impl fmt::Display for ChangelogStyle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for ChangelogStyle {
    type Err = UnknownChangelogStyle;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let same = |style: &Self| style.name() == name;
        Self::ALL.into_iter().find(same).ok_or_else(|| UnknownChangelogStyle { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_has_one_name_in_commands_and_in_the_database_and_an_unknown_one_names_the_known() {
        for style in ChangelogStyle::ALL {
            assert_eq!(style.name().parse(), Ok(style));
            assert_eq!(serde_json::to_value(style).unwrap(), style.name());
        }
        assert_eq!(
            "django".parse::<ChangelogStyle>().unwrap_err().to_string(),
            "there is no changelog style \"django\"; known are requests, pallets, urllib3, keep-a-changelog"
        );
    }
}
