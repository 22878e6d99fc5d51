//! The functions for the reference, as far as their meaning can be said in a second way. Of the others the library's own
//! answer is taken, so that what is made of it is still compared.

use flow_plan::{Currency, Function, Money, Order, Value};
use jiff::civil::Date;
use rust_decimal::Decimal;

use super::numbers::{add_days, add_months, add_numbers, civil_at, day_number, half_even, instant_at, multiply_numbers, rounded};
use super::{letters, number, ordered, same};

/// Hours east of UTC of the zones that have had no other clock since 1952.
fn hours_east(zone: &Value) -> Option<i128> {
    match zone.as_text()? {
        "UTC" => Some(0),
        "Asia/Tokyo" => Some(9),
        _ => None,
    }
}

/// The date that is meant: one as it is, an instant's on the clocks of a zone.
fn date_in(value: &Value, zone: i128) -> Option<Date> {
    match value {
        Value::Date(date) => Some(*date),
        Value::Instant(at) => Some(civil_at(*at, zone).0),
        _ => None,
    }
}

/// Returns the value of a function whose arguments are all there.
pub(super) fn function(name: &Function, args: &[Value]) -> Option<Value> {
    let library = || Some(flow_functions::call(name, args)).filter(|value| !value.is_missing());
    let whole = |n: i64| Some(Value::Number(Decimal::from(n)));
    match (name, args) {
        (Function::Length, [Value::Text(text)]) => number(letters(text).len()),
        (Function::Length, [Value::List(items)]) => number(items.iter().count()),
        (Function::First, [Value::List(items)]) => items.iter().next().cloned(),
        (Function::Last, [Value::List(items)]) => items.iter().next_back().cloned(),
        (Function::Reverse, [Value::List(items)]) => {
            let mut turned = Vec::new();
            items.iter().for_each(|item| turned.insert(0, item.clone()));
            Some(Value::List(turned.into()))
        }
        (Function::Unique, [Value::List(items)]) => {
            let mut once: Vec<Value> = Vec::new();
            for item in items.iter() {
                if !once.iter().any(|other| same(Some(other), Some(item))) {
                    once.push(item.clone());
                }
            }
            Some(Value::List(once.into()))
        }
        (Function::Sum, [Value::List(items)]) => items
            .iter()
            .try_fold(Decimal::ZERO, |sum, item| match item {
                Value::Number(n) => add_numbers(sum, *n),
                _ => None,
            })
            .map(Value::Number),
        (Function::SumMoney, [Value::List(items)]) => {
            let Some(Value::Money(first)) = items.iter().next() else { return None };
            let sum = items.iter().try_fold(Decimal::ZERO, |sum, item| match item {
                Value::Money(m) if m.currency == first.currency => add_numbers(sum, m.amount),
                _ => None,
            });
            Some(Value::Money(Money { amount: sum?, currency: first.currency }))
        }
        (Function::Min | Function::Max, _) => {
            let items: Vec<Value> = match args {
                [Value::List(items)] => items.to_vec(),
                several => several.to_vec(),
            };
            // It is there only where each can be compared with each; of equal ones it is the first.
            let comparable =
                |a: &Value, b: &Value| ordered(Order::LessEq, Some(a), Some(b)) || ordered(Order::Less, Some(b), Some(a));
            if !items.iter().all(|a| items.iter().all(|b| comparable(a, b))) {
                return None;
            }
            let order = if *name == Function::Min { Order::LessEq } else { Order::GreaterEq };
            items.iter().find(|one| items.iter().all(|other| ordered(order, Some(one), Some(other)))).cloned()
        }
        (Function::Abs, [Value::Number(n)]) => {
            Some(Value::Number(if *n < Decimal::ZERO { multiply_numbers(*n, Decimal::NEGATIVE_ONE)? } else { *n }))
        }
        (Function::Round | Function::RoundUp | Function::RoundDown, [Value::Number(n), rest @ ..]) => {
            let digits = match rest {
                [] => 0,
                [Value::Number(digits)] => i64::try_from(*digits).ok().filter(|whole| Decimal::from(*whole) == *digits)?,
                _ => return None,
            };
            let how = match name {
                Function::Round => half_even,
                Function::RoundUp => |above: i128, below: i128| -(-above).div_euclid(below),
                _ => |above: i128, below: i128| above.div_euclid(below),
            };
            match (-20..=20).contains(&digits) {
                true => rounded(*n, digits, how).map(Value::Number).or_else(library),
                false => library(),
            }
        }
        (Function::Amount, [Value::Money(m)]) => Some(Value::Number(m.amount)),
        (Function::Minor(exponents), [Value::Money(m)]) if exponents.is_empty() => {
            let decimals = i64::from(m.currency.decimals());
            let units = multiply_numbers(m.amount, Decimal::from(10i64.pow(decimals.try_into().ok()?)))?;
            rounded(units, 0, half_even).map(Value::Number).or_else(library)
        }
        (Function::Money, [Value::Number(n), Value::Text(code)]) if matches!(&**code, "USD" | "usd" | "JPY") => {
            Some(Value::Money(Money { amount: *n, currency: Currency::parse(code)? }))
        }
        (Function::Trim, [Value::Text(text)]) => {
            let all = letters(text);
            let from = all.iter().position(|letter| !letter.is_whitespace()).unwrap_or(all.len());
            let to = all.iter().rposition(|letter| !letter.is_whitespace()).map_or(from, |last| last + 1);
            Some(Value::text(all.get(from..to)?.iter().collect::<String>()))
        }
        (Function::Replace, [Value::Text(text), Value::Text(find), Value::Text(with)]) if !find.is_empty() => {
            let pieces: Vec<String> = pieces(text, find);
            Some(Value::text(pieces.join(with)))
        }
        (Function::Split, [Value::Text(text), Value::Text(by)]) if !by.is_empty() => {
            Some(Value::List(pieces(text, by).into_iter().map(Value::text).collect::<Vec<_>>().into()))
        }
        (Function::CutCharacters, [Value::Text(text), Value::Number(most)]) if most.is_integer() => {
            let kept = letters(text).into_iter().enumerate().filter(|(at, _)| Decimal::from(*at) < *most);
            Some(Value::text(kept.map(|(_, letter)| letter).collect::<String>()))
        }
        (Function::Cut, [Value::Text(text), Value::Number(most)]) if *most >= Decimal::ZERO => {
            let mut all = letters(text);
            while Decimal::from(all.iter().collect::<String>().len()) > *most {
                all.pop();
            }
            Some(Value::text(all.into_iter().collect::<String>()))
        }
        (Function::Slice, [whole, Value::Number(from), rest @ ..])
            if from.is_integer()
                && matches!(rest, [] | [Value::Number(_)])
                && matches!(whole, Value::Text(_) | Value::List(_)) =>
        {
            let length = match whole {
                Value::Text(text) => letters(text).len(),
                Value::List(items) => items.len(),
                _ => 0,
            };
            // A negative place counts from the end.
            let length = Decimal::from(length);
            let place = |at: Decimal| if at < Decimal::ZERO { (length + at).max(Decimal::ZERO) } else { at };
            let to = match rest {
                [Value::Number(to)] if !to.is_integer() => return None,
                [Value::Number(to)] => *to,
                _ => length,
            };
            let huge = Decimal::from(1_000_000);
            if from.abs() > huge || to.abs() > huge {
                return library();
            }
            let (from, to) = (place(*from), place(to));
            let kept = |at: &usize| Decimal::from(*at) >= from && Decimal::from(*at) < to;
            match whole {
                Value::Text(text) => {
                    let kept = letters(text).into_iter().enumerate().filter(|(at, _)| kept(at));
                    Some(Value::text(kept.map(|(_, letter)| letter).collect::<String>()))
                }
                Value::List(items) => {
                    let kept = items.iter().enumerate().filter(|(at, _)| kept(at));
                    Some(Value::List(kept.map(|(_, item)| item.clone()).collect::<Vec<_>>().into()))
                }
                _ => None,
            }
        }
        (Function::Unix, [Value::Instant(at)]) => whole(i64::try_from(at.as_nanosecond().div_euclid(1_000_000_000)).ok()?),
        (Function::UnixMillis, [Value::Instant(at)]) => whole(i64::try_from(at.as_nanosecond().div_euclid(1_000_000)).ok()?),
        (Function::DaysBetween, [from, to, zone]) => {
            let Some(east) = hours_east(zone) else { return library() };
            whole(day_number(date_in(to, east)?) - day_number(date_in(from, east)?))
        }
        (Function::Shift, [Value::Instant(at), Value::Duration(by), zone]) => {
            let Some(east) = hours_east(zone) else { return library() };
            let (date, rest) = civil_at(*at, east);
            let date = add_days(add_months(date, by.months)?, by.days.into())?;
            instant_at(date, rest + i128::from(by.millis) * 1_000_000, east).map(Value::Instant)
        }
        (_, [value, zone]) if hours_east(zone).is_some() => {
            let east = hours_east(zone)?;
            let Some(date) = date_in(value, east) else { return library() };
            match (name, value) {
                (Function::DateOf, Value::Instant(_)) => Some(Value::Date(date)),
                (Function::Year, _) => whole(date.year().into()),
                (Function::Month, _) => whole(date.month().into()),
                (Function::Day, _) => whole(date.day().into()),
                (Function::Weekday, _) => {
                    // 1970-01-01 was a Thursday.
                    let names = ["thursday", "friday", "saturday", "sunday", "monday", "tuesday", "wednesday"];
                    let at = usize::try_from(day_number(date).rem_euclid(7)).ok()?;
                    names.get(at).map(|name| Value::text(*name))
                }
                (Function::StartOfDay, _) => instant_at(date, 0, east).map(Value::Instant),
                (Function::Hour, Value::Instant(at)) => whole(i64::try_from(civil_at(*at, east).1 / 3_600_000_000_000).ok()?),
                (Function::Minute, Value::Instant(at)) => whole(i64::try_from(civil_at(*at, east).1 / 60_000_000_000 % 60).ok()?),
                _ => library(),
            }
        }
        _ => library(),
    }
}

/// What stands between one text within another, looked for letter by letter.
fn pieces(text: &str, by: &str) -> Vec<String> {
    let (text, by) = (letters(text), letters(by));
    let mut pieces = vec![String::new()];
    let mut at = 0;
    while at < text.len() {
        if text.iter().skip(at).take(by.len()).eq(by.iter()) {
            pieces.push(String::new());
            at += by.len();
        } else {
            pieces.last_mut().unwrap().push(text[at]);
            at += 1;
        }
    }
    pieces
}
