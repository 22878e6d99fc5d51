//! A trigger by name, with its options, its own condition and its key.

use std::collections::BTreeMap;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, Arg, TriggerRef};
use flow_plan as plan;
use flow_plan::Value;
use flow_plan::ty::Type;

use super::check::{Checker, Frame, Setting, listed};
use super::condition::{Position, into_expr};
use super::event::Source;
use super::fit::Target;
use super::kinds;
use super::typed::{Typed, split};
use crate::catalog::{Connector, Input, Record, Trigger};
use crate::code::Code;
use crate::suggest::nearest;

impl<'a> Checker<'a> {
    /// Finds the trigger that a path names.
    pub(super) fn trigger(&mut self, reference: &TriggerRef) -> Option<Source<'a>> {
        let (connection_name, name) = match reference.path.as_slice() {
            [connection, name] => (connection, name),
            [only] => {
                self.lone_trigger(only);
                return None;
            }
            [connection, name, rest @ ..] => {
                if let Some(last) = rest.last() {
                    let joined = [name].into_iter().chain(rest).map(|part| part.text.as_str()).collect::<Vec<_>>().join("_");
                    if let Some((_, connector)) = self.connection(&connection.text)
                        && connector.triggers.contains_key(&joined)
                    {
                        let diagnostic = self
                            .diagnostic(Code::E201, name.span.to(last.span), format!("the event is called `{joined}`"))
                            .fix(format!("`{}.{joined}`", connection.text), name.span.to(last.span), joined, true);
                        self.report(diagnostic);
                        return None;
                    }
                    let diagnostic = self
                        .diagnostic(Code::E201, name.span.to(last.span), "a trigger has two parts: connection and event")
                        .help(format!(
                            "for example `{}.{}`; what events are meant is said behind it, in `where`",
                            connection.text, name.text
                        ));
                    self.report(diagnostic);
                }
                return None;
            }
            [] => return None,
        };
        let Some((connection, connector)) = self.connection(&connection_name.text) else {
            self.unknown_connection(connection_name);
            return None;
        };
        self.uses(connection);
        let Some(trigger) = connector.triggers.get(&name.text) else {
            self.not_a_trigger(connection, connector, name);
            return None;
        };
        let record = connector.records.get(&trigger.record)?;
        Some(Source { connection, connector, trigger, record })
    }

    fn lone_trigger(&mut self, name: &syntax::Ident) {
        if self.connection(&name.text).is_none() && self.is_a_time(name) {
            return;
        }
        if let Some((connection, connector)) = self.connection(&name.text) {
            let names: Vec<String> = connector.triggers.keys().take(6).map(|trigger| format!("{connection}.{trigger}")).collect();
            let diagnostic = self
                .diagnostic(Code::E201, name.span, format!("which event of {}?", connector.title))
                .help(format!("for example {}", listed(&names, "or")));
            self.report(diagnostic);
            return;
        }
        let having: Vec<String> = self
            .connections
            .iter()
            .filter(|(_, connector)| connector.triggers.contains_key(&name.text))
            .map(|(connection, _)| format!("{connection}.{}", name.text))
            .collect();
        let mut diagnostic = self.diagnostic(Code::E201, name.span, format!("there is no trigger `{}`", name.text));
        if let [only] = having.as_slice() {
            diagnostic = diagnostic.help(format!("triggers are named with their connection: `{only}`")).fix(
                format!("`{only}`"),
                name.span,
                only.clone(),
                true,
            );
        } else if having.is_empty() {
            diagnostic = diagnostic.help("write connection and event, for example `stripe.charge_failed`");
        } else {
            diagnostic = diagnostic.help(format!("which one: {}?", listed(&having, "or")));
        }
        self.report(diagnostic);
    }

    fn not_a_trigger(&mut self, connection: &str, connector: &Connector, name: &syntax::Ident) {
        let Some(operation) = connector.operations.get(&name.text).filter(|op| !op.internal) else {
            self.unknown_trigger(connection, connector, name);
            return;
        };
        let what = if operation.action { "an action" } else { "a query" };
        let mut diagnostic = self
            .diagnostic(Code::E505, name.span, format!("`{connection}.{}` is {what}: it starts nothing", name.text))
            .label(if operation.action { "something that a flow does" } else { "something that a flow asks" });
        let caused = operation.emits.first().filter(|event| connector.triggers.contains_key(*event));
        let itself = caused.and_then(|event| self.causes(connection, connector, event));
        diagnostic = match (caused, itself) {
            (Some(event), Some(action)) => diagnostic.help(format!(
                "the event that it causes is `{connection}.{event}`; but this flow's own `{action}` causes it too, and the flow would start itself for ever"
            )),
            (Some(event), None) => diagnostic.help(format!("the event that it causes is `{connection}.{event}`")).fix(
                format!("`{event}`"),
                name.span,
                event.clone(),
                false,
            ),
            (None, _) => {
                let names: Vec<String> = connector.triggers.keys().take(6).map(|name| format!("{connection}.{name}")).collect();
                if names.is_empty() {
                    diagnostic.help(format!("{} has no events", connector.title))
                } else {
                    diagnostic.help(format!("what starts a flow stands behind `when`: {}", listed(&names, "or")))
                }
            }
        };
        self.report(diagnostic);
    }

    /// Returns the action in the flow's steps that causes an event, if there is one.
    fn causes(&self, connection: &str, connector: &Connector, event: &str) -> Option<String> {
        let steps = self.node?.body.span.text(self.frame.source);
        connector
            .operations
            .values()
            .filter(|op| op.action && !op.internal && op.emits.iter().any(|emitted| emitted == event))
            .map(|op| format!("{connection}.{}", op.name))
            .find(|name| steps.contains(name.as_str()))
    }

    /// The options of a trigger, defaults included.
    pub(super) fn options(&mut self, reference: &TriggerRef, source: Source<'a>) -> BTreeMap<String, Value> {
        let mut options = BTreeMap::new();
        let trigger = source.trigger;
        let mut given: Vec<&str> = Vec::new();
        let mut strange = false;
        for arg in &reference.args {
            let Some(option) = self.option(arg, reference, trigger) else {
                // One report: the option that is needed was surely meant, and is named there.
                strange |= arg.name.as_ref().is_none_or(|name| near(name, trigger).is_none());
                continue;
            };
            if given.contains(&option.name.as_str()) {
                let diagnostic = self.diagnostic(Code::E205, arg.span, format!("`{}` is given twice", option.name));
                self.report(diagnostic);
                continue;
            }
            given.push(&option.name);
            let value = self.value_for(&arg.value, &option.ty, &Target::Input(&option.name));
            match value.as_const() {
                Some(value) if !value.is_missing() => {
                    options.insert(option.name.clone(), value.clone());
                }
                _ if value.is_unknown() => {}
                _ => {
                    let diagnostic = self
                        .diagnostic(Code::E301, arg.value.span, format!("`{}` must be a plain value", option.name))
                        .help("a trigger is known before any event: write the value itself");
                    self.report(diagnostic);
                }
            }
        }
        for option in &trigger.options {
            if given.contains(&option.name.as_str()) {
                continue;
            }
            if let Some(plan::Expr::Const(value)) = &option.default {
                options.insert(option.name.clone(), value.clone());
                self.freeze_option(reference.span, source, &option.name, value);
            } else if option.is_required() && !strange {
                self.option_missing(reference, option, source);
            }
        }
        self.check_types(reference, source, &options);
        options
    }

    fn option(&mut self, arg: &Arg, reference: &TriggerRef, trigger: &'a Trigger) -> Option<&'a Input> {
        let Some(name) = &arg.name else {
            // One option takes its value without a name.
            if let [only] = trigger.options.as_slice() {
                return Some(only);
            }
            let diagnostic = match trigger.options.as_slice() {
                [] => self
                    .diagnostic(Code::E204, arg.span, format!("`{}` has no options", trigger.name))
                    .help("which events are meant is said behind it: `where …`"),
                options => {
                    let names: Vec<&str> = options.iter().map(|option| option.name.as_str()).collect();
                    self.diagnostic(Code::E204, arg.span, "say which option this is").help(format!(
                        "`{}` has {}",
                        trigger.name,
                        listed(&names, "and")
                    ))
                }
            };
            self.report(diagnostic);
            return None;
        };
        let found = trigger.options.iter().find(|option| option.name == name.text);
        if found.is_none() {
            let mut diagnostic =
                self.diagnostic(Code::E204, name.span, format!("`{}` has no option `{}`", trigger.name, name.text));
            let field = self.event_field(&name.text).is_some();
            let missing = trigger.options.iter().find(|option| {
                option.is_required()
                    && !reference.args.iter().any(|arg| arg.name.as_ref().is_some_and(|given| given.text == option.name))
            });
            if let Some(found) = near(name, trigger) {
                let docs = trigger.options.iter().find(|option| option.name == found).map_or("", |option| option.docs.as_str());
                diagnostic = diagnostic.help(format!("did you mean `{found}`? {docs}").trim_end().to_owned()).fix(
                    format!("`{found}`"),
                    name.span,
                    found,
                    true,
                );
            } else if let (Some(missing), false) = (missing, field) {
                diagnostic = diagnostic.help(format!("it needs `{}`. {}", missing.name, missing.docs).trim_end().to_owned()).fix(
                    format!("`{}`", missing.name),
                    name.span,
                    missing.name.clone(),
                    false,
                );
            } else if field {
                let value = self.text_of(&arg.value);
                diagnostic = diagnostic.help(format!("`{0}` is a field of the event: `where {0} is {value}`", name.text));
            } else if trigger.options.is_empty() {
                diagnostic = diagnostic.help("it has no options; which events are meant is said in `where`");
            } else {
                let names: Vec<&str> = trigger.options.iter().map(|option| option.name.as_str()).collect();
                diagnostic = diagnostic.help(format!("it has {}", listed(&names, "and")));
            }
            self.report(diagnostic);
        }
        found
    }

    fn option_missing(&mut self, reference: &TriggerRef, option: &Input, source: Source<'a>) {
        let example = match split(&option.ty).0 {
            Type::Bool => "true".to_owned(),
            ty => super::mend::example(ty).unwrap_or_else(|| "…".to_owned()),
        };
        let path = format!("{}.{}", source.connection, source.trigger.name);
        let mut diagnostic = self
            .diagnostic(Code::E401, reference.span, format!("`{path}` needs `{}`", option.name))
            .label(format!("{}: {}", option.name, option.ty))
            .help(format!("{} For example `{path}({}: {example})`", option.docs, option.name).trim_start().to_owned());
        let choices: &[&str] = if option.ty == Type::Bool { &["true", "false"] } else { &[] };
        for choice in choices {
            let text = format!("{}: {choice}", option.name);
            let (span, edit) = match reference.args.last() {
                Some(last) => (last.span.after(), format!(", {text}")),
                None => (reference.path.last().map_or(reference.span, |last| last.span).after(), format!("({text})")),
            };
            // Empty parentheses would stay behind.
            if reference.has_parens && reference.args.is_empty() {
                break;
            }
            diagnostic = diagnostic.fix(format!("`{text}`"), span, edit, false);
        }
        self.report(diagnostic);
    }

    /// The trigger with its own condition and key, over the slots of this flow.
    pub(super) fn own_condition(&mut self, span: Span, source: Source<'a>, options: BTreeMap<String, Value>) -> plan::TriggerUse {
        let trigger = source.trigger;
        let (guard, dedupe) = if trigger.condition.is_some() || trigger.dedupe.is_some() {
            self.quiet += 1;
            let found = self.guard(trigger, |name| options.get(name).cloned());
            self.quiet -= 1;
            if std::mem::take(&mut self.quiet_error) && self.error_count() == 0 {
                let diagnostic = self
                    .diagnostic(
                        Code::E820,
                        span,
                        format!("the connector of `{}` has a mistake in this trigger", source.connection),
                    )
                    .help(format!("see {}", source.connector.file));
                self.report(diagnostic);
            }
            found
        } else {
            (None, None)
        };
        let listen = source.connector.sources.iter().find(|known| known.name == trigger.source).and_then(|s| s.listen.as_ref());
        let guard = match listen.and_then(|listen| options.get(&listen.by)).map(crate::connector::heard_for) {
            Some(heard) => Some(plan::Expr::And([heard].into_iter().chain(guard).collect())),
            None => guard,
        };
        plan::TriggerUse {
            connection: source.connection.to_owned(),
            name: trigger.name.clone(),
            source: trigger.source.clone(),
            types: kinds::taken(trigger, &options, guard.as_ref()),
            options,
            guard,
            dedupe,
            kind: plan::StartKind::Event,
            reads: Vec::new(),
        }
    }

    /// Checks the condition and the key of a trigger. Its options are names; what `value` does not know is missing.
    pub(super) fn guard(
        &mut self,
        trigger: &'a Trigger,
        value: impl Fn(&str) -> Option<Value>,
    ) -> (Option<plan::Expr>, Option<plan::Expr>) {
        let frame = Frame { first_binding: self.bindings.len(), is_guard: true, ..self.frame };
        let outer = std::mem::replace(&mut self.frame, frame);
        let setting = std::mem::replace(&mut self.setting, Setting::Condition);
        let mark = self.facts.mark();
        for option in &trigger.options {
            let (ty, optional) = split(&option.ty);
            let expr = plan::Expr::Const(value(&option.name).unwrap_or_default());
            let typed = Typed::with(expr, std::borrow::Cow::Borrowed(ty)).optional(optional);
            self.bind(option.name.as_str(), Span::default(), typed);
        }
        let guard = trigger.condition.as_ref().map(|condition| into_expr(self.condition(condition, Position::Positive).tree));
        self.facts.reset(mark);
        let dedupe = trigger.dedupe.as_ref().map(|key| self.value(key).expr);
        self.facts.reset(mark);
        self.bindings.truncate(self.frame.first_binding);
        self.frame = outer;
        self.setting = setting;
        (guard, dedupe)
    }

    /// The event of a connector's trigger, for checking the connector itself.
    pub(super) fn source_of(connector: &'a Connector, trigger: &'a Trigger, record: &'a Record) -> Source<'a> {
        Source { connection: &connector.name, connector, trigger, record }
    }
}

/// The option that a name is a slip of.
fn near<'t>(name: &syntax::Ident, trigger: &'t Trigger) -> Option<&'t str> {
    nearest(&name.text, trigger.options.iter().map(|option| option.name.as_str()))
}
