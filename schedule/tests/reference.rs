//! Schedules against a slow and obvious reference: the clock is looked at minute by minute.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

use std::collections::{BTreeSet, HashMap};

use flow_plan::{ClockChange, DayTime, Days, Missed, MonthDay, Rule, Schedule};
use flow_schedule::{Zone, instants, zone};
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;

/// Zones with instants near their changes: an hour, half an hour, a whole day, none.
const PLACES: &[(&str, &[&str])] = &[
    ("Europe/Paris", &["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2027-03-28T01:00:00Z", "2026-06-15T12:00:00Z"]),
    ("America/New_York", &["2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z", "2028-02-28T12:00:00Z"]),
    ("Australia/Lord_Howe", &["2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"]),
    ("Asia/Tokyo", &["2026-03-29T01:00:00Z", "2026-12-31T12:00:00Z"]),
    ("Pacific/Apia", &["2011-12-30T10:00:00Z", "2011-04-02T14:00:00Z", "2011-09-24T14:00:00Z"]),
    ("Africa/Cairo", &["2026-04-23T22:00:00Z", "2026-10-29T21:00:00Z"]),
    ("UTC", &["2026-02-28T12:00:00Z"]),
];

/// A rule with what it means, said a second time and in another way.
#[derive(Debug, Clone)]
struct Case {
    rule: Rule,
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: DayTest,
    follows: bool,
}

#[derive(Debug, Clone)]
enum DayTest {
    Each,
    Weekdays(BTreeSet<i8>),
    Days(BTreeSet<i8>),
    Either(BTreeSet<i8>, BTreeSet<i8>),
    LastDay,
}

impl Case {
    fn means(&self, time: DateTime) -> bool {
        let weekday = time.weekday().to_sunday_zero_offset();
        let day = match &self.days {
            DayTest::Each => true,
            DayTest::Weekdays(days) => days.contains(&weekday),
            DayTest::Days(days) => days.contains(&time.day()),
            DayTest::Either(days, weekdays) => days.contains(&time.day()) || weekdays.contains(&weekday),
            DayTest::LastDay => time.day() == time.date().days_in_month(),
        };
        day && self.hours.contains(&time.hour()) && self.minutes.contains(&time.minute())
    }
}

fn numbers(low: i8, high: i8) -> impl Strategy<Value = BTreeSet<i8>> {
    prop::collection::btree_set(low..=high, 1..4)
}

fn text(numbers: &BTreeSet<i8>) -> String {
    numbers.iter().map(i8::to_string).collect::<Vec<_>>().join(",")
}

/// Hours and minutes are mostly those in which clocks change.
fn times() -> impl Strategy<Value = (BTreeSet<i8>, BTreeSet<i8>)> {
    (prop_oneof![3 => numbers(0, 3), 1 => numbers(0, 23)], numbers(0, 59))
}

fn day_test() -> impl Strategy<Value = (String, String, DayTest)> {
    let any = || "*".to_owned();
    prop_oneof![
        3 => Just((any(), any(), DayTest::Each)),
        1 => numbers(0, 6).prop_map(move |days| (any(), text(&days), DayTest::Weekdays(days))),
        1 => numbers(1, 31).prop_map(move |days| (text(&days), any(), DayTest::Days(days))),
        1 => (numbers(1, 31), numbers(0, 6))
            .prop_map(|(days, weekdays)| (text(&days), text(&weekdays), DayTest::Either(days, weekdays))),
    ]
}

fn cron() -> impl Strategy<Value = Case> {
    (times(), day_test(), 0..4u8, 1..=30i8).prop_map(|((hours, minutes), (day, weekday, days), stars, step)| {
        let every = |step: i8, high: i8| (0..=high).step_by(usize::try_from(step).unwrap()).collect::<BTreeSet<i8>>();
        let (minute_text, minutes) =
            if stars & 1 == 1 { (format!("*/{step}"), every(step, 59)) } else { (text(&minutes), minutes) };
        let (hour_text, hours) = if stars & 2 == 2 { ("*".to_owned(), every(1, 23)) } else { (text(&hours), hours) };
        let rule = Rule::Cron(format!("{minute_text} {hour_text} {day} * {weekday}"));
        Case { rule, minutes, hours, days, follows: stars != 0 }
    })
}

fn calendar() -> impl Strategy<Value = Case> {
    (times(), 0..3u8, numbers(0, 6), numbers(1, 31)).prop_map(|((hours, minutes), kind, weekdays, days)| {
        let small = |number: i8| u8::try_from(number).unwrap();
        let of_month = |days| vec![Days::OfMonth { months: Vec::new(), days }];
        let (rule_days, days) = match kind {
            0 => {
                let named = weekdays.iter().map(|day| if *day == 0 { 7 } else { small(*day) }).collect();
                (vec![Days::Weekday(named)], DayTest::Weekdays(weekdays))
            }
            1 => (of_month(days.iter().map(|day| MonthDay::Day(small(*day))).collect()), DayTest::Days(days)),
            _ => (of_month(vec![MonthDay::Last]), DayTest::LastDay),
        };
        let times = hours
            .iter()
            .flat_map(|hour| {
                minutes.iter().map(|minute| DayTime::Clock { hour: small(*hour), minute: small(*minute), second: 0 })
            })
            .collect();
        Case { rule: Rule::Calendar { days: rule_days, times }, minutes, hours, days, follows: false }
    })
}

fn hourly() -> impl Strategy<Value = Case> {
    numbers(0, 59).prop_map(|minutes| Case {
        rule: Rule::Hourly { minutes: minutes.iter().map(|minute| u8::try_from(*minute).unwrap()).collect() },
        minutes,
        hours: (0..24).collect(),
        days: DayTest::Each,
        follows: true,
    })
}

fn changes() -> impl Strategy<Value = ClockChange> {
    prop_oneof![
        3 => Just(ClockChange::Natural),
        1 => Just(ClockChange::Once),
        1 => Just(ClockChange::Skip),
        1 => Just(ClockChange::Twice),
    ]
}

fn place() -> impl Strategy<Value = (&'static str, Timestamp)> {
    let places: Vec<(&'static str, &'static str)> =
        PLACES.iter().flat_map(|(zone, instants)| instants.iter().map(|at| (*zone, *at))).collect();
    (prop::sample::select(places), -2_000..200i64).prop_map(|((zone, at), minutes)| {
        let at: Timestamp = at.parse().unwrap();
        (zone, at.checked_add(SignedDuration::from_mins(minutes)).unwrap())
    })
}

/// All instants in the two days behind `after`, found by looking at the clock in each minute.
fn reference(case: &Case, change: ClockChange, zone: &Zone, after: Timestamp) -> Vec<Timestamp> {
    let minute = SignedDuration::from_mins(1);
    let first = after.checked_sub(SignedDuration::from_hours(36)).unwrap();
    let walk: Vec<(Timestamp, DateTime)> = (0..1440 * 4)
        .map(|step| {
            let at = first.checked_add(minute.checked_mul(step).unwrap()).unwrap();
            (at, zone.to_datetime(at))
        })
        .collect();
    let mut shown: HashMap<DateTime, usize> = HashMap::new();
    for (_, time) in &walk {
        *shown.entry(*time).or_default() += 1;
    }
    let (gaps, doubled) = match change {
        ClockChange::Natural => (!case.follows, case.follows),
        ClockChange::Once => (true, false),
        ClockChange::Twice => (true, true),
        ClockChange::Skip => (false, false),
    };
    let mut seen: HashMap<DateTime, usize> = HashMap::new();
    let mut found = Vec::new();
    for (index, (at, time)) in walk.iter().enumerate() {
        let before = seen.entry(*time).or_default();
        let again = *before > 0;
        *before += 1;
        let twice = shown[time] > 1;
        let runs = case.means(*time) && (!twice || doubled || (!again && change != ClockChange::Skip));
        let lost = index > 0 && gaps && {
            let mut missing = walk[index - 1].1.checked_add(1.minute()).unwrap();
            let mut any = false;
            while missing < *time {
                any |= case.means(missing);
                missing = missing.checked_add(1.minute()).unwrap();
            }
            any
        };
        if (runs || lost) && *at > after {
            found.push(*at);
        }
    }
    let end = after.checked_add(SignedDuration::from_hours(48)).unwrap();
    found.retain(|at| *at <= end);
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is computed is what one sees who looks at the clock all the time.
    #[test]
    fn the_clock_says_the_same(
        case in prop_oneof![2 => cron(), 2 => calendar(), 1 => hourly()],
        change in changes(),
        (name, after) in place(),
    ) {
        let zone = zone(name).unwrap();
        let schedule = Schedule {
            rule: case.rule.clone(),
            zone: Some(name.to_owned()),
            location: None,
            missed: Missed::Skip,
            clock_change: change,
        };
        let end = after.checked_add(SignedDuration::from_hours(48)).unwrap();
        let computed: Vec<Timestamp> = instants(&schedule, after, after).take_while(|at| *at <= end).collect();
        prop_assert_eq!(computed, reference(&case, change, &zone, after));
    }

    /// Where one begins to look makes no difference.
    #[test]
    fn any_beginning_leads_to_the_same(case in prop_oneof![cron(), calendar()], change in changes(), (name, after) in place(), later in 0..4_000_000i64) {
        let schedule = Schedule {
            rule: case.rule,
            zone: Some(name.to_owned()),
            location: None,
            missed: Missed::Skip,
            clock_change: change,
        };
        let later = after.checked_add(SignedDuration::from_millis(later * 60)).unwrap();
        let whole = instants(&schedule, after, after).find(|at| *at > later);
        prop_assert_eq!(instants(&schedule, after, later).next(), whole);
    }
}

#[test]
fn what_never_comes_ends_soon() {
    let never = Rule::Calendar {
        days: vec![Days::OfMonth { months: vec![2], days: vec![MonthDay::Day(30)] }],
        times: vec![DayTime::Clock { hour: 9, minute: 0, second: 0 }],
    };
    let polar = Rule::Calendar {
        days: vec![Days::OfMonth { months: vec![12], days: vec![MonthDay::Day(24)] }],
        times: vec![DayTime::Sun { rise: true, offset_ms: 0 }],
    };
    // The time lies in the gap of each year, and is left out there.
    let in_gap = Rule::Calendar {
        days: vec![Days::OfMonth { months: vec![3], days: vec![MonthDay::LastNamed { weekday: 7 }] }],
        times: vec![DayTime::Clock { hour: 2, minute: 30, second: 0 }],
    };
    let after: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for rule in [never, polar, in_gap, Rule::Cron("no rule".into())] {
        let schedule = Schedule {
            rule,
            zone: Some("Europe/Oslo".to_owned()),
            location: Some(("69.6492".to_owned(), "18.9553".to_owned())),
            missed: Missed::Skip,
            clock_change: ClockChange::Skip,
        };
        assert_eq!(flow_schedule::next(&schedule, after, after), None);
    }
}
