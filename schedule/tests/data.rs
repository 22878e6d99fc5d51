//! The cases that are given from outside, where they are at hand.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use flow_plan::{ClockChange, DayTime, Days, Missed, Rule, Schedule};
use flow_schedule::{Cron, next, zone};
use jiff::Timestamp;

fn data(name: &str) -> Option<serde_json::Value> {
    let above = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1);
    let text = above.filter_map(|folder| std::fs::read_to_string(folder.join("shared/data").join(name)).ok()).next();
    Some(serde_json::from_str(&text?).unwrap())
}

fn schedule(rule: Rule, tz: &str) -> Schedule {
    Schedule { rule, zone: Some(tz.to_owned()), location: None, missed: Missed::Skip, clock_change: ClockChange::Natural }
}

#[test]
fn cron_over_clock_changes() {
    let Some(data) = data("cron_dst.json") else { return };
    let cases = data["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        assert!(Cron::parse(text("expr")).is_ok());
        let schedule = schedule(Rule::Cron(text("expr").to_owned()), text("tz"));
        let mut after: Timestamp = text("after").parse().unwrap();
        for expected in case["next_utc"].as_array().unwrap() {
            after = next(&schedule, after, after).unwrap();
            assert_eq!(after.to_string(), expected.as_str().unwrap(), "{}", text("name"));
        }
    }
}

#[test]
fn the_sun() {
    let Some(data) = data("sun.json") else { return };
    let cases = data["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let date: jiff::civil::Date = text("date").parse().unwrap();
        let zone = zone(text("tz")).unwrap();
        let (north, east) = (case["latitude"].as_f64().unwrap(), case["longitude"].as_f64().unwrap());
        let sun = flow_schedule::sun(date, north, east, &zone);
        for (key, found) in [("sunrise_utc", sun.rise), ("sunset_utc", sun.set)] {
            let expected: Option<Timestamp> = case[key].as_str().map(|at| at.parse().unwrap());
            assert_eq!(expected.is_some(), found.is_some(), "{} {key}", text("name"));
            if let (Some(expected), Some(found)) = (expected, found) {
                let apart = (found.as_second() - expected.as_second()).abs();
                assert!(apart <= 120, "{} {key}: {found}, {apart} s apart", text("name"));
                // And the schedule says the same as the day.
                let days =
                    vec![Days::OfMonth { months: vec![], days: vec![flow_plan::MonthDay::Day(date.day().try_into().unwrap())] }];
                let times = vec![DayTime::Sun { rise: key == "sunrise_utc", offset_ms: -900_000 }];
                let mut schedule = schedule(Rule::Calendar { days, times }, text("tz"));
                schedule.location = Some((north.to_string(), east.to_string()));
                let before = found.checked_sub(jiff::SignedDuration::from_hours(30)).unwrap();
                let at = next(&schedule, before, before).unwrap();
                assert_eq!(at.as_second(), found.as_second() - 900, "{}", text("name"));
            }
        }
    }
}
