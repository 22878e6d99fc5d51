//! `flowd retry`, `cancel`, `pause`, `resume`.

use flow::output;
use flow::terminal::printable;

use crate::Exit;
use crate::args::{Client, OneFlow, OneRun, Retry};
use crate::client::{Answer, ask, encoded, refused};
use crate::commands::table::document;

pub(crate) async fn retry(args: &Retry) -> Result<Exit, Exit> {
    let force = if args.force { "?force=true" } else { "" };
    let answer = ask(&args.client, "POST", &format!("runs/{}/retry{force}", encoded(&args.run))).await?;
    finish(&args.client, &answer, &format!("{} runs again from the step that failed", printable(&args.run)))
}

pub(crate) async fn cancel(one: &OneRun) -> Result<Exit, Exit> {
    post(&one.client, "runs", &one.run, "cancel", "is cancelled").await
}

pub(crate) async fn pause(one: &OneFlow) -> Result<Exit, Exit> {
    post(
        &one.client,
        "flows",
        &one.flow,
        "pause",
        "is paused: events that come from now on are kept and do not start it, neither now nor after `flowd resume`",
    )
    .await
}

pub(crate) async fn resume(one: &OneFlow) -> Result<Exit, Exit> {
    post(&one.client, "flows", &one.flow, "resume", "starts runs again").await
}

async fn post(client: &Client, what: &str, id: &str, verb: &str, said: &str) -> Result<Exit, Exit> {
    let answer = ask(client, "POST", &format!("{what}/{}/{verb}", encoded(id))).await?;
    finish(client, &answer, &format!("{} {said}", printable(id)))
}

fn finish(client: &Client, answer: &Answer, said: &str) -> Result<Exit, Exit> {
    if answer.status != 200 {
        return Err(refused(answer));
    }
    output::out(&if client.json { document(&answer.json) } else { format!("{said}\n") });
    Ok(Exit::Well)
}
