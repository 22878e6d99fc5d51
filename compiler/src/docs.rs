//! Pages about connectors for `flowc docs`: what can start a flow, what it can call, and what each field means.
//!
//! Plain Markdown that reads well in a terminal. Every page is made from the catalog, so it cannot be out of date.

mod effect;
mod example;
mod function;

use std::fmt::Write;

use flow_plan::{Expr, Value};

use crate::catalog::{Catalog, Connector, Field, Input, Operation, OperationBody, Record, State, Trigger};
use crate::suggest::nearest;

pub use function::functions_reference;

/// Returns the page for `stripe`, `stripe.charge_failed`, `stripe.create_customer`, `stripe.Charge` or
/// `stripe.charge_failed.amount`, for `functions`, `functions.round` or `round`; the index for the empty path; `None` where
/// there is no such thing.
pub fn docs(catalog: &Catalog, path: &str) -> Option<String> {
    let parts: Vec<&str> = path.trim().split('.').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [] => Some(index(catalog)),
        [name] => match catalog.connectors.get(name) {
            Some(connector) => Some(connector_page(connector)),
            None if *name == "functions" => Some(function::index()),
            None => flow_functions::find(name).map(function::page),
        },
        ["functions", name] if !catalog.connectors.contains_key("functions") => flow_functions::find(name).map(function::page),
        [connector, name] => {
            let connector = catalog.connectors.get(connector)?;
            if let Some(trigger) = connector.triggers.get(*name) {
                return Some(trigger_page(catalog, connector, trigger));
            }
            if let Some(operation) = connector.operations.get(*name).filter(|operation| !operation.internal) {
                return Some(operation_page(catalog, connector, operation));
            }
            if let Some(state) = connector.states.get(*name) {
                return Some(state_page(connector, state));
            }
            connector.records.get(*name).map(|record| record_page(connector, record))
        }
        [connector, name, field] => {
            let connector = catalog.connectors.get(connector)?;
            let record = connector.triggers.get(*name).map_or(*name, |trigger| trigger.record.as_str());
            connector.records.get(record)?.field(field).map(|field| field_page(path, field))
        }
        _ => None,
    }
}

/// Returns the paths that are near to one that has no page: what was probably meant comes first.
pub fn docs_candidates(catalog: &Catalog, path: &str) -> Vec<String> {
    let (connector, name) = path.trim().split_once('.').unwrap_or((path.trim(), ""));
    let of_function = if connector == "functions" { name } else { path.trim() };
    if let Some(function) = function::near(of_function) {
        return vec![format!("functions.{function}")];
    }
    let connectors = catalog.connectors.keys();
    let mut candidates: Vec<String> = Vec::new();
    let Some(known) = nearest(connector, connectors).and_then(|near| catalog.connectors.get(near)) else {
        // `charge_failed` alone: the connector was left out.
        for connector in catalog.connectors.values() {
            candidates.extend(nearest(path.trim(), names(connector)).map(|name| format!("{}.{name}", connector.name)));
        }
        return candidates;
    };
    let mut near: Vec<&str> = nearest(name, names(known)).into_iter().filter(|_| !name.is_empty()).collect();
    // Words in common count too: `stripe.refund` may mean `stripe.create_refund`.
    let lower = name.to_lowercase();
    for other in names(known) {
        if !lower.is_empty() && other.contains(&lower) && !near.contains(&other) {
            near.push(other);
        }
    }
    candidates.extend(near.into_iter().take(4).map(|name| format!("{}.{name}", known.name)));
    if candidates.is_empty() {
        candidates.push(known.name.clone());
    }
    candidates
}

/// Everything of a connector that has a page.
fn names(connector: &Connector) -> impl Iterator<Item = &str> {
    let operations =
        connector.operations.values().filter(|operation| !operation.internal).map(|operation| operation.name.as_str());
    let states = connector.states.keys().map(String::as_str);
    connector
        .triggers
        .keys()
        .map(String::as_str)
        .chain(operations)
        .chain(states)
        .chain(connector.records.keys().map(String::as_str))
}

fn index(catalog: &Catalog) -> String {
    let mut out = String::from("# Connectors\n\n");
    for connector in catalog.connectors.values() {
        let (triggers, calls) = (connector.triggers.len(), public(connector).count());
        line(
            &mut out,
            &connector.name,
            &format!("{} ({triggers} triggers, {calls} actions and queries)", first_line(&connector.docs)),
        );
    }
    out.push_str("\n`flowc docs NAME` shows one of them; a connector of your own lies beside the flows.\n");
    out.push_str("`flowc docs functions` lists what can be computed with values.\n");
    out
}

fn connector_page(connector: &Connector) -> String {
    let mut out = format!("# {} (`{}`)\n\n{}\n", connector.title, connector.name, connector.docs);
    if let Some(url) = &connector.docs_url {
        let _ = write!(out, "\nThe service's own documentation: {url}\n");
    }
    if !connector.secrets.is_empty() || !connector.settings.is_empty() {
        let _ = write!(out, "\n## In flow.toml, under `[connections.{}]`\n\n", connector.name);
        for secret in connector.secrets.iter() {
            let when = match (secret.for_requests, secret.for_webhooks) {
                (false, true) => "secret, for webhooks only",
                _ => "secret",
            };
            line(&mut out, &secret.name, &sentence(when, secret.hint.as_deref().unwrap_or("")));
        }
        for setting in &connector.settings {
            let what = match &setting.default {
                Some(default) => format!("{}, else {}", setting.ty.required(), value_text(default)),
                None if setting.ty.can_be_missing() => format!("{}, may be left out", setting.ty.required()),
                None => setting.ty.to_string(),
            };
            line(&mut out, &setting.name, &sentence(&what, &setting.docs));
        }
    }
    let limits = [
        connector.api.limit.as_ref().map(|limit| (limit.count, limit.per_ms, "so fast at most")),
        connector.api.quota.as_ref().map(|quota| (quota.count, quota.per_ms, "in all, polls included")),
    ];
    if limits.iter().any(Option::is_some) {
        out.push_str("\n## How much may be asked\n\n");
        for (count, per_ms, what) in limits.into_iter().flatten() {
            let _ = writeln!(out, "- {count} requests in {}, {what}", length(per_ms));
        }
        if let Some(secret) = connector.api.quota.as_ref().and_then(|quota| quota.shared_by.as_ref()) {
            let _ = write!(out, "\nConnections with the same `{secret}` share what there is.\n");
        }
    }
    section(&mut out, "Triggers", connector.triggers.values().map(|trigger| (trigger.name.as_str(), trigger.docs.as_str())));
    let of_kind = |action: bool| {
        public(connector)
            .filter(move |operation| operation.action == action)
            .map(|operation| (operation.name.as_str(), operation.docs.as_str()))
    };
    section(&mut out, "Actions", of_kind(true));
    section(&mut out, "Queries", of_kind(false));
    let states = connector.states.values().map(|state| (state.name.as_str(), state.docs.as_str()));
    section(&mut out, "States", states);
    section(&mut out, "Records", connector.records.values().map(|record| (record.name.as_str(), record.docs.as_str())));
    let _ = write!(out, "\n`flowc docs {}.NAME` shows one of them.\n", connector.name);
    out
}

fn length(ms: u64) -> String {
    flow_plan::Duration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX)).to_string()
}

fn state_page(connector: &Connector, state: &State) -> String {
    let source = &state.source;
    let mut out = format!("# {}.{} (state)\n\n{}\n", connector.name, state.name, state.docs);
    let _ = write!(out, "\n## Value\n\n{}\n", state.ty);
    let _ = write!(
        out,
        "\nIt is read by `{}` every {}, unless `poll` in flow.toml says otherwise. ",
        source.query.name,
        length(source.every_ms)
    );
    out.push_str("Where that fails, or tells anything else, it is unavailable, and nothing that waits for it starts.\n");
    out
}

fn trigger_page(catalog: &Catalog, connector: &Connector, trigger: &Trigger) -> String {
    let mut out = format!("# {}.{} (trigger)\n\n{}\n", connector.name, trigger.name, trigger.docs);
    let source = connector.sources.iter().find(|source| source.name == trigger.source);
    let mut ways = Vec::new();
    if source.is_some_and(|source| source.webhook.is_some()) {
        ways.push("by webhook".to_owned());
    }
    if let Some(poll) = source.and_then(|source| source.poll.as_ref()) {
        let every = flow_plan::Duration::from_millis(i64::try_from(poll.every_ms).unwrap_or(i64::MAX)).to_string();
        ways.push(format!("by polling every {}", every.strip_prefix("1 ").unwrap_or(&every)));
    }
    if let Some(listen) = source.and_then(|source| source.listen.as_ref()) {
        ways.push(format!("for as long as a flow is live that names its `{}`", listen.by));
    }
    if !ways.is_empty() {
        let types: Vec<String> = trigger.types.iter().map(|name| format!("`{name}`")).collect();
        let option = trigger.types_of.as_ref().map(|option| format!("What `{option}` says comes"));
        let types = if let Some(option) = option {
            option
        } else if types.is_empty() {
            "Events come".to_owned()
        } else {
            format!("{} comes", types.join(" or "))
        };
        let _ = write!(out, "\n{types} {}.\n", ways.join(" and "));
    }
    if source.is_some_and(|source| source.register.is_some()) {
        out.push_str("\nWhere `public_url` stands under `[server]` in flow.toml, flowd registers the webhook itself.\n");
    }
    if !trigger.options.is_empty() {
        out.push_str("\n## Options\n\n");
        trigger.options.iter().for_each(|option| input_line(&mut out, option));
    }
    if let Some(record) = connector.records.get(&trigger.record) {
        let _ = write!(out, "\n## Fields ({}.{})\n\n", connector.name, record.name);
        record.fields.iter().for_each(|field| field_line(&mut out, field));
        out.push_str("\nWhat is not listed is at `raw.…`, as the service sends it.\n");
    }
    if let Some(example) = example::of_trigger(catalog, connector, trigger) {
        let _ = write!(out, "\n## Example\n\n    {example}\n");
    }
    out
}

fn operation_page(catalog: &Catalog, connector: &Connector, operation: &Operation) -> String {
    let kind = if operation.action { "action" } else { "query" };
    let mut out = format!("# {}.{} ({kind})\n\n{}\n", connector.name, operation.name, operation.docs);
    if !operation.inputs.is_empty() {
        out.push_str("\n## Inputs\n\n");
        operation.inputs.iter().for_each(|input| input_line(&mut out, input));
        for group in &operation.one_of {
            let group: Vec<String> = group.iter().map(|name| format!("`{name}`")).collect();
            let _ = write!(out, "\nAt least one of {} must be given.\n", group.join(", "));
        }
        for (group, because) in &operation.warn_unless {
            let group: Vec<String> = group.iter().map(|name| format!("`{name}`")).collect();
            let _ = write!(out, "\nWithout {}: {because}.\n", group.join(" or "));
        }
    }
    let _ = write!(out, "\n## Result\n\n{}\n", result(operation));
    let _ = write!(out, "\n## When an attempt fails\n\n{}\n", effect::in_words(connector, operation));
    let by_type = connector.triggers.values().find(|trigger| trigger.types_of.is_some());
    let types = by_type.into_iter().flat_map(|trigger| {
        let option = trigger.types_of.as_deref().unwrap_or_default();
        let name = format!("{}.{}", connector.name, trigger.name);
        operation.emits_types.iter().map(move |kind| format!("`{name}({option}: \"{kind}\")`"))
    });
    let emits: Vec<String> = operation.emits.iter().map(|name| format!("`{}.{name}`", connector.name)).chain(types).collect();
    if !emits.is_empty() {
        let _ = write!(out, "\nIt can cause {}.\n", emits.join(", "));
    }
    if let OperationBody::Http(http) = &operation.body {
        match (&connector.api.via, http.request.method.as_str()) {
            (Some(via), flow_plan::SEND) => drop(write!(out, "\nOn the wire: by `{}`\n", via.scheme)),
            _ => {
                let path = effect::path_text(http);
                let place = if path.is_empty() { effect::address_text(http).to_owned() } else { path };
                let _ = write!(out, "\nOn the wire: {} {place}\n", http.request.method);
            }
        }
    }
    if let Some(example) = example::of_operation(catalog, connector, operation) {
        let _ = write!(out, "\n## Example\n\n    {example}\n");
    }
    out
}

fn record_page(connector: &Connector, record: &Record) -> String {
    let mut out = format!("# {}.{} (record)\n\n{}\n\n## Fields\n\n", connector.name, record.name, record.docs);
    record.fields.iter().for_each(|field| field_line(&mut out, field));
    let triggers: Vec<String> = connector
        .triggers
        .values()
        .filter(|trigger| trigger.record == record.name)
        .map(|trigger| format!("`{}.{}`", connector.name, trigger.name))
        .collect();
    if !triggers.is_empty() {
        let _ = write!(out, "\nThe events of {} look like this.\n", triggers.join(", "));
    }
    out
}

fn field_page(path: &str, field: &Field) -> String {
    let mut out = format!("# {path} (field)\n\n");
    field_line(&mut out, field);
    out
}

fn field_line(out: &mut String, field: &Field) {
    let mut text = sentence(&field.ty.to_string(), &field.docs);
    if field.personal {
        text.push_str(" Personal.");
    }
    if let Some((since, instead)) = &field.deprecated {
        let _ = write!(text, " Deprecated since {since}");
        text.push_str(&instead.as_ref().map_or_else(|| ".".to_owned(), |instead| format!(": use `{instead}`.")));
    }
    if field.wire != field.name {
        let _ = write!(text, " [{}]", field.wire);
    }
    line(out, &field.name, &text);
}

fn input_line(out: &mut String, input: &Input) {
    let ty = input.ty.required();
    let what = match &input.default {
        Some(Expr::Const(value)) => format!("{ty}, else {}", value_text(value)),
        Some(_) => format!("{ty}, may be left out"),
        None if input.ty.can_be_missing() => format!("{ty}, may be left out"),
        None if input.summary => format!("{ty}, else the summary of the event"),
        None => format!("{ty}, required"),
    };
    line(out, &input.name, &sentence(&what, &input.docs));
}

fn result(operation: &Operation) -> String {
    if let Some(input) = &operation.among {
        return format!("One of `{input}`.");
    }
    match &operation.output {
        flow_plan::ty::Type::Nothing => "Nothing.".to_owned(),
        flow_plan::ty::Type::Optional(inner) => format!("{inner}, or nothing where there is none."),
        other => format!("{other}."),
    }
}

fn public(connector: &Connector) -> impl Iterator<Item = &Operation> {
    connector.operations.values().filter(|operation| !operation.internal)
}

fn section<'a>(out: &mut String, title: &str, entries: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut entries = entries.peekable();
    if entries.peek().is_some() {
        let _ = write!(out, "\n## {title}\n\n");
        entries.for_each(|(name, docs)| line(out, name, first_line(docs)));
    }
}

fn line(out: &mut String, name: &str, text: &str) {
    let _ = writeln!(out, "- `{name}`: {}", if text.is_empty() { "(no description)" } else { text });
}

fn sentence(what: &str, docs: &str) -> String {
    if docs.is_empty() { format!("{what}.") } else { format!("{what}. {docs}") }
}

/// The first sentence of a doc comment.
fn first_line(docs: &str) -> &str {
    let paragraph = docs.split("\n\n").next().unwrap_or(docs);
    let line = paragraph.lines().next().unwrap_or("");
    line.find(". ").map_or(line, |at| line.get(..=at).unwrap_or(line))
}

/// A default as it is written in a flow.
fn value_text(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("\"{text}\""),
        other => other.to_string(),
    }
}
