//! What an operation is called.
//!
//! A name that somebody gave is kept, in snake case. One that a generator made of method and path reads badly: then the name
//! is made of them here, as one would say it: `list_customers`, `get_customer`, `finalize_invoice`.

use std::collections::{HashMap, HashSet};

use crate::name::{joined, singular, words};

/// What is known of all paths, since a path alone does not say whether its last word is a thing or an act.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    /// Paths, without the names of what is filled in, that something is filled in behind, or that can be read.
    things: HashSet<String>,
    methods: HashMap<String, usize>,
}

impl Paths {
    /// Notes a path and one of its methods.
    pub(crate) fn add(&mut self, path: &str, method: &str) {
        let segments = segments(path);
        let shape = shape(&segments);
        *self.methods.entry(shape.clone()).or_default() += 1;
        if method == "GET" {
            self.things.insert(shape);
        }
        for (at, segment) in segments.iter().enumerate() {
            if segment.value {
                self.things.insert(self::shape(segments.get(..at).unwrap_or(&[])));
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Segment {
    words: Vec<String>,
    /// Something is filled in.
    value: bool,
}

fn segments(path: &str) -> Vec<Segment> {
    // In what form it answers is no part of what it is.
    let path = [".json", ".xml", ".php"].iter().find_map(|form| path.strip_suffix(form)).unwrap_or(path);
    let parts = path.split('/').filter(|part| !part.is_empty()).take(30);
    let all: Vec<Segment> = parts.map(|part| Segment { words: words(part), value: part.starts_with('{') }).collect();
    // `/v1`, `/api/v2` say nothing.
    let skip = all.iter().take_while(|segment| !segment.value && segment.words.iter().all(|word| says_nothing(word))).count();
    if skip < all.len() { all.get(skip..).unwrap_or(&[]).to_vec() } else { all }
}

fn says_nothing(word: &str) -> bool {
    matches!(word, "api" | "rest") || word.strip_prefix('v').unwrap_or(word).bytes().all(|byte| byte.is_ascii_digit())
}

fn shape(segments: &[Segment]) -> String {
    segments
        .iter()
        .map(|segment| if segment.value { "/{}".to_owned() } else { format!("/{}", segment.words.join("_")) })
        .collect()
}

/// Returns the first word of a path.
pub(crate) fn first_word(path: &str) -> String {
    segments(path).first().map(|segment| segment.words.join("_")).unwrap_or_default()
}

/// Returns the name for an operation, and the one to take where that is taken.
pub(crate) fn title(paths: &Paths, method: &str, path: &str, id: Option<&str>) -> (String, String) {
    let made = joined(&made(paths, method, path), "operation");
    let given = id.map(|id| given(method, path, id)).filter(|words| !words.is_empty()).map(|words| joined(&words, "operation"));
    let whole = match id.map(words).filter(|words| !words.is_empty()) {
        Some(words) => joined(&words, "operation"),
        None => joined(&std::iter::once(method.to_ascii_lowercase()).chain(words(path)).collect::<Vec<_>>(), "operation"),
    };
    match given {
        Some(given) => (given, made),
        None => (made, whole),
    }
}

/// The words of a name that somebody gave; none where it only repeats method and path.
fn given(method: &str, path: &str, id: &str) -> Vec<String> {
    let squash = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let (method, id_letters) = (method.to_ascii_lowercase(), squash(id));
    let whole = squash(path);
    let short: String = segments(path).iter().flat_map(|segment| segment.words.clone()).collect();
    let repeats = |rest: &str| rest == whole || rest == short;
    if id_letters.strip_prefix(&method).is_some_and(repeats) || id_letters.strip_suffix(&method).is_some_and(repeats) {
        return Vec::new();
    }
    let mut words = words(id);
    // `read_item_items__item_id__get`: the name, then path and method.
    let behind = format!("{whole}{method}");
    let (mut tail, mut cut) = (String::new(), None);
    for (at, word) in words.iter().enumerate().rev() {
        tail.insert_str(0, word);
        if tail == behind && at > 0 {
            cut = Some(at);
        }
        if tail.len() > behind.len() {
            break;
        }
    }
    words.truncate(cut.unwrap_or(words.len()));
    words
}

fn made(paths: &Paths, method: &str, path: &str) -> Vec<String> {
    let segments = segments(path);
    let nouns: Vec<&Segment> = segments.iter().filter(|segment| !segment.value).collect();
    let ends_with_value = segments.last().is_some_and(|segment| segment.value);
    let Some((last, before)) = nouns.split_last() else { return vec![method.to_ascii_lowercase()] };
    let one = |segment: &Segment| -> Vec<String> {
        let mut words = segment.words.clone();
        if let Some(word) = words.last_mut() {
            *word = singular(word);
        }
        words
    };
    let owners: Vec<String> = before.iter().flat_map(|segment| one(segment)).collect();
    let is_plural = last.words.last().is_some_and(|word| singular(word) != *word);
    let with = |verb: &str, noun: Vec<String>| -> Vec<String> {
        std::iter::once(verb.to_owned()).chain(owners.iter().cloned()).chain(noun).collect()
    };
    let is_thing = paths.things.contains(&shape(&segments)) || is_plural;
    let follows_value = segments.len() >= 2 && segments.get(segments.len() - 2).is_some_and(|segment| segment.value);
    match method {
        "GET" if ends_with_value => with("get", one(last)),
        "GET" if last.words.first().is_some_and(|word| word == "search") && !before.is_empty() => {
            let mut words = vec!["search".to_owned()];
            words.extend(plural_owner(before));
            words
        }
        "GET" if is_plural => with("list", last.words.clone()),
        "GET" => with("get", last.words.clone()),
        "DELETE" if ends_with_value || !is_plural => with("delete", one(last)),
        "DELETE" => with("delete", last.words.clone()),
        "PUT" | "PATCH" => with(if method == "PUT" && !ends_with_value && is_plural { "replace" } else { "update" }, one(last)),
        // What is done to something: `/invoices/{invoice}/finalize`.
        _ if !ends_with_value && !is_thing && !before.is_empty() => {
            let mut words = last.words.clone();
            words.extend(owners.iter().cloned());
            words
        }
        _ if ends_with_value || (!is_plural && follows_value) || (!is_plural && paths.things.contains(&shape(&segments))) => {
            with("update", one(last))
        }
        _ => with("create", one(last)),
    }
}

fn plural_owner(before: &[&Segment]) -> Vec<String> {
    before.iter().flat_map(|segment| segment.words.clone()).collect()
}
