//! `flowd why`: each clause of each flow with its values; and for an event that never came, what is known of its ways.

use flow::output;
use flow::terminal::printable;
use serde_json::Value as Json;

use crate::Exit;
use crate::args::Why;
use crate::client::{Answer, ask, encoded, refused};
use crate::commands::table::{document, instant, list, text};

pub(crate) async fn run(args: &Why) -> Result<Exit, Exit> {
    let Some(event) = &args.event else { return never_came(args, None).await };
    let answer = of_event(args, event, args.flow.as_deref()).await?;
    match answer.status {
        200 => {
            output::out(&if args.client.json { document(&answer.json) } else { page(&answer.json) });
            Ok(Exit::Well)
        }
        404 if is_of_event(&answer) => of_something_else(args, event).await,
        _ => Err(refused(&answer)),
    }
}

async fn of_event(args: &Why, event: &str, flow: Option<&str>) -> Result<Answer, Exit> {
    let mut query = vec![];
    query.extend(flow.map(|flow| format!("flow={}", encoded(flow))));
    query.extend(args.connection.as_ref().map(|connection| format!("connection={}", encoded(connection))));
    query.extend(args.personal.then(|| "personal=true".to_owned()));
    ask(&args.client, "GET", &format!("events/{}/why?{}", encoded(event), query.join("&"))).await
}

/// It is the event that is not there, and not the flow.
fn is_of_event(answer: &Answer) -> bool {
    answer.json.pointer("/error/message").and_then(Json::as_str).is_some_and(|message| message.contains("event"))
}

/// The id of a run is as good as that of its event; any other is that of an event that never came.
async fn of_something_else(args: &Why, id: &str) -> Result<Exit, Exit> {
    let run = ask(&args.client, "GET", &format!("runs/{}", encoded(id))).await?;
    if run.status == 200 {
        let (event, flow) = (text(&run.json, "event"), text(&run.json, "flow"));
        let answer = of_event(args, &event, args.flow.as_deref().or(Some(&flow))).await?;
        if answer.status != 200 {
            return Err(refused(&answer));
        }
        output::out(&if args.client.json { document(&answer.json) } else { page(&answer.json) });
        return Ok(Exit::Well);
    }
    never_came(args, Some(id)).await
}

/// What is known of the ways on which an event could have come.
async fn never_came(args: &Why, event: Option<&str>) -> Result<Exit, Exit> {
    let parts = [("event", event), ("trigger", args.trigger.as_deref()), ("connection", args.connection.as_deref())];
    let query: Vec<String> =
        parts.iter().filter_map(|(name, value)| value.map(|value| format!("{name}={}", encoded(value)))).collect();
    let answer = ask(&args.client, "GET", &format!("missing?{}", query.join("&"))).await?;
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    output::out(&if args.client.json { document(&answer.json) } else { missing(&answer.json) });
    // Who asks for an id that is not there has to be told so by the exit code too.
    Ok(if event.is_some() { Exit::Problems(String::new()) } else { Exit::Well })
}

fn missing(told: &Json) -> String {
    let mut out = String::new();
    let event = text(told, "event");
    if !event.is_empty() {
        out.push_str(&format!(
            "no event {event} is known; {} of the newest events were looked through\n",
            text(told, "searched")
        ));
    }
    for (key, word) in [("mentioned_in", "it is mentioned in"), ("near", "did you mean")] {
        for one in list(told, key) {
            let triggers: Vec<&str> = list(one, "triggers").iter().filter_map(Json::as_str).collect();
            let kind = if triggers.is_empty() { text(one, "type") } else { printable(&triggers.join(", ")) };
            let (id, at) = (text(one, "id"), instant(one, "received_at"));
            out.push_str(&format!("  {word} {id}  ({} {kind}, {at}): flowd why {id}\n", text(one, "connection")));
        }
    }
    for hint in list(told, "hints").iter().filter_map(Json::as_str) {
        out.push_str(&format!("- {}\n", printable(hint)));
    }
    out
}

fn page(told: &Json) -> String {
    let event = &told["event"];
    let triggers: Vec<&str> = list(event, "triggers").iter().filter_map(Json::as_str).collect();
    let kind = if triggers.is_empty() { text(event, "type") } else { printable(&triggers.join(", ")) };
    let mut out = format!(
        "{}  {} {kind}, {} by {}\n",
        text(event, "id"),
        text(event, "connection"),
        instant(event, "received_at"),
        text(event, "via")
    );
    let again = &told["again"];
    if !again.is_null() {
        let count = again["count"].as_u64().unwrap_or_default();
        let times = if count == 1 { "once more".to_owned() } else { format!("{count} times more") };
        out.push_str(&format!(
            "  it came {times}, the last {} by {}, and started nothing again\n",
            instant(again, "last_at"),
            text(again, "via")
        ));
    }
    let flows = list(told, "flows");
    for flow in flows {
        out.push_str(&format!("{}  {}\n", text(flow, "flow"), head(flow)));
        let version = &flow["version"];
        if !version.is_null() {
            let plan: String = text(version, "plan").chars().take(12).collect();
            out.push_str(&format!("  by the version of the time: plan {plan}, live until {}\n", instant(version, "until")));
        }
        for clause in list(flow, "clauses") {
            write_clause(&mut out, clause, 2);
        }
    }
    if flows.is_empty() {
        out.push_str("no live flow listens for this event\n");
    }
    out
}

/// Whether it ran, and what kept it from that, with the place and what was read there.
fn head(flow: &Json) -> String {
    let (ran, reason) = (text(flow, "ran"), text(flow, "reason"));
    let failed = &flow["failed"];
    let mut head = match (ran.is_empty(), reason.is_empty()) {
        (false, _) => format!("ran as {ran}"),
        (true, false) => format!("did not run: {reason}"),
        (true, true) => "did not run".to_owned(),
    };
    let status = text(flow, "status");
    if !status.is_empty() {
        head.push_str(&format!(" ({status})"));
    }
    // Held back, or by another version.
    if !ran.is_empty() && reason != "it ran" {
        head.push_str(&format!(": {reason}"));
    }
    head.push_str(&values(failed));
    let place = text(failed, "place");
    if !place.is_empty() {
        head.push_str(&format!(", at {place}"));
    }
    head
}

fn values(clause: &Json) -> String {
    let shown = |value: &Json| {
        let written = text(value, "value");
        format!("{} = {}", text(value, "name"), if written.is_empty() { "missing".to_owned() } else { written })
    };
    let values: Vec<String> = list(clause, "values").iter().map(shown).collect();
    if values.is_empty() { String::new() } else { format!(" ({})", values.join(", ")) }
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
