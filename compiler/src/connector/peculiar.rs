//! What few operations say: when nothing is sent, how long an answer may take, how large a body may be, how long the pauses are.

use flow_grammar::syntax::{self, DoneOn, OperationLine, OperationLineKind};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Expr, Value};

use super::wire::{Place, Scope};
use super::{Cx, literal};
use crate::catalog;
use crate::code::Code;

/// What a timeout is at most: nobody waits longer for one answer.
const LONGEST_TIMEOUT_MS: i64 = 600_000;

impl Cx<'_> {
    /// Declares one of these lines.
    pub(super) fn peculiar_line(
        &mut self,
        node: &syntax::Operation,
        line: &OperationLine,
        inputs: &[catalog::Input],
        answer: &mut plan::Answer,
        peculiar: &mut plan::Peculiar,
    ) {
        let scope = Scope::new(Place::Request, inputs);
        match &line.kind {
            OperationLineKind::DoneOn(done) => answer.done_on = self.done_on(done, &scope),
            OperationLineKind::Refuse { when, because } => {
                let when = self.condition(when, &scope);
                let because = match because {
                    Some(because) => self.plain(because, "a reason"),
                    None => "the service would not take this".to_owned(),
                };
                peculiar.refuse.push(plan::Refusal { when, because, quietly: false });
            }
            OperationLineKind::Timeout(time) => {
                let typed = self.wire(time, &scope);
                let long =
                    matches!(&typed.expr, Expr::Const(Value::Duration(time)) if time.approximate_millis() > LONGEST_TIMEOUT_MS);
                if !matches!(typed.ty.required(), Type::Duration | Type::Unknown) {
                    self.push(self.diagnostic(
                        Code::E301,
                        time.span,
                        format!("a length of time is expected, found {}", typed.ty),
                    ));
                } else if long {
                    self.push(self.mistake(time.span, "an answer is waited for at most 10 minutes"));
                }
                peculiar.timeout = Some(typed.expr);
            }
            OperationLineKind::BodyUpTo(count) => peculiar.max_body = Some(self.count(count)),
            OperationLineKind::RetryAfter(pauses) => {
                // The first pause may be none.
                let millis = |pause| u64::try_from(literal::duration(pause)?.approximate_millis()).ok();
                for pause in pauses {
                    match millis(pause) {
                        Some(pause) => peculiar.pauses_ms.push(pause),
                        None => self.push(self.mistake(pause.span, "this duration is out of bounds")),
                    }
                }
            }
            OperationLineKind::RetryNever => peculiar.retry_never = true,
            OperationLineKind::OnceMore => {
                if node.action {
                    let diagnostic = self.mistake(line.span, "an action is not done again because of its answer");
                    self.push(diagnostic.help("`once more` is for queries"));
                }
                peculiar.once_more = !node.action;
            }
            OperationLineKind::At(_)
            | OperationLineKind::NoneOn(_)
            | OperationLineKind::NoneWhen(_)
            | OperationLineKind::First(_)
            | OperationLineKind::Pages { .. }
            | OperationLineKind::Order(_)
            | OperationLineKind::Codes(_)
            | OperationLineKind::Only(_)
            | OperationLineKind::Since(_)
            | OperationLineKind::UpTo(_)
            | OperationLineKind::RefusedWhen(..)
            | OperationLineKind::RefusedUnless(..)
            | OperationLineKind::Effect(_)
            | OperationLineKind::Sign(_)
            | OperationLineKind::Confirm { .. }
            | OperationLineKind::Emits(_)
            | OperationLineKind::RetryOn(_)
            | OperationLineKind::OneOf(_)
            | OperationLineKind::WarnUnless { .. }
            | OperationLineKind::Answer(_) => {}
        }
    }

    /// The statuses of success, as a list of numbers.
    fn done_on(&mut self, done: &DoneOn, scope: &Scope<'_>) -> Option<Expr> {
        match done {
            DoneOn::Statuses(statuses) => {
                let statuses = self.statuses(statuses).into_iter().map(|status| Value::Number(status.into()));
                Some(Expr::Const(Value::List(statuses.collect::<Vec<_>>().into())))
            }
            DoneOn::Input(name) => {
                let typed =
                    self.wire(&syntax::Expr { span: name.span, kind: Box::new(syntax::ExprKind::Name(name.clone())) }, scope);
                let lists = matches!(typed.ty.required(), Type::List(item) if matches!(item.as_ref(), Type::Int(_)));
                if !lists && typed.ty != Type::Unknown {
                    self.push(self.diagnostic(
                        Code::E301,
                        name.span,
                        format!("`{}` lists no statuses: it is {}", name.text, typed.ty),
                    ));
                    return None;
                }
                Some(typed.expr)
            }
        }
    }
}
