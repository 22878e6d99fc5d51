//! Syntax errors: what is wrong, why, and how to go on, in the words of the person who wrote the text.

use crate::span::Span;

/// One mistake in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What people search for: `E101` and so on, see [`CODES`].
    pub code: &'static str,
    /// The place to look at.
    pub span: Span,
    /// What is wrong: one line, lower case, no full stop.
    pub message: String,
    /// What stands at `span`, or should.
    pub label: String,
    /// Other places that explain it.
    pub labels: Vec<(Span, String)>,
    /// How to go on.
    pub help: Option<String>,
    /// What can be applied, at most three.
    pub fixes: Vec<Fix>,
}

/// A change that mends a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What it does, as an instruction.
    pub title: String,
    /// Texts that replace spans; they do not overlap.
    pub edits: Vec<(Span, String)>,
    /// It needs no second look.
    pub safe: bool,
}

/// The codes of this crate, each with its meaning in one line.
pub const CODES: &[(&str, &str)] = &[
    ("E101", "text that is no flow, test or connector"),
    ("E102", "something else is expected here"),
    ("E103", "a text without its closing quote"),
    ("E104", "a condition or a value that is not finished"),
    ("E105", "a bracket or brace without its partner"),
    ("E106", "brackets, operators or branches nested too deeply"),
    ("E107", "a flow without its `do`, or a `do` without a step"),
    ("E108", "a form of another language"),
    ("E109", "a wrong escape or an unusable `{…}` in a text"),
    ("E110", "a reserved word as a name"),
    ("E111", "a number, amount of money, time or duration written in a way that Flow does not read"),
    ("E112", "a clause in the wrong place, or twice"),
    ("E113", "`on error` behind several steps without braces"),
    ("E114", "two comparisons in a row"),
];

impl SyntaxError {
    /// Returns an error without explanations.
    pub(crate) fn new(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { code, span, message: message.into(), label: String::new(), labels: Vec::new(), help: None, fixes: Vec::new() }
    }

    /// Says what stands at the place, or should.
    pub(crate) fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    /// Adds another place.
    pub(crate) fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push((span, text.into()));
        self
    }

    /// Says how to go on.
    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Adds a fix of one edit that needs no second look.
    pub(crate) fn fix(mut self, title: impl Into<String>, span: Span, text: impl Into<String>) -> Self {
        self.fixes.push(Fix { title: title.into(), edits: vec![(span, text.into())], safe: true });
        self
    }

    /// Adds a fix of one edit that a person should look at.
    pub(crate) fn guess(mut self, title: impl Into<String>, span: Span, text: impl Into<String>) -> Self {
        self.fixes.push(Fix { title: title.into(), edits: vec![(span, text.into())], safe: false });
        self
    }
}
