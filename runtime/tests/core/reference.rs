//! A second evaluator of expressions, slow and obviously right: the meaning of language.md word for word, without regard for
//! speed. It shares no way of computing with the real one: amounts are whole numbers of their smallest decimal, dates are
//! counted in days, texts are lists of characters. The property tests and the fuzz target `evaluate` hold the two together.

use std::cell::Cell;

use flow_plan::{Arithmetic, Condition, Each, Expr, Money, Order, Value};
use rust_decimal::Decimal;

#[path = "reference_functions.rs"]
mod functions;
#[path = "reference_numbers.rs"]
mod numbers;

use functions::function;
use numbers::{add_days, add_months, add_numbers, civil_at, divide_money, instant_at, multiply_numbers};

/// What a pattern says of a text.
type Meaning = fn(&str) -> bool;

/// Patterns whose meaning can be said in another way, for [`Expr::Matches`].
pub(crate) const PATTERNS: &[(&str, Meaning)] = &[
    ("^a", |text| text.starts_with('a')),
    ("b$", |text| text.ends_with('b')),
    ("a", |text| text.chars().any(|letter| letter == 'a')),
    ("^[ab]*$", |text| text.chars().all(|letter| letter == 'a' || letter == 'b')),
    ("(", |_| false),
];

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A `require` found nothing.
    Required(String),
    /// So many items were looked at that the bound on them may have been reached.
    TooMany,
}

/// Fewer than those after which the real one gives up.
const MOST_ROUNDS: u32 = 50_000;

type Found = Result<Option<Value>, Stop>;

/// What an expression can read.
#[derive(Clone, Copy)]
struct Given<'a> {
    slots: &'a [Value],
    it: Option<&'a Value>,
    rounds: &'a Cell<u32>,
}

/// Returns the value of an expression; `None` is missing.
pub(crate) fn reference(expr: &Expr, slots: &[Value]) -> Found {
    of(expr, Given { slots, it: None, rounds: &Cell::new(0) })
}

/// Tells whether a condition holds. What stops for a `require` does not hold.
pub(crate) fn condition(node: &Condition, slots: &[Value]) -> Result<bool, Stop> {
    let holds = |part: &Condition| condition(part, slots);
    match node {
        Condition::All(parts) => parts.iter().try_fold(true, |all, part| Ok(all && holds(part)?)),
        Condition::Any(parts) => parts.iter().try_fold(false, |any, part| Ok(any || holds(part)?)),
        Condition::Not(inner) => Ok(!holds(inner)?),
        Condition::Test { expr, .. } => match reference(expr, slots) {
            Err(Stop::Required(_)) => Ok(false),
            found => Ok(found? == Some(Value::Bool(true))),
        },
    }
}

fn said(truth: bool) -> Found {
    Ok(Some(Value::Bool(truth)))
}

fn number(whole: usize) -> Option<Value> {
    Some(Value::Number(Decimal::from(whole)))
}

fn present(value: Value) -> Option<Value> {
    Some(value).filter(|value| !value.is_missing())
}

fn of(expr: &Expr, given: Given<'_>) -> Found {
    let value = |expr: &Expr| of(expr, given);
    let truth = |expr: &Expr| Ok::<bool, Stop>(of(expr, given)? == Some(Value::Bool(true)));
    let texts = |left: &Expr, right: &Expr| {
        Ok::<_, Stop>(match (value(left)?, value(right)?) {
            (Some(Value::Text(left)), Some(Value::Text(right))) => Some((letters(&left), letters(&right))),
            _ => None,
        })
    };
    match expr {
        Expr::Const(constant) => Ok(present(constant.clone())),
        Expr::Event(slot) => Ok(given.slots.get(usize::from(*slot)).cloned().and_then(present)),
        Expr::It => Ok(given.it.cloned().and_then(present)),
        Expr::Awaited(_) | Expr::Local(_) | Expr::Input(_) | Expr::Env(_) | Expr::Raw(_) | Expr::Answer(_) => Ok(None),
        Expr::Field(record, name) => Ok(match value(record)? {
            Some(Value::Record(fields)) => fields.iter().find(|(key, _)| ***key == **name).and_then(|(_, v)| present(v.clone())),
            _ => None,
        }),
        Expr::Index(whole, at) => Ok(match (value(whole)?, value(at)?) {
            (Some(Value::List(items)), Some(Value::Number(at))) => {
                items.iter().enumerate().find(|(place, _)| Decimal::from(*place) == at).and_then(|(_, v)| present(v.clone()))
            }
            (Some(Value::Record(fields)), Some(Value::Text(name))) => {
                fields.iter().find(|(key, _)| **key == name).and_then(|(_, v)| present(v.clone()))
            }
            _ => None,
        }),
        Expr::Text(parts) => {
            let shown: Vec<String> = parts
                .iter()
                .map(|part| Ok(value(part)?.map_or(String::new(), |v| v.to_string())))
                .collect::<Result<_, Stop>>()?;
            Ok(Some(Value::text(shown.concat())))
        }
        Expr::List(items) => {
            let items: Vec<Option<Value>> = items.iter().map(value).collect::<Result<_, Stop>>()?;
            Ok(Some(Value::List(items.into_iter().flatten().collect::<Vec<_>>().into())))
        }
        Expr::Record(fields) => {
            let fields: Vec<_> = fields.iter().map(|(name, v)| Ok((name, value(v)?))).collect::<Result<_, Stop>>()?;
            let there = fields.into_iter().filter_map(|(name, v)| Some((name.as_str().into(), v?)));
            Ok(Some(Value::Record(std::sync::Arc::new(there.collect()))))
        }
        Expr::Not(inner) => said(!truth(inner)?),
        Expr::And(parts) => {
            for part in parts {
                if !truth(part)? {
                    return said(false);
                }
            }
            said(true)
        }
        Expr::Or(parts) => {
            for part in parts {
                if truth(part)? {
                    return said(true);
                }
            }
            said(false)
        }
        Expr::Compare(order, left, right) => said(ordered(*order, value(left)?.as_ref(), value(right)?.as_ref())),
        Expr::CompareAny(order, left, limits) => said(match value(left)? {
            Some(Value::Money(m)) => limits.iter().any(|(currency, limit)| {
                let limit = Value::Money(Money { amount: *limit, currency: *currency });
                ordered(*order, Some(&Value::Money(m)), Some(&limit))
            }),
            _ => false,
        }),
        Expr::CompareMajor(order, left, right) => {
            let (left, right) = (value(left)?, value(right)?);
            let plain = |one: &Value| match one {
                Value::Money(money) => Some((true, money.amount)),
                Value::Number(number) => Some((false, *number)),
                _ => None,
            };
            said(match (left.as_ref().and_then(plain), right.as_ref().and_then(plain)) {
                (Some((l, left)), Some((r, right))) if l != r => {
                    ordered(*order, Some(&Value::Number(left)), Some(&Value::Number(right)))
                }
                _ => false,
            })
        }
        Expr::Equal(left, right) => said(same(value(left)?.as_ref(), value(right)?.as_ref())),
        Expr::OneOf(wanted, choices) => {
            let wanted = value(wanted)?;
            for choice in choices {
                if same(wanted.as_ref(), value(choice)?.as_ref()) {
                    return said(true);
                }
            }
            said(false)
        }
        Expr::InList(item, list) => {
            let (item, list) = (value(item)?, value(list)?);
            said(has(list.as_ref(), item.as_ref()))
        }
        Expr::InRange(at, low, high) => {
            let (at, low, high) = (value(at)?, value(low)?, value(high)?);
            if let (Some(Value::Time(at)), Some(Value::Time(low)), Some(Value::Time(high))) = (&at, &low, &high) {
                // Walk from the beginning to the end around the clock: is the time met before the end?
                let from = |time: &jiff::civil::Time| (nanos(time) + DAY - nanos(low)) % DAY;
                return said(from(at) < from(high));
            }
            let at_most = |left: &Option<Value>, right: &Option<Value>| ordered(Order::LessEq, left.as_ref(), right.as_ref());
            said(at_most(&low, &at) && at_most(&at, &high))
        }
        Expr::IsPresent(inner) => said(value(inner)?.is_some()),
        Expr::IsEmpty(inner) => said(match value(inner)? {
            None => true,
            Some(Value::Text(text)) => text.chars().count() == 0,
            Some(Value::List(items)) => items.iter().count() == 0,
            Some(Value::Record(fields)) => fields.iter().count() == 0,
            Some(_) => false,
        }),
        Expr::Contains(left, right) => {
            let (whole, part) = (value(left)?, value(right)?);
            said(match (&whole, &part) {
                (Some(Value::Text(whole)), Some(Value::Text(part))) => {
                    let (whole, part) = (letters(whole), letters(part));
                    (0..=whole.len()).any(|at| whole.iter().skip(at).take(part.len()).eq(part.iter()))
                }
                (Some(Value::List(_)), _) => has(whole.as_ref(), part.as_ref()),
                _ => false,
            })
        }
        Expr::StartsWith(left, right) => {
            said(texts(left, right)?.is_some_and(|(whole, part)| whole.iter().take(part.len()).eq(part.iter())))
        }
        Expr::EndsWith(left, right) => {
            said(texts(left, right)?.is_some_and(|(whole, part)| whole.iter().rev().take(part.len()).eq(part.iter().rev())))
        }
        Expr::Matches(text, pattern) => {
            let meaning = PATTERNS.iter().find(|(known, _)| known == pattern).map(|(_, meaning)| meaning);
            said(match (value(text)?, meaning) {
                (Some(Value::Text(text)), Some(meaning)) => meaning(&text),
                (_, None) => panic!("`{pattern}` is not among the patterns whose meaning is known"),
                _ => false,
            })
        }
        Expr::Arithmetic(how, left, right) => {
            let (left, right) = (value(left)?, value(right)?);
            Ok(left.zip(right).and_then(|(left, right)| arithmetic(*how, &left, &right)))
        }
        Expr::Negate(inner) => Ok(value(inner)?.and_then(|value| negative(&value))),
        Expr::Else(left, right) => match value(left)? {
            Some(there) => Ok(Some(there)),
            None => value(right),
        },
        Expr::Require { value: wanted, what } => value(wanted)?.map(Some).ok_or_else(|| Stop::Required(what.clone())),
        Expr::Call(name, args) => {
            let args: Vec<Option<Value>> = args.iter().map(value).collect::<Result<_, Stop>>()?;
            // Of something that is not there nothing can be said.
            Ok(args.into_iter().collect::<Option<Vec<_>>>().and_then(|args| function(name, &args)))
        }
        Expr::ForEach(each, list, body) => match value(list)? {
            Some(Value::List(items)) => for_each(*each, &items, body, given),
            _ => Ok(None),
        },
    }
}

fn for_each(each: Each, items: &[Value], body: &Expr, given: Given<'_>) -> Found {
    let asked = |item: &Value| {
        given.rounds.set(given.rounds.get() + 1);
        if given.rounds.get() > MOST_ROUNDS {
            return Err(Stop::TooMany);
        }
        of(body, Given { it: Some(item), ..given })
    };
    let yes = Some(Value::Bool(true));
    match each {
        Each::Any | Each::All => {
            for item in items {
                if (asked(item)? == yes) == (each == Each::Any) {
                    return said(each == Each::Any);
                }
            }
            said(each == Each::All)
        }
        Each::Count | Each::Filter | Each::Map | Each::Sort => {
            let answers: Vec<(Value, Option<Value>)> =
                items.iter().map(|item| Ok((item.clone(), asked(item)?))).collect::<Result<_, Stop>>()?;
            let chosen = || answers.iter().filter(|(_, answer)| *answer == yes).map(|(item, _)| item.clone());
            Ok(match each {
                Each::Count => number(chosen().count()),
                Each::Filter => Some(Value::List(chosen().collect::<Vec<_>>().into())),
                Each::Map => {
                    Some(Value::List(answers.iter().filter_map(|(_, answer)| answer.clone()).collect::<Vec<_>>().into()))
                }
                _ => Some(Value::List(sorted(answers).into())),
            })
        }
    }
}

/// Each goes before the first that comes behind it.
fn sorted(answers: Vec<(Value, Option<Value>)>) -> Vec<Value> {
    let mut line: Vec<(Value, Option<Value>)> = Vec::new();
    for one in answers {
        let behind = |other: &(Value, Option<Value>)| {
            let (left, right) = (kind(one.1.as_ref()), kind(other.1.as_ref()));
            left < right || left == right && before(one.1.as_ref(), other.1.as_ref())
        };
        let at = line.iter().position(behind).unwrap_or(line.len());
        line.insert(at, one);
    }
    line.into_iter().map(|(item, _)| item).collect()
}

/// Of one kind: whether the left stands before the right when sorted. Letters count without their case, money by currency.
fn before(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(Value::Text(left)), Some(Value::Text(right))) => {
            let small = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<Vec<char>>();
            small(left) < small(right)
        }
        (Some(Value::Money(left)), Some(Value::Money(right))) if left.currency != right.currency => {
            left.currency.code() < right.currency.code()
        }
        (Some(Value::Bool(left)), Some(Value::Bool(right))) => !*left && *right,
        _ => ordered(Order::Less, left, right),
    }
}

fn kind(value: Option<&Value>) -> usize {
    let Some(value) = value else { return 10 };
    match value {
        Value::Bool(_) => 0,
        Value::Number(_) => 1,
        Value::Money(_) => 2,
        Value::Duration(_) => 3,
        Value::Date(_) => 4,
        Value::Time(_) => 5,
        Value::Instant(_) => 6,
        Value::Text(_) => 7,
        Value::List(_) => 8,
        Value::Record(_) => 9,
        Value::Missing => 10,
    }
}

fn same(left: Option<&Value>, right: Option<&Value>) -> bool {
    left.is_some() && left == right
}

fn has(list: Option<&Value>, item: Option<&Value>) -> bool {
    match list {
        Some(Value::List(items)) => items.iter().any(|one| same(item, present(one.clone()).as_ref())),
        _ => false,
    }
}

fn letters(text: &str) -> Vec<char> {
    text.chars().collect()
}

const DAY: i128 = 86_400_000_000_000;

fn nanos(time: &jiff::civil::Time) -> i128 {
    let seconds = (i128::from(time.hour()) * 60 + i128::from(time.minute())) * 60 + i128::from(time.second());
    seconds * 1_000_000_000 + i128::from(time.subsec_nanosecond())
}

/// What is comparable stands in one class, and there it is a list of numbers that are compared one after the other.
fn measure(value: &Value) -> Option<(String, Vec<i128>, Decimal)> {
    let whole = |class: &str, numbers: Vec<i128>| Some((class.to_owned(), numbers, Decimal::ZERO));
    match value {
        Value::Number(n) => Some(("number".to_owned(), vec![], *n)),
        Value::Money(m) => Some((m.currency.to_string(), vec![], m.amount)),
        Value::Text(t) => whole("text", t.chars().map(|letter| i128::from(u32::from(letter))).collect()),
        Value::Time(t) => whole("time", vec![nanos(t)]),
        Value::Date(d) => whole("date", vec![d.year().into(), d.month().into(), d.day().into()]),
        Value::Instant(at) => whole("instant", vec![at.as_nanosecond()]),
        Value::Duration(by) => {
            let days = i128::from(by.months) * 30 + i128::from(by.days);
            whole("duration", vec![days * 86_400_000 + i128::from(by.millis)])
        }
        Value::Missing | Value::Bool(_) | Value::List(_) | Value::Record(_) => None,
    }
}

fn ordered(order: Order, left: Option<&Value>, right: Option<&Value>) -> bool {
    let (Some(left), Some(right)) = (left.and_then(measure), right.and_then(measure)) else { return false };
    left.0 == right.0
        && match order {
            Order::Less => left < right,
            Order::LessEq => left <= right,
            Order::Greater => right < left,
            Order::GreaterEq => right <= left,
        }
}

fn negative(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Number(n) => Value::Number(multiply_numbers(*n, Decimal::NEGATIVE_ONE)?),
        Value::Money(m) => {
            Value::Money(Money { amount: multiply_numbers(m.amount, Decimal::NEGATIVE_ONE)?, currency: m.currency })
        }
        Value::Duration(by) => Value::Duration(flow_plan::Duration {
            months: by.months.checked_mul(-1)?,
            days: by.days.checked_mul(-1)?,
            millis: by.millis.checked_mul(-1)?,
        }),
        _ => return None,
    })
}

fn arithmetic(how: Arithmetic, left: &Value, right: &Value) -> Option<Value> {
    use Value::{Date, Duration, Instant, Money as M, Number};
    let money = |amount: Option<Decimal>, of: &Money| Some(M(Money { amount: amount?, currency: of.currency }));
    match (how, left, right) {
        (Arithmetic::Add, Number(a), Number(b)) => add_numbers(*a, *b).map(Number),
        (Arithmetic::Add, M(a), M(b)) if a.currency == b.currency => money(add_numbers(a.amount, b.amount), a),
        (Arithmetic::Add, Duration(a), Duration(b)) => Some(Duration(flow_plan::Duration {
            months: a.months.checked_add(b.months)?,
            days: a.days.checked_add(b.days)?,
            millis: a.millis.checked_add(b.millis)?,
        })),
        (Arithmetic::Add, Instant(at), Duration(by)) | (Arithmetic::Add, Duration(by), Instant(at)) => {
            // Months, then days, then what is exact; the date is that in UTC.
            let (date, rest) = civil_at(*at, 0);
            instant_at(add_days(add_months(date, by.months)?, by.days.into())?, rest + i128::from(by.millis) * 1_000_000, 0)
                .map(Instant)
        }
        (Arithmetic::Add, Date(date), Duration(by)) | (Arithmetic::Add, Duration(by), Date(date)) if by.millis == 0 => {
            add_days(add_months(*date, by.months)?, by.days.into()).map(Date)
        }
        (Arithmetic::Subtract, Instant(a), Instant(b)) => {
            let millis = i128::from(a.as_millisecond()) - i128::from(b.as_millisecond());
            Some(Duration(flow_plan::Duration::from_millis(i64::try_from(millis).ok()?)))
        }
        (Arithmetic::Subtract, Date(a), Date(b)) => {
            let days = i32::try_from(numbers::day_number(*a) - numbers::day_number(*b)).ok()?;
            Some(Duration(flow_plan::Duration { days, ..flow_plan::Duration::default() }))
        }
        (Arithmetic::Subtract, Number(_), Number(_))
        | (Arithmetic::Subtract, M(_), M(_))
        | (Arithmetic::Subtract, Duration(_) | Instant(_) | Date(_), Duration(_)) => {
            arithmetic(Arithmetic::Add, left, &negative(right)?)
        }
        (Arithmetic::Multiply, Number(a), Number(b)) => multiply_numbers(*a, *b).map(Number),
        (Arithmetic::Multiply, M(m), Number(n)) | (Arithmetic::Multiply, Number(n), M(m)) => {
            money(multiply_numbers(m.amount, *n), m)
        }
        (Arithmetic::Divide, Number(a), Number(b)) => a.checked_div(*b).map(Number),
        (Arithmetic::Divide, M(m), Number(n)) => divide_money(m, *n).map(M),
        (Arithmetic::Divide, M(a), M(b)) if a.currency == b.currency => a.amount.checked_div(b.amount).map(Number),
        _ => None,
    }
}
