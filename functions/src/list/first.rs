//! The first item.

use flow_plan::{Each, Function, Value};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "first",
    subject: Subject::List,
    form: Form::Of(Function::First, Each::Filter),
    params: &[Param::new("list", &[Kind::List]), Param::maybe("condition", &[Kind::Condition])],
    items: &[],
    gives: Gives::Item,
    may_fail: true,
    keeps_personal: true,
    brief: "the first item of a list, or the first for which the condition holds",
    docs: "There may be none. In the condition, `it` is the item.",
    examples: &[
        Example("first([\"a\", \"b\"])", "\"a\""),
        Example("first([5, 15, 25], it > 10)", "15"),
        Example("first([5], it > 10)", "missing"),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    args.list(0)?.first().cloned()
}
