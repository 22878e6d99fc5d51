//! The functions of the language. A missing argument, or one of another type, gives a missing value.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use flow_plan::{Currency, Function, Money, Value};
use jiff::Timestamp;
use rust_decimal::{Decimal, RoundingStrategy};
use sha2::{Digest, Sha256};

/// Returns the value of a function.
pub fn call(function: &Function, args: &[Value]) -> Value {
    result(function, args).unwrap_or_default()
}

fn result(function: &Function, args: &[Value]) -> Option<Value> {
    let first = args.first()?;
    Some(match function {
        Function::Lower => Value::text(first.as_text()?.to_lowercase()),
        Function::Upper => Value::text(first.as_text()?.to_uppercase()),
        Function::Trim => Value::text(first.as_text()?.trim()),
        Function::Length => Value::Number(Decimal::from(length(first)?)),
        Function::First => list(first)?.first()?.clone(),
        Function::Last => list(first)?.last()?.clone(),
        Function::Cut => Value::text(cut(first.as_text()?, args.get(1)?)?),
        Function::Base64 => Value::text(base64::engine::general_purpose::STANDARD.encode(first.as_text()?)),
        Function::Hash => Value::text(hex::encode(Sha256::digest(first.as_text()?.as_bytes()))),
        Function::Minor(exponents) => Value::Number(minor(money(first)?, exponents)?),
        Function::CurrencyCode => Value::text(money(first)?.currency.code().to_lowercase()),
        Function::Unix => Value::Number(Decimal::from(instant(first)?.as_millisecond().div_euclid(1000))),
        Function::UnixMillis => Value::Number(Decimal::from(instant(first)?.as_millisecond())),
        Function::Iso => Value::text(rfc3339(instant(first)?)),
    })
}

/// Returns an instant in RFC 3339, in UTC with milliseconds: `2026-11-22T12:00:00.000Z`.
pub fn rfc3339(at: Timestamp) -> String {
    // Milliseconds are cut, not rounded, so that an instant never shows as one that has not come yet.
    let at = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
    format!("{at:.3}")
}

fn list(value: &Value) -> Option<&Arc<Vec<Value>>> {
    match value {
        Value::List(items) => Some(items),
        _ => None,
    }
}

fn money(value: &Value) -> Option<Money> {
    match value {
        Value::Money(money) => Some(*money),
        _ => None,
    }
}

fn instant(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Instant(at) => Some(*at),
        _ => None,
    }
}

/// Characters are Unicode scalar values.
fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Text(text) => Some(text.chars().count()),
        Value::List(items) => Some(items.len()),
        Value::Record(fields) => Some(fields.len()),
        _ => None,
    }
}

fn cut<'a>(text: &'a str, bytes: &Value) -> Option<&'a str> {
    let Value::Number(bytes) = bytes else { return None };
    let bytes = usize::try_from(bytes.trunc()).ok()?;
    text.get(..text.floor_char_boundary(bytes.min(text.len())))
}

/// An amount that the minor unit cannot hold is rounded half to even.
fn minor(money: Money, exponents: &BTreeMap<Currency, u8>) -> Option<Decimal> {
    let decimals = u32::from(exponents.get(&money.currency).copied().unwrap_or(money.currency.decimals()));
    let factor = Decimal::from(10u64.checked_pow(decimals)?);
    let amount = money.amount.checked_mul(factor)?;
    Some(amount.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven).normalize())
}
