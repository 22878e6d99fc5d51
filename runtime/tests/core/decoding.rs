//! Payloads: the scan that takes out what is wanted, and the shapes that read it.

use std::collections::BTreeMap;

use flow_plan::{Currency, Expr, FieldShape, FieldSource, MoneyUnit, Shape, TimeFormat, Value, Writing};
use flow_runtime::decode::{Root, decode, decode_field, decode_record};
use flow_runtime::eval::path_get;
use flow_runtime::scan::{PathSet, ScanError};
use proptest::prelude::*;

use crate::fixture::{at, field, path};

fn json(text: &str) -> Value {
    Value::from_json(&serde_json::from_str(text).unwrap())
}

fn misfit(shape: &Shape, text: &str) -> String {
    decode(shape, &json(text)).unwrap_err().to_string()
}

#[test]
fn simple_shapes() {
    let reads = |shape: &Shape, text: &str| decode(shape, &json(text)).unwrap();
    assert_eq!(reads(&Shape::Token, "\"\""), Value::Missing);
    assert_eq!(reads(&Shape::Text, "\"\""), Value::text(""));
    assert_eq!(reads(&Shape::Token, "4711"), Value::text("4711"));
    assert_eq!(reads(&Shape::Integer, "12.0"), json("12"));
    assert_eq!(reads(&Shape::Integer, "\"12\""), json("12"));
    assert_eq!(reads(&Shape::Number, "1.5e3"), json("1500"));
    assert_eq!(reads(&Shape::Bool, "null"), Value::Missing);
    assert_eq!(misfit(&Shape::Integer, "12.5"), "expected a whole number, found a number with decimals");
    assert_eq!(misfit(&Shape::Text, "5"), "expected text, found a number");
    assert_eq!(misfit(&Shape::Bool, "\"true\""), "expected true or false, found text");
    assert_eq!(misfit(&Shape::List(Box::new(Shape::Integer)), "[1, \"x\"]"), "[1]: expected a whole number, found text");
    assert_eq!(misfit(&Shape::List(Box::new(Shape::Integer)), "1"), "expected a list, found a number");
    let closed = Shape::Enum { members: vec!["a".to_owned(), "b".to_owned()], open: false };
    assert_eq!(misfit(&closed, "\"c\""), "expected one of a, b, found another text");
    assert_eq!(reads(&Shape::Enum { members: vec![], open: true }, "\"new\""), Value::text("new"));
    assert_eq!(reads(&Shape::Map(Box::new(Shape::Text)), "{\"k\":\"v\"}").field("k"), Value::text("v"));
    assert_eq!(misfit(&Shape::Map(Box::new(Shape::Text)), "{\"k\":1}"), "k: expected text, found a number");
}

/// As a required field, an item of a list is something, unless the list says otherwise.
#[test]
fn items_are_something() {
    let list = |shape| Shape::List(Box::new(shape));
    let thing = Shape::Record(vec![field("n", Shape::Integer, true)]);
    for (shape, text, wanted) in [
        (list(Shape::Text), r#"["a", null]"#, "[1]: expected text, found nothing"),
        (list(Shape::Token), r#"["", "a"]"#, "[0]: expected text, found nothing"),
        (list(Shape::Integer), "[1, null, 2]", "[1]: expected a whole number, found nothing"),
        (list(Shape::Bool), "[null]", "[0]: expected true or false, found nothing"),
        (list(Shape::Instant(TimeFormat::Unix)), "[0, null]", "[1]: expected an instant, found nothing"),
        (list(Shape::Enum { members: vec!["a".to_owned()], open: true }), "[null]", "[0]: expected text, found nothing"),
        (list(list(Shape::Text)), "[[], [null]]", "[1][0]: expected text, found nothing"),
        (list(list(Shape::Text)), "[null]", "[0]: expected a list, found nothing"),
        (list(Shape::Optional(Box::new(Shape::Integer))), r#"[null, "x"]"#, "[1]: expected a whole number, found text"),
        (list(thing.clone()), r#"[{"n": 1}, null]"#, "[1]: expected a record, found nothing"),
        (Shape::Commas(Box::new(Shape::Text)), r#"["a", null]"#, "[1]: expected text, found nothing"),
        (
            Shape::Record(vec![field("l", list(thing.clone()), true)]),
            r#"{"l": [null]}"#,
            "l[0]: expected a record, found nothing",
        ),
    ] {
        assert_eq!(misfit(&shape, text), wanted, "{text}");
    }
    let items = |shape: Shape, text: &str| match decode(&list(shape), &json(text)) {
        Ok(Value::List(items)) => items.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(items(Shape::Optional(Box::new(Shape::Text)), r#"["a", null]"#), 2);
    assert_eq!(items(Shape::Json, "[1, null]"), 2);
    assert_eq!(items(thing, "[{}, {\"n\": null}]"), 2);
}

#[test]
fn instants_in_all_formats() {
    let expected = Value::Instant(at("2026-11-22T12:00:00Z"));
    let reads = |format, text: &str| decode(&Shape::Instant(format), &json(text));
    assert_eq!(reads(TimeFormat::Unix, "1795348800").as_ref(), Ok(&expected));
    assert_eq!(reads(TimeFormat::Unix, "\"1795348800\"").as_ref(), Ok(&expected));
    assert_eq!(reads(TimeFormat::UnixMillis, "1795348800000").as_ref(), Ok(&expected));
    assert_eq!(reads(TimeFormat::UnixAuto, "1795348800").as_ref(), Ok(&expected));
    assert_eq!(reads(TimeFormat::UnixAuto, "1795348800000").as_ref(), Ok(&expected));
    assert_eq!(reads(TimeFormat::Iso, "\"2026-11-22T13:00:00+01:00\"").as_ref(), Ok(&expected));
    assert_eq!(reads(TimeFormat::UnixMicros, "1795348800000000").as_ref(), Ok(&expected));
    assert_eq!(reads(TimeFormat::Rfc2822, "\"Sun, 22 Nov 2026 12:00:00 +0000\"").as_ref(), Ok(&expected));
    assert!(reads(TimeFormat::Iso, "\"yesterday\"").is_err());
    assert!(reads(TimeFormat::Unix, "99999999999999999999").is_err());
    assert_eq!(decode(&Shape::Date, &json("\"2026-11-22\"")), Ok(Value::Date("2026-11-22".parse().unwrap())));
}

#[test]
fn money_from_two_places() {
    let shape = |unit, exponents: &[(&str, u8)]| {
        let exponents: BTreeMap<_, _> = exponents.iter().map(|(code, at)| (Currency::parse(code).unwrap(), *at)).collect();
        Shape::Record(vec![FieldShape {
            name: "total".to_owned(),
            from: Vec::new(),
            shape: Shape::Money { amount: path("cents"), currency: path("in.code"), instead: Vec::new(), unit, exponents },
            optional: true,
            personal: false,
            default: None,
        }])
    };
    let reads = |shape: &Shape, text: &str| decode(shape, &json(text)).map(|record| record.field("total").to_string());
    let minor = shape(MoneyUnit::Minor, &[("isk", 2)]);
    for (cents, code, shown) in [
        ("12050", "usd", "120.50 USD"),
        ("5000", "JPY", "5000 JPY"),
        ("1234", "kwd", "1.234 KWD"),
        ("7000", "isk", "70 ISK"),
        ("-5", "eur", "-0.05 EUR"),
        ("\"250\"", "eur", "2.50 EUR"),
    ] {
        let text = format!(r#"{{"cents":{cents},"in":{{"code":"{code}"}}}}"#);
        assert_eq!(reads(&minor, &text), Ok(shown.to_owned()));
    }
    let decimal = shape(MoneyUnit::Decimal, &[]);
    assert_eq!(reads(&decimal, r#"{"cents":"19.90","in":{"code":"EUR"}}"#), Ok("19.90 EUR".to_owned()));
    assert_eq!(reads(&minor, r#"{"in":{"code":"EUR"}}"#), Ok(String::new()));
    let error = |text: &str| reads(&minor, text).unwrap_err().to_string();
    assert_eq!(error(r#"{"cents":5}"#), "total: expected money, found an amount without a currency");
    assert_eq!(error(r#"{"cents":5,"in":{"code":"euros"}}"#), "total: expected a currency, found another text");
    assert_eq!(
        error(r#"{"cents":5.5,"in":{"code":"eur"}}"#),
        "total: expected a whole number of minor units, found a number with decimals"
    );
    assert_eq!(
        error(r#"{"cents":500,"in":{"code":"xqz"}}"#),
        "total: expected a currency whose decimals are known, found another one"
    );
    assert_eq!(reads(&decimal, r#"{"cents":"19.90","in":{"code":"xqz"}}"#), Ok("19.90 XQZ".to_owned()));
    assert_eq!(reads(&minor, r#"{"cents":500,"in":{"code":"hrk"}}"#), Ok("5.00 HRK".to_owned()));
    assert_eq!(error(r#"{"cents":79228162514264337593543950336,"in":{"code":"eur"}}"#), "total: expected money, found text");
}

#[test]
fn money_from_the_first_place_with_an_amount() {
    let instead = vec![(path("old.amount"), path("old.currency"))];
    let shape = Shape::Money {
        amount: path("amount"),
        currency: path("currency"),
        instead,
        unit: MoneyUnit::Minor,
        exponents: BTreeMap::new(),
    };
    let reads = |text: &str| decode(&shape, &json(text)).map(|value| value.to_string());
    assert_eq!(reads(r#"{"amount":100,"currency":"usd","old":{"amount":5,"currency":"eur"}}"#), Ok("1.00 USD".to_owned()));
    assert_eq!(reads(r#"{"amount":null,"currency":"usd","old":{"amount":5,"currency":"eur"}}"#), Ok("0.05 EUR".to_owned()));
    assert_eq!(reads(r#"{"currency":"usd"}"#), Ok(String::new()));
    // A place with an amount that does not fit is not passed over for another.
    assert!(reads(r#"{"amount":"x","currency":"usd","old":{"amount":5,"currency":"eur"}}"#).is_err());
}

/// Fields from beside the record are there in an event, and nowhere else.
#[test]
fn fields_of_the_whole_payload() {
    let field = FieldShape {
        name: "before".to_owned(),
        from: vec![
            FieldSource { of_event: true, ..FieldSource::at(path("data.previous.status")) },
            FieldSource::at(path("before")),
        ],
        shape: Shape::Text,
        optional: true,
        personal: false,
        default: None,
    };
    let event = json(r#"{"data":{"previous":{"status":"old"},"object":{"data":{"previous":{"status":"wrong"}}}}}"#);
    let object = path_get(&event, &path("data.object"));
    let read = decode_field(&field, &|root, at| match root {
        Root::Record => path_get(&object, at),
        Root::Event => path_get(&event, at),
    });
    assert_eq!(read.unwrap().to_string(), "old");
    let alone = decode_record(std::slice::from_ref(&field), &json(r#"{"before":"read"}"#)).unwrap();
    assert_eq!(alone.field("before").to_string(), "read");
    assert!(decode_record(&[field], &object).unwrap().field("before").is_missing());
}

#[test]
fn alternatives_in_order_with_conditions() {
    let kind_is = |kind: &str| Expr::Equal(Box::new(Expr::Answer(path("object"))), Box::new(Expr::Const(Value::text(kind))));
    let from = vec![
        FieldSource { when: Some(kind_is("charge")), ..FieldSource::at(path("id")) },
        FieldSource::at(path("charge.id")),
        FieldSource::at(path("charges[0]")),
    ];
    let charge = FieldShape { from, ..field("charge", Shape::Token, false) };
    let reads =
        |text: &str| decode_record(std::slice::from_ref(&charge), &json(text)).map(|record| record.field("charge").to_string());
    assert_eq!(reads(r#"{"object":"charge","id":"ch_1","charge":{"id":"x"}}"#), Ok("ch_1".to_owned()));
    assert_eq!(reads(r#"{"object":"intent","id":"pi_1","charge":{"id":"ch_2"}}"#), Ok("ch_2".to_owned()));
    assert_eq!(reads(r#"{"object":"intent","id":"pi_1","charge":{"id":""},"charges":["ch_3"]}"#), Ok("ch_3".to_owned()));
    assert_eq!(reads(r#"{"object":"intent","charge":null}"#).unwrap_err().to_string(), "charge: expected text, found nothing");
}

#[test]
fn the_scan_takes_out_what_is_wanted_and_validates_the_rest() {
    let mut paths = PathSet::default();
    let whole = paths.insert(&path("data.object"));
    let amount = paths.insert(&path("data.object.amount"));
    let second = paths.insert(&path("items[1].id"));
    let root = paths.insert(&path(""));
    assert_eq!(paths.insert(&path("data.object")), whole);
    let text = r#"{"items":[{"id":1},{"id":2},{"id":3}],"data":{"object":{"amount":12050.10,"other":[1,{"a":"\u00e9\"}"}]}}}"#;
    let scanned = paths.scan(text.as_bytes()).unwrap();
    assert_eq!(scanned.value(amount), json("12050.10"));
    assert_eq!(scanned.value(second), json("2"));
    assert_eq!(scanned.value(whole), path_get(&json(text), &path("data.object")));
    assert_eq!(scanned.value(root), json(text));
    assert_eq!(scanned.raw(amount), Some("12050.10"));
    for broken in [
        "",
        "{",
        "[1,]",
        "{\"data\":{\"object\":{\"amount\":1}}} x",
        "{\"a\":tru}",
        "nul",
        "{\"data\":{\"object\":{\"amount\":01}}}",
    ] {
        assert!(matches!(paths.scan(broken.as_bytes()), Err(ScanError::Syntax { .. })), "{broken}");
    }
    assert_eq!(paths.scan(b"\"\xff\"").unwrap_err(), ScanError::Encoding);
    let bomb = "[".repeat(1_000_000);
    assert_eq!(paths.scan(bomb.as_bytes()).unwrap_err(), ScanError::Depth);
    assert!(paths.scan(format!("\"{bomb}\"").as_bytes()).is_ok(), "brackets in a text are none");
}

#[test]
fn of_a_key_that_comes_twice_the_last_wins() {
    let mut paths = PathSet::default();
    let (a, b) = (paths.insert(&path("x.a")), paths.insert(&path("x.b")));
    let scanned = paths.scan(br#"{"x":{"a":1,"b":2},"x":{"b":3,"b":4}}"#).unwrap();
    assert_eq!((scanned.value(a), scanned.value(b)), (Value::Missing, json("4")));
    let scanned = paths.scan(br#"{"x":{"a":1},"x":null}"#).unwrap();
    assert_eq!(scanned.value(a), Value::Missing);
}

/// Services cut texts, and with them characters in two.
#[test]
fn half_a_character_costs_no_field_and_no_event() {
    let mut paths = PathSet::default();
    let (preview, whole) = (paths.insert(&path("data.preview")), paths.insert(&path("data")));
    let scanned = paths.scan(br#"{"data":{"preview":"Hello \ud83d"},"other":"\ude00"}"#).unwrap();
    assert_eq!(scanned.value(preview), Value::text("Hello \u{FFFD}"));
    assert_eq!(scanned.value(whole), Value::record([("preview".into(), Value::text("Hello \u{FFFD}"))]));
}

/// By its grammar a name may have such a half as well, and the event is as good as any.
#[test]
fn half_a_character_in_a_key_costs_no_event() {
    let mut paths = PathSet::default();
    let (amount, whole, odd) =
        (paths.insert(&path("data.amount")), paths.insert(&path("data")), paths.insert(&path("data.\u{FFFD}")));
    let text = br#"{"\ud800":{"\udc00x":[1]},"data":{"amount":5,"\ud83d":1,"\udfff":2,"am\u006funt":7}}"#;
    let scanned = paths.scan(text).unwrap();
    assert_eq!(scanned.value(amount), json("7"), "the last of a key wins, however it is written");
    assert_eq!(scanned.value(odd), json("2"), "halves are all one character, so the last of them wins");
    assert_eq!(scanned.value(whole), json("{\"amount\":7,\"\u{FFFD}\":2}"));
}

/// What would hurt if the time grew with more than the size: keys without end, the same key again and again, depth.
#[test]
fn hostile_payloads_are_read_or_refused() {
    let mut paths = PathSet::default();
    let leaves: Vec<_> = (0..200).map(|number| paths.insert(&path(&format!("data.object.f{number}.g")))).collect();
    let keys: String = (0..150_000).map(|number| format!("\"k{number}\":0,")).collect();
    let text = format!("{{{keys}\"data\":{{\"object\":{{\"f7\":{{\"g\":1}}}}}}}}");
    let scanned = paths.scan(text.as_bytes()).unwrap();
    assert_eq!(leaves.iter().filter(|leaf| scanned.raw(**leaf).is_some()).count(), 1);
    let again = "\"data\":{\"object\":{\"f1\":{\"g\":1},\"f2\":{\"g\":2}}},".repeat(30_000);
    let text = format!("{{{again}\"data\":{{\"object\":{{\"f2\":{{\"g\":3}}}}}}}}");
    let scanned = paths.scan(text.as_bytes()).unwrap();
    assert_eq!((scanned.value(leaves[1]), scanned.value(leaves[2])), (Value::Missing, json("3")));
    let nested = |levels: usize| format!("{}1{}", "{\"data\":".repeat(levels), "}".repeat(levels));
    assert!(paths.scan(nested(100).as_bytes()).is_ok());
    assert_eq!(paths.scan(nested(101).as_bytes()).unwrap_err(), ScanError::Depth);
    let arrays = |levels: usize| format!("{{\"other\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(paths.scan(arrays(99).as_bytes()).is_ok());
    assert_eq!(paths.scan(arrays(100).as_bytes()).unwrap_err(), ScanError::Depth);
    let digits = "9".repeat(1 << 20);
    assert!(paths.scan(format!("[{digits},{digits}.{digits}e-{digits}]").as_bytes()).is_ok());
}

#[test]
fn what_is_no_json_is_told_with_its_place() {
    let told = |text: &str| PathSet::default().scan(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(told("{\n  \"a\": 1,\n  \"b\" 2\n}"), "it is not JSON (line 3, column 7)");
    assert_eq!(told("[1,"), "it is not JSON (line 1, column 3)");
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        "[ab\\\\\"é\n]{0,4}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 30, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[abc]", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// The scan finds what a tree would have.
    #[test]
    fn the_scan_is_a_tree(json in any_json(), texts in prop::collection::vec("[abc](\\.[abc]|\\[[0-3]\\]){0,3}", 1..6)) {
        let mut paths = PathSet::default();
        let leaves: Vec<_> = texts.iter().map(|text| (path(text), paths.insert(&path(text)))).collect();
        let text = json.to_string();
        let scanned = paths.scan(text.as_bytes()).unwrap();
        let tree = Value::from_json(&json);
        for (path, leaf) in leaves {
            prop_assert_eq!(scanned.value(leaf), path_get(&tree, &path), "{} in {}", path, text);
        }
    }

    /// It takes what the library takes, and nothing else.
    #[test]
    fn the_scan_takes_json_and_nothing_else(
        json in any_json(),
        pretty in any::<bool>(),
        at in any::<prop::sample::Index>(),
        put in prop::sample::select(vec!["", "0", "-", ".", "e", "E+", "\\", "\\u12aF", "\\ud800", "\"", "\n", "\u{1}", "{", "}", "[", "]", ":", ",", " ", "null", "tru", "é"]),
        take in 0usize..2,
    ) {
        let mut text = if pretty { serde_json::to_string_pretty(&json).unwrap() } else { json.to_string() }.into_bytes();
        let at = at.index(text.len() + 1);
        let end = (at + take).min(text.len());
        text.splice(at..end, put.bytes());
        let mut paths = PathSet::default();
        for wanted in ["", "a", "a.b", "[1].a", "b[0]"] {
            paths.insert(&path(wanted));
        }
        let known = serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok() && std::str::from_utf8(&text).is_ok();
        prop_assert_eq!(paths.scan(&text).is_ok(), known, "{}", String::from_utf8_lossy(&text));
        prop_assert_eq!(PathSet::default().scan(&text).is_ok(), known, "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn the_scan_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut paths = PathSet::default();
        paths.insert(&path("a.b"));
        drop(paths.scan(&bytes));
    }
}

#[test]
fn texts_that_are_written_in_another_way() {
    let reads = |writing, text: &str| decode(&Shape::Written(writing), &json(text));
    assert_eq!(reads(Writing::Base64, "\"d2ViYXBp\""), Ok(Value::text("webapi")));
    assert_eq!(reads(Writing::Base64, "\"44OJ44Op44GI44KC44KT\""), Ok(Value::text("ドラえもん")));
    // A typed identifier instead of a text.
    assert_eq!(reads(Writing::Base64, "\"Df/+\""), Ok(Value::text("0dfffe")));
    assert!(reads(Writing::Base64, "\"not base64!\"").is_err());
    assert_eq!(reads(Writing::Hex, "\"6869\""), Ok(Value::text("hi")));
    assert_eq!(reads(Writing::Lower, "\"USD\""), Ok(Value::text("usd")));
    assert_eq!(reads(Writing::Upper, "\"usd\""), Ok(Value::text("USD")));
    assert_eq!(reads(Writing::Text, "7001"), Ok(Value::text("7001")));
    assert_eq!(reads(Writing::Base64, "null"), Ok(Value::Missing));
}

#[test]
fn times_durations_and_lists_in_one_text() {
    assert_eq!(decode(&Shape::Time, &json("\"22:30\"")), Ok(Value::Time("22:30".parse().unwrap())));
    let seconds = |text: &str| decode(&Shape::Duration(1000), &json(text));
    assert_eq!(seconds("90"), Ok(Value::Duration(flow_plan::Duration::from_millis(90_000))));
    assert_eq!(seconds("\"1.5\""), Ok(Value::Duration(flow_plan::Duration::from_millis(1_500))));
    assert!(seconds("\"soon\"").is_err());
    let tags = Shape::Commas(Box::new(Shape::Text));
    assert_eq!(decode(&tags, &json("\"a, b,,c\"")), decode(&tags, &json("[\"a\",\"b\",\"c\"]")));
}
