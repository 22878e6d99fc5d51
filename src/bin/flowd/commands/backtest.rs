//! `flowd backtest`: what an edited file would have done on the stored events.

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::time::Duration;

use flow::output;
use flow::project::MAX_FILE;
use flow::terminal::printable;
use serde_json::{Value as Json, json};

use crate::Exit;
use crate::args::Backtest;
use crate::client::{Answer, ask, ask_with, project_of, refused};
use crate::commands::table::{document, instant, list, text};

pub(crate) async fn run(args: &Backtest) -> Result<Exit, Exit> {
    let text = read(&args.file)?;
    let asked = json!({
        "file": name(args)?,
        "text": text,
        "since": args.since,
        "until": args.until,
        "flow": args.flow,
        "examples": args.examples,
    });
    let answer = in_sight(args, ask_with(&args.client, "POST", "backtest", asked.to_string().into())).await?;
    if answer.status == 422 {
        // The reports are ours, with quoted source: their lines are kept, their control characters are not.
        let reports = answer.json.pointer("/error/message").and_then(Json::as_str).unwrap_or_default();
        return Err(Exit::Problems(reports.lines().map(printable).collect::<Vec<_>>().join("\n")));
    }
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    output::out(&if args.client.json { document(&answer.json) } else { page(&answer.json) });
    Ok(Exit::Well)
}

/// Says on a terminal how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Waits for an answer, and shows whoever sits there that it comes.
async fn in_sight(args: &Backtest, answer: impl Future<Output = Result<Answer, Exit>>) -> Result<Answer, Exit> {
    let mut answer = std::pin::pin!(answer);
    let mut told = false;
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut answer => break answer,
            () = tokio::time::sleep(TELL_EVERY), if std::io::stderr().is_terminal() => {}
        }
        if let Ok(Answer { status: 200, json }) = ask(&args.client, "GET", "backtest/progress").await
            && let Some(events) = json["events"].as_u64()
        {
            told = true;
            output::over(&format!("{events} events looked at"));
        }
    };
    if told {
        output::over("");
    }
    answer
}

fn read(file: &Path) -> Result<String, Exit> {
    let unreadable = |reason: String| Exit::Usage(format!("{} cannot be read: {reason}", file.display()));
    let mut bytes = Vec::new();
    let most = MAX_FILE + 1;
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(most).read_to_end(&mut bytes))
    };
    read.map_err(|error| unreadable(flow::secrets::reason(&error)))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(unreadable(format!("it is larger than {MAX_FILE} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| unreadable("it is no UTF-8 text".to_owned()))
}

/// Returns which file of the project it stands for.
fn name(args: &Backtest) -> Result<String, Exit> {
    if let Some(name) = &args.name {
        return Ok(name.clone());
    }
    if args.file == Path::new("-") {
        return Err(Exit::Usage("say which file of the project standard input stands for: `--as NAME`".to_owned()));
    }
    let project = project_of(&args.client.project).map_err(|error| Exit::Usage(error.to_string()))?;
    let file = std::fs::canonicalize(&args.file)
        .map_err(|error| Exit::Usage(format!("{} cannot be read: {}", args.file.display(), flow::secrets::reason(&error))))?;
    if file.starts_with(&project.root) {
        return Ok(project.name(&file));
    }
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if project.root.join(&name).is_file() {
        return Ok(name);
    }
    Err(Exit::Usage(format!("{} is not in the project: say which of its files it stands for: `--as NAME`", file.display())))
}

fn page(report: &Json) -> String {
    let mut out = format!(
        "{}: stored events from {} to {} UTC\n",
        text(report, "file"),
        instant(report, "since"),
        instant(report, "until"),
    );
    let stored = report["stored_since"].as_str();
    // Both are written alike, so that they sort as the instants do.
    if stored.is_none() {
        out.push_str("no events are stored\n");
    } else if stored > report["since"].as_str() {
        out.push_str(&format!("events are stored from {} UTC on\n", instant(report, "stored_since")));
    }
    for flow in list(report, "flows") {
        of_flow(&mut out, flow);
    }
    for removed in list(report, "removed") {
        out.push_str(&format!(
            "\n{}  is in the file no more; it started {} times\n",
            text(removed, "flow"),
            text(removed, "runs")
        ));
    }
    out
}

fn of_flow(out: &mut String, flow: &Json) {
    let state = match (flow["live"].as_bool(), flow["changed"].as_bool()) {
        (Some(false), _) => "new",
        (_, Some(false)) => "unchanged",
        _ => "edited",
    };
    out.push_str(&format!("\n{}  {state}\n", text(flow, "flow")));
    for note in list(flow, "notes") {
        out.push_str(&format!("  note: {}\n", note.as_str().map(printable).unwrap_or_default()));
    }
    if flow["tried"] == false {
        out.push_str("  it cannot be tried\n");
        return;
    }
    let count = |key: &str| flow[key].as_u64().unwrap_or(0);
    out.push_str(&format!("  {} events looked at\n", count("events")));
    for (key, said) in [
        ("by_clock", "instants of the clock"),
        ("both", "started by both"),
        ("only_live", "started by the live flow alone"),
        ("only_edited", "started by the edited flow alone"),
        ("other_calls", "of both would make other calls"),
        ("misfits", "whose payload does not fit"),
        ("needs_answers", "that need an answer that was not recorded: what follows in them is not known"),
        ("assumed", "in which answers are made up (`new_…`)"),
    ] {
        if count(key) > 0 || matches!(key, "both" | "only_live" | "only_edited") {
            out.push_str(&format!("  {:>6}  {said}\n", count(key)));
        }
    }
    let differing: Vec<&Json> = list(flow, "calls").iter().filter(|call| call["live"] != call["edited"]).collect();
    if !differing.is_empty() {
        out.push_str("  calls, live and edited\n");
        for call in differing {
            out.push_str(&format!("    {}  {} and {}\n", text(call, "name"), text(call, "live"), text(call, "edited")));
        }
    }
    for (kind, said) in [("only_live", "the live flow alone"), ("only_edited", "the edited flow alone")] {
        if count(kind) == 0 {
            continue;
        }
        out.push_str(&format!("\n  {said}\n"));
        for reason in list(&flow["reasons"], kind) {
            out.push_str(&format!("    {:>6}  {}\n", text(reason, "count"), text(reason, "reason")));
        }
        for example in list(&flow["examples"], kind) {
            head(out, example);
            for (side, said) in [("live", "live  "), ("edited", "edited")] {
                out.push_str(&format!("      {said}  {}\n", of_side(&example[side])));
            }
            calls(out, example);
        }
    }
    for (kind, said) in
        [("other_calls", "other calls"), ("misfits", "payloads that do not fit"), ("needs_answers", "not recorded")]
    {
        if count(kind) == 0 {
            continue;
        }
        out.push_str(&format!("\n  {said}\n"));
        for example in list(&flow["examples"], kind) {
            head(out, example);
            if kind != "other_calls" {
                out.push_str(&format!("      {}\n", text(&example["edited"], "reason")));
            }
            calls(out, example);
        }
    }
}

fn head(out: &mut String, example: &Json) {
    let run = text(example, "run");
    let run = if run.is_empty() { run } else { format!("  {run}") };
    out.push_str(&format!("    {}  {}{run}\n", instant(example, "received_at"), text(example, "event")));
}

/// What one version makes of an event, on one line.
fn of_side(side: &Json) -> String {
    let reason = text(side, "reason");
    if side["starts"] == true {
        return if reason.is_empty() { "starts".to_owned() } else { format!("starts; {reason}") };
    }
    let clause = &side["clause"];
    if clause.is_null() {
        return format!("does not start: {reason}");
    }
    let values: Vec<String> =
        list(clause, "values").iter().map(|value| format!("{} = {}", text(value, "name"), text(value, "value"))).collect();
    let values = if values.is_empty() { String::new() } else { format!("  ({})", values.join(", ")) };
    let note = text(clause, "because");
    let note = if note.is_empty() { String::new() } else { format!("  [{note}]") };
    format!("no  {}{values}{note}", text(clause, "text"))
}

fn calls(out: &mut String, example: &Json) {
    for call in list(example, "calls") {
        let (name, by) = (text(call, "call"), text(call, "by"));
        match by.as_str() {
            "both" => out.push_str(&format!("      {name}\n")),
            by => out.push_str(&format!("      {name}, only {by}\n")),
        }
        for field in list(call, "fields") {
            out.push_str(&format!("        {}: {} -> {}\n", text(field, "field"), text(field, "live"), text(field, "edited")));
        }
        for (field, value) in call["inputs"].as_object().into_iter().flatten() {
            out.push_str(&format!("        {}: {}\n", printable(field), text(&json!({ "it": value }), "it")));
        }
    }
}
