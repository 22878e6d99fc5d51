//! `flowd disconnect`: the webhook that flowd has registered goes, and where that is asked for the connection as well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use flow::output;
use flow::secrets;
use flow::terminal::printable;
use flow_compiler::config::{ConnectionConfig, SecretRef};
use flow_compiler::connector;
use flow_runtime::live::LiveConnection;
use flow_runtime::register;
use serde_json::Value as Json;

use crate::Exit;
use crate::args::Disconnect;
use crate::client::{Answer, ask_running, encoded, reason};
use crate::commands::connect::{Asker, FOLDER, Place, Toml, store_of};
use crate::commands::run::system_world;
use crate::commands::table::list;

pub(crate) async fn run(args: &Disconnect) -> Result<Exit, Exit> {
    let mut place = Place::open(&args.project)?;
    let name = printable(&args.name);
    let configured = place.configured(&place.text.clone());
    let known = configured.config.connections.get(&args.name).cloned();
    let left = store_of(&place.project()).map(|store| register::registered(&store, &args.name)).unwrap_or_default();
    if known.is_none() && !left.is_empty() {
        return leave(args, &place, &left).await;
    }
    if known.is_none() && !place.catalog.connectors.contains_key(&args.name) {
        return Err(Exit::Problems(format!("there is no connection `{name}`")));
    }
    if args.forget {
        may_forget(args, &mut place, known.as_ref())?;
    }
    let removed = match remove(args, &mut place, known.as_ref()).await {
        Ok(removed) => removed,
        Err(reason) => return Err(stays(args, &place, &reason)),
    };
    match removed.as_slice() {
        [] => output::out(&format!("{name}: no webhook is registered\n")),
        removed => output::out(&format!("{name}: removed at the service: {}\n", printable(&removed.join(", ")))),
    }
    if args.forget {
        forget(args, &place, &configured.config.connections)?;
        reload(&place).await;
    }
    Ok(Exit::Well)
}

/// What is left at the service, and what can be done about it: nothing of it is forgotten.
fn stays(args: &Disconnect, place: &Place, reason: &str) -> Exit {
    let name = printable(&args.name);
    let left = store_of(&place.project()).map(|store| register::registered(&store, &args.name)).unwrap_or_default();
    let what = match left.as_slice() {
        [] => "whether a webhook is left there is not known".to_owned(),
        left => format!("still registered at the service: {}", printable(&left.join(", "))),
    };
    Exit::Problems(format!(
        "{name}: {}\n{name}: {what}; nothing is forgotten here\n`flowd disconnect {name}` again removes it when the service can be asked; \
         where the key is what is wrong, `flowd connect {name} --renew` first\nor remove it at the service by hand, take \
         [connections.{name}] out of {}, and say `flowd disconnect {name} --forget`",
        printable(reason),
        place.toml_name()
    ))
}

async fn reload(place: &Place) {
    if let Some(answer) = ask_running(&place.project(), "POST", "reload").await
        && answer.status != 200
    {
        output::err("the running flowd could not take it: `flowd reload` says why");
    }
}

/// The webhooks of a connection that is not in flow.toml any more: without its key nobody can remove them from here.
async fn leave(args: &Disconnect, place: &Place, left: &[String]) -> Result<Exit, Exit> {
    let (name, left) = (printable(&args.name), printable(&left.join(", ")));
    if !args.forget {
        return Err(Exit::Problems(format!(
            "{left} of {name} is still registered, and {} has no [connections.{name}] with the key to remove it: put that back first, \
             or remove it at the service and say `flowd disconnect {name} --forget`",
            place.toml_name()
        )));
    }
    if let Some(store) = store_of(&place.project()) {
        register::forget(&store, &args.name).map_err(Exit::Problems)?;
    }
    output::out(&format!("{name}: {left} is forgotten here; if it is not removed at the service, it stays there\n"));
    reload(place).await;
    Ok(Exit::Well)
}

/// A connection that flows use cannot be taken away from them.
fn may_forget(args: &Disconnect, place: &mut Place, known: Option<&ConnectionConfig>) -> Result<(), Exit> {
    let name = printable(&args.name);
    if known.is_none() {
        return Err(Exit::Problems(format!("{} has no [connections.{name}]", place.toml_name())));
    }
    let text = place.text.clone();
    let flows = place.flows_of(&args.name, &text);
    if !flows.is_empty() {
        let flows: Vec<String> = flows.iter().map(|flow| printable(flow)).collect();
        return Err(Exit::Problems(format!(
            "flows use `{name}`: {}; take it out of them first. Nothing was changed",
            flows.join(", ")
        )));
    }
    let question = format!("Take [connections.{name}] and its secrets away?");
    if args.yes || Asker::new().confirm(&question) {
        return Ok(());
    }
    Err(Exit::Usage("nothing was changed; `--yes` says that it is meant".to_owned()))
}

/// Removes the webhooks: a running daemon does it, else this does. Returns the ids of what was removed.
/// An error says why not.
async fn remove(args: &Disconnect, place: &mut Place, known: Option<&ConnectionConfig>) -> Result<Vec<String>, String> {
    let project = place.project();
    if let Some(answer) = ask_running(&project, "POST", &format!("connections/{}/disconnect", encoded(&args.name))).await {
        return match answer {
            Answer { status: 200, json } => {
                Ok(list(&json, "removed").iter().filter_map(Json::as_str).map(str::to_owned).collect())
            }
            // The daemon does not know it: no flow uses it, so that it registers nothing. What is left from before is ours.
            Answer { status: 404, .. } => by_itself(args, place, known).await,
            answer => Err(reason(&answer).to_owned()),
        };
    }
    output::err("no daemon runs: this asks the service itself");
    by_itself(args, place, known).await
}

async fn by_itself(args: &Disconnect, place: &mut Place, known: Option<&ConnectionConfig>) -> Result<Vec<String>, String> {
    // Without a section there is no key, and what was registered once is known not to be.
    let (Some(store), Some(_)) = (store_of(&place.project()), known) else { return Ok(Vec::new()) };
    let configured = place.configured(&place.text.clone());
    let connector_name = known.map_or(args.name.as_str(), |known| known.connector.as_str());
    let Some(connector) = place.catalog.connectors.get(connector_name) else {
        return Err(format!("there is no connector `{connector_name}`"));
    };
    if register::registered(&store, &args.name).is_empty() && configured.config.settings.public_url.is_none() {
        return Ok(Vec::new());
    }
    let settings = configured.config.settings.connections.as_ref().and_then(|all| all.get(&args.name)).cloned();
    let mut live = LiveConnection {
        base_url: known.and_then(|known| known.base_url.clone()),
        root: place.root.clone(),
        ..LiveConnection::bare(connector::connection(connector, &args.name, &settings.unwrap_or_default()))
    };
    for (key, (_, reference)) in known.iter().flat_map(|known| &known.secrets) {
        let needed = connector.secrets.iter().any(|decl| decl.name == *key && decl.for_requests);
        match secrets::read(reference, &place.root) {
            Ok(secret) => drop(live.secrets.insert(key.clone(), secret)),
            Err(reason) if needed => return Err(format!("the secret `{key}` is missing: {reason}")),
            Err(_) => {}
        }
    }
    let world = system_world(&configured.config);
    let public_url = configured.config.settings.public_url.as_deref();
    register::disconnect(&store, &live, public_url, &world).await
}

/// Takes the section out of flow.toml, and the files of its secrets that lie in the project.
fn forget(args: &Disconnect, place: &Place, all: &BTreeMap<String, ConnectionConfig>) -> Result<(), Exit> {
    let mut toml = Toml::parse(&place.text).map_err(|error| Exit::Problems(error.to_string()))?;
    let name = place.toml_name();
    if toml.remove(&args.name) {
        flow::project::write_whole(&place.toml, &toml.text())
            .map_err(|error| Exit::Usage(format!("{name} cannot be written: {}", secrets::reason(&error))))?;
        output::out(&format!("{name} has no [connections.{}] any more\n", printable(&args.name)));
    }
    let others: BTreeSet<&str> = all
        .iter()
        .filter(|(other, _)| **other != args.name)
        .flat_map(|(_, other)| other.secrets.values())
        .filter_map(|(_, reference)| file_of(reference))
        .collect();
    for (_, reference) in all.get(&args.name).into_iter().flat_map(|known| known.secrets.values()) {
        let file = match reference {
            SecretRef::File(path) => path.clone(),
            SecretRef::Credential(name) => format!("{FOLDER}/{name}.cred"),
            SecretRef::Env(_) | SecretRef::Literal(_) => continue,
        };
        // Another connection may have the same key, and what lies elsewhere was not made here.
        let inside = !Path::new(&file).is_absolute() && !file.split('/').any(|part| part == "..");
        if inside && !others.contains(file.as_str()) {
            remove_file(place, &file);
        }
    }
    Ok(())
}

fn file_of(reference: &SecretRef) -> Option<&str> {
    match reference {
        SecretRef::File(path) => Some(path),
        SecretRef::Env(_) | SecretRef::Credential(_) | SecretRef::Literal(_) => None,
    }
}

fn remove_file(place: &Place, path: &str) {
    match std::fs::remove_file(place.root.join(path)) {
        Ok(()) => output::out(&format!("{} is removed\n", printable(path))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => output::err(&format!("{} is not removed: {}", printable(path), secrets::reason(&error))),
    }
}
