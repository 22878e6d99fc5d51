//! The flow with all that the compiler filled in written out.

use flow_grammar::span::Span;
use flow_grammar::syntax::{
    Arg, Arm, Block, CallStep, ElseBranch, Expr, ExprKind, Flow, IfStep, IsTest, Step, StepKind, TextPart,
};

/// What the compiler added at one call.
#[derive(Debug, Clone)]
pub(super) struct Fill {
    /// The call.
    pub(super) at: Span,
    /// Steps before it.
    pub(super) before: Vec<Step>,
    /// Arguments behind those given.
    pub(super) args: Vec<Arg>,
    /// Arguments that went into those steps.
    pub(super) gone: Vec<Span>,
}

/// Returns the flow written out.
pub(super) fn expand(node: &Flow, fills: Vec<Fill>, hoisted: Vec<Step>) -> Flow {
    let mut flow = node.clone();
    if fills.is_empty() && hoisted.is_empty() {
        return flow;
    }
    let mut fills = fills;
    expand_block(&mut flow.body, &mut fills);
    if let Some(block) = &mut flow.on_error {
        expand_block(block, &mut fills);
    }
    if !hoisted.is_empty() {
        flow.body.steps.splice(0..0, hoisted);
        flow.body.braces = true;
    }
    flow
}

fn expand_block(block: &mut Block, fills: &mut Vec<Fill>) {
    let steps = std::mem::take(&mut block.steps);
    let before = steps.len();
    for mut step in steps {
        let mut added = Vec::new();
        match &mut step.kind {
            StepKind::Call(call) => added = expand_call(call, fills),
            StepKind::If(node) => expand_if(node, fills),
            StepKind::Match { arms, .. } => {
                for Arm { body, .. } in arms {
                    expand_block(body, fills);
                }
            }
            StepKind::For { list, body, .. } => {
                expand_expr(list, fills);
                expand_block(body, fills);
            }
            StepKind::Let { value, .. } => expand_expr(value, fills),
            StepKind::WaitFor { otherwise, .. } => {
                if let Some(block) = otherwise {
                    expand_block(block, fills);
                }
            }
            StepKind::Stop(_)
            | StepKind::Return(_)
            | StepKind::Require(_)
            | StepKind::Wait(_)
            | StepKind::WaitUntil { .. }
            | StepKind::Bad => {}
        }
        // The doc comment stays with the step that it was written for.
        block.steps.extend(added);
        block.steps.push(step);
    }
    if block.steps.len() > before {
        block.braces = true;
    }
}

fn expand_call(call: &mut CallStep, fills: &mut Vec<Fill>) -> Vec<Step> {
    if let Some(block) = &mut call.on_error {
        expand_block(block, fills);
    }
    let Some(at) = fills.iter().position(|fill| fill.at == call.call.span) else { return Vec::new() };
    let fill = fills.swap_remove(at);
    call.call.has_parens = true;
    call.call.args.retain(|arg| !fill.gone.contains(&arg.span));
    call.call.args.extend(fill.args);
    fill.before
}

/// Queries in a value: what is filled in there needs no steps before.
fn expand_expr(expr: &mut Expr, fills: &mut Vec<Fill>) {
    match expr.kind.as_mut() {
        ExprKind::Call(call) => {
            call.args.iter_mut().for_each(|arg| expand_expr(&mut arg.value, fills));
            if let Some(at) = fills.iter().position(|fill| fill.at == call.span) {
                call.has_parens = true;
                call.args.extend(fills.swap_remove(at).args);
            }
        }
        ExprKind::Field(inner, _)
        | ExprKind::Not(inner)
        | ExprKind::Negate(inner)
        | ExprKind::Require(inner)
        | ExprKind::Paren(inner) => {
            expand_expr(inner, fills);
        }
        ExprKind::Index(left, right)
        | ExprKind::Binary(_, _, left, right)
        | ExprKind::Range(left, right)
        | ExprKind::Else(left, right)
        | ExprKind::In { value: left, set: right, .. } => {
            expand_expr(left, fills);
            expand_expr(right, fills);
        }
        ExprKind::Is { value, test, .. } => {
            expand_expr(value, fills);
            if let IsTest::Value(other) = test {
                expand_expr(other, fills);
            }
        }
        ExprKind::Any(items) | ExprKind::List(items) | ExprKind::Tuple(items) => {
            items.iter_mut().for_each(|item| expand_expr(item, fills));
        }
        ExprKind::Object(fields) => {
            fields.iter_mut().filter_map(|field| field.value.as_mut()).for_each(|value| expand_expr(value, fills));
        }
        ExprKind::Text(text) => {
            for part in &mut text.parts {
                if let TextPart::Expr(inner) = part {
                    expand_expr(inner, fills);
                }
            }
        }
        ExprKind::Number(_)
        | ExprKind::Bytes(_)
        | ExprKind::Money(..)
        | ExprKind::Duration(_)
        | ExprKind::Time(_)
        | ExprKind::Date(_)
        | ExprKind::DateTime(..)
        | ExprKind::Bool(_)
        | ExprKind::Name(_)
        | ExprKind::Bad => {}
    }
}

fn expand_if(node: &mut IfStep, fills: &mut Vec<Fill>) {
    expand_block(&mut node.then, fills);
    match &mut node.otherwise {
        Some(ElseBranch::Block(block)) => expand_block(block, fills),
        Some(ElseBranch::If(step)) => {
            if let StepKind::If(nested) = &mut step.kind {
                expand_if(nested, fills);
            }
        }
        None => {}
    }
}
