//! Precedence: a row of operands and operators becomes a tree.
//!
//! The operators wait on a stack of their own, so neither long rows nor many prefixes use the call stack. Loosest
//! first: `or`, `and`, `not`, comparisons, `..`, `+ -`, `* /`, `else`, and the prefixes `-` and `require`.

use super::{Builder, Node};
use crate::diagnose;
use crate::grammar::Rule;
use crate::span::Span;
use crate::syntax::{BinaryOp, Expr, ExprKind, IsTest};

/// How high the tree of one expression may become, operands of calls included.
pub(crate) const MAX_HEIGHT: u32 = 200;

/// An operator that waits for its right side.
#[derive(Debug, Clone, Copy)]
enum Op {
    Binary(BinaryOp),
    Is { negated: bool },
    In { negated: bool },
    Range,
    Else,
    Not,
    Negate,
    Require,
}

const COMPARISON: u8 = 4;

impl Op {
    fn strength(self) -> u8 {
        match self {
            Op::Binary(BinaryOp::Or) => 1,
            Op::Binary(BinaryOp::And) => 2,
            Op::Not => 3,
            Op::Is { .. }
            | Op::In { .. }
            | Op::Binary(
                BinaryOp::Less
                | BinaryOp::LessEq
                | BinaryOp::Greater
                | BinaryOp::GreaterEq
                | BinaryOp::Contains
                | BinaryOp::StartsWith
                | BinaryOp::EndsWith
                | BinaryOp::Matches,
            ) => COMPARISON,
            Op::Range => 5,
            Op::Binary(BinaryOp::Add | BinaryOp::Subtract) => 6,
            Op::Binary(BinaryOp::Multiply | BinaryOp::Divide) => 7,
            Op::Else => 8,
            Op::Negate | Op::Require => 9,
        }
    }

    fn is_prefix(self) -> bool {
        matches!(self, Op::Not | Op::Negate | Op::Require)
    }
}

/// A row in the making.
#[derive(Default)]
pub(super) struct Row {
    /// Operands with the height of their trees.
    values: Vec<(Expr, u32)>,
    waiting: Vec<(Op, Span)>,
}

impl Row {
    /// Adds an operand. What is too high is let go at once: a tree of any height would take a call stack of that height to drop.
    pub(super) fn push(&mut self, value: Expr, height: u32) {
        let bounded = if height > MAX_HEIGHT { expr(value.span, ExprKind::Bad) } else { value };
        self.values.push((bounded, height));
    }

    /// Wraps the last operand, which then has the height `height` gives.
    pub(super) fn wrap_last(&mut self, to: Span, height: impl FnOnce(u32) -> u32, kind: impl FnOnce(Expr) -> ExprKind) {
        if let Some((value, before)) = self.values.pop() {
            let whole = value.span.to(to);
            self.push(expr(whole, kind(value)), height(before));
        }
    }

    /// Applies what binds at least as tightly as `strength`.
    fn reduce(&mut self, strength: u8) {
        while let Some((op, span)) = self.waiting.pop_if(|(op, _)| op.strength() >= strength) {
            let Some((right, right_height)) = self.values.pop() else { return };
            let (value, height) = if op.is_prefix() {
                (prefixed(op, span, right), right_height)
            } else {
                let Some((left, left_height)) = self.values.pop() else { return };
                (combined(op, span, left, right), left_height.max(right_height))
            };
            self.push(value, height + 1);
        }
    }

    fn push_op(&mut self, op: Op, span: Span) {
        self.reduce(op.strength());
        self.waiting.push((op, span));
    }
}

impl<'s> Builder<'s> {
    /// Adds an operator to the row.
    pub(super) fn operator(&mut self, row: &mut Row, node: &Node<'s>) {
        let span = node.as_span();
        let text = span.as_str();
        let span = Span::new(span.start(), span.end());
        let op = match node.as_rule() {
            Rule::prefix => {
                let op = match text.as_bytes().first() {
                    Some(b'n' | b'!') => Op::Not,
                    Some(b'-') => Op::Negate,
                    _ => Op::Require,
                };
                row.waiting.push((op, span));
                return;
            }
            Rule::is_op => Op::Is { negated: text == "!=" || text.starts_with('i') && text.len() > 2 },
            Rule::matches_op => Op::Binary(BinaryOp::Matches),
            Rule::else_op => Op::Else,
            _ => infix_of(text),
        };
        if op.strength() == COMPARISON {
            row.reduce(COMPARISON + 1);
            if let Some((before, before_span)) = row.waiting.last()
                && before.strength() == COMPARISON
            {
                self.errors.push(diagnose::comparisons(self.source, *before_span, span));
            } else if let Some(before) = row.values.last().and_then(|(value, _)| word_behind(value, self.source)) {
                self.errors.push(diagnose::comparisons(self.source, before, span));
            }
        }
        row.push_op(op, span);
    }

    /// Applies `is present` and the like, whose operator was added right before.
    pub(super) fn is_word(row: &mut Row, node: &Node<'s>) {
        let span = node.as_span();
        let test = match span.as_str() {
            "present" => IsTest::Present,
            "missing" => IsTest::Missing,
            _ => IsTest::Empty,
        };
        let (Some((op, _)), Some((value, height))) = (row.waiting.pop(), row.values.pop()) else {
            return;
        };
        let whole = value.span.to(Span::new(span.start(), span.end()));
        let negated = matches!(op, Op::Is { negated: true });
        row.push(expr(whole, ExprKind::Is { value, negated, test }), height + 1);
    }

    /// Returns the tree of a complete row.
    pub(super) fn finish_row(&mut self, mut row: Row, span: Span) -> Expr {
        row.reduce(0);
        let Some((value, height)) = row.values.pop() else {
            return expr(span, ExprKind::Bad);
        };
        if height > MAX_HEIGHT {
            if !self.reported_height {
                self.reported_height = true;
                self.errors.push(diagnose::too_long(span));
            }
            self.height = 1;
            return expr(span, ExprKind::Bad);
        }
        self.height = height;
        value
    }
}

pub(super) fn expr(span: Span, kind: ExprKind) -> Expr {
    Expr { span, kind: Box::new(kind) }
}

fn prefixed(op: Op, span: Span, value: Expr) -> Expr {
    let whole = span.to(value.span);
    let kind = match op {
        Op::Negate => ExprKind::Negate(value),
        Op::Require => ExprKind::Require(value),
        Op::Not | Op::Binary(_) | Op::Is { .. } | Op::In { .. } | Op::Range | Op::Else => ExprKind::Not(value),
    };
    expr(whole, kind)
}

fn combined(op: Op, op_span: Span, left: Expr, right: Expr) -> Expr {
    let whole = left.span.to(right.span);
    let kind = match op {
        Op::Binary(op) => ExprKind::Binary(op, op_span, left, right),
        Op::Is { negated } => ExprKind::Is { value: left, negated, test: IsTest::Value(right) },
        Op::In { negated } => ExprKind::In { value: left, negated, set: right },
        Op::Range => ExprKind::Range(left, right),
        Op::Else | Op::Not | Op::Negate | Op::Require => ExprKind::Else(left, right),
    };
    expr(whole, kind)
}

fn infix_of(text: &str) -> Op {
    let op = match text {
        "and" | "&&" => BinaryOp::And,
        "or" | "||" => BinaryOp::Or,
        ">" => BinaryOp::Greater,
        ">=" => BinaryOp::GreaterEq,
        "<" => BinaryOp::Less,
        "<=" => BinaryOp::LessEq,
        "contains" => BinaryOp::Contains,
        "+" => BinaryOp::Add,
        "-" => BinaryOp::Subtract,
        "*" => BinaryOp::Multiply,
        "/" => BinaryOp::Divide,
        ".." => return Op::Range,
        "in" => return Op::In { negated: false },
        _ => match text.as_bytes().first() {
            Some(b's') => BinaryOp::StartsWith,
            Some(b'e') => BinaryOp::EndsWith,
            _ => return Op::In { negated: true },
        },
    };
    Op::Binary(op)
}

/// Returns where `is present` and the like stand, where the value is such a comparison: they are applied at once, so that no
/// operator is left waiting that would tell.
fn word_behind(value: &Expr, source: &str) -> Option<Span> {
    let ExprKind::Is { value: inner, test: IsTest::Present | IsTest::Missing | IsTest::Empty, .. } = &*value.kind else {
        return None;
    };
    let (from, to) = (inner.span.end as usize, value.span.end as usize);
    let words = source.get(from..to)?;
    Some(Span::new(to - words.trim_start().len(), to))
}
