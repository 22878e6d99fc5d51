//! A second look at text that did not fit: where the parser came to a stop, and what it would have taken there.

use pest::Parser;
use pest::error::{ErrorVariant, InputLocation};

use super::token::{Kind, Token, tokens};
use crate::error::SyntaxError;
use crate::grammar::{FlowParser, Rule};
use crate::span::Span;

/// How many tokens before and behind the place are looked at.
const BEFORE: usize = 500;
const BEHIND: usize = 200;

/// What is known about a place that did not fit.
pub(super) struct Look<'s> {
    pub(super) source: &'s str,
    /// The tokens of the text that was looked at, or of the `{…}` in a text where it stopped inside one.
    pub(super) tokens: Vec<Token<'s>>,
    /// The token where the parser stopped; the number of tokens where it wanted more.
    pub(super) found: usize,
    /// What it would have taken.
    pub(super) expected: Vec<Rule>,
    /// The kind of text.
    pub(super) place: Rule,
    /// The text that did not fit.
    pub(super) bad: Span,
    /// The text around the place where the parser stopped inside one.
    pub(super) text: Option<Token<'s>>,
}

impl<'s> Look<'s> {
    /// Reads `bad`, together with what stands before it since `from`, strictly.
    pub(super) fn new(source: &'s str, place: Rule, from: u32, bad: Span) -> Self {
        let range = Span { start: from, end: bad.end };
        let text = range.text(source);
        let (at, expected) = match FlowParser::parse(place, text) {
            Err(error) => {
                let at = match error.location {
                    InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
                };
                let expected = match error.variant {
                    ErrorVariant::ParsingError { positives, .. } => positives,
                    ErrorVariant::CustomError { .. } => Vec::new(),
                };
                (from as usize + at, expected)
            }
            Ok(_) => (bad.start as usize, Vec::new()),
        };
        let expected = expected.into_iter().flat_map(alternatives).collect();
        let mut tokens = tokens(source, range);
        let mut found = tokens.partition_point(|token| token.span.end as usize <= at);
        // The rules look around: in a window their work has a bound.
        tokens.truncate(found + BEHIND);
        let far = found.saturating_sub(BEFORE);
        tokens.drain(..far);
        found -= far;
        let mut look = Self { source, found, tokens, expected, place, bad, text: None };
        look.enter_text(at);
        look
    }

    /// Looks at the tokens of `{…}` alone where the parser stopped in there.
    fn enter_text(&mut self, at: usize) {
        let Some(outer) = self.tokens.get(self.found).copied() else { return };
        let inside = matches!(outer.kind, Kind::Text | Kind::OpenText) && at > outer.span.start as usize;
        if !inside {
            return;
        }
        let before = self.source.get(outer.span.start as usize..at).unwrap_or("");
        let Some(hole) = before.rfind('{') else { return };
        let start = outer.span.start as usize + hole + 1;
        let rest = self.source.get(at..outer.span.end as usize).unwrap_or("");
        let quote = match outer.kind {
            Kind::Text if outer.text.starts_with("\"\"\"") => 3,
            Kind::Text => 1,
            _ => 0,
        };
        let end = rest.find('}').map_or(outer.span.end as usize - quote, |brace| at + brace);
        self.text = Some(outer);
        self.tokens = tokens(self.source, Span::new(start, end));
        self.found = self.tokens.partition_point(|token| token.span.end as usize <= at);
    }

    /// Keeps words apart that a fix would join, and calls it safe only where the text can be read with it.
    pub(super) fn doubt(&self, range: Span, error: &mut SyntaxError) {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        for (span, with) in error.fixes.iter_mut().flat_map(|fix| fix.edits.iter_mut()) {
            if with.ends_with(word) && self.source.get(span.end as usize..).is_some_and(|rest| rest.starts_with(word)) {
                with.push(' ');
            }
            if with.starts_with(word) && self.source.get(..span.start as usize).is_some_and(|before| before.ends_with(word)) {
                with.insert(0, ' ');
            }
        }
        for fix in error.fixes.iter_mut().filter(|fix| fix.safe) {
            if fix.edits.iter().any(|(span, _)| span.start < range.start || span.end > range.end) {
                continue;
            }
            let mut edits: Vec<&(Span, String)> = fix.edits.iter().collect();
            edits.sort_by_key(|(span, _)| (span.start, span.end));
            let mut text = String::new();
            let mut at = range.start;
            for (span, with) in edits {
                text.push_str(Span { start: at, end: span.start.max(at) }.text(self.source));
                text.push_str(with);
                at = span.end;
            }
            text.push_str(Span { start: at.min(range.end), end: range.end }.text(self.source));
            fix.safe = FlowParser::parse(self.place, &text).is_ok();
        }
    }

    pub(super) fn token(&self, at: usize) -> Option<Token<'s>> {
        self.tokens.get(at).copied()
    }

    /// Returns the text of a token, `""` where there is none.
    pub(super) fn word(&self, at: usize) -> &'s str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    /// Returns the text of the token `back` before `at`.
    pub(super) fn word_before(&self, at: usize, back: usize) -> &'s str {
        at.checked_sub(back).map_or("", |at| self.word(at))
    }

    pub(super) fn kind(&self, at: usize) -> Option<Kind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    /// Returns the span of a token, or the place behind the last.
    pub(super) fn span(&self, at: usize) -> Span {
        match (self.tokens.get(at), self.tokens.last()) {
            (Some(token), _) => token.span,
            (None, Some(last)) => last.span.after(),
            (None, None) => Span { start: self.bad.start, end: self.bad.start },
        }
    }

    /// Returns the place right behind the token before `at`.
    pub(super) fn gap(&self, at: usize) -> Span {
        match at.checked_sub(1).and_then(|at| self.tokens.get(at)) {
            Some(token) => token.span.after(),
            None => Span { start: self.span(at).start, end: self.span(at).start },
        }
    }

    pub(super) fn expects(&self, what: fn(Rule) -> bool) -> bool {
        self.expected.iter().any(|rule| what(*rule))
    }

    pub(super) fn expects_rule(&self, rule: Rule) -> bool {
        self.expected.contains(&rule)
    }

    /// Whether nothing but blanks on one line lies between two neighbours.
    pub(super) fn adjacent(&self, at: usize) -> bool {
        match (self.token(at), self.token(at + 1)) {
            (Some(a), Some(b)) => a.span.end == b.span.start,
            _ => false,
        }
    }

    /// Returns where a token stands first on its line.
    pub(super) fn begins_line(&self, at: usize) -> bool {
        let before = self.source.get(..self.span(at).start as usize).unwrap_or("");
        let line = before.trim_end_matches([' ', '\t']);
        line.is_empty() || line.ends_with('\n')
    }

    /// Returns what stands right before `at` as one value: a path, a call, a literal.
    pub(super) fn value_before(&self, at: usize) -> Option<Span> {
        let mut first = at.checked_sub(1)?;
        let end = self.span(first).end;
        loop {
            match self.word(first) {
                ")" | "]" => first = self.partner_before(first)?,
                _ if !self.is_operand(first) => return None,
                _ => {}
            }
            // A call or index owns the path before it.
            let joined = first > 0
                && (self.word(first - 1) == "."
                    || (matches!(self.word(first), "(" | "[") && self.kind(first - 1) == Some(Kind::Word)));
            if !joined {
                break;
            }
            first -= if self.word(first - 1) == "." { 2.min(first) } else { 1 };
        }
        // `100 USD` and `3 days`.
        if first > 0 && self.kind(first) == Some(Kind::Word) && self.kind(first - 1) == Some(Kind::Number) {
            first -= 1;
        }
        Some(Span { start: self.span(first).start, end })
    }

    /// Returns what stands at `at` as one value.
    pub(super) fn value_at(&self, at: usize) -> Option<Span> {
        if !self.is_operand(at) {
            return None;
        }
        let mut last = at;
        loop {
            if self.kind(last) == Some(Kind::Number)
                && self.kind(last + 1) == Some(Kind::Word)
                && !is_reserved(self.word(last + 1))
            {
                last += 1;
            } else if self.word(last + 1) == "." && self.kind(last + 2) == Some(Kind::Word) {
                last += 2;
            } else if self.word(last + 1) == "(" && self.kind(last) == Some(Kind::Word) {
                last = self.partner_behind(last + 1)?;
            } else {
                break;
            }
        }
        Some(self.span(at).to(self.span(last)))
    }

    fn is_operand(&self, at: usize) -> bool {
        match self.kind(at) {
            Some(Kind::Word) => !is_reserved(self.word(at)) || matches!(self.word(at), "true" | "false"),
            Some(Kind::Number | Kind::Time | Kind::Text) => true,
            Some(Kind::OpenText | Kind::Sign) | None => false,
        }
    }

    fn partner_before(&self, close: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for at in (0..=close).rev() {
            match self.word(at) {
                ")" | "]" | "}" => depth += 1,
                "(" | "[" | "{" => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                return Some(at);
            }
        }
        None
    }

    fn partner_behind(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for at in open..self.tokens.len() {
            match self.word(at) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                return Some(at);
            }
        }
        None
    }

    /// Returns the innermost bracket that is open before `at`.
    pub(super) fn open_bracket(&self, at: usize) -> Option<usize> {
        let mut open = Vec::new();
        for i in 0..at.min(self.tokens.len()) {
            match self.word(i) {
                "(" | "[" | "{" => open.push(i),
                ")" | "]" | "}" => {
                    open.pop();
                }
                _ => {}
            }
        }
        open.pop()
    }

    /// Returns the last of these words before `at`, where no step or item begins in between.
    pub(super) fn last_of(&self, at: usize, words: &[&str]) -> Option<usize> {
        (0..at.min(self.tokens.len())).rev().find(|i| words.contains(&self.word(*i)))
    }

    /// Returns a word alone at the start of a step, as misspelt keywords and those of other languages are.
    pub(super) fn lone_word(&self) -> Option<usize> {
        if self.expects_rule(Rule::call_step) && self.kind(self.found) == Some(Kind::Word) {
            return Some(self.found);
        }
        let word = self.found.checked_sub(1)?;
        let begins = word == 0
            || self.begins_line(word)
            || matches!(self.word(word - 1), "{" | "}" | ")" | "do" | "then" | "=>" | ";")
            || self.span(word).start == self.bad.start;
        (self.expects_rule(Rule::args) && begins && self.kind(word) == Some(Kind::Word) && !is_reserved(self.word(word)))
            .then_some(word)
    }

    /// Whether `at` stands in a condition.
    pub(super) fn in_condition(&self, at: usize) -> bool {
        self.last_of(at, &["where", "if", "when", "do", "then", "let", "=>", "="])
            .is_some_and(|i| matches!(self.word(i), "where" | "if"))
    }
}

/// Where nothing of a text fits, pest names the text as a whole: here are its lines.
fn alternatives(rule: Rule) -> Vec<Rule> {
    let lines: &[Rule] = match rule {
        Rule::only_items => &[Rule::flow, Rule::test, Rule::connector],
        Rule::only_steps | Rule::only_chain => &[Rule::call_step],
        Rule::only_arms => &[Rule::arm],
        Rule::only_tests => &[Rule::given],
        Rule::only_members => &[Rule::record],
        Rule::only_fields => &[Rule::record_field],
        Rule::only_source => &[Rule::items],
        Rule::only_http => &[Rule::effect],
        _ => return vec![rule],
    };
    lines.to_vec()
}

/// The words that name nothing.
pub fn is_reserved(word: &str) -> bool {
    matches!(
        word,
        "when"
            | "every"
            | "where"
            | "do"
            | "then"
            | "and"
            | "or"
            | "not"
            | "is"
            | "in"
            | "contains"
            | "else"
            | "if"
            | "match"
            | "let"
            | "for"
            | "true"
            | "false"
    )
}
