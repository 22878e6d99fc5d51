//! The standard functions of the language: what each takes and gives, what it is for, and what it computes.
//!
//! One file each. [`ALL`] is the register that the compiler checks calls with and that the documentation is written from;
//! [`call`] evaluates. A plan refers to a function by [`Function`], so evaluating looks nothing up by name.
//!
//! Functions are total and pure. What cannot be computed is [`Value::Missing`]: a missing argument, one of a type that JSON
//! turned out to have, an overflow, a result beyond [`MOST_TEXT`] or [`MOST_ITEMS`].

mod args;
mod bytes;
mod code;
mod habit;
mod list;
mod numbers;
mod order;
pub mod pattern;
mod spec;
mod text;
mod time;
mod wire;

use flow_plan::{Function, Value};

pub use bytes::{from_base64, md5_sorted};
pub use code::iso::rfc3339;
pub use habit::{Habit, habit};
pub use order::ordering;
pub use spec::{Example, Form, Given, Gives, Kind, Param, Spec, Subject, WEEKDAYS};

use args::Args;

/// The longest text that a function gives, in bytes.
pub const MOST_TEXT: usize = 1 << 20;

/// The longest list that a function gives.
pub const MOST_ITEMS: usize = 10_000;

/// The functions, by subject and in the order in which they are told of.
pub static ALL: &[&Spec] = &[
    &text::lower::SPEC,
    &text::upper::SPEC,
    &text::capitalize::SPEC,
    &text::trim::SPEC,
    &text::replace::SPEC,
    &text::split::SPEC,
    &text::join::SPEC,
    &text::length::SPEC,
    &text::slice::SPEC,
    &text::cut::SPEC,
    &text::format::SPEC,
    &list::any::SPEC,
    &list::all::SPEC,
    &list::count::SPEC,
    &list::filter::SPEC,
    &list::map::SPEC,
    &list::first::SPEC,
    &list::last::SPEC,
    &list::sum::SPEC,
    &list::average::SPEC,
    &list::min::SPEC,
    &list::max::SPEC,
    &list::sort::SPEC,
    &list::reverse::SPEC,
    &list::unique::SPEC,
    &numbers::round::SPEC,
    &numbers::round_up::SPEC,
    &numbers::round_down::SPEC,
    &numbers::abs::SPEC,
    &numbers::number::SPEC,
    &numbers::amount::SPEC,
    &numbers::currency::SPEC,
    &numbers::money::SPEC,
    &time::date_of::SPEC,
    &time::time_of::SPEC,
    &time::year::SPEC,
    &time::month::SPEC,
    &time::day::SPEC,
    &time::weekday::SPEC,
    &time::hour::SPEC,
    &time::minute::SPEC,
    &time::days_between::SPEC,
    &time::start_of_day::SPEC,
    &code::iso::SPEC,
    &code::unix::SPEC,
    &code::hash::SPEC,
    &code::base64::SPEC,
    &code::percent_encode::SPEC,
    &code::json::SPEC,
    &code::parse_json::SPEC,
];

/// Returns the function of this name.
pub fn find(name: &str) -> Option<&'static Spec> {
    ALL.iter().copied().find(|spec| spec.name == name)
}

/// Returns the value of a function.
pub fn call(function: &Function, args: &[Value]) -> Value {
    // Of something that is not there nothing can be said.
    if args.iter().any(Value::is_missing) && *function != Function::Merge {
        return Value::Missing;
    }
    evaluate(function, Args(args)).unwrap_or_default()
}

fn evaluate(function: &Function, args: Args<'_>) -> Option<Value> {
    match function {
        Function::Lower => text::lower::call(args),
        Function::Upper => text::upper::call(args),
        Function::Capitalize => text::capitalize::call(args),
        Function::Trim => text::trim::call(args),
        Function::Replace => text::replace::call(args),
        Function::Split => text::split::call(args),
        Function::Join => text::join::call(args),
        Function::Slice => text::slice::call(args),
        Function::CutCharacters => text::cut::call(args),
        Function::Length => text::length::call(args),
        Function::Format => text::format::call(args),
        Function::First => list::first::call(args),
        Function::Last => list::last::call(args),
        Function::Unique => list::unique::call(args),
        Function::Reverse => list::reverse::call(args),
        Function::Sum => list::sum::numbers(args),
        Function::SumMoney => list::sum::money(args),
        Function::Average => list::average::call(args),
        Function::Min => list::min::call(args),
        Function::Max => list::max::call(args),
        Function::Round => numbers::round::call(args),
        Function::RoundUp => numbers::round_up::call(args),
        Function::RoundDown => numbers::round_down::call(args),
        Function::Abs => numbers::abs::call(args),
        Function::Number => numbers::number::call(args),
        Function::Amount => numbers::amount::call(args),
        Function::Money => numbers::money::call(args),
        Function::CurrencyCode => numbers::currency::call(args),
        Function::DateOf => time::date_of::call(args),
        Function::TimeOf => time::time_of::call(args),
        Function::Year => time::year::call(args),
        Function::Month => time::month::call(args),
        Function::Day => time::day::call(args),
        Function::Weekday => time::weekday::call(args),
        Function::Hour => time::hour::call(args),
        Function::Minute => time::minute::call(args),
        Function::DaysBetween => time::days_between::call(args),
        Function::StartOfDay => time::start_of_day::call(args),
        Function::Shift => time::shift::call(args),
        Function::Iso => code::iso::call(args),
        Function::Unix => code::unix::call(args),
        Function::Hash => code::hash::call(args),
        Function::Base64 => code::base64::call(args),
        Function::PercentEncode => code::percent_encode::call(args),
        Function::Json => code::json::call(args),
        Function::ParseJson => code::parse_json::call(args),
        Function::Cut => wire::cut(args),
        Function::Minor(exponents) => wire::minor(args, exponents),
        Function::UnixMillis => wire::unix_millis(args),
        Function::DecimalText => wire::decimal_text(args),
        Function::Merge => wire::merge(args),
        Function::MoneyAsText => wire::money_as_text(args),
        Function::TimesAsUnix => wire::times_as_unix(args),
        Function::Ulid => wire::ulid(args),
        Function::Wrap => wire::wrap(args),
        Function::AesCmac
        | Function::HmacSha256
        | Function::Md5
        | Function::Md5Sorted
        | Function::Sha256
        | Function::Bytes
        | Function::Unhex
        | Function::Unbase64
        | Function::Hex
        | Function::BytesToBase64
        | Function::Le32
        | Function::SliceBytes
        | Function::Behind
        | Function::EscapeMarkup => bytes::call(function, args.0),
    }
}
