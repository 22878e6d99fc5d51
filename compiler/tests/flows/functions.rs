//! The standard functions: what is said about mistakes in calls, and what becomes of sound ones.

use flow_plan::Instr;

use crate::harness::{Project, group, group_in};
use crate::listing::expr;

fn group_in_paris(name: &str, cases: &[&str]) {
    group_in(name, || Project::with(|settings| settings.timezone = Some("Europe/Paris".to_owned())), cases);
}

/// A condition on a charge.
fn charge(condition: &str) -> String {
    format!("when stripe.charge_failed where {condition} do kustomer.create_conversation(customer: \"5f1\", name: \"x\")")
}

/// Steps about the refunds of a charge.
fn refunds(value: &str) -> String {
    format!(
        "when stripe.charge_refunded do {{ let refunds = stripe.list_refunds(charge: id)  let x = {value}  \
         kustomer.create_conversation(customer: \"5f1\", name: \"{{x else \"none\"}}\") }}"
    )
}

fn all(make: impl Fn(&str) -> String, values: &[&str]) -> Vec<String> {
    values.iter().map(|value| make(value)).collect()
}

fn borrowed(cases: &[String]) -> Vec<&str> {
    cases.iter().map(String::as_str).collect()
}

#[test]
fn calls() {
    let cases = all(
        charge,
        &[
            "lower() is \"x\"",
            "replace(id, \"a\") is \"x\"",
            "upper(id, 2) is \"X\"",
            "round(risk_score, decimals: 2) > 1",
            "round(risk_score, figures: 2) > 1",
            "round(risk_score, digits: 2, digits: 3) > 1",
            "slice(id, from: 1, 2) is \"x\"",
            "lower(amount) is \"x\"",
            "amount(id) > 1",
            "round(amount, 1.5) > 1 USD",
            "cut(id, 3 bytes) is \"ch_\" and cut(id, 3) is \"ch_\"",
            "max(amount, 10 USD) > 5 USD",
            "max(10 USD, 10 EUR) > 5 USD",
            "max(amount, 5) > 5 USD",
            "max(amount) > 5 USD",
            "max(risk_score else 0, 5) > 5",
            "min([1, 2.5, 3]) < 2",
            "upper(customer_email) is \"A\"",
            "not (length(customer_email) > 3)",
            "number(metadata[\"n\"]) > 3",
        ],
    );
    group("function_calls", &borrowed(&cases));
}

#[test]
fn names_of_elsewhere() {
    let cases = all(
        charge,
        &[
            "len(id) > 3",
            "toLowerCase(id) is \"x\"",
            "substring(id, 0, 3) is \"ch_\"",
            "left(id, 3) is \"ch_\"",
            "right(id, 3) is \"ch_\"",
            "floor(risk_score else 0) > 3",
            "today() is 2026-11-26",
            "now() > created_at",
            "contains(id, \"ch\")",
            "startsWith(id, \"ch\")",
            "coalesce(customer_email, \"x\") is \"x\"",
            "isEmpty(customer_email)",
            "concat(id, \"-x\") is \"x\"",
            "str(risk_score else 0) is \"1\"",
            "random() > 0.5",
            "uuid() is id",
            "sqrt(4) is 2",
            "addDays(created_at, 3) > now",
            "strftime(created_at, \"%Y\") is \"2026\"",
            "rond(risk_score else 0) > 3",
            "frobnicate(id) is \"x\"",
            "customer_email.replace(\"a\", \"b\") is \"x\"",
            "id.len() > 3",
        ],
    );
    group_in_paris("function_names", &borrowed(&cases));
}

#[test]
fn zones() {
    let cases = all(
        charge,
        &[
            "hour(created_at) < 8",
            "hour(created_at, in: \"Europe/Paris\") < 8",
            "hour(created_at, in: \"Paris\") < 8",
            "hour(created_at, in: \"Europe/Pariss\") < 8",
            "hour(created_at, tz: \"Europe/Paris\") < 8",
            "hour(created_at, in: metadata[\"zone\"]) < 8",
            "not (hour(created_at, in: metadata[\"zone\"] else \"UTC\") < 8)",
            "year(2026-11-26, in: \"Europe/Paris\") is 2026",
            "year(2026-11-26) is 2026 and 2026-11-26.month is 11",
            "now.time in 23:00..06:00",
            "created_at.weekday is \"monday\"",
            "weekday(created_at, in: \"UTC\") is \"mondai\"",
            "days_between(created_at, now) > 3",
        ],
    );
    group("function_zones", &borrowed(&cases));
    let cases =
        all(charge, &["now.time in 23:00..06:00", "created_at.weekday is \"sunday\"", "days_between(created_at, now) > 3"]);
    group_in_paris("function_project_zone", &borrowed(&cases));
}

#[test]
fn patterns() {
    let cases = all(
        charge,
        &[
            "format(created_at, \"%d.%m.%Y\") is \"x\"",
            "format(created_at, \"YYYY-mm-DD\") is \"x\"",
            "format(created_at, \"HH:MM\") is \"x\"",
            "format(created_at, \"hh:mm\") is \"x\"",
            "format(created_at, \"#,##0.00\") is \"x\"",
            "format(amount, \"$#,##0.00\") is \"x\"",
            "format(amount, \"YYYY\") is \"x\"",
            "format(amount, id) is \"x\"",
            "format(risk_score, \"%.2f\") is \"x\"",
            "format(2026-11-26, \"HH:mm\") is \"x\"",
            "format(id, \"0\") is \"x\"",
            "format(created_at) is \"x\"",
        ],
    );
    group_in_paris("function_patterns", &borrowed(&cases));
}

#[test]
fn items() {
    let cases = all(
        refunds,
        &[
            "filter(refunds, it.status is \"faild\")",
            "filter(refunds, status is \"failed\")",
            "count(refunds, amount > 10 USD)",
            "count(refunds, it.amuont > 10 USD)",
            "count(refunds, it.amount > 10 USD)",
            "count(refunds, not (it.amount > 10 USD))",
            "count(refunds, it.amount)",
            "any(refunds, it.amount > 10 USD)",
            "any(refunds, it.status is \"failed\")",
            "map(refunds, it.failure_reason)",
            "map(refunds, upper(it.failure_reason))",
            "count(refunds, it.failure_reason is present and length(it.failure_reason) > 3)",
            "sum(refunds, it.amount)",
            "sum(refunds)",
            "sum(refunds, it.id)",
            "max(map(refunds, length(it.id)))",
            "first(refunds, it.status is \"failed\")",
            "first(refunds, it.status is \"failed\").id",
            "join(refunds, \", \")",
            "join(sort(map(refunds, it.id)), \"+\")",
            "filter(refunds, any([1], it > 0))",
            "filter(refunds, count(filter(refunds, it.id is \"x\")) > 0)",
            "filter(refunds, count(filter([it.id], it is \"x\")) > 0)",
            "map(refunds, stripe.find_customer(id: it.id))",
            "filter(id, it is \"x\")",
            "filter(refunds)",
            "refunds.filter(it.amount > 1 USD)",
            "refunds.amount",
            "it.amount",
            "any(100, 90)",
        ],
    );
    group("function_items", &borrowed(&cases));
}

#[test]
fn narrowing_and_defaults_hold_within_a_list() {
    let source = "when stripe.charge_refunded do { let refunds = stripe.list_refunds(charge: id) \
                  if all(refunds, it.failure_reason is present and upper(it.failure_reason) is \"X\") { \
                  kustomer.create_conversation(customer: \"5f1\", name: \"{sum(refunds, it.amount) else \"nothing\"}\", \
                  note: \"{join(map(filter(refunds, it.amount > 1 USD), it.id), \" \")}\") } }";
    let checked = Project::new().check(source);
    assert!(checked.diagnostics.iter().all(|diagnostic| !diagnostic.is_error()), "{:#?}", checked.diagnostics);
    let flow = checked.outcomes[0].flow.as_ref().unwrap();
    let condition = flow.program.instrs.iter().find_map(|instr| match instr {
        Instr::Unless { condition, .. } => Some(expr(flow, condition)),
        _ => None,
    });
    assert_eq!(condition.unwrap(), "All($0; and(present(it.failure_reason), equal(Upper(it.failure_reason), \"X\")))");
    // Of the items goes what was asked of them, and nothing else.
    let sent: Vec<&str> = flow.sends.iter().flat_map(|send| send.fields.iter().map(String::as_str)).collect();
    assert!(sent.contains(&"stripe.id") && sent.contains(&"stripe.amount"), "{sent:?}");
    assert!(!sent.iter().any(|field| field.contains("list_refunds")), "{sent:?}");
}

#[test]
fn personal_data_stays_personal_through_functions() {
    for (value, personal) in [
        ("upper(customer_email)", true),
        ("hash(customer_email)", true),
        ("join(map([customer_email], slice(it, 0, 3)))", true),
        ("json([customer_email])", true),
        ("join(filter([customer_email], it ends with \".com\"), \" \")", true),
        ("\"{length(customer_email)}\"", false),
        ("\"{count([customer_email], it ends with \".com\")}\"", false),
    ] {
        let source = format!(
            "when stripe.charge_failed where customer_email is present do chat.post_message(channel: {value}, text: \"x\")"
        );
        let found = Project::new().check(&source).diagnostics.iter().any(|diagnostic| diagnostic.code.as_str() == "E803");
        assert_eq!(found, personal, "{value}");
    }
}
