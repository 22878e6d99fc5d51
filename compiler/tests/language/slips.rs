//! What is said to somebody who knows another tool: one cause, one diagnostic, with the form to write.

use std::fmt::Write as _;

use flow_compiler::Diagnostic;

use super::compile;

/// Programs with one slip each.
const SLIPS: &[&str] = &[
    // What stands behind the slip is not said as well.
    r#"when stripe.charge_failed do { match failure_code { "a" -> stop else -> stop } }"#,
    r#"when stripe.charge_failed do { match failure_code { "a": stop } }"#,
    r#"when stripe.charge_failed do { match failure_code { "a" => stop default => stop } }"#,
    r#"when stripe.charge_failed do { match failure_code { "a" => stop _ => stop } }"#,
    r#"when kustomer.message_received do { let i = ai.classify(text: text, labels: ["refund", "bug"]) match i { "refund" => stop "bugs" => stop } }"#,
    r##"when stripe.charge_failed do { if livemode { stop "no" } slack.post_message(channel: "#ops", text: "x") }"##,
    r##"when flow.died do slack.post_message(channel: "#ops", text: "{flow}")"##,
    // Values.
    r#"when stripe.charge_failed where card_country is "FR" or "DE" do report.send"#,
    r#"when stripe.charge_failed where card_country is "FR" or "DE" or "IT" do report.send"#,
    r#"when stripe.charge_failed where card_country is not "FR" or "DE" do report.send"#,
    r#"when stripe.charge_failed where amount > 100 USD or 90 EUR do report.send"#,
    r#"when stripe.charge_failed where description contains "a" or "b" do report.send"#,
    r#"when kustomer.message_received do { wait for stripe.invoice_paid where customer is event.id up to 3 days report.send }"#,
    r#"when stripe.invoice_payment_failed do { wait for stripe.invoice_paid where invoice.id is event.id up to 3 days report.send }"#,
    r#"when stripe.charge_failed do { wait until 2026-12-24 report.send }"#,
    r##"when stripe.charge_failed do slack.post_message(channel: "#a", text: "{amount + 2 EUR}")"##,
    r#"when stripe.charge_failed do kustomer.create_conversation(customer: "5f1", subject: "x")"#,
    // Names of one letter are no slips of one another.
    "flow b when stripe.charge_failed do report.send\ntest \"x\" for flow c { given stripe.charge_failed expect report.send once }",
];

#[test]
fn each_slip_is_said_once() {
    let mut text = String::new();
    for source in SLIPS {
        let compilation = compile(&[("slip.flow", source)]);
        let said: Vec<Diagnostic> = compilation.diagnostics().into_iter().filter(|one| &*one.file == "slip.flow").collect();
        assert_eq!(said.iter().filter(|one| one.is_error()).count(), 1, "{source}\n{said:#?}");
        writeln!(text, "{source}\n").unwrap();
        for one in said.iter().filter(|one| one.is_error()) {
            writeln!(text, "{}: {}\n  > {}  -- {}", one.code, one.message, one.span.text(source), one.label).unwrap();
            if let Some(help) = &one.help {
                writeln!(text, "  = {help}").unwrap();
            }
            for fix in &one.fixes {
                writeln!(text, "  = {}: {}", if fix.safe { "fix" } else { "fix?" }, fix.title).unwrap();
                let mut edits = fix.edits.clone();
                edits.sort_by_key(|edit| std::cmp::Reverse(edit.span.start));
                let mut mended = (*source).to_owned();
                for edit in edits {
                    mended.replace_range(edit.span.range(), &edit.text);
                }
                let left: Vec<String> = compile(&[("slip.flow", &mended)]).errors().map(|one| one.message.clone()).collect();
                assert!(!fix.safe || !left.contains(&one.message), "{mended}: {left:?}");
            }
        }
        text.push_str("────\n");
    }
    insta::assert_snapshot!("slips", text);
}

/// A flow that cannot be read is one nevertheless, and the end of one is none.
#[test]
fn broken_flows_are_counted() {
    for (source, flows) in [
        ("when stripe.charge_failed where amount > do report.send", 1),
        ("every 9:00 do report.send\n\nwhen stripe.charge_failed do report.send", 2),
        ("daily at 09:00 do report.send", 1),
        ("when stripe.charge_failed do report.send )", 1),
        ("test { given restart }", 0),
        ("connector { }", 0),
    ] {
        let compilation = compile(&[("slip.flow", source)]);
        assert_eq!(compilation.units["slip.flow"].flow_count, flows, "{source}");
    }
}
