//! `flowd runs` and `flowd dead`.

use flow::output;
use serde_json::Value as Json;

use crate::Exit;
use crate::args::Runs;
use crate::client::{ask, refused};
use crate::commands::events::query;
use crate::commands::table::{document, instant, list, more, table, text};

pub(crate) async fn run(args: &Runs) -> Result<Exit, Exit> {
    let query = query(&[("flow", &args.flow), ("status", &args.status)], &args.page);
    let answer = ask(&args.client, "GET", &format!("runs?{query}")).await?;
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    output::out(&if args.client.json { document(&answer.json) } else { listed(&answer.json, "no runs\n") });
    if !args.client.json {
        more(&answer.json);
    }
    Ok(Exit::Well)
}

/// Returns a list of runs; `none` where there is none.
pub(crate) fn listed(json: &Json, none: &str) -> String {
    let rows: Vec<Vec<String>> = list(json, "runs")
        .iter()
        .map(|run| {
            vec![
                instant(run, "started_at"),
                text(run, "id"),
                text(run, "status"),
                text(run, "flow"),
                event(run),
                text(run, "reason"),
            ]
        })
        .collect();
    if rows.is_empty() { none.to_owned() } else { table(&["STARTED (UTC)", "RUN", "STATUS", "FLOW", "EVENT", "REASON"], &rows) }
}

/// The event, and that it was replayed where it was.
fn event(run: &Json) -> String {
    match run["replay"].as_u64() {
        None => text(run, "event"),
        Some(0) => format!("{} (replay)", text(run, "event")),
        Some(number) => format!("{} (replay {number})", text(run, "event")),
    }
}
