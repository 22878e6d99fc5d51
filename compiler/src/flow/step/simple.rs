//! `let`, `stop`, `return`, `require`.

use std::borrow::Cow;

use flow_grammar::syntax::{BinaryOp, Expr, ExprKind, Ident, Step};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Instr, Value};

use super::super::check::Checker;
use super::super::fact::{Fact, Place, Root};
use super::super::fit::Target;
use super::super::mend::Need;
use super::super::typed::{Typed, split};
use super::Count;
use crate::code::Code;
use crate::diagnostic::Edit;

impl<'a> Checker<'a> {
    pub(super) fn let_step(&mut self, step: &Step, name: &Ident, value: &Expr) -> bool {
        let path = self.next_path();
        if self.action_in_let(step, name, value) {
            return false;
        }
        self.check_name(name, None);
        let calls = self.steps.outline.len();
        let mut typed = self.with_queries(&path, |this| this.value(value));
        let text = self.heading(step, step.span);
        let inner = self.steps.outline.split_off(calls.min(self.steps.outline.len()));
        self.note_let(&path, text, inner);
        if !matches!(typed.expr, plan::Expr::Local(_)) || typed.place.is_some() {
            let local = self.build.local();
            self.note_local(local, &typed.expr);
            self.build.set(local, std::mem::replace(&mut typed.expr, plan::Expr::Local(local)));
        }
        let currencies = typed.currencies.clone().filter(|_| !typed.optional);
        let id = self.bind(name.text.clone(), name.span, typed);
        if let Some(currencies) = currencies {
            let place = Place { root: Root::Binding(id), path: Cow::Borrowed("") };
            self.facts.learn([Fact::Currency(place, currencies)]);
        }
        false
    }

    fn note_let(&mut self, path: &str, text: String, mut inner: Vec<plan::Outline>) {
        if let [only] = inner.as_mut_slice()
            && only.path == path
        {
            // The query and the `let` are one step.
            only.kind = "let".to_owned();
            only.text = text;
            self.steps.outline.append(&mut inner);
        } else {
            self.note(path, "let", text, inner);
        }
    }

    /// Lets queries stand in a value.
    pub(in crate::flow) fn with_queries<T>(&mut self, path: &str, check: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.steps.query_path.replace(path.to_owned());
        let queries = std::mem::take(&mut self.steps.queries);
        let value = check(self);
        self.steps.query_path = outer;
        self.steps.queries = queries;
        value
    }

    /// `let x = action(…)`: told with the form that is meant.
    fn action_in_let(&mut self, step: &Step, name: &Ident, value: &Expr) -> bool {
        let ExprKind::Call(call) = value.kind.as_ref() else { return false };
        let [connection, operation] = call.path.as_slice() else { return false };
        let Some((connection, connector)) = self.connection(&connection.text) else { return false };
        if !connector.operations.get(&operation.text).is_some_and(|op| op.action && !op.internal) {
            return false;
        }
        self.uses(connection);
        let text = self.text_of(value);
        let fixed = format!("{text} as {}", name.text);
        let diagnostic = self
            .diagnostic(Code::E503, value.span, format!("`{connection}.{}` is an action: it stands as a step", operation.text))
            .label("a `let` only asks and computes; it changes nothing outside")
            .help("the result of an action is named behind it, with `as`")
            .fix(format!("`{fixed}`"), step.span, fixed, true);
        self.report(diagnostic);
        self.bind(name.text.clone(), name.span, Typed::unknown());
        true
    }

    /// Reports a name that is taken (E202), or that hides something (W203).
    pub(in crate::flow) fn check_name(&mut self, name: &Ident, result: Option<&Type>) {
        if let Some(other) = self.binding(&name.text) {
            let span = other.span;
            let diagnostic = self
                .diagnostic(Code::E202, name.span, format!("`{}` has a value already", name.text))
                .also(span, "it was given here")
                .help("a name keeps its value; choose another one");
            self.report(diagnostic);
            return;
        }
        let known = self.connection(&name.text).filter(|(_, connector)| !super::super::check::is_a_word(connector));
        let what = if let Some((connection, _)) = known {
            format!("the connection `{connection}`")
        } else if self.event_field(&name.text).is_some() {
            // `… as customer` of a customer is what anybody would call it.
            if let Some(Type::Record(record)) = result.map(Type::required)
                && snake(&record.name) == name.text
            {
                return;
            }
            format!("the field `{0}`, which is `event.{0}` from here on", name.text)
        } else if super::super::expr::is_builtin(&name.text) {
            format!("`{}` of the language", name.text)
        } else {
            return;
        };
        let diagnostic = self
            .diagnostic(Code::W203, name.span, format!("`{}` hides {what}", name.text))
            .help("another name keeps both in sight");
        self.report(diagnostic);
    }

    pub(super) fn stop_step(&mut self, step: &Step, reason: Option<&Expr>) -> bool {
        let path = self.next_path();
        let reason = reason.map(|reason| {
            let value = self.value_for(reason, &Type::text(), &Target::Input("because"));
            self.need(value, reason, &Need::Text).expr
        });
        self.build.push(Instr::Stop { reason });
        let text = self.heading(step, step.span);
        self.note(&path, "stop", text, Vec::new());
        self.steps.count = self.steps.count.then(Count::end());
        true
    }

    pub(super) fn return_step(&mut self, step: &Step, value: Option<&Expr>) -> bool {
        let Some(returns) = self.steps.returns else {
            let mut diagnostic = self
                .diagnostic(Code::E112, step.span, "a flow gives nothing back")
                .help("`return` ends the steps of a connector's own action or query; a flow is ended by `stop`");
            if value.is_none() {
                diagnostic = diagnostic.fix("`stop`", step.span, "stop", true);
            }
            self.report(diagnostic);
            return true;
        };
        let (output, optional) = split(returns.output);
        let result = match value {
            Some(value) => {
                let typed = self.value_for(value, output, &Target::Return);
                let typed = if optional || !returns.strict { typed } else { self.need(typed, value, &Need::Return) };
                if typed.personal && self.record(output).is_none() {
                    self.sends.mark_personal(returns.local);
                }
                typed.expr
            }
            None => {
                if !optional && *output != Type::Nothing {
                    let diagnostic = self
                        .diagnostic(Code::E820, step.span, format!("a result is promised: {output}"))
                        .help("return a value, or make the result `?`");
                    self.report(diagnostic);
                }
                plan::Expr::Const(Value::Missing)
            }
        };
        self.build.set(returns.local, result);
        self.build.jump(returns.label);
        let path = self.next_path();
        let text = self.heading(step, step.span);
        self.note(&path, "return", text, Vec::new());
        self.steps.count = self.steps.count.then(Count::end());
        true
    }

    pub(super) fn require_step(&mut self, step: &Step, value: &Expr) -> bool {
        if is_comparison(value) {
            let text = self.text_of(value);
            let mut diagnostic = self
                .diagnostic(Code::E301, value.span, "`require` asks for a value, not for a condition")
                .label("it is true or false, and there in any case")
                .help("put the condition into `where`, or ask with `if … { stop }`");
            if self.bindings.is_empty()
                && self.loops.is_empty()
                && let Some(mut fix) = self.extend_where(&format!("({text})"), "the flow starts for those events only")
            {
                fix.edits.push(Edit { span: step.span, text: String::new() });
                diagnostic.fixes.push(fix);
            }
            // What is not known under `not` is no answer: an ordering is asked the other way round.
            let against = match value.kind.as_ref() {
                ExprKind::Binary(op, _, left, right) if opposite(*op).is_some() => {
                    format!("{} {} {}", self.text_of(left), opposite(*op).unwrap_or_default(), self.text_of(right))
                }
                _ => format!("not ({text})"),
            };
            let diagnostic =
                diagnostic.fix(format!("`if {against} {{ stop }}`"), step.span, format!("if {against} {{ stop }}"), false);
            self.report(diagnostic);
            return false;
        }
        let typed = self.value(value);
        let optional = typed.optional || typed.narrowed;
        let required = self.required(typed, value);
        if optional {
            self.build.push(Instr::Require(required.expr));
        }
        let path = format!("{}require_{}", self.path, self.steps.number + 1);
        let text = self.heading(step, step.span);
        self.note(&path, "require", text, Vec::new());
        false
    }
}

fn is_comparison(expr: &Expr) -> bool {
    match expr.kind.as_ref() {
        ExprKind::Paren(inner) => is_comparison(inner),
        ExprKind::Not(_) | ExprKind::Is { .. } | ExprKind::In { .. } => true,
        ExprKind::Binary(op, ..) => !matches!(op, BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide),
        _ => false,
    }
}

/// `ChargeRefund` as a name: `charge_refund`.
pub(in crate::flow) fn snake(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    for (at, c) in name.chars().enumerate() {
        if c.is_uppercase() && at > 0 {
            text.push('_');
        }
        text.extend(c.to_lowercase());
    }
    text
}

/// The sign of the ordering that holds where this one does not.
fn opposite(op: BinaryOp) -> Option<&'static str> {
    Some(match op {
        BinaryOp::Less => ">=",
        BinaryOp::LessEq => ">",
        BinaryOp::Greater => "<=",
        BinaryOp::GreaterEq => "<",
        BinaryOp::Or
        | BinaryOp::And
        | BinaryOp::Contains
        | BinaryOp::StartsWith
        | BinaryOp::EndsWith
        | BinaryOp::Matches
        | BinaryOp::Add
        | BinaryOp::Subtract
        | BinaryOp::Multiply
        | BinaryOp::Divide => return None,
    })
}
