//! The event: which triggers it can be of at this point, and which fields it then has.
//!
//! A flow can have several triggers. Their common fields are there everywhere; where `trigger.name` has been asked, which is
//! a fact like any other ([`super::fact::Fact::Trigger`]), so are those of the triggers that are left.

use flow_plan as plan;
use flow_plan::{FieldShape, Value};

use super::check::Checker;
use super::typed::split;
use crate::catalog::{Connector, Field, Record, Trigger};

/// The most triggers of one flow: a set of them is one number.
pub(super) const MOST_TRIGGERS: usize = 64;

/// The event that starts the flow, as far as it is known at this point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event<'a> {
    /// There is none: the steps of a connector.
    None,
    /// It is not known because of an earlier mistake.
    Unknown,
    /// An event of this trigger.
    Known(Source<'a>),
    /// An event of one of several triggers.
    Several,
    /// An event without fields.
    Bare(Bare),
}

/// An event that has no fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bare {
    /// Of the clock: `every …`.
    Clock,
    /// One that did not come: `when no …`.
    Absence,
}

/// A trigger with all that belongs to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) connection: &'a str,
    pub(super) connector: &'a Connector,
    pub(super) trigger: &'a Trigger,
    pub(super) record: &'a Record,
}

impl Source<'_> {
    /// As flows write it.
    pub(super) fn path(&self) -> String {
        format!("{}.{}", self.connection, self.trigger.name)
    }
}

/// What starts the flow.
#[derive(Debug, Default)]
pub(super) struct Starts<'a> {
    /// The triggers; of an absence the awaited one.
    pub(super) sources: Vec<Source<'a>>,
    /// The event has no fields.
    pub(super) bare: Option<Bare>,
    /// It is not known because of a mistake.
    pub(super) unknown: bool,
}

/// A field of the event with its place in a run: for each trigger where it comes from, where its events have it.
#[derive(Debug, Clone)]
pub(super) struct Slot<'a> {
    pub(super) fields: Vec<Option<&'a Field>>,
}

impl<'a> Slot<'a> {
    /// Any of its fields: they have one name and one type.
    pub(super) fn field(&self) -> Option<&'a Field> {
        self.fields.iter().copied().flatten().next()
    }

    /// Tells whether it is personal data in any event.
    pub(super) fn is_personal(&self) -> bool {
        self.fields.iter().flatten().any(|field| field.personal)
    }
}

impl<'a> Checker<'a> {
    /// Returns the event, as far as it is known at this point.
    pub(super) fn event(&self) -> Event<'a> {
        if let Some(bare) = self.starts.bare {
            return Event::Bare(bare);
        }
        if self.starts.unknown {
            return Event::Unknown;
        }
        match self.starts.sources.as_slice() {
            [] => Event::None,
            [only] => Event::Known(*only),
            _ => {
                let mut possible = self.possible();
                match (possible.next(), possible.next()) {
                    (Some((_, only)), None) => Event::Known(only),
                    (Some(_), Some(_)) => Event::Several,
                    // Reported where it was asked.
                    (None, _) => Event::Unknown,
                }
            }
        }
    }

    /// The triggers that the event can be of at this point, with their numbers.
    pub(super) fn possible(&self) -> impl Iterator<Item = (usize, Source<'a>)> {
        let set = self.facts.triggers();
        self.starts.sources.iter().copied().enumerate().filter(move |(at, _)| set & (1 << at) != 0)
    }

    /// The triggers that have one of these names, as a set.
    pub(super) fn triggers_named<'v>(&self, names: impl IntoIterator<Item = &'v Value>) -> u64 {
        let mut set = 0;
        for name in names {
            for (at, source) in self.starts.sources.iter().enumerate() {
                if name.as_text() == Some(source.trigger.name.as_str()) {
                    set |= 1 << at;
                }
            }
        }
        set
    }

    /// The triggers for which a test of `trigger.name` holds, as a set; `None` where it is another test.
    pub(super) fn triggers_where(&self, test: &plan::Expr) -> Option<u64> {
        let is_name = |expr: &plan::Expr| matches!(expr, plan::Expr::Env(plan::Env::TriggerName));
        let constant = |expr: &'_ plan::Expr| match expr {
            plan::Expr::Const(value) => Some(value.clone()),
            _ => None,
        };
        let values: Option<Vec<Value>> = match test {
            plan::Expr::Equal(left, right) if is_name(left) => Some(vec![constant(right)?]),
            plan::Expr::Equal(left, right) if is_name(right) => Some(vec![constant(left)?]),
            plan::Expr::OneOf(value, choices) if is_name(value) => choices.iter().map(constant).collect(),
            plan::Expr::Not(inner) => return self.triggers_where(inner).map(|set| !set),
            _ => None,
        };
        values.map(|values| self.triggers_named(&values))
    }

    /// Returns the field of the event. Of several triggers it is the field that all have with one type: that of the first.
    pub(super) fn event_field(&self, name: &str) -> Option<&'a Field> {
        if !self.frame.sees_event {
            return None;
        }
        match self.event() {
            Event::Known(source) => source.record.field(name),
            Event::Several => {
                let mut fields = self.possible().map(|(_, source)| source.record.field(name));
                let first = fields.next().flatten()?;
                fields.all(|field| field.is_some_and(|field| split(&field.ty).0 == split(&first.ty).0)).then_some(first)
            }
            Event::None | Event::Unknown | Event::Bare(_) => None,
        }
    }

    /// The fields of the event, in the order of the first trigger.
    pub(super) fn event_fields(&self) -> Vec<&'a Field> {
        match self.event() {
            Event::Known(source) if self.frame.sees_event => source.record.fields.iter().collect(),
            Event::Several if self.frame.sees_event => {
                let first = self.possible().next().map(|(_, source)| source.record);
                let all = first.into_iter().flat_map(|record| &record.fields);
                all.filter(|field| self.event_field(&field.name).is_some()).collect()
            }
            Event::Known(_) | Event::Several | Event::None | Event::Unknown | Event::Bare(_) => Vec::new(),
        }
    }

    /// Returns the slot of a field of the event, and what is to be known of it where triggers differ.
    pub(super) fn slot(&mut self, field: &'a Field) -> u16 {
        let mut fields: Vec<Option<&'a Field>> = vec![None; self.starts.sources.len().max(1)];
        if let [_] = self.starts.sources.as_slice() {
            fields = vec![Some(field)];
        } else {
            for (at, source) in self.possible() {
                if let Some(place) = fields.get_mut(at) {
                    *place = source.record.field(&field.name);
                }
            }
        }
        let same = |left: &Option<&Field>, right: &Option<&Field>| match (left, right) {
            (Some(left), Some(right)) => std::ptr::eq(*left, *right),
            (_, None) => true,
            (None, Some(_)) => false,
        };
        // A slot that serves more triggers than are possible here serves these as well.
        let known = |slot: &Slot<'a>| slot.fields.iter().zip(&fields).all(|(left, right)| same(left, right));
        let at = self.reads.iter().position(known).unwrap_or_else(|| {
            self.reads.push(Slot { fields });
            self.reads.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    /// The shapes of the slots: those of the flow.
    pub(super) fn read_shapes(&self) -> Vec<FieldShape> {
        self.reads.iter().filter_map(|slot| slot.field().map(|field| field.shape.clone())).collect()
    }

    /// The shapes of the slots for one trigger, where they are others than those of the flow.
    pub(super) fn shapes_for(&self, trigger: usize, flow: &[FieldShape]) -> Vec<Option<FieldShape>> {
        let own: Vec<Option<FieldShape>> =
            self.reads.iter().map(|slot| slot.fields.get(trigger).copied().flatten().map(|field| field.shape.clone())).collect();
        let differs = own.iter().zip(flow).any(|(own, flow)| own.as_ref() != Some(flow));
        if differs { own } else { Vec::new() }
    }

    /// The place of the currency of a money field, where it is the same in every event that is possible here.
    pub(super) fn currency_place(&self, field: &'a Field) -> Option<&'a plan::JsonPath> {
        let place = |field: &'a Field| match &field.shape.shape {
            // Elsewhere the amount may stand with another currency.
            plan::Shape::Money { currency, instead, .. } if instead.is_empty() => Some(currency),
            _ => None,
        };
        let own = place(field)?;
        let agree =
            self.possible().all(|(_, source)| source.record.field(&field.name).is_none_or(|other| place(other) == Some(own)));
        agree.then_some(own)
    }
}
