//! Typical mistakes, and what is said about them.
//!
//! Each is reported once, in the words of the language, and a fix that is called safe mends it.

use flow_grammar::{CODES, parse};

use crate::support::{applied, rendered};

/// Mistakes on one line.
const LINES: &[&str] = &[
    "wen stripe.charge_failed do slack.post",
    "if stripe.charge_failed then slack.post",
    "stripe.charge_failed do slack.post",
    "when stripe.charge_failed where amount > do kustomer.create_conversation",
    "when stripe.charge_failed where do kustomer.create_conversation",
    "when stripe.charge_failed where amount > 100 and do kustomer.create",
    "when stripe.charge_failed amount > 100 do kustomer.create",
    "when stripe.charge_failed if amount > 100 do kustomer.create",
    "when stripe.charge_failed wehre amount > 100 do kustomer.create",
    "when stripe.charge_failed where amount > 100 then kustomer.create",
    "when stripe.charge_failed where amount > 100 kustomer.create(a: 1)",
    "when stripe.charge_failed where amount > 100 { kustomer.create(a: 1) }",
    "when stripe.charge_failed where amount > 100",
    "when stripe.charge_failed do",
    "when stripe.charge_failed => slack.post",
    "when stripe.charge_failed where amount = 100 do a.b",
    "when stripe.charge_failed where amount === 100 do a.b",
    "when stripe.charge_failed where amount <> 100 do a.b",
    "when stripe.charge_failed where amount => 100 do a.b",
    "when stripe.charge_failed where amount is greater than 100 do a.b",
    r#"when stripe.charge_failed where country is one of ["FR"] do a.b"#,
    "when stripe.charge_failed where amount equals 100 do a.b",
    "when stripe.charge_failed where email is null do a.b",
    "when stripe.charge_failed where email != null do a.b",
    r#"when stripe.charge_failed where name like "%bob%" do a.b"#,
    "when stripe.charge_failed where amount between 10 and 20 do a.b",
    "when stripe.charge_failed where email exists do a.b",
    "when stripe.charge_failed where amount > $100 do a.b",
    "when stripe.charge_failed where amount > 100€ do a.b",
    "when stripe.charge_failed where amount > 100 usd do a.b",
    "when stripe.charge_failed where amount > 100 dollars do a.b",
    "when stripe.charge_failed where amount > 1.000 do a.b",
    "when stripe.charge_failed where amount > 50,00 do a.b",
    "when stripe.charge_failed where amount > 1,000 do a.b",
    "when stripe.charge_failed where amount > 1.000.000 do a.b",
    "when stripe.charge_failed where amount > 10% do a.b",
    "when a.b where x & y do c.d",
    "when a.b where x ?? y do c.d",
    "when a.b where x?.y do c.d",
    "when a.b where x ? y : z do c.d",
    "when a.b where 1 < x < 5 do c.d",
    "when a.b do c.d; e.f",
    "when a.b do c.d // note",
    "when a.b do c.d, e.f",
    "when a.b do c.d and e.f",
    "when a.b do c.d where x > 5",
    "when a.b do c.d at most once per day",
    "when a.b where x where y do c.d",
    "when a.b 3 times within 1 hour where x do c.d",
    "when a.b do c.d then e.f on error { g.h }",
    r#"when a.b do c.d(text: "hello)"#,
    "when a.b do c.d(text: “hello”)",
    r#"when a.b do c.d(text: "{{ amount }}")"#,
    r#"when a.b do c.d(text: "{{ amount | default("x") }}")"#,
    r#"when a.b do c.d(text: "{amount | round(2)}")"#,
    r#"when a.b do c.d(text: "{}")"#,
    r#"when a.b do c.d(text: "{amount")"#,
    r#"when a.b do c.d(text: "{amount +}")"#,
    r#"when a.b do c.d(text: "{amount:.2f}")"#,
    r#"when a.b do c.d(text: "\d")"#,
    r#"when a.b do c.d(text = "x")"#,
    r#"when a.b do c.d(text: "x" room: "y")"#,
    r#"when a.b do c.d(text: "x""#,
    r#"when a.b do c.d(text: ["x")"#,
    "when a.b do c.d(text: )",
    "when a.b do c.d)",
    "when a.b do c.d(text: {{ amount }})",
    "when a.b do c.d(text: name.toLowerCase())",
    r#"when a.b do c.d(text: "x".upper())"#,
    "when a.b do c.d(for: 1)",
    "when a.b do c.d(x: await f(y))",
    "when a.b do { let in = 5 }",
    "when a.b do { x = 5 }",
    "when a.b do { var x = 5 }",
    "when a.b do { if x > 5 then c.d }",
    "when a.b do { if x > 5: c.d }",
    "when a.b do { if x > 5 c.d }",
    "when a.b do { if x { c.d } elif y { e.f } }",
    r#"when a.b do { match x { "a": c.d } }"#,
    r#"when a.b do { match x { "a" -> c.d } }"#,
    "when a.b do { foreach x in y { c.d } }",
    "when a.b do { for each x in y { c.d } }",
    "when a.b do { for x of y { c.d } }",
    "when a.b do { while x { c.d } }",
    "when a.b do { wait 15 }",
    "when a.b do { wait 00:15:00 }",
    "when a.b do { wait 15 mintues }",
    "when a.b do { sleep 5 }",
    r#"when a.b do { stop "x" }"#,
    "when a.b do { c.d retry(3) }",
    "when a.b do { c.d on error e.f }",
    "when a.b do { try { c.d } }",
    "when a.b do { return",
    "when a.b at most 3 per customer do c.d",
    "when a.b do { stpo }",
    "when a.b do { else { c.d } }",
    "when a.b do { when c.d do e.f }",
    "when: stripe.charge_failed",
    "- trigger: stripe",
    "every day 22:30 do a.b",
    "every day at 9am do a.b",
    "every day at 25:00 do a.b",
    "every 5 do a.b",
    "every day at 9 do a.b",
    r#"test "x" { giv a.b }"#,
    r#"test "x" { expect a.b 3 }"#,
    "connector x { secrt y }",
    "connector x { record Y { id text } }",
    "connector x { query y() -> Z { GET /a } }",
    "when a. do c.d",
    "when a.b where x is do c.d",
    "when a.b where not do c.d",
    "when a.b do do c.d",
    "flow when a.b do c.d",
    "flow do { }",
    "when a.b where is x do c.d",
    "when a.b do { wait(15 minutes) }",
    "when a.b do { case x { } }",
    "when a.b where x > 5 and (y is present do c.d",
    r#"when a.b where tags contains ["a", "b" do c.d"#,
    "when a.b where not email do c.d(x: 1, y: )",
    "when a.b where x > 5 do if y { c.d } else e.f",
    "when a.b where x is present or do c.d",
    "when a.b do c.d as",
    "when a.b do c.d as when",
    "when a.b do { c.d(x: 1) as }",
    "when a.b where x matches pattern do c.d",
    r#"when a.b where amount > 100 USD and currency = "usd" do c.d"#,
    "every weekday at 08:45 13:00 do a.b",
    "every 5 minuts do a.b",
    "when a.b within 00:05:00 do c.d",
    "when a.b 3 times in 1 hour do c.d",
    "when a.b at most once a day do c.d",
    "when a.b once per day per id do c.d",
    "when a.b throttle 10 per minute do c.d",
    "when a.b for 10 minutes do c.d",
    "when front_door is unlocked > 10 minutes do c.d",
    "when no a.b in 6 hours do c.d",
    "connector x { trigger y Z }",
    "connector x { record Y { id: } }",
    "connector x { action y() -> Z { effect once } }",
    r#"connector x { action y() { POST "/x" efect once } }"#,
    r#"connector x { source s { pol GET "/x" } }"#,
    "connector x { query y(a b) { } }",
    "test { given a.b }",
    r#"test "x" for a { }"#,
    r#"test "x" { given a.b { x = 1 } }"#,
    r#"test "x" { expect a.b once with priority: 3 }"#,
    "when a.b do c.d(x: 1, , y: 2)",
    r#"when a.b do c.d(x: "a" "b")"#,
    "when a.b do c.d((1)",
    "when a.b do c.d(x: 1.5.2)",
    "when a.b do c.d(x: 2026-1-2)",
    "when a.b do c.d(x: 'it's')",
    "when a.b do c.d(x: !secret foo)",
    "function foo() { }",
    "import stripe",
    "let x = 5",
    "when a.b, c.d do e.f",
    "when a.b and c.d do e.f",
    // Amounts: never another value than was meant.
    "when a.b where amount > 1,000,000 USD do c.d",
    "when a.b where amount > 1.000,50 EUR do c.d",
    "when a.b where amount > €1.000,50 do c.d",
    "when a.b where amount > $1,000.50 do c.d",
    "when a.b where amount > $1,000 do c.d",
    "when a.b where amount > 1,000 USD do c.d",
    "when a.b where amount > 1.000 EUR do c.d",
    "when a.b where amount > 100.00.00 USD do c.d",
    "when a.b where amount > 1 000 EUR do c.d",
    "when a.b where amount > 1'000 CHF do c.d",
    "when a.b where amount > US$100 do c.d",
    "when a.b where amount > $100 USD do c.d",
    "when a.b where amount > USD 100 do c.d",
    "when a.b where amount > 50,00 EUR do c.d",
    "when a.b do c.d(amount: 1,000 USD)",
    "when a.b do c.d(amount: 1,000,000)",
    "when a.b do c.d(amount: €1.000,50, note: 1)",
    "when a.b where amount > .5 USD do c.d",
    "when a.b where amount > 1k do c.d",
    "when a.b where amount > 1e3 do c.d",
    "when a.b where amount > 10000 cents do c.d",
    // What looks like one thing and is another.
    r#"when a.b where x not contains "a" do c.d"#,
    "when a.b where a > 1, b do c.d",
    r#"when a.b where x in "a", "b" do c.d"#,
    "when a.b where x in 1 to 5 do c.d",
    "when a.b where x in 1...5 do c.d",
    "when a.b do c.d(name: `Hi ${customer_email}`)",
    r#"when a.b do c.d(name: f"Hi {customer_email}")"#,
    "when a.b do c.d(name: Charge failed)",
    r#"when a.b do c.d(name: x default "y")"#,
    r#"when a.b do c.d(name: "x" & y)"#,
    "connector x { limit 100/minute }",
    "connector x { record Y { note?: text } }",
    "when a.b do c.d(x: 1 foo)",
    "when stripe.charge_failed and amount > 100 do c.d",
    "when stripe.charge_failed, amount > 100 do c.d",
    "when a.b where x≠5 do c.d",
    "when a.b where x ?? 5 > 3 and $1,500 do c.d",
    "when a.b where a > 1,b do c.d",
    "when a.b where x doesn't contain \"a\" do c.d",
    "when a.b where amount > 1 500 do c.d",
    "when a.b where amount > $1k do c.d",
    r#"when a.b where x not in "a", "b" do c.d"#,
    r#"when a.b where x contains "a", "b" do c.d"#,
    "when a.b do c.d(text: Hello {name})",
    "when a.b do { match x { \"a\" => c.d default: e.f } }",
    r#"when a.b do c.d(text: "{x else \"y\"} and {z else \"w\"}")"#,
    // Comparisons.
    "when a.b where x ≥ 5 do c.d",
    "when a.b where x ≤ 5 do c.d",
    "when a.b where x ≠ 5 do c.d",
    "when a.b where x > 1 AND y > 2 do c.d",
    "when a.b where x > 1 OR y > 2 do c.d",
    "when a.b where NOT x do c.d",
    r#"when a.b where x does not contain "a" do c.d"#,
    r#"when a.b where x isn't "a" do c.d"#,
    r#"when a.b where x any of ["a"] do c.d"#,
    r#"when a.b where x is any of "a", "b" do c.d"#,
    "when a.b where x at least 5 do c.d",
    "when a.b at least 5 times within 1 hour do c.d",
    "when a.b where x match /x/ do c.d",
    "when a.b where x matches /x/ do c.d",
    r#"when a.b where x starts "a" do c.d"#,
    "when a.b where order.total =< 5 do c.d",
    "when a.b where order.total => 5 do c.d",
    "when a.b where length(x) => 5 do c.d",
    // Names, triggers, blocks.
    "when stripe.charge-failed do c.d",
    r#"when "stripe.charge_failed" do c.d"#,
    "when a.b do: c.d",
    "flow big-charge when a.b do c.d",
    r#"flow "Big charge" when a.b do c.d"#,
    "flow big charge when a.b do c.d",
    "flow 2nd when a.b do c.d",
    "flow big { when a.b do c.d }",
    "flow big: when a.b do c.d",
    r#"when a.b do slack.post text: "x""#,
    "when a.b do { c.d on failure { e.f } }",
    "when a.b do c.d(x: { 'a': 1 })",
    // Arms.
    r#"when a.b do { match x { "a" => c.d  _ => e.f } }"#,
    r#"when a.b do { match x { "a" => c.d  default => e.f } }"#,
    r#"when a.b do { match x { "a" or "b" => c.d } }"#,
    r#"when a.b do { match x { "a", "b" => c.d } }"#,
    // Texts.
    r#"when a.b do c.d(text: "{failure_message else \"x\"}")"#,
    r#"when a.b do c.d(text: "Hi ${name}")"#,
    r#"when a.b do c.d(text: "Hi #{name}")"#,
    r#"when a.b do c.d(text: "Hi <%= name %>")"#,
    // What cannot be seen.
    "when a.b\u{200B} do c.d",
    "when a.b where x\0 > 5 do c.d",
    "when a.b where \u{0430}mount > 5 do c.d",
    "when a.b do c.d(x: \u{202E}y)",
];

/// Mistakes that need several lines.
const FILES: &[&str] = &[
    "flow a\n  when b.c\n  do {\n    if x {\n      d.e\n    f.g\n  }\n\nwhen h.i do j.k\n",
    "flow a\n  when b.c\n  do {\n    d.e(x: 1, y: 2\n    f.g\n  }\n",
    "flow a\n  when b.c\n  do {\n    d.e(x: \"one)\n    f.g(y: \"two\")\n  }\n",
    "flow a\n  when b.c\n  do {\n    d.e\n  }\n}\nwhen f.g do h.i\n",
    "flow a\n  when b.c\n  do {\n    wait for d.e\n      where > 5\n      up to 3 days\n    f.g\n  }\n",
    "flow a\n  when b.c\n  do {\n    match x {\n      \"a\" => d.e\n      \"b\" f.g\n      else => stop\n    }\n  }\n",
    "when a.b do c.d(text: \"\"\"\n  never closed\n)\n\nwhen e.f do g.h\n",
    "connector a \"A\" {\n  secrt token\n  record B {\n    id: id<B>\n    name text\n    when: datetime\n  }\n  action c() {\n    POST \"/c\"\n    effekt once\n  }\n}\n",
    "connector a {\n  source b {\n    poll GET \"/c\" every 5\n    itms \"data\"\n  }\n",
    "test \"a\" {\n  given b.c { x: 1 }\n  exepct d.e once\n  after 5\n}\n",
    "automation:\n  trigger:\n    - platform: state\n",
    "alias: Lock the door\ntrigger:\n  platform: time\n",
    "function lock() {\n  door.lock();\n}\n",
    "flow a\n  when b.c\n  do {\n    let x = d.e(\n      y: 1,\n      z: ,\n    )\n  }\n",
    "when a.b do c.d(x: \"{e # comment\n}\")\n",
    "flow a\n  whn b.c\n  do d.e\n\nwhen f.g do h.i\n",
    "flow a\n  when b.c\n  were x > 5\n  do d.e\n",
    "flow a\n  when b.c\n  do d.e\n  where x > 5\n",
];

#[test]
fn each_mistake_is_explained() {
    let mut out = String::new();
    for source in LINES.iter().chain(FILES) {
        let errors = parse(source).errors;
        assert!(!errors.is_empty(), "{source}");
        out.push_str(&format!("{}\n", "-".repeat(100)));
        if source.contains('\n') {
            out.push_str(source);
            out.push('\n');
        }
        for error in &errors {
            out.push_str(&rendered(source, error));
        }
    }
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(out);
    });
}

/// Forms close to mistakes that are none.
#[test]
fn what_is_right_stays_so() {
    for source in [
        "when a.b where amount > 1.000 KWD do c.d",
        "when a.b where amount > 12.345 BHD do c.d",
        "when a.b where amount > 1_000.50 EUR do c.d",
        "when a.b where x in [1,200,300] do c.d(list: [1.5,200], y: 2)",
        "when a.b do c.d(x: 1,y: 2)",
        "when a.b do c.d(x: round(a,2))",
        r#"when a.b do c.d(text: "100 $ and # and } and < 5 %")"#,
        r#"when a.b do c.d(text: "\u{24}{x} $5 #7 \{x}")"#,
        "when a.b where x - y > 5 do c.d",
        "when a.b where `with blanks` > 5 do c.d",
        "when a.b where AND.x is present do c.d",
    ] {
        let errors = parse(source).errors;
        assert!(errors.is_empty(), "{source}\n{errors:#?}");
    }
}

/// No fix that is called safe changes an amount, and what can be read in two ways has no safe one.
#[test]
fn amounts_keep_their_value() {
    for (source, form) in [
        ("1,000,000 USD", Some("1_000_000 USD")),
        ("1.000,50 EUR", Some("1_000.50 EUR")),
        ("€1.000,50", Some("1_000.50 EUR")),
        ("1.000,50 €", Some("1_000.50 EUR")),
        ("1.000.000,50 EUR", Some("1_000_000.50 EUR")),
        ("1,000.50 USD", Some("1_000.50 USD")),
        ("$100 USD", Some("100 USD")),
        ("USD 100", Some("100 USD")),
        ("EUR 1.000,50", Some("1_000.50 EUR")),
        ("US$100", Some("100 USD")),
        ("CA$100", Some("100 CAD")),
        ("1 000 EUR", Some("1_000 EUR")),
        ("1'000 CHF", Some("1_000 CHF")),
        ("1'000.50 CHF", Some("1_000.50 CHF")),
        ("1,000 USD", None),
        ("1.000 EUR", None),
        ("1.500 EUR", None),
        ("$1,000", None),
        ("$1.000", None),
        ("100.00.00 USD", None),
        ("1,000.00.00 USD", None),
        ("$100 EUR", None),
    ] {
        for text in [format!("when a.b where amount > {source} do c.d"), format!("when a.b do c.d(amount: {source}, n: 1)")] {
            let errors = parse(&text).errors;
            assert_eq!(errors.len(), 1, "{text}\n{errors:#?}");
            let safe: Vec<String> = errors[0].fixes.iter().filter(|fix| fix.safe).map(|fix| applied(&text, fix)).collect();
            match form {
                Some(form) => assert_eq!(safe, [text.replace(source, form)]),
                None => assert!(safe.is_empty(), "{text}\n{safe:?}"),
            }
        }
    }
}

/// One cause, one error.
#[test]
fn each_mistake_is_reported_once() {
    for source in LINES {
        let codes: Vec<&str> = parse(source).errors.iter().map(|error| error.code).collect();
        assert_eq!(codes.len(), 1, "{source}: {codes:?}");
    }
}

/// What is called safe mends the mistake, unless there is another one behind it.
#[test]
fn safe_fixes_mend() {
    let (mut all, mut mended) = (0, 0);
    for source in LINES {
        for error in parse(source).errors {
            for fix in error.fixes.iter().filter(|fix| fix.safe) {
                all += 1;
                let text = applied(source, fix);
                let left = parse(&text).errors;
                if left.is_empty() {
                    mended += 1;
                } else {
                    assert!(left[0].message != error.message, "{source}\n{text}\n{left:#?}");
                }
            }
        }
    }
    assert!(all > 40 && mended * 10 > all * 8, "{mended} of {all}");
}

/// Messages keep the manner: lower case, no full stop, no words of the parser's.
#[test]
fn messages_keep_the_manner() {
    let known: Vec<&str> = CODES.iter().map(|(code, _)| *code).collect();
    let mut seen = std::collections::BTreeSet::new();
    for source in LINES.iter().chain(FILES) {
        for error in parse(source).errors {
            seen.insert(error.code);
            assert!(known.contains(&error.code), "{}", error.code);
            assert!(!error.message.ends_with('.') && !error.message.starts_with(char::is_uppercase), "{}", error.message);
            assert!(error.fixes.len() <= 3);
            assert!(!error.label.is_empty(), "{}", error.message);
            for word in ["only_", "EOI", "token", "parse", "rule", "_line"] {
                let text = format!("{} {} {}", error.message, error.label, error.help.as_deref().unwrap_or(""));
                assert!(!text.contains(word) || source.contains(word), "{text}");
            }
        }
    }
    let unseen: Vec<&&str> = known.iter().filter(|code| !seen.contains(**code) && **code != "E106").collect();
    assert!(unseen.is_empty(), "no mistake shows {unseen:?}");
}
