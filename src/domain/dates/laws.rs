//! Laws of the judge and of the offers, over random zones, policies and instants.

use super::{FURTHEST_AHEAD, Rule, checker, judge, offers};
use crate::domain::calendar::{ForbiddenDates, civil_time};
use crate::domain::instant::{display_instant, parse_instant};
use crate::domain::policy::{LiftWindow, Policy, Preset};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};
use chrono_tz::{TZ_VARIANTS, Tz};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const WEEK: [Weekday; 7] =
    [Weekday::Sun, Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat];

/// A window whose firings the checker can find: weekdays from Sunday, hours, minute.
#[derive(Clone, Debug)]
struct Window {
    days: Vec<usize>,
    hours: Vec<u32>,
    minute: u32,
}

impl Window {
    fn expression(&self) -> LiftWindow {
        let days: Vec<String> = self.days.iter().map(|day| WEEK[*day].to_string()).collect();
        let hours: Vec<String> = self.hours.iter().map(u32::to_string).collect();
        format!("0 {} {} * * {}", self.minute, hours.join(","), days.join(",")).parse().unwrap()
    }

    fn fires(&self, day: i64, hour: i64, minute: i64) -> bool {
        let is = |left: u32, right: i64| i64::from(left) == right;
        self.days.iter().any(|own| WEEK[*own].num_days_from_sunday() == u32::try_from(day).unwrap())
            && self.hours.iter().any(|own| is(*own, hour))
            && is(self.minute, minute)
    }
}

/// Half of the windows fire at night, when clocks are changed.
fn window() -> impl Strategy<Value = Window> {
    let days = subsequence((0..7).collect::<Vec<_>>(), 1..=7);
    let hours = prop_oneof![
        subsequence((0..24).collect::<Vec<_>>(), 1..=3),
        subsequence((0..4).collect::<Vec<_>>(), 1..=4)
    ];
    (days, hours, select(&[0, 15, 30, 45][..])).prop_map(|(days, hours, minute)| Window {
        days,
        hours,
        minute,
    })
}

/// 2024 to 2037; half of them in the days when most zones change their clocks.
fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    let any = 1_704_067_200_i64..2_114_380_800;
    let first_dates = select(&[(3, 7), (3, 24), (4, 1), (9, 23), (10, 1), (10, 24), (10, 31)][..]);
    let changing = (2024..2037, first_dates, 0_i64..8 * 86_400).prop_map(|(year, (month, day), more)| {
        NaiveDate::from_ymd_opt(year, month, day).unwrap().and_time(NaiveTime::MIN).and_utc().timestamp()
            + more
    });
    prop_oneof![any, changing].prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap())
}

/// A policy, its windows as the checker reads them, and a present in which its forbidden dates matter.
fn case() -> impl Strategy<Value = (Policy, Vec<Window>, DateTime<Utc>)> {
    let forbidden = prop::collection::vec((0_i64..60, 0_i64..10), 0..4);
    let durations = (1_i64..30 * 24 * 60, 0_i64..5 * 24 * 60);
    let days = subsequence(WEEK.to_vec(), 1..=7);
    let windows = prop::collection::vec(window(), 1..4);
    let parts =
        (select(&TZ_VARIANTS[..]), days, windows, durations, forbidden, (instant(), 0_i64..8 * 86_400));
    parts.prop_map(|(zone, lift_days, windows, (lead, margin), forbidden, (about, before))| {
        // The first offers then lie about the instant drawn.
        let now = about - TimeDelta::minutes(lead) - TimeDelta::seconds(before);
        let forbidden_dates = forbidden.into_iter().map(|(from_now, more)| {
            let first = now.date_naive() + TimeDelta::days(from_now);
            ForbiddenDates { name: "closed".to_owned(), first, last: first + TimeDelta::days(more) }
        });
        let policy = Policy {
            preset: Preset::Requests,
            zone,
            lift_days,
            lift_windows: windows.iter().map(Window::expression).collect(),
            notice_lead: TimeDelta::minutes(lead),
            notice_margin: TimeDelta::minutes(margin),
            forbidden_dates: forbidden_dates.collect(),
            supported_branches: Vec::new(),
            changelog: None,
        };
        (policy, windows, now)
    })
}

/// Seconds from a date under judgement to the present or to the edge of a rule.
fn ahead() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 0_i64..60 * 86_400,
        1 => -40_i64 * 86_400..450 * 86_400,
        1 => -3_i64..4,
        1 => FURTHEST_AHEAD.num_seconds() - 3..FURTHEST_AHEAD.num_seconds() + 4,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_judge_agrees_with_the_slow_checker_on_every_rule(
        (policy, _, now) in case(),
        ahead in ahead(),
        near_lead in prop::option::weighted(0.3, -3_i64..4),
    ) {
        let ahead = near_lead.map_or(ahead, |near| policy.notice_lead.num_seconds() + near);
        let lifts_at = now + TimeDelta::seconds(ahead);
        let verdict = judge(&policy, now, lifts_at);
        let broken: Vec<Rule> = verdict.failed().map(|rule| rule.rule).collect();
        prop_assert_eq!(&broken, &checker::broken(&policy, now, lifts_at));
        prop_assert_eq!(verdict.legal, broken.is_empty());
        prop_assert_eq!(verdict.refusal().is_none(), broken.is_empty());
        // Told when it is due, packagers have lead and margin; told late, what is left.
        prop_assert_eq!(verdict.notice_at + policy.notice_lead + policy.notice_margin, lifts_at);
        prop_assert_eq!(verdict.margin_used_up, verdict.notice_at < now);
        let told_at = if verdict.margin_used_up { now } else { verdict.notice_at };
        prop_assert_eq!(verdict.lead(), (lifts_at - told_at).max(TimeDelta::zero()));
        if verdict.legal {
            prop_assert!(verdict.lead() >= policy.notice_lead);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_offers_are_exactly_the_next_legal_firings_that_a_walk_through_all_quarters_finds(
        (policy, windows, now) in case(),
        count in 1_usize..8,
    ) {
        let days = policy.notice_lead.num_days() + 15;
        let fires = |day, hour, minute| windows.iter().any(|window| window.fires(day, hour, minute));
        let found = checker::legal_firings(&policy, now, days, fires);
        let offered: Vec<_> = offers(&policy, now, count).into_iter().map(|verdict| {
            assert!(verdict.legal, "{verdict:?}");
            assert_eq!(checker::broken(&policy, now, verdict.lifts_at), []);
            verdict.lifts_at
        }).collect();
        prop_assert!(offered.len() <= count);
        let hour = now.timestamp().div_euclid(3_600) * 3_600;
        let end = DateTime::from_timestamp(hour, 0).unwrap() + TimeDelta::days(days);
        let within: Vec<_> = offered.iter().copied().take_while(|instant| *instant < end).collect();
        prop_assert_eq!(&found[..within.len().min(found.len())], &within[..]);
        prop_assert!(within.len() == count.min(found.len()), "{} of {} were offered", within.len(), found.len());
    }
}

proptest! {
    #[test]
    fn an_offer_can_be_typed_back_as_civil_time_with_its_zone((policy, _, now) in case()) {
        for verdict in offers(&policy, now, 3) {
            let civil = civil_time(verdict.lifts_at, policy.zone);
            let typed = format!("{}[{}]", civil.format("%Y-%m-%dT%H:%M"), policy.zone);
            match parse_instant(&typed, Tz::UTC) {
                Ok(read) => prop_assert_eq!(read, verdict.lifts_at),
                // Shown twice: the offer is the first time, and the refusal names it.
                Err(error) => {
                    let first_time = verdict.lifts_at.format("%Y-%m-%dT%H:%MZ").to_string();
                    prop_assert!(error.to_string().contains(&first_time));
                }
            }
            let shown = display_instant(verdict.lifts_at, policy.zone);
            let time = civil.format("%H:%M").to_string();
            let is_shown = shown.contains(&time);
            prop_assert!(is_shown, "{} is not in {}", time, shown);
        }
    }
}

#[test]
fn offers_come_in_order_without_repetition_from_overlapping_windows() {
    let mut policy = Policy::preset("requests", Tz::Europe__Berlin).unwrap();
    policy.lift_windows.push("0 0 14 * * Wed-Fri".parse().unwrap());
    let now = parse_instant("2026-06-01 09:00", Tz::UTC).unwrap();
    let shown: Vec<_> = offers(&policy, now, 4).into_iter().map(|verdict| verdict.local).collect();
    assert_eq!(
        shown,
        [
            "Tue 09 Jun 2026 14:00 CEST (Europe/Berlin)",
            "Wed 10 Jun 2026 14:00 CEST (Europe/Berlin)",
            "Thu 11 Jun 2026 14:00 CEST (Europe/Berlin)",
            "Fri 12 Jun 2026 14:00 CEST (Europe/Berlin)",
        ]
    );
}

#[test]
fn nothing_is_offered_when_every_date_of_the_year_is_forbidden() {
    let mut policy = Policy::preset("requests", Tz::Europe__Berlin).unwrap();
    let (first, last) = ("2026-01-01".parse().unwrap(), "2099-12-31".parse().unwrap());
    policy.forbidden_dates.push(ForbiddenDates { name: "for ever".to_owned(), first, last });
    let now = parse_instant("2026-06-01 09:00", Tz::UTC).unwrap();
    assert_eq!(offers(&policy, now, 3), []);
    policy.forbidden_dates[0].last = "2026-12-31".parse().unwrap();
    assert_eq!(offers(&policy, now, 1)[0].local, "Tue 05 Jan 2027 14:00 CET (Europe/Berlin)");
}

#[test]
fn a_window_in_the_hour_shown_twice_offers_the_first_time_only_if_that_keeps_the_lead() {
    let mut policy = Policy::preset("requests", Tz::Europe__Berlin).unwrap();
    policy.lift_days = vec![Weekday::Sun];
    policy.lift_windows = vec!["0 30 2 * 10 Sun".parse().unwrap()];
    let offered =
        |now: &str| offers(&policy, parse_instant(now, Tz::UTC).unwrap(), 1)[0].lifts_at.to_rfc3339();
    assert_eq!(offered("2026-10-18T00:30:00Z"), "2026-10-25T00:30:00+00:00");
    assert_eq!(offered("2026-10-18T00:30:01Z"), "2027-10-03T00:30:00+00:00");
    assert_eq!(offered("2026-10-18T01:10:00Z"), "2027-10-03T00:30:00+00:00");
}

#[test]
fn a_date_more_than_a_leap_year_ahead_is_not_offered() {
    let mut policy = Policy::preset("requests", Tz::UTC).unwrap();
    policy.lift_windows = vec!["0 0 14 2 6 *".parse().unwrap()];
    let offered = |now: &str| offers(&policy, parse_instant(now, Tz::UTC).unwrap(), 1).len();
    assert_eq!((offered("2026-06-01 14:00"), offered("2026-06-01T13:59:59Z")), (1, 0));
}
