//! Values, expressions and conditions out of bytes. They need not be of sensible types: payloads are not either.

use std::collections::BTreeMap;

use flow_plan::{Arithmetic, Condition, Currency, Duration, Each, Expr, Function, Money, Order, Value};
use rust_decimal::Decimal;

use super::draw::Draw;
use super::reference::PATTERNS;

/// Texts that are easily equal, contained in each other, dates or numbers; and letters of several bytes.
const TEXTS: &[&str] = &[
    "",
    "a",
    "b",
    "ab",
    "aab",
    "A",
    " a b ",
    "é",
    "ß",
    "😀",
    "İ",
    "a\u{301}",
    "12",
    "-0.50",
    "1e3",
    "2026-03-29",
    "08:30",
    "UTC",
    "Asia/Tokyo",
    "Europe/Paris",
    "Nowhere",
    "USD",
    "{\"a\":[1,null]}",
    "[",
    "6162",
    "YWI=",
    "yyyy-mm-dd",
    "0.00",
    "#,##0.00",
];

const CURRENCIES: &[&str] = &["USD", "EUR", "JPY", "KWD", "XXQ"];

const ARITHMETIC: [Arithmetic; 4] = [Arithmetic::Add, Arithmetic::Subtract, Arithmetic::Multiply, Arithmetic::Divide];

const ZONES: &[&str] = &["UTC", "Asia/Tokyo", "Europe/Paris", "Australia/Lord_Howe", "Pacific/Apia", "nowhere"];

const FUNCTIONS: &[Function] = &[
    Function::Length,
    Function::First,
    Function::Last,
    Function::Reverse,
    Function::Unique,
    Function::Sum,
    Function::SumMoney,
    Function::Average,
    Function::Abs,
    Function::Amount,
    Function::CurrencyCode,
    Function::Lower,
    Function::Upper,
    Function::Capitalize,
    Function::Trim,
    Function::Number,
    Function::Iso,
    Function::Unix,
    Function::UnixMillis,
    Function::DecimalText,
    Function::Merge,
    Function::MoneyAsText,
    Function::TimesAsUnix,
    Function::Ulid,
    Function::Wrap,
    Function::Hash,
    Function::Base64,
    Function::PercentEncode,
    Function::Json,
    Function::ParseJson,
    Function::Minor(BTreeMap::new()),
    Function::Bytes,
    Function::Unhex,
    Function::Unbase64,
    Function::Hex,
    Function::BytesToBase64,
    Function::Le32,
    Function::Md5,
    Function::Sha256,
    Function::AesCmac,
    Function::HmacSha256,
    Function::Md5Sorted,
    Function::Min,
    Function::Max,
    Function::Round,
    Function::RoundUp,
    Function::RoundDown,
    Function::Money,
    Function::Split,
    Function::Join,
    Function::Slice,
    Function::CutCharacters,
    Function::Cut,
    Function::Replace,
    Function::SliceBytes,
    Function::Behind,
    Function::EscapeMarkup,
    Function::Format,
];

/// Functions whose last argument is a zone.
const IN_ZONES: &[Function] = &[
    Function::DateOf,
    Function::TimeOf,
    Function::Year,
    Function::Month,
    Function::Day,
    Function::Weekday,
    Function::Hour,
    Function::Minute,
    Function::StartOfDay,
    Function::DaysBetween,
    Function::Shift,
    Function::Format,
];

fn decimal(draw: &mut Draw<'_>) -> Decimal {
    let whole = draw.whole();
    match draw.below(6) {
        0 => Decimal::from_i128_with_scale(whole.into(), 2),
        1 => Decimal::from_i128_with_scale(whole.into(), u32::from(draw.byte()) % 29),
        2 if whole == 7 => Decimal::MAX,
        2 if whole == 8 => Decimal::MIN,
        _ => Decimal::from(whole),
    }
}

fn date(draw: &mut Draw<'_>) -> jiff::civil::Date {
    let year = if draw.below(16) == 0 { i64::from(draw.one(&[-9999i16, 0, 9999])) } else { 2000 + i64::from(draw.byte()) % 40 };
    let (month, day) = (1 + draw.below(12), 1 + draw.below(31));
    let first = jiff::civil::date(i16::try_from(year).unwrap(), i8::try_from(month).unwrap(), 1);
    let day = i8::try_from(day).unwrap().min(first.days_in_month());
    first.with().day(day).build().unwrap()
}

fn instant(draw: &mut Draw<'_>) -> jiff::Timestamp {
    let zone = jiff::tz::TimeZone::UTC;
    let at = date(draw).at(i8::try_from(draw.below(24)).unwrap(), i8::try_from(draw.below(60)).unwrap(), 59, 0);
    let at = at.to_zoned(zone).map_or(jiff::Timestamp::MAX, |at| at.timestamp());
    at.checked_sub(jiff::SignedDuration::from_millis(i64::from(draw.byte()))).unwrap_or(at)
}

fn duration(draw: &mut Draw<'_>) -> Duration {
    let small = |draw: &mut Draw<'_>| i32::from(draw.byte()) - 128;
    match draw.below(8) {
        0 => Duration { months: small(draw), ..Duration::default() },
        1 => Duration { days: small(draw), ..Duration::default() },
        2 => Duration { months: small(draw), days: small(draw), millis: i64::from(small(draw)) },
        3 => Duration { months: i32::MIN, days: i32::MAX, millis: 0 },
        // Longer ones are not told apart by their approximate length.
        _ => Duration::from_millis(draw.whole() / 4),
    }
}

/// A value; lists and records are `deep` deep at most.
pub(crate) fn value(draw: &mut Draw<'_>, deep: u32) -> Value {
    let kind = draw.below(if deep == 0 { 11 } else { 14 });
    of_kind(kind, draw, deep)
}

/// A value of one of 14 kinds, of which the last three hold others.
fn of_kind(kind: usize, draw: &mut Draw<'_>, deep: u32) -> Value {
    match kind {
        0 => Value::Missing,
        1 => Value::Bool(draw.below(2) == 0),
        2 | 3 => Value::Number(decimal(draw)),
        4 | 5 => Value::text(draw.one(TEXTS)),
        6 => {
            let currency = Currency::parse(draw.one(CURRENCIES)).unwrap();
            Value::Money(Money { amount: decimal(draw), currency })
        }
        7 => Value::Date(date(draw)),
        8 => {
            let (hour, minute) = (i8::try_from(draw.below(24)).unwrap(), i8::try_from(draw.below(3)).unwrap());
            Value::Time(jiff::civil::time(hour, minute, 0, 0))
        }
        9 => Value::Instant(instant(draw)),
        10 => Value::Duration(duration(draw)),
        11 | 12 => {
            // Mostly of one kind, as lists are.
            let kind = draw.below(28);
            let items = draw.some(4, |draw| if kind < 11 { of_kind(kind, draw, 0) } else { value(draw, deep.saturating_sub(1)) });
            Value::List(items.into_iter().filter(|item| !item.is_missing()).collect::<Vec<_>>().into())
        }
        _ => Value::record(draw.some(3, |draw| (std::sync::Arc::from(draw.one(&["a", "b", "c"])), value(draw, deep - 1)))),
    }
}

/// How many slots the expressions read.
pub(crate) const SLOTS: u16 = 8;

/// An expression, so deep at most. `loops` is how deep lists may still be gone through within each other.
pub(crate) fn expr(draw: &mut Draw<'_>, deep: u32, loops: u32) -> Expr {
    if deep == 0 || draw.is_over() {
        return leaf(draw);
    }
    let next = |draw: &mut Draw<'_>| Box::new(expr(draw, deep - 1, loops));
    let several = |draw: &mut Draw<'_>| draw.some(3, |draw| expr(draw, deep - 1, loops));
    let order = |draw: &mut Draw<'_>| draw.one(&[Order::Less, Order::LessEq, Order::Greater, Order::GreaterEq]);
    match draw.below(37) {
        0 => Expr::Not(next(draw)),
        1 => Expr::And(several(draw)),
        2 => Expr::Or(several(draw)),
        3 | 4 => Expr::Compare(order(draw), next(draw), next(draw)),
        5 => Expr::CompareMajor(order(draw), next(draw), next(draw)),
        6 => {
            let limits = draw.some(3, |draw| (Currency::parse(draw.one(CURRENCIES)).unwrap(), decimal(draw)));
            Expr::CompareAny(order(draw), next(draw), limits.into_iter().collect())
        }
        7 | 8 => Expr::Equal(next(draw), next(draw)),
        9 => Expr::OneOf(next(draw), several(draw)),
        10 => Expr::InList(next(draw), next(draw)),
        11 => Expr::InRange(next(draw), next(draw), next(draw)),
        12 => Expr::IsPresent(next(draw)),
        13 => Expr::IsEmpty(next(draw)),
        14 => Expr::Contains(next(draw), next(draw)),
        15 => Expr::StartsWith(next(draw), next(draw)),
        16 => Expr::EndsWith(next(draw), next(draw)),
        17 => Expr::Matches(next(draw), PATTERNS[draw.below(PATTERNS.len())].0.to_owned()),
        18..=20 => Expr::Arithmetic(draw.one(&ARITHMETIC), next(draw), next(draw)),
        21 => Expr::Negate(next(draw)),
        22 => Expr::Else(next(draw), next(draw)),
        23 => Expr::Require { value: next(draw), what: draw.one(&["a", "b"]).to_owned() },
        24 => Expr::Index(next(draw), next(draw)),
        25 => Expr::Field(next(draw), draw.one(&["a", "b", "c"]).to_owned()),
        26 => Expr::Text(several(draw)),
        27 => Expr::List(several(draw)),
        28 => Expr::Record(draw.some(3, |draw| (draw.one(&["a", "b", "c"]).to_owned(), expr(draw, deep - 1, loops)))),
        29 | 30 if loops > 0 => {
            let each = draw.one(&[Each::Any, Each::All, Each::Count, Each::Filter, Each::Map, Each::Sort]);
            Expr::ForEach(each, next(draw), Box::new(expr(draw, deep - 1, loops - 1)))
        }
        31 => {
            let function = IN_ZONES[draw.below(IN_ZONES.len())].clone();
            let mut args = vec![*next(draw)];
            match function {
                Function::DaysBetween => args.push(*next(draw)),
                Function::Shift => args.push(Expr::Const(Value::Duration(duration(draw)))),
                Function::Format => args.push(Expr::Const(Value::text(draw.one(TEXTS)))),
                _ => {}
            }
            args.push(Expr::Const(Value::text(draw.one(ZONES))));
            Expr::Call(function, args)
        }
        // What belongs together: two of a kind, a time and a length, an amount and a number.
        33 => {
            let kind = draw.below(14);
            let sides = [of_kind(kind, draw, 1), of_kind(kind, draw, 1)].map(|side| Box::new(Expr::Const(side)));
            let [left, right] = sides;
            match draw.below(3) {
                0 => Expr::Equal(left, right),
                1 => Expr::Arithmetic(draw.one(&ARITHMETIC), left, right),
                _ => Expr::Compare(order(draw), left, right),
            }
        }
        34 | 35 => {
            let (left, right) = draw.one(&[(7, 10), (9, 10), (10, 9), (6, 2), (2, 6), (6, 6)]);
            let [left, right] = [of_kind(left, draw, 0), of_kind(right, draw, 0)].map(|side| Box::new(Expr::Const(side)));
            Expr::Arithmetic(draw.one(&ARITHMETIC), left, right)
        }
        36 => {
            let of_list = draw.below(18);
            Expr::Call(FUNCTIONS[of_list].clone(), vec![Expr::Const(of_kind(11, draw, 1))])
        }
        _ => Expr::Call(FUNCTIONS[draw.below(FUNCTIONS.len())].clone(), several(draw)),
    }
}

fn leaf(draw: &mut Draw<'_>) -> Expr {
    match draw.below(5) {
        0 | 1 => Expr::Const(value(draw, 2)),
        2 => Expr::It,
        _ => Expr::Event(u16::from(draw.byte()) % (SLOTS + 1)),
    }
}

/// A condition, so deep at most.
pub(crate) fn condition(draw: &mut Draw<'_>, deep: u32) -> Condition {
    match draw.below(if deep == 0 { 1 } else { 4 }) {
        1 => Condition::All(draw.some(3, |draw| condition(draw, deep - 1))),
        2 => Condition::Any(draw.some(3, |draw| condition(draw, deep - 1))),
        3 => Condition::Not(Box::new(condition(draw, deep - 1))),
        _ => Condition::Test { text: String::new(), expr: expr(draw, 4, 2), reads: Vec::new() },
    }
}
