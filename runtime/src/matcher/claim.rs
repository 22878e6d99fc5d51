//! What a condition claims of single fields, so that the flows an event may start are found by its values.
//!
//! A claim may allow more than the condition, never less: where the condition holds, or its answer depends on a field that
//! does not fit, either every claim of it holds or the claim's own field does not fit.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;

use flow_plan::{Currency, Order, Value};
use rust_decimal::Decimal;

use super::program::Op;

/// A list with more values is not taken apart.
const MOST_KEYS: usize = 4096;

/// A claim.
#[derive(Debug)]
pub(super) enum Claim {
    /// What the probe finds is one of these values, each as its hash; never none.
    Keys(Probe, Vec<u64>),
    /// The field keeps one of these bounds; never none.
    Bounds(u32, Vec<Bound>),
    /// The field keeps both bounds, which are of one class: the lower and the upper.
    Between(u32, Class, Point, Point),
}

/// Where a value is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Probe {
    pub(super) field: u32,
    pub(super) how: How,
}

/// What of a field is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum How {
    /// The value.
    Whole,
    /// Each item of a list.
    Item,
    /// So many bytes at its beginning.
    Prefix(usize),
    /// So many bytes at its end.
    Suffix(usize),
}

/// A bound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) class: Class,
    pub(super) side: Side,
    pub(super) point: Point,
    /// The point itself is not within.
    pub(super) strict: bool,
}

/// Values that have an order among themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Class {
    /// Numbers.
    Number,
    /// Money of one currency.
    Money(Currency),
    /// Money of any currency, by its major units.
    Major,
    /// Instants.
    Instant,
    /// Durations, by their approximate length.
    Duration,
    /// Dates.
    Date,
    /// Times of day.
    Time,
}

/// Which side of its point a bound leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    /// Values lie above.
    Lower,
    /// Values lie below.
    Upper,
}

/// A value's place in the order of its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Point {
    /// Exact numbers.
    Exact(Decimal),
    /// What is counted, with billionths.
    Count(i64, i32),
}

/// Appends the claims of a conjunction.
pub(super) fn claims(ops: &[Op], into: &mut Vec<Claim>) {
    for op in ops {
        match op {
            Op::Is(field, value) => into.extend(keys(*field, How::Whole, std::slice::from_ref(value))),
            Op::OneOf(field, values) => into.extend(keys(*field, How::Whole, values)),
            Op::Holds(field) => into.extend(keys(*field, How::Whole, &[Value::Bool(true)])),
            Op::Item(field, value) => into.extend(keys(*field, How::Item, std::slice::from_ref(value))),
            Op::Starts(field, text) if !text.is_empty() => {
                into.push(Claim::Keys(Probe { field: *field, how: How::Prefix(text.len()) }, vec![hash_bytes(text.as_bytes())]));
            }
            Op::Ends(field, text) if !text.is_empty() => {
                into.push(Claim::Keys(Probe { field: *field, how: How::Suffix(text.len()) }, vec![hash_bytes(text.as_bytes())]));
            }
            Op::Order(field, order, limit) => {
                if let Some((class, point)) = place(limit) {
                    into.push(Claim::Bounds(*field, vec![bound(*order, class, point)]));
                }
            }
            Op::AnyMoney(field, order, limits) if !limits.is_empty() => {
                let bounds = limits.iter().map(|(currency, limit)| bound(*order, Class::Money(*currency), Point::Exact(*limit)));
                into.push(Claim::Bounds(*field, bounds.collect()));
            }
            Op::Major(field, order, limit) => {
                into.push(Claim::Bounds(*field, vec![bound(*order, Class::Major, Point::Exact(*limit))]));
            }
            Op::Range(field, bounds) => match (place(&bounds.0), place(&bounds.1)) {
                // Where it crosses midnight it is two ranges.
                (Some((Class::Time, low)), Some((Class::Time, high))) if low > high => {}
                (Some((class, low)), Some((other, high))) if class == other => {
                    into.push(Claim::Between(*field, class, low, high));
                }
                _ => {}
            },
            Op::All(parts) => claims(parts, into),
            Op::Any(parts) => into.extend(alternatives(parts)),
            Op::Starts(..)
            | Op::Ends(..)
            | Op::AnyMoney(..)
            | Op::Present(_)
            | Op::Empty(_)
            | Op::Contains(..)
            | Op::Matches(..)
            | Op::Not(_)
            | Op::Other(_) => {}
        }
    }
}

/// Makes one claim of two bounds of one field and class, where a conjunction has both.
pub(super) fn pair(claims: &mut Vec<Claim>) {
    let lone = |claim: &Claim| match claim {
        Claim::Bounds(field, bounds) => match bounds.as_slice() {
            [bound] => Some((*field, *bound)),
            _ => None,
        },
        Claim::Keys(..) | Claim::Between(..) => None,
    };
    let mut at = 0;
    while at < claims.len() {
        let Some((field, first)) = claims.get(at).and_then(lone) else {
            at += 1;
            continue;
        };
        let other = claims.iter().enumerate().skip(at + 1).find_map(|(place, claim)| {
            let (of, second) = lone(claim)?;
            (of == field && second.class == first.class && second.side != first.side).then_some((place, second))
        });
        if let Some((place, second)) = other {
            let (low, high) = match first.side {
                Side::Lower => (first.point, second.point),
                Side::Upper => (second.point, first.point),
            };
            claims.remove(place);
            claims[at] = Claim::Between(field, first.class, low, high);
        }
        at += 1;
    }
}

/// What several alternatives claim of one place together.
fn alternatives(parts: &[Op]) -> Option<Claim> {
    let mut found = parts.iter().map(|part| {
        let mut own = Vec::new();
        claims(std::slice::from_ref(part), &mut own);
        own
    });
    let first = found.next()?;
    let others: Vec<Vec<Claim>> = found.collect();
    first.into_iter().find_map(|claim| {
        let Claim::Keys(probe, mut all) = claim else { return None };
        for other in &others {
            all.extend(other.iter().find_map(|claim| match claim {
                Claim::Keys(of, keys) if *of == probe => Some(keys),
                _ => None,
            })?);
        }
        all.sort_unstable();
        all.dedup();
        (all.len() <= MOST_KEYS).then_some(Claim::Keys(probe, all))
    })
}

fn keys(field: u32, how: How, values: &[Value]) -> Option<Claim> {
    if values.is_empty() || values.len() > MOST_KEYS {
        return None;
    }
    let mut hashes: Vec<u64> = values.iter().map(hash).collect::<Option<_>>()?;
    hashes.sort_unstable();
    hashes.dedup();
    Some(Claim::Keys(Probe { field, how }, hashes))
}

fn bound(order: Order, class: Class, point: Point) -> Bound {
    let (side, strict) = match order {
        Order::Less => (Side::Upper, true),
        Order::LessEq => (Side::Upper, false),
        Order::Greater => (Side::Lower, true),
        Order::GreaterEq => (Side::Lower, false),
    };
    Bound { class, side, point, strict }
}

/// Returns the place of a value in the order of its class. Texts have an order, but none that the language asks for.
pub(super) fn place(value: &Value) -> Option<(Class, Point)> {
    Some(match value {
        Value::Number(number) => (Class::Number, Point::Exact(*number)),
        Value::Money(money) => (Class::Money(money.currency), Point::Exact(money.amount)),
        Value::Instant(at) => (Class::Instant, Point::Count(at.as_second(), at.subsec_nanosecond())),
        Value::Duration(length) => (Class::Duration, Point::Count(length.approximate_millis(), 0)),
        Value::Date(date) => {
            let days = i64::from(date.year()) * 512 + i64::from(date.month()) * 32 + i64::from(date.day());
            (Class::Date, Point::Count(days, 0))
        }
        Value::Time(time) => {
            let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
            (Class::Time, Point::Count(seconds, time.subsec_nanosecond()))
        }
        Value::Missing | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Record(_) => return None,
    })
}

static HASHES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Returns the hash of a value, the same for equal ones; `None` where values of its kind are not looked up.
pub(super) fn hash(value: &Value) -> Option<u64> {
    Some(match value {
        Value::Text(text) => hash_bytes(text.as_bytes()),
        Value::Bool(value) => of(&(1, value)),
        // Nought has a sign, which does not count.
        Value::Number(number) if number.is_zero() => of(&(2, Decimal::ZERO)),
        Value::Number(number) => of(&(2, number)),
        Value::Money(money) if money.amount.is_zero() => of(&(3, Decimal::ZERO, money.currency)),
        Value::Money(money) => of(&(3, money.amount, money.currency)),
        Value::Date(date) => of(&(4, date)),
        Value::Time(time) => of(&(5, time)),
        Value::Instant(at) => of(&(6, at)),
        Value::Duration(length) => of(&(7, length)),
        Value::Missing | Value::List(_) | Value::Record(_) => return None,
    })
}

/// Returns the hash of a text or a piece of one.
pub(super) fn hash_bytes(bytes: &[u8]) -> u64 {
    of(bytes)
}

fn of<T: Hash + ?Sized>(value: &T) -> u64 {
    HASHES.hash_one(value)
}
