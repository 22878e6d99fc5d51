//! `flowd events`.

use flow::output;

use crate::Exit;
use crate::args::{Events, Page};
use crate::client::{ask, encoded, refused};
use crate::commands::table::{document, instant, list, table, text};

pub(crate) async fn run(args: &Events) -> Result<Exit, Exit> {
    let query = query(&[("connection", &args.connection), ("trigger", &args.trigger)], &args.page);
    let answer = ask(&args.client, "GET", &format!("events?{query}")).await?;
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    if args.client.json {
        output::out(&document(&answer.json));
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
    Ok(Exit::Well)
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
