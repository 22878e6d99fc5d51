//! What is known to hold at one point of a flow, for the checks of a flow by itself.

use std::sync::Arc;

use flow_plan::{Condition, Expr, FieldShape};

use super::solve::{Dnf, Reader};

/// What holds. It is kept at each block and branch, and seldom changes there.
#[derive(Debug, Clone)]
pub(crate) struct Holds(Arc<Dnf>);

impl Default for Holds {
    /// Nothing is known.
    fn default() -> Self {
        Self(Arc::new(Dnf::always()))
    }
}

impl Holds {
    /// Returns what holds where a condition does.
    pub(crate) fn condition<'f>(condition: &Condition, fields: &'f dyn Fn(u16) -> Option<&'f FieldShape>) -> Self {
        Self(Arc::new(Reader::new(fields).condition(condition)))
    }

    /// Returns what holds where an expression is true, or, with `holds` false, where it is not.
    pub(crate) fn expr<'f>(expr: &Expr, holds: bool, fields: &'f dyn Fn(u16) -> Option<&'f FieldShape>) -> Self {
        Self(Arc::new(Reader::new(fields).expr(expr, holds)))
    }

    /// Returns what holds where both do.
    #[must_use]
    pub(crate) fn and(&self, other: &Self) -> Self {
        if other.0.is_always() {
            return self.clone();
        }
        Self(Arc::new(self.0.and(&other.0)))
    }

    /// Returns what still holds while the run goes on: the time does not stand still.
    #[must_use]
    pub(crate) fn lasting(self) -> Self {
        Self(Arc::new(Arc::unwrap_or_clone(self.0).lasting()))
    }

    /// Tells whether there is surely nothing for which it holds.
    pub(crate) fn is_never(&self) -> bool {
        self.0.is_never()
    }
}
