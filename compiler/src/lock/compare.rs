//! What would now be filled in, against what was frozen.

use std::sync::Arc;

use flow_grammar::span::Span;

use super::{Entry, Lock, Locked};
use crate::code::Code;
use crate::diagnostic::Diagnostic;

/// Which files of the lock were compiled.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// All files of the project: a flow that is not there is gone.
    Project,
    /// A single file: nothing is known of flows of others.
    File(&'a str),
}

/// Says that there is no lock.
pub fn missing(file: &Arc<str>) -> Diagnostic {
    Diagnostic::new(Code::E405, file, Span::default(), "there is no flow.lock")
        .help("without it nothing is frozen that could be compared")
        .advise("`flowc lock` writes it, beside flow.toml")
}

/// Returns the differences between what is filled in now and what was frozen, each where it is in the source.
pub fn compare(now: &Lock, frozen: &Lock, lock_file: &Arc<str>, scope: Scope<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (id, flow) in &now.flows {
        match frozen.flows.get(id) {
            Some(before) => differences(flow, before, &mut found),
            None => found.push(new(id, flow)),
        }
    }
    let concerns = |flow: &Locked| match scope {
        Scope::Project => true,
        Scope::File(name) => flow.file == name,
    };
    for (id, flow) in frozen.flows.iter().filter(|(id, flow)| !now.flows.contains_key(*id) && concerns(flow)) {
        let message = format!("the flow `{id}` of flow.lock is not in the project");
        found.push(
            Diagnostic::new(Code::E405, lock_file, flow.span, message)
                .label("it was there when this was written")
                .help("a flow that is gone does nothing any more; was it meant to go?")
                .advise("`flowc lock`, if it was"),
        );
    }
    found
}

fn new(id: &str, flow: &Locked) -> Diagnostic {
    let file: Arc<str> = Arc::from(flow.file.as_str());
    let unnamed = id.contains(':');
    let message =
        if unnamed { "flow.lock does not have this flow".to_owned() } else { format!("flow.lock does not have `{id}`") };
    let diagnostic = Diagnostic::new(Code::E405, &file, flow.span, message);
    let diagnostic = if unnamed {
        diagnostic.help("a flow without a name is known by its text: an edit makes another one of it")
    } else {
        diagnostic.help("nobody has looked yet at what is filled in here")
    };
    diagnostic.advise("`flowc lock`, after a look at `flowc expand`")
}

fn differences(now: &Locked, frozen: &Locked, found: &mut Vec<Diagnostic>) {
    let mut left: Vec<Option<&Entry>> = frozen.entries.iter().map(Some).collect();
    let mut take = |fits: &dyn Fn(&Entry) -> bool| left.iter_mut().find(|slot| slot.is_some_and(fits)).and_then(Option::take);
    let mut open: Vec<&Entry> = Vec::new();
    for entry in &now.entries {
        let same = |other: &Entry| is_same(entry, other) && entry.place == other.place && entry.value == other.value;
        if take(&same).is_none() {
            open.push(entry);
        }
    }
    // A step that moved is not another one.
    open.retain(|entry| take(&|other| is_same(entry, other) && entry.value == other.value).is_none());
    let mut file: Option<Arc<str>> = None;
    for entry in open {
        let file = file.get_or_insert_with(|| Arc::from(now.file.as_str()));
        let before =
            take(&|other| is_same(entry, other) && entry.place == other.place).or_else(|| take(&|other| is_same(entry, other)));
        found.push(differs(file, entry, before));
    }
    for gone in left.into_iter().flatten() {
        let file: Arc<str> = Arc::from(now.file.as_str());
        let at = now.entries.iter().find(|entry| entry.call == gone.call && !entry.call.is_empty());
        found.push(
            Diagnostic::new(
                Code::E404,
                &file,
                at.map_or(now.span, |entry| entry.span),
                format!("{} is not filled in any more", subject(gone)),
            )
            .label(format!("flow.lock has `{}`", gone.value))
            .help(WHY)
            .advise(ACCEPT),
        );
    }
}

const WHY: &str = "a connector, flow.toml or the flow itself has changed what goes to the service";
const ACCEPT: &str = "`flowc lock`, if this is meant; or write the value yourself, then nothing is filled in";

fn differs(file: &Arc<str>, entry: &Entry, before: Option<&Entry>) -> Diagnostic {
    let what = subject(entry);
    let message = match (before, entry.place.is_empty()) {
        (Some(_), true) => format!("this flow counts on another {what} than in flow.lock"),
        (None, true) => format!("this flow counts on the {what} of flow.toml, and did not when flow.lock was written"),
        (Some(_), false) => format!("{what} would be filled in differently than in flow.lock"),
        (None, false) => format!("{what} would be filled in, and is not in flow.lock"),
    };
    let diagnostic = Diagnostic::new(Code::E404, file, entry.span, message);
    if entry.place.is_empty() {
        let before = before.map_or_else(String::new, |before| format!("flow.lock has `{}`\n", before.value));
        return diagnostic
            .label(format!("now `{}`", entry.value))
            .help(format!("{before}what is written without a {} of its own means something else now", entry.key))
            .advise(format!("`flowc lock`, if this is meant; or write the {} into the flow", entry.key));
    }
    let before = before.map_or_else(String::new, |before| format!("flow.lock has `{}`, {}\n", before.value, before.why));
    diagnostic.label(format!("now `{}`, {}", entry.value, entry.why)).help(format!("{before}{WHY}")).advise(ACCEPT)
}

fn is_same(one: &Entry, other: &Entry) -> bool {
    one.key == other.key && one.call == other.call && one.place.is_empty() == other.place.is_empty()
}

fn subject(entry: &Entry) -> String {
    match entry.key.as_str() {
        "do first" => format!("a step before `{}`", entry.call),
        "require first" => format!("a `require` for `{}`", entry.call),
        key if entry.place.is_empty() => format!("`{key}`"),
        key => format!("`{key}` of `{}`", entry.call),
    }
}
