//! `flowc next`, over both clock changes of two places.

use serde_json::Value;

use crate::support::program::{flowc, project};

const FLOWS: &str = "flow paris every day at 02:30 in \"Europe/Paris\" on clock change once
  do kustomer.create_conversation(customer: \"c1\", name: \"n\")

flow paris_skips every day at 02:30 in \"Europe/Paris\" on clock change skip
  do kustomer.create_conversation(customer: \"c1\", name: \"n\")

flow new_york every cron \"*/30 1-3 * * *\" in \"America/New_York\"
  do kustomer.create_conversation(customer: \"c1\", name: \"n\")

every 6 hours do kustomer.create_conversation(customer: \"c1\", name: \"n\")

flow payments when stripe.charge_failed do kustomer.create_conversation
";

fn instants(args: &[&str]) -> Vec<String> {
    let folder = project(&[("a.flow", FLOWS)]);
    let outcome = flowc(folder.path(), &[&["next"], args, &["--format", "json"]].concat());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let json: Value = serde_json::from_str(&outcome.out).unwrap();
    json["instants"].as_array().unwrap().iter().map(|one| one["local"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn over_both_clock_changes() {
    assert_eq!(
        instants(&["paris", "--from", "2026-03-28", "--count", "3"]),
        ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    );
    assert_eq!(
        instants(&["paris", "--from", "2026-10-24", "--count", "3"]),
        ["2026-10-24T02:30:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    );
    assert_eq!(
        instants(&["paris_skips", "--from", "2026-03-28", "--count", "2"]),
        ["2026-03-28T02:30:00+01:00", "2026-03-30T02:30:00+02:00"]
    );
    assert_eq!(
        instants(&["new_york", "--from", "2026-03-08", "--count", "5"]),
        [
            "2026-03-08T01:00:00-05:00",
            "2026-03-08T01:30:00-05:00",
            "2026-03-08T03:00:00-04:00",
            "2026-03-08T03:30:00-04:00",
            "2026-03-09T01:00:00-04:00"
        ]
    );
    assert_eq!(
        instants(&["new_york", "--from", "2026-11-01", "--count", "5"]),
        [
            "2026-11-01T01:00:00-04:00",
            "2026-11-01T01:30:00-04:00",
            "2026-11-01T01:00:00-05:00",
            "2026-11-01T01:30:00-05:00",
            "2026-11-01T02:00:00-05:00"
        ]
    );
    assert_eq!(
        instants(&["a.flow:10", "--from", "2026-03-08T00:00:00Z", "--count", "2"]),
        ["2026-03-08T06:00:00+00:00", "2026-03-08T12:00:00+00:00"]
    );
}

#[test]
fn for_people_and_with_mistakes() {
    let alone = "flow b every day at 09:00 in \"UTC\" do stop\nflow other when stripe.charge_failed do stop\n";
    let files = [("a.flow", FLOWS), ("one/b.flow", alone), ("one/c.flow", "flow c when stripe.charge_failed do stop\n")];
    let folder = project(&files);
    let mut text = String::new();
    for args in [
        &["next", "paris", "--from", "2026-03-28", "--count", "2"][..],
        &["next", "paris_skips", "--from", "2026-10-24", "--count", "2"],
        &["next", "a.flow:10", "--from", "2026-03-28", "--count", "1"],
        &["next", "payments"],
        &["next", "pariss"],
        &["next", "unheard_of"],
        &["next", "paris", "--from", "tomorrow"],
        &["next", "./one/b.flow", "--from", "2026-03-28", "--count", "1"],
        &["next", "a.flow", "--count", "1"],
        &["next", "one/c.flow", "--count", "1"],
        &["next", "nowhere.flow", "--count", "1"],
    ] {
        let outcome = flowc(folder.path(), args);
        text.push_str(&format!("$ flowc {}\n{}{}exit {}\n\n", args.join(" "), outcome.out, outcome.err, outcome.code));
    }
    insta::assert_snapshot!("next", text);
}
