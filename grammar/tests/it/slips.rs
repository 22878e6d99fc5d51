//! Slips of people who come from another tool, and what is said about them.

use flow_grammar::parse;

use crate::support::{applied, rendered};

/// One slip each.
const SLIPS: &[&str] = &[
    "every 9:00 do a.b",
    "every 18:30 do a.b",
    "every day at 10:30pm do a.b",
    "every night at 10:30pm do a.b",
    "every day at 9:00 except sunday do a.b",
    "every weekday at 9:00 except mondays and fri do a.b",
    "every day at 9:00 except the last do a.b",
    "daily at 09:00 do a.b",
    "flow f hourly do a.b",
    "every last day of month at 18:00 do a.b",
    "every first monday of the month at 18:00 do a.b",
    "every day at 09:00 Europe/Paris do a.b",
    "every day at 09:00 in Paris do a.b",
    "every day at 09:00 in America/Argentina/Salta do a.b",
    "every day at 9:00 when stripe.charge_failed do a.b",
    "when a stripe charge fails do a.b",
    "when stripe charge failed do a.b",
    "when front_door is unlocked 10 minutes do a.b",
    "when front_door changed do a.b",
    "when tank.valve changed\nwhere x do a.b",
    "when no stripe.new_payment 6 hours do a.b",
    "when stripe.charge_failed 6 hours do a.b",
    "every day at 09:00 missed latest 12 hours do a.b",
    "when stripe.charge_failed once per id for 30 days do a.b",
    "when stripe.charge_failed one per customer do a.b",
    "when stripe.charge_failed one per day do a.b",
    "when stripe.charge_failed at most 1x per day do a.b",
    "when stripe.charge_failed at most 3x per day do a.b",
    "when stripe.charge_failed max 3 per day do a.b",
    "when stripe.charge_failed limit 5 per hour do a.b",
    "when stripe.charge_failed 3 times within hour do a.b",
    "when stripe.charge_failed do a.b retry 6x",
    "when stripe.charge_failed do a.b retry over 2 hours",
    "when stripe.charge_failed do a.b retry over 2 hours 6 times",
    "when stripe.charge_failed do a.b retry 6 times in 2 hours",
    "when stripe.charge_failed do a.b retry never",
    "when stripe.charge_failed do a.b retry forever",
    "when stripe.new_dispute do { for r in stripe.list_refunds(charge: charge) max 20 { a.b } }",
    "when stripe.new_dispute do { for r in stripe.list_refunds(charge: charge) at most 20 { a.b } }",
    r#"when stripe.charge_failed where country is "FR" or is "DE" do a.b"#,
    r#"when stripe.charge_failed where country is "FR" or is "DE" or is "IT" do a.b"#,
    "when stripe.charge_failed where amount > 5 USD and < 10 USD do a.b",
    "when stripe.charge_failed where email contains @example.com do a.b",
    r##"when stripe.charge_failed do slack.post_message(channel: "#ops, text: "x")"##,
    "when a.b do { let d = 3 days wait d stop }",
    "when a.b do { wait until monday at 09:00 stop }",
    "when a.b do { wait for c.d or e.f up to 3 days stop }",
    "when a.b do { wait for c.d where id is event.id up to 3 days as m stop }",
    "when a.b do { wait for c.d up to week stop }",
    "when a.b do { wait hour stop }",
    "when a.b do { do c.d(x: 1) }",
    "when a.b do {\n  do c.d(x: 1)\n  do e.f\n}",
    "test \"x\" {\n  given a.b { amount: 500 USD\n  expect c.d once\n}",
    "test \"x\" { given a.b { amount: 500 USD expect c.d once }",
];

#[test]
fn each_slip_is_explained() {
    let mut out = String::new();
    for source in SLIPS {
        let errors = parse(source).errors;
        assert_eq!(errors.len(), 1, "{source}\n{errors:#?}");
        out.push_str(&format!("{source}\n\n"));
        for error in &errors {
            out.push_str(&rendered(source, error));
            for fix in error.fixes.iter().filter(|fix| fix.safe) {
                let mended = applied(source, fix);
                assert!(parse(&mended).errors.is_empty(), "{mended}\n{:#?}", parse(&mended).errors);
            }
        }
        out.push_str("\n────\n");
    }
    insta::assert_snapshot!("slips", out);
}
