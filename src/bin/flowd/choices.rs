//! What a choice in flow.toml needs beside it: how a sender proves who it is, how a token is sent. Without it nothing would ever be
//! taken or sent, and nobody would be told before it is.

use std::sync::Arc;

use flow_plan::{Connection, Env, Expr, Flow, Value, Webhook};
use flow_runtime::live::LiveConnection;
use flow_runtime::scheme::{SchemeError, Verifier};

/// Returns what is missing or wrong. `real`: the connection is none to a simulated service.
pub(crate) fn lacking(connection: &LiveConnection, flows: &[Arc<Flow>], real: bool) -> Vec<String> {
    let plan = &connection.plan;
    let mut found = Vec::new();
    for source in &plan.sources {
        let draws = |flow: &Arc<Flow>| flow.listens_to().any(|one| one.connection == plan.name && one.source == source.name);
        let Some(webhook) = source.webhook.as_ref().filter(|_| flows.iter().any(draws)) else { continue };
        // Another way is open.
        if source.register.is_some() || connection.polls && source.poll.is_some() {
            continue;
        }
        let scheme = chosen(plan, webhook);
        match Verifier::new(webhook, connection) {
            // A choice that is not made is said elsewhere.
            Ok(_) | Err(SchemeError::Unknown(_) | SchemeError::Parameter("by")) => {}
            Err(SchemeError::NoSecret) if !real => {}
            Err(SchemeError::NoSecret) => found.push(no_secret(plan, webhook, &scheme)),
            Err(SchemeError::BadSecret(_)) => found.push(format!(
                "connection {}: the secret that its webhooks are verified with is not of the form that `{scheme}` needs{}",
                plan.name,
                if scheme == "standard_webhooks" { ": `whsec_` and 24 to 64 bytes in base64" } else { "" },
            )),
            Err(SchemeError::Parameter(param)) => found.push(parameter(plan, webhook.params.get(param), &scheme, param)),
        }
    }
    found.extend(of_requests(connection));
    found
}

fn chosen(plan: &Connection, webhook: &Webhook) -> String {
    match webhook.params.get("by") {
        Some(Expr::Env(Env::Setting(name))) if webhook.scheme == "chosen" => text_of(plan, name).unwrap_or_default(),
        _ => webhook.scheme.clone(),
    }
}

fn text_of(plan: &Connection, setting: &str) -> Option<String> {
    plan.settings.get(setting).and_then(Value::as_text).map(str::to_owned)
}

fn no_secret(plan: &Connection, webhook: &Webhook, scheme: &str) -> String {
    let name = match webhook.params.get("secret") {
        Some(Expr::Env(Env::Secret(name))) => name.as_str(),
        _ => "secret",
    };
    let variable = format!("{}_{name}", plan.name).to_uppercase();
    format!(
        "connection {0}: `{scheme}` verifies webhooks with the secret `{name}`, which is missing: put `{name} = {{ env = \"{variable}\" }}` \
         under [connections.{0}] in flow.toml and set {variable}",
        plan.name
    )
}

/// What is said of a setting that a choice needs.
fn parameter(plan: &Connection, expr: Option<&Expr>, choice: &str, param: &str) -> String {
    let Some(Expr::Env(Env::Setting(name))) = expr else {
        return format!("connection {}: `{choice}` needs its parameter `{param}`", plan.name);
    };
    let what = if plan.settings.contains_key(name) { "has another" } else { "is missing" };
    format!(
        "connection {0}: `{choice}` needs the setting `{name}`, which {what}: put `{name} = \"…\"` under [connections.{0}] in flow.toml \
         (`flowc docs {1}` says what it is)",
        plan.name, plan.connector
    )
}

/// How a secret is sent can be chosen, too: in a header or a parameter with a name, or as the password of a user.
fn of_requests(connection: &LiveConnection) -> Option<String> {
    let plan = &connection.plan;
    let auth = plan.api.auth.as_ref().filter(|auth| auth.scheme == "chosen")?;
    let [Expr::Env(Env::Setting(by)), Expr::Env(Env::Secret(secret)), name, user] = auth.args.as_slice() else { return None };
    let choice = text_of(plan, by).filter(|_| connection.secrets.contains_key(secret))?;
    let needed = match choice.as_str() {
        "header" | "query" => name,
        "basic" => user,
        _ => return None,
    };
    match needed {
        Expr::Env(Env::Setting(name)) if !plan.settings.contains_key(name) => Some(parameter(plan, Some(needed), &choice, name)),
        _ => None,
    }
}
