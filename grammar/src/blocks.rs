//! The blocks within a step: for whoever walks through all steps and looks for one kind of them.

use crate::syntax::{Block, ElseBranch, IfStep, StepKind};

impl StepKind {
    /// Returns the blocks that stand directly in the step, in the order of the text: those of branches, of an `else if` too,
    /// arms, loops, and of what is done when something fails or does not come.
    pub fn blocks(&self) -> Vec<&Block> {
        match self {
            StepKind::Call(call) => call.on_error.iter().collect(),
            StepKind::If(node) => branches(node),
            StepKind::Match { arms, .. } => arms.iter().map(|arm| &arm.body).collect(),
            StepKind::For { body, .. } => vec![body],
            StepKind::WaitFor { otherwise, .. } => otherwise.iter().collect(),
            StepKind::Let { .. }
            | StepKind::Stop(_)
            | StepKind::Return(_)
            | StepKind::Require(_)
            | StepKind::Wait(_)
            | StepKind::WaitUntil { .. }
            | StepKind::Bad => Vec::new(),
        }
    }
}

fn branches(node: &IfStep) -> Vec<&Block> {
    let mut found = vec![&node.then];
    match &node.otherwise {
        Some(ElseBranch::Block(block)) => found.push(block),
        Some(ElseBranch::If(step)) => found.extend(step.kind.blocks()),
        None => {}
    }
    found
}
