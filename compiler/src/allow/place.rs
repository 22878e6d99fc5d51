//! What a comment speaks for: its own line, or what stands below it.

use flow_grammar::span::Span;
use flow_grammar::syntax::{Block, Comment, ElseBranch, Flow, IfStep, Item, Start, Step, StepKind};

/// Returns where a diagnostic has to begin to be meant by a comment.
pub(super) fn covered(source: &str, comment: Span, items: &[Item]) -> Span {
    let line = line_at(source, comment.start as usize);
    let before = source.get(line.start as usize..comment.start as usize).unwrap_or_default();
    if !before.trim_matches('\u{feff}').trim().is_empty() {
        return line;
    }
    let next = skip(source, comment.end as usize);
    let mut search = Search { source, at: next, found: None };
    items.iter().for_each(|item| search.item(item));
    search.found.unwrap_or_else(|| line_at(source, next))
}

/// Returns the comments of a TOML text. `#` in a text of one line is none; in one of several lines it is taken for one,
/// which does no harm: nobody writes `allow` and a code there.
pub(super) fn toml_comments(source: &str) -> Vec<Comment> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        let mut quote = None;
        let hash = line.char_indices().find(|(_, c)| {
            match (quote, *c) {
                (None, '#') => return true,
                (None, '"' | '\'') => quote = Some(*c),
                (Some(open), c) if open == c => quote = None,
                _ => {}
            }
            false
        });
        if let Some((at, _)) = hash {
            found.push(super::comment(Span::new(start + at, start + line.trim_end().len()), source));
        }
        start += line.len();
    }
    found
}

/// Returns the line around an offset, without its end.
fn line_at(source: &str, at: usize) -> Span {
    let start = source.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |found| found + 1);
    let end = source.get(at..).and_then(|rest| rest.find('\n')).map_or(source.len(), |found| at + found);
    Span::new(start, end)
}

/// Returns where the next word begins: behind blanks, comments and doc comments.
fn skip(source: &str, from: usize) -> usize {
    let mut at = from;
    loop {
        let rest = source.get(at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        if !trimmed.starts_with('#') {
            return at;
        }
        at += trimmed.find('\n').unwrap_or(trimmed.len());
    }
}

/// Looks for the largest item, clause or step that begins at a place.
struct Search<'a> {
    source: &'a str,
    at: usize,
    found: Option<Span>,
}

impl Search<'_> {
    /// Tells whether to look inside.
    fn node(&mut self, span: Span) -> bool {
        if self.found.is_some() || self.at >= span.end as usize || self.at < span.start as usize {
            return false;
        }
        if skip(self.source, span.start as usize) == self.at {
            self.found = Some(span);
            return false;
        }
        true
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Flow(flow) => {
                if self.node(flow.span) {
                    self.flow(flow);
                }
            }
            Item::Test(test) => {
                self.node(test.span);
            }
            Item::Connector(connector) => {
                self.node(connector.span);
            }
            Item::Bad(span) => {
                self.node(*span);
            }
        }
    }

    fn flow(&mut self, flow: &Flow) {
        match &flow.start {
            Start::When(when) => self.node(when.span),
            Start::Every(every) => self.node(every.span),
        };
        for clause in &flow.clauses {
            self.node(clause.span);
        }
        if self.node(flow.do_span.to(flow.body.span)) {
            self.block(&flow.body);
        }
        flow.on_error.iter().for_each(|block| self.block(block));
    }

    fn block(&mut self, block: &Block) {
        block.steps.iter().for_each(|step| self.step(step));
    }

    fn step(&mut self, step: &Step) {
        if !self.node(step.span) {
            return;
        }
        match &step.kind {
            StepKind::Call(call) => call.on_error.iter().for_each(|block| self.block(block)),
            StepKind::If(node) => self.branches(node),
            StepKind::Match { arms, .. } => {
                for arm in arms {
                    if self.node(arm.span) {
                        self.block(&arm.body);
                    }
                }
            }
            StepKind::For { body, .. } => self.block(body),
            StepKind::WaitFor { otherwise, .. } => otherwise.iter().for_each(|block| self.block(block)),
            StepKind::Let { .. }
            | StepKind::Stop(_)
            | StepKind::Return(_)
            | StepKind::Require(_)
            | StepKind::Wait(_)
            | StepKind::WaitUntil { .. }
            | StepKind::Bad => {}
        }
    }

    fn branches(&mut self, node: &IfStep) {
        self.block(&node.then);
        match &node.otherwise {
            Some(ElseBranch::Block(block)) => self.block(block),
            Some(ElseBranch::If(step)) => self.step(step),
            None => {}
        }
    }
}
