//! The connections of what is live: their addresses, their secrets, and what is not as it should be with those in use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flow::secrets;
use flow_compiler::config::ConnectionConfig;
use flow_plan as plan;
use flow_runtime::live::{Live, LiveConnection};
use flow_runtime::secret::Secret;

use super::Host;
use super::needs::Needs;
use crate::choices;
use crate::shared::shared_secrets;

impl Host {
    /// Tells whether a flow uses a connection.
    pub(crate) fn uses(&self, connection: &str) -> bool {
        self.sound.values().flat_map(|unit| &unit.flows).any(|flow| uses(flow, connection))
    }

    /// Returns what is live now, and a line for each thing that is not as it should be with a connection in use.
    pub(crate) fn live(&self) -> (Live, Vec<String>) {
        let flows: Vec<Arc<plan::Flow>> = self.sound.values().flat_map(|unit| unit.flows.iter().cloned()).collect();
        let mut notes = Vec::new();
        let mut connections = BTreeMap::new();
        for (name, declared) in &self.connections {
            let used = flows.iter().any(|flow| uses(flow, name));
            // Without flow.toml every connector is a connection: only those in use matter.
            if !used && self.config.settings.connections.is_none() {
                continue;
            }
            let connection = self.connection(name, declared, &flows, used, &mut notes);
            if used {
                notes.extend(choices::lacking(&connection, &flows, self.sandbox.is_none()));
            }
            connections.insert(name.clone(), Arc::new(connection));
        }
        (Live { flows, connections, broken: self.set_aside(), ..Live::default() }, notes)
    }

    /// Returns what whoever has set the connections up should know, and is no reason not to start. What is simulated has the
    /// secrets of the emulators.
    pub(crate) fn warnings(&self, live: &Live) -> Vec<String> {
        if self.sandbox.is_some() { Vec::new() } else { shared_secrets(live) }
    }

    fn connection(
        &self,
        name: &str,
        declared: &plan::Connection,
        flows: &[Arc<plan::Flow>],
        used: bool,
        notes: &mut Vec<String>,
    ) -> LiveConnection {
        let default = ConnectionConfig { polls: true, ..ConnectionConfig::default() };
        let config = self.config.connections.get(name).unwrap_or(&default);
        let mut declared = declared.clone();
        let mut base_url = config.base_url.clone();
        let sandboxed = self.sandbox.as_ref().filter(|_| base_url.is_none()).and_then(|urls| urls.get(&declared.connector));
        // What has no emulator of its own is not reached either: no e-mail leaves, no broker hears of it.
        let outward = declared.api.via.as_ref().is_some_and(|via| matches!(via.scheme.as_str(), "mqtt" | "smtp"));
        let stand_in = sandboxed.is_some() || self.sandbox.is_some() && outward;
        let secrets = match sandboxed {
            Some(url) => {
                base_url = Some(url.clone());
                self.simulated(&mut declared, config)
            }
            None => self.configured(name, config, used, notes),
        };
        let mut polls = config.polls;
        if used {
            let needs = Needs { name, plan: &declared, config, secrets: &secrets, flows, own_base: base_url.is_none() };
            polls = needs.note(notes) && polls;
        }
        LiveConnection {
            plan: declared,
            base_url,
            stand_in,
            secrets,
            poll_every: config.poll_ms.map(Duration::from_millis),
            polls,
            root: self.project.root.clone(),
        }
    }

    /// Returns the secrets of an emulator, and gives the connection its settings.
    fn simulated(&self, declared: &mut plan::Connection, config: &ConnectionConfig) -> BTreeMap<String, Secret> {
        let mut found = BTreeMap::new();
        for (key, text) in flow_sandbox::Sandbox::secrets(&declared.connector) {
            if declared.secrets.iter().any(|secret| secret.name == *key) {
                found.insert((*key).to_owned(), Secret::new((*text).to_owned()));
            } else if declared.setting_decls.iter().any(|setting| setting.name == *key) {
                declared.settings.entry((*key).to_owned()).or_insert_with(|| plan::Value::text(*text));
            }
        }
        // What the emulator has no secret of its own for comes from outside all the same: whoever sends webhooks.
        let from_outside = |key: &str| declared.secrets.iter().any(|secret| secret.name == key && secret.for_webhooks);
        for (key, (_, reference)) in config.secrets.iter().filter(|(key, _)| from_outside(key)) {
            if !found.contains_key(key)
                && let Ok(secret) = secrets::read(reference, &self.project.root)
            {
                found.insert(key.clone(), secret);
            }
        }
        found
    }

    /// Returns the secrets that flow.toml names, as far as they are there.
    fn configured(&self, name: &str, config: &ConnectionConfig, used: bool, notes: &mut Vec<String>) -> BTreeMap<String, Secret> {
        let mut found = BTreeMap::new();
        for (key, (_, reference)) in &config.secrets {
            match secrets::read(reference, &self.project.root) {
                Ok(secret) => {
                    found.insert(key.clone(), secret);
                }
                Err(reason) if used => notes.push(format!("connection {name}: the secret `{key}` is missing: {reason}")),
                Err(_) => {}
            }
        }
        found
    }
}

/// Tells whether a flow does something with a connection or is started by it.
pub(super) fn uses(flow: &plan::Flow, connection: &str) -> bool {
    performs(flow, connection) || flow.listens_to().any(|trigger| trigger.connection == connection)
}

/// Tells whether a flow does something with a connection.
pub(super) fn performs(flow: &plan::Flow, connection: &str) -> bool {
    flow.program.instrs.iter().any(|instr| matches!(instr, plan::Instr::Call(call) if call.connection == connection))
}
