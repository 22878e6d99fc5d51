//! Functions that only the requests of connectors use.

use std::collections::BTreeMap;

use flow_plan::{Currency, Value};
use rust_decimal::{Decimal, RoundingStrategy};

use crate::args::Args;

/// At most so many bytes of a text, in whole characters.
pub(crate) fn cut(args: Args<'_>) -> Option<Value> {
    let text = args.text(0)?;
    let bytes = usize::try_from(args.number(1)?.trunc()).ok()?;
    text.get(..text.floor_char_boundary(bytes.min(text.len()))).map(Value::text)
}

/// An amount that the minor unit cannot hold is rounded half to even.
pub(crate) fn minor(args: Args<'_>, exponents: &BTreeMap<Currency, u8>) -> Option<Value> {
    let money = args.money(0)?;
    let decimals = u32::from(exponents.get(&money.currency).copied().unwrap_or(money.currency.decimals()));
    let factor = Decimal::from(10u64.checked_pow(decimals)?);
    let amount = money.amount.checked_mul(factor)?;
    Some(Value::Number(amount.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven).normalize()))
}

pub(crate) fn unix_millis(args: Args<'_>) -> Option<Value> {
    Some(Value::Number(Decimal::from(args.instant(0)?.as_millisecond())))
}
