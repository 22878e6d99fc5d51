//! `flowd check-config`: everything that `flowd run` would refuse, without running; what each connection has and lacks; and,
//! where that is asked for, whether the services take the keys.

use std::collections::BTreeMap;

use flow::output;
use flow::project::Project;
use flow::secrets;
use flow::terminal::printable;
use flow_runtime::check::{Checked, check};
use flow_runtime::live::{Live, LiveConnection};
use serde_json::{Value as Json, json};

use crate::Exit;
use crate::args::CheckConfig;
use crate::commands::connect::{checked_json, checked_line, open_to_others, unlike, unreachable_url};
use crate::commands::run::system_world;
use crate::commands::table::document;
use crate::host::{Host, HostError};
use crate::sound::Kept;

pub(crate) async fn run(args: &CheckConfig) -> Exit {
    match open(args) {
        Ok(host) => report(args, &host).await,
        Err(HostError::Project(error)) => Exit::Usage(error.to_string()),
        Err(HostError::Problems(reports)) => Exit::Problems(reports.join("\n")),
    }
}

fn open(args: &CheckConfig) -> Result<Host, HostError> {
    Host::open(Project::of(&args.project)?, args.allow_literal_secrets, None, &Kept::default())
}

async fn report(args: &CheckConfig, host: &Host) -> Exit {
    let (live, mut notes) = host.live();
    let mut warnings = host.warnings(&live);
    let mut tried: BTreeMap<&str, Vec<Checked>> = BTreeMap::new();
    if args.online {
        let world = system_world(host.config());
        for (name, connection) in &live.connections {
            let found = check(connection, &world).await;
            for one in found.iter().filter(|one| !one.finding.is_well()) {
                let note = format!("connection {name}: {}", checked_line(one));
                // What no flow uses stops nobody.
                if host.uses(name) { notes.push(note) } else { warnings.push(note) }
            }
            tried.insert(name, found);
        }
    }
    let views: Vec<View<'_>> = live.connections.iter().map(|(name, one)| View::of(host, &live, name, one)).collect();
    for view in &views {
        warnings.extend(view.warnings());
    }
    // Where the service is elsewhere, such as in a test, it may take what its own would not.
    let registers = |view: &View<'_>| view.webhooks == REGISTERED && view.connection.base_url.is_none();
    if let Some(url) = host.config().settings.public_url.as_deref().filter(|_| views.iter().any(registers)) {
        warnings.extend(unreachable_url(url));
    }
    if args.json {
        let connections: Vec<Json> = views.iter().map(|view| view.json(tried.get(view.name))).collect();
        let json = json!({
            "flows": live.flows.len(),
            "connections": connections,
            "warnings": warnings,
            "problems": notes,
        });
        output::out(&document(&json));
        return if notes.is_empty() { Exit::Well } else { Exit::Problems(String::new()) };
    }
    for view in &views {
        output::out(&view.text(tried.get(view.name), args.online));
    }
    for warning in &warnings {
        output::err(&format!("warning: {}", printable(warning)));
    }
    if notes.is_empty() {
        let (flows, connections) = (counted(live.flows.len(), "flow"), counted(live.connections.len(), "connection"));
        output::err(&format!("{flows}, {connections}: ready to run"));
        Exit::Well
    } else {
        Exit::Problems(problems(&notes))
    }
}

/// How the webhooks come that nobody has to set up.
const REGISTERED: &str = "registered by flowd";

/// What one connection has.
struct View<'a> {
    name: &'a str,
    connection: &'a LiveConnection,
    secrets: Vec<SecretView<'a>>,
    settings: Vec<(&'a str, Option<String>, bool)>,
    used: bool,
    polls: bool,
    webhooks: &'static str,
}

/// One secret of it.
struct SecretView<'a> {
    name: &'a str,
    /// Where it is looked for; `None` where flow.toml says nothing.
    place: Option<String>,
    /// Why it cannot be read.
    reason: Option<String>,
    /// What is odd about it, though it can be read.
    odd: Option<String>,
    for_what: &'static str,
}

impl<'a> View<'a> {
    fn of(host: &Host, live: &'a Live, name: &'a str, connection: &'a LiveConnection) -> Self {
        let root = &host.project().root;
        let section = host.config().connections.get(name);
        let secrets = connection.plan.secrets.iter().map(|decl| {
            let reference = section.and_then(|section| section.secrets.get(&decl.name)).map(|(_, reference)| reference);
            let read = reference.map(|reference| secrets::read(reference, root));
            let open = reference.and_then(|reference| open_to_others(reference, root));
            let unlike = read.as_ref().and_then(|read| read.as_ref().ok()).and_then(|secret| unlike(decl, secret.expose()));
            let unlike = unlike.map(|unlike| format!("it {unlike}: is it another one?"));
            SecretView {
                name: &decl.name,
                place: reference.map(secrets::described),
                reason: read.and_then(Result::err),
                odd: open.or(unlike),
                for_what: match (decl.for_requests, decl.for_webhooks) {
                    (false, true) => "webhooks",
                    _ => "requests",
                },
            }
        });
        let value = |key: &str| connection.plan.settings.get(key).map(ToString::to_string);
        let settings = connection.plan.setting_decls.iter().map(|decl| {
            let needed = !(decl.optional || decl.in_base && connection.base_url.is_some());
            (decl.name.as_str(), value(&decl.name), needed)
        });
        let listens = live.flows.iter().flat_map(|flow| &flow.triggers).filter(|trigger| trigger.connection == name);
        let sources: Vec<_> =
            listens.filter_map(|trigger| connection.plan.sources.iter().find(|source| source.name == trigger.source)).collect();
        let registers = host.config().settings.public_url.is_some() && sources.iter().any(|source| source.register.is_some());
        let signed = connection.plan.secrets.iter().any(|decl| decl.for_webhooks && connection.secrets.contains_key(&decl.name));
        let webhooks = match (sources.iter().any(|source| source.webhook.is_some()), signed, registers) {
            (false, ..) => "no",
            (true, true, _) => "yes",
            (true, false, true) => REGISTERED,
            (true, false, false) => "no: no secret, and no public_url under [server]",
        };
        Self {
            name,
            connection,
            secrets: secrets.collect(),
            settings: settings.collect(),
            used: host.uses(name),
            polls: connection.polls && sources.iter().any(|source| source.poll.is_some()),
            webhooks,
        }
    }

    fn warnings(&self) -> Vec<String> {
        let odd = self.secrets.iter().filter_map(|secret| Some((secret.name, secret.odd.as_ref()?)));
        odd.map(|(name, odd)| format!("connection {}: the secret `{name}`: {odd}", self.name)).collect()
    }

    fn base(&self) -> &str {
        self.connection.base_url.as_deref().unwrap_or("the service's own address")
    }

    fn text(&self, tried: Option<&Vec<Checked>>, online: bool) -> String {
        let mut out = format!("{}: {} at {}\n", self.name, self.connection.plan.connector, self.base());
        let mut line = |label: &str, text: &str| out.push_str(&format!("  {label:16} {}\n", printable(text)));
        for secret in &self.secrets {
            let text = match (&secret.place, &secret.reason, &secret.odd) {
                (None, ..) => format!("not set (for {})", secret.for_what),
                (Some(place), Some(reason), _) => format!("{place}: {reason}"),
                (Some(place), None, Some(odd)) => format!("{place}; {odd}"),
                (Some(place), None, None) => place.clone(),
            };
            line(secret.name, &text);
        }
        for (name, value, needed) in &self.settings {
            let none = if *needed { "missing" } else { "not set" };
            line(name, value.as_deref().unwrap_or(none));
        }
        if self.used {
            line("polls", if self.polls { "yes" } else { "no" });
            line("webhooks", self.webhooks);
        } else {
            line("used", "by no flow");
        }
        for one in tried.into_iter().flatten() {
            line("asked", &checked_line(one));
        }
        if online && self.connection.plan.checks.is_empty() {
            line("asked", "nothing: its connector names no check");
        }
        out
    }

    fn json(&self, tried: Option<&Vec<Checked>>) -> Json {
        let secrets = self.secrets.iter().map(|secret| {
            json!({
                "name": secret.name,
                "read_from": secret.place,
                "there": secret.place.is_some() && secret.reason.is_none(),
                "reason": secret.reason,
                "warning": secret.odd,
                "for": secret.for_what,
            })
        });
        let settings = self
            .settings
            .iter()
            .map(|(name, value, needed)| json!({ "name": name, "value": value, "missing": value.is_none() && *needed }));
        json!({
            "name": self.name,
            "connector": self.connection.plan.connector,
            "base_url": self.connection.base_url,
            "used": self.used,
            "secrets": secrets.collect::<Vec<_>>(),
            "settings": settings.collect::<Vec<_>>(),
            "polls": self.polls,
            "webhooks": self.webhooks,
            "checks": tried.map(|tried| tried.iter().map(checked_json).collect::<Vec<_>>()),
        })
    }
}

/// Returns problems with connections as one text.
pub(crate) fn problems(notes: &[String]) -> String {
    notes.iter().map(|note| format!("error: {note}")).collect::<Vec<_>>().join("\n")
}

fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
