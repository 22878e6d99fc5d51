use std::fmt::Write as _;

use crate::project::{codes, group, said, snapshot};

const DO: &str = "do crm.count(name: \"x\")";

/// Two flows with these conditions that do the same.
fn pair(first: &str, second: &str) -> String {
    format!("when stripe.charge_failed {first} {DO}\nwhen stripe.charge_failed {second} {DO}\n")
}

#[test]
fn the_message_shows_an_event_that_fits_both() {
    let pairs = [
        ("where amount > 100 USD", "where livemode"),
        ("where amount > any(100 USD, 9_000 JPY)", "where amount < any(90 USD, 10_000 JPY)"),
        ("where amount > 100 USD", "where currency is \"usd\""),
        ("where currency is \"EUR\" and livemode", "where amount > 5"),
        ("where customer is missing", "where customer_email ends with \"@example.com\""),
        ("where customer_email is \"a\\\"b@example.com\"", "where customer_email is present"),
        ("where risk_score > 5.5", "where risk_score in 1..6"),
        ("where failure_code in [\"a\", \"b\"]", "where failure_code in [\"b\", \"c\"]"),
        ("where failure_code is not \"a\" and failure_code is present", "where description contains \"vip\""),
        ("where status is \"failed\"", "where not (livemode or captured)"),
        ("where (risk_score else 0) > 80", "where livemode"),
        ("", ""),
    ];
    let mut text = String::new();
    for (first, second) in pairs {
        let said = said(&[(
            "a.flow",
            &format!(
                "flow one {}flow two {}",
                pair(first, second).lines().next().unwrap(),
                pair(second, second).lines().next().unwrap()
            ),
        )]);
        let help = said.lines().find(|line| line.contains("for example")).unwrap_or(&said);
        let _ = writeln!(text, "{first}\n{second}\n{help}\n");
    }
    snapshot("witnesses", &text);
}

#[test]
fn flows_that_share_no_event_or_no_action_are_let_alone() {
    let apart = [
        ("where amount > 100 USD", "where amount <= 100 USD"),
        ("where amount > 100 USD", "where amount > 100 EUR"),
        ("where amount > 100 USD", "where currency is \"eur\""),
        ("where livemode", "where not livemode"),
        ("where customer is present", "where customer is missing"),
        ("where status is \"failed\"", "where status is \"pending\""),
        ("where failure_code in [\"a\", \"b\"]", "where failure_code is not \"a\" and failure_code is not \"b\""),
        ("where risk_score > 5", "where risk_score < 6"),
        ("where customer_email starts with \"a\"", "where customer_email starts with \"b\""),
    ];
    for (first, second) in apart {
        assert!(codes(&pair(first, second)).is_empty(), "{first} / {second}: {:?}", codes(&pair(first, second)));
    }
    let undecided = [
        ("where description matches \"^a\"", "where description is \"b\""),
        ("where amount_refunded < amount", "where amount_refunded > 5 USD"),
        ("where lower(description else \"\") is \"a\"", "where description is \"B\""),
    ];
    for (first, second) in undecided {
        assert!(codes(&pair(first, second)).is_empty(), "{first} / {second}: {:?}", codes(&pair(first, second)));
    }
    let other_action = "when stripe.charge_failed do crm.count(name: \"x\")\nwhen stripe.charge_failed do crm.count(name: \"y\")";
    assert!(codes(other_action).is_empty());
    let own_name = "flow a when stripe.charge_failed do crm.count(name: run.flow)\nflow b when stripe.charge_failed do crm.count(name: run.flow)";
    assert!(codes(own_name).is_empty());
    let other_event = "when stripe.charge_failed do crm.count(name: \"x\")\nwhen stripe.new_payment do crm.count(name: \"x\")";
    assert!(codes(other_event).is_empty());
    let in_loop = "when crm.person_updated do { for tag in tags up to 3 { crm.count(name: tag) } }\n\
                   flow b when crm.person_updated do { for tag in tags up to 3 { crm.count(name: tag) } }";
    assert!(codes(in_loop).is_empty());
}

#[test]
fn branches_decide_what_is_done() {
    let other = "when crm.person_updated where score > 10 do crm.count(name: \"x\")";
    let apart = format!(
        "when crm.person_updated do {{ if score <= 10 {{ crm.count(name: \"x\") }} else {{ crm.count(name: \"y\") }} }}\n{other}"
    );
    assert!(codes(&apart).is_empty(), "{:?}", codes(&apart));
    let ended = format!("when crm.person_updated do {{ if score > 10 {{ stop }} crm.count(name: \"x\") }}\n{other}");
    assert!(codes(&ended).is_empty(), "{:?}", codes(&ended));
    group(
        "branches",
        &[
            &format!("when crm.person_updated do {{ if score > 20 {{ crm.count(name: \"x\") }} }}\n{other}"),
            &format!(
                "when crm.person_updated do {{ match level {{ \"gold\" => crm.count(name: \"x\") else => stop }} }}\n{other}"
            ),
            &format!(
                "when crm.person_updated do {{ crm.count(name: \"y\")  if level is \"basic\" {{ stop }}  crm.count(name: \"x\") }}\n{other}"
            ),
        ],
    );
}

#[test]
fn each_flow_is_reported_once_and_says_where_the_other_is() {
    let first = "flow one when stripe.charge_failed where amount > 100 USD do { crm.count(name: \"x\") crm.count(name: \"y\") }";
    let second =
        "\nflow two\n  when stripe.charge_failed where livemode\n  do { crm.count(name: \"y\") then crm.count(name: \"x\") }";
    let third = "when stripe.charge_failed do kustomer.create_conversation(name: \"Failed\")";
    let fourth = "when stripe.charge_failed where livemode do kustomer.create_conversation(name: \"Failed\")";
    let said = said(&[("a.flow", first), ("b.flow", second), ("c.flow", third), ("d.flow", fourth)]);
    snapshot("across_files", &said);
}

#[test]
fn a_thousand_flows_for_a_thousand_customers_are_told_apart() {
    let mut text = String::new();
    for at in 0..1000 {
        let _ = writeln!(text, "when stripe.charge_failed where customer is \"cus_{at}\" {DO}");
    }
    assert!(codes(&text).is_empty());
    text.push_str(&format!("when stripe.charge_failed where customer in [\"cus_700\", \"cus_2000\"] and livemode {DO}"));
    assert_eq!(codes(&text), ["W702"]);
}

#[test]
fn what_is_meant_can_be_allowed() {
    let text = pair("where livemode", "where amount > 5 USD");
    assert_eq!(codes(&text), ["W702"]);
    let allowed = text.replacen("\nwhen", "\n# allow W702: both are wanted\nwhen", 1);
    assert!(codes(&allowed).is_empty(), "{:?}", codes(&allowed));
}

#[test]
fn a_flow_does_not_know_what_another_remembers() {
    let once = "flow once when stripe.charge_failed where customer is present once per customer do crm.count(name: \"x\")";
    let free = "flow free when stripe.charge_failed where livemode do crm.count(name: \"x\")";
    let both = "flow both when stripe.charge_failed where livemode once per id do crm.count(name: \"x\")";
    group("once", &[&format!("{once}\n{free}"), &format!("{free}\n{once}"), &format!("{once}\n{both}")]);
    let window = "flow window when stripe.charge_failed where livemode 3 times within 1 hour do crm.count(name: \"x\")";
    assert!(codes(&format!("{free}\n{window}")).is_empty(), "not every event counts for itself");
}
