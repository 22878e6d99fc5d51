//! What a connection in use needs, and what of it is missing: a line each for whoever has set it up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flow_compiler::config::ConnectionConfig;
use flow_plan as plan;
use flow_runtime::secret::Secret;

use super::connection::performs;

/// A connection in use, with what was found for it.
pub(super) struct Needs<'a> {
    pub(super) name: &'a str,
    pub(super) plan: &'a plan::Connection,
    pub(super) config: &'a ConnectionConfig,
    pub(super) secrets: &'a BTreeMap<String, Secret>,
    pub(super) flows: &'a [Arc<plan::Flow>],
    /// Requests go to the address that the connector says.
    pub(super) own_base: bool,
}

impl Needs<'_> {
    /// Notes what is missing, and tells whether polls can be made: a secret that commands alone need is no reason not to look.
    pub(super) fn note(&self, notes: &mut Vec<String>) -> bool {
        let name = self.name;
        let acts = self.flows.iter().any(|flow| performs(flow, name));
        let listens = self.flows.iter().any(|flow| flow.listens_to().any(|trigger| trigger.connection == name));
        if listens && let Some(setting) = unchosen(self.plan) {
            notes.push(format!(
                "connection {name}: the setting `{setting}` says how a sender proves who it is, and is missing: put `{setting} = \"standard_webhooks\"`, or one of the others that `flowc docs {}` lists, under [connections.{name}] in flow.toml",
                self.plan.connector,
            ));
        }
        let needed = needed_secrets(self.flows, self.plan);
        let mut for_requests = self.lacking(|secret| secret.for_requests);
        // A service with several APIs has a key for each: those that nothing goes to need none.
        let one_way = self.plan.apis.is_empty() && self.plan.api.via.is_none();
        for_requests.retain(|secret| one_way || needed.contains(&secret.name));
        let for_webhooks = self.lacking(|secret| secret.for_webhooks);
        if acts {
            self.note_groups(notes);
            // Whoever only asks needs no key with which commands alone are signed.
            let used = for_requests.iter().filter(|secret| needed.contains(&secret.name));
            used.for_each(|secret| self.note_secret(secret, "its actions need it", notes));
        } else if listens {
            let looked_at = self.looked_at();
            let looks = for_requests.iter().filter(|secret| looked_at.contains(secret.name.as_str()));
            looks.for_each(|secret| self.note_secret(secret, "it is asked for what happens with that", notes));
            // One of the two would do: where it is wanted and cannot be read, that was said already.
            if self.hears()
                && !for_requests.is_empty()
                && !for_requests.iter().any(|secret| self.config.secrets.contains_key(&secret.name))
            {
                let polls = self.drawn().any(|source| source.poll.is_some());
                let why = match for_requests.first().filter(|_| polls) {
                    Some(other) => format!("webhooks need it, or `{}`, with which it is polled", other.name),
                    None => "webhooks need it".to_owned(),
                };
                for_webhooks.iter().for_each(|secret| self.note_secret(secret, &why, notes));
            }
        }
        if self.own_base {
            self.note_settings(notes);
        }
        let asked: BTreeSet<&str> = self.plan.sources.iter().flat_map(|source| self.asked(source)).collect();
        !for_requests.iter().any(|secret| asked.contains(secret.name.as_str()))
    }

    /// Returns the secrets that the poll of a source needs.
    fn asked<'a>(&'a self, source: &'a plan::Source) -> impl Iterator<Item = &'a str> {
        let requests = source.poll.iter().flat_map(|poll| {
            let before = poll.when_changes.as_ref().map(|when| &when.query.request);
            before.into_iter().chain([&poll.request])
        });
        requests.flat_map(|request| self.plan.secrets_of(request))
    }

    /// Returns the sources that flows draw from.
    fn drawn(&self) -> impl Iterator<Item = &Arc<plan::Source>> {
        let draws = |flow: &Arc<plan::Flow>, source: &str| {
            flow.listens_to().any(|trigger| trigger.connection == self.name && trigger.source == source)
        };
        self.plan.sources.iter().filter(move |source| self.flows.iter().any(|flow| draws(flow, &source.name)))
    }

    /// Tells whether webhooks are a way by which something may come.
    fn hears(&self) -> bool {
        self.drawn().any(|source| source.webhook.is_some())
    }

    /// Returns the secrets without which nothing would be heard of sources that nobody sends anything from, nor of states.
    fn looked_at(&self) -> BTreeSet<&str> {
        let polled = self.drawn().filter(|source| source.webhook.is_none() && self.config.polls);
        let mut secrets: BTreeSet<&str> = polled.flat_map(|source| self.asked(source)).collect();
        let triggers = self.flows.iter().flat_map(|flow| &flow.triggers).filter(|trigger| trigger.connection == self.name);
        let states = triggers.filter_map(|trigger| match &trigger.kind {
            plan::StartKind::State(start) => self.plan.states.iter().find(|state| state.name == start.state),
            plan::StartKind::Event | plan::StartKind::Schedule(_) | plan::StartKind::Absence(_) => None,
        });
        secrets.extend(states.flat_map(|state| self.plan.secrets_of(&state.query.request)));
        secrets
    }

    fn lacking(&self, wanted: fn(&plan::SecretDecl) -> bool) -> Vec<&plan::SecretDecl> {
        let declared = self.plan.secrets.iter();
        declared.filter(|secret| !secret.optional && wanted(secret) && !self.secrets.contains_key(&secret.name)).collect()
    }

    fn note_groups(&self, notes: &mut Vec<String>) {
        let name = self.name;
        for group in &self.plan.api.one_of {
            if !group.iter().any(|name| self.secrets.contains_key(name) || self.config.secrets.contains_key(name)) {
                notes.push(format!(
                    "connection {name}: its actions need one of the secrets {}: put it under [connections.{name}] in flow.toml, or use `--sandbox`",
                    group.iter().map(|secret| format!("`{secret}`")).collect::<Vec<_>>().join(" and "),
                ));
            }
        }
    }

    fn note_secret(&self, secret: &plan::SecretDecl, why: &str, notes: &mut Vec<String>) {
        if self.config.secrets.contains_key(&secret.name) {
            return; // Said already, with the reason.
        }
        let name = self.name;
        let hint = secret.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        notes.push(format!(
            "connection {name}: the secret `{0}` is missing, and {why}{hint}: put `{0} = {{ env = \"{1}\" }}` under [connections.{name}] in flow.toml and set {1}, or use `--sandbox`",
            secret.name,
            format!("{name}_{}", secret.name).to_uppercase(),
        ));
    }

    fn note_settings(&self, notes: &mut Vec<String>) {
        let name = self.name;
        let declared = self.plan.setting_decls.iter();
        for setting in
            declared.filter(|setting| setting.in_base && !setting.optional && !self.plan.settings.contains_key(&setting.name))
        {
            notes.push(format!(
                "connection {name}: the setting `{0}` is missing: put `{0} = \"…\"` under [connections.{name}] in flow.toml",
                setting.name
            ));
        }
    }
}

/// Returns the secrets without which a request cannot be made that live flows, or what starts them, make.
fn needed_secrets(flows: &[Arc<plan::Flow>], connection: &plan::Connection) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut note = |request| names.extend(connection.secrets_of(request).into_iter().map(str::to_owned));
    let mut signed = BTreeSet::new();
    for flow in flows {
        for instr in &flow.program.instrs {
            if let plan::Instr::Call(call) = instr
                && call.connection == connection.name
                && let Some(operation) = flow.operations.get(usize::try_from(call.operation).unwrap_or(usize::MAX))
            {
                note(&operation.request);
                signed.extend(operation.sign.iter().flat_map(|signature| connection.secrets_in(&signature.value)));
                if let Some(confirm) = &operation.confirm {
                    note(&confirm.query.request);
                }
                if let plan::Effect::Findable { by, .. } = &operation.effect {
                    note(&by.query.request);
                }
            }
        }
        for trigger in flow.listens_to().filter(|trigger| trigger.connection == connection.name) {
            let source = connection.sources.iter().find(|source| source.name == trigger.source);
            if let Some(poll) = source.and_then(|source| source.poll.as_ref()) {
                note(&poll.request);
            }
        }
    }
    names.extend(signed.into_iter().map(str::to_owned));
    names
}

/// Returns the setting that says how webhooks are verified, where it does not.
fn unchosen(connection: &plan::Connection) -> Option<&str> {
    let chosen = connection.sources.iter().filter_map(|source| source.webhook.as_ref()).find(|one| one.scheme == "chosen")?;
    match chosen.params.get("by")? {
        plan::Expr::Env(plan::Env::Setting(name)) if !connection.settings.contains_key(name) => Some(name),
        _ => None,
    }
}
