//! Inputs of operations and options of triggers.

use flow_grammar::syntax::RecordField;
use flow_plan::Expr;
use flow_plan::ty::{TextKind, Type};

use super::{Cx, docs_line};
use crate::catalog;
use crate::code::Code;

impl Cx<'_> {
    /// Declares inputs, in the order of the text.
    pub(super) fn inputs(&mut self, nodes: &[RecordField]) -> Vec<catalog::Input> {
        let mut inputs: Vec<catalog::Input> = Vec::new();
        for node in nodes {
            if inputs.iter().any(|input| input.name == node.name.text) {
                let message = format!("there are two inputs named `{}`", node.name.text);
                self.push(self.diagnostic(Code::E202, node.name.span, message));
                continue;
            }
            inputs.push(self.input(node));
        }
        inputs
    }

    fn input(&mut self, node: &RecordField) -> catalog::Input {
        let ty = self.plain_type(&node.ty);
        if let Some(from) = node.from.first() {
            self.push(self.mistake(from.path.span, "an input is given by a flow, not read from somewhere"));
        }
        let default = node.default.as_ref().and_then(|default| self.constant(default, &ty)).map(Expr::Const);
        let attributes = self.attributes(&node.attributes);
        if attributes.summary && !matches!(ty.required(), Type::Text(TextKind::Plain)) {
            let diagnostic = self.diagnostic(Code::E301, node.ty.span, "a summary is a text");
            self.push(diagnostic.help("`@summary` marks the input of type `text` that a summary of the event fills in"));
        }
        if (attributes.length.is_some() || attributes.escaped) && !matches!(ty.required(), Type::Text(_)) {
            let what = if attributes.escaped { "`@escaped`" } else { "a length" };
            self.push(self.diagnostic(Code::E301, node.ty.span, format!("{what} is for texts")));
        }
        catalog::Input {
            name: node.name.text.clone(),
            docs: docs_line(&node.docs),
            accepts_personal: attributes.accepts_personal || attributes.personal || Self::names_somebody(&ty),
            ty,
            default,
            roles: attributes.roles,
            summary: attributes.summary,
            length: attributes.length,
            escaped: attributes.escaped,
        }
    }
}

/// Tells whether what is given for an input is personal by its type alone.
pub(super) fn is_personal(ty: &Type) -> bool {
    matches!(ty.required(), Type::Text(TextKind::Email | TextKind::Phone))
}
