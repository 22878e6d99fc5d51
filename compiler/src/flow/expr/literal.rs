//! Numbers, money, durations, dates and times.

use std::collections::BTreeSet;
use std::rc::Rc;

use flow_grammar::span::Span;
use flow_grammar::syntax::{DurationLit, DurationUnit, Ident, NumberLit, TimeLit};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Currency, Money, Value, parse_decimal};
use jiff::civil;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::super::check::Checker;
use super::super::span::InZone;
use super::super::typed::Typed;
use crate::code::Code;
use crate::suggest::nearest;

impl<'a> Checker<'a> {
    /// Returns the value of a number, reporting one that cannot be held.
    pub(in crate::flow) fn decimal(&mut self, number: &NumberLit) -> Option<Decimal> {
        let value = parse_decimal(&number.digits);
        if value.is_none() {
            let diagnostic = self
                .diagnostic(Code::E111, number.span, "this number has too many digits")
                .help("numbers are exact, with 28 digits at most");
            self.report(diagnostic);
        }
        value
    }

    pub(super) fn number(&mut self, number: &NumberLit) -> Typed<'a> {
        match self.decimal(number) {
            Some(value) if value.scale() == 0 => Typed::constant(Value::Number(value), Type::Int(None)),
            Some(value) => Typed::constant(Value::Number(value), Type::Number),
            None => Typed::unknown(),
        }
    }

    /// A small whole number, such as a bound.
    pub(in crate::flow) fn whole(&mut self, number: &NumberLit, what: &str, least: u32, most: u32) -> Option<u32> {
        let value = self.decimal(number)?;
        let whole = if value.is_integer() { value.to_u32() } else { None };
        if let Some(whole) = whole
            && (least..=most).contains(&whole)
        {
            return Some(whole);
        }
        let diagnostic = self
            .diagnostic(Code::E301, number.span, format!("{what} is a whole number from {least} to {most}"))
            .label(format!("found {}", number.digits));
        self.report(diagnostic);
        None
    }

    pub(super) fn money(&mut self, span: Span, number: &NumberLit, code: &Ident) -> Typed<'a> {
        let (Some(amount), Some(currency)) = (self.decimal(number), self.currency(code)) else { return Typed::unknown() };
        let decimals = u32::from(currency.decimals());
        if amount.normalize().scale() > decimals {
            let has = match decimals {
                0 => "no decimals".to_owned(),
                1 => "one decimal".to_owned(),
                n => format!("{n} decimals"),
            };
            let rounded = amount.round_dp(decimals);
            let diagnostic = self
                .diagnostic(Code::E312, number.span, format!("{currency} has {has}"))
                .label("more decimals than the currency has")
                .help("an amount that nobody can pay would never be equal to one, and compares in a surprising way")
                .fix(format!("`{rounded} {currency}`"), span, format!("{rounded} {currency}"), false);
            self.report(diagnostic);
            return Typed::unknown();
        }
        let mut typed = Typed::constant(Value::Money(Money { amount, currency }), Type::Money);
        typed.currencies = Some(Rc::new(BTreeSet::from([currency])));
        typed
    }

    /// Returns the currency of a code, reporting one that does not exist.
    pub(in crate::flow) fn currency(&mut self, code: &Ident) -> Option<Currency> {
        if let Some(currency) = Currency::parse(&code.text)
            && currency.is_listed()
        {
            return Some(currency);
        }
        let mut diagnostic = self
            .diagnostic(Code::E201, code.span, format!("`{}` is no currency", code.text))
            .label("not a code of ISO 4217, such as USD, EUR or JPY");
        if let Some(found) = nearest(&code.text, Currency::listed().iter().copied()) {
            diagnostic = diagnostic.help(format!("did you mean `{found}`?")).fix(format!("`{found}`"), code.span, found, false);
        }
        self.report(diagnostic);
        None
    }

    pub(super) fn duration(&mut self, duration: &DurationLit) -> Typed<'a> {
        match self.duration_value(duration) {
            Some(value) => Typed::constant(Value::Duration(value), Type::Duration),
            None => Typed::unknown(),
        }
    }

    /// Returns the value of a duration, reporting one that cannot be held.
    pub(in crate::flow) fn duration_value(&mut self, duration: &DurationLit) -> Option<plan::Duration> {
        let mut sum = plan::Duration::default();
        for (number, unit) in &duration.parts {
            let amount = self.decimal(number)?;
            let added = match unit {
                DurationUnit::Millisecond => add_millis(&mut sum, amount, 1),
                DurationUnit::Second => add_millis(&mut sum, amount, 1_000),
                DurationUnit::Minute => add_millis(&mut sum, amount, 60_000),
                DurationUnit::Hour => add_millis(&mut sum, amount, 3_600_000),
                DurationUnit::Day => add_calendar(&mut sum.days, amount, 1),
                DurationUnit::Week => add_calendar(&mut sum.days, amount, 7),
                DurationUnit::Month => add_calendar(&mut sum.months, amount, 1),
                DurationUnit::Year => add_calendar(&mut sum.months, amount, 12),
            };
            if added.is_none() {
                let help = if amount.is_integer() {
                    "it is longer than can be counted"
                } else {
                    "days, weeks and months are counted by the calendar and have no parts: write hours, `36 hours`"
                };
                let diagnostic = self.diagnostic(Code::E111, duration.span, "this duration cannot be counted").help(help);
                self.report(diagnostic);
                return None;
            }
        }
        Some(sum)
    }

    pub(super) fn time(&mut self, time: &TimeLit) -> Typed<'a> {
        match self.clock(time) {
            Some(time) => Typed::constant(Value::Time(time), Type::Time),
            None => Typed::unknown(),
        }
    }

    pub(in crate::flow) fn clock(&mut self, time: &TimeLit) -> Option<civil::Time> {
        let small = |number: u8| i8::try_from(number).unwrap_or(i8::MAX);
        let value = civil::Time::new(small(time.hour), small(time.minute), small(time.second), 0).ok();
        if value.is_none() {
            let diagnostic = self
                .diagnostic(Code::E111, time.span, "there is no such time of day")
                .help("times go from 00:00 to 23:59; midnight is 00:00");
            self.report(diagnostic);
        }
        value
    }

    pub(super) fn date(&mut self, span: Span, text: &str) -> Typed<'a> {
        match self.calendar_date(span, text) {
            Some(date) => Typed::constant(Value::Date(date), Type::Date),
            None => Typed::unknown(),
        }
    }

    pub(in crate::flow) fn calendar_date(&mut self, span: Span, text: &str) -> Option<civil::Date> {
        let date = text.parse::<civil::Date>().ok();
        if date.is_none() {
            let diagnostic =
                self.diagnostic(Code::E111, span, format!("there is no day {text}")).help("write year, month, day: 2026-11-22");
            self.report(diagnostic);
        }
        date
    }

    pub(super) fn date_time(&mut self, span: Span, date: &str, time: &TimeLit) -> Typed<'a> {
        let (Some(date), Some(time)) = (self.calendar_date(span, date), self.clock(time)) else { return Typed::unknown() };
        let why = "the time on the clocks of a place: it is another instant in each zone";
        let Some(zone) = self.zone_for(span, InZone::Project, why) else { return Typed::unknown() };
        match flow_schedule::showing(date.to_datetime(time), Some(&zone)) {
            Some(at) => Typed::constant(Value::Instant(at), Type::DateTime),
            None => Typed::unknown(), // beyond the end of time
        }
    }
}

fn add_millis(sum: &mut plan::Duration, amount: Decimal, unit: i64) -> Option<()> {
    let millis = amount.checked_mul(Decimal::from(unit))?;
    let millis = if millis.is_integer() { millis.to_i64()? } else { return None };
    sum.millis = sum.millis.checked_add(millis)?;
    Some(())
}

fn add_calendar(sum: &mut i32, amount: Decimal, unit: i32) -> Option<()> {
    let count = if amount.is_integer() { amount.to_i32()? } else { return None };
    *sum = sum.checked_add(count.checked_mul(unit)?)?;
    Some(())
}
