//! Diagnostics for people, by miette, and for programs, as JSON. The only file that names miette.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use flow_grammar::span::{LineIndex, Span};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, ThemeCharacters, ThemeStyles};
use serde_json::{Value as Json, json};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Severity};

/// The texts that diagnostics point into, by file.
pub type Sources = BTreeMap<Arc<str>, Arc<str>>;

/// How reports look.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Colours: only on a terminal.
    pub colours: bool,
    /// Columns, for wrapping the text below.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self { colours: false, width: 110 }
    }
}

/// Returns the texts with every secret blotted out that a diagnostic is about, so that no report prints one back.
pub fn without_secrets(diagnostics: &[Diagnostic], sources: &Sources) -> Sources {
    let mut sources = sources.clone();
    for diagnostic in diagnostics.iter().filter(|diagnostic| matches!(diagnostic.code, Code::E801 | Code::E813)) {
        let Some(text) = sources.get(&diagnostic.file) else { continue };
        let Some(secret) = text.get(diagnostic.span.range()) else { continue };
        // Byte for byte, so that every other place stays where it is; quotes and line ends too.
        let blot: String = secret
            .chars()
            .map(|c| if matches!(c, '"' | '\'' | '\n') { c.to_string() } else { "*".repeat(c.len_utf8()) })
            .collect();
        let masked = [text.get(..diagnostic.span.start as usize), Some(blot.as_str()), text.get(diagnostic.span.end as usize..)];
        let masked: String = masked.into_iter().flatten().collect();
        sources.insert(diagnostic.file.clone(), Arc::from(masked));
    }
    sources
}

/// Returns the report of one diagnostic. For several of one project, blot secrets out first ([`without_secrets`]).
pub fn human(diagnostic: &Diagnostic, sources: &Sources, style: Style) -> String {
    let styles = if style.colours { ThemeStyles::ansi() } else { ThemeStyles::none() };
    // Where the characters cannot be shown is not known here; miette's Unicode set is within what fonts have.
    let theme = GraphicalTheme { characters: ThemeCharacters::unicode(), styles };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(style.width).with_links(false).with_context_lines(1);
    let source = sources.get(&diagnostic.file).map_or_else(String::new, |text| {
        if text.chars().any(|c| c.is_control() && c != '\n' || c > '\u{200d}' && c < '\u{2070}') {
            tame(text)
        } else {
            text.to_string()
        }
    });
    let len = source.len();
    let report = Report { diagnostic, source: NamedSource::new(&*diagnostic.file, WholeLines(Arc::from(source))), len };
    let mut out = String::new();
    // Writing into a text cannot fail; should miette refuse a span, the message alone is still said.
    if handler.render_report(&mut out, &report).is_err() {
        out = format!("{}[{}]: {}\n", diagnostic.severity.word(), diagnostic.code, diagnostic.message);
    }
    out
}

struct Report<'a> {
    diagnostic: &'a Diagnostic,
    source: NamedSource<WholeLines>,
    len: usize,
}

/// Longer lines are shown around the place only.
const LONGEST_LINE: usize = 300;

/// Returns `text` of the same length without control characters: what is in a file must not steer a terminal.
fn tame(text: &str) -> String {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c.to_string(),
            // A carriage return belongs to the line end and has no width.
            '\r' => " ".to_owned(),
            c if steers(c) && c.len_utf8() == 3 => "\u{fffd}".to_owned(),
            c if steers(c) => "?".repeat(c.len_utf8()),
            c => c.to_string(),
        })
        .collect()
}

/// Cuts the range to what can be shown around `span`, at character boundaries.
fn clip(text: &str, start: usize, end: usize, span: (usize, usize)) -> (usize, usize) {
    if end - start <= LONGEST_LINE {
        return (start, end);
    }
    let mut from = span.0.saturating_sub(LONGEST_LINE / 3).max(start);
    let mut to = (span.1 + LONGEST_LINE / 3).min(end);
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    while !text.is_char_boundary(to) {
        to += 1;
    }
    (from, to)
}

/// A source that shows the whole of each line that a span touches, and no other.
struct WholeLines(Arc<str>);

impl miette::SourceCode for WholeLines {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        _after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let text = &*self.0;
        // Without context it is the heading that asks, for the place of the span itself.
        if before == 0 {
            return text.read_span(span, 0, 0);
        }
        let start = text.get(..span.offset()).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let end = (span.offset() + span.len()).min(text.len());
        let end = text.get(end..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| end + at);
        let (start, end) = clip(text, start, end, (span.offset(), span.offset() + span.len()));
        text.read_span(&(start, end - start).into(), 0, 0)
    }
}

impl Report<'_> {
    /// Returns the length of the first line of what begins at `start`, at most [`LONGEST_LINE`] / 3.
    fn beginning(&self, start: usize) -> usize {
        let rest = self.source.inner().0.get(start..).unwrap_or("");
        rest.char_indices()
            .take_while(|(at, c)| *c != '\n' && *at < LONGEST_LINE / 3)
            .last()
            .map_or(0, |(at, c)| at + c.len_utf8())
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.diagnostic.code)
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without a source there is no heading that names the file.
        if self.len == 0 {
            write!(f, "{}: ", tame(&self.diagnostic.file))?;
        }
        f.write_str(&tame(&self.diagnostic.message))
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(format!("{}[{}]", self.diagnostic.severity.word(), self.diagnostic.code)))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Advice => miette::Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let mut text = self.diagnostic.help.clone().unwrap_or_default();
        // Behind `help:` a fix alone needs no word of its own.
        if let ("", [only]) = (text.as_str(), self.diagnostic.fixes.as_slice()) {
            let write = if only.title.starts_with('`') { "write " } else { "" };
            return Some(Box::new(tame(&format!("{write}{}", only.title))));
        }
        if text.is_empty() && !self.diagnostic.fixes.is_empty() {
            text.push_str("one of these:");
        }
        for fix in &self.diagnostic.fixes {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str("fix: ");
            text.push_str(&fix.title);
        }
        (!text.is_empty()).then(|| Box::new(tame(&text)) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        (self.len > 0).then_some(&self.source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = |span: Span, text: &str, primary: bool| {
            let start = (span.start as usize).min(self.len);
            let len = (span.end as usize).min(self.len).saturating_sub(start);
            // What goes on for pages is marked at its beginning.
            let len = if len > LONGEST_LINE { self.beginning(start) } else { len };
            let text = (!text.is_empty()).then(|| tame(text));
            if primary {
                LabeledSpan::new_primary_with_span(text, (start, len))
            } else {
                LabeledSpan::new_with_span(text, (start, len))
            }
        };
        let first = std::iter::once(label(self.diagnostic.span, &self.diagnostic.label, true));
        Some(Box::new(first.chain(self.diagnostic.labels.iter().map(move |other| label(other.span, &other.text, false)))))
    }
}

/// Returns the JSON of `flowc check --format json`.
pub fn json(diagnostics: &[Diagnostic], sources: &Sources, flows: usize) -> Json {
    let mut indices: BTreeMap<Arc<str>, LineIndex> = BTreeMap::new();
    let mut items = Vec::new();
    for diagnostic in diagnostics {
        let source = sources.get(&diagnostic.file).cloned().unwrap_or_default();
        let index = indices.entry(diagnostic.file.clone()).or_insert_with(|| LineIndex::new(&source));
        let span = |span: Span| {
            let place = |offset: u32| {
                let position = index.position(&source, offset as usize);
                json!({ "offset": position.offset, "line": position.line, "column": position.column })
            };
            json!({ "start": place(span.start), "end": place(span.end) })
        };
        let mut labels: Vec<Json> = Vec::new();
        if !diagnostic.label.is_empty() {
            labels.push(json!({ "span": span(diagnostic.span), "text": diagnostic.label }));
        }
        labels.extend(diagnostic.labels.iter().map(|label| json!({ "span": span(label.span), "text": label.text })));
        let fixes: Vec<Json> = diagnostic
            .fixes
            .iter()
            .map(|fix| {
                let edits: Vec<Json> =
                    fix.edits.iter().map(|edit| json!({ "span": span(edit.span), "text": edit.text })).collect();
                json!({ "title": fix.title, "edits": edits, "safe": fix.safe })
            })
            .collect();
        items.push(json!({
            "code": diagnostic.code.as_str(),
            "severity": diagnostic.severity.word(),
            "message": diagnostic.message,
            "file": &*diagnostic.file,
            "span": span(diagnostic.span),
            "labels": labels,
            "help": diagnostic.help,
            "fixes": fixes,
        }));
    }
    let count = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    json!({
        "diagnostics": items,
        "summary": {
            "files": sources.keys().filter(|name| !name.ends_with("flow.toml") && ***name != *crate::lock::FILE).count(),
            "flows": flows,
            "errors": count(Severity::Error),
            "warnings": count(Severity::Warning),
        },
    })
}
