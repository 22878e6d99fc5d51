//! The one diagnostics type: what is told to a user about their sources.

use std::sync::Arc;

use flow_grammar::span::Span;

use crate::code::Code;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Stops the build.
    Error,
    /// Does not stop the build, but is probably a mistake.
    Warning,
    /// Worth knowing; shown with `--pedantic`.
    Advice,
}

impl Severity {
    /// Returns the word of the JSON output.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Advice => "advice",
        }
    }
}

/// One problem in one source, ready to be rendered or sent to an editor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What users search for and `flowc explain` explains.
    pub code: Code,
    /// Whether it stops the build.
    pub severity: Severity,
    /// One line, lower case, no full stop; the user's own words in backticks.
    pub message: String,
    /// The file, as the source was named.
    pub file: Arc<str>,
    /// The place to look at.
    pub span: Span,
    /// What stands under the carets; may be empty.
    pub label: String,
    /// Further places in the same file that explain it.
    pub labels: Vec<Label>,
    /// Why it matters or what to do, as an instruction. `None` where there is no sure advice.
    pub help: Option<String>,
    /// At most three ways to mend it, the best first.
    pub fixes: Vec<Fix>,
}

/// A further place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What to know about it.
    pub text: String,
}

/// A way to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What it does, in one line: ``use `amount` ``.
    pub title: String,
    /// The edits, not overlapping. Empty where it can only be told.
    pub edits: Vec<Edit>,
    /// It can be applied without a look: the result checks and means what was meant.
    pub safe: bool,
}

/// A replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; empty to insert.
    pub span: Span,
    /// By what.
    pub text: String,
}

impl Diagnostic {
    /// Returns a diagnostic of the code's own severity.
    pub fn new(code: Code, file: &Arc<str>, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            file: file.clone(),
            span,
            label: String::new(),
            labels: Vec::new(),
            help: None,
            fixes: Vec::new(),
        }
    }

    /// Says what stands under the carets.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    /// Adds a further place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Adds a way to mend it by one edit.
    #[must_use]
    pub fn fix(mut self, title: impl Into<String>, span: Span, text: impl Into<String>, safe: bool) -> Self {
        self.fixes.push(Fix { title: title.into(), edits: vec![Edit { span, text: text.into() }], safe });
        self
    }

    /// Adds a way to mend it that has no single edit.
    #[must_use]
    pub fn advise(mut self, title: impl Into<String>) -> Self {
        self.fixes.push(Fix { title: title.into(), edits: Vec::new(), safe: false });
        self
    }

    /// Tells whether it stops the build.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
