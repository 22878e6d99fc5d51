//! Conditions and arithmetic in connectors.

use flow_grammar::syntax::{self, BinaryOp, ExprKind, IsTest};
use flow_plan::ty::Type;
use flow_plan::{Arithmetic, Env, Expr, JsonPath, Order, Value};

use super::{Place, Scope, Typed};
use crate::code::Code;
use crate::connector::Cx;

impl Cx<'_> {
    /// `not`, `-`, comparisons, `is`, `in`, `and`, `or` and arithmetic.
    pub(super) fn operator(&mut self, node: &syntax::Expr, scope: &Scope<'_>) -> Typed {
        let expr = match &*node.kind {
            ExprKind::Not(inner) => Expr::Not(Box::new(self.condition(inner, scope))),
            ExprKind::Negate(inner) => {
                let inner = self.wire(inner, scope);
                return Typed::new(fold_negate(inner.expr), inner.ty);
            }
            ExprKind::Binary(op, _, left, right) => return self.binary(node, *op, left, right, scope),
            ExprKind::Is { value, negated, test } => {
                let value = Box::new(self.left(value, scope).expr);
                let (expr, negated) = match test {
                    IsTest::Present => (Expr::IsPresent(value), *negated),
                    IsTest::Missing => (Expr::IsPresent(value), !*negated),
                    IsTest::Empty => (Expr::IsEmpty(value), *negated),
                    IsTest::Value(other) => (Expr::Equal(value, Box::new(self.wire(other, scope).expr)), *negated),
                };
                negate_if(negated, expr)
            }
            ExprKind::In { value, negated, set } => {
                let value = Box::new(self.left(value, scope).expr);
                let expr = match &*set.kind {
                    ExprKind::List(items) => Expr::OneOf(value, items.iter().map(|item| self.wire(item, scope).expr).collect()),
                    ExprKind::Range(low, high) => {
                        Expr::InRange(value, Box::new(self.wire(low, scope).expr), Box::new(self.wire(high, scope).expr))
                    }
                    _ => Expr::InList(value, Box::new(self.left(set, scope).expr)),
                };
                negate_if(*negated, expr)
            }
            _ => return Typed::unknown(),
        };
        Typed::new(expr, Type::Bool)
    }

    /// A condition over an answer or a payload.
    pub(in crate::connector) fn condition(&mut self, node: &syntax::Expr, scope: &Scope<'_>) -> Expr {
        let typed = self.wire(node, scope);
        if !matches!(typed.ty.required(), Type::Bool | Type::Json | Type::Unknown) {
            let diagnostic = self.diagnostic(Code::E301, node.span, format!("a condition is expected here, found {}", typed.ty));
            let hint = match &*node.kind {
                ExprKind::Text(_) if scope.place.reads_answer() => "compare what stands there: `\"path\" is …`",
                _ => "compare it with something",
            };
            self.push(diagnostic.help(hint));
        }
        typed.expr
    }

    /// The left side of a comparison: in a condition over an answer, a quoted text is a path into it.
    fn left(&mut self, node: &syntax::Expr, scope: &Scope<'_>) -> Typed {
        match &*node.kind {
            ExprKind::Paren(inner) => self.left(inner, scope),
            ExprKind::Text(text) if scope.place.reads_answer() => match text.plain().map(|text| JsonPath::parse(&text)) {
                Some(Ok(path)) => Typed::new(Expr::Answer(path), Type::Json),
                Some(Err(error)) => {
                    self.push(self.mistake(node.span, format!("this is no path into JSON: {error}")));
                    Typed::unknown()
                }
                None => {
                    self.push(self.mistake(node.span, "a path is a fixed text, without `{…}`"));
                    Typed::unknown()
                }
            },
            _ => self.wire(node, scope),
        }
    }

    fn binary(
        &mut self,
        node: &syntax::Expr,
        op: BinaryOp,
        left: &syntax::Expr,
        right: &syntax::Expr,
        scope: &Scope<'_>,
    ) -> Typed {
        let expr = match op {
            BinaryOp::And => Expr::And(vec![self.condition(left, scope), self.condition(right, scope)]),
            BinaryOp::Or => Expr::Or(vec![self.condition(left, scope), self.condition(right, scope)]),
            BinaryOp::Less => self.compare(Order::Less, left, right, scope),
            BinaryOp::LessEq => self.compare(Order::LessEq, left, right, scope),
            BinaryOp::Greater => self.compare(Order::Greater, left, right, scope),
            BinaryOp::GreaterEq => self.compare(Order::GreaterEq, left, right, scope),
            BinaryOp::Contains => Expr::Contains(Box::new(self.left(left, scope).expr), Box::new(self.wire(right, scope).expr)),
            BinaryOp::StartsWith if self.is_secret_of(left, scope) => return self.begins(left, right),
            BinaryOp::StartsWith => {
                Expr::StartsWith(Box::new(self.left(left, scope).expr), Box::new(self.wire(right, scope).expr))
            }
            BinaryOp::EndsWith => Expr::EndsWith(Box::new(self.left(left, scope).expr), Box::new(self.wire(right, scope).expr)),
            BinaryOp::Matches => {
                let value = self.left(left, scope).expr;
                let pattern = match &*right.kind {
                    ExprKind::Text(text) => text.plain().unwrap_or_default(),
                    _ => String::new(),
                };
                if let Err(error) = regex::Regex::new(&pattern) {
                    let reason = error.to_string();
                    let reason = reason.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
                    self.push(self.diagnostic(Code::E306, right.span, format!("this is no regular expression: {reason}")));
                }
                Expr::Matches(Box::new(value), pattern)
            }
            BinaryOp::Add => return self.arithmetic(node, Arithmetic::Add, left, right, scope),
            BinaryOp::Subtract => return self.arithmetic(node, Arithmetic::Subtract, left, right, scope),
            BinaryOp::Multiply => return self.arithmetic(node, Arithmetic::Multiply, left, right, scope),
            BinaryOp::Divide => return self.arithmetic(node, Arithmetic::Divide, left, right, scope),
        };
        Typed::new(expr, Type::Bool)
    }

    /// Where payloads are refused, a secret may be asked what it begins with: keys say there what they are for.
    fn is_secret_of(&self, node: &syntax::Expr, scope: &Scope<'_>) -> bool {
        let ExprKind::Name(name) = &*node.kind else { return false };
        scope.place == Place::Refuse && self.secrets.iter().any(|secret| secret.name == name.text)
    }

    fn begins(&mut self, secret: &syntax::Expr, with: &syntax::Expr) -> Typed {
        let (ExprKind::Name(secret), ExprKind::Text(with)) = (&*secret.kind, &*with.kind) else {
            return self.wrong(with, "what a secret begins with is a fixed text");
        };
        let with = self.plain(with, "what a secret begins with");
        let secret = Expr::Env(Env::Secret(secret.text.clone()));
        Typed::new(Expr::StartsWith(Box::new(secret), Box::new(Expr::Const(Value::text(with)))), Type::Bool)
    }

    fn compare(&mut self, order: Order, left: &syntax::Expr, right: &syntax::Expr, scope: &Scope<'_>) -> Expr {
        Expr::Compare(order, Box::new(self.left(left, scope).expr), Box::new(self.wire(right, scope).expr))
    }

    fn arithmetic(
        &mut self,
        node: &syntax::Expr,
        how: Arithmetic,
        left: &syntax::Expr,
        right: &syntax::Expr,
        scope: &Scope<'_>,
    ) -> Typed {
        let (left, right) = (self.wire(left, scope), self.wire(right, scope));
        let missing = left.ty.can_be_missing() || right.ty.can_be_missing();
        let ty = match (how, left.ty.required(), right.ty.required()) {
            (_, Type::Unknown, _) | (_, _, Type::Unknown) => Type::Unknown,
            (Arithmetic::Add | Arithmetic::Subtract, Type::DateTime, Type::Duration) => Type::DateTime,
            (Arithmetic::Subtract, Type::DateTime, Type::DateTime) => Type::Duration,
            (Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Multiply, Type::Int(_), Type::Int(_)) => Type::Int(None),
            (_, Type::Int(_) | Type::Number, Type::Int(_) | Type::Number) => Type::Number,
            (Arithmetic::Multiply | Arithmetic::Divide, Type::Money, Type::Int(_) | Type::Number) => Type::Money,
            (Arithmetic::Add | Arithmetic::Subtract, Type::Money, Type::Money) => Type::Money,
            (_, left, right) => {
                let message = format!("{left} and {right} cannot be put together like this");
                let diagnostic = self.diagnostic(Code::E301, node.span, message);
                self.push(diagnostic.help("texts are joined inside one: `\"{first} {second}\"`"));
                return Typed::unknown();
            }
        };
        let ty = if missing { ty.optional() } else { ty };
        Typed::new(Expr::Arithmetic(how, Box::new(left.expr), Box::new(right.expr)), ty)
    }
}

fn negate_if(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}

fn fold_negate(expr: Expr) -> Expr {
    match expr {
        Expr::Const(Value::Number(number)) => Expr::Const(Value::Number(-number)),
        other => Expr::Negate(Box::new(other)),
    }
}
