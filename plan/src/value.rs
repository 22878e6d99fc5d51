//! The values that flow through a run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::{Timestamp, civil};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::Currency;

/// A value. Null and absent are both [`Value::Missing`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Value {
    /// No value.
    #[default]
    #[serde(rename = "missing")]
    Missing,
    /// True or false.
    #[serde(rename = "bool")]
    Bool(bool),
    /// An exact number; `int` is a number without decimals.
    #[serde(rename = "number")]
    Number(Decimal),
    /// A text; enums and semantic texts too.
    #[serde(rename = "text")]
    Text(Arc<str>),
    /// An amount with its currency.
    #[serde(rename = "money")]
    Money(Money),
    /// A calendar date.
    #[serde(rename = "date")]
    Date(civil::Date),
    /// A time of day.
    #[serde(rename = "time")]
    Time(civil::Time),
    /// An instant.
    #[serde(rename = "instant")]
    Instant(Timestamp),
    /// A duration.
    #[serde(rename = "duration")]
    Duration(Duration),
    /// A list.
    #[serde(rename = "list")]
    List(Arc<Vec<Value>>),
    /// A record, a map or a JSON object; fields without a value are left out.
    #[serde(rename = "record")]
    Record(Arc<BTreeMap<Arc<str>, Value>>),
}

/// An exact amount in major units with its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Major units: 120.50 for 12050 cents.
    pub amount: Decimal,
    /// The currency.
    pub currency: Currency,
}

/// A duration: calendar units apart from exact ones, since a day can have 23 or 25 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Duration {
    /// Calendar months; a year is 12.
    pub months: i32,
    /// Calendar days; a week is 7.
    pub days: i32,
    /// Exact milliseconds.
    pub millis: i64,
}

impl Duration {
    /// Returns a duration of exact milliseconds.
    pub fn from_millis(millis: i64) -> Self {
        Self { millis, ..Self::default() }
    }

    /// Returns the length in milliseconds with days of 24 hours and months of 30 days: for bounds, never for calendars.
    pub fn approximate_millis(&self) -> i64 {
        let days = i64::from(self.months) * 30 + i64::from(self.days);
        days.saturating_mul(86_400_000).saturating_add(self.millis)
    }
}

impl Value {
    /// Returns a text value.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Value::Text(text.into())
    }

    /// Returns a record value from its fields; missing ones are left out.
    pub fn record(fields: impl IntoIterator<Item = (Arc<str>, Value)>) -> Self {
        Value::Record(Arc::new(fields.into_iter().filter(|(_, value)| !value.is_missing()).collect()))
    }

    /// Tells whether there is no value.
    pub fn is_missing(&self) -> bool {
        matches!(self, Value::Missing)
    }

    /// Returns the field `name` of a record; missing where it has none or is no record.
    pub fn field(&self, name: &str) -> Value {
        match self {
            Value::Record(fields) => fields.get(name).cloned().unwrap_or_default(),
            _ => Value::Missing,
        }
    }

    /// Returns the text of a text value.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the plain JSON form for people and the API: money as `{"amount":"120.50","currency":"USD"}`, times in
    /// RFC 3339, missing as null. It is not read back; the journal uses the tagged form of `Serialize`.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Value::Missing => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Number(number) => number_to_json(number),
            Value::Text(text) => Json::String(text.to_string()),
            Value::Money(money) => serde_json::json!({ "amount": money.display_amount(), "currency": money.currency.code() }),
            Value::Date(_) | Value::Time(_) | Value::Instant(_) | Value::Duration(_) => Json::String(self.to_string()),
            Value::List(items) => Json::Array(items.iter().map(Value::to_json).collect()),
            Value::Record(fields) => Json::Object(fields.iter().map(|(key, value)| (key.to_string(), value.to_json())).collect()),
        }
    }

    /// Returns the value of a JSON document: numbers exact, null missing.
    pub fn from_json(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Value::Missing,
            Json::Bool(b) => Value::Bool(*b),
            // Beyond 28 digits a number cannot be held exactly: it stays the text that was sent.
            Json::Number(number) => parse_decimal(number.as_str()).map_or_else(|| Value::text(number.as_str()), Value::Number),
            Json::String(text) => Value::text(text.as_str()),
            Json::Array(items) => Value::List(Arc::new(items.iter().map(Value::from_json).collect())),
            Json::Object(fields) => {
                Value::record(fields.iter().map(|(key, value)| (Arc::from(key.as_str()), Value::from_json(value))))
            }
        }
    }
}

/// Parses a JSON number exactly; `None` where it has more digits than can be held.
pub fn parse_decimal(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) { Decimal::from_scientific(text).ok() } else { Decimal::from_str_exact(text).ok() }
}

fn number_to_json(number: &Decimal) -> serde_json::Value {
    let text = number.normalize().to_string();
    serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))
}

impl Money {
    /// Returns the amount with the decimals of its currency, more where it has more: `120.50`, `5000`, `1.005`.
    pub fn display_amount(&self) -> String {
        let mut amount = self.amount.normalize();
        let decimals = u32::from(self.currency.decimals());
        if amount.scale() < decimals {
            amount.rescale(decimals);
        }
        amount.to_string()
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.display_amount(), self.currency)
    }
}

/// How a value stands in a text: money as `120.50 USD`, times in RFC 3339, lists with commas.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Missing => Ok(()),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Number(number) => write!(f, "{}", number.normalize()),
            Value::Text(text) => f.write_str(text),
            Value::Money(money) => write!(f, "{money}"),
            Value::Date(date) => write!(f, "{date}"),
            Value::Time(time) if time.second() == 0 => write!(f, "{:02}:{:02}", time.hour(), time.minute()),
            Value::Time(time) => write!(f, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second()),
            Value::Instant(at) => write!(f, "{at}"),
            Value::Duration(duration) => write!(f, "{duration}"),
            Value::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{item}")?;
                }
                Ok(())
            }
            Value::Record(_) => write!(f, "{}", self.to_json()),
        }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let mut push = |count: i64, word: &str| {
            if count != 0 {
                parts.push(format!("{count} {word}{}", if count == 1 { "" } else { "s" }));
            }
        };
        push(i64::from(self.months), "month");
        push(i64::from(self.days), "day");
        push(self.millis / 3_600_000, "hour");
        push(self.millis / 60_000 % 60, "minute");
        push(self.millis / 1000 % 60, "second");
        push(self.millis % 1000, "millisecond");
        if parts.is_empty() {
            return f.write_str("0 seconds");
        }
        f.write_str(&parts.join(" "))
    }
}
