//! `flowc test` from outside: what passes, what fails, and how it is told.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::support::program::{flowc, project};

const FLOW: &str = r#"flow big_failed_charge "Open a Kustomer conversation"
  when stripe.charge_failed
  where amount > any(100 USD, 90 EUR, 15_000 JPY)
    and customer_email is present
    and failure_code is not "authentication_required"
  do kustomer.create_conversation(
       name: "Payment of {amount} failed: {failure_message else "no reason given"}",
       priority: 3,
     )

"#;

/// Runs the tests of a text beside the flow above; `Err` has the report.
fn tested(tests: &str) -> Result<Value, String> {
    tested_with(FLOW, tests)
}

fn tested_with(flow: &str, tests: &str) -> Result<Value, String> {
    let folder = project(&[("main.flow", &format!("{flow}{tests}"))]);
    let outcome = flowc(folder.path(), &["test", "--format", "json"]);
    let human = || flowc(folder.path(), &["test"]).out;
    match outcome.code {
        0 => Ok(serde_json::from_str(&outcome.out).unwrap()),
        1 if outcome.out.starts_with('{') => Err(human()),
        _ => panic!("{outcome:?}"),
    }
}

#[track_caller]
fn passes(tests: &str) {
    if let Err(report) = tested(tests) {
        panic!("{report}");
    }
}

#[track_caller]
fn fails(tests: &str, with: &str) {
    match tested(tests) {
        Ok(report) => panic!("it passes: {report:#}"),
        Err(report) => assert!(report.contains(with), "`{with}` is not in\n{report}"),
    }
}

#[test]
fn the_tests_of_the_language_pass() {
    passes(
        r#"test "yen are not cents" for flow big_failed_charge {
  given stripe.charge_failed { amount: 5_000 JPY }
  expect no kustomer.create_conversation
}

test "a timeout at Kustomer does not open a second conversation" for flow big_failed_charge {
  given kustomer.create_conversation fails once with timeout_after_effect
  given stripe.charge_failed { amount: 250 USD, customer_email: "a@example.com" } twice
  after 1 hour
  given restart
  expect kustomer.create_conversation once
}
"#,
    );
}

#[test]
fn a_call_that_no_line_expects_fails_the_test_unless_it_may() {
    let given = r#"given stripe.charge_failed { amount: 250 USD, customer_email: "a@example.com" }"#;
    fails(&format!("test \"t\" {{ {given} }}"), "kustomer.create_conversation was called, and no line expects it");
    fails(&format!("test \"t\" {{ {given}\n expect nothing else }}"), "no line expects it");
    passes(&format!("test \"t\" {{ {given}\n expect anything else }}"));
    // What the compiler filled in is not the author's call; it may be expected all the same.
    passes(&format!(
        "test \"t\" {{ {given}\n expect kustomer.create_conversation once\n expect kustomer.find_or_create_customer once }}"
    ));
}

#[test]
fn what_differs_is_shown_with_the_calls_that_were_made() {
    let folder = project(&[(
        "main.flow",
        &format!(
            "{FLOW}test \"the priority\" for flow big_failed_charge {{\n  given stripe.charge_failed {{ amount: 250 USD, customer_email: \"a@example.com\" }}\n  expect kustomer.create_conversation once with {{ priority: 2, note: missing, name: \"x\" }}\n}}\n"
        ),
    )]);
    let outcome = flowc(folder.path(), &["test"]);
    assert_eq!(outcome.code, 1);
    let steady = outcome.out.rsplit_once(" in ").unwrap().0.to_owned();
    insta::assert_snapshot!(steady);
}

#[test]
fn times_are_counted_exactly_and_values_select() {
    let two = r#"given stripe.charge_failed { amount: 250 USD, customer_email: "a@example.com" }
  given stripe.charge_failed { amount: 300 USD, customer_email: "b@example.com" }"#;
    passes(&format!("test \"t\" {{ {two}\n expect kustomer.create_conversation 2 times }}"));
    passes(&format!("test \"t\" {{ {two}\n expect kustomer.create_conversation twice with {{ priority: 3 }} }}"));
    passes(&format!("test \"t\" {{ {two}\n expect kustomer.create_conversation }}"));
    fails(
        &format!("test \"t\" {{ {two}\n expect kustomer.create_conversation once }}"),
        "expected 1 call of kustomer.create_conversation, found 2 calls",
    );
    fails(&format!("test \"t\" {{ {two}\n expect no kustomer.create_conversation }}"), "expected no call");
    fails(
        "test \"t\" { given stripe.charge_failed { amount: 1 USD }\n expect kustomer.create_conversation once }",
        "kustomer.create_conversation was not called",
    );
}

#[test]
fn what_kept_an_event_away_is_told_as_the_daemon_tells_it() {
    let flows = r##"flow big
  when stripe.charge_failed
  where livemode
    and amount > 100 USD
  at most once per 24 hours
  do {
    if description is "skip" { stop because "skipped" }
    if description is "later" { wait 72 hours }
    if description is not "nothing" { kustomer.create_conversation(customer: "c1", name: "x") }
  }

flow daily every day at 09:00 in "Europe/Paris" do kustomer.add_note(conversation: "5f1", text: "x")

"##;
    let given =
        |fields: &str| format!("given stripe.charge_failed {{ livemode: true, customer: \"cus_1\", amount: 200 USD, {fields} }}");
    let once = "expect kustomer.create_conversation once";
    let cases = [
        (
            format!("{}\n {once}", given("amount: 50 USD").replace("amount: 200 USD, ", "")),
            "big did not start for stripe.charge_failed: `amount > 100 USD` does not hold (amount = 50.00 USD), at main.flow:4",
        ),
        (
            format!("{}\n {once}", given("amount: 500 EUR").replace("amount: 200 USD, ", "")),
            "`amount > 100 USD` does not hold: other currency (amount = 500.00 EUR), at main.flow:4",
        ),
        (
            format!(
                "{}\n {}\n expect kustomer.create_conversation twice",
                given("description: \"a\""),
                given("description: \"b\"")
            ),
            "big did not start for stripe.charge_failed: at most 1",
        ),
        (format!("{}\n {once}", given("description: \"skip\"")), "big ran and was stopped: skipped"),
        (
            format!("{}\n {once}", given("description: \"later\"")),
            "big is waiting: waits until 2026-01-08T12:00:00.000Z; `after …` lets time pass",
        ),
        (format!("{}\n {once}", given("description: \"nothing\"")), "big ran and is done, on a way without it"),
        (once.to_owned(), "big did not start: it takes `given stripe.charge_failed { … }`"),
        ("expect kustomer.add_note once".to_owned(), "daily did not start: it takes `after …`, since the clock starts it"),
        ("expect kustomer.create_customer once".to_owned(), "no flow of this test calls kustomer.create_customer"),
        ("expect done".to_owned(), "big did not start: it takes `given stripe.charge_failed { … }`"),
    ];
    for (lines, told) in cases {
        match tested_with(flows, &format!("test \"t\" {{ {lines} }}")) {
            Ok(report) => panic!("it passes: {lines}\n{report:#}"),
            Err(report) => assert!(report.contains(told), "{lines}\n`{told}` is not in\n{report}"),
        }
    }
}

/// A name alone is the state of a lock, as behind `when`; schedules start by the time that passes.
#[test]
fn a_state_is_given_by_its_connection_and_a_schedule_by_time() {
    let flows = r##"flow auto_lock
  when sesame is unlocked for 2 hours
  do sesame.lock

flow opened when sesame becomes unlocked do stripe.create_refund(charge: "ch_1")

flow nightly every day at 22:30 in "Europe/Paris" do kustomer.add_note(conversation: "5f1", text: "x")

"##;
    let tests = r##"test "is" for flow auto_lock {
  given sesame is unlocked
  after 2 hours
  expect sesame.lock once
}

test "becomes" for flow opened {
  given sesame becomes locked at 2026-11-22 22:00 in "Europe/Paris"
  after 2 hours
  given sesame becomes unlocked
  expect stripe.create_refund once
}

test "a schedule" for flow nightly {
  after 3 days
  expect kustomer.add_note 3 times
}
"##;
    if let Err(report) = tested_with(flows, tests) {
        panic!("{report}");
    }
}

#[test]
fn a_death_must_be_expected_with_its_reason() {
    let refused = r#"given kustomer.create_conversation fails with 422
  given stripe.charge_failed { amount: 250 USD, customer_email: "a@example.com" }"#;
    fails(&format!("test \"t\" {{ {refused} }}"), "a run of big_failed_charge died, and no line expects it");
    passes(&format!("test \"t\" {{ {refused}\n expect dead \"422 Unprocessable Entity\" }}"));
    fails(&format!("test \"t\" {{ {refused}\n expect dead \"500\" }}"), "no run is dead because of \"500\"");
    passes(&format!("test \"t\" {{ {refused}\n expect no kustomer.create_conversation\n expect dead }}"));
    fails(&format!("test \"t\" {{ {refused}\n expect done }}"), "no run is done");
}

#[test]
fn faults_follow_the_retry_classes() {
    let given = r#"given stripe.charge_failed { amount: 250 USD, customer_email: "a@example.com" }"#;
    for (fault, works_after) in [("429", true), ("timeout", true), ("503", true), ("no_connection", true), ("400", false)] {
        let tests = format!(
            "test \"t\" {{ given kustomer.create_conversation fails once with {fault}\n {given}\n expect no kustomer.create_conversation\n after 1 hour\n expect kustomer.create_conversation {} {} }}",
            if works_after { "once" } else { "0 times" },
            if works_after { "" } else { "\n expect dead" },
        );
        passes(&tests);
    }
}

#[test]
fn what_a_service_returns_is_what_the_flow_sees() {
    let flow = r##"flow vip
  when stripe.charge_failed
  where customer_email is present
  do {
    let buyer = stripe.find_customer(email: customer_email)
    if buyer is present and buyer.name is "Ada" {
      kustomer.find_or_create_customer(email: customer_email)
    } else {
      stop because "not a VIP: {buyer.name else "nobody"}"
    }
  }

"##;
    let tests = |answer: &str, expect: &str| {
        format!("test \"t\" {{ {answer}\n given stripe.charge_failed {{ customer_email: \"a@example.com\" }}\n {expect} }}")
    };
    let ada = "given stripe.find_customer returns { id: \"cus_1\", name: \"Ada\" }";
    for (answer, expect) in [
        (ada, "expect kustomer.find_or_create_customer once with { email: \"a@example.com\" }"),
        ("given stripe.find_customer returns { name: \"Bob\" }", "expect stopped \"not a VIP: Bob\""),
        ("given stripe.find_customer returns missing", "expect stopped \"nobody\""),
        // A query that may find nothing finds nothing, unless the test says what.
        ("", "expect stopped \"nobody\"\n expect stripe.find_customer once"),
    ] {
        if let Err(report) = tested_with(flow, &tests(answer, expect)) {
            panic!("{answer}\n{report}");
        }
    }
}

/// Also where a query has several forms, and where the call says what the answer is.
#[test]
fn what_a_service_returns_is_seen_by_each_form_of_a_call() {
    let cases = [
        ("stripe.find_customer(id: customer)", "stripe.find_customer", "{ id: \"cus_9\" }", "it.id", "cus_9"),
        ("stripe.find_customer(id: \"cus_1\")", "stripe.find_customer", "{ id: \"cus_9\" }", "it.id", "cus_9"),
        (
            "stripe.find_customer(id: customer, email: customer_email)",
            "stripe.find_customer",
            "{ id: \"cus_9\" }",
            "it.id",
            "cus_9",
        ),
        ("kustomer.find_customer(phone: \"+33123456\")", "kustomer.find_customer", "{ id: \"5\" }", "it.id", "5"),
        ("kustomer.conversation(external_id: id)", "kustomer.conversation", "{ name: \"n\" }", "it.name", "n"),
        ("kustomer.search_customers(text: id)", "kustomer.search_customers", "[{ id: \"7\" }]", "it[0].id", "7"),
        ("http.get(url: \"https://a.example\")", "http.get", "{ body: { a: 7 } }", "it.body.a", "7"),
        ("http.get(url: \"https://a.example\", record: { a: int? })", "http.get", "{ a: 8 }", "it.a", "8"),
        ("http.get(url: \"https://a.example\", record: [{ a: int }])", "http.get", "[{ a: 9 }]", "it[0].a", "9"),
        (
            "ai.extract(text: \"x\", fields: { due: date, sum: money })",
            "ai.extract",
            "{ sum: 7 EUR, due: 2026-11-22 }",
            "it.sum",
            "7.00 EUR",
        ),
        ("ai.classify(text: \"x\", labels: [\"a\", \"b\"])", "ai.classify", "\"b\"", "it", "b"),
    ];
    let (mut flows, mut tests) = (String::new(), String::new());
    for (at, (call, query, value, shown, expected)) in cases.into_iter().enumerate() {
        let shown = shown.replacen("it", "found", 1);
        let _ = write!(
            flows,
            "flow f{at}\n  when stripe.charge_failed\n  do {{\n    let found = {call}\n    stop because \"<{{{shown} else \"missing\"}}>\"\n  }}\n\n"
        );
        let _ = write!(
            tests,
            "test \"{at}\" for flow f{at} {{ given {query} returns {value}\n given stripe.charge_failed {{ customer: \"cus_1\" }}\n expect stopped \"<{expected}>\" }}\n"
        );
    }
    if let Err(report) = tested_with(&flows, &tests) {
        panic!("{report}");
    }
}

#[test]
fn what_is_given_has_options_and_a_list_may_be_one_value() {
    let flows = "flow it\n  when stripe.failed_payment(ignore_payment_intents: true)\n  do email.send(to: \"ada@example.com\", subject: \"s\", text: \"t\")\n\n";
    let tests = "test \"t\" {\n given stripe.failed_payment(ignore_payment_intents: true)\n expect email.send once with { to: \"ada@example.com\" }\n}\n";
    if let Err(report) = tested_with(flows, tests) {
        panic!("{report}");
    }
}

#[test]
fn an_event_can_be_recorded_and_changed() {
    let recorded = r#"{"id":"evt_1","object":"event","type":"charge.failed","created":1700000000,"livemode":true,"api_version":"2026-10-28.endive","data":{"object":{"id":"ch_1","object":"charge","amount":50000,"currency":"jpy","billing_details":{"email":"yen@example.com"},"livemode":true,"created":1700000000,"paid":false,"refunded":false,"captured":false,"amount_captured":0,"amount_refunded":0,"disputed":false,"status":"failed","metadata":{}}}}"#;
    let text = format!(
        "{FLOW}test \"a recorded failure\" {{\n  given stripe.charge_failed from \"fixtures/failed.json\"\n  expect kustomer.create_conversation once with {{ priority: 3, name: \"Payment of 50000 JPY failed: no reason given\" }}\n}}\n\ntest \"changed\" {{\n  given stripe.charge_failed {{ amount: 90 EUR }} from \"fixtures/failed.json\"\n  expect no kustomer.create_conversation\n}}\n"
    );
    let folder = project(&[("flows/main.flow", &text), ("flows/fixtures/failed.json", recorded)]);
    let outcome = flowc(folder.path(), &["test"]);
    assert_eq!(outcome.code, 0, "{}", outcome.out);

    for (file, content, complaint) in [
        ("flows/fixtures/failed.json", "{", "is no JSON"),
        ("flows/fixtures/failed.json", &recorded.replace("charge.failed", "charge.succeeded")[..], "holds `charge.succeeded`"),
    ] {
        std::fs::write(folder.path().join(file), content).unwrap();
        let outcome = flowc(folder.path(), &["test"]);
        assert!(outcome.code == 1 && outcome.out.contains(complaint), "{complaint}: {outcome:?}");
    }
    std::fs::remove_file(folder.path().join("flows/fixtures/failed.json")).unwrap();
    let outcome = flowc(folder.path(), &["test"]);
    assert!(outcome.code == 1 && outcome.out.contains("cannot be read"), "{outcome:?}");
}

#[test]
fn a_file_outside_of_the_project_is_not_read() {
    let outside = project(&[("secret.json", "{}")]);
    let path = outside.path().join("secret.json");
    let text = format!(
        "{FLOW}test \"t\" {{ given stripe.charge_failed from \"../{}\"\n expect no kustomer.create_conversation }}\n",
        "../".repeat(12) + path.to_str().unwrap().trim_start_matches('/')
    );
    let folder = project(&[("main.flow", &text)]);
    let outcome = flowc(folder.path(), &["test"]);
    assert!(outcome.code == 1 && outcome.out.contains("outside of the project"), "{outcome:?}");
}

#[test]
fn lines_stand_in_the_order_of_time() {
    let given = |at: &str| format!("given stripe.charge_failed {{ amount: 1 USD }} at {at} in \"Asia/Tokyo\"");
    passes(&format!("test \"t\" {{ {}\n {} }}", given("2026-11-22 22:05"), given("2026-11-23 06:00")));
    fails(
        &format!("test \"t\" {{ {}\n {} }}", given("2026-11-22 22:05"), given("2026-11-22 22:04")),
        "the lines of a test stand in the order of time",
    );
}

#[test]
fn the_filter_leaves_out_and_no_tests_are_said() {
    let folder = project(&[(
        "main.flow",
        &format!(
            "{FLOW}test \"one\" {{ given stripe.charge_failed {{ amount: 1 USD }} }}\n\ntest \"two\" {{ given stripe.charge_failed {{ amount: 1 USD }} }}\n"
        ),
    )]);
    let outcome = flowc(folder.path(), &["test", "--filter", "tw"]);
    assert!(outcome.code == 0 && outcome.out.contains("1 passed, 0 failed, 1 left out"), "{outcome:?}");
    let folder = project(&[("main.flow", FLOW)]);
    let outcome = flowc(folder.path(), &["test"]);
    assert!(outcome.code == 0 && outcome.err.contains("there are no tests here"), "{outcome:?}");
}

#[test]
fn junit_is_well_formed_whatever_the_titles_are() {
    let folder = project(&[(
        "main.flow",
        &format!(
            "{FLOW}test \"<b>&\\\"'\" {{ given stripe.charge_failed {{ amount: 1 USD }} }}\n\ntest \"fails\" {{ given stripe.charge_failed {{ amount: 1 USD }}\n expect kustomer.create_conversation }}\n"
        ),
    )]);
    let outcome = flowc(folder.path(), &["test", "--format", "junit"]);
    assert_eq!(outcome.code, 1);
    assert!(outcome.out.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"2\" failures=\"1\""));
    assert!(outcome.out.contains("name=\"&lt;b&gt;&amp;&quot;'\""), "{}", outcome.out);
    assert_eq!(outcome.out.matches("<testcase ").count(), 2);
    assert_eq!(outcome.out.matches("<failure ").count(), 1);
}

#[test]
fn mistakes_in_tests_are_told_like_those_in_flows() {
    let cases = [
        "test \"t\" for flow big_failed_charg { expect no kustomer.create_conversation }",
        "test \"t\" { given stripe.charge_faild { amount: 1 USD } }",
        "test \"t\" { given stripe.charge_failed { amuont: 1 USD } }",
        "test \"t\" { given stripe.charge_failed { amount: \"1\" } }",
        "test \"t\" { given stripe.charge_failed { amount: amount } }",
        "test \"t\" { given stripe.charge_failed { livemode: true, livemode: false } }",
        "test \"t\" { given kustomer.create_conversation fails once with timout }",
        "test \"t\" { given kustomer.create_conversation fails once with 200 }",
        "test \"t\" { given stripe.charge_failed }\n\ntest \"u\" { expect kustomer.create_conversation with { prioritty: 3 } }",
        "test \"t\" { expect kustomer.create_conversation with { priority: 9 } }",
        "test \"t\" { expect stripe.charge_failed once }",
        "test \"t\" { expect kustomer.create_conversatoin once }",
        "test \"t\" { given stripe.find_customer returns { nmae: \"x\" } }",
        "test \"t\" { given stripe.charge_failed at 22:05 }",
        "test \"t\" { given stripe.charge_failed at 2026-11-22 22:05 in \"Asia/Tokio\" }",
        "test \"a {title}\" { given stripe.charge_failed }",
    ];
    let mut all = String::new();
    for case in cases {
        let folder = project(&[("main.flow", &format!("{FLOW}{case}\n"))]);
        let outcome = flowc(folder.path(), &["check"]);
        assert_eq!(outcome.code, 1, "{case}\n{}", outcome.err);
        all.push_str(&format!("---- {case}\n{}\n", outcome.err));
    }
    insta::assert_snapshot!(all);
}

/// What comes by listening or from a place that an option names is told apart by its payload, before a wait goes on too.
#[test]
fn a_wait_goes_on_for_a_message_an_item_and_a_file_that_its_options_name() {
    let waiting = |name: &str, awaited: &str, other: &str| {
        format!(
            "flow {name}\n  when stripe.new_customer\n  do {{\n    wait for {awaited} up to 5 minutes\n      else {{ stop because \"nothing\" }}\n    \
             stop because \"it came\"\n  }}\ntest \"{name}\" for flow {name} {{\n  given stripe.new_customer\n  after 1 minute\n  given {other}\n  \
             after 1 minute\n  given {awaited}\n  after 10 minutes\n  expect stopped \"it came\"\n}}\n"
        )
    };
    let never = |name: &str, awaited: &str, other: &str| {
        waiting(name, awaited, other)
            .replace(&format!("  given {awaited}\n"), "")
            .replace("expect stopped \"it came\"", "expect stopped \"nothing\"")
    };
    let message = ("mqtt.message(topic: \"a/+\")", "mqtt.message(topic: \"b/c\")");
    let item = ("rss.new_item(url: \"https://a.example/feed\")", "rss.new_item(url: \"https://b.example/feed\")");
    let file = ("file.changed(path: \"in/*\")", "file.changed(path: \"out/*\")");
    let text: String = [
        waiting("message", message.0, message.1),
        never("no_message", message.0, message.1),
        waiting("item", item.0, item.1),
        never("no_item", item.0, item.1),
        waiting("file", file.0, file.1),
        never("no_file", file.0, file.1),
    ]
    .join("\n");
    let folder = project(&[("main.flow", &text)]);
    let outcome = flowc(folder.path(), &["test"]);
    assert!(outcome.code == 0 && outcome.out.contains("6 passed, 0 failed"), "{text}{outcome:?}");
}

#[test]
fn the_examples_pass_their_tests() {
    let outcome = flowc(Path::new(env!("CARGO_MANIFEST_DIR")), &["test", "examples"]);
    assert_eq!(outcome.code, 0, "{}", outcome.out);
    assert!(!outcome.out.contains("\n0 passed"), "{}", outcome.out);
}
