use crate::project::{codes, group};

#[test]
fn conditions_that_cannot_hold() {
    group(
        "never",
        &[
            "when crm.person_updated where level is not \"basic\" and level is not \"gold\" and level is not \"platinum\" do crm.count(name: \"x\")",
            "when crm.person_updated where (score > 10 or level is \"gold\") and score < 3 and level is \"basic\" do crm.count(name: \"x\")",
            "when crm.person_updated where score > 3 and score < 4 do crm.count(name: \"x\")",
            "when crm.person_created(imported: false) where score <= 0 do crm.count(name: \"x\")",
            "when stripe.charge_failed where customer_email starts with \"a\" and customer_email is \"b@example.com\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where description contains \"vip\" and not (description contains \"v\") do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount in 1 USD..5 USD and amount > 5 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where metadata is missing and metadata.plan is \"x\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where (risk_score else 0) > 5 and risk_score is missing do crm.count(name: \"x\")",
        ],
    );
}

#[test]
fn steps_that_are_never_reached() {
    group(
        "unreachable",
        &[
            "when crm.person_updated where score > 10 do { if score < 5 { crm.count(name: \"x\") } crm.count(name: \"y\") }",
            "when crm.person_updated where score > 10 do { if score > 5 { crm.count(name: \"x\") } else { crm.count(name: \"y\") } }",
            "when crm.person_updated do { if score > 10 { stop } if score > 20 { crm.count(name: \"x\") } else { crm.count(name: \"y\") } }",
            "when crm.person_updated where level is not \"gold\" do { match level { \"gold\" => crm.count(name: \"x\") else => crm.count(name: \"y\") } }",
            "when crm.person_updated do { match level { \"gold\" => stop \"basic\" => stop \"platinum\" => stop } crm.count(name: \"y\") }",
            "when crm.person_updated do { match level { \"gold\" => { if level is \"basic\" { crm.count(name: \"x\") } } else => crm.count(name: \"y\") } }",
        ],
    );
}

#[test]
fn what_can_be_so_is_let_alone() {
    for source in [
        "when crm.person_updated where score > 10 do { if score > 15 { crm.count(name: \"x\") } else { crm.count(name: \"y\") } }",
        "when stripe.charge_failed where amount > 100 USD or amount < 50 EUR do { if amount < 50 EUR { crm.count(name: \"x\") } }",
        "when crm.person_updated where score is not 5 do { if score is 6 { crm.count(name: \"x\") } }",
        "when crm.person_updated where tags contains \"a\" and tags contains \"b\" do crm.count(name: \"x\")",
        "when stripe.charge_failed where description matches \"^a\" and description matches \"z$\" do crm.count(name: \"x\")",
        "when stripe.charge_failed where amount_refunded < amount and amount > 5 USD do crm.count(name: \"x\")",
    ] {
        assert!(codes(source).is_empty(), "{source}: {:?}", codes(source));
    }
}

/// A test runs on a small stack, as the checks of many files do.
#[test]
fn a_long_match_is_checked_like_a_short_one() {
    use std::fmt::Write;
    let arms = (0..3_000).fold(String::new(), |mut arms, at| {
        let _ = writeln!(arms, "\"c{at}\" => crm.count(name: \"n{at}\")");
        arms
    });
    assert_eq!(codes(&format!("when crm.person_updated do {{ match id {{ {arms} else => stop }} }}")), Vec::<String>::new());
}

/// A table written by a script: what each arm leaves for the next is not carried through thousands of them.
#[test]
fn a_long_match_takes_no_longer_for_each_of_its_arms() {
    let arms: String = (0..20_000).map(|at| format!("\"{at}\" => stop\n")).collect();
    let source =
        format!("when crm.person_updated do {{ match id {{ {arms} \"19999\" => stop else => stop }} crm.count(name: \"x\") }}");
    assert_eq!(codes(&source), ["W707", "W707"]);
}
