//! `flowc next`: when a schedule comes next.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use flow::output;
use flow::project::ProjectError;
use flow_compiler::suggest::nearest;
use flow_plan::{Flow, Rule, Schedule, StartKind};
use flow_schedule::Change;
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::json;

use crate::args::{Next, PlanFormat};
use crate::commands::expand::report_errors;
use crate::{Exit, load};

pub(crate) fn run(args: &Next) -> Result<Exit, ProjectError> {
    // A file is as good as the name of its flow.
    let file = Path::new(&args.flow);
    let is_file = file.is_file();
    let of_file = [file.to_path_buf()];
    let paths = if is_file { &of_file[..] } else { &args.paths.paths };
    let loaded = load::load(paths, load::Want::default())?;
    let flows: Vec<Arc<Flow>> = loaded
        .iter()
        .flat_map(|project| project.selected.iter().filter_map(|file| project.compilation.units.get(file)))
        .flat_map(|unit| unit.flows.iter().cloned())
        .collect();
    let found = if is_file { only_schedule(&flows) } else { find(&flows, &args.flow) };
    let Some(flow) = found else {
        // The flow may be one that does not compile: then that is what has to be told.
        if report_errors(&loaded) {
            return Ok(Exit::Problems);
        }
        return Ok(Exit::Usage(if is_file { of_a_file(&flows, &args.flow) } else { unknown(&flows, &args.flow) }));
    };
    let Some(schedule) = schedule_of(flow) else {
        let starts: Vec<String> =
            flow.triggers.iter().map(|trigger| format!("{}.{}", trigger.connection, trigger.name)).collect();
        return Ok(Exit::Usage(format!(
            "`{}` has no schedule: it starts with {}, whenever that happens",
            args.flow,
            starts.join(" or ")
        )));
    };
    let from = match &args.from {
        Some(text) => match instant(text, schedule) {
            Some(from) => from,
            None => {
                return Ok(Exit::Usage(format!(
                    "`{}` is no instant; write `2026-03-28`, `2026-03-28 12:00` (in the zone of the schedule) or `2026-03-28T12:00:00Z`",
                    flow::terminal::printable(text)
                )));
            }
        },
        None => Timestamp::now(),
    };
    let coming = Coming::of(schedule, from, usize::from(args.count));
    match args.format {
        PlanFormat::Human => output::out(&human(flow, schedule, &coming)),
        PlanFormat::Json => output::out(&output::document(&document(flow, schedule, from, &coming))),
    }
    Ok(Exit::Well)
}

/// The flow of a name, an id, `file:line`, or a file that has only one.
fn find<'f>(flows: &'f [Arc<Flow>], name: &str) -> Option<&'f Flow> {
    let by_name = flows.iter().find(|flow| flow.id == name || flow.name.as_deref() == Some(name));
    let by_line = || flows.iter().find(|flow| format!("{}:{}", flow.file, flow.line) == name);
    let by_file = || {
        let mut of_file = flows.iter().filter(|flow| flow.file == name);
        of_file.next().filter(|_| of_file.next().is_none())
    };
    by_name.or_else(by_line).or_else(by_file).map(Arc::as_ref)
}

/// The flow of a file that has a schedule, where that is one.
fn only_schedule(flows: &[Arc<Flow>]) -> Option<&Flow> {
    let mut with_schedule = flows.iter().filter(|flow| schedule_of(flow).is_some());
    with_schedule.next().filter(|_| with_schedule.next().is_none()).map(Arc::as_ref)
}

/// Why a file does not say which flow is meant.
fn of_a_file(flows: &[Arc<Flow>], file: &str) -> String {
    let shown = flow::terminal::printable(file);
    let names: Vec<String> =
        flows.iter().filter(|flow| schedule_of(flow).is_some()).take(8).map(|flow| format!("`{}`", called(flow))).collect();
    if names.is_empty() {
        return format!("no flow in {shown} has a schedule (`every …`)");
    }
    format!("several flows in {shown} have a schedule: name one of {}", names.join(", "))
}

fn called(flow: &Flow) -> String {
    flow.name.clone().unwrap_or_else(|| format!("{}:{}", flow.file, flow.line))
}

fn unknown(flows: &[Arc<Flow>], name: &str) -> String {
    let all: Vec<String> = flows.iter().map(|flow| called(flow)).collect();
    let with_schedule: Vec<String> = flows.iter().filter(|flow| schedule_of(flow).is_some()).map(|flow| called(flow)).collect();
    let shown = flow::terminal::printable(name);
    if name.ends_with(".flow") && !flows.iter().any(|flow| flow.file == name) {
        return format!("there is no file `{shown}` here, and no flow of that name");
    }
    if let Some(found) = nearest(name, all.iter().map(String::as_str)) {
        return format!("there is no flow `{shown}`; did you mean `{found}`?");
    }
    match with_schedule.as_slice() {
        [] => format!("there is no flow `{shown}`, and none here has a schedule (`every …`)"),
        some => {
            let names: Vec<String> = some.iter().take(8).map(|name| format!("`{name}`")).collect();
            format!("there is no flow `{shown}`; with a schedule there are {}", names.join(", "))
        }
    }
}

fn schedule_of(flow: &Flow) -> Option<&Schedule> {
    flow.triggers.iter().find_map(|trigger| match &trigger.kind {
        StartKind::Schedule(schedule) => Some(schedule.as_ref()),
        StartKind::Event | StartKind::Absence(_) | StartKind::State(_) => None,
    })
}

/// Reads an instant, or a date with or without a time on the clocks of the schedule.
fn instant(text: &str, schedule: &Schedule) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let time: DateTime = text.parse().ok()?;
    flow_schedule::showing(time, schedule.zone.as_deref())
}

/// What comes.
struct Coming {
    instants: Vec<(Timestamp, Option<String>)>,
    /// Times that are left out because of a change of the clock, with the instant of the change.
    left_out: Vec<(Timestamp, String)>,
}

impl Coming {
    fn of(schedule: &Schedule, from: Timestamp, count: usize) -> Self {
        let instants: Vec<Timestamp> = flow_schedule::instants(schedule, from, from).take(count).collect();
        let until = instants.last().copied().unwrap_or(from);
        let changes = if flow_schedule::clock_change(schedule).is_some() {
            flow_schedule::changes(schedule, from, until)
        } else {
            Vec::new()
        };
        let note = |at: &Timestamp| changes.iter().find(|change| change.runs.contains(at)).map(said);
        Self {
            left_out: changes.iter().filter(|change| change.runs.is_empty()).map(|change| (change.at, said(change))).collect(),
            instants: instants.iter().map(|at| (*at, note(at))).collect(),
        }
    }
}

fn said(change: &Change) -> String {
    let time = |time: DateTime| time.time().strftime("%H:%M").to_string();
    let shown = time(change.time);
    let (from, to) = (time(change.jump.0), time(change.jump.1));
    match (change.twice, change.runs.len()) {
        (true, 0) => format!("{shown} comes twice, as the clock goes back from {from} to {to}: left out"),
        (true, 1) => format!("{shown} comes twice, as the clock goes back from {from} to {to}: the first time"),
        (true, _) => format!("{shown} comes twice, as the clock goes back from {from} to {to}: both times"),
        (false, 0) => format!("there is no {shown}, as the clock jumps from {from} to {to}: left out"),
        (false, _) => format!("there is no {shown}, as the clock jumps from {from} to {to}"),
    }
}

fn local(at: Timestamp, schedule: &Schedule, format: &str) -> String {
    let zone = schedule.zone.as_deref().and_then(flow_schedule::zone).unwrap_or(flow_schedule::Zone::UTC);
    at.to_zoned(zone).strftime(format).to_string()
}

fn human(flow: &Flow, schedule: &Schedule, coming: &Coming) -> String {
    let mut out = format!("{}  {}\n", flow.name.as_ref().unwrap_or(&flow.id), flow_schedule::explain(schedule));
    if matches!(schedule.rule, Rule::Interval(_)) {
        out.push_str("  an interval is counted from when the flow is first live: as though that were now\n");
    }
    let mut lines: Vec<(Timestamp, String)> = Vec::new();
    for (at, note) in &coming.instants {
        let note = note.as_ref().map(|note| format!("  {note}")).unwrap_or_default();
        lines.push((*at, format!("  {}   {at}{note}", local(*at, schedule, "%a %Y-%m-%d %H:%M:%S %:z"))));
    }
    for (at, note) in &coming.left_out {
        lines.push((*at, format!("  {}   {note}", local(*at, schedule, "%a %Y-%m-%d"))));
    }
    lines.sort();
    for (_, line) in lines {
        // Writing into a text cannot fail.
        let _ = writeln!(out, "{line}");
    }
    if coming.instants.is_empty() {
        out.push_str("  never again\n");
    }
    out
}

fn document(flow: &Flow, schedule: &Schedule, from: Timestamp, coming: &Coming) -> serde_json::Value {
    let entry = |(at, note): &(Timestamp, Option<String>)| {
        let mut entry = json!({ "at": at.to_string(), "local": local(*at, schedule, "%Y-%m-%dT%H:%M:%S%:z") });
        if let (Some(note), Some(entry)) = (note, entry.as_object_mut()) {
            entry.insert("note".into(), json!(note));
        }
        entry
    };
    json!({
        "version": 1,
        "flow": flow.id,
        "schedule": flow_schedule::explain(schedule),
        "zone": schedule.zone,
        "from": from.to_string(),
        "instants": coming.instants.iter().map(entry).collect::<Vec<_>>(),
        "left_out": coming.left_out.iter().map(|(at, note)| json!({ "at": at.to_string(), "note": note })).collect::<Vec<_>>(),
    })
}
