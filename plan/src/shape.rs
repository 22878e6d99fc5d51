//! How JSON becomes values: the types of a connector's records as the wire holds them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Currency, Expr, JsonPath, Value};

/// How one JSON value is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Shape {
    /// Any JSON, as it is.
    Json,
    /// A text.
    Text,
    /// A text with a meaning (`email`, `id`, `url`, …): the empty text counts as missing.
    Token,
    /// True or false.
    Bool,
    /// A whole number; `12.0` counts, `12.5` does not. Numbers in quotes are accepted.
    Integer,
    /// A number. Numbers in quotes are accepted.
    Number,
    /// Money out of two places, relative to the record that has the field.
    Money {
        /// Where the amount is.
        amount: JsonPath,
        /// Where the currency is.
        currency: JsonPath,
        /// Where both are instead, where there is no amount: the first with an amount counts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        instead: Vec<(JsonPath, JsonPath)>,
        /// How the amount counts.
        unit: MoneyUnit,
        /// Decimals on the wire that differ from ISO 4217.
        exponents: BTreeMap<Currency, u8>,
    },
    /// An instant.
    Instant(TimeFormat),
    /// `2026-11-22`.
    Date,
    /// `22:30`, `22:30:15`.
    Time,
    /// A number of units of so many milliseconds.
    Duration(u32),
    /// A text that is written in another way on the wire.
    Written(Writing),
    /// A list in one text, with commas between the items.
    Commas(Box<Shape>),
    /// An enum. Of an open one any text is taken.
    Enum {
        /// The known members.
        members: Vec<String>,
        /// Further members may appear.
        open: bool,
    },
    /// An enum whose members the wire writes as numbers, or that names what any other value is.
    Coded {
        /// The members. A text that is one is taken as it is.
        members: Vec<String>,
        /// The numbers, and what each means.
        codes: BTreeMap<i64, String>,
        /// What any other value is; without it such a value does not fit.
        otherwise: Option<String>,
    },
    /// A list; a lone value that is no array does not fit.
    List(Box<Shape>),
    /// An object with values of one shape.
    Map(Box<Shape>),
    /// An object with these fields.
    Record(Vec<FieldShape>),
    /// An item of a list that can be nothing: any other item has to be something.
    Optional(Box<Shape>),
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldShape {
    /// Its name in Flow.
    pub name: String,
    /// Where it may stand, relative to the record; the first present (not null, not absent) wins. Empty for money.
    pub from: Vec<FieldSource>,
    /// How it is read.
    pub shape: Shape,
    /// It may be missing.
    pub optional: bool,
    /// Personal data: shortened in views.
    pub personal: bool,
    /// What it is where the wire has nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// One place where a field may stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldSource {
    /// Where.
    pub path: JsonPath,
    /// The path goes from the root of an event's payload, and not from the record in it. Outside of events nothing is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_event: bool,
    /// Counts only where this holds; its [`Expr::Answer`] paths are relative to the record.
    pub when: Option<Expr>,
}

impl FieldSource {
    /// Returns a place within the record that always counts.
    pub fn at(path: JsonPath) -> Self {
        Self { path, of_event: false, when: None }
    }
}

/// How an amount counts on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoneyUnit {
    /// An integer of minor units.
    Minor,
    /// Major units as a number or text.
    Decimal,
}

/// How a text is written on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Writing {
    /// In base64. What is no UTF-8 is shown in hexadecimal digits.
    Base64,
    /// In hexadecimal digits. What is no UTF-8 stays as it is.
    Hex,
    /// In any case; it becomes lower case.
    Lower,
    /// In any case; it becomes upper case.
    Upper,
    /// As a text or a number.
    Text,
}

/// How an instant is written on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeFormat {
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMillis,
    /// Microseconds since 1970.
    UnixMicros,
    /// Seconds or milliseconds, told apart by their size.
    UnixAuto,
    /// RFC 2822: `Sun, 22 Nov 2026 12:00:00 +0000`.
    Rfc2822,
    /// RFC 3339.
    Iso,
}
