//! What a connection needs, from the command line, the environment, what is there already, and whoever is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use flow::output;
use flow::secrets;
use flow::terminal::printable;
use flow_compiler::catalog::{Connector, Setting};
use flow_compiler::config::{self, ConnectionConfig, SecretRef, parse_setting};
use flow_plan::{Env, Expr, SecretDecl, Value};
use flow_runtime::secret::Secret;

use super::ask::{Asker, NoAnswer, is_invisible};
use crate::Exit;
use crate::args::Connect;

/// How often somebody is asked for the same thing.
const TRIES: u32 = 3;

/// What was gathered.
pub(super) struct Gathered {
    /// Settings to write down.
    pub(super) settings: BTreeMap<String, Value>,
    /// Secrets that were typed or taken over, to keep.
    pub(super) typed: BTreeMap<String, Secret>,
    /// Secrets that flow.toml is to name a variable for.
    pub(super) by_env: BTreeMap<String, SecretRef>,
}

/// Gathers it. `known` is what flow.toml has so far.
pub(super) fn gather(
    args: &Connect,
    asker: &Asker,
    connector: &Connector,
    known: Option<&ConnectionConfig>,
    root: &Path,
) -> Result<Gathered, Exit> {
    let mut gathered = Gathered { settings: BTreeMap::new(), typed: BTreeMap::new(), by_env: BTreeMap::new() };
    given(args, connector, &mut gathered)?;
    let needed = needed(connector);
    for secret in connector.secrets.iter() {
        if gathered.typed.contains_key(&secret.name) || gathered.by_env.contains_key(&secret.name) {
            continue;
        }
        let before = known.and_then(|known| known.secrets.get(&secret.name)).map(|(_, reference)| reference);
        if let Some(reference) = before.filter(|_| !args.renew) {
            match secrets::read(reference, root) {
                Ok(_) => {
                    output::err(&format!("{}: kept, in {}", secret.name, secrets::described(reference)));
                    if let Some(odd) = open_to_others(reference, root) {
                        output::err(&format!("warning: {}: {odd}", secret.name));
                    }
                    continue;
                }
                Err(reason) => output::err(&format!("{}: {reason}", secret.name)),
            }
        }
        if let Some(typed) = secret_of(asker, connector, secret, needed.contains(secret.name.as_str()))? {
            gathered.typed.insert(secret.name.clone(), typed);
        }
    }
    lacks_all(connector, known, &gathered)?;
    // What is needed first: whoever pastes a key at once does so where it is asked for, and not shown.
    let own_address = args.base_url.is_some() || known.is_some_and(|known| known.base_url.is_some());
    let is_required =
        |setting: &Setting| setting.default.is_none() && !setting.ty.can_be_missing() && !(setting.in_base && own_address);
    let (required, optional): (Vec<&Setting>, Vec<&Setting>) = connector.settings.iter().partition(|one| is_required(one));
    for (setting, required) in required.into_iter().map(|one| (one, true)).chain(optional.into_iter().map(|one| (one, false))) {
        if !gathered.settings.contains_key(&setting.name) {
            let before = known.and_then(|known| known.values.get(&setting.name)).map(|given| &given.value);
            if let Some(value) = setting_of(asker, connector, setting, before, required)? {
                gathered.settings.insert(setting.name.clone(), value);
            }
        }
    }
    Ok(gathered)
}

/// A connection that needs one of several secrets has one.
fn lacks_all(connector: &Connector, known: Option<&ConnectionConfig>, gathered: &Gathered) -> Result<(), Exit> {
    let is_there = |name: &String| {
        let known = known.is_some_and(|known| known.secrets.contains_key(name));
        known || gathered.typed.contains_key(name) || gathered.by_env.contains_key(name)
    };
    match connector.api.one_of.iter().find(|group| !group.iter().any(is_there)) {
        Some(group) => Err(Exit::Problems(format!("{} needs one of {}; nothing was written", connector.title, group.join(", ")))),
        None => Ok(()),
    }
}

/// What stands on the command line.
fn given(args: &Connect, connector: &Connector, gathered: &mut Gathered) -> Result<(), Exit> {
    for text in &args.settings {
        let (name, value) = pair(text, "--set org=acme")?;
        if connector.secrets.iter().any(|secret| secret.name == name) {
            return Err(Exit::Usage(format!(
                "`{name}` is a secret, and others can read a command line: give it on standard input, or with \
                 `--secret-from-env {name}=VARIABLE`"
            )));
        }
        let Some(setting) = connector.settings.iter().find(|setting| setting.name == name) else {
            let known: Vec<&str> = connector.settings.iter().map(|setting| setting.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Exit::Usage(format!("{} has no setting `{}`; it has: {known}", connector.title, printable(name))));
        };
        if looks_secret(connector, value) {
            return Err(Exit::Usage(format!(
                "what was given for `{name}` begins as a secret does, and others can read a command line: take it for known, and \
                 get another one"
            )));
        }
        let parsed = parse_setting(&setting.ty, value).ok_or_else(|| {
            Exit::Usage(format!(
                "`{name}` of {} is {}, and `{}` is none",
                connector.title,
                setting.ty.required(),
                printable(value)
            ))
        })?;
        gathered.settings.insert(name.to_owned(), parsed);
    }
    let secret = |text: &str, example: &str| -> Result<(SecretDecl, SecretRef), Exit> {
        let (name, variable) = pair(text, example)?;
        let found = connector.secrets.iter().find(|secret| secret.name == name).ok_or_else(|| {
            let known: Vec<&str> = connector.secrets.iter().map(|secret| secret.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Exit::Usage(format!("{} has no secret `{}`; it has: {known}", connector.title, printable(name)))
        })?;
        Ok((found.clone(), SecretRef::Env(variable.to_owned())))
    };
    for text in &args.secret_from_env {
        let (decl, reference) = secret(text, "--secret-from-env key=STRIPE_KEY")?;
        let read =
            secrets::read(&reference, Path::new(".")).map_err(|reason| Exit::Problems(format!("{}: {reason}", decl.name)))?;
        fits(connector, &decl, &read).map_err(Exit::Problems)?;
        gathered.typed.insert(decl.name, read);
    }
    for text in &args.by_env {
        let (decl, reference) = secret(text, "--by-env key=STRIPE_KEY")?;
        match secrets::read(&reference, Path::new(".")) {
            Ok(read) => fits(connector, &decl, &read).map_err(Exit::Problems)?,
            Err(reason) => output::err(&format!("{}: {reason}; it has to be there when flowd starts", decl.name)),
        }
        gathered.by_env.insert(decl.name, reference);
    }
    Ok(())
}

fn pair<'t>(text: &'t str, example: &str) -> Result<(&'t str, &'t str), Exit> {
    // What follows may be a secret that was given by mistake.
    text.split_once('=').ok_or_else(|| Exit::Usage(format!("a name and a value belong together, as in `{example}`")))
}

fn setting_of(
    asker: &Asker,
    connector: &Connector,
    setting: &Setting,
    before: Option<&Value>,
    required: bool,
) -> Result<Option<Value>, Exit> {
    // What nobody has to say is asked of people alone.
    if !asker.is_person() && (before.is_some() || !required) {
        return Ok(None);
    }
    let default = before.or(setting.default.as_ref());
    let about = if setting.docs.is_empty() { String::new() } else { format!("\n{}", setting.docs) };
    let offer = match default {
        Some(value) => format!(" [{}]", plain(value)),
        None if !required => " [none]".to_owned(),
        None => String::new(),
    };
    let prompt = format!("{about}\n{} ({}){offer}: ", setting.name, setting.ty.required());
    for _ in 0..TRIES {
        match asker.ask(&setting.name, &prompt).map_err(|error| unanswered(connector, &error))? {
            None if default.is_some() || !required => return Ok(None),
            None => output::err(&format!("{} needs it", connector.title)),
            Some(text) if looks_secret(connector, &text) => output::err(&format!(
                "that begins as a secret does, and `{}` is none: it was not taken. The screen has shown it, so clear that",
                setting.name
            )),
            Some(text) => match parse_setting(&setting.ty, &text) {
                Some(value) => return Ok(Some(value)),
                // It may be a secret, and has been shown once already.
                None => output::err(&format!("`{}` is {}, and that is not", setting.name, setting.ty.required())),
            },
        }
        if !asker.is_person() {
            break;
        }
    }
    Err(Exit::Problems(format!("`{}` of {} is missing; nothing was written", setting.name, connector.title)))
}

/// Tells whether a text begins as a secret does, of this service or of a well-known one. What has such a shape alone may be an id,
/// and an address need be no secret one.
fn looks_secret(connector: &Connector, text: &str) -> bool {
    let starts = connector.secrets.iter().flat_map(|secret| &secret.starts_with).filter(|start| !start.ends_with("://"));
    let text = unquoted(text);
    config::begins_as_secret(text) || starts.into_iter().any(|start| text.starts_with(start.as_str()))
}

/// A text without the quotes that stand around it.
fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    ['"', '\'', '`'].into_iter().find_map(inner).unwrap_or(text)
}

fn plain(value: &Value) -> String {
    match value {
        Value::List(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn secret_of(asker: &Asker, connector: &Connector, secret: &SecretDecl, needed: bool) -> Result<Option<Secret>, Exit> {
    if !secret.for_requests {
        // flowd itself registers the webhook, and then has its secret.
        let registers = connector.sources.iter().any(|source| source.register.is_some());
        if registers || !asker.is_person() {
            return Ok(None);
        }
    }
    let hint = secret.hint.as_ref().map(|hint| format!("\n{hint}")).unwrap_or_default();
    let offer = if needed { "" } else { " [none]" };
    let prompt = format!("{hint}\n{}{offer}: ", secret.name);
    for _ in 0..TRIES {
        let answer = match asker.ask_secret(&secret.name, &prompt).map(|typed| typed.map(|typed| bare(secret, typed))) {
            // A script gives no more; a person who ends it wants nothing of it.
            Err(NoAnswer::Ended(_)) if !needed && !asker.is_person() => None,
            answer => answer.map_err(|error| unanswered(connector, &error))?,
        };
        match answer {
            None if !needed => return Ok(None),
            None => output::err(&format!("{} needs it", connector.title)),
            Some(typed) => match fits(connector, secret, &typed) {
                Ok(()) => return Ok(Some(typed)),
                Err(reason) if asker.is_person() => output::err(&reason),
                Err(reason) => return Err(Exit::Problems(format!("{reason}; nothing was written"))),
            },
        }
        if !asker.is_person() {
            break;
        }
    }
    Err(Exit::Problems(format!("`{}` of {} is missing; nothing was written", secret.name, connector.title)))
}

/// Says that others may read a secret's file, where that is so.
pub(crate) fn open_to_others(reference: &SecretRef, root: &Path) -> Option<String> {
    let mode = secrets::open_to_others(reference, root)?;
    Some(format!("others than its owner may read {} (mode {mode:o}): chmod 600", secrets::described(reference)))
}

fn unanswered(connector: &Connector, error: &NoAnswer) -> Exit {
    Exit::Usage(format!("{error}; {} is not set up, and nothing was written", connector.title))
}

/// A secret without the quotes that it was copied with, where it is plain that they are none of it.
fn bare(decl: &SecretDecl, typed: Secret) -> Secret {
    let inner = unquoted(typed.expose());
    let has_form = decl.hex_digits.is_some() || !decl.starts_with.is_empty();
    let is_bare = has_form && inner.len() < typed.expose().len() && unlike(decl, inner).is_none();
    if is_bare { Secret::new(inner.to_owned()) } else { typed }
}

/// Whether a text can be this secret. It is never repeated.
fn fits(connector: &Connector, decl: &SecretDecl, secret: &Secret) -> Result<(), String> {
    let text = secret.expose();
    if text.chars().any(char::is_control) {
        return Err(format!("`{}` of {} holds a control character, such as a line break", decl.name, connector.title));
    }
    if text.chars().any(is_invisible) {
        return Err(format!("`{}` of {} holds a character that nobody sees: copy it anew", decl.name, connector.title));
    }
    if !decl.starts_with.is_empty() && text.contains(char::is_whitespace) {
        return Err(format!(
            "`{}` of {} has a blank in it, so it is more than the secret, or two parts",
            decl.name, connector.title
        ));
    }
    let Some(unlike) = unlike(decl, text) else { return Ok(()) };
    let where_from = decl.hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default();
    Err(format!("`{}` of {} {}{where_from}", decl.name, connector.title, unlike))
}

/// Returns what the secrets of a kind are like, where this is not. Nothing of it is repeated.
pub(crate) fn unlike(decl: &SecretDecl, text: &str) -> Option<String> {
    if let Some(wanted) = decl.hex_digits {
        let length = text.chars().count();
        if !text.chars().all(|c| c.is_ascii_hexdigit()) {
            return Some(format!("is {wanted} hexadecimal digits (0 to 9, a to f), and this has other characters"));
        }
        if usize::try_from(wanted) != Ok(length) {
            return Some(format!("is {wanted} hexadecimal digits, and this is {length}"));
        }
    }
    if decl.starts_with.is_empty() || decl.starts_with.iter().any(|start| text.starts_with(start.as_str())) {
        return None;
    }
    let kinds: Vec<String> = decl.starts_with.iter().map(|start| format!("`{start}`")).collect();
    Some(format!("begins with {}, and this does not", kinds.join(" or ")))
}

/// The secrets without which no request can be made. Others may belong to a part of the service that nobody uses.
fn needed(connector: &Connector) -> BTreeSet<&str> {
    // Some brokers and servers ask for nothing.
    if connector.api.via.is_some() && connector.api.auth.is_none() {
        return BTreeSet::new();
    }
    let auth = connector.api.auth.iter().flat_map(|auth| &auth.args);
    let headers = connector.api.headers.iter().map(|(_, value)| value);
    let mut found = BTreeSet::new();
    for expr in auth.chain(headers) {
        expr.walk(&mut |part| {
            if let Expr::Env(Env::Secret(name)) = part {
                let named = connector.secrets.iter().filter(|secret| secret.name == *name && !secret.optional);
                found.extend(named.map(|secret| secret.name.as_str()));
            }
        });
    }
    // Where there is no authorisation for all, one secret is needed at least.
    let mut for_requests = connector.secrets.iter().filter(|secret| secret.for_requests && !secret.optional);
    if let (true, Some(only), None) = (found.is_empty(), for_requests.next(), for_requests.next()) {
        found.insert(only.name.as_str());
    }
    found
}
