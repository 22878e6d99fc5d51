//! Defaults: values that are known when the connector is read.

use std::sync::Arc;

use flow_grammar::syntax;
use flow_plan::ty::Type;
use flow_plan::{Expr, Value};

use super::{Place, Scope};
use crate::code::Code;
use crate::connector::Cx;
use crate::suggest::nearest;

impl Cx<'_> {
    /// The value of a default, where it fits the type.
    pub(in crate::connector) fn constant(&mut self, node: &syntax::Expr, ty: &Type) -> Option<Value> {
        let before = self.diagnostics.len();
        let typed = self.wire(node, &Scope::new(Place::Constant, &[]));
        if self.diagnostics.len() > before {
            return None;
        }
        let Some(value) = fold(typed.expr) else {
            self.push(self.mistake(node.span, "a default is a fixed value"));
            return None;
        };
        if let (Type::Enum { members, open: false }, Value::Text(text)) = (ty.required(), &value)
            && !members.iter().any(|member| **member == **text)
        {
            let known: Vec<&str> = members.iter().map(String::as_str).collect();
            let mut diagnostic =
                self.diagnostic(Code::E304, node.span, format!("`{text}` is not one of {}", super::super::listed(&known)));
            if let Some(best) = nearest(text, known) {
                diagnostic = diagnostic.fix(format!("did you mean `{best}`?"), node.span, format!("\"{best}\""), false);
            }
            self.push(diagnostic);
            return None;
        }
        if !fits(&value, ty) {
            let found = match value {
                Value::Number(number) if matches!(ty.required(), Type::Int(_)) => number.to_string(),
                _ => typed.ty.to_string(),
            };
            self.push(self.diagnostic(Code::E301, node.span, format!("expected {}, found {found}", ty.required())));
            return None;
        }
        Some(value)
    }
}

fn fold(expr: Expr) -> Option<Value> {
    Some(match expr {
        Expr::Const(value) => value,
        Expr::List(items) => Value::List(Arc::new(items.into_iter().map(fold).collect::<Option<_>>()?)),
        Expr::Record(fields) => {
            let fields = fields.into_iter().map(|(name, value)| Some((Arc::from(name), fold(value)?)));
            Value::record(fields.collect::<Option<Vec<_>>>()?)
        }
        _ => return None,
    })
}

/// Tells whether a value is of a type.
fn fits(value: &Value, ty: &Type) -> bool {
    match (ty.required(), value) {
        (Type::Unknown | Type::Json, _)
        | (Type::Text(_) | Type::Enum { .. }, Value::Text(_))
        | (Type::Bool, Value::Bool(_))
        | (Type::Duration, Value::Duration(_))
        | (Type::Number, Value::Number(_)) => true,
        (Type::Int(bounds), Value::Number(number)) => {
            number.fract().is_zero() && bounds.is_none_or(|(low, high)| low <= *number && *number <= high)
        }
        (Type::List(inner), Value::List(items)) => items.iter().all(|item| fits(item, inner)),
        (Type::Map(inner), Value::Record(fields)) => fields.values().all(|value| fits(value, inner)),
        (Type::Record(_), Value::Record(_)) => true,
        _ => false,
    }
}
