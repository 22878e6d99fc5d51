//! `flowd dead`: what could not be done, and what becomes of it.

use flow::output;
use flow::terminal::printable;
use serde_json::{Value as Json, json};

use crate::Exit;
use crate::args::{Dead, DeadCommand, DeadRuns};
use crate::client::{ask, encoded, refused};
use crate::commands::events::query;
use crate::commands::runs::listed;
use crate::commands::table::{document, list, more, text};

pub(crate) async fn run(args: &Dead) -> Result<Exit, Exit> {
    match &args.command {
        Some(DeadCommand::Dismiss(runs)) => return each(runs, "dismiss", "dismissed").await,
        Some(DeadCommand::Retry(runs)) => return each(runs, "retry", "tried again").await,
        None => {}
    }
    let answer = ask(&args.client, "GET", &format!("dead?{}", query(&[("flow", &args.flow)], &args.page))).await?;
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    if args.client.json {
        output::out(&document(&answer.json));
        return Ok(Exit::Well);
    }
    output::out(&listed(&answer.json, "no dead letters\n"));
    more(&answer.json);
    if !list(&answer.json, "runs").is_empty() {
        output::err(
            "`flowd show RUN` has every step and attempt; `flowd retry RUN` runs it again from the step that failed,\n`flowd dead dismiss RUN` takes it from this list",
        );
    }
    Ok(Exit::Well)
}

/// Does the same with each run. One that is refused keeps no other from it.
async fn each(runs: &DeadRuns, verb: &str, done: &str) -> Result<Exit, Exit> {
    let ids = match &runs.flow {
        Some(flow) => of_flow(runs, flow).await?,
        None => runs.runs.clone(),
    };
    let (mut well, mut refusals) = (Vec::new(), Vec::new());
    for id in ids {
        let answer = ask(&runs.client, "POST", &format!("runs/{}/{verb}", encoded(&id))).await?;
        if answer.status == 200 {
            well.push(id);
        } else {
            let message = answer.json.pointer("/error/message").and_then(Json::as_str).unwrap_or("the daemon gave no reason");
            refusals.push((id, message.to_owned()));
        }
    }
    if runs.client.json {
        let refused: Vec<Json> = refusals.iter().map(|(id, message)| json!({ "id": id, "message": message })).collect();
        output::out(&document(&json!({ "done": well, "refused": refused })));
    } else {
        let runs = if well.len() == 1 { "1 run is".to_owned() } else { format!("{} runs are", well.len()) };
        output::out(&format!("{runs} {done}\n"));
    }
    if refusals.is_empty() {
        return Ok(Exit::Well);
    }
    let lines: Vec<String> = refusals.iter().map(|(id, message)| format!("{}: {}", printable(id), printable(message))).collect();
    Err(Exit::Problems(lines.join("\n")))
}

/// Returns all dead runs of a flow, page by page, as they are now.
async fn of_flow(runs: &DeadRuns, flow: &str) -> Result<Vec<String>, Exit> {
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let answer = ask(&runs.client, "GET", &format!("dead?limit=1000&flow={}{after}", encoded(flow))).await?;
        if answer.status != 200 {
            return Err(refused(&answer));
        }
        ids.extend(list(&answer.json, "runs").iter().map(|run| text(run, "id")));
        match answer.json["next"].as_str() {
            Some(next) => after = format!("&after={}", encoded(next)),
            None => return Ok(ids),
        }
    }
}
