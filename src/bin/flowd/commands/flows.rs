//! `flowd flows`.

use flow::output;
use flow::terminal::printable;
use serde_json::Value as Json;

use crate::Exit;
use crate::args::Client;
use crate::client::{ask, refused};
use crate::commands::reload::on_version;
use crate::commands::table::{document, instant, list, table, text};

pub(crate) async fn run(client: &Client) -> Result<Exit, Exit> {
    let answer = ask(client, "GET", "flows").await?;
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    if client.json {
        output::out(&document(&answer.json));
        return Ok(Exit::Well);
    }
    let rows: Vec<Vec<String>> = list(&answer.json, "flows")
        .iter()
        .map(|flow| {
            let triggers: Vec<&str> = list(flow, "triggers").iter().filter_map(|trigger| trigger.as_str()).collect();
            let state = match (flow["paused_since"].is_null(), flow["pause"]["by"].as_str()) {
                (true, _) => "live".to_owned(),
                (false, None | Some("hand")) => "paused".to_owned(),
                (false, Some(by)) => format!("paused ({})", printable(by)),
            };
            let plan: String = text(flow, "hash").chars().take(12).collect();
            vec![
                text(flow, "id"),
                state,
                triggers.join(", "),
                next(flow),
                format!("{}:{}", text(flow, "file"), text(flow, "line")),
                plan,
                earlier(&answer.json, &text(flow, "id")),
            ]
        })
        .collect();
    let mut headings = vec!["FLOW", "STATE", "WHEN", "NEXT (UTC)", "WHERE", "PLAN"];
    // A column of which nobody has anything is none.
    if !list(&answer.json["versions"], "old").is_empty() {
        headings.push("EARLIER VERSIONS");
    }
    output::out(&if rows.is_empty() { "no flows are live\n".to_owned() } else { table(&headings, &rows) });
    Ok(Exit::Well)
}

/// How many runs go on under earlier versions of a flow.
fn earlier(flows: &Json, flow: &str) -> String {
    let of_it = list(&flows["versions"], "old").iter().filter(|version| text(version, "flow") == flow);
    of_it.map(on_version).collect::<Vec<_>>().join("; ")
}

/// When the clock starts it next: at the earliest of what it waits for.
fn next(flow: &Json) -> String {
    let starts = list(flow, "clock").iter().filter(|start| text(start, "kind") != "expect");
    starts.map(|start| instant(start, "next_at")).filter(|at| !at.is_empty()).min().unwrap_or_default()
}
