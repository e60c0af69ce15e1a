//! One rule each, and the two laws: nothing early, and nothing waits for ever.

use proptest::prelude::*;

use super::*;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000, 0).unwrap()
}

fn seconds(count: i64) -> Duration {
    Duration::seconds(count)
}

/// A machine whose wall clock can be set, over a database that remembers.
struct Machine {
    guard: ClockGuard,
    /// True time, and the time since start.
    elapsed: Duration,
    /// How wrong the wall clock is.
    offset: Duration,
    highest: DateTime<Utc>,
    /// The database's clock lies so far off true time, if it has one.
    shared: Option<Duration>,
    confirmed: Option<DateTime<Utc>>,
}

impl Machine {
    fn new(highest: DateTime<Utc>, shared: Option<Duration>) -> Self {
        let first = Observation {
            wall: start(),
            since_start: Duration::zero(),
            highest,
            shared: shared.map(|off| start() + off),
            confirmed: None,
        };
        let zero = Duration::zero();
        let guard = ClockGuard::new(&first);
        Self { guard, elapsed: zero, offset: zero, highest, shared, confirmed: None }
    }

    fn truth(&self) -> DateTime<Utc> {
        start() + self.elapsed
    }

    fn wall(&self) -> DateTime<Utc> {
        self.truth() + self.offset
    }

    /// Looks, and remembers what was believed as the server does.
    fn look(&mut self) -> Verdict {
        let verdict = self.guard.observe(&Observation {
            wall: self.wall(),
            since_start: self.elapsed,
            highest: self.highest,
            shared: self.shared.map(|off| self.truth() + off),
            confirmed: self.confirmed,
        });
        if verdict.doubt.is_none() {
            self.highest = self.highest.max(verdict.due_by);
        }
        verdict
    }

    /// Lets time pass with a look each second; the last verdict.
    fn pass(&mut self, count: i64) -> Verdict {
        let mut verdict = self.look();
        for _ in 0..count {
            self.elapsed += seconds(1);
            verdict = self.look();
        }
        verdict
    }
}

#[test]
fn a_jump_forward_is_doubted_at_once_and_even_when_it_stays_nothing_lifts_before_the_time_since_start_says_so()
 {
    let mut machine = Machine::new(start(), None);
    machine.pass(10);
    machine.offset = Duration::hours(1);
    assert_eq!(machine.look().doubt, Some(Doubt::Jumped(Duration::hours(1))));
    assert!(machine.pass(29).doubt.is_some(), "half a minute is not over");
    let verdict = machine.pass(2);
    assert_eq!((verdict.doubt, verdict.due_by), (None, machine.truth()));
    assert_eq!(verdict.ahead, Some(Duration::hours(1)));
    machine.offset = Duration::zero();
    assert_eq!(machine.look().doubt, Some(Doubt::Jumped(Duration::hours(-1))));
    let verdict = machine.pass(31);
    assert_eq!((verdict.doubt, verdict.due_by, verdict.ahead), (None, machine.wall(), None));
}

#[test]
fn a_jump_is_the_same_jump_for_a_server_that_was_started_again_after_it_or_before_anybody_looked() {
    for looked in [true, false] {
        let mut machine = Machine::new(start(), None);
        machine.pass(10);
        let booted = machine.guard.booted();
        machine.offset = Duration::days(16);
        if looked {
            machine.pass(40);
            assert_eq!(machine.guard.booted(), booted, "a jump is no new reckoning");
        }
        let first = Observation {
            wall: machine.wall(),
            since_start: machine.elapsed,
            highest: machine.highest,
            shared: None,
            confirmed: None,
        };
        machine.guard = ClockGuard::resumed(&first, booted);
        assert_eq!(machine.look().doubt, Some(Doubt::Jumped(Duration::days(16))));
        let verdict = machine.pass(60);
        assert_eq!((verdict.doubt, verdict.due_by), (None, machine.truth()));
        machine.confirmed = Some(machine.wall());
        assert_eq!(machine.look().ahead, None);
    }
}

#[test]
fn an_operators_word_counts_from_the_jump_on_and_one_from_before_does_not() {
    let mut machine = Machine::new(start(), None);
    machine.confirmed = Some(start());
    machine.pass(10);
    machine.offset = Duration::hours(1);
    assert!(machine.pass(60).ahead.is_some());
    machine.confirmed = Some(machine.wall());
    let verdict = machine.look();
    assert_eq!((verdict.doubt, verdict.due_by, verdict.ahead), (None, machine.wall(), None));
}

#[test]
fn the_databases_clock_confirms_a_jump_forward_that_was_right() {
    let mut machine = Machine::new(start(), Some(Duration::zero()));
    machine.offset = Duration::minutes(-10);
    assert!(machine.pass(60).doubt.is_some(), "it lies behind the database's clock");
    machine.offset = Duration::zero();
    assert!(machine.look().doubt.is_some());
    let verdict = machine.pass(31);
    assert_eq!((verdict.doubt, verdict.due_by), (None, machine.wall()));
}

#[test]
fn a_clock_that_lives_in_the_future_or_the_past_of_the_database_is_doubted_from_the_first_look_on() {
    for off in [seconds(61), seconds(-61)] {
        let mut machine = Machine::new(start() - Duration::days(1), Some(off));
        assert_eq!(machine.look().doubt, Some(Doubt::Apart(-off)));
        assert!(machine.pass(300).doubt.is_some());
    }
    assert_eq!(Machine::new(start(), Some(seconds(60))).look().doubt, None);
}

#[test]
fn a_machine_that_was_off_for_a_year_is_believed_and_one_that_wakes_in_the_past_is_not() {
    assert_eq!(Machine::new(start() - Duration::days(365), None).look().doubt, None);
    let mut past = Machine::new(start() + Duration::days(1), None);
    assert_eq!(past.look().doubt, Some(Doubt::Behind(Duration::days(1))));
    assert!(past.pass(600).doubt.is_some());
}

#[test]
fn a_clock_that_is_trimmed_a_little_all_day_is_never_doubted() {
    let mut machine = Machine::new(start(), Some(Duration::zero()));
    for step in 0..24 * 60 {
        machine.offset = Duration::milliseconds(if step % 2 == 0 { 50 } else { -50 });
        machine.elapsed += seconds(60);
        assert_eq!(machine.look().doubt, None);
    }
}

#[test]
fn a_doubt_does_not_end_while_the_clock_goes_on_jumping() {
    let mut machine = Machine::new(start(), None);
    machine.offset = Duration::hours(-2);
    machine.look();
    for _ in 0..20 {
        machine.offset += seconds(10);
        assert!(machine.pass(20).doubt.is_some());
    }
}

/// Seconds that pass, and where the clock is set then, if it is set.
fn story() -> impl Strategy<Value = Vec<(i64, Option<i64>)>> {
    let offset = prop_oneof![
        3 => Just(None),
        1 => Just(Some(0)),
        2 => (-100_000_i64..100_000).prop_map(Some),
        2 => (-200_i64..200).prop_map(Some),
    ];
    proptest::collection::vec((0_i64..120, offset), 1..30)
}

proptest! {
    #[test]
    fn whatever_the_clock_shows_nothing_is_due_before_its_time_by_more_than_is_tolerated(story in story()) {
        let mut machine = Machine::new(start(), None);
        for (pause, offset) in story {
            machine.offset = offset.map_or(machine.offset, seconds);
            let verdict = machine.pass(pause);
            // The stories are shorter than an hour, so the tolerated steps do not add up.
            prop_assert!(verdict.doubt.is_some() || verdict.due_by <= machine.truth() + JUMP);
        }
    }

    #[test]
    fn whatever_the_clock_showed_once_it_is_right_again_for_half_a_minute_everything_due_is_due(story in story()) {
        let mut machine = Machine::new(start(), None);
        for (pause, offset) in story {
            machine.offset = offset.map_or(machine.offset, seconds);
            machine.pass(pause);
        }
        machine.offset = Duration::zero();
        let verdict = machine.pass(CALM.num_seconds() + 1);
        prop_assert_eq!(verdict.doubt, None);
        prop_assert_eq!(verdict.due_by, machine.wall());
    }
}
