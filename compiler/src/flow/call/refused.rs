//! Calls that would be refused, whatever happens: what is given, and what is not, decides it.

use flow_grammar::syntax::Call;
use flow_plan::ty::Type;
use flow_plan::{Expr, Value};

use super::super::check::Checker;
use super::super::typed::Typed;
use super::Target;
use crate::catalog::{Input, OperationBody};
use crate::code::Code;

impl<'a> Checker<'a> {
    /// Says that a call breaks a rule of its operation (`refuse when …`), where that needs no run to be known.
    pub(super) fn surely_refused<'t>(&mut self, call: &Call, target: Target<'a>, args: &'t [Typed<'a>]) {
        let OperationBody::Http(operation) = &target.operation.body else { return };
        // Steps of a connector may lead to a call that is made to be refused.
        if self.frame.own.is_some() {
            return;
        }
        // What is given and could not be read is wrong in another way, which has been told.
        let is_named = |input: &Input| call.args.iter().any(|arg| arg.name.as_ref().is_none_or(|name| name.text == input.name));
        let inputs = target.operation.inputs.iter().zip(args);
        // Nor is anything said of a call that lacks what it needs.
        let types = target.operation.typed.as_ref().map(|typed| typed.input.as_str());
        let is_needed = |input: &Input| input.is_required() || types == Some(input.name.as_str());
        if inputs.clone().any(|(input, arg)| is_needed(input) && is_missing(arg)) {
            return;
        }
        let known = |(input, arg): (&'a Input, &'t Typed<'a>)| (!is_missing(arg) || !is_named(input)).then_some(arg);
        let given: Vec<Option<&Typed<'a>>> = inputs.map(known).collect();
        let broken = operation.peculiar.refuse.iter().find(|refusal| decided(&refusal.when, &given) == Some(true));
        if let Some(refusal) = broken {
            let diagnostic = self
                .diagnostic(Code::E408, call.span, format!("`{}` would refuse this", target.name()))
                .label(refusal.because.clone());
            self.report(diagnostic);
        }
    }
}

/// What a condition over inputs comes to, where what is given says it.
fn decided(condition: &Expr, args: &[Option<&Typed<'_>>]) -> Option<bool> {
    match condition {
        Expr::Const(Value::Bool(holds)) => Some(*holds),
        Expr::Not(inner) => decided(inner, args).map(|holds| !holds),
        Expr::And(parts) => all(parts, args, true),
        Expr::Or(parts) => all(parts, args, false),
        Expr::IsPresent(inner) => is_present(given(inner, args)?),
        Expr::Equal(left, right) => match (&given(left, args)?.expr, &**right) {
            (Expr::Const(Value::Missing), _) => Some(false),
            (Expr::Const(left), Expr::Const(right)) => Some(left == right),
            _ => None,
        },
        _ => None,
    }
}

/// All of the parts are `each`, or one of them is not.
fn all(parts: &[Expr], args: &[Option<&Typed<'_>>], each: bool) -> Option<bool> {
    let mut known = Some(each);
    for part in parts {
        match decided(part, args) {
            Some(holds) if holds != each => return Some(!each),
            Some(_) => {}
            None => known = None,
        }
    }
    known
}

/// What a call gives for an input.
fn given<'t, 'a>(input: &Expr, args: &[Option<&'t Typed<'a>>]) -> Option<&'t Typed<'a>> {
    let Expr::Input(at) = input else { return None };
    let arg = args.get(usize::from(*at)).copied().flatten()?;
    (!matches!(&*arg.ty, Type::Unknown) || matches!(arg.expr, Expr::Const(_))).then_some(arg)
}

fn is_missing(arg: &Typed<'_>) -> bool {
    matches!(arg.expr, Expr::Const(Value::Missing))
}

fn is_present(arg: &Typed<'_>) -> Option<bool> {
    match &arg.expr {
        Expr::Const(value) => Some(!matches!(value, Value::Missing)),
        _ => (!arg.optional && !matches!(&*arg.ty, Type::Json)).then_some(true),
    }
}
