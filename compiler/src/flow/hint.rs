//! Names that nothing defines: what was probably meant.

use flow_grammar::syntax::{self, Ident};
use flow_plan as plan;

use super::check::{Checker, listed};
use super::event::{Bare, Event};
use super::typed::Typed;
use crate::catalog::{Connector, Record};
use crate::code::Code;
use crate::connector::is_implicit;
use crate::diagnostic::{Diagnostic, Fix};
use crate::suggest::nearest;

impl<'a> Checker<'a> {
    /// Reports a bare name that is no local, connection or field.
    pub(super) fn unknown_name(&mut self, name: &Ident, meant: Option<Fix>) {
        let text = name.text.as_str();
        let gone = if self.quiet > 0 { None } else { self.gone.iter().rev().find(|(known, _)| known == text).map(|(_, at)| *at) };
        if let Some(at) = gone {
            let diagnostic = self
                .diagnostic(Code::E201, name.span, format!("`{text}` is not known here"))
                .label("outside of the braces in which it was given")
                .also(at, "given here, in a block that need not be run")
                .help("use it within those braces, or put the step that gives it before them");
            self.report(diagnostic);
            return;
        }
        let mut diagnostic = self.diagnostic(Code::E201, name.span, format!("there is no `{text}` here"));
        if self.shared_by_some(name) || self.field_of_nothing(name) {
            return;
        }
        let locals =
            self.bindings.get(self.frame.first_binding..).unwrap_or_default().iter().map(|binding| binding.name.as_ref());
        let fields = self.event_fields();
        let candidates = locals.chain(fields.iter().map(|field| field.name.as_str()));
        let of_item =
            self.binding("it").map(|it| it.ty.clone()).filter(|ty| self.item_fields(ty).iter().any(|field| field == text));
        // `yes` for a truth can be nothing else.
        let meant_surely = meant.as_ref().is_some_and(|fix| fix.safe);
        if of_item.is_some() {
            diagnostic = diagnostic.help(format!("did you mean `it.{text}`, the field of the item at hand?")).fix(
                format!("`it.{text}`"),
                name.span,
                format!("it.{text}"),
                true,
            );
        } else if let Some(about) = time_word(text).filter(|_| !meant_surely) {
            diagnostic = diagnostic.label("no field, and no name given before").help(about);
        } else if text == "it" {
            diagnostic = diagnostic
                .label("`it` is the item at hand, and there is none")
                .help("it stands within a function over a list: `filter(list, it.amount > 10 USD)`");
        } else if let Some(found) = nearest(text, candidates).filter(|_| !meant_surely).map(str::to_owned) {
            let found = if text == found { format!("`{found}`") } else { found };
            diagnostic = diagnostic.help(format!("did you mean `{found}`?{}", self.about(&found))).fix(
                format!("`{found}`"),
                name.span,
                found,
                true,
            );
        } else if let Some(found) = self.elsewhere(text) {
            diagnostic = found.apply(diagnostic);
        } else if let Some(spec) = flow_functions::find(text) {
            diagnostic = diagnostic.help(format!("`{text}` is a function: `{}`", spec.signature()));
        } else if let Event::Known(source) = self.event() {
            diagnostic = diagnostic
                .label(format!("no field of {}.{}, and no name given before", source.connection, source.trigger.name))
                .help(format!("`flowc docs {}.{}` lists the fields", source.connection, source.trigger.name));
        }
        if let Some(fix) = meant {
            if diagnostic.fixes.is_empty() {
                diagnostic = diagnostic.help(if fix.safe { "truths are `true` and `false`" } else { "texts stand in quotes" });
            }
            diagnostic.fixes.push(fix);
        }
        if name.span.text(self.frame.source) != text {
            diagnostic.fixes.retain(|fix| !fix.edits.is_empty());
        }
        self.report(diagnostic);
    }

    /// Reports a field that some of the flow's triggers have, or all with another type.
    fn shared_by_some(&mut self, name: &Ident) -> bool {
        if !matches!(self.event(), Event::Several) || !self.frame.sees_event {
            return false;
        }
        let text = name.text.as_str();
        let all: Vec<_> = self.possible().map(|(_, source)| (source, source.record.field(text))).collect();
        let having: Vec<_> = all.iter().filter_map(|(source, field)| field.map(|field| (*source, field))).collect();
        let Some((source, _)) = having.first().copied() else { return false };
        let diagnostic = if having.len() == all.len() {
            let types: Vec<String> = having.iter().map(|(source, field)| format!("{} in {}", field.ty, source.path())).collect();
            self.diagnostic(Code::E206, name.span, format!("`{text}` is not the same in every event")).label(types.join(", "))
        } else {
            let with: Vec<String> = having.iter().map(|(source, _)| source.path()).collect();
            let without: Vec<String> = all.iter().filter(|(_, field)| field.is_none()).map(|(source, _)| source.path()).collect();
            self.diagnostic(Code::E206, name.span, format!("not every event of this flow has `{text}`")).label(format!(
                "{} has it, {} does not",
                listed(&with, "and"),
                listed(&without, "and")
            ))
        };
        let diagnostic = diagnostic.help(format!(
            "ask first which trigger it was: `match trigger.name {{ \"{0}\" => …  else => … }}`, or `if trigger.name is \"{0}\" {{ … }}`",
            source.trigger.name
        ));
        self.report(diagnostic);
        true
    }

    /// Reports a field of an event that has none.
    pub(in crate::flow) fn field_of_nothing(&mut self, name: &Ident) -> bool {
        let Event::Bare(bare) = self.event() else { return false };
        let awaited = self.starts.sources.first().filter(|source| source.record.field(&name.text).is_some());
        let (message, label) = match (bare, awaited) {
            (Bare::Absence, Some(source)) => (
                format!("`{}` cannot be read: the event did not come", name.text),
                format!("it is a field of {}, and this flow starts because there was none", source.path()),
            ),
            (Bare::Absence, None) => (
                format!("there is no `{}` here", name.text),
                "the event that starts this flow is one that did not come".to_owned(),
            ),
            (Bare::Clock, _) => {
                (format!("there is no `{}` here", name.text), "the clock starts this flow, and has no fields".to_owned())
            }
        };
        let diagnostic = self
            .diagnostic(Code::E201, name.span, message)
            .label(label)
            .help("ask a service for what is needed: `let x = …`; the instant of the start is `event.at`");
        self.report(diagnostic);
        true
    }

    /// One line about a name in scope.
    fn about(&self, name: &str) -> String {
        if let Some(binding) = self.binding(name) {
            return format!(" It is {}.", binding.ty);
        }
        self.event_field(name).map(|field| describe(&field.ty, &field.docs)).unwrap_or_default()
    }

    /// Reports `event.x` without such a field.
    pub(super) fn unknown_event_field(&mut self, name: &Ident) {
        let text = name.text.as_str();
        if self.shared_by_some(name) || self.field_of_nothing(name) {
            return;
        }
        let Event::Known(source) = self.event() else {
            let diagnostic = self
                .diagnostic(Code::E201, name.span, "there is no event here")
                .help("the steps of a connector know their inputs only");
            self.report(diagnostic);
            return;
        };
        let mut diagnostic = self.diagnostic(
            Code::E201,
            name.span,
            format!("{}.{} has no field `{text}`", source.connection, source.trigger.name),
        );
        if let Some(field) = nearest(text, source.record.fields.iter().map(|field| field.name.as_str()))
            .and_then(|found| source.record.field(found))
        {
            diagnostic = diagnostic.help(format!("did you mean `{}`?{}", field.name, describe(&field.ty, &field.docs))).fix(
                format!("`event.{}`", field.name),
                name.span,
                field.name.clone(),
                true,
            );
        } else if let Some(found) = self.elsewhere(text) {
            diagnostic = found.apply(diagnostic);
        }
        self.report(diagnostic);
    }

    /// Reports a field that a record does not have.
    pub(super) fn unknown_field(&mut self, expr: &syntax::Expr, name: &Ident, record: &'a Record, value: &Typed<'a>) {
        let base = expr.span.text(self.frame.source);
        let base = base.get(..base.len().saturating_sub(name.text.len() + 1)).unwrap_or_default();
        let mut diagnostic = self
            .diagnostic(Code::E201, name.span, format!("`{base}` has no field `{}`", name.text))
            .label(format!("it is {}", value.ty));
        if let Some(field) =
            nearest(&name.text, record.fields.iter().map(|field| field.name.as_str())).and_then(|n| record.field(n))
        {
            diagnostic = diagnostic.help(format!("did you mean `{}`?{}", field.name, describe(&field.ty, &field.docs))).fix(
                format!("`{}`", field.name),
                name.span,
                field.name.clone(),
                true,
            );
        } else {
            let names: Vec<&str> = record.fields.iter().take(8).map(|field| field.name.as_str()).collect();
            diagnostic = diagnostic.help(format!("it has {}", listed(&names, "and")));
        }
        self.report(diagnostic);
    }

    /// Where else a name would have been right.
    fn elsewhere(&self, name: &str) -> Option<Elsewhere> {
        let Event::Known(source) = self.event() else { return None };
        if self.frame.own.is_some() {
            return None;
        }
        let triggers: Vec<String> = source
            .connector
            .triggers
            .values()
            .filter(|trigger| source.connector.records.get(&trigger.record).is_some_and(|record| record.field(name).is_some()))
            .map(|trigger| format!("{}.{}", source.connection, trigger.name))
            .take(3)
            .collect();
        if triggers.is_empty() {
            return None;
        }
        Some(Elsewhere {
            label: format!("{}.{} has no such field", source.connection, source.trigger.name),
            help: format!("`{name}` is a field of {}", triggers.join(", ")),
        })
    }

    /// Reports a connection that does not exist.
    pub(super) fn unknown_connection(&mut self, name: &Ident) {
        if self.bare_field(&name.text).is_some() || self.binding(&name.text).is_some() {
            let text = &name.text;
            let diagnostic = self
                .diagnostic(Code::E201, name.span, format!("`{text}` is a value, and values have no methods"))
                .label("what stands behind its dot with `(…)` would be an action or query of a connection")
                .help(format!(
                    "functions stand before their value: `lower({text})`, `length({text})`; whether there is one is asked with `{text} is present`"
                ));
            self.report(diagnostic);
            return;
        }
        let mut diagnostic = self.diagnostic(Code::E201, name.span, format!("there is no connection `{}`", name.text));
        if matches!(name.text.as_str(), "time" | "clock" | "now" | "date" | "today" | "weekday" | "sun") {
            let diagnostic = diagnostic
                .label("no service has the time")
                .help("a flow that the clock starts begins with `every`: `every day at 09:00`; a condition asks `where now.time in 08:00..18:00`");
            self.report(diagnostic);
            return;
        }
        let of_connector: Vec<&str> = self.connections.of_connector(&name.text).collect();
        if let Some(found) = nearest(&name.text, self.connections.keys()) {
            let title = self.connections.get(found).map_or("", |connector| connector.title.as_str());
            diagnostic =
                diagnostic.help(format!("did you mean `{found}` ({title})?")).fix(format!("`{found}`"), name.span, found, true);
        } else if let Some(found) = of_connector.first() {
            diagnostic = diagnostic
                .help(format!("{} is a connector; its connection is called {}", name.text, listed(&of_connector, "or")))
                .fix(format!("`{found}`"), name.span, *found, of_connector.len() == 1);
        } else if self.catalog.connectors.contains_key(&name.text) {
            diagnostic = diagnostic.help(format!("add `[connections.{}]` to flow.toml", name.text));
        } else {
            // Another service is not what was meant, whatever its actions are called.
            let all: Vec<&str> = self.connections.keys().filter(|name| !is_implicit(name)).collect();
            let unused: Vec<&str> = self
                .catalog
                .connectors
                .keys()
                .filter(|name| !is_implicit(name) && self.connections.of_connector(name).next().is_none())
                .collect();
            let mut help = match all.as_slice() {
                [] => "flow.toml has no connections yet".to_owned(),
                [only] => format!("there is only `{only}`"),
                several => format!("there are {}", listed(several, "and")),
            };
            if !unused.is_empty() {
                help.push_str(&format!("; {} can be connected in flow.toml", listed(&unused, "and")));
            }
            help.push_str(&format!(
                "; a service of your own becomes one with a `connector` beside the flows, and any other sender or address with \
                 `[connections.{}]` and `connector = \"http\"` in flow.toml",
                name.text
            ));
            diagnostic = diagnostic.help(help);
        }
        self.report(diagnostic);
    }

    /// Reports an operation or trigger that a connector does not have.
    pub(super) fn unknown_operation(
        &mut self,
        connection: &str,
        connector: &Connector,
        name: &Ident,
        actions: bool,
        queries: bool,
    ) {
        let text = name.text.as_str();
        let mut diagnostic =
            self.diagnostic(Code::E201, name.span, format!("{} has no `{text}`", self.called(connection, connector)));
        let own = self.frame.own.is_some();
        let candidates =
            connector.operations.values().filter(|op| (!op.internal || own) && (op.action && actions || !op.action && queries));
        let found = nearest(text, candidates.clone().map(|op| op.name.as_str()));
        if let Some(found) = found {
            let docs = connector.operations.get(found).map_or("", |op| first_line(&op.docs));
            diagnostic = diagnostic.help(format!("did you mean `{connection}.{found}`? {docs}").trim_end().to_owned()).fix(
                format!("`{found}`"),
                name.span,
                found,
                true,
            );
        } else {
            let names: Vec<&str> = candidates.map(|op| op.name.as_str()).collect();
            let what = match (actions, queries) {
                (true, false) => "actions",
                (false, true) => "queries",
                _ => "actions and queries",
            };
            diagnostic = if names.is_empty() {
                diagnostic.help(format!("it has no {what}"))
            } else {
                diagnostic.help(format!("its {what} are {}", listed(&names, "and")))
            };
        }
        self.report(diagnostic);
    }

    /// Reports a trigger that a connector does not have.
    pub(super) fn unknown_trigger(&mut self, connection: &str, connector: &Connector, name: &Ident) {
        let text = name.text.as_str();
        let mut diagnostic =
            self.diagnostic(Code::E201, name.span, format!("{} has no trigger `{text}`", self.called(connection, connector)));
        if let Some(trigger) =
            nearest(text, connector.triggers.keys().map(String::as_str)).and_then(|n| connector.triggers.get(n))
        {
            diagnostic = diagnostic
                .help(
                    format!("did you mean `{connection}.{}`? {}", trigger.name, first_line(&trigger.docs)).trim_end().to_owned(),
                )
                .fix(format!("`{}`", trigger.name), name.span, trigger.name.clone(), true);
        } else {
            let words: Vec<&str> = text.split('_').filter(|word| word.len() > 3).collect();
            let alike: Vec<&str> = connector
                .triggers
                .keys()
                .map(String::as_str)
                .filter(|name| words.iter().any(|word| name.contains(word)))
                .take(4)
                .collect();
            let names: Vec<&str> = if alike.is_empty() { connector.triggers.keys().map(String::as_str).collect() } else { alike };
            diagnostic = if names.is_empty() {
                diagnostic.help("it has no triggers")
            } else {
                diagnostic.help(format!("there are {}", listed(&names, "and")))
            };
        }
        self.report(diagnostic);
    }

    /// `any(100, 90)`: limits without their currencies.
    pub(super) fn any_without_currencies(&mut self, call: &syntax::Call) {
        let mut diagnostic = self
            .diagnostic(Code::E301, call.span, "`any(…)` takes amounts with their currency")
            .help("one limit per currency: `amount > any(100 USD, 90 EUR)`");
        if let [only] = call.args.as_slice()
            && matches!(only.value.kind.as_ref(), syntax::ExprKind::Number(_))
        {
            let currency = self.settings.currency.map_or_else(|| "USD".to_owned(), |currency| currency.to_string());
            let text = self.text_of(&only.value);
            diagnostic = diagnostic.fix(format!("`{text} {currency}`"), call.span, format!("{text} {currency}"), false);
        }
        self.report(diagnostic);
    }

    fn called(&self, connection: &str, connector: &Connector) -> String {
        if connection == connector.name { connector.title.clone() } else { format!("`{connection}` ({})", connector.title) }
    }
}

struct Elsewhere {
    label: String,
    help: String,
}

impl Elsewhere {
    fn apply(self, diagnostic: Diagnostic) -> Diagnostic {
        diagnostic.label(self.label).help(self.help)
    }
}

fn describe(ty: &plan::ty::Type, docs: &str) -> String {
    if docs.is_empty() { format!(" It is {ty}.") } else { format!(" It is {ty}: {docs}") }
}

/// The first line of a doc comment.
pub(super) fn first_line(docs: &str) -> &str {
    docs.lines().next().unwrap_or("")
}

/// Words for times and waits that are no values.
fn time_word(text: &str) -> Option<&'static str> {
    Some(match text {
        "time" | "hour" | "weekday" | "today" | "date" => {
            "the time at which the event came is `now`: `now.time in 08:00..18:00`, `now.weekday is \"monday\"`, `date_of(now)`"
        }
        "tomorrow" | "yesterday" | "tonight" | "midnight" | "noon" => {
            "instants are counted from `now`: `now + 24 hours`; `wait until 09:00` waits for the next time that the clock shows that"
        }
        "monday" | "tuesday" | "wednesday" | "thursday" | "friday" | "saturday" | "sunday" => {
            "a day of the week is a text, and asked for with `now.weekday is \"monday\"`; `wait until 09:00` waits for a time of day, `every monday at 09:00` starts a flow"
        }
        "wait" | "await" => {
            "waiting is a step of its own: `wait for stripe.invoice_paid where id is event.id up to 3 days`, without `let`"
        }
        _ => return None,
    })
}
