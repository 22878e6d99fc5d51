//! What actions cause: the triggers that they name, and types of events, which triggers of any type hear.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flow_grammar::syntax::{self, Emitted};

use super::Cx;
use super::operation::collect_calls;
use crate::catalog::{OperationBody, Trigger};

impl Cx<'_> {
    /// `emits reminder_sent, "reminder.counted"`: the triggers, and the types.
    pub(super) fn emitted(&mut self, nodes: &[Emitted]) -> (Vec<String>, Vec<String>) {
        let (types, triggers): (Vec<&Emitted>, Vec<&Emitted>) = nodes.iter().partition(|node| node.quoted);
        let mut any_type = self.node.members.iter().filter_map(|member| match &member.kind {
            syntax::MemberKind::Trigger(trigger) => trigger.types_of.as_ref(),
            _ => None,
        });
        if let (Some(first), None) = (types.first(), any_type.next()) {
            let message = format!("no trigger hears events of the type \"{}\"", first.name.text);
            let diagnostic = self.mistake(first.name.span, message);
            self.push(diagnostic.help(
                "name a trigger, or declare one that takes any type: `trigger event(type: text): Event from events of type`",
            ));
        }
        let known = triggers.into_iter().filter(|node| self.is_trigger(&node.name)).map(|node| node.name.text.clone());
        (known.collect(), types.into_iter().map(|node| node.name.text.clone()).collect())
    }

    /// An operation of steps causes what the operations in it cause.
    pub(super) fn spread_emits(&mut self) {
        // Operations may call each other in a row; a few rounds reach the end of any that is not a circle.
        for _ in 0..8 {
            let mut changed = false;
            let names: Vec<String> = self.operations.keys().cloned().collect();
            for name in names {
                let Some(OperationBody::Steps(block)) = self.operations.get(&name).map(|operation| &operation.body) else {
                    continue;
                };
                let mut called = BTreeSet::new();
                collect_calls(block, &mut called);
                let of = || called.iter().filter_map(|name| self.operations.get(name));
                let emits: BTreeSet<String> = of().flat_map(|operation| operation.emits.iter().cloned()).collect();
                let types: BTreeSet<String> = of().flat_map(|operation| operation.emits_types.iter().cloned()).collect();
                if let Some(operation) = self.operations.get_mut(&name)
                    && !(emits.iter().eq(operation.emits.iter()) && types.iter().eq(operation.emits_types.iter()))
                {
                    operation.emits = emits.into_iter().collect();
                    operation.emits_types = types.into_iter().collect();
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
    }

    /// What causes an event of a source causes it for the triggers too that take any type of it.
    pub(super) fn cause_by_type(&mut self, triggers: &BTreeMap<String, Trigger>) {
        let connector = &self.node.name.text;
        let any_type: Vec<&Trigger> = triggers.values().filter(|trigger| trigger.types_of.is_some()).collect();
        for operation in self.operations.values_mut() {
            let OperationBody::Http(http) = &mut operation.body else { continue };
            let sources: BTreeSet<&str> =
                operation.emits.iter().filter_map(|name| triggers.get(name)).map(|trigger| trigger.source.as_str()).collect();
            for hears in &any_type {
                let name = format!("{connector}.{}", hears.name);
                if (!operation.emits_types.is_empty() || sources.contains(hears.source.as_str())) && !http.emits.contains(&name) {
                    Arc::make_mut(http).emits.push(name);
                }
            }
        }
    }
}
