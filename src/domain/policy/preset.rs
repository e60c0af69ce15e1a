//! The policies that a project can start from, with their numbers from the projects' own documents.
//!
//! What a document leaves open is filled with the defaults of this server, and said here: a week's notice, a
//! day of margin, a lift on a weekday, dates offered in the middle of the week at 14:00.

use super::{LiftWindow, Policy};
use chrono::{TimeDelta, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A published disclosure policy that a project can start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The Requests library, `.github/SECURITY.md` of psf/requests: always lifts on a weekday, packagers have
    /// the patch at least 7 days before. The time of day is our default.
    Requests,
    /// The Pallets projects, `SECURITY.md` of pallets/itsdangerous: the current feature release gets fixes,
    /// older ones may. It promises no notice and no day, so both are our defaults.
    Pallets,
}

/// There is no preset of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no policy preset {name:?}; known are {}", known())]
pub struct UnknownPreset {
    /// The name that was asked for.
    pub name: String,
}

fn known() -> String {
    Preset::ALL.map(Preset::name).join(", ")
}

impl Preset {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::Requests, Self::Pallets];

    /// Its name in commands and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Pallets => "pallets",
        }
    }

    /// The policy of a project living in `zone`.
    pub fn policy(self, zone: Tz) -> Policy {
        use Weekday::{Fri, Mon, Thu, Tue, Wed};
        Policy {
            preset: self,
            zone,
            lift_days: vec![Mon, Tue, Wed, Thu, Fri],
            lift_windows: vec![LiftWindow::middle_of_the_week()],
            notice_lead: TimeDelta::days(7),
            notice_margin: TimeDelta::hours(24),
            forbidden_dates: Vec::new(),
            supported_branches: Vec::new(),
            changelog: None,
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let same = |preset: &Self| preset.name() == name;
        Self::ALL.into_iter().find(same).ok_or_else(|| UnknownPreset { name: name.to_owned() })
    }
}

impl LiftWindow {
    /// `0 0 14 * * Tue-Thu`: when most packagers are at work, with a working day before and after.
    fn middle_of_the_week() -> Self {
        "0 0 14 * * Tue-Thu".parse().expect("a test reads every preset")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_in_every_zone_and_is_found_by_its_name() {
        for preset in Preset::ALL {
            assert_eq!(preset.name().parse(), Ok(preset));
            assert_eq!(serde_json::to_value(preset).unwrap(), preset.name());
            for zone in chrono_tz::TZ_VARIANTS {
                assert_eq!(
                    Policy::preset(preset.name(), zone).unwrap().validate(),
                    Ok(()),
                    "{preset} in {zone}"
                );
            }
        }
    }

    #[test]
    fn an_unknown_preset_names_the_known_ones() {
        let error = Policy::preset("django", Tz::UTC).unwrap_err();
        assert_eq!(error.to_string(), "there is no policy preset \"django\"; known are requests, pallets");
    }

    #[test]
    fn requests_promises_packagers_a_week_and_a_weekday() {
        let policy = Policy::preset("requests", Tz::Europe__Berlin).unwrap();
        assert_eq!((policy.notice_lead, policy.notice_margin), (TimeDelta::days(7), TimeDelta::hours(24)));
        assert!(!policy.lift_days.contains(&Weekday::Sat) && !policy.lift_days.contains(&Weekday::Sun));
    }
}
