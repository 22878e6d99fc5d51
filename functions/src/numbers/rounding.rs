//! Rounding to a number of decimals.

use flow_plan::{Money, Value};
use rust_decimal::{Decimal, RoundingStrategy};

use crate::args::Args;

/// More decimals or zeros than this no number has.
const MOST: i64 = 28;

/// Rounds a number or money, with the decimals that the second argument says.
pub(super) fn to(args: Args<'_>, strategy: RoundingStrategy) -> Option<Value> {
    match args.value(0)? {
        Value::Number(number) => rounded(*number, args.whole_or(1, 0)?, strategy).map(Value::Number),
        Value::Money(money) => {
            let digits = args.whole_or(1, i64::from(money.currency.decimals()))?;
            let amount = rounded(money.amount, digits, strategy)?;
            Some(Value::Money(Money { amount, currency: money.currency }))
        }
        _ => None,
    }
}

fn rounded(number: Decimal, digits: i64, strategy: RoundingStrategy) -> Option<Decimal> {
    if digits >= 0 {
        let digits = u32::try_from(digits.min(MOST)).ok()?;
        return Some(number.round_dp_with_strategy(digits, strategy).normalize());
    }
    let zeros = u32::try_from(digits.checked_neg()?).ok().filter(|zeros| i64::from(*zeros) <= MOST)?;
    let unit = Decimal::from_i128_with_scale(10i128.checked_pow(zeros)?, 0);
    // Whole units and what is beyond, both exact: a division could lose just what decides.
    let beyond = number.checked_rem(unit)?;
    let below = number.checked_sub(beyond)?;
    let up = beyond.is_sign_positive() && !beyond.is_zero();
    let away = match strategy {
        RoundingStrategy::ToPositiveInfinity => up,
        RoundingStrategy::ToNegativeInfinity => !up && !beyond.is_zero(),
        _ => {
            let half = unit.checked_div(Decimal::TWO)?;
            let is_odd = !below.checked_div(unit)?.checked_rem(Decimal::TWO)?.is_zero();
            beyond.abs() > half || beyond.abs() == half && is_odd
        }
    };
    let step = if up { unit } else { -unit };
    let rounded = if away { below.checked_add(step)? } else { below };
    Some(rounded.normalize())
}
