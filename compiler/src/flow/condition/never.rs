//! Conditions that cannot hold: by themselves (E701), or given what is known where they stand (W707).

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, BinaryOp, ExprKind};
use flow_plan as plan;
use flow_plan::{Condition, FieldShape};

use super::super::check::Checker;
use super::super::event::Event;
use super::super::start::Started;
use crate::code::Code;
use crate::lint::Holds;

/// Longer chains are not looked at part by part: each pair is compared.
const MOST_PARTS: usize = 32;

impl Checker<'_> {
    /// Reports two parts of an `and`, one on each side, of which never both hold.
    pub(super) fn contradiction(
        &mut self,
        (left, left_tree): (&syntax::Expr, &Condition),
        (right, right_tree): (&syntax::Expr, &Condition),
    ) {
        if self.is_silent(left.span.to(right.span)) {
            return;
        }
        let (mut first, mut second) = (Vec::new(), Vec::new());
        parts(left, &mut first);
        parts(right, &mut second);
        let (mut first_tests, mut second_tests) = (Vec::new(), Vec::new());
        tests(left_tree, &mut first_tests);
        tests(right_tree, &mut second_tests);
        if first.len() != first_tests.len() || second.len() != second_tests.len() || first.len() > MOST_PARTS {
            return;
        }
        let each = |tests: Vec<&Condition>| -> Vec<Holds> { tests.into_iter().map(|test| self.holds(test)).collect() };
        let (first_holds, second_holds) = (each(first_tests), each(second_tests));
        let excludes = |a: &Holds, b: &Holds| !a.is_never() && !b.is_never() && a.and(b).is_never();
        let found = first
            .iter()
            .zip(&first_holds)
            .find_map(|(a, x)| second.iter().zip(&second_holds).find(|(_, y)| excludes(x, y)).map(|(b, _)| (a.span, b.span)));
        if let Some((a, b)) = found {
            let diagnostic = self
                .diagnostic(Code::E701, b, "this can never hold together with what stands before it")
                .also(a, "no value fits both")
                .help("`and` wants both at once; if either will do, write `or`");
            self.report(diagnostic);
        }
    }

    /// Reports a whole condition that never holds, where no part of it was to blame, and returns what holds where it does.
    pub(in crate::flow) fn never(&mut self, expr: &syntax::Expr, tree: &Condition) -> Holds {
        let holds = self.holds(tree);
        if self.is_silent(expr.span) || has_unknown(tree) {
            return holds;
        }
        if holds.is_never() {
            let diagnostic = self
                .diagnostic(Code::E701, expr.span, "this condition never holds")
                .label("no value fits all of it")
                .help("`and` wants everything at once; if either will do, write `or`");
            self.report(diagnostic);
        }
        holds
    }

    /// Reports a `where` for which the trigger lets nothing through.
    pub(in crate::flow) fn never_by_trigger(&mut self, expr: &syntax::Expr, holds: &Holds) {
        let Event::Known(source) = self.event() else { return };
        if self.is_excluded(holds) && !self.is_silent(expr.span) {
            let diagnostic = self
                .diagnostic(Code::E701, expr.span, "this condition never holds")
                .label(format!("`{}` by itself leaves out what is asked for here", source.path()))
                .help("the trigger has a condition of its own, besides this one");
            self.report(diagnostic);
        }
    }

    /// Takes in what the trigger itself asks for, where there is one.
    pub(in crate::flow) fn know_guard(&mut self, started: &Started) {
        if let [only] = started.triggers.as_slice()
            && let Some(guard) = &only.guard
        {
            let holds = self.holds_where(guard, true);
            self.know(&holds);
        }
    }

    /// Returns what holds where a condition does.
    pub(in crate::flow) fn holds(&self, tree: &Condition) -> Holds {
        Holds::condition(tree, &|slot| self.shape_of(slot))
    }

    /// Returns what holds where an expression is true, or is not.
    pub(in crate::flow) fn holds_where(&self, expr: &plan::Expr, holds: bool) -> Holds {
        Holds::expr(expr, holds, &|slot| self.shape_of(slot))
    }

    /// How a slot is read; `None` where the triggers differ in that.
    fn shape_of(&self, slot: u16) -> Option<&FieldShape> {
        let fields = &self.reads.get(usize::from(slot))?.fields;
        let (first, rest) = fields.split_first()?;
        let first = &first.as_ref()?.shape;
        let same = |field: &&crate::catalog::Field| field.shape.shape == first.shape && field.shape.optional == first.optional;
        rest.iter().all(|field| field.as_ref().is_some_and(same)).then_some(first)
    }

    /// Takes in what holds from here on.
    pub(in crate::flow) fn know(&mut self, holds: &Holds) {
        if self.quiet == 0 && self.frame.own.is_none() {
            self.known = self.known.and(&holds.clone().lasting());
        }
    }

    /// Tells whether something is never so here.
    pub(in crate::flow) fn is_excluded(&self, holds: &Holds) -> bool {
        self.quiet == 0 && self.frame.own.is_none() && !self.known.is_never() && self.known.and(holds).is_never()
    }

    /// Nothing is to be said of a place where something was said already.
    pub(in crate::flow) fn is_silent(&self, span: Span) -> bool {
        self.quiet > 0
            || self.frame.own.is_some()
            || self.broken
            || matches!(self.event(), Event::Unknown)
            || self
                .diagnostics
                .iter()
                .any(|one| (one.is_error() || one.code == Code::W707) && one.span.start < span.end && span.start < one.span.end)
    }
}

/// Tells whether a part of a condition stands for a mistake that was reported, here or where its values come from.
fn has_unknown(tree: &Condition) -> bool {
    match tree {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(has_unknown),
        Condition::Not(inner) => has_unknown(inner),
        Condition::Test { text, expr, .. } => text.is_empty() && matches!(expr, plan::Expr::Const(plan::Value::Bool(false))),
    }
}

/// The parts that `and` joins.
fn parts<'e>(expr: &'e syntax::Expr, into: &mut Vec<&'e syntax::Expr>) {
    match expr.kind.as_ref() {
        ExprKind::Paren(inner) => parts(inner, into),
        ExprKind::Binary(BinaryOp::And, _, left, right) => {
            parts(left, into);
            parts(right, into);
        }
        _ => into.push(expr),
    }
}

fn tests<'e>(tree: &'e Condition, into: &mut Vec<&'e Condition>) {
    match tree {
        Condition::All(parts) => parts.iter().for_each(|part| tests(part, into)),
        other => into.push(other),
    }
}
