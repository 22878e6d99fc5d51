//! `flowd status`.

use flow::output;
use serde_json::Value as Json;

use crate::Exit;
use crate::args::Status;
use crate::client::{ask, refused};
use crate::commands::alarms;
use crate::commands::reload::on_version;
use crate::commands::table::{document, instant, list, text};

pub(crate) async fn run(args: &Status) -> Result<Exit, Exit> {
    let client = &args.client;
    let answer = ask(client, "GET", "status").await?;
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    output::out(&if client.json { document(&answer.json) } else { page(&answer.json) });
    let alarms = alarms::counted(&answer.json);
    if args.check && !alarms.is_empty() {
        return Err(Exit::Problems(alarms));
    }
    Ok(Exit::Well)
}

fn page(status: &Json) -> String {
    let mut out = format!("flowd {}\n", text(status, "version"));
    out.push_str(&alarms::listed(status));
    let part = |name: &str, keys: &[(&str, &str)]| -> String {
        let of = &status[name];
        keys.iter().map(|(key, word)| format!("{} {word}", text(of, key))).collect::<Vec<_>>().join(", ")
    };
    for (label, value) in [
        ("since", instant(status, "started_at") + " UTC"),
        ("webhooks", text(&status["addresses"], "server")),
        ("admin", text(&status["addresses"], "admin")),
        ("flows", part("flows", &[("live", "live"), ("paused", "paused")])),
        ("events", part("engine", &[("events", "accepted"), ("duplicates", "duplicates")])),
        (
            "runs",
            part("engine", &[("runs_done", "done"), ("runs_stopped", "stopped"), ("active", "under way"), ("dead", "dead")]),
        ),
        (
            "steps",
            part("engine", &[("attempts", "attempts"), ("failures", "failed"), ("in_flight", "in flight"), ("queued", "queued")]),
        ),
    ] {
        out.push_str(&format!("  {label:10} {value}\n"));
    }
    let refused = status.pointer("/webhooks/refused").and_then(Json::as_object);
    for (reason, count) in refused.into_iter().flatten() {
        out.push_str(&format!("  {:10} {count} webhooks: {}\n", "refused", flow::terminal::printable(reason)));
    }
    for connection in list(status, "connections") {
        let (name, connector, state) = (text(connection, "name"), text(connection, "connector"), health(connection));
        out.push_str(&format!("  connection {name} ({connector}): {state}\n"));
        if let Some(line) = bounds(connection) {
            out.push_str(&format!("    {line}\n"));
        }
        if let Some(line) = pace(&connection["quota"]) {
            out.push_str(&format!("    {line}\n"));
        }
        // What is wrong with one of its APIs may have been said already.
        let unsaid = |part: &&Json| part["state"] != "ok" && !state.contains(&text(part, "label"));
        for part in list(connection, "parts").iter().filter(unsaid) {
            out.push_str(&format!("    {}: {}\n", text(part, "label"), health(part)));
        }
        if connection["unshown_parts"].as_u64().unwrap_or(0) > 0 {
            out.push_str(&format!("    and {} more servers that do not answer\n", text(connection, "unshown_parts")));
        }
        for one in list(connection, "registrations") {
            out.push_str(&format!("    {}\n", registration(one)));
        }
        for known in list(connection, "states") {
            out.push_str(&format!("    {} {}\n", text(known, "state"), standing(known)));
        }
    }
    let old = list(&status["versions"], "old");
    for version in old {
        out.push_str(&format!("  earlier version of {}: {}\n", text(version, "flow"), on_version(version)));
    }
    if status["versions"]["complete"] == false {
        out.push_str("  and more runs under earlier versions than were counted\n");
    }
    for file in list(status, "broken") {
        // The report is ours, with quoted source: its lines are kept, its control characters are not.
        let report: Vec<String> = file["report"].as_str().unwrap_or("").lines().map(flow::terminal::printable).collect();
        out.push_str(&format!("\n{} is broken; its last sound version is live\n{}\n", text(file, "file"), report.join("\n")));
    }
    out
}

/// How the webhook of a source is doing that flowd registers.
fn registration(one: &Json) -> String {
    let name = format!("webhook {}", text(one, "source"));
    let events: Vec<String> = list(one, "events").iter().filter_map(Json::as_str).map(flow::terminal::printable).collect();
    let made = match (text(one, "id"), text(one, "url")) {
        (_, url) if url.is_empty() => String::new(),
        (id, url) => format!("{id} at {url} for {}", events.join(", ")),
    };
    if !one["error"].is_null() {
        let of = if made.is_empty() { "is not registered".to_owned() } else { format!("({})", made.trim()) };
        return format!("{name} {of}: since {} UTC: {}", instant(one, "failing_since"), text(one, "error"));
    }
    if one["by_hand"] == true {
        return format!("{name} was registered by hand: its secret stands in flow.toml");
    }
    if one["off"] == true {
        return format!("{name} is not registered, since `flowd disconnect` was said");
    }
    if made.is_empty() {
        return format!("{name} is not registered yet");
    }
    format!("{name} is registered: {}; looked after {} UTC", made.trim(), instant(one, "looked_at"))
}

/// Whether a connection works, and what it waits for where it does not.
fn health(connection: &Json) -> String {
    let (broken, open) = (&connection["broken"], &connection["open"]);
    if !broken.is_null() {
        return format!("broken since {}: {}", text(broken, "since"), text(broken, "reason"));
    }
    if !open.is_null() {
        let (since, next) = (instant(open, "since"), instant(open, "next_try"));
        return format!("does not answer since {since} UTC, tried next at {next} UTC: {}", text(open, "reason"));
    }
    let quota = &connection["quota"];
    if !quota["refused_since"].is_null() {
        let (since, next) = (instant(quota, "refused_since"), instant(quota, "next_try"));
        return format!("its key is refused or its quota is used up since {since} UTC, tried next at {next} UTC");
    }
    if quota["spent"] == true {
        return format!("its quota is used up until {} UTC", instant(quota, "resets_at"));
    }
    if connection["tokens"]["spent"] == true {
        return format!("its tokens of the day are spent until {} UTC", instant(&connection["tokens"], "resets_at"));
    }
    if !connection["paused_until"].is_null() {
        return format!("the service asked for patience until {} UTC", instant(connection, "paused_until"));
    }
    "well".to_owned()
}

/// What is under way at a connection, and what bounds it; `None` where there is nothing to say.
fn bounds(connection: &Json) -> Option<String> {
    let mut parts = Vec::new();
    for (key, word) in [("in_flight", "in flight"), ("queued", "queued"), ("parked", "parked")] {
        if connection[key].as_u64().unwrap_or(0) > 0 {
            parts.push(format!("{} {word}", text(connection, key)));
        }
    }
    let rate = &connection["rate"];
    if rate["used"].as_u64().unwrap_or(0) > 0 {
        let per = std::time::Duration::from_millis(rate["per_ms"].as_u64().unwrap_or(0));
        parts.push(format!("{} of {} requests in {} s", text(rate, "used"), text(rate, "limit"), per.as_secs_f64()));
    }
    let quota = &connection["quota"];
    if !quota.is_null() {
        let shared: Vec<String> =
            list(quota, "shared_with").iter().filter_map(Json::as_str).map(flow::terminal::printable).collect();
        let shared = if shared.is_empty() { String::new() } else { format!(" (with {})", shared.join(", ")) };
        let (used, limit, resets) = (text(quota, "used"), text(quota, "limit"), instant(quota, "resets_at"));
        parts.push(format!("{used} of {limit} calls{shared}, counted anew on {resets} UTC"));
    }
    let tokens = &connection["tokens"];
    if !tokens.is_null() {
        let (used, limit, resets) = (text(tokens, "used"), text(tokens, "limit"), instant(tokens, "resets_at"));
        parts.push(format!("{used} of {limit} tokens, counted anew on {resets} UTC"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// How often polls come within a quota, and how often they could; `None` where nothing is polled.
fn pace(quota: &Json) -> Option<String> {
    let polls = &quota["polls"];
    let set = polls["set_every_ms"].as_u64()?;
    let (left, may_use) = (text(polls, "left"), text(polls, "may_use"));
    let resets = instant(quota, "resets_at");
    let Some(every) = polls["every_ms"].as_u64() else {
        return Some(format!("polls have used the {may_use} calls that are for them, and stand still until {resets} UTC"));
    };
    let how_often = if every > set {
        format!("slowed down from every {} to every {}", length(set), length(every))
    } else {
        format!("every {}", length(every))
    };
    let safe = |key: &str, until: &str| polls[key].as_u64().map(|ms| format!("every {} {until}", length(ms)));
    let safe: Vec<String> = [safe("fastest_safe_ms", "until then"), safe("whole_month_ms", "from one count to the next")]
        .into_iter()
        .flatten()
        .collect();
    Some(format!("polls: {how_often}, {left} of {may_use} calls for them left; safe is {}", safe.join(", ")))
}

/// A length of time as people say it: rounded up.
fn length(ms: u64) -> String {
    let units =
        [(172_800_000, 86_400_000, "day"), (7_200_000, 3_600_000, "hour"), (120_000, 60_000, "minute"), (2000, 1000, "second")];
    for (from, unit, word) in units {
        if ms >= from {
            return format!("{} {word}s", ms.div_ceil(unit));
        }
    }
    format!("{ms} ms")
}

/// What a state is, since when, and how long ago that was seen.
fn standing(known: &Json) -> String {
    let seen = match known["age_ms"].as_i64() {
        Some(age) => format!("{}, since {} UTC, seen {} s ago", text(known, "value"), instant(known, "since"), age / 1000),
        None => "not known yet".to_owned(),
    };
    match text(known, "error") {
        error if error.is_empty() => seen,
        error => format!("not available ({error}); last {seen}"),
    }
}
