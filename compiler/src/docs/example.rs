//! One line for each trigger, action and query that a reader can paste: it compiles as it stands.

use flow_plan::ty::{TextKind, Type};

use crate::catalog::{Catalog, Connector, Input, Operation, Trigger};

/// A flow that starts on the trigger.
pub(super) fn of_trigger(catalog: &Catalog, connector: &Connector, trigger: &Trigger) -> Option<String> {
    let start = start(connector, trigger)?;
    let helpdesk = catalog.connectors.get("kustomer")?;
    helpdesk.operations.get("create_conversation")?;
    let has_email = connector.records.get(&trigger.record)?.fields.iter().any(|field| {
        matches!(field.ty.required(), Type::Text(TextKind::Email)) && field.roles.iter().any(|role| role == "customer")
    });
    let own = connector.name == helpdesk.name;
    let has_summary = connector.summaries(trigger).next().is_some();
    let name = if has_summary { String::new() } else { format!(", name: \"{}\"", trigger.name.replace('_', " ")) };
    if own {
        // Opening conversations about conversations would never end: tell a colleague by a note instead.
        return Some(format!("{start} do kustomer.find_or_create_customer(email: \"team@example.com\")"));
    }
    if has_email && has_summary {
        return Some(format!("{start} do kustomer.create_conversation"));
    }
    Some(format!(
        "{start} do {{ kustomer.find_or_create_customer(email: \"team@example.com\") as team \
         kustomer.create_conversation(customer: team.id{name}) }}"
    ))
}

/// A flow that calls the operation.
pub(super) fn of_operation(catalog: &Catalog, connector: &Connector, operation: &Operation) -> Option<String> {
    let start = quiet_start(catalog, connector, operation)?;
    let call = call(connector, operation)?;
    if operation.action {
        let fresh = operation.dangerous.map(|dangerous| format!(" fresh within {} seconds", dangerous.default_ms / 1_000));
        return Some(format!("{start}{} do {call}", fresh.unwrap_or_default()));
    }
    let text = match &operation.output {
        Type::List(_) => "found {length(found)}".to_owned(),
        _ => "asked".to_owned(),
    };
    Some(format!("{start} do {{ let found = {call} stop because \"{text}\" }}"))
}

fn start(connector: &Connector, trigger: &Trigger) -> Option<String> {
    let options = arguments(trigger.options.iter().filter(|option| option.is_required()))?;
    let options = if options.is_empty() { String::new() } else { format!("({options})") };
    Some(format!("when {}.{}{options}", connector.name, trigger.name))
}

/// A start that the operation does not cause, of the same connector where there is one.
fn quiet_start(catalog: &Catalog, connector: &Connector, operation: &Operation) -> Option<String> {
    let own = connector
        .triggers
        .values()
        .filter(|trigger| !operation.emits.contains(&trigger.name))
        .map(|trigger| (connector, trigger));
    let others = catalog
        .connectors
        .values()
        .filter(|other| other.name != connector.name)
        .flat_map(|other| other.triggers.values().map(move |trigger| (other.as_ref(), trigger)));
    let plain = |(_, trigger): &(&Connector, &Trigger)| trigger.options.iter().all(|option| !option.is_required());
    let (connector, trigger) = own.chain(others).find(plain)?;
    start(connector, trigger)
}

fn call(connector: &Connector, operation: &Operation) -> Option<String> {
    let needed = operation.inputs.iter().filter(|input| {
        let groups = operation.one_of.iter().chain(operation.warn_unless.iter().map(|(group, _)| group));
        input.is_required() || groups.into_iter().any(|group| group.first().is_some_and(|first| *first == input.name))
    });
    let mut arguments = arguments(needed)?;
    // What has to say of what type its result is.
    if let Some(typed) = operation.typed.as_ref().filter(|typed| typed.optional) {
        arguments = format!("{arguments}, {}: {{ title: text, amount: number }}", typed.input);
    }
    Some(format!("{}.{}({arguments})", connector.name, operation.name))
}

fn arguments<'i>(inputs: impl Iterator<Item = &'i Input>) -> Option<String> {
    let arguments: Option<Vec<String>> =
        inputs.map(|input| Some(format!("{}: {}", input.name, sample(input.ty.required())?))).collect();
    Some(arguments?.join(", "))
}

/// A value of a type, as one would write it.
fn sample(ty: &Type) -> Option<String> {
    Some(match ty {
        Type::Text(kind) => match kind {
            TextKind::Plain => "\"…\"".to_owned(),
            TextKind::Email => "\"ada@example.com\"".to_owned(),
            TextKind::Phone => "\"+33400000000\"".to_owned(),
            TextKind::Url => "\"https://example.com\"".to_owned(),
            TextKind::Country => "\"FR\"".to_owned(),
            TextKind::Locale => "\"fr-FR\"".to_owned(),
            TextKind::Id(_, record) => format!("\"id of a {}\"", record.to_lowercase()),
            TextKind::Secret => return None,
        },
        Type::Bool => "true".to_owned(),
        Type::Int(Some((low, _))) => low.to_string(),
        Type::Int(None) | Type::Number => "1".to_owned(),
        Type::Money => "10 USD".to_owned(),
        Type::Enum { members, .. } => format!("\"{}\"", members.first()?),
        Type::DateTime => "now".to_owned(),
        Type::Duration => "1 hour".to_owned(),
        Type::List(inner) => format!("[{}]", sample(inner.required())?),
        Type::Map(_) => "{ key: \"…\" }".to_owned(),
        Type::Record(record) => {
            let required = record.fields.iter().filter(|(_, ty)| !ty.can_be_missing());
            let mut fields: Vec<&(String, Type)> = required.collect();
            if fields.is_empty() {
                fields.extend(record.fields.first());
            }
            let fields: Option<Vec<String>> =
                fields.into_iter().map(|(name, ty)| Some(format!("{name}: {}", sample(ty.required())?))).collect();
            let fields = fields.filter(|fields| !fields.is_empty())?;
            format!("{{ {} }}", fields.join(", "))
        }
        // A text is JSON as well.
        Type::Json => "\"…\"".to_owned(),
        Type::Date | Type::Time | Type::Unknown | Type::Optional(_) | Type::Nothing => {
            return None;
        }
    })
}
