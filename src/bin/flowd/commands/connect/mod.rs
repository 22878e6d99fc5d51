//! `flowd connect`: what a connection needs is asked for, tried, and written down. Nothing is written that does not work.

mod ask;
mod checked;
mod edit;
mod gather;
mod keep;
mod place;

use std::collections::BTreeMap;
use std::sync::Arc;

use flow::output;
use flow::project::{Configured, Whole};
use flow::secrets;
use flow::terminal::printable;
use flow_compiler::catalog::Connector;
use flow_compiler::config::{self, Config, ConnectionConfig, SecretRef};
use flow_compiler::report::{self, Sources};
use flow_compiler::{Diagnostic, connector};
use flow_runtime::check::{Finding, check};
use flow_runtime::live::LiveConnection;
use flow_runtime::secret::Secret;
use tokio::signal::unix::{SignalKind, signal};

use crate::Exit;
use crate::args::Connect;
use crate::client::{ask_running, encoded, store_path};
use crate::commands::run::system_world;

pub(crate) use ask::Asker;
pub(crate) use checked::{checked_json, checked_line};
pub(crate) use edit::Toml;
pub(crate) use gather::{open_to_others, unlike};
pub(crate) use keep::FOLDER;
pub(crate) use place::Place;

use ask::Writing;
use gather::{Gathered, gather};
use keep::{Keeping, Made};

pub(crate) async fn run(args: &Connect) -> Result<Exit, Exit> {
    // A file that may not become so large is an error of its writing then, and not the end of the program amidst it.
    let _too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
    let mut place = Place::open(&args.project)?;
    let before = place.configured(&place.text.clone());
    let known = before.config.connections.get(&args.name).cloned();
    let connector = connector_of(args, &place, known.as_ref())?;
    let first = !Toml::parse(&place.text).map_err(|error| Exit::Problems(error.to_string()))?.lists_connections();
    refuse_broken(&mut place, &args.name, &before)?;
    let asker = Asker::new();
    let gathered = gather(args, &asker, &connector, known.as_ref(), &place.root)?;
    let keeping = if args.systemd_creds { Keeping::SystemdCreds } else { Keeping::File };
    let places: BTreeMap<&str, keep::Place> = gathered
        .typed
        .keys()
        .map(|key| {
            let before = known.as_ref().and_then(|known| known.secrets.get(key)).map(|(_, reference)| reference);
            (key.as_str(), keep::Place::of(keeping, &args.name, key, before))
        })
        .collect();
    let text = edited(&place, args, &connector, &gathered, &places)?;
    let live = live_connection(args, &mut place, &connector, &text, &gathered)?;
    let configured = place.configured(&text);
    try_it(args, &live, &configured.config).await?;
    let text = {
        // Somebody may have changed flow.toml while this was asked and tried.
        let _alone = place.alone()?;
        let text = edited(&place, args, &connector, &gathered, &places)?;
        live_connection(args, &mut place, &connector, &text, &gathered)?;
        write(&place, &text, &gathered, &places, &args.name)?;
        text
    };
    for line in notes(args, &mut place, &connector, &text, first) {
        output::err(&line);
    }
    tell_daemon(args, &place).await;
    Ok(Exit::Well)
}

/// What is wrong elsewhere in flow.toml is said before anybody is asked for anything: nothing could be written.
fn refuse_broken(place: &mut Place, connection: &str, before: &Configured) -> Result<(), Exit> {
    let problem = |error: edit::EditError| Exit::Problems(format!("{error}; nothing was written"));
    let mut without = Toml::parse(&place.text).map_err(problem)?;
    without.add(connection).map_err(problem)?;
    without.remove(connection);
    let stays = place.configured(&without.text()).diagnostics;
    let elsewhere = |one: &&Diagnostic| one.is_error() && stays.iter().any(|other| other.message == one.message);
    refuse(place, &place.text, before.diagnostics.iter().filter(elsewhere))
}

/// Refuses where there are errors in a text of flow.toml.
fn refuse<'a>(place: &Place, text: &str, errors: impl Iterator<Item = &'a Diagnostic>) -> Result<(), Exit> {
    let sources: Sources = [(place.toml_name(), Arc::from(config::shown(text)))].into_iter().collect();
    let style = flow::terminal::report_style();
    let reports: Vec<String> = errors.map(|one| report::human(one, &sources, style)).collect();
    if reports.is_empty() {
        return Ok(());
    }
    Err(Exit::Problems(format!("{}\nnothing was written", reports.join("\n"))))
}

/// Returns flow.toml as it is to be.
fn edited(
    place: &Place,
    args: &Connect,
    connector: &Connector,
    gathered: &Gathered,
    places: &BTreeMap<&str, keep::Place>,
) -> Result<String, Exit> {
    let problem = |error: edit::EditError| Exit::Problems(format!("{error}; nothing was written"));
    let mut toml = Toml::parse(&place.text).map_err(problem)?;
    write_into(&mut toml, args, connector, gathered, places).map_err(problem)?;
    Ok(toml.text())
}

/// Writes the secrets and flow.toml: all of it beside its place, and then all of it in place. Where anything fails on the way, nothing is
/// left behind.
fn write(
    place: &Place,
    text: &str,
    gathered: &Gathered,
    places: &BTreeMap<&str, keep::Place>,
    connection: &str,
) -> Result<(), Exit> {
    let _writing = Writing::begin();
    let mut made = Made::default();
    let done = write_all(place, text, gathered, places, &mut made);
    let mut done = done.inspect_err(|_| std::mem::take(&mut made).undo())?;
    let name = place.toml_name();
    done.push(match text == place.text {
        true => format!("{name} stays as it is"),
        false => format!("{name} has [connections.{connection}]"),
    });
    done.iter().for_each(|line| output::out(&format!("{}\n", printable(line))));
    Ok(())
}

fn write_all(
    place: &Place,
    text: &str,
    gathered: &Gathered,
    places: &BTreeMap<&str, keep::Place>,
    made: &mut Made,
) -> Result<Vec<String>, Exit> {
    let nothing = |error: String| Exit::Problems(format!("{error}; nothing was written"));
    let name = place.toml_name();
    let unwritable = |error: std::io::Error| {
        Exit::Usage(format!("{name} cannot be written: {}; nothing was written", secrets::reason(&error)))
    };
    let toml = if text == place.text { None } else { Some(Whole::prepare(&place.toml, text).map_err(unwritable)?) };
    let mut prepared = Vec::new();
    for (key, place_of) in places {
        if let Some(secret) = gathered.typed.get(*key) {
            prepared.push(place_of.prepare(&place.root, secret, made).map_err(nothing)?);
        }
    }
    let mut done = Vec::new();
    for one in prepared {
        done.extend(one.put(made).map_err(nothing)?);
    }
    toml.map_or(Ok(()), Whole::put).map_err(unwritable)?;
    Ok(done)
}

/// The connector that is meant.
fn connector_of(args: &Connect, place: &Place, known: Option<&ConnectionConfig>) -> Result<Arc<Connector>, Exit> {
    let plain = args.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !plain || !args.name.starts_with(|c: char| c.is_ascii_lowercase()) || args.name == connector::ENGINE {
        return Err(Exit::Usage(format!(
            "`{}` cannot be the name of a connection: flows write it, so it is lower case: letters, digits and `_`, a letter first",
            printable(&args.name)
        )));
    }
    let wanted = match (&args.connector, known) {
        (Some(wanted), Some(known)) if *wanted != known.connector => {
            return Err(Exit::Problems(format!(
                "`{}` is a connection of {} already: `flowd disconnect {0} --forget` first, or give this one another name",
                args.name, known.connector
            )));
        }
        (Some(wanted), _) => wanted.as_str(),
        (None, Some(known)) => known.connector.as_str(),
        (None, None) => args.name.as_str(),
    };
    place.catalog.connectors.get(wanted).filter(|_| wanted != connector::ENGINE).cloned().ok_or_else(|| {
        let names: Vec<&str> =
            place.catalog.connectors.keys().filter(|name| *name != connector::ENGINE).collect();
        Exit::Problems(format!(
            "there is no connector `{}`: name it with --connector, as in `flowd connect {} --connector stripe`\nthere is {}; one of \
             your own lies beside the flows",
            printable(wanted),
            args.name,
            names.join(", ")
        ))
    })
}

/// Where the daemon of a project keeps what it knows, where there is such a folder.
pub(crate) fn store_of(project: &flow::project::Project) -> Option<std::path::PathBuf> {
    let configured = project.config(true).ok()?;
    Some(store_path(project, configured.config.store_path.as_deref())).filter(|store| store.exists())
}

fn write_into(
    toml: &mut Toml,
    args: &Connect,
    connector: &Connector,
    gathered: &Gathered,
    places: &BTreeMap<&str, keep::Place>,
) -> Result<(), edit::EditError> {
    let name = args.name.as_str();
    toml.add(name)?;
    if connector.name != args.name {
        toml.set_text(name, "connector", &connector.name)?;
    }
    if let Some(url) = &args.base_url {
        toml.set_text(name, "base_url", url)?;
    }
    for (key, value) in &gathered.settings {
        toml.set(name, key, value)?;
    }
    let named = gathered.by_env.iter().map(|(key, reference)| (key.as_str(), reference));
    let kept = places.iter().map(|(key, place)| (*key, &place.reference));
    for (key, reference) in named.chain(kept) {
        toml.refer(name, key, reference)?;
    }
    Ok(())
}

/// The connection as it would be live under this text of flow.toml.
fn live_connection(
    args: &Connect,
    place: &mut Place,
    connector: &Connector,
    text: &str,
    gathered: &Gathered,
) -> Result<LiveConnection, Exit> {
    let configured = place.configured(text);
    refuse(place, text, configured.diagnostics.iter().filter(|one| one.is_error()))?;
    let settings = configured.config.settings.connections.as_ref().and_then(|all| all.get(&args.name)).cloned();
    let plan = connector::connection(connector, &args.name, &settings.unwrap_or_default());
    let section = configured.config.connections.get(&args.name);
    let mut secrets: BTreeMap<String, Secret> = BTreeMap::new();
    let mut found = |key: &str, reference: &SecretRef| {
        if let Ok(secret) = secrets::read(reference, &place.root) {
            secrets.insert(key.to_owned(), secret);
        }
    };
    if let Some(section) = section {
        section.secrets.iter().for_each(|(key, (_, reference))| found(key, reference));
    }
    for (key, secret) in &gathered.typed {
        secrets.insert(key.clone(), Secret::new(secret.expose().to_owned()));
    }
    let base_url = section.and_then(|section| section.base_url.clone());
    Ok(LiveConnection { base_url, secrets, root: place.root.clone(), ..LiveConnection::bare(plan) })
}

/// Makes the checks of the connector. An error where one of them says that this does not work.
async fn try_it(args: &Connect, live: &LiveConnection, config: &Config) -> Result<(), Exit> {
    if args.no_check {
        return Ok(());
    }
    if live.plan.checks.is_empty() {
        output::err(&format!("{}: nothing was asked: its connector names no check", args.name));
        return Ok(());
    }
    let found = check(live, &system_world(config)).await;
    for one in &found {
        output::out(&format!("{}: {}\n", args.name, checked_line(one)));
    }
    let lacking = found.iter().all(|one| matches!(one.finding, Finding::Lacks(_)));
    if found.iter().all(|one| one.finding.is_well()) && !lacking {
        return Ok(());
    }
    Err(Exit::Problems("nothing was written; `--no-check` writes it down all the same".to_owned()))
}

/// What else has to be known.
fn notes(args: &Connect, place: &mut Place, connector: &Connector, text: &str, first: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let configured = place.configured(text);
    let registers = connector.sources.iter().any(|source| source.register.is_some());
    match &configured.config.settings.public_url {
        None if registers => notes.push(format!(
            "set `public_url` under [server], and flowd registers the webhook of {} itself; {}",
            connector.title,
            if connector.sources.iter().any(|source| source.poll.is_some()) {
                "until then it is polled"
            } else {
                "it has no polls"
            }
        )),
        Some(url) if registers => notes.extend(unreachable_url(url).map(|reason| format!("warning: {reason}"))),
        Some(_) | None => {}
    }
    if first {
        let missing: Vec<String> = place.used_connections().into_iter().filter(|name| *name != args.name).collect();
        for name in missing {
            notes.push(format!("flow.toml lists connections now, and flows use `{name}`, too: `flowd connect {name}`"));
        }
    }
    notes
}

/// Why services would not take a public address.
pub(crate) fn unreachable_url(url: &str) -> Option<String> {
    let what = "`public_url` under [server]";
    let Some(rest) = url.strip_prefix("https://") else {
        return Some(format!("{what} is no https address, and services send webhooks to no other"));
    };
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    let local = host == "localhost" || host.starts_with("127.") || rest.starts_with("[::1]") || host.ends_with(".local");
    local.then(|| format!("{what} leads to {host}, which no service can reach"))
}

/// A running daemon takes the change by itself, unless it watches no files. What `flowd disconnect` has said ends here.
async fn tell_daemon(args: &Connect, place: &Place) {
    let project = place.project();
    let store = store_of(&project);
    match ask_running(&project, "POST", &format!("connections/{}/connect", encoded(&args.name))).await {
        Some(_) => {}
        None => {
            if let Some(reason) = store.and_then(|store| flow_runtime::register::connect(&store, &args.name).err()) {
                output::err(&reason);
            }
        }
    }
    let Some(reloaded) = ask_running(&project, "POST", "reload").await else { return };
    if reloaded.status == 200 {
        output::err(&format!("the running flowd has taken it: `flowd status` says how {} is", args.name));
    } else {
        output::err("the running flowd could not take it: `flowd reload` says why");
    }
}
