//! An event that claims allow: values for the fields that they are about.

use flow_plan::{Currency, FieldShape, JsonPath, Shape, Value};
use jiff::{Timestamp, ToSpan, civil};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::domain::{Amounts, Domain, Set};
use super::key::Key;
use super::solve::{Cube, Leaf};

/// Currencies to choose from where any will do.
const USUAL: [&str; 6] = ["USD", "EUR", "GBP", "JPY", "CHF", "KWD"];

/// A field that claims are about, known by the key of its claims.
pub(super) type Known<'f> = (Key, &'f FieldShape);

/// Tells whether the cube asks for nothing that no event says: the answer of a service, or a test that is not looked into.
pub(super) fn is_about_events(cube: &Cube) -> bool {
    cube.atoms.iter().all(|atom| atom.leaf == Leaf::Outside)
        && cube.claims.iter().all(|claim| !matches!(claim.leaf, Leaf::Other | Leaf::Moment))
}

/// Returns a value for each field that the cube is about; [`Value::Missing`] where it has to be missing. `None` where
/// none can be made, or where it would not be sure that it is one.
pub(super) fn build(cube: &Cube, fields: &[Known<'_>]) -> Option<Vec<(String, Value)>> {
    if !is_about_events(cube) {
        return None;
    }
    let mut claimed: Vec<(&FieldShape, &Domain)> = Vec::with_capacity(cube.claims.len());
    for claim in &cube.claims {
        match claim.leaf {
            Leaf::Field(_) => {
                let (_, field) = fields.iter().find(|(key, _)| *key == claim.key)?;
                claimed.push((field, &claim.domain));
            }
            Leaf::Outside | Leaf::Origin => {}
            Leaf::Other | Leaf::Moment => return None,
        }
    }
    let currencies = currencies(&claimed)?;
    let mut values = Vec::with_capacity(claimed.len());
    for (at, (field, domain)) in claimed.iter().enumerate() {
        let value = match currencies.get(at).copied().flatten() {
            Some(currency) => in_currency(field, domain, currency)?,
            None => pick(field, domain)?,
        };
        values.push((field.name.clone(), value));
    }
    Some(values)
}

/// Returns the currency of each field that has one. Fields that are read from the same place must agree; other fields
/// that share a place are not looked into.
fn currencies(claimed: &[(&FieldShape, &Domain)]) -> Option<Vec<Option<Currency>>> {
    let mut found = vec![None; claimed.len()];
    for (at, (field, _)) in claimed.iter().enumerate() {
        if let Shape::Money { currency: place, amount, instead, .. } = &field.shape {
            if !instead.is_empty() && claimed.len() > 1 {
                return None;
            }
            if found.get(at).copied().flatten().is_some() {
                continue;
            }
            let mut together: Vec<usize> = Vec::new();
            for (other_at, (other, _)) in claimed.iter().enumerate() {
                match &other.shape {
                    Shape::Money { currency, amount: other_amount, .. } if currency == place => {
                        // Two fields out of one amount would have to be equal.
                        if other_at != at && other_amount == amount {
                            return None;
                        }
                        together.push(other_at);
                    }
                    _ if other.from.iter().any(|from| from.path == *place) => match other.from.as_slice() {
                        [from] if from.when.is_none() => together.push(other_at),
                        _ => return None,
                    },
                    _ => {}
                }
            }
            let domains: Vec<&Domain> = together.iter().filter_map(|at| claimed.get(*at)).map(|(_, domain)| *domain).collect();
            let currency = common(&domains)?;
            for other in together {
                if let Some(slot) = found.get_mut(other) {
                    *slot = Some(currency);
                }
            }
        } else if shares_a_place(field, claimed, at) {
            return None;
        }
    }
    Some(found)
}

fn shares_a_place(field: &FieldShape, claimed: &[(&FieldShape, &Domain)], at: usize) -> bool {
    let places = |field: &FieldShape| -> Vec<JsonPath> { field.from.iter().map(|from| from.path.clone()).collect() };
    if claimed.len() < 2 {
        return false;
    }
    // What stands beside the record shares nothing with what is in it that could be told from here.
    if claimed.iter().any(|(field, _)| field.from.iter().any(|from| from.of_event)) {
        return true;
    }
    let own = places(field);
    claimed.iter().enumerate().any(|(other_at, (other, _))| {
        let clash = |path: &JsonPath| own.iter().any(|known| known.0.starts_with(&path.0) || path.0.starts_with(&known.0));
        other_at != at && other.from.iter().any(|from| clash(&from.path))
    })
}

/// A currency that all of these can have: amounts in it, or texts that name it.
fn common(domains: &[&Domain]) -> Option<Currency> {
    let named = domains.iter().filter_map(|domain| amounts(domain)).flat_map(Amounts::currencies);
    let texts = domains.iter().filter_map(|domain| domain.finite_texts()).flatten().filter_map(|text| Currency::parse(text));
    let usual = USUAL.iter().filter_map(|code| Currency::parse(code));
    named.chain(texts).chain(usual).find(|currency| {
        domains.iter().all(|domain| match amounts(domain) {
            Some(amounts) => amount(amounts, *currency).is_some(),
            None => code(domain, *currency).is_some(),
        })
    })
}

fn amounts(domain: &Domain) -> Option<&Amounts> {
    domain.sets().iter().find_map(|set| match set {
        Set::Money(amounts) => Some(amounts),
        _ => None,
    })
}

fn amount(amounts: &Amounts, currency: Currency) -> Option<Decimal> {
    amounts.in_currency(currency).pick(u32::from(currency.decimals()))
}

/// The code as services write it, in a domain of texts.
fn code(domain: &Domain, currency: Currency) -> Option<Value> {
    [currency.code().to_ascii_lowercase(), currency.code().to_owned()]
        .into_iter()
        .map(Value::text)
        .find(|value| domain.contains(value) == Some(true))
}

fn in_currency(field: &FieldShape, domain: &Domain, currency: Currency) -> Option<Value> {
    match (&field.shape, amounts(domain)) {
        (Shape::Money { .. }, Some(amounts)) => {
            Some(Value::Money(flow_plan::Money { amount: amount(amounts, currency)?, currency }))
        }
        (Shape::Money { .. }, None) => domain.missing.then_some(Value::Missing),
        _ => code(domain, currency),
    }
}

/// Returns a value of a domain: one that is there, if possible.
fn pick(field: &FieldShape, domain: &Domain) -> Option<Value> {
    let found = domain.sets().iter().find_map(|set| from_set(field, set));
    match found {
        Some(value) => Some(value),
        None if domain.is_open() && domain.contains(&Value::text("something")) == Some(true) => Some(Value::text("something")),
        None => domain.missing.then_some(Value::Missing),
    }
}

fn from_set(field: &FieldShape, set: &Set) -> Option<Value> {
    match set {
        Set::Bool(no, yes) => (*no || *yes).then_some(Value::Bool(*yes)),
        Set::Text(texts) => texts.pick().map(Value::Text),
        Set::Number(ranges, whole) => ranges.pick(if *whole { 0 } else { 6 }).map(Value::Number),
        Set::Money(_) => None,
        Set::Date(ranges) => {
            let days = ranges.pick(0)?.to_i64()?;
            civil::date(1970, 1, 1).checked_add(days.days()).ok().map(Value::Date)
        }
        Set::Time(ranges) => {
            let seconds = ranges.pick(0)?.to_i64().filter(|seconds| (0..86_400).contains(seconds))?;
            civil::Time::midnight().checked_add(seconds.seconds()).ok().map(Value::Time)
        }
        Set::Instant(ranges) => Timestamp::from_second(ranges.pick(0)?.to_i64()?).ok().map(Value::Instant),
        Set::Duration(ranges) => {
            // Counted in the unit of the wire.
            let unit = if let Shape::Duration(unit) = &field.shape { i64::from(*unit).max(1) } else { 1 };
            let millis = ranges.pick(0)?.to_i64()?;
            let millis = [millis, millis - millis % unit, millis - millis % unit + unit]
                .into_iter()
                .find(|millis| millis % unit == 0 && ranges.contains(Decimal::from(*millis)))?;
            Some(Value::Duration(flow_plan::Duration::from_millis(millis)))
        }
        Set::Other(any) => match (&field.shape, any) {
            (Shape::List(_), true) => Some(Value::List(Vec::new().into())),
            (Shape::Map(_), true) => Some(Value::record([])),
            _ => None,
        },
    }
}

/// Writes an event as a test gives one: `{ amount: 150 USD }`; nothing where any event will do.
pub(super) fn shown(values: &[(String, Value)]) -> String {
    let fields: Vec<String> = values
        .iter()
        .filter(|(_, value)| !value.is_missing())
        .map(|(name, value)| format!("{name}: {}", literal(value)))
        .collect();
    let without: Vec<String> =
        values.iter().filter(|(_, value)| value.is_missing()).map(|(name, _)| format!("`{name}`")).collect();
    let mut text = if fields.is_empty() { String::new() } else { format!(" {{ {} }}", fields.join(", ")) };
    if !without.is_empty() {
        text.push_str(&format!(" without {}", without.join(" and ")));
    }
    text
}

fn literal(value: &Value) -> String {
    match value {
        Value::Text(text) => {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('{', "\\{").replace('\n', "\\n");
            format!("\"{escaped}\"")
        }
        Value::List(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Money(money) if money.amount.fract().is_zero() => format!("{} {}", money.amount.normalize(), money.currency),
        Value::Record(_) => "{}".to_owned(),
        other => other.to_string(),
    }
}
