//! `expose` in flow.toml: the flows by which a lock appears in Home Assistant. They are text like any other, so that they are checked,
//! shown, journaled and bound to fresh events as what somebody has written.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_plan::{Expr, Value};

use crate::catalog::{Connector, State};
use crate::settings::{ConnectionSettings, Settings};

/// What `expose` names where there is but one.
const ONLY: &str = "mqtt";

/// Returns the connection that a lock is exposed by: the one that is named, or the only one.
pub(crate) fn exposed_by<'c>(
    settings: &ConnectionSettings,
    connections: &'c BTreeMap<String, Arc<Connector>>,
) -> Option<(&'c str, &'c Connector)> {
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
pub(crate) fn files(settings: &Settings, connections: &BTreeMap<String, Arc<Connector>>) -> Vec<(String, String)> {
    let Some(given) = &settings.connections else { return Vec::new() };
    let one = |(name, own): (&String, &ConnectionSettings)| {
        let (home, _) = exposed_by(own, connections)?;
        let connector = connections.get(name).filter(|connector| is_lock(connector))?;
        let text = |wanted: &str| given.get(home)?.values.get(wanted)?.as_text().map(str::to_owned);
        let discovery = text("discovery").unwrap_or_else(|| "homeassistant".to_owned());
        Some((format!("exposed/{name}.flow"), flows(name, connector, home, &discovery)?))
    };
    given.iter().filter_map(one).collect()
}

fn flows(name: &str, connector: &Connector, home: &str, discovery: &str) -> Option<String> {
    let state = state(connector)?;
    let query = state.source.query.name.rsplit('.').next()?;
    let field = field_of(state)?;
    let same = |wanted: &str| {
        let found = connector.states.get(wanted).filter(|found| found.source.query.name == state.source.query.name)?;
        field_of(found)
    };
    let details = [
        same("battery").map(|field| format!(", battery: found.{field}")),
        same("online").or_else(|| same("module_online")).map(|field| format!(", available: found.{field} else true")),
    ];
    let details: String = details.into_iter().flatten().collect();
    let report = |word: &str| format!("{home}.report_lock(lock: \"{name}\", state: \"{word}\")");
    let words = |member: &str| match member {
        "locked" => "LOCKED",
        "unlocked" => "UNLOCKED",
        // It is neither: the bolt is somewhere in between.
        "moved" | "jammed" => "JAMMED",
        _ => "None",
    };
    let members: Vec<&str> = state.source.members.iter().map(String::as_str).filter(|member| *member != "unknown").collect();
    let arms: String = members.iter().map(|member| format!("      \"{member}\" => {}\n", report(words(member)))).collect();
    let read = format!(
        "let found = {name}.{query}()\n    match found.{field} {{\n{arms}      else => {}\n    }}\n    {home}.report_details(lock: \"{name}\"{details})",
        report("None")
    );
    let title = name.replace('_', " ");
    let about = format!("## Made by `expose` under [connections.{name}] in flow.toml");
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

{about}: its battery, and whether it can be reached.
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
            "    if command is \"{command}\" {{\n      {}\n      {name}.{action} on error {{\n        {}\n        stop because \"it could not {action}\"\n      }}\n      {}\n    }}\n",
            report(under_way),
            report("None"),
            report(then),
        ));
    }
    text.push_str("  }\n");
    for member in members {
        text.push_str(&format!(
            "\n{about}: it is {member}.\nflow {name}_exposed_{member}\n  when {name}.{} becomes {member}\n  do {}\n",
            state.name,
            report(words(member))
        ));
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
pub(crate) fn is_used(settings: &Settings, connections: &BTreeMap<String, Arc<Connector>>, home: &str) -> bool {
    let given = settings.connections.iter().flat_map(BTreeMap::values);
    given.filter_map(|own| exposed_by(own, connections)).any(|(found, _)| found == home)
}

/// Returns what is wrong with an `expose`.
pub(crate) fn problem(
    own: &ConnectionSettings,
    connector: &Connector,
    connections: &BTreeMap<String, Arc<Connector>>,
) -> Option<String> {
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
