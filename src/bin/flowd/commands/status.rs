//! `flowd status`.

use flow::output;
use serde_json::Value as Json;

use crate::Exit;
use crate::args::Client;
use crate::client::{ask, refused};
use crate::commands::table::{document, list, text};

pub(crate) async fn run(client: &Client) -> Result<Exit, Exit> {
    let answer = ask(client, "GET", "status").await?;
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    output::out(&if client.json { document(&answer.json) } else { page(&answer.json) });
    Ok(Exit::Well)
}

fn page(status: &Json) -> String {
    let mut out = format!("flowd {}\n", text(status, "version"));
    if let Some(fields) = status.as_object() {
        for (name, value) in fields.iter().filter(|(name, _)| !matches!(name.as_str(), "version" | "broken" | "connections")) {
            match value {
                Json::Object(inner) => {
                    let parts: Vec<String> = inner.keys().map(|key| format!("{} {key}", text(value, key))).collect();
                    out.push_str(&format!("  {name:14} {}\n", parts.join(", ")));
                }
                Json::Array(items) => out.push_str(&format!("  {name:14} {}\n", items.len())),
                _ => out.push_str(&format!("  {name:14} {}\n", text(status, name))),
            }
        }
    }
    for connection in list(status, "connections") {
        let broken = &connection["broken"];
        let state = if broken.is_null() { "well".to_owned() } else { format!("broken since {}: {}", text(broken, "since"), text(broken, "reason")) };
        out.push_str(&format!("  connection {} ({}): {state}\n", text(connection, "name"), text(connection, "connector")));
    }
    for file in list(status, "broken") {
        // The report is ours, with quoted source: its lines are kept, its control characters are not.
        let report: Vec<String> = file["report"].as_str().unwrap_or("").lines().map(flow::terminal::printable).collect();
        out.push_str(&format!("\n{} is broken; its last sound version is live\n{}\n", text(file, "file"), report.join("\n")));
    }
    out
}
