//! The arguments of a call. Each way of reading gives `None` where the argument is of another type.

use std::cell::RefCell;
use std::sync::Arc;

use flow_plan::{Money, Value};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned, civil};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::{MOST_ITEMS, MOST_TEXT};

/// The arguments, in the order of the signature. What was left out at the end is not there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Args<'a>(pub(crate) &'a [Value]);

impl<'a> Args<'a> {
    pub(crate) fn value(self, at: usize) -> Option<&'a Value> {
        self.0.get(at)
    }

    pub(crate) fn text(self, at: usize) -> Option<&'a str> {
        self.0.get(at)?.as_text()
    }

    pub(crate) fn list(self, at: usize) -> Option<&'a Arc<Vec<Value>>> {
        match self.0.get(at)? {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn number(self, at: usize) -> Option<Decimal> {
        match self.0.get(at)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn money(self, at: usize) -> Option<Money> {
        match self.0.get(at)? {
            Value::Money(money) => Some(*money),
            _ => None,
        }
    }

    pub(crate) fn instant(self, at: usize) -> Option<Timestamp> {
        match self.0.get(at)? {
            Value::Instant(instant) => Some(*instant),
            _ => None,
        }
    }

    /// A whole number; one with decimals is none.
    pub(crate) fn whole(self, at: usize) -> Option<i64> {
        let number = self.number(at)?;
        if number.is_integer() { number.to_i64() } else { None }
    }

    /// A whole number that may be left out.
    pub(crate) fn whole_or(self, at: usize, default: i64) -> Option<i64> {
        if at < self.0.len() { self.whole(at) } else { Some(default) }
    }

    /// An instant on the clocks of a place: the instant stands at `at`, the zone at `zone`.
    pub(crate) fn local(self, at: usize, zone: usize) -> Option<Zoned> {
        Some(self.instant(at)?.to_zoned(self.zone(zone)?))
    }

    /// A date, or the one that an instant has in the zone.
    pub(crate) fn date(self, at: usize, zone: usize) -> Option<civil::Date> {
        match self.0.get(at)? {
            Value::Date(date) => Some(*date),
            Value::Instant(_) => Some(self.local(at, zone)?.date()),
            _ => None,
        }
    }

    /// A time of day, or the one that an instant has in the zone.
    pub(crate) fn time(self, at: usize, zone: usize) -> Option<civil::Time> {
        match self.0.get(at)? {
            Value::Time(time) => Some(*time),
            Value::Instant(_) => Some(self.local(at, zone)?.time()),
            _ => None,
        }
    }

    pub(crate) fn zone(self, at: usize) -> Option<TimeZone> {
        zone_of(self.text(at)?)
    }
}

thread_local! {
    /// The zone that was used last. Nearly always it is used again, and then its name need not be looked up.
    static LAST_ZONE: RefCell<Option<(String, TimeZone)>> = const { RefCell::new(None) };
}

fn zone_of(name: &str) -> Option<TimeZone> {
    LAST_ZONE.with_borrow_mut(|last| {
        if let Some((known, zone)) = last
            && known == name
        {
            return Some(zone.clone());
        }
        let zone = flow_schedule::zone(name)?;
        *last = Some((name.to_owned(), zone.clone()));
        Some(zone)
    })
}

/// Returns a text as a value, unless it is too long.
pub(crate) fn bounded(text: impl Into<Arc<str>>) -> Option<Value> {
    let text = text.into();
    (text.len() <= MOST_TEXT).then_some(Value::Text(text))
}

/// Returns items as a list, unless there are too many.
pub(crate) fn bounded_list(items: impl IntoIterator<Item = Value>) -> Option<Value> {
    let items: Vec<Value> = items.into_iter().take(MOST_ITEMS + 1).collect();
    (items.len() <= MOST_ITEMS).then(|| Value::List(Arc::new(items)))
}
