//! How a list goes on behind its first page.

use crate::input::{Parameter, Place};
use crate::name;
use crate::schema::{self, Kind, Schema};
use crate::spec::Spec;
use crate::words::{self, clean};

/// Parameters that take what the answer before said.
const CURSORS: [&str; 13] = [
    "cursor",
    "pagecursor",
    "nextcursor",
    "startcursor",
    "pagetoken",
    "nextpagetoken",
    "nexttoken",
    "continuationtoken",
    "continuation",
    "paginationtoken",
    "startkey",
    "marker",
    "bookmark",
];
/// Parameters that take the id of the last item, or what the answer before said.
const BEHIND: [&str; 3] = ["startingafter", "after", "pageafter"];
/// Parameters that go the other way.
const BEFORE: [&str; 4] = ["endingbefore", "before", "pagebefore", "previouscursor"];
/// What answers call that which asks for the next page.
const NEXT: [&str; 12] = [
    "nextcursor",
    "nextpagecursor",
    "endcursor",
    "nextpagetoken",
    "nexttoken",
    "nextcontinuationtoken",
    "continuationtoken",
    "nextpaginationtoken",
    "paginationtoken",
    "nextmarker",
    "nextbookmark",
    "nextpage",
];
/// What answers call that there is more.
const MORE: [&str; 7] = ["hasmore", "more", "hasnext", "hasnextpage", "hasmorepages", "moreavailable", "istruncated"];
/// Parameters that say how many items a page has.
const SIZES: [&str; 12] =
    ["limit", "pagelimit", "pagesize", "perpage", "count", "max", "size", "top", "maxresults", "itemsperpage", "take", "rows"];
/// How deep what stands beside a list is looked into.
const MOST_DEPTH: usize = 2;

/// How a list goes on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Pages {
    /// There is one page, or nothing says that there are more.
    One,
    /// Further pages are asked for by the connector.
    Followed(Followed),
    /// A flow can ask for them, and this is how.
    Told(String),
    /// What asks for the next stands somewhere in the answer: all of it is given back.
    Whole(String),
}

/// How the connector asks for further pages.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Followed {
    /// `pages cursor "next_cursor"`.
    pub(crate) line: String,
    /// Parameters that lead the other way, and make no sense together with it.
    pub(crate) against: Vec<String>,
    /// The parameter that has to say that the first page is that with number 0.
    pub(crate) from_zero: Option<String>,
}

/// Something that stands beside a list.
struct Beside<'s> {
    path: String,
    leaf: String,
    /// What it stands in; empty at the top.
    within: String,
    schema: Schema<'s>,
    /// It is there in every answer.
    required: bool,
}

/// Tells how the list under `data` of an answer goes on.
pub(crate) fn pages<'s>(
    spec: &Spec<'s>,
    answer: &Schema<'s>,
    data: &str,
    item: &Schema<'s>,
    parameters: &[&Parameter<'s>],
) -> Pages {
    let asked =
        |names: &[&str]| parameters.iter().find(|one| one.place == Place::Query && names.contains(&plain(one.name).as_str()));
    let beside = beside(spec, answer, data);
    let more = beside.iter().find(|one| MORE.contains(&one.leaf.as_str()) && one.schema.kind == Kind::Bool);
    let followed = |parameter: &Parameter<'_>, from: String, more: Option<&Beside<'_>>| {
        let more = more.map(|more| format!(" while {}", words::key(&more.path))).unwrap_or_default();
        let against =
            parameters.iter().filter(|one| BEFORE.contains(&plain(one.name).as_str())).map(|one| one.name.to_owned()).collect();
        Pages::Followed(Followed {
            line: format!("pages {} {from}{more}", name::written(parameter.name)),
            against,
            from_zero: None,
        })
    };
    // `page` and `offset` are numbers, but where a service says that they are texts.
    let is_text = |parameter: &&&Parameter<'_>| matches!(parameter.schema.kind, Kind::Text);
    let cursor = asked(&CURSORS).or_else(|| asked(&["page", "offset", "start"]).filter(is_text));
    if let Some(cursor) = cursor.or_else(|| asked(&BEHIND)) {
        let wanted = plain(cursor.name);
        if let Some(next) = beside.iter().find(|one| one.asks_for_next(&wanted))
            && can_follow(cursor)
        {
            return followed(cursor, words::key(&next.path), more.filter(|more| more.required));
        }
    }
    if let Some(behind) = asked(&BEHIND) {
        let has_id = item.properties().iter().any(|one| one.name == "id" && schema::read(spec, one.node).kind == Kind::Text);
        return match more {
            Some(more) if has_id && can_follow(behind) => followed(behind, "last.id".to_owned(), Some(more)),
            Some(_) => Pages::Told(format!("One page; `{}` asks for the next.", clean(behind.name, 40))),
            // It may be a time as well.
            None => Pages::One,
        };
    }
    if let Some(cursor) = asked(&CURSORS) {
        return Pages::Whole(format!("One page; `{}`, out of the answer before, asks for the next.", clean(cursor.name, 40)));
    }
    let told = |parameter: &Parameter<'_>, how: &str| Pages::Told(format!("One page; `{}` {how}.", clean(parameter.name, 40)));
    let more = more.filter(|more| more.required);
    let counted = |parameter: &Parameter<'_>, by: &str| {
        let name = name::written(parameter.name);
        let more = more.map(|more| format!(" while {}", words::key(&more.path))).unwrap_or_default();
        let from_zero = (by == "1" && parameter_first(parameter) == Some(0)).then(|| parameter.name.to_owned());
        Pages::Followed(Followed { line: format!("pages {name} {name} + {by}{more}"), against: Vec::new(), from_zero })
    };
    if let Some(page) = asked(&["page", "pagenumber", "pageno", "pageindex"]) {
        // Which number the first page has is not always said: what begins with 0 is hardly ever meant to begin with 1.
        let is_known = matches!(parameter_first(page), Some(0 | 1));
        return if is_number(page) && is_known { counted(page, "1") } else { told(page, "asks for another") };
    }
    if let Some(offset) = asked(&["offset", "skip", "start", "pageoffset"]) {
        let has_size = asked(&SIZES).is_some();
        let from_nothing = matches!(offset.first, None | Some(0));
        return if is_number(offset) && has_size && from_nothing {
            counted(offset, "items")
        } else {
            told(offset, "says how many to leave out before it")
        };
    }
    let links = ["next", "links", "nextpage"];
    if more.is_some() || beside.iter().any(|one| one.within.is_empty() && links.contains(&one.leaf.as_str())) {
        return Pages::Told("The first page: a query does not follow links.".to_owned());
    }
    Pages::One
}

/// Tells whether a parameter can be counted on.
fn is_number(parameter: &Parameter<'_>) -> bool {
    !parameter.name.contains('`') && matches!(parameter.schema.kind, Kind::Int(_))
}

/// The number of the first page. Pages are counted from one where nothing says otherwise.
fn parameter_first(page: &Parameter<'_>) -> Option<i64> {
    let docs = page.schema.docs.unwrap_or("").to_ascii_lowercase();
    let says_zero =
        ["zero-based", "zero based", "0-based", "0-indexed", "zero-indexed", "starting from 0", "starts from 0", "starts at 0"];
    match page.first {
        Some(first) => Some(first),
        None if says_zero.iter().any(|words| docs.contains(words)) => Some(0),
        // It may begin with either.
        None if page.least == Some(0) => None,
        None => Some(1),
    }
}

/// Tells whether an answer says how its list goes on, which nothing but the answer itself has.
pub(crate) fn says_next<'s>(spec: &Spec<'s>, answer: &Schema<'s>, data: &str) -> bool {
    beside(spec, answer, data).iter().any(|one| one.asks_for_next("cursor"))
}

/// Tells whether requests can be repeated with another value of a parameter.
fn can_follow(parameter: &Parameter<'_>) -> bool {
    !parameter.name.contains('`') && matches!(parameter.schema.kind, Kind::Text | Kind::Int(_) | Kind::Any(_))
}

impl Beside<'_> {
    /// Tells whether it is what a parameter of this name takes to ask for the next page.
    fn asks_for_next(&self, parameter: &str) -> bool {
        if !matches!(self.schema.kind, Kind::Text | Kind::Int(_) | Kind::Any(None)) {
            return false;
        }
        let docs = self.schema.docs.unwrap_or("").to_ascii_lowercase();
        // A link leads somewhere, and is no value of a parameter.
        if ["url", "link", "://"].iter().any(|word| docs.contains(word)) || self.within.contains("link") {
            return false;
        }
        let leaf = self.leaf.as_str();
        if leaf == "next" {
            return self.within.contains("cursor") || docs.contains("cursor") || docs.contains("token");
        }
        // A page that is a number says which one this is.
        let is_number = matches!(self.schema.kind, Kind::Int(_));
        NEXT.contains(&leaf) && !(is_number && leaf == "nextpage" && parameter != "page")
            || leaf == parameter && (CURSORS.contains(&leaf) || leaf == "offset" && !is_number)
            || leaf == "after" && self.within.contains("cursor")
    }
}

/// Everything that stands beside the list of an answer and can be named.
fn beside<'s>(spec: &Spec<'s>, answer: &Schema<'s>, data: &str) -> Vec<Beside<'s>> {
    let mut all = Vec::new();
    collect(
        spec,
        answer,
        data,
        &Beside { path: String::new(), leaf: String::new(), within: String::new(), schema: answer.clone(), required: true },
        0,
        &mut all,
    );
    all
}

fn collect<'s>(spec: &Spec<'s>, object: &Schema<'s>, data: &str, outer: &Beside<'s>, depth: usize, all: &mut Vec<Beside<'s>>) {
    for property in object.properties().iter().take(60) {
        if depth == 0 && property.name == data
            || property.name.contains(['.', '[', ']'])
            || !words::can_be_key(property.name)
            || !spec.spend()
        {
            continue;
        }
        let schema = schema::read(spec, property.node);
        let path = if depth == 0 { property.name.to_owned() } else { format!("{}.{}", outer.path, property.name) };
        let required = outer.required && property.required && !schema.nullable;
        let one = Beside { path, leaf: plain(property.name), within: outer.leaf.clone(), schema, required };
        if depth < MOST_DEPTH && matches!(one.schema.kind, Kind::Object(_)) {
            collect(spec, &one.schema, data, &one, depth + 1, all);
        }
        all.push(one);
    }
}

/// A name as letters and digits: `page[after]`, `nextCursor` and `next_cursor` alike.
fn plain(name: &str) -> String {
    name.chars().take(60).filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
