//! `flowd replay`: stored events offered to a flow once more, part by part.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use flow::output;
use flow::terminal::printable;
use serde_json::{Value as Json, json};

use crate::Exit;
use crate::args::Replay;
use crate::client::{ask, encoded, refused};
use crate::commands::table::{document, instant, list, text};

/// The verdicts of the daemon in the order in which people are told them, and how.
const VERDICTS: [(&str, &str); 10] = [
    ("started", "started"),
    ("starts", "would start"),
    ("condition", "whose condition does not hold"),
    ("already_started", "that started it before"),
    ("running", "whose run is under way"),
    ("limited", "kept back by a limit"),
    ("stale", "too old"),
    ("dangerous", "of a dangerous flow"),
    ("misfit", "whose payload does not fit"),
    ("other", "that do not concern it"),
];
/// `--json` lists so many events that start, and no more.
const MOST_LISTED: usize = 10_000;
/// Progress is told no more often.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// While runs wait for their turn the daemon is asked again after so long.
const BUSY_PAUSE: Duration = Duration::from_millis(250);

pub(crate) async fn run(args: &Replay) -> Result<Exit, Exit> {
    if !args.dry_run && !args.yes {
        let looked = go_through(args, true).await?;
        if let Some(broken) = &looked.broken {
            return Err(Exit::Problems(broken.clone()));
        }
        let starts = looked.count("starts");
        output::err(looked.page(args).trim_end());
        if starts == 0 {
            if args.client.json {
                output::out(&document(&looked.json(args, true)));
            }
            return Ok(Exit::Well);
        }
        if !confirmed(args, starts, looked.again)? {
            return Err(Exit::Problems("flowd: nothing was started".to_owned()));
        }
    }
    let done = go_through(args, args.dry_run).await?;
    output::out(&if args.client.json { document(&done.json(args, args.dry_run)) } else { done.page(args) });
    match done.broken {
        Some(broken) => Err(Exit::Problems(broken)),
        None => Ok(Exit::Well),
    }
}

/// Asks a person; without a terminal nobody can be asked.
fn confirmed(args: &Replay, starts: u64, again: u64) -> Result<bool, Exit> {
    let what = question(&args.flow, starts, again);
    if !std::io::stdin().is_terminal() {
        return Err(Exit::Usage(format!("{what} Say so with `--yes`, or only look with `--dry-run`")));
    }
    // To the terminal, where the answer comes from.
    let mut stderr = std::io::stderr();
    let asked = write!(stderr, "{what} Go on? [y/N] ").and_then(|()| stderr.flush());
    let mut line = String::new();
    let read = asked.and_then(|()| std::io::stdin().read_line(&mut line));
    read.map_err(|error| Exit::Usage(format!("nobody can be asked: {error}")))?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

fn question(flow: &str, starts: u64, again: u64) -> String {
    let runs = if starts == 1 { "run" } else { "runs" };
    let mut what = format!("{starts} {runs} of {} would be started.", printable(flow));
    if again > 0 {
        what.push_str(&format!(
            " {again} of them by an event that has started the flow before: their effects are made AGAIN, under new idempotency keys, so that no service takes them for a repetition."
        ));
    }
    what
}

/// What a replay came to so far.
#[derive(Default)]
struct Done {
    looked_at: u64,
    counts: BTreeMap<String, u64>,
    /// Of those that start, how many have started the flow before.
    again: u64,
    /// The first of each verdict, or all that start where JSON is wanted.
    events: BTreeMap<String, Vec<Json>>,
    /// By the clause that does not hold.
    clauses: BTreeMap<String, u64>,
    /// By the flow that is no more, how many of those that start have started it.
    under_other_names: BTreeMap<String, u64>,
    began_at: String,
    since: Json,
    stored_since: Json,
    /// Why it was broken off, and how to go on.
    broken: Option<String>,
}

/// Goes through the stored events, part by part.
async fn go_through(args: &Replay, dry_run: bool) -> Result<Done, Exit> {
    let mut done = Done::default();
    let mut after = args.after.clone();
    let mut told = Instant::now();
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let query = query(args, dry_run, after.as_deref());
        // The part that is under way is waited for: it is one transaction.
        let answer = match ask(&args.client, "POST", &format!("replay?{query}")).await {
            Ok(answer) => answer,
            Err(Exit::Usage(reason)) if after.is_some() => {
                done.broken = Some(format!("flowd: broken off: {reason}{}", way_on(args, dry_run, after.as_deref())));
                return Ok(done);
            }
            Err(exit) => return Err(exit),
        };
        if answer.status == 503 && after.is_some() {
            let reason = answer.json.pointer("/error/message").and_then(Json::as_str).unwrap_or("no reason given");
            let way_on = way_on(args, dry_run, after.as_deref());
            done.broken = Some(format!("flowd: broken off: {}{way_on}", printable(reason)));
            return Ok(done);
        }
        if answer.status != 200 {
            return Err(refused(&answer));
        }
        done.add(args, &answer.json);
        let Some(next) = answer.json["next"].as_str() else { return Ok(done) };
        after = Some(next.to_owned());
        if told.elapsed() > TELL_EVERY {
            told = Instant::now();
            let waits = if answer.json["busy"] == true { "; waits, since other runs do" } else { "" };
            output::err(&format!("{} events looked at, {}{waits}", done.looked_at, done.so_far()));
        }
        let pause = if answer.json["busy"] == true { BUSY_PAUSE } else { Duration::ZERO };
        tokio::select! {
            biased;
            _ = &mut interrupted => {
                done.broken = Some(format!("flowd: stopped{}", way_on(args, dry_run, Some(next))));
                return Ok(done);
            }
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn query(args: &Replay, dry_run: bool, after: Option<&str>) -> String {
    let mut parts = vec![format!("flow={}", encoded(&args.flow))];
    let texts =
        [("since", args.since.as_deref()), ("until", args.until.as_deref()), ("event", args.event.as_deref()), ("after", after)];
    parts.extend(texts.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?)))));
    parts.extend(
        [("again", args.again), ("dry_run", dry_run)].iter().filter(|(_, is)| *is).map(|(name, _)| format!("{name}=true")),
    );
    parts.join("&")
}

/// How a replay that was broken off goes on.
fn way_on(args: &Replay, dry_run: bool, after: Option<&str>) -> String {
    match after {
        Some(after) if !dry_run => format!("; what began stays, and `--after {}` goes on with the rest", printable(after)),
        Some(_) | None if args.after.is_none() => "; nothing was started".to_owned(),
        Some(_) | None => String::new(),
    }
}

impl Done {
    fn add(&mut self, args: &Replay, bite: &Json) {
        self.looked_at += bite["looked_at"].as_u64().unwrap_or(0);
        self.began_at = text(bite, "began_at");
        self.since = bite["since"].clone();
        if !bite["stored_since"].is_null() {
            self.stored_since = bite["stored_since"].clone();
        }
        for event in list(bite, "events") {
            let verdict = text(event, "verdict");
            *self.counts.entry(verdict.clone()).or_default() += 1;
            let starts = matches!(verdict.as_str(), "starts" | "started");
            if starts && args.again && event["before"].as_u64().is_some_and(|before| before > 0) {
                self.again += 1;
            }
            for other in list(event, "under_other_names").iter().filter(|_| starts) {
                *self.under_other_names.entry(other.as_str().map(printable).unwrap_or_default()).or_default() += 1;
            }
            if verdict == "condition" {
                *self.clauses.entry(text(&event["clause"], "text")).or_default() += 1;
            }
            let most = if starts && args.client.json { MOST_LISTED } else { args.examples };
            let kept = self.events.entry(verdict).or_default();
            if kept.len() < most {
                kept.push(event.clone());
            }
        }
    }

    fn count(&self, verdict: &str) -> u64 {
        self.counts.get(verdict).copied().unwrap_or(0)
    }

    fn so_far(&self) -> String {
        match (self.count("started"), self.count("starts")) {
            (0, starts) => format!("{starts} would start"),
            (started, _) => format!("{started} started"),
        }
    }

    fn json(&self, args: &Replay, dry_run: bool) -> Json {
        let listed: u64 = self.events.values().map(|events| events.len() as u64).sum();
        json!({
            "flow": args.flow,
            "dry_run": dry_run,
            "again": args.again,
            "began_at": self.began_at,
            "since": self.since,
            "stored_since": self.stored_since,
            "looked_at": self.looked_at,
            "verdicts": self.counts,
            "clauses": self.clauses,
            "under_other_names": self.under_other_names,
            "events": self.events.values().flatten().collect::<Vec<_>>(),
            "left_off": self.counts.values().sum::<u64>().saturating_sub(listed),
            "broken_off": self.broken,
        })
    }

    fn page(&self, args: &Replay) -> String {
        let concerned: u64 = self.counts.values().sum();
        let events = if concerned == 1 { "event" } else { "events" };
        let mut out = format!("{}: {concerned} stored {events} of its kinds\n", printable(&args.flow));
        if let Some(note) = self.retention() {
            out.push_str(&format!("{note}\n"));
        }
        for (other, count) in &self.under_other_names {
            out.push_str(&format!(
                "{count} of those that start have started {other}, which is no flow any more. Should that be the name of before of this \
                 one: what a flow has done is known by its name, so its effects would be made AGAIN\n"
            ));
        }
        for (verdict, said) in VERDICTS {
            let count = self.count(verdict);
            if count == 0 {
                continue;
            }
            out.push_str(&format!("\n  {count} {said}\n"));
            let events = self.events.get(verdict).map_or(&[][..], Vec::as_slice);
            for event in events {
                out.push_str(&format!("    {}  {}{}\n", instant(event, "received_at"), text(event, "event"), because(event)));
            }
            let left = count.saturating_sub(events.len() as u64);
            if left > 0 {
                out.push_str(&format!("    and {left} more\n"));
            }
        }
        if self.clauses.len() > 1 {
            out.push_str("\n  by the first clause that does not hold\n");
            let mut clauses: Vec<_> = self.clauses.iter().collect();
            clauses.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (clause, count) in clauses {
                out.push_str(&format!("    {count}  {clause}\n"));
            }
        }
        out
    }

    /// Says so where less is stored than was asked for.
    fn retention(&self) -> Option<String> {
        let since = self.since.as_str()?.parse::<jiff::Timestamp>().ok()?;
        let Some(stored) = self.stored_since.as_str() else { return Some("no events are stored".to_owned()) };
        let is_short = stored.parse::<jiff::Timestamp>().is_ok_and(|stored| since < stored);
        is_short.then(|| format!("events are stored from {} UTC on", instant(&json!({ "at": stored }), "at")))
    }
}

/// What decides about an event, on one line.
fn because(event: &Json) -> String {
    let clause = &event["clause"];
    let mut parts = Vec::new();
    if !clause.is_null() {
        let values: Vec<String> =
            list(clause, "values").iter().map(|value| format!("{} = {}", text(value, "name"), text(value, "value"))).collect();
        let values = if values.is_empty() { String::new() } else { format!("  ({})", values.join(", ")) };
        let note = text(clause, "because");
        let note = if note.is_empty() { String::new() } else { format!("  [{note}]") };
        parts.push(format!("no  {}{values}{note}", text(clause, "text")));
    }
    parts.extend(Some(text(event, "run")).filter(|run| !run.is_empty()));
    parts.extend(Some(text(event, "reason")).filter(|reason| !reason.is_empty()));
    if parts.is_empty() { String::new() } else { format!("  {}", parts.join("  ")) }
}
