//! What the checks over all flows claim of conditions, against the evaluator of the daemon: a condition that is said to
//! hold for nothing holds for no event, and an event that is said to fit two conditions fits both.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_compiler::lint::{common_event, never_holds};
use flow_plan::{
    Condition, Currency, Expr, FieldShape, FieldSource, JsonPath, Money, MoneyUnit, Order, Segment, Shape, TimeFormat, Value,
};
use flow_runtime::eval::{self, Scope};
use jiff::{Timestamp, civil};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use rust_decimal::Decimal;

use crate::support::program::{flowc, project};

/// The kinds of fields, one slot each.
const FIELDS: u16 = 9;

fn fields() -> Vec<FieldShape> {
    let path = |name: &str| JsonPath(vec![Segment::Key(name.to_owned())]);
    let field = |name: &str, shape: Shape, optional: bool| FieldShape {
        name: name.to_owned(),
        from: if matches!(shape, Shape::Money { .. }) { vec![] } else { vec![FieldSource::at(path(name))] },
        shape,
        optional,
        personal: false,
        default: None,
    };
    let money = |amount: &str| Shape::Money {
        amount: path(amount),
        currency: path("currency"),
        instead: Vec::new(),
        unit: MoneyUnit::Minor,
        exponents: BTreeMap::new(),
    };
    let members = vec!["a".to_owned(), "b".to_owned(), "ab".to_owned()];
    vec![
        field("whole", Shape::Integer, true),
        field("number", Shape::Number, false),
        field("amount", money("amount"), false),
        field("refunded", money("refunded"), true),
        field("text", Shape::Text, true),
        field("closed", Shape::Enum { members, open: false }, false),
        field("flag", Shape::Bool, true),
        field("at", Shape::Instant(TimeFormat::Unix), true),
        field("tags", Shape::List(Box::new(Shape::Text)), true),
    ]
}

#[derive(Debug)]
struct Event(Vec<Value>);

impl Scope for Event {
    fn event(&self, slot: u16) -> Value {
        self.0.get(usize::from(slot)).cloned().unwrap_or_default()
    }
}

fn currency(code: &str) -> Currency {
    Currency::parse(code).unwrap()
}

fn small() -> impl Strategy<Value = Decimal> {
    (-3i64..=3, 0u32..=1).prop_map(|(number, scale)| Decimal::new(number * if scale == 1 { 5 } else { 1 }, scale))
}

fn money() -> impl Strategy<Value = Money> {
    (-2i64..=4, prop::sample::select(vec!["USD", "EUR", "JPY"]))
        .prop_map(|(amount, code)| Money { amount: Decimal::from(amount), currency: currency(code) })
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "b", "ab", "ba", "aba", "c"]).prop_map(str::to_owned)
}

fn at() -> impl Strategy<Value = Timestamp> {
    (0i64..5).prop_map(|second| Timestamp::from_second(second).unwrap())
}

/// A value of the slot's kind that is there.
fn present(slot: u16) -> BoxedStrategy<Value> {
    match slot {
        0 => (-3i64..=3).prop_map(|number| Value::Number(number.into())).boxed(),
        1 => small().prop_map(Value::Number).boxed(),
        2 | 3 => money().prop_map(Value::Money).boxed(),
        4 => word().prop_map(Value::text).boxed(),
        5 => prop::sample::select(vec!["a", "b", "ab"]).prop_map(Value::text).boxed(),
        6 => any::<bool>().prop_map(Value::Bool).boxed(),
        7 => at().prop_map(Value::Instant).boxed(),
        _ => prop::collection::vec(word().prop_map(Value::text), 0..3).prop_map(|items| Value::List(Arc::new(items))).boxed(),
    }
}

/// An event whose two amounts are of one currency, as they are read from one place.
fn event() -> impl Strategy<Value = Event> {
    let shapes = fields();
    let values: Vec<BoxedStrategy<Value>> = (0..FIELDS)
        .map(|slot| {
            if shapes[usize::from(slot)].optional {
                prop_oneof![1 => Just(Value::Missing), 3 => present(slot)].boxed()
            } else {
                present(slot)
            }
        })
        .collect();
    values.prop_map(|mut values| {
        if let (Value::Money(amount), Value::Money(refunded)) = (values[2].clone(), values[3].clone()) {
            values[3] = Value::Money(Money { currency: amount.currency, ..refunded });
        }
        Event(values)
    })
}

fn order() -> impl Strategy<Value = Order> {
    prop::sample::select(vec![Order::Less, Order::LessEq, Order::Greater, Order::GreaterEq])
}

fn test() -> BoxedStrategy<Expr> {
    let boxed = |slot: u16| Box::new(Expr::Event(slot));
    let constant = |value: Value| Box::new(Expr::Const(value));
    let with_default = (0u16..FIELDS, any::<bool>()).prop_flat_map(move |(slot, default)| {
        present(slot).prop_map(move |value| if default { Expr::Else(boxed(slot), constant(value)) } else { Expr::Event(slot) })
    });
    let ordered =
        (prop::sample::select(vec![0u16, 1, 2, 3, 7]), order(), any::<bool>()).prop_flat_map(move |(slot, order, mirrored)| {
            present(slot).prop_map(move |value| {
                if mirrored {
                    Expr::Compare(order, constant(value), boxed(slot))
                } else {
                    Expr::Compare(order, boxed(slot), constant(value))
                }
            })
        });
    let equal =
        (0u16..FIELDS).prop_flat_map(move |slot| present(slot).prop_map(move |value| Expr::Equal(boxed(slot), constant(value))));
    let one_of = (0u16..FIELDS).prop_flat_map(move |slot| {
        prop::collection::vec(present(slot), 0..3)
            .prop_map(move |values| Expr::OneOf(boxed(slot), values.into_iter().map(Expr::Const).collect()))
    });
    let in_range = prop::sample::select(vec![0u16, 1, 2, 7]).prop_flat_map(move |slot| {
        (present(slot), present(slot)).prop_map(move |(low, high)| Expr::InRange(boxed(slot), constant(low), constant(high)))
    });
    let any_limit = (2u16..=3, order(), -2i64..4, -2i64..4).prop_map(move |(slot, order, dollars, euros)| {
        Expr::CompareAny(order, boxed(slot), BTreeMap::from([(currency("USD"), dollars.into()), (currency("EUR"), euros.into())]))
    });
    let major = (2u16..=3, order(), small())
        .prop_map(move |(slot, order, number)| Expr::CompareMajor(order, boxed(slot), constant(Value::Number(number))));
    let texts = (prop::sample::select(vec![4u16, 5, 8]), word(), 0..4).prop_map(move |(slot, part, how)| {
        let part = constant(Value::text(part));
        match how {
            0 | 1 => Expr::Contains(boxed(slot), part),
            2 => Expr::StartsWith(boxed(slot), part),
            _ => Expr::EndsWith(boxed(slot), part),
        }
    });
    let asked = (0u16..FIELDS, any::<bool>())
        .prop_map(move |(slot, empty)| if empty { Expr::IsEmpty(boxed(slot)) } else { Expr::IsPresent(boxed(slot)) });
    let default_ordered = (order(), small(), small()).prop_map(move |(order, default, limit)| {
        Expr::Compare(order, Box::new(Expr::Else(boxed(0), constant(Value::Number(default)))), constant(Value::Number(limit)))
    });
    let pair = order().prop_map(move |order| Expr::Compare(order, boxed(3), boxed(2)));
    let matches = prop::sample::select(vec!["^a", "b$"]).prop_map(move |pattern| Expr::Matches(boxed(4), pattern.to_owned()));
    prop_oneof![ordered, equal, one_of, in_range, any_limit, major, texts, asked, default_ordered, pair, matches, with_default]
        .boxed()
}

fn condition() -> impl Strategy<Value = Condition> {
    let leaf = test().prop_map(|expr| Condition::Test { text: String::new(), expr, reads: Vec::new() });
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::Any),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_condition_that_is_said_never_to_hold_holds_for_no_event(
        condition in condition(),
        events in prop::collection::vec(event(), 60),
    ) {
        if never_holds(&condition, &fields()) {
            for event in events {
                prop_assert!(!eval::test(&condition, &event), "{:?}", event.0);
            }
        }
    }

    #[test]
    fn an_event_that_is_said_to_fit_two_conditions_fits_both(first in condition(), second in condition()) {
        let shapes = fields();
        if let Some(values) = common_event((&first, &shapes), (&second, &shapes)) {
            let given: BTreeMap<String, Value> = values.into_iter().collect();
            let values = shapes.iter().map(|field| given.get(&field.name).cloned().unwrap_or_default()).collect();
            let event = Event(values);
            for (field, value) in shapes.iter().zip(&event.0) {
                prop_assert!(field.optional || !value.is_missing() || !given.contains_key(&field.name), "{} is missing", field.name);
                if let (Shape::Integer, Value::Number(number)) = (&field.shape, value) {
                    prop_assert!(number.fract().is_zero());
                }
                if let Value::Money(money) = value {
                    prop_assert!(money.amount.normalize().scale() <= u32::from(money.currency.decimals()));
                }
            }
            if let (Value::Money(amount), Value::Money(refunded)) = (&event.0[2], &event.0[3]) {
                prop_assert_eq!(amount.currency, refunded.currency, "they are read from one place");
            }
            prop_assert!(eval::test(&first, &event), "{:?}", event.0);
            prop_assert!(eval::test(&second, &event), "{:?}", event.0);
        }
    }

    /// Ranges of times of day: they may cross midnight, and exclude their end.
    #[test]
    fn ranges_of_times_that_have_nothing_in_common_have_no_time_in_common(
        hours in prop::array::uniform4(0i8..24),
        not in any::<bool>(),
    ) {
        let [a, b, c, d] = hours.map(|hour| Box::new(Expr::Const(Value::Time(civil::time(hour, 0, 0, 0)))));
        let now = || Box::new(Expr::Local(0));
        let second = Expr::InRange(now(), c, d);
        let parts = vec![Expr::InRange(now(), a, b), if not { Expr::Not(Box::new(second)) } else { second }];
        let condition = Condition::Test { text: String::new(), expr: Expr::And(parts), reads: Vec::new() };
        struct At(civil::Time);
        impl Scope for At {
            fn local(&self, _: u16) -> Value {
                Value::Time(self.0)
            }
        }
        let met = (0..24).any(|hour| eval::test(&condition, &At(civil::time(hour, 0, 0, 0))));
        prop_assert_eq!(never_holds(&condition, &[]), !met);
    }
}

/// The claims are not won by saying nothing.
#[test]
fn enough_is_decided() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let shapes = fields();
    let (mut never, mut met) = (0, 0);
    for _ in 0..500 {
        let mut draw = || condition().new_tree(&mut runner).unwrap().current();
        let (first, second) = (draw(), draw());
        never += usize::from(never_holds(&Condition::All(vec![first.clone(), second.clone()]), &shapes));
        met += usize::from(common_event((&first, &shapes), (&second, &shapes)).is_some());
    }
    assert!(never > 25 && met > 150, "never {never}, met {met}");
}

const LOCK: &str = r#"
connector lock "Lock" {
  base "https://lock.example"
  secret token
  setting device: text
  quota 1_000 per month shared by token
  record Entry { id: id<Entry> @key  what: text }
  trigger entry: Entry from history
  source history { poll GET "/{device}/history" every 1 minute items "" id "id" }
  action lock { POST "/{device}/lock" json { cmd: 1 } effect set }
}
"#;

#[test]
fn two_locks_polled_every_minute_with_a_thousand_calls_a_month_are_refused_with_the_arithmetic() {
    let lock = |name: &str, more: &str| {
        format!("[connections.{name}]\nconnector = \"lock\"\ndevice = \"{name}\"\ntoken = {{ env = \"LOCK_TOKEN\" }}\n{more}\n")
    };
    let flows = "when front_door.entry where what is \"left\" do front_door.lock\n";
    let more = "when back_door.entry where what is \"left\" do back_door.lock\n";
    let check = |front: &str, back: &str| {
        let toml = format!("{}\n{}", lock("front_door", front), lock("back_door", back));
        let folder = project(&[("flow.toml", &toml), ("lock.flow", LOCK), ("a.flow", flows), ("more/b.flow", more)]);
        flowc(folder.path(), &["check"])
    };
    let refused = check("", "");
    assert_eq!(refused.code, 1, "{refused:?}");
    for words in ["E705", "flow.toml", "86,400", "1,000", "`front_door` every minute: 43,200"] {
        assert!(refused.err.contains(words), "`{words}` is not in {}", refused.err);
    }
    let slow = check("poll = \"2 hours\"", "poll = \"2 hours\"");
    assert_eq!((slow.code, slow.err.contains("no problems")), (0, true), "{slow:?}");
}
