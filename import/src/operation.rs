//! Operations: what reads becomes a query, what changes something an action.

use std::collections::BTreeMap;

use crate::document::Node;
use crate::input::{self, Input, Parameter, Place};
use crate::name::{self, Taken};
use crate::record::{Records, Ty};
use crate::schema::Kind;
use crate::service::{self, Service};
use crate::spec::Spec;
use crate::title::{self, Paths};
use crate::words::{self, clean};
use crate::{ImportError, Options, Progress, answer, body, print};

/// How many operations one connector may get.
const MOST: usize = 10_000;
/// The methods of operations.
const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];
/// Headers under which services drop what they have seen.
const KEYS: [&str; 4] = ["idempotency-key", "x-idempotency-key", "idempotencykey", "idempotency_key"];

/// For how long a service is taken to remember keys, which hardly a description says: shorter than any that is known.
const KEPT: &str = "1 hour";

/// One operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) action: bool,
    pub(crate) name: String,
    pub(crate) docs: Vec<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) output: Option<Ty>,
    pub(crate) optional: bool,
    /// The request, and what stands below it.
    pub(crate) lines: Vec<String>,
}

/// What stands in a connector behind its records.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// A heading.
    Section(String),
    Operation(Box<Operation>),
    /// What could not be imported.
    Comment(String),
}

/// A connector as text, and what is to be said about it.
pub(crate) struct Connector {
    pub(crate) text: String,
    pub(crate) total: usize,
    pub(crate) left_out: Vec<(String, String)>,
}

/// An operation as it is described.
struct Described<'s> {
    path: &'s str,
    method: String,
    node: &'s Node,
    /// The parameters of all operations of the path.
    shared: &'s [Node],
    /// Other addresses than those of the whole.
    elsewhere: bool,
    tag: String,
}

/// Makes the connector.
pub(crate) fn import(spec: &Spec<'_>, options: &Options, tell: &mut dyn FnMut(Progress)) -> Result<Connector, ImportError> {
    let all = described(spec);
    if all.is_empty() {
        return Err(ImportError::Empty);
    }
    let chosen = chosen(&all, &options.only)?;
    if chosen.len() > MOST {
        return Err(ImportError::TooLarge(format!(
            "{} operations, and a connector gets {MOST} at most; choose some with --only: {}",
            chosen.len(),
            known(&all)
        )));
    }
    let mut paths = Paths::default();
    all.iter().for_each(|one| paths.add(one.path, &one.method));
    let mut service = service::service(spec, &options.name);
    service.lines.extend(harmless(spec, &all));
    if options.keyed_by.is_some() {
        service.lines.push(format!("# Below, {KEPT} is a guess: look up for how long the service remembers keys."));
    }
    let mut maker =
        Maker { spec, options, records: Records::new(spec), names: Taken::default(), service: &service, paths: &paths };
    let mut left_out = Vec::new();
    let mut parts = Vec::new();
    let mut section = None;
    for (done, one) in chosen.iter().enumerate() {
        tell(Progress::Operation(done, chosen.len()));
        if section.as_ref() != Some(&one.tag) {
            section = Some(one.tag.clone());
            parts.push(Part::Section(one.tag.clone()));
        }
        let shown = format!("{} {}", one.method, clean(one.path, 120));
        match maker.operation(one) {
            Ok(operation) => parts.push(Part::Operation(Box::new(operation))),
            Err(reason) => {
                parts.push(Part::Comment(format!("not imported: {shown}: {reason}")));
                left_out.push((shown, reason));
            }
        }
    }
    for (name, _) in spec.root().entries_at("webhooks").iter().take(100) {
        let name = clean(name, 80);
        parts.push(Part::Comment(format!(
            "not imported: the webhook `{name}`: how it is signed is not described; see docs/connectors.md"
        )));
    }
    let text = print::connector(&service, &maker.records, &parts);
    Ok(Connector { text, total: chosen.len(), left_out })
}

/// Returns all operations, those of one tag together where they have tags.
fn described<'s>(spec: &Spec<'s>) -> Vec<Described<'s>> {
    let mut all = Vec::new();
    let declared: Vec<&str> = spec.root().items_at("tags").iter().filter_map(|tag| tag.text_at("name")).collect();
    for (path, item) in spec.root().entries_at("paths") {
        let Some(found) = spec.resolve(item) else { continue };
        let elsewhere = |node: &Node| !node.items_at("servers").is_empty();
        let own = found.node.entries().iter().filter(|(method, _)| METHODS.contains(&method.as_str()));
        for (method, node) in own.chain(found.node.entries_at("additionalOperations")) {
            if !matches!(node, Node::Object(_)) {
                continue;
            }
            let tag =
                node.items_at("tags").first().and_then(Node::text).map_or_else(|| title::first_word(path), |tag| clean(tag, 60));
            all.push(Described {
                path,
                method: clean(&method.to_ascii_uppercase(), 30),
                node,
                shared: found.node.items_at("parameters"),
                elsewhere: elsewhere(node) || elsewhere(found.node),
                tag,
            });
        }
    }
    // In the order of the tags, as far as it is given, else in that of the text.
    let mut order: BTreeMap<String, usize> = BTreeMap::new();
    for tag in declared.iter().map(|tag| clean(tag, 60)).chain(all.iter().map(|one| one.tag.clone())) {
        let next = order.len();
        order.entry(tag).or_insert(next);
    }
    all.sort_by_key(|one| order.get(&one.tag).copied());
    all
}

/// The request by which `flowd connect` can tell whether the credentials work: one that reads who asks, and needs nothing.
fn harmless(spec: &Spec<'_>, all: &[Described<'_>]) -> Option<String> {
    const WHO: [&str; 9] = ["me", "self", "whoami", "account", "user", "profile", "auth.test", "ping", "status"];
    let fits = |one: &Described<'_>, word: &str| {
        let path = one.path.trim_matches('/');
        let needs = |node: &Node| match input::parameter(spec, node) {
            Ok(parameter) => parameter.is_some_and(|parameter| parameter.required),
            Err(reason) => reason.starts_with('!'),
        };
        one.method == "GET"
            && !one.elsewhere
            && path.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(word))
            && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte))
            // What anybody may ask says nothing about the credentials.
            && !one.node.get("security").is_some_and(|security| security.items().is_empty())
            && !one.node.items_at("parameters").iter().chain(one.shared).take(300).any(needs)
    };
    let found = WHO.iter().find_map(|word| all.iter().find(|one| fits(one, word)))?;
    Some(format!("check {{ GET \"/{}\" }}", found.path.trim_matches('/')))
}

fn known(all: &[Described<'_>]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for one in all {
        match counts.last_mut() {
            Some((tag, count)) if *tag == one.tag => *count += 1,
            _ => counts.push((&one.tag, 1)),
        }
    }
    let shown: Vec<String> = counts.iter().take(40).map(|(tag, count)| format!("{tag} ({count})")).collect();
    let more = if counts.len() > 40 { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn chosen<'d, 's>(all: &'d [Described<'s>], only: &[String]) -> Result<Vec<&'d Described<'s>>, ImportError> {
    let fits = |one: &Described<'_>, wanted: &str| {
        let tags = one.node.items_at("tags").iter().filter_map(Node::text);
        tags.chain([one.tag.as_str(), title::first_word(one.path).as_str()]).any(|tag| tag.eq_ignore_ascii_case(wanted))
    };
    if let Some(tag) = only.iter().find(|tag| !all.iter().any(|one| fits(one, tag))) {
        return Err(ImportError::UnknownTag { tag: clean(tag, 60), known: known(all) });
    }
    Ok(all.iter().filter(|one| only.is_empty() || only.iter().any(|tag| fits(one, tag))).collect())
}

/// A part of an address as requests have it: what is no ASCII is encoded.
fn encoded(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_graphic() { out.push(char::from(byte)) } else { out.push_str(&format!("%{byte:02X}")) }
    }
    out
}

struct Maker<'s, 'd> {
    spec: &'d Spec<'s>,
    options: &'d Options,
    records: Records<'s, 'd>,
    names: Taken,
    service: &'d Service,
    paths: &'d Paths,
}

impl<'s> Maker<'s, '_> {
    fn operation(&mut self, one: &Described<'s>) -> Result<Operation, String> {
        match one.method.as_str() {
            "GET" | "PUT" | "POST" | "DELETE" | "PATCH" => {}
            "HEAD" | "OPTIONS" | "TRACE" => return Err(format!("{} gives nothing to a flow", one.method)),
            other => return Err(format!("a connector has no requests by {}", clean(other, 30))),
        }
        if one.elsewhere {
            return Err("it has an address of its own".to_owned());
        }
        let action = one.method != "GET";
        let mut notes = Vec::new();
        let mut taken = Taken::default();
        let parameters = self.parameters(one, &mut notes)?;
        let mut inputs: Vec<Input> = Vec::new();
        let path = self.path(one.path, &parameters, &mut inputs, &mut taken)?;
        let mut request = format!("{} {path}", one.method);
        let mut effect = match one.method.as_str() {
            "PUT" | "DELETE" => "effect set".to_owned(),
            _ => "effect once".to_owned(),
        };
        let keyed = |header: &str| format!("effect keyed header {} for {KEPT}", words::quoted(header));
        if let Some(header) = self.options.keyed_by.as_deref().filter(|_| one.method == "POST") {
            effect = keyed(header);
        }
        let mut query: Vec<(Input, String)> = Vec::new();
        let mut constants = Vec::new();
        let mut headers = Vec::new();
        for parameter in &parameters {
            let is_key = parameter.place == Place::Header && KEYS.contains(&parameter.name.to_ascii_lowercase().as_str());
            if is_key && action {
                effect = keyed(parameter.name);
                let said = clean(parameter.schema.docs.unwrap_or(""), 200);
                let said = if said.is_empty() { said } else { format!(" Of the header it says: {said}") };
                notes.push(format!("{KEPT} is a guess: look up for how long the service remembers keys.{said}"));
                continue;
            }
            match parameter.place {
                Place::Path => {}
                Place::Query if matches!(parameter.schema.kind, Kind::Object(_)) && parameter.style != input::Style::Brackets => {
                    notes.push(format!("not imported: the parameter `{}`, an object in the address", clean(parameter.name, 60)));
                }
                Place::Query if let Some(constant) = input::constant(&parameter.schema, parameter.required) => {
                    constants.push(input::field(parameter.name, &constant));
                }
                Place::Header if let Some(constant) = input::constant(&parameter.schema, parameter.required) => {
                    headers.push(format!("header {} {constant}", words::quoted(parameter.name)));
                }
                Place::Query => {
                    let input = self.input(parameter, "query", &mut taken);
                    query.push((input.clone(), input::pair(&input, parameter.style)));
                    inputs.push(input);
                }
                Place::Header => {
                    let input = self.input(parameter, "header", &mut taken);
                    if matches!(input.field.ty, Ty::Plain(..) | Ty::Enum { .. }) {
                        headers.push(format!("header {} {}", words::quoted(parameter.name), input.value));
                        inputs.push(input);
                    } else {
                        notes.push(format!("not imported: the header `{}`, which is no single value", clean(parameter.name, 60)));
                    }
                }
            }
        }
        let mut carried = String::new();
        if action {
            let body = body::body(self.spec, one.node, &mut taken)?;
            carried = body.text;
            if let Some(content_type) = body.content_type.filter(|_| !carried.is_empty()) {
                headers.push(format!("header \"Content-Type\" {}", words::quoted(&content_type)));
            }
            inputs.extend(body.inputs);
            notes.extend(body.notes);
        }
        let (title, otherwise) = title::title(self.paths, &one.method, one.path, one.node.text_at("operationId"));
        let title = if self.names.is_free(&title) { title } else { otherwise };
        let asked = answer::Asked {
            action,
            names_something: path.contains('{'),
            context: &format!("{title}_answer"),
            parameters: parameters.iter().filter(|one| one.place == Place::Query).collect(),
        };
        let answer = answer::answer(self.spec, &mut self.records, one.node, &asked)?;
        notes.extend(answer.notes);
        notes.extend(self.other_authorisation(one.node));
        // What must be given comes first.
        inputs.sort_by_key(|input| input.field.optional);
        let mut paging = Vec::new();
        if let Some(followed) = &answer.followed {
            let (against, kept) = query.into_iter().partition(|(input, _)| followed.against.contains(&input.wire));
            query = kept;
            let against: Vec<(Input, String)> = against;
            inputs.retain(|input| !against.iter().any(|(other, _)| other.field.name == input.field.name));
            for name in &followed.against {
                notes.push(format!("not imported: `{}`: pages are asked for in the other direction", clean(name, 60)));
            }
            if let Some(input) = inputs.iter_mut().find(|input| followed.from_zero.as_ref() == Some(&input.wire)) {
                input.field.optional = false;
                input.field.attributes = vec!["= 0"];
            }
            let most = input::at_most(&mut taken);
            paging = vec![followed.line.clone(), format!("up to {}", most.value)];
            inputs.push(most);
        }
        let fields: Vec<&str> = query.iter().map(|(_, field)| field).chain(&constants).map(String::as_str).collect();
        if !fields.is_empty() {
            request.push_str(&format!(" query {{ {} }}", fields.join(", ")));
        }
        if !carried.is_empty() {
            request.push_str(&format!(" {carried}"));
        }
        headers.iter().for_each(|header| request.push_str(&format!(" {header}")));
        let mut lines = vec![request];
        lines.extend(answer.lines);
        lines.extend(paging);
        if action {
            lines.push(effect);
        }
        let mut docs = words::lines(one.node.text_at("summary").unwrap_or(""), 200);
        let more = words::lines(one.node.text_at("description").unwrap_or(""), 400);
        if docs.is_empty()
            || more.first().is_some_and(|line| docs.first().is_some_and(|first| line.starts_with(first.trim_end_matches('.'))))
        {
            docs = more;
        } else if !more.is_empty() {
            if let Some(last) = docs.last_mut().filter(|last| !last.ends_with(['.', '!', '?', '…'])) {
                last.push('.');
            }
            docs.extend(more);
        }
        docs.extend(answer.docs);
        if one.node.is_true("deprecated") {
            docs.push("Deprecated.".to_owned());
        }
        Ok(Operation {
            action,
            name: self.names.take(&title),
            docs,
            notes,
            inputs,
            output: answer.ty,
            optional: answer.optional,
            lines,
        })
    }

    /// The parameters: those of the operation go before those of its path.
    fn parameters(&self, one: &Described<'s>, notes: &mut Vec<String>) -> Result<Vec<Parameter<'s>>, String> {
        let mut parameters: Vec<Parameter<'s>> = Vec::new();
        for node in one.node.items_at("parameters").iter().chain(one.shared).take(300) {
            match input::parameter(self.spec, node) {
                Ok(Some(parameter)) => {
                    let known = |known: &Parameter<'_>| known.name == parameter.name && known.place == parameter.place;
                    if !parameters.iter().any(known) {
                        parameters.push(parameter);
                    }
                }
                Ok(None) => {}
                Err(reason) => match reason.strip_prefix('!') {
                    Some(needed) => return Err(format!("it needs {needed}")),
                    None => notes.push(format!("not imported: {reason}")),
                },
            }
        }
        Ok(parameters)
    }

    fn input(&self, parameter: &Parameter<'s>, prefix: &str, taken: &mut Taken) -> Input {
        input::input(self.spec, parameter.name, &parameter.schema, parameter.required, taken, prefix)
    }

    /// The path as it stands in the source, in quotes.
    fn path(
        &self,
        path: &str,
        parameters: &[Parameter<'s>],
        inputs: &mut Vec<Input>,
        taken: &mut Taken,
    ) -> Result<String, String> {
        let mut text = String::from("\"/");
        let mut rest = path.trim_start_matches('/');
        // `/:name` is how others write what is filled in.
        if rest.starts_with(':') {
            return Err("its path begins with `:`".to_owned());
        }
        let odd = |part: &str| {
            let fits =
                |c: char| !c.is_ascii() && words::is_shown(c) || c == ' ' || c.is_ascii_graphic() && !"\"\\#?{}<>`|^".contains(c);
            part.contains("/:") || !part.chars().all(fits)
        };
        loop {
            let (before, behind) = rest.split_once('{').map_or((rest, None), |(before, behind)| (before, Some(behind)));
            if odd(before) {
                return Err("its path holds characters that have no place there".to_owned());
            }
            text.push_str(&encoded(before));
            let Some(behind) = behind else { break };
            let Some((name, after)) = behind.split_once('}') else { return Err("its path is not closed".to_owned()) };
            rest = after;
            let declared = parameters.iter().find(|one| one.place == Place::Path && one.name == name);
            let input = match inputs.iter().find(|input| input.wire == name) {
                Some(known) => known.clone(),
                None => {
                    let mut input = match declared {
                        Some(parameter) => self.input(parameter, "path", taken),
                        None => input::input(self.spec, name, &crate::schema::read(self.spec, &Node::Null), true, taken, "path"),
                    };
                    if !matches!(input.field.ty, Ty::Plain(..) | Ty::Enum { .. }) {
                        input.field.ty = Ty::plain("text");
                        input.value = name::written(&input.field.name);
                    }
                    input.field.optional = false;
                    inputs.push(input.clone());
                    input
                }
            };
            text.push_str(&format!("{{{}}}", input.value));
        }
        text.push('"');
        Ok(text)
    }

    /// Operations that want another authorisation than the connector has.
    fn other_authorisation(&self, node: &Node) -> Option<String> {
        let wanted = node.items_at("security");
        let has = |names: &Node| names.entries().iter().all(|(name, _)| self.service.schemes.contains(name));
        if wanted.is_empty() || wanted.iter().any(has) {
            return None;
        }
        let shown: Vec<String> = wanted.iter().flat_map(Node::entries).take(5).map(|(name, _)| clean(name, 40)).collect();
        Some(format!("The service wants another authorisation here: {}.", shown.join(" or ")))
    }
}
