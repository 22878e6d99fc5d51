//! Collects the instructions of a program, with labels instead of places until it is finished.

use std::sync::Arc;

use flow_plan as plan;
use flow_plan::{Expr, Instr};

/// A place in the program that is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(u32);

/// A program in the making.
#[derive(Debug, Default)]
pub(super) struct Builder {
    prelude: Vec<Instr>,
    instrs: Vec<Instr>,
    labels: Vec<Option<u32>>,
    locals: u16,
    overflow: bool,
    operations: Vec<Arc<plan::Operation>>,
}

impl Builder {
    /// Returns a fresh local.
    pub(super) fn local(&mut self) -> u16 {
        let local = self.locals;
        match self.locals.checked_add(1) {
            Some(next) => self.locals = next,
            None => self.overflow = true,
        }
        local
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(u32::try_from(self.labels.len() - 1).unwrap_or(u32::MAX))
    }

    /// Says that the label is here.
    pub(super) fn here(&mut self, label: Label) {
        let at = self.next();
        if let Some(slot) = self.labels.get_mut(label.0 as usize) {
            *slot = Some(at);
        }
    }

    /// Returns the connections that are called so far.
    pub(super) fn connections_called(&self) -> std::collections::BTreeSet<String> {
        self.instrs
            .iter()
            .filter_map(|instr| match instr {
                Instr::Call(call) => Some(call.connection.clone()),
                _ => None,
            })
            .collect()
    }

    /// Tells whether the program has grown beyond so many instructions, and is too large from then on.
    pub(super) fn is_longer_than(&mut self, most: usize) -> bool {
        self.overflow |= self.instrs.len() > most;
        self.overflow
    }

    fn next(&self) -> u32 {
        u32::try_from(self.instrs.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn push(&mut self, instr: Instr) {
        self.instrs.push(instr);
    }

    /// Puts an instruction before all others.
    pub(super) fn push_first(&mut self, instr: Instr) {
        self.prelude.push(instr);
    }

    pub(super) fn set(&mut self, local: u16, value: Expr) {
        self.push(Instr::Set { local, value });
    }

    pub(super) fn jump(&mut self, to: Label) {
        self.push(Instr::Jump(to.0));
    }

    pub(super) fn unless(&mut self, condition: Expr, to: Label) {
        self.push(Instr::Unless { condition, to: to.0 });
    }

    pub(super) fn take_next(&mut self, list: u16, counter: u16, item: u16, end: Label) {
        self.push(Instr::Next { list, counter, item, end: end.0 });
    }

    /// Returns the number of an operation, which is listed once.
    pub(super) fn operation(&mut self, operation: &Arc<plan::Operation>) -> u32 {
        let at = self.operations.iter().position(|known| Arc::ptr_eq(known, operation)).unwrap_or_else(|| {
            self.operations.push(operation.clone());
            self.operations.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// Returns a handler that goes to the label.
    pub(super) fn handler(to: Label, error: u16) -> plan::ErrorHandler {
        plan::ErrorHandler { to: to.0, error }
    }

    /// Tells whether the program needs more than a program can have.
    pub(super) fn is_too_large(&self) -> bool {
        self.overflow
    }

    /// Puts places for labels and returns the program with its operations.
    pub(super) fn finish(mut self, on_error: Option<plan::ErrorHandler>) -> (plan::Program, Vec<Arc<plan::Operation>>) {
        let offset = u32::try_from(self.prelude.len()).unwrap_or(u32::MAX);
        let end = self.next();
        let labels = std::mem::take(&mut self.labels);
        let place = |label: u32| labels.get(label as usize).copied().flatten().unwrap_or(end).saturating_add(offset);
        for instr in &mut self.instrs {
            match instr {
                Instr::Jump(to) | Instr::Unless { to, .. } => *to = place(*to),
                Instr::Next { end, .. } => *end = place(*end),
                Instr::Call(call) => {
                    if let Some(handler) = &mut call.on_error {
                        handler.to = place(handler.to);
                    }
                }
                Instr::WaitFor(wait) => wait.otherwise = place(wait.otherwise),
                Instr::Set { .. }
                | Instr::Require(_)
                | Instr::Each { .. }
                | Instr::Wait(_)
                | Instr::Stop { .. }
                | Instr::Finish => {}
            }
        }
        let on_error = on_error.map(|handler| plan::ErrorHandler { to: place(handler.to), error: handler.error });
        let instrs = if self.prelude.is_empty() {
            self.instrs
        } else {
            self.prelude.append(&mut self.instrs);
            self.prelude
        };
        (plan::Program { instrs, locals: self.locals, on_error }, self.operations)
    }
}

impl Builder {
    /// Returns a mark for [`Builder::calls_since`].
    pub(super) fn mark(&self) -> usize {
        self.instrs.len()
    }

    /// Returns the calls since the mark: their names and operations.
    pub(super) fn calls_since(&self, mark: usize) -> impl Iterator<Item = (String, Arc<plan::Operation>)> {
        self.instrs.get(mark..).unwrap_or_default().iter().filter_map(|instr| match instr {
            Instr::Call(call) => Some((call.name.clone(), self.operations.get(call.operation as usize)?.clone())),
            Instr::Set { .. }
            | Instr::Jump(_)
            | Instr::Unless { .. }
            | Instr::Require(_)
            | Instr::Each { .. }
            | Instr::Next { .. }
            | Instr::Wait(_)
            | Instr::WaitFor(_)
            | Instr::Stop { .. }
            | Instr::Finish => None,
        })
    }
}
