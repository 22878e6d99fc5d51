//! Where a service is, and how requests to it are authorised.

use crate::document::Node;
use crate::name::{self, Taken};
use crate::schema::{self, Kind};
use crate::spec::Spec;
use crate::words::{self, clean, quoted};

/// Everything of a connector that is neither record nor operation, as its lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) docs: Vec<String>,
    pub(crate) lines: Vec<String>,
    /// How requests are authorised: the names of the schemes.
    pub(crate) schemes: Vec<String>,
}

/// Reads what all operations share.
pub(crate) fn service(spec: &Spec<'_>, name: &str) -> Service {
    let root = spec.root();
    let info = root.get("info");
    let text = |key: &str| info.and_then(|info| info.text_at(key)).unwrap_or("");
    let title = clean(text("title"), 60);
    let mut docs = words::lines(text("description"), 400);
    let version =
        info.and_then(|info| info.get("version")).and_then(Node::scalar).map(|version| clean(&version, 30)).unwrap_or_default();
    if docs.is_empty() {
        docs.push(format!("{}.", if title.is_empty() { name } else { &title }));
    }
    docs.push(format!(
        "Imported from its OpenAPI description{}.",
        if version.is_empty() { String::new() } else { format!(", version {version}") }
    ));
    let mut service = Service {
        name: name.to_owned(),
        title: if title.is_empty() { name.to_owned() } else { title },
        docs,
        ..Service::default()
    };
    let address = root.get("externalDocs").and_then(|docs| docs.text_at("url"));
    if let Some(url) = address.filter(|url| url.starts_with("https://") || url.starts_with("http://")) {
        service.lines.push(format!("docs {}\n", quoted(&clean(url, 200))));
    }
    let mut taken = Taken::default();
    let auth = authorisation(spec, &mut service, &mut taken);
    let base = base(spec, &mut service, &mut taken);
    service.lines.push(String::new());
    service.lines.extend(base);
    service.lines.extend(auth);
    if let Some(path) = error_text(spec) {
        service.lines.push(format!("error text {}", words::key(&path)));
    }
    service
}

/// The address, with settings for what varies.
fn base(spec: &Spec<'_>, service: &mut Service, taken: &mut Taken) -> Vec<String> {
    let servers = spec.root().items_at("servers");
    let url = |server: &Node| server.text_at("url").unwrap_or("").trim().to_owned();
    let leads_somewhere = |address: &str| {
        let host = address.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(""));
        host.is_some_and(|host| !host.is_empty())
    };
    let first = servers.iter().find(|server| leads_somewhere(&url(server))).or_else(|| servers.first());
    let address = first.map(&url).unwrap_or_default();
    let known = address.split(['?', '#']).next().unwrap_or("").to_owned();
    let lost = known.len() < address.len();
    let mut lines = Vec::new();
    let others: Vec<String> =
        servers.iter().map(&url).filter(|other| *other != address).take(5).map(|other| clean(&other, 120)).collect();
    if !others.is_empty() {
        lines.push(format!("# There is also {}: `base_url` in flow.toml chooses another.", others.join(", ")));
    }
    if lost {
        lines.push("# not imported: what stands behind the `?` or `#` of its address".to_owned());
    }
    let (mut text, mut rest) = match known.split_once("://").filter(|_| leads_somewhere(&known)) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => ("http://".to_owned(), rest),
        Some((_, rest)) => ("https://".to_owned(), rest),
        None => {
            let host = taken.take("host");
            service.lines.push("## The name of the server: the description does not say it.".to_owned());
            service.lines.push(format!("setting {host}: text"));
            let path = known.split_once("://").map_or(known.as_str(), |(_, path)| path);
            (format!("https://{{{host}}}/"), path.trim_start_matches('/'))
        }
    };
    let variables = first.and_then(|server| server.get("variables"));
    while let Some((before, behind)) = rest.split_once('{') {
        text.push_str(&escaped(before));
        let Some((variable, after)) = behind.split_once('}') else { break };
        rest = after;
        let declared = variables.and_then(|variables| variables.get(variable));
        let default = declared.and_then(|declared| declared.get("default")).and_then(Node::scalar);
        let default = default.map(|default| clean(&default, 200)).unwrap_or_default();
        // What has several parts cannot be one setting.
        if default.contains('/') {
            text.push_str(&escaped(default.trim_matches('/')));
            continue;
        }
        let name = taken.take(&name::snake(variable, "setting"));
        let members: Vec<String> =
            declared.into_iter().flat_map(|declared| declared.items_at("enum")).filter_map(Node::scalar).collect();
        let docs = declared.and_then(|declared| declared.text_at("description")).unwrap_or("");
        service.lines.extend(words::lines(docs, 200).into_iter().map(|line| format!("## {line}")));
        let ty = if members.len() > 1 && members.iter().all(|member| words::can_be_key(member)) {
            crate::print::members(&members, false)
        } else {
            "text".to_owned()
        };
        // A default that stands for "fill yours in" is none.
        let fits = if ty == "text" { !is_placeholder(&default, variable) } else { members.contains(&default) };
        let usable = !default.is_empty() && fits;
        let default = if usable { format!(" = {}", quoted(&default)) } else { String::new() };
        service.lines.push(format!("setting {}: {ty}{default}", name::written(&name)));
        text.push_str(&format!("{{{}}}", name::written(&name)));
    }
    text.push_str(&escaped(rest.trim_end_matches('/')));
    lines.push(format!("base \"{text}\""));
    lines
}

fn is_placeholder(default: &str, variable: &str) -> bool {
    let lower = default.to_ascii_lowercase();
    lower == variable.to_ascii_lowercase()
        || ["your", "example", "demo", "tenant", "subdomain", "acme", "company"].iter().any(|word| lower.contains(word))
}

/// A part of an address, to stand in quotes.
fn escaped(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '{' | '}' | '#' | '?' | '<' | '>' | '`'))
        .collect();
    kept
}

/// How well a scheme suits a program that runs alone.
fn rank(node: &Node) -> Option<u8> {
    match (node.text_at("type").unwrap_or(""), node.text_at("scheme").unwrap_or("").to_ascii_lowercase().as_str()) {
        ("http", "bearer") => Some(0),
        ("apiKey", _) if node.text_at("in") == Some("header") => Some(1),
        ("http", "basic") => Some(2),
        ("oauth2" | "openIdConnect", _) => Some(3),
        ("apiKey", _) if matches!(node.text_at("in"), Some("query" | "cookie")) => Some(4),
        _ => None,
    }
}

fn authorisation(spec: &Spec<'_>, service: &mut Service, taken: &mut Taken) -> Vec<String> {
    let root = spec.root();
    let declared = root.get("components").and_then(|components| components.get("securitySchemes"));
    let scheme =
        |name: &str| declared.and_then(|declared| declared.get(name)).and_then(|node| spec.resolve(node)).map(|found| found.node);
    let names = |requirement: &Node| -> Vec<String> { requirement.entries().iter().map(|(name, _)| name.clone()).collect() };
    // What holds for all operations, else what most of them want.
    let mut wanted: Vec<Vec<String>> = root.items_at("security").iter().map(names).filter(|names| !names.is_empty()).collect();
    if wanted.is_empty() {
        let operations = root.entries_at("paths").iter().flat_map(|(_, item)| item.entries()).take(5_000);
        let mut counts: Vec<(Vec<String>, usize)> = Vec::new();
        for requirement in operations.flat_map(|(_, operation)| operation.items_at("security")) {
            let names = names(requirement);
            if let Some((_, count)) = counts.iter_mut().find(|(known, _)| *known == names) {
                *count += 1;
            } else if !names.is_empty() && counts.len() < 50 {
                counts.push((names, 1));
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        wanted = counts.into_iter().map(|(names, _)| names).take(8).collect();
    }
    if wanted.is_empty() && declared.is_some_and(|declared| !declared.entries().is_empty()) {
        wanted = declared.map(names).unwrap_or_default().into_iter().map(|name| vec![name]).collect();
    }
    let rated = |names: &Vec<String>| -> Option<u8> {
        names.iter().map(|name| scheme(name).and_then(rank)).collect::<Option<Vec<u8>>>()?.into_iter().max()
    };
    let best = wanted.iter().filter_map(|names| Some((rated(names)?, names))).min_by_key(|(rank, _)| *rank);
    let Some((_, names)) = best else {
        let shown: Vec<String> = wanted.iter().flatten().take(5).map(|name| clean(name, 40)).collect();
        return if shown.is_empty() {
            vec!["# The description names no authorisation.".to_owned()]
        } else {
            vec![format!("# not imported: the authorisation by {}", shown.join(" or "))]
        };
    };
    let mut lines = Vec::new();
    let mut main = false;
    service.schemes = names.clone();
    for name in names {
        if let Some(node) = scheme(name) {
            lines.extend(one(node, name, service, taken, &mut main));
        }
    }
    lines
}

/// The line for one scheme; the first is `auth`, further ones are headers.
fn one(node: &Node, name: &str, service: &mut Service, taken: &mut Taken, main: &mut bool) -> Vec<String> {
    let docs = words::lines(node.text_at("description").unwrap_or(""), 200);
    let mut secret = |wanted: &str, hint: &str| -> String {
        let name = taken.take(wanted);
        service.lines.extend(docs.iter().map(|line| format!("## {line}")));
        if docs.is_empty() {
            service.lines.push(format!("## {hint}"));
        }
        service.lines.push(format!("secret {}", name::written(&name)));
        name::written(&name)
    };
    let key = node.text_at("name").unwrap_or("");
    let usable = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'{'));
    let first = !std::mem::replace(main, true);
    match (node.text_at("type").unwrap_or(""), node.text_at("scheme").unwrap_or("").to_ascii_lowercase().as_str()) {
        ("http", "bearer") if first => vec![format!("auth bearer({})", secret("token", "What requests are authorised with."))],
        ("http", "basic") if first => {
            let user = secret("user", "The name of the user, or the key.");
            let password = secret("password", "The password; some services take none beside a key.");
            vec![format!("auth basic({user}, {password})")]
        }
        ("oauth2" | "openIdConnect", _) if first => {
            let token = secret("token", "An access token.");
            vec![
                "# The service hands out tokens by OAuth 2. flowd does not renew them: use one that lasts, such as a personal"
                    .to_owned(),
                "# access token, or let a program of yours write the newest to the file that flow.toml names.".to_owned(),
                format!("auth bearer({token})"),
            ]
        }
        ("apiKey", _) if usable && node.text_at("in") == Some("header") => {
            let secret = secret(&name::snake(if first { "api_key" } else { key }, "key"), "The key of the API.");
            let key = quoted(key);
            vec![if first { format!("auth header({key}, {secret})") } else { format!("header {key} {secret}") }]
        }
        ("apiKey", _) if usable && first && node.text_at("in") == Some("query") => {
            let secret = secret("api_key", "The key of the API.");
            vec![format!("auth query({}, {secret})", quoted(key))]
        }
        ("apiKey", _) if usable && first && node.text_at("in") == Some("cookie") => {
            let secret = secret("session", "What the cookie holds.");
            vec![format!("auth header(\"Cookie\", \"{}={{{secret}}}\")", escaped(key))]
        }
        _ => vec![format!("# not imported: the authorisation by {}", clean(name, 60))],
    }
}

/// Where errors say what is wrong, as the first of the answers that are none tell.
fn error_text(spec: &Spec<'_>) -> Option<String> {
    let mut looked = 0;
    for (_, item) in spec.root().entries_at("paths") {
        for (_, operation) in item.entries() {
            for (status, response) in operation.entries_at("responses") {
                if !(status.starts_with('4') || status == "default")
                    || status == "404" && looked == 0 && operation.entries_at("responses").len() > 2
                {
                    continue;
                }
                looked += 1;
                if looked > 20 {
                    return None;
                }
                let found = spec.resolve(response)?;
                let Some(schema) = crate::answer::json(found.node.entries_at("content")).and_then(|media| media.get("schema"))
                else {
                    continue;
                };
                if let Some(path) = message(spec, schema, 0) {
                    return Some(path);
                }
            }
        }
    }
    None
}

/// The path of a message within an error.
fn message<'s>(spec: &Spec<'s>, node: &'s Node, depth: usize) -> Option<String> {
    let schema = schema::read(spec, node);
    let property = |name: &str| schema.properties().iter().find(|property| property.name == name);
    for name in ["message", "detail", "error_description", "title", "description", "msg", "reason"] {
        if let Some(found) = property(name)
            && matches!(schema::read(spec, found.node).kind, Kind::Text)
        {
            return Some(name.to_owned());
        }
    }
    if depth >= 2 {
        return None;
    }
    for name in ["error", "errors", "fault"] {
        let Some(found) = property(name) else { continue };
        match schema::read(spec, found.node).kind {
            Kind::Text => return Some(name.to_owned()),
            Kind::Object(_) => {
                if let Some(inner) = message(spec, found.node, depth + 1) {
                    return Some(format!("{name}.{inner}"));
                }
            }
            Kind::List(_) => {
                let items = found.node.get("items").or_else(|| spec.resolve(found.node)?.node.get("items"))?;
                if let Some(inner) = message(spec, items, depth + 1) {
                    return Some(format!("{name}[0].{inner}"));
                }
            }
            _ => {}
        }
    }
    None
}
