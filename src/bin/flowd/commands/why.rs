//! `flowd why`: each clause of each flow with its values.

use flow::output;
use serde_json::Value as Json;

use crate::Exit;
use crate::args::Why;
use crate::client::{ask, encoded, refused};
use crate::commands::table::{document, list, text};

pub(crate) async fn run(args: &Why) -> Result<Exit, Exit> {
    let flow = args.flow.as_ref().map(|flow| format!("?flow={}", encoded(flow))).unwrap_or_default();
    let answer = ask(&args.client, "GET", &format!("events/{}/why{flow}", encoded(&args.event))).await?;
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    if args.client.json {
        output::out(&document(&answer.json));
        return Ok(Exit::Well);
    }
    let flows = list(&answer.json, "flows");
    let mut out = String::new();
    for flow in flows {
        let ran = text(flow, "ran");
        let reason = text(flow, "reason");
        let head = match (ran.is_empty(), reason.is_empty()) {
            (false, _) => format!("ran as {ran}"),
            (true, false) => format!("did not run: {reason}"),
            (true, true) => "did not run".to_owned(),
        };
        out.push_str(&format!("{}  {head}\n", text(flow, "flow")));
        for clause in list(flow, "clauses") {
            write_clause(&mut out, clause, 2);
        }
    }
    if flows.is_empty() {
        out.push_str("no live flow listens for this event\n");
    }
    output::out(&out);
    Ok(Exit::Well)
}

fn write_clause(out: &mut String, clause: &Json, indent: usize) {
    let mark = match clause["holds"].as_bool() {
        Some(true) => "yes",
        Some(false) => "no ",
        None => "?  ",
    };
    let values: Vec<String> =
        list(clause, "values").iter().map(|value| format!("{} = {}", text(value, "name"), text(value, "value"))).collect();
    let values = if values.is_empty() { String::new() } else { format!("    ({})", values.join(", ")) };
    let note = text(clause, "because");
    let note = if note.is_empty() { String::new() } else { format!("  [{note}]") };
    out.push_str(&format!("{:indent$}{mark}  {}{values}{note}\n", "", text(clause, "text")));
    for child in list(clause, "children") {
        write_clause(out, child, indent + 2);
    }
}
