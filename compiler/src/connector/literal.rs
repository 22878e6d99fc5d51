//! Numbers, durations and paths as written, as values of the plan.

use flow_grammar::syntax::{DurationLit, DurationUnit, NumberLit, Rate, TextLit, WirePath};
use flow_plan::{Duration, JsonPath};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::Cx;

/// Returns a number; `None` where it has more digits than can be held exactly.
pub(super) fn number(literal: &NumberLit) -> Option<Decimal> {
    flow_plan::parse_decimal(&literal.digits)
}

/// Returns a duration; `None` where it is out of bounds.
pub(super) fn duration(literal: &DurationLit) -> Option<Duration> {
    let mut total = Duration::default();
    for (count, unit) in &literal.parts {
        let count = number(count)?;
        let (months, days, millis) = match unit {
            DurationUnit::Millisecond => (0, 0, 1),
            DurationUnit::Second => (0, 0, 1000),
            DurationUnit::Minute => (0, 0, 60_000),
            DurationUnit::Hour => (0, 0, 3_600_000),
            DurationUnit::Day => (0, 1, 0),
            DurationUnit::Week => (0, 7, 0),
            DurationUnit::Month => (1, 0, 0),
            DurationUnit::Year => (12, 0, 0),
        };
        let times = |factor: i64| count.checked_mul(Decimal::from(factor)).filter(|product| product.fract().is_zero());
        total.months = total.months.checked_add(times(months)?.to_i32()?)?;
        total.days = total.days.checked_add(times(days)?.to_i32()?)?;
        total.millis = total.millis.checked_add(times(millis)?.to_i64()?)?;
    }
    Some(total)
}

impl Cx<'_> {
    /// The duration in milliseconds, days of 24 hours: for intervals and windows of a service.
    pub(super) fn millis(&mut self, literal: &DurationLit) -> u64 {
        let millis =
            duration(literal).and_then(|duration| u64::try_from(duration.approximate_millis()).ok()).filter(|ms| *ms > 0);
        millis.unwrap_or_else(|| {
            self.push(self.mistake(literal.span, "this duration is out of bounds"));
            1
        })
    }

    /// The time of a rate in milliseconds.
    pub(super) fn rate_millis(&mut self, rate: &Rate) -> u64 {
        let unit = match rate {
            Rate::Duration(literal) => return self.millis(literal),
            Rate::Unit(unit) => unit,
        };
        match unit.text.as_str() {
            "second" => 1000,
            "minute" => 60_000,
            "hour" => 3_600_000,
            "day" => 86_400_000,
            "week" => 7 * 86_400_000,
            "month" => 30 * 86_400_000,
            other => {
                let units = ["second", "minute", "hour", "day", "week", "month"];
                self.unknown(unit.span, format!("`{other}` is no unit of time"), other, units);
                1000
            }
        }
    }

    /// A whole number from 1.
    pub(super) fn count(&mut self, literal: &NumberLit) -> u32 {
        number(literal).and_then(|number| number.to_u32().filter(|count| *count > 0 && number.fract().is_zero())).unwrap_or_else(
            || {
                self.push(self.mistake(literal.span, "a whole number above 0 is expected here"));
                1
            },
        )
    }

    /// Statuses of HTTP.
    pub(super) fn statuses(&mut self, literals: &[NumberLit]) -> Vec<u16> {
        let mut statuses = Vec::new();
        for literal in literals {
            match literal.digits.parse() {
                Ok(status) if (100..600).contains(&status) => statuses.push(status),
                _ => {
                    let diagnostic = self.mistake(literal.span, format!("{} is no status of HTTP", literal.digits));
                    self.push(diagnostic.help("statuses have three digits, such as 404"));
                }
            }
        }
        statuses
    }

    /// A path into JSON.
    pub(super) fn path(&mut self, path: &WirePath) -> JsonPath {
        JsonPath::parse(&path.text).unwrap_or_else(|error| {
            let diagnostic = self.mistake(path.span, format!("this is no path into JSON: {error}"));
            self.push(diagnostic.help("write it like `\"data.items[0].price\"`; the empty text is the whole document"));
            JsonPath::default()
        })
    }

    /// A text without `{…}`.
    pub(super) fn plain(&mut self, text: &TextLit, what: &str) -> String {
        text.plain().unwrap_or_else(|| {
            self.push(self.mistake(text.span, format!("{what} is a fixed text, without `{{…}}`")));
            String::new()
        })
    }
}
