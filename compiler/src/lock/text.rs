//! The text of flow.lock.
//!
//! ```text
//! version 1
//!
//! flow big_failed_charge in shop.flow
//!   currency (flow.toml) = USD
//!   2 kustomer.create_conversation
//!     do first (the resolver of kustomer.Customer) = kustomer.find_or_create_customer(email: customer_email) as customer
//!     customer (the key of `customer`) = customer.id
//! ```

#![expect(clippy::result_large_err, reason = "one error ends the reading of the file")]

use std::fmt::Write as _;
use std::sync::Arc;

use flow_grammar::span::Span;

use super::{Entry, Lock, Locked};
use crate::code::Code;
use crate::diagnostic::Diagnostic;

const VERSION: u32 = 1;

const HEAD: &str =
    "# What the compiler filled in. Written by `flowc lock`, compared by `flowc check --locked` and by flowd; not to be
# edited by hand. Keep it under version control: a line that changes here is a change of what a flow does.
";

pub(super) fn write(lock: &Lock) -> String {
    let mut out = format!("{HEAD}version {VERSION}\n");
    for (id, flow) in &lock.flows {
        // Writing into a text cannot fail.
        let _ = writeln!(out, "\nflow {} in {}", quoted(id), quoted(&flow.file));
        let mut at = ("", "");
        for entry in &flow.entries {
            let deep = if entry.place.is_empty() { "" } else { "  " };
            if at != (entry.place.as_str(), entry.call.as_str()) && !entry.place.is_empty() {
                let _ = writeln!(out, "  {} {}", entry.place, entry.call);
            }
            at = (&entry.place, &entry.call);
            let _ = writeln!(out, "  {deep}{} ({}) = {}", entry.key, entry.why, entry.value);
        }
    }
    out
}

/// Reads a lock.
///
/// # Errors
/// E406, at the line that is none.
pub fn parse(file: &Arc<str>, source: &str) -> Result<Lock, Diagnostic> {
    let mut reader = Reader { file, lock: Lock::default(), versioned: false, flow: None, call: None };
    let mut start = 0;
    for whole in source.split_inclusive('\n') {
        let line = whole.trim_end();
        reader.line(line, Span::new(start, start + line.len()))?;
        start += whole.len();
    }
    if !reader.versioned {
        return Err(bad(file, Span::default(), "flow.lock does not say its version"));
    }
    Ok(reader.lock)
}

struct Reader<'a> {
    file: &'a Arc<str>,
    lock: Lock,
    versioned: bool,
    /// The flow that lines belong to.
    flow: Option<String>,
    /// Place and name of the call that lines belong to.
    call: Option<(String, String)>,
}

impl Reader<'_> {
    fn line(&mut self, line: &str, span: Span) -> Result<(), Diagnostic> {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        if !self.versioned {
            return self.version(text, span);
        }
        let place = Span::new(span.start as usize + indent, span.end as usize);
        match indent {
            0 => self.flow(text, place),
            2 => match entry(text, place) {
                Some(entry) => self.add(entry, place),
                None => self.call(text, place),
            },
            4 => {
                let (Some((place_of, call)), Some(mut entry)) = (&self.call, entry(text, place)) else {
                    return Err(self.bad_line(place));
                };
                entry.place.clone_from(place_of);
                entry.call.clone_from(call);
                self.add(entry, place)
            }
            _ => Err(self.bad_line(place)),
        }
    }

    fn version(&mut self, text: &str, span: Span) -> Result<(), Diagnostic> {
        match text.strip_prefix("version ").map(str::parse) {
            Some(Ok(VERSION)) => {
                self.versioned = true;
                Ok(())
            }
            Some(Ok(other)) => Err(bad(self.file, span, format!("flow.lock is of version {other}"))
                .label(format!("this flowc knows version {VERSION}"))),
            Some(Err(_)) | None => Err(bad(self.file, span, "flow.lock does not say its version")),
        }
    }

    fn flow(&mut self, text: &str, span: Span) -> Result<(), Diagnostic> {
        let parts = || {
            let (id, rest) = token(text.strip_prefix("flow ")?)?;
            let (file, rest) = token(rest.strip_prefix(" in ")?)?;
            rest.is_empty().then_some((id, file))
        };
        let Some((id, file)) = parts() else { return Err(self.bad_line(span)) };
        if self.lock.flows.contains_key(&id) {
            return Err(bad(self.file, span, format!("flow.lock has `{id}` twice")));
        }
        self.lock.flows.insert(id.clone(), Locked { file, span, entries: Vec::new() });
        self.flow = Some(id);
        self.call = None;
        Ok(())
    }

    fn call(&mut self, text: &str, span: Span) -> Result<(), Diagnostic> {
        match text.split_once(' ') {
            Some((place, call)) if !call.contains(' ') && self.flow.is_some() => {
                self.call = Some((place.to_owned(), call.to_owned()));
                Ok(())
            }
            _ => Err(self.bad_line(span)),
        }
    }

    fn add(&mut self, entry: Entry, span: Span) -> Result<(), Diagnostic> {
        match self.flow.as_ref().and_then(|id| self.lock.flows.get_mut(id)) {
            Some(flow) => {
                flow.entries.push(entry);
                Ok(())
            }
            None => Err(self.bad_line(span)),
        }
    }

    fn bad_line(&self, span: Span) -> Diagnostic {
        bad(self.file, span, "this is no line of a flow.lock")
    }
}

/// `key (why) = value`.
fn entry(text: &str, span: Span) -> Option<Entry> {
    let (key, rest) = text.split_once(" (")?;
    let (why, value) = rest.split_once(") = ")?;
    let entry = |key: &str| Entry {
        place: String::new(),
        call: String::new(),
        key: key.to_owned(),
        value: value.to_owned(),
        why: why.to_owned(),
        span,
    };
    let is_key = matches!(key, "do first" | "require first") || !key.contains(' ');
    is_key.then(|| entry(key))
}

fn bad(file: &Arc<str>, span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::E406, file, span, message)
        .help("it is not edited by hand, and after a merge it is made anew")
        .advise("`flowc lock` writes it; look at what changed before you keep it")
}

/// A name as it is, where it is a plain one; else in quotes.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
    if !name.is_empty() && name.chars().all(plain) {
        return name.to_owned();
    }
    serde_json::Value::from(name).to_string()
}

/// Takes a name off the beginning.
fn token(text: &str) -> Option<(String, &str)> {
    if !text.starts_with('"') {
        let end = text.find(' ').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    }
    let mut all = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let name = all.next()?.ok()?;
    Some((name, text.get(all.byte_offset()..)?))
}
