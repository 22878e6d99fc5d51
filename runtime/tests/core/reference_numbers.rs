//! Numbers and dates for the reference: whole numbers of the smallest decimal, and days counted one by one from 1970.

use flow_plan::Money;
use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;

use super::DAY;

/// Both numbers in units of the smaller of their last decimals; `None` where that needs too many digits.
fn aligned(a: Decimal, b: Decimal) -> Option<(i128, i128, u32)> {
    let (a, b) = (a.normalize(), b.normalize());
    let scale = a.scale().max(b.scale());
    let units = |n: Decimal| n.mantissa().checked_mul(10i128.checked_pow(scale - n.scale())?);
    Some((units(a)?, units(b)?, scale))
}

fn number(units: i128, scale: u32) -> Option<Decimal> {
    Decimal::try_from_i128_with_scale(units, scale).ok()
}

pub(super) fn add_numbers(a: Decimal, b: Decimal) -> Option<Decimal> {
    let exact = aligned(a, b).and_then(|(a, b, scale)| number(a.checked_add(b)?, scale));
    // What has too many digits is rounded by the library, or too large.
    exact.or_else(|| a.checked_add(b))
}

pub(super) fn multiply_numbers(a: Decimal, b: Decimal) -> Option<Decimal> {
    let (x, y) = (a.normalize(), b.normalize());
    let exact = x.mantissa().checked_mul(y.mantissa()).and_then(|units| number(units, x.scale() + y.scale()));
    exact.or_else(|| a.checked_mul(b))
}

/// Money by a number: as many decimals as the currency has, or as the amount had; half to even.
pub(super) fn divide_money(money: &Money, by: Decimal) -> Option<Money> {
    let decimals = u32::from(money.currency.decimals()).max(money.amount.normalize().scale());
    if by.is_zero() {
        return None;
    }
    let exact = aligned(money.amount, by).and_then(|(above, below, _)| {
        let above = above.checked_mul(10i128.checked_pow(decimals)?)?;
        number(half_even(above, below), decimals)
    });
    let amount = match exact {
        Some(amount) => amount,
        None => {
            money.amount.checked_div(by)?.round_dp_with_strategy(decimals, rust_decimal::RoundingStrategy::MidpointNearestEven)
        }
    };
    Some(Money { amount, currency: money.currency })
}

/// The whole number nearest to a fraction; of two as near the even one.
pub(super) fn half_even(above: i128, below: i128) -> i128 {
    let (above, below) = if below < 0 { (-above, -below) } else { (above, below) };
    let (whole, rest) = (above.div_euclid(below), above.rem_euclid(below));
    match (below - rest).cmp(&rest) {
        std::cmp::Ordering::Less => whole + 1,
        std::cmp::Ordering::Greater => whole,
        std::cmp::Ordering::Equal => whole + whole.rem_euclid(2),
    }
}

/// A number in units of 10^-digits, rounded as `how` says; `None` where that needs too many digits.
pub(super) fn rounded(n: Decimal, digits: i64, how: fn(i128, i128) -> i128) -> Option<Decimal> {
    let n = n.normalize();
    if i64::from(n.scale()) <= digits {
        return Some(n);
    }
    let drop = u32::try_from(i64::from(n.scale()) - digits).ok()?;
    let units = how(n.mantissa(), 10i128.checked_pow(drop)?);
    match u32::try_from(digits) {
        Ok(scale) => number(units, scale),
        Err(_) => number(units.checked_mul(10i128.checked_pow(u32::try_from(-digits).ok()?)?)?, 0),
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && year % 100 != 0 || year % 400 == 0
}

fn days_of_year(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// How many days lie between 1970-01-01 and the date.
pub(super) fn day_number(date: Date) -> i64 {
    let (year, month) = (i64::from(date.year()), i64::from(date.month()));
    let years: i64 =
        if year >= 1970 { (1970..year).map(days_of_year).sum() } else { -(year..1970).map(days_of_year).sum::<i64>() };
    years + (1..month).map(|month| days_of_month(year, month)).sum::<i64>() + i64::from(date.day()) - 1
}

/// The date of a day number.
pub(super) fn date_of(day: i64) -> Option<Date> {
    let (mut year, mut left) = (1970, day);
    while left < 0 {
        year -= 1;
        left += days_of_year(year);
        if year < -9999 {
            return None;
        }
    }
    while left >= days_of_year(year) {
        left -= days_of_year(year);
        year += 1;
        if year > 9999 {
            return None;
        }
    }
    let mut month = 1;
    while left >= days_of_month(year, month) {
        left -= days_of_month(year, month);
        month += 1;
    }
    Date::new(year.try_into().ok()?, month.try_into().ok()?, (left + 1).try_into().ok()?).ok()
}

/// The same day so many months later, or the last one where that month is shorter.
pub(super) fn add_months(date: Date, months: i32) -> Option<Date> {
    let months = i64::from(date.year()) * 12 + i64::from(date.month()) - 1 + i64::from(months);
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    let day = i64::from(date.day()).min(days_of_month(year, month));
    Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()
}

pub(super) fn add_days(date: Date, days: i64) -> Option<Date> {
    date_of(day_number(date).checked_add(days)?)
}

/// The date and the nanoseconds since its midnight, so many hours east of UTC.
pub(super) fn civil_at(at: Timestamp, hours: i128) -> (Date, i128) {
    let nanos = at.as_nanosecond() + hours * 3_600_000_000_000;
    let day = i64::try_from(nanos.div_euclid(DAY)).unwrap();
    (date_of(day).unwrap(), nanos.rem_euclid(DAY))
}

/// The instant so many nanoseconds after the midnight of a date, so many hours east of UTC.
pub(super) fn instant_at(date: Date, nanos: i128, hours: i128) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(day_number(date)) * DAY + nanos - hours * 3_600_000_000_000).ok()
}
