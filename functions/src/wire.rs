//! Functions that only the requests of connectors use.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_plan::{Currency, Value};
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use crate::args::Args;

/// At most so many bytes of a text, in whole characters.
pub(crate) fn cut(args: Args<'_>) -> Option<Value> {
    let text = args.text(0)?;
    let bytes = usize::try_from(args.number(1)?.trunc()).ok()?;
    text.get(..text.floor_char_boundary(bytes.min(text.len()))).map(Value::text)
}

/// The amount in the minor unit, exact. What the minor unit cannot hold stays money, and so does what is not in the currency
/// that is asked for: money is never sent as it is, so that the request is not made. Neither rounding nor leaving the field
/// out is what somebody meant who wrote that amount.
pub(crate) fn minor(args: Args<'_>, exponents: &BTreeMap<Currency, u8>) -> Option<Value> {
    let money = args.money(0)?;
    let refused = Some(Value::Money(money));
    if let Some(wanted) = args.value(1)
        && wanted.as_text().and_then(Currency::parse) != Some(money.currency)
    {
        return refused;
    }
    let decimals = u32::from(exponents.get(&money.currency).copied().unwrap_or(money.currency.decimals()));
    let amount = 10u64.checked_pow(decimals).and_then(|factor| money.amount.checked_mul(Decimal::from(factor)));
    match amount.map(|amount| amount.normalize()) {
        Some(amount) if amount.is_integer() => Some(Value::Number(amount)),
        _ => refused,
    }
}

pub(crate) fn unix_millis(args: Args<'_>) -> Option<Value> {
    Some(Value::Number(Decimal::from(args.instant(0)?.as_millisecond())))
}

/// The amount in major units with the decimals of its currency, exact. What has more stays money, and is not sent: see
/// [`minor`].
pub(crate) fn decimal_text(args: Args<'_>) -> Option<Value> {
    let money = args.money(0)?;
    let decimals = u32::from(money.currency.decimals());
    let mut amount = money.amount.normalize();
    if amount.scale() <= decimals {
        amount.rescale(decimals);
    }
    // Rescaling gives way where the number would get too long.
    Some(if amount.scale() == decimals { Value::text(amount.to_string()) } else { Value::Money(money) })
}

/// A side that is missing adds nothing.
pub(crate) fn merge(args: Args<'_>) -> Option<Value> {
    let mut merged = BTreeMap::new();
    for at in 0..2 {
        match args.0.get(at)? {
            Value::Record(fields) => {
                let there = fields.iter().filter(|(_, value)| !value.is_missing());
                merged.extend(there.map(|(name, value)| (name.clone(), value.clone())));
            }
            Value::Missing => {}
            _ => return None,
        }
    }
    Some(Value::Record(Arc::new(merged)))
}

pub(crate) fn money_as_text(args: Args<'_>) -> Option<Value> {
    Some(everywhere(args.0.first()?, &|value| match value {
        Value::Money(money) => Some(Value::text(money.to_string())),
        _ => None,
    }))
}

pub(crate) fn times_as_unix(args: Args<'_>) -> Option<Value> {
    Some(everywhere(args.0.first()?, &|value| match value {
        Value::Instant(at) => Some(Value::Number(Decimal::from(at.as_second()))),
        _ => None,
    }))
}

/// Replaces what `change` gives another value for, however deep it lies.
fn everywhere(value: &Value, change: &dyn Fn(&Value) -> Option<Value>) -> Value {
    if let Some(changed) = change(value) {
        return changed;
    }
    match value {
        Value::List(items) => Value::List(items.iter().map(|item| everywhere(item, change)).collect::<Vec<_>>().into()),
        Value::Record(fields) => Value::record(fields.iter().map(|(name, field)| (name.clone(), everywhere(field, change)))),
        other => other.clone(),
    }
}

pub(crate) fn wrap(args: Args<'_>) -> Option<Value> {
    let (Value::List(items), name) = (args.0.first()?, args.text(1)?) else { return None };
    let wrapped = items.iter().map(|item| Value::record([(Arc::from(name), item.clone())]));
    Some(Value::List(wrapped.collect::<Vec<_>>().into()))
}

/// The alphabet of Crockford's base 32.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 48 bits of milliseconds and 80 bits of SHA-256 over the key, as 26 letters: equal in all attempts at one thing.
pub(crate) fn ulid(args: Args<'_>) -> Option<Value> {
    let millis = u64::try_from(args.instant(0)?.as_millisecond()).ok().filter(|millis| *millis < 1 << 48)?;
    let digest = Sha256::digest(args.text(1)?.as_bytes());
    let random = digest.iter().take(10).fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
    let bits = u128::from(millis) << 80 | random;
    let letter = |at: u32| {
        let five = usize::try_from(bits >> (5 * at) & 31).ok()?;
        CROCKFORD.get(five).map(|letter| char::from(*letter))
    };
    (0..26).rev().map(letter).collect::<Option<String>>().map(Value::text)
}

#[cfg(test)]
mod tests {
    use flow_plan::{Function, Money};
    use jiff::Timestamp;

    use super::*;

    fn money(amount: &str, currency: &str) -> Value {
        let currency = Currency::parse(currency).unwrap();
        Value::Money(Money { amount: amount.parse().unwrap(), currency })
    }

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        for (amount, currency, text) in [
            ("19.99", "USD", "19.99"),
            ("100", "USD", "100.00"),
            ("5000", "JPY", "5000"),
            ("1.5", "KWD", "1.500"),
            ("-3", "EUR", "-3.00"),
        ] {
            assert_eq!(crate::call(&Function::DecimalText, &[money(amount, currency)]), Value::text(text));
        }
        // What cannot be said exactly stays money, which no request takes.
        assert_eq!(crate::call(&Function::DecimalText, &[money("0.125", "EUR")]), money("0.125", "EUR"));
    }

    /// The instant of the example in the specification of ULIDs, and a key that stays the same.
    #[test]
    fn a_ulid_begins_with_its_time_and_ends_with_its_key() {
        let at = |millis| Value::Instant(Timestamp::from_millisecond(millis).unwrap());
        let ulid = |millis, key: &str| crate::call(&Function::Ulid, &[at(millis), Value::text(key)]).to_string();
        let one = ulid(1_469_918_176_385, "a");
        assert!(one.starts_with("01ARYZ6S41") && one.len() == 26, "{one}");
        assert_eq!(one, ulid(1_469_918_176_385, "a"));
        assert_ne!(one, ulid(1_469_918_176_385, "b"));
        assert!(ulid(1_469_918_176_386, "a") > one, "later ones sort behind");
        assert_eq!(ulid(-1, "a"), "", "there are none before 1970");
    }

    #[test]
    fn records_are_merged_and_converted_in_depth() {
        let record =
            |fields: &[(&str, Value)]| Value::record(fields.iter().map(|(name, value)| (Arc::from(*name), value.clone())));
        let data = record(&[("total", money("5", "EUR")), ("lines", Value::List(vec![money("2", "EUR")].into()))]);
        let text = crate::call(&Function::MoneyAsText, &[data]);
        assert_eq!(text.to_json().to_string(), r#"{"lines":["2.00 EUR"],"total":"5.00 EUR"}"#);
        let merged = crate::call(&Function::Merge, &[Value::Missing, record(&[("a", Value::text("b"))])]);
        assert_eq!(merged.to_json().to_string(), r#"{"a":"b"}"#);
        let time = record(&[("at", Value::Instant(Timestamp::from_millisecond(1_999).unwrap()))]);
        assert_eq!(crate::call(&Function::TimesAsUnix, &[time]).to_json().to_string(), r#"{"at":1}"#);
    }
}
