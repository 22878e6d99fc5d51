//! Whatever comes in, a function gives a value of a bounded size, and gives it soon.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_functions::{ALL, Form, Given, MOST_TEXT, call};
use flow_plan::{Currency, Duration, Function, Money, Value};
use proptest::prelude::*;
use rust_decimal::Decimal;

fn number() -> impl Strategy<Value = Decimal> {
    prop_oneof![
        any::<i64>().prop_map(Decimal::from),
        (any::<i64>(), 0u32..=28).prop_map(|(digits, scale)| Decimal::new(digits, scale)),
        Just(Decimal::MAX),
        Just(Decimal::MIN),
        (-40i64..40).prop_map(Decimal::from),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,12}",
        Just("é".repeat(600_000)),
        Just("a".repeat(MOST_TEXT)),
        Just("Europe/Paris".to_owned()),
        Just("America/New_York".to_owned()),
        Just("usd".to_owned()),
        Just("[".repeat(5_000)),
        Just("YYYY-MM-DD HH:mm:ss.SSS Z z 'x'".to_owned()),
        Just("#,##0.00 CCC".to_owned()),
        "[0#.,' %YMDHhmsaAZz-]{0,10}",
        "[+-]?[0-9.]{0,40}",
    ]
}

fn single() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Missing),
        any::<bool>().prop_map(Value::Bool),
        number().prop_map(Value::Number),
        text().prop_map(Value::text),
        (number(), prop::sample::select(vec!["USD", "JPY", "KWD", "XYZ"]))
            .prop_map(|(amount, code)| Value::Money(Money { amount, currency: Currency::parse(code).unwrap() })),
        prop::sample::select(vec![jiff::civil::Date::MIN, jiff::civil::Date::MAX, jiff::civil::date(2026, 3, 29)])
            .prop_map(Value::Date),
        (0i8..24, 0i8..60).prop_map(|(hour, minute)| Value::Time(jiff::civil::time(hour, minute, 0, 0))),
        prop::sample::select(vec![jiff::Timestamp::MIN, jiff::Timestamp::MAX, jiff::Timestamp::UNIX_EPOCH])
            .prop_map(Value::Instant),
        (any::<i32>(), any::<i32>(), any::<i64>()).prop_map(|(months, days, millis)| Value::Duration(Duration {
            months,
            days,
            millis,
        })),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => single(),
        1 => prop::collection::vec(single(), 0..6).prop_map(|items| Value::List(Arc::new(items))),
        1 => Just(Value::List(Arc::new(vec![Value::Number(Decimal::MAX); 3]))),
        1 => Just(Value::List(Arc::new(vec![Value::text("x".repeat(1000)); 3_000]))),
        1 => prop::collection::btree_map("[a-c]{1,2}", single(), 0..3).prop_map(|fields| {
            Value::Record(Arc::new(fields.into_iter().map(|(name, value)| (Arc::from(name), value)).collect::<BTreeMap<_, _>>()))
        }),
    ]
}

/// Every function that the plan can call.
fn functions() -> Vec<Function> {
    let mut functions: Vec<Function> = ALL
        .iter()
        .filter_map(|spec| match &spec.form {
            Form::Call(function) | Form::Of(function, _) => Some(function.clone()),
            Form::ForEach(_) => None,
        })
        .collect();
    functions.extend([Function::SumMoney, Function::Cut, Function::Minor(BTreeMap::new()), Function::UnixMillis]);
    functions
}

/// How many bytes of text are in a value.
fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::List(items) => items.iter().map(size).sum(),
        Value::Record(fields) => fields.values().map(size).sum(),
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_comes_in_something_of_a_bounded_size_comes_out(args in prop::collection::vec(value(), 0..4)) {
        for function in functions() {
            let result = call(&function, &args);
            // A part of what came in is as long as it came.
            let most = args.iter().map(size).sum::<usize>().max(MOST_TEXT);
            prop_assert!(size(&result) <= most, "{function:?}");
            prop_assert_eq!(call(&function, &args), result, "{:?} is not pure", function);
        }
    }

    #[test]
    fn what_is_missing_gives_what_is_missing(mut args in prop::collection::vec(value(), 1..4), at in any::<prop::sample::Index>()) {
        let at = at.index(args.len());
        args[at] = Value::Missing;
        for function in functions() {
            prop_assert_eq!(call(&function, &args), Value::Missing, "{:?}", function);
        }
    }

    #[test]
    fn rounding_keeps_to_the_nearest(number in -1_000_000_000i64..1_000_000_000, scale in 0u32..8, digits in -6i64..6) {
        let number = Decimal::new(number, scale);
        let to = |function| match call(&function, &[Value::Number(number), Value::Number(Decimal::from(digits))]) {
            Value::Number(rounded) => rounded,
            other => panic!("{other:?}"),
        };
        let (nearest, above, below) = (to(Function::Round), to(Function::RoundUp), to(Function::RoundDown));
        prop_assert!(below <= number && number <= above);
        prop_assert!(nearest == below || nearest == above);
        prop_assert!((nearest - number).abs() <= (above - number).abs().min((number - below).abs()));
        // Each is a multiple of the unit that is asked for.
        let unit = if digits >= 0 { Decimal::new(1, u32::try_from(digits).unwrap()) } else { Decimal::from(10i64.pow(u32::try_from(-digits).unwrap())) };
        prop_assert!((nearest % unit).is_zero() && above - below <= unit);
    }

    #[test]
    fn parts_of_a_text_are_parts_of_it(text in "\\PC{0,12}", from in -15i64..15, to in -15i64..15) {
        let numbers = [from, to].map(|place| Value::Number(Decimal::from(place)));
        let part = call(&Function::Slice, &[Value::text(text.as_str()), numbers[0].clone(), numbers[1].clone()]);
        prop_assert!(text.contains(part.as_text().unwrap()));
        let parts = call(&Function::Split, &[Value::text(text.as_str()), Value::text(" ")]);
        prop_assert_eq!(call(&Function::Join, &[parts, Value::text(" ")]), Value::text(text.as_str()));
    }
}

#[test]
fn what_would_be_too_long_is_missing() {
    let long = Value::text("a".repeat(MOST_TEXT / 2));
    assert_eq!(call(&Function::Replace, &[long.clone(), Value::text("a"), Value::text("bbbb")]), Value::Missing);
    assert_eq!(call(&Function::PercentEncode, &[Value::text("é".repeat(MOST_TEXT / 4))]), Value::Missing);
    assert_eq!(call(&Function::Split, &[long, Value::text("a")]), Value::Missing);
    let numbers = Value::List(Arc::new(vec![Value::Number(Decimal::MAX); 2]));
    assert_eq!(call(&Function::Sum, &[numbers]), Value::Missing);
}

#[test]
fn the_register_is_sound() {
    for (at, spec) in ALL.iter().enumerate() {
        assert!(ALL.iter().skip(at + 1).all(|other| other.name != spec.name), "{} is there twice", spec.name);
        let elsewhere = flow_functions::habit(spec.name);
        let its_own = elsewhere.is_none_or(|habit| habit == flow_functions::Habit::Is(spec.name));
        assert!(its_own, "`{}` is a function, and {elsewhere:?}", spec.name);
        assert!(!spec.brief.ends_with('.') && !spec.brief.is_empty(), "{}", spec.name);
        // Only inputs at the end can be left out: the plan has no holes.
        let left_out = spec.params.iter().map(|param| matches!(param.given, Given::Maybe | Given::Zone));
        assert!(left_out.is_sorted(), "{}", spec.name);
        assert!(spec.params.iter().filter(|param| param.given == Given::Maybe).count() <= 1, "{}", spec.name);
    }
}

#[test]
fn every_habit_leads_to_a_function() {
    for name in
        ["len", "toLowerCase", "SUBSTITUTE", "avg", "floor", "date_diff", "strftime", "md5", "to_json", "SUMIF", "urlencode"]
    {
        match flow_functions::habit(name) {
            Some(flow_functions::Habit::Is(known) | flow_functions::Habit::Like(known, _)) => {
                assert!(flow_functions::find(known).is_some(), "{name} leads to {known}, which there is not");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(flow_functions::habit("amount_of_apples"), None);
}
