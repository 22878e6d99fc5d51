//! `flowd retry`, `cancel`, `pause`, `resume`.

use flow::output;
use flow::terminal::printable;

use crate::Exit;
use crate::args::{Client, One, Retry};
use crate::client::{Answer, ask, encoded, refused};
use crate::commands::table::document;

pub(crate) async fn retry(args: &Retry) -> Result<Exit, Exit> {
    let force = if args.force { "?force=true" } else { "" };
    let answer = ask(&args.client, "POST", &format!("runs/{}/retry{force}", encoded(&args.run))).await?;
    finish(&args.client, &answer, &format!("{} runs again from the step that failed", printable(&args.run)))
}

pub(crate) async fn cancel(one: &One) -> Result<Exit, Exit> {
    post(one, "runs", "cancel", "is cancelled").await
}

pub(crate) async fn pause(one: &One) -> Result<Exit, Exit> {
    post(one, "flows", "pause", "is paused: its events are kept, and start nothing until `flowd resume`").await
}

pub(crate) async fn resume(one: &One) -> Result<Exit, Exit> {
    post(one, "flows", "resume", "starts runs again").await
}

async fn post(one: &One, what: &str, verb: &str, said: &str) -> Result<Exit, Exit> {
    let answer = ask(&one.client, "POST", &format!("{what}/{}/{verb}", encoded(&one.id))).await?;
    finish(&one.client, &answer, &format!("{} {said}", printable(&one.id)))
}

fn finish(client: &Client, answer: &Answer, said: &str) -> Result<Exit, Exit> {
    if answer.status != 200 {
        return Err(refused(answer));
    }
    output::out(&if client.json { document(&answer.json) } else { format!("{said}\n") });
    Ok(Exit::Well)
}
