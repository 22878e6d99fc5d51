//! `flowd retry`, `cancel`, `pause`, `resume`, `trust-clock`.

use flow::output;
use flow::terminal::printable;

use crate::Exit;
use crate::args::{Client, OneFlow, OneRun, Retry, TrustClock};
use crate::client::{Answer, ask, encoded, refused};
use crate::commands::table::{document, instant, text};

pub(crate) async fn retry(args: &Retry) -> Result<Exit, Exit> {
    let force = if args.force { "?force=true" } else { "" };
    let answer = ask(&args.client, "POST", &format!("runs/{}/retry{force}", encoded(&args.run))).await?;
    let run = printable(&args.run);
    let mut said = format!("{run} runs again from the step that failed");
    if answer.json["earlier_version"] == true {
        let hint = "it keeps to the version of the flow that it began with, and the flow was changed since: `flowd migrate";
        said.push_str(&format!("\n{hint} {run}` moves it to the one that is live"));
    }
    finish(&args.client, &answer, &said)
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
        "is paused: events that come from now on are kept and do not start it; `flowd resume` says how many",
    )
    .await
}

pub(crate) async fn resume(one: &OneFlow) -> Result<Exit, Exit> {
    let answer = ask(&one.client, "POST", &format!("flows/{}/resume", encoded(&one.flow))).await?;
    let flow = printable(&one.flow);
    let mut said = format!("{flow} starts runs again");
    let (missed, since) = (answer.json["missed"].as_u64().unwrap_or(0), text(&answer.json, "since"));
    if missed > 0 {
        let events = if missed == 1 { "1 event was".to_owned() } else { format!("{missed} events were") };
        said.push_str(&format!(
            "; {events} kept that would have started it since {since}\n`flowd replay --flow {flow} --since {since}` starts it for them"
        ));
    }
    if missed == 0 && !since.is_empty() {
        said.push_str(&format!("; nothing came since {since} that would have started it"));
    }
    finish(&one.client, &answer, &said)
}

pub(crate) async fn trust_clock(args: &TrustClock) -> Result<Exit, Exit> {
    let answer = ask(&args.client, "POST", "clock/trust").await?;
    let (now, before) = (instant(&answer.json, "now"), instant(&answer.json, "latest_before"));
    let said = format!(
        "the clock counts as it is: {now} UTC (the latest time seen was {before} UTC); nothing dangerous is done for events from \
         before now"
    );
    finish(&args.client, &answer, &said)
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
