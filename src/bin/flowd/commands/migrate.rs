//! `flowd migrate`: runs to the live version of their flow.

use flow::changes::short;
use flow::output;
use flow::terminal::printable;
use serde_json::{Value as Json, json};

use crate::Exit;
use crate::args::Migrate;
use crate::client::{Answer, ask, encoded, refused};
use crate::commands::table::{document, list, text};

/// So many runs are asked for at once.
const PAGE: usize = 1000;

pub(crate) async fn run(args: &Migrate) -> Result<Exit, Exit> {
    match (&args.run, &args.all_of) {
        (Some(run), _) => {
            let answer = migrate(args, run).await?;
            if answer.status != 200 {
                return Err(refused(&answer));
            }
            output::out(&if args.client.json { document(&answer.json) } else { said(&answer.json) });
            Ok(Exit::Well)
        }
        (None, Some(flow)) => all_of(args, flow).await,
        (None, None) => Err(Exit::Usage("name a run, or a flow with --all-of".to_owned())),
    }
}

async fn migrate(args: &Migrate, run: &str) -> Result<Answer, Exit> {
    let dry = if args.dry_run { "?dry_run=true" } else { "" };
    ask(&args.client, "POST", &format!("runs/{}/migrate{dry}", encoded(run))).await
}

/// `run_3f… goes by plan cdef… now (was 0123…): step 2 … comes`.
fn said(moved: &Json) -> String {
    let word = if moved["dry_run"] == true { "can be moved" } else { "is moved" };
    let plan = |key: &str| short(&text(moved, key));
    let mut out = format!(
        "{} {word} from plan {} to {}, the live version of {}\n  {}\n",
        text(moved, "id"),
        plan("from"),
        plan("to"),
        text(moved, "flow"),
        text(moved, "ahead")
    );
    for note in list(moved, "notes").iter().filter_map(Json::as_str) {
        out.push_str(&format!("  note: {}\n", printable(note)));
    }
    out
}

/// Moves each run of a flow that goes by an earlier version; those that cannot be moved are told at the end.
async fn all_of(args: &Migrate, flow: &str) -> Result<Exit, Exit> {
    let answer = ask(&args.client, "GET", &format!("flows/{}", encoded(flow))).await?;
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    let live = text(&answer.json, "hash");
    let (mut moved, mut stay) = (Vec::new(), Vec::new());
    for run in earlier(args, flow, &live).await? {
        let answer = migrate(args, &run).await?;
        if answer.status == 200 {
            moved.push(answer.json);
        } else {
            let reason = answer.json.pointer("/error/message").and_then(Json::as_str).unwrap_or_default().to_owned();
            stay.push(json!({ "id": run, "code": answer.json.pointer("/error/code"), "reason": reason }));
        }
    }
    let well = stay.is_empty();
    if args.client.json {
        output::out(&document(&json!({ "moved": moved, "stay": stay })));
    } else {
        moved.iter().for_each(|one| output::out(&said(one)));
        for one in &stay {
            output::out(&format!("{} stays under its version: {}\n", text(one, "id"), text(one, "reason")));
        }
        if moved.is_empty() && well {
            output::out(&format!("no run of {} goes by an earlier version\n", printable(flow)));
        }
    }
    Ok(if well { Exit::Well } else { Exit::Problems(String::new()) })
}

/// Returns the runs of a flow that wait, are parked or dead under another plan than the live one.
async fn earlier(args: &Migrate, flow: &str, live: &str) -> Result<Vec<String>, Exit> {
    let mut found = Vec::new();
    for status in ["waiting", "parked", "dead"] {
        let mut after = String::new();
        loop {
            let query = format!("runs?flow={}&status={status}&limit={PAGE}{after}", encoded(flow));
            let answer = ask(&args.client, "GET", &query).await?;
            if answer.status != 200 {
                return Err(refused(&answer));
            }
            let runs = list(&answer.json, "runs").iter().filter(|run| text(run, "plan") != live);
            found.extend(runs.map(|run| text(run, "id")));
            match answer.json["next"].as_str() {
                Some(next) => after = format!("&after={}", encoded(next)),
                None => break,
            }
        }
    }
    Ok(found)
}
