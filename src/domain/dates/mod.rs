//! When an embargo may lift, and when its notices must go out.
//!
//! Everything here is a pure function of its arguments: the caller passes `now`. A date is judged by every
//! rule, also when one has failed already, and each rule says in a sentence what it found, so that a refused
//! date explains itself. Nothing here changes a date that packagers were told, and nothing knows of waivers.
//!
//! * The lift lies ahead, and at most [`FURTHEST_AHEAD`] ahead.
//! * Its weekday is allowed and its date is not forbidden, judged on the clocks of the *project's* zone.
//! * Packagers know at least [`Policy::notice_lead`] before it.

#[cfg(test)]
mod checker;
#[cfg(test)]
mod laws;
mod offers;
mod verdict;

pub use offers::{MOST_OFFERS, offers, offers_to_move};
pub use verdict::{Rule, RuleVerdict, Verdict};

use super::calendar::{civil_time, earlier_by, later_by, weekday_name, weekdays_text};
use super::instant::{display_duration, display_exact_duration, display_instant, display_local, short_civil};
use super::policy::Policy;
use chrono::{DateTime, Datelike, TimeDelta, Utc};

/// The furthest a lift may lie ahead: what lies behind that is a mistyped year.
pub const FURTHEST_AHEAD: TimeDelta = TimeDelta::days(366);

/// What packagers of an announced embargo were promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// When they were told.
    pub announced_at: DateTime<Utc>,
    /// The date that they were told.
    pub lifts_at: DateTime<Utc>,
}

/// Judges the lift of an embargo at `lifts_at`, seen from `now`, by every rule of the policy.
pub fn judge(policy: &Policy, now: DateTime<Utc>, lifts_at: DateTime<Utc>) -> Verdict {
    judge_move(policy, now, None, lifts_at)
}

/// The same where packagers may have been promised a date already: then that promise is judged, and no longer
/// the time between `now` and the lift.
pub fn judge_move(
    policy: &Policy,
    now: DateTime<Utc>,
    promise: Option<Promise>,
    lifts_at: DateTime<Utc>,
) -> Verdict {
    let notice_at = notice_at(policy, lifts_at);
    let lead = lifts_at.signed_duration_since(now.max(notice_at)).max(TimeDelta::zero());
    let rules = vec![
        in_the_future(policy, now, lifts_at),
        weekday(policy, lifts_at),
        forbidden_date(policy, lifts_at),
        match promise {
            None => notice_lead(policy, now, lifts_at, lead),
            Some(promise) => promised_date(policy, promise, lifts_at),
        },
        too_far(policy, now, lifts_at),
    ];
    Verdict {
        lifts_at,
        local: display_local(lifts_at, policy.zone),
        legal: rules.iter().all(|rule| rule.passed),
        notice_at,
        margin_used_up: notice_at < now,
        lead_seconds: lead.num_seconds(),
        rules,
    }
}

/// When the notices of an embargo that lifts at `lifts_at` are due: before the lead by the margin, since the
/// lead counts from the moment the relay accepted them. What has passed is due at once.
pub fn notice_at(policy: &Policy, lifts_at: DateTime<Utc>) -> DateTime<Utc> {
    earlier_by(earlier_by(lifts_at, policy.notice_lead), policy.notice_margin)
}

fn in_the_future(policy: &Policy, now: DateTime<Utc>, lifts_at: DateTime<Utc>) -> RuleVerdict {
    let ahead = lifts_at.signed_duration_since(now);
    let shown = display_instant(lifts_at, policy.zone);
    let passed = ahead > TimeDelta::zero();
    let sentence = if passed {
        format!("{shown} is {} ahead", display_duration(ahead))
    } else {
        format!("{shown} has passed, {} ago; an embargo lifts in the future", display_duration(-ahead))
    };
    RuleVerdict { rule: Rule::InTheFuture, passed, sentence }
}

fn weekday(policy: &Policy, lifts_at: DateTime<Utc>) -> RuleVerdict {
    let utc = lifts_at.naive_utc();
    let local = civil_time(lifts_at, policy.zone);
    let day = weekday_name(local.weekday());
    let zone = policy.zone;
    let found = if local.date() == utc.date() {
        format!("{} UTC is a {day} in {zone}", short_civil(utc))
    } else {
        format!("{} UTC is {} in {zone}, a {day}", short_civil(utc), short_civil(local))
    };
    RuleVerdict {
        rule: Rule::Weekday,
        passed: policy.lift_days.contains(&local.weekday()),
        sentence: format!("{found}; embargoes of this project lift on {}", weekdays_text(&policy.lift_days)),
    }
}

fn forbidden_date(policy: &Policy, lifts_at: DateTime<Utc>) -> RuleVerdict {
    let date = civil_time(lifts_at, policy.zone).date();
    let shown = format!("{} in {}", date.format("%a %d %b %Y"), policy.zone);
    let forbidden = policy.forbidden_on(date);
    let sentence = match forbidden {
        None => format!("{shown} is not among the dates that this project forbids"),
        Some(forbidden) if forbidden.first == forbidden.last => {
            format!("{shown} is a date on which this project lifts nothing: {}", forbidden.name)
        }
        Some(forbidden) => format!(
            "{shown} is a date on which this project lifts nothing: {}, {} to {}",
            forbidden.name, forbidden.first, forbidden.last
        ),
    };
    RuleVerdict { rule: Rule::ForbiddenDate, passed: forbidden.is_none(), sentence }
}

fn notice_lead(policy: &Policy, now: DateTime<Utc>, lifts_at: DateTime<Utc>, lead: TimeDelta) -> RuleVerdict {
    let have = if lead > TimeDelta::zero() { display_duration(lead) } else { "no time".to_owned() };
    let promise = display_exact_duration(policy.notice_lead);
    RuleVerdict {
        rule: Rule::NoticeLead,
        passed: later_by(now, policy.notice_lead) <= lifts_at,
        sentence: format!("packagers would have {have}; the policy promises {promise}"),
    }
}

fn promised_date(policy: &Policy, promise: Promise, lifts_at: DateTime<Utc>) -> RuleVerdict {
    let agreed = display_instant(promise.lifts_at, policy.zone);
    let lead = lifts_at.signed_duration_since(promise.announced_at).max(TimeDelta::zero());
    let (passed, sentence) = if lifts_at == promise.lifts_at {
        (false, format!("{agreed} is the date already"))
    } else if lifts_at < promise.lifts_at {
        let cure = "after a leak, embargoctl lift-early moves it forward";
        (false, format!("packagers were promised {agreed}, and a promised date only moves later; {cure}"))
    } else if lead < policy.notice_lead {
        let promised = display_exact_duration(policy.notice_lead);
        (false, format!("packagers would have {}; the policy promises {promised}", display_duration(lead)))
    } else {
        (true, format!("it is later than {agreed}, which packagers were promised"))
    };
    RuleVerdict { rule: Rule::PromisedDate, passed, sentence }
}

fn too_far(policy: &Policy, now: DateTime<Utc>, lifts_at: DateTime<Utc>) -> RuleVerdict {
    let passed = lifts_at.signed_duration_since(now) <= FURTHEST_AHEAD;
    let furthest = display_exact_duration(FURTHEST_AHEAD);
    let sentence = if passed {
        format!("the lift is no more than {furthest} ahead")
    } else {
        let shown = display_instant(lifts_at, policy.zone);
        format!("{shown} is more than {furthest} ahead; is the year right?")
    };
    RuleVerdict { rule: Rule::TooFar, passed, sentence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::ForbiddenDates;
    use crate::domain::instant::parse_instant;
    use chrono_tz::Tz;

    fn requests(zone: Tz) -> Policy {
        Policy::preset("requests", zone).unwrap()
    }

    fn utc(text: &str) -> DateTime<Utc> {
        parse_instant(text, Tz::UTC).unwrap()
    }

    fn refusal(policy: &Policy, now: &str, lifts_at: &str) -> Option<String> {
        judge(policy, utc(now), utc(lifts_at)).refusal()
    }

    #[test]
    fn a_date_that_keeps_every_rule_is_legal_and_says_when_its_notice_leaves() {
        let verdict = judge(&requests(Tz::Europe__Berlin), utc("2026-06-01 09:00"), utc("2026-06-10 14:00"));
        assert!(verdict.legal && !verdict.margin_used_up);
        assert_eq!(verdict.refusal(), None);
        assert_eq!(verdict.local, "Wed 10 Jun 2026 16:00 CEST (Europe/Berlin)");
        assert_eq!(verdict.notice_at, utc("2026-06-02 14:00"));
        assert_eq!(display_duration(verdict.lead()), "8 d 0 h");
        let sentences: Vec<_> = verdict.rules.iter().map(|rule| rule.sentence.as_str()).collect();
        assert_eq!(
            sentences,
            [
                "Wed 10 Jun 2026 14:00 UTC (16:00 Berlin) is 9 d 5 h ahead",
                "Wed 10 Jun 14:00 UTC is a Wednesday in Europe/Berlin; embargoes of this project lift on Mon-Fri",
                "Wed 10 Jun 2026 in Europe/Berlin is not among the dates that this project forbids",
                "packagers would have 8 d 0 h; the policy promises 7 d",
                "the lift is no more than 366 d ahead",
            ]
        );
    }

    #[test]
    fn a_refused_date_explains_itself() {
        let mut policy = requests(Tz::Europe__Berlin);
        let (first, last) = ("2026-12-24".parse().unwrap(), "2027-01-01".parse().unwrap());
        policy.forbidden_dates.push(ForbiddenDates { name: "year's end".to_owned(), first, last });
        for (lifts_at, expected) in [
            (
                "2026-06-13 14:00",
                "Sat 13 Jun 14:00 UTC is a Saturday in Europe/Berlin; embargoes of this project lift on Mon-Fri",
            ),
            ("2026-06-04 14:00", "packagers would have 3 d 5 h; the policy promises 7 d"),
            (
                "2026-12-31 23:30",
                "Fri 01 Jan 2027 in Europe/Berlin is a date on which this project lifts nothing: year's end, \
                 2026-12-24 to 2027-01-01",
            ),
            (
                "2027-06-10 14:00",
                "Thu 10 Jun 2027 14:00 UTC (16:00 Berlin) is more than 366 d ahead; is the year right?",
            ),
            (
                "2025-06-10 14:00",
                "Tue 10 Jun 2025 14:00 UTC (16:00 Berlin) has passed, 355 d 19 h ago; an embargo lifts in the \
                 future · packagers would have no time; the policy promises 7 d",
            ),
        ] {
            assert_eq!(refusal(&policy, "2026-06-01 09:00", lifts_at).as_deref(), Some(expected));
        }
    }

    #[test]
    fn friday_evening_in_utc_is_already_saturday_in_auckland() {
        let now = "2026-03-01 00:00";
        assert_eq!(
            refusal(&requests(Tz::Pacific__Auckland), now, "2026-03-13 20:00").unwrap(),
            "Fri 13 Mar 20:00 UTC is Sat 14 Mar 09:00 in Pacific/Auckland, a Saturday; embargoes of this project \
             lift on Mon-Fri"
        );
        // And its Monday has begun while it is Sunday in UTC.
        assert_eq!(refusal(&requests(Tz::Pacific__Auckland), now, "2026-03-15 20:00"), None);
        assert_eq!(refusal(&requests(Tz::UTC), now, "2026-03-13 20:00"), None);
        assert!(refusal(&requests(Tz::UTC), now, "2026-03-15 20:00").is_some());
    }

    #[test]
    fn the_last_second_of_the_lead_counts_and_a_week_has_168_hours_over_a_change_of_clocks() {
        let policy = requests(Tz::Europe__Berlin);
        assert_eq!(refusal(&policy, "2026-03-25T12:00:00Z", "2026-04-01T12:00:00Z"), None);
        assert!(refusal(&policy, "2026-03-25T12:00:01Z", "2026-04-01T12:00:00Z").is_some());
        // 14:00 to 14:00 on Berlin's clocks is an hour short.
        assert_eq!(
            refusal(&policy, "2026-03-25T13:00:00Z", "2026-04-01T12:00:00Z").unwrap(),
            "packagers would have 6 d 23 h; the policy promises 7 d"
        );
    }

    #[test]
    fn inside_the_margin_a_date_is_legal_and_says_that_the_margin_is_used_up() {
        let policy = requests(Tz::Europe__Berlin);
        let judged = |now: &str| judge(&policy, utc(now), utc("2026-06-10 14:00"));
        let whole = judged("2026-06-02 14:00");
        assert!(whole.legal && !whole.margin_used_up);
        let used = judged("2026-06-02T14:00:01Z");
        assert!(used.legal && used.margin_used_up);
        assert_eq!(used.notice_at, utc("2026-06-02 14:00"));
        assert_eq!(display_duration(used.lead()), "7 d 23 h");
    }

    #[test]
    fn the_present_second_is_not_the_future() {
        let now = "2026-06-10 14:00";
        let verdict = judge(&requests(Tz::UTC), utc(now), utc(now));
        assert!(verdict.refusal().unwrap().starts_with("Wed 10 Jun 2026 14:00 UTC has passed, 0 s ago"));
    }

    #[test]
    fn no_instant_and_no_policy_makes_the_judge_panic() {
        let mut policy = requests(Tz::Pacific__Apia);
        let edges = [DateTime::<Utc>::MIN_UTC, utc("2026-06-10 14:00"), DateTime::<Utc>::MAX_UTC];
        for lead in [TimeDelta::MIN, TimeDelta::days(7), TimeDelta::MAX] {
            (policy.notice_lead, policy.notice_margin) = (lead, lead);
            for now in edges {
                for lifts_at in edges {
                    judge(&policy, now, lifts_at);
                }
                offers(&policy, now, 1);
            }
        }
    }

    #[test]
    fn a_verdict_travels_with_stable_names_of_its_rules() {
        let verdict = judge(&requests(Tz::UTC), utc("2026-06-01 09:00"), utc("2026-06-13 14:00"));
        let json = serde_json::to_value(&verdict).unwrap();
        let names: Vec<_> =
            json["rules"].as_array().unwrap().iter().map(|rule| rule["rule"].clone()).collect();
        assert_eq!(names, ["in-the-future", "weekday", "forbidden-date", "notice-lead", "too-far"]);
        assert_eq!(json["lifts_at"], "2026-06-13T14:00:00Z");
        assert_eq!(serde_json::from_value::<Verdict>(json).unwrap(), verdict);
        assert_eq!(verdict.failed().map(|rule| rule.rule.to_string()).collect::<Vec<_>>(), ["weekday"]);
    }
}
