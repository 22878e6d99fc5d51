//! What is made of a list, item by item.

use std::cmp::Ordering;
use std::sync::Arc;

use flow_functions::ordering;
use flow_plan::{Each, Expr, Value};
use rust_decimal::Decimal;

use super::{Required, Within, compute, truth};

/// The most items that one expression looks at, those of lists within lists together. What would need more is missing: a
/// condition ends soon for whatever is sent.
const MOST_ROUNDS: u32 = 100_000;

pub(super) fn for_each(each: Each, list: &Value, body: &Expr, scope: Within<'_>) -> Result<Value, Required> {
    let Value::List(items) = list else { return Ok(Value::Missing) };
    let result = match each {
        Each::Any => {
            let mut found = false;
            for item in items.iter() {
                let Some(scope) = scope.at(item) else { break };
                if truth(body, scope)? {
                    found = true;
                    break;
                }
            }
            Value::Bool(found)
        }
        Each::All => {
            let mut all = true;
            for item in items.iter() {
                let Some(scope) = scope.at(item) else { break };
                if !truth(body, scope)? {
                    all = false;
                    break;
                }
            }
            Value::Bool(all)
        }
        Each::Count => Value::Number(Decimal::from(chosen(items, body, scope)?.len())),
        Each::Filter => Value::List(Arc::new(chosen(items, body, scope)?.into_iter().cloned().collect())),
        Each::Map => {
            let made = made(items, body, scope)?;
            Value::List(Arc::new(made.into_iter().map(|(_, value)| value).filter(|value| !value.is_missing()).collect()))
        }
        Each::Sort => {
            let mut made = made(items, body, scope)?;
            made.sort_by(|(_, left), (_, right)| place(left, right));
            Value::List(Arc::new(made.into_iter().map(|(item, _)| item.clone()).collect()))
        }
    };
    // An answer after too many items would be one about a part of them.
    Ok(if scope.rounds.get() > MOST_ROUNDS { Value::Missing } else { result })
}

impl<'a> Within<'a> {
    /// The same place with this item at hand; `None` after too many.
    fn at<'b>(&'b self, item: &'b Value) -> Option<Within<'b>>
    where
        'a: 'b,
    {
        self.rounds.set(self.rounds.get().saturating_add(1));
        (self.rounds.get() <= MOST_ROUNDS).then_some(Within { scope: self.scope, it: Some(item), rounds: self.rounds })
    }
}

/// The items for which it holds.
fn chosen<'v>(items: &'v [Value], body: &Expr, scope: Within<'_>) -> Result<Vec<&'v Value>, Required> {
    let mut chosen = Vec::new();
    for item in items {
        let Some(scope) = scope.at(item) else { break };
        if truth(body, scope)? {
            chosen.push(item);
        }
    }
    Ok(chosen)
}

/// The items with what it gives for them.
fn made<'v>(items: &'v [Value], body: &Expr, scope: Within<'_>) -> Result<Vec<(&'v Value, Value)>, Required> {
    let mut made = Vec::with_capacity(items.len().min(1024));
    for item in items {
        let Some(scope) = scope.at(item) else { break };
        made.push((item, compute(body, scope)?));
    }
    Ok(made)
}

/// The order of two values: first by what they are, then among those of one kind; what is missing comes last. It is a
/// total order whatever the values are.
fn place(left: &Value, right: &Value) -> Ordering {
    rank(left).cmp(&rank(right)).then_with(|| match (left, right) {
        (Value::Text(left), Value::Text(right)) => {
            let letters = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
            letters(left).cmp(&letters(right))
        }
        (Value::Money(left), Value::Money(right)) => {
            left.currency.cmp(&right.currency).then_with(|| left.amount.cmp(&right.amount))
        }
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        _ => ordering(left, right).unwrap_or(Ordering::Equal),
    })
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => 0,
        Value::Number(_) => 1,
        Value::Money(_) => 2,
        Value::Duration(_) => 3,
        Value::Date(_) => 4,
        Value::Time(_) => 5,
        Value::Instant(_) => 6,
        Value::Text(_) => 7,
        Value::List(_) => 8,
        Value::Record(_) => 9,
        Value::Missing => 10,
    }
}
