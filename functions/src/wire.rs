//! Functions that only the requests of connectors use.

use std::collections::BTreeMap;

use flow_plan::{Currency, Value};
use rust_decimal::Decimal;

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
