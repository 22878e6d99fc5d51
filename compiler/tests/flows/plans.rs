use crate::harness::Project;
use crate::listing;

fn plan(name: &str, source: &str) {
    let mut project = Project::new();
    let checked = project.check(source);
    let errors = crate::harness::rendered(source, &checked.diagnostics);
    let mut text = format!("{}\n\n", source.trim());
    for outcome in &checked.outcomes {
        text.push_str(&listing::plan(outcome.flow.as_ref().unwrap_or_else(|| panic!("{errors}"))));
        text.push('\n');
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "snapshots" }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn the_one_liner() {
    plan("plan_one_liner", "when stripe.charge_failed where amount > 100 do kustomer.create_conversation");
}

#[test]
fn the_one_liner_has_no_warnings() {
    let checked = Project::new().check("when stripe.charge_failed where amount > 100 do kustomer.create_conversation");
    let loud: Vec<_> =
        checked.diagnostics.iter().filter(|diagnostic| diagnostic.severity != flow_compiler::Severity::Advice).collect();
    assert!(loud.is_empty(), "{loud:?}");
}

#[test]
fn named_and_documented() {
    plan(
        "plan_named",
        r#"
## Big failed charges get a human.
flow big_failed_charge "Open a Kustomer conversation"
  when stripe.charge_failed
  where amount > any(100 USD, 90 EUR, 15_000 JPY)
    and customer_email is present
    and failure_code is not "authentication_required"
  do kustomer.create_conversation(
       name: "Payment of {amount} failed: {failure_message else "no reason given"}",
       priority: 3,
     )
"#,
    );
}

#[test]
fn triage() {
    plan(
        "plan_triage",
        r##"
flow triage
  when stripe.charge_failed
  where livemode
  do {
    let buyer = stripe.find_customer(id: customer)
    if buyer is present and buyer.balance > 5_000 USD {
      chat.post_message(channel: "#vip", text: "VIP payment failed: {amount}")
    }
    match failure_code {
      "insufficient_funds" | "card_declined" => kustomer.create_conversation(priority: 2)
      "fraudulent"                           => {
        kustomer.create_conversation(priority: 5, tags: ["fraud"]) as convo
        chat.post_message(channel: "#risk", text: "Check {convo.id}")
      }
      else => stop because "no follow-up for {failure_code else "unknown"}"
    }
    for refund in stripe.list_refunds(charge: id) up to 20 { chat.post_message(channel: "#risk", text: "{refund.id}: {refund.amount}") }
  }
"##,
    );
}

#[test]
fn refund() {
    plan(
        "plan_refund",
        r##"
flow refund_high_risk
  when stripe.new_payment
  where risk_score > 85 and customer is present
  do {
    stripe.create_refund(charge: id, reason: "fraudulent") retry 6 times over 2 hours
    ## Tell them.
    chat.post_message(channel: "#risk", text: "Refunded {amount}")
      on error { chat.post_message(channel: "#ops", text: "not sent: {error.message}") }
  }
  on error {
    kustomer.create_conversation(name: "Refund failed for {id}", priority: 5)
  }
"##,
    );
}

#[test]
fn options_and_guards() {
    plan(
        "plan_guards",
        r#"
when stripe.failed_payment(ignore_payment_intents: true) where amount > 5 USD do crm.count(name: "failed")
when stripe.failed_payment(ignore_payment_intents: false) do crm.count(name: "failed")
when stripe.new_payment do crm.count(name: "paid")
when kustomer.conversation_closed do crm.count(name: "closed")
"#,
    );
}

#[test]
fn branches_and_loops() {
    plan(
        "plan_branches",
        r#"
flow branches
  when crm.person_updated
  where not (score in 10..20) and (level is "gold" or city in ["Paris", "Lyon"]) and now - 3 days < now
  do {
    let half = score / 2
    if half > 10 { stop } else if half > 5 and email is present {
      crm.subscribe(email: email, list: lower(city else "none"))
    } else {
      for tag in crm.list_tags(person: id) up to 5 {
        for word in ["a", "b"] { crm.count(name: "{tag.label} {word}", by: score) }
      }
    }
    crm.find_or_create(email: require email) as other on error { crm.count(name: "none") }
    if other is present { crm.set_level(person: other.id, level: other.level) }
  }
"#,
    );
}

#[test]
fn required_before_the_first_effect() {
    plan("plan_hoisted", "when stripe.charge_failed do { crm.count(name: \"x\")  crm.subscribe(list: \"a\") }");
}
