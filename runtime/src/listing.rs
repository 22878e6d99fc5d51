//! Lists that a query makes of several pages: their order, which records are one act, and what of them is asked for.

use std::sync::Arc;

use flow_plan::{JsonPath, ListOrder, Listing, Segment, Shape, Value};
use jiff::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::decode::decode;
use crate::eval::{Required, Scope, eval, path_get};
use crate::poll::{joined, number};

/// What of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    since: Option<Timestamp>,
    up_to: Option<usize>,
}

impl Wanted {
    pub(crate) fn of(listing: &Listing, scope: &dyn Scope) -> Result<Self, Required> {
        let value = |expr: &Option<flow_plan::Expr>| expr.as_ref().map_or(Ok(Value::Missing), |expr| eval(expr, scope));
        let since = match value(&listing.since)? {
            Value::Instant(at) => Some(at),
            _ => None,
        };
        let up_to = match value(&listing.up_to)? {
            Value::Number(most) => Some(most.max(Decimal::ZERO).to_usize().unwrap_or(usize::MAX)),
            _ => None,
        };
        Ok(Self { since, up_to })
    }
}

/// One item, with what decides its place.
struct Item {
    value: Value,
    kind: Option<String>,
    order: Option<Decimal>,
    then: Option<Decimal>,
    at: Option<Timestamp>,
}

/// Returns what of these items is asked for, in its order.
pub(crate) fn list(listing: &Listing, items: &[Value], wanted: Wanted) -> Vec<Value> {
    let mut all = chosen(listing, items, wanted);
    all.truncate(wanted.up_to.unwrap_or(usize::MAX));
    all
}

/// Tells whether further pages can add nothing to what is asked for.
pub(crate) fn is_enough(listing: &Listing, items: &[Value], page: &[Value], wanted: Wanted) -> bool {
    let older = |since: Timestamp| page.iter().filter_map(|item| at(listing, item)).any(|at| at < since);
    // One more, where what comes next may be a part of the last one.
    let spare = usize::from(listing.codes.as_ref().is_some_and(|codes| codes.collapse));
    let is_full = |most: usize| chosen(listing, items, wanted).len() >= most.saturating_add(spare);
    wanted.since.is_some_and(older) || wanted.up_to.is_some_and(is_full)
}

fn chosen(listing: &Listing, items: &[Value], wanted: Wanted) -> Vec<Value> {
    let order = listing.order.as_ref();
    let mut all: Vec<Item> = items.iter().filter_map(|item| read(listing, item)).collect();
    if let Some(order) = order {
        if order.newest_first {
            all.reverse();
        }
        all.sort_by_key(|item| (item.order, item.then));
    }
    if let Some(codes) = listing.codes.as_ref().filter(|codes| codes.collapse) {
        let time = order.map(|order| &order.by);
        all = joined(all, &codes.among, |item| item.kind.as_deref(), |_| false, |act, item| absorb(act, &item, time));
    }
    let is_wanted = |item: &Item| listing.only.is_none() || item.kind == listing.only;
    let is_new = |item: &Item| wanted.since.is_none_or(|since| item.at.is_none_or(|at| at >= since));
    all.retain(|item| is_wanted(item) && is_new(item));
    if order.is_some_and(|order| order.newest_first) {
        all.reverse();
    }
    all.into_iter().map(|item| item.value).collect()
}

/// Reads an item; `None` where its number is that of no type.
fn read(listing: &Listing, item: &Value) -> Option<Item> {
    let kind = match &listing.codes {
        None => None,
        Some(codes) => {
            let told = number(&path_get(item, &codes.path), None)?.to_i64()?;
            let (name, _) = codes.types.iter().find(|(_, numbers)| numbers.contains(&told))?;
            Some(name.clone())
        }
    };
    let order = |order: &ListOrder| number(&path_get(item, &order.by), order.format);
    let then = |order: &ListOrder| number(&path_get(item, order.then.as_ref()?), None);
    Some(Item {
        kind,
        order: listing.order.as_ref().and_then(order),
        then: listing.order.as_ref().and_then(then),
        at: at(listing, item),
        value: item.clone(),
    })
}

fn at(listing: &Listing, item: &Value) -> Option<Timestamp> {
    let order = listing.order.as_ref()?;
    match decode(&Shape::Instant(order.format?), &path_get(item, &order.by)) {
        Ok(Value::Instant(at)) => Some(at),
        _ => None,
    }
}

/// Takes in a later record of the same act: the first says who and why, the last when.
fn absorb(act: &mut Item, later: &Item, time: Option<&JsonPath>) {
    act.at = later.at.or(act.at);
    act.order = later.order.or(act.order);
    if let Some(time) = time {
        act.value = with(&act.value, &time.0, path_get(&later.value, time));
    }
}

/// Returns a value with another one at a place.
fn with(value: &Value, path: &[Segment], new: Value) -> Value {
    match (path, value) {
        ([], _) => new,
        ([Segment::Key(key), rest @ ..], Value::Record(fields)) => {
            let mut fields = (**fields).clone();
            let inside = fields.get(key.as_str()).cloned().unwrap_or_default();
            fields.insert(Arc::from(key.as_str()), with(&inside, rest, new));
            Value::Record(Arc::new(fields))
        }
        _ => value.clone(),
    }
}
