//! flow.lock: what the compiler filled in, frozen.
//!
//! The file is text for people to read and for `git diff`: one line for each thing that was filled in, by flow and call,
//! with the reason. `flowc lock` writes it, `flowc check --locked` compares, and so does the daemon. Nothing is read back
//! from it but for that comparison: what a flow means is decided by its source, the connectors and flow.toml alone.

mod compare;
mod text;

use std::collections::BTreeMap;

use flow_grammar::span::Span;

use crate::compile::Compilation;

pub use compare::{Scope, compare, missing};
pub use text::parse;

/// The name of the file, beside flow.toml.
pub const FILE: &str = "flow.lock";

/// What was filled in, flow by flow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lock {
    /// The flows by their ids.
    pub flows: BTreeMap<String, Locked>,
}

/// What was filled in in one flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// The file that has the flow.
    pub file: String,
    /// Where it stands in the lock, or where the flow is.
    pub span: Span,
    /// In the order of the text.
    pub entries: Vec<Entry>,
}

/// One thing that the compiler filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path of the step, as in plans: `2.then.1`. `when` for the options of a trigger; empty for what comes from
    /// flow.toml.
    pub place: String,
    /// The action, query or trigger.
    pub call: String,
    /// The input; `do first` for a step before the call, `require first` for what is required before any step.
    pub key: String,
    /// What was filled in, as the formatter writes it, in one line.
    pub value: String,
    /// Why this. It explains, and is not compared.
    pub why: String,
    /// Where the call is in the source. Of a lock that was read: where the entry is in it.
    pub span: Span,
}

impl Lock {
    /// Returns what is filled in in the sound flows of a project.
    pub fn of(compilation: &Compilation) -> Self {
        let flows = compilation
            .frozen()
            .map(|(file, id, span, entries)| (id.to_owned(), Locked { file: file.to_string(), span, entries: entries.to_vec() }));
        Self { flows: flows.collect() }
    }

    /// Returns the text of the file.
    pub fn write(&self) -> String {
        text::write(self)
    }
}

/// Returns `text` in one line that can be told from any other: what would break it is written as an escape.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            c if c.is_control()
                || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                line.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
            }
            c => line.push(c),
        }
    }
    line
}
