//! Triggers.

use std::collections::BTreeMap;

use flow_grammar::syntax::{self, ExprKind, MemberKind, StateOp, StatePattern, TypeKind};
use flow_plan as plan;
use flow_plan::Value;
use flow_plan::ty::Type;

use super::{Cx, docs_text};
use crate::catalog::{self, TriggerState, TriggerValue};
use crate::code::Code;

impl<'a> Cx<'a> {
    /// Declares every trigger.
    pub(super) fn declare_triggers(&mut self, states: &BTreeMap<String, catalog::State>) -> BTreeMap<String, catalog::Trigger> {
        let node = self.node;
        let mut triggers: BTreeMap<String, catalog::Trigger> = BTreeMap::new();
        for member in &node.members {
            if let MemberKind::Trigger(trigger) = &member.kind
                && !triggers.contains_key(&trigger.name.text)
            {
                let declared = self.trigger(trigger, &member.docs, states);
                triggers.insert(trigger.name.text.clone(), declared);
            }
        }
        triggers
    }

    fn trigger(
        &mut self,
        node: &'a syntax::Trigger,
        docs: &syntax::Docs,
        states: &BTreeMap<String, catalog::State>,
    ) -> catalog::Trigger {
        let options = self.inputs(&node.options);
        let record = self.trigger_record(node);
        let source = self.trigger_source(node);
        let state = node.state.as_ref().and_then(|pattern| self.trigger_state(node, pattern, &options, states));
        let types = node.types.iter().map(|text| self.plain(text, "the type of an event")).collect();
        let types_of = node.types_of.as_ref().and_then(|name| self.types_of(name, &options));
        let example = node.example.as_ref().map(|example| self.plain(example, "the name of a file"));
        catalog::Trigger {
            name: node.name.text.clone(),
            docs: docs_text(docs),
            options,
            record,
            source,
            types,
            types_of,
            state,
            condition: node.condition.clone(),
            dedupe: node.dedupe.clone(),
            example,
            summaries: node.summaries.clone(),
        }
    }

    /// `from events of type`: the option that says which types of events are meant.
    fn types_of(&mut self, name: &syntax::Ident, options: &[catalog::Input]) -> Option<String> {
        let Some(option) = options.iter().find(|option| option.name == name.text) else {
            let known: Vec<&str> = options.iter().map(|option| option.name.as_str()).collect();
            self.unknown(name.span, format!("there is no option `{}`", name.text), &name.text, known);
            return None;
        };
        let is_text = |ty: &Type| matches!(ty, Type::Text(_) | Type::Enum { .. });
        let fits = match &option.ty {
            Type::List(inner) => is_text(inner),
            ty => is_text(ty),
        };
        if !fits {
            let message = format!("`{}` is {}, and types of events are texts", option.name, option.ty);
            let diagnostic = self.diagnostic(Code::E301, name.span, message);
            self.push(diagnostic.help("make it `text`, a choice of texts, or a list of them; it must be there"));
            return None;
        }
        Some(option.name.clone())
    }

    /// A trigger that is a state, compared with a value or with one of its options.
    fn trigger_state(
        &mut self,
        node: &syntax::Trigger,
        pattern: &StatePattern,
        options: &[catalog::Input],
        states: &BTreeMap<String, catalog::State>,
    ) -> Option<TriggerState> {
        let place = pattern.path.last()?;
        let Some(state) = states.get(&place.text).filter(|_| pattern.path.len() == 1) else {
            let known: Vec<&str> = states.keys().map(String::as_str).collect();
            self.unknown(place.span, format!("there is no state `{}`", place.text), &place.text, known);
            return None;
        };
        let own = node.condition.as_ref().or(node.dedupe.as_ref());
        if let Some(own) = own {
            let diagnostic = self.mistake(own.span, "a trigger that is a state has no condition and no key of its own");
            self.push(diagnostic.help("it starts a flow once, until the state is known to be something else"));
        }
        let op = match pattern.op {
            StateOp::Becomes => plan::StateOp::Becomes,
            StateOp::RisesAbove => plan::StateOp::RisesAbove,
            StateOp::DropsBelow => plan::StateOp::DropsBelow,
            StateOp::Changes => plan::StateOp::Changes,
            StateOp::Is => {
                let diagnostic = self.mistake(pattern.span, "a state is so for a while: it has no moment of its own");
                self.push(diagnostic.help("write `becomes`, `rises above`, `drops below` or `changes`"));
                return None;
            }
        };
        let Some(compared) = &pattern.value else {
            return Some(TriggerState { state: state.name.clone(), op, value: TriggerValue::Plain(Value::Missing) });
        };
        let value = match (&*compared.kind, &state.ty) {
            (ExprKind::Name(name), _) if options.iter().any(|option| option.name == name.text) => {
                TriggerValue::Option(name.text.clone())
            }
            (ExprKind::Name(name), Type::Enum { members, .. }) => {
                if !members.contains(&name.text) {
                    let message = format!("`{}` is never `{}`", state.name, name.text);
                    self.unknown(name.span, message, &name.text, members.iter().map(String::as_str));
                    return None;
                }
                TriggerValue::Plain(Value::text(name.text.as_str()))
            }
            _ => TriggerValue::Plain(self.constant(compared, &state.ty)?),
        };
        Some(TriggerState { state: state.name.clone(), op, value })
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
        if node.state.is_some() {
            return "state".to_owned();
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
