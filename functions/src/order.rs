//! How two values are ordered.

use std::cmp::Ordering;

use flow_plan::Value;

/// Returns how two values of one type are ordered; `None` where one is missing, they are of two types or currencies.
pub fn ordering(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Some(left.cmp(right)),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Money(left), Value::Money(right)) if left.currency == right.currency => Some(left.amount.cmp(&right.amount)),
        (Value::Date(left), Value::Date(right)) => Some(left.cmp(right)),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        (Value::Instant(left), Value::Instant(right)) => Some(left.cmp(right)),
        (Value::Duration(left), Value::Duration(right)) => Some(left.approximate_millis().cmp(&right.approximate_millis())),
        _ => None,
    }
}
