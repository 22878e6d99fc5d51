//! Sets of numbers as intervals.

use std::cmp::Ordering;

use rust_decimal::Decimal;

/// One end of an interval: the number and whether it belongs to it. `None` is without end.
type Bound = Option<(Decimal, bool)>;

/// An interval.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    low: Bound,
    high: Bound,
}

/// A set of numbers: disjoint intervals in ascending order. Amounts, dates and times are counted as numbers too.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranges(Vec<Range>);

impl Ranges {
    /// Returns the set of all numbers.
    pub(super) fn all() -> Self {
        Self(vec![Range { low: None, high: None }])
    }

    /// Returns the set without numbers.
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// Returns the set of one number.
    pub(super) fn point(number: Decimal) -> Self {
        Self::between(Some((number, true)), Some((number, true)))
    }

    /// Returns one interval.
    pub(super) fn between(low: Bound, high: Bound) -> Self {
        let range = Range { low, high };
        if range.is_empty() { Self::none() } else { Self(vec![range]) }
    }

    /// Returns what satisfies an ordering with a number.
    pub(super) fn ordered(order: flow_plan::Order, number: Decimal) -> Self {
        match order {
            flow_plan::Order::Less => Self::between(None, Some((number, false))),
            flow_plan::Order::LessEq => Self::between(None, Some((number, true))),
            flow_plan::Order::Greater => Self::between(Some((number, false)), None),
            flow_plan::Order::GreaterEq => Self::between(Some((number, true)), None),
        }
    }

    /// Returns what is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut found = Vec::new();
        let (mut mine, mut others) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(a), Some(b)) = (mine.peek(), others.peek()) {
            let both = Range { low: higher(a.low, b.low), high: lower(a.high, b.high) };
            // What ends first has nothing in common with what comes later there.
            if both.high == a.high {
                mine.next();
            } else {
                others.next();
            }
            if !both.is_empty() {
                found.push(both);
            }
        }
        Self(found)
    }

    /// Returns what is not in it.
    pub(super) fn complement(&self) -> Self {
        let mut found = Vec::new();
        let mut low: Bound = None;
        for range in &self.0 {
            if let Some((number, inclusive)) = range.low {
                let gap = Range { low, high: Some((number, !inclusive)) };
                if !gap.is_empty() {
                    found.push(gap);
                }
            }
            match range.high {
                Some((number, inclusive)) => low = Some((number, !inclusive)),
                None => return Self(found),
            }
        }
        found.push(Range { low, high: None });
        Self(found)
    }

    /// Returns what is in one of two sets that have nothing in common.
    pub(super) fn beside(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self.0.sort_by(|a, b| match (a.low, b.low) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(&b),
        });
        self
    }

    /// Tells whether a number is in it.
    pub(super) fn contains(&self, number: Decimal) -> bool {
        let begun = self.0.partition_point(|range| range.low.is_none_or(|(low, _)| low <= number));
        // Two can begin at one number: the number itself, and what is above it.
        self.0.iter().take(begun).skip(begun.saturating_sub(2)).any(|range| range.contains(number))
    }

    /// Tells whether there is nothing in it; with `whole`, no whole number.
    pub(super) fn is_empty(&self, whole: bool) -> bool {
        self.0.iter().all(|range| range.is_empty() || whole && !range.has_whole())
    }

    /// Returns a number in it with at most so many decimals, as round as can be; `None` where none is found.
    pub(super) fn pick(&self, decimals: u32) -> Option<Decimal> {
        let step = Decimal::try_new(1, decimals.min(9)).unwrap_or(Decimal::ONE);
        let mut candidates: Vec<Decimal> = Vec::with_capacity(8);
        for range in &self.0 {
            match (range.low, range.high) {
                (None, None) => candidates.push(Decimal::ONE_HUNDRED),
                (Some((low, _)), None) => {
                    candidates.extend(
                        [Some(low.ceil()), low.floor().checked_add(Decimal::ONE), low.checked_add(step)].into_iter().flatten(),
                    );
                }
                (None, Some((high, _))) => {
                    candidates.extend(
                        [Some(high.floor()), high.ceil().checked_sub(Decimal::ONE), high.checked_sub(step)].into_iter().flatten(),
                    );
                }
                (Some((low, _)), Some((high, _))) => {
                    let middle = low.checked_add(high).map(|sum| sum / Decimal::TWO);
                    let more = [low.checked_add(step), low.floor().checked_add(Decimal::ONE), middle, high.checked_sub(step)];
                    candidates.extend([low, high]);
                    candidates.extend(more.into_iter().flatten());
                    candidates.extend(middle.map(|middle| middle.round_dp(decimals)));
                }
            }
        }
        candidates.into_iter().find(|number| number.normalize().scale() <= decimals && self.contains(*number))
    }
}

impl Range {
    fn is_empty(&self) -> bool {
        match (self.low, self.high) {
            (Some((low, with_low)), Some((high, with_high))) => match low.cmp(&high) {
                Ordering::Less => false,
                Ordering::Equal => !(with_low && with_high),
                Ordering::Greater => true,
            },
            _ => false,
        }
    }

    fn contains(&self, number: Decimal) -> bool {
        let above = self.low.is_none_or(|(low, inclusive)| number > low || inclusive && number == low);
        let below = self.high.is_none_or(|(high, inclusive)| number < high || inclusive && number == high);
        above && below
    }

    fn has_whole(&self) -> bool {
        let (Some((low, inclusive)), Some(_)) = (self.low, self.high) else { return true };
        let first = if low.fract().is_zero() && !inclusive { low + Decimal::ONE } else { low.ceil() };
        self.contains(first)
    }
}

fn higher(a: Bound, b: Bound) -> Bound {
    match (a, b) {
        (None, other) | (other, None) => other,
        (Some((x, with_x)), Some((y, with_y))) => Some(match x.cmp(&y) {
            Ordering::Less => (y, with_y),
            Ordering::Equal => (x, with_x && with_y),
            Ordering::Greater => (x, with_x),
        }),
    }
}

fn lower(a: Bound, b: Bound) -> Bound {
    match (a, b) {
        (None, other) | (other, None) => other,
        (Some((x, with_x)), Some((y, with_y))) => Some(match x.cmp(&y) {
            Ordering::Less => (x, with_x),
            Ordering::Equal => (x, with_x && with_y),
            Ordering::Greater => (y, with_y),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_set_and_its_complement_have_nothing_in_common() {
        let set = Ranges::between(Some((number("1"), true)), Some((number("2"), false))).beside(Ranges::point(number("7")));
        assert!(set.and(&set.complement()).is_empty(false));
        for (text, inside) in [("0.9", false), ("1", true), ("1.9", true), ("2", false), ("7", true), ("8", false)] {
            assert_eq!(set.contains(number(text)), inside, "{text}");
            assert_eq!(set.complement().contains(number(text)), !inside, "{text}");
        }
    }

    #[test]
    fn what_is_in_two_sets_is_what_each_has() {
        let points = |numbers: &[&str]| numbers.iter().fold(Ranges::none(), |set, text| set.beside(Ranges::point(number(text))));
        let above = Ranges::ordered(flow_plan::Order::Greater, number("2"));
        let sets = [
            Ranges::all(),
            Ranges::none(),
            points(&["1", "2", "5"]),
            points(&["1", "2", "5"]).complement(),
            points(&["2"]).beside(above.clone()),
            above.complement(),
            above,
            Ranges::between(Some((number("1"), false)), Some((number("5"), false))).beside(points(&["5", "7"])),
        ];
        for a in &sets {
            for b in &sets {
                for text in ["0", "1", "1.5", "2", "3", "5", "6", "7", "8"] {
                    let number = number(text);
                    assert_eq!(a.and(b).contains(number), a.contains(number) && b.contains(number), "{text} in {a:?} and {b:?}");
                }
            }
        }
    }

    #[test]
    fn whole_numbers_can_be_lacking_between() {
        let between = Ranges::between(Some((number("3"), false)), Some((number("4"), false)));
        assert!(between.is_empty(true) && !between.is_empty(false));
        assert_eq!(between.pick(2), Some(number("3.01")));
        assert_eq!(between.pick(0), None);
        assert_eq!(Ranges::ordered(flow_plan::Order::Greater, number("100")).pick(0), Some(number("101")));
    }
}
