use crate::harness::Project;
use crate::listing;

fn plan(name: &str, source: &str) {
    let mut project = Project::new();
    let checked = project.check(source);
    let errors = crate::harness::rendered(source, &checked.diagnostics);
    let mut text = format!("{}\n\n", source.trim());
    for outcome in &checked.outcomes {
        text.push_str(&listing::plan(outcome.flow.as_ref().expect(&errors)));
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
  where not (score in 10..20) and (level is "gold" or city in ["Paris", "Lyon"]) and now - 72 hours < now
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

/// What `flowc expand` prints is the same program, and says so itself.
#[test]
fn expanded_is_the_same_program() {
    let sources = [
        "when stripe.charge_failed where amount > 100 do kustomer.create_conversation",
        "when stripe.charge_failed where amount > 100 USD and customer is present do kustomer.create_conversation",
        "when stripe.charge_failed do { crm.count(name: \"x\")  crm.subscribe(list: \"a\") }",
        "when stripe.charge_failed do crm.add_note then crm.set_level(level: \"gold\")",
        "when stripe.charge_failed do { if livemode { crm.add_note(priority: 2) } else { crm.add_note } }",
        "when stripe.charge_failed do { match failure_code { \"a\" => crm.add_note else => kustomer.create_conversation(priority: 1) } }",
        "when stripe.charge_failed do { for x in [1, 2] { crm.add_note(priority: x) } }",
        "when stripe.charge_failed do { crm.count(name: \"x\") on error { crm.add_note } } on error { crm.add_note }",
        "when stripe.new_payment do { let buyer = stripe.find_customer()  crm.count(name: \"x\") }",
    ];
    let mut text = String::new();
    for source in sources {
        let mut project = Project::new();
        let checked = project.check(source);
        let expanded = checked.outcomes[0].expanded.as_ref().unwrap_or_else(|| panic!("{source}: {:?}", checked.diagnostics));
        let printed = flow_grammar::print_flow(expanded);
        let again = project.check(&printed);
        let loud = crate::harness::rendered(
            &printed,
            &again.diagnostics.iter().filter(|d| !d.code.as_str().starts_with("W3")).cloned().collect::<Vec<_>>(),
        );
        assert!(loud.is_empty(), "{printed}\n{loud}");
        let (first, second) = (checked.outcomes[0].flow.as_ref().unwrap(), again.outcomes[0].flow.as_ref().unwrap());
        assert_eq!(listing::program(first), listing::program(second), "{printed}");
        assert_eq!(first.hash, second.hash, "{printed}");
        text.push_str(&format!("{source}\n\n{printed}\n────\n"));
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "snapshots" }, {
        insta::assert_snapshot!("expanded", text);
    });
}

/// Layout, comments and names do not change what a flow is.
#[test]
fn the_hash_is_of_behaviour() {
    let hash = |source: &str| Project::new().check(source).outcomes[0].flow.as_ref().unwrap().hash.clone();
    let one = hash("when stripe.charge_failed where amount > 100 USD do crm.count(name: \"x\")");
    assert_eq!(
        one,
        hash(
            "## Docs.\nflow named \"Title\"\n  when stripe.charge_failed\n  where amount  >  100 USD\n  do crm.count(name: \"x\")"
        )
    );
    assert_ne!(one, hash("when stripe.charge_failed where amount > 101 USD do crm.count(name: \"x\")"));
    assert_ne!(one, hash("when stripe.charge_failed where amount > 100 EUR do crm.count(name: \"x\")"));
    assert_ne!(one, hash("when stripe.charge_failed where amount > 100 USD do crm.count(name: \"y\")"));
}

/// The built-in connectors say nothing wrong themselves.
#[test]
fn built_in_connectors_are_sound() {
    let catalog = flow_compiler::connector::builtin();
    for (name, file, source) in flow_compiler::connector::builtin_sources() {
        let parsed = flow_grammar::parse(source);
        for item in &parsed.file.items {
            if let flow_grammar::syntax::Item::Connector(node) = item
                && let Some(declared) = catalog.connectors.get(&node.name.text)
            {
                let found = flow_compiler::flow::check_connector(declared, node, source, catalog);
                assert!(found.is_empty(), "{name} {file}\n{}", crate::harness::rendered(source, &found));
            }
        }
    }
}

/// Each page that is about flows shows its mistake, and mends it.
#[test]
fn pages_say_the_truth() {
    let mine = |code: &str| {
        matches!(&code[1..2], "2" | "3" | "4" | "5") && !matches!(code, "E404" | "E405" | "E406")
            || matches!(code, "E701" | "W707" | "E801" | "E803" | "E820")
    };
    let mut problems = String::new();
    for code in flow_compiler::Code::ALL.iter().filter(|code| mine(code.as_str())) {
        let page = code.page();
        let block = |title: &str| {
            let rest = page.split_once(title).map_or("", |(_, rest)| rest);
            rest.split_once("```flow\n").and_then(|(_, rest)| rest.split_once("\n```")).map_or("", |(text, _)| text).to_owned()
        };
        let (wrong, right) = (block("## Wrong"), block("## Right"));
        let said = Project::new().check(&wrong);
        if !said.diagnostics.iter().any(|diagnostic| diagnostic.code == *code) {
            problems.push_str(&format!(
                "{code}: the wrong program is not wrong\n{}\n",
                crate::harness::rendered(&wrong, &said.diagnostics)
            ));
        }
        let said = Project::new().check(&right);
        if right.is_empty() || said.diagnostics.iter().any(|diagnostic| diagnostic.code == *code || diagnostic.is_error()) {
            problems.push_str(&format!(
                "{code}: the right program is not right\n{}\n",
                crate::harness::rendered(&right, &said.diagnostics)
            ));
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

/// Whatever is left out of a program, the compiler answers, and says nothing wrong about its own fixes.
#[test]
fn programs_with_a_word_missing() {
    let sources = [
        "flow f when stripe.charge_failed where amount > any(100 USD, 90 EUR) and not (failure_code in [\"a\"] or livemode) do kustomer.create_conversation(name: \"a {failure_message else \"b\"}\", priority: 3) as c on error { stop because \"x {error.message}\" }",
        "when stripe.new_payment where customer is present do { let buyer = stripe.find_customer(id: customer) if buyer is present and buyer.balance > 5 USD { crm.count(name: \"x\") } match failure_code { \"a\" | \"b\" => crm.count(name: \"y\", by: 3 - 1) else => stop } for r in stripe.list_refunds(charge: id) up to 20 { chat.post_message(channel: \"#a\", text: \"{r.id}: {r.amount / 2}\") } stripe.create_refund(charge: id) retry 6 times over 2 hours } on error { crm.count(name: \"z\") }",
        "when crm.person_created(imported: true, level: \"gold\") where now - 72 hours < now and city matches \"^P\" and level in [\"gold\", \"basic\"] do crm.add_note(person: id, title: \"x\", labels: [\"a\", city else \"b\"], data: { a: { b: score }, level })",
    ];
    let mut project = Project::new();
    for source in sources {
        assert!(
            project.check(source).outcomes[0].flow.is_some(),
            "{}",
            crate::harness::rendered(source, &project.check(source).diagnostics)
        );
        let words: Vec<&str> = source.split_inclusive([' ', '.', '(', ')', ',', ':']).collect();
        for skip in 0..words.len() {
            let text: String = words.iter().enumerate().filter(|(at, _)| *at != skip).map(|(_, word)| *word).collect();
            let checked = project.check(&text);
            let wrong = checked.diagnostics.iter().any(flow_compiler::Diagnostic::is_error);
            assert!(wrong || checked.outcomes.iter().all(|outcome| outcome.flow.is_some()), "{text}");
            for diagnostic in &checked.diagnostics {
                assert!(diagnostic.fixes.len() <= 3, "{text}");
                for fix in &diagnostic.fixes {
                    crate::harness::apply(&text, fix);
                }
            }
        }
    }
}
