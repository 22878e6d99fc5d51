//! `flowd alarms`, and the alarms of `flowd status`.

use flow::output;
use flow::terminal::printable;
use serde_json::Value as Json;

use crate::Exit;
use crate::args::{Alarms, AlarmsCommand};
use crate::client::{ask, encoded, refused};
use crate::commands::table::{document, instant, list, text};

pub(crate) async fn run(args: &Alarms) -> Result<Exit, Exit> {
    if let Some(AlarmsCommand::Dismiss(one)) = &args.command {
        let answer = ask(&one.client, "POST", &format!("alarms/{}/dismiss", encoded(&one.alarm))).await?;
        if answer.status != 200 {
            return Err(refused(&answer));
        }
        let said = format!("{} is dismissed\n", printable(&one.alarm));
        output::out(&if one.client.json { document(&answer.json) } else { said });
        return Ok(Exit::Well);
    }
    let answer = ask(&args.client, "GET", "alarms").await?;
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    if args.client.json {
        output::out(&document(&answer.json));
        return Ok(Exit::Well);
    }
    let shown = listed(&answer.json);
    output::out(if shown.is_empty() { "no alarms\n" } else { &shown });
    Ok(Exit::Well)
}

/// Returns how many alarms there are, as a person says it.
pub(crate) fn counted(json: &Json) -> String {
    match list(json, "alarms").len() {
        0 => String::new(),
        1 => "1 alarm".to_owned(),
        many => format!("{many} alarms"),
    }
}

/// Returns the alarms, three lines each: what and since when, why, and what to do.
pub(crate) fn listed(json: &Json) -> String {
    let mut out = String::new();
    for alarm in list(json, "alarms") {
        let (subject, detail) = (text(alarm, "subject"), text(alarm, "detail"));
        let about = if detail.is_empty() { subject } else { format!("{subject} {detail}") };
        let count = alarm["count"].as_u64().unwrap_or(0);
        let (what, mut often) = words(&text(alarm, "kind"), count);
        // What is wrong with a connection whose credentials work is said by its detail, and so it is of single items of a list.
        let what = match (text(alarm, "kind").as_str(), text(alarm, "detail").as_str()) {
            ("connection", "quota") => "is used up, or the key is refused",
            ("connection", detail) if !detail.is_empty() => "",
            ("source", detail) if detail.contains(' ') => {
                often = if count == 1 { "1 item".to_owned() } else { format!("{count} items") };
                ""
            }
            _ => what,
        };
        let mut head = vec![format!("{about} {what}").trim_end().to_owned()];
        head.extend((!often.is_empty()).then_some(often));
        let (since, last) = (instant(alarm, "since"), instant(alarm, "last"));
        head.extend((!since.is_empty()).then(|| format!("since {since} UTC")));
        head.extend((!last.is_empty() && last != since).then(|| format!("last {last} UTC")));
        let id = if alarm["dismissible"] == true { format!("  [{}]", text(alarm, "id")) } else { String::new() };
        out.push_str(&format!("! {}{id}\n    {}\n    -> {}\n", head.join(", "), text(alarm, "reason"), text(alarm, "next")));
    }
    out
}

/// What is wrong, and how often.
fn words(kind: &str, count: u64) -> (&'static str, String) {
    let times = |one: &str, many: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {many}") };
    match kind {
        "dead" => ("has dead runs", times("run", "runs")),
        "paused" => ("is paused", String::new()),
        "misfit" => ("does not fit", times("event", "events")),
        "silent" => ("is silent", times("period", "periods")),
        "clock" => ("is behind", String::new()),
        "connection" => ("is broken", if count == 0 { String::new() } else { times("run waits", "runs wait") }),
        "source" => ("cannot be polled", String::new()),
        "gap" => ("has lost events", String::new()),
        "webhook" => ("is not registered as it should be", String::new()),
        "file" => ("cannot go live as it is; its last sound version is live", String::new()),
        _ => ("", times("time", "times")),
    }
}
