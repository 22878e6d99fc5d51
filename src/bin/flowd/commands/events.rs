//! `flowd events`.

use flow::output;
use serde_json::Value as Json;

use crate::Exit;
use crate::args::{Events, Page};
use crate::client::{ask, encoded, refused};
use crate::commands::table::{document, instant, list, more, table, text};

pub(crate) async fn run(args: &Events) -> Result<Exit, Exit> {
    let misfit = args.misfits.then(|| "true".to_owned());
    let query = query(&[("connection", &args.connection), ("trigger", &args.trigger), ("misfit", &misfit)], &args.page);
    let answer = ask(&args.client, "GET", &format!("events?{query}")).await?;
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    if args.client.json {
        output::out(&document(&answer.json));
        return Ok(Exit::Well);
    }
    if args.misfits {
        output::out(&misfits(&answer.json));
        more(&answer.json);
        return Ok(Exit::Well);
    }
    let rows: Vec<Vec<String>> = list(&answer.json, "events")
        .iter()
        .map(|event| {
            let triggers: Vec<&str> = list(event, "triggers").iter().filter_map(|trigger| trigger.as_str()).collect();
            vec![
                instant(event, "received_at"),
                text(event, "id"),
                text(event, "connection"),
                text(event, "type"),
                triggers.join(", "),
            ]
        })
        .collect();
    output::out(&if rows.is_empty() {
        "no events\n".to_owned()
    } else {
        table(&["RECEIVED (UTC)", "EVENT", "CONNECTION", "TYPE", "TRIGGERS"], &rows)
    });
    more(&answer.json);
    Ok(Exit::Well)
}

/// Events of which something does not fit: a line for each field.
fn misfits(json: &Json) -> String {
    let mut rows = Vec::new();
    for event in list(json, "events") {
        for misfit in list(event, "misfits") {
            let value = text(misfit, "value");
            let value = if value.is_empty() { String::new() } else { format!(" ({value})") };
            rows.push(vec![
                instant(event, "received_at"),
                text(event, "id"),
                format!("{}.{}", text(event, "connection"), text(misfit, "trigger")),
                text(misfit, "field"),
                text(misfit, "at"),
                text(misfit, "expected"),
                format!("{}{value}", text(misfit, "found")),
            ]);
        }
    }
    if rows.is_empty() {
        return "every event fits\n".to_owned();
    }
    table(&["RECEIVED (UTC)", "EVENT", "TRIGGER", "FIELD", "IN THE PAYLOAD", "EXPECTED", "FOUND"], &rows)
}

/// Returns the query of a list.
pub(crate) fn query(filters: &[(&str, &Option<String>)], page: &Page) -> String {
    let mut parts = vec![format!("limit={}", page.limit)];
    for (name, value) in filters.iter().copied().chain([("since", &page.since), ("after", &page.after)]) {
        if let Some(value) = value {
            parts.push(format!("{name}={}", encoded(value)));
        }
    }
    parts.join("&")
}
