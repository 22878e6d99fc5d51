//! Slips of people who come from another tool, and what is said about them.

use flow_grammar::parse;

use crate::support::{applied, rendered};

/// One slip each.
const SLIPS: &[&str] = &[
    "when every 5 minutes do a.b",
    "flow f\n  when every 5 minutes\n  do a.b",
    "flow f when every weekday at 9am do a.b",
    "flow f when every month on last day at 18:00 do a.b",
    "flow f \"Title\" when every day at 9:00 in \"Europe/Paris\" do a.b",
    "when at 9:00 do a.b",
    "flow f when at 9:00 do a.b",
    "when at 9am and 6:30 pm in \"Europe/Paris\" do a.b",
    "when 9:00 do a.b",
    "when daily at 9:00 do a.b",
    "when monday at 9:00 do a.b",
    "when on monday, tuesday at 9 am do a.b",
    "when each day at 9:00 do a.b",
    "when on weekdays do a.b",
    "when at sunset do a.b",
    "when it is 5 minutes later do a.b",
    "when 5 minutes passed do a.b",
    "when cron \"*/5 * * * *\" do a.b",
    "when schedule \"0 9 * * *\" do a.b",
    "flow f\n  at 9:00\n  do a.b",
    "flow f on sundays at noon do a.b",
    "on monday at 9:00 do a.b",
    "at midnight do a.b",
    "when room.temperature is above 20 do a.b",
    "when room.temperature > 20 do a.b",
    "when room.temperature goes below 5.5 do a.b",
    "when room.temperature is greater than 20 do a.b",
    "when stripe.charge_failed exceeds 100 USD do a.b",
    "when a.b where status becomes \"open\" do a.b",
    "when a.b where amount rises above 100 USD do a.b",
    "when a.b do c.d(data: { when: id, x: 1 })",
    "when a.b do { c.d(data: { if: id }) }",
    "test \"t\" { given a.b { when: 1 }\n expect c.d }",
    "when door changes from locked to unlocked do a.b",
    "when a.b after sunset do c.d",
    "when a.b after 22:00 do c.d",
    "when a.b before 8:00 do c.d",
    "when a.b between 22:00 and 6:00 do c.d",
    "when http.get(url: \"x\").status is 200 do c.d",
    "when a.b where description.toLowerCase().includes(\"test\") do c.d",
    "when a.b do await c.d(x: 1)",
    "when a.b do { wait 10m; c.d; e.f; }",
    "when a.b where $json.body.type is \"x\" do c.d",
    "when a.b do c.d(x: $amount)",
    "every day at 8:00 and 20:00 on weekdays do a.b",
    "every day at 8:00 on monday and friday do a.b",
    "every day at 09:00 unless it is a holiday do a.b",
    "every day at 09:00 unless paused do a.b",
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
