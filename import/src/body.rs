//! What an operation sends.

use crate::document::Node;
use crate::input::{self, Input, Style};
use crate::name::Taken;
use crate::schema::{self, Kind};
use crate::spec::Spec;
use crate::words::{self, clean};

/// A body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body {
    pub(crate) inputs: Vec<Input>,
    /// `json { … }`; empty where there is none.
    pub(crate) text: String,
    pub(crate) notes: Vec<String>,
    /// What the service calls its JSON, where that is not `application/json`.
    pub(crate) content_type: Option<String>,
}

/// Reads what a request carries. An error says why it cannot be sent.
pub(crate) fn body<'s>(spec: &Spec<'s>, operation: &'s Node, taken: &mut Taken) -> Result<Body, String> {
    let Some(node) = operation.get("requestBody") else { return Ok(Body::default()) };
    let Some(found) = spec.resolve(node) else { return Err("its body is described elsewhere".to_owned()) };
    let required = found.node.is_true("required");
    let content = found.node.entries_at("content");
    if content.is_empty() {
        return Ok(Body::default());
    }
    let Some((kind, encoding, media)) = chosen(content) else {
        // Even where it need not be there: what would be sent without it is hardly ever what is meant.
        let kinds: Vec<String> = content.iter().take(4).map(|(kind, _)| clean(kind, 60)).collect();
        return Err(format!("its body is {}, which a connector cannot send", kinds.join(" or ")));
    };
    // A merge patch says what changes: what an object must have says nothing about it.
    let is_patch = kind.contains("merge-patch");
    let content_type = of_its_own(kind).filter(|_| encoding == "json");
    let whole = |schema, taken| Body { content_type: content_type.clone(), ..whole(spec, schema, encoding, required, taken) };
    let Some(schema) = media.get("schema") else {
        return Ok(whole(&Node::Null, taken));
    };
    let read = schema::read(spec, schema);
    if encoding == "text" {
        return Ok(whole(schema, taken));
    }
    if !matches!(read.kind, Kind::Object(_)) {
        if encoding == "json" {
            return Ok(whole(schema, taken));
        }
        // A form of nothing.
        return match &read.kind {
            Kind::Any(_) => Ok(Body::default()),
            _ => Err(format!("its body is a form that is {}", schema::describe(&read))),
        };
    }
    let mut body = Body { content_type: content_type.clone(), ..Body::default() };
    let mut fields = Vec::new();
    for property in read.properties() {
        let read = schema::read(spec, property.node);
        if read.read_only {
            continue;
        }
        let shown = clean(property.name, 60);
        if !words::can_be_key(property.name) {
            body.notes.push(format!("not imported: the field `{shown}`, whose name cannot be written"));
            continue;
        }
        if matches!(read.kind, Kind::Binary) {
            if property.required {
                return Err(format!("its field `{shown}` is a file"));
            }
            body.notes.push(format!("not imported: the field `{shown}`, which is a file"));
            continue;
        }
        if let Some(constant) = input::constant(&read, property.required && !is_patch) {
            fields.push(input::field(property.name, &constant));
            continue;
        }
        let input = input::input(spec, property.name, &read, property.required && !is_patch, taken, "body");
        fields.push(if encoding == "form" {
            input::pair(&input, style(media, property.name))
        } else {
            input::field(&input.wire, &input.value)
        });
        body.inputs.push(input);
    }
    if let (true, Some(note)) = (fields.is_empty(), body.notes.first()) {
        // Nothing is left of it.
        return Err(note.replace("not imported: ", "its body is no more than "));
    }
    if !fields.is_empty() {
        body.text = format!("{encoding} {{ {} }}", fields.join(", "));
    } else if required && encoding == "json" {
        body.text = "json {}".to_owned();
    }
    Ok(body)
}

/// The form in which a body is sent, where it has several: JSON, else a form, else a text.
fn chosen(content: &[(String, Node)]) -> Option<(&str, &'static str, &Node)> {
    let find = |fits: &dyn Fn(&str) -> bool| content.iter().find(|(kind, _)| fits(kind.split(';').next().unwrap_or("").trim()));
    let json = find(&|kind| kind == "application/json")
        .or_else(|| find(&|kind| kind.ends_with("+json") && !kind.contains("json-patch")))
        .or_else(|| find(&|kind| kind == "*/*"));
    json.map(|found| ("json", found))
        .or_else(|| find(&|kind| kind == "application/x-www-form-urlencoded").map(|found| ("form", found)))
        .or_else(|| find(&|kind| kind == "text/plain").map(|found| ("text", found)))
        .map(|(encoding, (kind, media))| (kind.as_str(), encoding, media))
}

/// The type of a body that is JSON under another name, such as `application/merge-patch+json`: servers refuse it under that of all.
fn of_its_own(kind: &str) -> Option<String> {
    let kind = kind.split(';').next().unwrap_or("").trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/+.-_".contains(c);
    (kind.ends_with("+json") && kind.len() <= 100 && kind.chars().all(plain)).then(|| kind.to_owned())
}

/// How a list stands in a form.
fn style(media: &Node, name: &str) -> Style {
    let encoding = media.get("encoding").and_then(|encoding| encoding.get(name));
    match encoding.map(|encoding| (encoding.text_at("style"), encoding.get("explode"))) {
        Some((Some("deepObject"), _)) => Style::Brackets,
        Some((Some("spaceDelimited"), _)) => Style::Joined(" "),
        Some((Some("pipeDelimited"), _)) => Style::Joined("|"),
        Some((_, Some(Node::Bool(false)))) => Style::Joined(","),
        _ => Style::Repeated,
    }
}

/// A body that is one value.
fn whole<'s>(spec: &Spec<'s>, schema: &'s Node, encoding: &str, required: bool, taken: &mut Taken) -> Body {
    let read = schema::read(spec, schema);
    let input = input::input(spec, "body", &read, required, taken, "whole");
    let text = format!("{encoding} {}", input.value);
    Body { inputs: vec![input], text, ..Body::default() }
}
