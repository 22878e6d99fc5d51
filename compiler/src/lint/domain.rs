//! What values a place can have, given what is asked of it.
//!
//! A domain is a set of values, the missing one included: per kind of value a set of that kind. It may be larger than
//! the truth, never smaller: an empty one is a proof.

use std::sync::Arc;

use flow_plan::{Currency, FieldShape, Order, Shape, Value};
use rust_decimal::Decimal;

use super::range::Ranges;
use super::text::{Asked, Texts};

/// A set of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Domain {
    /// The missing value is in it.
    pub(super) missing: bool,
    /// All values of kinds that have no set of their own are in it.
    rest: bool,
    sets: Vec<Set>,
}

/// The values of one kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Set {
    /// `false` and `true`.
    Bool(bool, bool),
    Text(Texts),
    /// Numbers, whole ones only where the flag is set.
    Number(Ranges, bool),
    Money(Amounts),
    /// Days since 1970.
    Date(Ranges),
    /// Seconds since midnight.
    Time(Ranges),
    /// Seconds since 1970.
    Instant(Ranges),
    /// Milliseconds, roughly.
    Duration(Ranges),
    /// Lists and records, all or none of them.
    Other(bool),
}

/// Amounts by currency.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Amounts {
    /// Sorted by currency.
    listed: Vec<(Currency, Ranges)>,
    /// Of every other currency.
    rest: Ranges,
}

impl Domain {
    /// Returns the set of all values.
    pub(super) fn all() -> Self {
        Self { missing: true, rest: true, sets: Vec::new() }
    }

    /// Returns the set of the missing value.
    pub(super) fn missing() -> Self {
        Self { missing: true, rest: false, sets: Vec::new() }
    }

    /// Returns the set of all values that are there.
    pub(super) fn present() -> Self {
        Self { missing: false, rest: true, sets: Vec::new() }
    }

    /// Returns these values of one kind.
    pub(super) fn of(set: Set) -> Self {
        Self { missing: false, rest: false, sets: vec![set] }
    }

    /// Returns these values of one kind, and all of other kinds, missing included.
    pub(super) fn of_or_other_kinds(set: Set) -> Self {
        Self { missing: true, rest: true, sets: vec![set] }
    }

    /// Adds values of another kind.
    pub(super) fn with(mut self, set: Set) -> Self {
        self.sets.push(set);
        self
    }

    /// Returns the set of these values; `None` where one is of a kind that is not looked into.
    pub(super) fn one_of<'v>(values: impl IntoIterator<Item = &'v Value>) -> Option<Self> {
        Self::of_points(&values.into_iter().collect::<Vec<_>>())
    }

    /// By halves, since joining takes as long as both sides are: a list can have tens of thousands of members.
    fn of_points(values: &[&Value]) -> Option<Self> {
        let mut domain = Self { missing: false, rest: false, sets: Vec::new() };
        match values {
            [] => {}
            [value] => domain.sets.push(Set::point(value)?),
            _ => {
                let (first, second) = values.split_at(values.len() / 2);
                domain = Self::of_points(first)?;
                Self::of_points(second)?.sets.into_iter().for_each(|set| domain.add(set));
            }
        }
        Some(domain)
    }

    /// Returns the set of all values but these; values of a kind that is not looked into are in it.
    pub(super) fn all_but<'v>(values: impl IntoIterator<Item = &'v Value>) -> Self {
        Self::without(&values.into_iter().collect::<Vec<_>>())
    }

    fn without(values: &[&Value]) -> Self {
        match values {
            [] => Self::all(),
            [value] => Set::all_but(value).map_or_else(Self::all, Self::of_or_other_kinds),
            _ => {
                let (first, second) = values.split_at(values.len() / 2);
                Self::without(first).and(&Self::without(second))
            }
        }
    }

    fn add(&mut self, set: Set) {
        match self.sets.iter_mut().find(|known| known.same_kind(&set)) {
            Some(known) => known.join(set),
            None => self.sets.push(set),
        }
    }

    /// Returns what a field of an event can have.
    pub(super) fn declared(field: &FieldShape) -> Self {
        let mut domain = match &field.shape {
            Shape::Json => Self::present(),
            Shape::Text | Shape::Written(_) => Self::of(Set::Text(Texts::all())),
            Shape::Token => Self::of(Set::Text(Texts::all_but([Arc::from("")]))),
            Shape::Bool => Self::of(Set::Bool(true, true)),
            Shape::Integer => Self::of(Set::Number(Ranges::all(), true)),
            Shape::Number => Self::of(Set::Number(Ranges::all(), false)),
            Shape::Money { .. } => Self::of(Set::Money(Amounts::all())),
            Shape::Instant(_) => Self::of(Set::Instant(Ranges::all())),
            Shape::Date => Self::of(Set::Date(Ranges::all())),
            Shape::Time => Self::of(Set::Time(Ranges::all())),
            Shape::Duration(_) => Self::of(Set::Duration(Ranges::all())),
            Shape::Enum { members, open: false } | Shape::Coded { members, .. } => {
                Self::of(Set::Text(Texts::only(members.iter().map(|member| Arc::from(member.as_str())))))
            }
            Shape::Enum { open: true, .. } => Self::of(Set::Text(Texts::all())),
            Shape::List(_) | Shape::Commas(_) | Shape::Map(_) | Shape::Record(_) | Shape::Optional(_) => {
                Self::of(Set::Other(true))
            }
        };
        domain.missing = field.optional;
        domain
    }

    /// Returns what is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut sets = Vec::with_capacity(self.sets.len().max(other.sets.len()));
        for set in &self.sets {
            match other.sets.iter().find(|known| known.same_kind(set)) {
                Some(known) => sets.push(set.and(known)),
                None if other.rest => sets.push(set.clone()),
                None => {}
            }
        }
        if self.rest {
            sets.extend(other.sets.iter().filter(|set| !self.sets.iter().any(|known| known.same_kind(set))).cloned());
        }
        Self { missing: self.missing && other.missing, rest: self.rest && other.rest, sets }
    }

    /// Tells whether there is surely nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        !self.missing && !self.rest && self.sets.iter().all(Set::is_empty)
    }

    /// Tells whether a value is in it; `None` where that is not known.
    pub(super) fn contains(&self, value: &Value) -> Option<bool> {
        if value.is_missing() {
            return Some(self.missing);
        }
        let point = Set::point(value)?;
        match self.sets.iter().find(|set| set.same_kind(&point)) {
            Some(Set::Text(texts)) => texts.contains(value.as_text()?),
            Some(set) => Some(!set.and(&point).is_empty()),
            None => Some(self.rest),
        }
    }

    /// Returns the sets of the kinds that have one.
    pub(super) fn sets(&self) -> &[Set] {
        &self.sets
    }

    /// Tells whether values of every kind are in it.
    pub(super) fn is_open(&self) -> bool {
        self.rest
    }

    /// Returns the texts, where nothing else is in it and they can be counted.
    pub(super) fn finite_texts(&self) -> Option<&[Arc<str>]> {
        match self.sets.as_slice() {
            [Set::Text(texts)] if !self.missing && !self.rest => texts.finite(),
            _ => None,
        }
    }
}

impl Set {
    /// Returns the set of one value.
    fn point(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Bool(truth) => Set::Bool(!truth, *truth),
            Value::Text(text) => Set::Text(Texts::only([text.clone()])),
            Value::Number(number) => Set::Number(Ranges::point(*number), false),
            Value::Money(money) => Set::Money(Amounts::of(money.currency, Ranges::point(money.amount))),
            Value::Date(_) | Value::Time(_) | Value::Instant(_) | Value::Duration(_) => {
                Self::of_kind(value, Ranges::point(position(value)?))?
            }
            Value::Missing | Value::List(_) | Value::Record(_) => return None,
        })
    }

    /// Returns all values of the value's kind but it.
    fn all_but(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Bool(truth) => Set::Bool(*truth, !truth),
            Value::Text(text) => Set::Text(Texts::all_but([text.clone()])),
            Value::Number(number) => Set::Number(Ranges::point(*number).complement(), false),
            Value::Money(money) => Set::Money(Amounts::of(money.currency, Ranges::point(money.amount)).complement()),
            Value::Date(_) | Value::Time(_) | Value::Instant(_) => {
                Self::of_kind(value, Ranges::point(position(value)?).complement())?
            }
            // 1 day and 24 hours are as long and not equal.
            Value::Duration(_) | Value::Missing | Value::List(_) | Value::Record(_) => return None,
        })
    }

    /// Returns the set of positions for the kind of a value that has a position.
    pub(super) fn of_kind(value: &Value, ranges: Ranges) -> Option<Self> {
        Some(match value {
            Value::Number(_) => Set::Number(ranges, false),
            Value::Date(_) => Set::Date(ranges),
            Value::Time(_) => Set::Time(ranges),
            Value::Instant(_) => Set::Instant(ranges),
            Value::Duration(_) => Set::Duration(ranges),
            Value::Money(money) => Set::Money(Amounts::of(money.currency, ranges)),
            Value::Missing | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Record(_) => return None,
        })
    }

    fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Both are of one kind.
    fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Set::Bool(a, b), Set::Bool(c, d)) => Set::Bool(*a && *c, *b && *d),
            (Set::Text(a), Set::Text(b)) => Set::Text(a.and(b)),
            (Set::Number(a, p), Set::Number(b, q)) => Set::Number(a.and(b), *p || *q),
            (Set::Money(a), Set::Money(b)) => Set::Money(a.and(b)),
            (Set::Date(a), Set::Date(b)) => Set::Date(a.and(b)),
            (Set::Time(a), Set::Time(b)) => Set::Time(a.and(b)),
            (Set::Instant(a), Set::Instant(b)) => Set::Instant(a.and(b)),
            (Set::Duration(a), Set::Duration(b)) => Set::Duration(a.and(b)),
            (Set::Other(a), Set::Other(b)) => Set::Other(*a && *b),
            _ => self.clone(),
        }
    }

    /// Adds points of the same kind.
    fn join(&mut self, point: Set) {
        match (self, point) {
            (Set::Bool(a, b), Set::Bool(c, d)) => {
                *a |= c;
                *b |= d;
            }
            (Set::Text(texts), Set::Text(more)) => {
                let all = texts.finite().into_iter().chain(more.finite()).flatten().cloned().collect::<Vec<_>>();
                *texts = Texts::only(all);
            }
            (Set::Money(amounts), Set::Money(more)) => amounts.join(more),
            (
                Set::Number(ranges, _) | Set::Date(ranges) | Set::Time(ranges) | Set::Instant(ranges) | Set::Duration(ranges),
                Set::Number(more, _) | Set::Date(more) | Set::Time(more) | Set::Instant(more) | Set::Duration(more),
            ) => {
                let fresh = more.and(&ranges.complement());
                *ranges = std::mem::replace(ranges, Ranges::none()).beside(fresh);
            }
            (Set::Other(all), Set::Other(more)) => *all |= more,
            _ => {}
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Set::Bool(a, b) => !a && !b,
            Set::Text(texts) => texts.is_empty(),
            Set::Number(ranges, whole) => ranges.is_empty(*whole),
            Set::Money(amounts) => amounts.is_empty(),
            Set::Date(ranges) | Set::Time(ranges) | Set::Instant(ranges) | Set::Duration(ranges) => ranges.is_empty(false),
            Set::Other(any) => !any,
        }
    }

    /// Returns the texts for which a question has an answer.
    pub(super) fn asked(asked: Asked) -> Self {
        Set::Text(Texts::asked(asked))
    }
}

impl Amounts {
    /// Returns all amounts of all currencies.
    pub(super) fn all() -> Self {
        Self { listed: Vec::new(), rest: Ranges::all() }
    }

    /// Returns amounts of one currency.
    pub(super) fn of(currency: Currency, ranges: Ranges) -> Self {
        Self { listed: vec![(currency, ranges)], rest: Ranges::none() }
    }

    /// Returns the same amounts of every currency.
    pub(super) fn of_any(ranges: Ranges) -> Self {
        Self { listed: Vec::new(), rest: ranges }
    }

    /// Returns amounts that satisfy an ordering with a limit per currency, of those currencies only.
    pub(super) fn by_limits<'l>(order: Order, limits: impl IntoIterator<Item = (&'l Currency, &'l Decimal)>) -> Self {
        let mut listed: Vec<(Currency, Ranges)> =
            limits.into_iter().map(|(currency, limit)| (*currency, Ranges::ordered(order, *limit))).collect();
        listed.sort_by_key(|(currency, _)| *currency);
        Self { listed, rest: Ranges::none() }
    }

    /// Returns what is not in it.
    pub(super) fn complement(&self) -> Self {
        Self {
            listed: self.listed.iter().map(|(currency, ranges)| (*currency, ranges.complement())).collect(),
            rest: self.rest.complement(),
        }
    }

    /// Returns the amounts of one currency.
    pub(super) fn in_currency(&self, currency: Currency) -> &Ranges {
        self.listed.iter().find(|(known, _)| *known == currency).map_or(&self.rest, |(_, ranges)| ranges)
    }

    /// Returns the currencies that are listed by name.
    pub(super) fn currencies(&self) -> impl Iterator<Item = Currency> {
        self.listed.iter().map(|(currency, _)| *currency)
    }

    /// Tells whether amounts of currencies that are not listed are in it.
    pub(super) fn has_others(&self) -> bool {
        !self.rest.is_empty(false)
    }

    fn and(&self, other: &Self) -> Self {
        let mut currencies: Vec<Currency> = self.currencies().chain(other.currencies()).collect();
        currencies.sort();
        currencies.dedup();
        let of = |currency: Currency| self.in_currency(currency).and(other.in_currency(currency));
        Self {
            listed: currencies.into_iter().map(|currency| (currency, of(currency))).collect(),
            rest: self.rest.and(&other.rest),
        }
    }

    fn join(&mut self, points: Self) {
        for (currency, ranges) in points.listed {
            match self.listed.iter_mut().find(|(known, _)| *known == currency) {
                Some((_, known)) => {
                    let fresh = ranges.and(&known.complement());
                    *known = std::mem::replace(known, Ranges::none()).beside(fresh);
                }
                None => self.listed.push((currency, ranges)),
            }
        }
        self.listed.sort_by_key(|(currency, _)| *currency);
    }

    fn is_empty(&self) -> bool {
        !self.has_others() && self.listed.iter().all(|(_, ranges)| ranges.is_empty(false))
    }
}

/// Returns where a value stands among those of its kind.
pub(super) fn position(value: &Value) -> Option<Decimal> {
    Some(match value {
        Value::Number(number) => *number,
        Value::Money(money) => money.amount,
        Value::Date(date) => {
            let since = date.since(jiff::civil::Date::constant(1970, 1, 1)).ok()?;
            Decimal::from(since.get_days())
        }
        Value::Time(time) => {
            let since = time.duration_since(jiff::civil::Time::midnight()).as_nanos();
            Decimal::try_from_i128_with_scale(since, 9).ok()?
        }
        Value::Instant(at) => Decimal::try_from_i128_with_scale(at.as_nanosecond(), 9).ok()?,
        Value::Duration(duration) => Decimal::from(duration.approximate_millis()),
        Value::Missing | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Record(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_values_each_is_in_the_set_and_none_in_what_is_left() {
        let mixed: Vec<Value> = (0..1000)
            .map(|at| if at % 3 == 0 { Value::Number(Decimal::from(at)) } else { Value::text(format!("v{at}")) })
            .collect();
        let (set, rest) = (Domain::one_of(&mixed).unwrap(), Domain::all_but(&mixed));
        for value in &mixed {
            assert_eq!((set.contains(value), rest.contains(value)), (Some(true), Some(false)), "{value:?}");
        }
        for other in [Value::Number(Decimal::from(1)), Value::text("v0"), Value::Bool(true), Value::Missing] {
            assert_eq!((set.contains(&other), rest.contains(&other)), (Some(false), Some(true)), "{other:?}");
        }
        assert!(set.and(&rest).is_empty());
    }
}
