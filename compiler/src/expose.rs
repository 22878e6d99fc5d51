//! `expose` in flow.toml: the flows by which a lock appears in Home Assistant. They are text like any other, so that they are checked,
//! shown, journaled and bound to fresh events as what somebody has written.

use std::collections::BTreeMap;

use flow_plan::{Duration, Expr, Value};

use crate::catalog::{Connections, Connector, State};
use crate::settings::{ConnectionSettings, Settings};

/// What `expose` names where there is but one.
const ONLY: &str = "mqtt";

/// Returns the connection that a lock is exposed by: the one that is named, or the only one.
pub(crate) fn exposed_by<'c>(settings: &ConnectionSettings, connections: &'c Connections) -> Option<(&'c str, &'c Connector)> {
    let name = settings.expose.as_deref()?;
    let can = |connector: &Connector| {
        connector.operations.contains_key("announce_lock") && connector.triggers.contains_key("lock_command")
    };
    let mut all = connections.iter().filter(|(_, connector)| can(connector));
    if let Some((found, connector)) = all.clone().find(|(known, _)| *known == name) {
        return Some((found, connector));
    }
    let (only, connector) = all.next().filter(|_| name == ONLY && all.next().is_none())?;
    Some((only, connector))
}

/// Tells whether a connector is of a lock: it can be locked and unlocked, and says which of the two it is.
pub(crate) fn is_lock(connector: &Connector) -> bool {
    let free = |name: &str| {
        connector
            .operations
            .get(name)
            .is_some_and(|operation| operation.action && !operation.inputs.iter().any(|input| input.is_required()))
    };
    free("lock") && free("unlock") && state(connector).is_some()
}

fn state(connector: &Connector) -> Option<&State> {
    let members =
        |state: &State| ["locked", "unlocked"].iter().all(|wanted| state.source.members.iter().any(|known| known == wanted));
    connector.states.values().find(|state| members(state))
}

/// Returns the files of all locks that are exposed: name and text.
pub(crate) fn files(settings: &Settings, connections: &Connections) -> Vec<(String, String)> {
    let Some(given) = &settings.connections else { return Vec::new() };
    let one = |(name, own): (&String, &ConnectionSettings)| {
        let (home, _) = exposed_by(own, connections)?;
        let connector = connections.get(name).filter(|connector| is_lock(connector))?;
        let text = |wanted: &str| given.get(home)?.values.get(wanted)?.as_text().map(str::to_owned);
        let discovery = text("discovery").unwrap_or_else(|| "homeassistant".to_owned());
        Some((format!("exposed/{name}.flow"), flows(name, connector, own, home, &discovery)?))
    };
    given.iter().filter_map(one).collect()
}

/// What is not known for so many of its intervals is not to be reached, and for no longer than this.
const INTERVALS: u64 = 10;
const LONGEST_MS: u64 = 15 * 60 * 1000;

/// How long a lock may be silent before it is said that it cannot be reached.
fn patience(state: &State, own: &ConnectionSettings) -> String {
    let every = own.poll_ms.unwrap_or(state.source.every_ms);
    let millis = every.saturating_mul(INTERVALS).clamp(1000, LONGEST_MS);
    Duration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)).to_string()
}

/// The word of Home Assistant for what the bolt is.
fn word_of(member: &str) -> &'static str {
    match member {
        "locked" => "LOCKED",
        "unlocked" => "UNLOCKED",
        // It is neither: the bolt is somewhere in between.
        "moved" | "jammed" => "JAMMED",
        _ => "None",
    }
}

fn flows(name: &str, connector: &Connector, own: &ConnectionSettings, home: &str, discovery: &str) -> Option<String> {
    let state = state(connector)?;
    let query = state.source.query.name.rsplit('.').next()?;
    let field = field_of(state)?;
    // What one reading tells beside the bolt: the state, and the field of its query.
    let told = |wanted: &str| {
        let found = connector.states.get(wanted).filter(|found| found.source.query.name == state.source.query.name)?;
        Some((found.name.as_str(), field_of(found)?))
    };
    let battery = told("battery");
    let online = told("online").or_else(|| told("module_online"));
    let details = |battery: Option<&str>, available: Option<&str>| {
        let given = [("battery", battery), ("available", available)];
        let given = given.into_iter().filter_map(|(name, value)| Some(format!(", {name}: {}", value?)));
        format!("{home}.report_details(lock: \"{name}\"{})", given.collect::<String>())
    };
    let report = |word: &str| format!("{home}.report_lock(lock: \"{name}\", state: \"{word}\")");
    let members: Vec<&str> = state.source.members.iter().map(String::as_str).filter(|member| *member != "unknown").collect();
    let told_as = |value: &str| {
        let arms = members.iter().map(|member| format!("      \"{member}\" => {}\n", report(word_of(member))));
        format!("match {value} {{\n{}      else => {}\n    }}", arms.collect::<String>(), report("None"))
    };
    let read = format!(
        "let found = {name}.{query}()\n    {}\n    {}",
        told_as(&format!("found.{field}")),
        details(
            battery.map(|(_, field)| format!("found.{field}")).as_deref(),
            Some(&online.map_or_else(|| "true".to_owned(), |(_, field)| format!("found.{field} else true"))),
        )
    );
    let title = name.replace('_', " ");
    let about = format!("## Made by `expose` under [connections.{name}] in flow.toml");
    let bolt = &state.name;
    let patience = patience(state, own);
    let mut text = format!(
        r#"{about}: the lock appears in Home Assistant.
flow {name}_exposed
  when {home}.message(topic: "$flowd/connected") or {home}.message(topic: "{discovery}/status")
  where topic starts with "$flowd/" or payload is "online"
  at most 10 times per hour
  do {{
    {home}.announce_lock(lock: "{name}", name: "{title}", model: "{}")
    {read}
  }}

{about}: all of it, where something was missed.
flow {name}_exposed_details
  every 24 hours
  do {{
    {read}
  }}

{about}: what somebody wants of it in Home Assistant.
flow {name}_exposed_command
  when {home}.lock_command(lock: "{name}")
  fresh within 1 minute
  one at a time
  do {{
"#,
        connector.title
    );
    for (command, action, under_way, then) in
        [("LOCK", "lock", "LOCKING", "LOCKED"), ("UNLOCK", "unlock", "UNLOCKING", "UNLOCKED")]
    {
        text.push_str(&format!(
            "    if command is \"{command}\" {{\n      {}\n      {name}.{action} on error {{\n        {}\n    {read}\n        stop because \"it could not {action}\"\n      }}\n      {}\n    }}\n",
            report(under_way),
            // Until it is read, nobody knows where the bolt is; and perhaps it cannot be read either.
            report("None"),
            report(then),
        ));
    }
    text.push_str("  }\n");
    // What was said first is said first, also where the broker was away meanwhile.
    let mut says = |suffix: &str, why: &str, when: &str, steps: &str| {
        let flow = format!("flow {name}_exposed_{suffix}\n  when {name}.{when}\n  one at a time\n  do {{\n    {steps}\n  }}\n");
        text.push_str(&format!("\n{about}: {why}.\n{flow}"));
    };
    says("state", "the bolt has moved", &format!("{bolt} changes"), &told_as("value"));
    says("unknown", "nobody knows where the bolt is", &format!("{bolt} is unknown for {patience}"), &report("None"));
    let unreadable = format!("{bolt} is unreadable for {patience}");
    says("unreachable", "it does not answer", &unreadable, &details(None, Some("false")));
    let again = format!("becomes known\n  where since <= now - {patience}");
    says("known", "it answers again", &format!("{bolt} {again}"), &read);
    if let Some((battery, _)) = battery {
        says("battery", "its battery", &format!("{battery} changes"), &details(Some("value"), None));
    }
    if let Some((online, _)) = online {
        let steps = details(None, Some("value"));
        says("available", "whether it can be reached", &format!("{online} changes"), &steps);
        says("available_again", "whether it can be reached is known again", &format!("{online} {again}"), &steps);
    }
    Some(text)
}

/// The field of its query's result that a state is.
fn field_of(state: &State) -> Option<&str> {
    match &state.source.value {
        Expr::Field(of, name) if matches!(of.as_ref(), Expr::Local(0)) => Some(name),
        _ => None,
    }
}

/// Tells whether something is exposed by a connection: whoever may publish there may have it opened.
pub(crate) fn is_used(settings: &Settings, connections: &Connections, home: &str) -> bool {
    let given = settings.connections.iter().flat_map(BTreeMap::values);
    given.filter_map(|own| exposed_by(own, connections)).any(|(found, _)| found == home)
}

/// Returns what is wrong with an `expose`.
pub(crate) fn problem(own: &ConnectionSettings, connector: &Connector, connections: &Connections) -> Option<String> {
    let name = own.expose.as_ref()?;
    if !is_lock(connector) {
        return Some(format!("{} is no lock: it cannot be exposed", connector.title));
    }
    let found = exposed_by(own, connections).is_some();
    (!found).then(|| format!("there is no connection `{name}` to Home Assistant by which it could be exposed"))
}

/// The text of a value of `expose`.
pub(crate) fn named(value: &Value) -> Option<String> {
    value.as_text().map(str::to_owned)
}
