//! Plans for people and programs: what `flowc plan` prints. The form of `--format json` is a contract.

use std::collections::{BTreeMap, BTreeSet};
mod start;

pub(crate) use start::compared;

use std::fmt::Write;
use std::sync::Arc;

use flow_plan::{Condition, Flow, Outline, Schedule, StartKind};
use serde_json::{Value as Json, json};

/// Longer steps are cut in the listing; the document has them whole.
const LONGEST_STEP: usize = 100;

/// Returns the document of `flowc plan --format json`.
pub fn json(flows: &[Arc<Flow>]) -> Json {
    json!({ "version": flow_plan::VERSION, "flows": flows.iter().map(|flow| flow_json(flow)).collect::<Vec<_>>() })
}

/// Returns what the document says of one flow.
pub(crate) fn flow_json(flow: &Flow) -> Json {
    let triggers: Vec<Json> = flow
        .triggers
        .iter()
        .map(|trigger| {
            let options: serde_json::Map<String, Json> =
                trigger.options.iter().map(|(name, value)| (name.clone(), value.to_json())).collect();
            let mut json =
                json!({ "connection": trigger.connection, "trigger": trigger.name, "types": trigger.types, "options": options });
            let when = match &trigger.kind {
                StartKind::Absence(absence) => Some(("absence", Json::String(start::absence(trigger, absence)))),
                StartKind::State(state) => Some(("state", Json::String(start::state(trigger, state)))),
                StartKind::Schedule(schedule) => Some(("schedule", schedule_json(schedule))),
                StartKind::Event => None,
            };
            if let (Some((kind, what)), Some(json)) = (when, json.as_object_mut()) {
                json.insert(kind.into(), what);
            }
            json
        })
        .collect();
    let reads: Vec<Json> = flow
        .reads
        .iter()
        .map(|read| {
            let from: Vec<String> = read.from.iter().map(|source| source.path.to_string()).collect();
            json!({ "field": read.name, "from": from, "optional": read.optional, "personal": read.personal })
        })
        .collect();
    json!({
        "id": flow.id,
        "name": flow.name,
        "title": flow.title,
        "file": flow.file,
        "line": flow.line,
        "hash": flow.hash,
        "triggers": triggers,
        "reads": reads,
        "filter": filter(flow).map(condition_json),
        "limits": start::limits(flow),
        "steps": flow.outline.iter().map(step_json).collect::<Vec<_>>(),
        "calls": { "min": flow.calls.0, "max": flow.calls.1 },
        "sends": flow.sends.iter().map(|send| json!({ "to": send.to, "fields": send.fields })).collect::<Vec<_>>(),
    })
}

fn schedule_json(schedule: &Schedule) -> Json {
    json!({
        "text": flow_schedule::explain(schedule),
        "zone": schedule.zone,
        "missed": flow_schedule::missed(&schedule.missed),
        "on_clock_change": flow_schedule::clock_change(schedule),
        // As the runtime has it, so that its instants can be computed from the document.
        "rule": schedule,
    })
}

/// Which events: those that start the flow, or those that end the silence that does.
fn filter(flow: &Flow) -> Option<&Condition> {
    flow.filter.as_ref().or_else(|| {
        flow.triggers.iter().find_map(|trigger| match &trigger.kind {
            StartKind::Absence(absence) => absence.filter.as_ref(),
            StartKind::Event | StartKind::State(_) | StartKind::Schedule(_) => None,
        })
    })
}

fn condition_json(condition: &Condition) -> Json {
    match condition {
        Condition::All(parts) => json!({ "all": parts.iter().map(condition_json).collect::<Vec<_>>() }),
        Condition::Any(parts) => json!({ "any": parts.iter().map(condition_json).collect::<Vec<_>>() }),
        Condition::Not(part) => json!({ "not": condition_json(part) }),
        Condition::Test { text, .. } => json!({ "test": text }),
    }
}

fn step_json(step: &Outline) -> Json {
    let mut json = json!({ "path": step.path, "kind": step.kind, "text": step.text });
    if let Some(object) = json.as_object_mut() {
        if let Some(call) = &step.call {
            object.insert("call".into(), Json::String(call.clone()));
        }
        if let Some(effect) = &step.effect {
            object.insert("effect".into(), Json::String(effect.clone()));
        }
        if !step.steps.is_empty() {
            object.insert("steps".into(), Json::Array(step.steps.iter().map(step_json).collect()));
        }
    }
    json
}

/// Returns the listing of `flowc plan`.
pub fn human(flows: &[Arc<Flow>]) -> String {
    let mut out = String::new();
    for (at, flow) in flows.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        if write_flow(&mut out, flow).is_err() {
            // Writing into a text cannot fail.
        }
    }
    if flows.len() > 1 && write_personal(&mut out, flows).is_err() {
        // As above.
    }
    out
}

fn write_flow(out: &mut String, flow: &Flow) -> std::fmt::Result {
    let title = flow.title.as_ref().map(|title| format!("  \"{title}\"")).unwrap_or_default();
    writeln!(
        out,
        "{}{title}  ({}:{}, plan {})",
        flow.name.as_ref().unwrap_or(&flow.id),
        flow.file,
        flow.line,
        flow.hash.get(..12).unwrap_or(&flow.hash)
    )?;
    for trigger in &flow.triggers {
        if let StartKind::Schedule(schedule) = &trigger.kind {
            let explained = flow_schedule::explain(schedule);
            writeln!(out, "  every  {}", explained.strip_prefix("every ").unwrap_or(&explained))?;
            let change =
                flow_schedule::clock_change(schedule).map(|word| format!(", on clock change {word}")).unwrap_or_default();
            writeln!(out, "         missed {}{change}", flow_schedule::missed(&schedule.missed))?;
            continue;
        }
        let options: Vec<String> = trigger.options.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let options = if options.is_empty() { String::new() } else { format!("({})", options.join(", ")) };
        match &trigger.kind {
            StartKind::Absence(absence) => {
                writeln!(out, "  when   {}", start::absence(trigger, absence))?;
                continue;
            }
            StartKind::State(state) => {
                writeln!(out, "  when   {}", start::state(trigger, state))?;
                continue;
            }
            StartKind::Event | StartKind::Schedule(_) => {}
        }
        // What comes by a path of its own has no types.
        let types = if trigger.types.is_empty() { String::new() } else { format!("  <- {}", trigger.types.join(", ")) };
        writeln!(out, "  when   {}.{}{options}{types}", trigger.connection, trigger.name)?;
    }
    if let Some(filter) = filter(flow) {
        write_condition(out, filter, "  where  ", 9)?;
    }
    for (at, limit) in start::limits(flow).iter().enumerate() {
        writeln!(out, "  {:<7}{limit}", if at == 0 { "limits" } else { "" })?;
    }
    let reads: Vec<String> =
        flow.reads.iter().map(|read| format!("{}{}", read.name, if read.optional { "?" } else { "" })).collect();
    if !reads.is_empty() {
        writeln!(out, "  reads  {}", reads.join(", "))?;
    }
    writeln!(out, "  do")?;
    write_steps(out, &flow.outline, "", 4)?;
    let most = flow.calls.1.map_or("any number of".to_owned(), |most| most.to_string());
    let calls = if flow.calls.1 == Some(flow.calls.0) { most } else { format!("{} to {most}", flow.calls.0) };
    writeln!(out, "  calls  {calls}")?;
    for (at, send) in flow.sends.iter().enumerate() {
        writeln!(out, "  {:<5}  to {}", if at == 0 { "sends" } else { "" }, send.to)?;
        let width = send.fields.iter().map(|field| split_mark(field).0.chars().count()).max().unwrap_or(0);
        for field in &send.fields {
            let (name, personal) = split_mark(field);
            if personal {
                writeln!(out, "           {name:width$}  personal")?;
            } else {
                writeln!(out, "           {name}")?;
            }
        }
    }
    Ok(())
}

/// Returns a field of `sends` without its mark, and whether it has one.
pub(crate) fn split_mark(field: &str) -> (&str, bool) {
    field.strip_suffix(" (personal)").map_or((field, false), |name| (name, true))
}

/// Where personal data goes, over all flows: the question that is asked first.
fn write_personal(out: &mut String, flows: &[Arc<Flow>]) -> std::fmt::Result {
    let mut to: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for send in flows.iter().flat_map(|flow| &flow.sends) {
        for (field, personal) in send.fields.iter().map(|field| split_mark(field)) {
            if personal {
                to.entry(field).or_default().insert(&send.to);
            }
        }
    }
    if to.is_empty() {
        return Ok(());
    }
    writeln!(out, "\npersonal data, over all of these flows")?;
    let width = to.keys().map(|field| field.chars().count()).max().unwrap_or(0);
    for (field, targets) in to {
        for (at, target) in targets.into_iter().enumerate() {
            let (field, word) = if at == 0 { (field, "to ") } else { ("", "and") };
            writeln!(out, "  {field:width$}  {word} {target}")?;
        }
    }
    Ok(())
}

fn write_condition(out: &mut String, condition: &Condition, lead: &str, indent: usize) -> std::fmt::Result {
    match condition {
        Condition::All(parts) => {
            for (at, part) in parts.iter().enumerate() {
                let lead = if at == 0 { lead.to_owned() } else { format!("{:indent$}and ", "") };
                write_condition(out, part, &lead, indent)?;
            }
            Ok(())
        }
        Condition::Any(_) | Condition::Not(_) | Condition::Test { .. } => writeln!(out, "{lead}{}", condition_text(condition)),
    }
}

/// Returns a condition in one line.
pub(crate) fn condition_text(condition: &Condition) -> String {
    let join = |parts: &[Condition], word: &str| parts.iter().map(condition_text).collect::<Vec<_>>().join(word);
    match condition {
        Condition::All(parts) => format!("({})", join(parts, " and ")),
        Condition::Any(parts) => format!("({})", join(parts, " or ")),
        Condition::Not(part) => format!("not {}", condition_text(part)),
        Condition::Test { text, .. } => text.clone(),
    }
}

/// Writes steps below each other, each with its place within the one that it is part of.
fn write_steps(out: &mut String, steps: &[Outline], within: &str, indent: usize) -> std::fmt::Result {
    for step in steps {
        let place = step.path.strip_prefix(within).map_or(step.path.as_str(), |rest| rest.trim_start_matches('.'));
        let effect = step.effect.as_ref().map(|effect| format!("  [{effect}]")).unwrap_or_default();
        writeln!(out, "{:indent$}{place}  {}{effect}", "", shortened(&step.text))?;
        write_steps(out, &step.steps, &step.path, indent + 3)?;
    }
    Ok(())
}

/// Cuts what nobody reads to its end.
fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST_STEP {
        return text.to_owned();
    }
    text.chars().take(LONGEST_STEP - 1).chain(['…']).collect()
}
