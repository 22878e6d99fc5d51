//! Expressions: tables, and what a slow reference says.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_plan::{Arithmetic, Condition, Currency, Duration, Expr, Function, JsonPath, Money, Order, Value};
use flow_runtime::eval::{Nothing, Scope, eval, path_get, test};
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::fixture::{at, path};
use crate::reference::reference;

fn number(text: &str) -> Value {
    Value::Number(text.parse().unwrap())
}

fn money(text: &str) -> Value {
    let (amount, code) = text.split_once(' ').unwrap();
    Value::Money(Money { amount: amount.parse().unwrap(), currency: Currency::parse(code).unwrap() })
}

fn time(text: &str) -> Value {
    Value::Time(text.parse().unwrap())
}

fn c(value: &Value) -> Box<Expr> {
    Box::new(Expr::Const(value.clone()))
}

fn value(expr: &Expr) -> Value {
    eval(expr, &Nothing).unwrap()
}

fn holds(expr: &Expr) -> bool {
    value(expr) == Value::Bool(true)
}

#[test]
fn missing_is_never_equal_and_never_ordered() {
    let (missing, one) = (Value::Missing, number("1"));
    for (left, right) in [(&missing, &missing), (&missing, &one), (&one, &missing)] {
        assert!(!holds(&Expr::Equal(c(left), c(right))));
        assert!(holds(&Expr::Not(Box::new(Expr::Equal(c(left), c(right))))), "`is not` is true");
        for order in [Order::Less, Order::LessEq, Order::Greater, Order::GreaterEq] {
            assert!(!holds(&Expr::Compare(order, c(left), c(right))));
        }
        assert_eq!(value(&Expr::Arithmetic(Arithmetic::Add, c(left), c(right))), Value::Missing);
        assert!(!holds(&Expr::InList(c(left), c(&Value::List(Arc::new(vec![Value::Missing, one.clone()]))))) || *left == one);
    }
    assert!(holds(&Expr::IsEmpty(c(&missing))) && !holds(&Expr::IsPresent(c(&missing))));
    assert_eq!(value(&Expr::Else(c(&missing), c(&one))), one);
    let required = Expr::Require { value: c(&missing), what: "customer_email".to_owned() };
    assert_eq!(eval(&required, &Nothing).unwrap_err().to_string(), "`customer_email` is missing in this event");
    let condition = Condition::Test { text: String::new(), expr: required, reads: vec![] };
    assert!(!test(&condition, &Nothing), "conditions are total");
}

#[test]
fn money_is_exact_and_currencies_are_never_mixed() {
    let minor = |text: &str| value(&Expr::Call(Function::Minor(BTreeMap::new()), vec![Expr::Const(money(text))]));
    assert_eq!(minor("120.50 USD"), number("12050"));
    assert_eq!(minor("5000 JPY"), number("5000"));
    assert_eq!(minor("1.234 KWD"), number("1234"));
    assert_eq!(minor("70 ISK"), number("70"));
    let isk = BTreeMap::from([(Currency::parse("isk").unwrap(), 2)]);
    assert_eq!(value(&Expr::Call(Function::Minor(isk), vec![Expr::Const(money("70 ISK"))])), number("7000"));
    assert_eq!(minor("1.10 USD"), number("110"));
    assert_eq!(minor("0.125 USD"), money("0.125 USD"), "what does not fit is not rounded, and never sent");
    let minor_in = |text: &str, currency: Value| {
        value(&Expr::Call(Function::Minor(BTreeMap::new()), vec![Expr::Const(money(text)), Expr::Const(currency)]))
    };
    assert_eq!(minor_in("1.10 USD", Value::text("usd")), number("110"));
    assert_eq!(minor_in("1.10 USD", Value::text("eur")), money("1.10 USD"));
    assert_eq!(minor_in("1.10 USD", Value::text("")), money("1.10 USD"));
    let compute = |how, left: &str, right: &Value| value(&Expr::Arithmetic(how, c(&money(left)), c(right)));
    assert_eq!(compute(Arithmetic::Add, "0.1 USD", &money("0.2 USD")), money("0.3 USD"));
    assert_eq!(compute(Arithmetic::Add, "1 USD", &money("1 EUR")), Value::Missing);
    assert_eq!(compute(Arithmetic::Divide, "10 USD", &number("3")), money("3.33 USD"));
    assert_eq!(compute(Arithmetic::Divide, "0.25 USD", &number("2")), money("0.12 USD"));
    assert_eq!(compute(Arithmetic::Divide, "100 JPY", &number("8")), money("12 JPY"));
    assert_eq!(compute(Arithmetic::Divide, "1 KWD", &number("3")), money("0.333 KWD"));
    assert_eq!(compute(Arithmetic::Divide, "10 USD", &money("4 USD")), number("2.5"));
    assert_eq!(compute(Arithmetic::Divide, "10 USD", &money("4 EUR")), Value::Missing);
    assert_eq!(compute(Arithmetic::Divide, "10 USD", &number("0")), Value::Missing);
    assert_eq!(compute(Arithmetic::Multiply, "79228162514264337593543950335 USD", &number("10")), Value::Missing);
    assert!(!holds(&Expr::Compare(Order::Greater, c(&money("2 EUR")), c(&money("1 USD")))));
    assert!(!holds(&Expr::Equal(c(&money("1 EUR")), c(&money("1 USD")))));
    assert!(holds(&Expr::Equal(c(&money("1.0 EUR")), c(&money("1.00 EUR")))));
}

#[test]
fn any_and_major_units() {
    let limits: BTreeMap<Currency, Decimal> = [("USD", 100), ("EUR", 90), ("JPY", 15_000)]
        .map(|(code, limit)| (Currency::parse(code).unwrap(), Decimal::from(limit)))
        .into();
    let over = |text: &str| holds(&Expr::CompareAny(Order::Greater, c(&money(text)), limits.clone()));
    assert!(over("100.01 USD") && over("90.5 EUR") && over("15001 JPY"));
    assert!(!over("100 USD") && !over("5000 JPY") && !over("1000000 GBP"), "a currency that is not listed");
    assert!(!holds(&Expr::CompareAny(Order::Less, c(&Value::Missing), limits)));
    let major = |text: &str| holds(&Expr::CompareMajor(Order::Greater, c(&money(text)), c(&number("100"))));
    assert!(major("120.50 USD") && major("5000 JPY") && major("100.001 KWD"));
    assert!(!major("99.99 USD") && !major("100 JPY"));
    assert!(holds(&Expr::CompareMajor(Order::Less, c(&number("100")), c(&money("120.50 USD")))), "either side");
}

#[test]
fn times_of_day_cross_midnight_and_exclude_the_end() {
    let within = |at: &str, low: &str, high: &str| holds(&Expr::InRange(c(&time(at)), c(&time(low)), c(&time(high))));
    assert!(within("23:00", "23:00", "06:00") && within("02:30", "23:00", "06:00"));
    assert!(!within("06:00", "23:00", "06:00") && !within("12:00", "23:00", "06:00"));
    assert!(within("08:00", "08:00", "09:00") && !within("09:00", "08:00", "09:00"));
    let numbers = |at: &str| holds(&Expr::InRange(c(&number(at)), c(&number("1")), c(&number("5"))));
    assert!(numbers("1") && numbers("5") && !numbers("5.01"), "numbers include both ends");
}

#[test]
fn texts_lists_and_patterns() {
    let text = |text: &str| Value::text(text);
    assert!(holds(&Expr::Contains(c(&text("hello")), c(&text("ell")))));
    assert!(
        holds(&Expr::StartsWith(c(&text("hello")), c(&text("he")))) && holds(&Expr::EndsWith(c(&text("hello")), c(&text("lo"))))
    );
    let matches = |pattern: &str| holds(&Expr::Matches(c(&text("order-1234")), pattern.to_owned()));
    assert!(matches("^order-\\d+$") && matches("\\d{4}") && !matches("^\\d"));
    assert!(!matches("("), "what does not compile does not match");
    for number in 0..3000 {
        assert!(!holds(&Expr::Matches(c(&text("x")), format!("^y{number}$"))));
    }
    let list = Value::List(Arc::new(vec![text("a"), text("b")]));
    assert_eq!(value(&Expr::Index(c(&list), c(&number("1")))), text("b"));
    assert_eq!(value(&Expr::Index(c(&list), c(&number("2")))), Value::Missing);
    assert_eq!(value(&Expr::Index(c(&list), c(&number("-1")))), Value::Missing);
    assert_eq!(value(&Expr::Index(c(&list), c(&number("0.5")))), Value::Missing);
    let call = |function, args: &[Value]| value(&Expr::Call(function, args.iter().cloned().map(Expr::Const).collect()));
    assert_eq!(call(Function::First, std::slice::from_ref(&list)), text("a"));
    assert_eq!(call(Function::Length, &[text("né")]), number("2"));
    assert_eq!(call(Function::Cut, &[text("aé"), number("2")]), text("a"));
    assert_eq!(call(Function::Cut, &[text("aé"), number("99")]), text("aé"));
    assert_eq!(call(Function::Base64, &[text("flow")]), text("Zmxvdw=="));
    assert_eq!(call(Function::Hash, &[text("")]), text("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    let instant = Value::Instant(at("2026-11-22T12:00:00.1239Z"));
    assert_eq!(call(Function::Iso, std::slice::from_ref(&instant)), text("2026-11-22T12:00:00.123Z"));
    assert_eq!(call(Function::Unix, std::slice::from_ref(&instant)), number("1795348800"));
    assert_eq!(call(Function::Lower, &[Value::Missing]), Value::Missing);
    let parts = vec![Expr::Const(money("120.5 USD")), Expr::Const(text(" for ")), Expr::Const(number("3.0"))];
    assert_eq!(value(&Expr::Text(parts)), text("120.50 USD for 3"));
}

#[test]
fn instants_dates_and_durations() {
    let (early, late) = (Value::Instant(at("2026-11-22T12:00:00Z")), Value::Instant(at("2026-11-22T13:30:00Z")));
    let compute = |how, left: &Value, right: &Value| value(&Expr::Arithmetic(how, c(left), c(right)));
    let span = Value::Duration(Duration::from_millis(5_400_000));
    assert_eq!(compute(Arithmetic::Subtract, &late, &early), span);
    assert_eq!(compute(Arithmetic::Add, &early, &span), late);
    assert_eq!(compute(Arithmetic::Subtract, &late, &span), early);
    let month = Value::Duration(Duration { months: 1, ..Duration::default() });
    let date = |text: &str| Value::Date(text.parse().unwrap());
    assert_eq!(compute(Arithmetic::Add, &date("2026-01-31"), &month), date("2026-02-28"));
    assert_eq!(
        compute(Arithmetic::Subtract, &date("2026-03-01"), &date("2026-02-01")),
        Value::Duration(Duration { days: 28, ..Duration::default() })
    );
    assert_eq!(compute(Arithmetic::Add, &Value::Instant(jiff::Timestamp::MAX), &span), Value::Missing);
    // A month less a day is a month on, then a day back.
    let mixed = Value::Duration(Duration { months: 1, days: -1, millis: 0 });
    assert_eq!(compute(Arithmetic::Add, &date("2026-01-31"), &mixed), date("2026-02-27"));
    assert_eq!(compute(Arithmetic::Add, &early, &mixed), Value::Instant(at("2026-12-21T12:00:00Z")));
    let shifted = Expr::Call(Function::Shift, vec![Expr::Const(early), Expr::Const(mixed), Expr::Const(Value::text("UTC"))]);
    assert_eq!(value(&shifted), Value::Instant(at("2026-12-21T12:00:00Z")));
}

#[test]
fn paths_into_values() {
    let json = serde_json::from_str(r#"{"a":{"b":[{"c":1},null]},"n":12345678901234567890.123}"#).unwrap();
    let json = Value::from_json(&json);
    assert_eq!(path_get(&json, &path("a.b[0].c")), number("1"));
    assert_eq!(path_get(&json, &path("a.b[1]")), Value::Missing);
    assert_eq!(path_get(&json, &path("a.x.c")), Value::Missing);
    assert_eq!(path_get(&json, &path("n")), number("12345678901234567890.123"));
    assert_eq!(path_get(&json, &JsonPath::default()), json);
}

/// Slots with what the strategy put there.
struct Slots(Vec<Value>);

impl Scope for Slots {
    fn event(&self, slot: u16) -> Value {
        self.0.get(usize::from(slot)).cloned().unwrap_or_default()
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let small = -5i64..5;
    prop_oneof![
        Just(Value::Missing),
        any::<bool>().prop_map(Value::Bool),
        small.clone().prop_map(|n| Value::Number(n.into())),
        "[ab]{0,2}".prop_map(Value::text),
        (small, prop_oneof!["USD", "JPY"])
            .prop_map(|(amount, code)| Value::Money(Money { amount: amount.into(), currency: Currency::parse(&code).unwrap() })),
        (0i8..24).prop_map(|hour| Value::Time(jiff::civil::time(hour, 0, 0, 0))),
        prop::collection::vec("[ab]", 0..3).prop_map(|texts| Value::List(Arc::new(texts.into_iter().map(Value::text).collect()))),
    ]
}

fn any_expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![any_value().prop_map(Expr::Const), (0u16..6).prop_map(Expr::Event)];
    leaf.prop_recursive(5, 40, 3, |inner| {
        let b = || inner.clone().prop_map(Box::new);
        let order = || prop_oneof![Just(Order::Less), Just(Order::LessEq), Just(Order::Greater), Just(Order::GreaterEq)];
        prop_oneof![
            b().prop_map(Expr::Not),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Expr::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Expr::Or),
            (order(), b(), b()).prop_map(|(order, left, right)| Expr::Compare(order, left, right)),
            (order(), b(), b()).prop_map(|(order, left, right)| Expr::CompareMajor(order, left, right)),
            (b(), b()).prop_map(|(left, right)| Expr::Equal(left, right)),
            (b(), prop::collection::vec(inner.clone(), 0..3)).prop_map(|(value, choices)| Expr::OneOf(value, choices)),
            (b(), b()).prop_map(|(value, list)| Expr::InList(value, list)),
            (b(), b(), b()).prop_map(|(value, low, high)| Expr::InRange(value, low, high)),
            b().prop_map(Expr::IsPresent),
            b().prop_map(Expr::IsEmpty),
            (b(), b()).prop_map(|(left, right)| Expr::Contains(left, right)),
            (b(), b()).prop_map(|(left, right)| Expr::Else(left, right)),
            (b(), b()).prop_map(|(left, right)| Expr::Arithmetic(Arithmetic::Add, left, right)),
            b().prop_map(Expr::Negate),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn evaluation_is_what_the_reference_says(expr in any_expr(), slots in prop::collection::vec(any_value(), 6)) {
        let found = eval(&expr, &Slots(slots.clone())).unwrap();
        prop_assert_eq!(found, reference(&expr, &slots).unwrap().unwrap_or_default());
        let test_of = |expr| Condition::Test { text: String::new(), expr, reads: vec![] };
        let condition = Condition::Any(vec![Condition::Not(Box::new(test_of(expr.clone()))), Condition::All(vec![test_of(expr)])]);
        prop_assert_eq!(test(&condition, &Slots(slots.clone())), crate::reference::condition(&condition, &slots).unwrap());
    }
}
