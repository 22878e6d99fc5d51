//! Expressions and conditions over values.
//!
//! Evaluation is total: what cannot be computed is [`Value::Missing`], and only `require` can fail. It reads no clock and
//! no network; whatever it needs from outside comes through a [`Scope`].

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use flow_plan::{Arithmetic, Condition, Currency, Env, Expr, JsonPath, Money, Order, Segment, Value};
use jiff::civil::Time;
use regex::Regex;
use rust_decimal::{Decimal, RoundingStrategy};

mod each;

pub use flow_functions::ordering;

use each::for_each;

/// What an expression can read. A place that does not exist where it is evaluated is missing.
pub trait Scope {
    /// Returns the field of the starting event in this slot.
    fn event(&self, _slot: u16) -> Value {
        Value::Missing
    }

    /// Returns the field of the awaited event in this slot.
    fn awaited(&self, _slot: u16) -> Value {
        Value::Missing
    }

    /// Returns a local of the run.
    fn local(&self, _local: u16) -> Value {
        Value::Missing
    }

    /// Returns an input of the operation at hand.
    fn input(&self, _input: u16) -> Value {
        Value::Missing
    }

    /// Returns something that the surroundings know.
    fn env(&self, _env: &Env) -> Value {
        Value::Missing
    }

    /// Returns what stands at a path of the starting event's raw payload.
    fn raw(&self, _path: &JsonPath) -> Value {
        Value::Missing
    }

    /// Returns what stands at a path of the answer, the item or the payload at hand.
    fn answer(&self, _path: &JsonPath) -> Value {
        Value::Missing
    }
}

/// The scope in which everything is missing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Scope for Nothing {}

/// A value that a flow requires is missing. It depends on the event alone, so trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{what}` is missing in this event")]
pub struct Required {
    /// How the source calls it: `customer_email`.
    pub what: String,
}

/// Where an expression is evaluated: the surroundings, and within the expression the item at hand.
#[derive(Clone, Copy)]
struct Within<'a> {
    scope: &'a dyn Scope,
    /// The item of the innermost [`Expr::ForEach`].
    it: Option<&'a Value>,
    /// How many items have been looked at.
    rounds: &'a Cell<u32>,
}

impl<'a> std::ops::Deref for Within<'a> {
    type Target = dyn Scope + 'a;

    fn deref(&self) -> &Self::Target {
        self.scope
    }
}

/// Returns the value of an expression.
///
/// # Errors
/// Where a `require` finds no value.
pub fn eval(expr: &Expr, scope: &dyn Scope) -> Result<Value, Required> {
    compute(expr, Within { scope, it: None, rounds: &Cell::new(0) })
}

fn compute(expr: &Expr, scope: Within<'_>) -> Result<Value, Required> {
    Ok(match expr {
        Expr::Const(value) => value.clone(),
        Expr::Event(slot) => scope.event(*slot),
        Expr::Awaited(slot) => scope.awaited(*slot),
        Expr::Local(local) => scope.local(*local),
        Expr::Input(input) => scope.input(*input),
        Expr::Env(env) => scope.env(env),
        Expr::Raw(path) => scope.raw(path),
        Expr::Answer(path) => scope.answer(path),
        Expr::Field(record, name) => compute(record, scope)?.field(name),
        Expr::Index(list, index) => index_of(&compute(list, scope)?, &compute(index, scope)?),
        Expr::Text(parts) => text(parts, scope)?,
        Expr::List(items) => {
            let items = items.iter().map(|item| compute(item, scope)).collect::<Result<Vec<_>, _>>()?;
            Value::List(Arc::new(items.into_iter().filter(|item| !item.is_missing()).collect()))
        }
        Expr::Record(fields) => {
            let mut record = BTreeMap::new();
            for (name, value) in fields {
                let value = compute(value, scope)?;
                if !value.is_missing() {
                    record.insert(Arc::from(name.as_str()), value);
                }
            }
            Value::Record(Arc::new(record))
        }
        Expr::Not(inner) => Value::Bool(!truth(inner, scope)?),
        Expr::And(parts) => Value::Bool(all(parts, scope)?),
        Expr::Or(parts) => Value::Bool(any(parts, scope)?),
        Expr::Compare(order, left, right) => {
            Value::Bool(ordering(&compute(left, scope)?, &compute(right, scope)?).is_some_and(|found| order.holds(found)))
        }
        Expr::CompareAny(order, left, limits) => Value::Bool(compare_any(*order, &compute(left, scope)?, limits)),
        Expr::CompareMajor(order, left, right) => {
            Value::Bool(compare_major(*order, &compute(left, scope)?, &compute(right, scope)?))
        }
        Expr::Equal(left, right) => Value::Bool(equal(&compute(left, scope)?, &compute(right, scope)?)),
        Expr::OneOf(value, choices) => Value::Bool(one_of(&compute(value, scope)?, choices, scope)?),
        Expr::InList(value, list) => Value::Bool(in_list(&compute(value, scope)?, &compute(list, scope)?)),
        Expr::InRange(value, low, high) => {
            Value::Bool(in_range(&compute(value, scope)?, &compute(low, scope)?, &compute(high, scope)?))
        }
        Expr::IsPresent(inner) => Value::Bool(!compute(inner, scope)?.is_missing()),
        Expr::IsEmpty(inner) => Value::Bool(is_empty(&compute(inner, scope)?)),
        Expr::Contains(text, part) => Value::Bool(contains(&compute(text, scope)?, &compute(part, scope)?)),
        Expr::StartsWith(text, part) => {
            Value::Bool(of_texts(&compute(text, scope)?, &compute(part, scope)?, |t, p| t.starts_with(p)))
        }
        Expr::EndsWith(text, part) => {
            Value::Bool(of_texts(&compute(text, scope)?, &compute(part, scope)?, |t, p| t.ends_with(p)))
        }
        Expr::Matches(text, pattern) => Value::Bool(compute(text, scope)?.as_text().is_some_and(|text| matches(text, pattern))),
        Expr::Arithmetic(how, left, right) => arithmetic(*how, &compute(left, scope)?, &compute(right, scope)?),
        Expr::Negate(inner) => negate(&compute(inner, scope)?),
        Expr::Else(value, default) => match compute(value, scope)? {
            Value::Missing => compute(default, scope)?,
            value => value,
        },
        Expr::Require { value, what } => match compute(value, scope)? {
            Value::Missing => return Err(Required { what: what.clone() }),
            value => value,
        },
        Expr::Call(function, args) => {
            let args = args.iter().map(|arg| compute(arg, scope)).collect::<Result<Vec<_>, _>>()?;
            flow_functions::call(function, &args)
        }
        Expr::It => scope.it.cloned().unwrap_or_default(),
        Expr::ForEach(each, list, body) => for_each(*each, &compute(list, scope)?, body, scope)?,
    })
}

/// Tells whether a condition holds. It is total: what cannot be computed does not hold.
pub fn test(condition: &Condition, scope: &dyn Scope) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(|part| test(part, scope)),
        Condition::Any(parts) => parts.iter().any(|part| test(part, scope)),
        Condition::Not(inner) => !test(inner, scope),
        Condition::Test { expr, .. } => holds(expr, scope).unwrap_or(false),
    }
}

/// Tells whether an expression yields true; missing counts as false.
///
/// # Errors
/// Where a `require` finds no value.
pub fn holds(expr: &Expr, scope: &dyn Scope) -> Result<bool, Required> {
    Ok(matches!(eval(expr, scope)?, Value::Bool(true)))
}

fn truth(expr: &Expr, scope: Within<'_>) -> Result<bool, Required> {
    Ok(matches!(compute(expr, scope)?, Value::Bool(true)))
}

/// Returns what stands at a path of a value; the root path is the value itself.
pub fn path_get(value: &Value, path: &JsonPath) -> Value {
    let mut at = value;
    for segment in &path.0 {
        let next = match (at, segment) {
            (Value::Record(fields), Segment::Key(key)) => fields.get(key.as_str()),
            (Value::List(items), Segment::Index(index)) => items.get(*index),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return Value::Missing,
        }
    }
    at.clone()
}

/// Tells whether two values are present and equal.
pub fn equal(left: &Value, right: &Value) -> bool {
    !left.is_missing() && left == right
}

fn all(parts: &[Expr], scope: Within<'_>) -> Result<bool, Required> {
    for part in parts {
        if !truth(part, scope)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn any(parts: &[Expr], scope: Within<'_>) -> Result<bool, Required> {
    for part in parts {
        if truth(part, scope)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn one_of(wanted: &Value, choices: &[Expr], scope: Within<'_>) -> Result<bool, Required> {
    for choice in choices {
        if equal(wanted, &compute(choice, scope)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn text(parts: &[Expr], scope: Within<'_>) -> Result<Value, Required> {
    use std::fmt::Write;
    let mut out = String::new();
    for part in parts {
        match compute(part, scope)? {
            Value::Text(text) => out.push_str(&text),
            // Writing into a text cannot fail.
            value => drop(write!(out, "{value}")),
        }
    }
    Ok(Value::text(out))
}

fn index_of(list: &Value, index: &Value) -> Value {
    match (list, index) {
        (Value::List(items), Value::Number(index)) if index.fract().is_zero() => {
            usize::try_from(*index).ok().and_then(|index| items.get(index)).cloned().unwrap_or_default()
        }
        (Value::Record(_), Value::Text(name)) => list.field(name),
        _ => Value::Missing,
    }
}

fn compare_any(order: Order, value: &Value, limits: &BTreeMap<Currency, Decimal>) -> bool {
    let Value::Money(money) = value else { return false };
    limits.get(&money.currency).is_some_and(|limit| order.holds(money.amount.cmp(limit)))
}

/// Money against major units, whichever side the money stands on.
fn compare_major(order: Order, left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Money(money), Value::Number(number)) => order.holds(money.amount.cmp(number)),
        (Value::Number(number), Value::Money(money)) => order.holds(number.cmp(&money.amount)),
        _ => false,
    }
}

pub(crate) fn in_list(value: &Value, list: &Value) -> bool {
    match list {
        Value::List(items) => items.iter().any(|item| equal(value, item)),
        _ => false,
    }
}

pub(crate) fn in_range(value: &Value, low: &Value, high: &Value) -> bool {
    if let (Value::Time(at), Value::Time(low), Value::Time(high)) = (value, low, high) {
        return time_in_range(*at, *low, *high);
    }
    ordering(low, value).is_some_and(Ordering::is_le) && ordering(value, high).is_some_and(Ordering::is_le)
}

/// A range of times of day excludes its end and may cross midnight.
fn time_in_range(at: Time, low: Time, high: Time) -> bool {
    if low <= high { low <= at && at < high } else { low <= at || at < high }
}

pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Missing => true,
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Record(fields) => fields.is_empty(),
        _ => false,
    }
}

pub(crate) fn contains(whole: &Value, part: &Value) -> bool {
    match whole {
        Value::List(_) => in_list(part, whole),
        _ => of_texts(whole, part, |whole, part| whole.contains(part)),
    }
}

fn of_texts(left: &Value, right: &Value, test: fn(&str, &str) -> bool) -> bool {
    match (left.as_text(), right.as_text()) {
        (Some(left), Some(right)) => test(left, right),
        _ => false,
    }
}

/// At most so many compiled patterns are kept; beyond, all are dropped and compiled anew when they are needed.
const REGEX_CACHE: usize = 1024;

/// `None` is a pattern that does not compile, which the compiler has ruled out.
static REGEXES: LazyLock<RwLock<HashMap<String, Option<Regex>>>> = LazyLock::new(RwLock::default);

pub(crate) fn matches(text: &str, pattern: &str) -> bool {
    let cached = REGEXES.read().unwrap_or_else(PoisonError::into_inner).get(pattern).cloned();
    let regex = cached.unwrap_or_else(|| {
        let compiled = Regex::new(pattern).ok();
        let mut cache = REGEXES.write().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= REGEX_CACHE {
            cache.clear();
        }
        cache.insert(pattern.to_owned(), compiled.clone());
        compiled
    });
    regex.is_some_and(|regex| regex.is_match(text))
}

fn arithmetic(how: Arithmetic, left: &Value, right: &Value) -> Value {
    let result = match how {
        Arithmetic::Add => add(left, right),
        Arithmetic::Subtract => subtract(left, right),
        Arithmetic::Multiply => multiply(left, right),
        Arithmetic::Divide => divide(left, right),
    };
    result.unwrap_or_default()
}

fn add(left: &Value, right: &Value) -> Option<Value> {
    Some(match (left, right) {
        (Value::Number(left), Value::Number(right)) => Value::Number(left.checked_add(*right)?),
        (Value::Money(left), Value::Money(right)) if left.currency == right.currency => {
            Value::Money(Money { amount: left.amount.checked_add(right.amount)?, currency: left.currency })
        }
        (Value::Duration(left), Value::Duration(right)) => Value::Duration(flow_plan::Duration {
            months: left.months.checked_add(right.months)?,
            days: left.days.checked_add(right.days)?,
            millis: left.millis.checked_add(right.millis)?,
        }),
        (Value::Instant(at), Value::Duration(by)) | (Value::Duration(by), Value::Instant(at)) => shift_instant(*at, *by)?,
        (Value::Date(date), Value::Duration(by)) | (Value::Duration(by), Value::Date(date)) => shift_date(*date, *by)?,
        _ => return None,
    })
}

fn subtract(left: &Value, right: &Value) -> Option<Value> {
    Some(match (left, right) {
        (Value::Instant(left), Value::Instant(right)) => {
            let millis = left.as_millisecond().checked_sub(right.as_millisecond())?;
            Value::Duration(flow_plan::Duration::from_millis(millis))
        }
        (Value::Date(left), Value::Date(right)) => {
            let days = left.since((jiff::Unit::Day, *right)).ok()?.get_days();
            Value::Duration(flow_plan::Duration { days, ..flow_plan::Duration::default() })
        }
        (Value::Number(_), Value::Number(_))
        | (Value::Money(_), Value::Money(_))
        | (Value::Duration(_) | Value::Instant(_) | Value::Date(_), Value::Duration(_)) => return add(left, &negate(right)),
        _ => return None,
    })
}

fn multiply(left: &Value, right: &Value) -> Option<Value> {
    Some(match (left, right) {
        (Value::Number(left), Value::Number(right)) => Value::Number(left.checked_mul(*right)?),
        (Value::Money(money), Value::Number(by)) | (Value::Number(by), Value::Money(money)) => {
            Value::Money(Money { amount: money.amount.checked_mul(*by)?, currency: money.currency })
        }
        _ => return None,
    })
}

fn divide(left: &Value, right: &Value) -> Option<Value> {
    Some(match (left, right) {
        (Value::Number(left), Value::Number(right)) => Value::Number(left.checked_div(*right)?),
        (Value::Money(money), Value::Number(by)) => {
            // The currency's decimals, or those that the amount already has: 10.00 USD / 3 is 3.33 USD.
            let decimals = u32::from(money.currency.decimals()).max(money.amount.normalize().scale());
            let amount = money.amount.checked_div(*by)?;
            let amount = amount.round_dp_with_strategy(decimals, RoundingStrategy::MidpointNearestEven);
            Value::Money(Money { amount, currency: money.currency })
        }
        (Value::Money(left), Value::Money(right)) if left.currency == right.currency => {
            Value::Number(left.amount.checked_div(right.amount)?)
        }
        _ => return None,
    })
}

fn negate(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(-*number),
        Value::Money(money) => Value::Money(Money { amount: -money.amount, currency: money.currency }),
        Value::Duration(by) => {
            let negated = || {
                Some(flow_plan::Duration {
                    months: by.months.checked_neg()?,
                    days: by.days.checked_neg()?,
                    millis: by.millis.checked_neg()?,
                })
            };
            negated().map_or(Value::Missing, Value::Duration)
        }
        _ => Value::Missing,
    }
}

/// Calendar units count in UTC here: an expression carries no zone, and the compiler refuses them where one is needed.
fn shift_instant(at: jiff::Timestamp, by: flow_plan::Duration) -> Option<Value> {
    let mut at = at;
    if by.months != 0 || by.days != 0 {
        let (months, days) = calendar(by)?;
        at = at.to_zoned(jiff::tz::TimeZone::UTC).checked_add(months).ok()?.checked_add(days).ok()?.timestamp();
    }
    at.checked_add(jiff::SignedDuration::from_millis(by.millis)).ok().map(Value::Instant)
}

/// A date has no time of day, so a duration with hours gives no date.
fn shift_date(date: jiff::civil::Date, by: flow_plan::Duration) -> Option<Value> {
    if by.millis != 0 {
        return None;
    }
    let (months, days) = calendar(by)?;
    date.checked_add(months).ok()?.checked_add(days).ok().map(Value::Date)
}

/// The months and the days of a duration. They are apart since a span of jiff has one sign: a month less a day would be
/// a month and a day back.
fn calendar(by: flow_plan::Duration) -> Option<(jiff::Span, jiff::Span)> {
    Some((jiff::Span::new().try_months(by.months).ok()?, jiff::Span::new().try_days(by.days).ok()?))
}
