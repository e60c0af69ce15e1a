//! A project's disclosure policy as data: when an embargo may lift and how long before that packagers know.
//!
//! Promises: a policy that passed [`Policy::validate`] can be kept: there are days on which it lifts, each
//! of its windows comes, and its durations can be counted. Judging a date is the work of
//! [`dates`](super::dates). Written as JSON or TOML, an unknown key is an error, since a misspelt rule would be
//! no rule.

mod changelog;
mod error;
mod preset;
mod window;

pub use changelog::{ChangelogStyle, UnknownChangelogStyle};
pub use error::PolicyError;
pub use preset::{Preset, UnknownPreset};
pub use window::{InvalidLiftWindow, LiftWindow};

use super::branch::check_branch;
use super::calendar::{ForbiddenDates, weekdays_text};
use super::instant::duration_text;
use chrono::{Datelike, NaiveDate, TimeDelta, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// When embargoes of a project may lift, and when their notices go out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Where it started.
    pub preset: Preset,
    /// The project's zone: weekdays and dates are judged, and lift windows read, on its clocks.
    pub zone: Tz,
    /// The weekdays on which an embargo may lift.
    pub lift_days: Vec<Weekday>,
    /// From these, lift dates are offered. A date outside them is as legal as one inside.
    pub lift_windows: Vec<LiftWindow>,
    /// How long packagers know before the lift, at least: days of 24 hours.
    #[serde(with = "duration_text")]
    pub notice_lead: TimeDelta,
    /// How much earlier the notice leaves, since the lead counts from the moment the relay accepted it.
    #[serde(with = "duration_text")]
    pub notice_margin: TimeDelta,
    /// Dates on which nothing lifts, such as holidays.
    #[serde(default)]
    pub forbidden_dates: Vec<ForbiddenDates>,
    /// The branches that need a fix or a recorded waiver; none, if the project decides each time.
    #[serde(default)]
    pub supported_branches: Vec<String>,
    /// How the project writes its changelog; as the project of the preset does, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changelog: Option<ChangelogStyle>,
}

const MOST_WINDOWS: usize = 50;
const LONGEST_NAME: usize = 200;

impl Policy {
    /// The policy of a preset, by its name.
    pub fn preset(name: &str, zone: Tz) -> Result<Self, UnknownPreset> {
        Ok(name.parse::<Preset>()?.policy(zone))
    }

    /// The style of the project's changelog.
    pub fn changelog_style(&self) -> ChangelogStyle {
        self.changelog.unwrap_or_else(|| self.preset.into())
    }

    /// Whether the policy can be kept; the first thing that is wrong otherwise.
    pub fn validate(&self) -> Result<(), PolicyError> {
        if self.lift_days.is_empty() {
            return Err(PolicyError::NoLiftDay);
        }
        self.validate_durations()?;
        self.validate_forbidden_dates()?;
        for (index, branch) in self.supported_branches.iter().enumerate() {
            let position = index + 1;
            check_branch(branch).map_err(|source| PolicyError::Branch { position, source })?;
            if self.supported_branches[..index].contains(branch) {
                return Err(PolicyError::BranchTwice { position });
            }
        }
        self.validate_windows()
    }

    /// Whether an embargo may lift on this civil date of the project's zone, as far as weekdays and forbidden
    /// dates go.
    pub fn allows_date(&self, date: NaiveDate) -> bool {
        self.lift_days.contains(&date.weekday()) && self.forbidden_on(date).is_none()
    }

    /// The first forbidden dates that `date` falls into.
    pub fn forbidden_on(&self, date: NaiveDate) -> Option<&ForbiddenDates> {
        self.forbidden_dates.iter().find(|forbidden| forbidden.contains(date))
    }

    fn validate_durations(&self) -> Result<(), PolicyError> {
        let whole = |duration: TimeDelta| duration.subsec_nanos() == 0;
        let (lead, margin) = (self.notice_lead, self.notice_margin);
        if !whole(lead) || lead <= TimeDelta::zero() || lead > TimeDelta::days(90) {
            return Err(PolicyError::NoticeLead(lead));
        }
        if !whole(margin) || margin < TimeDelta::zero() || margin > TimeDelta::days(30) {
            return Err(PolicyError::NoticeMargin(margin));
        }
        Ok(())
    }

    fn validate_forbidden_dates(&self) -> Result<(), PolicyError> {
        for (index, forbidden) in self.forbidden_dates.iter().enumerate() {
            let (position, name) = (index + 1, &forbidden.name);
            if name.trim().is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) {
                return Err(PolicyError::ForbiddenDatesName { position });
            }
            let (first, last) = (forbidden.first, forbidden.last);
            if last < first {
                return Err(PolicyError::ForbiddenDatesReversed { position, first, last });
            }
        }
        Ok(())
    }

    fn validate_windows(&self) -> Result<(), PolicyError> {
        let count = self.lift_windows.len();
        if count == 0 {
            return Err(PolicyError::NoLiftWindow);
        }
        if count > MOST_WINDOWS {
            return Err(PolicyError::TooManyLiftWindows { count, most: MOST_WINDOWS });
        }
        for (index, window) in self.lift_windows.iter().enumerate() {
            // Within these 28 years every date of the calendar falls on every weekday. The changes of the
            // clocks are known further ahead than that, so a time that they always skip is seen as such.
            let calendar = (NaiveDate::from_ymd_opt(2026, 1, 1), NaiveDate::from_ymd_opt(2053, 12, 31));
            let (first, last) = (calendar.0.unwrap_or(NaiveDate::MIN), calendar.1.unwrap_or(NaiveDate::MAX));
            let is_open = |date: NaiveDate| self.lift_days.contains(&date.weekday());
            if window.firings(self.zone, first.into(), last, is_open).next().is_none() {
                return Err(PolicyError::WindowNeverFires {
                    position: index + 1,
                    window: window.to_string(),
                    zone: self.zone,
                    days: weekdays_text(&self.lift_days),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::branch::InvalidBranch;

    fn policy() -> Policy {
        Policy::preset("requests", Tz::Europe__Berlin).unwrap()
    }

    fn refusal(change: impl FnOnce(&mut Policy)) -> PolicyError {
        let mut policy = policy();
        change(&mut policy);
        policy.validate().unwrap_err()
    }

    fn windows(expressions: &[&str]) -> Vec<LiftWindow> {
        expressions.iter().map(|expression| expression.parse().unwrap()).collect()
    }

    #[test]
    fn a_window_that_can_never_fire_is_refused_whatever_keeps_it_from_firing() {
        use Weekday::{Mon, Sun};
        for (expression, days) in [
            ("0 0 14 30 2 *", vec![Mon]),      // no such date
            ("0 0 14 * * Sat", vec![Mon]),     // no such lift day
            ("0 30 2 25-31 3 Sun", vec![Sun]), // the clocks always skip it
            ("* * 2 25-31 3 Sun", vec![Sun]),
        ] {
            let error = refusal(|policy| {
                policy.lift_days.clone_from(&days);
                policy.lift_windows = windows(&["0 0 14 * * *", expression]);
            });
            let PolicyError::WindowNeverFires { position, .. } = error else { panic!("{error}") };
            assert_eq!(position, 2);
        }
        let error = refusal(|policy| policy.lift_windows = windows(&["0 0 14 * * Sat,Sun"]));
        assert_eq!(
            error.to_string(),
            "lift window 1 (\"0 0 14 * * Sat,Sun\") never comes in Europe/Berlin: on Mon-Fri there is no such \
             date and time; correct the window or lift_days"
        );
    }

    #[test]
    fn a_window_that_fires_once_in_28_years_is_a_window() {
        for day in [Weekday::Mon, Weekday::Wed, Weekday::Sun] {
            let mut policy = policy();
            policy.lift_days = vec![day];
            policy.lift_windows = windows(&["0 0 14 29 2 *"]);
            assert_eq!(policy.validate(), Ok(()), "{day}");
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        use PolicyError as E;
        assert_eq!(refusal(|policy| policy.lift_days.clear()), E::NoLiftDay);
        assert_eq!(refusal(|policy| policy.lift_windows.clear()), E::NoLiftWindow);
        let many = refusal(|policy| policy.lift_windows = vec![policy.lift_windows[0].clone(); 51]);
        assert_eq!(many, E::TooManyLiftWindows { count: 51, most: 50 });
        for lead in
            [TimeDelta::zero(), TimeDelta::days(-7), TimeDelta::days(91), TimeDelta::milliseconds(1500)]
        {
            assert_eq!(refusal(|policy| policy.notice_lead = lead), E::NoticeLead(lead));
        }
        for margin in [TimeDelta::seconds(-1), TimeDelta::days(31), TimeDelta::nanoseconds(1), TimeDelta::MIN]
        {
            assert_eq!(refusal(|policy| policy.notice_margin = margin), E::NoticeMargin(margin));
        }
        let branches = |last: &str| {
            refusal(|policy| policy.supported_branches = ["main", "2.x", last].map(str::to_owned).to_vec())
        };
        assert_eq!(branches("main"), E::BranchTwice { position: 3 });
        // No fix could ever be put for it, and without one nothing could be announced.
        assert_eq!(branches("../../etc"), E::Branch { position: 3, source: InvalidBranch });
        let (first, last) = ("2026-12-24".parse().unwrap(), "2026-12-26".parse().unwrap());
        let forbid = |name: &str, first, last| {
            let name = name.to_owned();
            refusal(|policy| policy.forbidden_dates.push(ForbiddenDates { name, first, last }))
        };
        assert_eq!(
            forbid("Holidays", last, first),
            E::ForbiddenDatesReversed { position: 1, first: last, last: first }
        );
        assert_eq!(forbid(" ", first, last), E::ForbiddenDatesName { position: 1 });
        assert_eq!(forbid("a\nb", first, last), E::ForbiddenDatesName { position: 1 });
    }

    #[test]
    fn both_ends_of_forbidden_dates_are_forbidden() {
        let mut policy = policy();
        let (first, last) = ("2026-12-23".parse().unwrap(), "2026-12-25".parse().unwrap());
        policy.forbidden_dates.push(ForbiddenDates { name: "Holidays".to_owned(), first, last });
        let allowed = |date: &str| policy.allows_date(date.parse().unwrap());
        assert!(
            allowed("2026-12-22")
                && !allowed("2026-12-23")
                && !allowed("2026-12-25")
                && allowed("2026-12-28")
        );
    }

    #[test]
    fn a_policy_reads_as_people_would_write_it_and_a_misspelt_rule_is_an_error() {
        let text = r#"
            preset = "requests"
            zone = "Europe/Berlin"
            lift_days = ["Mon", "Tue", "Wed", "Thu", "Fri"]
            lift_windows = ["0 0 14 * * Tue-Thu"]
            notice_lead = "7 d"
            notice_margin = "24 h"
        "#;
        assert_eq!(toml::from_str::<Policy>(text).unwrap(), policy());
        let misspelt = format!("{text}\nforbiden_dates = []");
        assert!(toml::from_str::<Policy>(&misspelt).unwrap_err().to_string().contains("forbiden_dates"));
        let urllib3 = format!("{text}\nchangelog = \"urllib3\"");
        let chosen = toml::from_str::<Policy>(&urllib3).unwrap();
        assert_eq!(chosen.changelog_style(), ChangelogStyle::Urllib3);
        assert_eq!(policy().changelog_style(), ChangelogStyle::Requests);
        let json = serde_json::to_string(&policy()).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy());
    }
}
