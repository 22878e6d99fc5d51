//! `# allow W702: reason`: one warning or piece of advice is silenced at one place.
//!
//! A comment behind code speaks for its line; one on a line of its own for the next item, clause or step. Errors cannot
//! be allowed away: what they are about would not work. A comment that silences nothing is W901, so that none outlives
//! what it was written for.

mod place;

use std::sync::Arc;

use flow_grammar::Parsed;
use flow_grammar::span::Span;
use flow_grammar::syntax::Comment;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Edit, Fix, Severity};
use crate::suggest::nearest;

const UNUSED: &str = "a comment that silences nothing would hide the next one that comes; it speaks for its own line, or for \
                      the item, clause or step below it";

/// The comments of one file that silence something, and which of them have done so.
#[derive(Debug, Clone, Default)]
pub struct Allows {
    entries: Vec<Allow>,
    /// What is wrong with the comments themselves.
    pub diagnostics: Vec<Diagnostic>,
}

#[derive(Debug, Clone)]
struct Allow {
    code: Code,
    /// Where the diagnostic has to begin.
    covers: Span,
    /// The comment.
    comment: Span,
    /// The comment allows nothing else.
    alone: bool,
    used: bool,
}

impl Allows {
    /// Reads the comments of a file of flows.
    pub fn of(file: &Arc<str>, source: &str, parsed: &Parsed) -> Self {
        let mut allows = Self::default();
        for comment in &parsed.file.comments {
            if let Some(said) = said(comment.text.as_str()) {
                let covers = place::covered(source, comment.span, &parsed.file.items);
                allows.add(file, source, comment.span, covers, &said);
            }
        }
        allows
    }

    /// Reads the comments of flow.toml: each speaks for its line, or for the next one that is no comment.
    pub fn of_toml(file: &Arc<str>, source: &str) -> Self {
        let mut allows = Self::default();
        for comment in place::toml_comments(source) {
            if let Some(said) = said(comment.text.as_str()) {
                let covers = place::covered(source, comment.span, &[]);
                allows.add(file, source, comment.span, covers, &said);
            }
        }
        allows
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes out what is allowed, and remembers which comments were needed for it.
    pub fn silence(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        if !self.entries.is_empty() {
            diagnostics.retain(|diagnostic| !self.silences(diagnostic));
        }
    }

    /// Tells whether a diagnostic of this file is allowed, and remembers it.
    pub fn silences(&mut self, diagnostic: &Diagnostic) -> bool {
        if diagnostic.severity == Severity::Error {
            return false;
        }
        let mut found = false;
        for allow in &mut self.entries {
            if allow.code == diagnostic.code
                && allow.covers.start <= diagnostic.span.start
                && diagnostic.span.start < allow.covers.end
            {
                allow.used = true;
                found = true;
            }
        }
        found
    }

    /// Returns W901 for each comment that silenced nothing. `advice`: pieces of advice were looked for as well.
    pub fn unused(&self, file: &Arc<str>, source: &str, advice: bool) -> Vec<Diagnostic> {
        self.entries
            .iter()
            .filter(|allow| !allow.used && (advice || allow.code.severity() != Severity::Advice))
            .map(|allow| {
                let message = format!("there is no {} here to allow", allow.code);
                let diagnostic = Diagnostic::new(Code::W901, file, allow.comment, message)
                    .label(format!("{}: {}", allow.code, allow.code.title()))
                    .help(UNUSED);
                if allow.alone { with(diagnostic, without(source, allow.comment)) } else { diagnostic }
            })
            .collect()
    }

    fn add(&mut self, file: &Arc<str>, source: &str, comment: Span, covers: Span, said: &Said<'_>) {
        let at = |part: &str| {
            let offset = part.as_ptr().addr() - said.whole.as_ptr().addr();
            // The text of a comment begins behind its `#`.
            let start = comment.start as usize + 1 + offset;
            Span::new(start, start + part.len())
        };
        let alone = said.codes.len() == 1;
        let mut known = Vec::new();
        for word in &said.codes {
            let span = at(word);
            match Code::parse(word) {
                None => self.diagnostics.push(unknown(file, span, word)),
                Some(code) if code.severity() == Severity::Error => {
                    let message = format!("{code} is an error: it cannot be allowed");
                    let diagnostic = Diagnostic::new(Code::W901, file, span, message)
                        .label(code.title())
                        .help("only warnings and advice can be: with an error there is nothing that could run");
                    self.diagnostics.push(if alone { with(diagnostic, without(source, comment)) } else { diagnostic });
                }
                Some(code) => known.push(code),
            }
        }
        let Some(last) = said.codes.last().filter(|_| !known.is_empty()) else { return };
        let end = at(last).after();
        if said.reason.is_empty() {
            let mut diagnostic = Diagnostic::new(Code::W902, file, comment, "this has no reason")
                .help("whoever reads it next wants to know why; the reason stands behind a colon");
            diagnostic = if said.rest.is_empty() {
                diagnostic.fix(format!("`# allow {last}: because …`"), end, ": because …", false)
            } else {
                let from = Span { start: end.start, end: at(said.rest).start };
                diagnostic.fix(format!("`# allow {last}: {}`", said.rest), from, ": ", true)
            };
            self.diagnostics.push(diagnostic);
        }
        // Silent all the same: one cause, one diagnostic.
        self.entries.extend(known.into_iter().map(|code| Allow { code, covers, comment, alone, used: false }));
    }
}

fn unknown(file: &Arc<str>, span: Span, word: &str) -> Diagnostic {
    let allowed = Code::ALL.iter().filter(|code| code.severity() != Severity::Error).map(|code| code.as_str());
    let diagnostic = Diagnostic::new(Code::W901, file, span, format!("there is no code {word}"));
    match nearest(&word.to_uppercase(), allowed).and_then(Code::parse) {
        Some(code) => diagnostic.help(format!("did you mean {code}? It is {}", code.title())).fix(
            format!("`{code}`"),
            span,
            code.as_str(),
            false,
        ),
        None => diagnostic.help("`flowc explain` lists the codes"),
    }
}

/// The fix that takes the comment out, with its line where nothing else is on it.
fn without(source: &str, comment: Span) -> Fix {
    let before = source.get(..comment.start as usize).unwrap_or_default();
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let lead = before.get(line..).unwrap_or_default();
    let mut end = comment.end as usize;
    let start = if lead.trim_matches('\u{feff}').trim().is_empty() {
        // The rest of the line is blank: a comment goes on to its end.
        end += source.get(end..).and_then(|rest| rest.find('\n')).map_or(0, |at| at + 1);
        line + lead.len() - lead.trim_start_matches('\u{feff}').len()
    } else {
        line + lead.trim_end().len()
    };
    Fix {
        title: "take the comment out".to_owned(),
        edits: vec![Edit { span: Span::new(start, end), text: String::new() }],
        safe: true,
    }
}

/// What a comment says.
struct Said<'a> {
    whole: &'a str,
    codes: Vec<&'a str>,
    /// Behind the colon.
    reason: &'a str,
    /// Behind the codes, where there is no colon.
    rest: &'a str,
}

/// Reads `allow W702, W311: reason`. Other comments, also those that happen to begin with the word, are none of ours.
fn said(text: &str) -> Option<Said<'_>> {
    let mut rest = text.trim_start().strip_prefix("allow")?;
    if !rest.starts_with([' ', '\t', ':', '(']) {
        return None;
    }
    let mut codes = Vec::new();
    loop {
        let next = rest.trim_start_matches([' ', '\t', '(', ',']);
        let next = if codes.is_empty() { next.trim_start_matches([':', ' ', '\t', '(']) } else { next };
        let len = next.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let (word, behind) = next.split_at(len);
        let is_word_next = behind.starts_with(['_', '-', '.', '\'']);
        if !looks_like_a_code(word) || is_word_next {
            break;
        }
        codes.push(word);
        rest = behind;
        if !rest.trim_start().starts_with(',') {
            break;
        }
    }
    if codes.is_empty() {
        return None;
    }
    let rest = rest.trim_start_matches([')', ' ', '\t']);
    Some(match rest.strip_prefix(':') {
        Some(reason) => Said { whole: text, codes, reason: reason.trim(), rest: "" },
        None => Said { whole: text, codes, reason: "", rest: rest.trim_start_matches(['-', '–', '—', ' ', '\t']).trim_end() },
    })
}

/// A letter and digits; `W7O2` and `702` are meant so too.
fn looks_like_a_code(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    (3..=5).contains(&word.len()) && digits >= 2 && word.bytes().filter(u8::is_ascii_alphabetic).count() <= 2
}

fn with(mut diagnostic: Diagnostic, fix: Fix) -> Diagnostic {
    diagnostic.fixes.push(fix);
    diagnostic
}

/// A comment of flow.toml.
pub(crate) fn comment(span: Span, source: &str) -> Comment {
    Comment { span, text: span.text(source).get(1..).unwrap_or_default().to_owned() }
}
