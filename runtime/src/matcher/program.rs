//! Conditions as programs over numbered fields: what most filters ask is asked of the field's value where it lies, without a
//! copy, a look-up by name or a walk over an expression. What is left of the language stays an expression.

use std::sync::Arc;

use flow_plan::{Condition, Currency, Expr, Order, Shape, Value};
use rust_decimal::Decimal;

use super::parts::Fields;
use super::{FlowView, reads};
use crate::eval;

/// One question about an event. Its answer is `None` where that depends on a field that does not fit.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// The field is this value.
    Is(u32, Value),
    /// The field is one of these.
    OneOf(u32, Box<[Value]>),
    /// The field is true.
    Holds(u32),
    /// The field has a value.
    Present(u32),
    /// The field has nothing in it.
    Empty(u32),
    /// The field stands in this order to a value of its type.
    Order(u32, Order, Value),
    /// As `Order`, with a limit for each currency.
    AnyMoney(u32, Order, Box<[(Currency, Decimal)]>),
    /// As `Order`, with money of whatever currency.
    Major(u32, Order, Decimal),
    /// The field lies between.
    Range(u32, Box<(Value, Value)>),
    /// The field, a list, has this item.
    Item(u32, Value),
    /// The field contains this.
    Contains(u32, Value),
    /// The field begins so.
    Starts(u32, Arc<str>),
    /// The field ends so.
    Ends(u32, Arc<str>),
    /// The field matches a pattern.
    Matches(u32, Box<str>),
    /// Not so.
    Not(Box<Op>),
    /// All of them.
    All(Box<[Op]>),
    /// One of them.
    Any(Box<[Op]>),
    /// Anything else.
    Other(Box<Other>),
}

/// A test that is evaluated as an expression.
#[derive(Debug, Clone)]
pub(super) struct Other {
    expr: Expr,
    /// The fields that have to fit for an answer.
    reads: Box<[u32]>,
}

/// What programs are made with.
pub(super) struct Compiler<'a> {
    pub(super) known: &'a Fields,
    /// The numbers of the fields, by slot.
    pub(super) fields: &'a [Option<u32>],
}

impl Compiler<'_> {
    /// Appends a trigger's own condition to a conjunction. It has no answer where any field that it reads does not fit.
    pub(super) fn guard(&self, guard: Option<&Expr>, into: &mut Vec<Op>) {
        if let Some(guard) = guard {
            self.test(guard, &reads::slots(guard), into);
        }
    }

    /// Appends a condition to a conjunction.
    pub(super) fn condition(&self, condition: &Condition, into: &mut Vec<Op>) {
        match condition {
            Condition::All(parts) => parts.iter().for_each(|part| self.condition(part, into)),
            Condition::Not(inner) => match inner.as_ref() {
                Condition::Not(inner) => self.condition(inner, into),
                inner => into.push(Op::Not(Box::new(self.whole(inner)))),
            },
            Condition::Any(parts) => into.push(Op::Any(parts.iter().map(|part| self.whole(part)).collect())),
            Condition::Test { expr, reads, .. } => self.test(expr, reads, into),
        }
    }

    /// Appends a test that needs these slots to a conjunction.
    fn test(&self, expr: &Expr, reads: &[u16], into: &mut Vec<Op>) {
        match self.of_one_field(expr, reads) {
            // Where the one field does not fit none of the parts has an answer, as the whole has none.
            Some(Op::All(parts)) => into.extend(parts),
            Some(op) => into.push(op),
            None => {
                let reads = reads.iter().filter_map(|slot| self.field(*slot)).collect();
                into.push(Op::Other(Box::new(Other { expr: expr.clone(), reads })));
            }
        }
    }

    fn whole(&self, condition: &Condition) -> Op {
        let mut parts = Vec::new();
        self.condition(condition, &mut parts);
        match parts.len() {
            1 => parts.remove(0),
            _ => Op::All(parts.into()),
        }
    }

    fn field(&self, slot: u16) -> Option<u32> {
        self.fields.get(usize::from(slot)).copied().flatten()
    }

    fn of_one_field(&self, expr: &Expr, reads: &[u16]) -> Option<Op> {
        let slot = *reads.first()?;
        if reads.iter().any(|other| *other != slot) {
            return None;
        }
        self.asked(expr, slot, self.field(slot)?)
    }

    /// What is asked of one field, and of nothing else.
    fn asked(&self, expr: &Expr, slot: u16, field: u32) -> Option<Op> {
        let is_field = |expr: &Expr| matches!(expr, Expr::Event(of) if *of == slot);
        let of = |left: &Expr, right: &Expr| match right {
            Expr::Const(value) if is_field(left) && !value.is_missing() => Some(value.clone()),
            _ => None,
        };
        let text_of = |left: &Expr, right: &Expr| match of(left, right)? {
            Value::Text(text) => Some(text),
            _ => None,
        };
        let number_of = |left: &Expr, right: &Expr| match of(left, right)? {
            Value::Number(number) => Some(number),
            _ => None,
        };
        let some = |parts: &[Expr]| -> Option<Box<[Op]>> {
            let parts: Option<Vec<Op>> = parts.iter().map(|part| self.asked(part, slot, field)).collect();
            parts.filter(|parts| !parts.is_empty()).map(Into::into)
        };
        Some(match expr {
            Expr::Event(of) if *of == slot => Op::Holds(field),
            Expr::Else(value, default) if is_field(value) && **default == Expr::Const(Value::Bool(false)) => Op::Holds(field),
            Expr::Not(inner) => Op::Not(Box::new(self.asked(inner, slot, field)?)),
            Expr::And(parts) => Op::All(some(parts)?),
            Expr::Or(parts) => Op::Any(some(parts)?),
            Expr::Equal(left, right) => Op::Is(field, of(left, right).or_else(|| of(right, left))?),
            Expr::OneOf(value, choices) => {
                let choices: Option<Vec<Value>> = choices.iter().map(|choice| of(value, choice)).collect();
                Op::OneOf(field, choices?.into())
            }
            Expr::InList(value, list) => match of(value, list) {
                Some(Value::List(items)) => Op::OneOf(field, items.iter().filter(|item| !item.is_missing()).cloned().collect()),
                Some(_) => return None,
                None => Op::Item(field, of(list, value)?),
            },
            Expr::Compare(order, left, right) => match of(left, right) {
                Some(value) => Op::Order(field, *order, value),
                None => Op::Order(field, mirrored(*order), of(right, left)?),
            },
            Expr::CompareAny(order, value, limits) if is_field(value) => {
                Op::AnyMoney(field, *order, limits.iter().map(|(currency, limit)| (*currency, *limit)).collect())
            }
            Expr::CompareMajor(order, left, right) => match number_of(left, right) {
                Some(number) => Op::Major(field, *order, number),
                None => Op::Major(field, mirrored(*order), number_of(right, left)?),
            },
            Expr::InRange(value, low, high) => Op::Range(field, Box::new((of(value, low)?, of(value, high)?))),
            Expr::IsPresent(value) if is_field(value) => Op::Present(field),
            Expr::IsEmpty(value) if is_field(value) => Op::Empty(field),
            Expr::Contains(whole, part) => match (self.known.shape(field), of(whole, part)?) {
                (Some(Shape::List(_) | Shape::Commas(_)), part) => Op::Item(field, part),
                (_, part) => Op::Contains(field, part),
            },
            Expr::StartsWith(text, part) => Op::Starts(field, text_of(text, part)?),
            Expr::EndsWith(text, part) => Op::Ends(field, text_of(text, part)?),
            Expr::Matches(text, pattern) if is_field(text) => Op::Matches(field, pattern.as_str().into()),
            _ => return None,
        })
    }
}

fn mirrored(order: Order) -> Order {
    match order {
        Order::Less => Order::Greater,
        Order::LessEq => Order::GreaterEq,
        Order::Greater => Order::Less,
        Order::GreaterEq => Order::LessEq,
    }
}

/// Returns the answer of a conjunction.
pub(super) fn verdict(ops: &[Op], view: &FlowView<'_>) -> Option<bool> {
    let mut all = Some(true);
    for op in ops {
        match op.verdict(view) {
            Some(false) => return Some(false),
            Some(true) => {}
            None => all = None,
        }
    }
    all
}

impl Op {
    fn verdict(&self, view: &FlowView<'_>) -> Option<bool> {
        let field = |field: &u32| match view.field(*field) {
            Some(Ok(value)) => Some(value),
            Some(Err(_)) => None,
            None => Some(&Value::Missing),
        };
        Some(match self {
            Op::Is(of, wanted) => field(of)? == wanted,
            Op::OneOf(of, choices) => {
                let value = field(of)?;
                choices.iter().any(|choice| choice == value)
            }
            Op::Holds(of) => matches!(field(of)?, Value::Bool(true)),
            Op::Present(of) => !field(of)?.is_missing(),
            Op::Empty(of) => eval::is_empty(field(of)?),
            Op::Order(of, order, limit) => eval::ordering(field(of)?, limit).is_some_and(|found| order.holds(found)),
            Op::AnyMoney(of, order, limits) => match field(of)? {
                Value::Money(money) => {
                    limits.iter().any(|(currency, limit)| *currency == money.currency && order.holds(money.amount.cmp(limit)))
                }
                _ => false,
            },
            Op::Major(of, order, limit) => match field(of)? {
                Value::Money(money) => order.holds(money.amount.cmp(limit)),
                _ => false,
            },
            Op::Range(of, bounds) => eval::in_range(field(of)?, &bounds.0, &bounds.1),
            Op::Item(of, item) => eval::in_list(item, field(of)?),
            Op::Contains(of, part) => eval::contains(field(of)?, part),
            Op::Starts(of, part) => field(of)?.as_text().is_some_and(|text| text.starts_with(&**part)),
            Op::Ends(of, part) => field(of)?.as_text().is_some_and(|text| text.ends_with(&**part)),
            Op::Matches(of, pattern) => field(of)?.as_text().is_some_and(|text| eval::matches(text, pattern)),
            Op::Not(inner) => !inner.verdict(view)?,
            Op::All(parts) => return verdict(parts, view),
            Op::Any(parts) => {
                let mut any = Some(false);
                for part in parts {
                    match part.verdict(view) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => any = None,
                    }
                }
                return any;
            }
            Op::Other(other) => {
                if other.reads.iter().any(|of| matches!(view.field(*of), Some(Err(_)))) {
                    return None;
                }
                eval::holds(&other.expr, view).unwrap_or(false)
            }
        })
    }
}
