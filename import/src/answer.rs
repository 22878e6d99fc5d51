//! What an operation gives back.

use crate::document::Node;
use crate::input::Parameter;
use crate::pages::{self, Followed, Pages};
use crate::record::{Records, Ty};
use crate::schema::{self, Kind, Property, Schema};
use crate::spec::Spec;
use crate::words::{self, clean};

/// What an operation gives back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// Its type; none where nothing is read.
    pub(crate) ty: Option<Ty>,
    /// There may be none.
    pub(crate) optional: bool,
    /// `at "data"`, `none on 404`.
    pub(crate) lines: Vec<String>,
    /// Further pages are asked for, as far as the caller wants.
    pub(crate) followed: Option<Followed>,
    pub(crate) docs: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// What is asked for.
pub(crate) struct Asked<'a, 's> {
    pub(crate) action: bool,
    /// Something is filled into the path.
    pub(crate) names_something: bool,
    /// What names types without a name.
    pub(crate) context: &'a str,
    pub(crate) parameters: Vec<&'a Parameter<'s>>,
}

/// Reads the answer of an operation. An error says why it cannot be read.
pub(crate) fn answer<'s>(
    spec: &Spec<'s>,
    records: &mut Records<'s, '_>,
    operation: &'s Node,
    asked: &Asked<'_, 's>,
) -> Result<Answer, String> {
    let nothing = |reason: &str| if asked.action { Ok(Answer::default()) } else { Err(reason.to_owned()) };
    let Some(response) = success(spec, operation) else { return nothing("it does not say what it answers") };
    let content = response.entries_at("content");
    if content.is_empty() {
        return nothing("its answer has no content");
    }
    let Some(media) = json(content) else {
        let kind = content.first().map(|(kind, _)| clean(kind, 60)).unwrap_or_default();
        if asked.action {
            return Ok(Answer { notes: vec![format!("not imported: its answer, which is {kind}")], ..Answer::default() });
        }
        return Err(format!("its answer is {kind}"));
    };
    let Some(schema) = media.get("schema") else {
        return Ok(Answer { ty: Some(Ty::Json), ..Answer::default() });
    };
    let (read, can_be_gone) = schema::read_answer(spec, schema);
    let mut answer = Answer::default();
    let read = unwrapped(spec, read, asked, &mut answer);
    let (ty, note) = records.ty(&read, asked.context);
    answer.docs.extend(note.map(|note| format!("The result is JSON: {note}.")));
    let list = matches!(ty, Ty::List(_));
    if !asked.action && !list {
        if can_be_gone {
            answer.lines.push("none when \"deleted\" is true".to_owned());
        }
        if asked.names_something || response_for(operation, "404") {
            answer.lines.push("none on 404".to_owned());
        }
    }
    answer.optional = answer.lines.iter().any(|line| line.starts_with("none")) || read.nullable && !list;
    answer.ty = Some(ty);
    Ok(answer)
}

/// What an answer is about, without what stands beside it; all of it where that would lose how it goes on.
fn unwrapped<'s>(spec: &Spec<'s>, read: Schema<'s>, asked: &Asked<'_, 's>, answer: &mut Answer) -> Schema<'s> {
    if let (false, Kind::List(item)) = (asked.action, &read.kind) {
        // Nothing stands beside it.
        match pages::pages(spec, &read, "", item, &asked.parameters) {
            Pages::One => {}
            Pages::Followed(followed) => answer.followed = Some(followed),
            Pages::Told(how) | Pages::Whole(how) => answer.docs.push(how),
        }
        return read;
    }
    let Some((property, inner)) = envelope(spec, &read).or_else(|| paged(spec, &read, asked)) else { return read };
    if let Kind::List(item) = &inner.kind {
        if asked.action {
            if pages::says_next(spec, &read, property.name) {
                return read;
            }
        } else {
            match pages::pages(spec, &read, property.name, item, &asked.parameters) {
                Pages::One => {}
                Pages::Followed(followed) => answer.followed = Some(followed),
                Pages::Told(how) => answer.docs.push(how),
                Pages::Whole(how) => {
                    answer.docs.push(how);
                    return read;
                }
            }
        }
    }
    answer.lines.push(format!("at {}", words::key(property.name)));
    inner
}

fn response_for(operation: &Node, status: &str) -> bool {
    operation.get("responses").is_some_and(|responses| responses.get(status).is_some())
}

/// The answer of a success.
fn success<'s>(spec: &Spec<'s>, operation: &'s Node) -> Option<&'s Node> {
    let responses = operation.get("responses")?;
    let mut good: Vec<&'s Node> = Vec::new();
    for (status, node) in responses.entries() {
        if status.starts_with('2') {
            good.extend(spec.resolve(node).map(|found| found.node));
        }
    }
    if good.is_empty() {
        good.extend(responses.get("default").and_then(|node| spec.resolve(node)).map(|found| found.node));
    }
    let telling = good.iter().find(|node| !node.entries_at("content").is_empty());
    telling.or(good.first()).copied()
}

/// The JSON of a body.
pub(crate) fn json(content: &[(String, Node)]) -> Option<&Node> {
    let fits = |kind: &str| {
        let kind = kind.split(';').next().unwrap_or("").trim();
        kind == "application/json" || kind.ends_with("+json") || kind == "*/*" || kind == "application/*" || kind == "text/json"
    };
    content.iter().find(|(kind, _)| fits(kind)).map(|(_, media)| media)
}

/// What stands beside the data of an answer, and is no part of it.
const BESIDE: [&str; 62] = [
    "object",
    "url",
    "has_more",
    "hasmore",
    "more",
    "next",
    "nextpage",
    "next_page",
    "nextcursor",
    "next_cursor",
    "nexttoken",
    "next_token",
    "nextpagetoken",
    "next_page_token",
    "cursor",
    "prev",
    "previous",
    "previous_page",
    "prev_cursor",
    "total",
    "total_count",
    "totalcount",
    "totalpages",
    "total_pages",
    "total_items",
    "totalitems",
    "count",
    "page",
    "pages",
    "per_page",
    "perpage",
    "page_size",
    "pagesize",
    "limit",
    "offset",
    "links",
    "_links",
    "meta",
    "metadata",
    "pagination",
    "paging",
    "first",
    "last",
    "size",
    "number",
    "status",
    "success",
    "ok",
    "request_id",
    "included",
    "page_info",
    "pageinfo",
    "cursors",
    "response_metadata",
    "has_next",
    "hasnext",
    "has_next_page",
    "hasnextpage",
    "next_marker",
    "nextmarker",
    "continuation_token",
    "continuationtoken",
];

/// Returns the only list of an answer that says how it goes on: what stands beside it is of one page alone.
fn paged<'s>(spec: &Spec<'s>, schema: &Schema<'s>, asked: &Asked<'_, 's>) -> Option<(Property<'s>, Schema<'s>)> {
    const LISTS: [&str; 7] = ["results", "data", "items", "entries", "values", "records", "list"];
    let [property] = schema.properties().iter().filter(|one| LISTS.contains(&one.name)).collect::<Vec<_>>()[..] else {
        return None;
    };
    let inner = schema::read(spec, property.node);
    let Kind::List(item) = &inner.kind else { return None };
    let goes_on = matches!(pages::pages(spec, schema, property.name, item, &asked.parameters), Pages::Followed(_));
    (goes_on && !asked.action).then(|| (property.clone(), inner.clone()))
}

/// Returns the property that has what an answer is about, where all others are about the answer.
fn envelope<'s>(spec: &Spec<'s>, schema: &Schema<'s>) -> Option<(Property<'s>, Schema<'s>)> {
    let beside = |name: &str| BESIDE.contains(&name.to_ascii_lowercase().as_str());
    let about: Vec<&Property<'s>> = schema.properties().iter().filter(|property| !beside(property.name)).collect();
    let [property] = about.as_slice() else { return None };
    if property.name.contains(['.', '[', ']']) || !words::can_be_key(property.name) {
        return None;
    }
    let inner = schema::read(spec, property.node);
    let fits = match &inner.kind {
        Kind::List(item) => !matches!(item.kind, Kind::Any(None)) || schema.properties().len() > 1,
        Kind::Object(_) => matches!(property.name, "data" | "result" | "item" | "response"),
        _ => false,
    };
    fits.then(|| ((*property).clone(), inner))
}
