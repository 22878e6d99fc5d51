//! The connections of flow.toml against the connectors.

use std::sync::Arc;

use flow_plan::Value;
use flow_plan::ty::Type;

use super::read::literal_secret;
use super::{Config, SecretRef};
use crate::catalog::{Catalog, Connector};
use crate::code::Code;
use crate::connector::{ENGINE, read_ahead};
use crate::diagnostic::Diagnostic;
use crate::settings::ConnectionSettings;
use crate::suggest::nearest;

/// The keys that every connection knows.
const COMMON: &[&str] = &["connector", "base_url", "poll", "concurrency", "expose"];

/// Tells whether an address is one of this machine.
fn is_here(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or_default().split('/').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    host == "localhost"
        || host == "[::1]"
        || host.strip_prefix("127.").is_some_and(|rest| rest.bytes().all(|b| b == b'.' || b.is_ascii_digit()))
}

/// Checks the connections and fills `config.settings.connections`. A literal for a secret is refused unless
/// `literal_secrets`.
pub fn check(file: &Arc<str>, config: &mut Config, catalog: &Catalog, literal_secrets: bool) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    read_ahead(config.connections.values().map(|connection| connection.connector.as_str()));
    let mut settings = std::collections::BTreeMap::new();
    let mut exposed = Vec::new();
    for (name, connection) in &mut config.connections {
        if name == ENGINE {
            let message = "`flow` is what the events of the flows themselves are called: it is there without a line here";
            let diagnostic = Diagnostic::new(Code::E812, file, connection.connector_span, message)
                .help("take it out, or give this connection another name");
            diagnostics.push(diagnostic);
            continue;
        }
        let Some(connector) = catalog.connectors.get(&connection.connector) else {
            let known: Vec<&str> = catalog.connectors.keys().collect();
            let mut diagnostic = Diagnostic::new(
                Code::E814,
                file,
                connection.connector_span,
                format!("there is no connector `{}`", connection.connector),
            )
            .help(format!(
                "known: {}; a connector of your own lies beside the flows as `connector {} {{ … }}`",
                known.join(", "),
                connection.connector
            ));
            if let Some(best) = nearest(&connection.connector, known.iter().copied()) {
                let text = if connection.connector == *name { best.to_owned() } else { format!("\"{best}\"") };
                diagnostic = diagnostic.fix(format!("did you mean `{best}`?"), connection.connector_span, text, false);
            }
            diagnostics.push(diagnostic);
            continue;
        };
        for (key, (span, _)) in &connection.secrets {
            if !connector.secrets.iter().any(|secret| secret.name == *key) {
                let wrong_kind = connector.settings.iter().any(|setting| setting.name == *key);
                diagnostics.push(if wrong_kind {
                    Diagnostic::new(Code::E812, file, *span, format!("`{key}` of {} is a setting, not a secret", connector.title))
                        .help(format!("write it out: `{key} = \"…\"`"))
                } else {
                    unknown(file, *span, key, connector)
                });
            }
        }
        let mut given = ConnectionSettings {
            connector: connection.connector.clone(),
            poll_ms: connection.poll_ms,
            never_polls: !connection.polls,
            at_once: connection.at_once,
            stands_in: connection.base_url.as_deref().is_some_and(is_here),
            span: connection.span,
            ..ConnectionSettings::default()
        };
        for (key, value) in &connection.values {
            if key == "expose" && !connector.settings.iter().any(|setting| setting.name == *key) {
                given.expose = crate::expose::named(&value.value);
                exposed.push((name.clone(), value.span));
                continue;
            }
            if connector.secrets.iter().any(|secret| secret.name == *key) {
                match &value.value {
                    Value::Text(text) if literal_secrets => {
                        connection.secrets.insert(key.clone(), (value.key_span, SecretRef::Literal(text.to_string())));
                    }
                    _ => diagnostics.push(literal_secret(
                        file,
                        value.span,
                        key,
                        &format!("{key} of {}", connector.title),
                        &format!("{name}_{key}").to_uppercase(),
                    )),
                }
                continue;
            }
            let Some(setting) = connector.settings.iter().find(|setting| setting.name == *key) else {
                diagnostics.push(unknown(file, value.key_span, key, connector));
                continue;
            };
            if fits(&setting.ty, &value.value) {
                given.values.insert(key.clone(), value.value.clone());
            } else {
                diagnostics.push(
                    Diagnostic::new(
                        Code::E812,
                        file,
                        value.span,
                        format!("`{key}` of {} is {}", connector.title, setting.ty.required()),
                    )
                    .help(setting.docs.clone()),
                );
            }
        }
        given.secrets = connection.secrets.iter().map(|(key, (_, reference))| (key.clone(), source_of(reference))).collect();
        settings.insert(name.clone(), given);
    }
    let connections = settings
        .iter()
        .filter_map(|(name, own): (&String, &ConnectionSettings)| {
            Some((name.clone(), catalog.connectors.get(&own.connector)?.clone()))
        })
        .collect();
    for (name, span) in exposed {
        let Some((own, connector)) = settings.get(&name).and_then(|own| Some((own, catalog.connectors.get(&own.connector)?)))
        else {
            continue;
        };
        if let Some(problem) = crate::expose::problem(own, connector, &connections) {
            let help = "`expose = \"NAME\"` stands under a lock, and names a connection with `connector = \"homeassistant\"`";
            diagnostics.push(Diagnostic::new(Code::E812, file, span, problem).help(help));
        }
    }
    config.settings.file = Some(file.clone());
    // Without a table of connections each connector is there under its own name, as without a flow.toml.
    if config.settings.connections.is_some() {
        config.settings.connections = Some(settings);
    }
    diagnostics
}

/// Where a secret comes from: equal for equal sources.
fn source_of(reference: &SecretRef) -> String {
    match reference {
        SecretRef::Env(name) => format!("env {name}"),
        SecretRef::File(path) => format!("file {path}"),
        SecretRef::Credential(name) => format!("credential {name}"),
        SecretRef::Literal(text) => format!("literal {}", flow_plan::short_hash(text)),
    }
}

fn unknown(file: &Arc<str>, span: flow_grammar::span::Span, key: &str, connector: &Connector) -> Diagnostic {
    let mut known: Vec<&str> = connector.settings.iter().map(|setting| setting.name.as_str()).collect();
    known.extend(connector.secrets.iter().map(|secret| secret.name.as_str()));
    known.extend(COMMON);
    let diagnostic = Diagnostic::new(Code::E811, file, span, format!("{} has no setting `{key}`", connector.title))
        .help(format!("known: {}", known.join(", ")));
    match nearest(key, known.iter().copied()) {
        Some(best) => diagnostic.fix(format!("did you mean `{best}`?"), span, best, true),
        None => diagnostic,
    }
}

pub(super) fn fits(ty: &Type, value: &Value) -> bool {
    match (ty.required(), value) {
        (Type::Text(_), Value::Text(_)) | (Type::Bool, Value::Bool(_)) | (Type::Number | Type::Int(None), Value::Number(_)) => {
            true
        }
        (Type::Int(Some((low, high))), Value::Number(number)) => low <= number && number <= high,
        (Type::Enum { members, open }, Value::Text(text)) => *open || members.iter().any(|member| **member == **text),
        (Type::List(inner), Value::List(items)) => items.iter().all(|item| fits(inner, item)),
        (Type::Duration, Value::Text(text)) => super::parse_duration(text).is_some(),
        (Type::Unknown | Type::Json, _) => true,
        _ => false,
    }
}
