//! Triggers.

use std::collections::BTreeMap;

use flow_grammar::syntax::{self, MemberKind, TypeKind};

use super::{Cx, docs_text};
use crate::catalog;

impl<'a> Cx<'a> {
    /// Declares every trigger.
    pub(super) fn declare_triggers(&mut self) -> BTreeMap<String, catalog::Trigger> {
        let node = self.node;
        let mut triggers: BTreeMap<String, catalog::Trigger> = BTreeMap::new();
        for member in &node.members {
            if let MemberKind::Trigger(trigger) = &member.kind
                && !triggers.contains_key(&trigger.name.text)
            {
                let declared = self.trigger(trigger, &member.docs);
                triggers.insert(trigger.name.text.clone(), declared);
            }
        }
        triggers
    }

    fn trigger(&mut self, node: &'a syntax::Trigger, docs: &syntax::Docs) -> catalog::Trigger {
        let options = self.inputs(&node.options);
        let record = self.trigger_record(node);
        let source = self.trigger_source(node);
        let types = node.types.iter().map(|text| self.plain(text, "the type of an event")).collect();
        let example = node.example.as_ref().map(|example| self.plain(example, "the name of a file"));
        catalog::Trigger {
            name: node.name.text.clone(),
            docs: docs_text(docs),
            options,
            record,
            source,
            types,
            condition: node.condition.clone(),
            dedupe: node.dedupe.clone(),
            example,
            summaries: node.summaries.clone(),
        }
    }

    fn trigger_record(&mut self, node: &syntax::Trigger) -> String {
        let Some(ty) = &node.record else {
            let diagnostic = self.mistake(node.name.span, format!("what do the events of `{}` look like?", node.name.text));
            self.push(diagnostic.help(format!("name their record: `trigger {}: Invoice`", node.name.text)));
            return String::new();
        };
        let name = match &ty.kind {
            TypeKind::Named { name, args, .. } if args.is_empty() && !ty.optional => name,
            _ => {
                let diagnostic = self.mistake(ty.span, "the events of a trigger are of a record");
                self.push(diagnostic.help("declare one with `record …` and name it here"));
                return String::new();
            }
        };
        if !self.record_nodes.contains_key(name.text.as_str()) {
            let known: Vec<&str> = self.record_nodes.keys().copied().collect();
            self.unknown(name.span, format!("there is no record `{}`", name.text), &name.text, known);
            return String::new();
        }
        name.text.clone()
    }

    fn trigger_source(&mut self, node: &syntax::Trigger) -> String {
        if node.own_source.is_some() {
            if let Some(source) = &node.source {
                self.push(self.mistake(source.span, "this trigger has a source of its own already"));
            }
            return node.name.text.clone();
        }
        let Some(source) = &node.source else {
            let diagnostic = self.mistake(node.name.span, format!("where do the events of `{}` come from?", node.name.text));
            self.push(diagnostic.help("add `from` and a source, or a source of its own in braces"));
            return String::new();
        };
        if !self.source_names.contains(source.text.as_str()) {
            let known: Vec<&str> = self.source_names.iter().copied().collect();
            self.unknown(source.span, format!("there is no source `{}`", source.text), &source.text, known);
        }
        source.text.clone()
    }
}
