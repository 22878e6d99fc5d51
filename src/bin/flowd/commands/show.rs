//! `flowd show`: one run, step by step.

use flow::output;
use flow::terminal::printable;
use serde_json::Value as Json;

use crate::Exit;
use crate::args::Show;
use crate::client::{ask, encoded, refused};
use crate::commands::table::{document, instant, list, text};

/// Longer values are cut in the view for people; `--json` has them whole.
const MOST_SHOWN: usize = 160;

pub(crate) async fn run(args: &Show) -> Result<Exit, Exit> {
    let personal = if args.personal { "?personal=true" } else { "" };
    let answer = ask(&args.client, "GET", &format!("runs/{}{personal}", encoded(&args.run))).await?;
    if answer.status == 404 {
        let event = ask(&args.client, "GET", &format!("events/{}{personal}", encoded(&args.run))).await?;
        if event.status == 200 {
            output::out(&if args.client.json { document(&event.json) } else { event_page(&event.json) });
            return Ok(Exit::Well);
        }
    }
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    output::out(&if args.client.json { document(&answer.json) } else { page(&answer.json) });
    Ok(Exit::Well)
}

/// An event with the runs that it started.
fn event_page(event: &Json) -> String {
    let texts = |key: &str| list(event, key).iter().filter_map(Json::as_str).map(printable).collect::<Vec<_>>().join(", ");
    let mut out = format!("{}  {}\n", text(event, "id"), text(event, "connection"));
    for (label, value) in [
        ("type", text(event, "type")),
        ("triggers", texts("triggers")),
        ("occurred", instant(event, "occurred_at")),
        ("received", instant(event, "received_at")),
        ("by", text(event, "via")),
        ("runs", texts("runs")),
    ] {
        if !value.is_empty() {
            out.push_str(&format!("  {label:8} {value}\n"));
        }
    }
    if !event["payload"].is_null() {
        out.push_str(&format!("  {:8} {}\n", "payload", shown(&event["payload"])));
    }
    out.push_str(&format!("\n  flowd why {}\n", text(event, "id")));
    out
}

fn page(run: &Json) -> String {
    let mut out = format!("{}  {}\n", text(run, "id"), text(run, "status"));
    for (label, value) in [
        ("flow", text(run, "flow")),
        ("plan", text(run, "plan").chars().take(12).collect()),
        ("event", text(run, "event")),
        ("replay", replayed(run)),
        ("started", instant(run, "started_at")),
        ("ended", instant(run, "ended_at")),
        ("reason", text(run, "reason")),
        ("handled", text(run, "handled")),
        ("next", instant(run, "retry_at")),
    ] {
        if !value.is_empty() {
            out.push_str(&format!("  {label:8} {value}\n"));
        }
    }
    for cause in list(run, "caused_by") {
        let by = format!("{} of {}, started by {}", text(cause, "run"), text(cause, "flow"), text(cause, "event"));
        out.push_str(&format!("  {:8} {by}\n", "cause"));
    }
    for moved in list(run, "moves") {
        let plan = |key: &str| text(moved, key).chars().take(12).collect::<String>();
        out.push_str(&format!("  {:8} {} from plan {} to {}\n", "moved", instant(moved, "at"), plan("from"), plan("to")));
    }
    for wait in list(run, "waits") {
        out.push_str(&format!("\n  wait {}\n", waited(wait)));
    }
    for step in list(run, "steps") {
        out.push_str(&format!("\n  {}  {}  {}\n", text(step, "path"), text(step, "call"), text(step, "status")));
        if let Some(inputs) = step["input"].as_object() {
            for (name, value) in inputs {
                out.push_str(&format!("     {:<14} {}\n", printable(name), shown(value)));
            }
        }
        for (at, attempt) in list(step, "attempts").iter().enumerate() {
            let status = text(attempt, "status");
            let status = if status.is_empty() { "no answer".to_owned() } else { status };
            let what = if attempt["look_up"] == true { "look-up" } else { "attempt" };
            let error = text(attempt, "error");
            let error = if error.is_empty() { String::new() } else { format!("  {error}") };
            out.push_str(&format!(
                "     {what} {}: {}  {status} in {} ms{error}\n",
                at + 1,
                instant(attempt, "at"),
                text(attempt, "ms")
            ));
        }
        if !step["output"].is_null() {
            out.push_str(&format!("     -> {}\n", shown(&step["output"])));
        }
    }
    out
}

/// How a run came to be that `flowd replay` started.
fn replayed(run: &Json) -> String {
    match run["replay"].as_u64() {
        None => String::new(),
        Some(0) => "the event was offered once more, and had not started the flow before".to_owned(),
        Some(number) => format!("number {number}: the event had started the flow before"),
    }
}

/// A wait in one line: what it is for, since when, until when, and how it ended.
fn waited(wait: &Json) -> String {
    let (awaits, until, event) = (text(wait, "for"), instant(wait, "until"), text(wait, "event"));
    let mut line = if awaits.is_empty() { String::new() } else { format!("for {awaits}  ") };
    line.push_str(&format!("since {}", instant(wait, "began_at")));
    if !until.is_empty() {
        line.push_str(&format!("  until {until}"));
    }
    match (wait["ended_at"].is_null(), event.is_empty()) {
        (true, _) => {}
        (false, true) => line.push_str(&format!("  over {}", instant(wait, "ended_at"))),
        (false, false) => line.push_str(&format!("  ended by {event} {}", instant(wait, "ended_at"))),
    }
    line
}

fn shown(value: &Json) -> String {
    let text = match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut text = printable(&text);
    if text.chars().count() > MOST_SHOWN {
        text = text.chars().take(MOST_SHOWN).chain(['…']).collect();
    }
    text
}
