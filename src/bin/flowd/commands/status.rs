//! `flowd status`.

use flow::output;
use serde_json::Value as Json;

use crate::Exit;
use crate::args::Status;
use crate::client::{ask, refused};
use crate::commands::alarms;
use crate::commands::reload::on_version;
use crate::commands::table::{document, instant, list, text};

pub(crate) async fn run(args: &Status) -> Result<Exit, Exit> {
    let client = &args.client;
    let answer = ask(client, "GET", "status").await?;
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    output::out(&if client.json { document(&answer.json) } else { page(&answer.json) });
    let alarms = alarms::counted(&answer.json);
    if args.check && !alarms.is_empty() {
        return Err(Exit::Problems(alarms));
    }
    Ok(Exit::Well)
}

fn page(status: &Json) -> String {
    let mut out = format!("flowd {}\n", text(status, "version"));
    out.push_str(&alarms::listed(status));
    let part = |name: &str, keys: &[(&str, &str)]| -> String {
        let of = &status[name];
        keys.iter().map(|(key, word)| format!("{} {word}", text(of, key))).collect::<Vec<_>>().join(", ")
    };
    for (label, value) in [
        ("since", instant(status, "started_at") + " UTC"),
        ("webhooks", text(&status["addresses"], "server")),
        ("admin", text(&status["addresses"], "admin")),
        ("flows", part("flows", &[("live", "live"), ("paused", "paused")])),
        ("events", part("engine", &[("events", "accepted"), ("duplicates", "duplicates")])),
        (
            "runs",
            part("engine", &[("runs_done", "done"), ("runs_stopped", "stopped"), ("active", "under way"), ("dead", "dead")]),
        ),
        (
            "steps",
            part("engine", &[("attempts", "attempts"), ("failures", "failed"), ("in_flight", "in flight"), ("queued", "queued")]),
        ),
    ] {
        out.push_str(&format!("  {label:10} {value}\n"));
    }
    let refused = status.pointer("/webhooks/refused").and_then(Json::as_object);
    for (reason, count) in refused.into_iter().flatten() {
        out.push_str(&format!("  {:10} {count} webhooks: {}\n", "refused", flow::terminal::printable(reason)));
    }
    for connection in list(status, "connections") {
        let broken = &connection["broken"];
        let state = if broken.is_null() {
            "well".to_owned()
        } else {
            format!("broken since {}: {}", text(broken, "since"), text(broken, "reason"))
        };
        out.push_str(&format!("  connection {} ({}): {state}\n", text(connection, "name"), text(connection, "connector")));
        for known in list(connection, "states") {
            out.push_str(&format!("    {} {}\n", text(known, "state"), standing(known)));
        }
    }
    let old = list(&status["versions"], "old");
    for version in old {
        out.push_str(&format!("  earlier version of {}: {}\n", text(version, "flow"), on_version(version)));
    }
    if status["versions"]["complete"] == false {
        out.push_str("  and more runs under earlier versions than were counted\n");
    }
    for file in list(status, "broken") {
        // The report is ours, with quoted source: its lines are kept, its control characters are not.
        let report: Vec<String> = file["report"].as_str().unwrap_or("").lines().map(flow::terminal::printable).collect();
        out.push_str(&format!("\n{} is broken; its last sound version is live\n{}\n", text(file, "file"), report.join("\n")));
    }
    out
}

/// What a state is, since when, and how long ago that was seen.
fn standing(known: &Json) -> String {
    let seen = match known["age_ms"].as_i64() {
        Some(age) => format!("{}, since {} UTC, seen {} s ago", text(known, "value"), instant(known, "since"), age / 1000),
        None => "not known yet".to_owned(),
    };
    match text(known, "error") {
        error if error.is_empty() => seen,
        error => format!("not available ({error}); last {seen}"),
    }
}
