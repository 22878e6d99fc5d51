//! The connectors as flows use them.

use std::sync::Arc;

use flow_compiler::compile::Compiler;
use flow_compiler::connector::{builtin, builtin_sources, declare};
use flow_compiler::docs::docs;
use flow_compiler::flow::check_connector;
use flow_compiler::settings::Settings;
use flow_compiler::{Diagnostic, Severity};
use flow_grammar::syntax::Item;

/// What is wrong with a file of flows, advice left out.
fn problems(source: &str) -> Vec<Diagnostic> {
    let mut compiler = Compiler::new(Settings::default());
    compiler.set("test.flow", source);
    compiler.compile().diagnostics().into_iter().filter(|diagnostic| diagnostic.severity != Severity::Advice).collect()
}

/// The steps of composite operations and the conditions of triggers have right names and types.
#[test]
fn steps_and_conditions_are_sound() {
    for (_, file, source) in builtin_sources() {
        let parsed = flow_grammar::parse(source);
        for item in &parsed.file.items {
            let Item::Connector(node) = item else { continue };
            let (connector, _) = declare(&Arc::from(*file), source, node);
            let diagnostics = check_connector(&connector, node, source, builtin());
            assert!(diagnostics.is_empty(), "{file}: {diagnostics:#?}");
        }
    }
}

/// What a page shows can be pasted.
#[test]
fn every_example_of_the_docs_compiles() {
    for connector in builtin().connectors.values() {
        let operations = connector.operations.values().filter(|operation| !operation.internal).map(|operation| &operation.name);
        for name in connector.triggers.keys().chain(operations) {
            let path = format!("{}.{name}", connector.name);
            let page = docs(builtin(), &path).unwrap();
            let (_, example) = page.split_once("## Example\n\n").unwrap();
            let problems = problems(example.trim());
            assert!(problems.is_empty(), "{example}\n{problems:#?}");
        }
    }
}

/// A condition on each trigger, and what people do first with it.
#[test]
fn flows_of_every_day() {
    for source in [
        "when stripe.charge_failed where amount > 100 USD do kustomer.create_conversation",
        "when stripe.failed_payment(ignore_payment_intents: true) where amount > 50 EUR do kustomer.create_conversation",
        "when stripe.new_payment where risk_score > 85 do stripe.create_refund(charge: id, reason: \"fraudulent\")",
        "when stripe.checkout_paid where amount_total > any(100 USD, 90 EUR) and customer_email is present \
         do kustomer.create_conversation(name: \"Thank {customer_email}\")",
        "when stripe.new_invoice(when: \"finalized\") where status is \"open\" do kustomer.create_conversation",
        "when stripe.subscription_updated where cancel_at_period_end do { let who = stripe.find_customer(id: customer) \
         if who is present { kustomer.create_conversation(name: \"{who.name else \"Somebody\"} leaves\", \
         customer: \"0f10a0000000000000000001\") } }",
        "when stripe.new_dispute where reason is \"fraudulent\" do { let charge_read = stripe.find_charge(id: charge) \
         require charge_read kustomer.find_or_create_customer(email: require charge_read.customer_email) as payer \
         kustomer.create_conversation(customer: payer.id) }",
        "when stripe.charge_refunded do { for refund in stripe.list_refunds(charge: id) up to 20 { \
         kustomer.create_conversation(name: \"{refund.id}: {refund.amount}\", note: metadata.order) } }",
        "when kustomer.message_received where text contains \"refund\" and conversation is present \
         do kustomer.add_tag(conversation: conversation, tag: \"0f10aa000000000000000001\")",
        "when kustomer.conversation_closed where status_before is \"open\" do kustomer.send_message(conversation: id, text: \"How was it?\")",
        "when stripe.new_customer do stripe.create_payment_link(price: \"price_1\", after_completion_url: \"https://example.com\")",
        "when stripe.new_customer do stripe.create_subscription(price: \"price_1\", trial_period_days: 14, customer: id)",
    ] {
        let problems = problems(source);
        assert!(problems.is_empty(), "{source}\n{problems:#?}");
    }
}

/// The first flow of the documentation, with what the compiler fills in.
#[test]
fn the_first_flow_written_out() {
    let mut compiler = Compiler::new(Settings::default());
    compiler.set("test.flow", "when stripe.charge_failed where amount > 100 do kustomer.create_conversation");
    let compilation = compiler.compile();
    let diagnostics = compilation.diagnostics();
    let problems: Vec<_> = diagnostics.iter().filter(|diagnostic| diagnostic.severity != Severity::Advice).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    let flow = compilation.flows().next().unwrap();
    let calls: Vec<&str> = flow.operations.iter().map(|operation| operation.name.as_str()).collect();
    assert_eq!(
        calls,
        ["kustomer.customer_by_email", "kustomer.post_customer_with_email", "kustomer.post_conversation", "kustomer.add_note"]
    );
    let reads: Vec<&str> = flow.reads.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(reads, ["amount", "customer_email"]);
}
