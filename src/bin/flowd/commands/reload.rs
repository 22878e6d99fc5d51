//! `flowd reload`: what is on disk goes live, or what that would change.

use flow::changes::{counted, listing, short};
use flow::output;
use flow::terminal::printable;
use serde_json::Value as Json;

use crate::Exit;
use crate::args::Reload;
use crate::client::{ask, refused};
use crate::commands::table::{document, instant, list, text};

pub(crate) async fn run(args: &Reload) -> Result<Exit, Exit> {
    let dry = if args.dry_run { "?dry_run=true" } else { "" };
    let answer = ask(&args.client, "POST", &format!("reload{dry}")).await?;
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    if args.client.json {
        output::out(&document(&answer.json));
    } else {
        output::out(&page(&answer.json));
    }
    let reports = reports(&answer.json);
    if reports.is_empty() {
        return Ok(Exit::Well);
    }
    Ok(Exit::Problems(if args.client.json { String::new() } else { reports }))
}

/// What is wrong, as reports. Their lines are ours, with quoted source in them.
fn reports(reloaded: &Json) -> String {
    let mut out = String::new();
    for file in list(reloaded, "broken") {
        let report: Vec<String> = file["report"].as_str().unwrap_or("").lines().map(printable).collect();
        out.push_str(&format!("{}\n{} is broken: its last sound version stays live\n\n", report.join("\n"), text(file, "file")));
    }
    for note in list(reloaded, "lacking").iter().filter_map(Json::as_str) {
        out.push_str(&format!("error: {}\n", printable(note)));
    }
    out
}

fn page(reloaded: &Json) -> String {
    let dry = reloaded["dry_run"] == true;
    let mut out = listing(reloaded, &below);
    let consequences = consequences(&reloaded["consequences"]);
    if !consequences.is_empty() {
        out.push('\n');
        out.push_str(&consequences);
    }
    for key in list(reloaded, "at_next_start").iter().filter_map(Json::as_str) {
        out.push_str(&format!("flow.toml: {} takes effect at the next start\n", printable(key)));
    }
    // The reports are on the other stream: whoever reads this one alone is told as well.
    for file in list(reloaded, "broken") {
        out.push_str(&format!("{} is broken: its last sound version stays live\n", text(file, "file")));
    }
    let flows = counted(reloaded["flows"].as_u64().unwrap_or_default(), "flow");
    out.push_str(&if dry { "\nnothing was changed: this was a dry run\n".to_owned() } else { format!("\n{flows} live\n") });
    out
}

/// The pause and the runs of a flow that changes.
fn below(change: &Json) -> String {
    let mut out = String::new();
    let pause = text(change, "pause");
    if !pause.is_empty() {
        out.push_str(&format!("  pause    {pause}\n"));
    }
    let runs = &change["runs"];
    for (at, version) in list(runs, "versions").iter().enumerate() {
        out.push_str(&format!("  {:<9}{}\n", if at == 0 { "runs" } else { "" }, on_version(version)));
        for run in list(version, "first") {
            let line = format!("             {}  {}  {}", text(run, "id"), text(run, "status"), text(run, "reason"));
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    if runs["complete"] == false {
        out.push_str("           and more than were counted\n");
    }
    out
}

/// `2 waiting, 1 dead end under plan 0123456789ab, the last by 2026-12-01 09:00:00 UTC`.
pub(crate) fn on_version(version: &Json) -> String {
    let counts: Vec<String> = ["running", "waiting", "parked", "dead"]
        .iter()
        .filter(|status| version[**status].as_u64().is_some_and(|count| count > 0))
        .map(|status| format!("{} {status}", version[*status]))
        .collect();
    let until = instant(version, "until");
    let until = if until.is_empty() { String::new() } else { format!(", the last until {until} UTC") };
    format!("{} under plan {}{until}", counts.join(", "), short(&text(version, "plan")))
}

/// What begins and ends beside the flows.
fn consequences(all: &Json) -> String {
    let mut out = String::new();
    for (kind, word) in [("connections", "connection"), ("polls", "poll"), ("webhooks", "webhook"), ("states", "state")] {
        for one in list(all, kind) {
            let source = text(one, "source");
            let of = [text(one, "connection"), text(one, "state")].concat();
            let name = if source.is_empty() { of } else { format!("{of}.{source}") };
            out.push_str(&format!("{word} {name} {}{}\n", text(one, "change"), details(one)));
        }
    }
    for one in list(all, "paused") {
        out.push_str(&format!("flow {}: {}\n", text(one, "flow"), text(one, "note")));
    }
    out
}

fn details(one: &Json) -> String {
    let types = |key: &str| list(one, key).iter().filter_map(Json::as_str).map(printable).collect::<Vec<_>>().join(", ");
    let (added, removed) = (types("types_added"), types("types_removed"));
    let mut parts = Vec::new();
    if !added.is_empty() {
        parts.push(format!("with {added}"));
    }
    if !removed.is_empty() {
        parts.push(format!("without {removed}"));
    }
    let note = text(one, "note");
    if !note.is_empty() {
        parts.push(note);
    }
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join("; ")) }
}
